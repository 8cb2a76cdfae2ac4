/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: the instance and what the core calls.
 *
 *   made    workers' lists -> data directory -> replicas -> store (recovers) -> upstream (starts)
 *   ended   workers have stopped -> upstream's thread ends, nothing is posted any more -> loops go
 *           -> store, replicas, memory
 *
 * The instance is made and freed by the control thread; workers read it in between. workers[i] is
 * worker i's alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "router/binlog/config.h"
#include "router/binlog/relay.h"
#include "router/binlog/report.h"
#include "router/binlog/sql.h"
#include "router/binlog/tune.h"
#include "router/routers.h"

/* ---- the store tells ---- */

static void on_grown(void *arg)
{
    struct sl_relay *relay = arg;
    pthread_mutex_lock(&relay->lock);
    if (!relay->is_ending) {
        sl_dump_wake_all(relay);
        sl_relay_waits_wake(relay);
    }
    pthread_mutex_unlock(&relay->lock);
}

static bool may_purge(void *arg, const struct sl_gtid_list *next_list)
{
    struct sl_relay *relay = arg;
    return sl_replicas_may_purge(relay->replicas, next_list);
}

/* ---- the instance ---- */

static int make_workers(struct sl_relay *relay, struct sl_err *err)
{
    struct sl_service *service = relay->service;
    size_t size = service->worker_count * sizeof *relay->workers;
    relay->workers = aligned_alloc(_Alignof(struct sl_relay_worker), size);
    if (!relay->workers) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    memset(relay->workers, 0, size);
    relay->worker_count = service->worker_count;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct sl_relay_worker *rw = &relay->workers[i];
        rw->relay = relay;
        rw->worker = &service->core->workers[i];
        sl_relay_waits_init(rw);
        sl_dump_worker_init(rw);
    }
    return SL_OK;
}

