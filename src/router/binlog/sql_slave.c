/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: CHANGE MASTER, START, STOP and RESET SLAVE, RESET MASTER, PURGE, FLUSH.
 * Error numbers and texts are the server's where it has them.
 */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/sql.h"

#define ER_SLAVE_MUST_STOP 1198
#define ER_BAD_SLAVE 1200
#define ER_SLAVE_WAS_RUNNING 1254
#define ER_SLAVE_WAS_NOT_RUNNING 1255
#define ER_UNKNOWN_TARGET_BINLOG 1373
#define DEFAULT_PORT 3306

static bool is_wanted(struct sl_relay_session *rs)
{
    struct sl_upstream_status up;
    sl_upstream_status(sl_relay_of(rs->session)->upstream, &up);
    sl_upstream_target_clear(&up.target);
    return up.is_wanted;
}

static bool refuse_running(struct sl_relay_session *rs)
{
    if (!is_wanted(rs)) {
        return false;
    }
    sl_session_answer_error(rs->session, ER_SLAVE_MUST_STOP, "HY000",
                            "This operation cannot be performed as you have a running slave ''; "
                            "run STOP SLAVE '' first");
    return true;
}

/* What the upstream or the store said. */
static void finish(struct sl_relay_session *rs, struct sl_relay_ask *a)
{
    if (a->rc == SL_OK) {
        sl_relay_answer_ok(rs);
        return;
    }
    uint16_t code = a->rc == SL_ENOENT   ? ER_UNKNOWN_TARGET_BINLOG
                    : a->rc == SL_ESTATE ? ER_SLAVE_MUST_STOP
                    : a->rc == SL_EINVAL ? ER_BAD_SLAVE
                                         : SL_ER_UNKNOWN_ERROR;
    sl_session_answer_error(rs->session, code, "HY000", "%s",
                            a->rc == SL_ENOENT ? "Target log not found in binlog index"
                            : a->err.text[0]   ? a->err.text
                                               : sl_rc_text(a->rc));
}

static void ask(struct sl_relay_session *rs, enum sl_upstream_request what,
                const struct sl_upstream_target *target)
{
    struct sl_relay_ask *a = sl_relay_ask_new(rs, finish);
    if (a) {
        sl_relay_ask_upstream(rs, a, what, target);
    }
}

/* ---- CHANGE MASTER ---- */

enum option_kind {
    OPTION_TEXT, /* char * at `offset` of the target */
    OPTION_BOOL,
    OPTION_PORT,
    OPTION_PERIOD,
    OPTION_GTID,
    OPTION_RETRY,   /* taken and not used */
    OPTION_NO_FILE, /* of replication by file and position */
    OPTION_NOT      /* refused unless it says nothing */
};

#define AT(field) offsetof(struct sl_upstream_target, field)
static const struct option {
    const char *name;
    enum option_kind kind;
    size_t offset;
} options[] = {
    {"MASTER_HOST", OPTION_TEXT, AT(host)},
    {"MASTER_PORT", OPTION_PORT, 0},
    {"MASTER_USER", OPTION_TEXT, AT(user)},
    {"MASTER_PASSWORD", OPTION_TEXT, AT(password)},
    {"MASTER_USE_GTID", OPTION_GTID, 0},
    {"MASTER_SSL", OPTION_BOOL, AT(ssl)},
    {"MASTER_SSL_CA", OPTION_TEXT, AT(ssl_ca)},
    {"MASTER_SSL_CAPATH", OPTION_TEXT, AT(ssl_capath)},
    {"MASTER_SSL_CERT", OPTION_TEXT, AT(ssl_cert)},
    {"MASTER_SSL_CRL", OPTION_TEXT, AT(ssl_crl)},
    {"MASTER_SSL_CRLPATH", OPTION_TEXT, AT(ssl_crlpath)},
    {"MASTER_SSL_KEY", OPTION_TEXT, AT(ssl_key)},
    {"MASTER_SSL_CIPHER", OPTION_TEXT, AT(ssl_cipher)},
    {"MASTER_SSL_VERIFY_SERVER_CERT", OPTION_BOOL, AT(ssl_verify_server_cert)},
    {"MASTER_HEARTBEAT_PERIOD", OPTION_PERIOD, 0},
    {"MASTER_CONNECT_RETRY", OPTION_RETRY, 0},
    {"MASTER_LOG_FILE", OPTION_NO_FILE, 0},
    {"MASTER_LOG_POS", OPTION_NO_FILE, 0},
    {"RELAY_LOG_FILE", OPTION_NO_FILE, 0},
    {"RELAY_LOG_POS", OPTION_NO_FILE, 0},
    {"MASTER_BIND", OPTION_NOT, 0},
    {"MASTER_DELAY", OPTION_NOT, 0},
    {"MASTER_DEMOTE_TO_SLAVE", OPTION_NOT, 0},
    {"IGNORE_SERVER_IDS", OPTION_NOT, 0},
    {"DO_DOMAIN_IDS", OPTION_NOT, 0},
    {"IGNORE_DOMAIN_IDS", OPTION_NOT, 0},
};

