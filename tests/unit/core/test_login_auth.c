/* SPDX-License-Identifier: Apache-2.0 */
/* The password exchange: every method, verdict and text. Texts are those of MariaDB 10.11. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "core/login_auth.h"

static const uint8_t scramble[SL_SCRAMBLE_LEN] = "abcdefghijklmnopqrst";
static char hash_of_x[42], key_of_x[44];

static int setup(void **state)
{
    uint8_t h2[SL_HASH_LEN], key[SL_ED25519_KEY_LEN];
    sl_native_hash(sl_slice_text("x"), NULL, h2);
    sl_native_format_stored(h2, hash_of_x);
    assert_int_equal(sl_ed25519_public_key(sl_slice_text("x"), key), 0);
    sl_ed25519_format_stored(key, key_of_x);
    return 0;
}

/* What a client answers. */
static struct sl_slice native_answer(const char *password, uint8_t token[SL_HASH_LEN])
{
    uint8_t h1[SL_HASH_LEN];
    if (password[0] == '\0') {
        return sl_slice(token, 0);
    }
    sl_native_hash(sl_slice_text(password), h1, NULL);
    sl_native_token(h1, scramble, token);
    return sl_slice(token, SL_HASH_LEN);
}

struct dialogue {
    struct sl_account account;
    enum sl_account_verdict verdict;
    bool is_unknown, lacks_plugin_auth;
    const char *plugin;
    unsigned switches;
    struct sl_login login;
};

static enum sl_login_step talk(struct dialogue *d, const char *password)
{
    uint8_t token[SL_HASH_LEN], signature[SL_ED25519_SIGNATURE_LEN];
    d->account.user = "u";
    d->account.host = "%";
    while (d->account.auth_count < 4 && d->account.auth[d->account.auth_count].string != NULL) {
        d->account.auth_count++;
    }
    struct sl_login_config config = {
        .verdict = d->is_unknown ? SL_ACCOUNT_UNKNOWN : d->verdict,
        .account = d->is_unknown ? NULL : &d->account,
        .decoy = d->is_unknown ? &d->account : NULL,
        .user = sl_slice_text("u"),
        .database = sl_slice_text("shop"),
        .client_host = "10.0.0.9",
        .scramble = scramble,
        .plugin = sl_slice_text(d->plugin != NULL ? d->plugin : "mysql_native_password"),
        .auth = native_answer(password, token),
        .has_plugin_auth = !d->lacks_plugin_auth,
    };
    enum sl_login_step step = sl_login_start(&d->login, &config);
    for (d->switches = 0; step == SL_LOGIN_SWITCH; d->switches++) {
        if (strcmp(d->login.switch_plugin, "client_ed25519") == 0) {
            assert_int_equal(d->login.switch_len, 32);
            assert_int_equal(
                sl_ed25519_sign(sl_slice_text(password), d->login.switch_data, signature), 0);
            step = sl_login_next(&d->login, sl_slice(signature, sizeof(signature)));
        } else {
            assert_string_equal(d->login.switch_plugin, "mysql_native_password");
            assert_memory_equal(d->login.switch_data, scramble, SL_SCRAMBLE_LEN);
            step = sl_login_next(&d->login, native_answer(password, token));
        }
    }
    return step;
}

#define NATIVE(text)                                                                               \
    {                                                                                              \
        SL_AUTH_NATIVE, "mysql_native_password", text                                              \
    }
#define ED25519(text)                                                                              \
    {                                                                                              \
        SL_AUTH_ED25519, "ed25519", text                                                           \
    }
// clang-format off
#define SOCKET {SL_AUTH_UNIX_SOCKET, "unix_socket", ""}
#define PAM {SL_AUTH_PAM, "pam", ""}
// clang-format on
#define YES "Access denied for user 'u'@'10.0.0.9' (using password: YES)"
#define NO "Access denied for user 'u'@'10.0.0.9' (using password: NO)"
#define BARE "Access denied for user 'u'@'10.0.0.9'"

