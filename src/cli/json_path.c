/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values picked out of JSON by paths, see json_path.h.
 *
 * Plain recursion over the steps of the path; its depth is the number of steps, which the person at
 * the keyboard chose. Nothing is copied: results share the document's values.
 */
#include "cli/json_path.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Every element of an array. A rest that maps again gives arrays, which are joined. */
static json_t *map(json_t *value, const char *rest)
{
    if (!json_is_array(value)) {
        return NULL;
    }
    json_t *result = json_array();
    bool maps_again = strstr(rest, "[]") != NULL;
    size_t i;
    json_t *element;
    json_array_foreach (value, i, element) {
        json_t *part = sl_cli_json_path_get(element, rest);
        if (maps_again && json_is_array(part)) {
            sl_assert(json_array_extend(result, part) == 0);
            json_decref(part);
        } else if (!maps_again) {
            sl_assert(json_array_append_new(result, part != NULL ? part : json_null()) == 0);
        } else {
            json_decref(part);
        }
    }
    return result;
}

/* `path` is behind an opening bracket. */
static json_t *get_bracket(json_t *value, const char *path)
{
    if (*path == ']') {
        return map(value, path + 1);
    }
    if (*path == '"' || *path == '\'') {
        const char *end = strchr(path + 1, *path);
        if (end == NULL || end[1] != ']') {
            return NULL;
        }
        json_t *member = json_object_getn(value, path + 1, (size_t)(end - path - 1));
        return member == NULL ? NULL : sl_cli_json_path_get(member, end + 2);
    }
    char *end;
    unsigned long i = strtoul(path, &end, 10);
    if (end == path || *end != ']') {
        return NULL;
    }
    json_t *element = json_array_get(value, i);
    return element == NULL ? NULL : sl_cli_json_path_get(element, end + 1);
}

json_t *sl_cli_json_path_get(json_t *value, const char *path)
{
    path += *path == '.';
    if (*path == '\0') {
        return json_incref(value);
    }
    if (*path == '[') {
        return get_bracket(value, path + 1);
    }
    size_t len = strcspn(path, ".[");
    json_t *member = json_object_getn(value, path, len);
    return member == NULL ? NULL : sl_cli_json_path_get(member, path + len);
}
