/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption of events: there and back in each mode, damage, other keys and places, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/mem.h"
#include "events.h"
#include "repl/event_crypt.h"

static const uint8_t key[32] = "0123456789abcdef0123456789abcde";
static const uint8_t nonce[SL_BINLOG_NONCE_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255, 255};
static const enum sl_event_cipher ciphers[] = {SL_CIPHER_AES_GCM, SL_CIPHER_AES_CBC,
                                               SL_CIPHER_AES_CTR};

static struct sl_event_crypt *crypt_of(enum sl_event_cipher cipher, size_t key_len)
{
    struct sl_event_crypt *c;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_event_crypt_new(cipher, key, key_len, nonce, &c, &err), SL_OK);
    return c;
}

/* An event of `body` bytes as it stands at `offset` of the encrypted file; the caller frees it. */
static uint8_t *event_at(const struct sl_event_crypt *c, size_t body, uint64_t offset,
                         uint32_t *ret_len)
{
    uint8_t *event = calloc(1, SL_EVENT_HEADER + body + SL_EVENT_CRC);
    uint8_t *text = malloc(body + 1);
    for (size_t i = 0; i < body; i++) {
        text[i] = (uint8_t)(i * 7);
    }
    *ret_len = make_event(event, SL_EVENT_WRITE_ROWS, 0, text, body);
    sl_event_set_pos(event, *ret_len, (uint32_t)(offset + sl_event_crypt_stored(c, *ret_len)),
                     true);
    free(text);
    return event;
}

static void there_and_back(struct sl_event_crypt *c, size_t body, uint64_t offset)
{
    struct sl_buf stored = SL_BUF_INIT, plain = SL_BUF_INIT;
    uint32_t len;
    uint8_t *event = event_at(c, body, offset, &len);
    assert_int_equal(sl_buf_append_text(&stored, "in front"), SL_OK);
    assert_int_equal(sl_event_crypt_seal(c, event, len, offset, &stored), SL_OK);
    sl_buf_consume(&stored, 8);
    const uint8_t *s = stored.data + stored.start;
    uint32_t stored_len = (uint32_t)sl_buf_len(&stored);
    assert_int_equal(stored_len, sl_event_crypt_stored(c, len));
    assert_int_equal(sl_event_length(s), stored_len);
    if (body > 16) {
        assert_memory_not_equal(s + 13, event + 13, len - 13);
    }
    assert_int_equal(sl_event_crypt_open(c, s, stored_len, offset, &plain), SL_OK);
    assert_int_equal(sl_buf_len(&plain), len);
    assert_memory_equal(plain.data, event, len);
    sl_buf_free(&stored);
    sl_buf_free(&plain);
    free(event);
}

static void test_there_and_back(void **state)
{
    static const size_t bodies[] = {0, 1, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 100, 70000};
    static const uint64_t offsets[] = {296, UINT32_MAX - 10, (uint64_t)1 << 40};
    for (size_t i = 0; i < SL_ARRAY_LEN(ciphers); i++) {
        for (size_t key_len = 16; key_len <= 32; key_len += 8) {
            struct sl_event_crypt *c = crypt_of(ciphers[i], key_len);
            for (size_t k = 0; k < SL_ARRAY_LEN(bodies); k++) {
                there_and_back(c, bodies[k], offsets[k % SL_ARRAY_LEN(offsets)]);
            }
            sl_event_crypt_free(c);
        }
    }
}

/* Stored bytes in pieces of `step`: the same event; SL_EPROTO where it is damaged. */
static int open_pieces(struct sl_event_crypt *c, const uint8_t *stored, uint32_t len,
                       uint64_t offset, uint32_t step, struct sl_buf *out)
{
    struct sl_event_crypt_long e = {.offset = offset, .stored = len};
    int rc = sl_event_crypt_measure(c, &e, stored + len - SL_EVENT_CRYPT_END);
    for (uint32_t at = 0, n; at < len && rc == SL_OK; at += n) {
        n = len - at < step + SL_EVENT_CRYPT_END ? len - at : step;
        size_t before = sl_buf_len(out);
        rc = sl_event_crypt_open_piece(c, &e, stored + at, n, at, out);
        assert_true(sl_buf_len(out) - before <= n + 16);
    }
    assert_true(rc != SL_OK || sl_buf_len(out) == e.plain);
    return rc;
}

