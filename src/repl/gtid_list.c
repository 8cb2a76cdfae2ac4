/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions and states. See gtid_list.h.
 *
 * Invariant: a position is sorted by domain; a state is sorted by domain, and within the run of a
 * domain its servers stand in the order in which they wrote last. So a domain is found by binary
 * search, and what is done for each group moves a few entries and allocates nothing.
 */
#include "repl/gtid_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- lists ---- */

void sl_gtid_list_free(struct sl_gtid_list *l)
{
    sl_free(l->gtid);
    *l = (struct sl_gtid_list)SL_GTID_LIST_INIT;
}

void sl_gtid_list_clear(struct sl_gtid_list *l)
{
    l->count = 0;
}

int sl_gtid_list_reserve(struct sl_gtid_list *l, uint32_t more)
{
    if (more <= l->capacity - l->count) {
        return SL_OK;
    }
    size_t needed = (size_t)l->count + more, doubled = (size_t)l->capacity * 2;
    if (needed > UINT32_MAX / 2) {
        return SL_ENOMEM;
    }
    size_t capacity = needed > doubled ? needed : doubled;
    struct sl_gtid *gtid = sl_realloc(l->gtid, capacity * sizeof *gtid);
    if (!gtid) {
        return SL_ENOMEM;
    }
    l->gtid = gtid;
    l->capacity = (uint32_t)capacity;
    return SL_OK;
}

int sl_gtid_list_copy(struct sl_gtid_list *to, const struct sl_gtid_list *from)
{
    if (to == from) {
        return SL_OK;
    }
    sl_gtid_list_clear(to);
    int rc = sl_gtid_list_reserve(to, from->count);
    if (rc == SL_OK && from->count > 0) {
        memcpy(to->gtid, from->gtid, from->count * sizeof *to->gtid);
        to->count = from->count;
    }
    return rc;
}

int sl_gtid_list_text(const struct sl_gtid_list *l, struct sl_buf *out)
{
    size_t before = sl_buf_len(out);
    for (uint32_t i = 0; i < l->count; i++) {
        const struct sl_gtid *g = &l->gtid[i];
        char text[SL_GTID_TEXT_MAX + 1];
        int n = snprintf(text, sizeof text, "%s%" PRIu32 "-%" PRIu32 "-%" PRIu64, i ? "," : "",
                         g->domain, g->server_id, g->seq);
        if (sl_buf_append(out, text, (size_t)n) != SL_OK) {
            out->end = out->start + before;
            return SL_ENOMEM;
        }
    }
    return SL_OK;
}

/* Index of the first entry whose domain is not smaller. */
static uint32_t lower_bound(const struct sl_gtid_list *l, uint32_t domain)
{
    uint32_t from = 0, to = l->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (l->gtid[middle].domain < domain) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* Index behind the last entry of the domain. */
static uint32_t upper_bound(const struct sl_gtid_list *l, uint32_t domain)
{
    return domain == UINT32_MAX ? l->count : lower_bound(l, domain + 1);
}

static int insert_at(struct sl_gtid_list *l, uint32_t at, struct sl_gtid gtid)
{
    if (sl_gtid_list_reserve(l, 1) != SL_OK) {
        return SL_ENOMEM;
    }
    memmove(l->gtid + at + 1, l->gtid + at, (l->count - at) * sizeof *l->gtid);
    l->gtid[at] = gtid;
    l->count++;
    return SL_OK;
}

/* ---- sorting, with the place in the input as the last criterion ---- */

struct placed {
    struct sl_gtid gtid;
    uint32_t place;
};

static int compare_place(const struct placed *a, const struct placed *b)
{
    return (a->place > b->place) - (a->place < b->place);
}

static int compare_domain(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    if (a->gtid.domain != b->gtid.domain) {
        return a->gtid.domain < b->gtid.domain ? -1 : 1;
    }
    return compare_place(a, b);
}

static int compare_server(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    if (a->gtid.domain != b->gtid.domain) {
        return a->gtid.domain < b->gtid.domain ? -1 : 1;
    }
    if (a->gtid.server_id != b->gtid.server_id) {
        return a->gtid.server_id < b->gtid.server_id ? -1 : 1;
    }
    return compare_place(a, b);
}

/* Of several entries of one domain and server only the last stays. */
static uint32_t drop_repeated(struct placed *p, uint32_t count)
{
    uint32_t kept = 0;
    qsort(p, count, sizeof *p, compare_server);
    for (uint32_t i = 0; i < count; i++) {
        bool is_repeated = i + 1 < count && p[i].gtid.domain == p[i + 1].gtid.domain &&
                           p[i].gtid.server_id == p[i + 1].gtid.server_id;
        if (!is_repeated) {
            p[kept++] = p[i];
        }
    }
    return kept;
}

static struct placed *place_all(const struct sl_gtid_list *l)
{
    struct placed *p = sl_malloc(l->count * sizeof *p);
    for (uint32_t i = 0; p && i < l->count; i++) {
        p[i] = (struct placed){l->gtid[i], i};
    }
    return p;
}

static void take_back(struct sl_gtid_list *l, struct placed *p, uint32_t count)
{
    qsort(p, count, sizeof *p, compare_domain);
    for (uint32_t i = 0; i < count; i++) {
        l->gtid[i] = p[i].gtid;
    }
    l->count = count;
    sl_free(p);
}

int sl_gtid_state_order(struct sl_gtid_list *l)
{
    if (l->count < 2) {
        return SL_OK;
    }
    struct placed *p = place_all(l);
    if (!p) {
        sl_gtid_list_clear(l);
        return SL_ENOMEM;
    }
    take_back(l, p, drop_repeated(p, l->count));
    return SL_OK;
}

/* ---- positions ---- */

static struct sl_slice trim(struct sl_slice s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.data[0]) && s.data[0]) {
        s = sl_slice(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && strchr(" \t\r\n", s.data[s.len - 1]) && s.data[s.len - 1]) {
        s.len--;
    }
    return s;
}

