/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A primary on loopback for tests of the replica side: one thread, one connection at a time, blocking.
 * It answers what a replica asks and sends a stream made by primary_events.h from the position asked
 * for; faults are switched on by fields, under `lock`.
 */
#ifndef TESTS_UNIT_ROUTER_BINLOG_FAKE_PRIMARY_H
#define TESTS_UNIT_ROUTER_BINLOG_FAKE_PRIMARY_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "primary_events.h"
#include "proto/handshake.h"

enum {
    NO_CUT = 1 << 30
};

struct primary {
    pthread_t thread;
    int listening;
    uint16_t port;
    _Atomic bool is_ending;
    pthread_mutex_t lock;
    const struct stream *stream; /* rotate, FORMAT_DESCRIPTION, then groups of four events */
    const char *checksum;
    unsigned server_id;
    /* faults */
    const char *greeting; /* sent in place of a real one; `greeting_len` bytes */
    size_t greeting_len;
    _Atomic int err_at; /* the n-th command is answered by err_code, err_text; 0: none */
    unsigned err_code;
    const char *err_text;
    int silent_at;         /* the n-th command is not answered */
    _Atomic size_t cut_at; /* bytes of the stream, then a reset */
    size_t piece;          /* bytes sent at a time; 0: all */
    unsigned pause_us;     /* between two pieces */
    bool wants_ed25519;
    bool has_semi_sync;
    const char *binlog_pos; /* its gtid_binlog_pos; NULL: empty */
    /* seen */
    _Atomic unsigned connections, commands, dumps, acks;
    uint64_t ack_pos;
    char asked[256]; /* @slave_connect_state */
    char user[64];
    size_t auth_len;
};

static inline bool read_all(int fd, void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, (uint8_t *)data + at, len - at, 0);
        if (n <= 0) {
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

static inline bool send_all(int fd, const void *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, (const uint8_t *)data + at, len - at, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        at += (size_t)n;
    }
    return true;
}

/* Sends and empties. */
static inline bool send_out(int fd, struct sl_buf *out)
{
    bool ok = send_all(fd, sl_buf_slice(out).data, sl_buf_len(out));
    sl_buf_clear(out);
    return ok;
}

/* The payload's length, or -1: the peer is gone. */
static inline long read_packet(int fd, uint8_t *payload, size_t size)
{
    uint8_t header[4];
    if (!read_all(fd, header, 4) || sl_packet_len(header) >= size) {
        return -1;
    }
    uint32_t len = sl_packet_len(header);
    payload[len] = 0;
    return read_all(fd, payload, len) ? (long)len : -1;
}

static inline bool log_in(struct primary *p, int fd, struct sl_buf *out)
{
    uint8_t payload[4096];
    struct sl_greeting g = {.version = sl_slice_text("5.5.5-10.11.19-MariaDB-log"),
                            .connection_id = 17,
                            .is_mariadb = true,
                            .collation = 8,
                            .status = 2,
                            .capabilities = sl_capabilities_offer(0, 0),
                            .plugin = sl_slice_text(SL_PLUGIN_NATIVE)};
    sl_scramble_generate(g.scramble);
    if (p->greeting != NULL) {
        send_all(fd, p->greeting, p->greeting_len);
        return false;
    }
    struct sl_handshake_response r;
    uint16_t code;
    sl_assert(sl_greeting_build(out, &g) == SL_OK);
    long len = send_out(fd, out) ? read_packet(fd, payload, sizeof(payload)) : -1;
    if (len < 0 || sl_handshake_response_parse(payload, (size_t)len, &r, &code) < 0) {
        return false;
    }
    snprintf(p->user, sizeof(p->user), "%.*s", (int)r.user.len, (const char *)r.user.data);
    uint8_t seq = 2;
    if (p->wants_ed25519) {
        uint8_t challenge[SL_ED25519_CHALLENGE_LEN] = {7};
        sl_assert(sl_auth_switch_build(out, seq, SL_PLUGIN_ED25519,
                                       sl_slice(challenge, sizeof(challenge))) == SL_OK);
        len = send_out(fd, out) ? read_packet(fd, payload, sizeof(payload)) : -1;
        p->auth_len = len < 0 ? 0 : (size_t)len;
        seq = 4;
    }
    sl_assert(sl_packet_build_ok(out, seq, 0, 0, 2, 0, NULL) == SL_OK);
    return len >= 0 && send_out(fd, out);
}

