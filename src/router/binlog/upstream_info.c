/* SPDX-License-Identifier: Apache-2.0 */
/* master-info.json; contract in the header. jansson is used here only, for this one file. */
#include "router/binlog/upstream_info.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "base/json_depth.h"
#include "base/mem.h"
#include "conf/secrets.h"

#define FILE_BYTES_MAX ((size_t)256 << 10)
#define KEY_DAEMON "daemon"
#define KEY_OWN "datadir"

/* The texts of a target by their names in the file; the password has its own way. */
static char **text_of(struct sl_upstream_target *t, unsigned i, const char **ret_name)
{
    const struct {
        const char *name;
        char **text;
    } texts[] = {
        {"host", &t->host},
        {"user", &t->user},
        {"ssl_ca", &t->ssl_ca},
        {"ssl_capath", &t->ssl_capath},
        {"ssl_cert", &t->ssl_cert},
        {"ssl_crl", &t->ssl_crl},
        {"ssl_crlpath", &t->ssl_crlpath},
        {"ssl_key", &t->ssl_key},
        {"ssl_cipher", &t->ssl_cipher},
    };
    if (i >= SL_ARRAY_LEN(texts)) {
        return NULL;
    }
    *ret_name = texts[i].name;
    return texts[i].text;
}

static void make_path(const char *datadir, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", datadir, SL_MASTER_INFO_FILE);
}

/* ---- reading ---- */

/* A value that may be missing or null; anything else of another kind is refused. */
static int get_text(const json_t *root, const char *name, char **ret, struct sl_err *err)
{
    const json_t *value = json_object_get(root, name);
    if (value == NULL || json_is_null(value)) {
        return SL_OK;
    }
    if (!json_is_string(value)) {
        return sl_err_set(err, SL_EINVAL, "\"%s\" must be a string", name);
    }
    if (json_string_length(value) == 0 && strcmp(name, "password") != 0) {
        return SL_OK;
    }
    *ret = sl_strdup(json_string_value(value));
    return *ret != NULL ? SL_OK : sl_err_set(err, SL_ENOMEM, "out of memory");
}

static int get_bool(const json_t *root, const char *name, bool *io, struct sl_err *err)
{
    const json_t *value = json_object_get(root, name);
    if (value == NULL) {
        return SL_OK;
    }
    if (!json_is_boolean(value)) {
        return sl_err_set(err, SL_EINVAL, "\"%s\" must be true or false", name);
    }
    *io = json_is_true(value);
    return SL_OK;
}

static int get_number(const json_t *root, const char *name, json_int_t max, json_int_t *ret,
                      struct sl_err *err)
{
    const json_t *value = json_object_get(root, name);
    *ret = 0;
    if (value == NULL) {
        return SL_OK;
    }
    *ret = json_integer_value(value);
    if (!json_is_integer(value) || *ret < 0 || *ret > max) {
        return sl_err_set(err, SL_EINVAL, "\"%s\" must be a number from 0 to %lld", name,
                          (long long)max);
    }
    return SL_OK;
}

/* The password as it is used. */
static int open_password(const char *datadir, const struct sl_secrets *secrets, const json_t *root,
                         char **io_password, bool *ret_was_plain, struct sl_err *err)
{
    const char *key = json_string_value(json_object_get(root, "password_key"));
    *ret_was_plain = key == NULL && *io_password != NULL;
    if (key == NULL || *io_password == NULL) {
        return SL_OK;
    }
    struct sl_secrets *own = NULL;
    int rc = SL_OK;
    if (strcmp(key, KEY_OWN) == 0) {
        rc = sl_secrets_load(datadir, &own, err);
        secrets = own;
    }
    char *plain = NULL;
    if (rc == SL_OK && secrets == NULL) {
        rc = sl_err_set(err, SL_EINVAL,
                        "the password is encrypted with the key of the %s, which is not there; say "
                        "CHANGE MASTER TO again",
                        strcmp(key, KEY_OWN) == 0 ? "file .secrets beside it" : "daemon");
    }
    if (rc == SL_OK) {
        rc = sl_secrets_decrypt(secrets, *io_password, &plain, err);
    }
    sl_secrets_free(own);
    if (rc == SL_OK) {
        sl_free(*io_password);
        *io_password = plain;
    }
    return rc;
}

static int parse(const json_t *root, struct sl_upstream_info *ret, struct sl_err *err)
{
    struct sl_upstream_target *t = &ret->target;
    const char *name;
    char **text;
    int rc = SL_OK;
    for (unsigned i = 0; rc == SL_OK && (text = text_of(t, i, &name)) != NULL; i++) {
        rc = get_text(root, name, text, err);
    }
    json_int_t port = 0, period = 0;
    rc = rc < 0 ? rc : get_text(root, "password", &t->password, err);
    rc = rc < 0 ? rc : get_number(root, "port", 65535, &port, err);
    rc = rc < 0 ? rc : get_number(root, "heartbeat_period_ms", UINT32_MAX, &period, err);
    rc = rc < 0 ? rc : get_bool(root, "slave_running", &ret->is_running, err);
    rc = rc < 0 ? rc : get_bool(root, "select_master", &ret->selects_master, err);
    rc = rc < 0 ? rc : get_bool(root, "ssl", &t->ssl, err);
    rc = rc < 0 ? rc : get_bool(root, "ssl_verify_server_cert", &t->ssl_verify_server_cert, err);
    t->port = (uint16_t)port;
    t->heartbeat_period_ms = (uint32_t)period;
    return rc;
}

