/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `list ...`: one line for each object. The tables below are the columns, in the order and with the
 * names that MaxScale 24.02 prints; scripts count them.
 */
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/json_path.h"
#include "cli/text.h"

/* Servers, then services. */
static json_t *service_targets(json_t *service)
{
    json_t *targets = sl_cli_json_path_get(service, "relationships.servers.data[].id");
    json_t *services = sl_cli_json_path_get(service, "relationships.services.data[].id");
    if (targets == NULL) {
        return services;
    }
    if (services != NULL) {
        sl_assert(json_array_extend(targets, services) == 0);
        json_decref(services);
    }
    return targets;
}

static const struct sl_cli_field SERVERS[] = {
    {"Server", "id"},
    {"Address", .make = sl_cli_field_server_address},
    {"Port", "attributes.parameters.port"},
    {"Connections", "attributes.statistics.connections"},
    {"State", .make = sl_cli_field_server_state},
    {"GTID", "attributes.gtid_current_pos"},
    {"Monitor", "relationships.monitors.data[0].id"},
};
static const struct sl_cli_field SERVICES[] = {
    {"Service", "id"},
    {"Router", "attributes.router"},
    {"Connections", "attributes.statistics.connections"},
    {"Total Connections", "attributes.statistics.total_connections"},
    {"Targets", .make = service_targets},
};
static const struct sl_cli_field LISTENERS[] = {
    {"Name", "id"},
    {"Port", "attributes.parameters.port"},
    {"Host", "attributes.parameters.address"},
    {"State", "attributes.state"},
    {"Service", "relationships.services.data[].id"},
};
static const struct sl_cli_field MONITORS[] = {
    {"Monitor", "id"},
    {"State", "attributes.state"},
    {"Servers", "relationships.servers.data[].id"},
};
static const struct sl_cli_field SESSIONS[] = {
    {"Id", "id"},
    {"User", "attributes.user"},
    {"Host", "attributes.remote"},
    {"Connected", "attributes.connected", SL_CLI_FIELD_LOCAL_TIME},
    {"Idle", "attributes.idle"},
    {"Service", "relationships.services.data[].id"},
    {"Memory", "attributes.memory.total"},
    {"I/O-Activity", "attributes.io_activity"},
};
static const struct sl_cli_field REPLICAS[] = {
    {"Service", "relationships.services.data[].id"},
    {"Server id", "attributes.server_id"},
    {"Host", "attributes.host"},
    {"Port", "attributes.port"},
    {"User", "attributes.user"},
    {"State", "attributes.state"},
    {"File", "attributes.file"},
    {"Offset", "attributes.offset"},
    {"Bytes behind", "attributes.bytes_behind"},
    {"GTID", "attributes.gtid_position"},
    {"Last seen", "attributes.last_seen", SL_CLI_FIELD_LOCAL_TIME},
};
static const struct sl_cli_field FILTERS[] = {
    {"Filter", "id"},
    {"Service", "relationships.services.data[].id"},
    {"Module", "attributes.module"},
};
static const struct sl_cli_field MODULES[] = {
    {"Module", "id"},
    {"Type", "attributes.module_type"},
    {"Version", "attributes.version"},
};
static const struct sl_cli_field THREADS[] = {
    {"Id", "id"},
    {"Current FDs", "attributes.stats.current_descriptors"},
    {"Total FDs", "attributes.stats.total_descriptors"},
    {"Load (1s)", "attributes.stats.load.last_second"},
    {"Load (1m)", "attributes.stats.load.last_minute"},
    {"Load (1h)", "attributes.stats.load.last_hour"},
};
static const struct sl_cli_field USERS[] = {
    {"Name", "id"},
    {"Type", "type"},
    {"Privileges", "attributes.account"},
    {"Created", "attributes.created"},
    {"Last Updated", "attributes.last_update"},
    {"Last Login", "attributes.last_login", SL_CLI_FIELD_LOCAL_TIME},
};
static const struct sl_cli_field COMMANDS[] = {
    {"Module", "id"},
    {"Commands", "attributes.commands[].id"},
};
static const struct sl_cli_field DBUSERS[] = {
    {"User", "user"},        {"Host", "host"},         {"Plugin", "plugin"},
    {"TLS", "ssl"},          {"Super", "super_priv"},  {"Global", "global_priv"},
    {"Proxy", "proxy_priv"}, {"Role", "default_role"},
};
static const struct sl_cli_field MODULE_COMMANDS[] = {
    {"Command", "id"},
    {"Parameters", "attributes.parameters[].type"},
    {"Descriptions", "attributes.parameters[].description"},
};

#define VIEW(resource, fields) (&(const struct sl_cli_view){resource, fields, SL_ARRAY_LEN(fields)})
#define INNER_VIEW(resource, fields, inner)                                                        \
    (&(const struct sl_cli_view){resource, fields, SL_ARRAY_LEN(fields), inner})

