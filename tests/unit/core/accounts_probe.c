/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not a test by itself: loads the accounts of a real server and answers look-ups, so that a script
 * can compare our decision with the server's own (tests/system/test_accounts_live.py).
 *
 *   accounts_probe SOCKET USER PASSWORD HOST PORT
 *   stdin:  user TAB address (or "socket") TAB host name ("?" unknown, "-" none) TAB database
 *           TAB password [TAB tls]
 *   stdout: verdict TAB user@host of our account TAB CURRENT_USER() of a real login from that
 *   address, or its error code
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "core/accounts_internal.h"
#include "dbc/dbc.h"

static const char *const verdicts[] = {
    [SL_ACCOUNT_OK] = "ok",
    [SL_ACCOUNT_UNKNOWN] = "unknown",
    [SL_ACCOUNT_ROOT_REFUSED] = "root",
    [SL_ACCOUNT_NEEDS_TLS] = "tls",
    [SL_ACCOUNT_LOCKED] = "locked",
    [SL_ACCOUNT_NO_DATABASE] = "nodb",
    [SL_ACCOUNT_DB_DENIED] = "dbdenied",
    [SL_ACCOUNT_NEEDS_NAME] = "name",
};

static void read_address(const char *text, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (void *)ret;
    struct sockaddr_in6 *v6 = (void *)ret;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        ret->ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        ret->ss_family = AF_INET6;
    } else {
        ret->ss_family = AF_UNIX;
    }
}

/* Logs in as the line says and asks the server whom it took us for. */
static void ask_server(char *const *argv, char *const *field, char *out, size_t size)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_dbc *dbc = NULL;
    struct sl_dbc_result *r = NULL;
    bool by_socket = strcmp(field[1], "socket") == 0;
    struct sl_dbc_config config = {.host = by_socket ? NULL : argv[4],
                                   .socket = by_socket ? argv[1] : NULL,
                                   .port = (uint16_t)atoi(argv[5]),
                                   .local_address = by_socket ? NULL : field[1],
                                   .user = field[0],
                                   .password = field[4],
                                   .database = field[3][0] != '\0' ? field[3] : NULL,
                                   .tls = field[5][0] != '\0',
                                   .connect_timeout_ms = 60000,
                                   .read_timeout_ms = 60000};
    if (sl_dbc_connect(&config, &dbc, &err) != 0) {
        const char *at = strstr(err.text, "error ");
        snprintf(out, size, "%u", at != NULL ? (unsigned)atoi(at + strlen("error ")) : 0);
        return;
    }
    if (sl_dbc_query(dbc, "SELECT CURRENT_USER()", &r, &err) == 0 && sl_dbc_next(r)) {
        snprintf(out, size, "%s", sl_dbc_value(r, 0));
    } else {
        snprintf(out, size, "%u", sl_dbc_errno(dbc));
    }
    sl_dbc_result_free(r);
    sl_dbc_close(dbc);
}

static void answer(const struct sl_accounts *a, char *const *argv, char *line)
{
    char none[] = "";
    char *field[6] = {none, none, none, none, none, none};
    char server[512];
    char *rest = line;
    for (unsigned i = 0; i < SL_ARRAY_LEN(field) && rest != NULL; i++) {
        field[i] = strsep(&rest, "\t");
    }
    struct sockaddr_storage client;
    read_address(field[1], &client);
    const char *name = strcmp(field[2], "?") == 0   ? NULL
                       : strcmp(field[2], "-") == 0 ? ""
                                                    : field[2];
    struct sl_account_query q = {.user = sl_slice_text(field[0]),
                                 .client = &client,
                                 .host_name = name,
                                 .database = sl_slice_text(field[3]),
                                 .match_host = true,
                                 .allow_root = true,
                                 .client_has_tls = field[5][0] != '\0'};
    const struct sl_account *account;
    enum sl_account_verdict v = sl_accounts_find(a, &q, &account);
    ask_server(argv, field, server, sizeof(server));
    printf("%s\t%s@%s\t%s\n", verdicts[v], account != NULL ? account->user : "",
           account != NULL ? account->host : "", server);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct sl_err err = SL_ERR_INIT;
    struct sl_dbc *dbc = NULL;
    struct sl_accounts_load_report report;
    char line[4096];
    if (argc != 6) {
        fprintf(stderr, "usage: accounts_probe SOCKET USER PASSWORD HOST PORT\n");
        return 2;
    }
    struct sl_dbc_config config = {.socket = argv[1],
                                   .user = argv[2],
                                   .password = argv[3],
                                   .connect_timeout_ms = 60000,
                                   .read_timeout_ms = 60000,
                                   .write_timeout_ms = 60000};
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    sl_dbc_library_init();
    if (b == NULL || sl_dbc_connect(&config, &dbc, &err) != 0 ||
        sl_accounts_load_tables(dbc, b, &report, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        sl_dbc_close(dbc);
        sl_accounts_builder_free(b);
        return 1;
    }
    sl_dbc_close(dbc);
    for (unsigned i = 0; i < SL_GAP_COUNT; i++) {
        if ((report.gaps & (1u << i)) != 0) {
            char text[512];
            sl_accounts_gap_text(i, report.grantee, text, sizeof(text));
            fprintf(stderr, "gap: %s\n", text);
        }
    }
    struct sl_accounts *a = sl_accounts_build(b);
    while (a != NULL && fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(a, argv, line);
    }
    sl_accounts_unref(a);
    return a != NULL ? 0 : 1;
}
