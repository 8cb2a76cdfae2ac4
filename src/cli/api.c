/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `api get`: raw answers of the REST API, or the part of them that a path names. `call command`.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/json_path.h"
#include "cli/json_text.h"
#include "cli/text.h"

#define PRETTY_INDENT 2

/* A resource as the user wrote it: the slash in front is optional, characters that may not stand in
 * a request line are encoded. */
static char *clean(const char *resource)
{
    struct sl_buf path = SL_BUF_INIT;
    for (const char *p = resource + strspn(resource, "/"); *p != '\0'; p++) {
        char one[2] = {*p, '\0'};
        bool is_safe = *p > ' ' && *p < 0x7f && strchr("\"<>\\^`{|}#[]", *p) == NULL;
        if (is_safe) {
            sl_cli_text_put(&path, one);
        } else {
            sl_cli_text_put_encoded(&path, one);
        }
    }
    return sl_cli_text_take(&path);
}

/* Replaces an array of numbers by their sum. Nulls count nothing. */
static int sum(json_t **value, struct sl_buf *error)
{
    double total = 0;
    size_t i;
    json_t *element;
    bool is_summable = json_is_array(*value);
    json_array_foreach (*value, i, element) {
        is_summable &= json_is_number(element) || json_is_null(element);
        total += json_number_value(element);
    }
    if (!is_summable && !json_is_number(*value)) {
        sl_cli_text_put(error, "`--sum` needs numbers; give a path that names some, such as "
                               "data[].attributes.statistics.connections");
        return SL_EINVAL;
    }
    if (is_summable) {
        json_decref(*value);
        *value = json_real(total);
    }
    return SL_OK;
}

static int get(struct sl_cli_call *call)
{
    const char *path = call->arg_count > 1 ? call->args[1] : "";
    char *resource = clean(call->args[0]);
    json_t *answer;
    int rc = sl_cli_call_get(call, resource, NULL, &answer);
    sl_free(resource);
    if (rc < 0) {
        return rc;
    }
    json_t *value = sl_cli_json_path_get(answer, path);
    json_decref(answer);
    if (value == NULL) {
        value = json_null();
    }
    if (sl_cli_line_is_on(call->line, "sum")) {
        rc = sum(&value, call->error);
    }
    if (rc == SL_OK) {
        bool is_pretty = sl_cli_line_is_on(call->line, "pretty");
        sl_cli_json_text_put(call->out, value, is_pretty ? PRETTY_INDENT : 0);
    }
    json_decref(value);
    return rc;
}

/* GET or POST? The module's description tells; a command it does not have is asked for with GET. */
static const char *method_of_command(struct sl_cli_call *call, const char *module)
{
    json_t *answer = NULL;
    if (sl_cli_call_get(call, module, NULL, &answer) < 0) {
        return NULL;
    }
    const char *method = "GET";
    json_t *list = sl_cli_json_path_get(answer, "data.attributes.commands");
    size_t i;
    json_t *command;
    json_array_foreach (list, i, command) {
        const char *id = json_string_value(json_object_get(command, "id"));
        if (id != NULL && strcmp(id, call->args[1]) == 0) {
            json_t *said = json_object_get(json_object_get(command, "attributes"), "method");
            method = said != NULL && strcmp(json_string_value(said), "POST") == 0 ? "POST" : "GET";
        }
    }
    json_decref(list);
    json_decref(answer);
    return method;
}

static int call_command(struct sl_cli_call *call)
{
    char *module = sl_cli_call_path("maxscale/modules", call->args[0]);
    const char *method = method_of_command(call, module);
    if (method == NULL) {
        sl_free(module);
        return SL_ENOENT;
    }
    char *base = sl_cli_call_path(module, call->args[1]);
    struct sl_buf path = SL_BUF_INIT;
    sl_cli_text_put(&path, base);
    for (size_t i = 2; i < call->arg_count; i++) {
        sl_cli_text_put(&path, i == 2 ? "?" : "&");
        sl_cli_text_put_encoded(&path, call->args[i]);
    }
    char *text = sl_cli_text_take(&path);
    json_t *answer = NULL;
    int rc = sl_cli_call_send(call, method, text, NULL, &answer);
    json_t *meta = rc == SL_OK ? json_object_get(answer, "meta") : NULL;
    if (meta != NULL) {
        sl_cli_json_text_put(call->out, meta, PRETTY_INDENT);
    } else if (rc == SL_OK) {
        sl_cli_call_put_ok(call);
    }
    json_decref(answer);
    sl_free(text);
    sl_free(base);
    sl_free(module);
    return rc;
}

const struct sl_cli_command sl_cli_api_commands[] = {
    {"api", "get", "RESOURCE [PATH]", "Raw JSON, or the part of it at a path such as data[].id", 1,
     2, "sum pretty", get, NULL},
    {"call", "command", "MODULE COMMAND [ARGUMENT...]", "Run a command of a module", 2,
     SL_CLI_ARGS_ANY, NULL, call_command, NULL},
    {NULL},
};
