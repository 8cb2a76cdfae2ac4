/* SPDX-License-Identifier: Apache-2.0 */
/* Named scenarios of galeramon's decisions; the random ones are in tests/sim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/galera/decide.h"

#define UUID_A "11111111-c62b-11ef-9f0e-0123456789ab"
#define UUID_B "22222222-c62b-11ef-9f0e-0123456789ab"

static struct sl_galera_config config;
static struct sl_galera_memory memory;
static struct sl_galera_observation obs[8];
static struct sl_galera_plan plan;
static unsigned count;
static uint64_t now_ms;

/* A healthy cluster of `n`: view 7, indexes in order. */
static void healthy(unsigned n)
{
    memset(&config, 0, sizeof(config));
    memset(obs, 0, sizeof(obs));
    sl_galera_memory_init(&memory);
    count = n;
    now_ms = 100000;
    for (unsigned i = 0; i < n; i++) {
        struct sl_galera_observation *o = &obs[i];
        o->answer = SL_GALERA_ANSWERED;
        o->has_wsrep = o->is_primary = o->is_ready = o->is_connected = true;
        o->local_state = 4;
        o->local_index = i;
        o->cluster_size = n;
        o->conf_id = 7;
        o->flow_control_pct = -1;
        o->server_id = 7000;
        o->source_id = -1;
        strcpy(o->uuid, UUID_A);
        strcpy(o->state_comment, "Synced");
        snprintf(o->node_name, sizeof(o->node_name), "n%u", i);
        for (unsigned k = 0; k < n; k++) {
            size_t len = strlen(o->members);
            snprintf(o->members + len, sizeof(o->members) - len, "%s10.0.0.%u:3306", k ? "," : "",
                     k);
        }
    }
}

static void look(void)
{
    sl_galera_decide(&config, &memory, obs, count, now_ms, &plan);
}

static void later(uint64_t ms)
{
    now_ms += ms;
    look();
}

static void set_view(unsigned i, int64_t conf_id, int64_t size, int64_t index, const char *members)
{
    obs[i].conf_id = conf_id;
    obs[i].cluster_size = size;
    obs[i].local_index = index;
    snprintf(obs[i].members, sizeof(obs[i].members), "%s", members);
}

static void set_non_primary(unsigned i)
{
    obs[i].is_primary = false;
    obs[i].conf_id = -1;
    obs[i].cluster_size = 1;
    obs[i].local_index = 0;
}

static void silent(unsigned i)
{
    memset(&obs[i], 0, sizeof(obs[i]));
}

static void test_healthy(void **state)
{
    healthy(3);
    look();
    assert_int_equal(plan.master, 0);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_INDEX);
    assert_true(plan.node[0].is_master && plan.node[1].is_slave && plan.node[2].is_slave);
    assert_string_equal(plan.uuid, UUID_A);
    assert_int_equal(plan.cluster_size, 3);
    assert_string_equal(plan.node[1].details, "");
    assert_false(plan.wants_look);
}

static void test_each_defect_takes_the_role(void **state)
{
    for (int defect = 0; defect < 12; defect++) {
        healthy(3);
        struct sl_galera_observation *o = &obs[1];
        const enum sl_galera_reason expected[] = {
            SL_GALERA_WHY_NO_ANSWER,       SL_GALERA_WHY_UNREACHABLE,   SL_GALERA_WHY_AUTH_FAILED,
            SL_GALERA_WHY_NOT_GALERA,      SL_GALERA_WHY_NON_PRIMARY,   SL_GALERA_WHY_NOT_CONNECTED,
            SL_GALERA_WHY_NOT_READY,       SL_GALERA_WHY_NOT_SYNCED,    SL_GALERA_WHY_DESYNCED,
            SL_GALERA_WHY_REJECTS_QUERIES, SL_GALERA_WHY_DONOR_REJECTS, SL_GALERA_WHY_BAD_INDEX};
        o->answer = defect == 0   ? SL_GALERA_NO_ANSWER
                    : defect == 1 ? SL_GALERA_UNREACHABLE
                    : defect == 2 ? SL_GALERA_AUTH_FAILED
                                  : SL_GALERA_ANSWERED;
        o->has_wsrep = defect != 3;
        o->is_primary = defect != 4;
        o->is_connected = defect != 5;
        o->is_ready = defect != 6;
        o->local_state = defect == 7 ? 3 : 4;
        o->is_desynced = defect == 8;
        o->rejects_queries = defect == 9;
        o->donor_rejects_queries = defect == 10;
        o->local_index = defect == 11 ? -1 : 1;
        look();
        assert_int_equal(plan.node[1].reason, expected[defect]);
        assert_false(plan.node[1].is_joined || plan.node[1].is_slave || plan.node[1].is_master);
        assert_int_equal(plan.node[1].is_running, defect > 2);
        assert_int_equal(plan.master, 0);
    }
}

