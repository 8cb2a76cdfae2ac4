/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging in to the primary with user and password: native and ed25519, TLS if the settings want it.
 * Sans-I/O: payloads in, packets out. One thread.
 *
 *   greeting -> [TLS request, TLS] -> response -> [switch -> answer]* -> OK
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_LOGIN_H
#define SL_ROUTER_BINLOG_UPSTREAM_LOGIN_H

#include "base/buffer.h"
#include "proto/handshake.h"
#include "router/binlog/upstream_fault.h"

enum sl_upstream_login_next {
    SL_LOGIN_MORE,      /* send what was written, wait for the next packet */
    SL_LOGIN_START_TLS, /* send, then TLS, then sl_upstream_login_secured() */
    SL_LOGIN_DONE
};

struct sl_upstream_login {
    const char *user; /* borrowed, like the password */
    const char *password;
    bool wants_tls;
    bool has_greeting;
    uint8_t rounds;
    uint64_t server_capabilities;
    uint32_t connection_id;
    uint32_t version; /* 101119; 0: unknown */
    uint8_t scramble[SL_SCRAMBLE_LEN];
};

void sl_upstream_login_start(struct sl_upstream_login *l, const char *user, const char *password,
                             bool wants_tls);
/* One packet of the server; what is to be sent is appended to `out`. 0, or a negative SL_E* with
 * *fault. */
int sl_upstream_login_packet(struct sl_upstream_login *l, const uint8_t *payload, size_t len,
                             uint8_t seq, struct sl_buf *out, enum sl_upstream_login_next *ret,
                             struct sl_fault *fault);
int sl_upstream_login_secured(struct sl_upstream_login *l, struct sl_buf *out,
                              struct sl_fault *fault);

#endif
