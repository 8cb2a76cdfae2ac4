/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: any bytes as a configuration file, then each value as a value of every setting of
 * that name.
 *
 * Checked besides memory safety: names obey their rules, lines are in order, keys of a section are
 * unique, and what is rendered parses again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "conf/ini.h"
#include "conf/tables.h"

static const struct sl_settings *const tables[] = {
    &sl_settings_global,     &sl_settings_server,        &sl_settings_service,
    &sl_settings_listener,   &sl_settings_monitor,       &sl_settings_readwritesplit,
    &sl_settings_tcp,        &sl_settings_readconnroute, &sl_settings_binlogrouter,
    &sl_settings_mariadbmon, &sl_settings_galeramon,
};

static void parse_value(const struct sl_settings *s, const struct sl_conf_entry *e)
{
    const struct sl_setting *row = sl_settings_find(s, e->key);
    if (row == NULL || row->alias_of != NULL) {
        return;
    }
    void *object = sl_xcalloc(1, s->struct_size);
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_setting_parse(row, object, e->value, &err);
    sl_assert(rc == 0 || (rc == err.rc && err.text[0] != '\0'));
    bool round_trips = rc == 0 && row->type != SL_SETTING_PASSWORD &&
                       (row->flags & (SL_SETTING_SECONDS | SL_SETTING_QUOTED)) == 0;
    struct sl_buf first = SL_BUF_INIT, second = SL_BUF_INIT;
    sl_assert(sl_setting_render(row, object, &first) == 0);
    if (round_trips && sl_buf_len(&first) > 0) {
        sl_assert(sl_buf_append(&first, "", 1) == 0);
        sl_assert(sl_setting_parse(row, object, (const char *)sl_buf_slice(&first).data, &err) ==
                  0);
        sl_assert(sl_setting_render(row, object, &second) == 0);
        sl_assert(sl_buf_append(&second, "", 1) == 0);
        sl_assert(sl_slice_equal(sl_buf_slice(&first), sl_buf_slice(&second)));
    }
    sl_buf_free(&first);
    sl_buf_free(&second);
    sl_settings_clear(s, object);
    sl_free(object);
}

static void check_section(const struct sl_conf_section *s)
{
    size_t len = strlen(s->name);
    sl_assert(len > 0 && len <= SL_INI_SECTION_NAME_MAX);
    sl_assert(s->count <= SL_INI_KEYS_MAX);
    int line = s->line;
    for (size_t i = 0; i < s->count; i++) {
        const struct sl_conf_entry *e = &s->entries[i];
        sl_assert(e->line > line && e->key[0] != '\0');
        sl_assert(sl_conf_section_find(s, e->key) == e);
        line = e->line;
        for (size_t t = 0; t < SL_ARRAY_LEN(tables); t++) {
            parse_value(tables[t], e);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_conf_sections sections = {.items = NULL};
    struct sl_conf_report report = SL_CONF_REPORT_INIT;
    sl_ini_parse("fuzz.cnf", sl_slice(data, size), &sections, &report);
    for (size_t i = 0; i < sections.count; i++) {
        check_section(&sections.items[i]);
    }
    sl_conf_sections_clear(&sections);
    sl_conf_report_clear(&report);
    return 0;
}