/* lab: a node in a minority says ready OFF; even one that says ready gets nothing. */
static void test_non_primary_is_never_used(void **state)
{
    healthy(3);
    for (unsigned i = 0; i < 3; i++) {
        set_non_primary(i);
    }
    look();
    assert_int_equal(plan.master, -1);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_NONE_JOINED);
    assert_string_equal(plan.node[0].details, "Non-Primary");
}

static void test_master_stays_when_indexes_move(void **state)
{
    healthy(3);
    look();
    obs[0].local_index = 2;
    obs[2].local_index = 0;
    later(2000);
    assert_int_equal(plan.master, 0);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_KEPT);
}

static void test_killed_master_moves_at_once_and_does_not_come_back(void **state)
{
    healthy(3);
    look();
    obs[0].answer = SL_GALERA_UNREACHABLE;
    later(100);
    assert_int_equal(plan.master, 1);
    obs[0].answer = SL_GALERA_ANSWERED;
    later(2000);
    assert_int_equal(plan.master, 1);
    assert_true(plan.node[0].is_slave);
}

/* lab: after SIGCONT a node says Primary, Synced, ready, size 3 with its old view for about 6 s. */
static void test_thawed_node_is_unmasked_at_once(void **state)
{
    healthy(3);
    look();
    silent(0);
    set_view(1, 8, 2, 0, "10.0.0.1:3306,10.0.0.2:3306");
    set_view(2, 8, 2, 1, "10.0.0.1:3306,10.0.0.2:3306");
    later(5000);
    assert_int_equal(plan.master, 1);
    struct sl_galera_observation view8[2] = {obs[1], obs[2]};
    struct sl_galera_memory remembered = memory;
    healthy(3);
    memory = remembered;
    obs[1] = view8[0];
    obs[2] = view8[1];
    later(5000);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_EXCLUDED);
    assert_true(plan.node[0].is_running);
    assert_false(plan.node[0].is_joined || plan.node[0].is_slave);
    assert_string_equal(plan.node[0].details, "Stale view");
    assert_int_equal(plan.master, 1);
}

/* The monitor missed the freeze: the stale node is still Master when it is unmasked, and loses
 * the role in that look. */
static void test_stale_master_is_removed_at_once(void **state)
{
    healthy(3);
    look();
    set_view(1, 8, 2, 0, "10.0.0.1:3306,10.0.0.2:3306");
    set_view(2, 8, 2, 1, "10.0.0.1:3306,10.0.0.2:3306");
    later(2000);
    assert_int_equal(plan.master, 1);
    assert_false(plan.node[0].is_joined);
}

/* Only one peer is seen, and it lists its members: proof enough. */
static void test_member_list_unmasks(void **state)
{
    healthy(3);
    look();
    set_view(1, 8, 2, 0, "10.0.0.1:3306,10.0.0.2:3306");
    silent(2);
    later(2000);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_EXCLUDED);
    assert_int_equal(plan.master, 1);
}

/* With an arbitrator the newer view cannot be seen whole; its list has an empty entry. */
static void test_arbitrator(void **state)
{
    healthy(2);
    set_view(0, 7, 3, 0, "10.0.0.0:3306,10.0.0.1:3306,");
    set_view(1, 7, 3, 1, "10.0.0.0:3306,10.0.0.1:3306,");
    look();
    assert_int_equal(plan.master, 0);
    set_view(1, 8, 2, 0, "10.0.0.1:3306,");
    later(2000);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_EXCLUDED);
    assert_int_equal(plan.master, 1);
}

/* Without usable lists and with an unseen member an older view is only suspicious: two looks and
 * 500 ms. */
static void test_suspicion_is_confirmed(void **state)
{
    healthy(3);
    look();
    for (unsigned i = 0; i < 3; i++) {
        obs[i].members[0] = '\0';
    }
    set_view(1, 8, 2, 0, "");
    silent(2);
    later(2000);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_SUSPECT);
    assert_true(plan.node[0].is_master && plan.wants_look);
    later(100);
    assert_true(plan.node[0].is_master);
    later(SL_GALERA_CONFIRM_MS);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_STALE);
    assert_int_equal(plan.master, 1);
}

