/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, generated from the tables of commands and options.
 */
#include <string.h>

#include "cli/command.h"
#include "cli/text.h"

static void put_option(const struct sl_cli_option *option, struct sl_buf *out)
{
    char letter[8] = "    ";
    if (option->letter != 0) {
        letter[0] = '-';
        letter[1] = option->letter;
        letter[2] = ',';
    }
    sl_cli_text_putf(out, "  %s--%-23s %s", letter, option->name, option->help);
    bool is_secret = strcmp(option->name, "password") == 0;
    if (option->standard != NULL && !is_secret) {
        sl_cli_text_putf(out, " [%s]", option->standard);
    }
    sl_cli_text_put(out, "\n");
}

static void put_options(const struct sl_cli_command *command, struct sl_buf *out)
{
    if (command != NULL && command->options != NULL) {
        sl_cli_text_put(out, "\nOptions of the command:\n");
        for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
            if (sl_cli_command_has_option(command, o->name)) {
                put_option(o, out);
            }
        }
    }
    sl_cli_text_put(out, "\nGlobal options:\n");
    for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
        if (o->is_global) {
            put_option(o, out);
        }
    }
}

/* Commands with this verb; all for NULL. False when there are none. */
static bool put_commands(const char *verb, struct sl_buf *out)
{
    bool has_some = false;
    const struct sl_cli_command *c;
    for (size_t i = 0; (c = sl_cli_command_at(i)) != NULL; i++) {
        if (verb != NULL && strcmp(c->verb, verb) != 0) {
            continue;
        }
        char name[80];
        snprintf(name, sizeof(name), "%s %s %s", c->verb, c->noun, c->usage);
        sl_cli_text_putf(out, "  %-31s %s\n", name, c->help);
        has_some = true;
    }
    return has_some;
}

bool sl_cli_help_is_wanted(const struct sl_cli_line *line)
{
    return sl_cli_line_is_on(line, "help") ||
           (line->word_count > 0 && strcmp(line->words[0], "help") == 0);
}

void sl_cli_help_put(const struct sl_cli_line *line, const char *program, struct sl_buf *out)
{
    bool has_help_word = line->word_count > 0 && strcmp(line->words[0], "help") == 0;
    struct sl_cli_line named = {
        .words = line->words + has_help_word,
        .word_count = line->word_count - has_help_word,
    };
    struct sl_buf ignored = SL_BUF_INIT;
    const char *verb = named.word_count > 0 ? named.words[0] : NULL;
    const struct sl_cli_command *command =
        named.word_count > 1 ? sl_cli_command_find(&named, &ignored) : NULL;
    sl_buf_free(&ignored);
    if (command != NULL) {
        sl_cli_text_putf(out, "Usage: %s %s %s %s [OPTION]...\n\n%s.\n", program, command->verb,
                         command->noun, command->usage, command->help);
    } else {
        sl_cli_text_putf(out, "Usage: %s [OPTION]... COMMAND...\n", program);
        sl_cli_text_put(out, "Without a command: asks for commands, one a line.\n\nCommands:\n");
        if (!put_commands(verb, out)) {
            put_commands(NULL, out);
        }
    }
    put_options(command, out);
}
