/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file with defaults: ~/.sealanectl.cnf or ~/.maxctrl.cnf.
 *
 *     [maxctrl]            or [sealanectl]
 *     user=admin           the names of the global options, without dashes
 *     p="secret"
 */
#ifndef SL_CLI_CONFIG_H
#define SL_CLI_CONFIG_H

#include "base/buffer.h"
#include "cli/line.h"

/* Reads the file that `line` names (--config), else the first that exists of ~/.<program>.cnf,
 * ~/.sealanectl.cnf and ~/.maxctrl.cnf; no file at all is fine. What it says is put into *ret as
 * given options. 0, or SL_EINVAL with the reason in *error: no such file, others may read or write
 * it, no section, unknown key, bad value. *ret is to be freed in both cases. */
int sl_cli_config_load(const struct sl_cli_line *line, const char *program, struct sl_cli_line *ret,
                       struct sl_buf *error);

#endif
