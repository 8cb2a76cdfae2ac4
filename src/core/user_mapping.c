/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user_mapping_file: reads and answers.
 *
 *   {"user_map": [{"original_user": "bob", "mapped_user": "janet"}],
 *    "group_map": [{"original_group": "dba", "mapped_user": "janet"}], "server_credentials":
 *    [{"mapped_user": "janet", "password": "...", "plugin": "mysql_native_password"}]}
 *
 * Keys: MaxScale 24.02 configuration guide, user_mapping_file.
 */
#include "core/user_mapping.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "conf/secrets.h"
#include "core/accounts_internal.h"

#define FILE_MAX (16u << 20)
#define GROUPS_MAX 100 /* of one user that are looked at */
#define DEFAULT_PLUGIN "mysql_native_password"

struct credentials {
    char *user, *password, *plugin;
};

struct group_rule {
    char *group, *user;
};

struct sl_user_mapping {
    struct sl_map users;       /* original name -> char *mapped name */
    struct sl_map credentials; /* mapped name -> struct credentials * */
    struct group_rule *groups;
    size_t group_count;
};

struct reading {
    struct sl_user_mapping *mapping;
    const struct sl_secrets *secrets;
};

/* --- reading ---------------------------------------------------------------------------------- */

static int need_text(const struct sl_json_row *row, const char *key, const char **ret,
                     struct sl_err *err)
{
    *ret = sl_json_row_text(row, key);
    return *ret != NULL && (*ret)[0] != '\0' ? 0
                                             : sl_err_set(err, SL_EINVAL, "'%s' is missing", key);
}

static int out_of_memory(struct sl_err *err)
{
    return sl_err_set(err, SL_ENOMEM, "%s", sl_rc_text(SL_ENOMEM));
}

static int on_user(void *arg, const struct sl_json_row *row, struct sl_err *err)
{
    struct reading *r = arg;
    const char *original, *mapped;
    void *old = NULL;
    if (need_text(row, "original_user", &original, err) != 0 ||
        need_text(row, "mapped_user", &mapped, err) != 0) {
        return SL_EINVAL;
    }
    char *copy = sl_strdup(mapped);
    if (copy == NULL || sl_map_put(&r->mapping->users, sl_slice_text(original), copy, &old) != 0) {
        sl_free(copy);
        return out_of_memory(err);
    }
    sl_free(old);
    return 0;
}

static int on_group(void *arg, const struct sl_json_row *row, struct sl_err *err)
{
    struct reading *r = arg;
    struct group_rule rule;
    const char *group, *mapped;
    if (need_text(row, "original_group", &group, err) != 0 ||
        need_text(row, "mapped_user", &mapped, err) != 0) {
        return SL_EINVAL;
    }
    struct group_rule *grown =
        sl_realloc(r->mapping->groups, (r->mapping->group_count + 1) * sizeof(*r->mapping->groups));
    if (grown == NULL) {
        return out_of_memory(err);
    }
    r->mapping->groups = grown;
    rule.group = sl_strdup(group);
    rule.user = sl_strdup(mapped);
    if (rule.group == NULL || rule.user == NULL) {
        sl_free(rule.group);
        sl_free(rule.user);
        return out_of_memory(err);
    }
    grown[r->mapping->group_count++] = rule;
    return 0;
}

static void free_credentials(struct credentials *c)
{
    if (c != NULL) {
        if (c->password != NULL) {
            sl_wipe(c->password, strlen(c->password));
        }
        sl_free(c->user);
        sl_free(c->password);
        sl_free(c->plugin);
        sl_free(c);
    }
}

static int read_password(const struct reading *r, const char *text, char **ret, struct sl_err *err)
{
    if (r->secrets != NULL) {
        return sl_secrets_decrypt(r->secrets, text, ret, err);
    }
    *ret = sl_strdup(text);
    return *ret != NULL ? 0 : out_of_memory(err);
}

static int on_credentials(void *arg, const struct sl_json_row *row, struct sl_err *err)
{
    struct reading *r = arg;
    const char *user;
    void *old = NULL;
    int rc = need_text(row, "mapped_user", &user, err);
    if (rc != 0) {
        return rc;
    }
    const char *password = sl_json_row_text(row, "password");
    const char *plugin = sl_json_row_text(row, "plugin");
    struct credentials *c = sl_calloc(1, sizeof(*c));
    if (c == NULL) {
        return out_of_memory(err);
    }
    c->user = sl_strdup(user);
    c->plugin = sl_strdup(plugin != NULL && plugin[0] != '\0' ? plugin : DEFAULT_PLUGIN);
    rc = read_password(r, password != NULL ? password : "", &c->password, err);
    if (rc == 0 && (c->user == NULL || c->plugin == NULL ||
                    sl_map_put(&r->mapping->credentials, sl_slice_text(user), c, &old) != 0)) {
        rc = out_of_memory(err);
    }
    if (rc != 0) {
        free_credentials(c);
        return rc;
    }
    free_credentials(old);
    return 0;
}

