/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: diagnostics for REST, /metrics and COM_STATISTICS. Names that MaxScale's has
 * too are the same: gtid_io_pos, current_binlog, master_config.
 */
#include "router/binlog/report.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

static void text_or_null(struct sl_diag *out, const char *name, const char *text)
{
    sl_diag_text(out, name, text && text[0] ? text : NULL);
}

static void count(struct sl_diag *out, const char *name, uint64_t n)
{
    sl_diag_int(out, name, (int64_t)n);
}

static const char *step_name(enum sl_upstream_step step)
{
    static const char *const names[] = {
        [SL_UPSTREAM_STOPPED] = "stopped",       [SL_UPSTREAM_NO_TARGET] = "no_target",
        [SL_UPSTREAM_CONNECTING] = "connecting", [SL_UPSTREAM_LOGIN] = "login",
        [SL_UPSTREAM_ASKING] = "asking",         [SL_UPSTREAM_STREAMING] = "streaming",
        [SL_UPSTREAM_WAITING] = "waiting",
    };
    return names[step];
}

static void master_config(struct sl_diag *out, const struct sl_upstream_target *t)
{
    sl_diag_object_begin(out, "master_config");
    text_or_null(out, "host", t->host);
    sl_diag_int(out, "port", t->port);
    text_or_null(out, "user", t->user);
    sl_diag_bool(out, "ssl", t->ssl);
    text_or_null(out, "ssl_ca", t->ssl_ca);
    text_or_null(out, "ssl_capath", t->ssl_capath);
    text_or_null(out, "ssl_cert", t->ssl_cert);
    text_or_null(out, "ssl_cipher", t->ssl_cipher);
    text_or_null(out, "ssl_crl", t->ssl_crl);
    text_or_null(out, "ssl_crlpath", t->ssl_crlpath);
    text_or_null(out, "ssl_key", t->ssl_key);
    sl_diag_bool(out, "ssl_verify_server_cert", t->ssl_verify_server_cert);
    sl_diag_end(out);
}

static void upstream(struct sl_diag *out, const struct sl_upstream_status *up)
{
    sl_diag_object_begin(out, "upstream");
    sl_diag_text(out, "state", step_name(up->step));
    sl_diag_bool(out, "running", up->is_wanted);
    sl_diag_bool(out, "select_master", up->selects_master);
    text_or_null(out, "server", up->server_name);
    sl_diag_int(out, "master_server_id", up->master_server_id);
    text_or_null(out, "master_log_file", up->master_file);
    count(out, "master_log_pos", up->master_pos);
    if (up->seconds_behind >= 0) {
        sl_diag_int(out, "seconds_behind_master", up->seconds_behind);
    } else {
        sl_diag_text(out, "seconds_behind_master", NULL);
    }
    sl_diag_int(out, "last_errno", up->last_errno);
    text_or_null(out, "last_error", up->last_errno ? up->last_error : "");
    count(out, "heartbeats", up->heartbeats);
    sl_diag_bool(out, "semi_sync", up->is_semi_sync);
    sl_diag_bool(out, "disk_full", up->is_disk_full);
    count(out, "bytes_in", up->bytes_in);
    count(out, "events_in", up->events_in);
    count(out, "groups_in", up->groups_in);
    count(out, "groups_dropped", up->groups_dropped);
    count(out, "acks_sent", up->acks_sent);
    count(out, "connects", up->connects);
    count(out, "gtid_domain_new", up->domains_new);
    sl_diag_end(out);
}

static void store(struct sl_diag *out, const struct sl_store_stats *s)
{
    sl_diag_object_begin(out, "store");
    count(out, "files", s->files);
    count(out, "disk_bytes", s->disk_bytes);
    count(out, "index_bytes", s->index_bytes);
    count(out, "groups", s->groups);
    count(out, "bytes", s->bytes);
    count(out, "syncs", s->syncs);
    count(out, "sync_us_total", s->sync_us_total);
    count(out, "sync_us_max", s->sync_us_max);
    count(out, "purged", s->purged);
    count(out, "archived", s->archived);
    count(out, "compressed", s->compressed);
    count(out, "torn_bytes", s->torn_bytes);
    sl_diag_bool(out, "disk_full", s->is_full);
    text_or_null(out, "keeper_error", s->keeper_error);
    sl_diag_end(out);
}

