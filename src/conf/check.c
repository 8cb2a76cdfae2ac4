/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks across settings and objects. Each is a small function that may only add to the report.
 *
 * Rules: MaxScale 24.02 configuration guide; the checks of ports used twice and of servers nobody
 * watches are our own.
 */
#include "conf/check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"

#define ADDRESS_MAX 1024
#define MONITOR_LOGIN_MAX 512
#define RELAY_COMMON_ID 1234 /* what a relay without a server_id has elsewhere */
#define THROTTLE_MAX INT64_C(86400000)

struct checker {
    const struct sl_config *c;
    struct sl_conf_report *report;
};

#define FAIL(k, object, key, ...)                                                                  \
    sl_conf_error((k)->report, sl_conf_place_of((k)->c, object, key), __VA_ARGS__)
#define WARN(k, object, key, ...)                                                                  \
    sl_conf_warning((k)->report, sl_conf_place_of((k)->c, object, key), __VA_ARGS__)

static bool equal(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool longer_than(const char *text, size_t limit)
{
    return text != NULL && strlen(text) > limit;
}

/* ---- global ---- */

/* For messages about [maxscale], which is no object of the lists. */
static const struct sl_conf_object global_object = {.name = (char *)(uintptr_t) "maxscale"};

int sl_conf_throttling_parse(const char *text, struct sl_conf_throttling *ret, struct sl_err *err)
{
    static const char *const names[] = {"count", "window", "time"};
    int64_t numbers[3] = {0, 0, 0};
    *ret = (struct sl_conf_throttling){0, 0, 0};
    const char *pos = text != NULL ? text : "";
    if (*pos == '\0') {
        return 0;
    }
    for (size_t i = 0; i < 3; i++) {
        char part[32];
        size_t len = strcspn(pos, ",");
        bool is_last = pos[len] == '\0';
        if (len >= sizeof(part) || is_last != (i == 2)) {
            return sl_err_set(err, SL_EINVAL,
                              "invalid value '%.100s' of 'log_throttling': three values are "
                              "needed, such as 10,1000ms,10000ms",
                              text);
        }
        size_t skip = strspn(pos, " \t");
        size_t kept = len > skip ? len - skip : 0;
        while (kept > 0 && (pos[skip + kept - 1] == ' ' || pos[skip + kept - 1] == '\t')) {
            kept--;
        }
        memcpy(part, pos + skip, kept);
        part[kept] = '\0';
        struct sl_setting row = {.name = names[i],
                                 .type = i == 0 ? SL_SETTING_COUNT : SL_SETTING_DURATION,
                                 .flags = SL_SETTING_NO_UNIT_MS,
                                 .max = THROTTLE_MAX};
        if (sl_setting_parse(&row, &numbers[i], part, err) != 0) {
            return sl_err_wrap(err, "log_throttling");
        }
        pos += len + (is_last ? 0 : 1);
    }
    if (numbers[0] > 0 && numbers[1] > 0 && numbers[2] > 0) {
        *ret = (struct sl_conf_throttling){(uint32_t)numbers[0], (uint32_t)numbers[1],
                                           (uint32_t)numbers[2]};
    }
    return 0;
}

static void check_global(const struct checker *k)
{
    const struct sl_global_settings *g = &k->c->global;
    const struct sl_conf_object *o = &global_object;
    bool is_off = g->writeq_high_water == 0 && g->writeq_low_water == 0;
    if (!is_off && g->writeq_high_water <= g->writeq_low_water) {
        FAIL(k, o, "writeq_high_water",
             "writeq_high_water must be larger than writeq_low_water, or both must be 0");
    }
    if (g->admin_enabled && g->admin_host == NULL) {
        FAIL(k, o, "admin_host", "'admin_host' is empty");
    }
    if (g->threads > g->threads_max) {
        WARN(k, o, "threads", "threads is limited by threads_max");
    }
    if ((g->admin_ssl_key == NULL) != (g->admin_ssl_cert == NULL)) {
        FAIL(k, o, "admin_ssl_key", "admin_ssl_key and admin_ssl_cert belong together");
    }
    int sync = (g->config_sync_cluster != NULL) + (g->config_sync_user != NULL) +
               (g->config_sync_password != NULL);
    if (sync != 0 && sync != 3) {
        FAIL(k, o, "config_sync_cluster",
             "config_sync_cluster, config_sync_user and config_sync_password belong together");
    }
    struct sl_conf_throttling throttling;
    struct sl_err err = SL_ERR_INIT;
    if (sl_conf_throttling_parse(g->log_throttling, &throttling, &err) != 0) {
        FAIL(k, o, "log_throttling", "%s", err.text);
    }
}

/* ---- shared parts ---- */

static void check_tls(const struct checker *k, const struct sl_conf_object *o,
                      const struct sl_tls_settings *tls)
{
    if ((tls->ssl_key == NULL) != (tls->ssl_cert == NULL)) {
        FAIL(k, o, tls->ssl_key == NULL ? "ssl_cert" : "ssl_key",
             "ssl_key and ssl_cert belong together");
    } else if (o->kind == SL_CONF_LISTENER && tls->ssl && tls->ssl_cert == NULL) {
        FAIL(k, o, "ssl", "a listener with ssl=true needs ssl_key and ssl_cert");
    }
    if (!tls->ssl && (tls->ssl_key != NULL || tls->ssl_ca != NULL)) {
        WARN(k, o, "ssl", "TLS files are set, but ssl is not: TLS is off");
    }
}

/* "path:percent,...", each once. */
static void check_disk_limits(const struct checker *k, const struct sl_conf_object *o,
                              const char *text)
{
    for (const char *pos = text; pos != NULL && *pos != '\0';) {
        size_t len = strcspn(pos, ",");
        const char *colon = memrchr(pos, ':', len);
        char *end = NULL;
        long percent = colon != NULL ? strtol(colon + 1, &end, 10) : -1;
        if (colon == NULL || colon == pos || end != pos + len || percent < 0 || percent > 100 ||
            end == colon + 1) {
            FAIL(k, o, "disk_space_threshold",
                 "invalid value '%.*s' of 'disk_space_threshold'; allowed: path:percent,... such "
                 "as /data:80,*:90",
                 (int)SL_MIN(len, 100u), pos);
        }
        pos += len + (pos[len] == ',' ? 1 : 0);
    }
}

/* ---- servers ---- */

static void check_server(const struct checker *k, const struct sl_conf_server *s)
{
    const struct sl_server_settings *set = &s->settings;
    const struct sl_conf_object *o = &s->object;
    if ((set->address == NULL) == (set->socket == NULL)) {
        FAIL(k, o, set->address != NULL ? "socket" : NULL,
             "a server needs either 'address' or 'socket'%s",
             set->address != NULL ? ", not both" : "");
    }
    if (set->address != NULL && set->address[0] == '/') {
        FAIL(k, o, "address", "'address' is a path: use 'socket=%.200s'", set->address);
    }
    if (longer_than(set->address, ADDRESS_MAX)) {
        FAIL(k, o, "address", "'address' is longer than %d characters", ADDRESS_MAX);
    }
    if ((set->monitoruser == NULL) != (set->monitorpw == NULL)) {
        FAIL(k, o, set->monitoruser != NULL ? "monitoruser" : "monitorpw",
             "monitoruser and monitorpw belong together");
    }
    if (longer_than(set->monitoruser, MONITOR_LOGIN_MAX) ||
        longer_than(set->monitorpw, MONITOR_LOGIN_MAX)) {
        FAIL(k, o, "monitoruser", "monitoruser and monitorpw may have %d characters",
             MONITOR_LOGIN_MAX);
    }
    check_disk_limits(k, o, set->disk_space_threshold);
    check_tls(k, o, &set->tls);
}

static void check_server_pair(const struct checker *k, const struct sl_conf_server *a,
                              const struct sl_conf_server *b)
{
    const struct sl_server_settings *x = &a->settings, *y = &b->settings;
    bool is_same = equal(x->socket, y->socket) ||
                   (x->address != NULL && y->address != NULL && x->port == y->port &&
                    strcasecmp(x->address, y->address) == 0);
    if (is_same) {
        WARN(k, &b->object, NULL, "server '%s' has the same address and port", a->object.name);
    }
}

/* ---- services ---- */

static bool has_listener(const struct checker *k, const struct sl_conf_service *s)
{
    for (size_t i = 0; i < k->c->listener_count; i++) {
        if (k->c->listeners[i].service == s) {
            return true;
        }
    }
    return false;
}

static void check_tcp(const struct checker *k, const struct sl_conf_service *s)
{
    const struct sl_tcp_settings *tcp = s->router_settings;
    bool has_login = tcp->check_user != NULL && tcp->check_password != NULL;
    bool has_service_login = s->settings.user != NULL && s->settings.password != NULL;
    if ((tcp->check_user == NULL) != (tcp->check_password == NULL)) {
        FAIL(k, &s->object, "check_user", "check_user and check_password belong together");
    } else if (tcp->check == SL_TCP_CHECK_LOGIN && !has_login && !has_service_login) {
        FAIL(k, &s->object, "check",
             "check=login needs check_user and check_password, or user and password");
    }
}

/* What the relay refuses when it starts as far as the configuration alone tells it. */
static void check_relay(const struct checker *k, const struct sl_conf_service *s)
{
    const struct sl_binlog_settings *t = s->router_settings;
    const struct sl_global_settings *g = &k->c->global;
    if (t->server_id == RELAY_COMMON_ID) {
        FAIL(k, &s->object, "server_id",
             "server_id=%d is what every relay has that was given none: give this one a number "
             "that is unique among all servers and relays, or leave it out",
             RELAY_COMMON_ID);
    }
    if (t->expiration_mode == SL_BINLOG_ARCHIVE && t->archivedir == NULL) {
        FAIL(k, &s->object, "expiration_mode", "expiration_mode=archive needs archivedir");
    }
    if (t->encryption_key_id != NULL &&
        (g->key_manager != SL_KEYS_FILE || g->file_keyfile == NULL)) {
        FAIL(k, &s->object, "encryption_key_id",
             "encryption_key_id=%s needs key_manager=file and file.keyfile in [maxscale]",
             t->encryption_key_id);
    }
}

/* Two relays: each has its number and its directories for itself. */
static void check_relays(const struct checker *k, const struct sl_conf_service *one,
                         const struct sl_conf_service *other)
{
    const struct sl_binlog_settings *a = one->router_settings, *b = other->router_settings;
    if (a->server_id != 0 && a->server_id == b->server_id) {
        FAIL(k, &one->object, "server_id", "server_id=%lld is that of service '%s' too",
             (long long)a->server_id, other->object.name);
    }
    if ((a->datadir == NULL && b->datadir == NULL) || equal(a->datadir, b->datadir)) {
        FAIL(k, &one->object, a->datadir != NULL ? "datadir" : NULL,
             "service '%s' has the same datadir: each relay needs its own", other->object.name);
    }
    if (equal(a->archivedir, b->archivedir)) {
        FAIL(k, &one->object, "archivedir",
             "service '%s' has the same archivedir: each relay needs its own", other->object.name);
    }
}

static void check_relay_and_others(const struct checker *k, const struct sl_conf_service *s)
{
    check_relay(k, s);
    for (size_t i = 0; i < k->c->service_count && &k->c->services[i] != s; i++) {
        if (k->c->services[i].router_table == &sl_settings_binlogrouter) {
            check_relays(k, s, &k->c->services[i]);
        }
    }
}

static void check_watched(const struct checker *k, const struct sl_conf_service *s)
{
    if (s->router_table == &sl_settings_tcp &&
        ((const struct sl_tcp_settings *)s->router_settings)->check != SL_TCP_CHECK_MONITOR) {
        return;
    }
    for (size_t i = 0; i < s->server_count; i++) {
        if (s->servers[i]->monitor == NULL) {
            WARN(k, &s->object, "servers",
                 "no monitor watches server '%s': its state must be set by hand",
                 s->servers[i]->object.name);
        }
    }
}

/* The wait for a position and the read behind it must meet on one server, and which one that is the
 * inner service decides. */
static void check_causal_reads(const struct checker *k, const struct sl_conf_service *s)
{
    const struct sl_rwsplit_settings *rw =
        s->router_table == &sl_settings_readwritesplit ? s->router_settings : NULL;
    for (size_t i = 0; rw != NULL && i < s->target_count; i++) {
        if (rw->causal_reads != SL_CAUSAL_NONE && s->targets[i]->kind == SL_CONF_SERVICE) {
            FAIL(k, &s->object, "causal_reads",
                 "'causal_reads' cannot be kept through the target '%s', which is a service: set "
                 "it there",
                 s->targets[i]->name);
        }
    }
}

static void check_service(const struct checker *k, const struct sl_conf_service *s)
{
    const struct sl_service_settings *set = &s->settings;
    unsigned flags = s->router_table != NULL ? s->router_table->flags : 0;
    if ((flags & SL_SETTINGS_NO_LOGIN) == 0) {
        if (set->user == NULL) {
            FAIL(k, &s->object, NULL, "the parameter 'user' is missing");
        }
        if (set->password == NULL) {
            FAIL(k, &s->object, NULL, "the parameter 'password' is missing");
        }
    }
    bool names_any = set->servers != NULL || set->targets != NULL || set->cluster != NULL;
    if ((flags & SL_SETTINGS_NEEDS_SERVERS) != 0 && !names_any) {
        FAIL(k, &s->object, NULL,
             "router '%s' needs servers: set 'servers', 'targets' or 'cluster'", set->router);
    }
    if (s->router_table == &sl_settings_tcp) {
        check_tcp(k, s);
    }
    if (s->router_table == &sl_settings_binlogrouter) {
        check_relay_and_others(k, s);
    }
    if ((flags & SL_SETTINGS_NO_LOGIN) != 0 && set->filters != NULL) {
        FAIL(k, &s->object, "filters",
             "router '%s' forwards bytes and sees no statements: it can have no filters",
             set->router);
    }
    check_watched(k, s);
    check_causal_reads(k, s);
    if (!has_listener(k, s) && !s->is_target) {
        WARN(k, &s->object, NULL, "no listener leads to this service");
    }
}

/* ---- monitors ---- */

static void check_monitor(const struct checker *k, const struct sl_conf_monitor *m)
{
    check_disk_limits(k, &m->object, m->settings.disk_space_threshold);
    if (m->module_table != &sl_settings_mariadbmon) {
        return;
    }
    const struct sl_mariadbmon_settings *set = m->module_settings;
    if ((set->replication_user == NULL) != (set->replication_password == NULL)) {
        FAIL(k, &m->object, "replication_user",
             "replication_user and replication_password belong together");
    }
}

/* ---- listeners ---- */

struct authenticator {
    const char *name;
    bool is_available;
};

static const struct authenticator authenticators[] = {
    {"mariadbauth", true}, {"mysqlauth", true}, {"mysqlbackendauth", true},
    {"ed25519auth", true}, {"pamauth", false},  {"gssapiauth", false},
};

static const char *authenticator_item(const void *list, size_t i)
{
    (void)list;
    return i < SL_ARRAY_LEN(authenticators) ? authenticators[i].name : NULL;
}

struct listener_check {
    const struct checker *k;
    const struct sl_conf_listener *listener;
};

static void check_authenticator(void *arg, const char *name)
{
    const struct listener_check *check = arg;
    for (size_t i = 0; i < SL_ARRAY_LEN(authenticators); i++) {
        if (strcasecmp(authenticators[i].name, name) == 0) {
            if (!authenticators[i].is_available) {
                FAIL(check->k, &check->listener->object, "authenticator",
                     "authenticator '%s' is not available in this version", name);
            }
            return;
        }
    }
    const char *near = sl_nearest_name(name, authenticator_item, NULL);
    FAIL(check->k, &check->listener->object, "authenticator",
         "unknown authenticator '%.100s'%s%s%s; there are: mariadbauth, ed25519auth", name,
         near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
         near != NULL ? "'?" : "");
}

static void check_listener(const struct checker *k, const struct sl_conf_listener *l)
{
    static const char *const protocols[] = {[SL_PROTOCOL_POSTGRESQL] = "postgresql",
                                            [SL_PROTOCOL_NOSQL] = "nosqlprotocol",
                                            [SL_PROTOCOL_CDC] = "cdc"};
    const struct sl_listener_settings *set = &l->settings;
    if ((set->port == 0) == (set->socket == NULL)) {
        FAIL(k, &l->object, set->port != 0 ? "socket" : NULL,
             "a listener needs either 'port' or 'socket'%s", set->port != 0 ? ", not both" : "");
    }
    if (set->address == NULL) {
        FAIL(k, &l->object, "address", "'address' is empty; leave it out to listen everywhere");
    }
    if (set->protocol != SL_PROTOCOL_MARIADB) {
        FAIL(k, &l->object, "protocol", "protocol '%s' is not available in this version",
             protocols[set->protocol]);
    }
    struct listener_check check = {k, l};
    sl_conf_list_each(set->authenticator, ',', check_authenticator, &check);
    check_tls(k, &l->object, &set->tls);
}

static bool is_any_address(const char *address)
{
    return equal(address, "::") || equal(address, "0.0.0.0");
}

static bool addresses_collide(const char *a, const char *b)
{
    return (is_any_address(a) && is_any_address(b)) ||
           (a != NULL && b != NULL && strcasecmp(a, b) == 0);
}

static void check_listener_pair(const struct checker *k, const struct sl_conf_listener *a,
                                const struct sl_conf_listener *b)
{
    const struct sl_listener_settings *x = &a->settings, *y = &b->settings;
    if (equal(x->socket, y->socket)) {
        FAIL(k, &b->object, "socket", "listener '%s' has the same socket", a->object.name);
    }
    if (x->port != 0 && x->port == y->port && addresses_collide(x->address, y->address)) {
        FAIL(k, &b->object, "port", "listener '%s' has the same address and port %d",
             a->object.name, (int)x->port);
    }
}

static void check_admin_port(const struct checker *k, const struct sl_conf_listener *l)
{
    const struct sl_global_settings *g = &k->c->global;
    if (g->admin_enabled && l->settings.port == g->admin_port &&
        (addresses_collide(l->settings.address, g->admin_host) ||
         is_any_address(l->settings.address))) {
        FAIL(k, &l->object, "port", "the REST API has the same port %d", (int)g->admin_port);
    }
}

void sl_conf_check(const struct sl_config *c, struct sl_conf_report *report)
{
    struct checker k = {c, report};
    check_global(&k);
    for (size_t i = 0; i < c->server_count; i++) {
        check_server(&k, &c->servers[i]);
        for (size_t j = 0; j < i; j++) {
            check_server_pair(&k, &c->servers[j], &c->servers[i]);
        }
    }
    for (size_t i = 0; i < c->monitor_count; i++) {
        check_monitor(&k, &c->monitors[i]);
    }
    for (size_t i = 0; i < c->service_count; i++) {
        check_service(&k, &c->services[i]);
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        check_listener(&k, &c->listeners[i]);
        check_admin_port(&k, &c->listeners[i]);
        for (size_t j = 0; j < i; j++) {
            check_listener_pair(&k, &c->listeners[j], &c->listeners[i]);
        }
    }
}
