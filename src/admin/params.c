/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings rows -> JSON. What a row's type does not tell (a list shown as an array, a text shown as
 * an object) is a small table here. Facts: MaxScale 24.02 documentation, REST API guide, resources
 * "servers" to "modules". No state; any thread.
 */
#include "admin/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/jsonapi.h"
#include "base/assert.h"
#include "base/mem.h"
#include "conf/config.h"

/* ---- values with a shape of their own ---- */

static void append_item(void *array, const char *item)
{
    json_array_append_new(array, json_string(item));
}

static json_t *array_value(const char *text)
{
    json_t *array = json_array();
    sl_conf_list_each(text, ',', append_item, array);
    return array;
}

static json_t *throttling_value(const char *text)
{
    struct sl_conf_throttling t = {0};
    struct sl_err err = SL_ERR_INIT;
    if (text != NULL && sl_conf_throttling_parse(text, &t, &err) < 0) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I}", "count", (json_int_t)t.count, "window",
                     (json_int_t)t.window_ms, "suppress", (json_int_t)t.suppress_ms);
}

static void add_limit(void *object, const char *item)
{
    const char *colon = strrchr(item, ':');
    if (colon != NULL) {
        char path[256];
        snprintf(path, sizeof path, "%.*s", (int)SL_MIN(colon - item, 255), item);
        json_object_set_new(object, path, json_integer(atoi(colon + 1)));
    }
}

/* "path:percent,..." */
static json_t *limits_value(const char *text)
{
    if (text == NULL) {
        return json_null();
    }
    json_t *object = json_object();
    sl_conf_list_each(text, ',', add_limit, object);
    return object;
}

static const struct {
    const char *name;
    const char *type;                   /* NULL: that of the row */
    json_t *(*value)(const char *text); /* NULL: that of the row */
} specials[] = {
    {"admin_audit_exclude_methods", "enum list", array_value},
    {"admin_readonly_hosts", "host pattern list", NULL},
    {"admin_readwrite_hosts", "host pattern list", NULL},
    {"auto_tune", "enum list", array_value},
    {"cluster", "string", NULL},
    {"connection_metadata", "stringlist", array_value},
    {"disk_space_threshold", "disk_space_limits", limits_value},
    {"log_throttling", "throttling", throttling_value},
    {"module", "module", NULL},
    {"router", "module", NULL},
    {"servers", "serverlist", NULL},
    {"servers_no_promotion", "serverlist", NULL},
    {"service", "service", NULL},
};

