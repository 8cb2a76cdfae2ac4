/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics: counters for Prometheus, text format 0.0.4.
 *
 * Rows of tables say name, help and where the number is; all values are sums of relaxed per-worker
 * counters. Connection's thread.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/admin_state.h"
#include "admin/relay.h"
#include "admin/resources.h"
#include "base/assert.h"
#include "base/clock.h"
#include "core/core.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void head(struct sl_buf *out, const char *name, const char *type, const char *help)
{
    sl_buf_printf(out, "# HELP sealane_%s %s\n# TYPE sealane_%s %s\n", name, help, name, type);
}

static void number(struct sl_buf *out, const char *name, const char *type, const char *help,
                   double value)
{
    head(out, name, type, help);
    sl_buf_printf(out, "sealane_%s %.17g\n", name, value);
}

/* Object names are [A-Za-z0-9_.~-]: nothing in labels needs escaping but what a server says of
 * itself. A label that is not UTF-8 would make a scraper drop all of the answer. */
static void append_escaped(struct sl_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        bool is_plain = *text >= ' ' && *text <= '~';
        if (*text == '"' || *text == '\\') {
            sl_buf_append(out, "\\", 1);
        }
        sl_buf_append(out, is_plain ? text : "?", 1);
    }
}

/* ---- servers ---- */

static const struct {
    const char *name;
    uint32_t bit;
} state_bits[] = {
    {"running", SL_SERVER_RUNNING},       {"master", SL_SERVER_MASTER},
    {"slave", SL_SERVER_SLAVE},           {"synced", SL_SERVER_JOINED},
    {"relay", SL_SERVER_RELAY},           {"binlogrouter", SL_SERVER_BLR},
    {"draining", SL_SERVER_DRAINING},     {"maintenance", SL_SERVER_MAINT},
    {"auth_error", SL_SERVER_AUTH_ERROR}, {"need_dns", SL_SERVER_NEED_DNS},
    {"disk_full", SL_SERVER_DISK_FULL},
};

static void server_states(struct sl_buf *out, const struct sl_core *core)
{
    head(out, "server_state", "gauge", "State bits of the server, 1 when set.");
    for (unsigned i = 0; i < core->server_count; i++) {
        uint32_t status = sl_server_status(core->servers[i]);
        for (unsigned b = 0; b < SL_ARRAY_LEN(state_bits); b++) {
            sl_buf_printf(out, "sealane_server_state{server=\"%s\",state=\"%s\"} %d\n",
                          core->servers[i]->name, state_bits[b].name,
                          (status & state_bits[b].bit) != 0);
        }
    }
}

#define SERVER(field) offsetof(struct sl_server_counters, field)

static void server_counters(struct sl_buf *out, const struct sl_core *core)
{
    static const struct {
        const char *name;
        const char *help;
        size_t offset;
    } rows[] = {
        {"server_connections_total", "Connections opened to the server.",
         SERVER(total_connections)},
        {"server_packets_total", "Packets routed to the server.", SERVER(routed_packets)},
        {"server_failed_auths_total", "Logins the server refused.", SERVER(failed_auths)},
    };
    for (unsigned r = 0; r < SL_ARRAY_LEN(rows); r++) {
        head(out, rows[r].name, "counter", rows[r].help);
        for (unsigned i = 0; i < core->server_count; i++) {
            sl_buf_printf(out, "sealane_%s{server=\"%s\"} %" PRIu64 "\n", rows[r].name,
                          core->servers[i]->name, sl_server_sum(core->servers[i], rows[r].offset));
        }
    }
    head(out, "server_statements_total", "counter",
         "Statements the server executed, by what they did.");
    for (unsigned i = 0; i < core->server_count; i++) {
        const struct sl_server *s = core->servers[i];
        sl_buf_printf(out,
                      "sealane_server_statements_total{server=\"%s\",kind=\"read\"} %" PRIu64 "\n",
                      s->name, sl_server_sum(s, SERVER(reads)));
        sl_buf_printf(out,
                      "sealane_server_statements_total{server=\"%s\",kind=\"write\"} %" PRIu64 "\n",
                      s->name, sl_server_sum(s, SERVER(writes)));
    }
}

static double lag_of(const struct sl_server *s)
{
    return (double)atomic_load_explicit(&s->lag_s, memory_order_relaxed);
}

static double ping_of(const struct sl_server *s)
{
    return (double)atomic_load_explicit(&s->ping_us, memory_order_relaxed) / 1e6;
}

static double connections_of(const struct sl_server *s)
{
    return sl_server_connections(s);
}

