/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input of a connection: receiving, presenting, keeping what was not consumed, reporting the end.
 *
 *   nothing kept    recv into the loop's scratch buffer, present from there, keep the leftover
 *   bytes kept      recv behind them, present all of it once `want` bytes are there
 *   with TLS        recv into scratch, OpenSSL, then as above from the second scratch buffer
 *
 * A receive shorter than the room means that the socket is empty: no second one to see EAGAIN, the
 * next edge will tell. Otherwise the flag READABLE remembers that there may be more, and the
 * connection is on the ready list whenever the flag is set and reading is allowed.
 * A connection may be paused or closed by any callback, so each step looks again.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "net/loop_private.h"
#include "net/tls_session.h"

enum {
    GROW_BELOW = 2048
}; /* less room than this behind kept input is not worth a receive */

static bool may_deliver(const struct sl_conn *c)
{
    return c->state == SL_CONN_OPEN && !sl_conn_has(c, SL_CONN_PAUSED | SL_CONN_RAW_INPUT);
}

static bool is_in_handshake(const struct sl_conn *c)
{
    return c->tls != NULL && !c->tls->is_ready;
}

static bool may_read(const struct sl_conn *c)
{
    return c->state == SL_CONN_OPEN && sl_conn_has(c, SL_CONN_READABLE) &&
           (!sl_conn_has(c, SL_CONN_PAUSED) || is_in_handshake(c));
}

static void run_out(struct sl_conn *c)
{
    c->flags |= SL_CONN_LIMIT;
    sl_conn_end(c, SL_CONN_END_LIMIT);
}

static size_t offer(struct sl_conn *c, const uint8_t *data, size_t len)
{
    c->want = 0;
    c->flags &= (uint16_t)~SL_CONN_UNSEEN;
    size_t used = c->ops->on_data(c, data, len);
    sl_assert(used <= len);
    return used;
}

/* Whether the owner, after taking something, asked for no more than what is there already. */
static bool wants_again(const struct sl_conn *c, size_t used, size_t left)
{
    return used > 0 && c->want > 0 && left >= c->want && may_deliver(c);
}

static void deliver_kept(struct sl_conn *c)
{
    bool again = may_deliver(c) && sl_conn_has(c, SL_CONN_UNSEEN) && sl_lent_len(&c->in) > 0 &&
                 sl_lent_len(&c->in) >= c->want;
    while (again) {
        size_t used = offer(c, c->in.data + c->in.start, sl_lent_len(&c->in));
        sl_lent_consume(&c->loop->lender, &c->in, used);
        again = wants_again(c, used, sl_lent_len(&c->in));
    }
}

void sl_conn_take_input(struct sl_conn *c, const uint8_t *data, size_t len)
{
    bool direct = sl_lent_len(&c->in) == 0 && may_deliver(c) && len >= c->want;
    bool again = direct;
    while (again && len > 0) {
        size_t used = offer(c, data, len);
        data += used;
        len -= used;
        again = wants_again(c, used, len);
    }
    if (len == 0 || c->state != SL_CONN_OPEN) {
        return;
    }
    if (sl_lent_append(&c->loop->lender, &c->in, data, len) != SL_OK) {
        run_out(c);
        return;
    }
    if (!direct) {
        c->flags |= SL_CONN_UNSEEN;
        deliver_kept(c);
    }
}

/* The bytes behind the packet that asked for TLS. */
static void feed_raw_input(struct sl_conn *c)
{
    if (!sl_conn_has(c, SL_CONN_RAW_INPUT) || c->state != SL_CONN_OPEN) {
        return;
    }
    struct sl_lent raw = c->in;
    c->in = (struct sl_lent){NULL, 0, 0, 0};
    c->want = 0;
    c->flags &= (uint16_t) ~(SL_CONN_RAW_INPUT | SL_CONN_UNSEEN);
    if (sl_lent_len(&raw) > 0) {
        sl_tls_input(c, raw.data + raw.start, sl_lent_len(&raw));
    }
    sl_lent_release(&c->loop->lender, &raw);
}

/* recv returned 0: presents what was held back for want of more, then reports the end. */
void sl_conn_reach_eof(struct sl_conn *c)
{
    c->flags |= SL_CONN_EOF;
    c->flags &= (uint16_t)~SL_CONN_READABLE;
    c->want = 0;
    deliver_kept(c);
    if (c->state != SL_CONN_OPEN) {
        return;
    }
    if (is_in_handshake(c)) {
        sl_conn_end(c, SL_CONN_END_TLS);
    } else {
        sl_conn_end(c, c->error != 0 ? SL_CONN_END_ERROR : SL_CONN_END_EOF);
    }
}

static void fail_receive(struct sl_conn *c, int error)
{
    c->flags &= (uint16_t)~SL_CONN_READABLE;
    if (error == EAGAIN && c->error == 0) {
        return;
    }
    if (c->error == 0) {
        c->error = error;
        SL_LOOP_COUNT(c->loop, errors, 1);
    }
    c->flags |= SL_CONN_EOF;
    c->want = 0;
    deliver_kept(c);
    sl_conn_end(c, SL_CONN_END_ERROR);
}

