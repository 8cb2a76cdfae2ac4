/* SPDX-License-Identifier: Apache-2.0 */
/* Whole command lines against recorded answers of the REST API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/text.h"
#include "fake.h"

/* Lines whose output is compared with data/expected/<line>.txt and, with --tsv, <line>.tsv. */
static const char *const PRINTED[] = {
    "list servers",
    "list services",
    "list listeners",
    "list monitors",
    "list sessions",
    "list filters",
    "list modules",
    "list threads",
    "list users",
    "list commands",
    "show servers",
    "show server Galera-71",
    "show services",
    "show monitors",
    "show sessions",
    "show filters",
    "show listeners",
    "show modules",
    "show maxscale",
    "show thread 1",
    "show threads",
    "show logging",
    "show user monitoring",
    "show users",
    "show dbusers Galera-RW-Service",
    "show commands mariadbmon",
    "list listeners Galera-RW-Service",
    "show session 1",
    "show listener Galera-Listener",
    "show monitor Galera-Monitor",
    "show filter Log",
    "show module readwritesplit",
    "show service Galera-RW-Service",
};

static void check_output(const char *line, const char *wanted)
{
    struct fake fake;
    char *out;
    char *error;
    fake_init(&fake);
    int rc = fake_run(&fake, line, &out, &error);
    assert_string_equal(error, "");
    assert_int_equal(rc, 0);
    assert_string_equal(out, wanted);
    fake_free(&fake);
    sl_free(out);
    sl_free(error);
}

static void check_against_file(const char *line, const char *option, const char *suffix)
{
    char *name = sl_xasprintf("expected/%s.%s", line, suffix);
    char *full = sl_xasprintf("%s%s", line, option);
    for (char *p = name; *p != '\0'; p++) {
        *p = *p == ' ' ? '_' : *p;
    }
    char *wanted = fake_read_file(name);
    check_output(full, wanted);
    sl_free(wanted);
    sl_free(full);
    sl_free(name);
}

static void test_tables(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(PRINTED); i++) {
        check_against_file(PRINTED[i], "", "txt");
    }
}

static void test_tsv(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(PRINTED); i++) {
        check_against_file(PRINTED[i], " --tsv", "tsv");
    }
}

/* Byte for byte what MaxScale printed for an operator who wrote about it. */
static void test_known_table(void **state)
{
    struct fake fake;
    char *out;
    char *error;
    fake_init(&fake);
    fake.answer_from = "servers_mariadb";
    assert_int_equal(fake_run(&fake, "list servers", &out, &error), 0);
    // clang-format off
    assert_string_equal(
        out,
        "┌─────────┬───────────────┬──────┬─────────────┬─────────────────┬────────┬─────────────────┐\n"
        "│ Server  │ Address       │ Port │ Connections │ State           │ GTID   │ Monitor         │\n"
        "├─────────┼───────────────┼──────┼─────────────┼─────────────────┼────────┼─────────────────┤\n"
        "│ server1 │ 192.168.0.210 │ 3306 │ 0           │ Running         │ 0-1-74 │ MariaDB-Monitor │\n"
        "├─────────┼───────────────┼──────┼─────────────┼─────────────────┼────────┼─────────────────┤\n"
        "│ server2 │ 192.168.0.211 │ 3306 │ 0           │ Master, Running │ 0-1-74 │ MariaDB-Monitor │\n"
        "└─────────┴───────────────┴──────┴─────────────┴─────────────────┴────────┴─────────────────┘\n");
    // clang-format on
    fake_free(&fake);
    sl_free(out);
    sl_free(error);
}

/* Sockets, state details, wide characters, an escape sequence in the data, empty last cells. */
static void test_odd_servers(void **state)
{
    struct fake fake;
    char *out;
    char *error;
    fake_init(&fake);
    fake.answer_from = "servers_odd";
    assert_int_equal(fake_run(&fake, "list servers", &out, &error), 0);
    // clang-format off
    assert_string_equal(
        out,
        "┌────────┬─────────────────────────┬──────┬─────────────┬──────────────────────────────────────────┬───────┬─────────┐\n"
        "│ Server │ Address                 │ Port │ Connections │ State                                    │ GTID  │ Monitor │\n"
        "├────────┼─────────────────────────┼──────┼─────────────┼──────────────────────────────────────────┼───────┼─────────┤\n"
        "│ local  │ /run/mysqld/mysqld.sock │      │ 0           │ Down                                     │       │         │\n"
        "├────────┼─────────────────────────┼──────┼─────────────┼──────────────────────────────────────────┼───────┼─────────┤\n"
        "│ größe  │ ::1                     │ 3306 │ 0           │ Slave, Running, Slave of External Server │ 0-1-1 │ Mon     │\n"
        "├────────┼─────────────────────────┼──────┼─────────────┼──────────────────────────────────────────┼───────┼─────────┤\n"
        "│ 日本   │ db?[31m.example         │ 3306 │ 0           │ Maintenance, Running                     │       │ Mon     │\n"
        "└────────┴─────────────────────────┴──────┴─────────────┴──────────────────────────────────────────┴───────┴─────────┘\n");
    // clang-format on
    sl_free(out);
    sl_free(error);
    assert_int_equal(fake_run(&fake, "--tsv list servers", &out, &error), 0);
    assert_memory_equal(out, "local\t/run/mysqld/mysqld.sock\t\t0\tDown\t\t\n", 39);
    fake_free(&fake);
    sl_free(out);
    sl_free(error);
}