static void replica(struct sl_diag *out, const struct sl_replica_info *r)
{
    sl_diag_object_begin(out, NULL);
    sl_diag_int(out, "server_id", r->server_id);
    text_or_null(out, "host", r->host);
    sl_diag_int(out, "port", r->port);
    text_or_null(out, "user", r->user);
    sl_diag_text(out, "state", r->session_id == 0 ? "Gone" : r->is_waiting ? "Waiting" : "Sending");
    if (r->session_id != 0) {
        count(out, "session_id", r->session_id);
    } else {
        sl_diag_text(out, "session_id", NULL);
    }
    sl_diag_int(out, "since", r->since_s);
    sl_diag_int(out, "last_seen", r->last_seen_s);
    text_or_null(out, "file", r->file);
    count(out, "offset", r->offset);
    text_or_null(out, "gtid_position", r->position);
    count(out, "bytes_behind", r->bytes_behind);
    sl_diag_bool(out, "semi_sync", r->is_semi_sync);
    count(out, "acked_groups", r->acked_groups);
    sl_diag_end(out);
}

void sl_report_replicas(const struct sl_service *service, struct sl_diag *out)
{
    const struct sl_relay *relay = service->instance;
    struct sl_replica_info *list;
    unsigned n;
    if (sl_replicas_list(relay->replicas, &list, &n) < 0) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        replica(out, &list[i]);
    }
    sl_free(list);
}

static void downstream(struct sl_diag *out, const struct sl_relay *relay)
{
    uint64_t bytes = 0, events = 0, started = 0, now = 0;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        const struct sl_relay_worker *rw = &relay->workers[i];
        bytes += atomic_load_explicit(&rw->bytes_out, memory_order_relaxed);
        events += atomic_load_explicit(&rw->events_out, memory_order_relaxed);
        started += atomic_load_explicit(&rw->dumps_started, memory_order_relaxed);
        now += atomic_load_explicit(&rw->dump_count, memory_order_relaxed);
    }
    sl_diag_object_begin(out, "downstream");
    count(out, "dumps", now);
    count(out, "dumps_started", started);
    count(out, "bytes_out", bytes);
    count(out, "events_out", events);
    sl_diag_end(out);
}

void sl_report_diagnostics(const struct sl_service *service, struct sl_diag *out)
{
    const struct sl_relay *relay = service->instance;
    struct sl_upstream_status up;
    struct sl_store_stats stats;
    struct sl_buf position = SL_BUF_INIT;
    char file[SL_BINLOG_FILE_NAME_MAX + 1] = "";
    uint64_t offset = 0;
    sl_upstream_status(relay->upstream, &up);
    sl_store_stats(relay->store, &stats);
    sl_store_position_text(relay->store, &position);
    bool has_file = sl_store_tail(relay->store, file, &offset);
    sl_buf_append(&position, "", 1);
    sl_diag_text(out, "gtid_io_pos", (const char *)sl_buf_slice(&position).data);
    text_or_null(out, "current_binlog", has_file ? file : "");
    count(out, "current_pos", offset);
    sl_diag_int(out, "server_id", relay->settings->server_id);
    sl_diag_text(out, "datadir", relay->datadir);
    master_config(out, &up.target);
    upstream(out, &up);
    store(out, &stats);
    downstream(out, relay);
    sl_diag_array_begin(out, "replicas");
    sl_report_replicas(service, out);
    sl_diag_end(out);
    sl_buf_free(&position);
    sl_upstream_target_clear(&up.target);
}

int sl_report_statistics(const struct sl_service *service, char *out, size_t size)
{
    uint64_t queries = SL_SERVICE_SUM(service, queries);
    int64_t uptime = SL_MAX(sl_clock_wall_s() - service->started_s, 1);
    int n = snprintf(out, size,
                     "Uptime: %lld  Threads: %u  Questions: %llu  Slow queries: 0  Opens: 0  "
                     "Open tables: 0  Queries per second avg: %.3f",
                     (long long)uptime, sl_service_connections(service),
                     (unsigned long long)queries, (double)queries / (double)uptime);
    return n < (int)size ? n : (int)size - 1;
}
