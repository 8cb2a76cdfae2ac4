/* SPDX-License-Identifier: Apache-2.0 */
/* Files and their merging: .d directory, persisted files, includes, environment variables,
 * duplicates. */
#include "conf_test.h"

struct fixture {
    struct scratch s;
    struct sl_conf_tree tree;
};

static void load(struct fixture *f, const struct sl_conf_override *overrides)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/maxscale.cnf", f->s.dir);
    struct sl_conf_options options = {
        .main_file = path, .basedir = f->s.dir, .overrides = overrides};
    sl_conf_tree_clear(&f->tree);
    sl_conf_report_clear(&f->s.report);
    sl_conf_tree_load(&options, &f->tree, &f->s.report);
}

static const char *value(const struct fixture *f, const char *section, const char *key)
{
    const struct sl_conf_section *s = sl_conf_tree_find(&f->tree, section);
    const struct sl_conf_entry *e = s != NULL ? sl_conf_section_find(s, key) : NULL;
    return e != NULL ? e->value : NULL;
}

static void test_missing_main(void **state)
{
    struct fixture *f = *state;
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 1);
    assert_true(report_has(&f->s.report, true, 0, "cannot open"));
}

static void test_extra_directory(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->s, "maxscale.cnf", "[maxscale]\n[a]\ntype=server\n");
    scratch_write(&f->s, "maxscale.cnf.d/b.cnf", "[b]\ntype=server\n");
    scratch_write(&f->s, "maxscale.cnf.d/sub/deep/c.cnf", "[c]\ntype=server\n");
    scratch_write(&f->s, "maxscale.cnf.d/.hidden.cnf", "[h1]\n");
    scratch_write(&f->s, "maxscale.cnf.d/.hidden/x.cnf", "[h2]\n");
    scratch_write(&f->s, "maxscale.cnf.d/notes.txt", "[h3]\n");
    scratch_write(&f->s, "elsewhere/d.cnf", "[d]\ntype=server\n");
    char from[256], to[256];
    snprintf(from, sizeof(from), "%s/elsewhere", f->s.dir);
    snprintf(to, sizeof(to), "%s/maxscale.cnf.d/link", f->s.dir);
    assert_int_equal(symlink(from, to), 0);
    snprintf(from, sizeof(from), "%s/elsewhere/d.cnf", f->s.dir);
    snprintf(to, sizeof(to), "%s/maxscale.cnf.d/d.cnf", f->s.dir);
    assert_int_equal(symlink(from, to), 0);
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 0);
    assert_int_equal(f->s.report.warning_count, 1);
    assert_true(report_has(&f->s.report, false, 0, "symbolic link to a directory"));
    assert_int_equal(f->tree.sections.count, 5);
    assert_non_null(value(f, "b", "type"));
    assert_non_null(value(f, "c", "type"));
    assert_non_null(value(f, "d", "type"));
}

static void test_global_only_in_main(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->s, "maxscale.cnf", "[maxscale]\nthreads=1\n");
    scratch_write(&f->s, "maxscale.cnf.d/b.cnf", "[x]\n\n[MAXSCALE]\nthreads=2\n[y]\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 1);
    assert_true(report_has(&f->s.report, true, 3, "only stand in the main file"));
    assert_string_equal(value(f, "maxscale", "threads"), "1");
    assert_non_null(sl_conf_tree_find(&f->tree, "x"));
    assert_non_null(sl_conf_tree_find(&f->tree, "y"));
}

static void test_duplicates(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->s, "maxscale.cnf", "[a]\nx=1\n[a]\nx=2\n[b]\nx=1\n[maxscale]\n[sealane]\n");
    scratch_write(&f->s, "maxscale.cnf.d/b.cnf", "[b]\nx=3\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 3);
    assert_true(report_has(&f->s.report, true, 3, "exists already, in "));
    assert_true(report_has(&f->s.report, true, 1, "maxscale.cnf:5"));
}

