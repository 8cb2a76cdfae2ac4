/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a command, and what the user is told when they fail.
 */
#include "cli/call.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/json_text.h"
#include "cli/text.h"

char *sl_cli_call_path(const char *resource, const char *name)
{
    struct sl_buf path = SL_BUF_INIT;
    sl_cli_text_putf(&path, "%s/", resource);
    sl_cli_text_put_encoded(&path, name);
    return sl_cli_text_take(&path);
}

void sl_cli_call_put_ok(struct sl_cli_call *call)
{
    sl_cli_table_put_coloured(call->out, &call->settings->style, SL_CLI_GREEN, "OK");
}

static char *complete_path(const struct sl_cli_call *call, const char *path)
{
    bool has_query = strchr(path, '?') != NULL;
    const char *sync = !call->settings->skips_sync ? "" : has_query ? "&sync=false" : "?sync=false";
    return sl_xasprintf("%s%s", path, sync);
}

static void put_refusal(struct sl_cli_call *call, const struct sl_cli_request *request,
                        struct sl_cli_reply *reply, json_t *body)
{
    sl_cli_text_tame(reply->reason);
    sl_cli_text_putf(call->error, "Server at %s responded with %ld %s to `%s %s`", request->host,
                     reply->code, reply->reason, request->method, request->path);
    if (body != NULL) {
        sl_cli_text_put(call->error, "\n");
        sl_cli_json_text_put(call->error, body, 4);
    }
}

/* Turns the reply into JSON; *ret stays NULL for an empty one. */
static int read_reply(struct sl_cli_call *call, const struct sl_cli_request *request,
                      struct sl_cli_reply *reply, json_t **ret)
{
    struct sl_slice text = sl_buf_slice(&reply->body);
    json_error_t why;
    *ret = NULL;
    if (text.len > 0) {
        *ret = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, &why);
    }
    if (reply->code < 200 || reply->code >= 300) {
        put_refusal(call, request, reply, *ret);
        json_decref(*ret);
        *ret = NULL;
        return SL_EINVAL;
    }
    if (text.len > 0 && *ret == NULL) {
        sl_cli_text_putf(call->error, "Server at %s sent something that is not JSON to `%s %s`: %s",
                         request->host, request->method, request->path, why.text);
        return SL_EPROTO;
    }
    return SL_OK;
}

int sl_cli_call_send(struct sl_cli_call *call, const char *method, const char *path, json_t *body,
                     json_t **ret)
{
    struct sl_buf text = SL_BUF_INIT;
    if (body != NULL) {
        sl_cli_json_text_put(&text, body, 0);
    }
    char *body_text = sl_cli_text_take(&text);
    char *full = complete_path(call, path);
    struct sl_cli_request request = {call->host, method, full, body != NULL ? body_text : NULL};
    struct sl_cli_reply reply = {0};
    json_t *answer = NULL;
    int rc = call->transport->send(call->transport, &request, &reply, call->error);
    if (rc == SL_OK) {
        rc = read_reply(call, &request, &reply, &answer);
        char *warning = sl_cli_text_take(&reply.warning);
        sl_cli_text_tame(warning);
        sl_cli_text_put(call->warning, warning);
        sl_cli_text_put(call->warning, *warning != '\0' ? "\n" : "");
        sl_free(warning);
    }
    if (ret != NULL) {
        *ret = answer;
    } else {
        json_decref(answer);
    }
    sl_buf_free(&reply.body);
    sl_buf_free(&reply.warning);
    sl_wipe(body_text, strlen(body_text)); /* may hold a password */
    sl_free(body_text);
    sl_free(full);
    return rc;
}

int sl_cli_call_get(struct sl_cli_call *call, const char *resource, const char *name, json_t **ret)
{
    char *path = name != NULL ? sl_cli_call_path(resource, name) : sl_xstrdup(resource);
    int rc = sl_cli_call_send(call, "GET", path, NULL, ret);
    if (rc == SL_OK && *ret == NULL) {
        sl_cli_text_putf(call->error, "Server at %s sent nothing to `GET %s`", call->host, path);
        rc = SL_EPROTO;
    }
    sl_free(path);
    return rc;
}