static int find_special(const struct sl_setting *row)
{
    for (unsigned i = 0; i < SL_ARRAY_LEN(specials); i++) {
        if (strcmp(specials[i].name, row->name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* ---- one value ---- */

static json_t *number_value(const struct sl_setting *row, int64_t value)
{
    for (const struct sl_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (c->value == value) {
            return json_string(c->name); /* a word such as auto */
        }
    }
    return json_integer(value);
}

static json_t *rendered_value(const struct sl_setting *row, const void *object)
{
    struct sl_buf text = SL_BUF_INIT;
    json_t *value = NULL;
    if (sl_setting_render(row, object, &text) == SL_OK) {
        struct sl_slice s = sl_buf_slice(&text);
        value = json_stringn(s.len > 0 ? (const char *)s.data : "", s.len);
    }
    sl_buf_free(&text);
    return value != NULL ? value : json_null();
}

json_t *sl_params_value(const struct sl_setting *row, const void *object)
{
    const void *slot = (const char *)object + row->offset;
    switch (row->type) {
    case SL_SETTING_BOOL:
        return json_boolean(*(const bool *)slot);
    case SL_SETTING_COUNT:
    case SL_SETTING_INT:
    case SL_SETTING_SIZE:
    case SL_SETTING_PERCENT:
        return number_value(row, *(const int64_t *)slot);
    case SL_SETTING_DURATION:
    case SL_SETTING_ENUM:
    case SL_SETTING_MASK:
        return rendered_value(row, object);
    default:
        break;
    }
    const char *text = *(char *const *)slot;
    int special = find_special(row);
    if (special >= 0 && specials[special].value != NULL) {
        return specials[special].value(text);
    }
    if (row->type == SL_SETTING_PASSWORD && text != NULL) {
        return json_string("*****");
    }
    return sl_jsonapi_text(text);
}

/* ---- tables ---- */

static bool is_hidden(const struct sl_setting *row, const char *const *hidden)
{
    if (row->alias_of != NULL) {
        return true;
    }
    for (; hidden != NULL && *hidden != NULL; hidden++) {
        if (strcmp(*hidden, row->name) == 0) {
            return true;
        }
    }
    return false;
}

/* out["a"]["b"] for the name "a.b". */
static void set_nested(json_t *out, const char *name, json_t *value)
{
    const char *dot;
    while ((dot = strchr(name, '.')) != NULL) {
        char head[64];
        snprintf(head, sizeof head, "%.*s", (int)SL_MIN(dot - name, 63), name);
        json_t *below = json_object_get(out, head);
        if (below == NULL) {
            below = json_object();
            json_object_set_new(out, head, below);
        }
        out = below;
        name = dot + 1;
    }
    json_object_set_new(out, name, value);
}

void sl_params_add(json_t *out, const struct sl_settings *table, const void *object,
                   const char *const *hidden)
{
    for (const struct sl_setting *row = table->rows; row->name != NULL; row++) {
        if (!is_hidden(row, hidden)) {
            set_nested(out, row->name, sl_params_value(row, object));
        }
    }
}

/* The values an enum or mask takes; spellings beyond the first of a value are left out. */
static json_t *enum_values(const struct sl_setting *row)
{
    json_t *values = json_array();
    for (const struct sl_choice *c = row->choices; c->name != NULL; c++) {
        const struct sl_choice *first = row->choices;
        while (first->value != c->value) {
            first++;
        }
        if (first == c) {
            json_array_append_new(values, json_string(c->name));
        }
    }
    return values;
}

static json_t *describe(const struct sl_setting *row, const void *defaults)
{
    int special = find_special(row);
    const char *type = special >= 0 ? specials[special].type : sl_setting_type_name(row);
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(row->name));
    json_object_set_new(o, "description", json_string(row->help));
    json_object_set_new(o, "type", json_string(type));
    json_object_set_new(o, "mandatory", json_boolean(row->flags & SL_SETTING_MANDATORY));
    json_object_set_new(o, "modifiable", json_boolean(row->flags & SL_SETTING_RUNTIME));
    json_t *value = sl_params_value(row, defaults);
    if (!json_is_null(value) && !(row->flags & SL_SETTING_MANDATORY)) {
        json_object_set(o, "default_value", value);
    }
    json_decref(value);
    if (row->type == SL_SETTING_ENUM || row->type == SL_SETTING_MASK) {
        json_object_set_new(o, "enum_values", enum_values(row));
    }
    if (row->type == SL_SETTING_DURATION) {
        json_object_set_new(o, "unit", json_string(row->flags & SL_SETTING_SECONDS ? "s" : "ms"));
    } else if (row->type == SL_SETTING_PERCENT) {
        json_object_set_new(o, "unit", json_string("%"));
    }
    if (row->flags & SL_SETTING_DEPRECATED) {
        json_object_set_new(o, "deprecated", json_true());
    }
    return o;
}

void sl_params_describe(json_t *array, const struct sl_settings *table, const char *const *hidden)
{
    void *defaults = sl_calloc(1, table->struct_size);
    if (defaults == NULL) {
        return;
    }
    sl_settings_defaults(table, defaults);
    for (const struct sl_setting *row = table->rows; row->name != NULL; row++) {
        if (!is_hidden(row, hidden)) {
            json_array_append_new(array, describe(row, defaults));
        }
    }
    sl_settings_clear(table, defaults);
    sl_free(defaults);
}
