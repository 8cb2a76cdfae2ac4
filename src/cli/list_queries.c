/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `list queries`: what sessions are executing. The server remembers statements only when
 * retain_last_statements is set; without it an empty list would be a lie.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/json_path.h"
#include "cli/text.h"

/* Seconds from an ISO 8601 local time with fraction ("2024-01-05T07:23:54.123") to now. */
static double seconds_since(const char *text)
{
    struct tm tm = {.tm_isdst = -1};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    struct timeval now;
    if (rest == NULL) {
        return 0;
    }
    double then = (double)mktime(&tm) + (*rest == '.' ? strtod(rest, NULL) : 0);
    gettimeofday(&now, NULL);
    double seconds = (double)now.tv_sec + (double)now.tv_usec / 1e6 - then;
    return seconds > 0 ? seconds : 0;
}

static char *cut(const char *statement, size_t max)
{
    if (max == 0 || sl_cli_text_width(statement, strlen(statement)) <= max) {
        return sl_xstrdup(statement);
    }
    return sl_xasprintf("%.*s...", (int)sl_cli_text_fit(statement, max), statement);
}

static void add_session(struct sl_cli_table *table, json_t *session, size_t max)
{
    const char *id;
    const char *user = "";
    const char *remote = "";
    const char *statement;
    const char *received = "";
    json_t *query = sl_cli_json_path_get(session, "attributes.queries[0]");
    json_t *completed = json_object_get(query, "completed");
    bool is_running = completed == NULL || json_is_null(completed);
    if (is_running &&
        json_unpack(query, "{s:s,s?:s}", "statement", &statement, "received", &received) == 0 &&
        json_unpack(session, "{s:s,s:{s?:s,s?:s}}", "id", &id, "attributes", "user", &user,
                    "remote", &remote) == 0) {
        sl_cli_table_add(table, sl_xstrdup(id));
        sl_cli_table_add(table, sl_xstrdup(user));
        sl_cli_table_add(table, sl_xstrdup(remote));
        sl_cli_table_add(table, sl_xasprintf("%.0fs", seconds_since(received)));
        sl_cli_table_add(table, cut(statement, max));
    }
    json_decref(query);
}

static int check_retention(struct sl_cli_call *call)
{
    json_t *maxscale;
    int rc = sl_cli_call_get(call, "maxscale", NULL, &maxscale);
    if (rc < 0) {
        return rc;
    }
    json_t *retained =
        sl_cli_json_path_get(maxscale, "data.attributes.parameters.retain_last_statements");
    if (json_integer_value(retained) == 0) {
        sl_cli_text_put(call->error, "`list queries` needs the global parameter "
                                     "`retain_last_statements` to be 1 or more");
        rc = SL_ESTATE;
    }
    json_decref(retained);
    json_decref(maxscale);
    return rc;
}

int sl_cli_list_queries(struct sl_cli_call *call)
{
    static const char *const COLUMNS[] = {"Id", "User", "Host", "Duration", "Query"};
    json_t *sessions = NULL;
    int rc = check_retention(call);
    if (rc == SL_OK) {
        rc = sl_cli_call_get(call, "sessions", NULL, &sessions);
    }
    if (rc < 0) {
        return rc;
    }
    size_t max = strtoul(sl_cli_line_text(call->line, "max-length"), NULL, 10);
    struct sl_cli_table table;
    sl_cli_table_init(&table, SL_CLI_TABLE_LIST, SL_ARRAY_LEN(COLUMNS));
    for (size_t c = 0; c < SL_ARRAY_LEN(COLUMNS); c++) {
        sl_cli_table_add(&table, sl_xstrdup(COLUMNS[c]));
    }
    size_t i;
    json_t *session;
    json_array_foreach (json_object_get(sessions, "data"), i, session) {
        add_session(&table, session, max);
    }
    sl_cli_table_put(&table, &call->settings->style, call->out);
    sl_cli_table_free(&table);
    json_decref(sessions);
    return SL_OK;
}
