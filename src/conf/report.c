/* SPDX-License-Identifier: Apache-2.0 */
/* The list of notes of a configuration check; contract in report.h. */
#include "conf/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"

#define NOTE_TEXT_MAX 2048

__attribute__((format(printf, 4, 0))) static void
add(struct sl_conf_report *r, bool is_error, struct sl_conf_place at, const char *fmt, va_list args)
{
    *(is_error ? &r->error_count : &r->warning_count) += 1;
    if (r->count == SL_CONF_REPORT_MAX) {
        return;
    }
    if (r->count == r->capacity) {
        r->capacity = r->capacity == 0 ? 16 : 2 * r->capacity;
        r->notes = sl_realloc(r->notes, r->capacity * sizeof(*r->notes));
        sl_assert(r->notes != NULL);
    }
    char text[NOTE_TEXT_MAX];
    vsnprintf(text, sizeof(text), fmt, args);
    r->notes[r->count++] = (struct sl_conf_note){
        .is_error = is_error,
        .file = sl_xstrdup(at.file != NULL ? at.file : ""),
        .line = at.line,
        .section = sl_xstrdup(at.section != NULL ? at.section : ""),
        .key = sl_xstrdup(at.key != NULL ? at.key : ""),
        .text = sl_xstrdup(text),
    };
}

void sl_conf_error(struct sl_conf_report *r, struct sl_conf_place at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(r, true, at, fmt, args);
    va_end(args);
}

void sl_conf_warning(struct sl_conf_report *r, struct sl_conf_place at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(r, false, at, fmt, args);
    va_end(args);
}

int sl_conf_note_render(const struct sl_conf_note *note, struct sl_buf *out)
{
    int rc = 0;
    if (note->file[0] != '\0') {
        rc = sl_buf_append_text(out, note->file);
    }
    if (rc == 0 && note->line > 0) {
        rc = sl_buf_printf(out, ":%d", note->line);
    }
    if (rc == 0 && note->file[0] != '\0') {
        rc = sl_buf_append_text(out, ": ");
    }
    if (rc == 0 && note->section[0] != '\0') {
        rc = sl_buf_printf(out, "[%s] ", note->section);
    }
    return rc != 0 ? rc : sl_buf_append_text(out, note->text);
}

void sl_conf_report_clear(struct sl_conf_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        sl_free(r->notes[i].file);
        sl_free(r->notes[i].section);
        sl_free(r->notes[i].key);
        sl_free(r->notes[i].text);
    }
    sl_free(r->notes);
    *r = (struct sl_conf_report)SL_CONF_REPORT_INIT;
}
