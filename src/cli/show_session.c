/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of `show session` that MaxScale does not have, made to be read by people: transaction,
 * lock, connections, kept statements, the last statements with where they went and why. A row is
 * left out when the server does not tell (MaxScale).
 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/json_path.h"
#include "cli/text.h"

#define TEXT_CELLS 160 /* of a statement in a line; `Queries` has all of it */

static const char *text_of(json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? text : "";
}

/* Appends a statement on one line, cut. */
static void put_statement(struct sl_buf *line, json_t *object)
{
    char *text = sl_xstrdup(text_of(object, "statement"));
    for (char *p = text; *p != '\0'; p++) {
        *p = *p == '\n' || *p == '\r' || *p == '\t' ? ' ' : *p;
    }
    bool is_long = sl_cli_text_width(text, strlen(text)) > TEXT_CELLS;
    text[is_long ? sl_cli_text_fit(text, TEXT_CELLS) : strlen(text)] = '\0';
    sl_cli_text_putf(line, "%s%s", text, is_long ? "..." : "");
    sl_free(text);
}

static void append_line(json_t *lines, struct sl_buf *line)
{
    char *text = sl_cli_text_take(line);
    json_array_append_new(lines, json_string(text));
    sl_free(text);
}

/* The array of that name as lines; NULL when it is missing. */
static json_t *make_lines(json_t *session, const char *name, void (*put)(struct sl_buf *, json_t *))
{
    json_t *array = json_object_get(json_object_get(session, "attributes"), name);
    json_t *lines = array != NULL ? json_array() : NULL;
    size_t i;
    json_t *element;
    json_array_foreach (array, i, element) {
        struct sl_buf line = SL_BUF_INIT;
        put(&line, element);
        append_line(lines, &line);
    }
    return lines;
}

json_t *sl_cli_session_activity(json_t *session)
{
    json_t *attributes = json_object_get(session, "attributes");
    json_t *thread = json_object_get(attributes, "thread");
    return json_object_get(attributes, "activity") != NULL
               ? json_sprintf("%s, on thread %lld", text_of(attributes, "activity"),
                              (long long)json_integer_value(thread))
               : NULL;
}

json_t *sl_cli_session_transaction(json_t *session)
{
    json_t *attributes = json_object_get(session, "attributes");
    json_t *autocommit = json_object_get(attributes, "autocommit");
    const char *transaction = text_of(attributes, "transaction");
    if (autocommit == NULL) {
        return NULL;
    }
    return json_sprintf("%s, autocommit %s", transaction, json_is_true(autocommit) ? "on" : "off");
}

json_t *sl_cli_session_lock(json_t *session)
{
    json_t *why = json_object_get(json_object_get(session, "attributes"), "locked_to_primary");
    return why == NULL ? NULL : json_is_null(why) ? json_string("no") : json_incref(why);
}

static void put_connection(struct sl_buf *line, json_t *c)
{
    json_int_t pending = json_integer_value(json_object_get(c, "pending_replies"));
    sl_cli_text_putf(line, "%s: %s%s, id %lld", text_of(c, "server"),
                     json_is_true(json_object_get(c, "primary")) ? "Master, " : "",
                     text_of(c, "state"),
                     (long long)json_integer_value(json_object_get(c, "connection_id")));
    if (pending > 0) {
        sl_cli_text_putf(line, ", %lld replies outstanding", (long long)pending);
    } else {
        sl_cli_text_putf(line, ", idle %.1f s", json_number_value(json_object_get(c, "idle")));
    }
}

json_t *sl_cli_session_connections(json_t *session)
{
    json_t *state = sl_cli_json_path_get(session, "attributes.connections[0].state");
    json_t *lines = state != NULL ? make_lines(session, "connections", put_connection) : NULL;
    json_decref(state);
    return lines;
}

static void put_kept(struct sl_buf *line, json_t *kept)
{
    json_t *id = json_object_get(kept, "id");
    if (id != NULL) {
        sl_cli_text_putf(line, "%lld: ", (long long)json_integer_value(id));
    }
    put_statement(line, kept);
    if (strcmp(text_of(kept, "result"), "ok") != 0) {
        sl_cli_text_putf(line, " (%s)", text_of(kept, "result"));
    }
}

json_t *sl_cli_session_history(json_t *session)
{
    return make_lines(session, "history", put_kept);
}

json_t *sl_cli_session_prepared(json_t *session)
{
    return make_lines(session, "prepared_statements", put_kept);
}

static void put_servers(struct sl_buf *line, json_t *query)
{
    json_t *responses = json_object_get(query, "responses");
    size_t i;
    json_t *r;
    if (json_array_size(responses) == 0) {
        sl_cli_text_put(line, json_object_get(query, "completed") != NULL ? "the proxy itself"
                                                                          : "no server yet");
    }
    json_array_foreach (responses, i, r) {
        const char *state = text_of(r, "state");
        sl_cli_text_putf(line, "%s%s", i > 0 ? ", " : "", text_of(r, "server"));
        if (strcmp(state, "lost") == 0 || strcmp(state, "pending") == 0) {
            sl_cli_text_putf(line, " (%s)", state);
        }
    }
}

/* #7 13:02:11.042 0.81 ms on db2 [read outside a transaction -> replica] SELECT ... */
static void put_query(struct sl_buf *line, json_t *query)
{
    const char *received = text_of(query, "received");
    const char *time = strchr(received, 'T');
    json_t *error = json_object_get(query, "error");
    const char *rule = text_of(query, "rule");
    sl_cli_text_putf(line, "#%lld %s %.3f ms%s on ",
                     (long long)json_integer_value(json_object_get(query, "number")),
                     time != NULL ? time + 1 : received,
                     json_number_value(json_object_get(query, "duration_us")) / 1000,
                     json_object_get(query, "completed") != NULL ? "" : " so far");
    put_servers(line, query);
    if (*rule != '\0') {
        sl_cli_text_putf(line, " [%s -> %s]", rule, text_of(query, "target"));
    }
    if (json_integer_value(error) != 0) {
        sl_cli_text_putf(line, " error %lld", (long long)json_integer_value(error));
    }
    sl_cli_text_put(line, " ");
    if (*text_of(query, "statement") != '\0') {
        put_statement(line, query);
    } else {
        sl_cli_text_put(line, text_of(query, "command"));
    }
}

json_t *sl_cli_session_statements(json_t *session)
{
    bool is_told = json_object_get(json_object_get(session, "attributes"), "activity") != NULL;
    return is_told ? make_lines(session, "queries", put_query) : NULL;
}
