/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: right ones, late ones, foreign ones, unsigned ones. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "admin/jwt.h"
#include "admin_test.h"

static struct sl_jwt_keys *keys(int64_t algorithm, const char *issuer, const char *pem)
{
    struct sl_jwt_config config = {algorithm, issuer, pem};
    struct sl_err err = SL_ERR_INIT;
    struct sl_jwt_keys *k;
    if (sl_jwt_keys_new(&config, &k, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return k;
}

static char *make_pem(EVP_PKEY *key)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *data;
    PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    long len = BIO_get_mem_data(out, &data);
    char *pem = sl_strndup(data, (size_t)len);
    BIO_free(out);
    EVP_PKEY_free(key);
    return pem;
}

static void round_trip(struct sl_jwt_keys *k)
{
    char user[64];
    char *token = sl_jwt_issue(k, "bob", SL_ADMIN_ROLE_ADMIN, 1000, 60);
    assert_non_null(token);
    assert_int_equal(sl_jwt_check(k, token, 1059, user, sizeof user), 0);
    assert_string_equal(user, "bob");
    assert_int_equal(sl_jwt_check(k, token, 1060, user, sizeof user), SL_EAUTH);
    assert_int_equal(sl_jwt_check(k, token, 1000, user, 3), SL_EAUTH);
    token[strlen(token) - 2] ^= 1;
    assert_int_equal(sl_jwt_check(k, token, 1000, user, sizeof user), SL_EAUTH);
    sl_free(token);
    sl_jwt_keys_free(k);
}

static void test_hmac(void **state)
{
    round_trip(keys(SL_JWT_AUTO, "maxscale", NULL));
    round_trip(keys(SL_JWT_HS384, "x", NULL));
    round_trip(keys(SL_JWT_HS512, "x", NULL));
}

static void test_asymmetric(void **state)
{
    char *rsa = make_pem(EVP_RSA_gen(2048));
    char *ec = make_pem(EVP_EC_gen("P-256"));
    round_trip(keys(SL_JWT_RS256, "maxscale", rsa));
    round_trip(keys(SL_JWT_ES256, "maxscale", ec));
    struct sl_jwt_config wrong = {SL_JWT_RS256, "maxscale", ec};
    struct sl_err err = SL_ERR_INIT;
    struct sl_jwt_keys *k;
    assert_true(sl_jwt_keys_new(&wrong, &k, &err) < 0);
    wrong.key_pem = "no key";
    assert_true(sl_jwt_keys_new(&wrong, &k, &err) < 0);
    sl_free(rsa);
    sl_free(ec);
}

static void test_refused_configurations(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_jwt_keys *k;
    struct sl_jwt_config config = {SL_JWT_PS256, "x", NULL};
    assert_int_equal(sl_jwt_keys_new(&config, &k, &err), SL_ENOTSUP);
    config.algorithm = SL_JWT_RS256;
    assert_int_equal(sl_jwt_keys_new(&config, &k, &err), SL_EINVAL);
}

static void test_foreign_tokens(void **state)
{
    struct sl_jwt_keys *a = keys(SL_JWT_HS256, "a", NULL);
    struct sl_jwt_keys *b = keys(SL_JWT_HS256, "a", NULL);
    char user[64];
    char *token = sl_jwt_issue(b, "bob", SL_ADMIN_ROLE_ADMIN, 1000, 60);
    assert_int_equal(sl_jwt_check(a, token, 1001, user, sizeof user), SL_EAUTH);
    sl_free(token);
    /* {"alg":"none","typ":"JWT"} . {"iss":"a","sub":"bob","exp":9999999999} */
    static const char none[] = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0."
                               "eyJpc3MiOiJhIiwic3ViIjoiYm9iIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    assert_int_equal(sl_jwt_check(a, none, 1001, user, sizeof user), SL_EAUTH);
    static const char *const garbage[] = {"", ".", "..", "...", "a.b.c", "eyJ9.e30.", "\xff"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        assert_int_equal(sl_jwt_check(a, garbage[i], 1001, user, sizeof user), SL_EAUTH);
    }
    sl_jwt_keys_free(a);
    sl_jwt_keys_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac), cmocka_unit_test(test_asymmetric),
        cmocka_unit_test(test_refused_configurations), cmocka_unit_test(test_foreign_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