static void test_api_get(void **state)
{
    check_output("api get servers data[].id", "[\"Galera-71\",\"Galera-72\",\"Galera-73\"]\n");
    check_output("api get /servers/Galera-71 data.attributes.state",
                 "\"Master, Synced, Running\"\n");
    check_output("api get --sum servers data[].attributes.statistics.connections", "2\n");
    check_output("api get --pretty maxscale data.attributes.parameters.log_throttling",
                 "{\n  \"count\": 10,\n  \"suppress\": 10000,\n  \"window\": 1000\n}\n");
    check_output("api get servers data[0].attributes.slaves", "[]\n");
    check_output("api get servers data.no.such", "null\n");
}

static void test_queries(void **state)
{
    check_output("list queries --tsv -l 12", "1\tapp\t127.0.0.1\t0s\tSELECT SLEEP...\n");
    check_output("list queries --tsv --max-length=0",
                 "1\tapp\t127.0.0.1\t0s\tSELECT SLEEP(10) FROM a_table_with_a_long_name\n");
}

/* line, requests sent, output */
static void check_requests(const char *line, const char *requests, const char *wanted)
{
    struct fake fake;
    char *out;
    char *error;
    fake_init(&fake);
    int rc = fake_run(&fake, line, &out, &error);
    assert_string_equal(error, "");
    assert_int_equal(rc, 0);
    char *log = sl_cli_text_take(&fake.log);
    assert_string_equal(log, requests);
    assert_string_equal(out, wanted);
    sl_free(log);
    sl_free(out);
    sl_free(error);
}

static void test_changes(void **state)
{
    check_requests("set server db1 maintenance --force",
                   "PUT servers/db1/set?state=maintenance&force=yes\n", "OK\n");
    check_requests("clear server db1 drain maintenance",
                   "PUT servers/db1/clear?state=drain\nPUT servers/db1/clear?state=maintenance\n",
                   "OK,OK\n");
    check_requests("set server db1 'no&such'", "PUT servers/db1/set?state=no%26such\n", "OK\n");
    check_requests("--skip-sync set server a/b drain",
                   "PUT servers/a%2Fb/set?state=drain&sync=false\n", "OK\n");
    check_requests("destroy session 5 6", "DELETE sessions/5\nDELETE sessions/6\n", "OK,OK\n");
    check_requests("destroy session --ttl 10 5", "DELETE sessions/5?ttl=10\n", "OK\n");
    check_requests("create user bob 'se\"cret' --type=admin",
                   "POST users/inet {\"data\":{\"id\":\"bob\",\"type\":\"inet\",\"attributes\":"
                   "{\"password\":\"se\\\"cret\",\"account\":\"admin\"}}}\n",
                   "OK\n");
    check_requests("alter user bob new",
                   "PATCH users/inet/bob {\"data\":{\"id\":\"bob\",\"type\":\"inet\","
                   "\"attributes\":{\"password\":\"new\"}}}\n",
                   "OK\n");
    check_requests("destroy user bob", "DELETE users/inet/bob\n", "OK\n");
    check_requests("reload service RW", "POST services/RW/reload\n", "OK\n");
    check_requests("rotate logs", "POST maxscale/logs/flush\n", "OK\n");
    check_requests(
        "list sessions --rdns --tsv --no-rdns --rdns=true -q=false", "GET sessions?rdns=true\n",
        "1\tapp\t127.0.0.1\tFri Jan 5 07:23:54 2024\t0.1\tGalera-RW-Service\t2048\t7\n"
        "2\tapp\t::ffff:10.0.0.7\tFri Jan 5 07:23:54 2024\t12\tGalera-RW-Service\t2048\t7\n"
        "3\troot\tlocalhost\tFri Jan 5 07:23:54 2024\t3\tGalera-RW-Service\t2048\t7\n");
}

