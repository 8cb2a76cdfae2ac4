/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing hints in comments: `-- maxscale route to master`. The grammar and its bounds are
 * docs/internals/hints.md. Pure: text in, a hint out; any thread.
 */
#ifndef SL_SQL_HINT_H
#define SL_SQL_HINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define SL_HINT_DEPTH_MAX 16 /* hints in force in a session */
#define SL_HINT_NAMES_MAX 16 /* named hints of a session */
#define SL_HINT_NAME_MAX 31  /* bytes of a name */

enum sl_hint_target {
    SL_HINT_NONE,
    SL_HINT_MASTER,
    SL_HINT_SLAVE,
    SL_HINT_LAST,
    SL_HINT_SERVER
};

/* All zero: no hint. */
struct sl_hint {
    uint8_t target; /* enum sl_hint_target */
    bool has_lag;
    int16_t server; /* SERVER: what the caller's look-up gave; negative: nobody knows the name */
    uint32_t lag_s; /* with has_lag: a replica less than this behind */
};

enum sl_hint_action {
    SL_HINT_APPLY,   /* to this statement */
    SL_HINT_PREPARE, /* give it a name */
    SL_HINT_BEGIN,
    SL_HINT_END
};

/* One comment understood. */
struct sl_hint_line {
    uint8_t action;         /* enum sl_hint_action */
    bool has_hint;          /* BEGIN may have none */
    uint8_t target;         /* enum sl_hint_target; NONE: a lag */
    uint32_t lag_s;         /* with target NONE */
    struct sl_slice name;   /* of PREPARE and BEGIN; empty: none. Points into the comment */
    struct sl_slice server; /* with target SERVER */
};

/* The inside of a comment. False: it is no hint. */
bool sl_hint_parse(struct sl_slice comment, struct sl_hint_line *ret);

/* Position of the server of that name; negative: there is none. */
typedef int sl_hint_server_at(void *arg, struct sl_slice name);

/* The hints in force in a session, and the named ones. */
struct sl_hint_stack;
void sl_hint_stack_free(struct sl_hint_stack *stack);

/*
 * The hint of a statement: its own, else the innermost in force. Reads all comments and does what
 * they say to the stack, which is allocated when the first of them needs one (*stack NULL until
 * then; without memory it stays so, and the comment has no effect).
 */
struct sl_hint sl_hints_read(struct sl_hint_stack **stack, const uint8_t *sql, size_t len,
                             unsigned mode_bits, sl_hint_server_at *server_at, void *arg);
/* The innermost in force, for commands without text. `stack` may be NULL. */
struct sl_hint sl_hints_in_force(const struct sl_hint_stack *stack);

static inline bool sl_hint_is_set(const struct sl_hint *h)
{
    return h->target != SL_HINT_NONE || h->has_lag;
}

#endif
