/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor modules, for the daemon's list. */
#ifndef SL_MONITOR_MONITORS_H
#define SL_MONITOR_MONITORS_H

#include "core/module.h"

extern const struct sl_module sl_module_galeramon;

#endif
