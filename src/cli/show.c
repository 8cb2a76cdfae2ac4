/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `show ...`: everything about one object, or about each object of a kind, one table an object. The
 * tables below are the rows, in the order and with the names that MaxScale 24.02 prints.
 */
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"

static const struct sl_cli_field SERVER[] = {
    {"Server", "id"},
    {"Source", "attributes.source.file"},
    {"Address", .make = sl_cli_field_server_address},
    {"Port", "attributes.parameters.port"},
    {"State", .make = sl_cli_field_server_state},
    {"Version", "attributes.version_string"},
    {"Uptime", "attributes.uptime"},
    {"Last Event", "attributes.last_event"},
    {"Triggered At", "attributes.triggered_at"},
    {"Services", "relationships.services.data[].id"},
    {"Monitors", "relationships.monitors.data[].id"},
    {"Master ID", "attributes.master_id"},
    {"Node ID", "attributes.node_id"},
    {"Slave Server IDs", "attributes.slaves"},
    {"Current Connections", "attributes.statistics.connections"},
    {"Total Connections", "attributes.statistics.total_connections"},
    {"Max Connections", "attributes.statistics.max_connections"},
    {"Statistics", "attributes.statistics"},
    {"Parameters", "attributes.parameters"},
};
static const struct sl_cli_field SERVICE[] = {
    {"Service", "id"},
    {"Source", "attributes.source.file"},
    {"Router", "attributes.router"},
    {"State", "attributes.state"},
    {"Started At", "attributes.started", SL_CLI_FIELD_LOCAL_TIME},
    {"Users Loaded At", "attributes.users_last_update", SL_CLI_FIELD_LOCAL_TIME},
    {"Current Connections", "attributes.statistics.connections"},
    {"Total Connections", "attributes.statistics.total_connections"},
    {"Max Connections", "attributes.statistics.max_connections"},
    {"Cluster", "relationships.monitors.data[].id"},
    {"Servers", "relationships.servers.data[].id"},
    {"Services", "relationships.services.data[].id"},
    {"Filters", "relationships.filters.data[].id"},
    {"Parameters", "attributes.parameters"},
    {"Statistics", "attributes.statistics"},
    {"Router Diagnostics", "attributes.router_diagnostics"},
};
static const struct sl_cli_field MONITOR[] = {
    {"Monitor", "id"},
    {"Source", "attributes.source.file"},
    {"Module", "attributes.module"},
    {"State", "attributes.state"},
    {"Servers", "relationships.servers.data[].id"},
    {"Parameters", "attributes.parameters"},
    {"Monitor Diagnostics", "attributes.monitor_diagnostics"},
};
static const struct sl_cli_field SESSION[] = {
    {"Id", "id"},
    {"Service", "relationships.services.data[].id"},
    {"State", "attributes.state"},
    {"User", "attributes.user"},
    {"Host", "attributes.remote"},
    {"Port", "attributes.port"},
    {"Database", "attributes.database"},
    {"Connected", "attributes.connected", SL_CLI_FIELD_LOCAL_TIME},
    {"Idle", "attributes.idle"},
    {"Parameters", "attributes.parameters"},
    {"Client TLS Cipher", "attributes.client.cipher"},
    {"Connection attributes", "attributes.client.connection_attributes"},
    {"Connections", "attributes.connections[].server"},
    {"Connection IDs", "attributes.connections[].connection_id"},
    {"Queries", "attributes.queries[].statement"},
    {"Log", "attributes.log"},
    {"Memory", "attributes.memory"},
    {"I/O Activity", "attributes.io_activity"},
    {"Activity", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_activity},
    {"Transaction", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_transaction},
    {"Locked To Primary", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_lock},
    {"Server Connections", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_connections},
    {"Session Commands", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_history},
    {"Prepared Statements", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_prepared},
    {"Last Statements", NULL, SL_CLI_FIELD_OPTIONAL, sl_cli_session_statements},
};
static const struct sl_cli_field FILTER[] = {
    {"Filter", "id"},
    {"Source", "attributes.source.file"},
    {"Module", "attributes.module"},
    {"Services", "relationships.services.data[].id"},
    {"Parameters", "attributes.parameters"},
    {"Diagnostics", "attributes.filter_diagnostics"},
};
static const struct sl_cli_field LISTENER[] = {
    {"Name", "id"},
    {"Source", "attributes.source.file"},
    {"Service", "relationships.services.data[].id"},
    {"Parameters", "attributes.parameters"},
};
static const struct sl_cli_field MODULE[] = {
    {"Module", "id"},
    {"Type", "attributes.module_type"},
    {"Version", "attributes.version"},
    {"Maturity", "attributes.maturity"},
    {"Description", "attributes.description"},
    {"Parameters", "attributes.parameters"},
    {"Commands", "attributes.commands"},
};
static const struct sl_cli_field MAXSCALE[] = {
    {"Version", "attributes.version"},       {"Commit", "attributes.commit"},
    {"Started At", "attributes.started_at"}, {"Activated At", "attributes.activated_at"},
    {"Uptime", "attributes.uptime"},         {"Config Sync", "attributes.config_sync"},
    {"Parameters", "attributes.parameters"}, {"System", "attributes.system"},
};
static const struct sl_cli_field LOGGING[] = {
    {"Current Log File", "attributes.log_file"},
    {"Enabled Log Levels", "attributes.log_priorities"},
    {"Parameters", "attributes.parameters"},
};
static const struct sl_cli_field USER[] = {
    {"Name", "id"},
    {"Type", "type"},
    {"Privileges", "attributes.account"},
    {"Created", "attributes.created"},
    {"Last Updated", "attributes.last_update"},
    {"Last Login", "attributes.last_login", SL_CLI_FIELD_LOCAL_TIME},
};

