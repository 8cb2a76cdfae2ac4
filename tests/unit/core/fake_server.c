/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. */
#include "fake_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "proto/handshake.h"
#include "proto/ok.h"
#include "sql/classify.h"

#define FAKE_CAPABILITIES                                                                          \
    ((0x81FFFFFEull & ~(uint64_t)(SL_CAP_SSL | SL_CAP_COMPRESS)) | SL_CAP_PROGRESS | SL_CAP_BULK | \
     SL_CAP_EXTENDED_METADATA)

static void open_port(struct fake_server *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof a;
    int on = 1;
    f->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(f->listen_fd >= 0);
    setsockopt(f->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(f->listen_fd, 64), 0);
    assert_int_equal(getsockname(f->listen_fd, (struct sockaddr *)&a, &len), 0);
    f->port = ntohs(a.sin_port);
}

void fake_server_start(struct fake_server *f, const char *name)
{
    *f = (struct fake_server){.name = name, .rows = 1};
    for (unsigned i = 0; i < FAKE_CONNS; i++) {
        f->conns[i].fd = -1;
    }
    open_port(f);
}

static void drop(struct fake_conn *c, bool with_reset)
{
    if (c->fd < 0) {
        return;
    }
    if (with_reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    close(c->fd);
    sl_buf_free(&c->in);
    *c = (struct fake_conn){.fd = -1};
}

void fake_server_kill(struct fake_server *f, bool down)
{
    for (unsigned i = 0; i < FAKE_CONNS; i++) {
        drop(&f->conns[i], true);
    }
    if (down && f->listen_fd >= 0) {
        close(f->listen_fd);
        f->listen_fd = -1;
    }
}

void fake_server_revive(struct fake_server *f)
{
    if (f->listen_fd < 0) {
        open_port(f);
    }
}

void fake_server_forget(struct fake_server *f)
{
    for (unsigned i = 0; i < f->logged; i++) {
        free(f->log[i]);
    }
    f->logged = 0;
}

void fake_server_stop(struct fake_server *f)
{
    fake_server_kill(f, true);
    fake_server_forget(f);
}

void fake_server_break(struct fake_server *f, enum fake_fault fault, const char *text)
{
    f->fault = fault;
    f->fault_text = text;
    f->faults_left = 1;
}

unsigned fake_server_connections(const struct fake_server *f)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FAKE_CONNS; i++) {
        n += f->conns[i].fd >= 0 && f->conns[i].is_in;
    }
    return n;
}

unsigned fake_server_count(const struct fake_server *f, const char *prefix)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f->logged; i++) {
        n += strncmp(f->log[i], prefix, strlen(prefix)) == 0;
    }
    return n;
}

static void note(struct fake_server *f, const char *what, struct sl_slice text)
{
    if (f->keeps_quiet) {
        return;
    }
    assert_true(f->logged < FAKE_LOG);
    const char *data = text.len > 0 ? (const char *)text.data : "";
    assert_true(asprintf(&f->log[f->logged++], "%s%.*s", what, (int)text.len, data) > 0);
}

/* ---- sending ---- */

static void send_bytes(struct fake_conn *c, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0 && c->fd >= 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            usleep(1000);
            continue;
        }
        if (n < 0) {
            return; /* the proxy hung up */
        }
        p += n;
        len -= (size_t)n;
    }
}

static void send_buf(struct fake_conn *c, struct sl_buf *out)
{
    send_bytes(c, sl_buf_slice(out).data, sl_buf_len(out));
    sl_buf_free(out);
}

static void send_ok(struct fake_conn *c, uint8_t seq, uint64_t affected)
{
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_packet_build_ok(&out, seq, affected, 0, c->status, 0, NULL), 0);
    send_buf(c, &out);
}

static void send_err(struct fake_conn *c, uint8_t seq, uint16_t code, const char *text)
{
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_packet_build_err(&out, seq, code, NULL, "%s", text), 0);
    send_buf(c, &out);
}

static void greet(struct fake_server *f, struct fake_conn *c)
{
    c->is_greeted = true;
    if (f->login == FAKE_LOGIN_SILENT) {
        return;
    }
    if (f->login == FAKE_LOGIN_GARBAGE) {
        send_bytes(c, "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", 30);
        return;
    }
    if (f->login == FAKE_LOGIN_CLOSE) {
        drop(c, false);
        return;
    }
    struct sl_greeting g = {.version = sl_slice_text("5.5.5-10.11.19-MariaDB"),
                            .connection_id = 1000 + f->accepted,
                            .is_mariadb = true,
                            .collation = 45,
                            .status = SL_STATUS_AUTOCOMMIT,
                            .capabilities = FAKE_CAPABILITIES,
                            .plugin = sl_slice_text(SL_PLUGIN_NATIVE)};
    memset(g.scramble, 'x', sizeof g.scramble);
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_greeting_build(&out, &g), 0);
    send_buf(c, &out);
}

