/* SPDX-License-Identifier: Apache-2.0 */
/* The checked configuration: the files people have, a file where all is wrong, and each
 * cross-check. */
#include "conf_test.h"

static void copy_data(struct scratch *s, const char *name)
{
    char command[512];
    snprintf(command, sizeof(command), "cp '%s/%s' '%s/maxscale.cnf'", CONF_DATA, name, s->dir);
    assert_int_equal(system(command), 0);
}

static void load_good(struct scratch *s, const char *name)
{
    copy_data(s, name);
    int rc = scratch_load(s);
    if (rc != 0) {
        report_print(&s->report);
    }
    assert_int_equal(rc, 0);
}

static void test_galera(void **state)
{
    struct scratch *s = *state;
    load_good(s, "galera.cnf");
    const struct sl_config *c = s->config;
    assert_int_equal(c->server_count, 3);
    assert_int_equal(c->servers[1].settings.priority, 2);
    const struct sl_conf_monitor *m = sl_config_find_monitor(c, "Galera-Monitor");
    const struct sl_galeramon_settings *galera = m->module_settings;
    assert_int_equal(m->settings.monitor_interval, 2000);
    assert_true(galera->use_priority && galera->available_when_donor && !galera->set_donor_nodes);
    assert_int_equal(m->server_count, 3);
    assert_ptr_equal(c->servers[2].monitor, m);
    const struct sl_conf_service *service = sl_config_find_service(c, "Galera-RW-Service");
    const struct sl_rwsplit_settings *rw = service->router_settings;
    assert_int_equal(rw->slave_selection_criteria, SL_SELECT_ADAPTIVE_ROUTING);
    assert_int_equal(rw->master_failure_mode, SL_ERROR_ON_WRITE);
    assert_int_equal(rw->max_slave_connections, 255);
    assert_string_equal(service->settings.password, "SecretP@ssw0rd");
    assert_int_equal(service->server_count, 3);
    assert_string_equal(service->servers[0]->object.name, "Galera-71");
    const struct sl_conf_listener *l = sl_config_find_listener(c, "Galera-Listener");
    assert_ptr_equal(l->service, service);
    assert_int_equal(l->settings.port, 4007);
    assert_int_equal(l->settings.protocol, SL_PROTOCOL_MARIADB);
    assert_null(sl_config_find_server(c, "Galera-Listener"));
    /* three ignored protocols, a duration without unit, a list that two settings share */
    const struct sl_conf_report *r = &s->report;
    assert_int_equal(r->warning_count, 4);
    assert_true(report_has(r, false, 0, "'protocol' is deprecated"));
    assert_true(
        report_has(r, false, 0, "'monitor_interval=2000' has no unit; it is taken as '2000ms'"));
}

static void test_missing_modules(void **state)
{
    struct scratch *s = *state;
    static const char *const files[] = {"galera_relay.cnf", "galera_dr.cnf", "replication.cnf"};
    static const char *const errors[] = {"router 'binlogrouter' is not available",
                                         "router 'binlogrouter' is not available",
                                         "monitor module 'mariadbmon' is not available"};
    for (size_t i = 0; i < 3; i++) {
        copy_data(s, files[i]);
        assert_int_equal(scratch_load(s), SL_EINVAL);
        assert_null(s->config);
        assert_int_equal(s->report.error_count, 1); /* each parameter is known */
        assert_true(report_has(&s->report, true, 0, errors[i]));
    }
}

static void test_tcp(void **state)
{
    struct scratch *s = *state;
    load_good(s, "tcp.cnf");
    const struct sl_conf_service *service = sl_config_find_service(s->config, "balancer");
    const struct sl_tcp_settings *tcp = service->router_settings;
    assert_int_equal(tcp->balance, SL_TCP_LEASTCONN);
    assert_int_equal(tcp->check, SL_TCP_CHECK_GREETING);
    assert_true(tcp->tcplog);
    assert_int_equal(s->config->servers[0].settings.weight, 1);
    assert_int_equal(s->report.count, 0);
}

