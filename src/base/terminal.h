/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a password from the terminal: for programs with one thread. */
#ifndef SL_BASE_TERMINAL_H
#define SL_BASE_TERMINAL_H

#include <stdbool.h>

/* Stops the echo of stdin until sl_terminal_show(), or until a signal ends the program: a terminal
 * that stays mute after Ctrl-C is of no use to anybody. False: stdin is no terminal. */
bool sl_terminal_hide(void);
void sl_terminal_show(void);

#endif
