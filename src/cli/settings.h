/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the global options come to: command line over defaults file over standard values.
 * Strings are borrowed from the two lines, which must live as long.
 */
#ifndef SL_CLI_SETTINGS_H
#define SL_CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/line.h"
#include "cli/table.h"

struct sl_cli_settings {
    const char *user;
    char *password; /* owned, wiped when freed */
    char **hosts;   /* owned; "name:port", at least one */
    size_t host_count;
    long timeout_ms;
    bool is_quiet;
    bool skips_sync;
    bool is_secure;
    bool verifies_server;
    const char *tls_key; /* NULL: none; this and the next three */
    const char *tls_passphrase;
    const char *tls_cert;
    const char *tls_ca_cert;
    struct sl_cli_style style; /* tsv from the options; colours and width are the caller's to set */
};

/* 0, or SL_EINVAL with the reason in *error. To be freed in both cases. */
int sl_cli_settings_build(struct sl_cli_settings *s, const struct sl_cli_line *line,
                          const struct sl_cli_line *defaults, struct sl_buf *error);
void sl_cli_settings_free(struct sl_cli_settings *s);

#endif
