/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. */
#include "relay_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../repl/events.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/constants.h"
#include "proto/handshake.h"

/* ---- a router that knows dumps ---- */

static struct world *the_world; /* of the router; one at a time */

static void on_grown(void *arg)
{
    sl_dump_wake_all(arg);
}

static bool may_purge(void *arg, const struct sl_gtid_list *next_list)
{
    return sl_replicas_may_purge(((struct sl_relay *)arg)->replicas, next_list);
}

static int instance_new(struct sl_service *service, void **ret, struct sl_err *err)
{
    struct sl_relay *relay = sl_xcalloc(1, sizeof *relay);
    relay->service = service;
    relay->settings = service->router_settings;
    relay->settings->server_id = WORLD_SERVER_ID;
    relay->datadir = sl_xasprintf("%s/binlogs", the_world->dir);
    relay->worker_count = service->worker_count;
    relay->workers = aligned_alloc(64, relay->worker_count * sizeof *relay->workers);
    memset(relay->workers, 0, relay->worker_count * sizeof *relay->workers);
    for (unsigned i = 0; i < relay->worker_count; i++) {
        relay->workers[i].relay = relay;
        relay->workers[i].worker = &service->core->workers[i];
        sl_dump_worker_init(&relay->workers[i]);
    }
    struct sl_store_config config = {.name = service->name,
                                     .datadir = relay->datadir,
                                     .server_id = WORLD_SERVER_ID,
                                     .tuning = {.minimum_files = 1, .plain_files = 1},
                                     .on_grown = on_grown,
                                     .may_purge = may_purge,
                                     .arg = relay};
    assert_int_equal(sl_replicas_new(the_world->dir, 3600000, &relay->replicas, err), SL_OK);
    int rc = sl_store_open(&config, &relay->store, err);
    if (rc < 0) {
        fail_msg("%s", err->text);
    }
    the_world->relay = relay;
    the_world->store = relay->store;
    *ret = relay;
    return SL_OK;
}

static void instance_free(void *instance)
{
    struct sl_relay *relay = instance;
    sl_store_close(relay->store);
    sl_replicas_free(relay->replicas);
    for (unsigned i = 0; i < relay->worker_count; i++) {
        sl_dump_worker_clear(&relay->workers[i]);
    }
    free(relay->workers);
    sl_free(relay->datadir);
    sl_free(relay);
}

static int session_open(struct sl_session *s, struct sl_err *err)
{
    const struct world_says *says = &the_world->says;
    struct sl_relay_session *rs = sl_xcalloc(1, sizeof *rs);
    rs->session = s;
    rs->has_connect_state = says->connect_state != NULL;
    rs->connect_state = sl_strdup(says->connect_state);
    rs->until = sl_strdup(says->until);
    rs->strict = says->strict;
    rs->ignore_duplicates = says->ignore_duplicates;
    rs->skip_replication = says->skip_replication;
    rs->wants_semi_sync = says->semi_sync;
    rs->has_checksum = !says->no_checksum;
    rs->checksum_is_crc32 = !says->no_checksum && !says->checksum_none;
    rs->capability = says->capability ? says->capability : 4;
    rs->heartbeat_ns = says->heartbeat_ns;
    s->router = rs;
    return SL_OK;
}

static void session_close(struct sl_session *s)
{
    struct sl_relay_session *rs = s->router;
    sl_dump_end(rs);
    sl_free(rs->connect_state);
    sl_free(rs->until);
    sl_free(rs);
    s->router = NULL;
}

static void on_request(struct sl_session *s, struct sl_request *rq)
{
    struct sl_relay_session *rs = s->router;
    const uint8_t *payload = rq->data + SL_PACKET_HEADER;
    size_t len = rq->len - SL_PACKET_HEADER;
    if (s->is_raw) {
        sl_dump_client_packet(rs, payload, len);
    } else if (rq->command == SL_COM_REGISTER_SLAVE) {
        sl_dump_register(rs, payload + 1, len - 1);
    } else if (rq->command == SL_COM_BINLOG_DUMP) {
        sl_dump_start(rs, payload + 1, len - 1);
    } else {
        sl_session_answer_ok(s);
    }
}

