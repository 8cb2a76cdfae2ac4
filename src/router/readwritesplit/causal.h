/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causal_reads: a read sees what was written before it. See docs/internals/causal-reads.md.
 *
 *   causal_query.c  pure: the questions for servers, and what their answers mean
 *   causal.c        when a read has to wait, whom to ask, what to do when it fails
 *
 * struct rws_causal belongs to a session, on its worker; NULL with causal_reads=none.
 * struct rws_causal_shared belongs to the service; all workers, without locks.
 */
#ifndef SL_ROUTER_READWRITESPLIT_CAUSAL_H
#define SL_ROUTER_READWRITESPLIT_CAUSAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "core/backend.h"
#include "core/session.h"
#include "repl/gtid.h"

struct rws;

/* --- causal_query.c: pure --------------------------------------------------------------------- */

enum rws_causal_question {
    RWS_ASK_REPLICA,  /* MASTER_GTID_WAIT */
    RWS_ASK_NODE,     /* wsrep_sync_wait */
    RWS_ASK_POSITION, /* where are you? */
    RWS_TELL_TRACKING /* report last_gtid from now on */
};

#define RWS_CAUSAL_PACKET_MAX (SL_GTID_SET_TEXT_MAX + 320)
#define RWS_CAUSAL_REPLY_MAX 768 /* more than any answer takes; a longer one counts as failed */

/* The question as a whole COM_QUERY packet; its length. `wanted` is for REPLICA. */
size_t rws_causal_packet(uint8_t out[RWS_CAUSAL_PACKET_MAX], enum rws_causal_question question,
                         const struct sl_gtid_set *wanted, int64_t timeout_ms);
/* Do the bytes of a reply (packets, headers included) say yes? POSITION: then *ret_position is
 * set. */
bool rws_causal_judge(enum rws_causal_question question, struct sl_slice reply, bool deprecate_eof,
                      struct sl_gtid_set *ret_position);
/* Does a SET change what is tracked? *ret_wants_gtid: the client wants to hear of last_gtid. */
bool rws_causal_changes_tracking(struct sl_slice sql, bool *ret_wants_gtid);

/* --- causal.c --------------------------------------------------------------------------------- */

struct rws_causal_shared {
    struct sl_gtid_shared position; /* global modes */
    _Atomic bool is_unknown;        /* ... something was written whose GTID nobody was told */
    _Atomic bool has_gtids;         /* a server has told a GTID */
    _Atomic int writer;             /* position of the server of the last write; see is_source() */
};

/* The object must be zeroed. */
void rws_causal_shared_init(struct rws_causal_shared *shared);
/* Forgets what the global modes know. Any thread. */
void rws_causal_forget(struct rws_causal_shared *shared);

enum rws_causal_probe {
    RWS_PROBE_NONE,
    RWS_PROBE_RUNNING,
    RWS_PROBE_DONE,
    RWS_PROBE_FAILED
};

enum rws_causal_step {
    RWS_CAUSAL_GO,      /* send the read (a question may have been sent in front of it) */
    RWS_CAUSAL_AGAIN,   /* choose a server again */
    RWS_CAUSAL_ANSWERED /* the client has got an error */
};

struct rws_causal {
    struct rws_causal_shared *shared;
    struct sl_gtid_set position; /* that a read has to see */
    uint64_t version;            /* of position: grows with it */
    uint64_t asked_version;      /* that the question in flight is about */
    uint64_t since_ms;           /* when it was asked */
    uint32_t tag;                /* of it; answers to others are late */
    int waiting_on;              /* position of the server asked, or RWS_NONE */
    uint8_t question;            /* enum rws_causal_question */
    uint8_t probe;               /* enum rws_causal_probe: of the universal modes */
    uint8_t barrier;             /* the same: of a primary that took over from another node */
    int writer;                  /* position of the server of the last write, or RWS_NONE */
    bool is_unknown;             /* something was written whose GTID was not told */
    bool has_news;               /* the reply in progress has told a GTID */
    bool to_primary;             /* the statement in progress cannot be answered by a replica */
    uint16_t reply_len;
    uint8_t reply[RWS_CAUSAL_REPLY_MAX];
    struct rws_causal_server {
        uint64_t reached;        /* version that it is known to have */
        uint64_t avoid_until_ms; /* it did not catch up in time */
        bool is_deaf;            /* its connection was reset: wsrep_sync_wait does not work there */
    } server[];                  /* [backend_count] */
};

/* Before any backend is opened. SL_OK or SL_ENOMEM. */
int rws_causal_open(struct rws *r, struct rws_causal_shared *shared);
/* The following take r->causal != NULL. A new statement of the client begins. */
void rws_causal_begin(struct rws *r);
/* Universal modes, before a server for a read is chosen: false if the primary has to be asked
 * first and the statement has to be held. */
bool rws_causal_asked(struct rws *r);
/* In a cluster, before a statement goes to the primary: has a node that took over the role applied
 * what was written on another one? AGAIN: it was asked, the statement has to be held. */
enum rws_causal_step rws_causal_primary(struct rws *r);
/* May this server be chosen for a read (fast modes)? */
bool rws_causal_is_fresh(const struct rws *r, int position);
/* Right before a read goes to `b` for this enum rws_target. */
enum rws_causal_step rws_causal_before(struct rws *r, const struct sl_request *rq, uint32_t type,
                                       uint8_t target, struct sl_backend *b);
/* Is a question out, so that the statement behind it must be kept? */
static inline bool rws_causal_is_waiting(const struct rws_causal *c)
{
    return c && c->waiting_on >= 0;
}
/* The statement in progress needs the primary, and there is none: tells the client. */
void rws_causal_no_primary(struct rws *r);

void rws_causal_backend_ready(struct rws *r, struct sl_backend *b);
void rws_causal_backend_lost(struct rws *r, const struct sl_backend *b);
/* A session command has been sent to these servers (bits). */
void rws_causal_sent_all(struct rws *r, const struct sl_request *rq, uint64_t servers);
/* The client's reply is complete. */
void rws_causal_client_reply(struct rws *r, const struct sl_backend *b,
                             const struct sl_reply *reply);
void rws_causal_on_probe(struct sl_session *s, struct sl_backend *b, const uint8_t *data,
                         size_t len);
/* A reply with SL_PURPOSE_PROBE is complete. */
void rws_causal_answered(struct rws *r, struct sl_backend *b, const struct sl_reply *reply,
                         uint32_t tag);
void rws_causal_sweep(struct rws *r, uint64_t now_ms);

#endif
