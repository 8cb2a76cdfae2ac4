/* SPDX-License-Identifier: Apache-2.0 */
/* What clients send to log in: Authorization (Basic), Cookie, and tokens. */
#include <stdlib.h>
#include <string.h>

#include "admin/auth.h"
#include "conf/tables.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct sl_jwt_keys *keys;
    char user[64], password[64], value[256];
    if (keys == NULL) {
        struct sl_jwt_config config = {SL_JWT_HS256, "maxscale", NULL};
        struct sl_err err = SL_ERR_INIT;
        if (sl_jwt_keys_new(&config, &keys, &err) < 0) {
            abort();
        }
    }
    char *text = strndup((const char *)data, size);
    sl_auth_basic_parse(text, user, sizeof user, password, sizeof password);
    sl_auth_cookie_find(text, SL_AUTH_COOKIE, value, sizeof value);
    if (sl_jwt_check(keys, text, 0, user, sizeof user) == 0) {
        abort(); /* nobody guesses a signature */
    }
    free(text);
    return 0;
}