static void test_pieces(void **state)
{
    static const uint32_t steps[] = {32, 33, 48, 4096, 5000000};
    for (size_t i = 0; i < SL_ARRAY_LEN(ciphers); i++) {
        struct sl_event_crypt *c = crypt_of(ciphers[i], 32);
        for (size_t body = 60; body < 30000; body += body < 90 ? 1 : 7001) {
            struct sl_buf stored = SL_BUF_INIT, plain = SL_BUF_INIT;
            uint64_t offset = UINT32_MAX - 1000 + body;
            uint32_t len;
            uint8_t *event = event_at(c, body, offset, &len);
            assert_int_equal(sl_event_crypt_seal(c, event, len, offset, &stored), SL_OK);
            uint8_t *s = stored.data + stored.start;
            uint32_t stored_len = (uint32_t)sl_buf_len(&stored);
            for (size_t k = 0; k < SL_ARRAY_LEN(steps); k++) {
                sl_buf_clear(&plain);
                assert_int_equal(open_pieces(c, s, stored_len, offset, steps[k], &plain), SL_OK);
                assert_int_equal(sl_buf_len(&plain), len);
                assert_memory_equal(plain.data + plain.start, event, len);
            }
            assert_int_equal(open_pieces(c, s, stored_len, offset + 16, 48, &plain), SL_EPROTO);
            s[stored_len - 1] ^= 1;
            sl_buf_clear(&plain);
            int rc = open_pieces(c, s, stored_len, offset, 48, &plain);
            assert_int_equal(rc, ciphers[i] == SL_CIPHER_AES_CTR ? SL_OK : SL_EPROTO);
            sl_buf_free(&stored);
            sl_buf_free(&plain);
            free(event);
        }
        struct sl_event_crypt_long e = {.stored = 40};
        assert_int_equal(sl_event_crypt_measure(c, &e, key), SL_EPROTO);
        sl_event_crypt_free(c);
    }
}

static void test_lengths(void **state)
{
    static const uint32_t expect[][4] = {[SL_CIPHER_AES_GCM] = {35, 36, 116, 51},
                                         [SL_CIPHER_AES_CBC] = {20, 36, 116, 36},
                                         [SL_CIPHER_AES_CTR] = {19, 20, 100, 35}};
    for (size_t i = 0; i < SL_ARRAY_LEN(ciphers); i++) {
        struct sl_event_crypt *c = crypt_of(ciphers[i], 16);
        const uint32_t *e = expect[ciphers[i]];
        assert_int_equal(sl_event_crypt_stored(c, 19), e[0]);
        assert_int_equal(sl_event_crypt_stored(c, 20), e[1]);
        assert_int_equal(sl_event_crypt_stored(c, 100), e[2]);
        assert_int_equal(sl_event_crypt_stored(c, 35), e[3]);
        sl_event_crypt_free(c);
    }
}

/* The first block of CTR is E(nonce * 2^32 + offset) xor plain. */
static void test_iv_is_offset(void **state)
{
    static const uint8_t ivs[][16] = {
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255, 255, 0, 0, 1, 0x28},
        {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 0, 0, 0, 0, 0, 5}, /* carried into the nonce */
    };
    static const uint64_t offsets[] = {296, ((uint64_t)1 << 32) + 5};
    struct sl_event_crypt *c = crypt_of(SL_CIPHER_AES_CTR, 16);
    EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(ecb, EVP_aes_128_ecb(), NULL, key, NULL), 1);
    for (size_t i = 0; i < SL_ARRAY_LEN(ivs); i++) {
        struct sl_buf stored = SL_BUF_INIT;
        uint8_t block[32];
        int n;
        uint32_t len;
        uint8_t *event = event_at(c, 40, offsets[i], &len);
        assert_int_equal(sl_event_crypt_seal(c, event, len, offsets[i], &stored), SL_OK);
        assert_int_equal(EVP_EncryptUpdate(ecb, block, &n, ivs[i], 16), 1);
        for (int k = 0; k < 9; k++) {
            assert_int_equal(stored.data[k], event[k] ^ block[k]);
        }
        for (int k = 9; k < 16; k++) {
            assert_int_equal(stored.data[k + 4], event[k + 4] ^ block[k]);
        }
        sl_buf_free(&stored);
        free(event);
    }
    EVP_CIPHER_CTX_free(ecb);
    sl_event_crypt_free(c);
}

