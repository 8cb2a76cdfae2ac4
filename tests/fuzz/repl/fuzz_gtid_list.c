/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of positions and states: two lists, one line each. Any text is parsed as a position
 * or refused; the entries of the first line make a state, entry by entry and all at once, with the
 * same result; what a state says of the position of the second line holds together.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "repl/gtid_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct sl_gtid_list *a, const struct sl_gtid_list *b)
{
    sl_assert(a->count == b->count);
    sl_assert(a->count == 0 || memcmp(a->gtid, b->gtid, a->count * sizeof *a->gtid) == 0);
}

static void expect_sorted(const struct sl_gtid_list *l, bool is_position)
{
    for (uint32_t i = 1; i < l->count; i++) {
        sl_assert(l->gtid[i - 1].domain + (is_position ? 1ull : 0) <= l->gtid[i].domain);
    }
}

static void parse_position(struct sl_slice text, struct sl_gtid_list *ret)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_gtid_list again = SL_GTID_LIST_INIT;
    struct sl_buf out = SL_BUF_INIT;
    int rc = sl_gtid_position_parse(text, ret, &err);
    sl_assert(rc == SL_OK || (ret->count == 0 && err.text[0]));
    expect_sorted(ret, true);
    sl_assert(sl_gtid_list_text(ret, &out) == SL_OK);
    sl_assert(sl_gtid_position_parse(sl_buf_slice(&out), &again, &err) == SL_OK);
    expect_same(ret, &again);
    for (uint32_t i = 0; i < ret->count; i++) {
        sl_assert(sl_gtid_position_find(ret, ret->gtid[i].domain) == &ret->gtid[i]);
        sl_assert(sl_gtid_position_set(&again, ret->gtid[i]) == SL_OK);
    }
    expect_same(ret, &again);
    sl_buf_free(&out);
    sl_gtid_list_free(&again);
}

/* Every entry of the text that is one. */
static void make_state(struct sl_slice text, struct sl_gtid_list *ret)
{
    struct sl_gtid_list raw = SL_GTID_LIST_INIT;
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.data, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.data) : text.len;
        struct sl_gtid g;
        if (sl_gtid_parse(sl_slice(text.data, len), &g) == SL_OK) {
            sl_assert(sl_gtid_state_add(ret, g) == SL_OK);
            sl_assert(sl_gtid_state_has(ret, g) && sl_gtid_state_knows_domain(ret, g.domain));
            const struct sl_gtid *last = sl_gtid_state_last(ret, g.domain);
            sl_assert(memcmp(last, &g, sizeof g) == 0);
            sl_assert(sl_gtid_list_reserve(&raw, 1) == SL_OK);
            raw.gtid[raw.count++] = g;
        }
        len += comma ? 1 : 0;
        text = sl_slice(text.data + len, text.len - len);
    }
    sl_assert(sl_gtid_state_order(&raw) == SL_OK);
    expect_sorted(&raw, false);
    expect_same(ret, &raw);
    sl_gtid_list_free(&raw);
}

static void check_judgement(const struct sl_gtid_list *state, const struct sl_gtid_list *position)
{
    struct sl_gtid missing = {0};
    struct sl_gtid_list last = SL_GTID_LIST_INIT;
    enum sl_gtid_verdict verdict = sl_gtid_state_judge(state, position, false, &missing);
    enum sl_gtid_verdict lenient = sl_gtid_state_judge(state, position, true, &missing);
    sl_assert(lenient != SL_GTID_AHEAD);
    sl_assert(verdict != SL_GTID_SERVED || lenient == SL_GTID_SERVED);
    sl_assert(verdict == SL_GTID_SERVED || sl_gtid_state_knows_domain(state, missing.domain) ||
              lenient == SL_GTID_SERVED);
    if (sl_gtid_file_covers(state, position)) {
        for (uint32_t i = 0; i < state->count; i++) {
            sl_assert(sl_gtid_position_find(position, state->gtid[i].domain));
        }
    }
    sl_assert(sl_gtid_state_position(state, &last) == SL_OK);
    sl_assert(sl_gtid_state_judge(state, &last, false, &missing) == SL_GTID_SERVED);
    sl_assert(sl_gtid_file_covers(state, &last));
    sl_gtid_list_free(&last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t first = line ? (size_t)(line - data) : size;
    size_t second = line ? first + 1 : size;
    struct sl_gtid_list state = SL_GTID_LIST_INIT, position = SL_GTID_LIST_INIT;
    make_state(sl_slice(data, first), &state);
    parse_position(sl_slice(data, first), &position);
    check_judgement(&state, &position);
    parse_position(sl_slice(data + second, size - second), &position);
    check_judgement(&state, &position);
    sl_gtid_list_free(&state);
    sl_gtid_list_free(&position);
    return 0;
}
