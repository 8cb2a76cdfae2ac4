/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reply tracker: every shape of the protocol, whole, byte by byte and in random pieces;
 * results must not depend on the cuts. Byte strings are captures of MariaDB 10.11 where they can
 * be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "proto/constants.h"
#include "proto/handshake.h"
#include "proto/ok.h"
#include "proto/reply.h"

#include "bytes_of.h"

#define DEF "03'def'0000000131000c3f00010000000381000000 00"
#define OK0 "00 00 00 02 00 00 00"
#define EOF0 "fe 00 00 02 00"
#define FE_OK "fe 00 00 02 00 00 00"

struct seen {
    unsigned states;
    unsigned errors;
    char state[512];
    size_t state_len;
    char message[128];
};

static void on_state(void *arg, struct sl_slice block)
{
    struct seen *s = arg;
    s->states++;
    s->state_len = block.len;
    if (block.len > 0 && block.len < sizeof(s->state)) {
        memcpy(s->state, block.data, block.len);
    }
}

static void on_error(void *arg, const struct sl_reply *r, struct sl_slice message)
{
    struct seen *s = arg;
    assert_true(r->error_code != 0);
    s->errors++;
    snprintf(s->message, sizeof(s->message), "%.*s", (int)message.len, (const char *)message.data);
}

enum mode {
    EOFS = 0,
    DEPRECATE = 1,
    TRACK = 2,
    CACHE = 4
};

static void start(struct sl_reply *r, struct seen *s, uint8_t command, unsigned mode)
{
    memset(s, 0, sizeof(*s));
    memset(r, 0, sizeof(*r));
    r->deprecate_eof = (mode & DEPRECATE) != 0;
    r->session_track = (mode & TRACK) != 0;
    r->cache_metadata = (mode & CACHE) != 0;
    r->on_state = on_state;
    r->on_error = on_error;
    r->arg = s;
    sl_reply_start(r, command);
}

/* Presents the bytes in pieces of up to `max` bytes (0: all at once), as a connection would: what
 * is not consumed is presented again with more behind it. Goes on over INFILE. Returns consumed
 * bytes. */
static size_t run(struct sl_reply *r, const uint8_t *data, size_t len, size_t max,
                  struct sl_rng *rng)
{
    size_t at = 0;
    size_t seen = 0;
    while (r->state != SL_REPLY_DONE && r->state != SL_REPLY_BROKEN && seen < len) {
        uint8_t *copy;
        size_t more = max == 0 ? len : 1 + sl_rng_next(rng) % max;
        size_t used;
        seen = seen + more > len ? len : seen + more;
        /* An exact copy lets the address sanitizer see reads past the end. */
        copy = malloc(seen - at + 1);
        memcpy(copy, data + at, seen - at);
        copy = realloc(copy, seen - at > 0 ? seen - at : 1);
        used = sl_reply_feed(r, copy, seen - at);
        assert_true(used <= seen - at);
        at += used;
        if (r->state == SL_REPLY_INFILE) {
            assert_int_equal(sl_reply_feed(r, copy, 0), 0);
            sl_reply_infile_sent(r);
            used = sl_reply_feed(r, data + at, seen - at);
            at += used;
        }
        if (r->state != SL_REPLY_DONE && r->state != SL_REPLY_BROKEN) {
            assert_true(r->need > seen - at);
        }
        free(copy);
    }
    return at;
}

static void assert_same(const struct sl_reply *a, const struct sl_reply *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->next_seq, b->next_seq);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->warnings, b->warnings);
    assert_int_equal(a->error_code, b->error_code);
    assert_string_equal(a->sqlstate, b->sqlstate);
    assert_int_equal(a->stmt_id, b->stmt_id);
    assert_int_equal(a->params, b->params);
    assert_int_equal(a->columns, b->columns);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->units, b->units);
    assert_int_equal(a->skip, b->skip);
    assert_int_equal(a->affected_rows, b->affected_rows);
    assert_int_equal(a->last_insert_id, b->last_insert_id);
    assert_int_equal(a->definitions_left, b->definitions_left);
    assert_int_equal(a->in_fragment, b->in_fragment);
    assert_ptr_equal(a->broken_why, b->broken_why);
}