static void expect_refused(struct sl_event_crypt *c, const uint8_t *stored, uint32_t len,
                           uint64_t offset)
{
    struct sl_buf plain = SL_BUF_INIT;
    assert_int_equal(sl_buf_append_text(&plain, "x"), SL_OK);
    assert_int_equal(sl_event_crypt_open(c, stored, len, offset, &plain), SL_EPROTO);
    assert_int_equal(sl_buf_len(&plain), 1);
    sl_buf_free(&plain);
}

static void test_damage(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(ciphers); i++) {
        struct sl_event_crypt *c = crypt_of(ciphers[i], 32);
        struct sl_buf stored = SL_BUF_INIT;
        uint32_t plain_len;
        uint8_t *event = event_at(c, 50, 296, &plain_len);
        assert_int_equal(sl_event_crypt_seal(c, event, plain_len, 296, &stored), SL_OK);
        uint32_t len = (uint32_t)sl_buf_len(&stored);
        expect_refused(c, stored.data, len, 297);     /* another place */
        expect_refused(c, stored.data, len - 1, 296); /* not its length */
        expect_refused(c, stored.data, 18, 296);
        for (uint32_t k = 0; ciphers[i] == SL_CIPHER_AES_GCM && k < len; k++) {
            stored.data[k] ^= 0x80;
            expect_refused(c, stored.data, len, 296);
            stored.data[k] ^= 0x80;
        }
        struct sl_event_crypt *other;
        struct sl_err err = SL_ERR_INIT;
        uint8_t other_key[32] = {1};
        assert_int_equal(sl_event_crypt_new(ciphers[i], other_key, 32, nonce, &other, &err), SL_OK);
        expect_refused(other, stored.data, len, 296);
        sl_event_crypt_free(other);
        sl_event_crypt_free(c);
        sl_buf_free(&stored);
        free(event);
    }
}

static void test_invalid(void **state)
{
    struct sl_event_crypt *c;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_event_crypt_new(SL_CIPHER_AES_GCM, key, 17, nonce, &c, &err), SL_EINVAL);
    assert_string_equal(err.text, "key of 17 bytes; 16, 24 or 32 are possible");
    assert_null(c);
    sl_event_crypt_free(NULL);
    c = crypt_of(SL_CIPHER_AES_GCM, 16);
    struct sl_buf out = SL_BUF_INIT;
    uint32_t len;
    uint8_t *event = event_at(c, 50, 296, &len);
    assert_int_equal(sl_event_crypt_seal(c, event, len, 295, &out), SL_EINVAL);
    assert_int_equal(sl_event_crypt_seal(c, event, len - 1, 296, &out), SL_EINVAL);
    assert_int_equal(sl_event_crypt_seal(c, event, 18, 296, &out), SL_EINVAL);
    assert_int_equal(sl_buf_len(&out), 0);
    free(event);
    sl_event_crypt_free(c);
}

static void test_memory(void **state)
{
    struct sl_event_crypt *c;
    struct sl_err err = SL_ERR_INIT;
    sl_mem_fail_after(1);
    assert_int_equal(sl_event_crypt_new(SL_CIPHER_AES_GCM, key, 16, nonce, &c, &err), SL_ENOMEM);
    c = crypt_of(SL_CIPHER_AES_GCM, 16);
    struct sl_buf out = SL_BUF_INIT, plain = SL_BUF_INIT;
    uint32_t len;
    uint8_t *event = event_at(c, 50, 296, &len);
    sl_mem_fail_after(1);
    assert_int_equal(sl_event_crypt_seal(c, event, len, 296, &out), SL_ENOMEM);
    assert_int_equal(sl_event_crypt_seal(c, event, len, 296, &out), SL_OK);
    sl_mem_fail_after(1);
    assert_int_equal(sl_event_crypt_open(c, out.data, (uint32_t)sl_buf_len(&out), 296, &plain),
                     SL_ENOMEM);
    free(event);
    sl_buf_free(&out);
    sl_event_crypt_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_iv_is_offset),   cmocka_unit_test(test_damage),
        cmocka_unit_test(test_invalid),        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests_name("repl_event_crypt", tests, NULL, NULL);
}
