/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: SET. What a replica says of itself before it asks for the log
 * (replication-protocol: MariaDB's replica sends user variables), gtid_slave_pos, and parameters of
 * the router. Other settings of the session mean nothing here and are taken: every connector sends
 * some.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/sql.h"
#include "router/binlog/tune.h"
#include "sql/lexer.h"

#define ER_GLOBAL_ONLY 1238 /* "is a read only variable" */

/* ---- what a replica says ---- */

static uint64_t number_of(const struct sl_relay_value *v)
{
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)SL_MIN(v->text.len, sizeof text - 1),
             (const char *)v->text.data);
    return strtoull(text, NULL, 10);
}

static bool is_on(const struct sl_relay_value *v)
{
    return sl_slice_equal_nocase(v->text, "on") || sl_slice_equal_nocase(v->text, "true") ||
           number_of(v) != 0;
}

static bool keep_text(char **field, const struct sl_relay_value *v)
{
    sl_free(*field);
    *field = sl_strndup((const char *)v->text.data, v->text.len);
    return *field != NULL;
}

static bool connect_state(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->has_connect_state = v->kind != SL_RELAY_NULL;
    return keep_text(&rs->connect_state, v);
}

static bool until(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    return keep_text(&rs->until, v);
}

static bool heartbeat(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->heartbeat_ns = number_of(v);
    return true;
}

/* 'NONE', 'CRC32', or @@global.binlog_checksum, which is CRC32. */
static bool checksum(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->has_checksum = true;
    rs->checksum_is_crc32 = !sl_slice_equal_nocase(v->text, "none");
    return true;
}

static bool capability(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->capability = (uint32_t)number_of(v);
    return true;
}

static bool strict(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->strict = is_on(v);
    return true;
}

static bool ignore_duplicates(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->ignore_duplicates = is_on(v);
    return true;
}

static bool semi_sync(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->wants_semi_sync = is_on(v);
    return true;
}

static bool skip_replication(struct sl_relay_session *rs, const struct sl_relay_value *v)
{
    rs->skip_replication = is_on(v);
    return true;
}

static const struct {
    const char *name;
    bool is_user; /* @name; else a variable of the session */
    bool (*take)(struct sl_relay_session *rs, const struct sl_relay_value *v);
} said[] = {
    {"slave_connect_state", true, connect_state},
    {"slave_until_gtid", true, until},
    {"master_heartbeat_period", true, heartbeat},
    {"master_binlog_checksum", true, checksum},
    {"mariadb_slave_capability", true, capability},
    {"slave_gtid_strict_mode", true, strict},
    {"slave_gtid_ignore_duplicates", true, ignore_duplicates},
    {"rpl_semi_sync_slave", true, semi_sync},
    {"skip_replication", false, skip_replication},
};

/* False: out of memory. */
static bool take_said(struct sl_relay_session *rs, const struct sl_relay_setting *s)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(said); i++) {
        if (said[i].is_user == s->is_user && sl_slice_equal_nocase(s->name, said[i].name)) {
            return said[i].take(rs, &s->value);
        }
    }
    return true;
}

/* ---- global settings ---- */

static bool is_position(const struct sl_relay_setting *s)
{
    return !s->is_user && sl_slice_equal_nocase(s->name, "gtid_slave_pos");
}

static bool is_global(const struct sl_relay_setting *s)
{
    return !s->is_user && (s->scope == SL_SCOPE_GLOBAL || is_position(s));
}

/* The parameter behind a variable's name. */
static const struct sl_setting *row_of(struct sl_slice name)
{
    static const char *const others[][2] = {{"binlog_expire_logs_seconds", "expire_log_duration"}};
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)SL_MIN(name.len, sizeof text - 1),
             (const char *)name.data);
    for (size_t i = 0; text[i]; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(others); i++) {
        if (strcmp(text, others[i][0]) == 0) {
            return sl_settings_find(&sl_settings_binlogrouter, others[i][1]);
        }
    }
    return name.len < sizeof text ? sl_settings_find(&sl_settings_binlogrouter, text) : NULL;
}

