/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands.
 *
 * A command is one or two words and what may follow; its file (list.c, show.c, ...) holds its row.
 */
#ifndef SL_CLI_COMMAND_H
#define SL_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/call.h"
#include "cli/field.h"

#define SL_CLI_ARGS_ANY ((size_t)-1)

/* What a command that only prints fields prints. */
struct sl_cli_view {
    const char *resource; /* below /v1/ */
    const struct sl_cli_field *fields;
    size_t field_count;
    const char *inner; /* path of an array inside the resource: the rows of a list; NULL: data */
};

struct sl_cli_command {
    const char *verb;
    const char *noun;
    const char *usage; /* the arguments, for people */
    const char *help;
    size_t args_min;
    size_t args_max;
    const char *options; /* names of its own ones, parted by blanks; NULL: none */
    int (*run)(struct sl_cli_call *call);
    const struct sl_cli_view *view;
};

/* Each ends with a row without a verb. */
extern const struct sl_cli_command sl_cli_list_commands[];
extern const struct sl_cli_command sl_cli_show_commands[];
extern const struct sl_cli_command sl_cli_change_commands[];
extern const struct sl_cli_command sl_cli_api_commands[];

/* The i-th command of all, NULL at the end. */
const struct sl_cli_command *sl_cli_command_at(size_t i);

bool sl_cli_command_has_option(const struct sl_cli_command *command, const char *option);

/* Finds the command that the words of a line name. NULL with the reason in *error: unknown (with
 * the nearest known one) or incomplete. */
const struct sl_cli_command *sl_cli_command_find(const struct sl_cli_line *line,
                                                 struct sl_buf *error);

/* Runs a line on every host of the settings. 0 with the output in *out (ends with a line end or is
 * empty), or negative with the reason, without a line end, in *error; what hosts before the failing
 * one said is in *out. */
int sl_cli_command_run(const struct sl_cli_settings *settings, struct sl_cli_transport *transport,
                       const struct sl_cli_line *line, struct sl_buf *out, struct sl_buf *error);

/* Whether a line asks for help: --help, or the word in front. */
bool sl_cli_help_is_wanted(const struct sl_cli_line *line);

/* Help for what the words of a line name: all, one verb, one command. */
void sl_cli_help_put(const struct sl_cli_line *line, const char *program, struct sl_buf *out);

/* Commands with a file of their own. */
int sl_cli_list_queries(struct sl_cli_call *call);
int sl_cli_show_threads(struct sl_cli_call *call);
int sl_cli_list_digests(struct sl_cli_call *call);
int sl_cli_clear_digests(struct sl_cli_call *call);

/* Values of `show session` (show_session.c); NULL when the server does not tell. */
json_t *sl_cli_session_activity(json_t *session);
json_t *sl_cli_session_transaction(json_t *session);
json_t *sl_cli_session_lock(json_t *session);
json_t *sl_cli_session_connections(json_t *session);
json_t *sl_cli_session_history(json_t *session);
json_t *sl_cli_session_prepared(json_t *session);
json_t *sl_cli_session_statements(json_t *session);

/* The rows of `show thread`, of which `show threads` makes columns. */
extern const struct sl_cli_field sl_cli_thread_fields[];
extern const size_t sl_cli_thread_field_count;

#endif