static void on_writable(struct sl_session *s)
{
    sl_dump_on_writable(s->router);
}

static void on_sweep(struct sl_session *s, uint64_t now_ms)
{
    sl_dump_sweep(s->router, now_ms);
}

static void worker_end(struct sl_service *service, struct sl_worker *worker)
{
    struct sl_relay *relay = service->instance;
    sl_dump_worker_end(&relay->workers[worker->index]);
}

static const struct sl_router_ops ops = {
    .instance_new = instance_new,
    .instance_free = instance_free,
    .serves_replicas = true,
    .worker_end = worker_end,
    .session_open = session_open,
    .session_close = session_close,
    .on_request = on_request,
    .on_writable = on_writable,
    .on_sweep = on_sweep,
};

static const struct sl_module module = {
    .name = "binlogrouter",
    .kind = SL_MODULE_ROUTER,
    .version = "1.0.0",
    .description = "Of the tests",
    .maturity = "Beta",
    .settings = &sl_settings_binlogrouter,
    .ops = &ops,
};

static const struct sl_module *const modules[] = {&module, NULL};

static const struct sl_settings *find_module(void *arg, enum sl_conf_kind kind, const char *name,
                                             bool *ret_exists)
{
    *ret_exists = strcmp(name, module.name) == 0;
    return *ret_exists ? module.settings : NULL;
}

/* ---- up and down ---- */

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

static struct sl_config *load(struct world *w, const char *lines)
{
    char path[128], accounts[128], text[2048];
    snprintf(path, sizeof path, "%s/m.cnf", w->dir);
    snprintf(accounts, sizeof accounts, "%s/accounts.json", w->dir);
    write_file(accounts, "{\"user\":[{\"user\":\"u\",\"host\":\"%\",\"global_db_priv\":true,"
                         "\"super_priv\":true}]}");
    w->port = free_port();
    snprintf(text, sizeof text,
             "[maxscale]\nthreads=2\nadmin_enabled=false\nusers_refresh_time=0s\n"
             "skip_name_resolve=true\ndatadir=%s\n"
             "[s1]\ntype=server\naddress=127.0.0.1\nport=1\n"
             "[relay]\ntype=service\nrouter=binlogrouter\nservers=s1\nuser=u\npassword=x\n"
             "user_accounts_file=%s\nuser_accounts_file_usage=file_only_always\n%s\n"
             "[relay-listener]\ntype=listener\nservice=relay\naddress=127.0.0.1\nport=%u\n",
             w->dir, accounts, lines, w->port);
    write_file(path, text);
    static const struct sl_conf_modules conf_modules = {NULL, find_module};
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
    return config;
}

void world_up_with(struct world *w, const char *service_lines)
{
    *w = (struct world){0};
    the_world = w;
    sl_log_set_level_mask(getenv("SEALANE_TEST_LOG") ? ~0u : 0);
    snprintf(w->dir, sizeof w->dir, "/tmp/sealane-relay-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    struct sl_config *config = load(w, service_lines);
    struct sl_err err = SL_ERR_INIT;
    if (sl_core_start(config, modules, &w->core, &err) < 0) {
        fail_msg("%s", err.text);
    }
    atomic_store(&w->relay->ahead_timeout_ms, WORLD_WAIT_MS);
    struct sl_accounts *a;
    WORLD_WAIT((a = sl_account_manager_get(w->core->services[0]->accounts)) != NULL);
    sl_accounts_unref(a);
}

void world_up(struct world *w)
{
    world_up_with(w, "");
}

/* Sessions and dumps that are there. */
static unsigned left(const struct world *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w->core->worker_count; i++) {
        n += atomic_load(&w->core->workers[i].session_count);
        n += atomic_load(&w->relay->workers[i].dump_count);
    }
    return n;
}

void world_down(struct world *w)
{
    WORLD_WAIT(left(w) == 0);
    sl_core_stop(w->core);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
}

/* ---- the log ---- */

static void must(int rc, const struct sl_err *err)
{
    if (rc != SL_OK) {
        fail_msg("%d: %s", rc, err->text);
    }
}

