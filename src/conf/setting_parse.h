/* SPDX-License-Identifier: Apache-2.0 */
/* Inside conf: parsing to a place that need not be in the row's struct (for comparing with
 * defaults). */
#ifndef SL_CONF_SETTING_PARSE_H
#define SL_CONF_SETTING_PARSE_H

#include "conf/settings.h"

/* Where a value of any type fits. */
union sl_setting_value {
    bool truth;
    int64_t number;
    char *text;
};

/* As sl_setting_parse(); `slot` points to the value itself. The old value must be valid (zero or
 * parsed). */
int sl_setting_parse_slot(const struct sl_setting *row, void *slot, const char *text,
                          struct sl_err *err);

#endif
