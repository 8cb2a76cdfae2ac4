/* SPDX-License-Identifier: Apache-2.0 */
/* Every value type, good and bad; rendering back; defaults, copies, nearest names; every table is
 * sane. */
#include "conf_test.h"

struct object {
    bool truth;
    int64_t number;
    char *text;
};

static const struct sl_choice colours[] = {
    {"red", 1}, {"green", 2}, {"blue", 4}, {"all", 7}, {NULL, 0}};
static const struct sl_choice words[] = {{"auto", 0}, {NULL, 0}};

#define ROW(type, flags, field, min, max, choices)                                                 \
    {                                                                                              \
        "x", SL_SETTING_##type, flags, offsetof(struct object, field), NULL, min, max, choices,    \
            NULL, ""                                                                               \
    }

static const struct sl_setting boolean = ROW(BOOL, 0, truth, 0, 0, NULL);
static const struct sl_setting count = ROW(COUNT, 0, number, 0, 0, NULL);
static const struct sl_setting port = ROW(COUNT, 0, number, 1, 65535, NULL);
static const struct sl_setting threads = ROW(COUNT, 0, number, 1, 64, words);
static const struct sl_setting integer = ROW(INT, 0, number, 0, 0, NULL);
static const struct sl_setting size = ROW(SIZE, 0, number, 0, 0, NULL);
static const struct sl_setting duration = ROW(DURATION, 0, number, 0, 0, NULL);
static const struct sl_setting seconds = ROW(DURATION, SL_SETTING_SECONDS, number, 0, 0, NULL);
static const struct sl_setting ms =
    ROW(DURATION, SL_SETTING_NO_UNIT_MS, number, 100, 0x7fffffff, NULL);
static const struct sl_setting signed_ms = ROW(DURATION, SL_SETTING_SIGNED, number, 0, 0, NULL);
static const struct sl_setting percent = ROW(PERCENT, 0, number, 0, 0, NULL);
static const struct sl_setting colour = ROW(ENUM, 0, number, 0, 0, colours);
static const struct sl_setting any_case = ROW(ENUM, SL_SETTING_NOCASE, number, 0, 0, colours);
static const struct sl_setting mask = ROW(MASK, 0, number, 0, 0, colours);
static const struct sl_setting string = ROW(STRING, 0, text, 0, 0, NULL);
static const struct sl_setting quoted = ROW(STRING, SL_SETTING_QUOTED, text, 0, 0, NULL);
static const struct sl_setting path = ROW(PATH, 0, text, 0, 0, NULL);
static const struct sl_setting readable = ROW(PATH, SL_SETTING_READABLE, text, 0, 0, NULL);
static const struct sl_setting list = ROW(LIST, 0, text, 0, 0, NULL);
static const struct sl_setting pipes = ROW(PIPE_LIST, 0, text, 0, 0, NULL);
static const struct sl_setting regex = ROW(REGEX, 0, text, 0, 0, NULL);
static const struct sl_setting password = ROW(PASSWORD, 0, text, 0, 0, NULL);

