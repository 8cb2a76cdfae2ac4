/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a check of the configuration found: all errors and warnings of one pass, each with its
 * place.
 *
 * One thread at a time. At most SL_CONF_REPORT_MAX notes are kept; further ones are counted.
 */
#ifndef SL_CONF_REPORT_H
#define SL_CONF_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define SL_CONF_REPORT_MAX 1000

struct sl_conf_note {
    bool is_error;
    char *file;    /* "" when it belongs to no file */
    int line;      /* 0: the file as a whole */
    char *section; /* "" when outside */
    char *key;     /* "" when it is about the section */
    char *text;
};

struct sl_conf_report {
    struct sl_conf_note *notes;
    size_t count;
    size_t capacity;
    size_t error_count; /* including those not kept */
    size_t warning_count;
};

#define SL_CONF_REPORT_INIT                                                                        \
    {                                                                                              \
        NULL, 0, 0, 0, 0                                                                           \
    }

/* Where a note points; NULLs and 0 for what does not apply. */
struct sl_conf_place {
    const char *file;
    int line;
    const char *section;
    const char *key;
};

/* Copies everything. Memory: panics when it is out (control thread, at start). */
void sl_conf_error(struct sl_conf_report *r, struct sl_conf_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sl_conf_warning(struct sl_conf_report *r, struct sl_conf_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* "/etc/maxscale.cnf:12: [section] text". 0 or SL_ENOMEM. */
int sl_conf_note_render(const struct sl_conf_note *note, struct sl_buf *out);
void sl_conf_report_clear(struct sl_conf_report *r);

#endif
