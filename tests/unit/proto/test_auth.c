/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication arithmetic against values made by MariaDB 10.11 and RFC 8032. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/error.h"
#include "proto/auth.h"
#include "proto/curve25519.h"

static struct sl_slice text(const char *s)
{
    return sl_slice_text(s);
}

static void test_native_stored(void **state)
{
    uint8_t h1[SL_HASH_LEN], h2[SL_HASH_LEN], parsed[SL_HASH_LEN];
    char stored[42];
    sl_native_hash(text("secret"), h1, h2);
    sl_native_format_stored(h2, stored);
    assert_string_equal(stored, "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
    assert_int_equal(sl_native_parse_stored(text(stored), parsed), SL_OK);
    assert_memory_equal(parsed, h2, SL_HASH_LEN);
    assert_int_equal(
        sl_native_parse_stored(text("*14e65567abdb5135d0cfd9a70b3032c179a49ee7"), parsed), SL_OK);
    assert_int_equal(sl_native_parse_stored(text(""), parsed), SL_ENOENT);
    assert_int_equal(sl_native_parse_stored(text("invalid"), parsed), SL_EINVAL);
    assert_int_equal(
        sl_native_parse_stored(text("*14E65567ABDB5135D0CFD9A70B3032C179A49EEX"), parsed),
        SL_EINVAL);
    assert_int_equal(
        sl_native_parse_stored(text("+14E65567ABDB5135D0CFD9A70B3032C179A49EE7"), parsed),
        SL_EINVAL);
}

static void test_native_round(void **state)
{
    uint8_t client[SL_SCRAMBLE_LEN], backend[SL_SCRAMBLE_LEN];
    uint8_t h1[SL_HASH_LEN], h2[SL_HASH_LEN], got[SL_HASH_LEN], token[SL_HASH_LEN];
    sl_scramble_generate(client);
    sl_scramble_generate(backend);
    sl_native_hash(text("secret"), h1, h2);
    sl_native_token(h1, client, token);
    /* the proxy knows h2 only and learns h1 */
    assert_int_equal(sl_native_verify(sl_slice(token, 20), client, h2, got), SL_OK);
    assert_memory_equal(got, h1, SL_HASH_LEN);
    /* and can log in to a backend with it */
    sl_native_token(got, backend, token);
    assert_int_equal(sl_native_verify(sl_slice(token, 20), backend, h2, got), SL_OK);
    assert_int_equal(sl_native_verify(sl_slice(token, 20), client, h2, got), SL_EAUTH);
    token[7] ^= 1;
    assert_int_equal(sl_native_verify(sl_slice(token, 20), backend, h2, got), SL_EAUTH);
}

static void test_native_lengths(void **state)
{
    uint8_t scramble[SL_SCRAMBLE_LEN] = {0};
    uint8_t h2[SL_HASH_LEN] = {0};
    uint8_t h1[SL_HASH_LEN];
    uint8_t token[64] = {0};
    for (size_t len = 0; len <= sizeof(token); len++) {
        int expect = len == 0 || len == 20 ? SL_EAUTH : SL_EPROTO;
        assert_int_equal(sl_native_verify(sl_slice(token, len), scramble, h2, h1), expect);
        expect = len == 0 ? SL_OK : len == 20 ? SL_EAUTH : SL_EPROTO;
        assert_int_equal(sl_native_verify(sl_slice(token, len), scramble, NULL, h1), expect);
    }
}

static void test_scramble(void **state)
{
    uint8_t a[SL_SCRAMBLE_LEN], b[SL_SCRAMBLE_LEN];
    bool seen[256] = {false};
    sl_scramble_generate(a);
    for (int i = 0; i < 1000; i++) {
        sl_scramble_generate(b);
        for (int j = 0; j < SL_SCRAMBLE_LEN; j++) {
            seen[b[j]] = true;
            assert_true(b[j] >= 0x21 && b[j] <= 0x7E);
        }
    }
    assert_memory_not_equal(a, b, SL_SCRAMBLE_LEN);
    assert_true(seen[0x21] && seen[0x7E]);
}

/* 1 B and (L - 1) B = -B, from the definition of the curve. */
static void test_base_point(void **state)
{
    uint8_t scalar[32] = {1};
    uint8_t order_less_1[32] = {0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    uint8_t base[32], point[32];
    memset(base, 0x66, sizeof(base));
    base[0] = 0x58;
    sl_curve25519_base_multiply(scalar, point);
    assert_memory_equal(point, base, 32);
    sl_curve25519_base_multiply(order_less_1, point);
    base[31] ^= 0x80;
    assert_memory_equal(point, base, 32);
    order_less_1[0]++; /* L B: the neutral point */
    memset(base, 0, sizeof(base));
    base[0] = 1;
    sl_curve25519_base_multiply(order_less_1, point);
    assert_memory_equal(point, base, 32);
}

/* Stored by the server for these passwords. */
static void test_ed25519_public_key(void **state)
{
    static const struct {
        const char *password;
        const char *stored;
    } rows[] = {
        {"secret", "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxx",
         "UdhomqEdOtHyENpx97aeneL7yr8EYvVvlNWoAEJEyZg"},
    };
    for (size_t i = 0; i < 2; i++) {
        uint8_t key[32], parsed[32];
        char stored[44];
        assert_int_equal(sl_ed25519_public_key(text(rows[i].password), key), SL_OK);
        sl_ed25519_format_stored(key, stored);
        assert_string_equal(stored, rows[i].stored);
        assert_int_equal(sl_ed25519_parse_stored(text(stored), parsed), SL_OK);
        assert_memory_equal(parsed, key, 32);
    }
}

static void test_ed25519_stored_is_checked(void **state)
{
    uint8_t key[32];
    assert_int_equal(sl_ed25519_parse_stored(text(""), key), SL_EINVAL);
    assert_int_equal(
        sl_ed25519_parse_stored(text("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJ"), key),
        SL_EINVAL);
    assert_int_equal(
        sl_ed25519_parse_stored(text("ZIgUREUg5PVgQ6LskhXmO=eZLS0nC8be6HPjYWR4YJY"), key),
        SL_EINVAL);
    assert_int_equal(
        sl_ed25519_parse_stored(text("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJZ"), key),
        SL_EINVAL);
}

static void test_ed25519_sign_and_verify(void **state)
{
    const char *passwords[] = {"secret", "", "x", "another one"};
    for (size_t i = 0; i < 4; i++) {
        uint8_t key[32], challenge[32], signature[64];
        sl_ed25519_challenge_generate(challenge);
        assert_int_equal(sl_ed25519_public_key(text(passwords[i]), key), SL_OK);
        assert_int_equal(sl_ed25519_sign(text(passwords[i]), challenge, signature), SL_OK);
        assert_int_equal(sl_ed25519_verify(sl_slice(signature, 64), key, challenge), SL_OK);
        assert_int_equal(sl_ed25519_verify(sl_slice(signature, 63), key, challenge), SL_EPROTO);
        challenge[3] ^= 1;
        assert_int_equal(sl_ed25519_verify(sl_slice(signature, 64), key, challenge), SL_EAUTH);
        challenge[3] ^= 1;
        signature[40] ^= 1;
        assert_int_equal(sl_ed25519_verify(sl_slice(signature, 64), key, challenge), SL_EAUTH);
        key[1] ^= 1;
        signature[40] ^= 1;
        assert_int_equal(sl_ed25519_verify(sl_slice(signature, 64), key, challenge), SL_EAUTH);
    }
}

static void test_secret_equal(void **state)
{
    assert_true(sl_secret_equal("abc", "abc", 3));
    assert_false(sl_secret_equal("abc", "abd", 3));
    assert_true(sl_secret_equal("a", "b", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_stored),
        cmocka_unit_test(test_native_round),
        cmocka_unit_test(test_native_lengths),
        cmocka_unit_test(test_scramble),
        cmocka_unit_test(test_base_point),
        cmocka_unit_test(test_ed25519_public_key),
        cmocka_unit_test(test_ed25519_stored_is_checked),
        cmocka_unit_test(test_ed25519_sign_and_verify),
        cmocka_unit_test(test_secret_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
