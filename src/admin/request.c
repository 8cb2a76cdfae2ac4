/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers apart from the HTTP library: path, parameters, errors, headers. No state;
 * any thread.
 */
#include "admin/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "admin/text.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

static const char *const method_names[] = {
    [SL_ADMIN_GET] = "GET",       [SL_ADMIN_HEAD] = "HEAD",   [SL_ADMIN_OPTIONS] = "OPTIONS",
    [SL_ADMIN_POST] = "POST",     [SL_ADMIN_PATCH] = "PATCH", [SL_ADMIN_PUT] = "PUT",
    [SL_ADMIN_DELETE] = "DELETE",
};

const char *sl_admin_method_name(enum sl_admin_method m)
{
    sl_assert(m < SL_ADMIN_METHOD_COUNT);
    return method_names[m];
}

enum sl_admin_method sl_admin_method_of(const char *name)
{
    for (unsigned i = 0; i < SL_ADMIN_METHOD_COUNT; i++) {
        if (strcmp(method_names[i], name) == 0) {
            return (enum sl_admin_method)i;
        }
    }
    return SL_ADMIN_METHOD_COUNT;
}

bool sl_admin_method_is_read(enum sl_admin_method m)
{
    return m == SL_ADMIN_GET || m == SL_ADMIN_HEAD || m == SL_ADMIN_OPTIONS;
}

/* ---- path ---- */

static int split_path(struct sl_admin_request *rq)
{
    memcpy(rq->split, rq->path, sizeof rq->split);
    char *save = NULL;
    for (char *part = strtok_r(rq->split, "/", &save); part != NULL;
         part = strtok_r(NULL, "/", &save)) {
        if (rq->segment_count == SL_ADMIN_SEGMENTS_MAX) {
            return SL_EINVAL;
        }
        rq->segments[rq->segment_count++] = part;
    }
    return SL_OK;
}

int sl_admin_request_set_path(struct sl_admin_request *rq, const char *path)
{
    rq->segment_count = 0;
    rq->path[0] = '\0';
    path += strspn(path, "/");
    if (strncmp(path, "v1", 2) == 0 && (path[2] == '/' || path[2] == '\0')) {
        rq->has_prefix = true;
        path += 2;
        path += strspn(path, "/");
    }
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/') {
        len--;
    }
    if (len >= sizeof rq->path) {
        return SL_EINVAL;
    }
    memcpy(rq->path, path, len);
    rq->path[len] = '\0';
    return split_path(rq);
}

/* ---- parameters and headers ---- */

const char *sl_admin_param(const struct sl_admin_request *rq, const char *name)
{
    for (unsigned i = 0; i < rq->param_count; i++) {
        if (strcmp(rq->params[i].name, name) == 0) {
            return rq->params[i].value;
        }
    }
    return NULL;
}

bool sl_admin_param_bool(const struct sl_admin_request *rq, const char *name, bool otherwise)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};
    const char *text = sl_admin_param(rq, name);
    for (unsigned i = 0; text != NULL && i < SL_ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            return words[i].value;
        }
    }
    return otherwise;
}

const char *sl_admin_header(const struct sl_admin_request *rq, const char *name)
{
    return rq->header != NULL ? rq->header(rq, name) : NULL;
}

/* ---- answers ---- */

void sl_admin_fail(struct sl_admin_response *rs, unsigned status, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rs->status = status;
    json_t *errors = json_object_get(rs->json, "errors");
    if (errors == NULL) {
        json_decref(rs->json);
        rs->json = json_pack("{s:[]}", "errors");
        errors = json_object_get(rs->json, "errors");
    }
    json_array_append_new(errors, json_pack("{s:o}", "detail", sl_text_json(text)));
}

void sl_admin_fail_unknown(struct sl_admin_response *rs, const char *name, const char *kind)
{
    sl_admin_fail(rs, 404, "%s is not a %s", name, kind);
}

void sl_admin_response_header(struct sl_admin_response *rs, const char *name, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof text || strpbrk(text, "\r\n") != NULL) {
        return;
    }
    sl_assert(rs->header_count < SL_ADMIN_HEADERS_MAX);
    rs->headers[rs->header_count].name = name;
    rs->headers[rs->header_count].value = sl_strdup(text);
    rs->header_count += rs->headers[rs->header_count].value != NULL;
}

void sl_admin_response_clear(struct sl_admin_response *rs)
{
    json_decref(rs->json);
    sl_buf_free(&rs->text);
    for (unsigned i = 0; i < rs->header_count; i++) {
        sl_free(rs->headers[i].value);
    }
    *rs = (struct sl_admin_response){0};
}