static void test_numbers(void **state)
{
    static const struct {
        const struct sl_setting *row;
        const char *text;
        int64_t value;
        const char *rendered;
    } rows[] = {
        {&count, "0", 0, "0"},
        {&count, "9223372036854775807", INT64_MAX, "9223372036854775807"},
        {&port, "65535", 65535, "65535"},
        {&threads, "auto", 0, "auto"},
        {&threads, "4", 4, "4"},
        {&integer, "-5", -5, "-5"},
        {&size, "1000", 1000, "1000"},
        {&size, "1k", 1000, "1000"},
        {&size, "1Ki", 1024, "1024"},
        {&size, "64KI", 65536, "65536"},
        {&size, "2m", 2000000, "2000000"},
        {&size, "2Mi", 2097152, "2097152"},
        {&size, "3G", 3000000000, "3000000000"},
        {&size, "1Ti", INT64_C(1) << 40, "1099511627776"},
        {&duration, "2h", 7200000, "7200000ms"},
        {&duration, "3m", 180000, "180000ms"},
        {&duration, "3MIN", 180000, "180000ms"},
        {&duration, "4S", 4000, "4000ms"},
        {&duration, "5ms", 5, "5ms"},
        {&duration, "6", 6000, "6000ms"},
        {&seconds, "7", 7000, "7000ms"},
        {&seconds, "1min", 60000, "60000ms"},
        {&ms, "2000", 2000, "2000ms"},
        {&signed_ms, "-1s", -1000, "-1000ms"},
        {&percent, "80%", 80, "80%"},
        {&colour, "green", 2, "green"},
        {&any_case, "GREEN", 2, "green"},
        {&mask, "red, blue", 5, "red,blue"},
        {&mask, "all", 7, "all"},
        {&mask, "blue,red,green", 7, "all"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct object o = {.number = -99};
        struct sl_err err = SL_ERR_INIT;
        assert_int_equal(sl_setting_parse(rows[i].row, &o, rows[i].text, &err), 0);
        assert_int_equal(o.number, rows[i].value);
        struct sl_buf b = SL_BUF_INIT;
        assert_int_equal(sl_setting_render(rows[i].row, &o, &b), 0);
        assert_int_equal(sl_buf_len(&b), strlen(rows[i].rendered));
        assert_memory_equal(sl_buf_slice(&b).data, rows[i].rendered, sl_buf_len(&b));
        sl_buf_free(&b);
    }
}

static void test_bad_values(void **state)
{
    static const struct {
        const struct sl_setting *row;
        const char *text;
        const char *error;
    } rows[] = {
        {&boolean, "maybe", "not a truth value"},
        {&boolean, "", "a value is needed"},
        {&boolean, "2", "allowed: true, yes"},
        {&count, "-1", "negative"},
        {&count, "1x", "whole number"},
        {&count, " 1", "whole number"},
        {&count, "", "a value is needed"},
        {&count, "9223372036854775808", "whole number"},
        {&port, "0", "(1..65535)"},
        {&port, "65536", "out of range"},
        {&threads, "0", "or auto"},
        {&threads, "autos", "whole number"},
        {&integer, "-", "whole number"},
        {&integer, "1.5", "whole number"},
        {&size, "1MB", "unknown suffix"},
        {&size, "1Kib", "unknown suffix"},
        {&size, "-1", "not a size"},
        {&size, "M", "not a size"},
        {&size, "99999999999T", "too large"},
        {&size, "2000000T", "too large"},
        {&duration, "1h30m", "unknown unit"},
        {&duration, "5 s", "unknown unit"},
        {&duration, "s", "not a duration"},
        {&duration, "-5s", "negative"},
        {&duration, "9223372036854775807h", "too long"},
        {&seconds, "2000ms", "whole seconds"},
        {&ms, "99ms", "100ms.."},
        {&percent, "80", "followed by %"},
        {&percent, "%", "followed by %"},
        {&colour, "RED", "red, green, blue, all"},
        {&colour, "gren", "did you mean 'green'"},
        {&mask, "red,purple", "unknown name 'purple'"},
        {&mask, ",", "no name given"},
        {&readable, "/does/not/exist", "cannot read /does/not/exist"},
        {&regex, "/(/", "invalid value '/(/' of 'x'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct object o = {.number = -99};
        struct sl_err err = SL_ERR_INIT;
        assert_int_equal(sl_setting_parse(rows[i].row, &o, rows[i].text, &err), SL_EINVAL);
        if (strstr(err.text, rows[i].error) == NULL) {
            fail_msg("'%s': %s", rows[i].text, err.text);
        }
        assert_int_equal(o.number, -99); /* untouched */
        assert_null(o.text);
    }
}

static void test_booleans(void **state)
{
    static const char *const yes[] = {"true", "YES", "on", "1"};
    static const char *const no[] = {"false", "No", "off", "0"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct object o = {.truth = false};
        assert_int_equal(sl_setting_parse(&boolean, &o, yes[i], NULL), 0);
        assert_true(o.truth);
        assert_int_equal(sl_setting_parse(&boolean, &o, no[i], NULL), 0);
        assert_false(o.truth);
    }
}

static void test_texts(void **state)
{
    static const struct {
        const struct sl_setting *row;
        const char *text;
        const char *value; /* NULL: unset */
        const char *rendered;
    } rows[] = {
        {&string, "a b", "a b", "a b"},
        {&string, "\"a\"", "\"a\"", "\"a\""},
        {&string, "", NULL, ""},
        {&quoted, "\"8.0.1 x\"", "8.0.1 x", "8.0.1 x"},
        {&quoted, "'", "'", "'"},
        {&path, "/a/b", "/a/b", "/a/b"},
        {&path, "rel", "/base/rel", "/base/rel"},
        {&path, "", NULL, ""},
        {&readable, "/", "/", "/"},
        {&list, " a , b,, c ", "a,b,c", "a,b,c"},
        {&list, " , ", NULL, ""},
        {&pipes, "f1 | f2|f3", "f1|f2|f3", "f1|f2|f3"},
        {&regex, "/a.*b/", "a.*b", "/a.*b/"},
        {&regex, "(?i)plain", "(?i)plain", "/(?i)plain/"},
        {&password, "secret", "secret", "*****"},
        {&password, "", NULL, ""},
    };
    (void)state;
    sl_settings_environment_set((struct sl_settings_environment){"/base", NULL});
    struct object o = {.text = NULL};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(sl_setting_parse(rows[i].row, &o, rows[i].text, NULL), 0);
        if (rows[i].value == NULL) {
            assert_null(o.text);
        } else {
            assert_string_equal(o.text, rows[i].value);
        }
        struct sl_buf b = SL_BUF_INIT;
        assert_int_equal(sl_setting_render(rows[i].row, &o, &b), 0);
        assert_int_equal(sl_buf_len(&b), strlen(rows[i].rendered));
        if (sl_buf_len(&b) > 0) {
            assert_memory_equal(sl_buf_slice(&b).data, rows[i].rendered, sl_buf_len(&b));
        }
        sl_buf_free(&b);
    }
    sl_free(o.text);
    sl_settings_environment_set((struct sl_settings_environment){NULL, NULL});
}

static void test_password_is_not_shown(void **state)
{
    (void)state;
    struct sl_setting row = password;
    row.flags = SL_SETTING_MANDATORY;
    struct object o = {.text = NULL};
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_setting_parse(&row, &o, "", &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "*****"));
}