#define VIEW(resource, fields) (&(const struct sl_cli_view){resource, fields, SL_ARRAY_LEN(fields)})

static void put_object(struct sl_cli_call *call, const struct sl_cli_field *fields, size_t count,
                       json_t *object)
{
    const struct sl_cli_style *style = &call->settings->style;
    size_t room = sl_cli_field_room(fields, count, style);
    struct sl_cli_table table;
    sl_cli_table_init(&table, SL_CLI_TABLE_SHOW, 2);
    for (size_t i = 0; i < count; i++) {
        char *cell = sl_cli_field_show_cell(&fields[i], object, style, room);
        if (cell != NULL) {
            sl_cli_table_add(&table, sl_xstrdup(fields[i].name));
            sl_cli_table_add(&table, cell);
        }
    }
    sl_cli_table_put(&table, style, call->out);
    sl_cli_table_free(&table);
}

/* One table an object; the answer has one object or an array of them. */
static void put_answer(struct sl_cli_call *call, const struct sl_cli_field *fields, size_t count,
                       json_t *answer)
{
    json_t *data = json_object_get(answer, "data");
    if (!json_is_array(data)) {
        put_object(call, fields, count, data);
        return;
    }
    size_t i;
    json_t *object;
    json_array_foreach (data, i, object) {
        put_object(call, fields, count, object);
    }
}

static int show_path(struct sl_cli_call *call, const char *path)
{
    const struct sl_cli_view *view = call->command->view;
    json_t *answer;
    int rc = sl_cli_call_get(call, path, NULL, &answer);
    if (rc == SL_OK) {
        put_answer(call, view->fields, view->field_count, answer);
        json_decref(answer);
    }
    return rc;
}

/* Of the collection, or of the one object named. */
static int show(struct sl_cli_call *call)
{
    const char *resource = call->command->view->resource;
    if (call->arg_count == 0) {
        return show_path(call, resource);
    }
    char *path = sl_cli_call_path(resource, call->args[0]);
    int rc = show_path(call, path);
    sl_free(path);
    return rc;
}

static int show_sessions(struct sl_cli_call *call)
{
    const char *query = sl_cli_line_is_on(call->line, "rdns") ? "?rdns=true" : "";
    char *resource =
        call->arg_count > 0 ? sl_cli_call_path("sessions", call->args[0]) : sl_xstrdup("sessions");
    char *path = sl_xasprintf("%s%s", resource, query);
    int rc = show_path(call, path);
    sl_free(path);
    sl_free(resource);
    return rc;
}

static int show_modules(struct sl_cli_call *call)
{
    bool loads_all = sl_cli_line_is_on(call->line, "load-all");
    return show_path(call, loads_all ? "maxscale/modules?load=all" : "maxscale/modules");
}

static int show_thread(struct sl_cli_call *call)
{
    char *path = sl_cli_call_path("maxscale/threads", call->args[0]);
    json_t *answer;
    int rc = sl_cli_call_get(call, path, NULL, &answer);
    if (rc == SL_OK) {
        put_answer(call, sl_cli_thread_fields, sl_cli_thread_field_count, answer);
        json_decref(answer);
    }
    sl_free(path);
    return rc;
}

const struct sl_cli_command sl_cli_show_commands[] = {
    {"show", "server", "SERVER", "One server", 1, 1, NULL, show, VIEW("servers", SERVER)},
    {"show", "servers", "", "All servers", 0, 0, NULL, show, VIEW("servers", SERVER)},
    {"show", "service", "SERVICE", "One service", 1, 1, NULL, show, VIEW("services", SERVICE)},
    {"show", "services", "", "All services", 0, 0, NULL, show, VIEW("services", SERVICE)},
    {"show", "monitor", "MONITOR", "One monitor", 1, 1, NULL, show, VIEW("monitors", MONITOR)},
    {"show", "monitors", "", "All monitors", 0, 0, NULL, show, VIEW("monitors", MONITOR)},
    {"show", "session", "SESSION", "One session", 1, 1, "rdns", show_sessions,
     VIEW("sessions", SESSION)},
    {"show", "sessions", "", "All sessions", 0, 0, "rdns", show_sessions,
     VIEW("sessions", SESSION)},
    {"show", "filter", "FILTER", "One filter", 1, 1, NULL, show, VIEW("filters", FILTER)},
    {"show", "filters", "", "All filters", 0, 0, NULL, show, VIEW("filters", FILTER)},
    {"show", "listener", "LISTENER", "One listener", 1, 1, NULL, show, VIEW("listeners", LISTENER)},
    {"show", "listeners", "", "All listeners", 0, 0, NULL, show, VIEW("listeners", LISTENER)},
    {"show", "module", "MODULE", "One module: parameters and commands", 1, 1, NULL, show,
     VIEW("maxscale/modules", MODULE)},
    {"show", "modules", "", "All modules", 0, 0, "load-all", show_modules,
     VIEW("maxscale/modules", MODULE)},
    {"show", "maxscale", "", "The daemon itself", 0, 0, NULL, show, VIEW("maxscale", MAXSCALE)},
    {"show", "thread", "THREAD", "One worker thread", 1, 1, NULL, show_thread, NULL},
    {"show", "threads", "", "All worker threads side by side, and their sum", 0, 0, NULL,
     sl_cli_show_threads, NULL},
    {"show", "logging", "", "The log", 0, 0, NULL, show, VIEW("maxscale/logs", LOGGING)},
    {"show", "user", "USER", "One user of the REST API", 1, 1, NULL, show,
     VIEW("users/inet", USER)},
    {"show", "users", "", "All users of the REST API", 0, 0, NULL, show, VIEW("users/inet", USER)},
    {NULL},
};
