/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands from the terminal or from a pipe, one a line.
 */
#ifndef SL_CLI_INTERACTIVE_H
#define SL_CLI_INTERACTIVE_H

#include "cli/call.h"
#include "cli/settings.h"

/* Runs until `exit`, `quit` or the end of input. On a terminal with a prompt, line editing and
 * history. Errors of commands are printed and do not end it. */
void sl_cli_interactive_run(const struct sl_cli_settings *settings,
                            struct sl_cli_transport *transport, const char *program);

#endif
