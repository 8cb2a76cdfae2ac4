/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `list digests` and `clear digests`: forms of statements and what they cost. The server counts
 * them only when query_digests is set; without it an empty list would be a lie.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/json_path.h"
#include "cli/text.h"

static json_t *milliseconds(json_t *digest, const char *member)
{
    json_t *us = json_object_get(json_object_get(digest, "attributes"), member);
    return us != NULL ? json_sprintf("%.3f", json_number_value(us) / 1000) : NULL;
}

static json_t *total(json_t *digest)
{
    json_t *us = json_object_get(json_object_get(digest, "attributes"), "total_us");
    return us != NULL ? json_sprintf("%.3f", json_number_value(us) / 1e6) : NULL;
}
static json_t *average(json_t *digest)
{
    return milliseconds(digest, "avg_us");
}
static json_t *p95(json_t *digest)
{
    return milliseconds(digest, "p95_us");
}
static json_t *p99(json_t *digest)
{
    return milliseconds(digest, "p99_us");
}
static json_t *max(json_t *digest)
{
    return milliseconds(digest, "max_us");
}

#define TEXT_COLUMN "Text"

static const struct sl_cli_field FIELDS[] = {
    {"Digest", "attributes.digest"},
    {"Service", "attributes.service"},
    {"Count", "attributes.count"},
    {"Errors", "attributes.errors"},
    {"Total (s)", .make = total},
    {"Avg (ms)", .make = average},
    {"p95 (ms)", .make = p95},
    {"p99 (ms)", .make = p99},
    {"Max (ms)", .make = max},
    {"Rows", "attributes.rows"},
    {"First Seen", "attributes.first_seen", SL_CLI_FIELD_LOCAL_TIME},
    {"Last Seen", "attributes.last_seen", SL_CLI_FIELD_LOCAL_TIME},
    {TEXT_COLUMN, "attributes.text"},
};

static int check_is_on(struct sl_cli_call *call, json_t *answer)
{
    json_t *size = sl_cli_json_path_get(answer, "meta.query_digests");
    bool is_on = json_integer_value(size) > 0;
    json_decref(size);
    if (!is_on) {
        sl_cli_text_put(call->error, "`list digests` needs the global parameter `query_digests` "
                                     "to be 1 or more");
    }
    return is_on ? SL_OK : SL_ESTATE;
}

static char *cell(const struct sl_cli_field *field, json_t *digest, size_t max_length)
{
    char *text = sl_cli_field_list_cell(field, digest);
    bool is_cut = max_length > 0 && strcmp(field->name, TEXT_COLUMN) == 0 &&
                  sl_cli_text_width(text, strlen(text)) > max_length;
    if (!is_cut) {
        return text;
    }
    char *shorter = sl_xasprintf("%.*s...", (int)sl_cli_text_fit(text, max_length), text);
    sl_free(text);
    return shorter;
}

static void put(struct sl_cli_call *call, json_t *data)
{
    size_t max_length = strtoul(sl_cli_line_text(call->line, "max-length"), NULL, 10);
    struct sl_cli_table table;
    sl_cli_table_init(&table, SL_CLI_TABLE_LIST, SL_ARRAY_LEN(FIELDS));
    for (size_t c = 0; c < SL_ARRAY_LEN(FIELDS); c++) {
        sl_cli_table_add(&table, sl_xstrdup(FIELDS[c].name));
    }
    size_t i;
    json_t *digest;
    json_array_foreach (data, i, digest) {
        for (size_t c = 0; c < SL_ARRAY_LEN(FIELDS); c++) {
            sl_cli_table_add(&table, cell(&FIELDS[c], digest, max_length));
        }
    }
    sl_cli_table_put(&table, &call->settings->style, call->out);
    sl_cli_table_free(&table);
}

int sl_cli_list_digests(struct sl_cli_call *call)
{
    struct sl_buf path = SL_BUF_INIT;
    json_t *answer;
    sl_cli_text_put(&path, "maxscale/digests?sort=");
    sl_cli_text_put_encoded(&path, sl_cli_line_text(call->line, "sort"));
    sl_cli_text_put(&path, "&limit=");
    sl_cli_text_put_encoded(&path, sl_cli_line_text(call->line, "limit"));
    char *text = sl_cli_text_take(&path);
    int rc = sl_cli_call_get(call, text, NULL, &answer);
    sl_free(text);
    if (rc < 0) {
        return rc;
    }
    rc = check_is_on(call, answer);
    if (rc == SL_OK) {
        put(call, json_object_get(answer, "data"));
    }
    json_decref(answer);
    return rc;
}

int sl_cli_clear_digests(struct sl_cli_call *call)
{
    int rc = sl_cli_call_send(call, "DELETE", "maxscale/digests", NULL, NULL);
    if (rc == SL_OK) {
        sl_cli_call_put_ok(call);
    }
    return rc;
}