/* One look is never enough, whatever the clock says. */
static void test_clock_step_does_not_confirm(void **state)
{
    healthy(3);
    look();
    obs[0].members[0] = '\0';
    set_view(1, 8, 2, 0, "");
    silent(2);
    later(3600 * 1000);
    assert_true(plan.node[0].is_master);
    now_ms -= 3600 * 1000;
    later(0);
    assert_true(plan.node[0].is_master);
}

static void test_suspect_gains_nothing(void **state)
{
    healthy(3);
    set_view(1, 8, 2, 0, "");
    obs[0].members[0] = '\0';
    silent(2);
    look();
    assert_false(plan.node[0].is_joined);
    assert_int_equal(plan.master, 1);
}

/* A join: one node shows the new view first. Nobody loses anything. */
static void test_join_does_not_flap(void **state)
{
    healthy(2);
    set_view(0, 7, 2, 0, "10.0.0.0:3306,10.0.0.1:3306");
    look();
    set_view(1, 8, 3, 1, "10.0.0.0:3306,10.0.0.1:3306,10.0.0.9:3306");
    later(2000);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_CATCHING_UP);
    assert_int_equal(plan.master, 0);
    assert_true(plan.node[1].is_slave);
    set_view(0, 8, 3, 0, obs[1].members);
    later(2000);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_SYNCED);
    assert_int_equal(memory.node[0].suspect_looks, 0);
}

/* A member that does not get through with applying loses its reads after the grace, not before. */
static void test_catching_up_is_bounded(void **state)
{
    healthy(2);
    look();
    set_view(1, 8, 3, 1, "10.0.0.0:3306,10.0.0.1:3306,10.0.0.9:3306");
    later(2000);
    later(SL_GALERA_LAG_GRACE_MS - 1);
    assert_true(plan.node[0].is_master);
    later(1);
    assert_false(plan.node[0].is_joined);
    assert_int_equal(plan.master, 1);
}

/* Somebody bootstrapped a cut-off node by hand: its view may be newer, the majority is the
 * cluster. */
/* One node under two names (server 1 is server 0) is one supporter of its view, not two. */
static void test_one_node_under_two_names(void **state)
{
    healthy(4);
    static const char members[] = "10.0.0.0:3306,10.0.0.2:3306,10.0.0.3:3306";
    for (unsigned i = 0; i < 4; i++) {
        set_view(i, 7, 3, i == 0 ? 0 : i - 1, members);
    }
    look();
    assert_int_equal(plan.node[0].same_as, -1);
    assert_int_equal(plan.node[1].same_as, 0);
    assert_int_equal(plan.node[2].same_as, -1);
    assert_true(plan.node[0].is_master && plan.node[1].is_slave && plan.node[3].is_slave);
    /* The last member is behind a view change: with node 0 counted twice all three would seem seen
     * and it would be thrown out. */
    for (unsigned i = 0; i < 3; i++) {
        obs[i].conf_id = 8;
    }
    later(2000);
    assert_int_equal(plan.node[3].reason, SL_GALERA_WHY_CATCHING_UP);
    assert_true(plan.node[3].is_slave);
    /* Bootstrapped by hand it would outvote the component of the two others. */
    healthy(4);
    set_view(0, 9, 1, 0, "10.0.0.0:3306");
    set_view(1, 9, 1, 0, "10.0.0.0:3306");
    set_view(2, 8, 2, 0, "10.0.0.2:3306,10.0.0.3:3306");
    set_view(3, 8, 2, 1, "10.0.0.2:3306,10.0.0.3:3306");
    look();
    assert_int_equal(plan.master, 2);
    assert_false(plan.node[0].is_joined || plan.node[1].is_joined);
}

static void test_lone_bootstrapped_node_loses(void **state)
{
    healthy(3);
    look();
    set_view(0, 8, 2, 0, "10.0.0.0:3306,10.0.0.1:3306");
    set_view(1, 8, 2, 1, "10.0.0.0:3306,10.0.0.1:3306");
    set_view(2, 12, 1, 0, "10.0.0.2:3306");
    later(2000);
    assert_int_equal(plan.master, 0);
    assert_int_equal(plan.node[2].reason, SL_GALERA_WHY_SPLIT);
    assert_false(plan.node[2].is_joined);
    set_view(2, 8, 1, 0, "10.0.0.2:3306"); /* the same number on both sides */
    later(2000);
    assert_int_equal(plan.master, 0);
    assert_false(plan.node[2].is_joined);
}

