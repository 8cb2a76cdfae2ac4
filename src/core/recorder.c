/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of the session inspector; see the header and docs/internals/session-inspector.md.
 *
 * Invariant: is_traced implies that the command in progress is trace entry 0.
 */
#include "core/recorder.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"
#include "core/digests.h"
#include "proto/constants.h"
#include "proto/packet.h"
#include "proto/params.h"
#include "sql/digest.h"
#include "sql/form.h"

void sl_recorder_configure(struct sl_core *core)
{
    uint32_t everybody = (uint32_t)atomic_load(&core->retain_last_statements);
    uint32_t digests = atomic_load(&core->query_digests) > 0 ? SL_RECORDER_DIGESTS : 0;
    for (unsigned i = 0; i < core->service_count; i++) {
        struct sl_service *service = core->services[i];
        int64_t own = atomic_load(&service->retain_last_statements);
        uint32_t kept = own < 0 ? everybody : (uint32_t)own;
        kept = SL_MIN(kept, (uint32_t)SL_TRACE_STATEMENTS_MAX);
        atomic_store(&service->recorder_wants, kept | digests);
    }
}

static uint64_t now_us(const struct sl_session *s)
{
    return sl_loop_now_us(s->worker->loop);
}

/* ---- texts ---- */

/* What the command runs; empty for those that are no statements. */
static struct sl_slice text_of(const struct sl_session *s, const struct sl_request *rq)
{
    const uint8_t *payload = rq->data + SL_PACKET_HEADER;
    switch (rq->command) {
    case SL_COM_QUERY:
    case SL_COM_STMT_PREPARE:
    case SL_COM_INIT_DB:
        return sl_slice(payload + 1, rq->len - SL_PACKET_HEADER - 1);
    case SL_COM_STMT_EXECUTE:
    case SL_COM_STMT_BULK_EXECUTE:
        return s->ops->statement_text ? s->ops->statement_text(s, sl_stmt_id(payload))
                                      : sl_slice(NULL, 0);
    default:
        return sl_slice(NULL, 0);
    }
}

/* Double quotes hold strings here, whatever the session's mode: what is a name to the server may
 * still be a password to the one who typed it. */
static unsigned masking_mode(const struct sl_session *s)
{
    return s->sql_mode_bits & SL_SQL_NO_BACKSLASH_ESCAPES;
}

struct sl_slice sl_recorder_shown(const struct sl_session *s, struct sl_slice text, char *buf,
                                  size_t size)
{
    if (!sl_trace_is_secret(sl_slice(text.data, SL_MIN(text.len, (size_t)SL_TRACE_TEXT_MAX)))) {
        return text;
    }
    size_t len = sl_sql_canonical(text.data, SL_MIN(text.len, (size_t)SL_SQL_FORM_LEXED_MAX),
                                  masking_mode(s), buf, size);
    return sl_slice(buf, SL_MIN(len, size - 1));
}

/* ---- digests ---- */

/* The worker's table, made or made anew when the setting asks for another size. NULL: off, or no
 * memory. */
static struct sl_digests *digests_of(struct sl_worker *w)
{
    uint32_t capacity = atomic_load_explicit(&w->core->query_digests, memory_order_relaxed);
    if (w->digests && w->digests->capacity != capacity) {
        sl_digests_free(w->digests);
        w->digests = NULL;
    }
    if (!w->digests && capacity > 0) {
        w->digests = sl_digests_new(capacity);
    }
    return w->digests;
}

static uint32_t count_text(struct sl_session *s, struct sl_digests *d, struct sl_slice text,
                           uint64_t *ret_hash)
{
    char form[SL_SQL_FORM_ROOM];
    size_t len;
    unsigned mode = s->sql_mode_bits;
    if ((mode & (SL_SQL_ANSI_QUOTES | SL_SQL_ORACLE)) &&
        sl_trace_is_secret(sl_slice(text.data, SL_MIN(text.len, (size_t)SL_TRACE_TEXT_MAX)))) {
        mode = masking_mode(s);
    }
    *ret_hash = sl_sql_form(text.data, text.len, mode, form, &len);
    return sl_digests_find(d, *ret_hash, s->service->name, sl_slice(form, len), now_us(s));
}

