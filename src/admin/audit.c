/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See the header. The file is opened for each line, with O_APPEND: calls are rare, whoever moves
 * the file away (logrotate) needs to tell nobody, and a line is one write. A new file gets the
 * names of the columns first; the lock is for that and for has_failed.
 */
#include "admin/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json_depth.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/config.h"
#include "net/listener.h"

#define COLUMNS "Timestamp,Duration,User,Host,URI,Method,Status,Response code,Body\n"
#define MASK "****"

/* ---- settings ---- */

struct methods {
    struct sl_audit *audit;
    struct sl_err *err;
    int rc;
};

static void exclude(void *arg, const char *item)
{
    struct methods *m = arg;
    enum sl_admin_method method = sl_admin_method_of(item);
    if (method != SL_ADMIN_METHOD_COUNT) {
        m->audit->excluded |= 1u << method;
    } else if (m->rc == SL_OK) {
        m->rc = sl_err_set(m->err, SL_EINVAL,
                           "admin_audit_exclude_methods: '%s' is not one of GET, HEAD, OPTIONS, "
                           "POST, PATCH, PUT, DELETE",
                           item);
    }
}

static int open_file(const struct sl_audit *a)
{
    int fd = open(a->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0 &&
        write(fd, COLUMNS, strlen(COLUMNS)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int sl_audit_open(struct sl_audit *a, const struct sl_global_settings *g, struct sl_err *err)
{
    *a = (struct sl_audit){0};
    if (!g->admin_audit) {
        return SL_OK;
    }
    struct methods m = {a, err, SL_OK};
    sl_conf_list_each(g->admin_audit_exclude_methods, ',', exclude, &m);
    if (m.rc < 0) {
        return m.rc;
    }
    bool has_file = g->admin_audit_file != NULL && g->admin_audit_file[0] != '\0';
    a->path =
        has_file ? sl_xstrdup(g->admin_audit_file) : sl_xasprintf("%s/admin_audit.csv", g->logdir);
    pthread_mutex_init(&a->lock, NULL);
    int fd = open_file(a);
    if (fd < 0) {
        int rc = sl_err_set(err, SL_ESYS, "admin_audit_file '%s': %s", a->path, strerror(errno));
        sl_audit_close(a);
        return rc;
    }
    close(fd);
    return SL_OK;
}

void sl_audit_close(struct sl_audit *a)
{
    if (a->path != NULL) {
        pthread_mutex_destroy(&a->lock);
        sl_free(a->path);
        a->path = NULL;
    }
}

/* ---- a line ---- */

/* Quotes doubled; control characters would let a request forge lines. */
static void put_field(struct sl_buf *out, const char *text, bool is_last)
{
    sl_buf_append_text(out, "\"");
    for (; *text != '\0'; text++) {
        char c = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
        sl_buf_append(out, c == '"' ? "\"\"" : &c, c == '"' ? 2 : 1);
    }
    sl_buf_append_text(out, is_last ? "\"\n" : "\",");
}

static bool is_secret(const char *key)
{
    size_t len = strlen(key);
    return strcasestr(key, "password") != NULL ||
           (len >= 2 && strcasecmp(key + len - 2, "pw") == 0);
}

static void mask(json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    json_object_foreach (value, key, item) {
        if (is_secret(key)) {
            json_object_set_new(value, key, json_string(MASK));
        } else {
            mask(item);
        }
    }
    json_array_foreach (value, i, item) {
        mask(item);
    }
}

/* free(); NULL when memory is out. What is not JSON may hold anything, so it is not repeated; nor is
 * what somebody sent who was not let in: the disk is not theirs to fill. */
static char *body_text(const struct sl_admin_request *rq, unsigned status)
{
    if (rq->raw_body_len == 0) {
        return strdup("");
    }
    bool is_stranger = status == 401;
    bool is_read = !is_stranger && sl_json_depth_is_sane(rq->raw_body, rq->raw_body_len);
    json_t *body = is_read ? json_loadb(rq->raw_body, rq->raw_body_len, 0, NULL) : NULL;
    if (body == NULL) {
        char *text = NULL;
        const char *what = is_stranger ? "" : " that are not JSON";
        return asprintf(&text, "(%zu bytes%s)", rq->raw_body_len, what) < 0 ? NULL : text;
    }
    mask(body);
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    return text;
}

static void put_uri(struct sl_buf *out, const struct sl_admin_request *rq)
{
    struct sl_buf uri = SL_BUF_INIT;
    sl_buf_append_text(&uri, rq->has_prefix ? "/v1/" : "/");
    sl_buf_append_text(&uri, rq->path);
    for (unsigned i = 0; i < rq->param_count; i++) {
        const struct sl_admin_param *p = &rq->params[i];
        sl_buf_append_text(&uri, i == 0 ? "?" : "&");
        sl_buf_append_text(&uri, p->name);
        sl_buf_append_text(&uri, "=");
        sl_buf_append_text(&uri, is_secret(p->name) ? MASK : p->value);
    }
    bool is_whole = sl_buf_append(&uri, "", 1) == SL_OK;
    put_field(out, is_whole ? (const char *)sl_buf_slice(&uri).data : "", false);
    sl_buf_free(&uri);
}

static void put_line(struct sl_buf *out, const struct sl_admin_request *rq, unsigned status,
                     uint64_t duration_us, const char *body)
{
    char text[128];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
    put_field(out, text, false);
    snprintf(text, sizeof text, "%.3fms", (double)duration_us / 1000);
    put_field(out, text, false);
    put_field(out, rq->user, false);
    sl_address_text(&rq->peer, text, sizeof text);
    put_field(out, text, false);
    put_uri(out, rq);
    put_field(out, rq->method < SL_ADMIN_METHOD_COUNT ? sl_admin_method_name(rq->method) : "?",
              false);
    put_field(out, MHD_get_reason_phrase_for(status), false);
    snprintf(text, sizeof text, "%u", status);
    put_field(out, text, false);
    put_field(out, body, true);
}

static void write_line(struct sl_audit *a, const struct sl_buf *line)
{
    struct sl_slice s = sl_buf_slice(line);
    pthread_mutex_lock(&a->lock);
    int fd = open_file(a);
    bool is_written = fd >= 0 && write(fd, s.data, s.len) == (ssize_t)s.len;
    if (!is_written && !a->has_failed) {
        sl_log_error("admin_audit: cannot write to '%s': %s", a->path, strerror(errno));
    }
    a->has_failed = !is_written;
    pthread_mutex_unlock(&a->lock);
    if (fd >= 0) {
        close(fd);
    }
}

void sl_audit_note(struct sl_audit *a, const struct sl_admin_request *rq, unsigned status,
                   uint64_t duration_us)
{
    bool is_excluded = rq->method < SL_ADMIN_METHOD_COUNT && (a->excluded >> rq->method & 1) != 0;
    if (a->path == NULL || (is_excluded && status < 400)) {
        return;
    }
    char *body = body_text(rq, status);
    struct sl_buf line = SL_BUF_INIT;
    put_line(&line, rq, status, duration_us, body != NULL ? body : "");
    write_line(a, &line);
    sl_buf_free(&line);
    free(body);
}