static void test_everything_wrong(void **state)
{
    struct scratch *s = *state;
    copy_data(s, "bad.cnf");
    assert_int_equal(scratch_load(s), SL_EINVAL);
    static const char *const errors[] = {
        "'stray' stands before the first [section]",
        "invalid value '0' of 'threads': out of range; allowed: a whole number, not negative "
        "(1..4096), or auto",
        "unknown parameter 'thraeds', did you mean 'threads'?",
        "writeq_high_water must be larger",
        "invalid value '-1' of 'query_retries'",
        "invalid value '10,5' of 'log_throttling'",
        "invalid value 'maybe' of 'log_info'",
        "config_sync_cluster, config_sync_user and config_sync_password belong together",
        "unknown name 'on_clos', did you mean 'on_close'?",
        "unknown parameter 'monitor_interval'",
        "the parameter 'type' is missing",
        "section names may not contain blanks: '[two words]'",
        "unknown type 'servr', did you mean 'server'?",
        "invalid value '99999' of 'port'",
        "invalid value 'tertiary' of 'rank': unknown name 'tertiary'; allowed: one of primary, "
        "secondary",
        "this setting counts in whole seconds",
        "unknown parameter 'addres', did you mean 'address'?",
        "a server needs either 'address' or 'socket'",
        "'address' is a path: use 'socket=/run/mysqld.sock'",
        "a server needs either 'address' or 'socket', not both",
        "monitoruser and monitorpw belong together",
        "invalid value '300' of 'weight'",
        "invalid value 'first' of 'priority'",
        "'address' is set twice, first in line",
        "invalid value 'v1' of 'proxy_protocol'",
        "cannot read /does/not/exist.pem",
        "unknown monitor module 'galeramom', did you mean 'galeramon'?; there are: galeramon",
        "server 's1' is watched by monitor 'm1' already",
        "'servers' names 's6', but there is no such server",
        "invalid value '10ms' of 'monitor_interval'",
        "unknown parameter 'use_priorty', did you mean 'use_priority'?",
        "the parameter 'password' is missing",
        "monitor module 'mariadbmon' is not available in this version",
        "unknown name 'fail_on_writ', did you mean 'fail_on_write'?",
        "invalid value '1MB' of 'transaction_replay_max_size': unknown suffix",
        "router 'readwritesplit' needs servers",
        "router 'binlogrouter' is not available in this version",
        "'servers' names 'm1', which is a monitor, not a server",
        "the parameter 'router' is missing",
        "only one of 'servers', 'targets' and 'cluster' may be set",
        "'passwd' is the old name of 'password', and both are set",
        "unknown router 'nosuchrouter'; there are: readwritesplit, readconnroute, tcp",
        "'filters' names 'f2', but there is no such filter",
        "the parameter 'user' is missing",
        "'targets' of 'v5' names the service itself",
        "unknown name 'salve', did you mean 'slave'?",
        "filter module 'qlafilter' is not available in this version",
        "'service' names 'v9', but there is no such service",
        "a listener needs either 'port' or 'socket'",
        "a listener with ssl=true needs ssl_key and ssl_cert",
        "protocol 'postgresql' is not available in this version",
        "authenticator 'pamauth' is not available in this version",
        "unknown authenticator 'mariadbaut', did you mean 'mariadbauth'?",
        "a listener needs either 'port' or 'socket', not both",
        "listener 'l2' has the same address and port 4006",
        "'service' names 's1', which is a server, not a service",
        "the REST API has the same port 8989",
    };
    size_t count = sizeof(errors) / sizeof(errors[0]);
    for (size_t i = 0; i < count; i++) {
        if (!report_has(&s->report, true, 0, errors[i])) {
            report_print(&s->report);
            fail_msg("not reported: %s", errors[i]);
        }
    }
    assert_true(count >= 30);
    for (size_t i = 0; i < s->report.count; i++) { /* each has its place */
        assert_true(s->report.notes[i].line > 0);
        assert_string_not_equal(s->report.notes[i].file, "");
    }
}

