/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a connection and the meaning of error numbers: tables only, no I/O.
 *
 * Option names: MariaDB Connector/C documentation, mysql_optionsv. Error numbers below 2000 and
 * above 3000 come from the server, 2000-2999 from the connector (errmsg.h).
 */
#include <errmsg.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "dbc/dbc_internal.h"

static const struct {
    unsigned number;
    int rc;
} classes[] = {
    {1040, SL_ELIMIT}, /* too many connections */
    {1129, SL_ELIMIT}, /* host blocked by connection errors */
    {1203, SL_ELIMIT}, /* max_user_connections, global */
    {1226, SL_ELIMIT}, /* max_user_connections, account */
    {1044, SL_EAUTH},  /* no right to the database */
    {1045, SL_EAUTH},  /* wrong user or password */
    {1049, SL_EAUTH},  /* no such database */
    {1130, SL_EAUTH},  /* host not allowed */
    {1251, SL_EAUTH},  /* authentication plugin not known to the client */
    {1524, SL_EAUTH},  /* authentication plugin not loaded by the server */
    {1698, SL_EAUTH},  /* unix_socket account */
    {1820, SL_EAUTH},  /* password expired */
    {1862, SL_EAUTH},  /* password expired, connection refused */
    {4150, SL_EAUTH},  /* blocked by password errors */
    {4151, SL_EAUTH},  /* account locked */
    {CR_AUTH_PLUGIN_CANNOT_LOAD, SL_EAUTH},
    {CR_CONNECTION_ERROR, SL_ESYS},
    {CR_CONN_HOST_ERROR, SL_ESYS},
    {CR_UNKNOWN_HOST, SL_ESYS},
    {CR_SERVER_GONE_ERROR, SL_ESYS},
    {CR_SERVER_LOST, SL_ESYS},
    {CR_SERVER_LOST_EXTENDED, SL_ESYS},
    {CR_SOCKET_CREATE_ERROR, SL_ESYS},
    {CR_SSL_CONNECTION_ERROR, SL_ETLS},
    {CR_OUT_OF_MEMORY, SL_ENOMEM},
    {1053, SL_ESYS}, /* server shutdown in progress */
    {1927, SL_ESYS}, /* connection was killed */
};

int sl_dbc_classify(unsigned number)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(classes); i++) {
        if (classes[i].number == number) {
            return classes[i].rc;
        }
    }
    return SL_EPROTO;
}

/* --- TLS -------------------------------------------------------------------------------------- */

int sl_dbc_tls_versions(const char *text, char *ret, size_t size)
{
    static const struct {
        const char *name, *connector_name;
    } names[] = {
        {"TLSv1.0", "TLSv1.0"}, {"TLSv10", "TLSv1.0"},  {"TLSv1.1", "TLSv1.1"},
        {"TLSv11", "TLSv1.1"},  {"TLSv1.2", "TLSv1.2"}, {"TLSv12", "TLSv1.2"},
        {"TLSv1.3", "TLSv1.3"}, {"TLSv13", "TLSv1.3"},
    };
    size_t used = 0;
    ret[0] = '\0';
    for (const char *p = text == NULL ? "" : text; *p != '\0';) {
        size_t len = strcspn(p, ", ");
        const char *found = NULL;
        if (len == strlen("MAX") && strncasecmp(p, "MAX", len) == 0) {
            ret[0] = '\0';
            return 0;
        }
        for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
            if (strlen(names[i].name) == len && strncasecmp(p, names[i].name, len) == 0) {
                found = names[i].connector_name;
            }
        }
        if (len > 0) {
            int n = found == NULL
                        ? -1
                        : snprintf(ret + used, size - used, "%s%s", used == 0 ? "" : ",", found);
            if (n < 0 || (size_t)n >= size - used) {
                return SL_EINVAL;
            }
            used += (size_t)n;
        }
        p += len + strspn(p + len, ", ");
    }
    return 0;
}

static int apply_tls(MYSQL *mysql, const struct sl_dbc_config *config, struct sl_err *err)
{
    char versions[64];
    const my_bool on = 1;
    if (!config->tls) {
        return 0;
    }
    if (sl_dbc_tls_versions(config->tls_version, versions, sizeof(versions)) != 0) {
        return sl_err_set(err, SL_EINVAL, "unknown TLS version '%s'", config->tls_version);
    }
    /* Given a CA, the connector verifies the chain; it must not when verification is off. */
    bool verify = config->tls_verify_peer || config->tls_verify_host;
    /* Without any CA it verifies nothing: name the system's store. */
    bool by_system = verify && (config->tls_ca == NULL || config->tls_ca[0] == '\0');
    const struct {
        enum mysql_option option;
        const char *value;
    } texts[] = {
        {MYSQL_OPT_SSL_KEY, config->tls_key},
        {MYSQL_OPT_SSL_CERT, config->tls_cert},
        {MYSQL_OPT_SSL_CA, verify ? config->tls_ca : NULL},
        {MYSQL_OPT_SSL_CAPATH, by_system ? X509_get_default_cert_dir() : NULL},
        {MYSQL_OPT_SSL_CIPHER, config->tls_cipher},
        {MARIADB_OPT_TLS_VERSION, versions},
    };
    for (unsigned i = 0; i < SL_ARRAY_LEN(texts); i++) {
        if (texts[i].value != NULL && texts[i].value[0] != '\0') {
            mysql_optionsv(mysql, texts[i].option, texts[i].value);
        }
    }
    mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &on);
    if (config->tls_verify_host) {
        mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
    }
    return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

int sl_dbc_options_apply(MYSQL *mysql, const struct sl_dbc_config *config, struct sl_err *err)
{
    static const char proxy_unknown[] = "PROXY UNKNOWN\r\n";
    const unsigned no = 0;
    const my_bool off = 0;
    if (mysql_optionsv(mysql, MYSQL_OPT_NONBLOCK, 0) != 0) { /* allocates the coroutine's stack */
        return sl_err_set(err, SL_ENOMEM, "out of memory for a connection");
    }
    mysql_optionsv(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(mysql, MYSQL_OPT_LOCAL_INFILE, &no);
    mysql_optionsv(mysql, MYSQL_OPT_RECONNECT, &off);
    mysql_optionsv(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "sealaned");
    if (config->local_address != NULL && config->local_address[0] != '\0') {
        mysql_optionsv(mysql, MYSQL_OPT_BIND, config->local_address);
    }
    if (config->proxy_header) {
        mysql_optionsv(mysql, MARIADB_OPT_PROXY_HEADER, proxy_unknown, sizeof(proxy_unknown) - 1);
    }
    return apply_tls(mysql, config, err);
}
