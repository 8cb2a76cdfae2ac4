/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `show threads`: the rows of `show thread`, one column a thread, and a last column for all of
 * them: the sum, or what the row's rule says.
 */
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/json_path.h"

enum total {
    TOTAL_SUM,
    TOTAL_AVERAGE,
    TOTAL_MAX,
    TOTAL_NONE,
    TOTAL_NAME, /* the heading of the column */
};

const struct sl_cli_field sl_cli_thread_fields[] = {
    {"Id", "id"},
    {"State", "attributes.stats.state"},
    {"Listening", "attributes.stats.listening"},
    {"Accepts", "attributes.stats.accepts"},
    {"Reads", "attributes.stats.reads"},
    {"Writes", "attributes.stats.writes"},
    {"Hangups", "attributes.stats.hangups"},
    {"Errors", "attributes.stats.errors"},
    {"Avg event queue length", "attributes.stats.avg_event_queue_length"},
    {"Max event queue length", "attributes.stats.max_event_queue_length"},
    {"Max exec time", "attributes.stats.max_exec_time"},
    {"Max queue time", "attributes.stats.max_queue_time"},
    {"Current FDs", "attributes.stats.current_descriptors"},
    {"Total FDs", "attributes.stats.total_descriptors"},
    {"Load (1s)", "attributes.stats.load.last_second"},
    {"Load (1m)", "attributes.stats.load.last_minute"},
    {"Load (1h)", "attributes.stats.load.last_hour"},
    {"QC cache size", "attributes.stats.query_classifier_cache.size"},
    {"QC cache inserts", "attributes.stats.query_classifier_cache.inserts"},
    {"QC cache hits", "attributes.stats.query_classifier_cache.hits"},
    {"QC cache misses", "attributes.stats.query_classifier_cache.misses"},
    {"QC cache evictions", "attributes.stats.query_classifier_cache.evictions"},
    {"Sessions", "attributes.stats.sessions"},
    {"Zombies", "attributes.stats.zombies"},
    {"Memory", "attributes.stats.memory"},
};
const size_t sl_cli_thread_field_count = SL_ARRAY_LEN(sl_cli_thread_fields);

/* Rows that are not summed. */
static const struct {
    const char *name;
    enum total total;
} TOTALS[] = {
    {"Id", TOTAL_NAME},
    {"State", TOTAL_NONE},
    {"Listening", TOTAL_NONE},
    {"Avg event queue length", TOTAL_AVERAGE},
    {"Max event queue length", TOTAL_MAX},
    {"Max exec time", TOTAL_MAX},
    {"Max queue time", TOTAL_MAX},
    {"Load (1s)", TOTAL_AVERAGE},
    {"Load (1m)", TOTAL_AVERAGE},
    {"Load (1h)", TOTAL_AVERAGE},
};

static enum total total_of(const char *name)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(TOTALS); i++) {
        if (strcmp(TOTALS[i].name, name) == 0) {
            return TOTALS[i].total;
        }
    }
    return TOTAL_SUM;
}

static json_t *sum_numbers(json_t *values)
{
    double sum = 0;
    size_t i;
    json_t *value;
    json_array_foreach (values, i, value) {
        sum += json_number_value(value);
    }
    return json_real(sum);
}

/* Numbers are added, objects member by member. */
static json_t *sum(json_t *values)
{
    json_t *first = json_array_get(values, 0);
    if (!json_is_object(first)) {
        return sum_numbers(values);
    }
    json_t *result = json_object();
    const char *key;
    json_t *member;
    json_object_foreach (first, key, member) {
        json_t *members = json_array();
        size_t i;
        json_t *value;
        json_array_foreach (values, i, value) {
            json_t *part = json_object_get(value, key);
            json_array_append(members, part != NULL ? part : json_null());
        }
        json_object_set_new(result, key, sum_numbers(members));
        json_decref(members);
    }
    return result;
}

static double find_max(json_t *values)
{
    double max = 0;
    size_t i;
    json_t *value;
    json_array_foreach (values, i, value) {
        max = SL_MAX(max, json_number_value(value));
    }
    return max;
}

static json_t *make_total(const char *row, json_t *values)
{
    size_t count = json_array_size(values);
    json_t *result = NULL;
    switch (total_of(row)) {
    case TOTAL_SUM:
        return sum(values);
    case TOTAL_AVERAGE:
        result = sum_numbers(values);
        double average = count > 0 ? json_real_value(result) / (double)count : 0;
        json_decref(result);
        return json_sprintf("%.1f", average);
    case TOTAL_MAX:
        return json_real(find_max(values));
    case TOTAL_NONE:
        return json_string("N/A");
    case TOTAL_NAME:
        break;
    }
    return json_string("All");
}

static void add_row(struct sl_cli_call *call, struct sl_cli_table *table,
                    const struct sl_cli_field *field, json_t *threads)
{
    const struct sl_cli_style *style = &call->settings->style;
    json_t *values = json_array();
    size_t i;
    json_t *thread;
    sl_cli_table_add(table, sl_xstrdup(field->name));
    json_array_foreach (threads, i, thread) {
        json_t *value = sl_cli_field_get(field, thread);
        sl_cli_table_add(table, sl_cli_field_show_value(value, style, 0));
        json_array_append_new(values, value != NULL ? value : json_null());
    }
    json_t *total = make_total(field->name, values);
    sl_cli_table_add(table, sl_cli_field_show_value(total, style, 0));
    json_decref(total);
    json_decref(values);
}

int sl_cli_show_threads(struct sl_cli_call *call)
{
    json_t *answer;
    int rc = sl_cli_call_get(call, "maxscale/threads", NULL, &answer);
    if (rc < 0) {
        return rc;
    }
    json_t *threads = json_object_get(answer, "data");
    struct sl_cli_table table;
    sl_cli_table_init(&table, SL_CLI_TABLE_SHOW, json_array_size(threads) + 2);
    for (size_t i = 0; i < sl_cli_thread_field_count; i++) {
        add_row(call, &table, &sl_cli_thread_fields[i], threads);
    }
    sl_cli_table_put(&table, &call->settings->style, call->out);
    sl_cli_table_free(&table);
    json_decref(answer);
    return SL_OK;
}