static inline void put_row(struct sl_buf *out, const char *a, const char *b)
{
    const struct sl_resultset_column columns[] = {{.name = "x"}, {.name = "y"}};
    const struct sl_slice values[] = {sl_slice_text(a), sl_slice_text(b != NULL ? b : "")};
    struct sl_resultset rs;
    sl_resultset_begin(&rs, out, 1, 0, 2, columns, b != NULL ? 2 : 1);
    sl_resultset_row(&rs, values);
    sl_assert(sl_resultset_end(&rs) == SL_OK);
}

static inline void put_answer(struct primary *p, struct sl_buf *out, const char *sql)
{
    char id[16], end[16];
    snprintf(id, sizeof(id), "%u", p->server_id);
    snprintf(end, sizeof(end), "%u", p->stream != NULL ? p->stream->pos : 4);
    if (strncmp(sql, "SET @slave_connect_state='", 26) == 0) {
        snprintf(p->asked, sizeof(p->asked), "%.*s", (int)strlen(sql) - 27, sql + 26);
    }
    if (strstr(sql, "SERVER_ID") != NULL) {
        put_row(out, "server_id", id);
    } else if (strstr(sql, "UNIX_TIMESTAMP") != NULL) {
        put_row(out, "1700000000", NULL);
    } else if (strstr(sql, "SELECT @master_binlog_checksum") != NULL) {
        put_row(out, p->checksum, NULL);
    } else if (strstr(sql, "gtid_domain_id") != NULL) {
        put_row(out, "7", NULL);
    } else if (strstr(sql, "rpl_semi_sync_master_enabled") != NULL) {
        put_row(out, "rpl_semi_sync_master_enabled", "ON");
    } else if (strcmp(sql, "SHOW MASTER STATUS") == 0) {
        put_row(out, "pbin.000001", end);
    } else if (strstr(sql, "gtid_binlog_pos") != NULL) {
        put_row(out, p->binlog_pos != NULL ? p->binlog_pos : "", NULL);
    } else {
        sl_assert(sl_packet_build_ok(out, 1, 0, 0, 2, 0, NULL) == SL_OK);
    }
}

/* With the header of semi-sync, whose flag is set for the last event of a group. */
static inline void put_event(struct primary *p, struct sl_buf *out, unsigned i, uint8_t *seq)
{
    uint8_t prefix[3] = {0, 0xef, 0};
    const struct stream *s = p->stream;
    const uint8_t *event = s->bytes.data + s->bytes.start + s->at[i];
    struct sl_buf payload = SL_BUF_INIT;
    struct sl_writer w = sl_writer_buf(out);
    prefix[2] = sl_event_type(event) == SL_EVENT_XID;
    sl_assert(sl_buf_append(&payload, prefix, p->has_semi_sync ? 3 : 1) == SL_OK);
    sl_assert(sl_buf_append(&payload, event, s->len[i]) == SL_OK);
    *seq = sl_write_packet(&w, *seq, sl_buf_slice(&payload));
    sl_assert(sl_writer_finish(&w) == SL_OK);
    sl_buf_free(&payload);
}

/* The first group that is not at or before "7-1-N". */
static inline unsigned first_event(const struct primary *p)
{
    unsigned long long seq = 0;
    sscanf(p->asked, "7-1-%llu", &seq);
    return 2 + (unsigned)seq * 4;
}

