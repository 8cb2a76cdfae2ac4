/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the REST interface holds besides the core. Fixed after start but for the atomics and the
 * stamps.
 */
#ifndef SL_ADMIN_ADMIN_STATE_H
#define SL_ADMIN_ADMIN_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/audit.h"
#include "admin/auth.h"
#include "admin/stamps.h"

struct MHD_Daemon;
struct sl_core;

struct sl_admin {
    struct sl_core *core;
    struct MHD_Daemon *daemon;
    struct sl_auth auth;
    struct sl_stamps stamps;
    struct sl_audit audit;
    char *key_pem, *cert_pem, *ca_pem; /* NULL without TLS */
    _Atomic bool is_stopping;
    _Atomic uint64_t requests; /* served since start */
};

#endif
