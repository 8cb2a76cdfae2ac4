/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flush at the end of a turn: all dirty connections' output in one io_uring submission.
 *
 * Why a ring only for this: a send on loopback wakes its receiver, who would take the CPU at the
 * next return to user space; many sends in one system call avoid those switches (docs/internals/
 * event-loop.md has the figures). Sends carry MSG_DONTWAIT, so each completes in line, short or
 * with EAGAIN, and the buffers are free again when the call returns.
 *
 *   pass 1  encrypt; queue or send; apply all results. Nothing is called back: a callback could
 *           write to a connection whose result is not known yet
 *   pass 2  per connection: water marks, half close, end of a lingering one (sl_conn_settle)
 *
 * One dirty connection, or no ring: plain send(2). Loop's thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/log.h"
#include "net/loop_private.h"
#include "net/tls_session.h"

enum {
    SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL
};

/* True when the kernel really sends for us: seccomp filters may let the setup through only. */
static bool ring_can_send(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool can = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_SEND);
    io_uring_free_probe(probe);
    if (!can) {
        return false;
    }
    struct io_uring_cqe *cqe = NULL;
    io_uring_prep_nop(io_uring_get_sqe(ring));
    if (io_uring_submit_and_wait(ring, 1) != 1 || io_uring_peek_cqe(ring, &cqe) != 0) {
        return false;
    }
    io_uring_cqe_seen(ring, cqe);
    return true;
}

int sl_flush_open(struct sl_loop *loop, enum sl_flush_mode mode, struct sl_err *err)
{
    if (mode == SL_FLUSH_SEND) {
        return SL_OK;
    }
    int rc = io_uring_queue_init(SL_LOOP_RING_ENTRIES, &loop->ring, 0);
    if (rc == 0) {
        loop->has_ring = true;
        if (!ring_can_send(&loop->ring)) {
            sl_flush_close(loop);
            rc = -EOPNOTSUPP;
        }
    }
    if (rc == 0) {
        return SL_OK;
    }
    if (mode == SL_FLUSH_RING) {
        return sl_err_set(err, SL_ENOTSUP, "io_uring is not available: %s", strerror(-rc));
    }
    sl_log_notice("%s: io_uring is not available (%s), replies are sent one by one.", loop->name,
                  strerror(-rc));
    return SL_OK;
}

void sl_flush_close(struct sl_loop *loop)
{
    if (loop->has_ring) {
        io_uring_queue_exit(&loop->ring);
        loop->has_ring = false;
    }
}

static void arm_output(struct sl_conn *c)
{
    c->flags |= SL_CONN_BLOCKED;
    SL_LOOP_COUNT(c->loop, short_sends, 1);
    if (!sl_conn_has(c, SL_CONN_OUT_ARMED)) {
        c->flags |= SL_CONN_OUT_ARMED;
        sl_loop_conn_control(c, EPOLL_CTL_MOD, SL_CONN_EVENTS | EPOLLOUT);
    }
}

void sl_flush_result(struct sl_conn *c, long result)
{
    SL_LOOP_COUNT(c->loop, writes, 1);
    if (result >= 0) {
        SL_LOOP_COUNT(c->loop, bytes_out, (uint64_t)result);
        sl_lent_consume(&c->loop->lender, &c->out, (size_t)result);
        if (c->out.cap != 0) {
            arm_output(c);
        }
        return;
    }
    if (result == -EAGAIN || result == -EINTR || result == -ENOBUFS) {
        arm_output(c);
        return;
    }
    /* The input may still hold the peer's last words: they are read before the end is reported. */
    SL_LOOP_COUNT(c->loop, errors, 1);
    c->error = (int)-result;
    c->flags |= SL_CONN_READABLE;
    sl_conn_drop_output(c);
    sl_conn_mark_ready(c);
}

static bool may_send(const struct sl_conn *c)
{
    return (c->state == SL_CONN_OPEN || sl_conn_has(c, SL_CONN_LINGERS)) &&
           !sl_conn_has(c, SL_CONN_BLOCKED | SL_CONN_WRITE_DEAD);
}

/* Encrypts what is due. True when there are bytes for the socket. */
static bool prepare(struct sl_conn *c)
{
    if (!may_send(c)) {
        return false;
    }
    if (c->tls != NULL) {
        sl_tls_seal(c);
        if (sl_conn_has(c, SL_CONN_LINGERS | SL_CONN_SHUT_ASKED)) {
            sl_tls_notify_close(c);
        }
    }
    return sl_lent_len(&c->out) > 0 && !sl_conn_has(c, SL_CONN_WRITE_DEAD);
}

static void send_plain(struct sl_conn *c)
{
    ssize_t n = send(c->fd, c->out.data + c->out.start, sl_lent_len(&c->out), SEND_FLAGS);
    sl_flush_result(c, n >= 0 ? n : -errno);
}

void sl_flush_now(struct sl_conn *c)
{
    if (prepare(c)) {
        send_plain(c);
    }
}

static void queue_send(struct sl_loop *loop, struct sl_conn *c)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);
    sl_assert(sqe != NULL);
    io_uring_prep_send(sqe, c->fd, c->out.data + c->out.start, sl_lent_len(&c->out), SEND_FLAGS);
    io_uring_sqe_set_data(sqe, c);
}

/* Submits what is queued and applies every result before it returns. */
static void submit_queued(struct sl_loop *loop, unsigned queued)
{
    SL_LOOP_COUNT(loop, ring_submits, 1);
    for (unsigned done = 0; done < queued;) {
        int rc = io_uring_submit_and_wait(&loop->ring, queued - done);
        /* EINTR, EAGAIN (kernel memory) and EBUSY pass; anything else is a bug of ours. */
        sl_assert(rc >= 0 || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY);
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&loop->ring, head, cqe)
        {
            sl_flush_result(io_uring_cqe_get_data(cqe), cqe->res);
            seen++;
        }
        io_uring_cq_advance(&loop->ring, seen);
        done += seen;
    }
}

static void send_batch(struct sl_loop *loop, struct sl_list *batch)
{
    struct sl_conn *first = NULL; /* not queued before there is a second one */
    unsigned queued = 0;
    SL_LIST_FOR_EACH (node, batch) {
        struct sl_conn *c = SL_CONTAINER_OF(node, struct sl_conn, dirty_node);
        if (!prepare(c)) {
            continue;
        }
        if (!loop->has_ring) {
            send_plain(c);
            continue;
        }
        if (first == NULL && queued == 0) {
            first = c;
            continue;
        }
        if (first != NULL) {
            queue_send(loop, first);
            first = NULL;
            queued++;
        }
        queue_send(loop, c);
        queued++;
        if (queued == SL_LOOP_RING_ENTRIES) {
            submit_queued(loop, queued);
            queued = 0;
        }
    }
    if (first != NULL) {
        send_plain(first);
    }
    if (queued > 0) {
        submit_queued(loop, queued);
    }
}

void sl_flush_run(struct sl_loop *loop)
{
    if (sl_list_is_empty(&loop->dirty)) {
        return;
    }
    struct sl_list batch;
    sl_list_take(&batch, &loop->dirty);
    send_batch(loop, &batch);
    while (!sl_list_is_empty(&batch)) {
        struct sl_conn *c = SL_CONTAINER_OF(sl_list_pop(&batch), struct sl_conn, dirty_node);
        c->flags &= (uint16_t)~SL_CONN_DIRTY;
        sl_conn_settle(c);
    }
}