static void test_table(void **state)
{
    const struct {
        struct dialogue d;
        const char *password;
        unsigned code; /* 0 = accepted */
        const char *message;
        unsigned switches;
    } cases[] = {
        {{.account.auth = {NATIVE(hash_of_x)}}, "x", 0, "", 0},
        {{.account.auth = {NATIVE(hash_of_x)}}, "y", 1045, YES, 0},
        {{.account.auth = {NATIVE(hash_of_x)}}, "", 1045, NO, 0},
        {{.account.auth = {NATIVE("")}}, "", 0, "", 0},
        {{.account.auth = {NATIVE("")}}, "x", 1045, YES, 0},
        {{.account.auth = {NATIVE("invalid")}}, "x", 1045, YES, 0},
        {{.account.auth = {NATIVE("invalid")}}, "", 1045, NO, 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .plugin = "caching_sha2_password"}, "x", 0, "", 1},
        {{.account.auth = {NATIVE(hash_of_x)}, .plugin = "caching_sha2_password"},
         "y",
         1045,
         YES,
         1},
        {{.account.auth = {NATIVE(hash_of_x)}, .plugin = "MYSQL_native_password"}, "x", 0, "", 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .plugin = ""}, "x", 0, "", 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .lacks_plugin_auth = true, .plugin = ""},
         "x",
         0,
         "",
         0},
        {{.account.auth = {ED25519(key_of_x)}}, "x", 0, "", 1},
        {{.account.auth = {ED25519(key_of_x)}}, "y", 1045, YES, 1},
        {{.account.auth = {ED25519(key_of_x)}}, "", 1045, YES, 1},
        {{.account.auth = {ED25519("garbage")}}, "x", 1045, YES, 1},
        {{.account.auth = {ED25519(key_of_x)}, .lacks_plugin_auth = true, .plugin = ""},
         "x",
         1251,
         "Client does not support authentication protocol requested by server; consider upgrading "
         "MariaDB client",
         0},
        {{.account.auth = {ED25519(key_of_x), NATIVE(hash_of_x)}}, "x", 0, "", 1},
        {{.account.auth = {ED25519("garbage"), NATIVE(hash_of_x)}}, "x", 0, "", 2},
        {{.account.auth = {NATIVE("invalid"), ED25519(key_of_x)}}, "x", 0, "", 1},
        {{.account.auth = {NATIVE("invalid"), ED25519(key_of_x)}}, "z", 1045, YES, 1},
        {{.account.auth = {NATIVE(hash_of_x), SOCKET}}, "x", 0, "", 0},
        {{.account.auth = {NATIVE(hash_of_x), SOCKET}}, "y", 1698, BARE, 0},
        {{.account.auth = {SOCKET}}, "y", 1698, BARE, 0},
        {{.account.auth = {SOCKET, NATIVE(hash_of_x)}}, "x", 0, "", 1},
        {{.account.auth = {SOCKET, NATIVE(hash_of_x)}}, "y", 1045, YES, 1},
        {{.account.auth = {PAM}}, "x", 1524, "Plugin 'pam' is not loaded", 0},
        {{.account.auth = {PAM, NATIVE(hash_of_x)}}, "x", 0, "", 1},
        {{.account.auth = {NATIVE(hash_of_x), PAM}}, "y", 1524, "Plugin 'pam' is not loaded", 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .verdict = SL_ACCOUNT_LOCKED},
         "x",
         4151,
         "Access denied, this account is locked",
         0},
        {{.account.auth = {NATIVE(hash_of_x)}, .verdict = SL_ACCOUNT_LOCKED}, "y", 1045, YES, 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .verdict = SL_ACCOUNT_NEEDS_TLS}, "x", 1045, YES, 0},
        {{.account.auth = {NATIVE("")}, .verdict = SL_ACCOUNT_NEEDS_TLS}, "", 1045, NO, 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .verdict = SL_ACCOUNT_NO_DATABASE},
         "x",
         1049,
         "Unknown database 'shop'",
         0},
        {{.account.auth = {NATIVE(hash_of_x)}, .verdict = SL_ACCOUNT_NO_DATABASE},
         "y",
         1045,
         YES,
         0},
        {{.account.auth = {NATIVE(hash_of_x)}, .verdict = SL_ACCOUNT_DB_DENIED},
         "x",
         1044,
         "Access denied for user 'u'@'%' to database 'shop'",
         0},
        {{.account.auth = {ED25519(key_of_x)}, .verdict = SL_ACCOUNT_DB_DENIED},
         "x",
         1044,
         "Access denied for user 'u'@'%' to database 'shop'",
         1},
        {{.account.auth = {NATIVE(hash_of_x)}, .is_unknown = true}, "x", 1045, YES, 0},
        {{.account.auth = {NATIVE(hash_of_x)}, .is_unknown = true}, "", 1045, NO, 0},
        {{.account.auth = {ED25519(key_of_x)}, .is_unknown = true}, "x", 1045, YES, 1},
        {{.account.auth = {{SL_AUTH_OTHER, "weird", ""}}},
         "x",
         1524,
         "Plugin 'weird' is not loaded",
         0},
        {{.account.auth_count = 0}, "x", 1045, YES, 0},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct dialogue d = cases[i].d;
        enum sl_login_step step = talk(&d, cases[i].password);
        if (step != (cases[i].code == 0 ? SL_LOGIN_ACCEPTED : SL_LOGIN_DENIED) ||
            d.switches != cases[i].switches ||
            (cases[i].code != 0 &&
             (d.login.code != cases[i].code || strcmp(d.login.message, cases[i].message) != 0))) {
            fail_msg("case %zu: step %d, %u '%s', %u switches", i, step, d.login.code,
                     d.login.message, d.switches);
        }
        if (cases[i].code != 0) {
            assert_false(d.login.has_h1);
        }
    }
}

