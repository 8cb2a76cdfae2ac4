/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption at rest: all ciphers, keys that change, keys that are missing. */
#include "store_fixture.h"

static const struct sl_store_key keys[] = {
    {.version = 1, .len = 16, .bytes = {1, 2, 3}},
    {.version = 2, .len = 32, .bytes = {4, 5, 6}},
};

static void use(struct fixture *f, enum sl_event_cipher cipher, unsigned first, unsigned count)
{
    f->config.cipher = cipher;
    f->config.keys = keys + first;
    f->config.key_count = count;
}

static void expect_groups(struct fixture *f, const char *position, uint64_t first, uint64_t last)
{
    struct fixture_stream st;
    fixture_read(f, position, 64 * 1024, &st);
    assert_true(st.is_in_order);
    assert_int_equal(st.last_seq, last);
    assert_true(st.last_seq - st.gtids + 1 <= first);
    fixture_stream_free(&st);
}

static bool contains(const char *path, const char *text)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = 4 * 1024 * 1024;
    char *data = calloc(1, size);
    size_t len = fread(data, 1, size, file);
    fclose(file);
    bool has = memmem(data, len, text, strlen(text)) != NULL;
    free(data);
    return has;
}

static void test_ciphers(void **state)
{
    for (unsigned i = 0; i < 6; i++) {
        struct fixture f;
        fixture_init(&f);
        fixture_fde(&f, 1700000000, 0, i < 3);
        use(&f, SL_CIPHER_AES_GCM + i % 3, 0, 1);
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 2000, 100);
        fixture_groups(&f, 2001, 1, 3 * 1024 * 1024 + 5);
        fixture_groups(&f, 2002, 1, 256 * 1024 - 30);
        fixture_groups(&f, 2003, 100, 77);
        expect_groups(&f, "", 1, 2102);
        fixture_close(&f);
        fixture_open(&f);
        fixture_begin(&f, true);
        assert_int_equal(fixture_file_count(&f), 1);
        fixture_groups(&f, 2103, 10, 100);
        fixture_begin(&f, false);
        fixture_groups(&f, 2113, 10, 100);
        expect_groups(&f, "", 1, 2122);
        expect_groups(&f, "0-7-1500", 1501, 2122);
        expect_groups(&f, "0-7-2115", 2116, 2122);
        char path[128];
        snprintf(path, sizeof(path), "%s/pbin.000001", f.datadir);
        assert_true(contains(path, "10.11.6-MariaDB")); /* the FORMAT_DESCRIPTION is plain */
        assert_false(contains(path, "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"));
        fixture_end(&f);
    }
}

/* Reads to the end of the next large event; how many parts it came in. */
static unsigned read_large(struct sl_store_reader *r, struct sl_store_block *b, uint32_t len)
{
    enum sl_store_step step = SL_STORE_EVENTS;
    struct sl_store_piece piece = {0};
    unsigned parts = 0;
    while (step != SL_STORE_PART || piece.event_offset + piece.bytes.len < piece.event_length) {
        assert_int_equal(sl_store_reader_next(r, b, 65536, &step, &piece, NULL), SL_OK);
        assert_true(piece.bytes.len <= 65536);
        parts += step == SL_STORE_PART;
    }
    assert_int_equal(piece.event_length, len);
    return parts;
}

/* A large event costs its readers no memory: what the first one needed is enough. */
static void test_large(void **state)
{
    for (unsigned cipher = SL_CIPHER_AES_GCM; cipher <= SL_CIPHER_AES_CTR; cipher++) {
        struct fixture f;
        struct sl_store_reader *r;
        struct sl_store_block *b;
        fixture_init(&f);
        use(&f, cipher, 0, 1);
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 1, 1000000);
        fixture_groups(&f, 2, 1, 3000001);
        assert_int_equal(sl_store_block_new(&b), SL_OK);
        assert_int_equal(sl_store_reader_open_at(f.store, "", 4, &r, NULL), SL_OK);
        read_large(r, b, 1000000 + SL_EVENT_HEADER + SL_EVENT_CRC);
        uint64_t before = sl_mem_thread_allocations();
        assert_true(read_large(r, b, 3000001 + SL_EVENT_HEADER + SL_EVENT_CRC) > 40);
        assert_int_equal(sl_mem_thread_allocations(), before);
        sl_store_reader_free(r);
        sl_store_block_free(b);
        fixture_end(&f);
    }
}

/* Of a large event whose tag is wrong nothing is given. */
static void test_large_damaged(void **state)
{
    struct fixture f;
    char path[400], name[SL_BINLOG_FILE_NAME_MAX + 1];
    uint64_t end;
    struct sl_store_reader *r;
    struct sl_store_block *b;
    struct sl_err err = SL_ERR_INIT;
    fixture_init(&f);
    use(&f, SL_CIPHER_AES_GCM, 0, 1);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 1, 1000000);
    assert_true(sl_store_tail(f.store, name, &end));
    snprintf(path, sizeof(path), "%s/%s", f.datadir, name);
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)end - 5000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)end - 5000), 1);
    close(fd);
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    assert_int_equal(sl_store_reader_open_at(f.store, "", 4, &r, NULL), SL_OK);
    enum sl_store_step step = SL_STORE_EVENTS;
    struct sl_store_piece piece;
    int rc = SL_OK;
    while (rc == SL_OK && step == SL_STORE_EVENTS) {
        rc = sl_store_reader_next(r, b, 65536, &step, &piece, &err);
        assert_true(rc < 0 || step == SL_STORE_EVENTS);
    }
    assert_int_equal(rc, SL_EPROTO);
    assert_non_null(strstr(err.text, "decrypted"));
    sl_store_reader_free(r);
    sl_store_block_free(b);
    fixture_end(&f);
}