static int parse_raw(struct sl_slice text, struct sl_gtid_list *ret)
{
    text = trim(text);
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.data, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.data) : text.len;
        struct sl_gtid gtid;
        if (sl_gtid_parse(trim(sl_slice(text.data, len)), &gtid) != SL_OK ||
            ret->count == SL_GTID_LIST_MAX || (comma && len + 1 == text.len)) {
            return SL_EPROTO;
        }
        if (sl_gtid_list_reserve(ret, 1) != SL_OK) {
            return SL_ENOMEM;
        }
        ret->gtid[ret->count++] = gtid;
        text = sl_slice(text.data + len, text.len - len);
        if (comma) {
            text = sl_slice(text.data + 1, text.len - 1);
        }
    }
    return SL_OK;
}

/* ER_DUPLICATE_GTID_DOMAIN: the later one first. */
static int fail_duplicate(const struct sl_gtid *first, const struct sl_gtid *second,
                          struct sl_err *err)
{
    return sl_err_set(err, SL_EEXIST,
                      "GTID %" PRIu32 "-%" PRIu32 "-%" PRIu64 " and %" PRIu32 "-%" PRIu32
                      "-%" PRIu64 " conflict (duplicate domain id %" PRIu32 ")",
                      second->domain, second->server_id, second->seq, first->domain,
                      first->server_id, first->seq, first->domain);
}

static int order_position(struct sl_gtid_list *l, struct sl_err *err)
{
    if (l->count < 2) {
        return SL_OK;
    }
    struct placed *p = place_all(l);
    if (!p) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for a position of %u domains", l->count);
    }
    take_back(l, p, l->count);
    for (uint32_t i = 1; i < l->count; i++) {
        if (l->gtid[i].domain == l->gtid[i - 1].domain) {
            return fail_duplicate(&l->gtid[i - 1], &l->gtid[i], err);
        }
    }
    return SL_OK;
}

int sl_gtid_position_parse(struct sl_slice text, struct sl_gtid_list *ret, struct sl_err *err)
{
    sl_gtid_list_clear(ret);
    int rc = parse_raw(text, ret);
    if (rc == SL_EPROTO) {
        sl_err_set(err, rc, "Could not parse GTID list"); /* ER_INCORRECT_GTID_STATE */
    } else if (rc != SL_OK) {
        sl_err_set(err, rc, "out of memory for a position of more than %u domains", ret->count);
    } else {
        rc = order_position(ret, err);
    }
    if (rc != SL_OK) {
        sl_gtid_list_free(ret); /* nobody expects an empty list to own memory */
    }
    return rc;
}

const struct sl_gtid *sl_gtid_position_find(const struct sl_gtid_list *position, uint32_t domain)
{
    uint32_t i = lower_bound(position, domain);
    return i < position->count && position->gtid[i].domain == domain ? &position->gtid[i] : NULL;
}

int sl_gtid_position_set(struct sl_gtid_list *position, struct sl_gtid gtid)
{
    uint32_t i = lower_bound(position, gtid.domain);
    if (i < position->count && position->gtid[i].domain == gtid.domain) {
        position->gtid[i] = gtid;
        return SL_OK;
    }
    return insert_at(position, i, gtid);
}

