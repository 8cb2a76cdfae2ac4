/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Router binlogrouter: directories, server id and keys. See config.h.
 *
 * The server id: a replica that has the id of another one at the same primary throws it out, and is
 * thrown out by it, for ever. So nobody gets an id that others get too: one that is not written is
 * made from the machine, its name and the data directory, which differ between relays and stay what
 * they are when a relay starts again.
 */
#include "router/binlog/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/binlog/store_io.h"
#include "router/routers.h"

#define BINLOG_SIZE_MIN 4096  /* as at a server; less would make a file of each group */
#define COMMON_SERVER_ID 1234 /* what a relay without one has elsewhere */
#define KEY_FILE_MAX 65536
#define MACHINE_ID "/etc/machine-id"
#define ATTEMPTS 16

/* ---- directories ---- */

char *sl_relay_datadir(const struct sl_service *service, const struct sl_binlog_settings *t)
{
    if (t->datadir && t->datadir[0]) {
        return sl_xstrdup(t->datadir);
    }
    return sl_xasprintf("%s/binlogs", service->core->config->global.datadir);
}

int sl_relay_datadir_make(const char *path, struct sl_err *err)
{
    char part[PATH_MAX];
    return sl_store_io_make_dir(path, part) == 0
               ? SL_OK
               : sl_err_set(err, SL_ESYS, "datadir '%s': '%s' cannot be made: %s", path, part,
                            strerror(errno));
}

int sl_relay_settings_check(const struct sl_binlog_settings *t, struct sl_err *err)
{
    if (t->max_binlog_size > 0 && t->max_binlog_size < BINLOG_SIZE_MIN) {
        return sl_err_set(err, SL_EINVAL,
                          "max_binlog_size=%lld is too small; allowed: 0, or %d and more",
                          (long long)t->max_binlog_size, BINLOG_SIZE_MIN);
    }
    if (t->expiration_mode != SL_BINLOG_ARCHIVE) {
        return SL_OK;
    }
    if (!t->archivedir || !t->archivedir[0]) {
        return sl_err_set(err, SL_EINVAL, "expiration_mode=archive needs archivedir");
    }
    if (access(t->archivedir, R_OK | W_OK | X_OK) < 0) {
        return sl_err_set(err, SL_ESYS, "archivedir '%s' cannot be read and written: %s",
                          t->archivedir, strerror(errno));
    }
    return SL_OK;
}

/* ---- server id ---- */

/* FNV-1a: an id that is the same on every run and every build. */
static uint64_t hash_add(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    }
    return h;
}

uint32_t sl_relay_server_id_make(const char *machine, const char *host, const char *datadir,
                                 unsigned attempt)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    h = hash_add(h, machine, strlen(machine) + 1);
    h = hash_add(h, host, strlen(host) + 1);
    h = hash_add(h, datadir, strlen(datadir) + 1);
    h = hash_add(h, &attempt, sizeof attempt);
    return (uint32_t)(h ^ h >> 32) | UINT32_C(0x80000000);
}

/* Who has the id already? NULL: nobody that is known. `ret_kind` is what it is. */
static const char *owner_of(const struct sl_service *service, int64_t id, const char **ret_kind)
{
    const struct sl_core *core = service->core;
    *ret_kind = "binlogrouter";
    for (unsigned i = 0; i < core->service_count && core->services[i] != service; i++) {
        const struct sl_service *other = core->services[i];
        const struct sl_binlog_settings *t = other->router_settings;
        if (other->router == &sl_module_binlogrouter && t->server_id == id) {
            return other->name;
        }
    }
    *ret_kind = "server";
    for (unsigned i = 0; i < core->server_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(core->servers[i], &info);
        if (info.server_id == id) {
            return core->servers[i]->name;
        }
    }
    return NULL;
}

static int check_written(const struct sl_service *service, int64_t id, struct sl_err *err)
{
    if (id == COMMON_SERVER_ID) {
        return sl_err_set(err, SL_EINVAL,
                          "server_id=%d is what every relay has that was given none: give this one "
                          "a number that is unique among all servers and relays, or leave it out",
                          COMMON_SERVER_ID);
    }
    const char *kind;
    const char *owner = owner_of(service, id, &kind);
    if (owner) {
        return sl_err_set(err, SL_EINVAL,
                          "server_id=%lld is that of %s '%s': it must be unique among all servers "
                          "and relays",
                          (long long)id, kind, owner);
    }
    return SL_OK;
}

int sl_relay_server_id(const struct sl_service *service, struct sl_binlog_settings *t,
                       const char *datadir, struct sl_err *err)
{
    if (t->server_id != 0) {
        return check_written(service, t->server_id, err);
    }
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    char *machine = NULL;
    size_t len;
    if (sl_file_read(MACHINE_ID, 256, &machine, &len, NULL) < 0) {
        machine = NULL;
    }
    const char *kind;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        t->server_id = sl_relay_server_id_make(machine ? machine : "", host, datadir, i);
        if (!owner_of(service, t->server_id, &kind)) {
            break;
        }
    }
    sl_free(machine);
    sl_log_notice("Service '%s' has server_id %lld, made from this machine, its name and '%s'",
                  service->name, (long long)t->server_id, datadir);
    return SL_OK;
}

/* ---- keys ---- */

