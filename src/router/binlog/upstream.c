/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replica side of a relay: its thread, requests, status. Contract in relay.h.
 *
 * Owns the thread and its loop. Requests come as messages; each is carried out whole on the thread:
 * what must survive is written to master-info.json first, then it is done. `lock` guards the copies
 * that sl_upstream_status() and sl_upstream_target_get() give away, nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/upstream_internal.h"

/* ---- status ---- */

void sl_upstream_set_step(struct sl_upstream *u, enum sl_upstream_step step)
{
    u->step = step;
    u->step_since_ms = sl_loop_now_ms(u->loop);
    sl_upstream_publish(u);
}

static int64_t seconds_behind(const struct sl_upstream *u)
{
    if (u->step != SL_UPSTREAM_STREAMING) {
        return -1;
    }
    /* Nothing came for a second: there is nothing that we do not have. */
    bool is_idle = sl_loop_now_ms(u->loop) - u->last_event_ms > SL_UPSTREAM_TICK_MS;
    int64_t behind = sl_upstream_primary_now_s(u) - (int64_t)u->ingest.last_timestamp;
    return (is_idle && !u->is_full) || behind < 0 || u->ingest.last_timestamp == 0 ? 0 : behind;
}

void sl_upstream_publish(struct sl_upstream *u)
{
    const struct sl_ingest *in = &u->ingest;
    struct sl_upstream_status *s = &u->shared;
    int64_t behind = seconds_behind(u);
    pthread_mutex_lock(&u->lock);
    s->step = u->step;
    s->is_wanted = u->info.is_running;
    s->selects_master = u->info.selects_master;
    snprintf(s->server_name, sizeof(s->server_name), "%s",
             u->server != NULL ? u->server->name : "");
    s->master_server_id = in->server_id != 0 ? in->server_id : u->ask.primary_server_id;
    memcpy(s->master_file, in->file, sizeof(s->master_file));
    s->master_pos = in->pos;
    s->last_errno = u->fault.code;
    if (u->fault.code == 0) {
        s->last_error[0] = '\0';
    } else if (strcmp(s->last_error, u->fault.text) != 0) {
        memcpy(s->last_error, u->fault.text, sizeof(s->last_error));
    }
    s->last_error_s = u->fault_s;
    s->heartbeats = in->heartbeats;
    s->heartbeat_period_ms = u->heartbeat_ms;
    s->seconds_behind = behind;
    s->bytes_in = u->bytes_in;
    s->events_in = in->events;
    s->groups_in = in->groups;
    s->groups_dropped = in->groups_dropped;
    s->acks_sent = u->acks_sent;
    s->connects = u->connects;
    s->domains_new = in->domains_new;
    s->is_semi_sync = u->has_semi_sync;
    s->is_disk_full = u->is_full;
    pthread_mutex_unlock(&u->lock);
}

int sl_upstream_publish_target(struct sl_upstream *u)
{
    struct sl_upstream_target copy;
    if (sl_upstream_target_copy(&copy, &u->info.target) < 0) {
        return SL_ENOMEM;
    }
    pthread_mutex_lock(&u->lock);
    sl_upstream_target_clear(&u->shared_target);
    u->shared_target = copy;
    pthread_mutex_unlock(&u->lock);
    return SL_OK;
}

/* The alarm stays until replication is started anew; what came later stands behind it. */
static void keep_alarm(const struct sl_upstream *u, struct sl_fault *fault)
{
    const char *alarm = u->ingest.back.text;
    if (alarm[0] == '\0' || fault->code == SL_ER_RELAY_ORDER) {
        return;
    }
    char text[sizeof fault->text];
    int half = (int)(sizeof text / 2);
    snprintf(text, sizeof text, "%.*s. Then: %.*s", half, alarm, half - 16, fault->text);
    memcpy(fault->text, text, sizeof text);
    fault->code = SL_ER_RELAY_ORDER;
}

void sl_upstream_note(struct sl_upstream *u, const struct sl_fault *noted)
{
    struct sl_fault copy = *noted, *fault = &copy;
    keep_alarm(u, fault);
    bool is_news = u->fault.kind != fault->kind || strcmp(u->fault.text, fault->text) != 0;
    u->fault = *fault;
    u->fault_s = sl_clock_wall_s();
    if (is_news) {
        sl_log_error("Replication: %s (%u)", fault->text, fault->code);
    }
}

void sl_upstream_status(struct sl_upstream *u, struct sl_upstream_status *ret)
{
    pthread_mutex_lock(&u->lock);
    *ret = u->shared;
    struct sl_upstream_target shown = u->shared_target;
    shown.password = NULL;
    if (sl_upstream_target_copy(&ret->target, &shown) < 0) {
        ret->target = (struct sl_upstream_target){0};
    }
    pthread_mutex_unlock(&u->lock);
}

