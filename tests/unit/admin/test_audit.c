/* SPDX-License-Identifier: Apache-2.0 */
/* The audit file: its lines, what is masked, what is left out, what it survives. */
#include "admin/audit.h"
#include "admin_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[64], path[128];

static int setup(void **state)
{
    snprintf(dir, sizeof dir, "/tmp/sealane-audit-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/admin_audit.csv", dir);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    return rmdir(dir);
}

static void open_audit(struct sl_audit *a, const char *excluded)
{
    struct sl_global_settings g = {.admin_audit = true,
                                   .logdir = dir,
                                   .admin_audit_exclude_methods = (char *)(uintptr_t)excluded};
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_audit_open(a, &g, &err), SL_OK);
}

static void note(struct sl_audit *a, enum sl_admin_method method, unsigned status, const char *body)
{
    struct sl_admin_request rq = {.method = method, .has_prefix = true, .user = "admin"};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&rq.peer;
    in->sin_family = AF_INET;
    inet_pton(AF_INET, "10.1.2.3", &in->sin_addr);
    sl_admin_request_set_path(&rq, "/v1/servers/db1/set");
    rq.params[rq.param_count++] = (struct sl_admin_param){"state", "master"};
    rq.raw_body = body;
    rq.raw_body_len = strlen(body);
    sl_audit_note(a, &rq, status, 1500);
}

/* The file's text; what stands before the user in a line is left to the clock. */
static char *text(void)
{
    static char all[8192];
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    all[fread(all, 1, sizeof all - 1, f)] = '\0';
    fclose(f);
    return all;
}

static unsigned lines(void)
{
    unsigned n = 0;
    for (const char *p = text(); (p = strchr(p, '\n')) != NULL; p++) {
        n++;
    }
    return n;
}

static void test_line(void **state)
{
    struct sl_audit a;
    open_audit(&a, NULL);
    assert_string_equal(text(),
                        "Timestamp,Duration,User,Host,URI,Method,Status,Response code,Body\n");
    note(&a, SL_ADMIN_PUT, 204, "");
    assert_non_null(strstr(text(), ",\"1.500ms\",\"admin\",\"10.1.2.3\","
                                   "\"/v1/servers/db1/set?state=master\",\"PUT\",\"No Content\","
                                   "\"204\",\"\"\n"));
    sl_audit_close(&a);
}

static void test_secrets(void **state)
{
    struct sl_audit a;
    open_audit(&a, NULL);
    note(&a, SL_ADMIN_POST, 204,
         "{\"data\":[{\"attributes\":{\"password\":\"s3cret\",\"monitorpw\":\"s3cret\","
         "\"admin_PASSWORD\":{\"x\":\"s3cret\"},\"name\":\"a\\\"b\\nc\"}}]}");
    note(&a, SL_ADMIN_POST, 400, "password=s3cret");
    assert_null(strstr(text(), "s3cret"));
    assert_non_null(strstr(text(), "\"\"password\"\":\"\"****\"\""));
    assert_non_null(strstr(text(), "\"(15 bytes that are not JSON)\"\n"));
    assert_int_equal(lines(), 3); /* no line break of a request's own */
    sl_audit_close(&a);
}

static void test_hostile_bodies(void **state)
{
    struct sl_audit a;
    char deep[3001];
    memset(deep, '[', 3000);
    deep[3000] = '\0';
    open_audit(&a, NULL);
    note(&a, SL_ADMIN_POST, 401, "{\"a\": 12345}"); /* not let in: only its length */
    note(&a, SL_ADMIN_POST, 400, deep);
    assert_null(strstr(text(), "12345"));
    assert_non_null(strstr(text(), "\"(12 bytes)\"\n"));
    assert_non_null(strstr(text(), "\"(3000 bytes that are not JSON)\"\n"));
    sl_audit_close(&a);
}

static void test_excluded(void **state)
{
    struct sl_audit a;
    open_audit(&a, "GET,HEAD");
    note(&a, SL_ADMIN_GET, 200, "");
    assert_int_equal(lines(), 1);
    note(&a, SL_ADMIN_GET, 401, ""); /* failures never are */
    note(&a, SL_ADMIN_PUT, 204, "");
    note(&a, SL_ADMIN_METHOD_COUNT, 405, "");
    assert_int_equal(lines(), 4);
    sl_audit_close(&a);
}

/* Somebody moves the file away: the next line begins a new one. */
static void test_rotation(void **state)
{
    struct sl_audit a;
    open_audit(&a, NULL);
    note(&a, SL_ADMIN_PUT, 204, "");
    assert_int_equal(unlink(path), 0);
    note(&a, SL_ADMIN_PUT, 204, "");
    assert_int_equal(lines(), 2);
    assert_memory_equal(text(), "Timestamp,", 10);
    sl_audit_close(&a);
}

static void test_wrong_settings(void **state)
{
    struct sl_audit a;
    struct sl_err err = SL_ERR_INIT;
    struct sl_global_settings g = {.logdir = dir};
    assert_int_equal(sl_audit_open(&a, &g, &err), SL_OK); /* off: nothing is written */
    note(&a, SL_ADMIN_PUT, 204, "");
    assert_int_equal(access(path, F_OK), -1);
    sl_audit_close(&a);
    g.admin_audit = true;
    g.admin_audit_file = (char *)"/nonexistent/x.csv";
    assert_int_equal(sl_audit_open(&a, &g, &err), SL_ESYS);
    assert_non_null(strstr(err.text, "/nonexistent/x.csv"));
    g.admin_audit_file = NULL;
    g.admin_audit_exclude_methods = (char *)"GET,FETCH";
    assert_int_equal(sl_audit_open(&a, &g, &err), SL_EINVAL);
    assert_non_null(strstr(err.text, "'FETCH' is not one of"));
    FILE *f = fopen(path, "we"); /* for the teardown */
    assert_non_null(f);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_excluded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_settings, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