static int hex_digit(int c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool parse_key(struct sl_slice hex, struct sl_store_key *ret)
{
    if (hex.len != 32 && hex.len != 48 && hex.len != 64) {
        return false;
    }
    for (size_t i = 0; i < hex.len; i += 2) {
        int high = hex_digit(hex.data[i]), low = hex_digit(hex.data[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret->bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    ret->len = (uint8_t)(hex.len / 2);
    ret->version = 1;
    return true;
}

static struct sl_slice trim(struct sl_slice s)
{
    while (s.len > 0 && isspace(s.data[0])) {
        s = sl_slice(s.data + 1, s.len - 1);
    }
    while (s.len > 0 && isspace(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

/* One line: is it the key that is looked for? SL_ENOENT: it is another one, or none. */
static int read_line(struct sl_slice line, const char *id, struct sl_store_key *ret)
{
    line = trim(line);
    if (line.len == 0 || line.data[0] == '#') {
        return SL_ENOENT;
    }
    const uint8_t *semicolon = memchr(line.data, ';', line.len);
    if (!semicolon) {
        return SL_EINVAL;
    }
    struct sl_slice own = trim(sl_slice(line.data, (size_t)(semicolon - line.data)));
    struct sl_slice hex =
        trim(sl_slice(semicolon + 1, line.len - (size_t)(semicolon + 1 - line.data)));
    struct sl_store_key key = {0};
    int rc = !parse_key(hex, &key)                     ? SL_EINVAL
             : !sl_slice_equal(own, sl_slice_text(id)) ? SL_ENOENT
                                                       : SL_OK;
    if (rc == SL_OK) {
        *ret = key;
    }
    sl_wipe(&key, sizeof key);
    return rc;
}

int sl_relay_key_find(struct sl_slice file, const char *id, struct sl_store_key *ret,
                      struct sl_err *err)
{
    int found = SL_ENOENT;
    unsigned number = 0;
    for (size_t at = 0; at < file.len; number++) {
        const uint8_t *end = memchr(file.data + at, '\n', file.len - at);
        size_t len = end ? (size_t)(end - file.data) - at : file.len - at;
        int rc = read_line(sl_slice(file.data + at, len), id, ret);
        if (rc == SL_EINVAL) {
            return sl_err_set(err, rc,
                              "line %u is not of the form id;key with a key of 32, 48 or 64 "
                              "hexadecimal digits",
                              number + 1);
        }
        found = rc == SL_OK ? SL_OK : found;
        at += len + 1;
    }
    return found == SL_OK ? SL_OK : sl_err_set(err, found, "there is no key with id '%s'", id);
}

static int read_key_file(const char *path, const char *id, struct sl_store_key *ret,
                         struct sl_err *err)
{
    char *text = NULL;
    size_t len = 0;
    int rc = sl_file_read(path, KEY_FILE_MAX, &text, &len, err);
    if (rc == SL_OK) {
        rc = sl_relay_key_find(sl_slice(text, len), id, ret, err);
        sl_wipe(text, len);
    }
    sl_free(text);
    struct stat st;
    if (rc == SL_OK && stat(path, &st) == 0 && (st.st_mode & 0007) != 0) {
        sl_log_warning("Key file '%s' can be read or written by everybody (mode %04o)", path,
                       (unsigned)(st.st_mode & 07777));
    }
    return rc < 0 ? sl_err_wrap(err, "file.keyfile '%s'", path) : SL_OK;
}

int sl_relay_keys(const struct sl_service *service, const struct sl_binlog_settings *t,
                  struct sl_store_key keys[SL_RELAY_KEYS_MAX], unsigned *ret_count,
                  struct sl_err *err)
{
    const struct sl_global_settings *g = &service->core->config->global;
    *ret_count = 0;
    if (!t->encryption_key_id || !t->encryption_key_id[0]) {
        return SL_OK;
    }
    if (g->key_manager != SL_KEYS_FILE) {
        return sl_err_set(err, SL_EINVAL,
                          "encryption_key_id=%s needs key_manager=file in [maxscale]%s",
                          t->encryption_key_id,
                          g->key_manager == SL_KEYS_NONE
                              ? ""
                              : "; the other key managers are not part of this version");
    }
    if (!g->file_keyfile || !g->file_keyfile[0]) {
        return sl_err_set(err, SL_EINVAL, "key_manager=file needs file.keyfile in [maxscale]");
    }
    int rc = read_key_file(g->file_keyfile, t->encryption_key_id, &keys[0], err);
    *ret_count = rc == SL_OK ? 1 : 0;
    return rc;
}

enum sl_event_cipher sl_relay_cipher(const struct sl_binlog_settings *t)
{
    static const enum sl_event_cipher ciphers[] = {
        [SL_BINLOG_AES_GCM] = SL_CIPHER_AES_GCM,
        [SL_BINLOG_AES_CBC] = SL_CIPHER_AES_CBC,
        [SL_BINLOG_AES_CTR] = SL_CIPHER_AES_CTR,
    };
    return ciphers[t->encryption_cipher];
}

/* ---- the store's settings ---- */

void sl_relay_tuning(const struct sl_binlog_settings *t, struct sl_store_tuning *ret)
{
    *ret = (struct sl_store_tuning){
        .is_synced = t->sync_binlog,
        .archives = t->expiration_mode == SL_BINLOG_ARCHIVE,
        .expire_ms = (uint64_t)t->expire_log_duration,
        .minimum_files = (uint32_t)SL_MAX(t->expire_log_minimum_files, 1),
        .startup_delay_ms = (uint64_t)t->purge_startup_delay,
        .poll_ms = (uint64_t)t->purge_poll_timeout,
        .compresses = t->compression_algorithm == SL_BINLOG_ZSTANDARD,
        .plain_files = (uint32_t)SL_MAX(t->number_of_noncompressed_files, 1),
        .max_file_bytes = (uint64_t)t->max_binlog_size,
    };
}
