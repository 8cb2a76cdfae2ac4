/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of hints: the first byte is the SQL mode, the rest are statements of one session,
 * separated by zero bytes. What must hold: no name points outside the text, the stack stays within
 * its bounds, and what is in force without a comment is what sl_hints_in_force() says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sql/hint.h"

struct input {
    const uint8_t *begin;
    const uint8_t *end;
};

static bool is_inside(const struct input *in, struct sl_slice s)
{
    return s.len == 0 || (s.data >= in->begin && s.data + s.len <= in->end);
}

static int server_at(void *arg, struct sl_slice name)
{
    sl_assert(name.len > 0 && is_inside(arg, name));
    return (int)name.len - 3;
}

static void parse_whole(const struct input *in)
{
    struct sl_hint_line line;
    if (sl_hint_parse(sl_slice(in->begin, (size_t)(in->end - in->begin)), &line)) {
        sl_assert(is_inside(in, line.name) && is_inside(in, line.server));
        sl_assert(line.target <= SL_HINT_SERVER && line.action <= SL_HINT_END);
        sl_assert(line.action != SL_HINT_PREPARE || (line.has_hint && line.name.len > 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_hint_stack *stack = NULL;
    for (size_t at = 1; at < size;) {
        const uint8_t *zero = memchr(data + at, 0, size - at);
        size_t len = zero ? (size_t)(zero - data) - at : size - at;
        uint8_t *copy = malloc(len > 0 ? len : 1); /* exact: a read behind the end is seen */
        if (!copy) {
            break;
        }
        memcpy(copy, data + at, len);
        struct input in = {copy, copy + len};
        parse_whole(&in);
        struct sl_hint hint = sl_hints_read(&stack, copy, len, data[0] & 15, server_at, &in);
        sl_assert(hint.target <= SL_HINT_SERVER);
        struct sl_hint in_force = sl_hints_in_force(stack);
        struct sl_hint none = sl_hints_read(&stack, copy, 0, 0, server_at, &in);
        sl_assert(memcmp(&none, &in_force, sizeof none) == 0);
        free(copy);
        at += len + 1;
    }
    sl_hint_stack_free(stack);
    return 0;
}
