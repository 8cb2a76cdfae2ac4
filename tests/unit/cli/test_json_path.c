/* SPDX-License-Identifier: Apache-2.0 */
/* Paths into JSON, and JSON as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/json_path.h"
#include "cli/json_text.h"
#include "cli/text.h"

static const char DOCUMENT[] =
    "{\"data\":[{\"id\":\"a\",\"n\":1,\"in\":[{\"x\":1},{\"x\":2}]},{\"id\":\"b\",\"in\":[{\"x\":3}"
    "]},"
    "{\"id\":\"c\"}],\"one\":{\"a.b\":true,\"none\":null,\"deep\":{\"er\":0.1}},\"empty\":[]}";

static const struct {
    const char *path;
    const char *text; /* NULL: nothing there */
} PATHS[] = {
    {"data[].id", "[\"a\",\"b\",\"c\"]"},
    {"data[].n", "[1,null,null]"},
    {"data[].in[].x", "[1,2,3]"},
    {"data[1].id", "\"b\""},
    {"data[1].in[0].x", "3"},
    {"data[9].id", NULL},
    {"data[x]", NULL},
    {"data[1", NULL},
    {"data.id", NULL},
    {"data[][0]", "[null,null,null]"},
    {"one.deep.er", "0.1"},
    {"one.deep", "{\"er\":0.1}"},
    {"one.none", "null"},
    {"one.missing", NULL},
    {"one[\"a.b\"]", "true"},
    {"one['a.b']", "true"},
    {"one[\"a.b]", NULL},
    {"one.deep[].er", NULL},
    {"empty[].x", "[]"},
    {"empty", "[]"},
    {".one.none", "null"},
};

static void test_paths(void **state)
{
    json_t *document = json_loads(DOCUMENT, 0, NULL);
    for (size_t i = 0; i < SL_ARRAY_LEN(PATHS); i++) {
        struct sl_buf out = SL_BUF_INIT;
        json_t *value = sl_cli_json_path_get(document, PATHS[i].path);
        if (PATHS[i].text == NULL) {
            assert_null(value);
            continue;
        }
        assert_non_null(value);
        sl_cli_json_text_put(&out, value, 0);
        char *text = sl_cli_text_take(&out);
        assert_string_equal(text, PATHS[i].text);
        sl_free(text);
        json_decref(value);
    }
    json_decref(document);
}

/* As JavaScript prints them. */
static const struct {
    const char *json;
    size_t indent;
    const char *text;
} TEXTS[] = {
    {"[0.1, 1.0, 0.0, -2.50, 1e300, 123456789012345678, 0.30000000000000004]", 0,
     "[0.1,1,0,-2.5,1e+300,123456789012345678,0.30000000000000004]"},
    {"{\"b\":{},\"a\":[],\"c\":[1,{\"d\":\"x\\\"y\\n\\u0001é\"}]}", 0,
     "{\"b\":{},\"a\":[],\"c\":[1,{\"d\":\"x\\\"y\\n\\u0001é\"}]}"},
    {"{\"b\":{},\"a\":[],\"c\":[1,{\"d\":null}]}", 4,
     "{\n    \"b\": {},\n    \"a\": [],\n    \"c\": [\n        1,\n        {\n            \"d\": "
     "null\n"
     "        }\n    ]\n}"},
    {"\"text\"", 2, "\"text\""},
};

static void test_texts(void **state)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(TEXTS); i++) {
        struct sl_buf out = SL_BUF_INIT;
        json_t *value = json_loads(TEXTS[i].json, JSON_DECODE_ANY, NULL);
        sl_cli_json_text_put(&out, value, TEXTS[i].indent);
        char *text = sl_cli_text_take(&out);
        assert_string_equal(text, TEXTS[i].text);
        sl_free(text);
        json_decref(value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
