/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GTIDs of MariaDB, domain-server-sequence, and positions: for each domain the newest one.
 * (MariaDB documentation, "Global Transaction ID".) Sequence numbers of one domain are compared,
 * whatever server they are from; different domains say nothing about each other.
 *
 * struct sl_gtid_set belongs to one thread. struct sl_gtid_shared is a position that several
 * threads move and read without locks; a reader may see one domain moved and another not yet,
 * which is as good as having looked at another moment.
 */
#ifndef SL_REPL_GTID_H
#define SL_REPL_GTID_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    SL_GTID_DOMAINS_MAX = 8,
    SL_GTID_TEXT_MAX = 44, /* 10 + 10 + 20 digits, two dashes, NUL */
    SL_GTID_SET_TEXT_MAX = SL_GTID_DOMAINS_MAX * SL_GTID_TEXT_MAX
};

struct sl_gtid {
    uint32_t domain;
    uint32_t server_id;
    uint64_t seq;
};

struct sl_gtid_set {
    uint8_t count;
    bool is_partial; /* there were more than SL_GTID_DOMAINS_MAX domains */
    struct sl_gtid gtid[SL_GTID_DOMAINS_MAX];
};

/* One GTID, nothing around it. 0 or SL_EPROTO. */
int sl_gtid_parse(struct sl_slice text, struct sl_gtid *ret);
/* A list with commas, blanks around its parts allowed; empty text is the empty position. 0, or
 * SL_EPROTO with *ret empty. Of two GTIDs of one domain the newer counts. */
int sl_gtid_set_parse(struct sl_slice text, struct sl_gtid_set *ret);
/* As a server takes it; size >= SL_GTID_SET_TEXT_MAX holds any. Returns the length. */
size_t sl_gtid_set_text(const struct sl_gtid_set *set, char *out, size_t size);

/* Moves the position forward, never back. True if it moved. */
bool sl_gtid_set_add(struct sl_gtid_set *set, struct sl_gtid gtid);
void sl_gtid_set_merge(struct sl_gtid_set *set, const struct sl_gtid_set *other);
/* Has somebody at `reached` everything up to `wanted`? Never if `wanted` is partial. */
bool sl_gtid_set_covers(const struct sl_gtid_set *reached, const struct sl_gtid_set *wanted);

/* ---- shared ---- */

struct sl_gtid_shared {
    struct {
        _Atomic uint64_t domain; /* + 1; 0 = free. Claimed once, then constant until a reset */
        _Atomic uint64_t seq;
        _Atomic uint32_t server_id;
    } slot[SL_GTID_DOMAINS_MAX];
    _Atomic uint64_t version; /* grows after each move */
    _Atomic bool is_partial;
};

/* Moves it forward, never back. Any thread. */
void sl_gtid_shared_add(struct sl_gtid_shared *p, struct sl_gtid gtid);
/* Takes the place of what was there, also backwards (a server was built anew). One thread at a
 * time. */
void sl_gtid_shared_replace(struct sl_gtid_shared *p, const struct sl_gtid_set *set);
/* Nothing is known any more; what other threads add meanwhile may be forgotten too. Any thread. */
void sl_gtid_shared_forget(struct sl_gtid_shared *p);
void sl_gtid_shared_get(const struct sl_gtid_shared *p, struct sl_gtid_set *ret);
static inline uint64_t sl_gtid_shared_version(const struct sl_gtid_shared *p)
{
    return atomic_load_explicit(&p->version, memory_order_acquire);
}

#endif