/* Runs a reply in many ways of cutting; 8 bytes of a next reply follow it and must stay
 * untouched. */
static size_t check_bytes(struct sl_reply *r, struct seen *s, uint8_t command, unsigned mode,
                          const struct sl_buf *b)
{
    struct sl_reply other;
    struct seen other_seen;
    struct sl_rng rng;
    struct sl_slice all = sl_buf_slice(b);
    size_t used;
    sl_rng_seed(&rng, 42);
    start(r, s, command, mode);
    used = run(r, all.data, all.len, 0, &rng);
    for (unsigned round = 0; round < 60; round++) {
        start(&other, &other_seen, command, mode);
        assert_int_equal(run(&other, all.data, all.len, round < 2 ? 1 : round, &rng), used);
        assert_same(r, &other);
        assert_int_equal(s->states, other_seen.states);
        assert_int_equal(s->errors, other_seen.errors);
    }
    return used;
}

static struct seen seen;

static void check(struct sl_reply *r, uint8_t command, unsigned mode, const char *packets)
{
    struct sl_buf b = SL_BUF_INIT;
    size_t len;
    packets_append(&b, 1, packets);
    len = sl_buf_len(&b);
    hex_append(&b, "07000001 00000000");
    assert_int_equal(check_bytes(r, &seen, command, mode, &b), len);
    assert_int_equal(r->state, SL_REPLY_DONE);
    assert_int_equal(r->bytes, len);
    sl_buf_free(&b);
}

static void check_broken(uint8_t command, unsigned mode, const char *packets)
{
    struct sl_reply r;
    struct sl_buf b = SL_BUF_INIT;
    packets_append(&b, 1, packets);
    check_bytes(&r, &seen, command, mode, &b);
    assert_int_equal(r.state, SL_REPLY_BROKEN);
    assert_non_null(r.broken_why);
    assert_int_equal(sl_reply_feed(&r, b.data, 10), 0);
    sl_buf_free(&b);
}

static void test_no_reply(void **state)
{
    struct sl_reply r;
    struct seen s;
    const uint8_t commands[] = {SL_COM_QUIT, SL_COM_STMT_CLOSE, SL_COM_STMT_SEND_LONG_DATA};
    for (size_t i = 0; i < sizeof(commands); i++) {
        start(&r, &s, commands[i], EOFS);
        assert_true(sl_reply_is_done(&r));
        assert_int_equal(sl_reply_feed(&r, (const uint8_t *)"abcdefgh", 8), 0);
        assert_true(sl_reply_is_untouched(&r));
    }
}

static void test_ok_and_err(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_QUERY, EOFS, "00 03 fc e803 02 00 01 00 05'hello'");
    assert_int_equal(r.kind, SL_REPLY_KIND_OK);
    assert_int_equal(r.affected_rows, 3);
    assert_int_equal(r.last_insert_id, 1000);
    assert_int_equal(r.warnings, 1);
    assert_int_equal(r.next_seq, 2);
    check(&r, SL_COM_PING, EOFS, OK0);
    check(&r, SL_COM_QUERY, EOFS, "ff 28 04 '#42000You have an error'");
    assert_int_equal(r.kind, SL_REPLY_KIND_ERR);
    assert_int_equal(r.error_code, 1064);
    assert_string_equal(r.sqlstate, "42000");
    assert_string_equal(seen.message, "You have an error");
    assert_int_equal(seen.errors, 1);
    check(&r, SL_COM_QUERY, EOFS, "ff 10 04 'Too many connections'");
    assert_string_equal(r.sqlstate, "");
    check(&r, SL_COM_SLEEP, EOFS, "ff 17 04 '#08S01Unknown command'");
}