static void test_several_hosts(void **state)
{
    check_requests("-h a,b:1,[::1] rotate logs",
                   "GET \nGET \nGET \nPOST maxscale/logs/flush\nPOST maxscale/logs/flush\n"
                   "POST maxscale/logs/flush\n",
                   "a:8989\nOK\nb:1\nOK\n[::1]:8989\nOK\n");
    struct fake fake;
    char *out;
    char *error;
    fake_init(&fake);
    fake.down = "b:1";
    assert_true(fake_run(&fake, "rotate logs --hosts a,b:1,c", &out, &error) < 0);
    char *log = sl_cli_text_take(&fake.log);
    assert_string_equal(log, "GET \nGET \n");
    assert_string_equal(out, "");
    assert_string_equal(error, "Could not connect to b:1");
    sl_free(log);
    sl_free(out);
    sl_free(error);
}

static const struct {
    const char *line;
    const char *error;
} REFUSED[] = {
    {"list", "`list` needs a sub-command, see `--help list`"},
    {"lst servers", "Unknown command `lst`, did you mean `list`?"},
    {"list srevers", "Unknown command `list srevers`, did you mean `list servers`?"},
    {"frobnicate", "Unknown command `frobnicate`, see `--help`"},
    {"list servers x", "Too many arguments, expected: list servers "},
    {"show server", "Not enough arguments, expected: show server SERVER"},
    {"list servers --rdns", "`list servers` has no option `--rdns`"},
    {"list servers --tsb", "Unknown option `tsb`, did you mean `--tsv`?"},
    {"list servers -x", "Unknown option `x`"},
    {"list servers -t", "Option `--timeout` needs a value"},
    {"list servers -t 10x",
     "`10x` is no time-out: expected a number with h, m, s or ms, at most 24h"},
    {"list servers --tsv=maybe", "Option `--tsv` is true or false, not `maybe`"},
    {"list servers --no-hosts", "Unknown option `no-hosts`"},
    {"list servers --tls-key k", "`--tls-key` and `--tls-cert` need each other"},
    {"list servers -h ,", "No hosts given"},
    {"list servers -h http://x", "`http://x` is no host:port"},
    {"destroy session 1 --ttl=-1", "Option `--ttl` is a whole number from 0, not `-1`"},
    {"create user a b --type root", "`root` is no kind of account, expected admin or basic"},
    {"create user a null", "Name and password may not be null or empty"},
    {"api get servers data[].id --sum",
     "`--sum` needs numbers; give a path that names some, such as "
     "data[].attributes.statistics.connections"},
    {"show server x", "Server at 127.0.0.1:8989 responded with 404 Not Found to `GET servers/x`\n"
                      "{\n    \"errors\": [\n        {\n            \"detail\": "
                      "\"x is not a server\"\n        }\n    ]\n}"},
};

static void test_refusals(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(REFUSED); i++) {
        struct fake fake;
        char *out;
        char *error;
        fake_init(&fake);
        assert_true(fake_run(&fake, REFUSED[i].line, &out, &error) < 0);
        assert_string_equal(error, REFUSED[i].error);
        assert_string_equal(out, "");
        fake_free(&fake);
        sl_free(out);
        sl_free(error);
    }
}

static void check_help(const char *first, const char *second, const char *third, const char *wanted,
                       const char *unwanted)
{
    const char *args[] = {first, second, third};
    size_t count = third != NULL ? 3 : 1;
    struct sl_cli_line line;
    struct sl_buf out = SL_BUF_INIT;
    assert_int_equal(sl_cli_line_parse(&line, count, args, &out), 0);
    assert_true(sl_cli_help_is_wanted(&line));
    sl_cli_help_put(&line, "maxctrl", &out);
    char *text = sl_cli_text_take(&out);
    assert_non_null(strstr(text, wanted));
    assert_null(strstr(text, unwanted));
    sl_free(text);
    sl_cli_line_free(&line);
}

static void test_help(void **state)
{
    check_help("list", "queries", "--help", "Usage: maxctrl list queries", "--sum");
    check_help("list", "--help", "queries", "-l, --max-length", "--sum");
    check_help("help", "list", "queries", "-l, --max-length", "--sum");
    check_help("--help", NULL, NULL, "set server SERVER STATE", "--sum");
    check_help("help", "list", "nothing", "list servers", "set server");
}

static int set_up(void **state)
{
    setenv("TZ", "UTC", 1);
    setenv("LC_ALL", "C", 1);
    tzset();
    sl_cli_locale_set();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),      cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_known_table), cmocka_unit_test(test_odd_servers),
        cmocka_unit_test(test_api_get),     cmocka_unit_test(test_queries),
        cmocka_unit_test(test_changes),     cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