static void forget_forms(struct sl_recorder *r)
{
    for (unsigned i = 0; i < SL_RECORDER_FORMS; i++) {
        r->forms[i].id = 0;
    }
}

/* An execution: the form of its text is made once. */
static uint32_t count_execution(struct sl_session *s, struct sl_digests *d,
                                const struct sl_request *rq, uint64_t *ret_hash)
{
    struct sl_recorder *r = s->recorder;
    uint32_t id = sl_stmt_id(rq->data + SL_PACKET_HEADER);
    unsigned at = id % SL_RECORDER_FORMS;
    if (r->forms[at].id == id) {
        *ret_hash = r->forms[at].hash;
        uint32_t row = sl_digests_lookup(d, *ret_hash, s->service->name);
        if (row != SL_DIGESTS_NONE) {
            return row;
        }
    }
    struct sl_slice text = text_of(s, rq);
    if (text.len == 0) {
        return SL_DIGESTS_NONE;
    }
    uint32_t row = count_text(s, d, text, ret_hash);
    r->forms[at].id = id == SL_STMT_ID_LAST ? 0 : id;
    r->forms[at].hash = *ret_hash;
    return row;
}

static void begin_digest(struct sl_session *s, const struct sl_request *rq)
{
    struct sl_recorder *r = s->recorder;
    struct sl_digests *d = digests_of(s->worker);
    r->digest_row = SL_DIGESTS_NONE;
    switch (rq->command) {
    case SL_COM_QUERY:
        r->digest_row = d ? count_text(s, d, text_of(s, rq), &r->digest_hash) : SL_DIGESTS_NONE;
        break;
    case SL_COM_STMT_EXECUTE:
    case SL_COM_STMT_BULK_EXECUTE:
        r->digest_row = d ? count_execution(s, d, rq, &r->digest_hash) : SL_DIGESTS_NONE;
        break;
    case SL_COM_STMT_PREPARE:
    case SL_COM_STMT_CLOSE:
    case SL_COM_RESET_CONNECTION:
    case SL_COM_CHANGE_USER:
        forget_forms(r);
        break;
    default:
        break;
    }
}

/* ---- one command ---- */

/* False: nothing is to be recorded any more, or there is no memory for it. */
static bool adapt(struct sl_session *s, uint32_t wants)
{
    struct sl_recorder *r = s->recorder;
    if (wants == 0) {
        sl_recorder_free(s);
        return false;
    }
    if (!r) {
        r = s->recorder = sl_calloc(1, sizeof *r);
    }
    return r && sl_trace_resize(&r->trace, wants & ~SL_RECORDER_DIGESTS) == SL_OK;
}

void sl_recorder_begin(struct sl_session *s, const struct sl_request *rq)
{
    uint32_t wants = atomic_load_explicit(&s->service->recorder_wants, memory_order_relaxed);
    if ((s->recorder && s->recorder->is_open) || rq->command == SL_COM_QUIT || !adapt(s, wants)) {
        return; /* the same command once more, or none that is recorded */
    }
    struct sl_recorder *r = s->recorder;
    r->is_open = true;
    r->is_traced = r->trace.capacity > 0;
    r->error_code = 0;
    r->rows = r->bytes = 0;
    r->begun_us = now_us(s);
    if (r->is_traced) {
        char buf[SL_TRACE_TEXT_MAX];
        struct sl_trace_entry *e =
            sl_trace_begin(&r->trace, rq->command, sl_clock_wall_ms(), r->begun_us);
        sl_trace_text(e, sl_recorder_shown(s, text_of(s, rq), buf, sizeof buf));
    }
    begin_digest(s, rq);
}

static void take_route(struct sl_session *s)
{
    struct sl_recorder *r = s->recorder;
    if (r->is_traced && s->ops->route) {
        struct sl_trace_entry *e = sl_trace_at(&r->trace, 0);
        s->ops->route(s, &e->route);
        e->has_route = true;
    }
}

void sl_recorder_routed(struct sl_session *s)
{
    struct sl_recorder *r = s->recorder;
    if (!r->is_open || s->step != SL_SESSION_READY) {
        return;
    }
    if (s->held) {
        take_route(s);
    } else if (!s->busy && !s->wants_whole) {
        sl_recorder_end(s); /* a command without an answer */
    }
}

