/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resource `query_classifier`: what the classifier makes of one statement, in MaxScale's words and
 * in ours, and where each service would send it from a session without any state. Nothing is
 * executed. Connection's thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/jsonapi.h"
#include "admin/resources.h"
#include "admin/text.h"
#include "base/mem.h"
#include "core/core.h"
#include "sql/classify.h"
#include "sql/digest.h"
#include "sql/form.h"
#include "sql/lexer.h"

#define PATH "maxscale/query_classifier"

/* MaxScale's names of our bits. */
static const struct {
    uint32_t bit;
    const char *name;
} types[] = {
    {SL_SQL_READ, "READ"},
    {SL_SQL_WRITE, "WRITE"},
    {SL_SQL_PRIMARY_READ, "MASTER_READ"},
    {SL_SQL_SESSION_WRITE, "SESSION_WRITE"},
    {SL_SQL_USERVAR_WRITE, "USERVAR_WRITE"},
    {SL_SQL_USERVAR_READ, "USERVAR_READ"},
    {SL_SQL_SYSVAR_READ, "SYSVAR_READ"},
    {SL_SQL_GLOBAL_WRITE, "GSYSVAR_WRITE"},
    {SL_SQL_TRX_BEGIN, "BEGIN_TRX"},
    {SL_SQL_AUTOCOMMIT_ON, "ENABLE_AUTOCOMMIT"},
    {SL_SQL_AUTOCOMMIT_OFF, "DISABLE_AUTOCOMMIT"},
    {SL_SQL_TRX_ROLLBACK, "ROLLBACK"},
    {SL_SQL_TRX_COMMIT, "COMMIT"},
    {SL_SQL_PREPARE, "PREPARE_NAMED_STMT"},
    {SL_SQL_EXECUTE, "EXEC_STMT"},
    {SL_SQL_CREATE_TEMP, "CREATE_TMP_TABLE"},
    {SL_SQL_DEALLOCATE, "DEALLOC_PREPARE"},
    {SL_SQL_TRX_READ_ONLY, "READONLY"},
    {SL_SQL_TRX_READ_WRITE, "READWRITE"},
    {SL_SQL_TRX_NEXT, "NEXT_TRX"},
};

/* MaxScale's names of our operations where they are others than ours. DDL and GRANT are told by
 * their first words. */
static const char *const operations[SL_SQL_OP_COUNT] = {
    [SL_SQL_OP_UNKNOWN] = "UNDEFINED",
    [SL_SQL_OP_EMPTY] = "UNDEFINED",
    [SL_SQL_OP_REPLACE] = "INSERT",
    [SL_SQL_OP_USE] = "CHANGE_DB",
    [SL_SQL_OP_BEGIN] = "UNDEFINED",
    [SL_SQL_OP_COMMIT] = "UNDEFINED",
    [SL_SQL_OP_ROLLBACK] = "UNDEFINED",
    [SL_SQL_OP_SAVEPOINT] = "UNDEFINED",
    [SL_SQL_OP_XA_START] = "UNDEFINED",
    [SL_SQL_OP_XA_END] = "UNDEFINED",
    [SL_SQL_OP_XA] = "UNDEFINED",
    [SL_SQL_OP_LOCK] = "UNDEFINED",
    [SL_SQL_OP_UNLOCK] = "UNDEFINED",
    [SL_SQL_OP_PREPARE] = "UNDEFINED",
    [SL_SQL_OP_EXECUTE_IMMEDIATE] = "EXECUTE",
    [SL_SQL_OP_DEALLOCATE] = "UNDEFINED",
    [SL_SQL_OP_DO] = "UNDEFINED",
    [SL_SQL_OP_HANDLER] = "UNDEFINED",
    [SL_SQL_OP_FLUSH] = "UNDEFINED",
    [SL_SQL_OP_ADMIN] = "UNDEFINED",
    [SL_SQL_OP_COMPOUND] = "UNDEFINED",
    [SL_SQL_OP_OTHER] = "UNDEFINED",
};

/* First words of statements that share an operation of ours. */
static const struct {
    const char *first;
    const char *second; /* NULL: any */
    const char *name;
} words[] = {
    {"CREATE", "TABLE", "CREATE_TABLE"},
    {"CREATE", NULL, "CREATE"},
    {"DROP", "TABLE", "DROP_TABLE"},
    {"DROP", NULL, "DROP"},
    {"ALTER", NULL, "ALTER"},
    {"TRUNCATE", NULL, "TRUNCATE"},
    {"GRANT", NULL, "GRANT"},
    {"REVOKE", NULL, "REVOKE"},
};

static const char *operation(const struct sl_sql_info *info, const char *sql)
{
    struct sl_lexer lx;
    struct sl_token first, second;
    if (info->op == SL_SQL_OP_LOAD && (info->type & SL_SQL_LOAD_LOCAL)) {
        return "LOAD_LOCAL";
    }
    if (info->op == SL_SQL_OP_SET && (info->type & SL_SQL_TRX_NEXT)) {
        return "SET_TRANSACTION";
    }
    if (info->op != SL_SQL_OP_DDL && info->op != SL_SQL_OP_GRANT) {
        return operations[info->op] ? operations[info->op]
                                    : sl_sql_op_text((enum sl_sql_op)info->op);
    }
    sl_lexer_init(&lx, (const uint8_t *)sql, strlen(sql), 0);
    sl_lexer_next(&lx, &first);
    sl_lexer_next(&lx, &second);
    for (unsigned i = 0; i < SL_ARRAY_LEN(words); i++) {
        if (sl_slice_equal_nocase(first.text, words[i].first) &&
            (words[i].second == NULL || sl_slice_equal_nocase(second.text, words[i].second))) {
            return words[i].name;
        }
    }
    return "UNDEFINED";
}