static inline void reset(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static inline void stream_out(struct primary *p, int fd, struct sl_buf *out)
{
    uint8_t seq = 1;
    for (unsigned i = 0; i < p->stream->count; i = i == 1 ? first_event(p) : i + 1) {
        put_event(p, out, i, &seq);
    }
    struct sl_slice all = sl_buf_slice(out);
    size_t cut_at = p->cut_at;
    size_t len = all.len < cut_at ? all.len : cut_at;
    size_t piece = p->piece > 0 ? p->piece : len;
    bool is_heard = true;
    for (size_t at = 0; at < len && is_heard; at += piece) {
        is_heard = send_all(fd, all.data + at, len - at < piece ? len - at : piece);
        if (p->pause_us > 0) {
            usleep(p->pause_us);
        }
    }
    bool is_cut = len < all.len;
    sl_buf_clear(out);
    if (is_cut) {
        /* Half of the cuts are a FIN, which lets all bytes arrive; half a reset, which may not. */
        if (len % 2) {
            reset(fd);
        }
        return;
    }
    uint8_t payload[512];
    long n;
    while ((n = read_packet(fd, payload, sizeof(payload))) >= 0) {
        if (n > 9 && payload[0] == 0xef) {
            pthread_mutex_lock(&p->lock);
            p->ack_pos = sl_get_le64(payload + 1);
            pthread_mutex_unlock(&p->lock);
            atomic_fetch_add(&p->acks, 1);
        }
    }
}

static inline void wait_for_end(int fd)
{
    uint8_t byte;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

static inline void serve(struct primary *p, int fd, struct sl_buf *out)
{
    uint8_t payload[4096];
    int number = 0;
    long len = log_in(p, fd, out) ? 0 : -1;
    while (len >= 0 && (len = read_packet(fd, payload, sizeof(payload))) > 0) {
        atomic_fetch_add(&p->commands, 1);
        if (++number == p->silent_at) {
            wait_for_end(fd);
            return;
        }
        if (number == p->err_at) {
            sl_packet_build_err(out, 1, (uint16_t)p->err_code, NULL, "%s", p->err_text);
            send_out(fd, out);
            continue;
        }
        if (payload[0] == 0x12) {
            atomic_fetch_add(&p->dumps, 1);
            stream_out(p, fd, out);
            return;
        }
        put_answer(p, out, payload[0] == 3 ? (const char *)payload + 1 : "");
        send_out(fd, out);
    }
}

static inline void *primary_run(void *arg)
{
    struct primary *p = arg;
    while (!atomic_load(&p->is_ending)) {
        struct pollfd pfd = {.fd = p->listening, .events = POLLIN};
        int fd = poll(&pfd, 1, 20) > 0 ? accept(p->listening, NULL, NULL) : -1;
        if (fd < 0) {
            continue;
        }
        struct sl_buf out = SL_BUF_INIT;
        atomic_fetch_add(&p->connections, 1);
        serve(p, fd, &out);
        sl_buf_free(&out);
        close(fd);
    }
    return NULL;
}

static inline struct primary *primary_new(const struct stream *stream)
{
    struct primary *p = sl_xcalloc(1, sizeof(*p));
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    p->stream = stream;
    p->checksum = stream->has_crc ? "CRC32" : "NONE";
    p->server_id = 1;
    p->cut_at = NO_CUT;
    p->err_text = "no";
    pthread_mutex_init(&p->lock, NULL);
    p->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sl_assert(bind(p->listening, (struct sockaddr *)&addr, len) == 0 &&
              listen(p->listening, 16) == 0 &&
              getsockname(p->listening, (struct sockaddr *)&addr, &len) == 0);
    p->port = ntohs(addr.sin_port);
    return p;
}

/* After the faults were set; they may not change while a connection lives. */
static inline void primary_start(struct primary *p)
{
    sl_assert(pthread_create(&p->thread, NULL, primary_run, p) == 0);
}

static inline void primary_free(struct primary *p)
{
    atomic_store(&p->is_ending, true);
    pthread_join(p->thread, NULL);
    close(p->listening);
    pthread_mutex_destroy(&p->lock);
    sl_free(p);
}

#endif
