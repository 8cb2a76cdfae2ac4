/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What modules say about themselves (core/diag.h) as JSON.
 *
 *     struct sl_diag_json d;
 *     sl_diag_json_begin(&d);
 *     module(&d.base);
 *     json_t *object = sl_diag_json_end(&d);
 */
#ifndef SL_ADMIN_DIAG_JSON_H
#define SL_ADMIN_DIAG_JSON_H

#include <jansson.h>

#include "core/diag.h"

#define SL_DIAG_JSON_DEPTH_MAX 16

struct sl_diag_json {
    struct sl_diag base;
    json_t *stack[SL_DIAG_JSON_DEPTH_MAX]; /* [0] is the root */
    unsigned depth;
};

void sl_diag_json_begin(struct sl_diag_json *d);
/* The object; the caller's. */
json_t *sl_diag_json_end(struct sl_diag_json *d);

#endif
