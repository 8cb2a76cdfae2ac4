/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row filters. The first byte chooses: expression, pointer or JSONPath; what is understood is tried
 * on a document.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/filter.h"

static const char document[] = "{\"id\":\"db1\",\"attributes\":{\"state\":\"Down\",\"list\":[{"
                               "\"x\":1},{\"x\":2.5},[null,true]],"
                               "\"p\":{\"port\":3306}}}";

static void try_path(struct sl_filter_path *p)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_filter_expr *e;
    json_t *root = json_loads(document, 0, NULL);
    if (sl_filter_expr_parse("or(gt(1),\"Down\")", &e, &err) == 0) {
        sl_filter_path_any(p, root, e);
        sl_filter_expr_free(e);
    }
    json_decref(root);
    sl_filter_path_free(p);
}

static void try_expr(struct sl_filter_expr *e)
{
    static const char *const values[] = {"1", "2.5", "\"a\"", "null", "[1]", "{}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        json_t *v = json_loads(values[i], JSON_DECODE_ANY, NULL);
        sl_filter_expr_matches(e, v);
        json_decref(v);
    }
    sl_filter_expr_free(e);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = strndup((const char *)data + 1, size - 1);
    struct sl_err err = SL_ERR_INIT;
    struct sl_filter_expr *e;
    struct sl_filter_path *p;
    if (data[0] % 3 == 0 && sl_filter_expr_parse(text, &e, &err) == 0) {
        try_expr(e);
    } else if (data[0] % 3 == 1 && sl_filter_pointer_parse(text, &p, &err) == 0) {
        try_path(p);
    } else if (data[0] % 3 == 2 && sl_filter_jsonpath_parse(text, &p, &err) == 0) {
        try_path(p);
    }
    free(text);
    return 0;
}
