/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a line to a command, and its run on every host.
 *
 *   line -> find -> check options and arguments -> [ping every host] -> run on each host in order
 *
 * With several hosts nothing is done unless all of them answer.
 */
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/text.h"

#define COMMANDS_MAX 256

static const struct sl_cli_command *const TABLES[] = {sl_cli_list_commands, sl_cli_show_commands,
                                                      sl_cli_change_commands, sl_cli_api_commands};

const struct sl_cli_command *sl_cli_command_at(size_t i)
{
    for (size_t t = 0; t < SL_ARRAY_LEN(TABLES); t++) {
        for (const struct sl_cli_command *c = TABLES[t]; c->verb != NULL; c++, i--) {
            if (i == 0) {
                return c;
            }
        }
    }
    return NULL;
}

bool sl_cli_command_has_option(const struct sl_cli_command *command, const char *option)
{
    size_t len = strlen(option);
    for (const char *p = command->options; p != NULL && *p != '\0';) {
        size_t word = strcspn(p, " ");
        if (word == len && memcmp(p, option, len) == 0) {
            return true;
        }
        p += word + (p[word] == ' ');
    }
    return false;
}

static const struct sl_cli_command *find(const char *verb, const char *noun)
{
    const struct sl_cli_command *c;
    for (size_t i = 0; (c = sl_cli_command_at(i)) != NULL; i++) {
        if (strcmp(c->verb, verb) == 0 && (noun == NULL || strcmp(c->noun, noun) == 0)) {
            return c;
        }
    }
    return NULL;
}

/* The nearest verb, or with `verb` its nearest noun. */
static const char *find_nearest(const char *word, const char *verb)
{
    const char *known[COMMANDS_MAX];
    size_t count = 0;
    const struct sl_cli_command *c;
    for (size_t i = 0; (c = sl_cli_command_at(i)) != NULL; i++) {
        if (verb == NULL || strcmp(c->verb, verb) == 0) {
            sl_assert(count < COMMANDS_MAX - 1);
            known[count++] = verb == NULL ? c->verb : c->noun;
        }
    }
    known[count] = NULL;
    return sl_cli_text_nearest(word, known);
}

const struct sl_cli_command *sl_cli_command_find(const struct sl_cli_line *line,
                                                 struct sl_buf *error)
{
    sl_assert(line->word_count > 0);
    const char *verb = line->words[0];
    bool is_verb = find(verb, NULL) != NULL;
    if (is_verb && line->word_count == 1) {
        sl_cli_text_putf(error, "`%s` needs a sub-command, see `--help %s`", verb, verb);
        return NULL;
    }
    const char *noun = is_verb ? line->words[1] : NULL;
    const struct sl_cli_command *command = is_verb ? find(verb, noun) : NULL;
    if (command != NULL) {
        return command;
    }
    const char *nearest = find_nearest(is_verb ? noun : verb, is_verb ? verb : NULL);
    sl_cli_text_putf(error, "Unknown command `%s%s%s`", verb, is_verb ? " " : "",
                     is_verb ? noun : "");
    if (nearest != NULL) {
        sl_cli_text_putf(error, ", did you mean `%s%s%s`?", is_verb ? verb : "", is_verb ? " " : "",
                         nearest);
    } else {
        sl_cli_text_put(error, ", see `--help`");
    }
    return NULL;
}

static int check(const struct sl_cli_command *command, const struct sl_cli_line *line,
                 struct sl_buf *error)
{
    for (size_t i = 0; i < line->given_count; i++) {
        const struct sl_cli_option *option = line->given[i].option;
        if (!option->is_global && !sl_cli_command_has_option(command, option->name)) {
            sl_cli_text_putf(error, "`%s %s` has no option `--%s`", command->verb, command->noun,
                             option->name);
            return SL_EINVAL;
        }
    }
    size_t args = line->word_count - 2;
    if (args < command->args_min || args > command->args_max) {
        sl_cli_text_putf(error, "%s arguments, expected: %s %s %s",
                         args < command->args_min ? "Not enough" : "Too many", command->verb,
                         command->noun, command->usage);
        return SL_EINVAL;
    }
    return SL_OK;
}

static int ping_all(struct sl_cli_call *call)
{
    for (size_t i = 0; i < call->settings->host_count; i++) {
        call->host = call->settings->hosts[i];
        int rc = sl_cli_call_send(call, "GET", "", NULL, NULL);
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

/* Warnings are for people at a terminal. */
static void put_warnings(struct sl_cli_call *call)
{
    char *text = sl_cli_text_take(call->warning);
    const char *wish = getenv("MAXCTRL_WARNINGS");
    if (*text != '\0' && call->settings->style.is_coloured &&
        (wish == NULL || strcmp(wish, "0") != 0)) {
        text[strlen(text) - 1] = '\0';
        sl_cli_text_put(call->out, SL_CLI_YELLOW "Warning:" SL_CLI_NO_COLOUR " ");
        sl_cli_text_put(call->out, text);
        sl_cli_text_put(call->out, "\n");
    }
    sl_free(text);
}

static int run_on(struct sl_cli_call *call, const char *host)
{
    struct sl_buf text = SL_BUF_INIT;
    struct sl_buf *out = call->out;
    call->host = host;
    if (call->settings->host_count > 1) {
        sl_cli_table_put_coloured(out, &call->settings->style, SL_CLI_YELLOW, host);
        sl_cli_text_put(out, "\n");
    }
    call->out = &text;
    int rc = call->command->run(call);
    call->out = out;
    struct sl_slice result = sl_buf_slice(&text);
    if (rc == SL_OK) {
        put_warnings(call);
        sl_cli_text_put_bytes(out, result.data, result.len);
        sl_cli_text_put(out, result.len > 0 && result.data[result.len - 1] != '\n' ? "\n" : "");
    }
    sl_buf_free(&text);
    return rc;
}

int sl_cli_command_run(const struct sl_cli_settings *settings, struct sl_cli_transport *transport,
                       const struct sl_cli_line *line, struct sl_buf *out, struct sl_buf *error)
{
    const struct sl_cli_command *command = sl_cli_command_find(line, error);
    if (command == NULL) {
        return SL_EINVAL;
    }
    struct sl_buf warning = SL_BUF_INIT;
    struct sl_cli_call call = {
        .settings = settings,
        .transport = transport,
        .command = command,
        .line = line,
        .args = line->words + 2,
        .arg_count = line->word_count - 2,
        .out = out,
        .error = error,
        .warning = &warning,
    };
    int rc = check(command, line, error);
    if (rc == SL_OK && settings->host_count > 1) {
        rc = ping_all(&call);
    }
    for (size_t i = 0; rc == SL_OK && i < settings->host_count; i++) {
        rc = run_on(&call, settings->hosts[i]);
    }
    sl_buf_free(&warning);
    return rc;
}
