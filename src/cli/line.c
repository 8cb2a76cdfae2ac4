/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line taken apart, see line.h.
 *
 * getopt_long(3) cannot do it: --no-x, --x=false, a flag's value as a word of its own, options that
 * belong to a command named later. Arrays have room for one entry an argument from the start.
 */
#include "cli/line.h"

#include <ctype.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/mem.h"
#include "cli/text.h"

struct parser {
    struct sl_cli_line *line;
    const char *const *args;
    size_t count;
    size_t next;
    struct sl_buf *error;
};

static void add(struct parser *p, const struct sl_cli_option *option, const char *value)
{
    p->line->given[p->line->given_count++] =
        (struct sl_cli_given){option, sl_cli_text_copy(value, strlen(value))};
}

static bool is_switch(const char *word)
{
    return strcmp(word, "true") == 0 || strcmp(word, "false") == 0;
}

/* `value` is what stood behind "=" or directly behind a letter, NULL if nothing did. */
static int take(struct parser *p, const struct sl_cli_option *option, const char *value)
{
    bool has_next = p->next < p->count;
    if (value == NULL && option->kind == SL_CLI_OPTION_FLAG) {
        bool takes_next = has_next && is_switch(p->args[p->next]);
        value = takes_next ? p->args[p->next++] : "true";
    } else if (value == NULL && has_next) {
        value = p->args[p->next++];
    } else if (value == NULL) {
        sl_cli_text_putf(p->error, "Option `--%s` needs a value", option->name);
        return SL_EINVAL;
    }
    if (!sl_cli_option_accepts(option, value, p->error)) {
        return SL_EINVAL;
    }
    add(p, option, value);
    return SL_OK;
}

/* `arg` is behind the two dashes. */
static int take_long(struct parser *p, const char *arg)
{
    size_t len = strcspn(arg, "=");
    const char *value = arg[len] == '=' ? arg + len + 1 : NULL;
    const struct sl_cli_option *option = len > 1 ? sl_cli_option_find(arg, len) : NULL;
    if (option != NULL) {
        return take(p, option, value);
    }
    if (len > 4 && strncmp(arg, "no-", 3) == 0) {
        option = sl_cli_option_find(arg + 3, len - 3);
    }
    if (option == NULL || option->kind != SL_CLI_OPTION_FLAG || value != NULL) {
        sl_cli_option_put_unknown(p->error, arg, len);
        return SL_EINVAL;
    }
    add(p, option, "false");
    return SL_OK;
}

/* `arg` is behind the dash: flags may be joined (-qs), the last may have its value behind it. */
static int take_letters(struct parser *p, const char *arg)
{
    for (; *arg != '\0'; arg++) {
        const struct sl_cli_option *option = sl_cli_option_find_letter(*arg);
        if (option == NULL) {
            sl_cli_option_put_unknown(p->error, arg, 1);
            return SL_EINVAL;
        }
        bool has_value = arg[1] == '=' || (arg[1] != '\0' && option->kind != SL_CLI_OPTION_FLAG);
        if (has_value) {
            return take(p, option, arg + 1 + (arg[1] == '='));
        }
        if (arg[1] != '\0') {
            add(p, option, "true");
            continue;
        }
        return take(p, option, NULL);
    }
    return SL_OK;
}

static bool is_word(const char *arg)
{
    return arg[0] != '-' || arg[1] == '\0' || isdigit((unsigned char)arg[1]);
}

int sl_cli_line_parse(struct sl_cli_line *line, size_t count, const char *const *args,
                      struct sl_buf *error)
{
    *line = (struct sl_cli_line){0};
    line->words = sl_xcalloc(count + 1, sizeof(*line->words));
    size_t letters = 1; /* joined letters give several options an argument */
    for (size_t i = 0; i < count; i++) {
        letters += is_word(args[i]) ? 0 : strlen(args[i]);
    }
    line->given = sl_xcalloc(letters, sizeof(*line->given));
    struct parser p = {line, args, count, 0, error};
    bool has_ended = false;
    while (p.next < count) {
        const char *arg = args[p.next++];
        int rc = SL_OK;
        if (has_ended || is_word(arg)) {
            line->words[line->word_count++] = sl_cli_text_copy(arg, strlen(arg));
        } else if (strcmp(arg, "--") == 0) {
            has_ended = true;
        } else if (arg[1] == '-') {
            rc = take_long(&p, arg + 2);
        } else {
            rc = take_letters(&p, arg + 1);
        }
        if (rc < 0) {
            return rc;
        }
    }
    return SL_OK;
}

void sl_cli_line_free(struct sl_cli_line *line)
{
    for (size_t i = 0; i < line->word_count; i++) {
        sl_free(line->words[i]);
    }
    for (size_t i = 0; i < line->given_count; i++) {
        sl_wipe(line->given[i].value, strlen(line->given[i].value)); /* may be a password */
        sl_free(line->given[i].value);
    }
    sl_free(line->words);
    sl_free(line->given);
    *line = (struct sl_cli_line){0};
}

/* Reads one word from *text, which stands on its first character, into `word`. */
static int split_word(const char **text, struct sl_buf *word, struct sl_buf *error)
{
    char quote = 0;
    const char *p = *text;
    for (; *p != '\0' && (quote != 0 || !isspace((unsigned char)*p)); p++) {
        if (quote == 0 && (*p == '"' || *p == '\'')) {
            quote = *p;
            continue;
        }
        if (quote != 0 && *p == quote) {
            quote = 0;
            continue;
        }
        p += *p == '\\' && quote != '\'' && p[1] != '\0';
        sl_cli_text_put_bytes(word, p, 1);
    }
    *text = p;
    if (quote != 0) {
        sl_cli_text_putf(error, "The quote %c is not closed", quote);
        return SL_EINVAL;
    }
    return SL_OK;
}

int sl_cli_line_split(const char *text, char ***ret_words, size_t *ret_count, struct sl_buf *error)
{
    char **words = sl_xcalloc(strlen(text) / 2 + 2, sizeof(*words));
    size_t count = 0;
    int rc = SL_OK;
    while (rc == SL_OK && *(text += strspn(text, " \t\r\n")) != '\0') {
        struct sl_buf word = SL_BUF_INIT;
        rc = split_word(&text, &word, error);
        words[count++] = sl_cli_text_take(&word);
    }
    *ret_words = words;
    *ret_count = count;
    return rc;
}

const char *sl_cli_line_given(const struct sl_cli_line *line, const char *option)
{
    const struct sl_cli_option *row = sl_cli_option_find(option, strlen(option));
    sl_assert(row != NULL);
    for (size_t i = line->given_count; i > 0; i--) {
        if (line->given[i - 1].option == row) {
            return line->given[i - 1].value;
        }
    }
    return NULL;
}

const char *sl_cli_line_text(const struct sl_cli_line *line, const char *option)
{
    const char *value = sl_cli_line_given(line, option);
    return value != NULL ? value : sl_cli_option_find(option, strlen(option))->standard;
}

bool sl_cli_line_is_on(const struct sl_cli_line *line, const char *option)
{
    const char *value = sl_cli_line_text(line, option);
    return value != NULL && strcmp(value, "true") == 0;
}