void sl_recorder_sent(struct sl_backend *b, enum sl_purpose purpose, bool has_reply)
{
    struct sl_session *s = b->session;
    struct sl_recorder *r = s->recorder;
    if (!r->is_open || !r->is_traced ||
        (purpose != SL_PURPOSE_CLIENT && purpose != SL_PURPOSE_IGNORE)) {
        return;
    }
    if (purpose == SL_PURPOSE_CLIENT) {
        take_route(s);
    }
    sl_trace_sent(sl_trace_at(&r->trace, 0), b->position);
    if (!has_reply) {
        sl_trace_replied(&r->trace, b->position, false, now_us(s));
    }
}

void sl_recorder_replied(struct sl_backend *b, enum sl_purpose purpose, bool is_kept)
{
    struct sl_recorder *r = b->session->recorder;
    const struct sl_reply *reply = &b->reply;
    bool is_error = reply->kind == SL_REPLY_KIND_ERR;
    if (purpose != SL_PURPOSE_CLIENT && purpose != SL_PURPOSE_IGNORE) {
        return;
    }
    sl_trace_replied(&r->trace, b->position, is_error, now_us(b->session));
    if (purpose == SL_PURPOSE_CLIENT && !is_kept) {
        r->rows = reply->rows;
        r->bytes = reply->bytes;
        r->error_code = is_error ? reply->error_code : 0;
    }
}

void sl_recorder_lost(struct sl_backend *b)
{
    sl_trace_lost(&b->session->recorder->trace, b->position, now_us(b->session));
}

void sl_recorder_error(struct sl_session *s, uint16_t code)
{
    s->recorder->error_code = code;
}

void sl_recorder_end(struct sl_session *s)
{
    struct sl_recorder *r = s->recorder;
    if (!r->is_open) {
        return;
    }
    r->is_open = false;
    uint64_t now = now_us(s);
    if (r->is_traced) {
        struct sl_trace_entry *e = sl_trace_at(&r->trace, 0);
        sl_trace_end(e, now);
        e->rows = r->rows;
        e->error_code = r->error_code;
    }
    if (r->digest_row != SL_DIGESTS_NONE && s->worker->digests) {
        struct sl_digest_sample sample = {
            .us = now - r->begun_us,
            .now_us = now,
            .rows = r->rows,
            .bytes = r->bytes,
            .is_error = r->error_code != 0,
        };
        sl_digests_add(s->worker->digests, r->digest_row, r->digest_hash, &sample);
    }
}

/* ---- the end of a session ---- */

static void log_statement(const struct sl_session *s, const struct sl_trace_entry *e)
{
    char when[32];
    time_t seconds = (time_t)(e->received_ms / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    const char *rule = e->has_route ? s->ops->route_text(e->route.rule).rule : "no route";
    const char *server = e->reply_count > 0
                             ? s->service->servers[e->replies[e->reply_count - 1].position]->name
                             : "no server";
    sl_log_notice("Stmt %llu: %s.%03d, %s, %llu us, error %u, on %s (%s): %.*s",
                  (unsigned long long)e->number, when, (int)(e->received_ms % 1000),
                  e->is_complete ? "complete" : "not complete", (unsigned long long)e->duration_us,
                  e->error_code, server, rule, (int)e->text_len, e->text ? e->text : "");
}

void sl_recorder_close(struct sl_session *s)
{
    struct sl_recorder *r = s->recorder;
    int64_t dump = atomic_load(&s->worker->core->dump_last_statements);
    if (r->is_open) {
        r->error_code = r->error_code ? r->error_code : SL_ER_NET_READ_ERROR;
        r->has_failed = true;
    }
    if (dump == SL_DUMP_ON_CLOSE || (dump == SL_DUMP_ON_ERROR && r->has_failed)) {
        for (unsigned i = r->trace.count; i-- > 0;) {
            log_statement(s, sl_trace_at(&r->trace, i));
        }
    }
    sl_recorder_end(s);
}

void sl_recorder_free(struct sl_session *s)
{
    if (s->recorder) {
        sl_trace_clear(&s->recorder->trace);
        sl_free(s->recorder);
        s->recorder = NULL;
    }
}
