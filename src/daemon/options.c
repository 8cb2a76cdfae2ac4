/* SPDX-License-Identifier: Apache-2.0 */
/* Command line: one row per option. A directory or log option overrides the setting of the same
 * name. */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/* What getopt_long returns for a long option: this and its row. */
#define LONG_FIRST 256

struct row {
    const char *name;
    char letter;
    const char *argument; /* NULL: none */
    const char *setting;  /* of [maxscale], NULL: handled by letter */
    const char *help;
};

static const struct row rows[] = {
    {"config", 'f', "FILE", NULL, "configuration file (default /etc/maxscale.cnf)"},
    {"configdir", 'C', "DIR", NULL, "directory of maxscale.cnf"},
    {"config-check", 'c', NULL, NULL, "check the configuration, start nothing; exit code 0 or 1"},
    {"nodaemon", 'd', NULL, NULL, "stay in the foreground"},
    {"daemon", 'n', NULL, NULL, "go to the background (default)"},
    {"basedir", 'R', "DIR", NULL, "prefix of all default directories"},
    {"runtimedir", 'r', "DIR", NULL, "prefix of all default directories but those of programs"},
    {"log", 'l', "file|stdout", NULL, "where the log goes"},
    {"user", 'U', "NAME", NULL, "run as this user; required (also 'root') when started by root"},
    {"logdir", 'L', "DIR", "logdir", "log files"},
    {"cachedir", 'A', "DIR", "cachedir", "caches"},
    {"libdir", 'B', "DIR", "libdir", "modules"},
    {"datadir", 'D', "DIR", "datadir", "data: .secrets, journals, REST users"},
    {"execdir", 'E', "DIR", "execdir", "programs"},
    {"persistdir", 'F', "DIR", "persistdir", "configuration changed at runtime"},
    {"module_configdir", 'M', "DIR", "module_configdir",
     "base of relative paths in the configuration"},
    {"connector_plugindir", 'H', "DIR", "connector_plugindir", "connector plugins"},
    {"sharedir", 'J', "DIR", "sharedir", "shared files"},
    {"language", 'N', "DIR", "language", "message files (no effect)"},
    {"piddir", 'P', "DIR", "piddir", "pid file"},
    {"syslog", 's', "yes|no", "syslog", "log to the journal"},
    {"maxlog", 'S', "yes|no", "maxlog", "log to the own file"},
    {"log_augmentation", 'G', "0|1", "log_augmentation", "function names in the log"},
    {"debug", 'g', "ARGS", "debug", "diagnostic switches"},
    {"passive", 'p', NULL, "passive", "no automatic cluster operations"},
    {"version", 'v', NULL, NULL, "print the version"},
    {"version-full", 'V', NULL, NULL, "print the version and how it was built"},
    {"help", '?', NULL, NULL, "print this"},
};

static void print_help(void)
{
    printf("Usage: sealaned [options]\n\nA high-availability front for MariaDB.\n\n");
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        char left[64];
        snprintf(left, sizeof left, "-%c, --%s%s%s", rows[i].letter, rows[i].name,
                 rows[i].argument ? "=" : "", rows[i].argument ? rows[i].argument : "");
        printf("  %-34s %s\n", left, rows[i].help);
    }
}

static bool override(struct sl_options *o, const char *key, const char *value)
{
    size_t n = 0;
    while (o->overrides[n].key) {
        n++;
    }
    if (n == SL_OPTIONS_OVERRIDES_MAX) {
        fprintf(stderr, "sealaned: too many options\n");
        return false;
    }
    o->overrides[n] = (struct sl_conf_override){key, value};
    return true;
}

static enum sl_options_verdict apply_log(struct sl_options *o, const char *value)
{
    if (strcmp(value, "stdout") != 0 && strcmp(value, "file") != 0) {
        fprintf(stderr, "sealaned: --log takes 'file' or 'stdout', not '%s'\n", value);
        return SL_OPTIONS_WRONG;
    }
    o->log_to_stdout = strcmp(value, "stdout") == 0;
    return SL_OPTIONS_RUN;
}

static enum sl_options_verdict apply(struct sl_options *o, const struct row *row, const char *value)
{
    if (row->setting) {
        return override(o, row->setting, value ? value : "true") ? SL_OPTIONS_RUN
                                                                 : SL_OPTIONS_WRONG;
    }
    switch (row->letter) {
    case 'f':
    case 'C':
        sl_free(o->main_file);
        o->main_file =
            row->letter == 'f' ? sl_xstrdup(value) : sl_xasprintf("%s/maxscale.cnf", value);
        return SL_OPTIONS_RUN;
    case 'c':
        o->check_only = true;
        return SL_OPTIONS_RUN;
    case 'd':
    case 'n':
        o->foreground = row->letter == 'd';
        return SL_OPTIONS_RUN;
    case 'R':
        o->conf.basedir = value;
        return SL_OPTIONS_RUN;
    case 'r':
        o->conf.runtimedir = value;
        return SL_OPTIONS_RUN;
    case 'l':
        return apply_log(o, value);
    case 'U':
        o->user = value;
        return SL_OPTIONS_RUN;
    case 'v':
        printf("Sealane %s\n", SL_VERSION);
        return SL_OPTIONS_DONE;
    case 'V':
        printf("Sealane %s\nCompiler: %s\n", SL_VERSION, __VERSION__);
        return SL_OPTIONS_DONE;
    default:
        print_help();
        return SL_OPTIONS_DONE;
    }
}

/* getopt's tables from the rows. */
static void make_tables(char *letters, struct option *longs)
{
    size_t at = 0;
    for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
        letters[at++] = rows[i].letter;
        if (rows[i].argument) {
            letters[at++] = ':';
        }
        longs[i] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument,
                                   NULL, LONG_FIRST + (int)i};
    }
    letters[at] = 0;
}

/*
 * '?' is getopt's sign of an error and the letter of help. Long options have numbers of their own,
 * so it is help only if it was one letter, and a known one (optopt holds an unknown letter).
 */
static bool is_refused(int letter, char **argv)
{
    return letter == '?' && (optopt != 0 || strncmp(argv[optind - 1], "--", 2) == 0);
}

enum sl_options_verdict sl_options_parse(struct sl_options *o, int argc, char **argv)
{
    char letters[2 * SL_ARRAY_LEN(rows) + 1];
    struct option longs[SL_ARRAY_LEN(rows) + 1] = {0};
    make_tables(letters, longs);
    *o = (struct sl_options){0};
    enum sl_options_verdict verdict = SL_OPTIONS_RUN;
    int letter;
    optind = 1;
    while (verdict == SL_OPTIONS_RUN &&
           (letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (is_refused(letter, argv)) {
            return SL_OPTIONS_WRONG; /* getopt has said what is wrong */
        }
        for (size_t i = 0; i < SL_ARRAY_LEN(rows); i++) {
            if (letter == rows[i].letter || letter == LONG_FIRST + (int)i) {
                verdict = apply(o, &rows[i], optarg);
            }
        }
    }
    if (verdict == SL_OPTIONS_RUN && optind < argc) {
        fprintf(stderr, "sealaned: unexpected argument '%s'; see --help\n", argv[optind]);
        return SL_OPTIONS_WRONG;
    }
    if (!o->main_file) {
        o->main_file = o->conf.basedir ? sl_xasprintf("%s/etc/maxscale.cnf", o->conf.basedir)
                                       : sl_xstrdup("/etc/maxscale.cnf");
    }
    o->conf.main_file = o->main_file;
    o->conf.overrides = o->overrides;
    return verdict;
}

void sl_options_clear(struct sl_options *o)
{
    sl_free(o->main_file);
}
