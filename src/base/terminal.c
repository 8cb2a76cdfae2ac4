/* SPDX-License-Identifier: Apache-2.0 */
/* The echo of the terminal, see the header. State: the settings to go back to. */
#include "base/terminal.h"

#include <signal.h>
#include <stddef.h>
#include <termios.h>
#include <unistd.h>

#include "base/assert.h"

static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static struct termios before;
static struct sigaction old_actions[SL_ARRAY_LEN(fatal)];

/* SA_RESETHAND: raised again, the signal does what it does by default, behind this handler. */
static void on_signal(int signo)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    raise(signo);
}

bool sl_terminal_hide(void)
{
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return false;
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < SL_ARRAY_LEN(fatal); i++) {
        sigaction(fatal[i], &action, &old_actions[i]);
    }
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    return true;
}

void sl_terminal_show(void)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    for (size_t i = 0; i < SL_ARRAY_LEN(fatal); i++) {
        sigaction(fatal[i], &old_actions[i], NULL);
    }
}