static void test_lacks_unit(void **state)
{
    (void)state;
    assert_true(sl_setting_lacks_unit(&duration, "20"));
    assert_false(sl_setting_lacks_unit(&duration, "0"));
    assert_false(sl_setting_lacks_unit(&duration, "20s"));
    assert_false(sl_setting_lacks_unit(&count, "20"));
}

static const struct sl_settings *const tables[] = {
    &sl_settings_global,     &sl_settings_server,         &sl_settings_service,
    &sl_settings_listener,   &sl_settings_monitor,        &sl_settings_filter,
    &sl_settings_tls,        &sl_settings_readwritesplit, &sl_settings_readconnroute,
    &sl_settings_tcp,        &sl_settings_binlogrouter,   &sl_settings_galeramon,
    &sl_settings_mariadbmon,
};
#define TABLE_COUNT (sizeof(tables) / sizeof(tables[0]))

/* Defaults parse, render and parse again; names are unique; aliases lead somewhere. */
static void test_tables_are_sane(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        const struct sl_settings *s = tables[t];
        void *object = calloc(1, s->struct_size);
        void *copy = calloc(1, s->struct_size);
        sl_settings_defaults(s, object);
        assert_int_equal(sl_settings_copy(s, copy, object), 0);
        for (const struct sl_setting *row = s->rows; row->name != NULL; row++) {
            assert_ptr_equal(sl_settings_find(s, row->name), row);
            assert_non_null(row->help);
            if (row->alias_of != NULL) {
                const struct sl_setting *now = sl_settings_find(s, row->alias_of);
                assert_non_null(now);
                assert_null(now->alias_of);
                continue;
            }
            assert_true(row->offset < s->struct_size);
            assert_true(sl_setting_is_default(row, object));
            assert_true(sl_setting_is_default(row, copy));
            struct sl_buf b = SL_BUF_INIT;
            assert_int_equal(sl_setting_render(row, object, &b), 0);
            if (sl_buf_len(&b) > 0 && row->default_text != NULL) {
                char *text = sl_strndup((const char *)sl_buf_slice(&b).data, sl_buf_len(&b));
                struct sl_err err = SL_ERR_INIT;
                /* a duration in whole seconds does not take the ms it is rendered with */
                if ((row->flags & SL_SETTING_SECONDS) == 0) {
                    assert_int_equal(sl_setting_parse(row, copy, text, &err), 0);
                    assert_true(sl_setting_is_default(row, copy));
                }
                sl_free(text);
            }
            sl_buf_clear(&b);
            assert_int_equal(sl_setting_describe(row, &b), 0);
            assert_true(sl_buf_len(&b) > 0);
            assert_non_null(sl_setting_type_name(row));
            sl_buf_free(&b);
        }
        sl_settings_clear(s, object);
        sl_settings_clear(s, copy);
        free(object);
        free(copy);
    }
}

