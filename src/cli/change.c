/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that change something. Each prints OK for every request that the server carried out.
 */
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/text.h"

static int send_and_put_ok(struct sl_cli_call *call, const char *method, const char *path,
                           json_t *body)
{
    int rc = sl_cli_call_send(call, method, path, body, NULL);
    if (rc == SL_OK) {
        sl_cli_call_put_ok(call);
    }
    return rc;
}

/* "set" or "clear", as the verb says; states in the order given. Which states there are is the
 * server's knowledge. */
static int change_server(struct sl_cli_call *call)
{
    bool is_set = strcmp(call->command->verb, "set") == 0;
    char *server = sl_cli_call_path("servers", call->args[0]);
    int rc = SL_OK;
    for (size_t i = 1; rc == SL_OK && i < call->arg_count; i++) {
        const char *state = call->args[i];
        bool is_forced =
            is_set && strcmp(state, "maintenance") == 0 && sl_cli_line_is_on(call->line, "force");
        struct sl_buf path = SL_BUF_INIT;
        sl_cli_text_putf(&path, "%s/%s?state=", server, call->command->verb);
        sl_cli_text_put_encoded(&path, state);
        sl_cli_text_put(&path, is_forced ? "&force=yes" : "");
        char *text = sl_cli_text_take(&path);
        sl_cli_text_put(call->out, i > 1 ? "," : "");
        rc = send_and_put_ok(call, "PUT", text, NULL);
        sl_free(text);
    }
    sl_free(server);
    return rc;
}

static int destroy_session(struct sl_cli_call *call)
{
    const char *ttl = sl_cli_line_given(call->line, "ttl");
    int rc = SL_OK;
    for (size_t i = 0; rc == SL_OK && i < call->arg_count; i++) {
        char *session = sl_cli_call_path("sessions", call->args[i]);
        char *path =
            sl_xasprintf("%s%s%s", session, ttl != NULL ? "?ttl=" : "", ttl != NULL ? ttl : "");
        sl_cli_text_put(call->out, i > 0 ? "," : "");
        rc = send_and_put_ok(call, "DELETE", path, NULL);
        sl_free(path);
        sl_free(session);
    }
    return rc;
}

static int check_not_null(struct sl_cli_call *call)
{
    for (size_t i = 0; i < call->arg_count; i++) {
        if (strcmp(call->args[i], "null") == 0 || *call->args[i] == '\0') {
            sl_cli_text_put(call->error, "Name and password may not be null or empty");
            return SL_EINVAL;
        }
    }
    return SL_OK;
}

static int create_user(struct sl_cli_call *call)
{
    const char *type = sl_cli_line_text(call->line, "type");
    if (strcmp(type, "admin") != 0 && strcmp(type, "basic") != 0) {
        sl_cli_text_putf(call->error, "`%s` is no kind of account, expected admin or basic", type);
        return SL_EINVAL;
    }
    int rc = check_not_null(call);
    if (rc < 0) {
        return rc;
    }
    json_t *body = json_pack("{s:{s:s,s:s,s:{s:s,s:s}}}", "data", "id", call->args[0], "type",
                             "inet", "attributes", "password", call->args[1], "account", type);
    if (body == NULL) {
        sl_cli_text_put(call->error, "Name and password must be UTF-8");
        return SL_EINVAL;
    }
    rc = send_and_put_ok(call, "POST", "users/inet", body);
    json_decref(body);
    return rc;
}

static int alter_user(struct sl_cli_call *call)
{
    int rc = check_not_null(call);
    if (rc < 0) {
        return rc;
    }
    json_t *body = json_pack("{s:{s:s,s:s,s:{s:s}}}", "data", "id", call->args[0], "type", "inet",
                             "attributes", "password", call->args[1]);
    if (body == NULL) {
        sl_cli_text_put(call->error, "Name and password must be UTF-8");
        return SL_EINVAL;
    }
    char *path = sl_cli_call_path("users/inet", call->args[0]);
    rc = send_and_put_ok(call, "PATCH", path, body);
    sl_free(path);
    json_decref(body);
    return rc;
}

