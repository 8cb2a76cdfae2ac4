/* SPDX-License-Identifier: Apache-2.0 */
/*
 * causal_reads: questions and answers. Pure; see docs/internals/causal-reads.md for why these.
 *
 * Facts (MariaDB documentation): MASTER_GTID_WAIT() gives 0 when reached and -1 after its timeout. A
 * SELECT under wsrep_sync_wait waits until all that the group had when it began is visible; it ends
 * in an error when that fails. LIMIT 1 keeps sql_select_limit=0 from skipping the work.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/constants.h"
#include "proto/packet.h"
#include "router/readwritesplit/causal.h"

static int wait_text(char *out, size_t size, enum rws_causal_question question, const char *gtids,
                     int64_t timeout_ms)
{
    switch (question) {
    case RWS_ASK_REPLICA:
        return snprintf(out, size, "SELECT MASTER_GTID_WAIT('%s',%lld.%03lld) AS a LIMIT 1", gtids,
                        (long long)timeout_ms / 1000, (long long)timeout_ms % 1000);
    case RWS_ASK_NODE:
        return snprintf(out, size, "SET STATEMENT wsrep_sync_wait=1 FOR SELECT 1 AS a LIMIT 1");
    case RWS_ASK_POSITION:
        return snprintf(out, size, "SELECT @@gtid_current_pos AS a LIMIT 1");
    case RWS_TELL_TRACKING:
        return snprintf(
            out, size,
            "SET SESSION session_track_system_variables=IF(@@session_track_system_variables='*',"
            "'*',CONCAT_WS(',',NULLIF(@@session_track_system_variables,''),'last_gtid'))");
    }
    return 0;
}

size_t rws_causal_packet(uint8_t out[RWS_CAUSAL_PACKET_MAX], enum rws_causal_question question,
                         const struct sl_gtid_set *wanted, int64_t timeout_ms)
{
    char gtids[SL_GTID_SET_TEXT_MAX] = "";
    if (wanted) {
        sl_gtid_set_text(wanted, gtids, sizeof gtids);
    }
    char *text = (char *)out + SL_PACKET_HEADER + 1;
    size_t room = RWS_CAUSAL_PACKET_MAX - SL_PACKET_HEADER - 1;
    int len = wait_text(text, room, question, gtids, timeout_ms);
    sl_assert(len > 0 && (size_t)len < room);
    sl_packet_put_header(out, (uint32_t)len + 1, 0);
    out[SL_PACKET_HEADER] = SL_COM_QUERY;
    return SL_PACKET_HEADER + 1 + (size_t)len;
}

/* ---- answers ---- */

/* The next whole packet's payload; false if there is none. */
static bool next_packet(struct sl_slice *in, struct sl_reader *ret)
{
    if (in->len < SL_PACKET_HEADER) {
        return false;
    }
    size_t len = sl_packet_len(in->data);
    if (len == 0 || len > in->len - SL_PACKET_HEADER) {
        return false;
    }
    *ret = sl_reader(in->data + SL_PACKET_HEADER, len);
    *in = sl_slice(in->data + SL_PACKET_HEADER + len, in->len - SL_PACKET_HEADER - len);
    return true;
}

/* The one value of a text result set of one column; false if it is anything else, or NULL. */
static bool find_value(struct sl_slice reply, bool deprecate_eof, struct sl_slice *ret)
{
    struct sl_reader packet;
    if (!next_packet(&reply, &packet) || sl_read_u8(&packet) != 1) {
        return false; /* ERR and OK are no column counts */
    }
    for (unsigned skip = deprecate_eof ? 1 : 2; skip > 0; skip--) {
        if (!next_packet(&reply, &packet)) {
            return false;
        }
    }
    return next_packet(&reply, &packet) && packet.at[0] < SL_FIRST_EOF &&
           sl_read_column(&packet, ret);
}

bool rws_causal_judge(enum rws_causal_question question, struct sl_slice reply, bool deprecate_eof,
                      struct sl_gtid_set *ret_position)
{
    struct sl_slice value;
    if (!find_value(reply, deprecate_eof, &value)) {
        return false;
    }
    switch (question) {
    case RWS_ASK_REPLICA:
        return sl_slice_equal(value, sl_slice_text("0"));
    case RWS_ASK_NODE:
        return sl_slice_equal(value, sl_slice_text("1"));
    case RWS_ASK_POSITION:
        return sl_gtid_set_parse(value, ret_position) == SL_OK;
    case RWS_TELL_TRACKING:
        break;
    }
    return false;
}

static bool contains(struct sl_slice text, const char *word)
{
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if ((text.data[i] | 0x20) == (word[0] | 0x20) &&
            strncasecmp((const char *)text.data + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

bool rws_causal_changes_tracking(struct sl_slice sql, bool *ret_wants_gtid)
{
    *ret_wants_gtid = contains(sql, "last_gtid") || contains(sql, "*");
    return contains(sql, "session_track_system_variables");
}