static const struct option *find_option(struct sl_slice name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(options); i++) {
        if (sl_slice_equal_nocase(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

static void copy_text(struct sl_slice s, char *out, size_t size)
{
    size_t n = SL_MIN(s.len, size - 1);
    memcpy(out, s.data ? (const char *)s.data : "", n);
    out[n] = 0;
}

static bool says_nothing(const struct sl_relay_value *v)
{
    return v->text.len == 0 || sl_slice_equal(v->text, sl_slice_text("0")) ||
           sl_slice_equal(v->text, sl_slice_text("()"));
}

/* The value into a field of the target. NULL, or what is allowed. */
static const char *set_text(struct sl_upstream_target *t, const struct option *o,
                            const struct sl_relay_value *v)
{
    if (v->kind != SL_RELAY_STRING || memchr(v->text.data, 0, v->text.len)) {
        return "a string";
    }
    char **field = (char **)(void *)((char *)t + o->offset);
    if (*field) {
        sl_wipe(*field, strlen(*field));
        sl_free(*field);
    }
    *field = v->text.len > 0 ? sl_strndup((const char *)v->text.data, v->text.len) : NULL;
    return NULL;
}

static const char *set_number(struct sl_upstream_target *t, const struct option *o,
                              const struct sl_relay_value *v)
{
    char text[24], *end;
    copy_text(v->text, text, sizeof text);
    double n = strtod(text, &end);
    bool is_number = v->kind == SL_RELAY_NUMBER && *end == 0 && v->text.len < sizeof text;
    switch (o->kind) {
    case OPTION_BOOL:
        if (!is_number || (n != 0 && n != 1)) {
            return "0 or 1";
        }
        *(bool *)((char *)t + o->offset) = n != 0;
        return NULL;
    case OPTION_PORT:
        if (!is_number || n < 1 || n > 65535 || n != (double)(uint16_t)n) {
            return "a port from 1 to 65535";
        }
        t->port = (uint16_t)n;
        return NULL;
    case OPTION_PERIOD:
        if (!is_number || n < 0 || n > 4294967) {
            return "seconds from 0 to 4294967";
        }
        t->heartbeat_period_ms = n > 0 ? (uint32_t)SL_MAX(n * 1000, 1) : 0;
        return NULL;
    default:
        return is_number ? NULL : "a number";
    }
}

static bool is_gtid_word(const struct sl_relay_value *v)
{
    return v->kind == SL_RELAY_WORD && (sl_slice_equal_nocase(v->text, "slave_pos") ||
                                        sl_slice_equal_nocase(v->text, "replica_pos") ||
                                        sl_slice_equal_nocase(v->text, "current_pos"));
}

/* One option; false: the error was answered. */
static bool apply(struct sl_relay_session *rs, const struct sl_relay_setting *s,
                  struct sl_upstream_target *t)
{
    const struct option *o = find_option(s->name);
    const char *allowed = NULL;
    if (!o) {
        sl_relay_answer_syntax(rs, s->name);
        return false;
    }
    if (o->kind == OPTION_NO_FILE || (o->kind == OPTION_GTID && !is_gtid_word(&s->value))) {
        sl_session_answer_error(rs->session, ER_SLAVE_MUST_STOP, "HY000",
                                "%s: a binlog relay replicates by GTID only; use "
                                "MASTER_USE_GTID=slave_pos, and SET GLOBAL gtid_slave_pos for "
                                "where to begin",
                                o->name);
        return false;
    }
    if (o->kind == OPTION_NOT && !says_nothing(&s->value)) {
        sl_session_answer_error(rs->session, ER_SLAVE_MUST_STOP, "HY000",
                                "%s is not supported by a binlog relay", o->name);
        return false;
    }
    if (o->kind == OPTION_TEXT) {
        allowed = set_text(t, o, &s->value);
    } else if (o->kind != OPTION_GTID && o->kind != OPTION_NOT) {
        allowed = set_number(t, o, &s->value);
    }
    if (o->kind == OPTION_RETRY && !allowed) {
        sl_relay_warn(rs, false, ER_SLAVE_MUST_STOP,
                      "MASTER_CONNECT_RETRY is not used: the relay tries again each second");
    }
    if (allowed) {
        sl_session_answer_error(rs->session, ER_SLAVE_MUST_STOP, "HY000", "%s takes %s", o->name,
                                allowed);
    }
    return allowed == NULL;
}

void sl_relay_change_master(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    struct sl_upstream_target t = {0};
    if (refuse_running(rs)) {
        return;
    }
    if (sl_upstream_target_get(sl_relay_of(rs->session)->upstream, &t) < 0) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return;
    }
    bool is_good = true;
    for (unsigned i = 0; i < st->setting_count && is_good; i++) {
        is_good = apply(rs, &st->settings[i], &t);
    }
    if (is_good) {
        t.port = t.port ? t.port : DEFAULT_PORT;
        ask(rs, SL_UPSTREAM_CHANGE, &t);
    }
    sl_upstream_target_clear(&t);
}

/* ---- START, STOP, RESET ---- */

/* What START needs, unless the monitor chooses. */
static bool is_complete(struct sl_relay_session *rs)
{
    struct sl_upstream_status up;
    sl_upstream_status(sl_relay_of(rs->session)->upstream, &up);
    const char *host = up.target.host, *user = up.target.user;
    bool has_host = host && host[0], has_user = user && user[0];
    bool is = up.selects_master || (has_host && has_user);
    sl_upstream_target_clear(&up.target);
    if (!is) {
        sl_session_answer_error(rs->session, ER_BAD_SLAVE, "HY000",
                                "Misconfigured slave: %s%s%s was not set; Fix in config file or "
                                "with CHANGE MASTER TO",
                                has_host ? "" : "MASTER_HOST", has_host || has_user ? "" : ", ",
                                has_user ? "" : "MASTER_USER");
    }
    return is;
}

void sl_relay_start_slave(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (st->has_until) {
        sl_session_answer_error(rs->session, 1235, "42000",
                                "This version of a binlog relay doesn't yet support 'START SLAVE "
                                "UNTIL'");
    } else if (is_wanted(rs) || st->only_sql) {
        sl_relay_warn(rs, true, ER_SLAVE_WAS_RUNNING,
                      st->only_sql ? "A binlog relay has no SQL thread"
                                   : "Slave is already running");
        sl_relay_answer_ok(rs);
    } else if (is_complete(rs)) {
        ask(rs, SL_UPSTREAM_START, NULL);
    }
}

void sl_relay_stop_slave(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (!is_wanted(rs) || st->only_sql) {
        sl_relay_warn(rs, true, ER_SLAVE_WAS_NOT_RUNNING,
                      st->only_sql ? "A binlog relay has no SQL thread"
                                   : "Slave already has been stopped");
        sl_relay_answer_ok(rs);
    } else {
        ask(rs, SL_UPSTREAM_STOP, NULL);
    }
}

void sl_relay_reset_slave(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (!refuse_running(rs)) {
        ask(rs, st->has_option ? SL_UPSTREAM_RESET_ALL : SL_UPSTREAM_RESET, NULL);
    }
}

/* ---- what changes files ---- */

static int purge_to(struct sl_relay_ask *a, struct sl_err *err)
{
    return sl_store_purge_to(a->relay->store, a->file, err);
}

static int purge_before(struct sl_relay_ask *a, struct sl_err *err)
{
    return sl_store_purge_before(a->relay->store, a->time_s, err);
}

static void work(struct sl_relay_session *rs,
                 int (*what)(struct sl_relay_ask *a, struct sl_err *err), struct sl_slice file,
                 int64_t time_s)
{
    struct sl_relay_ask *a = sl_relay_ask_new(rs, finish);
    if (a) {
        a->work = what;
        a->time_s = time_s;
        copy_text(file, a->file, sizeof a->file);
        sl_relay_ask_thread(rs, a);
    }
}

void sl_relay_reset_master(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (!refuse_running(rs)) {
        sl_log_warning("Service '%s': RESET MASTER by '%s': all binlogs are deleted",
                       rs->session->service->name, rs->session->client_user);
        ask(rs, SL_UPSTREAM_RESET_LOG, NULL);
    }
}

void sl_relay_purge_to(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    if (st->text.len > SL_BINLOG_FILE_NAME_MAX) {
        sl_session_answer_error(rs->session, ER_UNKNOWN_TARGET_BINLOG, "HY000",
                                "Target log not found in binlog index");
        return;
    }
    work(rs, purge_to, st->text, 0);
}

void sl_relay_purge_before(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    int64_t time_s;
    if (sl_relay_time_value(&st->time, sl_clock_wall_s(), &time_s)) {
        work(rs, purge_before, sl_slice(NULL, 0), time_s);
        return;
    }
    sl_session_answer_error(rs->session, 1525, "HY000",
                            "Incorrect DATETIME value: '%.*s'; expected 'YYYY-MM-DD hh:mm:ss'",
                            (int)SL_MIN(st->time.text.len, (size_t)64),
                            (const char *)st->time.text.data);
}

void sl_relay_flush_logs(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    sl_store_rotate_soon(sl_relay_of(rs->session)->store);
    sl_relay_answer_ok(rs);
}

/* ---- times ---- */

#define PARTS 6

/* The numbers of 'YYYY-MM-DD hh:mm:ss', or of YYYYMMDD[hhmmss]. Returns how many, 0 if wrong. */
static unsigned split_time(struct sl_slice text, int parts[PARTS])
{
    unsigned count = 0;
    bool is_packed = text.len == 8 || text.len == 14;
    for (size_t i = 0; i < text.len; i++) {
        is_packed &= isdigit(text.data[i]) != 0;
    }
    size_t i = 0;
    while (i < text.len && count < PARTS) {
        size_t digits = 0, most = is_packed && count > 0 ? 2 : 4;
        int n = 0;
        for (; i < text.len && digits < most && isdigit(text.data[i]); i++, digits++) {
            n = n * 10 + (text.data[i] - '0');
        }
        if (digits == 0) {
            return 0;
        }
        parts[count++] = n;
        i += !is_packed && i < text.len && !isdigit(text.data[i]);
    }
    return count;
}

static bool from_text(struct sl_slice text, struct tm *tm)
{
    int p[PARTS] = {0};
    unsigned count = split_time(text, p);
    if (count < 3 || p[0] < 1970 || p[1] < 1 || p[1] > 12 || p[2] < 1 || p[2] > 31 || p[3] > 23 ||
        p[4] > 59 || p[5] > 59) {
        return false;
    }
    *tm = (struct tm){.tm_year = p[0] - 1900,
                      .tm_mon = p[1] - 1,
                      .tm_mday = p[2],
                      .tm_hour = p[3],
                      .tm_min = p[4],
                      .tm_sec = p[5],
                      .tm_isdst = -1};
    return true;
}

bool sl_relay_time_value(const struct sl_relay_time *t, int64_t now_s, int64_t *ret_s)
{
    struct tm tm;
    time_t now = (time_t)now_s;
    if (t->is_unix) {
        char text[24];
        copy_text(t->text, text, sizeof text);
        *ret_s = strtoll(text, NULL, 10);
        return true;
    }
    if (!t->is_now) {
        if (!from_text(t->text, &tm)) {
            return false;
        }
    } else if (t->unit >= 0) {
        *ret_s = now_s - t->amount * t->unit;
        return true;
    } else if (t->amount > 120000) {
        return false; /* 10 000 years */
    } else {
        localtime_r(&now, &tm);
        int months = (int)(t->amount * -t->unit);
        tm.tm_year -= months / 12;
        tm.tm_mon -= months % 12;
        tm.tm_isdst = -1;
    }
    time_t value = mktime(&tm);
    *ret_s = (int64_t)value;
    return value != (time_t)-1;
}
