/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server: libmicrohttpd around sl_admin_route_run().
 *
 * One thread per connection, because handlers may wait (a monitor's tick, a worker's answer) and
 * must not hold up others; the number of connections, the size of headers and bodies, and the time
 * a connection may idle are limited.
 *
 *   on_request  1st call: makes the exchange   body calls: collect   last call: route, answer
 *   on_completed: frees the exchange
 */
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin.h"
#include "admin/admin_state.h"
#include "admin/client_cert.h"
#include "admin/hosts.h"
#include "admin/route.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "net/listener.h"

#define CONNECTIONS_MAX 128
#define IDLE_TIMEOUT_S 60
#define HEADER_MEMORY (64 * 1024) /* per connection: request line, headers */
#define BODY_MAX (1024 * 1024)
#define BODY_READ_MAX (8 * BODY_MAX) /* read and dropped, so that the client gets to see the 413 */
#define STACK_BYTES (512 * 1024)
#define LISTEN_BACKLOG 64
#define FILE_MAX (1024 * 1024) /* keys and certificates */

/* One request being received and answered; belongs to its connection's thread. */
struct exchange {
    struct sl_admin_request rq;
    struct sl_admin_response rs;
    struct sl_buf body;
    size_t body_read;
    bool is_body_too_long;
    bool has_too_many_params;
};

/* ---- request ---- */

static const char *header_of(const struct sl_admin_request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->header_arg, MHD_HEADER_KIND, name);
}

static enum MHD_Result add_param(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct exchange *x = arg;
    if (x->rq.param_count == SL_ADMIN_PARAMS_MAX) {
        x->has_too_many_params = true;
        return MHD_NO;
    }
    x->rq.params[x->rq.param_count++] = (struct sl_admin_param){name, value != NULL ? value : ""};
    return MHD_YES;
}

static void take_peer(struct sl_admin_request *rq, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info != NULL ? info->client_addr : NULL;
    if (peer != NULL && peer->sa_family == AF_INET) {
        memcpy(&rq->peer, peer, sizeof(struct sockaddr_in));
    } else if (peer != NULL && peer->sa_family == AF_INET6) {
        memcpy(&rq->peer, peer, sizeof(struct sockaddr_in6));
    }
}

/* The Host header goes into links: only what a host and port consist of. */
static bool host_is_clean(const char *host)
{
    return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
           strlen(host);
}

static void check_certificate(struct exchange *x, const struct sl_admin *a,
                              struct MHD_Connection *connection)
{
    char reason[256];
    if (a->ca_pem != NULL && !sl_admin_client_cert_is_good(connection, reason, sizeof reason)) {
        sl_log_warning("REST API: a client's certificate was refused: %s", reason);
        sl_admin_fail(&x->rs, 401, "the client's certificate is not accepted: %s", reason);
    }
}

/* Fills the request; an answer in x->rs means that it cannot be run. */
static void take_request(struct exchange *x, struct sl_admin *a, struct MHD_Connection *connection,
                         const char *url, const char *method)
{
    struct sl_admin_request *rq = &x->rq;
    rq->admin = a;
    rq->core = a->core;
    rq->header = header_of;
    rq->header_arg = connection;
    rq->is_https = a->key_pem != NULL;
    take_peer(rq, connection);
    const char *override = header_of(rq, "X-HTTP-Method-Override");
    rq->method = sl_admin_method_of(override != NULL ? override : method);
    rq->host = header_of(rq, MHD_HTTP_HEADER_HOST);
    if (rq->host == NULL || !host_is_clean(rq->host)) {
        rq->host = "";
    }
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_param, x);
    rq->raw_body = (const char *)sl_buf_slice(&x->body).data;
    rq->raw_body_len = sl_buf_len(&x->body);
    if (rq->method == SL_ADMIN_METHOD_COUNT) {
        sl_admin_fail(&x->rs, 405, "the method is not known");
    } else if (x->is_body_too_long) {
        sl_admin_fail(&x->rs, 413, "the body is longer than %d bytes", BODY_MAX);
    } else if (x->has_too_many_params) {
        sl_admin_fail(&x->rs, 400, "more than %d parameters in the URL", SL_ADMIN_PARAMS_MAX);
    } else if (sl_admin_request_set_path(rq, url) < 0) {
        sl_admin_fail(&x->rs, 404, "there is nothing at this path");
    }
}

