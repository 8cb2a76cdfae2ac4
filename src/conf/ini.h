/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of one configuration file -> sections and keys, each with its line. Sans-I/O.
 *
 * The dialect (MaxScale 24.02 configuration guide): `[section]`, `key=value` with blanks around `=`
 * removed, whole-line comments with `#`, continuation lines that start with a blank and are
 * appended with nothing in between, the same key twice in a row appended likewise, a key without
 * `=` has an empty value. One thread at a time; memory: panics when out (control thread, at start).
 */
#ifndef SL_CONF_INI_H
#define SL_CONF_INI_H

#include "base/slice.h"
#include "conf/report.h"

#define SL_INI_LINE_MAX 16777216
#define SL_INI_SECTION_NAME_MAX 1023
#define SL_INI_SECTIONS_MAX 10000
#define SL_INI_KEYS_MAX 10000 /* per section */

struct sl_conf_entry {
    char *key;
    char *value;
    const char *file; /* not owned */
    int line;
};

struct sl_conf_section {
    char *name;
    const char *file; /* not owned */
    int line;
    bool is_runtime; /* from the directory of changes made at runtime */
    struct sl_conf_entry *entries;
    size_t count;
    size_t capacity;
};

struct sl_conf_sections {
    struct sl_conf_section *items;
    size_t count;
    size_t capacity;
};

/* Appends the sections of the text to `out`. What is wrong goes to the report; the rest of the file
 * is still read. `file` is kept by reference. [maxscale] and its alias [sealane], in any letter
 * case, become "maxscale". */
void sl_ini_parse(const char *file, struct sl_slice text, struct sl_conf_sections *out,
                  struct sl_conf_report *report);

/* For building sections by hand: strings are copied. Returns the new one (valid until the next is
 * added). */
struct sl_conf_section *sl_conf_sections_add(struct sl_conf_sections *s, const char *name,
                                             const char *file, int line);
void sl_conf_section_add(struct sl_conf_section *s, const char *key, const char *value,
                         const char *file, int line);
struct sl_conf_entry *sl_conf_section_find(const struct sl_conf_section *s, const char *key);

/* Values are wiped: some are passwords. */
void sl_conf_section_clear(struct sl_conf_section *s);
void sl_conf_sections_clear(struct sl_conf_sections *s);

#endif
