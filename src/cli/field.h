/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A column of a list or a row of a show command: its name and where its value is in the resource
 * object of the REST API.
 */
#ifndef SL_CLI_FIELD_H
#define SL_CLI_FIELD_H

#include <jansson.h>
#include <stddef.h>

#include "cli/table.h"

enum sl_cli_field_flag {
    SL_CLI_FIELD_LOCAL_TIME = 1, /* an RFC 1123 time, shown in local time and format */
    SL_CLI_FIELD_OPTIONAL = 2,   /* a row of show that is left out when there is no value */
};

struct sl_cli_field {
    const char *name;
    const char *path;                /* see json_path.h */
    unsigned flags;                  /* enum sl_cli_field_flag */
    json_t *(*make)(json_t *object); /* instead of path; a new reference or NULL */
};

/* The value (a new reference), NULL when it is missing. */
json_t *sl_cli_field_get(const struct sl_cli_field *field, json_t *object);

/* Cell of a list: arrays joined with ", ", null and missing empty. The caller frees. */
char *sl_cli_field_list_cell(const struct sl_cli_field *field, json_t *object);

/* Cell of a show command: one line for each scalar of an array, cut to `room` cells (0: not cut);
 * objects as JSON. NULL for an optional field without a value. The caller frees. */
char *sl_cli_field_show_cell(const struct sl_cli_field *field, json_t *object,
                             const struct sl_cli_style *style, size_t room);
/* The same for a value at hand, which may be NULL. */
char *sl_cli_field_show_value(json_t *value, const struct sl_cli_style *style, size_t room);

/* Cells that remain for values beside the keys of `fields`, 0 when nothing is cut. */
size_t sl_cli_field_room(const struct sl_cli_field *fields, size_t count,
                         const struct sl_cli_style *style);

/* Values that lists and shows share: address or socket; state with its details. */
json_t *sl_cli_field_server_address(json_t *server);
json_t *sl_cli_field_server_state(json_t *server);

#endif
