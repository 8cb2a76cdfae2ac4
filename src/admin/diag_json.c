/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The diagnostics sink over jansson. Invariant: stack[0..depth-1] is the path of open objects and
 * arrays; the stack borrows, the root owns all.
 */
#include "admin/diag_json.h"

#include <math.h>

#include "admin/text.h"
#include "base/assert.h"

static void put(struct sl_diag *base, const char *name, json_t *value)
{
    struct sl_diag_json *d = SL_CONTAINER_OF(base, struct sl_diag_json, base);
    json_t *top = d->stack[d->depth - 1];
    if (json_is_array(top)) {
        json_array_append_new(top, value);
    } else {
        sl_assert(name != NULL);
        json_object_set_new(top, name, value);
    }
}

static void open(struct sl_diag *base, const char *name, json_t *value)
{
    struct sl_diag_json *d = SL_CONTAINER_OF(base, struct sl_diag_json, base);
    sl_assert(d->depth < SL_DIAG_JSON_DEPTH_MAX);
    put(base, name, value);
    d->stack[d->depth++] = value;
}

static void object_begin(struct sl_diag *d, const char *name)
{
    open(d, name, json_object());
}

static void array_begin(struct sl_diag *d, const char *name)
{
    open(d, name, json_array());
}

static void end(struct sl_diag *base)
{
    struct sl_diag_json *d = SL_CONTAINER_OF(base, struct sl_diag_json, base);
    sl_assert(d->depth > 1);
    d->depth--;
}

static void text(struct sl_diag *d, const char *name, const char *value)
{
    json_t *s = value != NULL ? sl_text_json(value) : NULL;
    put(d, name, s != NULL ? s : json_null());
}

static void integer(struct sl_diag *d, const char *name, int64_t value)
{
    put(d, name, json_integer(value));
}

static void real(struct sl_diag *d, const char *name, double value)
{
    put(d, name, isfinite(value) ? json_real(value) : json_null());
}

static void boolean(struct sl_diag *d, const char *name, bool value)
{
    put(d, name, json_boolean(value));
}

static const struct sl_diag_ops ops = {
    .object_begin = object_begin,
    .array_begin = array_begin,
    .end = end,
    .text = text,
    .integer = integer,
    .real = real,
    .boolean = boolean,
};

void sl_diag_json_begin(struct sl_diag_json *d)
{
    *d = (struct sl_diag_json){.base = {&ops}, .stack = {json_object()}, .depth = 1};
}

json_t *sl_diag_json_end(struct sl_diag_json *d)
{
    sl_assert(d->depth == 1);
    return d->stack[0];
}
