/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request and its answer as handlers see them, apart from the HTTP library, so that handlers and
 * routing are tested without sockets.
 *
 * Both live on the stack of the connection's thread. Strings of a request live until it is
 * answered; an answer owns its JSON, text and header values.
 */
#ifndef SL_ADMIN_REQUEST_H
#define SL_ADMIN_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buffer.h"

struct sl_admin;
struct sl_core;

#define SL_ADMIN_PARAMS_MAX 64   /* query parameters; more are refused */
#define SL_ADMIN_SEGMENTS_MAX 12 /* of a path; longer ones exist nowhere */
#define SL_ADMIN_ARGS_MAX 4      /* placeholders of one route */
#define SL_ADMIN_HEADERS_MAX 8   /* that a handler adds */
#define SL_ADMIN_PATH_MAX 2048

enum sl_admin_method {
    SL_ADMIN_GET,
    SL_ADMIN_HEAD,
    SL_ADMIN_OPTIONS,
    SL_ADMIN_POST,
    SL_ADMIN_PATCH,
    SL_ADMIN_PUT,
    SL_ADMIN_DELETE,
    SL_ADMIN_METHOD_COUNT
};

enum sl_admin_role {
    SL_ADMIN_ROLE_NONE,
    SL_ADMIN_ROLE_BASIC, /* reads */
    SL_ADMIN_ROLE_ADMIN
};

/* State of the configuration that an answer shows. */
struct sl_stamp {
    uint64_t generation;
    int64_t modified_s;
};

struct sl_admin_param {
    const char *name;
    const char *value; /* "" when there was none */
};

struct sl_admin_request {
    struct sl_admin *admin;
    struct sl_core *core;
    enum sl_admin_method method; /* after X-HTTP-Method-Override */
    bool has_prefix;             /* the path began with /v1: links do as well */
    bool is_https;
    const char *host; /* Host header, "" without */
    struct sockaddr_storage peer;

    char path[SL_ADMIN_PATH_MAX];  /* "servers/db1": no prefix, no slash at either end */
    char split[SL_ADMIN_PATH_MAX]; /* the same, cut into segments */
    const char *segments[SL_ADMIN_SEGMENTS_MAX];
    unsigned segment_count;
    const char *args[SL_ADMIN_ARGS_MAX]; /* what the placeholders of the route stand for */

    struct sl_admin_param params[SL_ADMIN_PARAMS_MAX];
    unsigned param_count;
    const char *(*header)(const struct sl_admin_request *rq, const char *name);
    void *header_arg;

    const char *raw_body;
    size_t raw_body_len;
    json_t *body; /* parsed; NULL without */

    char user[256];
    enum sl_admin_role role;
    struct sl_stamp stamp; /* of a read: taken before the handler runs */
    bool has_token;        /* logged in by token: refused writes are 403 instead of 401 */
};

struct sl_admin_response {
    unsigned status;
    json_t *json;       /* the body, or ... */
    struct sl_buf text; /* ... this with content_type */
    const char *content_type;
    struct {
        const char *name; /* static */
        char *value;
    } headers[SL_ADMIN_HEADERS_MAX];
    unsigned header_count;
};

const char *sl_admin_method_name(enum sl_admin_method m);
/* SL_ADMIN_METHOD_COUNT: unknown. */
enum sl_admin_method sl_admin_method_of(const char *name);
bool sl_admin_method_is_read(enum sl_admin_method m);

/* Takes the path apart (prefix, slashes, segments). SL_EINVAL: too long or too deep. */
int sl_admin_request_set_path(struct sl_admin_request *rq, const char *path);

/* Query parameters: the value, or NULL. */
const char *sl_admin_param(const struct sl_admin_request *rq, const char *name);
/* true yes on 1 / false no off 0; anything else and absence give `otherwise`. */
bool sl_admin_param_bool(const struct sl_admin_request *rq, const char *name, bool otherwise);
/* The header's value or NULL. */
const char *sl_admin_header(const struct sl_admin_request *rq, const char *name);

/* Adds an error and sets the status. May be called several times. */
void sl_admin_fail(struct sl_admin_response *rs, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "<name> is not a <kind>", 404. */
void sl_admin_fail_unknown(struct sl_admin_response *rs, const char *name, const char *kind);
/* Header names are static strings. Values with control characters are not sent. */
void sl_admin_response_header(struct sl_admin_response *rs, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sl_admin_response_clear(struct sl_admin_response *rs);

#endif