int sl_upstream_target_get(struct sl_upstream *u, struct sl_upstream_target *ret)
{
    pthread_mutex_lock(&u->lock);
    int rc = sl_upstream_target_copy(ret, &u->shared_target);
    pthread_mutex_unlock(&u->lock);
    return rc;
}

/* ---- requests ---- */

struct request {
    struct sl_message message;
    struct sl_upstream *upstream;
    enum sl_upstream_request what;
    struct sl_upstream_target target;
    struct sl_gtid_list position;
    bool has_position;
    struct sl_upstream_tuning tuning;
    sl_upstream_done *done;
    void *arg;
};

/* Makes `next` what is wanted, on disk first. Its target is taken, unless it is the old one. */
static int adopt(struct sl_upstream *u, const struct sl_upstream_info *next, bool has_new_target,
                 struct sl_err *err)
{
    int rc = sl_upstream_info_write(u->relay->datadir, u->secrets, next, err);
    if (rc < 0) {
        return rc;
    }
    if (has_new_target) {
        sl_upstream_target_clear(&u->info.target);
    }
    u->info = *next;
    if (has_new_target && sl_upstream_publish_target(u) < 0) {
        sl_log_error("Out of memory: SHOW SLAVE STATUS shows the old primary");
    }
    return SL_OK;
}

static int start(struct sl_upstream *u, struct sl_err *err)
{
    if (u->info.is_running) {
        return SL_OK;
    }
    if (!u->info.selects_master && sl_upstream_target_complete(&u->info.target, err) < 0) {
        return err->rc;
    }
    struct sl_upstream_info next = u->info;
    next.is_running = true;
    int rc = adopt(u, &next, false, err);
    if (rc == SL_OK) {
        u->fault = (struct sl_fault){.kind = SL_FAULT_NONE};
        sl_going_back_forget(&u->ingest.back);
        sl_upstream_set_step(u, SL_UPSTREAM_WAITING);
        sl_timer_start(u->loop, &u->wait, 1);
    }
    return rc;
}

static int stop(struct sl_upstream *u, struct sl_err *err)
{
    struct sl_upstream_info next = u->info;
    next.is_running = false;
    bool was_running = u->info.is_running;
    int rc = was_running ? adopt(u, &next, false, err) : SL_OK;
    if (rc == SL_OK) {
        sl_upstream_hang_up(u);
        sl_gtid_list_clear(&u->ingest.state);
    }
    return rc;
}

static int change(struct sl_upstream *u, struct sl_upstream_target *target, struct sl_err *err)
{
    int rc = sl_upstream_target_check(target, err);
    if (rc < 0) {
        return rc;
    }
    struct sl_upstream_info next = {.target = *target};
    if (u->info.selects_master) {
        sl_log_notice("CHANGE MASTER TO: select_master is off until RESET SLAVE ALL");
    }
    rc = adopt(u, &next, true, err);
    if (rc == SL_OK) {
        *target = (struct sl_upstream_target){0}; /* taken */
        u->server = NULL;
        u->fault = (struct sl_fault){.kind = SL_FAULT_NONE};
    }
    return rc;
}

static void forget_coordinates(struct sl_upstream *u)
{
    u->ingest.file[0] = '\0';
    u->ingest.pos = 0;
    u->ingest.server_id = 0;
    u->ask.primary_server_id = 0;
    u->fault = (struct sl_fault){.kind = SL_FAULT_NONE};
}

static int reset_all(struct sl_upstream *u, struct sl_err *err)
{
    struct sl_upstream_info next = {.selects_master = u->settings->select_master};
    int rc = adopt(u, &next, true, err);
    if (rc == SL_OK) {
        u->server = NULL;
        forget_coordinates(u);
    }
    return rc;
}

static int request_position(struct sl_upstream *u, const struct request *r, struct sl_err *err)
{
    int rc = sl_store_request_position(u->relay->store, r->has_position ? &r->position : NULL, err);
    /* SL_ESTATE is what a running slave is refused with. */
    return rc == SL_ESTATE ? sl_err_set(err, SL_EEXIST, "the log has that position already") : rc;
}

static void tune(struct sl_upstream *u, const struct sl_upstream_tuning *t)
{
    const struct sl_upstream_tuning *old = &u->tuning;
    bool is_same = old->net_timeout_ms == t->net_timeout_ms && old->ddl_only == t->ddl_only &&
                   old->acknowledges == t->acknowledges;
    u->tuning = *t;
    if (!is_same && u->step >= SL_UPSTREAM_CONNECTING && u->step <= SL_UPSTREAM_STREAMING) {
        sl_log_notice("Settings have changed: the connection to '%s' is made anew",
                      sl_upstream_peer(u));
        sl_upstream_leave(u, NULL, 0);
    }
}

