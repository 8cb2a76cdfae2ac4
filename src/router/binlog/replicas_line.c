/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the replicas' file. See replicas_line.h. */
#include "router/binlog/replicas_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum word {
    ID,
    PORT,
    MASTER,
    SEEN,
    FILE_NAME,
    OFFSET,
    POSITION,
    HOST,
    WORDS
};

void sl_replica_word_copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
    for (char *c = out; *c; c++) {
        *c = (unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f ? '_' : *c;
    }
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

int sl_replica_line_put(struct sl_buf *out, const struct sl_replica_info *info,
                        const struct sl_gtid_list *position)
{
    int rc = sl_buf_printf(out, "%" PRIu32 " %u %" PRIu32 " %" PRId64 " %s %" PRIu64 " ",
                           info->server_id, info->port, info->master_id, info->last_seen_s,
                           or_dash(info->file), info->offset);
    if (rc == SL_OK) {
        rc = position->count ? sl_gtid_list_text(position, out) : sl_buf_append_text(out, "-");
    }
    return rc == SL_OK ? sl_buf_printf(out, " %s\n", or_dash(info->host)) : rc;
}

/* False: not a number up to `max`. */
static bool read_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *ret <= max;
}

static bool split(char *line, char *word[WORDS])
{
    char *rest = NULL;
    for (unsigned i = 0; i < WORDS; i++) {
        word[i] = strtok_r(i ? NULL : line, " ", &rest);
        if (!word[i]) {
            return false;
        }
        word[i] += strcmp(word[i], "-") == 0; /* empty */
    }
    return true;
}

int sl_replica_line_parse(char *line, struct sl_replica_info *ret,
                          struct sl_gtid_list *ret_position)
{
    char *word[WORDS];
    uint64_t id, port, master, seen, offset;
    if (!split(line, word) || !read_number(word[ID], UINT32_MAX, &id) ||
        !read_number(word[PORT], UINT16_MAX, &port) ||
        !read_number(word[MASTER], UINT32_MAX, &master) ||
        !read_number(word[SEEN], INT64_MAX, &seen) ||
        !read_number(word[OFFSET], UINT64_MAX, &offset)) {
        return SL_EPROTO;
    }
    *ret = (struct sl_replica_info){.server_id = (uint32_t)id,
                                    .port = (uint16_t)port,
                                    .master_id = (uint32_t)master,
                                    .last_seen_s = (int64_t)seen,
                                    .offset = offset};
    snprintf(ret->file, sizeof ret->file, "%s", word[FILE_NAME]);
    sl_replica_word_copy(ret->host, sizeof ret->host, word[HOST]);
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_gtid_position_parse(sl_slice_text(word[POSITION]), ret_position, &err);
    return rc == SL_OK || rc == SL_ENOMEM ? rc : SL_EPROTO;
}
