/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers: identity, status word, what the monitor learnt, counters.
 *
 * The status word and the copies of lag and ping are atomics; `info` and `address` are guarded by
 * info_lock, which is held for copies only. Everything else is immutable after sl_server_new. The
 * words and their order in the state text are MaxScale's (server documentation page), because
 * scripts compare them literally.
 *
 * Invariants: counters[i] is written by worker i alone. A status word is only ever changed in one
 * atomic step.
 */
#include "core/server.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/assert.h"
#include "base/mem.h"
#include "dbc/dbc.h"
#include "net/tls.h"

/* ---- status words ---- */

static void append_word(char *out, size_t size, const char *word)
{
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%s%s", len ? ", " : "", word);
}

void sl_status_text(uint32_t st, uint32_t connections, char *out, size_t size)
{
    sl_assert(size > 0);
    out[0] = '\0';
    if (st & SL_SERVER_MAINT) {
        append_word(out, size, "Maintenance");
    } else if (st & SL_SERVER_DRAINING) {
        append_word(out, size, connections == 0 ? "Drained" : "Draining");
    }

    bool usable = sl_status_is_usable(st);
    bool is_master = sl_status_is_master(st);
    const struct {
        bool is_shown;
        const char *word;
    } words[] = {
        {is_master, "Master"},
        {!is_master && sl_status_is_relay(st), "Relay Master"},
        {!is_master && sl_status_is_slave(st), "Slave"},
        {!is_master && usable && (st & SL_SERVER_BLR), "Binlog Relay"},
        {sl_status_is_joined(st), "Synced"},
        {(st & SL_SERVER_AUTH_ERROR) != 0, "Auth Error"},
        {(st & SL_SERVER_NEED_DNS) != 0, "Need DNS lookup"},
        {(st & SL_SERVER_RUNNING) != 0, "Running"},
        {(st & SL_SERVER_RUNNING) == 0, "Down"},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(words); i++) {
        if (words[i].is_shown) {
            append_word(out, size, words[i].word);
        }
    }
}

uint32_t sl_server_status_change(struct sl_server *s, uint32_t set, uint32_t clear)
{
    uint32_t old = atomic_load_explicit(&s->status, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->status, &old, (old & ~clear) | set,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
    }
    return old;
}

/* ---- creation ---- */

int sl_server_tls_new(const struct sl_tls_settings *t, bool is_server, struct sl_tls_context **ret,
                      struct sl_err *err)
{
    *ret = NULL;
    if (!t->ssl) {
        return SL_OK;
    }
    struct sl_tls_config config = {
        .cert = t->ssl_cert,
        .key = t->ssl_key,
        .ca = t->ssl_ca,
        .crl = t->ssl_crl,
        .cipher = t->ssl_cipher,
        .version_mask = t->ssl_version == SL_TLS_VERSION_MAX ? 0 : (unsigned)t->ssl_version,
        .verify_depth = (int)t->ssl_cert_verify_depth,
        .verify_peer = t->ssl_verify_peer_certificate,
        .verify_host = t->ssl_verify_peer_host,
        .is_server = is_server,
    };
    return sl_tls_context_new(&config, ret, err);
}

static int make_tls(struct sl_server *s, struct sl_err *err)
{
    int rc = sl_server_tls_new(&s->settings.tls, false, &s->tls, err);
    if (rc < 0) {
        sl_err_wrap(err, "TLS of server '%s'", s->name);
    }
    return rc;
}

static void set_tls_versions(struct sl_server *s)
{
    static const struct {
        int64_t bit;
        const char *name;
    } names[] = {{SL_TLS_VERSION_10, "TLSv1.0"},
                 {SL_TLS_VERSION_11, "TLSv1.1"},
                 {SL_TLS_VERSION_12, "TLSv1.2"},
                 {SL_TLS_VERSION_13, "TLSv1.3"}};
    int64_t mask = s->settings.tls.ssl_version;
    size_t used = 0;
    for (size_t i = 0; mask != SL_TLS_VERSION_MAX && i < SL_ARRAY_LEN(names); i++) {
        if (mask & names[i].bit) {
            used += (size_t)snprintf(s->tls_versions + used, sizeof s->tls_versions - used, "%s%s",
                                     used > 0 ? "," : "", names[i].name);
            sl_assert(used < sizeof s->tls_versions);
        }
    }
}

