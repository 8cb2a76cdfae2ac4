/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row filters of collections:   filter=/attributes/state="Down"
 * filter[$.attributes.state]=or(eq("a"),eq("b"))
 *
 *   EXPR     := JSON | op '(' JSON ')' | and|or|not '(' EXPR {',' EXPR} ')'     op: eq ne lt le gt
 * ge a bare JSON value means eq(value); not() holds when none of its expressions does
 */
#ifndef SL_ADMIN_FILTER_H
#define SL_ADMIN_FILTER_H

#include <jansson.h>
#include <stdbool.h>

#include "admin/request.h"
#include "base/error.h"

struct sl_filter;
struct sl_filter_expr;
struct sl_filter_path;

/* True when one of the parameters is a filter. */
bool sl_filter_is_asked(const struct sl_admin_param *params, unsigned count);

/* All filters of a query string; a row must pass each. *ret is NULL when there are none. SL_EINVAL
 * with *err. */
int sl_filter_new(const struct sl_admin_param *params, unsigned count, struct sl_filter **ret,
                  struct sl_err *err);
bool sl_filter_matches(const struct sl_filter *f, const json_t *row);
void sl_filter_free(struct sl_filter *f);

int sl_filter_expr_parse(const char *text, struct sl_filter_expr **ret, struct sl_err *err);
bool sl_filter_expr_matches(const struct sl_filter_expr *e, const json_t *value);
void sl_filter_expr_free(struct sl_filter_expr *e);

/* JSON pointer ("/a/b", the first slash may be absent). */
int sl_filter_pointer_parse(const char *text, struct sl_filter_path **ret, struct sl_err *err);
/* JSONPath: $.a.b a['b'] [0] [0,1] [*] .* */
int sl_filter_jsonpath_parse(const char *text, struct sl_filter_path **ret, struct sl_err *err);
/* Does any value that the path leads to match? */
bool sl_filter_path_any(const struct sl_filter_path *p, const json_t *root,
                        const struct sl_filter_expr *e);
void sl_filter_path_free(struct sl_filter_path *p);

#endif
