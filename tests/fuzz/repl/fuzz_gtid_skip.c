/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of starting by GTID: the input is a log of groups in several domains by several
 * servers, cut into files, and how far a replica has come in each domain. It must be found good, a
 * file must be found, and from there, or from a place behind that an index knows, it must get exactly
 * the groups that it lacks, up to where it wants to end.
 *
 * A byte per group: bits 0-1 domain, 2-3 server, 4 a new file begins, 5 the replica has the groups of
 * its domain up to here, 6 it wants the domain up to here. The first byte: bit 0 strict, bit 1 until,
 * bit 2 numbers rise per server only (no strict mode at the primaries) instead of per domain.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "repl/gtid_skip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    GROUPS_MAX = 512,
    DOMAINS = 4,
    SERVERS = 4,
    INDEX_GAP = 5 /* groups */
};

struct world {
    struct sl_gtid log[GROUPS_MAX];
    unsigned count;
    unsigned has[DOMAINS], until[DOMAINS]; /* groups of the log, counted from its beginning */
    bool is_strict, has_until, counts_by_server;
    struct sl_gtid_list position, end, state;
};

static void make(struct world *w, const uint8_t *data, size_t size)
{
    uint64_t next[DOMAINS][SERVERS] = {0};
    *w = (struct world){
        .is_strict = data[0] & 1, .has_until = data[0] & 2, .counts_by_server = data[0] & 4};
    for (size_t i = 1; i < size && w->count < GROUPS_MAX; i++) {
        uint32_t domain = data[i] & 3, server = data[i] >> 2 & 3;
        uint64_t seq = ++next[domain][w->counts_by_server ? server : 0];
        struct sl_gtid g = {domain, server + 1, seq};
        w->log[w->count++] = g;
        sl_assert(sl_gtid_state_add(&w->state, g) == SL_OK);
        if (data[i] & 0x20) {
            w->has[domain] = w->count;
            sl_assert(sl_gtid_position_set(&w->position, g) == SL_OK);
        }
        if (data[i] & 0x40) {
            w->until[domain] = w->count;
            sl_assert(sl_gtid_position_set(&w->end, g) == SL_OK);
        }
    }
}

/* The newest file the replica can start in: its first group, and the state before it. */
static unsigned choose_file(const struct world *w, const uint8_t *data, struct sl_gtid_list *ret)
{
    struct sl_gtid_list state = SL_GTID_LIST_INIT;
    unsigned chosen = 0;
    for (unsigned i = 0; i < w->count; i++) {
        if ((data[i + 1] & 0x10) && sl_gtid_file_covers(&state, &w->position)) {
            chosen = i;
            sl_assert(sl_gtid_list_copy(ret, &state) == SL_OK);
        }
        sl_assert(sl_gtid_state_add(&state, w->log[i]) == SL_OK);
    }
    sl_gtid_list_free(&state);
    return chosen;
}

/* The last entry of an index of the file before which there is nothing that the replica lacks, by the
 * numbers alone, and the log's state there. An index ends where numbers fall. */
static unsigned choose_place(const struct world *w, const uint8_t *data, unsigned first,
                             const struct sl_gtid_list *list, struct sl_gtid_list *ret)
{
    struct sl_gtid_list before = SL_GTID_LIST_INIT;
    unsigned chosen = first;
    sl_assert(sl_gtid_list_copy(&before, list) == SL_OK);
    for (unsigned i = first; i < w->count && (i == first || !(data[i + 1] & 0x10)); i++) {
        struct sl_gtid g = w->log[i];
        const struct sl_gtid *last = sl_gtid_state_last(&before, g.domain);
        const struct sl_gtid *reached = sl_gtid_position_find(&w->position, g.domain);
        if ((last && g.seq <= last->seq) || !reached || reached->seq < g.seq) {
            break;
        }
        sl_assert(i < w->has[g.domain]);
        sl_assert(sl_gtid_state_add(&before, g) == SL_OK);
        if ((i + 1 - first) % INDEX_GAP == 0) {
            chosen = i + 1;
            sl_assert(sl_gtid_list_copy(ret, &before) == SL_OK);
        }
    }
    sl_gtid_list_free(&before);
    return chosen;
}

static bool lacks(const struct world *w, unsigned i)
{
    uint32_t domain = w->log[i].domain;
    return i >= w->has[domain] && (!w->has_until || i < w->until[domain]);
}

/* Is there anything from group `i` on that the replica wants? */
static bool lacks_more(const struct world *w, unsigned i)
{
    while (i < w->count && !lacks(w, i)) {
        i++;
    }
    return i < w->count;
}

static void follow(struct world *w, struct sl_gtid_skip *s, unsigned first)
{
    unsigned due = sl_gtid_skip_due(s);
    for (unsigned i = first; i < w->count && !(due & SL_GTID_SKIP_UNTIL); i++) {
        struct sl_gtid_event group = {.gtid = w->log[i]};
        enum sl_gtid_skip_verdict verdict;
        struct sl_gtid hole;
        if (sl_gtid_skip_is_over(s)) {
            sl_assert(lacks(w, i));
            continue;
        }
        sl_assert(sl_gtid_skip_begin(s, &group, &verdict, &hole) == SL_OK);
        sl_assert(verdict == (lacks(w, i) ? SL_GTID_SKIP_SEND : SL_GTID_SKIP_LEAVE_OUT));
        sl_assert(s->is_leaving_out == (verdict == SL_GTID_SKIP_LEAVE_OUT));
        due = sl_gtid_skip_end(s);
        sl_assert(!(due & SL_GTID_SKIP_UNTIL) || !lacks_more(w, i + 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    struct sl_gtid missing;
    struct sl_gtid_list list = SL_GTID_LIST_INIT, start = SL_GTID_LIST_INIT;
    if (size < 1) {
        return 0;
    }
    make(&w, data, size);
    sl_assert(sl_gtid_state_judge(&w.state, &w.position, false, &missing) == SL_GTID_SERVED);
    unsigned first = choose_file(&w, data, &list);
    for (unsigned i = 0; i < first; i++) {
        sl_assert(i < w.has[w.log[i].domain]);
    }
    first = choose_place(&w, data, first, &list, &start);
    struct sl_gtid_skip s;
    struct sl_gtid_skip_start from = {.position = &w.position,
                                      .until = w.has_until ? &w.end : NULL,
                                      .log = &w.state,
                                      .list = &list,
                                      .start = &start,
                                      .is_strict = w.is_strict};
    sl_assert(sl_gtid_skip_init(&s, &from) == SL_OK);
    follow(&w, &s, first);
    sl_gtid_skip_free(&s);
    sl_gtid_list_free(&list);
    sl_gtid_list_free(&start);
    sl_gtid_list_free(&w.position);
    sl_gtid_list_free(&w.end);
    sl_gtid_list_free(&w.state);
    return 0;
}
