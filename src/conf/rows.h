/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the tables_*.c files write their rows: one macro per type, so that a row fits on one or two
 * lines.
 *
 * Each such file defines T as the struct its rows fill. Only included by those files.
 */
#ifndef SL_CONF_ROWS_H
#define SL_CONF_ROWS_H

#include "conf/tables.h"

#define AT(field) offsetof(struct T, field)
#define RT SL_SETTING_RUNTIME
#define FUTURE SL_SETTING_FUTURE
#define SECONDS SL_SETTING_SECONDS
#define DEPRECATED SL_SETTING_DEPRECATED

/* name text, field */
#define ROW_AS(name, field, type, flags, def, min, max, choices, help)                             \
    {                                                                                              \
        name, SL_SETTING_##type, flags, AT(field), def, min, max, choices, NULL, help              \
    }
#define ROW(field, type, flags, def, help) ROW_AS(#field, field, type, flags, def, 0, 0, NULL, help)
#define RANGE(field, type, flags, def, min, max, help)                                             \
    ROW_AS(#field, field, type, flags, def, min, max, NULL, help)
#define CHOICE(field, type, flags, def, choices, help)                                             \
    ROW_AS(#field, field, type, flags, def, 0, 0, choices, help)
#define ALIAS(old, now)                                                                            \
    {                                                                                              \
        old, 0, 0, 0, NULL, 0, 0, NULL, now, "Old name of " now "."                                \
    }

#define PORT_MAX 65535
#define NUMBER_MAX INT64_C(2147483647) /* counts that end up in an int */

/* The TLS rows that servers and listeners share; `m` is the path to the struct sl_tls_settings
 * inside T, with its dot, or nothing. */
#define TLS_ROWS(m)                                                                                \
    ROW_AS("ssl", m ssl, BOOL, RT, "false", 0, 0, NULL, "Use TLS."),                               \
        ROW_AS("ssl_key", m ssl_key, PATH, RT | SL_SETTING_READABLE, NULL, 0, 0, NULL,             \
               "Private key, PEM."),                                                               \
        ROW_AS("ssl_cert", m ssl_cert, PATH, RT | SL_SETTING_READABLE, NULL, 0, 0, NULL,           \
               "Certificate, PEM."),                                                               \
        ROW_AS("ssl_ca", m ssl_ca, PATH, RT | SL_SETTING_READABLE, NULL, 0, 0, NULL,               \
               "Certificates of the authorities to trust, PEM; the system's when empty."),         \
        ALIAS("ssl_ca_cert", "ssl_ca"),                                                            \
        ROW_AS("ssl_version", m ssl_version, MASK, RT, "MAX", 0, 0, sl_choices_tls_version,        \
               "The TLS versions to offer."),                                                      \
        ROW_AS("ssl_cipher", m ssl_cipher, STRING, RT, NULL, 0, 0, NULL,                           \
               "OpenSSL cipher list for TLS 1.2 and older."),                                      \
        ROW_AS("ssl_cert_verify_depth", m ssl_cert_verify_depth, COUNT, RT, "9", 1, 100, NULL,     \
               "Longest certificate chain accepted."),                                             \
        ROW_AS("ssl_verify_peer_certificate", m ssl_verify_peer_certificate, BOOL, RT, "false", 0, \
               0, NULL, "Demand a valid certificate from the peer."),                              \
        ROW_AS("ssl_verify_peer_host", m ssl_verify_peer_host, BOOL, RT, "false", 0, 0, NULL,      \
               "Demand that the peer's certificate names its host.")

extern const struct sl_choice sl_choices_tls_version[], sl_choices_rank[], sl_choices_sql_mode[];

#endif
