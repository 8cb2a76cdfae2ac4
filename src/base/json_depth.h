/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bound for the nesting of JSON before it is parsed: jansson recurses 2048 levels deep, which does
 * not fit the stack of every thread. Pure; any thread.
 */
#ifndef SL_BASE_JSON_DEPTH_H
#define SL_BASE_JSON_DEPTH_H

#include <stdbool.h>
#include <stddef.h>

#define SL_JSON_DEPTH_MAX 64

/* Text that is no JSON may give either answer. */
bool sl_json_depth_is_sane(const char *text, size_t len);

#endif
