/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealanepasswd (also maxpasswd): encrypts a password for the configuration file.
 *
 *   sealanepasswd [-d] [-i] [DIRECTORY] [PASSWORD]
 *
 * Options and output as MaxScale's maxpasswd. Passwords are wiped before the program ends.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/terminal.h"
#include "conf/secrets.h"

#define LINE_BYTES_MAX 4098

struct arguments {
    bool decrypts;
    bool is_interactive;
    const char *dir;
    char *password; /* NULL with is_interactive */
};

static void print_usage(FILE *out)
{
    fputs("Usage: sealanepasswd [OPTION]... [DIRECTORY] PASSWORD\n"
          "Encrypt a password with the key in DIRECTORY/.secrets (default: " SL_SECRETS_DEFAULT_DIR
          ").\n\n"
          "  -d, --decrypt      decrypt instead\n"
          "  -i, --interactive  ask for the password, or read it from a pipe\n"
          "  -h, --help         this text\n",
          out);
}

/* True when the program should go on; otherwise *ret_code is its exit code. */
static bool read_arguments(int argc, char **argv, struct arguments *a, int *ret_code)
{
    static const struct option options[] = {{"decrypt", no_argument, NULL, 'd'},
                                            {"interactive", no_argument, NULL, 'i'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *ret_code = 1;
    for (int c; (c = getopt_long(argc, argv, "dih", options, NULL)) != -1;) {
        switch (c) {
        case 'd':
            a->decrypts = true;
            break;
        case 'i':
            a->is_interactive = true;
            break;
        case 'h':
            print_usage(stdout);
            *ret_code = 0;
            return false;
        default:
            print_usage(stderr);
            return false;
        }
    }
    int wanted = a->is_interactive ? 0 : 1; /* besides the directory */
    int given = argc - optind;
    if (given < wanted || given > wanted + 1) {
        print_usage(stderr);
        return false;
    }
    a->dir = given > wanted ? argv[optind] : SL_SECRETS_DEFAULT_DIR;
    a->password = a->is_interactive ? NULL : argv[argc - 1];
    return true;
}

/* One line without its end; false at the end of input. */
static bool read_line(char line[LINE_BYTES_MAX])
{
    if (fgets(line, LINE_BYTES_MAX, stdin) == NULL) {
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

static bool ask_once(const char *prompt, char line[LINE_BYTES_MAX])
{
    fputs(prompt, stderr);
    bool is_read = read_line(line);
    fputc('\n', stderr);
    return is_read;
}

/* Twice without echo on a terminal, one line from a pipe. */
static bool ask(char line[LINE_BYTES_MAX])
{
    if (!sl_terminal_hide()) {
        return read_line(line);
    }
    char again[LINE_BYTES_MAX] = "";
    bool is_read = ask_once("Enter password: ", line) && ask_once("Repeat password: ", again);
    sl_terminal_show();
    if (is_read && strcmp(line, again) != 0) {
        fputs("The passwords are different.\n", stderr);
        is_read = false;
    }
    sl_wipe(again, sizeof(again));
    return is_read;
}

static int run(const struct arguments *a, const char *password)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_secrets *secrets;
    if (sl_secrets_load(a->dir, &secrets, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    if (secrets == NULL) {
        fprintf(stderr, "There is no %s/" SL_SECRETS_FILE "; make one with sealanekeys.\n", a->dir);
        return 1;
    }
    char *result = NULL;
    int rc;
    if (a->decrypts && !sl_secrets_looks_encrypted(password)) {
        rc = sl_err_set(&err, SL_EINVAL, "this is no encrypted password");
    } else {
        rc = a->decrypts ? sl_secrets_decrypt(secrets, password, &result, &err)
                         : sl_secrets_encrypt(secrets, password, &result, &err);
    }
    if (rc == 0) {
        puts(result);
        sl_wipe(result, strlen(result));
    } else {
        fprintf(stderr, "%s\n", err.text);
    }
    sl_free(result);
    sl_secrets_free(secrets);
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments a = {.dir = NULL};
    int code;
    if (!read_arguments(argc, argv, &a, &code)) {
        return code;
    }
    char line[LINE_BYTES_MAX] = "";
    if (a.is_interactive && !ask(line)) {
        sl_wipe(line, sizeof(line));
        fputs("No password was read.\n", stderr);
        return 1;
    }
    code = run(&a, a.is_interactive ? line : a.password);
    sl_wipe(line, sizeof(line));
    if (a.password != NULL) {
        sl_wipe(a.password, strlen(a.password)); /* out of /proc/<pid>/cmdline as well */
    }
    return code;
}