static int load(const char *path, json_t **ret, struct sl_err *err)
{
    char *text;
    size_t len;
    int rc = sl_file_read(path, FILE_BYTES_MAX, &text, &len, err);
    if (rc < 0) {
        return rc;
    }
    json_error_t where = {.line = 1};
    *ret = sl_json_depth_is_sane(text, len) ? json_loadb(text, len, 0, &where) : NULL;
    sl_wipe(text, len);
    sl_free(text);
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        /* The library's own words quote what stands there, which may be the password. */
        return sl_err_set(err, SL_EINVAL, "%s: not a JSON object: line %d, column %d", path,
                          where.line, where.column);
    }
    return SL_OK;
}

int sl_upstream_info_read(const char *datadir, const struct sl_secrets *secrets,
                          struct sl_upstream_info *ret, bool *ret_was_plain, struct sl_err *err)
{
    char path[PATH_MAX];
    json_t *root = NULL;
    make_path(datadir, path);
    int rc = load(path, &root, err);
    if (rc < 0) {
        return rc;
    }
    bool selects = ret->selects_master;
    *ret = (struct sl_upstream_info){.selects_master = selects};
    rc = parse(root, ret, err);
    if (rc == SL_OK) {
        rc = open_password(datadir, secrets, root, &ret->target.password, ret_was_plain, err);
    }
    json_decref(root);
    if (rc < 0) {
        sl_upstream_target_clear(&ret->target);
        return sl_err_wrap(err, "%s", path);
    }
    return SL_OK;
}

/* ---- writing ---- */

static int own_key(const char *datadir, struct sl_secrets **ret, struct sl_err *err)
{
    int rc = sl_secrets_load(datadir, ret, err);
    if (rc < 0 || *ret != NULL) {
        return rc;
    }
    rc = sl_secrets_create(datadir, NULL, err);
    return rc < 0 ? rc : sl_secrets_load(datadir, ret, err);
}

static int put_password(json_t *root, const char *datadir, const struct sl_secrets *secrets,
                        const char *password, struct sl_err *err)
{
    if (password == NULL) {
        return SL_OK;
    }
    struct sl_secrets *own = NULL;
    char *hex = NULL;
    const char *key = KEY_DAEMON;
    int rc = SL_OK;
    if (secrets == NULL) {
        rc = own_key(datadir, &own, err);
        secrets = own;
        key = KEY_OWN;
    }
    rc = rc < 0 ? rc : sl_secrets_encrypt(secrets, password, &hex, err);
    sl_secrets_free(own);
    if (rc < 0) {
        return rc;
    }
    int failed = json_object_set_new(root, "password", json_string(hex)) |
                 json_object_set_new(root, "password_key", json_string(key));
    sl_free(hex);
    return failed ? sl_err_set(err, SL_ENOMEM, "out of memory") : SL_OK;
}

static int put_all(json_t *root, const struct sl_upstream_info *info, struct sl_err *err)
{
    struct sl_upstream_target t = info->target; /* the texts are only read */
    const char *name;
    char **text;
    int failed =
        json_object_set_new(root, "slave_running", json_boolean(info->is_running)) |
        json_object_set_new(root, "select_master", json_boolean(info->selects_master)) |
        json_object_set_new(root, "port", json_integer(t.port)) |
        json_object_set_new(root, "use_gtid", json_string("slave_pos")) |
        json_object_set_new(root, "ssl", json_boolean(t.ssl)) |
        json_object_set_new(root, "ssl_verify_server_cert",
                            json_boolean(t.ssl_verify_server_cert)) |
        json_object_set_new(root, "heartbeat_period_ms", json_integer(t.heartbeat_period_ms));
    for (unsigned i = 0; (text = text_of(&t, i, &name)) != NULL; i++) {
        failed |= json_object_set_new(root, name, json_string(*text != NULL ? *text : ""));
    }
    return failed ? sl_err_set(err, SL_ENOMEM, "out of memory or text that is not UTF-8") : SL_OK;
}

int sl_upstream_info_write(const char *datadir, const struct sl_secrets *secrets,
                           const struct sl_upstream_info *info, struct sl_err *err)
{
    char path[PATH_MAX];
    make_path(datadir, path);
    json_t *root = json_object();
    if (root == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory writing %s", path);
    }
    int rc = put_all(root, info, err);
    rc = rc < 0 ? rc : put_password(root, datadir, secrets, info->target.password, err);
    char *text = rc < 0 ? NULL : json_dumps(root, JSON_INDENT(4));
    json_decref(root);
    if (text != NULL) {
        struct sl_file_options options = {.mode = 0600};
        rc = sl_file_write(path, text, &options, err);
        free(text);
    } else if (rc == SL_OK) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    return rc < 0 ? sl_err_wrap(err, "%s", path) : SL_OK;
}
