/* SPDX-License-Identifier: Apache-2.0 */
/* The one list of modules of this program. */
#ifndef SL_DAEMON_MODULES_H
#define SL_DAEMON_MODULES_H

#include "conf/config.h"
#include "core/module.h"

extern const struct sl_module *const sl_daemon_modules[]; /* NULL-terminated */

/* For the configuration check, which does not know modules itself. */
extern const struct sl_conf_modules sl_daemon_conf_modules;

#endif
