/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One command on one host: what it may use, and its requests to the REST API.
 *
 * The transport is a table of functions, so that tests can answer requests from files.
 */
#ifndef SL_CLI_CALL_H
#define SL_CLI_CALL_H

#include <jansson.h>
#include <stddef.h>

#include "base/buffer.h"
#include "cli/line.h"
#include "cli/settings.h"

struct sl_cli_request {
    const char *host;
    const char *method;
    const char *path; /* below /v1/, encoded; "" is the root */
    const char *body; /* JSON, NULL: none */
};

struct sl_cli_reply {
    long code;
    char reason[64];
    struct sl_buf body;
    struct sl_buf warning; /* of the header Mxs-Warning */
};

struct sl_cli_transport {
    /* 0 with *reply filled (the caller frees both buffers), or negative with a sentence in *error
     * when there was no reply. */
    int (*send)(struct sl_cli_transport *self, const struct sl_cli_request *request,
                struct sl_cli_reply *reply, struct sl_buf *error);
};

struct sl_cli_command;

struct sl_cli_call {
    const struct sl_cli_settings *settings;
    struct sl_cli_transport *transport;
    const struct sl_cli_command *command;
    const struct sl_cli_line *line;
    char **args; /* the words behind the command */
    size_t arg_count;
    const char *host;
    struct sl_buf *out;
    struct sl_buf *error;
    struct sl_buf *warning;
};

/* A request; 0 with the JSON of the answer in *ret (NULL for an empty one; ret itself may be NULL),
 * or negative with the text for the user in call->error. `body` may be NULL. */
int sl_cli_call_send(struct sl_cli_call *call, const char *method, const char *path, json_t *body,
                     json_t **ret);

/* GET of "<resource>", or of "<resource>/<name>" with the name encoded. An empty answer is an
 * error. */
int sl_cli_call_get(struct sl_cli_call *call, const char *resource, const char *name, json_t **ret);

/* "<resource>/<name>" with the name encoded; the caller frees. */
char *sl_cli_call_path(const char *resource, const char *name);

/* What a change prints: OK. */
void sl_cli_call_put_ok(struct sl_cli_call *call);

#endif
