/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result codes as text, and the error object that gathers context on the way up.
 *
 * Owns nothing; every function works on the caller's object and may run on any thread.
 * Invariant: err->text is always terminated.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const char *const rc_texts[] = {
#define SL_RC_TEXT(name, value, text) [-(value)] = text,
    SL_RC_LIST(SL_RC_TEXT)
#undef SL_RC_TEXT
};

const char *sl_rc_text(int rc)
{
    if (rc > 0 || rc <= -(int)SL_ARRAY_LEN(rc_texts)) {
        return "unknown error";
    }
    return rc_texts[-rc];
}

/* The arguments may point into err->text, so both functions build the text aside. */

int sl_err_set(struct sl_err *err, int rc, const char *fmt, ...)
{
    sl_assert(rc < 0);
    if (err) {
        char text[sizeof(err->text)];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        memcpy(err->text, text, sizeof(text));
        err->rc = rc;
    }
    return rc;
}

int sl_err_wrap(struct sl_err *err, const char *fmt, ...)
{
    if (!err) {
        return SL_OK;
    }
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sl_assert(len >= 0);
    size_t used = SL_MIN((size_t)len, sizeof(text) - 1);
    const char *const pieces[] = {": ", err->text};
    for (size_t i = 0; i < SL_ARRAY_LEN(pieces); i++) {
        size_t more = SL_MIN(strlen(pieces[i]), sizeof(text) - 1 - used);
        memcpy(text + used, pieces[i], more);
        used += more;
    }
    text[used] = '\0';
    memcpy(err->text, text, used + 1);
    return err->rc;
}
