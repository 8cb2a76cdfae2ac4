/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of clients, servers and requests as JSON, which must be UTF-8 while they need not be: bytes
 * that are none become U+FFFD, so that no answer lacks a field because of what somebody sent.
 */
#ifndef SL_ADMIN_TEXT_H
#define SL_ADMIN_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* Length of the UTF-8 character at `text`; 0 when there is none (also at the end). */
size_t sl_text_utf8_len(const char *text);

/* A JSON string; NULL only when memory is out. */
json_t *sl_text_json(const char *text);

#endif
