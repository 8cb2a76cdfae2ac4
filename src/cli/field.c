/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns and rows, see field.h.
 */
#include "cli/field.h"

#include <curl/curl.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/json_path.h"
#include "cli/json_text.h"
#include "cli/text.h"

#define ROOM_MIN 30    /* lines are never cut shorter */
#define BORDER_WIDTH 7 /* of a table with two columns */
#define JSON_INDENT_BLANKS 4

/* The format of the environment may have two digits for the year; that is its wish. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-y2k"
static bool format_local(const struct tm *tm, char *out, size_t size)
{
    return strftime(out, size, "%c", tm) > 0;
}
#pragma GCC diagnostic pop

/* Replaces an RFC 1123 time by local time. */
static json_t *to_local_time(json_t *value)
{
    const char *text = json_string_value(value);
    time_t when = text == NULL ? -1 : curl_getdate(text, NULL);
    struct tm tm;
    char local[128];
    if (when == (time_t)-1 || localtime_r(&when, &tm) == NULL ||
        !format_local(&tm, local, sizeof(local))) {
        return value;
    }
    json_decref(value);
    return json_string(local);
}

json_t *sl_cli_field_get(const struct sl_cli_field *field, json_t *object)
{
    json_t *value =
        field->make != NULL ? field->make(object) : sl_cli_json_path_get(object, field->path);
    return value != NULL && (field->flags & SL_CLI_FIELD_LOCAL_TIME) != 0 ? to_local_time(value)
                                                                          : value;
}

static void put_joined(struct sl_buf *cell, json_t *array)
{
    size_t i;
    json_t *element;
    json_array_foreach (array, i, element) {
        sl_cli_text_put(cell, i > 0 ? ", " : "");
        if (!json_is_null(element)) {
            sl_cli_json_text_put_plain(cell, element);
        }
    }
}

char *sl_cli_field_list_cell(const struct sl_cli_field *field, json_t *object)
{
    struct sl_buf cell = SL_BUF_INIT;
    json_t *value = sl_cli_field_get(field, object);
    if (json_is_array(value)) {
        put_joined(&cell, value);
    } else if (value != NULL && !json_is_null(value)) {
        sl_cli_json_text_put_plain(&cell, value);
    }
    json_decref(value);
    return sl_cli_text_take(&cell);
}

static bool holds_scalars(json_t *array)
{
    size_t i;
    json_t *element;
    json_array_foreach (array, i, element) {
        if (json_is_array(element) || json_is_object(element)) {
            return false;
        }
    }
    return true;
}

static void put_lines(struct sl_buf *cell, json_t *array, size_t room)
{
    size_t i;
    json_t *element;
    json_array_foreach (array, i, element) {
        struct sl_buf line = SL_BUF_INIT;
        sl_cli_json_text_put_plain(&line, element);
        char *text = sl_cli_text_take(&line);
        sl_cli_text_put(cell, i > 0 ? "\n" : "");
        if (room > 0 && sl_cli_text_width(text, strlen(text)) > room) {
            text[sl_cli_text_fit(text, room - 3)] = '\0';
            sl_cli_text_putf(cell, "%s...", text);
        } else {
            sl_cli_text_put(cell, text);
        }
        sl_free(text);
    }
}

char *sl_cli_field_show_value(json_t *value, const struct sl_cli_style *style, size_t room)
{
    struct sl_buf cell = SL_BUF_INIT;
    if (json_is_array(value) && holds_scalars(value)) {
        if (style->is_tsv) {
            put_joined(&cell, value);
        } else {
            put_lines(&cell, value, room);
        }
    } else if (json_is_array(value) || json_is_object(value)) {
        sl_cli_json_text_put(&cell, value, JSON_INDENT_BLANKS);
    } else if (value != NULL) {
        sl_cli_json_text_put_plain(&cell, value);
    }
    return sl_cli_text_take(&cell);
}

char *sl_cli_field_show_cell(const struct sl_cli_field *field, json_t *object,
                             const struct sl_cli_style *style, size_t room)
{
    json_t *value = sl_cli_field_get(field, object);
    if (value == NULL && (field->flags & SL_CLI_FIELD_OPTIONAL) != 0) {
        return NULL;
    }
    char *cell = sl_cli_field_show_value(value, style, room);
    json_decref(value);
    return cell;
}

size_t sl_cli_field_room(const struct sl_cli_field *fields, size_t count,
                         const struct sl_cli_style *style)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        longest = SL_MAX(longest, strlen(fields[i].name));
    }
    if (style->width == 0) {
        return 0;
    }
    size_t taken = longest + BORDER_WIDTH;
    return style->width > taken + ROOM_MIN ? style->width - taken : ROOM_MIN;
}

json_t *sl_cli_field_server_address(json_t *server)
{
    json_t *address = sl_cli_json_path_get(server, "attributes.parameters.address");
    if (address != NULL && !json_is_null(address)) {
        return address;
    }
    json_decref(address);
    return sl_cli_json_path_get(server, "attributes.parameters.socket");
}

json_t *sl_cli_field_server_state(json_t *server)
{
    const char *state;
    const char *details = NULL;
    if (json_unpack(server, "{s:{s:s,s?:s}}", "attributes", "state", &state, "state_details",
                    &details) != 0) {
        return sl_cli_json_path_get(server, "attributes.state");
    }
    bool has_details = details != NULL && *details != '\0';
    return json_sprintf("%s%s%s", state, has_details ? ", " : "", has_details ? details : "");
}
