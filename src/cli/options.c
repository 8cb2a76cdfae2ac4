/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options. Immutable.
 */
#include "cli/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/text.h"

const struct sl_cli_option sl_cli_options[] = {
    {"config", 'c', SL_CLI_OPTION_TEXT, true, NULL,
     "File with defaults, *.cnf (~/.sealanectl.cnf, ~/.maxctrl.cnf)"},
    {"user", 'u', SL_CLI_OPTION_TEXT, true, "admin", "User of the REST API"},
    {"password", 'p', SL_CLI_OPTION_TEXT, true, "mariadb", "Its password; empty: ask for it"},
    {"hosts", 'h', SL_CLI_OPTION_TEXT, true, "127.0.0.1:8989",
     "Where to run the command: host:port, several with commas"},
    {"timeout", 't', SL_CLI_OPTION_TEXT, true, "10000",
     "Limit for one request: ms, or with h m s ms"},
    {"quiet", 'q', SL_CLI_OPTION_FLAG, true, "false", "Print nothing on success"},
    {"tsv", 0, SL_CLI_OPTION_FLAG, true, "false", "Tab separated output without headers"},
    {"skip-sync", 0, SL_CLI_OPTION_FLAG, true, "false",
     "Change this instance even if the configuration cannot be synchronised"},
    {"secure", 's', SL_CLI_OPTION_FLAG, true, "false", "Use HTTPS"},
    {"tls-key", 0, SL_CLI_OPTION_TEXT, true, NULL, "Key of the client certificate"},
    {"tls-passphrase", 0, SL_CLI_OPTION_TEXT, true, NULL, "Passphrase of that key"},
    {"tls-cert", 0, SL_CLI_OPTION_TEXT, true, NULL, "Client certificate"},
    {"tls-ca-cert", 0, SL_CLI_OPTION_TEXT, true, NULL, "Certificates of trusted authorities"},
    {"tls-verify-server-cert", 'n', SL_CLI_OPTION_FLAG, true, "true",
     "Refuse servers whose certificate is not trusted"},
    {"version", 0, SL_CLI_OPTION_FLAG, true, "false", "Print the version"},
    {"help", 0, SL_CLI_OPTION_FLAG, true, "false", "Print help, also for a command"},
    {"force", 0, SL_CLI_OPTION_FLAG, false, "false", "With maintenance: close connections at once"},
    {"load-all", 0, SL_CLI_OPTION_FLAG, false, "false", "Load all modules before they are shown"},
    {"limit", 0, SL_CLI_OPTION_COUNT, false, "50", "Show this many"},
    {"max-length", 'l', SL_CLI_OPTION_COUNT, false, "120",
     "Cut statements after this many characters, 0: never"},
    {"pretty", 0, SL_CLI_OPTION_FLAG, false, "false", "Indent the output"},
    {"rdns", 0, SL_CLI_OPTION_FLAG, false, "false", "Show host names instead of addresses"},
    {"sort", 0, SL_CLI_OPTION_TEXT, false, "total_us",
     "Order: total_us, count, errors, rows, bytes, avg_us, p95_us, p99_us, max_us, last_seen"},
    {"sum", 0, SL_CLI_OPTION_FLAG, false, "false", "Add up the numbers"},
    {"ttl", 0, SL_CLI_OPTION_COUNT, false, NULL, "Give the session this many seconds"},
    {"type", 0, SL_CLI_OPTION_TEXT, false, "basic", "Kind of account: admin or basic"},
    {NULL, 0, SL_CLI_OPTION_FLAG, false, NULL, NULL},
};

const struct sl_cli_option *sl_cli_option_find(const char *name, size_t len)
{
    for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) {
            return o;
        }
    }
    return len == 1 ? sl_cli_option_find_letter(*name) : NULL;
}

const struct sl_cli_option *sl_cli_option_find_letter(char letter)
{
    for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
        if (o->letter != 0 && o->letter == letter) {
            return o;
        }
    }
    return NULL;
}

void sl_cli_option_put_unknown(struct sl_buf *error, const char *name, size_t len)
{
    const char *names[64];
    size_t count = 0;
    for (const struct sl_cli_option *o = sl_cli_options; o->name != NULL; o++) {
        sl_assert(count < SL_ARRAY_LEN(names) - 1);
        names[count++] = o->name;
    }
    names[count] = NULL;
    char *copy = sl_cli_text_copy(name, len);
    sl_cli_text_putf(error, "Unknown option `%s`", copy);
    const char *nearest = len > 1 ? sl_cli_text_nearest(copy, names) : NULL;
    if (nearest != NULL) {
        sl_cli_text_putf(error, ", did you mean `--%s`?", nearest);
    }
    sl_free(copy);
}

bool sl_cli_option_accepts(const struct sl_cli_option *option, const char *value,
                           struct sl_buf *error)
{
    if (option->kind == SL_CLI_OPTION_FLAG && strcmp(value, "true") != 0 &&
        strcmp(value, "false") != 0) {
        sl_cli_text_putf(error, "Option `--%s` is true or false, not `%s`", option->name, value);
        return false;
    }
    bool is_number = *value != '\0' && strspn(value, "0123456789") == strlen(value);
    if (option->kind == SL_CLI_OPTION_COUNT && (!is_number || strlen(value) > 9)) {
        sl_cli_text_putf(error, "Option `--%s` is a whole number from 0, not `%s`", option->name,
                         value);
        return false;
    }
    return true;
}
