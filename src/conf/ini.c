/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of the INI dialect; the rules are in ini.h.
 *
 * inih was looked at first and does not fit: it joins repeated keys and continuation lines only
 * through callbacks that lose the line of the key, reads at most one fixed line length, takes `:`
 * and `;` as syntax, and stops counting at the first error while a check here reports all of them.
 *
 * State: the section being filled and the key whose value is still growing. A value is finished
 * when another key, a section or the end comes, so that a value of many pieces costs linear time.
 */
#include "conf/ini.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/mem.h"

#define WORD_SHOWN_MAX 60 /* of a line in a message */

struct reader {
    const char *file;
    int line;
    struct sl_conf_sections *out;
    struct sl_conf_report *report;
    bool in_section;        /* the last of out->items is being filled */
    bool is_section_broken; /* its header was wrong: skip its keys without a complaint for each */
    char *key;              /* NULL: none yet in this section */
    int key_line;
    bool is_key_broken; /* read its value, but keep it out of the section */
    struct sl_buf value;
};

struct sl_conf_section *sl_conf_sections_add(struct sl_conf_sections *s, const char *name,
                                             const char *file, int line)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 16 : 2 * s->capacity;
        s->items = sl_realloc(s->items, s->capacity * sizeof(*s->items));
        sl_assert(s->items != NULL);
    }
    struct sl_conf_section *section = &s->items[s->count++];
    *section = (struct sl_conf_section){.name = sl_xstrdup(name), .file = file, .line = line};
    return section;
}

void sl_conf_section_add(struct sl_conf_section *s, const char *key, const char *value,
                         const char *file, int line)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity == 0 ? 8 : 2 * s->capacity;
        s->entries = sl_realloc(s->entries, s->capacity * sizeof(*s->entries));
        sl_assert(s->entries != NULL);
    }
    s->entries[s->count++] = (struct sl_conf_entry){
        .key = sl_xstrdup(key), .value = sl_xstrdup(value), .file = file, .line = line};
}

struct sl_conf_entry *sl_conf_section_find(const struct sl_conf_section *s, const char *key)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->entries[i].key, key) == 0) {
            return &s->entries[i];
        }
    }
    return NULL;
}

void sl_conf_section_clear(struct sl_conf_section *s)
{
    for (size_t i = 0; i < s->count; i++) {
        sl_wipe(s->entries[i].value, strlen(s->entries[i].value));
        sl_free(s->entries[i].value);
        sl_free(s->entries[i].key);
    }
    sl_free(s->entries);
    sl_free(s->name);
    *s = (struct sl_conf_section){.name = NULL};
}

void sl_conf_sections_clear(struct sl_conf_sections *s)
{
    for (size_t i = 0; i < s->count; i++) {
        sl_conf_section_clear(&s->items[i]);
    }
    sl_free(s->items);
    *s = (struct sl_conf_sections){.items = NULL};
}

static struct sl_conf_section *current(const struct reader *r)
{
    return r->in_section && !r->is_section_broken ? &r->out->items[r->out->count - 1] : NULL;
}

static struct sl_conf_place place(const struct reader *r, const char *key)
{
    const struct sl_conf_section *s = current(r);
    return (struct sl_conf_place){r->file, r->line, s != NULL ? s->name : NULL, key};
}