/* ---- answer ---- */

/* The body as text: ownership of *ret is the caller's, free(). */
static int render_body(struct exchange *x, char **ret, size_t *ret_len)
{
    bool is_pretty = sl_admin_param_bool(&x->rq, "pretty", true);
    *ret = NULL;
    *ret_len = 0;
    if (x->rs.json != NULL) {
        *ret = json_dumps(x->rs.json, JSON_SORT_KEYS | (is_pretty ? JSON_INDENT(4) : JSON_COMPACT));
        *ret_len = *ret != NULL ? strlen(*ret) : 0;
        x->rs.content_type = "application/json";
        return *ret != NULL ? SL_OK : SL_ENOMEM;
    }
    struct sl_slice text = sl_buf_slice(&x->rs.text);
    if (text.len > 0) {
        *ret = malloc(text.len); /* MHD frees it with free() */
        if (*ret == NULL) {
            return SL_ENOMEM;
        }
        memcpy(*ret, text.data, text.len);
        *ret_len = text.len;
    }
    return SL_OK;
}

static void add_headers(struct MHD_Response *out, const struct sl_admin_response *rs, bool has_body)
{
    static const char *const always[][2] = {
        {"Cache-Control", "no-cache"},
        {"Referrer-Policy", "same-origin"},
        {"X-Frame-Options", "Deny"},
        {"X-XSS-Protection", "1"},
    };
    for (unsigned i = 0; i < SL_ARRAY_LEN(always); i++) {
        MHD_add_response_header(out, always[i][0], always[i][1]);
    }
    for (unsigned i = 0; i < rs->header_count; i++) {
        MHD_add_response_header(out, rs->headers[i].name, rs->headers[i].value);
    }
    if (has_body && rs->content_type != NULL) {
        MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, rs->content_type);
    }
}

static enum MHD_Result send_answer(struct exchange *x, struct MHD_Connection *connection)
{
    char *body;
    size_t len;
    if (render_body(x, &body, &len) < 0) {
        return MHD_NO; /* memory is out: the connection is closed */
    }
    bool is_get = x->rq.method == SL_ADMIN_GET || x->rq.method == SL_ADMIN_HEAD;
    if (is_get && x->rs.status == 200 && len > 0 && sl_stamps_is_known(&x->rq, &x->rs, body, len)) {
        x->rs.status = 304;
        free(body);
        body = NULL;
        len = 0;
    }
    struct MHD_Response *out = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (out == NULL) {
        free(body);
        return MHD_NO;
    }
    add_headers(out, &x->rs, len > 0);
    enum MHD_Result rc = MHD_queue_response(connection, x->rs.status, out);
    MHD_destroy_response(out);
    return rc;
}

/* ---- libmicrohttpd's callbacks ---- */

/* False: the body has no end, the connection is closed. */
static bool collect_body(struct exchange *x, const char *data, size_t len)
{
    x->body_read += len;
    if (x->body_read > BODY_MAX || sl_buf_append(&x->body, data, len) < 0) {
        x->is_body_too_long = true;
    }
    return x->body_read <= BODY_READ_MAX;
}

/* A NUL would end the text of a path where its writer did not end it ("admin%00x" is not "admin"):
 * it becomes another control character, which no name has. */
