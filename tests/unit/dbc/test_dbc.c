/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines and errors of the SQL client against servers that misbehave; what needs a real
 * server is a system test. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/clock.h"
#include "dbc/dbc_internal.h"

#define LONG_MS 60000 /* a deadline that is never met */

static int listen_on(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* A greeting of 10.11; then OK for the login and for `oks` further packets, then silence until
 * the peer closes. */
struct fake {
    int listener, oks;
    const char *reply; /* in place of the greeting */
    size_t reply_len;
    char seen[64]; /* first bytes from the peer */
};

static const char greeting[] = "\x52\0\0\0\x0a"
                               "5.5.5-10.11.19-MariaDB\0"
                               "\x08\0\0\0"
                               "abcdefgh\0"
                               "\xfe\xf7\x08\x02\0\xff\x81\x15"
                               "\0\0\0\0\0\0\x1d\0\0\0"
                               "ijklmnopqrst\0"
                               "mysql_native_password";
static const char ok[] = "\x07\0\0\x02\0\0\0\x02\0\0\0";

static void *serve(void *arg)
{
    struct fake *f = arg;
    char buffer[4096];
    int fd = accept(f->listener, NULL, NULL);
    ssize_t n = 0;
    if (f->reply != NULL) {
        n = write(fd, f->reply, f->reply_len);
    } else {
        char packet[sizeof(greeting)];
        memcpy(packet, greeting, sizeof(greeting));
        packet[0] = (char)(sizeof(greeting) - 4);
        n = write(fd, packet, sizeof(packet));
    }
    for (int i = 0; n > 0 && (n = read(fd, buffer, sizeof(buffer))) > 0; i++) {
        if (i == 0) {
            memcpy(f->seen, buffer, SL_MIN((size_t)n, sizeof(f->seen)));
        }
        if (i <= f->oks) {
            char answer[sizeof(ok) - 1];
            memcpy(answer, ok, sizeof(answer));
            answer[3] = i == 0 ? 2 : 1;
            n = write(fd, answer, sizeof(answer));
        }
    }
    close(fd);
    return NULL;
}

static struct sl_dbc_config config_for(uint16_t port)
{
    return (struct sl_dbc_config){.host = "127.0.0.1",
                                  .port = port,
                                  .user = "u",
                                  .password = "geheim",
                                  .connect_timeout_ms = LONG_MS,
                                  .read_timeout_ms = LONG_MS,
                                  .write_timeout_ms = LONG_MS};
}

static int connect_timed(const struct sl_dbc_config *config, struct sl_dbc **ret,
                         struct sl_err *err, uint64_t *ret_ms)
{
    uint64_t start = sl_clock_mono_ms();
    *err = (struct sl_err)SL_ERR_INIT;
    int rc = sl_dbc_connect(config, ret, err);
    *ret_ms = sl_clock_mono_ms() - start;
    assert_null(strstr(err->text, "geheim"));
    return rc;
}

/* Connects to a silent server until one try has taken the time expected: never less, and more only
 * when the machine was busy. */
static void expect_timeout(const struct sl_dbc_config *c, uint64_t expected)
{
    uint64_t ms = UINT64_MAX;
    for (int i = 0; i < 10 && ms > expected + expected / 2; i++) {
        struct sl_err err;
        struct sl_dbc *d = NULL;
        assert_int_equal(connect_timed(c, &d, &err, &ms), SL_ETIMEOUT);
        assert_true(ms >= expected - 1);
    }
    assert_true(ms <= expected + expected / 2);
}

static void test_silent_server(void **state)
{
    uint16_t port;
    int fd = listen_on(&port); /* the kernel accepts, nobody speaks */
    struct sl_dbc_config c = config_for(port);
    c.connect_timeout_ms = 300;
    expect_timeout(&c, 300);
    c.connect_timeout_ms = 1250;
    expect_timeout(&c, 1250);
    c.extra_port = port; /* a silent extra port takes the time of both */
    c.connect_timeout_ms = 200;
    expect_timeout(&c, 200);
    close(fd);
}

static void test_refused_and_fallback(void **state)
{
    uint16_t port, closed_port;
    uint64_t ms;
    struct sl_err err;
    struct sl_dbc *d = NULL;
    pthread_t thread;
    close(listen_on(&closed_port));
    struct sl_dbc_config c = config_for(closed_port);
    assert_int_equal(connect_timed(&c, &d, &err, &ms), SL_ESYS);
    assert_true(ms < LONG_MS / 2);

    struct fake f = {.listener = listen_on(&port), .oks = 1};
    pthread_create(&thread, NULL, serve, &f);
    c = config_for(port);
    c.extra_port = closed_port;
    assert_int_equal(connect_timed(&c, &d, &err, &ms), 0);
    assert_string_equal(sl_dbc_version(d), "10.11.19-MariaDB");
    assert_int_equal(sl_dbc_thread_id(d), 8);
    assert_int_equal(sl_dbc_ping(d, &err), 0);
    sl_dbc_close(d);
    pthread_join(thread, NULL);
    close(f.listener);
}

static void test_frozen_after_login(void **state)
{
    uint16_t port;
    uint64_t ms, start;
    struct sl_err err;
    struct sl_dbc *d = NULL;
    pthread_t thread;
    struct fake f = {.listener = listen_on(&port), .oks = 0};
    pthread_create(&thread, NULL, serve, &f);
    struct sl_dbc_config c = config_for(port);
    c.read_timeout_ms = 200;
    assert_int_equal(connect_timed(&c, &d, &err, &ms), 0);
    start = sl_clock_mono_ms();
    assert_int_equal(sl_dbc_query(d, "SELECT 1", NULL, &err), SL_ETIMEOUT);
    assert_in_range(sl_clock_mono_ms() - start, 199, LONG_MS / 2);
    assert_non_null(strstr(err.text, "200 ms"));
    /* broken for good: nobody waits again */
    assert_int_equal(sl_dbc_query(d, "SELECT 1", NULL, &err), SL_ESYS);
    assert_int_equal(sl_dbc_ping(d, &err), SL_ESYS);
    assert_int_not_equal(sl_dbc_errno(d), 0);
    sl_dbc_close(d);
    pthread_join(thread, NULL);
    close(f.listener);
}

static void test_close_of_a_frozen_server(void **state)
{
    uint16_t port;
    uint64_t ms;
    struct sl_err err;
    struct sl_dbc *d = NULL;
    pthread_t thread;
    struct fake f = {.listener = listen_on(&port), .oks = 0};
    pthread_create(&thread, NULL, serve, &f);
    struct sl_dbc_config c = config_for(port);
    assert_int_equal(connect_timed(&c, &d, &err, &ms), 0);
    uint64_t start = sl_clock_mono_ms();
    sl_dbc_close(d);
    assert_true(sl_clock_mono_ms() - start < LONG_MS / 2);
    pthread_join(thread, NULL);
    close(f.listener);
    sl_dbc_close(NULL);
}

struct alarm {
    int fd;
    unsigned ms;
};

static void *ring(void *arg)
{
    const struct alarm *a = arg;
    const uint64_t one = 1;
    usleep(a->ms * 1000);
    assert_int_equal(write(a->fd, &one, sizeof(one)), sizeof(one));
    return NULL;
}

static void test_cancel(void **state)
{
    uint16_t port;
    uint64_t ms;
    struct sl_err err;
    struct sl_dbc *d = NULL;
    pthread_t thread;
    int fd = listen_on(&port);
    struct alarm a = {eventfd(0, EFD_CLOEXEC), 100};
    struct sl_dbc_config c = config_for(port);
    c.connect_timeout_ms = 0;
    c.cancel_fd = a.fd;
    pthread_create(&thread, NULL, ring, &a);
    assert_int_equal(connect_timed(&c, &d, &err, &ms), SL_ETIMEOUT); /* and not never */
    pthread_join(thread, NULL);
    close(a.fd);
    close(fd);
}

static void test_answers(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int expected;
    } cases[] = {
        {"\x17\0\0\0\xff\x10\x04Too many connections", 27, SL_ELIMIT},
        {"\x0a\0\0\0\xff\x6a\x04not you", 14, SL_EAUTH},
        {"\x0a\0\0\0\xff\x69\x04"
         "blocked",
         14, SL_ELIMIT},
        {"\x04\0\0\0\x09old", 8, SL_EPROTO},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, SL_ESYS},
        {"", 0, SL_ESYS},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        uint16_t port;
        uint64_t ms;
        struct sl_err err;
        struct sl_dbc *d = NULL;
        pthread_t thread;
        struct fake f = {.listener = listen_on(&port),
                         .oks = -1,
                         .reply = cases[i].bytes,
                         .reply_len = cases[i].len};
        pthread_create(&thread, NULL, serve, &f);
        struct sl_dbc_config c = config_for(port);
        c.connect_timeout_ms = 1000;
        int rc = connect_timed(&c, &d, &err, &ms);
        /* Garbage may look like the head of a long packet: then it is the deadline that ends it. */
        if (rc != cases[i].expected && rc != SL_ETIMEOUT) {
            fail_msg("case %zu: %d '%s'", i, rc, err.text);
        }
        assert_null(d);
        pthread_join(thread, NULL);
        close(f.listener);
    }
}

