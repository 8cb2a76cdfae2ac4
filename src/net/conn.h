/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: one socket with input, output, optional TLS and back-pressure.
 *
 * Embed `struct sl_conn` in the object that owns it. All calls are for the loop's thread.
 *
 *   input   recv into the worker's scratch buffer, given to on_data(); what it does not consume is
 *           kept in a borrowed buffer and presented again, in front of the next bytes.
 *   output  sl_conn_write() appends to a borrowed buffer; the flush at the end of the turn sends
 *           it;
 *           an empty buffer goes back to the worker. An idle connection owns no buffer.
 *   TLS     memory BIOs between the two, so that it shares receive and flush code.
 *
 * States: CLOSED -> CONNECTING -> OPEN -> CLOSING -> CLOSED(released). on_released is always the
 * last callback and comes from the end of a turn, never from inside another callback of this
 * connection.
 */
#ifndef SL_NET_CONN_H
#define SL_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"
#include "net/lent.h"
#include "net/loop.h"

struct sl_conn;
struct sl_tls;         /* private: state of one TLS session */
struct sl_tls_context; /* net/tls.h: certificates and settings, shared, reference counted */

enum sl_conn_end {
    SL_CONN_END_EOF,   /* the peer sent FIN: no more input; output may still be sent */
    SL_CONN_END_ERROR, /* reset, refused, unreachable, ...: sl_conn_errno() tells */
    SL_CONN_END_TLS,   /* TLS handshake or record failure: sl_conn_error_text() tells */
    SL_CONN_END_LIMIT  /* out of memory for its buffers */
};

struct sl_conn_ops {
    const char *name; /* for logs: "client", "backend" */

    /* An outgoing connection is established (before any TLS). May be NULL for accepted ones. */
    void (*on_connected)(struct sl_conn *c);

    /* The TLS handshake that was asked for is done. */
    void (*on_secured)(struct sl_conn *c);

    /* Bytes have arrived (plaintext). Returns how many were consumed, 0..len. Never called again
     * with unconsumed bytes alone until more arrive, until sl_conn_want() bytes are there, or
     * until sl_conn_resume(). May write to, pause or close any connection of the same loop. */
    size_t (*on_data)(struct sl_conn *c, const uint8_t *data, size_t len);

    /* Unsent output fell to the low water mark after having been above the high one. */
    void (*on_writable)(struct sl_conn *c);

    /* The peer is gone or the connection failed. Called once. All input was delivered before an
     * EOF, unless the connection is paused: then it is reported at once (a vanished client must
     * be seen while its statement runs). The owner calls sl_conn_close() now or later. */
    void (*on_end)(struct sl_conn *c, enum sl_conn_end end);

    /* Last call: nothing refers to the connection any more; the owner may free the memory. */
    void (*on_released)(struct sl_conn *c);
};

enum sl_conn_state {
    SL_CONN_CLOSED,
    SL_CONN_CONNECTING,
    SL_CONN_OPEN,
    SL_CONN_CLOSING
};

/* Fields are private to src/net except where a function below says otherwise. */
struct sl_conn {
    const struct sl_conn_ops *ops;
    struct sl_loop *loop;
    int fd;
    int error;      /* errno of the failure */
    uint8_t state;  /* enum sl_conn_state */
    uint8_t ending; /* enum sl_conn_end, once it has ended */
    uint16_t flags; /* paused, dirty, ended, ... */
    uint32_t want;
    struct sl_lent in;  /* unconsumed input, borrowed */
    struct sl_lent out; /* unsent output (ciphertext with TLS), borrowed */
    struct sl_tls *tls;
    /* on the loop's list of connections to look at again, or closed ones */
    struct sl_list ready_node;
    struct sl_list dirty_node; /* on the loop's list of connections to flush */
    uint64_t linger_until_ms;
};

/* Must be called once before use; the object must be zeroed. */
void sl_conn_init(struct sl_conn *c, struct sl_loop *loop, const struct sl_conn_ops *ops);

/* Takes an accepted, non-blocking socket. 0 or SL_ESYS (the descriptor is closed then). */
int sl_conn_accept(struct sl_conn *c, int fd);

/* Starts connecting to a resolved address; `local` may be NULL (source address). 0: on_connected or
 * on_end follows later, never from inside this call. SL_ESYS: not even started. */
int sl_conn_connect(struct sl_conn *c, const struct sockaddr *addr, socklen_t addr_len,
                    const struct sockaddr *local, socklen_t local_len);

/* Puts TLS on the connection from now on. accept: as server, input not yet consumed by on_data is
 * taken as TLS bytes. connect: as client; host (may be NULL) is for SNI and verification. Output
 * written before this call leaves in clear. on_secured or on_end(TLS) follows. */
int sl_conn_tls_accept(struct sl_conn *c, struct sl_tls_context *ctx);
int sl_conn_tls_connect(struct sl_conn *c, struct sl_tls_context *ctx, const char *host);
bool sl_conn_is_secure(const struct sl_conn *c);
/* NULL without TLS. Static per cipher. */
const char *sl_conn_tls_cipher(const struct sl_conn *c);
const char *sl_conn_tls_version(const struct sl_conn *c);

/* Appends to the output. 0 or SL_ENOMEM (the connection is then ended with SL_CONN_END_LIMIT at
 * the end of the turn). After the peer has gone, or while closing, bytes are dropped silently
 * and 0 returned. */
int sl_conn_write(struct sl_conn *c, const void *data, size_t len);
/* Room for len bytes directly in the output (NULL when memory is out); commit what was filled. */
uint8_t *sl_conn_reserve(struct sl_conn *c, size_t len);
void sl_conn_commit(struct sl_conn *c, size_t len);
/* Unsent bytes, and whether they are above the high water mark. */
size_t sl_conn_pending(const struct sl_conn *c);
bool sl_conn_is_full(const struct sl_conn *c);
/* If anything is unsent, the connection counts as full, so that on_writable comes when it has gone:
 * for a source that adds large pieces and wants at most one of them to wait. Returns whether it is
 * full. */
bool sl_conn_hold_full(struct sl_conn *c);

/* Stops calling on_data (and reading) until resumed; nests not. resume presents kept input
 * again, in this turn or the next one, never from inside the call. */
void sl_conn_pause(struct sl_conn *c);
void sl_conn_resume(struct sl_conn *c);
bool sl_conn_is_paused(const struct sl_conn *c);

/* on_data is not called before at least `bytes` are there (counted from the first unconsumed
 * byte); for packets that must be whole. Reset to 0 by each on_data call. */
void sl_conn_want(struct sl_conn *c, uint32_t bytes);

/* Ends the connection: with flush, pending output is sent first (at most 5 s, then dropped),
 * else it is dropped and the socket closed at the end of the turn. on_released follows, from the
 * end of a turn. Calling it twice is harmless. */
void sl_conn_close(struct sl_conn *c, bool flush);
/* Sends FIN after pending output (half-close). */
void sl_conn_shutdown_write(struct sl_conn *c);

bool sl_conn_is_open(const struct sl_conn *c); /* OPEN and neither ended nor closing */
int sl_conn_errno(const struct sl_conn *c);
/* A sentence on why it ended ("Connection refused", an OpenSSL reason); valid until released. */
const char *sl_conn_error_text(const struct sl_conn *c);
/* "127.0.0.1:4007", "[::1]:4007", "unix"; peer or own end. */
void sl_conn_peer_text(const struct sl_conn *c, char *out, size_t size);

#endif