static void add(struct world *w, uint8_t *event, uint32_t len)
{
    struct sl_err err = SL_ERR_INIT;
    enum sl_group_step step;
    if (!w->has_crc) { /* the makers always put one behind */
        len -= SL_EVENT_CRC;
        sl_put_le32(event + 9, len);
    }
    assert_int_equal(sl_group_feed(&w->group, event, len, w->has_crc, &step), SL_OK);
    assert_int_not_equal(step, SL_GROUP_BROKEN);
    must(sl_store_add(w->store, event, len, step, &w->group, &err), &err);
}

void world_commit(struct world *w)
{
    struct sl_err err = SL_ERR_INIT;
    uint64_t us;
    must(sl_store_commit(w->store, &us, &err), &err);
}

void world_file(struct world *w, bool has_crc, uint32_t created)
{
    struct sl_err err = SL_ERR_INIT;
    uint8_t fde[512];
    uint32_t len = make_fde(fde, has_crc ? 1 : 0);
    sl_fde_set_created(fde, len, created);
    w->has_crc = has_crc;
    must(sl_store_begin_file(w->store, "pbin", fde, len, false, &err), &err);
    world_commit(w);
}

static struct sl_gtid gtid_of(const char *text)
{
    struct sl_gtid g;
    assert_int_equal(sl_gtid_parse(sl_slice_text(text), &g), SL_OK);
    return g;
}

static void add_gtid(struct world *w, struct sl_gtid g, uint8_t flags2, uint16_t flags)
{
    uint8_t event[64];
    uint32_t len = make_gtid(event, g.domain, g.seq, flags2);
    sl_put_le32(event + 5, g.server_id);
    sl_put_le16(event + 17, flags);
    sl_event_crc_put(event, len);
    add(w, event, len);
}

static void add_any(struct world *w, uint8_t type, uint16_t flags, uint32_t body_len)
{
    uint8_t *body = calloc(1, body_len + 1), *event = malloc(body_len + 64);
    memset(body, type, body_len);
    if (body_len >= 8) {
        sl_put_le64(body, ++w->rows);
    }
    add(w, event, make_event(event, type, flags, body, body_len));
    free(body);
    free(event);
}

static void add_group(struct world *w, const char *gtid, unsigned rows, uint32_t row_len,
                      uint16_t flags)
{
    add_gtid(w, gtid_of(gtid), SL_GTID_TRANSACTIONAL, flags);
    for (unsigned i = 0; i < rows; i++) {
        add_any(w, SL_EVENT_ANNOTATE_ROWS, flags, 20);
        add_any(w, SL_EVENT_TABLE_MAP, flags, 30);
        add_any(w, SL_EVENT_WRITE_ROWS, flags, row_len);
    }
    add_any(w, SL_EVENT_XID, flags, 8);
}

void world_group(struct world *w, const char *gtid, unsigned rows, uint32_t row_len)
{
    add_group(w, gtid, rows, row_len, 0);
}

void world_group_flagged(struct world *w, const char *gtid, uint16_t flags)
{
    add_group(w, gtid, 1, 100, flags);
}

void world_ddl(struct world *w, const char *gtid, uint32_t text_len)
{
    add_gtid(w, gtid_of(gtid), SL_GTID_STANDALONE | SL_GTID_DDL, 0);
    uint32_t body_len = 13 + 1 + text_len;
    uint8_t *body = calloc(1, body_len), *event = malloc(body_len + 64);
    memset(body + 14, 'x', text_len);
    add(w, event, make_event(event, SL_EVENT_QUERY, 0, body, body_len));
    free(body);
    free(event);
}

/* ---- replicas ---- */

static bool receive(struct replica *r, unsigned ms)
{
    struct pollfd p = {r->fd, POLLIN, 0};
    if (r->is_closed || poll(&p, 1, (int)ms) <= 0) {
        return false;
    }
    assert_int_equal(sl_buf_reserve(&r->in, 65536), SL_OK);
    ssize_t n = recv(r->fd, r->in.data + r->in.end, 65536, MSG_DONTWAIT);
    r->is_closed = n <= 0;
    if (n > 0) {
        sl_buf_commit(&r->in, (size_t)n);
    }
    return n > 0;
}

