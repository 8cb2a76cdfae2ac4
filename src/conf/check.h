/* SPDX-License-Identifier: Apache-2.0 */
/* Inside conf: the checks that need more than one value, run after all objects are built and
 * linked. */
#ifndef SL_CONF_CHECK_H
#define SL_CONF_CHECK_H

#include "conf/config.h"

/* Where `key` of the object (NULL: the object) was written. */
struct sl_conf_place sl_conf_place_of(const struct sl_config *c, const struct sl_conf_object *o,
                                      const char *key);

void sl_conf_check(const struct sl_config *c, struct sl_conf_report *report);

#endif