void sl_gtid_position_remove(struct sl_gtid_list *position, uint32_t domain)
{
    uint32_t i = lower_bound(position, domain);
    if (i < position->count && position->gtid[i].domain == domain) {
        position->count--;
        memmove(position->gtid + i, position->gtid + i + 1,
                (position->count - i) * sizeof *position->gtid);
    }
}

/* ---- states ---- */

/* Index of (domain, server), or UINT32_MAX. *ret_end: behind the domain's last entry. */
static uint32_t find(const struct sl_gtid_list *state, uint32_t domain, uint32_t server_id,
                     uint32_t *ret_end)
{
    uint32_t end = upper_bound(state, domain);
    *ret_end = end;
    for (uint32_t i = end; i > 0 && state->gtid[i - 1].domain == domain; i--) {
        if (state->gtid[i - 1].server_id == server_id) {
            return i - 1;
        }
    }
    return UINT32_MAX;
}

int sl_gtid_state_add(struct sl_gtid_list *state, struct sl_gtid gtid)
{
    uint32_t end;
    uint32_t i = find(state, gtid.domain, gtid.server_id, &end);
    if (i == UINT32_MAX) {
        return insert_at(state, end, gtid);
    }
    memmove(state->gtid + i, state->gtid + i + 1, (end - 1 - i) * sizeof *state->gtid);
    state->gtid[end - 1] = gtid;
    return SL_OK;
}

bool sl_gtid_state_has(const struct sl_gtid_list *state, struct sl_gtid gtid)
{
    uint32_t end;
    uint32_t i = find(state, gtid.domain, gtid.server_id, &end);
    return i != UINT32_MAX && state->gtid[i].seq >= gtid.seq;
}

const struct sl_gtid *sl_gtid_state_last(const struct sl_gtid_list *state, uint32_t domain)
{
    uint32_t end = upper_bound(state, domain);
    return end > 0 && state->gtid[end - 1].domain == domain ? &state->gtid[end - 1] : NULL;
}

bool sl_gtid_state_knows_domain(const struct sl_gtid_list *state, uint32_t domain)
{
    return sl_gtid_state_last(state, domain) != NULL;
}

static bool is_last_of_domain(const struct sl_gtid_list *state, uint32_t i)
{
    return i + 1 == state->count || state->gtid[i + 1].domain != state->gtid[i].domain;
}

int sl_gtid_state_position(const struct sl_gtid_list *state, struct sl_gtid_list *ret)
{
    sl_gtid_list_clear(ret);
    if (sl_gtid_list_reserve(ret, state->count) != SL_OK) {
        return SL_ENOMEM;
    }
    for (uint32_t i = 0; i < state->count; i++) {
        if (is_last_of_domain(state, i)) {
            ret->gtid[ret->count++] = state->gtid[i];
        }
    }
    return SL_OK;
}

/* sql/sql_repl.cc, check_slave_start_position(), without its cases of a server that has applied
 * what it has not logged: a relay logs everything. And it may wait for a replica that is ahead, so
 * that a domain that has diverged must not hide behind another that is ahead. */
enum sl_gtid_verdict sl_gtid_state_judge(const struct sl_gtid_list *state,
                                         const struct sl_gtid_list *position,
                                         bool ignore_duplicates, struct sl_gtid *ret_gtid)
{
    enum sl_gtid_verdict verdict = SL_GTID_SERVED;
    for (uint32_t i = 0; i < position->count; i++) {
        struct sl_gtid wanted = position->gtid[i];
        const struct sl_gtid *last = sl_gtid_state_last(state, wanted.domain);
        bool is_beyond = last && wanted.seq > last->seq;
        if (!last || sl_gtid_state_has(state, wanted) || (is_beyond && ignore_duplicates)) {
            continue;
        }
        if (!is_beyond) {
            *ret_gtid = wanted;
            return SL_GTID_DIVERGED;
        }
        if (verdict == SL_GTID_SERVED) {
            *ret_gtid = wanted;
            verdict = SL_GTID_AHEAD;
        }
    }
    return verdict;
}

/* contains_all_slave_gtid() there. */
bool sl_gtid_file_covers(const struct sl_gtid_list *list, const struct sl_gtid_list *position)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct sl_gtid *before = &list->gtid[i];
        const struct sl_gtid *at = sl_gtid_position_find(position, before->domain);
        if (!at) {
            return false; /* the domain is wanted from its very first group */
        }
        bool is_earlier = at->server_id == before->server_id && at->seq <= before->seq;
        bool is_border = at->seq == before->seq && is_last_of_domain(list, i);
        if (is_earlier && !is_border) {
            return false;
        }
    }
    return true;
}