static void test_proxy_header(void **state)
{
    uint16_t port;
    uint64_t ms;
    struct sl_err err;
    struct sl_dbc *d = NULL;
    pthread_t thread;
    struct fake f = {.listener = listen_on(&port), .oks = -1};
    pthread_create(&thread, NULL, serve, &f);
    struct sl_dbc_config c = config_for(port);
    c.proxy_header = true;
    c.connect_timeout_ms = 1000;
    connect_timed(&c, &d, &err, &ms);
    sl_dbc_close(d);
    pthread_join(thread, NULL);
    assert_memory_equal(f.seen, "PROXY UNKNOWN\r\n", 15);
    close(f.listener);
}

static void test_tables(void **state)
{
    static const struct {
        const char *text, *expected;
    } versions[] = {
        {NULL, ""},
        {"", ""},
        {"MAX", ""},
        {"max", ""},
        {"TLSv12", "TLSv1.2"},
        {"tlsv1.3", "TLSv1.3"},
        {"TLSv1.2, TLSv13", "TLSv1.2,TLSv1.3"},
        {"TLSv10,TLSv11", "TLSv1.0,TLSv1.1"},
        {"SSLv3", NULL},
        {"TLSv1.2x", NULL},
    };
    char out[64];
    for (size_t i = 0; i < SL_ARRAY_LEN(versions); i++) {
        int rc = sl_dbc_tls_versions(versions[i].text, out, sizeof(out));
        assert_int_equal(rc, versions[i].expected == NULL ? SL_EINVAL : 0);
        if (rc == 0) {
            assert_string_equal(out, versions[i].expected);
        }
    }
    assert_int_equal(sl_dbc_tls_versions("TLSv12,TLSv13", out, 10), SL_EINVAL);
    assert_int_equal(sl_dbc_classify(1045), SL_EAUTH);
    assert_int_equal(sl_dbc_classify(1040), SL_ELIMIT);
    assert_int_equal(sl_dbc_classify(2013), SL_ESYS);
    assert_int_equal(sl_dbc_classify(2026), SL_ETLS);
    assert_int_equal(sl_dbc_classify(9), SL_EPROTO);
}

static int begin(void **state)
{
    return sl_dbc_library_init();
}

static int end(void **state)
{
    sl_dbc_thread_end();
    sl_dbc_library_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_refused_and_fallback),
        cmocka_unit_test(test_frozen_after_login),
        cmocka_unit_test(test_close_of_a_frozen_server),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_proxy_header),
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
