/* SPDX-License-Identifier: Apache-2.0 */
/* Inside conf: the last two steps of loading, and what they need of the first ones. */
#ifndef SL_CONF_CHECK_H
#define SL_CONF_CHECK_H

#include "conf/config.h"

/* Where `key` of the object (NULL: the object) was written. */
struct sl_conf_place sl_conf_place_of(const struct sl_config *c, const struct sl_conf_object *o,
                                      const char *key);

/* NULL: none of that name, or past the end. */
struct sl_conf_object *sl_conf_object_find(const struct sl_config *c, enum sl_conf_kind kind,
                                           const char *name);
struct sl_conf_object *sl_conf_object_at(const struct sl_config *c, enum sl_conf_kind kind,
                                         size_t i);

/* Names become pointers. */
void sl_conf_link(struct sl_config *c, struct sl_conf_report *report);

/* Services that are targets of services: routers that can be one, no circles, bounded depth. What
 * is refused goes to the report and is taken out of the targets. */
void sl_conf_link_services(struct sl_config *c, struct sl_conf_report *report);

/* The checks that need more than one value; all objects are built and linked. */
void sl_conf_check(const struct sl_config *c, struct sl_conf_report *report);

#endif
