/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as text, see json_text.h. The library's own output has 17 digits for every real number and a
 * ".0" behind whole ones, which is not what JavaScript prints. Depth is bounded by the parser's.
 */
#include "cli/json_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "cli/text.h"

/* The fewest digits that give the same number when read back. */
static void put_real(struct sl_buf *out, double number)
{
    char text[64];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    if (fabs(number) < 1e15 && floor(number) == number) {
        snprintf(text, sizeof(text), "%.0f", number);
    }
    sl_cli_text_put(out, text);
}

/* The library escapes control characters below 0x20; DEL and C1 can steer a terminal as well. */
static void put_escaped(struct sl_buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        bool is_c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;
        if (is_c1 || *p == 0x7f) {
            p += is_c1;
            sl_cli_text_putf(out, "\\u%04x", *p);
        } else {
            sl_cli_text_put_bytes(out, p, 1);
        }
    }
}

static void put_scalar(struct sl_buf *out, json_t *value)
{
    if (json_is_real(value)) {
        put_real(out, json_real_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    sl_assert(text != NULL);
    put_escaped(out, text);
    free(text); /* the library's memory */
}

static void put_break(struct sl_buf *out, size_t blanks, size_t indent)
{
    if (indent > 0) {
        sl_cli_text_putf(out, "\n%*s", (int)blanks, "");
    }
}

static void put_at(struct sl_buf *out, json_t *value, size_t indent, size_t blanks);

static void put_array(struct sl_buf *out, json_t *array, size_t indent, size_t blanks)
{
    size_t i;
    json_t *element;
    sl_cli_text_put(out, "[");
    json_array_foreach (array, i, element) {
        sl_cli_text_put(out, i > 0 ? "," : "");
        put_break(out, blanks + indent, indent);
        put_at(out, element, indent, blanks + indent);
    }
    put_break(out, blanks, json_array_size(array) > 0 ? indent : 0);
    sl_cli_text_put(out, "]");
}

static void put_object(struct sl_buf *out, json_t *object, size_t indent, size_t blanks)
{
    const char *key;
    json_t *member;
    const char *comma = "";
    sl_cli_text_put(out, "{");
    json_object_foreach (object, key, member) {
        sl_cli_text_put(out, comma);
        put_break(out, blanks + indent, indent);
        json_t *name = json_string(key);
        put_scalar(out, name);
        json_decref(name);
        sl_cli_text_put(out, indent > 0 ? ": " : ":");
        put_at(out, member, indent, blanks + indent);
        comma = ",";
    }
    put_break(out, blanks, json_object_size(object) > 0 ? indent : 0);
    sl_cli_text_put(out, "}");
}

static void put_at(struct sl_buf *out, json_t *value, size_t indent, size_t blanks)
{
    if (json_is_array(value)) {
        put_array(out, value, indent, blanks);
    } else if (json_is_object(value)) {
        put_object(out, value, indent, blanks);
    } else {
        put_scalar(out, value);
    }
}

void sl_cli_json_text_put(struct sl_buf *out, json_t *value, size_t indent)
{
    put_at(out, value, indent, 0);
}

void sl_cli_json_text_put_plain(struct sl_buf *out, json_t *value)
{
    if (json_is_string(value)) {
        sl_cli_text_put_bytes(out, json_string_value(value), json_string_length(value));
    } else {
        put_at(out, value, 0, 0);
    }
}