void sl_server_dbc_config(const struct sl_server *s, struct sl_dbc_config *ret)
{
    const struct sl_server_settings *set = &s->settings;
    *ret = (struct sl_dbc_config){
        .host = set->address,
        .port = (uint16_t)set->port,
        .extra_port = (uint16_t)set->extra_port,
        .socket = set->socket && set->socket[0] ? set->socket : NULL,
        .proxy_header = set->proxy_protocol,
        .tls = set->tls.ssl,
        .tls_cert = set->tls.ssl_cert,
        .tls_key = set->tls.ssl_key,
        .tls_ca = set->tls.ssl_ca,
        .tls_cipher = set->tls.ssl_cipher,
        .tls_version = s->tls_versions[0] ? s->tls_versions : NULL,
        .tls_verify_peer = set->tls.ssl_verify_peer_certificate,
        .tls_verify_host = set->tls.ssl_verify_peer_host,
    };
}

static void init_info(struct sl_server_info *info)
{
    info->node_id = -1;
    info->server_id = -1;
    info->master_id = -1;
    info->lag_s = SL_SERVER_LAG_UNKNOWN;
    info->recv_queue = -1;
    info->flow_control_paused = -1;
}

int sl_server_new(const char *name, const struct sl_server_settings *settings, unsigned index,
                  unsigned worker_count, struct sl_server **ret, struct sl_err *err)
{
    struct sl_server *s = sl_calloc(1, sizeof(*s));
    if (!s) {
        return sl_err_set(err, SL_ENOMEM, "no memory for server '%s'", name);
    }
    pthread_mutex_init(&s->info_lock, NULL);
    s->index = index;
    s->worker_count = worker_count ? worker_count : 1;
    s->name = sl_strdup(name);
    init_info(&s->info);
    atomic_init(&s->lag_s, SL_SERVER_LAG_UNKNOWN);
    atomic_init(&s->recv_queue, -1);

    /* One cache line set per worker: plain calloc does not promise the alignment the type asks
     * for. */
    size_t size = s->worker_count * sizeof(struct sl_server_counters);
    void *counters = aligned_alloc(_Alignof(struct sl_server_counters), size);
    if (counters) {
        memset(counters, 0, size);
    }
    s->counters = counters;

    int rc = !s->name || !counters ? SL_ENOMEM
                                   : sl_settings_copy(&sl_settings_server, &s->settings, settings);
    if (rc < 0) {
        sl_err_set(err, rc, "no memory for server '%s'", name);
    } else {
        set_tls_versions(s);
        rc = make_tls(s, err);
    }
    if (rc < 0) {
        sl_server_free(s);
        return rc;
    }
    *ret = s;
    return SL_OK;
}

void sl_server_free(struct sl_server *s)
{
    if (!s) {
        return;
    }
    sl_tls_context_unref(s->tls);
    sl_settings_clear(&sl_settings_server, &s->settings);
    pthread_mutex_destroy(&s->info_lock);
    free(s->counters);
    sl_free(s->source_file);
    sl_free(s->name);
    sl_free(s);
}

/* ---- address ---- */

static void store_address(struct sl_server *s, const void *addr, socklen_t len)
{
    pthread_mutex_lock(&s->info_lock);
    memset(&s->address, 0, sizeof(s->address));
    memcpy(&s->address, addr, len);
    s->address_len = len;
    pthread_mutex_unlock(&s->info_lock);
    sl_server_status_change(s, 0, SL_SERVER_NEED_DNS);
}

static int resolve_socket(struct sl_server *s, struct sl_err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(s->settings.socket);
    if (len >= sizeof(un.sun_path)) {
        return sl_err_set(err, SL_EINVAL, "server '%s': the socket path is longer than %zu bytes",
                          s->name, sizeof(un.sun_path) - 1);
    }
    memcpy(un.sun_path, s->settings.socket, len + 1);
    store_address(s, &un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1));
    return SL_OK;
}