/* Two thawed nodes outnumber the one that went on, but they count it as theirs: they are its
 * past. */
static void test_stale_majority_loses(void **state)
{
    healthy(3);
    look();
    set_view(2, 9, 1, 0, "10.0.0.2:3306");
    later(2000);
    assert_int_equal(plan.master, 2);
    assert_false(plan.node[0].is_joined || plan.node[1].is_joined);
}

/* Seen on real servers: 0 is frozen, 1 and 2 go on, 1 is killed, 2 falls out of the Primary
 * component, 0 thaws. It is the only one that claims to be Primary, with a view of the past. */
static void test_last_claimant_with_an_old_view(void **state)
{
    healthy(3);
    struct sl_galera_observation old = obs[0];
    look();
    silent(0);
    later(5000);
    set_view(1, 8, 2, 0, "10.0.0.1:3306,10.0.0.2:3306");
    set_view(2, 8, 2, 1, "10.0.0.1:3306,10.0.0.2:3306");
    later(2000);
    obs[1].answer = SL_GALERA_UNREACHABLE;
    later(100);
    set_non_primary(2);
    obs[0] = old;
    later(2000);
    assert_int_equal(plan.master, -1);
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_EXCLUDED);
    assert_non_null(strstr(plan.node[0].why, "view 8 of 2"));
    later(2000);
    assert_int_equal(plan.master, -1);
    /* it notices, and the admin bootstraps it: a view it entered since */
    set_non_primary(0);
    later(2000);
    obs[0] = old;
    set_view(0, 1, 1, 0, "10.0.0.0:3306");
    later(2000);
    assert_int_equal(plan.master, 0);
}

static void test_foreign_cluster(void **state)
{
    healthy(3);
    strcpy(obs[0].uuid, UUID_B);
    look();
    assert_int_equal(plan.node[0].reason, SL_GALERA_WHY_FOREIGN_CLUSTER);
    assert_int_equal(plan.master, 1);
    strcpy(obs[1].uuid, "00000000-0000-0000-0000-000000000000");
    obs[1].local_state = 1;
    later(2000);
    assert_string_equal(plan.uuid, UUID_A); /* one against one: it stays */
    assert_int_equal(plan.master, 2);
}

static void test_read_only_is_last_choice(void **state)
{
    healthy(3);
    look();
    obs[0].read_only = true;
    later(2000);
    assert_int_equal(plan.master, 1);
    obs[1].read_only = obs[2].read_only = true;
    later(2000);
    assert_int_equal(plan.master, 1); /* no writable one: it stays */
}

static void test_maintenance_and_drain(void **state)
{
    healthy(3);
    look();
    obs[0].is_maintenance = true;
    later(100);
    assert_int_equal(plan.master, 1);
    obs[0].is_maintenance = false;
    obs[2].is_draining = true;
    obs[1].answer = SL_GALERA_UNREACHABLE;
    obs[0].answer = SL_GALERA_UNREACHABLE;
    later(100);
    assert_int_equal(plan.master, 2); /* the only one left */
    obs[0].answer = SL_GALERA_ANSWERED;
    later(100);
    assert_int_equal(plan.master, 0);
}

static void test_priority(void **state)
{
    healthy(3);
    config.use_priority = true;
    obs[0].priority = -1;
    obs[1].priority = 2;
    obs[2].priority = 1;
    look();
    assert_int_equal(plan.master, 2);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_PRIORITY);
    obs[2].answer = SL_GALERA_UNREACHABLE;
    later(2000);
    assert_int_equal(plan.master, 1);
    obs[2].answer = SL_GALERA_ANSWERED;
    later(2000);
    assert_int_equal(plan.master, 2); /* the better priority comes back */
    obs[1].answer = obs[2].answer = SL_GALERA_UNREACHABLE;
    later(2000);
    assert_int_equal(plan.master, -1);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_NONE_ALLOWED);
}

static void test_priority_zero_and_ties(void **state)
{
    healthy(3);
    config.use_priority = true;
    obs[1].priority = obs[2].priority = 5;
    look();
    assert_int_equal(plan.master, 1); /* first of the list on a tie; 0 never beats a positive one */
    obs[1].priority = obs[2].priority = 0;
    sl_galera_memory_init(&memory);
    look();
    assert_int_equal(plan.master, 0);
}

