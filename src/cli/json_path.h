/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values picked out of JSON by paths such as `data[].attributes.state`.
 *
 *   name      member of an object            [N]        element of an array
 *   .name     the same, further inside       ["name"]   member with any name
 *   []        every element of an array; the rest of the path is taken from each
 */
#ifndef SL_CLI_JSON_PATH_H
#define SL_CLI_JSON_PATH_H

#include <jansson.h>

/* The value (a new reference), NULL when there is none. An empty path is the value itself. With
 * `[]` the result is one flat array; an element that lacks the rest of the path is null in it. */
json_t *sl_cli_json_path_get(json_t *value, const char *path);

#endif
