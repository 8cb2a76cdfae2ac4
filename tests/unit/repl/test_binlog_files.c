/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a real server, event by event: each has a right checksum and ends where it says, types
 * are what SHOW BINLOG EVENTS calls them, groups begin and end where mariadb-binlog sees it.
 * tests/unit/repl/data/make tells how files and expectations came about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "repl/event.h"
#include "repl/group.h"

/* What a walk over a file sees, as text like that of the expectations. */
struct walk {
    const uint8_t *data;
    size_t size;
    bool has_crc, is_opaque; /* opaque: encrypted */
    struct sl_group group;
    uint64_t group_begin;
    struct sl_buf events, groups;
    struct sl_gtid_list list;
};

static char *read_file(const char *name, const char *ending, size_t *ret_len)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.%s", DATA_DIR, name, ending);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    static const size_t max = 1 << 20;
    char *data = malloc(max);
    *ret_len = fread(data, 1, max - 1, f);
    data[*ret_len] = '\0';
    fclose(f);
    return data;
}

static void note_group(struct walk *w, uint64_t end)
{
    const struct sl_gtid_event *g = &w->group.gtid;
    sl_buf_printf(&w->groups, "%" PRIu64 " %" PRIu64 " %" PRIu32 "-%" PRIu32 "-%" PRIu64 "%s%s\n",
                  w->group_begin, end, g->gtid.domain, g->gtid.server_id, g->gtid.seq,
                  g->flags2 & SL_GTID_DDL ? " ddl" : "",
                  g->flags2 & SL_GTID_TRANSACTIONAL ? " trans" : "");
}

static void take_plain(struct walk *w, const uint8_t *event, uint32_t len, uint64_t offset)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_fde fde;
    enum sl_group_step step;
    uint8_t type = sl_event_type(event);
    if (type == SL_EVENT_FORMAT_DESCRIPTION) {
        assert_int_equal(sl_fde_parse(event, len, &fde, &err), SL_OK);
        assert_non_null(strstr(fde.server_version, "MariaDB"));
        w->has_crc = fde.has_crc;
    }
    if (w->has_crc || type == SL_EVENT_FORMAT_DESCRIPTION) {
        assert_true(sl_event_crc_is_right(event, len));
    }
    if (type == SL_EVENT_GTID_LIST) {
        assert_int_equal(sl_gtid_list_event_parse(event, len, w->has_crc, &w->list), SL_OK);
    }
    assert_int_equal(sl_group_feed(&w->group, event, len, w->has_crc, &step), SL_OK);
    assert_int_not_equal(step, SL_GROUP_BROKEN);
    if (step == SL_GROUP_BEGIN) {
        w->group_begin = offset;
    } else if (step == SL_GROUP_END) {
        note_group(w, offset + len);
    }
    sl_buf_printf(&w->events, "%" PRIu64 " %s\n", offset + len, sl_event_type_text(type));
}

static void walk_file(struct walk *w)
{
    struct sl_event_header h;
    assert_true(w->size > SL_BINLOG_MAGIC_LEN);
    assert_memory_equal(w->data,
                        "\xfe"
                        "bin",
                        SL_BINLOG_MAGIC_LEN);
    for (size_t at = SL_BINLOG_MAGIC_LEN; at < w->size; at += h.length) {
        const uint8_t *event = w->data + at;
        assert_true(w->size - at >= SL_EVENT_HEADER);
        assert_int_equal(sl_event_header_parse(event, &h), SL_OK);
        assert_true(h.length <= w->size - at);
        if (w->is_opaque) {
            sl_buf_printf(&w->events, "%zu\n", at + h.length);
            continue;
        }
        assert_int_equal(h.log_pos, at + h.length);
        take_plain(w, event, h.length, at);
        w->is_opaque = h.type == SL_EVENT_START_ENCRYPTION && !(h.flags & SL_EVENT_FLAG_IGNORABLE);
    }
    assert_false(w->group.is_open);
}

static void free_walk(struct walk *w)
{
    sl_buf_free(&w->events);
    sl_buf_free(&w->groups);
    sl_gtid_list_free(&w->list);
    free((void *)(uintptr_t)w->data);
}

static struct walk walk_named(const char *name)
{
    struct walk w = {.events = SL_BUF_INIT};
    w.data = (const uint8_t *)read_file(name, "binlog", &w.size);
    walk_file(&w);
    sl_buf_append(&w.events, "", 1);
    sl_buf_append(&w.groups, "", 1);
    return w;
}

