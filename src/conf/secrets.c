/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key file and cipher of encrypted passwords; contract and format in secrets.h.
 *
 * jansson is used here and nowhere else in this layer. The key lives in one heap block that is
 * wiped when freed; the text of the file is wiped too.
 */
#include "conf/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

#define KEY_BYTES 32
#define IV_BYTES 16
#define BLOCK_BYTES 16
#define FILE_BYTES_MAX 4096
#define PASSWORD_BYTES_MAX 4096
#define OLD_FORMAT_BYTES 48 /* binary key and IV of versions before 2.5 */
#define CIPHER_NAME "EVP_aes_256_cbc"
#define KEY_TEXT_BYTES (2 * KEY_BYTES + 1)

struct sl_secrets {
    uint8_t key[KEY_BYTES];
};

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* False: not exactly `len` bytes of hex. */
static bool from_hex(const char *text, uint8_t *out, size_t len)
{
    if (strlen(text) != 2 * len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void make_path(const char *dir, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", dir, SL_SECRETS_FILE);
}

static int check_file(const char *path, const struct stat *st, struct sl_err *err)
{
    if (!S_ISREG(st->st_mode)) {
        return sl_err_set(err, SL_EINVAL, "%s is not a regular file", path);
    }
    if ((st->st_mode & 07777) != 0400) {
        return sl_err_set(err, SL_EINVAL, "%s must have mode 0400, but has 0%o", path,
                          (unsigned)st->st_mode & 07777);
    }
    if (st->st_size == OLD_FORMAT_BYTES) {
        return sl_err_set(err, SL_EINVAL,
                          "%s has the binary format of versions before 2.5; "
                          "make a new key and encrypt the passwords again",
                          path);
    }
    if (st->st_size > FILE_BYTES_MAX) {
        return sl_err_set(err, SL_EINVAL, "%s is larger than %d bytes", path, FILE_BYTES_MAX);
    }
    return 0;
}

/* Reads the checked file to `text` (NUL-terminated). *ret_exists is false when there is none. */
static int read_file(const char *path, char text[FILE_BYTES_MAX + 1], bool *ret_exists,
                     struct sl_err *err)
{
    *ret_exists = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT
                   ? 0
                   : sl_err_set(err, SL_ESYS, "cannot open %s: %s", path, strerror(errno));
    }
    struct stat st;
    int rc = 0;
    if (fstat(fd, &st) != 0) {
        rc = sl_err_set(err, SL_ESYS, "cannot inspect %s: %s", path, strerror(errno));
        goto done;
    }
    rc = check_file(path, &st, err);
    if (rc != 0) {
        goto done;
    }
    ssize_t len = read(fd, text, FILE_BYTES_MAX);
    if (len < 0) {
        rc = sl_err_set(err, SL_ESYS, "cannot read %s: %s", path, strerror(errno));
        goto done;
    }
    text[len] = '\0';
    *ret_exists = true;
done:
    close(fd);
    return rc;
}

static int parse_file(const char *path, const char *text, struct sl_secrets *s, struct sl_err *err)
{
    json_error_t where;
    json_t *root = json_loads(text, 0, &where);
    if (root == NULL) {
        /* The library's own words quote what stands there, which may be the key. */
        return sl_err_set(err, SL_EINVAL, "%s is not valid JSON: line %d, column %d", path,
                          where.line, where.column);
    }
    const char *cipher = json_string_value(json_object_get(root, "encryption_cipher"));
    const char *key = json_string_value(json_object_get(root, "encryption_key"));
    int rc = 0;
    if (cipher == NULL || strcmp(cipher, CIPHER_NAME) != 0) {
        rc = sl_err_set(err, SL_EINVAL, "%s: encryption_cipher must be \"%s\", not \"%.40s\"", path,
                        CIPHER_NAME, cipher != NULL ? cipher : "");
    } else if (key == NULL || !from_hex(key, s->key, KEY_BYTES)) {
        rc = sl_err_set(err, SL_EINVAL, "%s: encryption_key must be %d hex digits", path,
                        2 * KEY_BYTES);
    }
    if (key != NULL) {
        sl_wipe((char *)(uintptr_t)key, strlen(key)); /* jansson's own copy */
    }
    json_decref(root);
    return rc;
}

int sl_secrets_load(const char *dir, struct sl_secrets **ret, struct sl_err *err)
{
    *ret = NULL;
    char path[PATH_MAX];
    make_path(dir, path, sizeof(path));
    char text[FILE_BYTES_MAX + 1];
    bool exists;
    int rc = read_file(path, text, &exists, err);
    if (rc != 0 || !exists) {
        return rc;
    }
    struct sl_secrets *s = sl_calloc(1, sizeof(*s));
    if (s == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory");
    } else {
        rc = parse_file(path, text, s, err);
    }
    sl_wipe(text, sizeof(text));
    if (rc != 0) {
        sl_secrets_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void sl_secrets_free(struct sl_secrets *s)
{
    if (s == NULL) {
        return;
    }
    sl_wipe(s, sizeof(*s));
    sl_free(s);
}

int sl_secrets_create(const char *dir, const char *owner, struct sl_err *err)
{
    struct sl_file_options options = {.mode = 0400, .must_be_new = true};
    if (owner != NULL) { /* the account and its group */
        const struct passwd *user = getpwnam(owner);
        if (user == NULL) {
            return sl_err_set(err, SL_ENOENT, "no such user: %s", owner);
        }
        options.is_for_owner = true;
        options.uid = user->pw_uid;
        options.gid = user->pw_gid;
    }
    char path[PATH_MAX];
    make_path(dir, path, sizeof(path));
    uint8_t key[KEY_BYTES];
    char key_text[KEY_TEXT_BYTES];
    char text[512];
    sl_rng_bytes(key, sizeof(key));
    to_hex(key, sizeof(key), key_text);
    snprintf(text, sizeof(text),
             "{\n    \"description\": \"Sealane encryption key\",\n"
             "    \"maxscale_version\": \"24.2.0\",\n"
             "    \"encryption_cipher\": \"" CIPHER_NAME "\",\n"
             "    \"encryption_key\": \"%s\"\n}\n",
             key_text);
    int rc = sl_file_write(path, text, &options, err);
    sl_wipe(key, sizeof(key));
    sl_wipe(key_text, sizeof(key_text));
    sl_wipe(text, sizeof(text));
    return rc;
}

/* In one go; the output has room for one block more than the input. Returns its length or -1. */
static int run_cipher(const struct sl_secrets *s, const uint8_t iv[IV_BYTES], bool encrypts,
                      const uint8_t *in, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return -1;
    }
    int head = 0, tail = 0;
    bool is_good = EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, s->key, iv, encrypts) == 1 &&
                   EVP_CipherUpdate(ctx, out, &head, in, (int)len) == 1 &&
                   EVP_CipherFinal_ex(ctx, out + head, &tail) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return is_good ? head + tail : -1;
}

int sl_secrets_encrypt(const struct sl_secrets *s, const char *plain, char **ret,
                       struct sl_err *err)
{
    size_t len = strlen(plain);
    if (len > PASSWORD_BYTES_MAX) {
        return sl_err_set(err, SL_ELIMIT, "a password may have %d bytes", PASSWORD_BYTES_MAX);
    }
    uint8_t *bytes = sl_malloc(IV_BYTES + len + BLOCK_BYTES);
    if (bytes == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    sl_rng_bytes(bytes, IV_BYTES);
    int n = run_cipher(s, bytes, true, (const uint8_t *)plain, len, bytes + IV_BYTES);
    char *hex = n < 0 ? NULL : sl_malloc(2 * (IV_BYTES + (size_t)n) + 1);
    if (hex != NULL) {
        to_hex(bytes, IV_BYTES + (size_t)n, hex);
    }
    sl_free(bytes);
    if (hex == NULL) {
        return sl_err_set(err, n < 0 ? SL_ESYS : SL_ENOMEM, "cannot encrypt the password");
    }
    *ret = hex;
    return 0;
}

bool sl_secrets_looks_encrypted(const char *text)
{
    size_t len = 0;
    for (; text[len] != '\0'; len++) {
        if (hex_digit(text[len]) < 0) {
            return false;
        }
    }
    return len >= 2 * (IV_BYTES + BLOCK_BYTES) && len % (2 * BLOCK_BYTES) == 0 &&
           len <= 2 * (IV_BYTES + PASSWORD_BYTES_MAX + BLOCK_BYTES);
}

int sl_secrets_decrypt(const struct sl_secrets *s, const char *text, char **ret, struct sl_err *err)
{
    if (!sl_secrets_looks_encrypted(text)) {
        *ret = sl_strdup(text);
        return *ret != NULL ? 0 : sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    size_t len = strlen(text) / 2;
    uint8_t *bytes = sl_malloc(len);
    size_t plain_size = len - IV_BYTES + BLOCK_BYTES + 1;
    char *plain = sl_malloc(plain_size);
    int rc = 0;
    if (bytes == NULL || plain == NULL) {
        rc = sl_err_set(err, SL_ENOMEM, "out of memory");
        goto fail;
    }
    bool is_hex = from_hex(text, bytes, len);
    sl_assert(is_hex);
    int n = run_cipher(s, bytes, false, bytes + IV_BYTES, len - IV_BYTES, (uint8_t *)plain);
    if (n < 0 || memchr(plain, '\0', (size_t)n) != NULL) {
        rc = sl_err_set(
            err, SL_EINVAL,
            "it looks encrypted, but not with the key of this machine's " SL_SECRETS_FILE " file");
        goto fail;
    }
    plain[n] = '\0';
    sl_free(bytes);
    *ret = plain;
    return 0;
fail:
    if (plain != NULL) {
        sl_wipe(plain, plain_size);
    }
    sl_free(plain);
    sl_free(bytes);
    return rc;
}