/* ---- results ---- */

static void build_rows(struct fake_server *f, struct fake_conn *c, struct sl_slice sql,
                       struct sl_buf *out)
{
    static const struct sl_resultset_column columns[] = {{.name = "server"}, {.name = "text"}};
    struct sl_resultset rs;
    sl_resultset_begin(&rs, out, 1, c->capabilities, c->status, columns, 2);
    for (unsigned i = 0; i < f->rows; i++) {
        struct sl_slice values[2] = {sl_slice_text(f->alias ? f->alias : f->name), sql};
        sl_resultset_row(&rs, values);
    }
    assert_int_equal(sl_resultset_end(&rs), 0);
}

/* Offset of the n-th packet in a buffer of whole packets. */
static size_t packet_at(struct sl_slice s, unsigned n)
{
    size_t at = 0;
    while (n-- > 0) {
        at += 4 + sl_get_le24(s.data + at);
        sl_assert(at <= s.len);
    }
    return at;
}

static uint16_t port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in a = {0};
    socklen_t len = sizeof a;
    assert_int_equal(name(fd, (struct sockaddr *)&a, &len), 0);
    return ntohs(a.sin_port);
}

/* Whether the kernel still keeps bytes for the reader of port `to`, of the connection with `from`:
 * rx_queue in proc_net_tcp(5). */
static bool has_unread(uint16_t from, uint16_t to)
{
    bool found = false;
    char line[512];
    FILE *f = fopen("/proc/net/tcp", "re");
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f)) {
        unsigned local, remote, unread;
        found = sscanf(line, " %*u: %*8x:%x %*8x:%x %*x %*x:%x", &local, &remote, &unread) == 3 &&
                local == to && remote == from && unread > 0;
    }
    fclose(f);
    return found;
}

/* Waits until the other side has read all that was sent. */
static void wait_read(const struct fake_conn *c)
{
    uint16_t from = port_of(c->fd, getsockname), to = port_of(c->fd, getpeername);
    do {
        usleep(1000);
    } while (has_unread(from, to));
}

static void send_broken(struct fake_server *f, struct fake_conn *c, enum fake_fault fault,
                        struct sl_slice sql)
{
    struct sl_buf out = SL_BUF_INIT;
    build_rows(f, c, sql, &out);
    struct sl_slice all = sl_buf_slice(&out);
    bool has_eof = !(c->capabilities & SL_CAP_DEPRECATE_EOF);
    unsigned rows_at = 3 + has_eof; /* count, two definitions, EOF */
    size_t cut = 0;
    switch (fault) {
    case FAKE_CUT_HEADER:
        cut = 2;
        break;
    case FAKE_CUT_COUNT:
        cut = packet_at(all, 1);
        break;
    case FAKE_CUT_DEFINITION:
        cut = packet_at(all, 1) + 9;
        break;
    case FAKE_CUT_DEFINITIONS:
    case FAKE_GARBAGE_MIDDLE:
        cut = packet_at(all, rows_at);
        break;
    case FAKE_CUT_ROW:
    case FAKE_RST_ROW:
        cut = packet_at(all, rows_at + 1) + 6;
        break;
    case FAKE_CUT_ROWS:
        cut = packet_at(all, rows_at + f->rows);
        break;
    case FAKE_BAD_SEQUENCE:
        out.data[out.start + 3] = 7;
        cut = all.len;
        break;
    case FAKE_TWO_REPLIES:
        cut = all.len;
        break;
    default:
        break;
    }
    send_bytes(c, all.data, cut);
    if (fault == FAKE_TWO_REPLIES) {
        send_bytes(c, all.data, all.len);
    } else if (fault == FAKE_GARBAGE_MIDDLE) {
        send_bytes(c, "\xff\xff\x01\x63garbage garbage garbage", 27);
    }
    sl_buf_free(&out);
    if (fault == FAKE_RST_ROW) {
        wait_read(c); /* a reset overtakes bytes that the other side has not read yet */
    }
    if (fault != FAKE_BAD_SEQUENCE && fault != FAKE_TWO_REPLIES && fault != FAKE_GARBAGE_MIDDLE) {
        drop(c, fault == FAKE_RST_ROW);
    }
}

