/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: life, output and events. Input is in conn_input.c.
 *
 *   CLOSED --accept--> OPEN ------close(flush)----> CLOSING --sent or 5 s--+
 *      \--connect--> CONNECTING --established--> OPEN --close--> CLOSING --+--> end of turn:
 *                         \---------------close------------> CLOSING ------+    CLOSED, on_released
 *
 * Invariants:
 *   I1  no callback but on_released after sl_conn_close()
 *   I2  on_end at most once
 *   I3  memory is given back only by the release step, so a callback may close any connection
 *   I4  ready_node is on one of: the ready list, the lingering list (flag LINGERS), the closed list
 *   I5  no callback from inside any function of conn.h
 */
#include "net/conn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "net/listener.h"
#include "net/loop_private.h"
#include "net/tls_session.h"

void sl_conn_init(struct sl_conn *c, struct sl_loop *loop, const struct sl_conn_ops *ops)
{
    memset(c, 0, sizeof(*c));
    c->ops = ops;
    c->loop = loop;
    c->fd = -1;
    sl_list_init(&c->ready_node);
    sl_list_init(&c->dirty_node);
}

/* --- life ------------------------------------------------------------------------------------- */

void sl_conn_mark_ready(struct sl_conn *c)
{
    if (sl_list_is_empty(&c->ready_node) &&
        (c->state == SL_CONN_OPEN || c->state == SL_CONN_CONNECTING)) {
        sl_list_append(&c->loop->ready, &c->ready_node);
    }
}

void sl_conn_mark_dirty(struct sl_conn *c)
{
    if (!sl_conn_has(c, SL_CONN_DIRTY)) {
        c->flags |= SL_CONN_DIRTY;
        sl_list_append(&c->loop->dirty, &c->dirty_node);
    }
}

static void reopen(struct sl_conn *c, int fd, enum sl_conn_state state)
{
    sl_assert(c->state == SL_CONN_CLOSED && c->tls == NULL);
    c->fd = fd;
    c->state = (uint8_t)state;
    c->flags = 0;
    c->error = 0;
    c->ending = SL_CONN_END_EOF;
    c->want = 0;
    SL_LOOP_COUNT(c->loop, connections, 1);
}

int sl_conn_accept(struct sl_conn *c, int fd)
{
    c->fd = fd;
    if (sl_loop_conn_control(c, EPOLL_CTL_ADD, SL_CONN_EVENTS) < 0) {
        c->error = errno;
        close(fd);
        c->fd = -1;
        return SL_ESYS;
    }
    reopen(c, fd, SL_CONN_OPEN);
    return SL_OK;
}

int sl_conn_connect(struct sl_conn *c, const struct sockaddr *addr, socklen_t addr_len,
                    const struct sockaddr *local, socklen_t local_len)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        c->error = errno;
        return SL_ESYS;
    }
    c->fd = fd;
    if (addr->sa_family != AF_UNIX) {
        sl_socket_set_tcp_options(fd);
    }
    bool is_started = local == NULL || bind(fd, local, local_len) == 0;
    is_started = is_started && (connect(fd, addr, addr_len) == 0 || errno == EINPROGRESS);
    /* The result, good or bad, is announced by EPOLLOUT; also when connect() has ended at once. */
    if (!is_started || sl_loop_conn_control(c, EPOLL_CTL_ADD, SL_CONN_EVENTS | EPOLLOUT) < 0) {
        c->error = errno;
        close(fd);
        c->fd = -1;
        return SL_ESYS;
    }
    reopen(c, fd, SL_CONN_CONNECTING);
    c->flags |= SL_CONN_OUT_ARMED;
    return SL_OK;
}

void sl_conn_end(struct sl_conn *c, enum sl_conn_end end)
{
    if (sl_conn_has(c, SL_CONN_ENDED) || c->state == SL_CONN_CLOSING) {
        return;
    }
    c->flags |= SL_CONN_ENDED;
    c->ending = (uint8_t)end;
    if (end != SL_CONN_END_EOF) {
        c->flags &= (uint16_t)~SL_CONN_READABLE;
        sl_conn_drop_output(c);
    }
    c->ops->on_end(c, end);
}

/* Hands the connection to the release step. */
static void finish(struct sl_conn *c)
{
    c->flags &= (uint16_t)~SL_CONN_LINGERS;
    sl_list_remove(&c->ready_node);
    sl_list_append(&c->loop->closed, &c->ready_node);
}

