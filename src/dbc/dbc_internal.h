/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of dbc only. */
#ifndef SL_DBC_DBC_INTERNAL_H
#define SL_DBC_DBC_INTERNAL_H

#include <mysql.h>

#include "dbc/dbc.h"

/* Puts everything in `config` but address and account into the handle. 0 or SL_EINVAL,
 * SL_ENOMEM. */
int sl_dbc_options_apply(MYSQL *mysql, const struct sl_dbc_config *config, struct sl_err *err);

/* "TLSv12", "tlsv1.3", lists of them -> the spelling of the connector. "MAX", NULL, "" -> "". 0
 * or SL_EINVAL. */
int sl_dbc_tls_versions(const char *text, char *ret, size_t size);

/* Result code of a MariaDB or connector error number. */
int sl_dbc_classify(unsigned number);

#endif
