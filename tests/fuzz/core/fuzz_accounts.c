/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything about accounts that comes from outside: JSON of grant rows and files, host and
 * database patterns, names. Input: lines; the first letter says what the line is.
 *   P user\x1fhost\x1fjson   D user\x1fhost\x1fpattern   R user\x1fhost\x1frole   F json file
 *                            Q user\x1fname\x1fdatabase
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "core/accounts_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct sl_accounts *a, char *const *field)
{
    static const uint8_t hosts[][4] = {{127, 0, 0, 1}, {10, 0, 0, 9}, {192, 168, 1, 1}};
    for (unsigned i = 0; i < SL_ARRAY_LEN(hosts) + 1; i++) {
        struct sockaddr_storage client = {.ss_family = i < SL_ARRAY_LEN(hosts) ? AF_INET : AF_UNIX};
        const struct sl_account *account;
        if (i < SL_ARRAY_LEN(hosts)) {
            memcpy(&((struct sockaddr_in *)(void *)&client)->sin_addr, hosts[i], 4);
        }
        struct sl_account_query q = {.user = sl_slice_text(field[0]),
                                     .client = &client,
                                     .host_name = field[1][0] != '\0' ? field[1] : NULL,
                                     .database = sl_slice_text(field[2]),
                                     .match_host = true,
                                     .allow_root = true,
                                     .lower_case_table_names = i % 2};
        enum sl_account_verdict v = sl_accounts_find(a, &q, &account);
        sl_assert((account == NULL) == (v == SL_ACCOUNT_UNKNOWN || v == SL_ACCOUNT_NEEDS_NAME ||
                                        v == SL_ACCOUNT_ROOT_REFUSED));
        sl_assert(v != SL_ACCOUNT_NEEDS_NAME || q.host_name == NULL);
        if (account != NULL) {
            sl_accounts_db_is_allowed(a, account, q.database, i % 2);
        }
    }
    sl_accounts_decoy(a, sl_slice_text(field[0]));
}

static void split(char *line, char *field[3])
{
    char *rest = line;
    for (unsigned i = 0; i < 3; i++) {
        field[i] = rest != NULL ? strsep(&rest, "\x1f") : (char *)"";
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy[2] = {malloc(size + 1), malloc(size + 1)};
    struct sl_accounts_builder *b = sl_accounts_builder_new();
    struct sl_accounts *a = NULL;
    for (unsigned pass = 0; pass < 2; pass++) {
        memcpy(copy[pass], data, size);
        copy[pass][size] = '\0';
        char *rest = copy[pass], *line, *field[3];
        while ((line = strsep(&rest, "\n")) != NULL) {
            char kind = line[0];
            split(line + (kind != '\0'), field);
            if (pass == 0 && kind == 'P') {
                sl_accounts_builder_add_global_priv(b, field[0], field[1], field[2]);
            } else if (pass == 0 && kind == 'D') {
                sl_accounts_builder_add_db(b, field[0], field[1], field[2]);
                sl_accounts_builder_add_exact_db(b, field[2], field[1], field[0]);
                sl_accounts_builder_add_database(b, field[2]);
            } else if (pass == 0 && kind == 'R') {
                sl_accounts_builder_add_role(b, field[0], field[1], field[2]);
                sl_accounts_builder_add_proxy(b, field[0], field[1]);
            } else if (pass == 0 && kind == 'F') {
                sl_accounts_file_parse(sl_slice_text(line + 1), b, NULL);
            } else if (pass == 1 && kind == 'Q' && a != NULL) {
                ask(a, field);
            }
        }
        if (pass == 0) {
            a = sl_accounts_build(b);
        }
    }
    sl_accounts_unref(a);
    free(copy[0]);
    free(copy[1]);
    return 0;
}