static struct sl_slice trim(struct sl_slice s)
{
    while (s.len > 0 && isspace(s.data[0])) {
        s = sl_slice(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && isspace(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

static char *to_text(struct sl_slice s)
{
    char *text = s.len > 0 ? sl_strndup((const char *)s.data, s.len) : sl_xstrdup("");
    sl_assert(text != NULL);
    return text;
}

static void append_value(struct reader *r, struct sl_slice piece)
{
    if (piece.len > 0) {
        int rc = sl_buf_append(&r->value, piece.data, piece.len);
        sl_assert(rc == 0);
    }
}

/* The growing key, if any, becomes an entry. */
static void finish_key(struct reader *r)
{
    struct sl_conf_section *s = current(r);
    if (r->key != NULL && s != NULL && !r->is_key_broken) {
        char *value = to_text(sl_buf_slice(&r->value));
        sl_conf_section_add(s, r->key, value, r->file, r->key_line);
        sl_wipe(value, strlen(value));
        sl_free(value);
    }
    sl_free(r->key);
    r->key = NULL;
    if (r->value.data != NULL) {
        sl_wipe(r->value.data, r->value.capacity);
    }
    sl_buf_clear(&r->value);
}

/* What is wrong with a section name, or NULL. */
static const char *section_name_fault(struct sl_slice name)
{
    if (name.len == 0) {
        return "a section needs a name";
    }
    if (name.len > SL_INI_SECTION_NAME_MAX) {
        return "the section name is longer than 1023 characters";
    }
    if (name.len >= 2 && name.data[0] == '@' && name.data[1] == '@') {
        return "section names that start with @@ are reserved";
    }
    for (size_t i = 0; i < name.len; i++) {
        if (isspace(name.data[i])) {
            return "section names may not contain blanks";
        }
    }
    return NULL;
}

static bool is_plain_name(struct sl_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = name.data[i];
        if (!(c < 128 && isalnum(c)) && memchr("_.~-", c, 4) == NULL) {
            return false;
        }
    }
    return true;
}

static void open_section(struct reader *r, struct sl_slice name)
{
    char *text = to_text(name);
    if (strcasecmp(text, "maxscale") == 0 || strcasecmp(text, "sealane") == 0) {
        sl_free(text);
        text = sl_xstrdup("maxscale");
    }
    sl_conf_sections_add(r->out, text, r->file, r->line);
    r->is_section_broken = false;
    if (!is_plain_name(name)) {
        sl_conf_warning(r->report, place(r, NULL),
                        "the name has characters outside A-Z a-z 0-9 _ . ~ -; "
                        "such an object cannot be used through the REST API");
    }
    sl_free(text);
}

static void read_section(struct reader *r, struct sl_slice line)
{
    finish_key(r);
    r->in_section = true;
    r->is_section_broken = true; /* until its header is found good */
    const uint8_t *end = memchr(line.data, ']', line.len);
    if (end == NULL) {
        sl_conf_error(r->report, place(r, NULL), "']' is missing behind the section name");
        return;
    }
    struct sl_slice name = sl_slice(line.data + 1, (size_t)(end - line.data) - 1);
    if (trim(sl_slice(end + 1, line.len - name.len - 2)).len > 0) {
        sl_conf_error(r->report, place(r, NULL), "unexpected text behind ']'");
    }
    const char *fault = section_name_fault(name);
    if (fault != NULL) {
        sl_conf_error(r->report, place(r, NULL), "%s: '[%.*s]'", fault, (int)SL_MIN(name.len, 60u),
                      (const char *)name.data);
        return;
    }
    if (r->out->count >= SL_INI_SECTIONS_MAX) {
        sl_conf_error(r->report, place(r, NULL), "more than %d sections", SL_INI_SECTIONS_MAX);
        return;
    }
    open_section(r, name);
}

static bool equals_key(const char *key, struct sl_slice name)
{
    return key != NULL && sl_slice_equal(sl_slice_text(key), name);
}

static void start_key(struct reader *r, struct sl_slice name)
{
    finish_key(r);
    r->key = to_text(name);
    r->key_line = r->line;
    r->is_key_broken = false;
    struct sl_conf_section *s = current(r);
    if (s == NULL) {
        return;
    }
    const struct sl_conf_entry *before = sl_conf_section_find(s, r->key);
    r->is_key_broken = before != NULL || s->count >= SL_INI_KEYS_MAX;
    if (before != NULL) {
        sl_conf_error(r->report, place(r, r->key), "'%.100s' is set twice, first in line %d",
                      r->key, before->line);
    } else if (r->is_key_broken) {
        sl_conf_error(r->report, place(r, r->key), "more than %d parameters in one section",
                      SL_INI_KEYS_MAX);
    }
}

/* The first word of a key: what a message may show of a line, since a password may follow. */
static struct sl_slice first_word(struct sl_slice text)
{
    size_t len = 0;
    while (len < text.len && len < WORD_SHOWN_MAX && !isspace(text.data[len]) &&
           text.data[len] != ':' && text.data[len] != '=') {
        len++;
    }
    return sl_slice(text.data, len);
}

static void read_key(struct reader *r, struct sl_slice line)
{
    struct sl_slice word = first_word(line);
    if (!r->in_section) {
        sl_conf_error(r->report, place(r, NULL), "'%.*s' stands before the first [section]",
                      (int)word.len, (const char *)word.data);
        return;
    }
    const uint8_t *equals = memchr(line.data, '=', line.len);
    size_t name_len = equals != NULL ? (size_t)(equals - line.data) : line.len;
    struct sl_slice name = trim(sl_slice(line.data, name_len));
    struct sl_slice value =
        equals != NULL ? trim(sl_slice(equals + 1, line.len - name_len - 1)) : sl_slice(NULL, 0);
    if (name.len == 0) {
        sl_conf_error(r->report, place(r, NULL), "there is no name before '='");
        return;
    }
    if (equals == NULL && word.len < name.len && word.len < WORD_SHOWN_MAX) {
        sl_conf_error(r->report, place(r, NULL), "'=' is missing behind '%.*s'", (int)word.len,
                      (const char *)word.data);
        finish_key(r);
        r->key = to_text(word);
        r->is_key_broken = true; /* lines that continue it belong to it */
        return;
    }
    if (equals_key(r->key, name)) {
        sl_conf_warning(r->report, place(r, r->key),
                        "'%.100s' is set twice in a row: the values are joined", r->key);
    } else {
        start_key(r, name);
    }
    append_value(r, value);
}

/* Is the continuation more likely a key of its own that was indented by mistake? */
static bool looks_like_key(struct sl_slice piece)
{
    size_t i = 0;
    while (i < piece.len && (isalnum(piece.data[i]) || piece.data[i] == '_')) {
        i++;
    }
    return i > 2 && i < piece.len && piece.data[i] == '=';
}

static void read_line(struct reader *r, struct sl_slice line)
{
    if (line.len > SL_INI_LINE_MAX) {
        sl_conf_error(r->report, place(r, NULL), "the line is longer than %d bytes",
                      SL_INI_LINE_MAX);
        return;
    }
    if (line.len > 0 && memchr(line.data, '\0', line.len) != NULL) {
        sl_conf_error(r->report, place(r, NULL), "the line contains a NUL byte");
        return;
    }
    struct sl_slice text = trim(line);
    if (text.len == 0 || text.data[0] == '#') {
        return;
    }
    if (text.data != line.data && r->key != NULL) {
        append_value(r, text);
        if (looks_like_key(text)) {
            sl_conf_warning(r->report, place(r, r->key),
                            "this line starts with a blank, so it continues the value of '%.100s'",
                            r->key);
        }
    } else if (text.data[0] == '[') {
        read_section(r, text);
    } else {
        read_key(r, text);
    }
}

void sl_ini_parse(const char *file, struct sl_slice text, struct sl_conf_sections *out,
                  struct sl_conf_report *report)
{
    struct reader r = {.file = file, .out = out, .report = report, .value = SL_BUF_INIT};
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        text = sl_slice(text.data + 3, text.len - 3); /* UTF-8 byte order mark */
    }
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        r.line++;
        read_line(&r, sl_slice(text.data, len));
        len += end != NULL ? 1 : 0;
        text = sl_slice(text.data + len, text.len - len);
    }
    finish_key(&r);
    sl_buf_free(&r.value);
}
