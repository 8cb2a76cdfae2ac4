/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A REST API made of files for the tests of the CLI: `GET a/b?c=d` answers with data/a_b_c_d.json,
 * a path without a file with 404, everything but GET with 204. Requests are written down.
 */
#ifndef SL_TEST_CLI_FAKE_H
#define SL_TEST_CLI_FAKE_H

#include "cli/call.h"
#include "cli/settings.h"

struct fake {
    struct sl_cli_transport transport;
    struct sl_buf log;       /* "METHOD path body\n" */
    const char *down;        /* a host that does not answer */
    const char *answer_from; /* a file for every GET instead of its own */
    const char *warning;
};

void fake_init(struct fake *fake);
void fake_free(struct fake *fake);

/* The file's content; fails the test when it cannot be read. The caller frees. */
char *fake_read_file(const char *name);

/* Runs one command line (blanks part words, quotes protect) as the program would, without a
 * defaults file. Returns the result of the command; both texts are the caller's. */
int fake_run(struct fake *fake, const char *line, char **ret_out, char **ret_error);

#endif