static void linger(struct sl_conn *c)
{
    struct sl_loop *loop = c->loop;
    c->flags |= SL_CONN_LINGERS;
    c->linger_until_ms = sl_loop_now_ms(loop) + SL_CONN_LINGER_MS;
    sl_list_append(&loop->lingering, &c->ready_node);
    if (!sl_timer_is_running(&loop->linger_timer)) {
        sl_timer_start(loop, &loop->linger_timer, SL_CONN_LINGER_MS);
    }
    sl_conn_mark_dirty(c);
}

void sl_conn_close(struct sl_conn *c, bool flush)
{
    if (c->state == SL_CONN_CLOSED) {
        return;
    }
    bool was_open = c->state == SL_CONN_OPEN;
    if (c->state == SL_CONN_CLOSING) {
        if (sl_conn_has(c, SL_CONN_LINGERS) && !flush) {
            finish(c);
        }
        return;
    }
    c->state = SL_CONN_CLOSING;
    sl_list_remove(&c->ready_node);
    if (c->tls != NULL && !c->tls->is_ready) {
        sl_lent_release(&c->loop->lender, &c->tls->plain); /* there will be no key for it */
    }
    bool must_send = sl_conn_pending(c) > 0 || c->tls != NULL;
    if (flush && was_open && must_send && !sl_conn_has(c, SL_CONN_WRITE_DEAD)) {
        linger(c);
    } else {
        finish(c);
    }
}

void sl_conns_linger_expire(struct sl_timer *t, struct sl_loop *loop)
{
    while (!sl_list_is_empty(&loop->lingering)) {
        struct sl_conn *c = SL_CONTAINER_OF(loop->lingering.next, struct sl_conn, ready_node);
        if (c->linger_until_ms > sl_loop_now_ms(loop)) {
            sl_timer_start(loop, t, c->linger_until_ms - sl_loop_now_ms(loop));
            return;
        }
        finish(c);
    }
}

/* Reads what has arrived meanwhile: the kernel answers unread input with a RST at close, and
 * that can destroy our last bytes on their way to the peer. Bounded: it is only a courtesy. */
static void discard_input(struct sl_conn *c)
{
    for (int i = 0; i < 16; i++) {
        if (recv(c->fd, c->loop->scratch, SL_LOOP_SCRATCH, MSG_DONTWAIT) < SL_LOOP_SCRATCH) {
            return;
        }
    }
}

static void release(struct sl_conn *c)
{
    struct sl_loop *loop = c->loop;
    if (!sl_conn_has(c, SL_CONN_WRITE_DEAD | SL_CONN_EOF)) {
        discard_input(c);
    }
    close(c->fd);
    c->fd = -1;
    sl_lent_release(&loop->lender, &c->in);
    sl_lent_release(&loop->lender, &c->out);
    sl_tls_session_free(c);
    sl_list_remove(&c->dirty_node);
    c->flags = 0;
    c->state = SL_CONN_CLOSED;
    SL_LOOP_COUNT(loop, connections, -1u);
    c->ops->on_released(c);
}

void sl_conns_release(struct sl_loop *loop)
{
    while (!sl_list_is_empty(&loop->closed)) {
        release(SL_CONTAINER_OF(sl_list_pop(&loop->closed), struct sl_conn, ready_node));
    }
}

/* --- events ----------------------------------------------------------------------------------- */

static int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

/* Asks for EPOLLOUT no longer. */
static void disarm_output(struct sl_conn *c)
{
    if (sl_conn_has(c, SL_CONN_OUT_ARMED)) {
        c->flags &= (uint16_t)~SL_CONN_OUT_ARMED;
        sl_loop_conn_control(c, EPOLL_CTL_MOD, SL_CONN_EVENTS);
    }
}

static void finish_connect(struct sl_conn *c, uint32_t events)
{
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0 || sl_conn_has(c, SL_CONN_ENDED)) {
        return;
    }
    c->error = socket_error(c->fd);
    if (c->error == 0 && (events & EPOLLERR) != 0) {
        c->error = ECONNRESET;
    }
    if (c->error != 0) {
        SL_LOOP_COUNT(c->loop, errors, 1);
        sl_conn_end(c, SL_CONN_END_ERROR);
        return;
    }
    c->state = SL_CONN_OPEN;
    disarm_output(c);
    if (sl_conn_pending(c) > 0) {
        sl_conn_mark_dirty(c);
    }
    if (c->ops->on_connected != NULL) {
        c->ops->on_connected(c);
    }
}

void sl_conn_on_event(struct sl_conn *c, uint32_t events)
{
    if (c->state == SL_CONN_CONNECTING) {
        finish_connect(c, events);
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        c->flags |= SL_CONN_PEER_DONE;
        SL_LOOP_COUNT(c->loop, hangups, 1);
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && sl_conn_has(c, SL_CONN_BLOCKED)) {
        c->flags &= (uint16_t)~SL_CONN_BLOCKED;
        sl_conn_mark_dirty(c);
    }
    if (c->state != SL_CONN_OPEN) {
        return;
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0 && !sl_conn_has(c, SL_CONN_EOF)) {
        c->flags |= SL_CONN_READABLE;
        sl_conn_process(c);
    }
}

