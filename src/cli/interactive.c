/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands from the terminal or from a pipe, see interactive.h. Global options belong to the start
 * of the program and are refused here.
 */
#include "cli/interactive.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/text.h"

#define HISTORY_LINES 1000

struct shell {
    const struct sl_cli_settings *settings;
    struct sl_cli_transport *transport;
    const char *program;
};

static char *prompt(EditLine *el)
{
    static char text[64];
    const char *program;
    el_get(el, EL_CLIENTDATA, &program);
    snprintf(text, sizeof(text), "%s: ", program);
    return text;
}

/* Names the global options of a line; `--help` is none of them. */
static int refuse_globals(const struct sl_cli_line *line, struct sl_buf *error)
{
    const char *comma = "Global options cannot be changed here: ";
    bool is_refused = false;
    for (size_t i = 0; i < line->given_count; i++) {
        const struct sl_cli_option *option = line->given[i].option;
        if (option->is_global && strcmp(option->name, "help") != 0) {
            sl_cli_text_putf(error, "%s--%s", comma, option->name);
            comma = ", ";
            is_refused = true;
        }
    }
    return is_refused ? SL_EINVAL : SL_OK;
}

static int run_words(const struct shell *shell, size_t count, char **words, struct sl_buf *out,
                     struct sl_buf *error)
{
    struct sl_cli_line line;
    int rc = sl_cli_line_parse(&line, count, (const char *const *)words, error);
    rc = rc < 0 ? rc : refuse_globals(&line, error);
    if (rc == SL_OK && (sl_cli_help_is_wanted(&line) || line.word_count == 0)) {
        sl_cli_help_put(&line, shell->program, out);
    } else if (rc == SL_OK) {
        rc = sl_cli_command_run(shell->settings, shell->transport, &line, out, error);
    }
    sl_cli_line_free(&line);
    return rc;
}

/* False when the line ends the program. */
static bool run_line(const struct shell *shell, const char *text)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_buf error = SL_BUF_INIT;
    char **words;
    size_t count;
    bool goes_on = true;
    int rc = sl_cli_line_split(text, &words, &count, &error);
    if (rc == SL_OK && count > 0) {
        goes_on = strcmp(words[0], "exit") != 0 && strcmp(words[0], "quit") != 0;
        rc = goes_on ? run_words(shell, count, words, &out, &error) : SL_OK;
    }
    if (rc < 0) {
        sl_cli_table_put_coloured(&out, &shell->settings->style, SL_CLI_RED, "Error: ");
        struct sl_slice why = sl_buf_slice(&error);
        sl_cli_text_put_bytes(&out, why.data, why.len);
        sl_cli_text_put(&out, "\n");
    }
    fwrite(out.data == NULL ? (const uint8_t *)"" : out.data + out.start, 1, sl_buf_len(&out),
           stdout);
    fflush(stdout);
    for (size_t i = 0; i < count; i++) {
        sl_free(words[i]);
    }
    sl_free(words);
    sl_buf_free(&out);
    sl_buf_free(&error);
    return goes_on;
}

static void run_terminal(const struct shell *shell)
{
    HistEvent event;
    EditLine *el = el_init(shell->program, stdin, stdout, stderr);
    History *past = history_init();
    if (el != NULL && past != NULL) {
        history(past, &event, H_SETSIZE, HISTORY_LINES);
        el_set(el, EL_CLIENTDATA, shell->program);
        el_set(el, EL_PROMPT, prompt);
        el_set(el, EL_EDITOR, "emacs");
        el_set(el, EL_SIGNAL, 1);
        el_set(el, EL_HIST, history, past);
        el_source(el, NULL);
        int len;
        const char *text;
        bool goes_on = true;
        while (goes_on && (text = el_gets(el, &len)) != NULL && len > 0) {
            if (text[strspn(text, " \t\r\n")] != '\0') {
                history(past, &event, H_ENTER, text);
            }
            goes_on = run_line(shell, text);
        }
    }
    if (past != NULL) {
        history_end(past);
    }
    if (el != NULL) {
        el_end(el);
    }
}

void sl_cli_interactive_run(const struct sl_cli_settings *settings,
                            struct sl_cli_transport *transport, const char *program)
{
    struct shell shell = {settings, transport, program};
    if (isatty(STDIN_FILENO)) {
        run_terminal(&shell);
        return;
    }
    char *text = NULL;
    size_t size = 0;
    while (getline(&text, &size, stdin) >= 0 && run_line(&shell, text)) {
    }
    free(text); /* getline's memory */
}