static void test_text_resultset(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_QUERY, EOFS, "01|" DEF "|" EOF0 "|01 31|" EOF0);
    assert_int_equal(r.kind, SL_REPLY_KIND_RESULTSET);
    assert_int_equal(r.rows, 1);
    assert_int_equal(r.next_seq, 6);
    check(&r, SL_COM_QUERY, DEPRECATE, "01|" DEF "|01 31|" FE_OK);
    assert_int_equal(r.rows, 1);
    /* no rows; rows that begin with an empty string (00), NULL (fb) */
    check(&r, SL_COM_QUERY, EOFS, "02|" DEF "|" DEF "|" EOF0 "|" EOF0);
    assert_int_equal(r.rows, 0);
    check(&r, SL_COM_QUERY, EOFS, "01|" DEF "|" EOF0 "|00|fb|00|" EOF0);
    assert_int_equal(r.rows, 3);
    check(&r, SL_COM_QUERY, DEPRECATE, "01|" DEF "|00|fb|00|" FE_OK);
    assert_int_equal(r.rows, 3);
    check(&r, SL_COM_PROCESS_INFO, EOFS, "01|" DEF "|" EOF0 "|01 31|" EOF0);
    /* a long row is a row even if it starts like an EOF in EOF mode */
    check(&r, SL_COM_QUERY, EOFS, "01|" DEF "|" EOF0 "|fe 00 00 00 00 00 00 00 00|" EOF0);
    assert_int_equal(r.rows, 1);
}

static void test_err_anywhere(void **state)
{
    struct sl_reply r;
    const char *err = "ff da 04 '#21000Subquery returns more than 1 row'";
    char text[512];
    const char *before[] = {"",
                            "02|" DEF "|",
                            "01|" DEF "|",
                            "01|" DEF "|" EOF0 "|",
                            "01|" DEF "|" EOF0 "|0131|0132|",
                            "00 00 00 0a 00 00 00|"};
    for (size_t i = 0; i < 6; i++) {
        snprintf(text, sizeof(text), "%s%s", before[i], err);
        check(&r, SL_COM_QUERY, EOFS, text);
        assert_int_equal(r.kind, SL_REPLY_KIND_ERR);
        assert_int_equal(r.error_code, 1242);
    }
    check(&r, SL_COM_QUERY, DEPRECATE, "02|" DEF "|" DEF "|ff da 04 '#21000no EOF before'");
    assert_int_equal(r.error_code, 1242);
    assert_int_equal(r.units, 1);
}

static void test_multi_results(void **state)
{
    struct sl_reply r;
    /* CALL with two SELECTs: the first EOF carries 0008 as well */
    check(&r, SL_COM_QUERY, EOFS,
          "01|" DEF "|fe00000a00|0131|fe00000a00|01|" DEF "|fe00000a00|0132|fe00000a00|" OK0);
    assert_int_equal(r.units, 3);
    assert_int_equal(r.kind, SL_REPLY_KIND_OK);
    assert_int_equal(r.rows, 2);
    check(&r, SL_COM_QUERY, DEPRECATE,
          "01|" DEF "|0131|fe00000a000000|01|" DEF "|0132|fe00000a000000|" OK0);
    assert_int_equal(r.units, 3);
    /* EXECUTE of a CALL with an OUT parameter: status 0x1008, then the final OK */
    check(&r, SL_COM_STMT_EXECUTE, EOFS, "01|" DEF "|fe00000a10|00 00 01000000|fe00000a10|" OK0);
    assert_int_equal(r.units, 2);
    /* error in the second of three statements */
    check(&r, SL_COM_QUERY, EOFS, "00 01 00 0a 00 00 00|ff 7a 04 '#42S02No such table'");
    assert_int_equal(r.units, 2);
    assert_int_equal(r.kind, SL_REPLY_KIND_ERR);
}