static int open_store(struct sl_relay *relay, struct sl_err *err)
{
    const struct sl_binlog_settings *t = relay->settings;
    struct sl_store_key keys[SL_RELAY_KEYS_MAX];
    unsigned key_count = 0;
    int rc = sl_relay_keys(relay->service, t, keys, &key_count, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_store_config config = {
        .name = relay->service->name,
        .datadir = relay->datadir,
        .archivedir = t->archivedir,
        .server_id = (uint32_t)t->server_id,
        .cipher = sl_relay_cipher(t),
        .keys = keys,
        .key_count = key_count,
        .on_grown = on_grown,
        .may_purge = may_purge,
        .arg = relay,
    };
    sl_relay_tuning(t, &config.tuning);
    rc = sl_store_open(&config, &relay->store, err);
    sl_wipe(keys, sizeof keys);
    return rc;
}

static void instance_stop(void *instance)
{
    struct sl_relay *relay = instance;
    sl_upstream_free(relay->upstream);
    relay->upstream = NULL;
    sl_relay_asks_end(relay);
    pthread_mutex_lock(&relay->lock);
    relay->is_ending = true;
    pthread_mutex_unlock(&relay->lock);
}

static void instance_free(void *instance)
{
    struct sl_relay *relay = instance;
    instance_stop(relay);
    sl_store_close(relay->store);
    sl_replicas_free(relay->replicas);
    for (unsigned i = 0; i < relay->worker_count; i++) {
        sl_dump_worker_clear(&relay->workers[i]);
    }
    free(relay->workers);
    sl_settings_clear(&sl_settings_binlogrouter, &relay->in_force);
    pthread_mutex_destroy(&relay->lock);
    pthread_mutex_destroy(&relay->tuning);
    pthread_cond_destroy(&relay->asks_done);
    sl_free(relay->datadir);
    sl_free(relay);
}

static int start(struct sl_relay *relay, struct sl_err *err)
{
    struct sl_binlog_settings *t = relay->settings;
    int rc = sl_relay_settings_check(t, err);
    rc = rc < 0 ? rc : sl_relay_server_id(relay->service, t, relay->datadir, err);
    rc = rc < 0 ? rc : sl_settings_copy(&sl_settings_binlogrouter, &relay->in_force, t);
    rc = rc < 0 ? rc : make_workers(relay, err);
    rc = rc < 0 ? rc : sl_relay_datadir_make(relay->datadir, err);
    rc = rc < 0 ? rc
                : sl_replicas_new(relay->datadir, (uint64_t)t->replica_retention, &relay->replicas,
                                  err);
    rc = rc < 0 ? rc : open_store(relay, err);
    return rc < 0 ? rc : sl_upstream_new(relay, &relay->upstream, err);
}

static int instance_new(struct sl_service *service, void **ret, struct sl_err *err)
{
    struct sl_relay *relay = sl_xcalloc(1, sizeof *relay);
    relay->service = service;
    relay->settings = service->router_settings;
    relay->datadir = sl_relay_datadir(service, relay->settings);
    pthread_mutex_init(&relay->lock, NULL);
    pthread_mutex_init(&relay->tuning, NULL);
    pthread_cond_init(&relay->asks_done, NULL);
    atomic_store(&relay->ahead_timeout_ms, (uint64_t)relay->settings->gtid_ahead_timeout);
    atomic_store(&relay->semi_sync_to_replicas, relay->settings->rpl_semi_sync_master_enabled);
    int rc = start(relay, err);
    if (rc < 0) {
        instance_free(relay);
        return rc;
    }
    *ret = relay;
    return SL_OK;
}

/* ---- sessions ---- */

static int session_open(struct sl_session *s, struct sl_err *err)
{
    struct sl_relay_session *rs = sl_calloc(1, sizeof *rs);
    if (!rs) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    rs->session = s;
    sl_relay_script_init(rs);
    s->router = rs;
    return SL_OK;
}

/* What COM_RESET_CONNECTION forgets. */
static void forget(struct sl_relay_session *rs)
{
    sl_free(rs->connect_state);
    sl_free(rs->until);
    rs->connect_state = rs->until = NULL;
    rs->has_connect_state = rs->strict = rs->ignore_duplicates = rs->skip_replication = false;
    rs->wants_semi_sync = rs->has_checksum = rs->checksum_is_crc32 = false;
    rs->capability = 0;
    rs->heartbeat_ns = 0;
    sl_buf_clear(&rs->warnings);
}

static void session_close(struct sl_session *s)
{
    struct sl_relay_session *rs = s->router;
    sl_dump_end(rs);
    sl_relay_wait_end(rs);
    sl_relay_events_end(rs);
    sl_relay_script_end(rs);
    forget(rs);
    sl_buf_free(&rs->warnings);
    sl_free(rs);
    s->router = NULL;
}

static void on_writable(struct sl_session *s)
{
    struct sl_relay_session *rs = s->router;
    if (rs && rs->dump) {
        sl_dump_on_writable(rs);
    } else if (rs && rs->events) {
        sl_relay_events_go_on(rs);
    } else if (rs) {
        sl_relay_script_go_on(rs);
    }
}

static void on_sweep(struct sl_session *s, uint64_t now_ms)
{
    struct sl_relay_session *rs = s->router;
    if (rs->dump) {
        sl_dump_sweep(rs, now_ms);
    }
}

/* ---- commands ---- */

typedef void answer(struct sl_relay_session *rs, const uint8_t *payload, size_t len);

static void answer_ok(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    sl_session_answer_ok(rs->session);
}

static void answer_database(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    sl_relay_use_database(rs, sl_slice(payload, len));
}

static void answer_reset(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    forget(rs);
    sl_session_answer_ok(rs->session);
}

/* SET_OPTION and DEBUG succeed with an EOF. */
static void answer_eof(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    struct sl_session *s = rs->session;
    struct sl_buf out = SL_BUF_INIT;
    bool deprecate_eof = (s->capabilities & SL_CAP_DEPRECATE_EOF) != 0;
    if (sl_packet_build_eof(&out, s->next_seq, deprecate_eof, SL_STATUS_AUTOCOMMIT, 0) < 0) {
        sl_session_fail(s, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
    } else {
        sl_session_answer_packets(s, sl_buf_slice(&out).data, sl_buf_len(&out));
    }
    sl_buf_free(&out);
}

static void answer_statistics(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    struct sl_session *s = rs->session;
    uint8_t packet[SL_PACKET_HEADER + 256];
    int n = sl_report_statistics(s->service, (char *)packet + SL_PACKET_HEADER, 256);
    sl_packet_put_header(packet, (uint32_t)n, s->next_seq);
    sl_session_answer_packets(s, packet, SL_PACKET_HEADER + (size_t)n);
}

/* What clients with auto-completion ask for: there are no tables here. */
static void answer_field_list(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    const uint8_t *end = memchr(payload, 0, len);
    sl_session_answer_error(rs->session, 1146, "42S02", "Table '%.*s' doesn't exist",
                            (int)(end ? end - payload : (ptrdiff_t)SL_MIN(len, 64u)),
                            (const char *)payload);
}

static void answer_prepare(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    sl_session_answer_error(rs->session, SL_ER_UNSUPPORTED_PS, NULL,
                            "This command is not supported in the prepared statement protocol yet");
}

static void answer_no_statement(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    sl_session_answer_error(rs->session, SL_ER_UNKNOWN_STMT_HANDLER, NULL,
                            "Unknown prepared statement handler (%u) given",
                            len >= 4 ? sl_get_le32(payload) : 0);
}

static void register_replica(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    if (sl_relay_may(rs, SL_PRIV_REPLICATION_SLAVE)) {
        sl_dump_register(rs, payload, len);
    }
}

static void start_dump(struct sl_relay_session *rs, const uint8_t *payload, size_t len)
{
    if (sl_relay_may(rs, SL_PRIV_REPLICATION_SLAVE)) {
        sl_dump_start(rs, payload, len);
    }
}

static const struct {
    uint8_t command;
    answer *run;
} commands[] = {
    {SL_COM_QUERY, sl_relay_query},
    {SL_COM_PING, answer_ok},
    {SL_COM_INIT_DB, answer_database},
    {SL_COM_STATISTICS, answer_statistics},
    {SL_COM_FIELD_LIST, answer_field_list},
    {SL_COM_SET_OPTION, answer_eof},
    {SL_COM_DEBUG, answer_eof},
    {SL_COM_RESET_CONNECTION, answer_reset},
    {SL_COM_REGISTER_SLAVE, register_replica},
    {SL_COM_BINLOG_DUMP, start_dump},
    {SL_COM_STMT_PREPARE, answer_prepare},
    {SL_COM_STMT_EXECUTE, answer_no_statement},
    {SL_COM_STMT_BULK_EXECUTE, answer_no_statement},
    {SL_COM_STMT_RESET, answer_no_statement},
    {SL_COM_STMT_FETCH, answer_no_statement},
};

static void on_command(struct sl_relay_session *rs, const struct sl_request *rq,
                       const uint8_t *payload, size_t len)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(commands); i++) {
        if (commands[i].command == rq->command) {
            sl_count(&sl_session_counters(rs->session)->queries, 1);
            commands[i].run(rs, payload, len);
            return;
        }
    }
    if (sl_command_has_reply(rq->command)) {
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_COM, NULL, "Unknown command");
    }
}

