/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the SQL layer: classifier, tables, canonical form and lexer on any bytes. The
 * first byte picks the mode bits. What must hold: everything given points into the input, the
 * canonical form is no longer than the input, and what is no read is never called one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "sql/classify.h"
#include "sql/digest.h"
#include "sql/form.h"
#include "sql/lexer.h"
#include "sql/trx.h"

struct input {
    const uint8_t *sql;
    size_t len;
    size_t tables;
};

static bool is_inside(const struct input *in, struct sl_slice s)
{
    return s.data == NULL ? s.len == 0 : s.data >= in->sql && s.data + s.len <= in->sql + in->len;
}

static bool on_table(void *arg, struct sl_slice db, struct sl_slice table)
{
    struct input *in = arg;

    sl_assert(is_inside(in, db) && is_inside(in, table));
    in->tables++;
    return true;
}

static void check_tokens(const struct input *in, unsigned mode, bool skips_lists)
{
    struct sl_lexer lx;
    struct sl_token tok;
    const uint8_t *last = in->sql;

    sl_lexer_init(&lx, in->sql, in->len, mode);
    lx.want_comments = !skips_lists;
    while (sl_lexer_next(&lx, &tok)) {
        sl_assert(tok.begin >= last && tok.end > tok.begin && tok.end <= in->sql + in->len);
        sl_assert(tok.text.data >= tok.begin && tok.text.data + tok.text.len <= tok.end);
        last = tok.end;
        if (skips_lists) {
            sl_lexer_skip_list(&lx);
        }
    }
    sl_assert(lx.pos <= in->sql + in->len);
}

static void check_class(const struct input *in, unsigned mode)
{
    struct sl_sql_info info;
    struct sl_trx trx;
    char text[64];

    sl_sql_classify(in->sql, in->len, mode, &info);
    sl_assert(info.op < SL_SQL_OP_COUNT && info.type != 0);
    sl_assert(is_inside(in, info.name) && is_inside(in, info.prepare_text));
    sl_assert(!(info.type & SL_SQL_READ) || !(info.type & SL_SQL_WRITE));
    sl_assert(!info.is_multi || (info.type & SL_SQL_WRITE));
    sl_assert(info.op != SL_SQL_OP_UNKNOWN || (info.type & SL_SQL_WRITE));
    sl_sql_type_text(info.type, text, sizeof(text));
    sl_assert(strlen(text) < sizeof(text));
    sl_trx_init(&trx, in->len & 1);
    sl_trx_statement(&trx, &info);
    sl_assert(trx.is_open || (!trx.is_starting && !trx.is_ending));
    sl_trx_status(&trx, (uint16_t)in->len);
    sl_assert(!trx.is_starting && !trx.is_ending);
}

static void check_canonical(const struct input *in, unsigned mode)
{
    char *out = sl_malloc(in->len + 1);

    if (out != NULL) {
        const size_t len = sl_sql_canonical(in->sql, in->len, mode, out, in->len + 1);
        sl_assert(len <= in->len && out[len] == '\0');
        sl_assert(sl_sql_canonical(in->sql, in->len, mode, out, in->len / 2) == len);
    }
    sl_free(out);
    sl_assert(sl_sql_digest(in->sql, in->len, mode) == sl_sql_digest(in->sql, in->len, mode));
}

static void check_form(const struct input *in, unsigned mode)
{
    char out[SL_SQL_FORM_ROOM];
    char again[SL_SQL_FORM_ROOM];
    size_t len, again_len;

    sl_sql_form(in->sql, in->len, mode, out, &len);
    sl_assert(len <= sizeof(out));
    /* any bytes may come, also what is no canonical text */
    again_len = sl_sql_fold_lists((const char *)in->sql, in->len, again, sizeof(again) / 2);
    sl_assert(again_len <= sizeof(again) / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const unsigned mode = data[0] & 15;
    struct input in = {.len = size - 1};
    uint8_t *copy = malloc(size - 1 > 0 ? size - 1 : 1); /* so that ASan sees every byte too far */
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data + 1, size - 1);
    in.sql = copy;
    check_tokens(&in, mode, false);
    check_tokens(&in, mode, true);
    check_class(&in, mode);
    check_canonical(&in, mode);
    check_form(&in, mode);
    sl_assert(sl_sql_tables(in.sql, in.len, mode, on_table, &in));
    sl_assert(in.tables <= in.len);
    free(copy);
    return 0;
}
