/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths into JSON: pointers (RFC 6901) and the part of JSONPath that filters need.
 *
 * Both become a list of steps, each choosing members of the value reached so far. A step with
 * several indexes or a wildcard branches, so a path is walked recursively; its length is bounded.
 * No state; any thread.
 */
#include "admin/filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define STEPS_MAX 32
#define INDEXES_MAX 16

enum step_kind {
    STEP_NAME,  /* member of an object, or index of an array when it is a number */
    STEP_INDEX, /* [0], [0,1] */
    STEP_ALL    /* .* [*] */
};

struct step {
    enum step_kind kind;
    char *name;
    size_t indexes[INDEXES_MAX];
    unsigned index_count;
};

struct sl_filter_path {
    unsigned count;
    struct step steps[STEPS_MAX];
};

void sl_filter_path_free(struct sl_filter_path *p)
{
    if (p == NULL) {
        return;
    }
    for (unsigned i = 0; i < p->count; i++) {
        sl_free(p->steps[i].name);
    }
    sl_free(p);
}

/* ---- parse ---- */

static int add_step(struct sl_filter_path *p, const struct step *step, struct sl_err *err)
{
    if (p->count == STEPS_MAX) {
        sl_free(step->name);
        return sl_err_set(err, SL_ELIMIT, "the path of the filter has more than %d steps",
                          STEPS_MAX);
    }
    p->steps[p->count++] = *step;
    return SL_OK;
}

