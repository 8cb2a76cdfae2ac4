/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which capabilities are offered to clients and asked of backends. See handshake.h.
 *
 *   pass   offered if every backend has it; a backend is asked for exactly what the client agreed
 * to
 *   own    decided for each side alone
 *   never  masked: compression (pays nothing on a LAN and hides packets), MySQL's dialect (query
 *          attributes change COM_QUERY, optional metadata changes result sets), withdrawn bits, and
 *          CACHE_METADATA, which goes wrong when a statement moves to another server
 */
#include "proto/handshake.h"

#define PASS                                                                                       \
    (SL_CAP_FOUND_ROWS | SL_CAP_LONG_FLAG | SL_CAP_NO_SCHEMA | SL_CAP_ODBC | SL_CAP_LOCAL_FILES |  \
     SL_CAP_IGNORE_SPACE | SL_CAP_INTERACTIVE | SL_CAP_MULTI_STATEMENTS | SL_CAP_MULTI_RESULTS |   \
     SL_CAP_PS_MULTI_RESULTS | SL_CAP_CONNECT_ATTRS | SL_CAP_EXPIRED_PASSWORDS |                   \
     SL_CAP_SESSION_TRACK | SL_CAP_DEPRECATE_EOF | SL_CAP_PROGRESS | SL_CAP_BULK |                 \
     SL_CAP_EXTENDED_METADATA | SL_CAP_BULK_UNIT_RESULTS)

/* Spoken on every link, whatever the other side has. */
#define ALWAYS                                                                                     \
    (SL_CAP_PROTOCOL_41 | SL_CAP_TRANSACTIONS | SL_CAP_RESERVED | SL_CAP_SECURE_CONNECTION |       \
     SL_CAP_PLUGIN_AUTH | SL_CAP_AUTH_LENENC | SL_CAP_LONG_FLAG)

#define OWN_CLIENT (SL_CAP_CONNECT_WITH_DB | SL_CAP_CONNECT_ATTRS | SL_CAP_IGNORE_SIGPIPE)

/* Bits that change what results look like. */
#define SHAPE                                                                                      \
    (SL_CAP_MULTI_RESULTS | SL_CAP_PS_MULTI_RESULTS | SL_CAP_SESSION_TRACK |                       \
     SL_CAP_DEPRECATE_EOF | SL_CAP_PROGRESS | SL_CAP_BULK | SL_CAP_EXTENDED_METADATA |             \
     SL_CAP_CACHE_METADATA | SL_CAP_BULK_UNIT_RESULTS)

uint64_t sl_capabilities_offer(uint64_t backend_common, unsigned flags)
{
    uint64_t caps = (backend_common & PASS) | ALWAYS | OWN_CLIENT;
    if (flags & SL_OFFER_TLS) {
        caps |= SL_CAP_SSL;
    }
    if (flags & SL_OFFER_NO_LOCAL_FILES) {
        caps &= ~(uint64_t)SL_CAP_LOCAL_FILES;
    }
    if (flags & SL_OFFER_NO_SESSION_TRACK) {
        caps &= ~(uint64_t)SL_CAP_SESSION_TRACK;
    }
    if (flags & SL_OFFER_NO_BULK) {
        caps &= ~(uint64_t)(SL_CAP_BULK | SL_CAP_BULK_UNIT_RESULTS);
    }
    return caps;
}

uint64_t sl_capabilities_agree(uint64_t offered, uint64_t client)
{
    uint64_t agreed = offered & client;
    return client & SL_CAP_MYSQL ? agreed & 0xFFFFFFFF : agreed;
}

uint64_t sl_capabilities_request(uint64_t agreed, uint64_t server, unsigned flags)
{
    uint64_t want = (agreed & PASS & ~(uint64_t)SL_CAP_CONNECT_ATTRS) | ALWAYS;
    if (flags & SL_REQUEST_TLS) {
        want |= SL_CAP_SSL;
    }
    if (flags & SL_REQUEST_DB) {
        want |= SL_CAP_CONNECT_WITH_DB;
    }
    if (flags & SL_REQUEST_SESSION_TRACK) {
        want |= SL_CAP_SESSION_TRACK;
    }
    if ((flags & SL_REQUEST_ATTRIBUTES) || (agreed & SL_CAP_CONNECT_ATTRS)) {
        want |= SL_CAP_CONNECT_ATTRS;
    }
    /* INTERACTIVE and EXPIRED_PASSWORDS are wishes of the client that servers need not announce. */
    server |= SL_CAP_INTERACTIVE | SL_CAP_EXPIRED_PASSWORDS;
    /* Bit 0 stays clear towards MySQL too: there it only says that passwords are long. */
    return want & server;
}

uint64_t sl_capabilities_shape(uint64_t capabilities)
{
    return capabilities & SHAPE;
}
