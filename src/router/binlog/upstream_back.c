/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that go back; contract in the header. */
#include "router/binlog/upstream_back.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

void sl_going_back_begin(struct sl_going_back *b, int64_t now_s)
{
    b->is_told = false;
    b->is_alarm = false;
    if (now_s > 0 && now_s <= UINT32_MAX) {
        sl_going_back_stored(b, (uint32_t)now_s);
    }
}

void sl_going_back_forget(struct sl_going_back *b)
{
    b->text[0] = '\0';
    b->newest = 0;
    b->server = NULL; /* whoever set numbers back while replication stood has meant it */
    b->lower = 0;
}

/* The highest number that the server has in the domain. */
static uint64_t last_of(const struct sl_gtid_list *state, struct sl_gtid gtid)
{
    uint64_t last = gtid.seq;
    for (uint32_t i = 0; i < state->count; i++) {
        const struct sl_gtid *g = &state->gtid[i];
        if (g->domain == gtid.domain && g->server_id == gtid.server_id && g->seq > last) {
            last = g->seq;
        }
    }
    return last;
}

bool sl_going_back_asks(const struct sl_going_back *b, uint32_t timestamp)
{
    return !b->is_alarm && (!b->is_told || (b->newest > 0 && timestamp > b->newest));
}

static void raise_alarm(struct sl_going_back *b, const char *number, uint64_t last,
                        struct sl_gtid gtid)
{
    b->is_alarm = true;
    snprintf(b->text, sizeof b->text,
             "Sequence numbers of domain %" PRIu32 " went back: the log has %s%" PRIu64
             ", and the primary writes %s%" PRIu64 " anew, at another time. Its log was reset; "
             "groups up to %s%" PRIu64 " are dropped, and replicas do not get them. STOP SLAVE, "
             "RESET MASTER and START SLAVE begin a new log here",
             gtid.domain, number, last, number, gtid.seq, number, last);
}

void sl_going_back_dropped(struct sl_going_back *b, const struct sl_gtid_list *state,
                           struct sl_gtid gtid, uint32_t timestamp, const uint32_t *in_log)
{
    bool is_younger = b->newest > 0 && timestamp > b->newest;
    bool is_anew = in_log != NULL ? timestamp != *in_log : is_younger;
    char number[64];
    snprintf(number, sizeof number, "%" PRIu32 "-%" PRIu32 "-", gtid.domain, gtid.server_id);
    uint64_t last = last_of(state, gtid);
    if (is_anew) {
        raise_alarm(b, number, last, gtid);
        return;
    }
    sl_going_back_stored(b, timestamp); /* younger ones may follow: each time is asked for once */
    if (!b->is_told) {
        b->is_told = true;
        sl_log_warning("Group %s%" PRIu64 " comes although the log has %s%" PRIu64
                       ": this and others up to that are dropped as repeats, which a Galera node "
                       "makes after a crash",
                       number, gtid.seq, number, last);
    }
}

/* What was seen of a server that now has a lower number in the domain; NULL: none. */
static const struct sl_gtid *find_lower(const struct sl_gtid_set *seen,
                                        const struct sl_gtid_set *position, struct sl_gtid *ret_now)
{
    for (unsigned i = 0; i < seen->count; i++) {
        const struct sl_gtid *old = &seen->gtid[i];
        for (unsigned k = 0; k < position->count; k++) {
            *ret_now = position->gtid[k];
            if (ret_now->domain == old->domain && ret_now->server_id == old->server_id &&
                ret_now->seq < old->seq) {
                return old;
            }
        }
    }
    return NULL;
}

bool sl_going_back_look(struct sl_going_back *b, const void *server, const char *name,
                        const struct sl_gtid_set *position, uint64_t version)
{
    struct sl_gtid now;
    if (server == b->server && version == b->version) {
        return false;
    }
    b->version = version;
    const struct sl_gtid *old = server == b->server ? find_lower(&b->seen, position, &now) : NULL;
    b->lower = old != NULL ? b->lower + 1 : 0;
    if (old != NULL && b->lower < SL_GOING_BACK_LOOKS) {
        return false;
    }
    if (old != NULL) {
        snprintf(
            b->text, sizeof b->text,
            "Sequence numbers of domain %" PRIu32 " went back: server '%s' had %" PRIu32 "-%" PRIu32
            "-%" PRIu64 ", and has %" PRIu32 "-%" PRIu32 "-%" PRIu64
            " now. Its log was reset, or has lost its end; what it writes anew up to the old "
            "number is dropped, and replicas do not get it. STOP SLAVE, RESET MASTER and START "
            "SLAVE begin a new log here",
            old->domain, name, old->domain, old->server_id, old->seq, now.domain, now.server_id,
            now.seq);
    }
    b->lower = 0;
    if (position->count > 0 || server != b->server) {
        b->seen = *position;
    }
    b->server = server;
    return old != NULL;
}