static void test_persisted(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->s, "maxscale.cnf",
                  "[maxscale]\nthreads=1\ndatadir=/data\nlog_info=true\n[a]\nx=1\ny=1\n");
    scratch_write(&f->s, "var/lib/maxscale/maxscale.cnf.d/a.cnf", "[a]\nx=$HOME\n");
    scratch_write(&f->s, "var/lib/maxscale/maxscale.cnf.d/maxscale.cnf",
                  "[maxscale]\nthreads=8\ndatadir=/other\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 0);
    assert_int_equal(f->s.report.warning_count, 2);
    assert_true(report_has(&f->s.report, false, 1, "changes made at runtime replace"));
    assert_string_equal(value(f, "a", "x"), "$HOME"); /* never substituted */
    assert_null(value(f, "a", "y"));                  /* replaced, not merged */
    assert_true(sl_conf_tree_find(&f->tree, "a")->is_runtime);
    assert_string_equal(value(f, "maxscale", "threads"), "8");
    assert_string_equal(value(f, "maxscale", "datadir"), "/data"); /* only from the main file */
    assert_null(value(f, "maxscale", "log_info"));

    scratch_write(&f->s, "var/lib/maxscale/maxscale.cnf.d/a2.cnf", "[a]\nx=3\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 1);

    scratch_write(&f->s, "maxscale.cnf", "[maxscale]\nload_persisted_configs=false\n[a]\nx=1\n");
    load(f, NULL);
    assert_int_equal(f->s.report.count, 0);
    assert_string_equal(value(f, "a", "x"), "1");
}

static void test_includes(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->s, "maxscale.cnf",
                  "[base]\ntype=include\nuser=u\npassword=p\nz=1\n"
                  "[more]\ntype=include\nuser=v\n"
                  "[unused]\ntype=include\n"
                  "[m]\ntype=monitor\n@include=base, more\npassword=own\n"
                  "[n]\ntype=monitor\n@include=more,base\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 0);
    assert_int_equal(f->s.report.warning_count, 1);
    assert_true(report_has(&f->s.report, false, 9, "not used"));
    assert_string_equal(value(f, "m", "type"), "monitor");
    assert_string_equal(value(f, "m", "user"), "v");       /* the later include wins */
    assert_string_equal(value(f, "m", "password"), "own"); /* the section itself wins */
    assert_string_equal(value(f, "m", "z"), "1");
    assert_string_equal(value(f, "n", "user"), "u");
    const struct sl_conf_section *m = sl_conf_tree_find(&f->tree, "m");
    assert_int_equal(sl_conf_section_find(m, "z")->line, 5);
    assert_null(sl_conf_tree_find(&f->tree, "base"));
}

static void test_bad_includes(void **state)
{
    struct fixture *f = *state;
    scratch_write(&f->s, "maxscale.cnf",
                  "[base]\ntype=include\n@include=other\n"
                  "[other]\ntype=include\n"
                  "[s]\ntype=server\n"
                  "[m]\ntype=monitor\n@include=nowhere,s,base,other,elsewhere\n");
    scratch_write(&f->s, "maxscale.cnf.d/x.cnf", "[elsewhere]\ntype=include\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 4);
    assert_true(report_has(&f->s.report, true, 3, "cannot include another"));
    assert_true(report_has(&f->s.report, true, 10, "no section 'nowhere' in this file"));
    assert_true(report_has(&f->s.report, true, 10, "no section 'elsewhere' in this file"));
    assert_true(report_has(&f->s.report, true, 10, "'s' cannot be included"));
}

static void test_environment(void **state)
{
    struct fixture *f = *state;
    setenv("CONF_TEST_PW", "from env", 1);
    unsetenv("CONF_TEST_NONE");
    scratch_write(&f->s, "maxscale.cnf",
                  "[a]\nx=$CONF_TEST_PW\ny=a$CONF_TEST_PW\n"
                  "[maxscale]\nadmin_host=$EARLY\nsubstitute_variables=true\n"
                  "admin_jwt_issuer=$CONF_TEST_PW\nlogdir=$CONF_TEST_NONE\n");
    scratch_write(&f->s, "maxscale.cnf.d/b.cnf", "[b]\nx=$CONF_TEST_PW\n");
    load(f, NULL);
    assert_int_equal(f->s.report.error_count, 1);
    assert_true(report_has(&f->s.report, true, 8, "'CONF_TEST_NONE' is not set"));
    assert_string_equal(value(f, "a", "x"), "from env");
    assert_string_equal(value(f, "a", "y"), "a$CONF_TEST_PW");
    assert_string_equal(value(f, "b", "x"), "from env");
    assert_string_equal(value(f, "maxscale", "admin_host"), "$EARLY");
    assert_string_equal(value(f, "maxscale", "admin_jwt_issuer"), "from env");

    scratch_write(&f->s, "maxscale.cnf", "[a]\nx=$CONF_TEST_NONE\n");
    load(f, NULL);
    assert_string_equal(value(f, "a", "x"), "$CONF_TEST_NONE");
}

static void test_overrides(void **state)
{
    struct fixture *f = *state;
    static const struct sl_conf_override overrides[] = {
        {"logdir", "/cmd"}, {"maxlog", "false"}, {NULL, NULL}};
    scratch_write(&f->s, "maxscale.cnf", "[maxscale]\nlogdir=/file\n");
    load(f, overrides);
    assert_string_equal(value(f, "maxscale", "logdir"), "/cmd");
    assert_string_equal(value(f, "maxscale", "maxlog"), "false");
    scratch_write(&f->s, "maxscale.cnf", "[a]\n");
    load(f, overrides);
    assert_string_equal(value(f, "maxscale", "logdir"), "/cmd");
}

static void test_directory_defaults(void **state)
{
    (void)state;
    const struct sl_conf_options rows[] = {{.main_file = ""},
                                           {.basedir = "/b"},
                                           {.runtimedir = "/r"},
                                           {.basedir = "/b", .runtimedir = "/r"}};
    static const char *const log[] = {"/var/log/maxscale", "/b/var/log/maxscale",
                                      "/r/var/log/maxscale", "/r/var/log/maxscale"};
    static const char *const share[] = {"/usr/share/maxscale", "/b/share/maxscale",
                                        "/usr/share/maxscale", "/b/share/maxscale"};
    for (size_t i = 0; i < 4; i++) {
        char *dir = sl_conf_directory_default(&rows[i], "logdir");
        assert_string_equal(dir, log[i]);
        sl_free(dir);
        dir = sl_conf_directory_default(&rows[i], "sharedir");
        assert_string_equal(dir, share[i]);
        sl_free(dir);
        assert_null(sl_conf_directory_default(&rows[i], "secretsdir"));
    }
}

static int open_state(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    scratch_open(&f->s);
    *state = f;
    return 0;
}

static int close_state(void **state)
{
    struct fixture *f = *state;
    sl_conf_tree_clear(&f->tree);
    scratch_close(&f->s);
    free(f);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_missing_main),       TEST(test_extra_directory), TEST(test_global_only_in_main),
        TEST(test_duplicates),         TEST(test_persisted),       TEST(test_includes),
        TEST(test_bad_includes),       TEST(test_environment),     TEST(test_overrides),
        TEST(test_directory_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