static void meet_fault(struct fake_server *f, struct fake_conn *c, struct sl_slice sql)
{
    f->faults_left--;
    switch (f->fault) {
    case FAKE_FREEZE:
        break;
    case FAKE_CLOSE_BEFORE:
        drop(c, false);
        break;
    case FAKE_RST_BEFORE:
        drop(c, true);
        break;
    case FAKE_GARBAGE:
        send_bytes(c, "\x00\x00\x40\x01garbage", 11);
        break;
    case FAKE_ERR_NOT_READY:
        send_err(c, 1, SL_ER_UNKNOWN_COM, "WSREP has not yet prepared node for application use");
        break;
    case FAKE_ERR_SHUTDOWN:
        send_err(c, 1, SL_ER_SERVER_SHUTDOWN, "Server shutdown in progress");
        drop(c, false);
        break;
    case FAKE_ERR_SYNTAX:
        send_err(c, 1, SL_ER_PARSE, "You have an error in your SQL syntax");
        break;
    case FAKE_ERR_READ_ONLY:
        send_err(c, 1, SL_ER_OPTION_PREVENTS_STATEMENT,
                 "The MariaDB server is running with the --read-only option so it cannot execute "
                 "this statement");
        break;
    case FAKE_ERR_DEADLOCK:
        c->status &= (uint16_t) ~(SL_STATUS_IN_TRANS | SL_STATUS_IN_TRANS_READONLY);
        send_err(c, 1, SL_ER_LOCK_DEADLOCK, "Deadlock found when trying to get lock");
        break;
    default:
        send_broken(f, c, f->fault, sql);
        break;
    }
}

static void track_trx(struct fake_conn *c, struct sl_slice sql)
{
    struct sl_sql_info info;
    sl_sql_classify(sql.data, sql.len, 0, &info);
    if (info.type & SL_SQL_TRX_BEGIN) {
        c->status |= SL_STATUS_IN_TRANS;
        if (info.type & SL_SQL_TRX_READ_ONLY) {
            c->status |= SL_STATUS_IN_TRANS_READONLY;
        }
    } else if (info.type & SL_SQL_TRX_CHAIN) {
        c->status |= SL_STATUS_IN_TRANS; /* the next one has begun */
    } else if (info.type & (SL_SQL_TRX_COMMIT | SL_SQL_TRX_ROLLBACK)) {
        c->status &= (uint16_t) ~(SL_STATUS_IN_TRANS | SL_STATUS_IN_TRANS_READONLY);
    } else if (info.type & SL_SQL_AUTOCOMMIT_OFF) {
        c->status &= (uint16_t)~SL_STATUS_AUTOCOMMIT;
    } else if (info.type & SL_SQL_AUTOCOMMIT_ON) {
        c->status = SL_STATUS_AUTOCOMMIT;
    } else if (!(c->status & SL_STATUS_AUTOCOMMIT)) {
        c->status |= SL_STATUS_IN_TRANS;
    }
}

/* One row with an auto-increment value. */
static void send_inserted(struct fake_server *f, struct fake_conn *c)
{
    struct sl_buf out = SL_BUF_INIT;
    uint64_t id = c->forced_id > 0 ? c->forced_id : f->insert_id++;
    c->forced_id = 0;
    assert_int_equal(sl_packet_build_ok(&out, 1, 1, id, c->status, 0, NULL), 0);
    send_buf(c, &out);
}

static void query(struct fake_server *f, struct fake_conn *c, struct sl_slice sql)
{
    note(f, "", sql);
    track_trx(c, sql);
    bool is_hit = f->faults_left > 0 && sql.len >= strlen(f->fault_text) &&
                  memcmp(sql.data, f->fault_text, strlen(f->fault_text)) == 0;
    if (is_hit) {
        meet_fault(f, c, sql);
    } else if (sql.len > 6 && memcmp(sql.data, "SELECT", 6) == 0) {
        struct sl_buf out = SL_BUF_INIT;
        build_rows(f, c, sql, &out);
        send_buf(c, &out);
    } else if (f->insert_id > 0 && sql.len > 6 && memcmp(sql.data, "INSERT", 6) == 0) {
        send_inserted(f, c);
    } else {
        if (sql.len > 14 && memcmp(sql.data, "SET insert_id=", 14) == 0) {
            char text[32] = {0};
            memcpy(text, sql.data + 14, SL_MIN(sql.len - 14, sizeof text - 1));
            c->forced_id = strtoull(text, NULL, 10);
        }
        send_ok(c, 1, 0);
    }
}