int sl_user_mapping_parse(struct sl_slice json, const struct sl_secrets *secrets,
                          struct sl_user_mapping **ret, struct sl_err *err)
{
    static const struct {
        const char *name;
        int (*on_row)(void *arg, const struct sl_json_row *row, struct sl_err *err);
    } arrays[] = {
        {"user_map", on_user}, {"group_map", on_group}, {"server_credentials", on_credentials}};
    struct sl_err local = SL_ERR_INIT;
    struct reading r = {sl_calloc(1, sizeof(struct sl_user_mapping)), secrets};
    err = err != NULL ? err : &local;
    if (r.mapping == NULL) {
        return out_of_memory(err);
    }
    for (unsigned i = 0; i < SL_ARRAY_LEN(arrays); i++) {
        int rc = sl_json_rows(json, arrays[i].name, arrays[i].on_row, &r, err);
        if (rc != 0) {
            sl_user_mapping_free(r.mapping);
            return rc;
        }
    }
    *ret = r.mapping;
    return 0;
}

int sl_user_mapping_load(const char *path, const struct sl_secrets *secrets,
                         struct sl_user_mapping **ret, struct sl_err *err)
{
    struct sl_err local = SL_ERR_INIT;
    char *text;
    size_t len;
    err = err != NULL ? err : &local;
    int rc = sl_file_read(path, FILE_MAX, &text, &len, err);
    if (rc != 0) {
        return rc == SL_ENOENT ? SL_ESYS : rc;
    }
    rc = sl_user_mapping_parse(sl_slice(text, len), secrets, ret, err);
    if (rc != 0) {
        sl_err_wrap(err, "user mapping file '%s'", path);
    }
    sl_wipe(text, len);
    sl_free(text);
    return rc;
}

void sl_user_mapping_free(struct sl_user_mapping *m)
{
    struct sl_slice key;
    void *value;
    if (m == NULL) {
        return;
    }
    for (size_t pos = 0; sl_map_next(&m->users, &pos, &key, &value);) {
        sl_free(value);
    }
    for (size_t pos = 0; sl_map_next(&m->credentials, &pos, &key, &value);) {
        free_credentials(value);
    }
    for (size_t i = 0; i < m->group_count; i++) {
        sl_free(m->groups[i].group);
        sl_free(m->groups[i].user);
    }
    sl_free(m->groups);
    sl_map_clear(&m->users);
    sl_map_clear(&m->credentials);
    sl_free(m);
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool has_group(const gid_t *groups, int count, const char *name)
{
    struct group entry, *found = NULL;
    char buffer[16384];
    if (getgrnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (groups[i] == found->gr_gid) {
            return true;
        }
    }
    return false;
}

static const char *find_by_group(const struct sl_user_mapping *m, struct sl_slice user)
{
    struct passwd entry, *found = NULL;
    char name[256], buffer[4096];
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX;
    if (m->group_count == 0 || user.len >= sizeof(name) ||
        memchr(user.data, '\0', user.len) != NULL) {
        return NULL;
    }
    memcpy(name, user.data, user.len);
    name[user.len] = '\0';
    if (getpwnam_r(name, &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
        return NULL;
    }
    if (getgrouplist(name, found->pw_gid, groups, &count) < 0) {
        count = GROUPS_MAX; /* more than that: the first ones were stored */
    }
    for (size_t i = 0; i < m->group_count; i++) {
        if (has_group(groups, count, m->groups[i].group)) {
            return m->groups[i].user;
        }
    }
    return NULL;
}

bool sl_user_mapping_find(const struct sl_user_mapping *m, struct sl_slice user,
                          struct sl_mapped_user *ret)
{
    const char *mapped = user.len > 0 ? sl_map_get(&m->users, user) : NULL;
    if (mapped == NULL && user.len > 0) {
        mapped = find_by_group(m, user);
    }
    const struct credentials *c =
        sl_map_get(&m->credentials, mapped != NULL ? sl_slice_text(mapped) : user);
    if (mapped == NULL && c == NULL) {
        return false;
    }
    *ret = (struct sl_mapped_user){.user = mapped != NULL ? mapped : c->user,
                                   .password = c != NULL ? c->password : "",
                                   .plugin = c != NULL ? c->plugin : DEFAULT_PLUGIN};
    return true;
}
