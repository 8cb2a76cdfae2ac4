/* SPDX-License-Identifier: Apache-2.0 */
/* TLS contexts: what is refused, and that the message names the file. */
#include "certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/tls.h"

static void assert_refused(struct sl_tls_config config, int rc, const char *text)
{
    struct sl_tls_context *ctx = NULL;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_tls_context_new(&config, &ctx, &err), rc);
    assert_null(ctx);
    if (strstr(err.text, text) == NULL) {
        fail_msg("'%s' does not name '%s'", err.text, text);
    }
}

static void assert_accepted(struct sl_tls_config config)
{
    struct sl_tls_context *ctx = NULL;
    struct sl_err err = SL_ERR_INIT;
    if (sl_tls_context_new(&config, &ctx, &err) != SL_OK) {
        fail_msg("%s", err.text);
    }
    assert_ptr_equal(sl_tls_context_ref(ctx), ctx);
    sl_tls_context_unref(ctx);
    sl_tls_context_unref(ctx);
}

static void test_accepted(void **state)
{
    assert_accepted((struct sl_tls_config){.is_server = false});
    assert_accepted((struct sl_tls_config){.is_server = false, .cert = "", .key = "", .ca = ""});
    assert_accepted((struct sl_tls_config){
        .is_server = true, .cert = cert_path("server.crt"), .key = cert_path("server.key")});
    assert_accepted((struct sl_tls_config){.is_server = true,
                                           .cert = cert_path("stranger.crt"), /* no usage at all */
                                           .key = cert_path("stranger.key"),
                                           .ca = cert_path("ca.crt"),
                                           .crl = cert_path("empty.crl"),
                                           .cipher = "ECDHE-ECDSA-AES256-GCM-SHA384",
                                           .version_mask = SL_TLS_V12 | SL_TLS_V13,
                                           .verify_depth = 9,
                                           .verify_peer = true});
    assert_accepted((struct sl_tls_config){
        .cert = cert_path("client.crt"), .key = cert_path("client.key"), .verify_peer = true});
    sl_tls_context_unref(NULL);
    assert_null(sl_tls_context_ref(NULL));
}

static void test_refused(void **state)
{
    const char *cert = cert_path("server.crt"), *key = cert_path("server.key");
    const char *client = cert_path("client.crt"), *client_key = cert_path("client.key");
    struct sl_tls_config good = {.is_server = true, .cert = cert, .key = key};
    struct sl_tls_config c = good;
    assert_refused((struct sl_tls_config){.is_server = true}, SL_EINVAL, "needs a certificate");
    c.key = "";
    assert_refused(c, SL_EINVAL, "needs a key");
    c = good;
    c.cert = "/nonexistent.crt";
    assert_refused(c, SL_ETLS, "/nonexistent.crt");
    c.cert = cert_path("garbage.crt");
    assert_refused(c, SL_ETLS, "garbage.crt");
    c = good;
    c.key = "/nonexistent.key";
    assert_refused(c, SL_ETLS, "/nonexistent.key");
    c.key = client_key;
    assert_refused(c, SL_ETLS, "client.key");
    c = good;
    c.ca = cert_path("garbage.crt");
    assert_refused(c, SL_ETLS, "garbage.crt");
    c.ca = NULL;
    c.crl = "/nonexistent.crl";
    assert_refused(c, SL_ETLS, "/nonexistent.crl");
    c = good;
    c.cipher = "NO-SUCH-CIPHER";
    assert_refused(c, SL_ETLS, "NO-SUCH-CIPHER");
    c = good;
    c.cert = client;
    c.key = client_key;
    assert_refused(c, SL_ETLS, "serverAuth");
    c = good;
    c.is_server = false;
    assert_refused(c, SL_ETLS, "clientAuth");
}

static void test_out_of_memory(void **state)
{
    struct sl_tls_config config = {.is_server = false};
    struct sl_tls_context *ctx = NULL;
    struct sl_err err = SL_ERR_INIT;
    sl_mem_fail_after(1);
    assert_int_equal(sl_tls_context_new(&config, &ctx, &err), SL_ENOMEM);
    sl_mem_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, certs_start, certs_end);
}
