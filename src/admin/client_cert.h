/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of REST clients. Private to src/admin. */
#ifndef SL_ADMIN_CLIENT_CERT_H
#define SL_ADMIN_CLIENT_CERT_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

/* False when the client of a TLS connection has shown a certificate that the authority in
 * admin_ssl_ca does not vouch for now; `reason` says why. True too when it has shown none. */
bool sl_admin_client_cert_is_good(struct MHD_Connection *connection, char *reason, size_t size);

#endif