void sl_conn_settle(struct sl_conn *c)
{
    size_t pending = sl_conn_pending(c);
    if (c->state == SL_CONN_CLOSING) {
        if (sl_conn_has(c, SL_CONN_LINGERS) &&
            (pending == 0 || sl_conn_has(c, SL_CONN_WRITE_DEAD))) {
            finish(c);
        }
        return;
    }
    if (c->state != SL_CONN_OPEN) {
        return;
    }
    if (!sl_conn_has(c, SL_CONN_BLOCKED)) {
        if (pending > 0 && !sl_conn_has(c, SL_CONN_WRITE_DEAD) &&
            (c->tls == NULL || c->tls->is_ready || sl_lent_len(&c->out) > 0)) {
            sl_conn_mark_dirty(c); /* written by another connection's callback in this very flush */
        } else {
            disarm_output(c);
        }
    }
    if (pending == 0 && sl_conn_has(c, SL_CONN_SHUT_ASKED) && !sl_conn_has(c, SL_CONN_SHUT_DONE)) {
        c->flags |= SL_CONN_SHUT_DONE;
        shutdown(c->fd, SHUT_WR);
    }
    if (sl_conn_has(c, SL_CONN_FULL) && pending <= c->loop->low_water) {
        c->flags &= (uint16_t)~SL_CONN_FULL;
        if (c->ops->on_writable != NULL) {
            c->ops->on_writable(c);
        }
    }
}

/* --- output ----------------------------------------------------------------------------------- */

static bool may_write(const struct sl_conn *c)
{
    return (c->state == SL_CONN_OPEN || c->state == SL_CONN_CONNECTING) &&
           !sl_conn_has(c, SL_CONN_WRITE_DEAD | SL_CONN_SHUT_ASKED);
}

static struct sl_lent *output_of(struct sl_conn *c)
{
    return c->tls != NULL ? &c->tls->plain : &c->out;
}

void sl_conn_drop_output(struct sl_conn *c)
{
    c->flags |= SL_CONN_WRITE_DEAD;
    sl_lent_release(&c->loop->lender, &c->out);
    if (c->tls != NULL) {
        sl_lent_release(&c->loop->lender, &c->tls->plain);
    }
    if (sl_conn_has(c, SL_CONN_FULL)) {
        sl_conn_mark_dirty(c); /* a source that waits for room must be told */
    }
}

static int out_of_memory(struct sl_conn *c)
{
    c->flags |= SL_CONN_LIMIT;
    sl_conn_drop_output(c);
    sl_conn_mark_ready(c);
    return SL_ENOMEM;
}

/* After bytes were added to the output. */
static void note_output(struct sl_conn *c)
{
    sl_conn_mark_dirty(c);
    size_t pending = sl_conn_pending(c);
    if (pending > SL_CONN_FLUSH_BYTES && c->state == SL_CONN_OPEN &&
        !sl_conn_has(c, SL_CONN_BLOCKED)) {
        sl_flush_now(c);
        pending = sl_conn_pending(c);
    }
    if (pending > c->loop->high_water) {
        c->flags |= SL_CONN_FULL;
    }
}

/* Large pieces go to the socket without being copied. Returns what was sent. */
static size_t send_directly(struct sl_conn *c, const void *data, size_t len)
{
    if (len < SL_CONN_DIRECT_BYTES || c->tls != NULL || c->state != SL_CONN_OPEN ||
        sl_lent_len(&c->out) > 0 || sl_conn_has(c, SL_CONN_BLOCKED)) {
        return 0;
    }
    ssize_t n = send(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) {
        return 0; /* the flush meets the error again and deals with it */
    }
    SL_LOOP_COUNT(c->loop, writes, 1);
    SL_LOOP_COUNT(c->loop, bytes_out, (uint64_t)n);
    return (size_t)n;
}

int sl_conn_write(struct sl_conn *c, const void *data, size_t len)
{
    if (!may_write(c) || len == 0) {
        return SL_OK;
    }
    size_t sent = send_directly(c, data, len);
    if (sent == len) {
        return SL_OK;
    }
    if (sl_lent_append(&c->loop->lender, output_of(c), (const uint8_t *)data + sent, len - sent) !=
        SL_OK) {
        return out_of_memory(c);
    }
    note_output(c);
    return SL_OK;
}