static void test_note_text(void **state)
{
    struct scratch *s = *state;
    scratch_write(s, "maxscale.cnf", "[a]\ntype=server\naddress=127.0.0.1\nprot=3307\n");
    assert_int_equal(scratch_load(s), SL_EINVAL);
    struct sl_buf b = SL_BUF_INIT;
    assert_int_equal(sl_conf_note_render(&s->report.notes[0], &b), 0);
    char expected[256];
    int len =
        snprintf(expected, sizeof(expected),
                 "%s/maxscale.cnf:4: [a] unknown parameter 'prot', did you mean 'port'?", s->dir);
    assert_int_equal(sl_buf_len(&b), len);
    assert_memory_equal(sl_buf_slice(&b).data, expected, (size_t)len);
    sl_buf_free(&b);
}

#define SERVER "[s1]\ntype=server\naddress=127.0.0.1\n"
#define LOGIN "user=u\npassword=p\n"
#define MONITOR "[m]\ntype=monitor\nmodule=galeramon\nservers=s1\n" LOGIN
#define SERVICE "[v]\ntype=service\nrouter=readwritesplit\n" LOGIN
#define LISTENER "[l]\ntype=listener\nservice=v\nport=4006\n"

static void test_cluster_and_aliases(void **state)
{
    struct scratch *s = *state;
    scratch_write(s, "maxscale.cnf",
                  SERVER MONITOR "[v]\ntype=service\nrouter=readwritesplit\nuser=u\npasswd=p\n"
                                 "cluster=m\nconnection_timeout=10\nmax_slave_replication_lag=5s\n"
                                 "localhost_match_wildcard_host=true\n" LISTENER
                                 "protocol=MySQLClient\nauthenticator=MariaDBAuth\n");
    assert_int_equal(scratch_load(s), 0);
    const struct sl_conf_service *v = &s->config->services[0];
    assert_ptr_equal(v->cluster, &s->config->monitors[0]);
    assert_int_equal(v->server_count, 1);
    assert_string_equal(v->settings.password, "p");
    assert_int_equal(v->settings.wait_timeout, 10000);
    assert_int_equal(((struct sl_rwsplit_settings *)v->router_settings)->max_replication_lag, 5000);
    assert_true(
        report_has(&s->report, false, 0, "'passwd' is deprecated, its name is now 'password'"));
    assert_true(report_has(&s->report, false, 0,
                           "'connection_timeout=10' has no unit; it is taken as '10s'"));
    assert_true(report_has(&s->report, false, 0, "'localhost_match_wildcard_host' is deprecated"));
}

static void test_old_module_name(void **state)
{
    struct scratch *s = *state;
    scratch_write(s, "maxscale.cnf",
                  SERVER "[m]\ntype=monitor\nmodule=mysqlmon\nservers=s1\n" LOGIN);
    assert_int_equal(scratch_load(s), SL_EINVAL);
    assert_true(report_has(&s->report, false, 0, "'mysqlmon' is deprecated"));
    assert_true(report_has(&s->report, true, 0, "'mariadbmon' is not available"));
}

/* Without servers: what is looked for is not the only error then. */
#define RELAY(name, more) "[" name "]\ntype=service\nrouter=binlogrouter\nuser=u\npassword=p\n" more