static void test_infile(void **state)
{
    struct sl_reply r;
    struct seen s;
    struct sl_buf b = SL_BUF_INIT;
    size_t used;
    check(&r, SL_COM_QUERY, EOFS, "fb '/tmp/x'|00 02 00 02 00 00 00");
    assert_int_equal(r.affected_rows, 2);
    check(&r, SL_COM_QUERY, EOFS, "ff 46 10 '#HY000disabled'");
    /* the file takes numbers 2 to 7; a second statement follows */
    packets_append(&b, 1, "fb'f'");
    packets_append(&b, 8, "00 00 00 0a 00 00 00|01|" DEF "|" EOF0 "|0135|" EOF0);
    start(&r, &s, SL_COM_QUERY, EOFS);
    used = sl_reply_feed(&r, b.data, b.end);
    assert_int_equal(used, 6);
    assert_int_equal(r.state, SL_REPLY_INFILE);
    sl_reply_infile_sent(&r);
    assert_int_equal(sl_reply_feed(&r, b.data + used, b.end - used), b.end - used);
    assert_true(sl_reply_is_done(&r));
    assert_int_equal(r.units, 2);
    assert_int_equal(r.next_seq, 14);
    sl_buf_free(&b);
    check_broken(SL_COM_PING, EOFS, "fb '/etc/passwd'");
    check_broken(SL_COM_STMT_PREPARE, EOFS, "fb '/etc/passwd'");
}

static void test_prepare(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_STMT_PREPARE, EOFS, "00 02000000 0000 0000 00 0000"); /* do 1 */
    assert_int_equal(r.stmt_id, 2);
    assert_int_equal(r.kind, SL_REPLY_KIND_OTHER);
    check(&r, SL_COM_STMT_PREPARE, EOFS,
          "00 08000000 0100 0200 00 0100|" DEF "|" DEF "|" EOF0 "|" DEF "|" EOF0);
    assert_int_equal(r.stmt_id, 8);
    assert_int_equal(r.params, 2);
    assert_int_equal(r.columns, 1);
    assert_int_equal(r.warnings, 0);
    assert_int_equal(r.units, 1);
    check(&r, SL_COM_STMT_PREPARE, DEPRECATE, "00 08000000 0100 0200 00 0000|" DEF "|" DEF "|" DEF);
    check(&r, SL_COM_STMT_PREPARE, DEPRECATE, "00 08000000 0000 0200 00 0000|" DEF "|" DEF);
    check(&r, SL_COM_STMT_PREPARE, DEPRECATE, "00 08000000 0200 0000 00 0000|" DEF "|" DEF);
    check(&r, SL_COM_STMT_PREPARE, EOFS, "00 08000000 0000 0100 00 0000|" DEF "|" EOF0);
    check(&r, SL_COM_STMT_PREPARE, EOFS, "00 08000000 0100 0000 00 0000|" DEF "|" EOF0);
    check(&r, SL_COM_STMT_PREPARE, EOFS, "ff 28 04 '#42000syntax'");
    assert_int_equal(r.kind, SL_REPLY_KIND_ERR);
    check_broken(SL_COM_STMT_PREPARE, EOFS, "00 08000000 0100 0000 00 0000|" DEF "|" DEF);
    check_broken(SL_COM_STMT_PREPARE, EOFS, OK0);
    check_broken(SL_COM_STMT_PREPARE, EOFS, "00 08000000 0100 0000 00 0000|05 01 02 03 04");
}

static void test_prepare_is_not_done_in_its_last_definition(void **state)
{
    struct sl_reply r;
    struct seen s;
    struct sl_buf b = SL_BUF_INIT;
    packets_append(&b, 1, "00 08000000 0100 0000 00 0000|" DEF);
    start(&r, &s, SL_COM_STMT_PREPARE, DEPRECATE);
    assert_int_equal(sl_reply_feed(&r, b.data, b.end - 1), b.end - 1);
    assert_false(sl_reply_is_done(&r));
    assert_int_equal(r.need, 1);
    assert_int_equal(sl_reply_feed(&r, b.data + b.end - 1, 1), 1);
    assert_true(sl_reply_is_done(&r));
    sl_buf_free(&b);
}

static void test_cursor_and_fetch(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_STMT_EXECUTE, EOFS, "01|" DEF "|fe00004200");
    assert_int_equal(r.status, 0x42);
    check(&r, SL_COM_STMT_EXECUTE, DEPRECATE, "01|" DEF "|fe 00 00 42 00 00 00");
    assert_int_equal(r.status, 0x42);
    check(&r, SL_COM_STMT_EXECUTE, EOFS, OK0);
    check(&r, SL_COM_STMT_FETCH, EOFS, "00 00 01000000|00 00 02000000|fe00004200");
    assert_int_equal(r.rows, 2);
    check(&r, SL_COM_STMT_FETCH, EOFS, "fe00008200");
    check(&r, SL_COM_STMT_FETCH, DEPRECATE, "00 00 01000000|fe 00 00 82 00 00 00");
    check(&r, SL_COM_STMT_FETCH, EOFS, "ff 8d 05 '#HY000no cursor'");
    assert_int_equal(r.error_code, 1421);
}