static void test_is_default_notices(void **state)
{
    (void)state;
    struct sl_rwsplit_settings rw = {.max_slave_connections = 0};
    sl_settings_defaults(&sl_settings_readwritesplit, &rw);
    const struct sl_setting *row = sl_settings_find(&sl_settings_readwritesplit, "causal_reads");
    assert_int_equal(sl_setting_parse(row, &rw, "true", NULL), 0);
    assert_int_equal(rw.causal_reads, SL_CAUSAL_LOCAL);
    assert_false(sl_setting_is_default(row, &rw));
    sl_settings_clear(&sl_settings_readwritesplit, &rw);
    struct sl_listener_settings l = {.service = NULL};
    sl_settings_defaults(&sl_settings_listener, &l);
    row = sl_settings_find(&sl_settings_listener, "address");
    assert_true(sl_setting_is_default(row, &l));
    assert_int_equal(sl_setting_parse(row, &l, "127.0.0.1", NULL), 0);
    assert_false(sl_setting_is_default(row, &l));
    assert_int_equal(sl_setting_parse(row, &l, "", NULL), 0);
    assert_false(sl_setting_is_default(row, &l));
    sl_settings_clear(&sl_settings_listener, &l);
}

static void test_nearest(void **state)
{
    (void)state;
    const struct sl_settings *s = &sl_settings_readwritesplit;
    assert_string_equal(sl_settings_nearest(s, "master_acept_reads"), "master_accept_reads");
    assert_string_equal(sl_settings_nearest(s, "max_slave_connection"), "max_slave_connections");
    assert_string_equal(sl_settings_nearest(s, "Lazy_Connect"), "lazy_connect");
    assert_null(sl_settings_nearest(s, "something_else"));
    assert_null(sl_settings_nearest(s, ""));
    assert_string_equal(sl_settings_nearest(&sl_settings_server, "prot"), "port");
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct object o = {.text = NULL};
    const struct sl_setting *const rows[] = {&string, &path, &list, &regex, &password};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_err err = SL_ERR_INIT;
        sl_mem_fail_after(1);
        assert_int_equal(sl_setting_parse(rows[i], &o, "/abc", &err), SL_ENOMEM);
        sl_mem_fail_after(0);
        assert_null(o.text);
    }
    struct sl_service_settings from = {.router = NULL}, to = {.router = NULL};
    sl_settings_defaults(&sl_settings_service, &from);
    from.user = sl_strdup("u");
    from.password = sl_strdup("p");
    for (uint64_t n = 1; n <= 2; n++) {
        sl_mem_fail_after(n);
        assert_int_equal(sl_settings_copy(&sl_settings_service, &to, &from), SL_ENOMEM);
        sl_mem_fail_after(0);
        assert_null(to.user);
    }
    sl_settings_clear(&sl_settings_service, &from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_password_is_not_shown),
        cmocka_unit_test(test_lacks_unit),
        cmocka_unit_test(test_tables_are_sane),
        cmocka_unit_test(test_is_default_notices),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
