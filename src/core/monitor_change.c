/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor frame: what has changed since the last tick. Names the event, logs it, stores it with
 * the server, and keeps the journal, from which the next start takes the states.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/journal.h"
#include "core/monitor_internal.h"

#define JOURNAL_PERIOD_MS 300000 /* written at least so often */

#define ROLE_BITS                                                                                  \
    ((uint32_t)(SL_SERVER_MASTER | SL_SERVER_SLAVE | SL_SERVER_JOINED | SL_SERVER_RELAY |          \
                SL_SERVER_BLR))
/* A difference in one of these is a state change. */
#define EVENT_BITS (ROLE_BITS | (uint32_t)(SL_SERVER_RUNNING | SL_SERVER_MAINT))

/* ---- events ---- */

/* The words per role are constants, so that names need no buffer. */
static const struct {
    uint32_t bit;
    const char *up, *down, *lost, *gained;
} roles[] = {
    {SL_SERVER_MASTER, "master_up", "master_down", "lost_master", "new_master"},
    {SL_SERVER_SLAVE, "slave_up", "slave_down", "lost_slave", "new_slave"},
    {SL_SERVER_JOINED, "synced_up", "synced_down", "lost_synced", "new_synced"},
    {SL_SERVER_RELAY, "relay_up", "relay_down", "lost_relay", "new_relay"},
    {SL_SERVER_BLR, "blr_up", "blr_down", "lost_blr", "new_blr"},
    {0, "server_up", "server_down", NULL, NULL},
};

static size_t role_row(uint32_t status)
{
    size_t i = 0;
    while (roles[i].bit && !(status & roles[i].bit)) {
        i++;
    }
    return i;
}

const char *sl_monitor_event_name(uint32_t old_status, uint32_t new_status)
{
    const uint32_t main_roles = SL_SERVER_MASTER | SL_SERVER_SLAVE;
    bool was_running = old_status & SL_SERVER_RUNNING;
    bool is_running = new_status & SL_SERVER_RUNNING;
    if (((old_status ^ new_status) & EVENT_BITS) == 0 ||
        ((old_status | new_status) & SL_SERVER_MAINT) || (!was_running && !is_running)) {
        return NULL;
    }
    if (!was_running) {
        return roles[role_row(new_status)].up;
    }
    if (!is_running) {
        return roles[role_row(old_status)].down;
    }
    uint32_t before = old_status & main_roles;
    uint32_t after = new_status & main_roles;
    bool is_loss = (old_status & ROLE_BITS) && (!before || !after || before == after);
    return is_loss ? roles[role_row(old_status)].lost : roles[role_row(new_status)].gained;
}

static void server_label(const struct sl_server *s, char *out, size_t size)
{
    if (s->settings.socket && s->settings.socket[0]) {
        snprintf(out, size, "%s[%s]", s->name, s->settings.socket);
    } else {
        snprintf(out, size, "%s[%s:%d]", s->name, s->settings.address ? s->settings.address : "",
                 (int)s->settings.port);
    }
}

/* Why a server cannot be used is said when that is news: at the first tick, when it was running,
 * when its login fails anew. */
static void log_failure(struct sl_monitor *m, struct sl_monitor_probe *p, uint32_t new_status)
{
    bool is_new_auth = (new_status & ~p->last_status) & SL_SERVER_AUTH_ERROR;
    bool is_news =
        atomic_load(&m->ticks) == 0 || (p->last_status & SL_SERVER_RUNNING) || is_new_auth;
    if ((new_status & SL_SERVER_RUNNING) || !is_news || (new_status & SL_SERVER_MAINT)) {
        return;
    }
    char label[256];
    server_label(p->server, label, sizeof(label));
    if (!p->answered) {
        sl_log_error("Server %s did not answer within %llu ms", label,
                     (unsigned long long)sl_monitor_round_deadline_ms(m));
    } else if (p->err.rc < 0) {
        sl_log_error("Monitor was unable to connect to server %s: %s", label, p->err.text);
    }
}

static void log_change(struct sl_monitor_probe *p, const char *event, uint32_t new_status)
{
    char label[256], before[160], after[160];
    uint32_t connections = sl_server_connections(p->server);
    server_label(p->server, label, sizeof(label));
    sl_status_text(p->last_status, connections, before, sizeof(before));
    sl_status_text(new_status, connections, after, sizeof(after));
    sl_log_notice("Server changed state: %s: %s%s[%s] -> [%s]%s%s%s", label, event ? event : "",
                  event ? ". " : "", before, after, p->why[0] ? " (" : "", p->why,
                  p->why[0] ? ")" : "");
}

static void store_info(struct sl_monitor_probe *p, const char *event)
{
    struct sl_server_info now;
    sl_server_info_get(p->server, &now);
    struct sl_server_info next = p->is_published ? p->info : now;
    memcpy(next.last_event, now.last_event, sizeof(next.last_event));
    next.triggered_at_s = now.triggered_at_s;
    next.is_monitored = true;
    if (event) {
        snprintf(next.last_event, sizeof(next.last_event), "%s", event);
        next.triggered_at_s = sl_clock_wall_s();
    }
    sl_server_info_set(p->server, &next);
}

/* Compares with the end of the last tick; true when anything in the word changed. */
bool sl_monitor_note_change(struct sl_monitor *m, struct sl_monitor_probe *p)
{
    uint32_t new_status = sl_server_status(p->server);
    const char *event = sl_monitor_event_name(p->last_status, new_status);
    log_failure(m, p, new_status);
    if (((p->last_status ^ new_status) &
         (EVENT_BITS | SL_SERVER_DRAINING | SL_SERVER_AUTH_ERROR)) != 0) {
        log_change(p, event, new_status);
    }
    store_info(p, event);
    bool has_changed = p->last_status != new_status;
    p->last_status = new_status;
    return has_changed;
}

void sl_monitor_journal_write(struct sl_monitor *m)
{
    if (!m->journal_path) {
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        m->words[i] = m->probes[i].last_status;
    }
    struct sl_journal j = {m->journal_path, m->module->name, m->names, m->count};
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_journal_write(&j, m->words, sl_clock_wall_s(), &err);
    if (rc < 0 && !m->has_journal_error) {
        sl_log_warning("%s", err.text);
    }
    m->has_journal_error = rc < 0;
    m->journal_written_ms = sl_clock_mono_ms();
}

bool sl_monitor_journal_is_due(const struct sl_monitor *m)
{
    uint64_t period_ms =
        (uint64_t)SL_MIN((int64_t)JOURNAL_PERIOD_MS, m->settings.journal_max_age / 2);
    return sl_clock_mono_ms() - m->journal_written_ms >= period_ms;
}

void sl_monitor_journal_use(struct sl_monitor *m)
{
    if (!m->load_journal || !m->journal_path) {
        return;
    }
    m->load_journal = false; /* a later start goes on from the status words */
    struct sl_journal j = {m->journal_path, m->module->name, m->names, m->count};
    struct sl_err err = SL_ERR_INIT;
    int rc =
        sl_journal_read(&j, m->words, sl_clock_wall_s(), m->settings.journal_max_age / 1000, &err);
    if (rc == SL_ENOENT) {
        return;
    }
    if (rc < 0) {
        sl_log_warning("Monitor '%s' starts without its journal: %s", m->name, err.text);
        return;
    }
    for (unsigned i = 0; i < m->count; i++) {
        sl_server_status_change(m->probes[i].server,
                                m->words[i] & (SL_MONITOR_BITS | SL_MONITOR_ADMIN_BITS), 0);
    }
    sl_log_info("Monitor '%s' starts from journal '%s'", m->name, m->journal_path);
}