static void test_failback_disabled(void **state)
{
    healthy(3);
    config.use_priority = config.disable_master_failback = true;
    obs[0].priority = 1;
    obs[1].priority = 2;
    obs[2].priority = 3;
    obs[0].answer = SL_GALERA_UNREACHABLE;
    look();
    assert_int_equal(plan.master, 1);
    obs[0].answer = SL_GALERA_ANSWERED;
    later(2000);
    assert_int_equal(plan.master, 1);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_STICKY);
    assert_string_equal(plan.node[1].details, "Master Stickiness");
}

static void test_root_node(void **state)
{
    healthy(3);
    config.root_node_as_master = true;
    look();
    assert_int_equal(plan.master, 0);
    obs[0].is_maintenance = true;
    later(2000);
    assert_int_equal(plan.master, -1);
    assert_int_equal(plan.choice, SL_GALERA_CHOICE_ROOT_MISSING);
    assert_true(plan.node[1].is_slave);
    config.disable_master_failback = true; /* then the rule is ignored */
    later(2000);
    assert_int_equal(plan.master, 1);
}

static void test_roles_off(void **state)
{
    healthy(2);
    config.disable_master_role_setting = true;
    look();
    assert_int_equal(plan.master, -1);
    assert_true(plan.node[0].is_joined && !plan.node[0].is_slave && !plan.node[0].is_master);
}

static void test_donor(void **state)
{
    healthy(3);
    look();
    obs[0].local_state = 2;
    strcpy(obs[0].state_comment, "Donor/Desynced");
    later(2000);
    assert_int_equal(plan.master, 1);
    assert_string_equal(plan.node[0].details, "Donor/Desynced");
    config.available_when_donor = true;
    later(2000);
    assert_false(plan.node[0].is_joined); /* rsync blocks the donor */
    obs[0].has_nonblocking_sst = true;
    later(2000);
    assert_true(plan.node[0].is_slave);
    assert_true(plan.node[0].is_donor);
    assert_false(plan.node[1].is_donor);
}

/* It is not to be used, but still runs statements. */
static void test_leaving(void **state)
{
    healthy(3);
    look();
    assert_false(plan.node[0].is_leaving);
    obs[0].local_state = 2;
    obs[0].is_desynced = true;
    later(2000);
    assert_false(plan.node[0].is_joined);
    assert_true(plan.node[0].is_leaving);
    obs[0].rejects_queries = true; /* each statement would fail */
    later(2000);
    assert_false(plan.node[0].is_leaving);
    obs[0].rejects_queries = false;
    obs[0].is_ready = false;
    later(2000);
    assert_false(plan.node[0].is_leaving);
}

static void test_next_donor(void **state)
{
    healthy(4);
    look();
    const char *list = "n3,n2,n1";
    assert_false(sl_galera_is_next_donor(obs, &plan, count, 3, list)); /* nobody is away */
    obs[2].answer = SL_GALERA_UNREACHABLE;
    later(2000);
    assert_true(sl_galera_is_next_donor(obs, &plan, count, 3, list));
    assert_false(sl_galera_is_next_donor(obs, &plan, count, 1, list));
    assert_false(sl_galera_is_next_donor(obs, &plan, count, 3, "n3")); /* the only one is needed */
    assert_false(sl_galera_is_next_donor(obs, &plan, count, 3, "n33,n2"));
    assert_false(sl_galera_is_next_donor(obs, &plan, count, 3, ""));
    obs[2].is_maintenance = true;
    later(2000);
    assert_false(sl_galera_is_next_donor(obs, &plan, count, 3, list));
}

static void test_replica_of_the_cluster(void **state)
{
    healthy(3);
    obs[2].has_wsrep = false;
    obs[2].uuid[0] = '\0';
    obs[2].server_id = 9;
    obs[2].source_id = 7000;
    look();
    assert_int_equal(plan.node[2].reason, SL_GALERA_WHY_REPLICA);
    assert_true(plan.node[2].is_slave && !plan.node[2].is_joined);
    obs[2].source_id = 8000;
    later(2000);
    assert_false(plan.node[2].is_slave);
    /* a sick node of the cluster is no replica of it, whatever it replicates */
    healthy(3);
    set_non_primary(2);
    obs[2].source_id = 7000;
    look();
    assert_false(plan.node[2].is_slave);
}