static void test_cross_checks(void **state)
{
    struct scratch *s = *state;
    static const struct {
        const char *text;
        bool is_error;
        const char *note;
    } rows[] = {
        {SERVER "[s2]\ntype=server\naddress=127.0.0.1\n", false, "the same address and port"},
        {SERVER SERVICE "servers=s1\n" LISTENER, false, "no monitor watches server 's1'"},
        {SERVER MONITOR SERVICE "servers=s1\n", false, "no listener leads to this service"},
        {SERVER "ssl_ca=/\n", false, "TLS is off"},
        {SERVER "ssl_cert=/\n", true, "ssl_key and ssl_cert belong together"},
        {SERVER "disk_space_threshold=/data:80,*:90\n", false,
         "'disk_space_threshold' has no effect in this version"},
        {SERVER "disk_space_threshold=/data:101\n", true, "allowed: path:percent"},
        {SERVER "disk_space_threshold=/data\n", true, "allowed: path:percent"},
        {SERVER "ssl_crl=/\n", true, "unknown parameter 'ssl_crl'"},
        {SERVER "type=x\n", true, "'type' is set twice"},
        {SERVER SERVICE "servers=s1\n" LISTENER "address=0.0.0.0\n[l2]\ntype=listener\nservice=v\n"
                        "port=4006\n",
         true, "listener 'l' has the same address and port"},
        {SERVER SERVICE "servers=s1\n" LISTENER "[l2]\ntype=listener\nservice=v\nsocket=/tmp/x\n"
                        "[l3]\ntype=listener\nservice=v\nsocket=/tmp/x\n",
         true, "listener 'l2' has the same socket"},
        {SERVER "[v]\ntype=service\nrouter=tcp\nservers=s1\ncheck=login\n", true,
         "check=login needs"},
        {SERVER "[v]\ntype=service\nrouter=tcp\nservers=s1\ncheck_user=x\n", true,
         "belong together"},
        {RELAY("r", "server_id=1234\n"), true, "what every relay has"},
        {RELAY("r", "expiration_mode=archive\n"), true, "needs archivedir"},
        {RELAY("r", "encryption_key_id=1\n"), true, "needs key_manager=file"},
        {RELAY("r", "server_id=7\ndatadir=/a\n") RELAY("q", "server_id=7\ndatadir=/b\n"), true,
         "server_id=7 is that of service 'r' too"},
        {RELAY("r", "") RELAY("q", ""), true, "service 'r' has the same datadir"},
        {RELAY("r", "archivedir=/tmp\n") RELAY("q", "datadir=/b\narchivedir=/tmp\n"), true,
         "service 'r' has the same archivedir"},
        {SERVER SERVICE "servers=s1\ntype=include\n", true, "set twice"},
        {"[maxscale]\nadmin_ssl_key=/\n", true, "admin_ssl_key and admin_ssl_cert belong together"},
        {"[maxscale]\nthreads=300\n", false, "limited by threads_max"},
        {"[maxscale]\nquery_classifier_cache_size=15%\n", false, "deprecated and has no effect"},
        {"[maxscale]\nlog_throttling=x,1,1\n", true, "log_throttling"},
        {"[maxscale]\nadmin_host=\n", true, "'admin_host' is empty"},
        {SERVER SERVICE "servers=s1\n" LISTENER "address=\n", true, "'address' is empty"},
        {"[maxscale]\nmaxlog\n", true, "a value is needed"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scratch_write(s, "maxscale.cnf", rows[i].text);
        int rc = scratch_load(s);
        if (!report_has(&s->report, rows[i].is_error, 0, rows[i].note) ||
            (rc != 0) != rows[i].is_error) {
            report_print(&s->report);
            fail_msg("row %zu: %s", i, rows[i].note);
        }
    }
}

#define CHAINED(name, router, more) "[" name "]\ntype=service\nrouter=" router "\n" more "\n" LOGIN

static void test_service_targets(void **state)
{
    struct scratch *s = *state;
    scratch_write(s, "maxscale.cnf",
                  SERVER MONITOR CHAINED("ro", "readconnroute", "targets=rw")
                      CHAINED("rw", "readwritesplit", "targets=a,s1,b\nmax_sescmd_history=5")
                          CHAINED("a", "readwritesplit", "cluster=m\nrank=secondary")
                              CHAINED("b", "readconnroute",
                                      "servers=s1") "[l]\ntype=listener\nservice=ro\nport=4006\n");
    assert_int_equal(scratch_load(s), 0);
    assert_int_equal(s->report.count, 0); /* nobody misses a listener in front of a target */
    const struct sl_conf_service *rw = sl_config_find_service(s->config, "rw");
    assert_int_equal(rw->target_count, 3);
    assert_string_equal(rw->targets[0]->name, "a");
    assert_string_equal(rw->targets[1]->name, "s1");
    assert_ptr_equal(sl_conf_target_service(rw->targets[2]),
                     sl_config_find_service(s->config, "b"));
    assert_null(sl_conf_target_service(rw->targets[1]));
    assert_int_equal(rw->server_count, 1);
    assert_true(rw->is_target);
    assert_int_equal(rw->chain_length, 2);
    assert_int_equal(sl_config_find_service(s->config, "ro")->chain_length, 3);
    assert_false(sl_config_find_service(s->config, "ro")->is_target);
    const struct sl_conf_service *a = sl_config_find_service(s->config, "a");
    assert_int_equal(a->target_count, 1);
    assert_int_equal(a->settings.rank, SL_RANK_SECONDARY);
}

static void test_service_targets_refused(void **state)
{
    struct scratch *s = *state;
    static const struct {
        const char *text, *note;
    } rows[] = {
        {CHAINED("a", "readwritesplit", "targets=a"), "'targets' of 'a' names the service itself"},
        {CHAINED("a", "readwritesplit", "targets=b") CHAINED("b", "readconnroute", "targets=c")
             CHAINED("c", "readwritesplit", "targets=s1,b"),
         "services are targets of each other: 'b' -> 'c' -> 'b'"},
        {CHAINED("a", "readwritesplit", "targets=writr")
             CHAINED("writer", "readwritesplit", "servers=s1"),
         "'targets' names 'writr', but there is no such server or service, did you mean 'writer'?"},
        {CHAINED("a", "readwritesplit", "targets=m"),
         "which is a monitor, not a server or service"},
        {CHAINED("a", "readwritesplit", "targets=b,b") CHAINED("b", "readwritesplit", "servers=s1"),
         "'targets' names 'b' twice"},
        {CHAINED("a", "readwritesplit", "servers=b") CHAINED("b", "readwritesplit", "servers=s1"),
         "'servers' names 'b', which is a service, not a server"},
        {CHAINED("a", "readwritesplit", "targets=b") "[b]\ntype=service\nrouter=tcp\nservers=s1\n",
         "a service with router 'tcp' cannot be a target"},
        {"[b]\ntype=service\nrouter=tcp\ntargets=a\n" CHAINED("a", "readwritesplit", "servers=s1"),
         "router 'tcp' takes servers only"},
        {CHAINED("a", "readwritesplit", "targets=b\ncausal_reads=local")
             CHAINED("b", "readwritesplit", "servers=s1"),
         "'causal_reads' cannot be kept through the target 'b'"},
        {CHAINED("a", "readconnroute", "targets=b") CHAINED("b", "readconnroute", "targets=c")
             CHAINED("c", "readconnroute", "targets=d") CHAINED("d", "readconnroute", "targets=e")
                 CHAINED("e", "readconnroute", "targets=f") CHAINED(
                     "f", "readconnroute", "targets=g") CHAINED("g", "readconnroute", "targets=h")
                     CHAINED("h", "readconnroute", "targets=i")
                         CHAINED("i", "readconnroute", "servers=s1"),
         "at most 8 services may stand behind each other"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[2048];
        snprintf(text, sizeof(text), "%s%s", SERVER MONITOR, rows[i].text);
        scratch_write(s, "maxscale.cnf", text);
        assert_int_equal(scratch_load(s), SL_EINVAL);
        if (!report_has(&s->report, true, 0, rows[i].note) || s->report.error_count != 1) {
            report_print(&s->report);
            fail_msg("row %zu: %s", i, rows[i].note);
        }
    }
}

static void test_throttling(void **state)
{
    (void)state;
    struct sl_conf_throttling t;
    struct sl_err err = SL_ERR_INIT;
    assert_int_equal(sl_conf_throttling_parse("10, 1s ,5000", &t, &err), 0);
    assert_int_equal(t.count, 10);
    assert_int_equal(t.window_ms, 1000);
    assert_int_equal(t.suppress_ms, 5000);
    assert_int_equal(sl_conf_throttling_parse("10,0,5000", &t, &err), 0);
    assert_int_equal(t.count, 0);
    assert_int_equal(sl_conf_throttling_parse(NULL, &t, &err), 0);
    static const char *const bad[] = {"1", "1,2", "1,2,3,4", "a,1,1", "1,-1,1", "1,,1"};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(sl_conf_throttling_parse(bad[i], &t, &err), SL_EINVAL);
    }
}

static void test_directories(void **state)
{
    struct scratch *s = *state;
    char text[512], expected[256];
    snprintf(text, sizeof(text),
             "[maxscale]\nlogdir=/my/logs\ndatadir=\nmodule_configdir=%s\nadmin_ssl_key=k\n"
             "admin_ssl_cert=k\n",
             s->dir);
    scratch_write(s, "maxscale.cnf", text);
    scratch_write(s, "k", "");
    assert_int_equal(scratch_load(s), 0);
    const struct sl_global_settings *g = &s->config->global;
    assert_string_equal(g->logdir, "/my/logs");
    snprintf(expected, sizeof(expected), "%s/var/lib/maxscale", s->dir);
    assert_string_equal(g->datadir, expected);
    snprintf(expected, sizeof(expected), "%s/k", s->dir);
    assert_string_equal(g->admin_ssl_key, expected);
    assert_int_equal(g->threads, 0);
    assert_string_equal(sl_settings_environment_get().path_base, s->dir);
    struct sl_conf_options bad = {.main_file = "/does/not/exist.cnf"};
    struct sl_conf_report report = SL_CONF_REPORT_INIT;
    struct sl_config *other;
    assert_int_equal(sl_config_load(&bad, &test_modules, &report, &other), SL_EINVAL);
    assert_null(other);
    sl_conf_report_clear(&report);
    assert_string_equal(sl_settings_environment_get().path_base, s->dir); /* as before */
    scratch_reset(s);
    assert_null(sl_settings_environment_get().path_base);
}

static void test_encrypted_passwords(void **state)
{
    struct scratch *s = *state;
    scratch_write(s, "var/lib/maxscale/.secrets",
                  "{\"encryption_cipher\": \"EVP_aes_256_cbc\", \"encryption_key\": "
                  "\"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\"}");
    char path[256];
    snprintf(path, sizeof(path), "%s/var/lib/maxscale/.secrets", s->dir);
    scratch_write(s, "maxscale.cnf",
                  SERVER "monitoruser=x\nmonitorpw=A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
                         "A03D06D2A708710246ABAE748AFEBA10\n" MONITOR);
    assert_int_equal(scratch_load(s), SL_EINVAL);
    assert_true(report_has(&s->report, true, 0, "mode 0400"));
    chmod(path, 0400);
    assert_int_equal(scratch_load(s), 0);
    assert_string_equal(s->config->servers[0].settings.monitorpw, "SecretP@ssw0rd");
    assert_string_equal(s->config->monitors[0].settings.password, "p");
    scratch_write(s, "maxscale.cnf",
                  SERVER "monitoruser=x\nmonitorpw=A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"
                         "A03D06D2A708710246ABAE748AFEBA11\n");
    assert_int_equal(scratch_load(s), SL_EINVAL);
    assert_true(report_has(&s->report, true, 5, "invalid value of 'monitorpw'"));
}

static int open_state(void **state)
{
    *state = calloc(1, sizeof(struct scratch));
    scratch_open(*state);
    return 0;
}

static int close_state(void **state)
{
    scratch_close(*state);
    free(*state);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_state, close_state)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_galera),
        TEST(test_missing_modules),
        TEST(test_tcp),
        TEST(test_everything_wrong),
        TEST(test_note_text),
        TEST(test_cluster_and_aliases),
        TEST(test_old_module_name),
        TEST(test_cross_checks),
        TEST(test_throttling),
        TEST(test_service_targets),
        TEST(test_service_targets_refused),
        TEST(test_directories),
        TEST(test_encrypted_passwords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
