/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings are tables: one row per setting holds name, type, unit, range, default, whether it may
 * change at runtime, and help. Parser, config check, REST, CLI help, man page and GUI forms come
 * from the row.
 *
 * A row also holds the offset of the value in a plain C struct: parsing a section fills the struct.
 */
#ifndef SL_CONF_SETTINGS_H
#define SL_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum sl_setting_type {   /* C type of the value in the struct */
    SL_SETTING_BOOL,     /* bool */
    SL_SETTING_COUNT,    /* int64_t, >= 0 */
    SL_SETTING_INT,      /* int64_t */
    SL_SETTING_SIZE,     /* int64_t, bytes */
    SL_SETTING_DURATION, /* int64_t, milliseconds; flag SECONDS: whole seconds only */
    SL_SETTING_PERCENT,  /* int64_t */
    SL_SETTING_ENUM,     /* int64_t: value of the chosen row of `choices` */
    SL_SETTING_MASK,     /* int64_t: OR of the chosen rows */
    SL_SETTING_STRING,   /* char *, owned by the struct; NULL when unset */
    SL_SETTING_PASSWORD, /* char *, decrypted; never printed */
    SL_SETTING_PATH, /* char *, absolute (relative ones are resolved against module_configdir) */
    SL_SETTING_LIST, /* char *: comma list, blanks around items removed, NULL when unset */
    SL_SETTING_PIPE_LIST, /* char *: '|' list */
    SL_SETTING_REGEX      /* char *: the pattern without slashes */
};

enum sl_setting_flags {
    SL_SETTING_MANDATORY = 1,
    SL_SETTING_RUNTIME = 2,     /* may change while running */
    SL_SETTING_SECONDS = 4,     /* a duration in whole seconds; a bare number is seconds */
    SL_SETTING_SIGNED = 8,      /* a duration that may be negative */
    SL_SETTING_NO_UNIT_MS = 16, /* a bare number is milliseconds (default: seconds) */
    SL_SETTING_DEPRECATED = 32, /* accepted with a warning, no effect */
    /* Known, but its feature does not exist yet: accepted with a warning that names it when it is
     * set to something other than its default. */
    SL_SETTING_FUTURE = 64,
    SL_SETTING_QUOTED = 128, /* surrounding quotes are stripped */
    SL_SETTING_NOCASE = 256, /* enum names in any letter case */
    /* A directory of the daemon: a relative one starts from the working directory, and only the
     * main file may set it. */
    SL_SETTING_DIRECTORY = 512,
    SL_SETTING_READABLE = 1024 /* a path that must exist and be readable */
};

struct sl_choice {
    const char *name;
    int64_t value;
};

struct sl_setting {
    const char *name;
    enum sl_setting_type type;
    unsigned flags;
    size_t offset;            /* of the value in the struct */
    const char *default_text; /* as a user would write it; NULL = unset/0/false */
    int64_t min, max;         /* numbers; both 0 = no limit beyond the type's */
    /* Names of an enum or mask; for a number: words that stand for a value outside min..max, such
     * as threads=auto. Ends with a NULL name. */
    const struct sl_choice *choices;
    /* This is the old name of that row: parsed as that one, with a warning; offset unused. */
    const char *alias_of;
    const char *help; /* one sentence */
};

#define SL_SETTINGS_END                                                                            \
    {                                                                                              \
        NULL, 0, 0, 0, NULL, 0, 0, NULL, NULL, NULL                                                \
    }

enum sl_settings_flags {
    SL_SETTINGS_NO_LOGIN = 1,      /* a router whose service needs no user and password */
    SL_SETTINGS_NEEDS_SERVERS = 2, /* a router that cannot work without servers */
    SL_SETTINGS_CHAINS = 4         /* ... whose service may have services as targets, and be one */
};

/* A table of rows for one kind of object, e.g. "server", "readwritesplit". */
struct sl_settings {
    const char *name;
    const struct sl_setting *rows; /* ends with a NULL name */
    size_t struct_size;
    unsigned flags; /* enum sl_settings_flags */
};

struct sl_secrets;

/*
 * What parsing a value needs from outside: the directory that relative paths start from (NULL: the
 * working directory) and the key of encrypted passwords (NULL: passwords are plain). The strings
 * stay the caller's and must outlive every later parse. Set by the control thread before it parses,
 * and only changed by it.
 */
struct sl_settings_environment {
    const char *path_base;
    const struct sl_secrets *secrets;
};
void sl_settings_environment_set(struct sl_settings_environment env);
struct sl_settings_environment sl_settings_environment_get(void);

/* The row of that name (aliases too), or NULL. */
const struct sl_setting *sl_settings_find(const struct sl_settings *s, const char *name);

/* Fills the struct with defaults (strings are allocated). The memory must be zeroed. Panics on a
 * bad default: rows are code. */
void sl_settings_defaults(const struct sl_settings *s, void *object);
/* Frees the strings (passwords are wiped); the struct itself belongs to the caller. */
void sl_settings_clear(const struct sl_settings *s, void *object);

/* Parses one value into the struct. The error names the key, the value and what is allowed; file
 * and line are the caller's. */
int sl_setting_parse(const struct sl_setting *row, void *object, const char *text,
                     struct sl_err *err);
/* Renders the current value as a user would write it; passwords as "*****". 0 or SL_ENOMEM. Unset
 * gives "". */
int sl_setting_render(const struct sl_setting *row, const void *object, struct sl_buf *out);
bool sl_setting_is_default(const struct sl_setting *row, const void *object);

/* Copies every value of the table; strings are duplicated. `to` must be zeroed memory. 0 or
 * SL_ENOMEM (then `to` is cleared again). For changes at runtime: copy, parse into the copy, and
 * take the copy only when all of it is good. */
int sl_settings_copy(const struct sl_settings *s, void *to, const void *from);

/* Is this a duration without its unit? Deprecated in files, refused by REST. */
bool sl_setting_lacks_unit(const struct sl_setting *row, const char *text);

/* What values the row takes, in words: "one of all, master", "a duration such as 10s". */
int sl_setting_describe(const struct sl_setting *row, struct sl_buf *out);

/* "bool", "count", "duration", ...: the names REST uses. Static. */
const char *sl_setting_type_name(const struct sl_setting *row);

/* The item of `list` (walked by `item(list, i)` until NULL) nearest to `text`, or NULL when none is
 * near enough to be what was meant. */
const char *sl_nearest_name(const char *text, const char *(*item)(const void *list, size_t i),
                            const void *list);
/* The same over the rows of a table. */
const char *sl_settings_nearest(const struct sl_settings *s, const char *name);

#endif