/* New files take the newest key, old ones keep theirs; the cipher of a file is its own, too. */
static void test_change(void **state)
{
    struct fixture f;
    fixture_init(&f);
    fixture_open(&f);
    fixture_begin(&f, true); /* plain */
    fixture_groups(&f, 1, 10, 100);
    fixture_close(&f);
    use(&f, SL_CIPHER_AES_CTR, 0, 1);
    fixture_open(&f);
    fixture_begin(&f, true); /* not as wanted: a new file */
    fixture_groups(&f, 11, 10, 100);
    fixture_close(&f);
    use(&f, SL_CIPHER_AES_GCM, 0, 2);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 21, 10, 100);
    assert_int_equal(fixture_file_count(&f), 3);
    struct sl_store_file *files;
    unsigned count;
    assert_int_equal(sl_store_files(f.store, &files, &count), SL_OK);
    assert_false(files[0].is_encrypted);
    assert_true(files[1].is_encrypted && files[2].is_encrypted);
    sl_free(files);
    expect_groups(&f, "", 1, 30);
    fixture_close(&f);
    f.config.key_count = 0; /* no key: the last file cannot be continued */
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_open(&f.config, &f.store, &err), SL_EPROTO);
    assert_non_null(strstr(err.text, "pbin.000003"));
    assert_non_null(strstr(err.text, "key version 2"));
    use(&f, SL_CIPHER_AES_GCM, 1, 1); /* the old key is gone: what it wrote is not served */
    fixture_open(&f);
    assert_int_equal(fixture_file_count(&f), 1);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_reader *r;
    assert_int_equal(sl_store_reader_open(f.store, &list, &r, NULL), SL_ENOENT);
    expect_groups(&f, "0-7-25", 26, 30);
    fixture_end(&f);
}

static void test_wrong_key(void **state)
{
    struct fixture f;
    fixture_init(&f);
    use(&f, SL_CIPHER_AES_CTR, 0, 1);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 10, 100);
    fixture_close(&f);
    struct sl_store_key other = keys[1];
    other.version = 1;
    f.config.keys = &other;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_store_open(&f.config, &f.store, &err), SL_EPROTO);
    assert_non_null(strstr(err.text, "key version 1"));
    fixture_end(&f);
}

/* Torn in the middle of an encrypted event. */
static void test_torn(void **state)
{
    for (unsigned cipher = SL_CIPHER_AES_GCM; cipher <= SL_CIPHER_AES_CTR; cipher++) {
        struct fixture f;
        char path[128], name[SL_BINLOG_FILE_NAME_MAX + 1];
        uint64_t end;
        fixture_init(&f);
        use(&f, cipher, 0, 1);
        fixture_open(&f);
        fixture_begin(&f, true);
        fixture_groups(&f, 1, 10, 100);
        assert_true(sl_store_tail(f.store, name, &end));
        fixture_groups(&f, 11, 1, 100);
        fixture_close(&f);
        snprintf(path, sizeof(path), "%s/pbin.000001", f.datadir);
        assert_int_equal(truncate(path, (off_t)end + 100), 0);
        fixture_open(&f);
        fixture_expect_position(&f, "0-7-10");
        fixture_begin(&f, true);
        fixture_groups(&f, 11, 5, 100);
        expect_groups(&f, "", 1, 15);
        fixture_end(&f);
    }
}

/* Two readers at different places of one block, one of them with small pieces. */
static void test_two_readers(void **state)
{
    struct fixture f;
    fixture_init(&f);
    use(&f, SL_CIPHER_AES_GCM, 0, 1);
    fixture_open(&f);
    fixture_begin(&f, true);
    fixture_groups(&f, 1, 3000, 300);
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_store_block *b;
    struct sl_store_reader *r[2];
    uint64_t bytes[2] = {0};
    assert_int_equal(sl_store_block_new(&b), SL_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sl_store_reader_open(f.store, &list, &r[i], NULL), SL_OK);
    }
    for (unsigned ends = 0, i = 0; ends < 2; i ^= 1) {
        enum sl_store_step step;
        struct sl_store_piece piece;
        assert_int_equal(
            sl_store_reader_next(r[i], b, i == 0 ? 65536 : 262144, &step, &piece, NULL), SL_OK);
        bytes[i] += piece.bytes.len;
        ends = step == SL_STORE_END ? ends + 1 : 0;
    }
    assert_true(bytes[0] == bytes[1] && bytes[0] > 900000);
    sl_store_reader_free(r[0]);
    sl_store_reader_free(r[1]);
    sl_store_block_free(b);
    fixture_end(&f);
}

int main(int argc, char **argv)
{
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ciphers),       cmocka_unit_test(test_large),
        cmocka_unit_test(test_large_damaged), cmocka_unit_test(test_change),
        cmocka_unit_test(test_wrong_key),     cmocka_unit_test(test_torn),
        cmocka_unit_test(test_two_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