static void test_special_shapes(void **state)
{
    struct sl_reply r;
    const uint8_t eof_shaped[] = {SL_COM_SET_OPTION, SL_COM_DEBUG, SL_COM_SHUTDOWN};
    for (size_t i = 0; i < sizeof(eof_shaped); i++) {
        check(&r, eof_shaped[i], EOFS, EOF0);
        assert_int_equal(r.kind, SL_REPLY_KIND_OTHER);
        assert_int_equal(r.status, 2);
        check(&r, eof_shaped[i], DEPRECATE, FE_OK);
        assert_int_equal(r.status, 2);
        check(&r, eof_shaped[i], DEPRECATE, EOF0);
        check(&r, eof_shaped[i], EOFS, "ff 17 04 '#08S01Unknown command'");
    }
    check(&r, SL_COM_STATISTICS, EOFS, "'Uptime: 12  Threads: 3'");
    check(&r, SL_COM_STATISTICS, EOFS, "ff 17 04 '#08S01Unknown command'");
    check(&r, SL_COM_FIELD_LIST, EOFS, DEF "fb|" DEF " 0131|" EOF0);
    check(&r, SL_COM_FIELD_LIST, DEPRECATE, DEF "fb|" FE_OK);
    check(&r, SL_COM_FIELD_LIST, EOFS, EOF0);
    check(&r, SL_COM_FIELD_LIST, EOFS, "ff 7a 04 '#42S02no table'");
    check(&r, SL_COM_STMT_BULK_EXECUTE, EOFS, "00 03 00 02 00 00 00");
    check(&r, SL_COM_STMT_BULK_EXECUTE, EOFS, "01|" DEF "|" EOF0 "|00 00 01|" EOF0);
    check_broken(SL_COM_QUERY, EOFS, EOF0);
    check_broken(SL_COM_PING, EOFS, "01");
}

static void test_binlog_stream(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_BINLOG_DUMP, EOFS, "00 ef 01 02|00 05 06 07|00 aa|" EOF0);
    assert_int_equal(r.rows, 3);
    check(&r, SL_COM_BINLOG_DUMP, EOFS, "00 01|ff d4 04 '#HY000binlog truncated'");
    assert_int_equal(r.error_code, 1236);
    check_broken(SL_COM_BINLOG_DUMP, EOFS, "00 01|01 02");
}

static void test_progress(void **state)
{
    struct sl_reply r;
    const char *two = "ff ff ff 01 01 02 9a0200 11'copy to tmp table'|"
                      "ff ff ff 01 02 02 9a0200 05'renam'|";
    char text[256];
    snprintf(text, sizeof(text), "%s%s", two, OK0);
    check(&r, SL_COM_QUERY, EOFS, text);
    assert_int_equal(r.kind, SL_REPLY_KIND_OK);
    assert_int_equal(r.next_seq, 4);
    assert_int_equal(r.error_code, 0);
    assert_int_equal(seen.errors, 0);
    snprintf(text, sizeof(text), "01|" DEF "|%s01 31|" FE_OK, two);
    check(&r, SL_COM_QUERY, DEPRECATE, text);
    assert_int_equal(r.rows, 1);
}

