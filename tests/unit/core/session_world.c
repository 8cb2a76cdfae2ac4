/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. */
#include "session_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/handshake.h"
#include "filter/filters.h"
#include "router/routers.h"

#define WAIT_MS 60000

static const struct sl_module *const modules[] = {
    &sl_module_readwritesplit, &sl_module_readconnroute, &sl_module_hintfilter, NULL};

static const struct sl_settings *find_module(void *arg, enum sl_conf_kind kind, const char *name,
                                             bool *ret_exists)
{
    for (unsigned i = 0; modules[i]; i++) {
        if (strcmp(modules[i]->name, name) == 0) {
            *ret_exists = true;
            return modules[i]->settings;
        }
    }
    *ret_exists = false;
    return NULL;
}

static const struct sl_conf_modules conf_modules = {NULL, find_module};

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static struct sl_config *load(struct world *w, const char *global_lines, const char *router_lines)
{
    char path[128], accounts[128], text[4096];
    snprintf(w->dir, sizeof w->dir, "/tmp/sealane-session-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(path, sizeof path, "%s/m.cnf", w->dir);
    snprintf(accounts, sizeof accounts, "%s/accounts.json", w->dir);
    write_file(accounts,
               "{\"user\":[{\"user\":\"u\",\"host\":\"%\",\"global_db_priv\":true},"
               "{\"user\":\"root2\",\"host\":\"%\",\"global_db_priv\":true,\"super_priv\":true}]}");
    w->port = free_port();
    do {
        w->conn_port = free_port();
    } while (w->conn_port == w->port);
    int n = snprintf(text, sizeof text,
                     "[maxscale]\nthreads=1\nadmin_enabled=false\nusers_refresh_time=0s\nskip_name_"
                     "resolve=true\n"
                     "datadir=%s\n%s\n",
                     w->dir, global_lines);
    for (unsigned i = 0; i < SERVERS; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "[%s]\ntype=server\naddress=127.0.0.1\nport=%u\n", w->servers[i].name,
                      w->servers[i].port);
    }
    for (unsigned i = 0; i < 2; i++) {
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "[%s]\ntype=service\nrouter=%s\nservers=s1,s2,s3\nuser=u\npassword=x\n"
                      "user_accounts_file=%s\nuser_accounts_file_usage=file_only_always\n%s\n"
                      "[%s-listener]\ntype=listener\nservice=%s\naddress=127.0.0.1\nport=%u\n",
                      i ? "conn" : "split", i ? "readconnroute" : "readwritesplit", accounts,
                      i ? "router_options=slave" : router_lines, i ? "conn" : "split",
                      i ? "conn" : "split", i ? w->conn_port : w->port);
    }
    write_file(path, text);
    struct sl_conf_options options = {.main_file = path, .basedir = w->dir};
    struct sl_conf_report report = SL_CONF_REPORT_INIT;
    struct sl_config *config = NULL;
    if (sl_config_load(&options, &conf_modules, &report, &config) < 0) {
        for (size_t i = 0; i < report.count; i++) {
            print_error("%d: %s: %s\n", report.notes[i].line, report.notes[i].key,
                        report.notes[i].text);
        }
        fail();
    }
    sl_conf_report_clear(&report);
    unlink(path);
    return config;
}

void world_up(struct world *w, const char *router_lines)
{
    world_up_with(w, "", router_lines);
}

void world_up_with(struct world *w, const char *global_lines, const char *router_lines)
{
    static const char *const names[SERVERS] = {"s1", "s2", "s3"};
    *w = (struct world){0};
    sl_log_set_level_mask(getenv("SEALANE_TEST_LOG") ? ~0u : 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_start(&w->servers[i], names[i]);
    }
    struct sl_config *config = load(w, global_lines, router_lines);
    struct sl_err err = SL_ERR_INIT;
    if (sl_core_start(config, modules, &w->core, &err) < 0) {
        fail_msg("%s", err.text);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        world_status(w, i, SL_SERVER_RUNNING | (i == PRIMARY ? SL_SERVER_MASTER : SL_SERVER_SLAVE));
    }
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    struct sl_accounts *a[2] = {NULL, NULL};
    for (unsigned i = 0; i < 2; i++) {
        while ((a[i] = sl_account_manager_get(w->core->services[i]->accounts)) == NULL) {
            assert_true(sl_clock_mono_ms() < deadline);
            usleep(1000);
        }
        sl_accounts_unref(a[i]);
    }
}

