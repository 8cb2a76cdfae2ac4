/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records are those of session tracking: type 0, length, name, value (mariadb.com/kb
 * "OK_Packet").
 *
 * Values of `auto` come from what the monitor knows of the first Master of the service, else the
 * first Slave, else any running server; except the three character sets, which the client's own
 * login has decided: a connector that is told another one would escape strings wrongly.
 */
#include "core/session_metadata.h"

#include <stdio.h>
#include <string.h>

#include "core/session.h"
#include "proto/handshake.h"

/* tx_isolation became transaction_isolation (11.1 release notes). */
#define VERSION_WITH_NEW_ISOLATION_NAME 110100

/* Character sets by the ids of their collations (the low byte is all that a login has), from
 * information_schema.COLLATIONS. */
struct charset_range {
    uint8_t first, last;
    const char *name;
};

static const struct charset_range charset_ranges[] = {
    {5, 5, "latin1"},      {8, 8, "latin1"},      {11, 11, "ascii"},   {15, 15, "latin1"},
    {31, 31, "latin1"},    {33, 33, "utf8mb3"},   {45, 46, "utf8mb4"}, {47, 49, "latin1"},
    {63, 63, "binary"},    {65, 65, "ascii"},     {83, 83, "utf8mb3"}, {94, 94, "latin1"},
    {192, 215, "utf8mb3"}, {224, 247, "utf8mb4"},
};

static const char *charset_of(uint8_t collation)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(charset_ranges); i++) {
        if (collation >= charset_ranges[i].first && collation <= charset_ranges[i].last) {
            return charset_ranges[i].name;
        }
    }
    return NULL;
}

/* The server whose variables stand for the service: the better the role, the sooner. */
static bool find_server(const struct sl_service *service, struct sl_server_info *ret)
{
    struct sl_server *best = NULL;
    int best_grade = 0;
    for (unsigned i = 0; i < service->reached_count; i++) {
        uint32_t st = sl_server_status(service->reached[i]);
        int grade = sl_status_is_master(st)  ? 3
                    : sl_status_is_slave(st) ? 2
                    : st & SL_SERVER_RUNNING ? 1
                                             : 0;
        if (grade > best_grade) {
            best = service->reached[i];
            best_grade = grade;
        }
    }
    if (best) {
        sl_server_info_get(best, ret);
    }
    return best != NULL;
}

struct build {
    struct sl_session *session;
    struct sl_buf *out;
    struct sl_server_info info;
    bool has_info;
    int rc;
};

static void append(struct build *b, struct sl_slice name, struct sl_slice value)
{
    struct sl_writer w = sl_writer_buf(b->out);
    sl_write_u8(&w, SL_STATE_SYSTEM_VARIABLE);
    sl_write_lenenc(&w,
                    sl_lenenc_size(name.len) + name.len + sl_lenenc_size(value.len) + value.len);
    sl_write_lestr(&w, name);
    sl_write_lestr(&w, value);
    int rc = sl_writer_finish(&w);
    b->rc = b->rc < 0 ? b->rc : rc;
}

static void append_number(struct build *b, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    append(b, sl_slice_text(name), sl_slice_text(text));
}

static void append_known(struct build *b, const char *name, const char *value)
{
    if (value && value[0]) {
        append(b, sl_slice_text(name), sl_slice_text(value));
    }
}

static void append_isolation(struct build *b)
{
    bool is_new =
        sl_version_number(sl_slice_text(b->info.version)) >= VERSION_WITH_NEW_ISOLATION_NAME;
    append_known(b, is_new ? "transaction_isolation" : "tx_isolation", b->info.tx_isolation);
}

static void append_auto(struct build *b, struct sl_slice name)
{
    const char *charset = charset_of(b->session->collation);
    if (sl_slice_equal_nocase(name, "maxscale")) {
        append_known(b, "maxscale", SL_VERSION);
    } else if (sl_slice_equal_nocase(name, "character_set_client")) {
        append_known(b, "character_set_client", charset);
    } else if (sl_slice_equal_nocase(name, "character_set_connection")) {
        append_known(b, "character_set_connection", charset);
    } else if (sl_slice_equal_nocase(name, "character_set_results")) {
        append_known(b, "character_set_results", charset);
    } else if (!b->has_info) {
        return;
    } else if (sl_slice_equal_nocase(name, "tx_isolation") ||
               sl_slice_equal_nocase(name, "transaction_isolation")) {
        append_isolation(b);
    } else if (sl_slice_equal_nocase(name, "time_zone")) {
        append_known(b, "time_zone", b->info.time_zone);
    } else if (sl_slice_equal_nocase(name, "system_time_zone")) {
        append_known(b, "system_time_zone", b->info.system_time_zone);
    } else if (sl_slice_equal_nocase(name, "max_allowed_packet") &&
               b->info.max_allowed_packet > 0) {
        append_number(b, "max_allowed_packet", (uint64_t)b->info.max_allowed_packet);
    }
}

/* One "name=value" of the list. */
static void append_item(struct build *b, const char *item, size_t len)
{
    const char *equals = memchr(item, '=', len);
    if (!equals) {
        return;
    }
    struct sl_slice name = sl_slice(item, (size_t)(equals - item));
    struct sl_slice value = sl_slice(equals + 1, len - name.len - 1);
    if (sl_slice_equal_nocase(value, "auto")) {
        append_auto(b, name);
    } else {
        append(b, name, value);
    }
}

int sl_session_metadata_build(struct sl_session *s, struct sl_buf *out_state_block)
{
    struct build b = {.session = s, .out = out_state_block};
    b.has_info = find_server(s->service, &b.info);
    const char *item = s->listener->settings.connection_metadata;
    while (item && *item) {
        size_t len = strcspn(item, ",");
        append_item(&b, item, len);
        item += len + (item[len] == ',');
    }
    append_number(&b, "threads_connected", sl_service_connections(s->service));
    append_number(&b, "connection_id", s->id);
    return b.rc;
}