/* Line by line: `got` is the expected line, or its beginning up to a blank. */
static void expect_lines(const char *got, const char *name, const char *ending)
{
    size_t len;
    char *all = read_file(name, ending, &len), *left = all;
    unsigned line = 0;
    while (*got && *left) {
        const char *got_end = strchr(got, '\n');
        char *end = strchr(left, '\n');
        size_t n = (size_t)(got_end - got);
        line++;
        if (strncmp(got, left, n) != 0 || (left[n] != '\n' && left[n] != ' ')) {
            fail_msg("%s.%s line %u: expected \"%.*s\", got \"%.*s\"", name, ending, line,
                     (int)(end - left), left, (int)n, got);
        }
        got = got_end + 1;
        left = end + 1;
    }
    assert_string_equal(got, left); /* both at their end */
    free(all);
}

static void test_files(void **state)
{
    static const char *const names[] = {"rows",      "compressed", "statements",
                                        "unchecked", "lists",      "remote"};
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        struct walk w = walk_named(names[i]);
        expect_lines((const char *)w.events.data, names[i], "events");
        expect_lines((const char *)w.groups.data, names[i], "groups");
        assert_int_equal(w.has_crc, strcmp(names[i], "unchecked") != 0);
        free_walk(&w);
    }
}

/* Lengths are readable without the key. */
static void test_encrypted(void **state)
{
    struct walk w = walk_named("encrypted"), plain = walk_named("remote");
    assert_true(w.is_opaque);
    assert_false(plain.is_opaque);
    assert_int_equal(w.size, plain.size);
    const char *a = (const char *)w.events.data, *b = (const char *)plain.events.data;
    while (*a && *b) {
        assert_int_equal(strtoull(a, NULL, 10), strtoull(b, NULL, 10));
        a = strchr(a, '\n') + 1;
        b = strchr(b, '\n') + 1;
    }
    assert_string_equal(a, b);
    free_walk(&w);
    free_walk(&plain);
}

static void expect_same(const struct sl_gtid_list *a, const struct sl_gtid_list *b)
{
    struct sl_buf left = SL_BUF_INIT, right = SL_BUF_INIT;
    assert_int_equal(sl_gtid_list_text(a, &left), SL_OK);
    assert_int_equal(sl_gtid_list_text(b, &right), SL_OK);
    assert_int_equal(sl_buf_len(&left), sl_buf_len(&right));
    assert_memory_equal(left.data, right.data, sl_buf_len(&left));
    sl_buf_free(&left);
    sl_buf_free(&right);
}

static struct sl_gtid_list position_of(const char *text)
{
    struct sl_gtid_list l = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_gtid_position_parse(sl_slice_text(text), &l, &err), SL_OK);
    return l;
}

/* The GTID_LIST of more than 150 entries is what the server calls its state (in an order of its
 * own); the last ones of the domains are its position. */
static void test_lists(void **state)
{
    struct walk w = walk_named("lists");
    size_t len;
    uint32_t entries = 0;
    char *text = read_file("lists", "state", &len), *rest = text;
    char *all = strsep(&rest, "\n"), *last = strsep(&rest, "\n");
    for (char *one; (one = strsep(&all, ",")); entries++) {
        struct sl_gtid g;
        assert_int_equal(sl_gtid_parse(sl_slice_text(one), &g), SL_OK);
        assert_true(sl_gtid_state_has(&w.list, g));
        g.seq++;
        assert_false(sl_gtid_state_has(&w.list, g));
    }
    assert_true(entries > 150);
    assert_int_equal(w.list.count, entries);
    struct sl_gtid_list expect = position_of(last), position = SL_GTID_LIST_INIT;
    assert_int_equal(sl_gtid_state_position(&w.list, &position), SL_OK);
    expect_same(&position, &expect);
    assert_true(sl_gtid_file_covers(&w.list, &position));
    struct sl_gtid missing;
    assert_int_equal(sl_gtid_state_judge(&w.list, &position, false, &missing), SL_GTID_SERVED);
    sl_gtid_list_free(&expect);
    sl_gtid_list_free(&position);
    free(text);
    free_walk(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_encrypted),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests_name("repl_binlog_files", tests, NULL, NULL);
}