static bool whole(const struct replica *r)
{
    struct sl_slice s = sl_buf_slice(&r->in);
    return s.len >= 4 && s.len >= 4 + (size_t)sl_packet_len(s.data);
}

static bool physical(struct replica *r, struct sl_slice *ret, uint8_t *ret_seq)
{
    while (!whole(r)) {
        if (!receive(r, WORLD_WAIT_MS)) {
            assert_true(r->is_closed);
            return false;
        }
    }
    struct sl_slice s = sl_buf_slice(&r->in);
    *ret_seq = sl_packet_seq(s.data);
    *ret = sl_slice(s.data + 4, sl_packet_len(s.data));
    return true;
}

bool replica_packet(struct replica *r, struct sl_slice *ret)
{
    struct sl_slice part;
    uint8_t seq;
    sl_buf_clear(&r->payload);
    do {
        if (!physical(r, &part, &seq)) {
            return false;
        }
        assert_int_equal(seq, r->seq);
        r->seq++;
        assert_int_equal(sl_buf_append(&r->payload, part.data, part.len), SL_OK);
        sl_buf_consume(&r->in, 4 + part.len);
    } while (part.len == SL_PACKET_MAX);
    *ret = sl_buf_slice(&r->payload);
    return true;
}

bool replica_is_quiet(struct replica *r, unsigned ms)
{
    return sl_buf_len(&r->in) == 0 && !receive(r, ms) && !r->is_closed;
}

static void send_all(struct replica *r, const struct sl_buf *b)
{
    struct sl_slice s = sl_buf_slice(b);
    assert_int_equal(send(r->fd, s.data, s.len, MSG_NOSIGNAL), s.len);
}

static void expect_ok(struct replica *r)
{
    struct sl_slice p;
    assert_true(replica_packet(r, &p));
    assert_int_equal(p.data[0], 0);
}

void replica_open(struct world *w, struct replica *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *r = (struct replica){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                          .is_semi_sync = w->says.semi_sync};
    assert_int_equal(connect(r->fd, (struct sockaddr *)&a, sizeof a), 0);
    struct sl_slice p;
    struct sl_greeting g;
    struct sl_packet_err err;
    assert_true(replica_packet(r, &p));
    assert_int_equal(sl_greeting_parse(p.data, p.len, &g, &err), 0);
    r->id = g.connection_id;
    struct sl_handshake_response h = {.capabilities = SL_CAP_PROTOCOL_41 |
                                                      SL_CAP_SECURE_CONNECTION | SL_CAP_PLUGIN_AUTH,
                                      .max_packet = 1 << 24,
                                      .collation = 45,
                                      .user = sl_slice_text("u"),
                                      .plugin = sl_slice_text(SL_PLUGIN_NATIVE)};
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_handshake_response_build(&out, 1, &h), 0);
    send_all(r, &out);
    sl_buf_free(&out);
    r->seq = 2;
    expect_ok(r);
}

void replica_close(struct replica *r)
{
    close(r->fd);
    sl_buf_free(&r->in);
    sl_buf_free(&r->payload);
}

static void send_payload(struct replica *r, struct sl_buf *payload)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_slice s = sl_buf_slice(payload);
    assert_int_equal(sl_packet_build_command(&out, s.data[0], sl_slice(s.data + 1, s.len - 1)), 0);
    send_all(r, &out);
    sl_buf_free(&out);
    sl_buf_free(payload);
    r->seq = 1;
}

void replica_register(struct replica *r, uint32_t server_id)
{
    struct sl_buf payload = SL_BUF_INIT;
    assert_int_equal(sl_register_slave_build(&payload, server_id, "replica host", 3307), SL_OK);
    send_payload(r, &payload);
    expect_ok(r);
}

void replica_dump(struct replica *r, const char *file, uint32_t position, uint16_t flags,
                  uint32_t server_id)
{
    struct sl_buf payload = SL_BUF_INIT;
    assert_int_equal(sl_binlog_dump_build(&payload, server_id, position, flags, file), SL_OK);
    send_payload(r, &payload);
}

