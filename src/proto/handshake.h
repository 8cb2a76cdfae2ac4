/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection phase: greeting, TLS request, handshake response, authentication rounds,
 * COM_CHANGE_USER, and which capabilities go where.
 *
 * Parsers take a payload and return slices into it; builders append whole packets to a buffer and
 * return 0 or SL_ENOMEM/SL_ELIMIT. No state, any thread.
 */
#ifndef SL_PROTO_HANDSHAKE_H
#define SL_PROTO_HANDSHAKE_H

#include "proto/auth.h"
#include "proto/constants.h"
#include "proto/ok.h"
#include "proto/packet.h"

#define SL_PLUGIN_NATIVE "mysql_native_password"
#define SL_PLUGIN_ED25519 "client_ed25519" /* the grant tables call it "ed25519" */
#define SL_PLUGIN_CLEAR "mysql_clear_password"
#define SL_PLUGIN_DIALOG "dialog"
#define SL_PLUGIN_SHA2 "caching_sha2_password"

#define SL_ATTRIBUTES_MAX 65536 /* bytes of connection attributes; the server's limit */

/* ---- greeting ---- */

struct sl_greeting {
    struct sl_slice version; /* as sent, a "5.5.5-" in front included */
    uint32_t connection_id;
    uint8_t scramble[SL_SCRAMBLE_LEN];
    bool is_mariadb;   /* bit 0 clear: capabilities 32..63 are meant */
    uint8_t collation; /* low byte of the id */
    uint16_t status;
    uint64_t capabilities;
    struct sl_slice plugin; /* empty if the server named none */
};

/* Client side. 0; SL_EPROTO for garbage or protocols other than 10; SL_EAUTH if the server sent an
 * ERR instead: *ret_err holds it then (sqlstate "" as before negotiation). */
int sl_greeting_parse(const uint8_t *payload, size_t len, struct sl_greeting *ret,
                      struct sl_packet_err *ret_err);

/* Server side, sequence 0. capabilities as from sl_capabilities_offer(). */
int sl_greeting_build(struct sl_buf *buf, const struct sl_greeting *g);

/* 101119 for "5.5.5-10.11.19-MariaDB-log"; 0 if no number is found. */
uint32_t sl_version_number(struct sl_slice version);

/* ---- handshake response ---- */

struct sl_handshake_response {
    uint64_t capabilities; /* 32..63 are zero if the client set bit 0 */
    uint32_t max_packet;
    uint8_t collation; /* low byte; ids over 255 cannot be named here, the client sends SET NAMES */
    struct sl_slice user;
    struct sl_slice auth;
    struct sl_slice database;   /* empty unless SL_CAP_CONNECT_WITH_DB */
    struct sl_slice plugin;     /* empty unless SL_CAP_PLUGIN_AUTH */
    struct sl_slice attributes; /* the block without its total length, see sl_attributes_next() */
};

/* True if the payload is the 32-byte prefix alone with SL_CAP_SSL: start TLS, the full one
 * follows. */
bool sl_ssl_request_is(const uint8_t *payload, size_t len);

/* Server side. 0, or SL_EPROTO with *ret_code = the error to send: 1043, or 1251 (to be sent
 * without sqlstate) for clients older than protocol 4.1. */
int sl_handshake_response_parse(const uint8_t *payload, size_t len,
                                struct sl_handshake_response *ret, uint16_t *ret_code);

/* Client side. The 32-byte TLS request; SL_CAP_SSL is added. */
int sl_ssl_request_build(struct sl_buf *buf, uint8_t seq, const struct sl_handshake_response *r);
/* Client side. Fields whose capability is not set are left out. Auth data may have any length if
 * SL_CAP_AUTH_LENENC is set, else up to 255 bytes (SL_ELIMIT). */
int sl_handshake_response_build(struct sl_buf *buf, uint8_t seq,
                                const struct sl_handshake_response *r);

/* Walks over the pairs of an attribute block: start with sl_reader_slice(block). False at the
 * end. */
bool sl_attributes_next(struct sl_reader *block, struct sl_slice *ret_key,
                        struct sl_slice *ret_value);
/* Appends one pair to a block that is being built. */
int sl_attributes_append(struct sl_buf *block, struct sl_slice key, struct sl_slice value);

