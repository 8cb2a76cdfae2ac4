/* SPDX-License-Identifier: Apache-2.0 */
/* Resource `users`: the accounts of the REST interface (admin/passwd.h), and GET /auth.
 * Connection's thread. */
#include <string.h>

#include "admin/admin_state.h"
#include "admin/jsonapi.h"
#include "admin/resources.h"

#define PATH "users/inet"

/* Seconds become dates; text and null stay. */
static json_t *date_json(json_t *value)
{
    return json_is_integer(value) ? sl_jsonapi_date(json_integer_value(value)) : json_incref(value);
}

/* Takes over the account. */
static json_t *resource(const struct sl_admin_request *rq, json_t *account)
{
    static const char *const dates[] = {"created", "last_update", "last_login"};
    for (unsigned i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        json_object_set_new(account, dates[i], date_json(json_object_get(account, dates[i])));
    }
    const char *name = json_string_value(json_object_get(account, "name"));
    return sl_jsonapi_resource(rq, PATH, "inet", name, account, NULL);
}

static struct sl_passwd *store(const struct sl_admin_request *rq)
{
    return rq->admin->auth.passwd;
}

/* ---- GET ---- */

void sl_admin_users_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *accounts = sl_passwd_list(store(rq));
    json_t *rows = json_array();
    size_t i;
    json_t *account;
    json_array_foreach (accounts, i, account) {
        json_array_append_new(rows, resource(rq, json_incref(account)));
    }
    json_decref(accounts);
    sl_jsonapi_many(rq, rs, rows);
}

void sl_admin_users_inet_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    sl_admin_users_get(rq, rs);
}

/* Unix accounts went out of use in MaxScale; the path is kept for clients. */
void sl_admin_users_unix_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    sl_jsonapi_many(rq, rs, json_array());
}

void sl_admin_user_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    json_t *account = sl_passwd_one(store(rq), rq->args[0]);
    if (account == NULL) {
        sl_admin_fail_unknown(rs, rq->args[0], "user");
        return;
    }
    sl_jsonapi_one(rq, rs, resource(rq, account));
}

/* ---- changes ---- */

static void answer(struct sl_admin_response *rs, int rc, const struct sl_err *err)
{
    if (rc < 0) {
        sl_admin_fail(rs, rc == SL_ENOENT ? 404 : 400, "%s", err->text);
    } else {
        rs->status = 204;
    }
}

/* A string below data.attributes (or data); NULL after a 400. */
static const char *wanted_text(const struct sl_admin_request *rq, struct sl_admin_response *rs,
                               bool in_attributes, const char *key)
{
    const json_t *data = json_object_get(rq->body, "data");
    const json_t *from = in_attributes ? json_object_get(data, "attributes") : data;
    const char *text = json_string_value(json_object_get(from, key));
    if (text == NULL) {
        sl_admin_fail(rs, 400, "the body lacks the text /data/%s%s",
                      in_attributes ? "attributes/" : "", key);
    }
    return text;
}

void sl_admin_user_create(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const char *name = wanted_text(rq, rs, false, "id");
    const char *password = wanted_text(rq, rs, true, "password");
    const char *account = wanted_text(rq, rs, true, "account");
    if (name == NULL || password == NULL || account == NULL) {
        return;
    }
    bool is_admin = strcmp(account, "admin") == 0;
    if (!is_admin && strcmp(account, "basic") != 0) {
        sl_admin_fail(rs, 400, "'%s' is not an account type, only 'admin' and 'basic' are",
                      account);
        return;
    }
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_passwd_add(store(rq), name, password,
                           is_admin ? SL_ADMIN_ROLE_ADMIN : SL_ADMIN_ROLE_BASIC, &err);
    answer(rs, rc, &err);
}

void sl_admin_user_change(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    const char *password = wanted_text(rq, rs, true, "password");
    if (password == NULL) {
        return;
    }
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_passwd_change(store(rq), rq->args[0], password, &err);
    answer(rs, rc, &err);
}

void sl_admin_user_delete(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    struct sl_err err = SL_ERR_INIT;
    int rc = sl_passwd_remove(store(rq), rq->args[0], &err);
    answer(rs, rc, &err);
}

/* ---- /auth ---- */

void sl_admin_auth_get(struct sl_admin_request *rq, struct sl_admin_response *rs)
{
    sl_auth_token(&rq->admin->auth, rq, rs);
}
