/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router tcp: one line per connection, when it has ended, with the fields and the order of
 * HAProxy's `option tcplog` (HAProxy 2.6 configuration manual, sections 8.2.2 and 8.5), so that
 * what reads those reads these:
 *
 *   client:port [accept date] listener service/server Tw/Tc/Tt bytes state
 *   actconn/feconn/beconn/srv_conn/retries queues
 *
 * There are no queues here: Tw is 0 (or -1 when no server was there to be chosen) and both queue
 * fields are 0.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "router/tcp/tcp.h"

static void render_client(const union sl_tcp_address *a, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(out, size, "%s:%u", host, ntohs(a->v4.sin_port));
    } else if (a->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        snprintf(out, size, "%s:%u", host, ntohs(a->v6.sin6_port));
    } else {
        snprintf(out, size, "unix:0");
    }
}

/* 06/Feb/2009:12:12:51.443, local time; not by strftime, which follows the locale. */
static void render_date(int64_t wall_ms, char *out, size_t size)
{
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t when = (time_t)(wall_ms / 1000);
    struct tm t = {0};
    localtime_r(&when, &t);
    snprintf(out, size, "%02d/%s/%04d:%02d:%02d:%02d.%03d", t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec, (int)(wall_ms % 1000));
}

void sl_tcplog_render(const struct sl_tcplog *l, char *out, size_t size)
{
    char client[INET6_ADDRSTRLEN + 8], date[64];
    sl_assert(size > 0);
    render_client(l->client, client, sizeof client);
    render_date(l->accepted_ms, date, sizeof date);
    snprintf(out, size, "%s [%s] %s %s/%s %d/%lld/%lld %llu %c%c %u/%u/%u/%u/%s%u 0/0", client,
             date, l->listener, l->service, l->server ? l->server : "<NOSRV>", l->server ? 0 : -1,
             (long long)l->connect_ms, (long long)l->total_ms, (unsigned long long)l->bytes,
             l->cause, l->phase, l->all, l->listener_now, l->service_now, l->server_now,
             l->was_redispatched ? "+" : "", l->retries);
}