int sl_server_resolve(struct sl_server *s, struct sl_err *err)
{
    if (s->settings.socket && s->settings.socket[0]) {
        return resolve_socket(s, err);
    }
    const char *host = s->settings.address ? s->settings.address : "";
    char port[16];
    snprintf(port, sizeof(port), "%d", (int)s->settings.port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0) {
        /* A resolver that fails for a moment does not take a known address away. */
        if (s->address_len == 0) {
            sl_server_status_change(s, SL_SERVER_NEED_DNS, 0);
        }
        return sl_err_set(err, SL_ENOENT, "server '%s': cannot resolve '%s': %s", s->name, host,
                          rc == EAI_SYSTEM ? "system error" : gai_strerror(rc));
    }
    store_address(s, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return SL_OK;
}

void sl_server_address(struct sl_server *s, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    pthread_mutex_lock(&s->info_lock);
    *ret = s->address;
    *ret_len = s->address_len;
    pthread_mutex_unlock(&s->info_lock);
}

/* ---- counters and info ---- */

uint32_t sl_server_connections(const struct sl_server *s)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        sum += atomic_load_explicit(&s->counters[i].connections, memory_order_relaxed);
    }
    return sum;
}

uint64_t sl_server_sum(const struct sl_server *s, size_t counter_offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        const char *base = (const char *)&s->counters[i];
        sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(base + counter_offset),
                                    memory_order_relaxed);
    }
    return sum;
}

uint32_t sl_server_operations(const struct sl_server *s)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        sum += atomic_load_explicit(&s->counters[i].operations, memory_order_relaxed);
    }
    return sum;
}

void sl_server_info_get(struct sl_server *s, struct sl_server_info *ret)
{
    pthread_mutex_lock(&s->info_lock);
    *ret = s->info;
    pthread_mutex_unlock(&s->info_lock);
}

/* What routers look at for each read. */
static void publish_replication(struct sl_server *s, const struct sl_server_info *info)
{
    struct sl_gtid_set position, binlog;
    sl_gtid_set_parse(sl_slice_text(info->gtid_current_pos), &position);
    sl_gtid_set_parse(sl_slice_text(info->gtid_binlog_pos), &binlog);
    sl_gtid_set_merge(&position, &binlog);
    sl_gtid_shared_replace(&s->position, &position);
    atomic_store_explicit(&s->is_galera, info->is_galera, memory_order_relaxed);
    atomic_store_explicit(&s->recv_queue, (int32_t)SL_MIN(info->recv_queue, INT32_MAX),
                          memory_order_relaxed);
    atomic_store_explicit(&s->hints, info->hints, memory_order_relaxed);
}

void sl_server_info_set(struct sl_server *s, const struct sl_server_info *info)
{
    pthread_mutex_lock(&s->info_lock);
    s->info = *info;
    pthread_mutex_unlock(&s->info_lock);
    atomic_store_explicit(&s->lag_s, info->lag_s, memory_order_relaxed);
    publish_replication(s, info);
    if (info->ping_us > 0) {
        atomic_store_explicit(&s->ping_us, (uint64_t)info->ping_us, memory_order_relaxed);
    }
}

void sl_histogram_add(struct sl_histogram *h, uint64_t us)
{
    /* Upper bounds 1 us, 10 us ... 10^11 us; the last bucket takes all that is slower. */
    unsigned bucket = 0;
    for (uint64_t bound = 1; us > bound && bucket < SL_HISTOGRAM_BUCKETS - 1; bound *= 10) {
        bucket++;
    }
    /* One writer: load and store are enough, no locked instruction. */
    atomic_store_explicit(&h->count[bucket],
                          atomic_load_explicit(&h->count[bucket], memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&h->total_us[bucket],
                          atomic_load_explicit(&h->total_us[bucket], memory_order_relaxed) + us,
                          memory_order_relaxed);
}