static int carry_out(struct sl_upstream *u, struct request *r, struct sl_err *err)
{
    if (u->is_ending) {
        return sl_err_set(err, SL_ESTATE, "the relay is shutting down");
    }
    bool needs_rest =
        r->what != SL_UPSTREAM_START && r->what != SL_UPSTREAM_STOP && r->what != SL_UPSTREAM_TUNE;
    if (needs_rest && u->info.is_running) {
        return sl_err_set(
            err, SL_ESTATE,
            "This operation cannot be performed as you have a running slave; run STOP "
            "SLAVE first");
    }
    switch (r->what) {
    case SL_UPSTREAM_START:
        return start(u, err);
    case SL_UPSTREAM_STOP:
        return stop(u, err);
    case SL_UPSTREAM_CHANGE:
        return change(u, &r->target, err);
    case SL_UPSTREAM_RESET:
        forget_coordinates(u);
        return SL_OK;
    case SL_UPSTREAM_RESET_ALL:
        return reset_all(u, err);
    case SL_UPSTREAM_RESET_LOG:
        return sl_store_reset(u->relay->store, err);
    case SL_UPSTREAM_POSITION:
        return request_position(u, r, err);
    case SL_UPSTREAM_TUNE:
        tune(u, &r->tuning);
        return SL_OK;
    }
    return SL_EINVAL;
}

static void run_request(struct sl_message *m, struct sl_loop *loop)
{
    struct request *r = SL_CONTAINER_OF(m, struct request, message);
    struct sl_err err = SL_ERR_INIT;
    int rc = carry_out(r->upstream, r, &err);
    sl_upstream_publish(r->upstream);
    if (r->done != NULL) {
        r->done(r->arg, rc, &err);
    }
    sl_upstream_target_clear(&r->target);
    sl_gtid_list_free(&r->position);
    sl_free(r);
}

static struct request *new_request(struct sl_upstream *u, enum sl_upstream_request what,
                                   sl_upstream_done *done, void *arg)
{
    struct request *r = sl_calloc(1, sizeof(*r));
    if (r != NULL) {
        r->message.run = run_request;
        r->upstream = u;
        r->what = what;
        r->done = done;
        r->arg = arg;
    }
    return r;
}

int sl_upstream_ask(struct sl_upstream *u, enum sl_upstream_request what,
                    const struct sl_upstream_target *target, sl_upstream_done *done, void *arg)
{
    struct request *r = new_request(u, what, done, arg);
    if (r == NULL || (target != NULL && sl_upstream_target_copy(&r->target, target) < 0)) {
        sl_free(r);
        return SL_ENOMEM;
    }
    sl_loop_post(u->loop, &r->message);
    return SL_OK;
}

int sl_upstream_ask_position(struct sl_upstream *u, const struct sl_gtid_list *position,
                             sl_upstream_done *done, void *arg)
{
    struct request *r = new_request(u, SL_UPSTREAM_POSITION, done, arg);
    if (r == NULL || (position != NULL && sl_gtid_list_copy(&r->position, position) < 0)) {
        sl_free(r);
        return SL_ENOMEM;
    }
    r->has_position = position != NULL;
    sl_loop_post(u->loop, &r->message);
    return SL_OK;
}

int sl_upstream_tune(struct sl_upstream *u, const struct sl_upstream_tuning *t)
{
    struct request *r = new_request(u, SL_UPSTREAM_TUNE, NULL, NULL);
    if (r == NULL) {
        return SL_ENOMEM;
    }
    r->tuning = *t;
    sl_loop_post(u->loop, &r->message);
    return SL_OK;
}

struct sl_upstream_tuning sl_upstream_tuning(const struct sl_binlog_settings *t)
{
    return (struct sl_upstream_tuning){.net_timeout_ms = (uint64_t)t->net_timeout,
                                       .ddl_only = t->ddl_only,
                                       .acknowledges = t->rpl_semi_sync_slave_enabled};
}

/* ---- life ---- */

static void waited(struct sl_timer *t, struct sl_loop *loop)
{
    struct sl_upstream *u = SL_CONTAINER_OF(t, struct sl_upstream, wait);
    if (u->is_conn_used) {
        sl_timer_start(loop, t, 1); /* the old connection goes with this turn */
        return;
    }
    sl_upstream_go(u);
}

static void begin(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_upstream *u = SL_CONTAINER_OF(m, struct sl_upstream, begin);
    sl_timer_start(loop, &u->tick, SL_UPSTREAM_TICK_MS);
    sl_upstream_go(u);
}

