/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row filters as a whole: which parameters are filters, and expressions. Paths are in
 * filter_path.c.
 *
 * Texts come from the query string, so depth and number of expressions are bounded. Trees are owned
 * by their root. No state; any thread.
 */
#include "admin/filter.h"

#include <ctype.h>
#include <string.h>

#include "base/assert.h"
#include "base/json_depth.h"
#include "base/log.h"
#include "base/mem.h"

#define DEPTH_MAX 32
#define OPERANDS_MAX 64
#define TERMS_MAX SL_ADMIN_PARAMS_MAX

enum op {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_AND,
    OP_OR,
    OP_NOT,
    OP_COUNT
};

static const char *const op_names[] = {"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not"};

struct sl_filter_expr {
    enum op op;
    json_t *value; /* of a comparison */
    struct sl_filter_expr **operands;
    unsigned operand_count;
};

struct term {
    struct sl_filter_path *path;
    struct sl_filter_expr *expr;
};

struct sl_filter {
    unsigned count;
    struct term terms[TERMS_MAX];
};

/* ---- expressions: parse ---- */

void sl_filter_expr_free(struct sl_filter_expr *e)
{
    if (e == NULL) {
        return;
    }
    for (unsigned i = 0; i < e->operand_count; i++) {
        sl_filter_expr_free(e->operands[i]);
    }
    sl_free(e->operands);
    json_decref(e->value);
    sl_free(e);
}

static const char *skip_blanks(const char *p)
{
    while (isspace((unsigned char)*p)) {
        p++;
    }
    return p;
}

/* The operator that starts at *p and its bracket; *p moves behind it. OP_COUNT: none. */
static enum op take_op(const char **p)
{
    for (unsigned i = 0; i < OP_COUNT; i++) {
        size_t len = strlen(op_names[i]);
        if (strncmp(*p, op_names[i], len) == 0) {
            const char *next = skip_blanks(*p + len);
            if (*next == '(') {
                *p = next + 1;
                return (enum op)i;
            }
        }
    }
    return OP_COUNT;
}

static int parse_value(const char **p, json_t **ret, struct sl_err *err)
{
    json_error_t je;
    *p = skip_blanks(*p);
    if (!sl_json_depth_is_sane(*p, strlen(*p))) {
        return sl_err_set(err, SL_ELIMIT, "the filter has JSON nested deeper than %d",
                          SL_JSON_DEPTH_MAX);
    }
    *ret = json_loadb(*p, strlen(*p), JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &je);
    if (*ret == NULL) {
        return sl_err_set(err, SL_EINVAL,
                          "the filter has no valid JSON value at '%.40s': %s (strings need quotes)",
                          *p, je.text);
    }
    *p += je.position;
    return SL_OK;
}

static int parse_any(const char **p, unsigned depth, struct sl_filter_expr **ret,
                     struct sl_err *err);

static int parse_operands(const char **p, unsigned depth, struct sl_filter_expr *e,
                          struct sl_err *err)
{
    for (;;) {
        if (e->operand_count == OPERANDS_MAX) {
            return sl_err_set(err, SL_ELIMIT, "the filter has more than %d expressions in %s()",
                              OPERANDS_MAX, op_names[e->op]);
        }
        struct sl_filter_expr **more =
            sl_realloc(e->operands, (e->operand_count + 1) * sizeof *more);
        if (more == NULL) {
            return sl_err_set(err, SL_ENOMEM, "out of memory");
        }
        e->operands = more;
        int rc = parse_any(p, depth + 1, &e->operands[e->operand_count], err);
        if (rc < 0) {
            return rc;
        }
        e->operand_count++;
        *p = skip_blanks(*p);
        if (**p != ',') {
            return SL_OK;
        }
        (*p)++;
    }
}

static int parse_inside(const char **p, unsigned depth, struct sl_filter_expr *e,
                        struct sl_err *err)
{
    int rc = e->op >= OP_AND ? parse_operands(p, depth, e, err) : parse_value(p, &e->value, err);
    if (rc < 0) {
        return rc;
    }
    *p = skip_blanks(*p);
    if (**p != ')') {
        return sl_err_set(err, SL_EINVAL, "the filter needs ')' after %s(...", op_names[e->op]);
    }
    (*p)++;
    return SL_OK;
}

static int parse_any(const char **p, unsigned depth, struct sl_filter_expr **ret,
                     struct sl_err *err)
{
    if (depth > DEPTH_MAX) {
        return sl_err_set(err, SL_ELIMIT, "the filter is nested deeper than %d", DEPTH_MAX);
    }
    struct sl_filter_expr *e = sl_calloc(1, sizeof *e);
    if (e == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    *p = skip_blanks(*p);
    e->op = take_op(p);
    int rc;
    if (e->op == OP_COUNT) {
        e->op = OP_EQ;
        rc = parse_value(p, &e->value, err);
    } else {
        rc = parse_inside(p, depth, e, err);
    }
    if (rc < 0) {
        sl_filter_expr_free(e);
        return rc;
    }
    *ret = e;
    return SL_OK;
}

int sl_filter_expr_parse(const char *text, struct sl_filter_expr **ret, struct sl_err *err)
{
    const char *p = text;
    *ret = NULL;
    int rc = parse_any(&p, 0, ret, err);
    if (rc < 0) {
        return rc;
    }
    p = skip_blanks(p);
    if (*p != '\0') {
        sl_filter_expr_free(*ret);
        *ret = NULL;
        return sl_err_set(err, SL_EINVAL, "the filter goes on behind its end: '%.40s'", p);
    }
    return SL_OK;
}

/* ---- expressions: match ---- */

/* Order of two values of the same kind; false when they have none. */
static bool compare(const json_t *a, const json_t *b, int *ret)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t x = json_integer_value(a);
        json_int_t y = json_integer_value(b);
        *ret = (x > y) - (x < y);
        return true;
    }
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a);
        double y = json_number_value(b);
        *ret = (x > y) - (x < y);
        return true;
    }
    if (json_is_string(a) && json_is_string(b)) {
        *ret = strcmp(json_string_value(a), json_string_value(b));
        return true;
    }
    return false;
}

