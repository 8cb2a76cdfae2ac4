/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account store. One lock guards the array of accounts; hashing, which takes milliseconds by
 * design, is done without it. A change is made on a copy, written in place of the file
 * (base/file.h), then taken.
 *
 * The file's format is that of MaxScale (server/core/users.cc writes it), so that an existing one
 * keeps working. Times are seconds since the epoch in our files; text in older ones is passed on as
 * it is.
 */
#include "admin/passwd.h"

#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"

#define DEFAULT_NAME "admin"
#define DEFAULT_PASSWORD "mariadb"
#define ACCOUNTS_MAX 10000
#define FILE_MAX (16 * 1024 * 1024)
#define NAME_MAX_LENGTH 255
#define PASSWORD_MAX_LENGTH 512 /* CRYPT_MAX_PASSPHRASE_SIZE of libxcrypt */
#define HASH_PREFIX "$6$"       /* SHA-512 */

struct sl_passwd {
    pthread_mutex_t lock;
    char *path;
    json_t *accounts;              /* array; under the lock */
    char decoy[CRYPT_OUTPUT_SIZE]; /* hash that passwords of unknown names are compared with */
};

static const char *const role_names[] = {[SL_ADMIN_ROLE_NONE] = "none",
                                         [SL_ADMIN_ROLE_BASIC] = "basic",
                                         [SL_ADMIN_ROLE_ADMIN] = "admin"};

static enum sl_admin_role role_of(const json_t *account)
{
    const char *name = json_string_value(json_object_get(account, "account"));
    if (name == NULL) {
        return SL_ADMIN_ROLE_NONE;
    }
    return strcmp(name, "admin") == 0 ? SL_ADMIN_ROLE_ADMIN : SL_ADMIN_ROLE_BASIC;
}

/* ---- hashes ---- */

/* SL_EINVAL: the password is too long or the setting is none. */
static int hash(const char *password, const char *setting, char out[CRYPT_OUTPUT_SIZE])
{
    struct crypt_data *data = sl_calloc(1, sizeof *data); /* 32 kB: not for the stack */
    if (data == NULL) {
        return SL_ENOMEM;
    }
    /* Not crypt_r(): the sanitizers' interceptor of it calls a null pointer here. */
    const char *made = crypt_rn(password, setting, data, (int)sizeof *data);
    int rc = made != NULL && made[0] != '*' ? SL_OK : SL_EINVAL;
    if (rc == SL_OK) {
        snprintf(out, CRYPT_OUTPUT_SIZE, "%s", made);
    }
    sl_wipe(data, sizeof *data);
    sl_free(data);
    return rc;
}

static int hash_new(const char *password, char out[CRYPT_OUTPUT_SIZE])
{
    static const char letters[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char random[16];
    char setting[sizeof HASH_PREFIX + sizeof random + 1] = HASH_PREFIX;
    sl_rng_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        setting[sizeof HASH_PREFIX - 1 + i] = letters[random[i] & 63];
    }
    return hash(password, setting, out);
}

static bool is_same(const char *a, const char *b)
{
    size_t len = strlen(a);
    if (len != strlen(b)) {
        return false;
    }
    unsigned char difference = 0;
    for (size_t i = 0; i < len; i++) {
        difference |= (unsigned char)(a[i] ^ b[i]);
    }
    return difference == 0;
}

/* ---- file ---- */

static int save(const struct sl_passwd *p, const json_t *accounts, struct sl_err *err)
{
    const struct sl_file_options options = {.mode = 0600};
    char *text = json_dumps(accounts, JSON_INDENT(4));
    if (text == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory for '%s'", p->path);
    }
    int rc = sl_file_write(p->path, text, &options, err);
    free(text);
    return rc;
}

static bool is_account(const json_t *account)
{
    return json_is_string(json_object_get(account, "name")) &&
           json_is_string(json_object_get(account, "password")) &&
           json_is_string(json_object_get(account, "account"));
}

static int load(struct sl_passwd *p, struct sl_err *err)
{
    json_error_t je;
    char *text = NULL;
    size_t len = 0;
    int rc = sl_file_read(p->path, FILE_MAX, &text, &len, err);
    if (rc < 0) {
        return rc;
    }
    p->accounts = json_loadb(text, len, 0, &je);
    sl_wipe(text, len);
    sl_free(text);
    if (p->accounts == NULL) {
        /* The library's own words quote what stands there, which may be a hash. */
        return sl_err_set(err, SL_EINVAL, "cannot read accounts from '%s': line %d, column %d",
                          p->path, je.line, je.column);
    }
    size_t i;
    json_t *account;
    bool is_good = json_is_array(p->accounts) && json_array_size(p->accounts) > 0;
    json_array_foreach (p->accounts, i, account) {
        is_good = is_good && is_account(account);
    }
    return is_good ? SL_OK
                   : sl_err_set(err, SL_EINVAL,
                                "'%s' is no array of accounts with name, account and password",
                                p->path);
}

