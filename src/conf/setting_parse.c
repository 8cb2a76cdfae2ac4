/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text -> value of one setting: one function per type, chosen by a table.
 *
 * Each parser writes to `slot` only when the whole text is good, so a failed change leaves the old
 * value. The errors name the key, the value (never a password) and what is allowed. The rules of
 * the value types: MaxScale 24.02 configuration guide, "Special parameter types".
 */
#include "conf/setting_parse.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/secrets.h"

#define SIZE_MAX_BYTES (INT64_C(1) << 60)
#define DURATION_MAX_MS (INT64_C(1) << 53) /* so that JSON numbers hold it */
#define ENUM_NAME_MAX 200

/* Set by the control thread before it parses; read by the same thread. */
static struct sl_settings_environment environment;

void sl_settings_environment_set(struct sl_settings_environment env)
{
    environment = env;
}

struct sl_settings_environment sl_settings_environment_get(void)
{
    return environment;
}

/* "invalid value 'x' of 'key': why; allowed: ..." */
static int refuse(const struct sl_setting *row, const char *text, const char *why,
                  struct sl_err *err)
{
    struct sl_buf allowed = SL_BUF_INIT;
    if (sl_setting_describe(row, &allowed) != 0) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    struct sl_slice what = sl_buf_slice(&allowed);
    sl_err_set(err, SL_EINVAL, "invalid value '%.100s' of '%s': %s; allowed: %.*s",
               row->type == SL_SETTING_PASSWORD ? "*****" : text, row->name, why, (int)what.len,
               (const char *)what.data);
    sl_buf_free(&allowed);
    return SL_EINVAL;
}

/* Takes ownership of `text`. */
static void replace_string(const struct sl_setting *row, char **slot, char *text)
{
    if (*slot != NULL && row->type == SL_SETTING_PASSWORD) {
        sl_wipe(*slot, strlen(*slot));
    }
    sl_free(*slot);
    *slot = text;
}

static int no_memory(struct sl_err *err)
{
    return sl_err_set(err, SL_ENOMEM, "out of memory");
}

static int parse_bool(const struct sl_setting *row, void *slot, const char *text,
                      struct sl_err *err)
{
    static const struct sl_choice words[] = {{"true", 1},  {"yes", 1}, {"on", 1},  {"1", 1},
                                             {"false", 0}, {"no", 0},  {"off", 0}, {"0", 0}};
    for (size_t i = 0; i < SL_ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i].name) == 0) {
            *(bool *)slot = words[i].value != 0;
            return 0;
        }
    }
    return refuse(row, text, "not a truth value", err);
}

