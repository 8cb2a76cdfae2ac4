/* SPDX-License-Identifier: Apache-2.0 */
/* The filter modules, for the daemon's list. */
#ifndef SL_FILTER_FILTERS_H
#define SL_FILTER_FILTERS_H

#include "core/module.h"

extern const struct sl_module sl_module_hintfilter;

#endif
