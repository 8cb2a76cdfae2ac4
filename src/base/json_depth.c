/* SPDX-License-Identifier: Apache-2.0 */
/* Nesting of JSON text, see the header. No state. */
#include "base/json_depth.h"

bool sl_json_depth_is_sane(const char *text, size_t len)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            in_string = text[i] != '"';
            i += text[i] == '\\';
            continue;
        }
        depth += text[i] == '[' || text[i] == '{';
        depth -= text[i] == ']' || text[i] == '}';
        in_string = text[i] == '"';
        if (depth > SL_JSON_DEPTH_MAX) {
            return false;
        }
    }
    return true;
}