/* Decimal digits with an optional minus; *end points behind them. False: none, or too many. */
static bool read_number(const char *text, int64_t *ret, const char **end)
{
    const char *p = text;
    bool negative = *p == '-';
    if (negative) {
        p++;
    }
    if (!isdigit((unsigned char)*p)) {
        return false;
    }
    int64_t value = 0;
    for (; isdigit((unsigned char)*p); p++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    *ret = negative ? -value : value;
    *end = p;
    return true;
}

static int store_number(const struct sl_setting *row, void *slot, int64_t value, const char *text,
                        struct sl_err *err)
{
    bool is_limited = row->min != 0 || row->max != 0;
    if (is_limited && (value < row->min || value > row->max)) {
        return refuse(row, text, "out of range", err);
    }
    *(int64_t *)slot = value;
    return 0;
}

static const struct sl_choice *find_choice(const struct sl_setting *row, const char *name)
{
    bool nocase = (row->flags & SL_SETTING_NOCASE) != 0;
    for (const struct sl_choice *c = row->choices; c != NULL && c->name != NULL; c++) {
        if (strcmp(c->name, name) == 0 || (nocase && strcasecmp(c->name, name) == 0)) {
            return c;
        }
    }
    return NULL;
}

static int parse_integer(const struct sl_setting *row, void *slot, const char *text,
                         struct sl_err *err)
{
    const struct sl_choice *word = find_choice(row, text);
    if (word != NULL) {
        *(int64_t *)slot = word->value;
        return 0;
    }
    int64_t value;
    const char *end;
    if (!read_number(text, &value, &end) || *end != '\0') {
        return refuse(row, text, "not a whole number", err);
    }
    if (row->type == SL_SETTING_COUNT && text[0] == '-') {
        return refuse(row, text, "may not be negative", err);
    }
    return store_number(row, slot, value, text, err);
}

static int parse_size(const struct sl_setting *row, void *slot, const char *text,
                      struct sl_err *err)
{
    static const char letters[] = "kmgt";
    int64_t value;
    const char *end;
    if (!read_number(text, &value, &end) || text[0] == '-') {
        return refuse(row, text, "not a size", err);
    }
    const char *letter = *end == '\0' ? NULL : strchr(letters, tolower((unsigned char)*end));
    if (letter != NULL) {
        end++;
        bool is_binary = tolower((unsigned char)*end) == 'i';
        end += is_binary ? 1 : 0;
        for (const char *l = letters; l <= letter; l++) {
            if (__builtin_mul_overflow(value, is_binary ? 1024 : 1000, &value)) {
                return refuse(row, text, "too large", err);
            }
        }
    }
    if (*end != '\0') {
        return refuse(row, text, "unknown suffix", err);
    }
    if (value > SIZE_MAX_BYTES) {
        return refuse(row, text, "too large", err);
    }
    return store_number(row, slot, value, text, err);
}

static int parse_duration(const struct sl_setting *row, void *slot, const char *text,
                          struct sl_err *err)
{
    static const struct sl_choice units[] = {
        {"h", 3600000}, {"m", 60000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    int64_t value;
    const char *end;
    if (!read_number(text, &value, &end)) {
        return refuse(row, text, "not a duration", err);
    }
    int64_t factor = (row->flags & SL_SETTING_NO_UNIT_MS) != 0 ? 1 : 1000;
    if (*end != '\0') {
        factor = 0;
        for (size_t i = 0; i < SL_ARRAY_LEN(units); i++) {
            factor = strcasecmp(end, units[i].name) == 0 ? units[i].value : factor;
        }
    }
    if (factor == 0) {
        return refuse(row, text, "unknown unit", err);
    }
    if (factor == 1 && (row->flags & SL_SETTING_SECONDS) != 0) {
        return refuse(row, text, "this setting counts in whole seconds", err);
    }
    if (text[0] == '-' && (row->flags & SL_SETTING_SIGNED) == 0) {
        return refuse(row, text, "may not be negative", err);
    }
    if (__builtin_mul_overflow(value, factor, &value) || value > DURATION_MAX_MS ||
        value < -DURATION_MAX_MS) {
        return refuse(row, text, "too long", err);
    }
    return store_number(row, slot, value, text, err);
}

static int parse_percent(const struct sl_setting *row, void *slot, const char *text,
                         struct sl_err *err)
{
    int64_t value;
    const char *end;
    if (!read_number(text, &value, &end) || text[0] == '-' || strcmp(end, "%") != 0) {
        return refuse(row, text, "not a number followed by %", err);
    }
    return store_number(row, slot, value, text, err);
}

static const char *choice_name(const void *list, size_t i)
{
    return ((const struct sl_choice *)list)[i].name;
}

static int refuse_choice(const struct sl_setting *row, const char *text, const char *item,
                         struct sl_err *err)
{
    const char *near = sl_nearest_name(item, choice_name, row->choices);
    char why[2 * ENUM_NAME_MAX];
    if (near != NULL) {
        snprintf(why, sizeof(why), "unknown name '%.100s', did you mean '%s'?", item, near);
    } else {
        snprintf(why, sizeof(why), "unknown name '%.100s'", item);
    }
    return refuse(row, text, why, err);
}

static int parse_enum(const struct sl_setting *row, void *slot, const char *text,
                      struct sl_err *err)
{
    const struct sl_choice *c = find_choice(row, text);
    if (c == NULL) {
        return refuse_choice(row, text, text, err);
    }
    *(int64_t *)slot = c->value;
    return 0;
}

/* Next item of a separated list, blanks around it removed; false at the end. Empty items are
 * skipped. */
static bool next_item(const char **pos, char separator, struct sl_slice *ret)
{
    while (**pos != '\0') {
        const char *start = *pos;
        const char *end = strchrnul(start, separator);
        *pos = *end == '\0' ? end : end + 1;
        while (start < end && isspace((unsigned char)*start)) {
            start++;
        }
        while (end > start && isspace((unsigned char)end[-1])) {
            end--;
        }
        if (end > start) {
            *ret = sl_slice(start, (size_t)(end - start));
            return true;
        }
    }
    return false;
}

static int parse_mask(const struct sl_setting *row, void *slot, const char *text,
                      struct sl_err *err)
{
    int64_t mask = 0;
    struct sl_slice item;
    bool is_any = false;
    for (const char *pos = text; next_item(&pos, ',', &item); is_any = true) {
        char name[ENUM_NAME_MAX];
        snprintf(name, sizeof(name), "%.*s", (int)SL_MIN(item.len, sizeof(name) - 1),
                 (const char *)item.data);
        const struct sl_choice *c = find_choice(row, name);
        if (c == NULL) {
            return refuse_choice(row, text, name, err);
        }
        mask |= c->value;
    }
    if (!is_any) {
        return refuse(row, text, "no name given", err);
    }
    *(int64_t *)slot = mask;
    return 0;
}

static int parse_string(const struct sl_setting *row, void *slot, const char *text,
                        struct sl_err *err)
{
    size_t len = strlen(text);
    bool is_quoted = (row->flags & SL_SETTING_QUOTED) != 0 && len >= 2 &&
                     (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0];
    if (is_quoted) {
        text++;
        len -= 2;
    }
    char *copy = NULL;
    if (len > 0) {
        copy = sl_strndup(text, len);
        if (copy == NULL) {
            return no_memory(err);
        }
    }
    replace_string(row, slot, copy);
    return 0;
}

static int parse_password(const struct sl_setting *row, void *slot, const char *text,
                          struct sl_err *err)
{
    if (text[0] == '\0' || environment.secrets == NULL) {
        return parse_string(row, slot, text, err);
    }
    char *plain;
    int rc = sl_secrets_decrypt(environment.secrets, text, &plain, err);
    if (rc != 0) {
        return sl_err_wrap(err, "invalid value of '%s'", row->name);
    }
    replace_string(row, slot, plain);
    return 0;
}

static int parse_path(const struct sl_setting *row, void *slot, const char *text,
                      struct sl_err *err)
{
    if (text[0] == '\0') {
        replace_string(row, slot, NULL);
        return 0;
    }
    char cwd[PATH_MAX];
    const char *base = (row->flags & SL_SETTING_DIRECTORY) != 0 ? NULL : environment.path_base;
    if (base == NULL && text[0] != '/') {
        if (getcwd(cwd, sizeof(cwd)) == NULL) {
            return sl_err_set(err, SL_ESYS, "cannot resolve '%s=%.200s': no working directory: %s",
                              row->name, text, strerror(errno));
        }
        base = cwd;
    }
    size_t size = strlen(text) + 2 + (text[0] == '/' ? 0 : strlen(base));
    char *full = sl_malloc(size);
    if (full == NULL) {
        return no_memory(err);
    }
    bool is_absolute = text[0] == '/';
    snprintf(full, size, "%s%s%s", is_absolute ? "" : base, is_absolute ? "" : "/", text);
    if ((row->flags & SL_SETTING_READABLE) != 0 && access(full, R_OK) != 0) {
        int saved = errno;
        sl_err_set(err, SL_EINVAL, "invalid value '%.200s' of '%s': cannot read %.300s: %s", text,
                   row->name, full, strerror(saved));
        sl_free(full);
        return SL_EINVAL;
    }
    replace_string(row, slot, full);
    return 0;
}

static int parse_separated(const struct sl_setting *row, void *slot, const char *text,
                           char separator, struct sl_err *err)
{
    char *list = sl_malloc(strlen(text) + 1);
    if (list == NULL) {
        return no_memory(err);
    }
    size_t len = 0;
    struct sl_slice item;
    for (const char *pos = text; next_item(&pos, separator, &item);) {
        if (len > 0) {
            list[len++] = separator;
        }
        memcpy(list + len, item.data, item.len);
        len += item.len;
    }
    list[len] = '\0';
    if (len == 0) {
        sl_free(list);
        list = NULL;
    }
    replace_string(row, slot, list);
    return 0;
}

static int parse_list(const struct sl_setting *row, void *slot, const char *text,
                      struct sl_err *err)
{
    return parse_separated(row, slot, text, ',', err);
}

static int parse_pipe_list(const struct sl_setting *row, void *slot, const char *text,
                           struct sl_err *err)
{
    return parse_separated(row, slot, text, '|', err);
}

static int parse_regex(const struct sl_setting *row, void *slot, const char *text,
                       struct sl_err *err)
{
    size_t len = strlen(text);
    bool has_slashes = len >= 2 && text[0] == '/' && text[len - 1] == '/';
    const char *pattern = has_slashes ? text + 1 : text;
    len -= has_slashes ? 2 : 0;
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, len, 0, &code, &at, NULL);
    if (re == NULL) {
        char why[ENUM_NAME_MAX];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
        return refuse(row, text, why, err);
    }
    pcre2_code_free(re);
    char *copy = NULL;
    if (len > 0) {
        copy = sl_strndup(pattern, len);
        if (copy == NULL) {
            return no_memory(err);
        }
    }
    replace_string(row, slot, copy);
    return 0;
}

static const struct {
    int (*parse)(const struct sl_setting *row, void *slot, const char *text, struct sl_err *err);
    bool takes_empty; /* an empty text means "unset" */
} parsers[] = {
    [SL_SETTING_BOOL] = {parse_bool, false},
    [SL_SETTING_COUNT] = {parse_integer, false},
    [SL_SETTING_INT] = {parse_integer, false},
    [SL_SETTING_SIZE] = {parse_size, false},
    [SL_SETTING_DURATION] = {parse_duration, false},
    [SL_SETTING_PERCENT] = {parse_percent, false},
    [SL_SETTING_ENUM] = {parse_enum, false},
    [SL_SETTING_MASK] = {parse_mask, false},
    [SL_SETTING_STRING] = {parse_string, true},
    [SL_SETTING_PASSWORD] = {parse_password, true},
    [SL_SETTING_PATH] = {parse_path, true},
    [SL_SETTING_LIST] = {parse_list, true},
    [SL_SETTING_PIPE_LIST] = {parse_pipe_list, true},
    [SL_SETTING_REGEX] = {parse_regex, true},
};

int sl_setting_parse_slot(const struct sl_setting *row, void *slot, const char *text,
                          struct sl_err *err)
{
    sl_assert(row->alias_of == NULL);
    sl_assert((size_t)row->type < SL_ARRAY_LEN(parsers));
    if (text[0] == '\0' && !parsers[row->type].takes_empty) {
        return refuse(row, text, "a value is needed", err);
    }
    if (text[0] == '\0' && (row->flags & SL_SETTING_MANDATORY) != 0) {
        return refuse(row, text, "a value is needed", err);
    }
    return parsers[row->type].parse(row, slot, text, err);
}

int sl_setting_parse(const struct sl_setting *row, void *object, const char *text,
                     struct sl_err *err)
{
    return sl_setting_parse_slot(row, (char *)object + row->offset, text, err);
}

bool sl_setting_lacks_unit(const struct sl_setting *row, const char *text)
{
    int64_t value;
    const char *end;
    return row->type == SL_SETTING_DURATION && read_number(text, &value, &end) && *end == '\0' &&
           value != 0;
}