static void end(struct sl_message *m, struct sl_loop *loop)
{
    struct sl_upstream *u = SL_CONTAINER_OF(m, struct sl_upstream, end);
    sl_upstream_hang_up(u);
    u->is_ending = true;
    sl_timer_stop(&u->tick);
    sl_loop_stop(loop);
}

static void *run(void *arg)
{
    struct sl_upstream *u = arg;
    sl_log_module_set("binlogrouter");
    sl_log_scope_set(u->relay->service->name);
    sl_loop_run(u->loop);
    return NULL;
}

static void load_info(struct sl_upstream *u)
{
    struct sl_err err = SL_ERR_INIT;
    bool was_plain = false;
    bool selects = u->settings->select_master;
    u->info = (struct sl_upstream_info){.selects_master = selects};
    int rc = sl_upstream_info_read(u->relay->datadir, u->secrets, &u->info, &was_plain, &err);
    if (rc == SL_OK) {
        u->info.selects_master = u->info.selects_master && selects;
    } else {
        u->info = (struct sl_upstream_info){.selects_master = selects, .is_running = selects};
    }
    if (rc < 0 && rc != SL_ENOENT) {
        struct sl_fault fault;
        sl_fault_set(&fault, SL_FAULT_REFUSED, SL_ER_RELAY_FATAL, "%s", err.text);
        sl_upstream_note(u, &fault);
    }
    if (was_plain && sl_upstream_info_write(u->relay->datadir, u->secrets, &u->info, &err) < 0) {
        sl_log_error("The password in %s/%s stays plain: %s", u->relay->datadir,
                     SL_MASTER_INFO_FILE, err.text);
    }
}

/* Where replicas find us, for SHOW SLAVE HOSTS of the primary. */
static void find_own_address(struct sl_upstream *u)
{
    const struct sl_service *service = u->relay->service;
    if (gethostname(u->report_host, sizeof(u->report_host) - 1) != 0) {
        u->report_host[0] = '\0';
    }
    const struct sl_config *config = service->core != NULL ? service->core->config : NULL;
    for (size_t i = 0; config != NULL && i < config->listener_count; i++) {
        const struct sl_conf_listener *l = &config->listeners[i];
        if (u->report_port == 0 && l->service != NULL &&
            strcmp(l->service->object.name, service->name) == 0) {
            u->report_port = (uint16_t)l->settings.port;
        }
    }
}

int sl_upstream_new(struct sl_relay *relay, struct sl_upstream **ret, struct sl_err *err)
{
    struct sl_upstream *u = sl_calloc(1, sizeof(*u));
    bool *lacks = sl_calloc(relay->service->server_count + 1, sizeof(*lacks));
    if (u == NULL || lacks == NULL) {
        sl_free(u);
        sl_free(lacks);
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    u->relay = relay;
    u->lacks = lacks;
    u->settings = relay->settings;
    u->tuning = sl_upstream_tuning(relay->settings);
    u->secrets = relay->service->core != NULL && relay->service->core->config != NULL
                     ? relay->service->core->config->secrets
                     : NULL;
    u->shared.seconds_behind = -1;
    pthread_mutex_init(&u->lock, NULL);
    sl_timer_init(&u->tick, sl_upstream_tick);
    sl_timer_init(&u->wait, waited);
    u->begin.run = begin;
    u->end.run = end;
    sl_upstream_flow_init(u);
    find_own_address(u);
    struct sl_loop_config config = {.name = "upstream", .read_budget = SL_UPSTREAM_READ_BUDGET};
    int rc = sl_loop_new(&config, &u->loop, err);
    if (rc == SL_OK) {
        load_info(u);
        sl_upstream_publish(u);
        rc = sl_upstream_publish_target(u);
    }
    if (rc == SL_OK && pthread_create(&u->thread, NULL, run, u) != 0) {
        rc = sl_err_set(err, SL_ESYS, "cannot start the replication thread");
    }
    if (rc < 0) {
        sl_upstream_free(u);
        return rc;
    }
    u->is_started = true;
    sl_loop_post(u->loop, &u->begin);
    *ret = u;
    return SL_OK;
}

void sl_upstream_free(struct sl_upstream *u)
{
    if (u == NULL) {
        return;
    }
    if (u->is_started) {
        sl_loop_post(u->loop, &u->end);
        pthread_join(u->thread, NULL);
    }
    u->is_ending = true;
    sl_loop_free(u->loop); /* releases the connection; requests still there get their answer */
    sl_ingest_free(&u->ingest);
    sl_buf_free(&u->position);
    sl_upstream_target_clear(&u->info.target);
    sl_upstream_target_clear(&u->shared_target);
    pthread_mutex_destroy(&u->lock);
    sl_free(u->lacks);
    sl_free(u);
}