/* ---- authentication rounds ---- */

enum sl_auth_packet_kind {
    SL_AUTH_PACKET_OK,
    SL_AUTH_PACKET_ERR,
    SL_AUTH_PACKET_SWITCH,
    SL_AUTH_PACKET_OLD_SWITCH, /* pre-4.1 passwords: refuse */
    SL_AUTH_PACKET_DATA
};

struct sl_auth_packet {
    uint8_t kind;           /* enum sl_auth_packet_kind */
    struct sl_slice plugin; /* SWITCH */
    struct sl_slice data;   /* SWITCH, DATA: the plugin's bytes, the escaping 01 removed */
    struct sl_packet_ok ok;
    struct sl_packet_err err;
};

/* Client side: a server packet behind the handshake response (or COM_CHANGE_USER). 0 or
 * SL_EPROTO. */
int sl_auth_packet_parse(const uint8_t *payload, size_t len, bool session_track,
                         struct sl_auth_packet *ret);

/* The 20 scramble bytes of switch data (which may end in a NUL). 0 or SL_EPROTO. */
int sl_auth_switch_scramble(struct sl_slice data, uint8_t ret_scramble[SL_SCRAMBLE_LEN]);

/* Server side. `data` goes out as it is: add the final NUL of native yourself, or use the next
 * one. */
int sl_auth_switch_build(struct sl_buf *buf, uint8_t seq, const char *plugin, struct sl_slice data);
int sl_auth_switch_native_build(struct sl_buf *buf, uint8_t seq,
                                const uint8_t scramble[SL_SCRAMBLE_LEN]);
/* Server side: plugin data, escaped by 01 where it could be taken for OK, EOF, ERR. */
int sl_auth_more_build(struct sl_buf *buf, uint8_t seq, struct sl_slice data);
/* Client side: raw plugin data. */
int sl_auth_answer_build(struct sl_buf *buf, uint8_t seq, struct sl_slice data);

/* ---- COM_CHANGE_USER ---- */

struct sl_change_user {
    struct sl_slice user;
    struct sl_slice auth;
    struct sl_slice database; /* empty: none */
    bool has_collation;
    uint16_t collation;
    struct sl_slice plugin;
    struct sl_slice attributes;
};

/* payload[0] is the command byte. `capabilities` of the link. 0 or SL_EPROTO. */
int sl_change_user_parse(const uint8_t *payload, size_t len, uint64_t capabilities,
                         struct sl_change_user *ret);
int sl_change_user_build(struct sl_buf *buf, uint64_t capabilities, const struct sl_change_user *c);

/* ---- capabilities ---- */

enum sl_offer_flag {
    SL_OFFER_TLS = 1, /* the listener has a certificate */
    SL_OFFER_NO_LOCAL_FILES = 2,
    SL_OFFER_NO_SESSION_TRACK = 4,
    SL_OFFER_NO_BULK = 8
};

/* What to put into the greeting. backend_common: AND of the capabilities in the greetings of all
 * servers that the service may use; ~0 if none is known yet. Shape bits come only from there, so
 * that any of them can be passed through. */
uint64_t sl_capabilities_offer(uint64_t backend_common, unsigned flags);

/* What holds on the client's link: what it said, as far as it was offered, and never extended bits
 * with bit 0. */
uint64_t sl_capabilities_agree(uint64_t offered, uint64_t client);

enum sl_request_flag {
    SL_REQUEST_TLS = 1,
    SL_REQUEST_DB = 2,            /* the login names a database */
    SL_REQUEST_SESSION_TRACK = 4, /* even if the client did not: see sl_packet_ok_strip() */
    SL_REQUEST_ATTRIBUTES = 8     /* connection attributes of our own */
};

/* What to ask a backend for: agreed = sl_capabilities_agree() of the client, server = the
 * backend's greeting. Bits that the client relies on but the server lacks are simply absent:
 * compare with sl_capabilities_shape(). */
uint64_t sl_capabilities_request(uint64_t agreed, uint64_t server, unsigned flags);

/* The bits that must be equal on both sides of a pass-through link. */
uint64_t sl_capabilities_shape(uint64_t capabilities);

#endif
