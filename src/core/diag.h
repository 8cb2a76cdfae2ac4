/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink for structured diagnostics, so that modules can describe themselves without knowing JSON.
 * The REST layer implements it. Names are NULL inside arrays. Strings are copied; a NULL string is
 * JSON null.
 */
#ifndef SL_CORE_DIAG_H
#define SL_CORE_DIAG_H

#include <stdbool.h>
#include <stdint.h>

struct sl_diag;
struct sl_diag_ops {
    void (*object_begin)(struct sl_diag *d, const char *name);
    void (*array_begin)(struct sl_diag *d, const char *name);
    void (*end)(struct sl_diag *d);
    void (*text)(struct sl_diag *d, const char *name, const char *value);
    void (*integer)(struct sl_diag *d, const char *name, int64_t value);
    void (*real)(struct sl_diag *d, const char *name, double value);
    void (*boolean)(struct sl_diag *d, const char *name, bool value);
};
struct sl_diag {
    const struct sl_diag_ops *ops;
};

static inline void sl_diag_object_begin(struct sl_diag *d, const char *name)
{
    d->ops->object_begin(d, name);
}
static inline void sl_diag_array_begin(struct sl_diag *d, const char *name)
{
    d->ops->array_begin(d, name);
}
static inline void sl_diag_end(struct sl_diag *d)
{
    d->ops->end(d);
}
static inline void sl_diag_text(struct sl_diag *d, const char *name, const char *v)
{
    d->ops->text(d, name, v);
}
static inline void sl_diag_int(struct sl_diag *d, const char *name, int64_t v)
{
    d->ops->integer(d, name, v);
}
static inline void sl_diag_real(struct sl_diag *d, const char *name, double v)
{
    d->ops->real(d, name, v);
}
static inline void sl_diag_bool(struct sl_diag *d, const char *name, bool v)
{
    d->ops->boolean(d, name, v);
}

#endif