/* Prints the objects of the array `data` that `wants` lets pass. */
static void put_list(struct sl_cli_call *call, json_t *data,
                     bool (*wants)(struct sl_cli_call *, json_t *))
{
    const struct sl_cli_view *view = call->command->view;
    struct sl_cli_table table;
    sl_cli_table_init(&table, SL_CLI_TABLE_LIST, view->field_count);
    for (size_t c = 0; c < view->field_count; c++) {
        sl_cli_table_add(&table, sl_xstrdup(view->fields[c].name));
    }
    size_t i;
    json_t *object;
    json_array_foreach (data, i, object) {
        for (size_t c = 0; (wants == NULL || wants(call, object)) && c < view->field_count; c++) {
            sl_cli_table_add(&table, sl_cli_field_list_cell(&view->fields[c], object));
        }
    }
    sl_cli_table_put(&table, &call->settings->style, call->out);
    sl_cli_table_free(&table);
}

static int list(struct sl_cli_call *call)
{
    const struct sl_cli_view *view = call->command->view;
    const char *name = view->inner != NULL ? call->args[0] : NULL;
    json_t *answer;
    int rc = sl_cli_call_get(call, view->resource, name, &answer);
    if (rc < 0) {
        return rc;
    }
    json_t *data = sl_cli_json_path_get(answer, view->inner != NULL ? view->inner : "data");
    put_list(call, data, NULL);
    json_decref(data);
    json_decref(answer);
    return SL_OK;
}

static bool has_commands(struct sl_cli_call *call, json_t *module)
{
    json_t *commands = sl_cli_json_path_get(module, "attributes.commands");
    bool has_some = json_array_size(commands) > 0;
    json_decref(commands);
    return has_some;
}

static int list_commands(struct sl_cli_call *call)
{
    json_t *answer;
    int rc = sl_cli_call_get(call, call->command->view->resource, NULL, &answer);
    if (rc == SL_OK) {
        put_list(call, json_object_get(answer, "data"), has_commands);
        json_decref(answer);
    }
    return rc;
}

static bool is_of_service(struct sl_cli_call *call, json_t *object)
{
    json_t *services = sl_cli_json_path_get(object, "relationships.services.data[].id");
    bool found = false;
    size_t i;
    json_t *id;
    json_array_foreach (services, i, id) {
        found |= json_is_string(id) && strcmp(json_string_value(id), call->args[0]) == 0;
    }
    json_decref(services);
    return found;
}

/* With a service: it is looked up first, so that a wrong name is an error and not an empty list. */
static int list_of_service(struct sl_cli_call *call)
{
    json_t *answer;
    if (call->arg_count > 0) {
        int rc = sl_cli_call_get(call, "services", call->args[0], &answer);
        if (rc < 0) {
            return rc;
        }
        json_decref(answer);
    }
    int rc = sl_cli_call_get(call, call->command->view->resource, NULL, &answer);
    if (rc == SL_OK) {
        put_list(call, json_object_get(answer, "data"), call->arg_count > 0 ? is_of_service : NULL);
        json_decref(answer);
    }
    return rc;
}

static int list_sessions(struct sl_cli_call *call)
{
    json_t *answer;
    const char *path = sl_cli_line_is_on(call->line, "rdns") ? "sessions?rdns=true" : "sessions";
    int rc = sl_cli_call_get(call, path, NULL, &answer);
    if (rc == SL_OK) {
        put_list(call, json_object_get(answer, "data"), NULL);
        json_decref(answer);
    }
    return rc;
}

const struct sl_cli_command sl_cli_list_commands[] = {
    {"list", "servers", "", "Servers and their states", 0, 0, NULL, list, VIEW("servers", SERVERS)},
    {"list", "services", "", "Services", 0, 0, NULL, list, VIEW("services", SERVICES)},
    {"list", "listeners", "[SERVICE]", "Listeners, of all services or of one", 0, 1, NULL,
     list_of_service, VIEW("listeners", LISTENERS)},
    {"list", "monitors", "", "Monitors", 0, 0, NULL, list, VIEW("monitors", MONITORS)},
    {"list", "sessions", "", "Sessions of clients", 0, 0, "rdns", list_sessions,
     VIEW("sessions", SESSIONS)},
    {"list", "filters", "", "Filters", 0, 0, NULL, list, VIEW("filters", FILTERS)},
    {"list", "replicas", "[SERVICE]", "Replicas of binlog relays, of all or of one", 0, 1, NULL,
     list_of_service, VIEW("replicas", REPLICAS)},
    {"list", "modules", "", "Modules", 0, 0, NULL, list, VIEW("maxscale/modules", MODULES)},
    {"list", "threads", "", "Worker threads", 0, 0, NULL, list, VIEW("maxscale/threads", THREADS)},
    {"list", "users", "", "Users of the REST API", 0, 0, NULL, list, VIEW("users/inet", USERS)},
    {"list", "commands", "", "Commands of modules", 0, 0, NULL, list_commands,
     VIEW("maxscale/modules?load=all", COMMANDS)},
    {"list", "queries", "", "Statements that are being executed", 0, 0, "max-length",
     sl_cli_list_queries, NULL},
    {"list", "digests", "", "Forms of statements and what they cost", 0, 0, "max-length sort limit",
     sl_cli_list_digests, NULL},
    {"show", "dbusers", "SERVICE", "Accounts of the servers as a service knows them", 1, 1, NULL,
     list, INNER_VIEW("services", DBUSERS, "data.attributes.users")},
    {"show", "commands", "MODULE", "Commands of a module and their arguments", 1, 1, NULL, list,
     INNER_VIEW("maxscale/modules", MODULE_COMMANDS, "data.attributes.commands")},
    {NULL},
};