/* Nothing may be left: no session, no connection counted, none open on the servers. */
void world_down(struct world *w)
{
    struct sl_server *servers[SERVERS];
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    unsigned left;
    do {
        world_pump(w, 5);
        left = atomic_load(&w->core->workers[0].session_count);
        for (unsigned i = 0; i < SERVERS; i++) {
            servers[i] = w->core->servers[i];
            left += sl_server_connections(servers[i]) + sl_server_operations(servers[i]) +
                    fake_server_connections(&w->servers[i]);
        }
    } while (left > 0 && sl_clock_mono_ms() < deadline);
    for (unsigned i = 0; i < SERVERS; i++) {
        assert_int_equal(sl_server_connections(servers[i]), 0);
        assert_int_equal(sl_server_operations(servers[i]), 0);
        assert_int_equal(fake_server_connections(&w->servers[i]), 0);
    }
    assert_int_equal(atomic_load(&w->core->workers[0].session_count), 0);
    assert_int_equal(sl_service_connections(w->core->services[0]), 0);
    sl_core_stop(w->core);
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_stop(&w->servers[i]);
    }
    char path[128];
    snprintf(path, sizeof path, "rm -rf '%s'", w->dir);
    assert_int_equal(system(path), 0);
}

void world_pump(struct world *w, int timeout_ms)
{
    struct pollfd fds[SERVERS * (FAKE_CONNS + 1)];
    nfds_t n = 0;
    for (unsigned i = 0; i < SERVERS; i++) {
        struct fake_server *f = &w->servers[i];
        fake_server_pump(f);
        if (f->listen_fd >= 0) {
            fds[n++] = (struct pollfd){f->listen_fd, POLLIN, 0};
        }
        for (unsigned k = 0; k < FAKE_CONNS; k++) {
            if (f->conns[k].fd >= 0) {
                fds[n++] = (struct pollfd){f->conns[k].fd, POLLIN, 0};
            }
        }
    }
    if (poll(fds, n, timeout_ms) > 0) {
        for (unsigned i = 0; i < SERVERS; i++) {
            fake_server_pump(&w->servers[i]);
        }
    }
}

struct ask {
    struct sl_message message;
    sem_t done;
    uint64_t allocations;
};

static void on_ask(struct sl_message *m, struct sl_loop *loop)
{
    struct ask *a = SL_CONTAINER_OF(m, struct ask, message);
    a->allocations = sl_mem_thread_allocations();
    sem_post(&a->done);
}

uint64_t world_allocations(struct world *w)
{
    struct ask a = {.message.run = on_ask};
    sem_init(&a.done, 0, 0);
    sl_loop_post(w->core->workers[0].loop, &a.message);
    sem_wait(&a.done);
    sem_destroy(&a.done);
    return a.allocations;
}

void world_status(struct world *w, unsigned server, uint32_t status)
{
    sl_server_status_change(w->core->servers[server], status, ~status);
    sl_core_topology_changed(w->core);
    world_allocations(w); /* messages come in order: the sessions have seen it */
}

void world_wait_connections(struct world *w, unsigned server, unsigned count)
{
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    while (fake_server_connections(&w->servers[server]) != count) {
        assert_true(sl_clock_mono_ms() < deadline);
        world_pump(w, 5);
    }
}

unsigned world_count(const struct world *w, const char *prefix)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SERVERS; i++) {
        n += fake_server_count(&w->servers[i], prefix);
    }
    return n;
}

void world_forget(struct world *w)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        fake_server_forget(&w->servers[i]);
    }
}

/* ---- clients ---- */