uint8_t *sl_conn_reserve(struct sl_conn *c, size_t len)
{
    if (c->state == SL_CONN_CLOSED) {
        return NULL;
    }
    struct sl_lent *out = output_of(c);
    if (sl_lent_reserve(&c->loop->lender, out, len) != SL_OK) {
        if (may_write(c)) {
            out_of_memory(c);
        }
        return NULL;
    }
    return out->data + out->end;
}

void sl_conn_commit(struct sl_conn *c, size_t len)
{
    struct sl_lent *out = output_of(c);
    sl_assert(len <= out->cap - out->end);
    if (may_write(c) && len > 0) {
        out->end += (uint32_t)len;
        note_output(c);
    } else if (sl_lent_len(out) == 0) {
        sl_lent_release(&c->loop->lender, out);
    }
}

size_t sl_conn_pending(const struct sl_conn *c)
{
    size_t pending = sl_lent_len(&c->out);
    return c->tls != NULL ? pending + sl_lent_len(&c->tls->plain) : pending;
}

bool sl_conn_is_full(const struct sl_conn *c)
{
    return sl_conn_has(c, SL_CONN_FULL);
}

bool sl_conn_hold_full(struct sl_conn *c)
{
    if (may_write(c) && sl_conn_pending(c) > 0) {
        c->flags |= SL_CONN_FULL;
        sl_conn_mark_dirty(c);
    }
    return sl_conn_is_full(c);
}

void sl_conn_shutdown_write(struct sl_conn *c)
{
    if (may_write(c)) {
        c->flags |= SL_CONN_SHUT_ASKED;
        sl_conn_mark_dirty(c);
    }
}

/* --- TLS -------------------------------------------------------------------------------------- */

static int start_tls(struct sl_conn *c, struct sl_tls_context *ctx, const char *host)
{
    sl_assert(c->tls == NULL);
    if (c->state != SL_CONN_OPEN && c->state != SL_CONN_CONNECTING) {
        return SL_ESTATE;
    }
    int rc = sl_tls_session_new(c, ctx, host);
    if (rc == SL_OK) {
        /* What on_data does not consume from now on is ciphertext. */
        c->flags |= SL_CONN_RAW_INPUT;
        sl_conn_mark_ready(c);
    }
    return rc;
}

int sl_conn_tls_accept(struct sl_conn *c, struct sl_tls_context *ctx)
{
    return start_tls(c, ctx, NULL);
}

int sl_conn_tls_connect(struct sl_conn *c, struct sl_tls_context *ctx, const char *host)
{
    int rc = start_tls(c, ctx, host);
    if (rc == SL_OK) {
        sl_tls_session_begin(c);
    }
    return rc;
}

bool sl_conn_is_secure(const struct sl_conn *c)
{
    return c->tls != NULL && c->tls->is_ready;
}

const char *sl_conn_tls_cipher(const struct sl_conn *c)
{
    return sl_conn_is_secure(c) ? SSL_get_cipher_name(c->tls->ssl) : NULL;
}

const char *sl_conn_tls_version(const struct sl_conn *c)
{
    return sl_conn_is_secure(c) ? SSL_get_version(c->tls->ssl) : NULL;
}

/* --- questions -------------------------------------------------------------------------------- */

bool sl_conn_is_open(const struct sl_conn *c)
{
    return c->state == SL_CONN_OPEN && !sl_conn_has(c, SL_CONN_ENDED | SL_CONN_LIMIT);
}

int sl_conn_errno(const struct sl_conn *c)
{
    return c->error;
}

const char *sl_conn_error_text(const struct sl_conn *c)
{
    if (c->tls != NULL && c->tls->error[0] != '\0') {
        return c->tls->error;
    }
    if (sl_conn_has(c, SL_CONN_LIMIT)) {
        return "Out of memory for its buffers";
    }
    if (c->error != 0) {
        const char *text = strerrordesc_np(c->error);
        return text != NULL ? text : "Unknown error";
    }
    return "Connection closed by the peer";
}

void sl_conn_peer_text(const struct sl_conn *c, char *out, size_t size)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    if (c->fd < 0 || getpeername(c->fd, (struct sockaddr *)&addr, &len) < 0) {
        snprintf(out, size, "unconnected");
        return;
    }
    char host[64];
    sl_address_text(&addr, host, sizeof(host));
    if (addr.ss_family == AF_UNIX) {
        snprintf(out, size, "unix");
    } else if (strchr(host, ':') != NULL) {
        snprintf(out, size, "[%s]:%u", host, sl_address_port(&addr));
    } else {
        snprintf(out, size, "%s:%u", host, sl_address_port(&addr));
    }
}
