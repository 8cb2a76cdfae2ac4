/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin_audit: a CSV file with a line for each call of the REST API: when, how long, who, from
 * where, what, and what came of it. Passwords in bodies are masked.
 */
#ifndef SL_ADMIN_AUDIT_H
#define SL_ADMIN_AUDIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/request.h"
#include "base/error.h"
#include "conf/tables.h"

struct sl_audit {
    char *path;        /* NULL: no audit */
    unsigned excluded; /* bit per enum sl_admin_method */
    pthread_mutex_t lock;
    bool has_failed; /* under lock: a line could not be written, and that has been said */
};

/* Takes the settings and writes to the file, so that a wrong one shows at start. SL_EINVAL,
 * SL_ESYS. */
int sl_audit_open(struct sl_audit *a, const struct sl_global_settings *g, struct sl_err *err);
void sl_audit_close(struct sl_audit *a);

/* Adds a line, unless the method is left out and the call succeeded. Any thread. */
void sl_audit_note(struct sl_audit *a, const struct sl_admin_request *rq, unsigned status,
                   uint64_t duration_us);

#endif
