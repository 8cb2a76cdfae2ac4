/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealanectl (also maxctrl): the command line client of the REST API.
 *
 *   arguments -> line -> [help, version] -> defaults file -> settings -> [password] -> command,
 *   or interactive mode when there is none
 *
 * Results go to stdout, errors to stderr. Exit code 0 or 1, as in maxctrl. One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/http.h"
#include "cli/interactive.h"
#include "cli/line.h"
#include "cli/settings.h"
#include "cli/text.h"

#define PASSWORD_BYTES_MAX 4096

static void write_out(FILE *file, const struct sl_buf *text)
{
    if (sl_buf_len(text) > 0) {
        fwrite(text->data + text->start, 1, sl_buf_len(text), file);
    }
}

static void print_error(const struct sl_buf *error)
{
    bool is_coloured = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
    fputs(is_coloured ? SL_CLI_RED "Error: " SL_CLI_NO_COLOUR : "Error: ", stderr);
    write_out(stderr, error);
    fputc('\n', stderr);
}

/* The name we were called by, for help and for the defaults file. */
static const char *program_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* Byte by byte, so that what follows the first line stays readable for interactive mode. */
static size_t read_line(char *line, size_t size)
{
    size_t len = 0;
    char c;
    while (len + 1 < size && read(STDIN_FILENO, &c, 1) == 1 && c != '\n') {
        line[len++] = c;
    }
    line[len] = '\0';
    return len;
}

/* Without echo on a terminal, else the first line of stdin. */
static void ask_password(struct sl_cli_settings *settings)
{
    char line[PASSWORD_BYTES_MAX];
    bool is_terminal = sl_terminal_hide();
    if (is_terminal) {
        fputs("Enter password: ", stderr);
    }
    read_line(line, sizeof(line));
    if (is_terminal) {
        sl_terminal_show();
        fputc('\n', stderr);
    }
    sl_free(settings->password);
    settings->password = sl_xstrdup(line);
    sl_wipe(line, sizeof(line));
}

static void set_style(struct sl_cli_style *style)
{
    struct winsize size;
    if (isatty(STDOUT_FILENO) && !style->is_tsv) {
        style->is_coloured = true;
        style->width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    }
}

static int run(const struct sl_cli_settings *settings, const struct sl_cli_line *line,
               const char *program, struct sl_buf *error)
{
    struct sl_buf out = SL_BUF_INIT;
    struct sl_cli_http *http = sl_cli_http_open(settings);
    int rc = SL_OK;
    if (http == NULL) {
        sl_cli_text_put(error, "The HTTP library does not start");
        return SL_ESYS;
    }
    struct sl_cli_transport *transport = sl_cli_http_transport(http);
    if (line->word_count == 0) {
        sl_cli_interactive_run(settings, transport, program);
    } else {
        rc = sl_cli_command_run(settings, transport, line, &out, error);
        if (rc < 0 || !settings->is_quiet) {
            write_out(stdout, &out);
        }
    }
    sl_buf_free(&out);
    sl_cli_http_close(http);
    return rc;
}

/* What a full disk or a closed pipe swallowed must not look like success. The error of an earlier
 * write is no longer known when the stream says that there was one. */
static int check_output(int rc, struct sl_buf *error)
{
    errno = 0;
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (!is_written && rc == SL_OK) {
        sl_cli_text_putf(error, "Cannot write the output%s%s", errno != 0 ? ": " : "",
                         errno != 0 ? strerror(errno) : "");
        rc = SL_ESYS;
    }
    return rc;
}

static int run_with_settings(const struct sl_cli_line *line, const char *program,
                             struct sl_buf *error)
{
    struct sl_cli_line defaults;
    struct sl_cli_settings settings = {0};
    int rc = sl_cli_config_load(line, program, &defaults, error);
    if (rc == SL_OK) {
        rc = sl_cli_settings_build(&settings, line, &defaults, error);
    }
    if (rc == SL_OK) {
        set_style(&settings.style);
        if (*settings.password == '\0') {
            ask_password(&settings);
        }
        rc = run(&settings, line, program, error);
    }
    sl_cli_settings_free(&settings);
    sl_cli_line_free(&defaults);
    return rc;
}

int main(int argc, char **argv)
{
    struct sl_cli_line line;
    struct sl_buf error = SL_BUF_INIT;
    struct sl_buf out = SL_BUF_INIT;
    const char *program = program_name(argc > 0 ? argv[0] : "sealanectl");
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    sl_cli_locale_set();
    int rc = sl_cli_line_parse(&line, count, (const char *const *)argv + 1, &error);
    if (rc == SL_OK && sl_cli_help_is_wanted(&line)) {
        sl_cli_help_put(&line, program, &out);
        write_out(stdout, &out);
    } else if (rc == SL_OK && sl_cli_line_is_on(&line, "version")) {
        puts(SL_VERSION);
    } else if (rc == SL_OK) {
        rc = run_with_settings(&line, program, &error);
    }
    rc = check_output(rc, &error);
    if (rc < 0) {
        print_error(&error);
    }
    sl_buf_free(&error);
    sl_buf_free(&out);
    sl_cli_line_free(&line);
    return rc < 0 ? 1 : 0;
}
