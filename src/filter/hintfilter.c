/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filter hintfilter: reads the hints in the comments of a session's statements and leaves the one
 * that counts in the session, for the router. Keeps the session's stack of hints, which exists once
 * a comment needs it. Session's worker. The grammar is sql/hint.h.
 */
#include "core/filter.h"
#include "core/session.h"
#include "filter/filters.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "sql/hint.h"

static int server_at(void *arg, struct sl_slice name)
{
    const struct sl_service *service = arg;
    for (unsigned i = 0; i < service->server_count; i++) {
        if (sl_slice_equal(name, sl_slice_text(service->servers[i]->name))) {
            return (int)i;
        }
    }
    return -1;
}

static void session_close(void *state)
{
    sl_hint_stack_free(state);
}

static void on_request(struct sl_session *s, void **state, const struct sl_request *rq)
{
    if (rq->command == SL_COM_RESET_CONNECTION) {
        session_close(*state);
        *state = NULL;
        return;
    }
    struct sl_hint_stack *stack = *state;
    struct sl_hint hint;
    if (rq->command == SL_COM_QUERY || rq->command == SL_COM_STMT_PREPARE) {
        hint =
            sl_hints_read(&stack, rq->data + SL_PACKET_HEADER + 1, rq->len - SL_PACKET_HEADER - 1,
                          s->sql_mode_bits, server_at, s->service);
        *state = stack;
    } else {
        hint = sl_hints_in_force(stack);
    }
    if (sl_hint_is_set(&hint)) {
        s->hint = hint;
    }
}

static const struct sl_filter_ops ops = {
    .on_request = on_request,
    .session_close = session_close,
};

const struct sl_module sl_module_hintfilter = {
    .name = "hintfilter",
    .kind = SL_MODULE_FILTER,
    .version = "1.0.0",
    .description = "Routing hints in comments",
    .maturity = "Beta",
    .ops = &ops,
};