static double operations_of(const struct sl_server *s)
{
    return sl_server_operations(s);
}

static double average_of(const struct sl_server *s)
{
    return (double)atomic_load_explicit(&s->average_ns, memory_order_relaxed) / 1e9;
}

static void server_gauges(struct sl_buf *out, const struct sl_core *core)
{
    static const struct {
        const char *name;
        const char *help;
        double (*value)(const struct sl_server *s);
    } rows[] = {
        {"server_connections", "Connections open to the server.", connections_of},
        {"server_operations", "Statements running on the server.", operations_of},
        {"server_replication_lag_seconds", "Replication lag; -1 when not known.", lag_of},
        {"server_ping_seconds", "Round trip of the monitor's last probe.", ping_of},
        {"server_select_average_seconds", "Moving average of read times (adaptive routing).",
         average_of},
    };
    for (unsigned r = 0; r < SL_ARRAY_LEN(rows); r++) {
        head(out, rows[r].name, "gauge", rows[r].help);
        for (unsigned i = 0; i < core->server_count; i++) {
            sl_buf_printf(out, "sealane_%s{server=\"%s\"} %.17g\n", rows[r].name,
                          core->servers[i]->name, rows[r].value(core->servers[i]));
        }
    }
}

static void server_info(struct sl_buf *out, const struct sl_core *core)
{
    head(out, "server_info", "gauge", "What the server says of itself; always 1.");
    for (unsigned i = 0; i < core->server_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(core->servers[i], &info);
        sl_buf_printf(out, "sealane_server_info{server=\"%s\",version=\"", core->servers[i]->name);
        append_escaped(out, info.version);
        sl_buf_append_text(out, "\"} 1\n");
    }
}

/* A monitor's Galera figures, for servers that are nodes. */
static void server_galera(struct sl_buf *out, const struct sl_core *core)
{
    head(out, "server_wsrep_recv_queue", "gauge", "Write sets waiting to be applied on the node.");
    for (unsigned i = 0; i < core->server_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(core->servers[i], &info);
        if (info.is_galera) {
            sl_buf_printf(out, "sealane_server_wsrep_recv_queue{server=\"%s\"} %lld\n",
                          core->servers[i]->name, (long long)info.recv_queue);
        }
    }
    head(out, "server_wsrep_flow_control_paused", "gauge",
         "Share of time the node spent in flow control.");
    for (unsigned i = 0; i < core->server_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(core->servers[i], &info);
        if (info.is_galera) {
            sl_buf_printf(out, "sealane_server_wsrep_flow_control_paused{server=\"%s\"} %.17g\n",
                          core->servers[i]->name, info.flow_control_paused);
        }
    }
}

/* Buckets of a Prometheus histogram are cumulative; ours are not. */
static void histogram(struct sl_buf *out, const struct sl_server *s, const char *kind,
                      size_t offset)
{
    static const char *const bounds[SL_HISTOGRAM_BUCKETS] = {"1e-06", "1e-05", "0.0001", "0.001",
                                                             "0.01",  "0.1",   "1",      "10",
                                                             "100",   "1000",  "10000",  "100000"};
    uint64_t count = 0;
    uint64_t total_us = 0;
    for (unsigned b = 0; b < SL_HISTOGRAM_BUCKETS; b++) {
        count +=
            sl_server_sum(s, offset + offsetof(struct sl_histogram, count) + b * sizeof(uint64_t));
        total_us += sl_server_sum(s, offset + offsetof(struct sl_histogram, total_us) +
                                         b * sizeof(uint64_t));
        sl_buf_printf(
            out,
            "sealane_statement_seconds_bucket{server=\"%s\",kind=\"%s\",le=\"%s\"} %" PRIu64 "\n",
            s->name, kind, bounds[b], count);
    }
    sl_buf_printf(out,
                  "sealane_statement_seconds_bucket{server=\"%s\",kind=\"%s\",le=\"+Inf\"} %" PRIu64
                  "\n",
                  s->name, kind, count);
    sl_buf_printf(out, "sealane_statement_seconds_sum{server=\"%s\",kind=\"%s\"} %.6f\n", s->name,
                  kind, (double)total_us / 1e6);
    sl_buf_printf(out, "sealane_statement_seconds_count{server=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
                  s->name, kind, count);
}

static void histograms(struct sl_buf *out, const struct sl_core *core)
{
    head(out, "statement_seconds", "histogram",
         "Time from sending a statement to the server to the end of its reply.");
    for (unsigned i = 0; i < core->server_count; i++) {
        histogram(out, core->servers[i], "read", SERVER(read_time));
        histogram(out, core->servers[i], "write", SERVER(write_time));
    }
}

