/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings rows as JSON: the `parameters` of an object, and the description of each row for
 * /maxscale/modules.
 *
 * JSON types are those of MaxScale's REST API: durations "10000ms", sizes and counts numbers, unset
 * null, passwords
 * "*****", lists of a few parameters arrays. A dot in a name makes a nested object.
 */
#ifndef SL_ADMIN_PARAMS_H
#define SL_ADMIN_PARAMS_H

#include <jansson.h>

#include "conf/settings.h"

/* One value. */
json_t *sl_params_value(const struct sl_setting *row, const void *object);
/* Adds all rows of the table to `out`, but for those named in `hidden` (NULL-terminated, may be
 * NULL). */
void sl_params_add(json_t *out, const struct sl_settings *table, const void *object,
                   const char *const *hidden);
/* Appends the descriptions of all rows to the array. */
void sl_params_describe(json_t *array, const struct sl_settings *table, const char *const *hidden);

#endif
