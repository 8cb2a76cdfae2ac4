/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to the client that no server gave: errors, OK, packets made here. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "core/recorder.h"
#include "core/session.h"
#include "proto/constants.h"
#include "proto/ok.h"

static void write_client(struct sl_session *s, struct sl_buf *packet, int rc)
{
    if (rc < 0 || sl_conn_write(&s->client, sl_buf_slice(packet).data, sl_buf_len(packet)) < 0) {
        sl_session_close(s, "out of memory");
    }
    sl_buf_free(packet);
}

/* An answer of one packet. The client counts packets on: its sequence number follows that of the
 * command's last one, so a command that is not all here has to be waited for. */
static void answer(struct sl_session *s, struct sl_buf *packet, int rc)
{
    if (rc < 0 || !s->is_streaming) {
        write_client(s, packet, rc);
        return;
    }
    size_t len = sl_buf_len(packet);
    s->late_answer = sl_malloc(len);
    if (s->late_answer) {
        memcpy(s->late_answer, sl_buf_slice(packet).data, len);
    } else {
        sl_session_close(s, "out of memory");
    }
    sl_buf_free(packet);
}

/* The command that was answered before its end is all here. */
void sl_session_send_late_answer(struct sl_session *s)
{
    uint8_t *packet = s->late_answer;
    s->late_answer = NULL;
    packet[3] = s->next_seq;
    if (sl_conn_write(&s->client, packet, SL_PACKET_HEADER + sl_packet_len(packet)) < 0) {
        sl_session_close(s, "out of memory");
    }
    sl_free(packet);
}

static void answer_verror(struct sl_session *s, uint16_t code, const char *sqlstate,
                          const char *fmt, va_list args) __attribute__((format(printf, 4, 0)));

static void answer_verror(struct sl_session *s, uint16_t code, const char *sqlstate,
                          const char *fmt, va_list args)
{
    if (s->step == SL_SESSION_GHOST || !sl_command_has_reply(s->command)) {
        return;
    }
    if (s->recorder) {
        sl_recorder_error(s, code);
    }
    struct sl_buf packet = SL_BUF_INIT;
    int rc = sl_packet_vbuild_err(&packet, s->next_seq, code, sqlstate, fmt, args);
    answer(s, &packet, rc);
}

void sl_session_answer_error(struct sl_session *s, uint16_t code, const char *sqlstate,
                             const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    answer_verror(s, code, sqlstate, fmt, args);
    va_end(args);
    sl_session_command_done(s);
}

void sl_session_answer_ok(struct sl_session *s)
{
    struct sl_buf packet = SL_BUF_INIT;
    uint16_t status = (uint16_t)((s->trx.autocommit ? SL_STATUS_AUTOCOMMIT : 0) |
                                 (s->trx.is_open ? SL_STATUS_IN_TRANS : 0));
    int rc = sl_packet_build_ok(&packet, s->next_seq, 0, 0, status, 0, NULL);
    answer(s, &packet, rc);
    sl_session_command_done(s);
}

void sl_session_answer_packets(struct sl_session *s, const void *packets, size_t len)
{
    if (sl_conn_write(&s->client, packets, len) < 0) {
        sl_session_close(s, "out of memory");
        return;
    }
    sl_session_command_done(s);
}

void sl_session_fail(struct sl_session *s, uint16_t code, const char *sqlstate, const char *fmt,
                     ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (s->recorder) {
        sl_recorder_error(s, code);
        s->recorder->has_failed = true;
    }
    /* An idle client gets none: it is not waiting for a packet and would take it for the next
     * answer. The outer session of an inner one loses a connection, and acts on that. */
    if (s->outer) {
        snprintf(s->outer->why, sizeof s->outer->why, "%.*s", (int)sizeof s->outer->why - 1, text);
        s->outer->why_code = code;
    } else if (s->step == SL_SESSION_READY && (s->busy || s->held || s->is_routing) &&
               !s->is_mid_packet) {
        if (s->held) {
            s->next_seq = 1;
        }
        struct sl_buf packet = SL_BUF_INIT;
        int rc = sl_packet_build_err(&packet, s->next_seq, code, sqlstate, "%s", text);
        write_client(s, &packet, rc);
    }
    sl_session_close(s, text);
}
