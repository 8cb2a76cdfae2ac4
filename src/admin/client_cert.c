/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of REST clients (admin_ssl_ca): one that is shown must be good, none need be shown.
 *
 * libmicrohttpd asks for a certificate when it is given an authority, and leaves it to the
 * application to look at what came (its manual, MHD_OPTION_HTTPS_MEM_TRUST). GnuTLS checks chain and
 * dates. Runs on the connection's thread.
 */
#include "admin/client_cert.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>

static void describe(unsigned status, char *out, size_t size)
{
    gnutls_datum_t text;
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0) {
        snprintf(out, size, "its status is %u", status);
        return;
    }
    snprintf(out, size, "%s", (const char *)text.data);
    gnutls_free(text.data);
}

bool sl_admin_client_cert_is_good(struct MHD_Connection *connection, char *reason, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info != NULL ? info->tls_session : NULL;
    unsigned count = 0, status = 0;
    if (session == NULL || gnutls_certificate_get_peers(session, &count) == NULL || count == 0) {
        return true;
    }
    int rc = gnutls_certificate_verify_peers2(session, &status);
    if (rc < 0) {
        snprintf(reason, size, "%s", gnutls_strerror(rc));
        return false;
    }
    if (status != 0) {
        describe(status, reason, size);
    }
    return status == 0;
}
