/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of sealaned; the options are MaxScale's. */
#ifndef SL_DAEMON_OPTIONS_H
#define SL_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "conf/tree.h"

#define SL_OPTIONS_OVERRIDES_MAX 32

struct sl_options {
    bool check_only;             /* --config-check */
    bool foreground;             /* --nodaemon */
    bool log_to_stdout;          /* --log=stdout */
    const char *user;            /* --user */
    char *main_file;             /* owned */
    struct sl_conf_options conf; /* main_file, basedir, runtimedir, overrides */
    struct sl_conf_override overrides[SL_OPTIONS_OVERRIDES_MAX + 1];
};

enum sl_options_verdict {
    SL_OPTIONS_RUN,
    SL_OPTIONS_DONE,
    SL_OPTIONS_WRONG
};

/* Prints help, version and errors itself. */
enum sl_options_verdict sl_options_parse(struct sl_options *o, int argc, char **argv);
void sl_options_clear(struct sl_options *o);

#endif
