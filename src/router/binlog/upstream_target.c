/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CHANGE MASTER TO holds: copying and wiping. Contract in relay.h. Any thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "router/binlog/upstream_internal.h"

static char **texts_of(struct sl_upstream_target *t, unsigned i)
{
    char **const texts[] = {&t->host,       &t->user,       &t->password, &t->ssl_ca,
                            &t->ssl_capath, &t->ssl_cert,   &t->ssl_crl,  &t->ssl_key,
                            &t->ssl_cipher, &t->ssl_crlpath};
    return i < SL_ARRAY_LEN(texts) ? texts[i] : NULL;
}

void sl_upstream_target_clear(struct sl_upstream_target *t)
{
    if (t->password != NULL) {
        sl_wipe(t->password, strlen(t->password));
    }
    char **text;
    for (unsigned i = 0; (text = texts_of(t, i)) != NULL; i++) {
        sl_free(*text);
    }
    *t = (struct sl_upstream_target){0};
}

int sl_upstream_target_copy(struct sl_upstream_target *to, const struct sl_upstream_target *from)
{
    struct sl_upstream_target source = *from; /* the texts are only read */
    *to = *from;
    char **text;
    bool is_complete = true;
    for (unsigned i = 0; (text = texts_of(to, i)) != NULL; i++) {
        const char *original = *texts_of(&source, i);
        *text = sl_strdup(original);
        is_complete = is_complete && (original == NULL || *text != NULL);
    }
    if (!is_complete) {
        sl_upstream_target_clear(to);
        return SL_ENOMEM;
    }
    return SL_OK;
}

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

int sl_upstream_target_check(const struct sl_upstream_target *t, struct sl_err *err)
{
    if (is_set(t->ssl_capath) || is_set(t->ssl_crlpath)) {
        return sl_err_set(
            err, SL_ENOTSUP,
            "MASTER_SSL_CAPATH and MASTER_SSL_CRLPATH are not supported: name one file "
            "with MASTER_SSL_CA or MASTER_SSL_CRL");
    }
    if (is_set(t->ssl_cert) != is_set(t->ssl_key)) {
        return sl_err_set(err, SL_EINVAL,
                          "MASTER_SSL_CERT and MASTER_SSL_KEY must be given together");
    }
    return SL_OK;
}

int sl_upstream_target_complete(const struct sl_upstream_target *t, struct sl_err *err)
{
    char missing[128];
    size_t len = 0;
    const struct {
        const char *name;
        bool is_there;
    } parts[] = {{"MASTER_HOST", is_set(t->host)},
                 {"MASTER_PORT", t->port != 0},
                 {"MASTER_USER", is_set(t->user)},
                 {"MASTER_PASSWORD", t->password != NULL}};
    for (size_t i = 0; i < SL_ARRAY_LEN(parts); i++) {
        if (!parts[i].is_there) {
            len += (size_t)snprintf(missing + len, sizeof(missing) - len, "%s%s",
                                    len > 0 ? ", " : "", parts[i].name);
        }
    }
    return len == 0
               ? SL_OK
               : sl_err_set(err, SL_EINVAL,
                            "The primary is not known: %s missing (CHANGE MASTER TO)", missing);
}
