/* SPDX-License-Identifier: Apache-2.0 */
/* Skipping to a replica's position. See gtid_skip.h. */
#include "repl/gtid_skip.h"

#include <string.h>

static void forget(struct sl_gtid_list *position, const struct sl_gtid *entry)
{
    size_t at = (size_t)(entry - position->gtid);
    memmove(position->gtid + at, position->gtid + at + 1,
            (position->count - at - 1) * sizeof *position->gtid);
    position->count--;
}

void sl_gtid_skip_free(struct sl_gtid_skip *s)
{
    sl_gtid_list_free(&s->pending);
    sl_gtid_list_free(&s->strangers);
    sl_gtid_list_free(&s->until);
    sl_gtid_list_free(&s->state);
}

/* ---- the beginning ---- */

static int find_strangers(struct sl_gtid_skip *s, const struct sl_gtid_list *log)
{
    for (uint32_t i = 0; i < s->pending.count; i++) {
        if (!sl_gtid_state_knows_domain(log, s->pending.gtid[i].domain) &&
            sl_gtid_position_set(&s->strangers, s->pending.gtid[i]) != SL_OK) {
            return SL_ENOMEM;
        }
    }
    return SL_OK;
}

/* A GTID of the file's list that is the replica's: its domain begins right behind it. (That it is
 * the last one of its domain there is what made the file eligible.) */
static void apply_list(struct sl_gtid_skip *s, const struct sl_gtid_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct sl_gtid *g = &list->gtid[i];
        const struct sl_gtid *mine = sl_gtid_position_find(&s->pending, g->domain);
        if (mine && mine->server_id == g->server_id && mine->seq == g->seq) {
            forget(&s->pending, mine);
        }
        const struct sl_gtid *end = sl_gtid_position_find(&s->until, g->domain);
        if (end && end->server_id == g->server_id && end->seq <= g->seq) {
            forget(&s->until, end);
        }
    }
}

/* What of a position, or of its end, has come by in front of the place where the reader starts. By
 * server: without strict mode at the primaries the numbers of another server say nothing. */
static bool forget_reached(struct sl_gtid_list *position, const struct sl_gtid_list *start)
{
    bool has_any = false;
    for (uint32_t i = position->count; i > 0; i--) {
        if (sl_gtid_state_has(start, position->gtid[i - 1])) {
            forget(position, &position->gtid[i - 1]);
            has_any = true;
        }
    }
    return has_any;
}

/* What lies between the file's beginning and that place holds nothing that the replica lacks. */
static int apply_start(struct sl_gtid_skip *s, const struct sl_gtid_list *start)
{
    s->is_list_due = forget_reached(&s->pending, start);
    forget_reached(&s->until, start);
    for (uint32_t i = 0; i < start->count; i++) {
        if (sl_gtid_state_add(&s->state, start->gtid[i]) != SL_OK) {
            return SL_ENOMEM;
        }
    }
    return SL_OK;
}

int sl_gtid_skip_init(struct sl_gtid_skip *s, const struct sl_gtid_skip_start *from)
{
    *s = (struct sl_gtid_skip){.is_strict = from->is_strict, .has_until = from->until != NULL};
    int rc = sl_gtid_list_copy(&s->pending, from->position);
    if (rc == SL_OK && from->until) {
        rc = sl_gtid_list_copy(&s->until, from->until);
    }
    if (rc == SL_OK) {
        rc = sl_gtid_list_copy(&s->state, from->list);
    }
    if (rc == SL_OK) {
        rc = find_strangers(s, from->log);
    }
    if (rc != SL_OK) {
        return rc;
    }
    apply_list(s, from->list);
    s->has_skipped = sl_gtid_skip_is_pending(s);
    rc = apply_start(s, from->start);
    s->is_until_due = s->has_until && s->until.count == 0;
    return rc;
}

/* ---- groups ---- */

unsigned sl_gtid_skip_due(struct sl_gtid_skip *s)
{
    unsigned due =
        (s->is_list_due ? SL_GTID_SKIP_LIST : 0u) | (s->is_until_due ? SL_GTID_SKIP_UNTIL : 0u);
    s->is_list_due = false;
    return due;
}

const struct sl_gtid *sl_gtid_skip_stranger(const struct sl_gtid_skip *s, uint32_t domain)
{
    return s->strangers.count > 0 ? sl_gtid_position_find(&s->strangers, domain) : NULL;
}

void sl_gtid_skip_know(struct sl_gtid_skip *s, uint32_t domain)
{
    sl_gtid_position_remove(&s->strangers, domain);
}

/* Has the replica got it, as far as its position tells? */
static enum sl_gtid_skip_verdict check_position(struct sl_gtid_skip *s, const struct sl_gtid *g,
                                                struct sl_gtid *ret_hole)
{
    const struct sl_gtid *mine = sl_gtid_position_find(&s->pending, g->domain);
    if (!mine) {
        return SL_GTID_SKIP_SEND;
    }
    if (g->server_id != mine->server_id || g->seq < mine->seq) {
        return SL_GTID_SKIP_LEAVE_OUT;
    }
    bool is_hole = g->seq > mine->seq;
    if (is_hole && s->is_strict) {
        *ret_hole = *mine;
        return SL_GTID_SKIP_HOLE;
    }
    forget(&s->pending, mine);
    s->is_list_due = true;
    return is_hole ? SL_GTID_SKIP_SEND : SL_GTID_SKIP_LEAVE_OUT;
}

/* Is it behind the end of its domain? */
static bool is_behind_until(struct sl_gtid_skip *s, const struct sl_gtid *g)
{
    const struct sl_gtid *end = sl_gtid_position_find(&s->until, g->domain);
    if (!end) {
        return true;
    }
    if (g->server_id != end->server_id || g->seq < end->seq) {
        return false;
    }
    bool is_behind = g->seq > end->seq; /* the GTID itself is missing in the log */
    forget(&s->until, end);
    s->is_until_due = s->until.count == 0;
    return is_behind;
}

int sl_gtid_skip_begin(struct sl_gtid_skip *s, const struct sl_gtid_event *group,
                       enum sl_gtid_skip_verdict *ret, struct sl_gtid *ret_hole)
{
    const struct sl_gtid *g = &group->gtid;
    if (sl_gtid_state_add(&s->state, *g) != SL_OK) {
        return SL_ENOMEM;
    }
    *ret = check_position(s, g, ret_hole);
    if (*ret != SL_GTID_SKIP_HOLE && s->has_until && is_behind_until(s, g)) {
        *ret = SL_GTID_SKIP_LEAVE_OUT;
    }
    s->is_leaving_out = *ret == SL_GTID_SKIP_LEAVE_OUT;
    return SL_OK;
}

unsigned sl_gtid_skip_end(struct sl_gtid_skip *s)
{
    s->is_leaving_out = false;
    return sl_gtid_skip_due(s);
}
