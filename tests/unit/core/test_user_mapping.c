/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/user_mapping.h"

static const char json[] =
    "{\"user_map\":[{\"original_user\":\"bob\",\"mapped_user\":\"janet\"},{\"original_user\":"
    "\"tim\",\"mapped_user\":\"nocred\"},"
    "{\"original_user\":\"bob\",\"mapped_user\":\"last\"}],"
    "\"group_map\":[{\"original_group\":\"no_such_group\",\"mapped_user\":\"x\"},{\"original_"
    "group\":\"root\",\"mapped_user\":\"boss\"}],"
    "\"server_credentials\":[{\"mapped_user\":\"last\",\"password\":\"secret\",\"plugin\":"
    "\"ed25519\"},"
    "{\"mapped_user\":\"boss\",\"password\":\"bp\"},{\"mapped_user\":\"self\"}]}";

static void test_find(void **state)
{
    static const struct {
        const char *user, *mapped, *password, *plugin;
    } cases[] = {
        {"bob", "last", "secret", "ed25519"},
        {"tim", "nocred", "", "mysql_native_password"},
        {"root", "boss", "bp", "mysql_native_password"},
        {"self", "self", "", "mysql_native_password"},
        {"nobody_knows", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    struct sl_user_mapping *m = NULL;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_user_mapping_parse(sl_slice_text(json), NULL, &m, &err), 0);
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        struct sl_mapped_user got;
        bool found = sl_user_mapping_find(m, sl_slice_text(cases[i].user), &got);
        assert_int_equal(found, cases[i].mapped != NULL);
        if (found) {
            assert_string_equal(got.user, cases[i].mapped);
            assert_string_equal(got.password, cases[i].password);
            assert_string_equal(got.plugin, cases[i].plugin);
        }
    }
    sl_user_mapping_free(m);
    sl_user_mapping_free(NULL);
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"user_map\":1}",
        "{\"user_map\":[{}]}",
        "{\"user_map\":[{\"original_user\":\"a\"}]}",
        "{\"group_map\":[{\"original_group\":\"\",\"mapped_user\":\"x\"}]}",
        "{\"server_credentials\":[{\"password\":\"x\"}]}"};
    for (size_t i = 0; i < SL_ARRAY_LEN(bad); i++) {
        struct sl_user_mapping *m = NULL;
        struct sl_err err = SL_ERR_INIT;
        assert_int_equal(sl_user_mapping_parse(sl_slice_text(bad[i]), NULL, &m, &err), SL_EINVAL);
        assert_null(m);
        assert_null(strstr(err.text, "secret"));
    }
    struct sl_user_mapping *m = NULL;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_user_mapping_load("/nonexistent", NULL, &m, &err), SL_ESYS);
}

static void test_allocation_sweep(void **state)
{
    for (uint64_t n = 1; n < 200; n++) {
        struct sl_user_mapping *m = NULL;
        sl_mem_fail_after(n);
        int rc = sl_user_mapping_parse(sl_slice_text(json), NULL, &m, NULL);
        sl_mem_fail_after(0);
        sl_user_mapping_free(m);
        if (rc == 0) {
            assert_true(n > 10);
            return;
        }
        assert_int_equal(rc, SL_ENOMEM);
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_allocation_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