static bool is_equal(const json_t *a, const json_t *b)
{
    int order;
    if (json_is_number(a) && compare(a, b, &order)) {
        return order == 0;
    }
    return json_equal(a, b) != 0;
}

static bool any_matches(const struct sl_filter_expr *e, const json_t *value)
{
    for (unsigned i = 0; i < e->operand_count; i++) {
        if (sl_filter_expr_matches(e->operands[i], value)) {
            return true;
        }
    }
    return false;
}

static bool all_match(const struct sl_filter_expr *e, const json_t *value)
{
    for (unsigned i = 0; i < e->operand_count; i++) {
        if (!sl_filter_expr_matches(e->operands[i], value)) {
            return false;
        }
    }
    return true;
}

bool sl_filter_expr_matches(const struct sl_filter_expr *e, const json_t *value)
{
    int order = 0;
    switch (e->op) {
    case OP_EQ:
        return is_equal(value, e->value);
    case OP_NE:
        return !is_equal(value, e->value);
    case OP_LT:
        return compare(value, e->value, &order) && order < 0;
    case OP_LE:
        return compare(value, e->value, &order) && order <= 0;
    case OP_GT:
        return compare(value, e->value, &order) && order > 0;
    case OP_GE:
        return compare(value, e->value, &order) && order >= 0;
    case OP_AND:
        return all_match(e, value);
    case OP_OR:
        return any_matches(e, value);
    case OP_NOT:
        return !any_matches(e, value);
    default:
        sl_assert(false);
        return false;
    }
}

/* ---- all filters of a query string ---- */

static bool is_jsonpath(const char *name)
{
    return strncmp(name, "filter[", 7) == 0 && name[strlen(name) - 1] == ']';
}

bool sl_filter_is_asked(const struct sl_admin_param *params, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(params[i].name, "filter") == 0 || is_jsonpath(params[i].name)) {
            return true;
        }
    }
    return false;
}

/* filter=/json/ptr=EXPR. Without '=' there is nothing to compare with: ignored, as clients expect.
 */
static int parse_pointer_term(const char *value, struct term *t, struct sl_err *err)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL) {
        sl_log_error("REST API: the filter '%.100s' has no '=' and is ignored", value);
        return SL_OK;
    }
    char *pointer = sl_strndup(value, (size_t)(equals - value));
    int rc = pointer != NULL ? sl_filter_pointer_parse(pointer, &t->path, err)
                             : sl_err_set(err, SL_ENOMEM, "out of memory");
    sl_free(pointer);
    return rc < 0 ? rc : sl_filter_expr_parse(equals + 1, &t->expr, err);
}

static int parse_jsonpath_term(const struct sl_admin_param *p, struct term *t, struct sl_err *err)
{
    char *path = sl_strndup(p->name + 7, strlen(p->name) - 8);
    int rc = path != NULL ? sl_filter_jsonpath_parse(path, &t->path, err)
                          : sl_err_set(err, SL_ENOMEM, "out of memory");
    sl_free(path);
    return rc < 0 ? rc : sl_filter_expr_parse(p->value, &t->expr, err);
}

int sl_filter_new(const struct sl_admin_param *params, unsigned count, struct sl_filter **ret,
                  struct sl_err *err)
{
    *ret = NULL;
    if (!sl_filter_is_asked(params, count)) {
        return SL_OK;
    }
    struct sl_filter *f = sl_calloc(1, sizeof *f);
    if (f == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    int rc = SL_OK;
    for (unsigned i = 0; i < count && rc == SL_OK; i++) {
        struct term *t = &f->terms[f->count];
        if (strcmp(params[i].name, "filter") == 0) {
            rc = parse_pointer_term(params[i].value, t, err);
        } else if (is_jsonpath(params[i].name)) {
            rc = parse_jsonpath_term(&params[i], t, err);
        }
        f->count += t->path != NULL;
    }
    if (rc < 0) {
        sl_filter_free(f);
        return rc;
    }
    *ret = f;
    return SL_OK;
}

bool sl_filter_matches(const struct sl_filter *f, const json_t *row)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (!sl_filter_path_any(f->terms[i].path, row, f->terms[i].expr)) {
            return false;
        }
    }
    return true;
}

void sl_filter_free(struct sl_filter *f)
{
    if (f == NULL) {
        return;
    }
    for (unsigned i = 0; i < f->count; i++) {
        sl_filter_path_free(f->terms[i].path);
        sl_filter_expr_free(f->terms[i].expr);
    }
    sl_free(f);
}