static size_t unescape(void *arg, struct MHD_Connection *connection, char *text)
{
    for (char *nul = text; (nul = strstr(nul, "%00")) != NULL; nul += 3) {
        nul[2] = '1';
    }
    return MHD_http_unescape(text);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **slot)
{
    struct sl_admin *a = arg;
    if (*slot == NULL) {
        *slot = sl_calloc(1, sizeof(struct exchange));
        return *slot != NULL ? MHD_YES : MHD_NO;
    }
    struct exchange *x = *slot;
    if (*data_len > 0) {
        bool goes_on = collect_body(x, data, *data_len);
        *data_len = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    const char *module = sl_log_module_set("rest");
    uint64_t start_us = sl_clock_mono_us();
    atomic_fetch_add_explicit(&a->requests, 1, memory_order_relaxed);
    take_request(x, a, connection, url, method);
    if (x->rs.status == 0) {
        check_certificate(x, a, connection);
    }
    if (x->rs.status == 0) {
        sl_admin_route_run(&x->rq, &x->rs);
    }
    sl_assert(x->rs.status != 0);
    enum MHD_Result rc = send_answer(x, connection);
    sl_audit_note(&a->audit, &x->rq, x->rs.status, sl_clock_mono_us() - start_us);
    sl_log_module_set(module);
    return rc;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *slot;
    if (x == NULL) {
        return;
    }
    json_decref(x->rq.body);
    sl_admin_response_clear(&x->rs);
    sl_buf_free(&x->body);
    sl_free(x);
    *slot = NULL;
}

static void on_log(void *arg, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static void on_log(void *arg, const char *fmt, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\r\n")] = '\0';
    sl_log_info("REST API: %s", text);
}

/* ---- start ---- */

static int read_file(const char *path, char **ret, struct sl_err *err)
{
    size_t len;
    int rc = sl_file_read(path, FILE_MAX, ret, &len, err);
    return rc == SL_OK && len == 0
               ? sl_err_set(err, SL_EINVAL, "'%s' is empty: no key or certificate", path)
               : rc;
}

static int load_tls(struct sl_admin *a, const struct sl_global_settings *g, struct sl_err *err)
{
    if (g->admin_ssl_key == NULL && g->admin_ssl_cert == NULL) {
        return SL_OK;
    }
    if (g->admin_ssl_key == NULL || g->admin_ssl_cert == NULL) {
        return sl_err_set(err, SL_EINVAL,
                          "admin_ssl_key and admin_ssl_cert go together: set both or none");
    }
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        return sl_err_set(err, SL_ENOTSUP, "libmicrohttpd was built without TLS");
    }
    int rc = read_file(g->admin_ssl_key, &a->key_pem, err);
    rc = rc < 0 ? rc : read_file(g->admin_ssl_cert, &a->cert_pem, err);
    if (rc == SL_OK && g->admin_ssl_ca != NULL) {
        rc = read_file(g->admin_ssl_ca, &a->ca_pem, err);
    }
    return rc;
}

/* GnuTLS priority string that offers exactly the versions of the mask. */
static void tls_priorities(int64_t mask, char *out, size_t size)
{
    static const struct {
        int64_t bit;
        const char *name;
    } versions[] = {{SL_TLS_VERSION_10, "TLS1.0"},
                    {SL_TLS_VERSION_11, "TLS1.1"},
                    {SL_TLS_VERSION_12, "TLS1.2"},
                    {SL_TLS_VERSION_13, "TLS1.3"}};
    if (mask == SL_TLS_VERSION_MAX) {
        snprintf(out, size, "NORMAL");
        return;
    }
    snprintf(out, size, "NORMAL:-VERS-ALL");
    for (unsigned i = 0; i < SL_ARRAY_LEN(versions); i++) {
        if (mask & versions[i].bit) {
            size_t len = strlen(out);
            snprintf(out + len, size - len, ":+VERS-%s", versions[i].name);
        }
    }
}

static int load_auth(struct sl_admin *a, const struct sl_global_settings *g, struct sl_err *err)
{
    struct sl_auth *auth = &a->auth;
    struct sl_jwt_config jwt = {g->admin_jwt_algorithm, g->admin_jwt_issuer, a->key_pem};
    auth->is_enabled = g->admin_auth;
    auth->logs_failures = g->admin_log_auth_failures;
    auth->needs_https = g->admin_secure_gui;
    auth->token_max_age_s = g->admin_jwt_max_age / 1000;
    auth->skip_name_resolve = g->skip_name_resolve;
    char *path = sl_xasprintf("%s/passwd", g->datadir);
    int rc = sl_passwd_open(path, &auth->passwd, err);
    sl_free(path);
    rc = rc < 0 ? rc : sl_jwt_keys_new(&jwt, &auth->keys, err);
    rc = rc < 0 ? rc : sl_hosts_parse(g->admin_readwrite_hosts, &auth->readwrite_hosts, err);
    return rc < 0 ? rc : sl_hosts_parse(g->admin_readonly_hosts, &auth->readonly_hosts, err);
}

/* A listening socket, so that the error names what failed. */
static int open_socket(const struct sl_global_settings *g, int *ret_fd, struct sl_err *err)
{
    struct sockaddr_storage address;
    socklen_t len;
    int on = 1;
    int off = 0;
    int rc = sl_resolve(g->admin_host, (uint16_t)g->admin_port, &address, &len, err);
    if (rc < 0) {
        return sl_err_wrap(err, "admin_host");
    }
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (address.ss_family == AF_INET6) {
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
        }
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0) {
        rc = sl_err_set(err, SL_ESYS, "the REST API cannot listen on [%s]:%d: %s", g->admin_host,
                        (int)g->admin_port, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return rc;
    }
    *ret_fd = fd;
    return SL_OK;
}

static int start_daemon(struct sl_admin *a, const struct sl_global_settings *g, struct sl_err *err)
{
    int fd = -1;
    int rc = open_socket(g, &fd, err);
    if (rc < 0) {
        return rc;
    }
    char priorities[128];
    tls_priorities(g->admin_ssl_version, priorities, sizeof priorities);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, a->key_pem},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, a->cert_pem},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
        {a->ca_pem != NULL ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, a->ca_pem},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC |
                     (a->key_pem != NULL ? MHD_USE_TLS : 0);
    a->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, a, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_ARRAY, a->key_pem != NULL ? tls : none, MHD_OPTION_END);
    if (a->daemon == NULL) {
        close(fd);
        return sl_err_set(
            err, SL_ESYS, "the REST API cannot start on [%s]:%d%s", g->admin_host,
            (int)g->admin_port,
            a->key_pem != NULL ? ": is the key in admin_ssl_key that of the certificate?" : "");
    }
    return SL_OK;
}