/* ---- services ---- */

#define SERVICE(field) offsetof(struct sl_service_counters, field)

static void services(struct sl_buf *out, const struct sl_core *core)
{
    static const struct {
        const char *name;
        const char *help;
        size_t offset;
    } rows[] = {
        {"service_connections_total", "Client connections since start.",
         SERVICE(total_connections)},
        {"service_failed_auths_total", "Client logins refused.", SERVICE(failed_auths)},
        {"service_packets_total", "Packets of clients routed.", SERVICE(routed_packets)},
        {"service_statements_total", "Statements of clients.", SERVICE(queries)},
        {"service_routed_primary_total", "Statements routed to the primary.",
         SERVICE(route_primary)},
        {"service_routed_replica_total", "Statements routed to replicas.", SERVICE(route_replica)},
        {"service_routed_all_total", "Session commands sent to all servers.", SERVICE(route_all)},
        {"service_rw_transactions_total", "Read-write transactions.", SERVICE(rw_transactions)},
        {"service_ro_transactions_total", "Read-only transactions.", SERVICE(ro_transactions)},
        {"service_retried_reads_total", "Reads repeated on another server.",
         SERVICE(retried_reads)},
        {"service_held_statements_total", "Statements that waited for a server.",
         SERVICE(held_statements)},
        {"service_lost_primaries_total", "Sessions whose primary was lost.",
         SERVICE(lost_primaries)},
        {"service_replays_started_total", "Transactions whose replay began.",
         SERVICE(replays_started)},
        {"service_replays_done_total", "Transactions replayed.", SERVICE(replays_done)},
        {"service_replay_mismatches_total", "Results of replayed statements that differed.",
         SERVICE(replay_mismatches)},
        {"service_replay_restarts_total", "Replays begun again after a loss or a refusal.",
         SERVICE(replay_restarts)},
        {"service_replays_failed_mismatch_total", "Replays given up because a result differed.",
         SERVICE(replays_failed_mismatch)},
        {"service_replays_failed_limit_total", "Replays given up after the time or attempts.",
         SERVICE(replays_failed_limit)},
        {"service_replays_failed_refused_total", "Lost transactions that could not be replayed.",
         SERVICE(replays_failed_refused)},
        {"service_unknown_outcomes_total", "Commits and writes lost before their answer.",
         SERVICE(unknown_outcomes)},
        {"service_trx_max_size_exceeded_total", "Transactions over transaction_replay_max_size.",
         SERVICE(trx_max_size_exceeded)},
        {"service_retried_writes_total", "Writes that a server refused and that were sent again.",
         SERVICE(retried_writes)},
        {"service_locked_to_primary_total", "Sessions that were locked to the primary.",
         SERVICE(locked_to_primary)},
    };
    head(out, "service_connections", "gauge", "Client connections now.");
    for (unsigned i = 0; i < core->service_count; i++) {
        sl_buf_printf(out,
                      "sealane_service_connections{service=\"%s\",router=\"%s\"} %" PRIu32 "\n",
                      core->services[i]->name, core->services[i]->router->name,
                      sl_service_connections(core->services[i]));
    }
    for (unsigned r = 0; r < SL_ARRAY_LEN(rows); r++) {
        head(out, rows[r].name, "counter", rows[r].help);
        for (unsigned i = 0; i < core->service_count; i++) {
            sl_buf_printf(out, "sealane_%s{service=\"%s\"} %" PRIu64 "\n", rows[r].name,
                          core->services[i]->name,
                          sl_service_sum(core->services[i], rows[r].offset));
        }
    }
}

/* ---- workers ---- */

static uint32_t load_of(const struct sl_worker *w)
{
    struct sl_loop_stats stats;
    sl_loop_stats_get(w->loop, &stats);
    return stats.load_1s_pct;
}