static void on_request(struct sl_session *s, struct sl_request *rq)
{
    struct sl_relay_session *rs = s->router;
    const uint8_t *payload = rq->data + SL_PACKET_HEADER;
    size_t len = rq->len - SL_PACKET_HEADER;
    if (s->is_raw) {
        sl_dump_client_packet(rs, payload, len);
    } else if (rq->is_whole) {
        on_command(rs, rq, payload + 1, len - 1);
    } else if (!sl_command_has_reply(rq->command) || !sl_session_want_whole(s)) {
        sl_session_answer_error(s, SL_ER_NET_PACKET_TOO_LARGE, NULL,
                                "Got a packet bigger than 'max_allowed_packet' bytes");
    }
}

static void worker_end(struct sl_service *service, struct sl_worker *worker)
{
    struct sl_relay *relay = service->instance;
    sl_dump_worker_end(&relay->workers[worker->index]);
}

static const struct sl_router_ops ops = {
    .instance_new = instance_new,
    .instance_stop = instance_stop,
    .instance_free = instance_free,
    .version_suffix = "-BinlogRouter",
    .serves_replicas = true,
    .worker_end = worker_end,
    .diagnostics = sl_report_diagnostics,
    .replicas = sl_report_replicas,
    .settings_get = sl_relay_settings_get,
    .settings_set = sl_relay_settings_set,
    .session_open = session_open,
    .session_close = session_close,
    .on_request = on_request,
    .on_writable = on_writable,
    .on_sweep = on_sweep,
};

const struct sl_module sl_module_binlogrouter = {
    .name = "binlogrouter",
    .kind = SL_MODULE_ROUTER,
    .version = "1.0.0",
    .description = "Stores the binary log of a primary durably and serves it to replicas",
    .maturity = "Beta",
    .settings = &sl_settings_binlogrouter,
    .ops = &ops,
};
