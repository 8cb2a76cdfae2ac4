/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of the session inspector: what happens to a command of the client goes to the session's
 * trace (the last statements) and to the worker's digests, whichever is switched on.
 *
 *   begin -> sent (to each server) -> replied (by each) -> end
 *
 * session->recorder is NULL until something is switched on; callers check that, so that being off
 * costs one branch. One command of the client is in progress at a time. Session's worker.
 */
#ifndef SL_CORE_RECORDER_H
#define SL_CORE_RECORDER_H

#include <stdatomic.h>

#include "core/session.h"
#include "core/trace.h"

#define SL_RECORDER_FORMS 16 /* prepared statements whose form is remembered */

struct sl_recorder {
    struct sl_trace trace;
    bool is_open;    /* a command is in progress */
    bool is_traced;  /* it has the trace's newest entry */
    bool has_failed; /* the session is being ended because of an error */
    uint16_t error_code;
    uint64_t begun_us;
    uint64_t rows;
    uint64_t bytes;
    uint32_t digest_row; /* SL_DIGESTS_NONE: it is not counted */
    uint64_t digest_hash;
    struct {
        uint32_t id; /* of the statement in the session; 0 = free */
        uint64_t hash;
    } forms[SL_RECORDER_FORMS];
};

/* bits of service->recorder_wants; below them the number of statements to keep */
#define SL_RECORDER_DIGESTS (1u << 31)

/* Works out what each service's sessions record from the settings in force. Control or admin
 * thread. */
void sl_recorder_configure(struct sl_core *core);

static inline bool sl_recorder_is_wanted(const struct sl_session *s)
{
    return atomic_load_explicit(&s->service->recorder_wants, memory_order_relaxed) != 0 ||
           s->recorder != NULL;
}

/* A command is about to be routed, maybe for the second time. Only if wanted. */
void sl_recorder_begin(struct sl_session *s, const struct sl_request *rq);
/* ... and has been: waits, is under way, or needs no answer. */
void sl_recorder_routed(struct sl_session *s);
void sl_recorder_sent(struct sl_backend *b, enum sl_purpose purpose, bool has_reply);
/* The reply at the head of the queue is complete. `is_kept`: the router keeps it from the client.
 */
void sl_recorder_replied(struct sl_backend *b, enum sl_purpose purpose, bool is_kept);
void sl_recorder_lost(struct sl_backend *b);
/* The proxy itself answers with an error. */
void sl_recorder_error(struct sl_session *s, uint16_t code);
/* The client has its answer. */
void sl_recorder_end(struct sl_session *s);
/* The session ends: logs what dump_last_statements asks for. */
void sl_recorder_close(struct sl_session *s);
void sl_recorder_free(struct sl_session *s);

/* A statement as it may be shown: itself, or its canonical form in buf if it may hold a
 * password. */
struct sl_slice sl_recorder_shown(const struct sl_session *s, struct sl_slice text, char *buf,
                                  size_t size);

#endif
