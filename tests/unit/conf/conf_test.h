/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the tests of conf: a scratch directory, files in it, and loading a configuration from
 * it. */
#ifndef CONF_TEST_H
#define CONF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "conf/config.h"

struct scratch {
    char dir[64];
    struct sl_conf_report report;
    struct sl_config *config;
};

static inline void scratch_open(struct scratch *s)
{
    memset(s, 0, sizeof(*s));
    strcpy(s->dir, "/tmp/conf-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
}

static inline void scratch_write(const struct scratch *s, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    for (char *slash = path + strlen(s->dir) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static inline void scratch_reset(struct scratch *s)
{
    sl_config_free(s->config);
    s->config = NULL;
    sl_conf_report_clear(&s->report);
}

static inline void scratch_close(struct scratch *s)
{
    scratch_reset(s);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", s->dir);
    assert_int_equal(system(command), 0);
}

/* The modules of this version as far as the tests care. */
static inline const struct sl_settings *test_find_module(void *arg, enum sl_conf_kind kind,
                                                         const char *name, bool *ret_exists)
{
    static const char *const existing[] = {"readwritesplit", "readconnroute", "tcp", "galeramon"};
    (void)arg;
    for (size_t i = 0; i < sizeof(existing) / sizeof(existing[0]); i++) {
        if (strcmp(existing[i], name) == 0) {
            const struct sl_settings *table = sl_conf_module_table(kind, name);
            *ret_exists = table != NULL;
            return table;
        }
    }
    *ret_exists = false;
    return NULL;
}

static const struct sl_conf_modules test_modules = {NULL, test_find_module};

/* Loads <dir>/maxscale.cnf; persisted files and data are looked for under <dir> too. */
static inline int scratch_load(struct scratch *s)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/maxscale.cnf", s->dir);
    struct sl_conf_options options = {.main_file = path, .basedir = s->dir};
    scratch_reset(s);
    return sl_config_load(&options, &test_modules, &s->report, &s->config);
}

static inline void report_print(const struct sl_conf_report *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct sl_buf b = SL_BUF_INIT;
        sl_conf_note_render(&r->notes[i], &b);
        fprintf(stderr, "%s: %.*s\n", r->notes[i].is_error ? "error" : "warning",
                (int)sl_buf_len(&b), (const char *)sl_buf_slice(&b).data);
        sl_buf_free(&b);
    }
}

/* Is there such a note, at that line (0: any), that contains the text? */
static inline bool report_has(const struct sl_conf_report *r, bool is_error, int line,
                              const char *text)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct sl_conf_note *n = &r->notes[i];
        if (n->is_error == is_error && (line == 0 || n->line == line) && strstr(n->text, text)) {
            return true;
        }
    }
    return false;
}

#endif