static void test_details(void **state)
{
    healthy(3);
    obs[1].flow_control_pct = 35.2;
    obs[1].recv_queue = 120;
    obs[2].local_state = 1;
    strcpy(obs[2].state_comment, "Joining: receiving State Transfer");
    look();
    assert_string_equal(plan.node[1].details, "Flow control 35%, recv queue 120");
    assert_string_equal(plan.node[2].details, "Joining");
}

static void test_slow_answer_is_looked_at_again(void **state)
{
    healthy(3);
    obs[1].latency_ms = SL_GALERA_SLOW_ANSWER_MS + 1;
    look();
    assert_true(plan.wants_look);
}

static void test_donor_list(void **state)
{
    char list[64];
    healthy(4);
    look();
    sl_galera_donor_list(&config, obs, &plan, count, list, sizeof(list));
    assert_string_equal(list, "n3,n2,n1");
    config.use_priority = true;
    obs[0].priority = 1;
    obs[1].priority = 3;
    obs[3].priority = 2;
    look();
    sl_galera_donor_list(&config, obs, &plan, count, list, sizeof(list));
    assert_string_equal(list, "n2,n1,n3"); /* the next Master last */
    strcpy(obs[2].node_name, "a'b");
    sl_galera_donor_list(&config, obs, &plan, count, list, sizeof(list));
    assert_string_equal(list, "");
    strcpy(obs[2].node_name, "n2");
    sl_galera_donor_list(&config, obs, &plan, count, list, 6);
    assert_string_equal(list, "");
    healthy(1);
    look();
    sl_galera_donor_list(&config, obs, &plan, count, list, sizeof(list));
    assert_string_equal(list, "");
}

/* The Master is remembered while nobody is Master. */
static void test_all_gone_and_back(void **state)
{
    healthy(3);
    look();
    obs[0].local_index = 2;
    obs[2].local_index = 0;
    for (unsigned i = 0; i < 3; i++) {
        obs[i].is_primary = false;
    }
    later(2000);
    assert_int_equal(plan.master, -1);
    for (unsigned i = 0; i < 3; i++) {
        obs[i].is_primary = true;
    }
    later(2000);
    assert_int_equal(plan.master, 0);
}

static void test_names(void **state)
{
    assert_string_equal(sl_galera_reason_name(SL_GALERA_WHY_EXCLUDED), "excluded");
    assert_string_equal(sl_galera_choice_name(SL_GALERA_CHOICE_KEPT), "kept");
    assert_non_null(strstr(sl_galera_choice_text(SL_GALERA_CHOICE_INDEX), "index"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_healthy),
        cmocka_unit_test(test_each_defect_takes_the_role),
        cmocka_unit_test(test_non_primary_is_never_used),
        cmocka_unit_test(test_master_stays_when_indexes_move),
        cmocka_unit_test(test_killed_master_moves_at_once_and_does_not_come_back),
        cmocka_unit_test(test_thawed_node_is_unmasked_at_once),
        cmocka_unit_test(test_stale_master_is_removed_at_once),
        cmocka_unit_test(test_member_list_unmasks),
        cmocka_unit_test(test_arbitrator),
        cmocka_unit_test(test_suspicion_is_confirmed),
        cmocka_unit_test(test_clock_step_does_not_confirm),
        cmocka_unit_test(test_suspect_gains_nothing),
        cmocka_unit_test(test_join_does_not_flap),
        cmocka_unit_test(test_catching_up_is_bounded),
        cmocka_unit_test(test_one_node_under_two_names),
        cmocka_unit_test(test_lone_bootstrapped_node_loses),
        cmocka_unit_test(test_stale_majority_loses),
        cmocka_unit_test(test_last_claimant_with_an_old_view),
        cmocka_unit_test(test_foreign_cluster),
        cmocka_unit_test(test_read_only_is_last_choice),
        cmocka_unit_test(test_maintenance_and_drain),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_priority_zero_and_ties),
        cmocka_unit_test(test_failback_disabled),
        cmocka_unit_test(test_root_node),
        cmocka_unit_test(test_roles_off),
        cmocka_unit_test(test_donor),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_next_donor),
        cmocka_unit_test(test_replica_of_the_cluster),
        cmocka_unit_test(test_details),
        cmocka_unit_test(test_slow_answer_is_looked_at_again),
        cmocka_unit_test(test_donor_list),
        cmocka_unit_test(test_all_gone_and_back),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