static json_t *make_account(const char *name, const char *hashed, enum sl_admin_role role,
                            int64_t created_s)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:n, s:n}", "name", name, "account", role_names[role],
                     "password", hashed, "created",
                     created_s != 0 ? json_integer(created_s) : json_null(), "last_update",
                     "last_login");
}

static int load_default(struct sl_passwd *p, struct sl_err *err)
{
    char hashed[CRYPT_OUTPUT_SIZE];
    if (hash_new(DEFAULT_PASSWORD, hashed) < 0) {
        return sl_err_set(err, SL_ENOTSUP, "crypt(3) cannot make SHA-512 hashes");
    }
    p->accounts = json_array();
    json_array_append_new(p->accounts, make_account(DEFAULT_NAME, hashed, SL_ADMIN_ROLE_ADMIN, 0));
    return SL_OK;
}

int sl_passwd_open(const char *path, struct sl_passwd **ret, struct sl_err *err)
{
    struct sl_passwd *p = sl_xcalloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    p->path = sl_xstrdup(path);
    int rc = hash_new("", p->decoy);
    if (rc < 0) {
        sl_err_set(err, SL_ENOTSUP, "crypt(3) cannot make SHA-512 hashes");
    } else {
        rc = load(p, err);
        rc = rc == SL_ENOENT ? load_default(p, err) : rc;
    }
    if (rc < 0) {
        sl_passwd_close(p);
        return rc;
    }
    *ret = p;
    return SL_OK;
}

void sl_passwd_close(struct sl_passwd *p)
{
    if (p == NULL) {
        return;
    }
    json_decref(p->accounts);
    pthread_mutex_destroy(&p->lock);
    sl_free(p->path);
    sl_free(p);
}

/* ---- look-ups (under the lock) ---- */

static int find(const json_t *accounts, const char *name)
{
    size_t i;
    json_t *account;
    json_array_foreach (accounts, i, account) {
        if (strcmp(json_string_value(json_object_get(account, "name")), name) == 0) {
            return (int)i;
        }
    }
    return SL_ENOENT;
}

static json_t *get(const json_t *accounts, const char *name)
{
    int i = find(accounts, name);
    return i >= 0 ? json_array_get(accounts, (size_t)i) : NULL;
}

/* Notes the login; a hash of an older kind is replaced, now that the password is known. */
static void note_login(struct sl_passwd *p, const char *name, const char *password,
                       const char *old_hash)
{
    char hashed[CRYPT_OUTPUT_SIZE];
    bool upgrade = strncmp(old_hash, HASH_PREFIX, strlen(HASH_PREFIX)) != 0 &&
                   hash_new(password, hashed) == SL_OK;
    pthread_mutex_lock(&p->lock);
    json_t *account = get(p->accounts, name);
    if (account != NULL) {
        json_object_set_new(account, "last_login", json_integer(sl_clock_wall_s()));
    }
    if (account != NULL && upgrade) {
        struct sl_err err = SL_ERR_INIT;
        json_object_set_new(account, "password", json_string(hashed));
        if (save(p, p->accounts, &err) < 0) {
            sl_log_warning("%s", err.text);
        }
    }
    pthread_mutex_unlock(&p->lock);
}

enum sl_admin_role sl_passwd_check(struct sl_passwd *p, const char *name, const char *password)
{
    char stored[CRYPT_OUTPUT_SIZE];
    char made[CRYPT_OUTPUT_SIZE];
    enum sl_admin_role role = SL_ADMIN_ROLE_NONE;
    snprintf(stored, sizeof stored, "%s", p->decoy);
    pthread_mutex_lock(&p->lock);
    const json_t *account = get(p->accounts, name);
    if (account != NULL) {
        role = role_of(account);
        snprintf(stored, sizeof stored, "%s",
                 json_string_value(json_object_get(account, "password")));
    }
    pthread_mutex_unlock(&p->lock);
    bool is_right = hash(password, stored, made) == SL_OK && is_same(made, stored);
    if (!is_right || account == NULL) {
        return SL_ADMIN_ROLE_NONE;
    }
    note_login(p, name, password, stored);
    return role;
}

enum sl_admin_role sl_passwd_role(struct sl_passwd *p, const char *name)
{
    pthread_mutex_lock(&p->lock);
    enum sl_admin_role role = role_of(get(p->accounts, name));
    pthread_mutex_unlock(&p->lock);
    return role;
}

/* ---- changes ---- */

/* Takes the new array once it is on disk. Under the lock. */
static int take(struct sl_passwd *p, json_t *accounts, struct sl_err *err)
{
    int rc = save(p, accounts, err);
    if (rc < 0) {
        json_decref(accounts);
        return rc;
    }
    json_decref(p->accounts);
    p->accounts = accounts;
    return SL_OK;
}