static int add_name(struct sl_filter_path *p, const char *name, size_t len, struct sl_err *err)
{
    struct step step = {.kind = STEP_NAME, .name = sl_strndup(name, len)};
    if (step.name == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    return add_step(p, &step, err);
}

/* ~1 is '/', ~0 is '~' (RFC 6901, section 4). */
static void unescape(char *name)
{
    char *to = name;
    for (const char *from = name; *from != '\0'; from++) {
        if (from[0] == '~' && (from[1] == '0' || from[1] == '1')) {
            *to++ = from[1] == '0' ? '~' : '/';
            from++;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static int parse_with(int (*parse)(const char *, struct sl_filter_path *, struct sl_err *),
                      const char *text, struct sl_filter_path **ret, struct sl_err *err)
{
    *ret = NULL;
    struct sl_filter_path *p = sl_calloc(1, sizeof *p);
    if (p == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    int rc = parse(text, p, err);
    if (rc < 0) {
        sl_filter_path_free(p);
        return rc;
    }
    *ret = p;
    return SL_OK;
}

static int parse_pointer(const char *text, struct sl_filter_path *p, struct sl_err *err)
{
    text += *text == '/';
    while (*text != '\0') {
        size_t len = strcspn(text, "/");
        int rc = add_name(p, text, len, err);
        if (rc < 0) {
            return rc;
        }
        unescape(p->steps[p->count - 1].name);
        text += len;
        text += *text == '/';
    }
    return SL_OK;
}

static int bad_path(const char *at, struct sl_err *err)
{
    return sl_err_set(err, SL_EINVAL, "the path of the filter is not understood at '%.40s'", at);
}

/* ['name'] behind the bracket. */
static int parse_quoted(const char **at, struct sl_filter_path *p, struct sl_err *err)
{
    char quote = **at;
    const char *end = strchr(*at + 1, quote);
    if (end == NULL || end[1] != ']') {
        return bad_path(*at, err);
    }
    int rc = add_name(p, *at + 1, (size_t)(end - *at - 1), err);
    *at = end + 2;
    return rc;
}

/* 0] or 0,1] behind the bracket. */
static int parse_indexes(const char **at, struct sl_filter_path *p, struct sl_err *err)
{
    struct step step = {.kind = STEP_INDEX};
    for (const char *s = *at;; s++) {
        char *end;
        s += strspn(s, " ");
        if (*s < '0' || *s > '9' || step.index_count == INDEXES_MAX) {
            return bad_path(*at, err);
        }
        step.indexes[step.index_count++] = strtoul(s, &end, 10);
        s = end + strspn(end, " ");
        if (*s == ']') {
            *at = s + 1;
            return add_step(p, &step, err);
        }
        if (*s != ',') {
            return bad_path(*at, err);
        }
    }
}

static int parse_bracket(const char **at, struct sl_filter_path *p, struct sl_err *err)
{
    (*at)++;
    if (**at == '\'' || **at == '"') {
        return parse_quoted(at, p, err);
    }
    if (strncmp(*at, "*]", 2) == 0) {
        *at += 2;
        return add_step(p, &(struct step){.kind = STEP_ALL}, err);
    }
    return parse_indexes(at, p, err);
}

static int parse_member(const char **at, struct sl_filter_path *p, struct sl_err *err)
{
    size_t len = strcspn(*at, ".[");
    if (len == 0) {
        return bad_path(*at, err);
    }
    bool is_all = len == 1 && **at == '*';
    int rc =
        is_all ? add_step(p, &(struct step){.kind = STEP_ALL}, err) : add_name(p, *at, len, err);
    *at += len;
    return rc;
}

static int parse_jsonpath(const char *text, struct sl_filter_path *p, struct sl_err *err)
{
    const char *at = text;
    if (*at == '$') {
        at++;
    } else if (*at != '[' && *at != '.' && *at != '\0') {
        int rc = parse_member(&at, p, err);
        if (rc < 0) {
            return rc;
        }
    }
    while (*at != '\0') {
        int rc;
        if (*at == '[') {
            rc = parse_bracket(&at, p, err);
        } else if (*at == '.') {
            at++;
            rc = parse_member(&at, p, err);
        } else {
            rc = bad_path(at, err);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

int sl_filter_pointer_parse(const char *text, struct sl_filter_path **ret, struct sl_err *err)
{
    return parse_with(parse_pointer, text, ret, err);
}

int sl_filter_jsonpath_parse(const char *text, struct sl_filter_path **ret, struct sl_err *err)
{
    return parse_with(parse_jsonpath, text, ret, err);
}

/* ---- walk ---- */

static bool walk(const struct sl_filter_path *p, unsigned i, const json_t *value,
                 const struct sl_filter_expr *e);

static bool walk_all(const struct sl_filter_path *p, unsigned i, const json_t *value,
                     const struct sl_filter_expr *e)
{
    size_t index;
    json_t *item;
    json_array_foreach (value, index, item) {
        if (walk(p, i + 1, item, e)) {
            return true;
        }
    }
    const char *key;
    json_object_foreach ((json_t *)(uintptr_t)value, key, item) {
        if (walk(p, i + 1, item, e)) {
            return true;
        }
    }
    return false;
}

static bool walk_name(const struct sl_filter_path *p, unsigned i, const json_t *value,
                      const struct sl_filter_expr *e)
{
    const char *name = p->steps[i].name;
    if (!json_is_array(value)) {
        return walk(p, i + 1, json_object_get(value, name), e);
    }
    char *end;
    size_t index = strtoul(name, &end, 10);
    bool is_number = name[0] >= '0' && name[0] <= '9' && *end == '\0';
    return is_number && walk(p, i + 1, json_array_get(value, index), e);
}

static bool walk(const struct sl_filter_path *p, unsigned i, const json_t *value,
                 const struct sl_filter_expr *e)
{
    if (value == NULL) {
        return false;
    }
    if (i == p->count) {
        return sl_filter_expr_matches(e, value);
    }
    const struct step *step = &p->steps[i];
    if (step->kind == STEP_NAME) {
        return walk_name(p, i, value, e);
    }
    if (step->kind == STEP_ALL) {
        return walk_all(p, i, value, e);
    }
    for (unsigned k = 0; k < step->index_count; k++) {
        if (walk(p, i + 1, json_array_get(value, step->indexes[k]), e)) {
            return true;
        }
    }
    return false;
}

bool sl_filter_path_any(const struct sl_filter_path *p, const json_t *root,
                        const struct sl_filter_expr *e)
{
    return walk(p, 0, root, e);
}