static json_t *type_mask_json(uint32_t type)
{
    char text[512] = "";
    for (unsigned i = 0; i < SL_ARRAY_LEN(types); i++) {
        if (type & types[i].bit) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "%ssql::TYPE_%s", len > 0 ? "|" : "",
                     types[i].name);
        }
    }
    return json_string(text[0] != '\0' ? text : "sql::TYPE_UNKNOWN");
}

static json_t *slice_json(struct sl_slice text)
{
    json_t *json = json_stringn((const char *)text.data, text.len);
    return json != NULL ? json : json_string("?");
}

static bool add_table(void *arg, struct sl_slice db, struct sl_slice table)
{
    json_t *name = db.len > 0 ? json_sprintf("%.*s.%.*s", (int)db.len, (const char *)db.data,
                                             (int)table.len, (const char *)table.data)
                              : slice_json(table);
    json_array_append_new(arg, name != NULL ? name : json_string("?"));
    return true;
}

static json_t *tables_json(const char *sql)
{
    json_t *list = json_array();
    sl_sql_tables((const uint8_t *)sql, strlen(sql), 0, add_table, list);
    return list;
}

/* Names with a bracket behind them; and whether there is a WHERE. */
static json_t *functions_json(const char *sql, bool *ret_has_where)
{
    struct sl_lexer lx;
    struct sl_token tok, last = {.kind = SL_TOK_END};
    json_t *list = json_array();
    *ret_has_where = false;
    sl_lexer_init(&lx, (const uint8_t *)sql, strlen(sql), 0);
    while (sl_lexer_next(&lx, &tok)) {
        *ret_has_where |= tok.kind == SL_TOK_WORD && !tok.is_after_dot &&
                          sl_slice_equal_nocase(tok.text, "WHERE");
        if (sl_token_is_op(&tok, '(') && last.kind == SL_TOK_WORD && last.end == tok.begin &&
            !(last.word_flags & (SL_WORD_RESERVED | SL_WORD_KEYWORD))) {
            json_array_append_new(
                list, json_pack("{s:o, s:[]}", "name", slice_json(last.text), "arguments"));
        }
        last = tok;
    }
    return list;
}

/* Where the services that read SQL would send it. */
static json_t *routing_json(const struct sl_core *core, const struct sl_sql_info *info)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < core->service_count; i++) {
        const struct sl_service *service = core->services[i];
        if (service->ops->explain) {
            struct sl_route_text text = service->ops->explain(service, info);
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "service", service->name,
                                                  "router", service->router->name, "target",
                                                  text.target, "rule", text.rule));
        }
    }
    return list;
}

static void add_forms(json_t *o, const char *sql)
{
    char form[SL_SQL_FORM_ROOM + 1];
    char digest[20];
    size_t len, size = strlen(sql) + 1;
    char *canonical = sl_xcalloc(1, size);
    sl_sql_canonical((const uint8_t *)sql, size - 1, 0, canonical, size);
    json_object_set_new(o, "canonical", sl_text_json(canonical));
    sl_free(canonical);
    uint64_t hash = sl_sql_form((const uint8_t *)sql, size - 1, 0, form, &len);
    form[len] = '\0';
    snprintf(digest, sizeof digest, "%016" PRIx64, hash);
    json_object_set_new(o, "digest", json_string(digest));
    json_object_set_new(o, "digest_text", sl_text_json(form));
}

void sl_admin_classify_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const char *sql = sl_admin_param(rq, "sql");
    struct sl_sql_info info;
    char type[512];
    bool has_where;
    if (sql == NULL) {
        sl_admin_fail(rs, 400, "/%s needs the parameter sql=<statement>", rq->path);
        return;
    }
    sl_sql_classify((const uint8_t *)sql, strlen(sql), 0, &info);
    json_t *o = json_object();
    json_object_set_new(
        o, "parse_result",
        json_sprintf("Parser::Result::%s", info.op == SL_SQL_OP_UNKNOWN ? "INVALID" : "PARSED"));
    json_object_set_new(o, "type_mask", type_mask_json(info.type));
    json_object_set_new(o, "operation", json_sprintf("sql::OP_%s", operation(&info, sql)));
    json_object_set_new(o, "fields", json_array());
    json_object_set_new(o, "functions", functions_json(sql, &has_where));
    json_object_set_new(o, "has_where_clause", json_boolean(has_where));
    add_forms(o, sql);
    json_object_set_new(o, "sealane_type",
                        json_string(sl_sql_type_text(info.type, type, sizeof type)));
    json_object_set_new(o, "sealane_operation",
                        json_string(sl_sql_op_text((enum sl_sql_op)info.op)));
    json_object_set_new(o, "is_multi", json_boolean(info.is_multi));
    json_object_set_new(o, "tables", tables_json(sql));
    json_object_set_new(o, "routing", routing_json(rq->core, &info));
    sl_jsonapi_one(rq, rs, sl_jsonapi_resource(rq, PATH, "classify", "classify", o, NULL));
}

void sl_admin_classifier_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *o = json_pack("{s:{s:I}}", "parameters", "cache_size",
                          (json_int_t)rq->core->config->global.query_classifier_cache_size);
    sl_jsonapi_one(
        rq, rs,
        sl_jsonapi_resource(rq, "maxscale", "query_classifier", "query_classifier", o, NULL));
}