static void refuse_value(struct sl_relay_session *rs, const struct sl_relay_setting *s,
                         const char *why)
{
    sl_session_answer_error(rs->session, 1231, "42000",
                            "Variable '%.*s' can't be set to the value of '%.*s'%s%s",
                            (int)SL_MIN(s->name.len, (size_t)64), (const char *)s->name.data,
                            (int)SL_MIN(s->value.text.len, (size_t)64),
                            (const char *)s->value.text.data, why[0] ? ": " : "", why);
}

/* One of a router's parameters into the settings; false: the error was answered. */
static bool take_parameter(struct sl_relay_session *rs, const struct sl_relay_setting *s,
                           const struct sl_setting *row, struct sl_binlog_settings *t)
{
    struct sl_err err = SL_ERR_INIT;
    bool is_default =
        s->value.kind == SL_RELAY_WORD && sl_slice_equal_nocase(s->value.text, "default");
    char *text = is_default ? sl_strdup(row->default_text ? row->default_text : "")
                            : sl_strndup((const char *)s->value.text.data, s->value.text.len);
    int rc = text ? sl_setting_parse(row, t, text, &err) : SL_ENOMEM;
    sl_free(text);
    if (rc < 0) {
        refuse_value(rs, s, err.text);
    }
    return rc == SL_OK;
}

/* False: the error was answered. */
static bool take_global(struct sl_relay_session *rs, const struct sl_relay_setting *s,
                        struct sl_binlog_settings *t)
{
    int len = (int)SL_MIN(s->name.len, (size_t)64);
    const struct sl_setting *row = row_of(s->name);
    if (row && (row->flags & SL_SETTING_RUNTIME)) {
        return take_parameter(rs, s, row, t);
    }
    if (sl_slice_equal_nocase(s->name, "read_only")) {
        if (!is_on(&s->value)) {
            refuse_value(rs, s, "nobody writes into a relay");
        }
        return is_on(&s->value);
    }
    struct sl_buf value = SL_BUF_INIT;
    bool is_known = sl_relay_variable(rs, s->name, &value);
    sl_buf_free(&value);
    if (is_known) {
        sl_session_answer_error(rs->session, ER_GLOBAL_ONLY, "HY000",
                                "Variable '%.*s' is a read only variable", len,
                                (const char *)s->name.data);
    } else {
        sl_session_answer_error(rs->session, 1193, "HY000", "Unknown system variable '%.*s'", len,
                                (const char *)s->name.data);
    }
    return false;
}

/* A parameter of the router without GLOBAL would look as if it were the session's; a password that
 * was taken and not kept would look changed. */
static bool refuse_setting(struct sl_relay_session *rs, const struct sl_relay_setting *s)
{
    if (!s->is_user && sl_slice_equal_nocase(s->name, "password")) {
        sl_session_answer_error(rs->session, 1235, "42000",
                                "This version of a binlog relay doesn't yet support 'SET "
                                "PASSWORD': accounts are those of the servers");
        return true;
    }
    if (s->is_user || is_global(s) || !row_of(s->name)) {
        return false;
    }
    sl_session_answer_error(rs->session, 1229, "HY000",
                            "Variable '%.*s' is a GLOBAL variable and should be set with SET "
                            "GLOBAL",
                            (int)SL_MIN(s->name.len, (size_t)64), (const char *)s->name.data);
    return true;
}

