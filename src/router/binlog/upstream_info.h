/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master-info.json: what of the replica side survives a restart.
 *
 *   {"slave_running": true, "select_master": true, "host": "10.0.0.1", "port": 3306, "user": "repl",
 *    "password": "<encrypted>", "use_gtid": "slave_pos", "ssl": false, "ssl_ca": "", ...}
 *
 * The names are MaxScale's (documentation of binlogrouter), whose own file is read too: its password
 * is plain, and the file is written anew at once. Ours is never plain: it is encrypted with the
 * daemon's key, or with one in the same directory (.secrets, mode 0400), which is made when it is
 * first needed; `password_key` says which. Upstream thread, and the control thread before it starts.
 */
#ifndef SL_ROUTER_BINLOG_UPSTREAM_INFO_H
#define SL_ROUTER_BINLOG_UPSTREAM_INFO_H

#include "router/binlog/relay.h"

struct sl_secrets;

#define SL_MASTER_INFO_FILE "master-info.json"

struct sl_upstream_info {
    bool is_running;
    bool selects_master;
    struct sl_upstream_target target;
};

/* SL_ENOENT: there is none. SL_EINVAL: what is wrong, and where. *ret_was_plain: it must be written
 * again. `secrets` (may be NULL) is the daemon's key. */
int sl_upstream_info_read(const char *datadir, const struct sl_secrets *secrets,
                          struct sl_upstream_info *ret, bool *ret_was_plain, struct sl_err *err);
int sl_upstream_info_write(const char *datadir, const struct sl_secrets *secrets,
                           const struct sl_upstream_info *info, struct sl_err *err);

#endif
