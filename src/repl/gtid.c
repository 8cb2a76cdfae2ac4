/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GTIDs and positions. See gtid.h. No allocation, no clock; any thread.
 *
 * Invariants: a set has each domain once; its count is at most SL_GTID_DOMAINS_MAX.
 */
#include "repl/gtid.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* ---- text ---- */

/* Digits up to a limit; false if there are none or it is exceeded. */
static bool take_number(struct sl_slice *in, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    size_t n = 0;
    while (n < in->len && in->data[n] >= '0' && in->data[n] <= '9') {
        uint64_t digit = in->data[n] - (uint64_t)'0';
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        n++;
    }
    *in = sl_slice(in->data + n, in->len - n);
    *ret = value;
    return n > 0;
}

static bool take_byte(struct sl_slice *in, char c)
{
    if (in->len == 0 || in->data[0] != (uint8_t)c) {
        return false;
    }
    *in = sl_slice(in->data + 1, in->len - 1);
    return true;
}

static void skip_blanks(struct sl_slice *in)
{
    while (take_byte(in, ' ') || take_byte(in, '\n') || take_byte(in, '\t')) {
    }
}

static bool take_gtid(struct sl_slice *in, struct sl_gtid *ret)
{
    uint64_t domain, server_id, seq;
    if (!take_number(in, UINT32_MAX, &domain) || !take_byte(in, '-') ||
        !take_number(in, UINT32_MAX, &server_id) || !take_byte(in, '-') ||
        !take_number(in, UINT64_MAX, &seq)) {
        return false;
    }
    *ret = (struct sl_gtid){(uint32_t)domain, (uint32_t)server_id, seq};
    return true;
}

int sl_gtid_parse(struct sl_slice text, struct sl_gtid *ret)
{
    return take_gtid(&text, ret) && text.len == 0 ? SL_OK : SL_EPROTO;
}

static bool take_list(struct sl_slice *in, struct sl_gtid_set *ret)
{
    do {
        struct sl_gtid g;
        skip_blanks(in);
        if (!take_gtid(in, &g)) {
            return false;
        }
        sl_gtid_set_add(ret, g);
        skip_blanks(in);
    } while (take_byte(in, ','));
    return in->len == 0;
}

int sl_gtid_set_parse(struct sl_slice text, struct sl_gtid_set *ret)
{
    memset(ret, 0, sizeof *ret);
    skip_blanks(&text);
    if (text.len == 0 || take_list(&text, ret)) {
        return SL_OK;
    }
    memset(ret, 0, sizeof *ret);
    return SL_EPROTO;
}

size_t sl_gtid_set_text(const struct sl_gtid_set *set, char *out, size_t size)
{
    size_t len = 0;
    if (size > 0) {
        out[0] = '\0';
    }
    for (unsigned i = 0; i < set->count && len < size; i++) {
        const struct sl_gtid *g = &set->gtid[i];
        int n = snprintf(out + len, size - len, "%s%u-%u-%llu", i ? "," : "", g->domain,
                         g->server_id, (unsigned long long)g->seq);
        len += n > 0 ? (size_t)n : 0;
    }
    return len < size ? len : size - (size > 0);
}

/* ---- positions ---- */

static struct sl_gtid *find(const struct sl_gtid_set *set, uint32_t domain)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->gtid[i].domain == domain) {
            return (struct sl_gtid *)&set->gtid[i];
        }
    }
    return NULL;
}

bool sl_gtid_set_add(struct sl_gtid_set *set, struct sl_gtid gtid)
{
    struct sl_gtid *old = find(set, gtid.domain);
    if (old) {
        if (gtid.seq <= old->seq) {
            return false;
        }
        *old = gtid;
        return true;
    }
    if (set->count == SL_GTID_DOMAINS_MAX) {
        set->is_partial = true;
    } else {
        set->gtid[set->count++] = gtid;
    }
    return true;
}