/* All of the statement's parameters, or none. False: the error was answered. */
static bool take_globals(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    struct sl_relay *relay = sl_relay_of(rs->session);
    struct sl_binlog_settings from, t = {0};
    struct sl_err err = SL_ERR_INIT;
    if (sl_relay_in_force(relay, &from) < 0) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return false;
    }
    if (sl_settings_copy(&sl_settings_binlogrouter, &t, &from) < 0) {
        sl_settings_clear(&sl_settings_binlogrouter, &from);
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
        return false;
    }
    bool is_good = true;
    for (unsigned i = 0; i < st->setting_count && is_good; i++) {
        const struct sl_relay_setting *s = &st->settings[i];
        if (is_global(s) && !is_position(s)) {
            is_good = take_global(rs, s, &t);
        }
    }
    if (is_good && sl_relay_tune(relay, &from, &t, &err) < 0) {
        sl_session_answer_error(rs->session, 1231, "42000", "%s", err.text);
        is_good = false;
    }
    sl_settings_clear(&sl_settings_binlogrouter, &from);
    sl_settings_clear(&sl_settings_binlogrouter, &t);
    return is_good;
}

/* ---- gtid_slave_pos ---- */

static void answer_running(struct sl_relay_session *rs)
{
    sl_session_answer_error(rs->session, 1198, "HY000",
                            "This operation cannot be performed as you have a running slave ''; "
                            "run STOP SLAVE '' first");
}

static void position_done(struct sl_relay_session *rs, struct sl_relay_ask *a)
{
    if (a->rc == SL_ESTATE) {
        answer_running(rs);
        return;
    }
    if (a->rc == SL_EEXIST) {
        sl_relay_warn(rs, false, 1947,
                      "The log has this position already and goes on from where it ends. RESET "
                      "MASTER deletes the log; then it begins where gtid_slave_pos says");
    } else if (a->rc < 0) {
        sl_session_answer_error(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "%s", a->err.text);
        return;
    }
    sl_relay_answer_ok(rs);
}

static void set_position(struct sl_relay_session *rs, const struct sl_relay_setting *s)
{
    struct sl_upstream_status up;
    struct sl_gtid_list list = SL_GTID_LIST_INIT;
    struct sl_err err = SL_ERR_INIT;
    sl_upstream_status(sl_relay_of(rs->session)->upstream, &up);
    sl_upstream_target_clear(&up.target);
    if (up.is_wanted) { /* asked again where nobody can start it meanwhile */
        answer_running(rs);
        return;
    }
    int rc = s->value.kind == SL_RELAY_STRING ? sl_gtid_position_parse(s->value.text, &list, &err)
                                              : SL_EPROTO;
    if (rc < 0) {
        sl_session_answer_error(rs->session, rc == SL_EEXIST ? 1943 : 1941, "HY000", "%s",
                                rc == SL_EEXIST ? err.text : "Could not parse GTID list");
        return;
    }
    struct sl_relay_ask *a = sl_relay_ask_new(rs, position_done);
    if (!a) {
        sl_gtid_list_free(&list);
        return;
    }
    a->position = list;
    a->has_position = list.count > 0;
    sl_relay_ask_position(rs, a);
}

/* ---- SET ---- */

void sl_relay_set(struct sl_relay_session *rs, const struct sl_relay_statement *st)
{
    const struct sl_relay_setting *position = NULL;
    bool has_global = false;
    for (unsigned i = 0; i < st->setting_count; i++) {
        if (refuse_setting(rs, &st->settings[i])) {
            return;
        }
        has_global |= is_global(&st->settings[i]);
        position = is_position(&st->settings[i]) ? &st->settings[i] : position;
    }
    if (has_global && (!sl_relay_may(rs, SL_PRIV_SUPER | SL_PRIV_REPLICATION_SLAVE_ADMIN |
                                             SL_PRIV_BINLOG_ADMIN) ||
                       !take_globals(rs, st))) {
        return;
    }
    for (unsigned i = 0; i < st->setting_count; i++) {
        if (!is_global(&st->settings[i]) && !take_said(rs, &st->settings[i])) {
            sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
            return;
        }
    }
    if (position) {
        set_position(rs, position);
    } else {
        sl_relay_answer_ok(rs);
    }
}
