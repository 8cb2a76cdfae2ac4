/* SPDX-License-Identifier: Apache-2.0 */
/* The account store: default account, changes, the file, refusals. */
#include <sys/stat.h>
#include <unistd.h>

#include "admin/passwd.h"
#include "admin_test.h"

static char directory[64];
static char file[96];

static int setup(void **state)
{
    strcpy(directory, "/tmp/test_passwd_XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/passwd", directory);
    return 0;
}

static int teardown(void **state)
{
    unlink(file);
    return rmdir(directory);
}

static struct sl_passwd *open_store(void)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_passwd *p;
    if (sl_passwd_open(file, &p, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return p;
}

static void write_file(const char *text)
{
    FILE *f = fopen(file, "w");
    fputs(text, f);
    fclose(f);
}

static void test_default_account(void **state)
{
    struct sl_passwd *p = open_store();
    assert_int_equal(sl_passwd_check(p, "admin", "mariadb"), SL_ADMIN_ROLE_ADMIN);
    assert_int_equal(sl_passwd_check(p, "admin", "Mariadb"), SL_ADMIN_ROLE_NONE);
    assert_int_equal(sl_passwd_check(p, "admin", ""), SL_ADMIN_ROLE_NONE);
    assert_int_equal(sl_passwd_check(p, "root", ""),
                     SL_ADMIN_ROLE_NONE); /* the password of the decoy */
    assert_int_equal(access(file, F_OK), -1);
    sl_passwd_close(p);
}

static void test_changes_survive(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct stat st;
    struct sl_passwd *p = open_store();
    assert_int_equal(sl_passwd_add(p, "bob", "pw", SL_ADMIN_ROLE_BASIC, &err), 0);
    assert_int_equal(sl_passwd_add(p, "bob", "pw", SL_ADMIN_ROLE_BASIC, &err), SL_EEXIST);
    assert_int_equal(sl_passwd_change(p, "admin", "new", &err), 0);
    sl_passwd_close(p);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    p = open_store();
    assert_int_equal(sl_passwd_check(p, "bob", "pw"), SL_ADMIN_ROLE_BASIC);
    assert_int_equal(sl_passwd_check(p, "admin", "new"), SL_ADMIN_ROLE_ADMIN);
    assert_int_equal(sl_passwd_check(p, "admin", "mariadb"), SL_ADMIN_ROLE_NONE);
    assert_int_equal(sl_passwd_role(p, "bob"), SL_ADMIN_ROLE_BASIC);
    assert_int_equal(sl_passwd_role(p, "nix"), SL_ADMIN_ROLE_NONE);
    assert_int_equal(sl_passwd_remove(p, "bob", &err), 0);
    assert_int_equal(sl_passwd_remove(p, "bob", &err), SL_ENOENT);
    sl_passwd_close(p);
}

static void test_last_admin_stays(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_passwd *p = open_store();
    assert_int_equal(sl_passwd_add(p, "bob", "pw", SL_ADMIN_ROLE_BASIC, &err), 0);
    assert_int_equal(sl_passwd_remove(p, "admin", &err), SL_ESTATE);
    assert_int_equal(sl_passwd_add(p, "eve", "pw", SL_ADMIN_ROLE_ADMIN, &err), 0);
    assert_int_equal(sl_passwd_remove(p, "admin", &err), 0);
    assert_int_equal(sl_passwd_remove(p, "eve", &err), SL_ESTATE);
    sl_passwd_close(p);
}

static void test_refused_words(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    char longer[600];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    struct sl_passwd *p = open_store();
    assert_int_equal(sl_passwd_add(p, "", "pw", SL_ADMIN_ROLE_BASIC, &err), SL_EINVAL);
    assert_int_equal(sl_passwd_add(p, "a:b", "pw", SL_ADMIN_ROLE_BASIC, &err), SL_EINVAL);
    assert_int_equal(sl_passwd_add(p, longer, "pw", SL_ADMIN_ROLE_BASIC, &err), SL_EINVAL);
    assert_int_equal(sl_passwd_add(p, "a", "", SL_ADMIN_ROLE_BASIC, &err), SL_EINVAL);
    assert_int_equal(sl_passwd_add(p, "a", longer, SL_ADMIN_ROLE_BASIC, &err), SL_EINVAL);
    assert_int_equal(sl_passwd_check(p, "admin", longer), SL_ADMIN_ROLE_NONE);
    assert_int_equal(access(file, F_OK), -1);
    sl_passwd_close(p);
}

static void test_hashes_are_not_listed(void **state)
{
    struct sl_passwd *p = open_store();
    json_t *one = sl_passwd_one(p, "admin");
    assert_null(json_object_get(one, "password"));
    assert_string_equal(json_string_value(json_object_get(one, "account")), "admin");
    json_decref(one);
    assert_null(sl_passwd_one(p, "nix"));
    json_t *list = sl_passwd_list(p);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    sl_passwd_close(p);
}

/* A file as older programs wrote it: MD5, taken and renewed at the first login. */
static void test_old_hash_is_renewed(void **state)
{
    write_file("[{\"name\":\"old\",\"account\":\"admin\",\"password\":\"$1$MXS$R."
               "b18Bp5HzhfqMUKlLdgK0\"}]");
    struct sl_passwd *p = open_store();
    assert_int_equal(sl_passwd_check(p, "old", "wrong"), SL_ADMIN_ROLE_NONE);
    assert_int_equal(sl_passwd_check(p, "old", "oldpw"), SL_ADMIN_ROLE_ADMIN);
    sl_passwd_close(p);
    char text[512] = "";
    FILE *f = fopen(file, "r");
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_null(strstr(text, "$1$MXS$"));
    assert_non_null(strstr(text, "$6$"));
}

static void test_bad_files(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "{}",
                                        "[]",
                                        "[1]",
                                        "[{\"name\":\"a\"}]",
                                        "[{\"name\":\"a\",\"account\":\"admin\",\"password\":1}]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sl_err err = SL_ERR_INIT;
        struct sl_passwd *p;
        write_file(texts[i]);
        assert_int_equal(sl_passwd_open(file, &p, &err), SL_EINVAL);
        assert_non_null(strstr(err.text, file));
    }
}

static void test_unwritable_changes_nothing(void **state)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_passwd *p;
    assert_int_equal(sl_passwd_open("/nonexistent/passwd", &p, &err), 0);
    assert_int_equal(sl_passwd_add(p, "bob", "pw", SL_ADMIN_ROLE_BASIC, &err), SL_ESYS);
    assert_int_equal(sl_passwd_role(p, "bob"), SL_ADMIN_ROLE_NONE);
    sl_passwd_close(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_default_account),
        TEST(test_changes_survive),
        TEST(test_last_admin_stays),
        TEST(test_refused_words),
        TEST(test_hashes_are_not_listed),
        TEST(test_old_hash_is_renewed),
        TEST(test_bad_files),
        TEST(test_unwritable_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
