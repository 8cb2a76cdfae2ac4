/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY protocol v1 (text) and v2 (binary), both directions. Sans-I/O. */
#ifndef SL_NET_PROXY_HEADER_H
#define SL_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

struct sl_proxy_header {
    bool has_address; /* false: UNKNOWN or LOCAL, keep the real peer */
    struct sockaddr_storage source;
    struct sockaddr_storage destination;
};

/* Looks at the first bytes of a connection. Returns the header's length (> 0) and fills *ret, 0
 * when the bytes are surely no PROXY header, SL_EAGAIN when more are needed to tell, SL_EPROTO
 * when it is malformed. */
long sl_proxy_header_parse(const uint8_t *data, size_t len, struct sl_proxy_header *ret);

/* Writes a header; out must hold 108 (v1) or 52 (v2) bytes. NULL addresses, a family mix or
 * unix sockets give UNKNOWN / LOCAL. Returns the length. */
size_t sl_proxy_header_build_v1(const struct sockaddr *source, const struct sockaddr *destination,
                                char *out);
size_t sl_proxy_header_build_v2(const struct sockaddr *source, const struct sockaddr *destination,
                                uint8_t *out);

#endif