int sl_admin_start(struct sl_core *core, struct sl_admin **ret, struct sl_err *err)
{
    const struct sl_global_settings *g = &core->config->global;
    *ret = NULL;
    if (!g->admin_enabled) {
        return SL_OK;
    }
    struct sl_admin *a = sl_xcalloc(1, sizeof *a);
    a->core = core;
    sl_stamps_init(&a->stamps, sl_clock_wall_s());
    int rc = load_tls(a, g, err);
    rc = rc < 0 ? rc : load_auth(a, g, err);
    rc = rc < 0 ? rc : sl_audit_open(&a->audit, g, err);
    rc = rc < 0 ? rc : start_daemon(a, g, err);
    if (rc < 0) {
        sl_admin_stop(a);
        return rc;
    }
    sl_log_notice("REST API on %s://%s:%d%s", a->key_pem != NULL ? "https" : "http", g->admin_host,
                  (int)g->admin_port, g->admin_auth ? "" : ", without authentication");
    *ret = a;
    return SL_OK;
}

static void free_secret(char *text)
{
    if (text != NULL) {
        sl_wipe(text, strlen(text));
        sl_free(text);
    }
}

void sl_admin_stop(struct sl_admin *a)
{
    if (a == NULL) {
        return;
    }
    atomic_store(&a->is_stopping, true);
    if (a->daemon != NULL) {
        MHD_stop_daemon(a->daemon);
    }
    sl_hosts_free(a->auth.readonly_hosts);
    sl_hosts_free(a->auth.readwrite_hosts);
    sl_jwt_keys_free(a->auth.keys);
    sl_passwd_close(a->auth.passwd);
    sl_stamps_clear(&a->stamps);
    sl_audit_close(&a->audit);
    free_secret(a->key_pem);
    sl_free(a->cert_pem);
    sl_free(a->ca_pem);
    sl_free(a);
}