/* More bytes from the proxy; false at the end of the connection. */
static bool receive(struct world *w, struct client *c)
{
    uint8_t bytes[65536];
    world_pump(w, 0);
    struct pollfd p = {c->fd, POLLIN, 0};
    if (poll(&p, 1, 1) <= 0) {
        world_pump(w, 0);
        return true;
    }
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        assert_int_equal(sl_buf_append(&c->in, bytes, (size_t)n), 0);
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static bool whole_packet(const struct client *c, struct sl_slice *ret)
{
    struct sl_slice s = sl_buf_slice(&c->in);
    if (s.len < 4 || s.len < 4 + (size_t)sl_get_le24(s.data)) {
        return false;
    }
    *ret = sl_slice(s.data, 4 + (size_t)sl_get_le24(s.data));
    return true;
}

static bool next_packet(struct world *w, struct client *c, struct sl_slice *ret)
{
    uint64_t deadline = sl_clock_mono_ms() + WAIT_MS;
    while (!whole_packet(c, ret)) {
        if (sl_clock_mono_ms() > deadline || !receive(w, c)) {
            return whole_packet(c, ret);
        }
    }
    return true;
}

static void take_error(struct sl_slice packet, struct answer *a)
{
    struct sl_packet_err err;
    assert_int_equal(sl_packet_err_parse(packet.data + 4, packet.len - 4, &err), 0);
    a->kind = SL_REPLY_KIND_ERR;
    a->code = err.code;
    snprintf(a->message, sizeof a->message, "%.*s", (int)err.message.len,
             (const char *)err.message.data);
}

static void dial(struct client *c, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void client_open_at(struct world *w, struct client *c, uint16_t port, uint64_t capabilities,
                    struct answer *ret_error)
{
    *c = (struct client){.capabilities = capabilities};
    dial(c, port);
    struct sl_slice packet;
    struct sl_greeting g;
    struct sl_packet_err err;
    assert_true(next_packet(w, c, &packet));
    assert_int_equal(sl_greeting_parse(packet.data + 4, packet.len - 4, &g, &err), 0);
    assert_int_equal(capabilities & ~g.capabilities, 0);
    c->id = g.connection_id;
    sl_buf_consume(&c->in, packet.len);
    struct sl_handshake_response r = {.capabilities = capabilities,
                                      .max_packet = 1 << 24,
                                      .collation = 45,
                                      .user = sl_slice_text("u"),
                                      .plugin = sl_slice_text(SL_PLUGIN_NATIVE)};
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_handshake_response_build(&out, 1, &r), 0);
    assert_int_equal(send(c->fd, sl_buf_slice(&out).data, sl_buf_len(&out), MSG_NOSIGNAL),
                     sl_buf_len(&out));
    sl_buf_free(&out);
    assert_true(next_packet(w, c, &packet));
    if (packet.data[4] == 0xff && ret_error) {
        take_error(packet, ret_error);
        return;
    }
    assert_int_equal(packet.data[4], 0);
    assert_int_equal(packet.data[3], 2);
    assert_int_equal(sl_buf_append(&c->login_ok, packet.data, packet.len), 0);
    sl_buf_consume(&c->in, packet.len);
}

void client_open(struct world *w, struct client *c, uint64_t capabilities)
{
    client_open_at(w, c, w->port, capabilities, NULL);
}

void client_close(struct client *c)
{
    close(c->fd);
    sl_buf_free(&c->in);
    sl_buf_free(&c->login_ok);
}

void client_send(struct client *c, uint8_t command, const void *arg, size_t len)
{
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_packet_build_command(&out, command, sl_slice(arg, len)), 0);
    struct sl_slice s = sl_buf_slice(&out);
    assert_int_equal(send(c->fd, s.data, s.len, MSG_NOSIGNAL), s.len);
    sl_buf_free(&out);
}

void client_send_text(struct client *c, const char *sql)
{
    client_send(c, SL_COM_QUERY, sql, strlen(sql));
}

/* The rows' first column: all rows of a reply must come from the same server. */
static void read_rows(const struct client *c, struct sl_slice reply, struct answer *a)
{
    unsigned at_packet = 0;
    unsigned rows_at = c->capabilities & SL_CAP_DEPRECATE_EOF ? 3 : 4;
    for (size_t at = 0; at < reply.len; at_packet++) {
        struct sl_slice payload = sl_slice(reply.data + at + 4, sl_get_le24(reply.data + at));
        at += 4 + payload.len;
        if (at_packet < rows_at || payload.data[0] >= 0xfe) {
            continue;
        }
        struct sl_reader r = sl_reader_slice(payload);
        struct sl_slice server = sl_read_lestr(&r);
        if (a->server[0]) {
            assert_true(sl_slice_equal(server, sl_slice_text(a->server)));
        }
        snprintf(a->server, sizeof a->server, "%.*s", (int)server.len, (const char *)server.data);
    }
}