static void test_tracking(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_QUERY, TRACK, "00 00 00 00 40 00 00 00 11 00 0f 0a'autocommit' 03'OFF'");
    assert_int_equal(seen.states, 1);
    assert_int_equal(seen.state_len, 0x11);
    check(&r, SL_COM_QUERY, TRACK, "00 00 00 0a 40 00 00 00 00|" OK0); /* empty block */
    assert_int_equal(seen.states, 1);
    assert_int_equal(seen.state_len, 0);
    check(&r, SL_COM_QUERY, TRACK | DEPRECATE,
          "01|" DEF "|0131|fe 00 00 02 40 00 00 00 05 01 03 02'd1'");
    assert_int_equal(seen.states, 1);
    /* EOF mode: the flag without any data */
    check(&r, SL_COM_QUERY, TRACK, "01|" DEF "|" EOF0 "|0131|fe00000240");
    assert_int_equal(seen.states, 0);
    assert_int_equal(r.status, 0x4002);
    check(&r, SL_COM_QUERY, EOFS, "00 00 00 02 40 00 00");
    assert_int_equal(seen.states, 0);
    check_broken(SL_COM_QUERY, TRACK, "00 00 00 02 40 00 00 00 20 01 03");
}

/* A mode of its own: feed() returns behind each packet with news of the state. */
static void test_stop_at_state(void **state)
{
    struct sl_buf in = SL_BUF_INIT;
    struct sl_reply r;
    struct seen s;
    packets_append(&in, 1, "00 01 20 0a 40 00 00 00 13 00 11 09'last_gtid' 06'7-1-55'|" OK0);
    const uint8_t *data = sl_buf_slice(&in).data;
    size_t len = sl_buf_len(&in), first = len - 11;
    start(&r, &s, SL_COM_QUERY, TRACK);
    assert_int_equal(sl_reply_feed(&r, data, len), len);
    start(&r, &s, SL_COM_QUERY, TRACK);
    r.stop_at_state = true;
    sl_reply_start(&r, SL_COM_QUERY);
    assert_int_equal(sl_reply_feed(&r, data, len), first);
    assert_int_equal(r.state_len, first);
    assert_int_equal(s.states, 1);
    assert_false(sl_reply_is_done(&r));
    assert_int_equal(sl_reply_feed(&r, data + first, len - first), 11);
    assert_int_equal(r.state_len, 0);
    assert_true(sl_reply_is_done(&r));
    sl_buf_free(&in);
}

/* An EOF that says so has no room for it. */
static void test_stop_at_eof(void **state)
{
    struct sl_buf in = SL_BUF_INIT;
    struct sl_reply r;
    struct seen s;
    packets_append(&in, 1, "01|" DEF "|" EOF0 "|0131|fe 00 00 02 40");
    start(&r, &s, SL_COM_QUERY, TRACK);
    r.stop_at_state = true;
    assert_int_equal(sl_reply_feed(&r, sl_buf_slice(&in).data, sl_buf_len(&in)), sl_buf_len(&in));
    assert_int_equal(r.state_len, 9);
    assert_int_equal(s.states, 0);
    assert_true(sl_reply_is_done(&r));
    sl_buf_free(&in);
}

static void test_long_state_block(void **state)
{
    struct sl_reply r;
    char text[1400] = "00 00 00 02 40 00 00 00 fc 0401 00 fc 0001 01'v' fc fb00";
    for (int i = 0; i < 0xfb; i++) {
        strcat(text, "41 ");
    }
    /* 1 + 3 + 2 + 3 + 251 = 260 = 0x104; the record holds 256 = 0x100 */
    check(&r, SL_COM_QUERY, TRACK, text);
    assert_int_equal(seen.states, 1);
    assert_int_equal(seen.state_len, 0x104);
}

static void test_cached_metadata(void **state)
{
    struct sl_reply r;
    check(&r, SL_COM_STMT_EXECUTE, CACHE, "02 00|00 00 01 02|" EOF0);
    assert_int_equal(r.rows, 1);
    check(&r, SL_COM_QUERY, CACHE | DEPRECATE, "01 01|" DEF "|0131|" FE_OK);
    check_broken(SL_COM_QUERY, EOFS, "01 01");
    check_broken(SL_COM_QUERY, CACHE, "01");
    check_broken(SL_COM_QUERY, CACHE, "01 02");
}