static void workers(struct sl_buf *out, const struct sl_core *core)
{
#define STAT(field) offsetof(struct sl_loop_stats, field)
    static const struct {
        const char *name;
        const char *help;
        size_t offset;
    } rows[] = {
        {"worker_turns_total", "Turns of the event loop.", STAT(turns)},
        {"worker_events_total", "Events handled.", STAT(events)},
        {"worker_reads_total", "Reads from sockets.", STAT(reads)},
        {"worker_writes_total", "Writes to sockets.", STAT(writes)},
        {"worker_accepts_total", "Clients accepted.", STAT(accepts)},
        {"worker_errors_total", "Sockets that failed.", STAT(errors)},
        {"worker_hangups_total", "Sockets closed by the peer.", STAT(hangups)},
        {"worker_received_bytes_total", "Bytes received.", STAT(bytes_in)},
        {"worker_sent_bytes_total", "Bytes sent.", STAT(bytes_out)},
        {"worker_ring_submits_total", "Submissions to io_uring.", STAT(ring_submits)},
        {"worker_short_sends_total", "Sends the socket took in part only.", STAT(short_sends)},
        {"worker_busy_microseconds_total", "Time outside epoll_wait.", STAT(busy_us)},
    };
#undef STAT
    for (unsigned r = 0; r < SL_ARRAY_LEN(rows); r++) {
        head(out, rows[r].name, "counter", rows[r].help);
        for (unsigned i = 0; i < core->worker_count; i++) {
            struct sl_loop_stats copy;
            sl_loop_stats_get(core->workers[i].loop, &copy);
            const char *stats = (const void *)&copy;
            uint64_t value;
            memcpy(&value, stats + rows[r].offset, sizeof value);
            sl_buf_printf(out, "sealane_%s{worker=\"%u\"} %" PRIu64 "\n", rows[r].name, i, value);
        }
    }
    head(out, "worker_sessions", "gauge", "Sessions on the worker.");
    for (unsigned i = 0; i < core->worker_count; i++) {
        sl_buf_printf(out, "sealane_worker_sessions{worker=\"%u\"} %" PRIu32 "\n", i,
                      atomic_load_explicit(&core->workers[i].session_count, memory_order_relaxed));
    }
    head(out, "worker_load_percent", "gauge", "Share of the last second the worker was busy.");
    for (unsigned i = 0; i < core->worker_count; i++) {
        sl_buf_printf(out, "sealane_worker_load_percent{worker=\"%u\"} %" PRIu32 "\n", i,
                      load_of(&core->workers[i]));
    }
}

/* ---- process ---- */

static double resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        if (fscanf(f, "%*d %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void process(struct sl_buf *out, const struct sl_admin_request *rq)
{
    const struct sl_core *core = rq->core;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    head(out, "build_info", "gauge", "Version of the program; always 1.");
    sl_buf_printf(out, "sealane_build_info{version=\"%s\",commit=\"%s\"} 1\n", SL_VERSION,
                  SL_COMMIT);
    number(out, "up", "gauge", "1 while the program serves.", 1);
    number(out, "start_time_seconds", "gauge", "Start of the program, seconds since the epoch.",
           (double)core->started_s);
    number(out, "uptime_seconds", "gauge", "Time since the start.",
           (double)(sl_clock_mono_ms() - core->started_ms) / 1e3);
    number(out, "resident_memory_bytes", "gauge", "Memory in use.", resident_bytes());
    head(out, "cpu_seconds_total", "counter", "CPU time used.");
    sl_buf_printf(out, "sealane_cpu_seconds_total{mode=\"user\"} %.6f\n",
                  cpu_seconds(&usage.ru_utime));
    sl_buf_printf(out, "sealane_cpu_seconds_total{mode=\"system\"} %.6f\n",
                  cpu_seconds(&usage.ru_stime));
    number(out, "workers", "gauge", "Worker threads.", core->worker_count);
    number(out, "rest_requests_total", "counter", "Requests to the REST interface.",
           (double)atomic_load_explicit(&rq->admin->requests, memory_order_relaxed));
}

static void monitors(struct sl_buf *out, const struct sl_core *core)
{
    head(out, "monitor_ticks_total", "counter", "Rounds of the monitor.");
    for (unsigned i = 0; i < core->monitor_count; i++) {
        sl_buf_printf(out, "sealane_monitor_ticks_total{monitor=\"%s\"} %" PRIu64 "\n",
                      sl_monitor_name(core->monitors[i]), sl_monitor_ticks(core->monitors[i]));
    }
    head(out, "monitor_running", "gauge", "1 while the monitor runs.");
    for (unsigned i = 0; i < core->monitor_count; i++) {
        sl_buf_printf(out, "sealane_monitor_running{monitor=\"%s\"} %d\n",
                      sl_monitor_name(core->monitors[i]), sl_monitor_is_running(core->monitors[i]));
    }
}

void sl_admin_metrics_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_buf *out = &rs->text;
    process(out, rq);
    server_states(out, rq->core);
    server_info(out, rq->core);
    server_gauges(out, rq->core);
    server_counters(out, rq->core);
    server_galera(out, rq->core);
    histograms(out, rq->core);
    services(out, rq->core);
    workers(out, rq->core);
    monitors(out, rq->core);
    sl_admin_relay_metrics(out, rq->core);
    rs->status = 200;
    rs->content_type = CONTENT_TYPE;
}