static void prepare(struct fake_server *f, struct fake_conn *c, struct sl_slice sql)
{
    note(f, "PREPARE ", sql);
    if (f->faults_left > 0 && strncmp(f->fault_text, "PREPARE", 7) == 0) {
        meet_fault(f, c, sql);
        return;
    }
    uint16_t params = 0;
    for (size_t i = 0; i < sql.len; i++) {
        params += sql.data[i] == '?';
    }
    uint8_t ok[16] = {12, 0, 0, 1, 0};
    sl_put_le32(ok + 5, ++c->next_stmt + 100u * (unsigned)(f->name[strlen(f->name) - 1] - '0'));
    sl_put_le16(ok + 11, params);
    send_bytes(c, ok, sizeof ok);
    uint8_t seq = 2;
    for (unsigned i = 0; i < params;
         i++) { /* definitions are not looked into: one of the right shape will do */
        static const uint8_t def[] =
            "\x03"
            "def\x00\x00\x00\x01?\x00\x00\x0c\x3f\x00\x00\x00\x00\x00\xfd\x80\x00\x00\x00\x00";
        uint8_t head[4] = {sizeof def - 1, 0, 0, seq++};
        send_bytes(c, head, 4);
        send_bytes(c, def, sizeof def - 1);
    }
    if (params > 0 && !(c->capabilities & SL_CAP_DEPRECATE_EOF)) {
        uint8_t eof[9] = {5, 0, 0, seq, 0xfe, 0, 0};
        sl_put_le16(eof + 7, c->status);
        send_bytes(c, eof, sizeof eof);
    }
}

static void command(struct fake_server *f, struct fake_conn *c, const uint8_t *payload, size_t len)
{
    struct sl_slice arg = sl_slice(payload + 1, len - 1);
    char text[64];
    switch (payload[0]) {
    case SL_COM_QUIT:
        drop(c, false);
        return;
    case SL_COM_QUERY:
        query(f, c, arg);
        return;
    case SL_COM_STMT_PREPARE:
        prepare(f, c, arg);
        return;
    case SL_COM_STMT_CLOSE:
    case SL_COM_STMT_EXECUTE:
    case SL_COM_STMT_SEND_LONG_DATA:
        snprintf(text, sizeof text, "%s %u len %zu", sl_command_info(payload[0])->name,
                 sl_get_le32(payload + 1), len);
        note(f, text, sl_slice(NULL, 0));
        if (payload[0] == SL_COM_STMT_EXECUTE) {
            send_ok(c, 1, sl_get_le32(payload + 1));
        }
        return;
    default:
        note(f, sl_command_info(payload[0])->name, sl_slice(NULL, 0));
        if (sl_command_has_reply(payload[0])) {
            send_ok(c, 1, 0);
        }
        return;
    }
}

static void login(struct fake_server *f, struct fake_conn *c, const uint8_t *payload, size_t len)
{
    struct sl_handshake_response r;
    uint16_t code;
    assert_int_equal(sl_handshake_response_parse(payload, len, &r, &code), 0);
    if (f->login == FAKE_LOGIN_DENIED) {
        send_err(c, 2, SL_ER_ACCESS_DENIED, "Access denied for user");
        drop(c, false);
        return;
    }
    c->capabilities = r.capabilities;
    c->status = SL_STATUS_AUTOCOMMIT;
    c->is_in = true;
    send_ok(c, 2, 0);
}

static void packets(struct fake_server *f, struct fake_conn *c)
{
    while (c->fd >= 0 && sl_buf_len(&c->in) >= 4 && !(f->hold_replies && c->is_in)) {
        struct sl_slice s = sl_buf_slice(&c->in);
        size_t len = sl_get_le24(s.data);
        if (s.len < 4 + len) {
            return;
        }
        /* A copy: a command may drop the connection and its buffer. */
        static uint8_t payload[1 << 16];
        assert_true(len > 0 && len <= sizeof payload);
        memcpy(payload, s.data + 4, len);
        sl_buf_consume(&c->in, 4 + len);
        if (c->is_in) {
            command(f, c, payload, len);
        } else {
            login(f, c, payload, len);
        }
    }
}

static void receive(struct fake_server *f, struct fake_conn *c)
{
    uint8_t bytes[16384];
    for (;;) {
        ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n <= 0) {
            drop(c, false);
            return;
        }
        assert_int_equal(sl_buf_append(&c->in, bytes, (size_t)n), 0);
    }
    packets(f, c);
}

static void accept_new(struct fake_server *f)
{
    int fd;
    while (f->listen_fd >= 0 && (fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        unsigned i = 0;
        while (i < FAKE_CONNS && f->conns[i].fd >= 0) {
            i++;
        }
        assert_true(i < FAKE_CONNS);
        f->conns[i] = (struct fake_conn){.fd = fd};
        f->accepted++;
    }
}

void fake_server_pump(struct fake_server *f)
{
    accept_new(f);
    for (unsigned i = 0; i < FAKE_CONNS; i++) {
        struct fake_conn *c = &f->conns[i];
        if (c->fd >= 0 && !c->is_greeted) {
            greet(f, c);
        }
        if (c->fd >= 0) {
            receive(f, c);
        }
    }
}