static void read_last_error(struct sl_slice reply, struct answer *a)
{
    size_t at = 0;
    while (at + 4 + sl_get_le24(reply.data + at) < reply.len) {
        at += 4 + sl_get_le24(reply.data + at);
    }
    take_error(sl_slice(reply.data + at, reply.len - at), a);
}

struct answer client_wait(struct world *w, struct client *c, uint8_t command, unsigned timeout_ms)
{
    struct answer a = {0};
    struct sl_reply r = {.deprecate_eof = (c->capabilities & SL_CAP_DEPRECATE_EOF) != 0,
                         .session_track = (c->capabilities & SL_CAP_SESSION_TRACK) != 0};
    sl_reply_start(&r, command);
    uint64_t deadline = sl_clock_mono_ms() + timeout_ms;
    size_t fed = 0;
    for (;;) {
        struct sl_slice s = sl_buf_slice(&c->in);
        while (fed < s.len && r.state != SL_REPLY_DONE) {
            size_t n = sl_reply_feed(&r, s.data + fed, s.len - fed);
            if (r.state == SL_REPLY_BROKEN) {
                fail_msg("the client got a broken reply: %s", r.broken_why);
            }
            fed += n;
            if (n == 0) {
                break;
            }
        }
        if (sl_reply_is_done(&r) || a.is_closed) {
            break;
        }
        a.is_late = sl_clock_mono_ms() > deadline;
        if (a.is_late) {
            return a;
        }
        a.is_closed = !receive(w, c);
    }
    if (sl_reply_is_done(&r)) {
        a.kind = r.kind;
        a.status = r.status;
        a.rows = r.rows;
        a.stmt_id = r.stmt_id;
        a.affected_rows = r.affected_rows;
        a.insert_id = r.last_insert_id;
        struct sl_slice reply = sl_slice(sl_buf_slice(&c->in).data, fed);
        if (r.kind == SL_REPLY_KIND_ERR) {
            read_last_error(reply, &a);
        } else if (r.kind == SL_REPLY_KIND_RESULTSET) {
            read_rows(c, reply, &a);
        }
        sl_buf_consume(&c->in, fed);
    }
    return a;
}

struct answer client_query(struct world *w, struct client *c, const char *sql)
{
    client_send_text(c, sql);
    return client_wait(w, c, SL_COM_QUERY, WAIT_MS);
}

void expect_select_on(struct world *w, struct client *c, const char *sql, const char *server)
{
    struct answer a = client_query(w, c, sql);
    if (a.kind != SL_REPLY_KIND_RESULTSET) {
        fail_msg("%s: kind %d code %u %s%s", sql, a.kind, a.code, a.message,
                 a.is_late ? " (late)" : "");
    }
    if (server) {
        assert_string_equal(a.server, server);
    }
}

void expect_ok(struct world *w, struct client *c, const char *sql)
{
    struct answer a = client_query(w, c, sql);
    if (a.kind != SL_REPLY_KIND_OK) {
        fail_msg("%s: kind %d code %u %s%s", sql, a.kind, a.code, a.message,
                 a.is_late ? " (late)" : "");
    }
}

void client_open_all(struct world *w, struct client *c)
{
    client_open(w, c, CLIENT_CAPABILITIES);
    for (unsigned i = 0; i < SERVERS; i++) {
        world_wait_connections(w, i, 1);
    }
    expect_ok(w, c, "SET @warm=1"); /* all of them are ready when all have run it */
    while (world_count(w, "SET @warm") < SERVERS) {
        world_pump(w, 1);
    }
}

unsigned client_next_replica(struct world *w, struct client *c)
{
    struct answer a = client_query(w, c, "SELECT 'probe'");
    assert_int_equal(a.kind, SL_REPLY_KIND_RESULTSET);
    return a.server[1] == '2' ? 2 : 1;
}