static void test_broken(void **state)
{
    struct sl_reply r;
    struct seen s;
    uint8_t wrong[] = {1, 0, 0, 2, 1};
    uint8_t huge[] = {0xff, 0xff, 0xff, 1, 0};
    check_broken(SL_COM_QUERY, EOFS, "fd 01 00 00");
    check_broken(SL_COM_QUERY, EOFS, "00 01");
    check_broken(SL_COM_QUERY, EOFS, "ff 01");
    check_broken(SL_COM_QUERY, EOFS, "01|" EOF0);
    check_broken(SL_COM_QUERY, EOFS, "01|" DEF "|0131");
    check_broken(SL_COM_QUERY, EOFS, "01|" DEF "|" EOF0 "|fe 00");
    check_broken(SL_COM_QUERY, DEPRECATE, "01|" DEF "|fe 00 00 02");
    check_broken(SL_COM_CHANGE_USER, EOFS, "fe 'mysql_native_password' 00");
    start(&r, &s, SL_COM_QUERY, EOFS);
    assert_int_equal(sl_reply_feed(&r, wrong, 5), 0);
    assert_int_equal(r.state, SL_REPLY_BROKEN);
    start(&r, &s, SL_COM_QUERY, EOFS);
    assert_int_equal(sl_reply_feed(&r, huge, 5), 0);
    assert_int_equal(r.state, SL_REPLY_BROKEN);
    start(&r, &s, SL_COM_QUERY, EOFS);
    assert_int_equal(sl_reply_feed(&r, (const uint8_t *)"\0\0\0\1", 4), 0);
    assert_int_equal(r.state, SL_REPLY_BROKEN);
}

/* "Got packets out of order" comes with number 0. */
static void test_err_with_number_zero(void **state)
{
    struct sl_reply r;
    struct seen s;
    struct sl_buf b = SL_BUF_INIT;
    packets_append(&b, 0, "ff 84 04 '#08S01Got packets out of order'");
    start(&r, &s, SL_COM_QUERY, EOFS);
    assert_int_equal(sl_reply_feed(&r, b.data, b.end), b.end);
    assert_int_equal(r.error_code, 1156);
    sl_buf_free(&b);
}

static void test_sequence_wraps(void **state)
{
    struct sl_reply r;
    struct sl_buf b = SL_BUF_INIT;
    uint8_t seq = 1;
    packet_append(&b, &seq, "01");
    packet_append(&b, &seq, DEF);
    packet_append(&b, &seq, EOF0);
    for (int i = 0; i < 1000; i++) {
        packet_append(&b, &seq, "01 41");
    }
    packet_append(&b, &seq, EOF0);
    check_bytes(&r, &seen, SL_COM_QUERY, EOFS, &b);
    assert_true(sl_reply_is_done(&r));
    assert_int_equal(r.rows, 1000);
    assert_int_equal(r.next_seq, seq);
    sl_buf_free(&b);
}

/* The query itself took several packets: the reply goes on from there. */
static void test_start_behind_a_long_command(void **state)
{
    struct sl_reply r;
    struct seen s;
    struct sl_buf b = SL_BUF_INIT;
    packets_append(&b, 2, OK0);
    start(&r, &s, SL_COM_QUERY, EOFS);
    r.next_seq = (uint8_t)sl_packet_fragments(SL_PACKET_MAX);
    assert_int_equal(sl_reply_feed(&r, b.data, b.end), b.end);
    assert_true(sl_reply_is_done(&r));
    sl_buf_free(&b);
}

/* Feeds `len` bytes of payload without having them: the same block again and again. */
static void feed_payload(struct sl_reply *r, uint8_t first, size_t len, uint8_t seq)
{
    static uint8_t block[65536];
    uint8_t head[5];
    sl_packet_put_header(head, (uint32_t)len, seq);
    head[4] = first;
    assert_int_equal(sl_reply_feed(r, head, 5), 5);
    len--;
    while (len > 0) {
        size_t piece = len < sizeof(block) ? len : sizeof(block);
        assert_int_equal(sl_reply_feed(r, block, piece), piece);
        len -= piece;
    }
}