void replica_start(struct world *w, struct replica *r, uint32_t server_id)
{
    replica_open(w, r);
    replica_register(r, server_id);
    replica_dump(r, "", 4, SL_DUMP_ANNOTATE_ROWS, server_id);
}

struct event replica_event(struct replica *r)
{
    struct sl_slice p;
    struct event e = {0};
    assert_true(replica_packet(r, &p));
    if (p.data[0] == 0xff) {
        fail_msg("an error: %.*s", (int)p.len - 9, (const char *)p.data + 9);
    }
    assert_int_equal(p.data[0], 0);
    size_t front = r->is_semi_sync ? 3 : 1;
    if (r->is_semi_sync) {
        assert_int_equal(p.data[1], 0xef);
        e.ack = p.data[2];
        r->seq = e.ack ? 1 : r->seq; /* the acknowledgement has number 0 */
    }
    e.data = p.data + front;
    e.len = (uint32_t)(p.len - front);
    assert_int_equal(sl_event_header_parse(e.data, &e.h), SL_OK);
    assert_int_equal(e.h.length, e.len);
    return e;
}

struct event replica_expect(struct replica *r, uint8_t type)
{
    struct event e = replica_event(r);
    if (e.h.type != type) {
        fail_msg("%s instead of %s, log_pos %u", sl_event_type_text(e.h.type),
                 sl_event_type_text(type), e.h.log_pos);
    }
    return e;
}

void replica_expect_start(struct replica *r, const char *file)
{
    struct event e = replica_expect(r, SL_EVENT_ROTATE);
    struct sl_rotate_event rotate;
    assert_int_equal(e.h.flags, SL_EVENT_FLAG_ARTIFICIAL);
    assert_int_equal(e.h.server_id, WORLD_SERVER_ID);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    assert_int_equal(sl_rotate_event_parse(e.data, e.len, true, &rotate), SL_OK);
    assert_true(sl_slice_equal(rotate.file, sl_slice_text(file)));
    assert_int_equal(rotate.position, 4);
    e = replica_expect(r, SL_EVENT_FORMAT_DESCRIPTION);
    assert_true(sl_event_crc_is_right(e.data, e.len));
    replica_expect(r, SL_EVENT_GTID_LIST);
}

unsigned replica_expect_group(struct replica *r, const char *gtid)
{
    struct event e = replica_expect(r, SL_EVENT_GTID);
    struct sl_gtid_event g;
    char text[SL_GTID_TEXT_MAX];
    assert_int_equal(sl_gtid_event_parse(e.data, e.len, true, &g), SL_OK);
    snprintf(text, sizeof text, "%u-%u-%llu", g.gtid.domain, g.gtid.server_id,
             (unsigned long long)g.gtid.seq);
    assert_string_equal(text, gtid);
    unsigned rows = 0;
    for (;;) {
        e = replica_event(r);
        assert_true(sl_event_crc_is_right(e.data, e.len));
        rows += e.h.type == SL_EVENT_WRITE_ROWS;
        if (e.h.type == SL_EVENT_XID ||
            (e.h.type == SL_EVENT_QUERY && (g.flags2 & SL_GTID_STANDALONE))) {
            return rows;
        }
        assert_true(e.h.type == SL_EVENT_ANNOTATE_ROWS || e.h.type == SL_EVENT_TABLE_MAP ||
                    e.h.type == SL_EVENT_WRITE_ROWS);
    }
}

void replica_expect_error(struct replica *r, uint16_t code, const char *text)
{
    struct sl_slice p;
    struct sl_packet_err err;
    assert_true(replica_packet(r, &p));
    assert_int_equal(sl_packet_err_parse(p.data, p.len, &err), SL_OK);
    char got[600];
    snprintf(got, sizeof got, "%.*s", (int)err.message.len, (const char *)err.message.data);
    assert_string_equal(got, text);
    assert_int_equal(err.code, code);
}

void replica_expect_eof(struct replica *r)
{
    struct sl_slice p;
    assert_true(replica_packet(r, &p));
    assert_int_equal(p.len, 5);
    assert_memory_equal(p.data, "\xfe\0\0\2\0", 5);
}