void sl_gtid_set_merge(struct sl_gtid_set *set, const struct sl_gtid_set *other)
{
    for (unsigned i = 0; i < other->count; i++) {
        sl_gtid_set_add(set, other->gtid[i]);
    }
    set->is_partial |= other->is_partial;
}

bool sl_gtid_set_covers(const struct sl_gtid_set *reached, const struct sl_gtid_set *wanted)
{
    for (unsigned i = 0; i < wanted->count; i++) {
        const struct sl_gtid *g = find(reached, wanted->gtid[i].domain);
        if (!g || g->seq < wanted->gtid[i].seq) {
            return false;
        }
    }
    return !wanted->is_partial;
}

/* ---- shared ---- */

/* The slot of the domain, claimed if it is new; -1 when all are taken. */
static int claim(struct sl_gtid_shared *p, uint32_t domain)
{
    uint64_t mine = (uint64_t)domain + 1;
    for (int i = 0; i < SL_GTID_DOMAINS_MAX; i++) {
        uint64_t there = 0;
        if (atomic_compare_exchange_strong(&p->slot[i].domain, &there, mine) || there == mine) {
            return i;
        }
    }
    return -1;
}

void sl_gtid_shared_add(struct sl_gtid_shared *p, struct sl_gtid gtid)
{
    int i = claim(p, gtid.domain);
    if (i < 0) {
        atomic_store(&p->is_partial, true);
    } else {
        uint64_t seq = atomic_load(&p->slot[i].seq);
        while (seq < gtid.seq && !atomic_compare_exchange_weak(&p->slot[i].seq, &seq, gtid.seq)) {
        }
        atomic_store(&p->slot[i].server_id, gtid.server_id);
    }
    atomic_fetch_add(&p->version, 1);
}

void sl_gtid_shared_replace(struct sl_gtid_shared *p, const struct sl_gtid_set *set)
{
    for (unsigned i = 0; i < SL_GTID_DOMAINS_MAX; i++) {
        bool is_used = i < set->count;
        uint64_t domain = is_used ? (uint64_t)set->gtid[i].domain + 1 : 0;
        if (atomic_load(&p->slot[i].domain) != domain) {
            /* nobody may read the new domain with the old number */
            atomic_store(&p->slot[i].domain, 0);
            atomic_store(&p->slot[i].seq, 0);
        }
        atomic_store(&p->slot[i].seq, is_used ? set->gtid[i].seq : 0);
        atomic_store(&p->slot[i].server_id, is_used ? set->gtid[i].server_id : 0);
        atomic_store(&p->slot[i].domain, domain);
    }
    atomic_store(&p->is_partial, set->is_partial);
    atomic_fetch_add(&p->version, 1);
}

/* The slots keep their domains: a number that is added in this moment must not end up in a slot that
 * another domain claims afterwards. */
void sl_gtid_shared_forget(struct sl_gtid_shared *p)
{
    for (unsigned i = 0; i < SL_GTID_DOMAINS_MAX; i++) {
        atomic_store(&p->slot[i].seq, 0);
    }
    atomic_store(&p->is_partial, false);
    atomic_fetch_add(&p->version, 1);
}

void sl_gtid_shared_get(const struct sl_gtid_shared *p, struct sl_gtid_set *ret)
{
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; i < SL_GTID_DOMAINS_MAX; i++) {
        uint64_t domain = atomic_load(&p->slot[i].domain);
        uint64_t seq = atomic_load(&p->slot[i].seq);
        /* the number belongs to the domain only if that is still there behind it */
        if (domain != 0 && seq != 0 && atomic_load(&p->slot[i].domain) == domain) {
            sl_gtid_set_add(ret, (struct sl_gtid){(uint32_t)(domain - 1),
                                                  atomic_load(&p->slot[i].server_id), seq});
        }
    }
    ret->is_partial |= atomic_load(&p->is_partial);
}