static int check_words(const char *name, const char *password, struct sl_err *err)
{
    size_t len = strlen(name);
    if (len == 0 || len > NAME_MAX_LENGTH || strpbrk(name, ":/\r\n") != NULL) {
        return sl_err_set(err, SL_EINVAL, "'%.255s' is no name for an account", name);
    }
    if (strlen(password) == 0 || strlen(password) >= PASSWORD_MAX_LENGTH) {
        return sl_err_set(err, SL_EINVAL, "the password of '%s' must have 1..%d characters", name,
                          PASSWORD_MAX_LENGTH - 1);
    }
    return SL_OK;
}

static int hash_checked(const char *name, const char *password, char hashed[CRYPT_OUTPUT_SIZE],
                        struct sl_err *err)
{
    int rc = check_words(name, password, err);
    if (rc == SL_OK && hash_new(password, hashed) < 0) {
        rc = sl_err_set(err, SL_EINVAL, "the password of '%s' cannot be hashed", name);
    }
    return rc;
}

int sl_passwd_add(struct sl_passwd *p, const char *name, const char *password,
                  enum sl_admin_role role, struct sl_err *err)
{
    char hashed[CRYPT_OUTPUT_SIZE];
    int rc = hash_checked(name, password, hashed, err);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&p->lock);
    if (get(p->accounts, name) != NULL) {
        rc = sl_err_set(err, SL_EEXIST, "user '%s' exists already", name);
    } else if (json_array_size(p->accounts) >= ACCOUNTS_MAX) {
        rc = sl_err_set(err, SL_ELIMIT, "there are %d users already", ACCOUNTS_MAX);
    } else {
        json_t *accounts = json_deep_copy(p->accounts);
        json_array_append_new(accounts, make_account(name, hashed, role, sl_clock_wall_s()));
        rc = take(p, accounts, err);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int sl_passwd_change(struct sl_passwd *p, const char *name, const char *password,
                     struct sl_err *err)
{
    char hashed[CRYPT_OUTPUT_SIZE];
    int rc = hash_checked(name, password, hashed, err);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&p->lock);
    json_t *accounts = json_deep_copy(p->accounts);
    json_t *account = get(accounts, name);
    if (account == NULL) {
        rc = sl_err_set(err, SL_ENOENT, "%s is not a user", name);
        json_decref(accounts);
    } else {
        json_object_set_new(account, "password", json_string(hashed));
        json_object_set_new(account, "last_update", json_integer(sl_clock_wall_s()));
        rc = take(p, accounts, err);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static unsigned count_admins(const json_t *accounts)
{
    unsigned count = 0;
    size_t i;
    json_t *account;
    json_array_foreach (accounts, i, account) {
        count += role_of(account) == SL_ADMIN_ROLE_ADMIN;
    }
    return count;
}

int sl_passwd_remove(struct sl_passwd *p, const char *name, struct sl_err *err)
{
    int rc;
    pthread_mutex_lock(&p->lock);
    int i = find(p->accounts, name);
    const json_t *account = i >= 0 ? json_array_get(p->accounts, (size_t)i) : NULL;
    if (account == NULL) {
        rc = sl_err_set(err, SL_ENOENT, "%s is not a user", name);
    } else if (role_of(account) == SL_ADMIN_ROLE_ADMIN && count_admins(p->accounts) == 1) {
        rc = sl_err_set(err, SL_ESTATE,
                        "user '%s' is the last one with account type admin and cannot be deleted",
                        name);
    } else {
        json_t *accounts = json_deep_copy(p->accounts);
        json_array_remove(accounts, (size_t)i);
        rc = take(p, accounts, err);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* ---- listing ---- */

static json_t *public_part(const json_t *account)
{
    static const char *const keys[] = {"name", "account", "created", "last_update", "last_login"};
    json_t *o = json_object();
    for (unsigned i = 0; i < SL_ARRAY_LEN(keys); i++) {
        json_t *value = json_object_get(account, keys[i]);
        json_object_set_new(o, keys[i], value != NULL ? json_copy(value) : json_null());
    }
    return o;
}

json_t *sl_passwd_list(struct sl_passwd *p)
{
    json_t *list = json_array();
    pthread_mutex_lock(&p->lock);
    size_t i;
    json_t *account;
    json_array_foreach (p->accounts, i, account) {
        json_array_append_new(list, public_part(account));
    }
    pthread_mutex_unlock(&p->lock);
    return list;
}

json_t *sl_passwd_one(struct sl_passwd *p, const char *name)
{
    pthread_mutex_lock(&p->lock);
    const json_t *account = get(p->accounts, name);
    json_t *o = account != NULL ? public_part(account) : NULL;
    pthread_mutex_unlock(&p->lock);
    return o;
}
