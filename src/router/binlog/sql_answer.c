/* SPDX-License-Identifier: Apache-2.0 */
/* Router binlogrouter: result sets, errors and warnings of statements; who may what. See sql.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "router/binlog/sql.h"

#define CELLS_MAX SL_RELAY_COLUMNS_MAX
#define NEAR_MAX 80 /* bytes of the statement that an error shows, as a server does */

static void send_all(struct sl_relay_session *rs, struct sl_buf *buf, int rc, uint8_t next_seq)
{
    if (rc < 0) {
        sl_session_fail(rs->session, SL_ER_UNKNOWN_ERROR, NULL, "Out of memory");
    } else {
        sl_relay_answered(rs, buf, next_seq);
    }
    sl_buf_free(buf);
}

/* ---- result sets ---- */

void sl_relay_rows_begin(struct sl_relay_rows *r, struct sl_relay_session *rs,
                         const struct sl_resultset_column *columns, size_t count)
{
    *r = (struct sl_relay_rows){.rs = rs, .buf = SL_BUF_INIT};
    sl_resultset_begin(&r->set, &r->buf, rs->session->next_seq, rs->session->capabilities,
                       sl_relay_status(rs), columns, count);
}

void sl_relay_rows_add(struct sl_relay_rows *r, const char *const *cells)
{
    struct sl_slice values[CELLS_MAX];
    sl_assert(r->set.column_count <= CELLS_MAX);
    for (size_t i = 0; i < r->set.column_count; i++) {
        values[i] = cells[i] ? sl_slice_text(cells[i]) : sl_slice(NULL, 0);
    }
    sl_resultset_row(&r->set, values);
}

void sl_relay_rows_end(struct sl_relay_rows *r)
{
    int rc = sl_resultset_end(&r->set);
    send_all(r->rs, &r->buf, rc, r->set.seq);
}

void sl_relay_rows_none(struct sl_relay_session *rs, const struct sl_resultset_column *columns,
                        size_t count)
{
    struct sl_relay_rows rows;
    sl_relay_rows_begin(&rows, rs, columns, count);
    sl_relay_rows_end(&rows);
}

/* ---- warnings ---- */

unsigned sl_relay_warning_count(const struct sl_relay_session *rs)
{
    return (unsigned)(sl_buf_len(&rs->warnings) / sizeof(struct sl_relay_warning));
}

void sl_relay_warn(struct sl_relay_session *rs, bool is_note, uint16_t code, const char *fmt, ...)
{
    struct sl_relay_warning w = {.code = code, .is_note = is_note};
    va_list args;
    va_start(args, fmt);
    vsnprintf(w.text, sizeof w.text, fmt, args);
    va_end(args);
    if (sl_relay_warning_count(rs) < SL_RELAY_WARNINGS_MAX) {
        int rc = sl_buf_append(&rs->warnings, &w, sizeof w);
        (void)rc; /* without memory it is only not shown */
    }
}

void sl_relay_answer_ok(struct sl_relay_session *rs)
{
    struct sl_buf out = SL_BUF_INIT;
    int rc = sl_packet_build_ok(&out, rs->session->next_seq, 0, 0, sl_relay_status(rs),
                                (uint16_t)sl_relay_warning_count(rs), NULL);
    send_all(rs, &out, rc, (uint8_t)(rs->session->next_seq + 1));
}

void sl_relay_use_database(struct sl_relay_session *rs, struct sl_slice name)
{
    if (sl_slice_equal_nocase(name, "information_schema") || sl_slice_equal_nocase(name, "mysql")) {
        sl_relay_answer_ok(rs);
        return;
    }
    sl_session_answer_error(rs->session, SL_ER_BAD_DB, NULL, "Unknown database '%.*s'",
                            (int)SL_MIN(name.len, (size_t)64), (const char *)name.data);
}

void sl_relay_answer_syntax(struct sl_relay_session *rs, struct sl_slice near)
{
    sl_session_answer_error(rs->session, SL_ER_PARSE, NULL,
                            "You have an error in your SQL syntax; a binlog relay knows only "
                            "statements about replication; it stopped near '%.*s' at line 1",
                            (int)SL_MIN(near.len, (size_t)NEAR_MAX), (const char *)near.data);
}

/* ---- rights ---- */

/* The account that logged in. NULL: accounts are not known, or it is gone. */
static const struct sl_account *account_of(struct sl_session *s, const struct sl_accounts *a)
{
    const struct sl_account *account = NULL;
    struct sl_account_query q = {.user = sl_slice_text(s->client_user ? s->client_user : ""),
                                 .client = &s->peer,
                                 .match_host = s->listener->match_host,
                                 .allow_root = true,
                                 .client_has_tls = true,
                                 .client_has_certificate = true};
    if (sl_accounts_find(a, &q, &account) == SL_ACCOUNT_NEEDS_NAME) {
        q.match_host =
            false; /* its name was looked up for the login; the user has rights anywhere */
        sl_accounts_find(a, &q, &account);
    }
    return account;
}

static bool has_one(struct sl_session *s, uint32_t any_of)
{
    if (s->listener->skip_authentication) {
        return true; /* whoever comes was let in without a name */
    }
    struct sl_accounts *a = sl_account_manager_get(s->service->accounts);
    const struct sl_account *account = a ? account_of(s, a) : NULL;
    bool has = account && (sl_accounts_privileges(a, account) & any_of) != 0;
    if (account && !account->knows_privileges && any_of == SL_PRIV_REPLICATION_SLAVE) {
        has = true; /* of a file that tells no privileges: it is there for replicas */
    }
    sl_accounts_unref(a);
    return has;
}

bool sl_relay_may(struct sl_relay_session *rs, uint32_t any_of)
{
    static const struct {
        uint32_t privilege;
        const char *name;
    } names[] = {
        {SL_PRIV_SUPER, "SUPER"},
        {SL_PRIV_RELOAD, "RELOAD"},
        {SL_PRIV_REPLICATION_SLAVE, "REPLICATION SLAVE"},
        {SL_PRIV_REPLICATION_SLAVE_ADMIN, "REPLICATION SLAVE ADMIN"},
        {SL_PRIV_BINLOG_ADMIN, "BINLOG ADMIN"},
        {SL_PRIV_BINLOG_MONITOR, "BINLOG MONITOR"},
    };
    if (has_one(rs->session, any_of)) {
        return true;
    }
    char text[160] = "";
    for (unsigned i = 0; i < SL_ARRAY_LEN(names); i++) {
        size_t at = strlen(text);
        if (any_of & names[i].privilege) {
            snprintf(text + at, sizeof text - at, "%s%s", at > 0 ? ", " : "", names[i].name);
        }
    }
    sl_session_answer_error(rs->session, SL_ER_SPECIFIC_ACCESS_DENIED, NULL,
                            "Access denied; you need (at least one of) the %s privilege(s) for "
                            "this operation",
                            text);
    return false;
}