static void test_h1(void **state)
{
    uint8_t h1[SL_HASH_LEN];
    const uint8_t zeros[SL_HASH_LEN] = {0};
    struct dialogue d = {.account.auth = {NATIVE(hash_of_x)}};
    assert_int_equal(talk(&d, "x"), SL_LOGIN_ACCEPTED);
    sl_native_hash(sl_slice_text("x"), h1, NULL);
    assert_true(d.login.has_h1 && d.login.has_password);
    assert_memory_equal(d.login.h1, h1, sizeof(h1));
    sl_login_wipe(&d.login);
    assert_memory_equal(d.login.h1, zeros, sizeof(zeros));

    struct dialogue e = {.account.auth = {ED25519(key_of_x)}};
    assert_int_equal(talk(&e, "x"), SL_LOGIN_ACCEPTED);
    assert_false(e.login.has_h1);
    assert_int_equal(e.login.plugin, SL_AUTH_ED25519);
}

static void test_bad_lengths(void **state)
{
    struct sl_account account = {
        .user = "u", .host = "%", .auth_count = 1, .auth = {NATIVE(hash_of_x)}};
    struct sl_login l;
    struct sl_login_config c = {.account = &account,
                                .user = sl_slice_text("u"),
                                .client_host = "h",
                                .scramble = scramble,
                                .has_plugin_auth = true,
                                .auth = sl_slice("short", 5)};
    assert_int_equal(sl_login_start(&l, &c), SL_LOGIN_DENIED);
    assert_int_equal(l.code, 1043);
    assert_string_equal(l.sqlstate, "08S01");
    account.auth[0] = (struct sl_account_auth)ED25519(key_of_x);
    assert_int_equal(sl_login_start(&l, &c), SL_LOGIN_SWITCH);
    assert_int_equal(sl_login_next(&l, sl_slice("short", 5)), SL_LOGIN_DENIED);
    assert_int_equal(l.code, 1045);
    c.account = NULL;
    c.verdict = SL_ACCOUNT_UNKNOWN;
    assert_int_equal(sl_login_start(&l, &c), SL_LOGIN_DENIED); /* no decoy either */
    assert_int_equal(l.code, 1045);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_h1),
        cmocka_unit_test(test_bad_lengths),
    };
    return cmocka_run_group_tests(tests, (CMFixtureFunction)setup, NULL);
}