static void test_huge_rows(void **state)
{
    const size_t tails[] = {0, 1, 4, 5};
    for (unsigned mode = 0; mode < 2; mode++) {
        for (size_t i = 0; i < 4; i++) {
            struct sl_reply r;
            struct seen s;
            struct sl_buf b = SL_BUF_INIT;
            uint8_t tail[9] = {0xfe, 0, 0, 2, 0, 0, 0, 0, 0};
            uint8_t header[4];
            size_t head;
            packets_append(&b, 1, mode ? "01|" DEF : "01|" DEF "|" EOF0);
            start(&r, &s, SL_COM_QUERY, mode);
            assert_int_equal(sl_reply_feed(&r, b.data, b.end), b.end);
            head = r.next_seq;
            /* starts with fe: a column of 16 MiB or more */
            feed_payload(&r, 0xfe, SL_PACKET_MAX, (uint8_t)head);
            assert_true(r.in_fragment);
            /* the last piece looks like an EOF, but it is not one; it may be empty */
            sl_packet_put_header(header, (uint32_t)tails[i], (uint8_t)(head + 1));
            assert_int_equal(sl_reply_feed(&r, header, 4), 4);
            assert_int_equal(sl_reply_feed(&r, tail, tails[i]), tails[i]);
            assert_false(r.in_fragment);
            assert_int_equal(r.state, SL_REPLY_ROWS);
            assert_int_equal(r.rows, 1);
            b.end = 0;
            packets_append(&b, (uint8_t)(head + 2), mode ? FE_OK : EOF0);
            assert_int_equal(sl_reply_feed(&r, b.data, b.end), b.end);
            assert_true(sl_reply_is_done(&r));
            sl_buf_free(&b);
        }
    }
}

static void test_row_just_below_the_limit(void **state)
{
    struct sl_reply r;
    struct seen s;
    struct sl_buf b = SL_BUF_INIT;
    packets_append(&b, 1, "01|" DEF "|" EOF0);
    start(&r, &s, SL_COM_QUERY, EOFS);
    sl_reply_feed(&r, b.data, b.end);
    feed_payload(&r, 0xfd, SL_PACKET_MAX - 1, 4);
    assert_false(r.in_fragment);
    b.end = 0;
    packets_append(&b, 5, EOF0);
    assert_int_equal(sl_reply_feed(&r, b.data, b.end), b.end);
    assert_true(sl_reply_is_done(&r));
    sl_buf_free(&b);
}

/* PREPARE, EXECUTE(-1), CLOSE(-1), PING in one write: replies one behind the other. */
static void test_pipeline(void **state)
{
    struct sl_reply r;
    struct seen s;
    struct sl_buf b = SL_BUF_INIT;
    const uint8_t commands[] = {SL_COM_STMT_PREPARE, SL_COM_STMT_EXECUTE, SL_COM_STMT_CLOSE,
                                SL_COM_PING};
    size_t at = 0;
    packets_append(&b, 1, "00 01000000 0100 0000 00 0000|" DEF "|" EOF0);
    packets_append(&b, 1, "01|" DEF "|" EOF0 "|00 00 01|" EOF0);
    packets_append(&b, 1, OK0);
    for (size_t i = 0; i < 4; i++) {
        start(&r, &s, commands[i], EOFS);
        at += sl_reply_feed(&r, b.data + at, b.end - at);
        assert_true(sl_reply_is_done(&r));
    }
    assert_int_equal(at, b.end);
    sl_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_reply),
        cmocka_unit_test(test_ok_and_err),
        cmocka_unit_test(test_text_resultset),
        cmocka_unit_test(test_err_anywhere),
        cmocka_unit_test(test_multi_results),
        cmocka_unit_test(test_infile),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_prepare_is_not_done_in_its_last_definition),
        cmocka_unit_test(test_cursor_and_fetch),
        cmocka_unit_test(test_special_shapes),
        cmocka_unit_test(test_binlog_stream),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_tracking),
        cmocka_unit_test(test_stop_at_state),
        cmocka_unit_test(test_stop_at_eof),
        cmocka_unit_test(test_long_state_block),
        cmocka_unit_test(test_cached_metadata),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_err_with_number_zero),
        cmocka_unit_test(test_sequence_wraps),
        cmocka_unit_test(test_start_behind_a_long_command),
        cmocka_unit_test(test_huge_rows),
        cmocka_unit_test(test_row_just_below_the_limit),
        cmocka_unit_test(test_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