/* key=value words into the body of a PATCH. NULL with a sentence in call->error. */
static json_t *make_parameters(struct sl_cli_call *call, size_t first)
{
    json_t *parameters = json_object();
    for (size_t i = first; i < call->arg_count; i++) {
        const char *equals = strchr(call->args[i], '=');
        if (equals == NULL || equals == call->args[i]) {
            sl_cli_text_putf(call->error, "`%s` is not of the form key=value", call->args[i]);
            json_decref(parameters);
            return NULL;
        }
        char *key = sl_cli_text_copy(call->args[i], (size_t)(equals - call->args[i]));
        json_t *value = equals[1] != '\0' ? json_string(equals + 1) : json_null();
        json_object_set_new(parameters, key, value != NULL ? value : json_null());
        sl_free(key);
    }
    return json_pack("{s:{s:{s:o}}}", "data", "attributes", "parameters", parameters);
}

static int alter_parameters(struct sl_cli_call *call, const char *path, size_t first)
{
    json_t *body = make_parameters(call, first);
    if (body == NULL) {
        return SL_EINVAL;
    }
    int rc = send_and_put_ok(call, "PATCH", path, body);
    json_decref(body);
    return rc;
}

static int alter_maxscale(struct sl_cli_call *call)
{
    return alter_parameters(call, "maxscale", 0);
}

static int alter_service(struct sl_cli_call *call)
{
    char *path = sl_cli_call_path("services", call->args[0]);
    int rc = alter_parameters(call, path, 1);
    sl_free(path);
    return rc;
}

static int destroy_user(struct sl_cli_call *call)
{
    char *path = sl_cli_call_path("users/inet", call->args[0]);
    int rc = send_and_put_ok(call, "DELETE", path, NULL);
    sl_free(path);
    return rc;
}

static int reload_service(struct sl_cli_call *call)
{
    char *service = sl_cli_call_path("services", call->args[0]);
    char *path = sl_xasprintf("%s/reload", service);
    int rc = send_and_put_ok(call, "POST", path, NULL);
    sl_free(path);
    sl_free(service);
    return rc;
}

static int rotate_logs(struct sl_cli_call *call)
{
    return send_and_put_ok(call, "POST", "maxscale/logs/flush", NULL);
}

const struct sl_cli_command sl_cli_change_commands[] = {
    {"set", "server", "SERVER STATE...", "Give a server states: maintenance, drain, ...", 2,
     SL_CLI_ARGS_ANY, "force", change_server, NULL},
    {"clear", "server", "SERVER STATE...", "Take states away from a server", 2, SL_CLI_ARGS_ANY,
     NULL, change_server, NULL},
    {"clear", "digests", "", "Count forms of statements from zero", 0, 0, NULL,
     sl_cli_clear_digests, NULL},
    {"create", "user", "NAME PASSWORD", "Create a user of the REST API", 2, 2, "type", create_user,
     NULL},
    {"alter", "user", "NAME PASSWORD", "Change the password of a user of the REST API", 2, 2, NULL,
     alter_user, NULL},
    {"alter", "maxscale", "KEY=VALUE...",
     "Change retain_last_statements, dump_last_statements, query_digests", 1, SL_CLI_ARGS_ANY, NULL,
     alter_maxscale, NULL},
    {"alter", "service", "SERVICE KEY=VALUE...", "Change what a service can change while it runs",
     2, SL_CLI_ARGS_ANY, NULL, alter_service, NULL},
    {"destroy", "user", "NAME", "Remove a user of the REST API", 1, 1, NULL, destroy_user, NULL},
    {"destroy", "session", "SESSION...", "Close sessions of clients", 1, SL_CLI_ARGS_ANY, "ttl",
     destroy_session, NULL},
    {"reload", "service", "SERVICE", "Read the accounts of the servers again", 1, 1, NULL,
     reload_service, NULL},
    {"rotate", "logs", "", "Open the log files again", 0, 0, NULL, rotate_logs, NULL},
    {NULL},
};
