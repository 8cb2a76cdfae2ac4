/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result codes and the error object.
 *
 * Data path functions return an `enum sl_rc`: 0 or a negative value that says whose fault it was.
 * Control path functions additionally fill a `struct sl_err`, which gathers context on the way up
 * and is logged once, at the top.
 */
#ifndef SL_BASE_ERROR_H
#define SL_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define SL_RC_LIST(X)                                                                              \
    X(SL_OK, 0, "ok")                                                                              \
    X(SL_ENOMEM, -1, "out of memory")                                                              \
    X(SL_EINVAL, -2, "invalid value")                                                              \
    X(SL_EPROTO, -3, "the peer broke the protocol")                                                \
    X(SL_ESYS, -4, "system call failed")                                                           \
    X(SL_ETIMEOUT, -5, "timed out")                                                                \
    X(SL_ECLOSED, -6, "connection closed by the peer")                                             \
    X(SL_ELIMIT, -7, "a limit was reached")                                                        \
    X(SL_ENOENT, -8, "not found")                                                                  \
    X(SL_EEXIST, -9, "exists already")                                                             \
    X(SL_EAUTH, -10, "access denied")                                                              \
    X(SL_ETLS, -11, "TLS failed")                                                                  \
    X(SL_EAGAIN, -12, "more data needed")                                                          \
    X(SL_ENOTSUP, -13, "not supported")                                                            \
    X(SL_ESTATE, -14, "not possible in this state")

enum sl_rc {
#define SL_RC_ENUM(name, value, text) name = value,
    SL_RC_LIST(SL_RC_ENUM)
#undef SL_RC_ENUM
};

/* Text of a result code; never NULL. Static storage. Any thread. */
const char *sl_rc_text(int rc);

/* Filled by the callee on failure only; the caller owns it (usually on the stack). */
struct sl_err {
    int rc;          /* an enum sl_rc, never SL_OK once set */
    char text[1024]; /* one sentence for a human, without a trailing full stop or newline */
};

// clang-format off
#define SL_ERR_INIT {0, ""}
// clang-format on

/* Sets code and text (printf format); err may be NULL. Returns rc, so that `return sl_err_set(..)`
 * reads well. Text that does not fit is cut. */
int sl_err_set(struct sl_err *err, int rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts context in front of the text: "<new>: <old>". Keeps the code; returns it. */
int sl_err_wrap(struct sl_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
