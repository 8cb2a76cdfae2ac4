/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the statements of a relay's listener. What must hold: every slice lies inside the
 * text or the statement's own memory, counts stay within their bounds, and what is not understood
 * says where.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "router/binlog/sql_grammar.h"

static const uint8_t *text, *text_end;
static struct sl_relay_statement st;

static void check(struct sl_slice s)
{
    bool in_text = s.data >= text && s.data + s.len <= text_end;
    bool in_memory =
        st.memory && s.data >= st.memory && s.data + s.len <= st.memory + st.memory_used;
    sl_assert(s.len == 0 || in_text || in_memory);
}

static void check_all(void)
{
    sl_assert(st.kind < SL_RELAY_KIND_COUNT && st.column_count <= SL_RELAY_COLUMNS_MAX &&
              st.setting_count <= SL_RELAY_SETTINGS_MAX &&
              st.pattern_count <= SL_RELAY_PATTERNS_MAX);
    sl_assert(st.memory_used <= (size_t)(text_end - text));
    check(st.connection);
    check(st.text);
    check(st.rest);
    check(st.time.text);
    for (unsigned i = 0; i < st.column_count; i++) {
        check(st.columns[i].value.text);
        check(st.columns[i].title);
        sl_assert(st.columns[i].argument_count <= SL_RELAY_ARGUMENTS_MAX);
        for (unsigned k = 0; k < st.columns[i].argument_count; k++) {
            check(st.columns[i].arguments[k].text);
        }
    }
    for (unsigned i = 0; i < st.setting_count; i++) {
        check(st.settings[i].name);
        check(st.settings[i].value.text);
    }
    for (unsigned i = 0; i < st.pattern_count; i++) {
        check(st.patterns[i].text);
        sl_relay_like(sl_slice_text("gtid_slave_pos"), st.patterns[i].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* exact: a read behind the end is seen */
    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    text = copy;
    text_end = copy + size;
    int rc = sl_relay_statement_parse(copy, size, &st);
    if (rc == SL_OK) {
        check_all();
    } else {
        check(st.near);
    }
    sl_relay_statement_clear(&st);
    free(copy);
    return 0;
}