/* One receive. Returns the bytes, or 0 when the connection has nothing more (or has ended). */
static size_t receive(struct sl_conn *c)
{
    struct sl_loop *loop = c->loop;
    bool to_scratch = c->tls != NULL || sl_lent_len(&c->in) == 0;
    uint8_t *room = loop->scratch;
    size_t room_len = SL_LOOP_SCRATCH;
    if (!to_scratch) {
        /* Doubling, whatever was announced: memory follows what has really arrived. */
        size_t more = c->in.cap - c->in.end < GROW_BELOW ? SL_MAX(GROW_BELOW, c->in.cap / 4) : 0;
        if (sl_lent_reserve(&loop->lender, &c->in, more) != SL_OK) {
            run_out(c);
            return 0;
        }
        room = c->in.data + c->in.end;
        room_len = c->in.cap - c->in.end;
    }
    ssize_t n = recv(c->fd, room, room_len, MSG_DONTWAIT);
    SL_LOOP_COUNT(loop, reads, 1);
    if (n == 0) {
        sl_conn_reach_eof(c);
        return 0;
    }
    if (n < 0) {
        if (errno != EINTR) {
            fail_receive(c, errno);
        }
        return 0;
    }
    SL_LOOP_COUNT(loop, bytes_in, (uint64_t)n);
    if ((size_t)n < room_len && !sl_conn_has(c, SL_CONN_PEER_DONE | SL_CONN_WRITE_DEAD)) {
        c->flags &= (uint16_t)~SL_CONN_READABLE;
    }
    if (c->tls != NULL) {
        sl_tls_input(c, room, (size_t)n);
    } else if (to_scratch) {
        sl_conn_take_input(c, room, (size_t)n);
    } else {
        c->in.end += (uint32_t)n;
        c->flags |= SL_CONN_UNSEEN;
        deliver_kept(c);
    }
    return (size_t)n;
}

static void read_socket(struct sl_conn *c)
{
    size_t budget = c->loop->read_budget;
    feed_raw_input(c);
    while (may_read(c)) {
        if (budget == 0) {
            sl_list_remove(&c->ready_node);
            sl_list_append(&c->loop->next_ready, &c->ready_node);
            return;
        }
        size_t n = receive(c);
        budget -= SL_MIN(n, budget);
        feed_raw_input(c);
    }
}

/* A peer that vanished while the owner does not read: reported without waiting for the input. */
static void report_vanished(struct sl_conn *c)
{
    if (c->state != SL_CONN_OPEN || sl_conn_has(c, SL_CONN_ENDED) ||
        !sl_conn_has(c, SL_CONN_PAUSED)) {
        return;
    }
    if (c->error == 0 && sl_conn_has(c, SL_CONN_PEER_DONE)) {
        socklen_t len = sizeof(c->error);
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &c->error, &len);
    }
    if (c->error != 0) {
        sl_conn_end(c, SL_CONN_END_ERROR);
    } else if (sl_conn_has(c, SL_CONN_PEER_DONE)) {
        sl_conn_end(c, SL_CONN_END_EOF);
    }
}

void sl_conn_process(struct sl_conn *c)
{
    if (sl_conn_has(c, SL_CONN_LIMIT) && c->state != SL_CONN_CLOSING) {
        sl_conn_end(c, SL_CONN_END_LIMIT);
        return;
    }
    if (c->tls != NULL && c->tls->is_broken) {
        sl_conn_end(c, SL_CONN_END_TLS);
        return;
    }
    if (c->state != SL_CONN_OPEN) {
        return;
    }
    feed_raw_input(c);
    deliver_kept(c);
    read_socket(c);
    report_vanished(c);
}

void sl_conn_pause(struct sl_conn *c)
{
    c->flags |= SL_CONN_PAUSED;
    if (sl_conn_has(c, SL_CONN_PEER_DONE)) {
        sl_conn_mark_ready(c);
    }
}

void sl_conn_resume(struct sl_conn *c)
{
    if (!sl_conn_has(c, SL_CONN_PAUSED)) {
        return;
    }
    c->flags &= (uint16_t)~SL_CONN_PAUSED;
    if (sl_lent_len(&c->in) > 0) {
        c->flags |= SL_CONN_UNSEEN;
    }
    if (sl_conn_has(c, SL_CONN_UNSEEN | SL_CONN_READABLE | SL_CONN_EOF)) {
        sl_conn_mark_ready(c);
    }
}

bool sl_conn_is_paused(const struct sl_conn *c)
{
    return sl_conn_has(c, SL_CONN_PAUSED);
}

void sl_conn_want(struct sl_conn *c, uint32_t bytes)
{
    c->want = bytes;
}
