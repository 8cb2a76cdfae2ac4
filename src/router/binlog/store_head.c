/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first events of a file: FORMAT_DESCRIPTION, START_ENCRYPTION if encrypted, GTID_LIST.
 *
 * START_ENCRYPTION tells the version of the key but not the cipher; a file keeps its cipher when
 * the setting changes, so each is tried until the GTID_LIST makes sense. Owns nothing.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/rng.h"

enum {
    HEAD_FIRST_READ = 8 * 1024,
};

static const uint8_t magic[SL_BINLOG_MAGIC_LEN] = {0xfe, 'b', 'i', 'n'};

/* What is being parsed. */
struct cursor {
    const uint8_t *data;
    size_t len, at;
};

void sl_store_head_free(struct sl_store_head *h)
{
    sl_free(h->fde);
    sl_free(h->list_event);
    sl_gtid_list_free(&h->list);
    *h = (struct sl_store_head){0};
}

static uint8_t *duplicate(const uint8_t *data, uint32_t len)
{
    uint8_t *copy = sl_malloc(len);
    if (copy != NULL) {
        memcpy(copy, data, len);
    }
    return copy;
}

/* A whole event is there: its header; SL_EAGAIN: not yet. */
static int peek(const struct cursor *c, struct sl_event_header *ret, struct sl_err *err)
{
    if (c->len - c->at < SL_EVENT_HEADER) {
        return SL_EAGAIN;
    }
    if (sl_event_header_parse(c->data + c->at, ret) < 0 || ret->length > SL_STORE_HEAD_MAX) {
        return sl_err_set(err, SL_EPROTO, "damaged at offset %zu: impossible length", c->at);
    }
    return c->len - c->at < ret->length ? SL_EAGAIN : SL_OK;
}

static int parse_fde(struct cursor *c, struct sl_store_head *ret, struct sl_err *err)
{
    struct sl_event_header h;
    int rc = peek(c, &h, err);
    if (rc < 0) {
        return rc;
    }
    const uint8_t *event = c->data + c->at;
    struct sl_fde fde;
    if (h.type != SL_EVENT_FORMAT_DESCRIPTION || h.length > SL_FDE_MAX ||
        !sl_event_crc_is_right(event, h.length) || sl_fde_parse(event, h.length, &fde, NULL) < 0) {
        return sl_err_set(err, SL_EPROTO, "damaged at offset %zu: no FORMAT_DESCRIPTION", c->at);
    }
    ret->fde = duplicate(event, h.length);
    if (ret->fde == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    ret->fde_len = h.length;
    ret->has_crc = fde.has_crc;
    c->at += h.length;
    return SL_OK;
}

static int parse_encryption(struct cursor *c, struct sl_store_head *ret, struct sl_err *err)
{
    struct sl_event_header h;
    int rc = peek(c, &h, err);
    /* The first encrypted event has its length at the same place, but any type. */
    if (rc < 0 || h.type != SL_EVENT_START_ENCRYPTION) {
        return rc;
    }
    const uint8_t *event = c->data + c->at;
    if ((ret->has_crc && !sl_event_crc_is_right(event, h.length)) ||
        sl_start_encryption_parse(event, h.length, ret->has_crc, &ret->encryption) < 0) {
        return sl_err_set(err, SL_EPROTO, "damaged at offset %zu: bad START_ENCRYPTION", c->at);
    }
    /* A copy made from a stream has the event, marked, and plain events behind it. */
    ret->is_encrypted = (h.flags & SL_EVENT_FLAG_IGNORABLE) == 0;
    c->at += h.length;
    return SL_OK;
}

static bool is_list(const uint8_t *event, uint32_t len, const struct sl_store_head *h)
{
    return len >= SL_EVENT_HEADER && sl_event_type(event) == SL_EVENT_GTID_LIST &&
           sl_event_length(event) == len && (!h->has_crc || sl_event_crc_is_right(event, len));
}

/* SL_EPROTO: it is no GTID_LIST. */
static int take_list(const uint8_t *event, uint32_t len, struct sl_store_head *ret)
{
    if (!is_list(event, len, ret)) {
        return SL_EPROTO;
    }
    int rc = sl_gtid_list_event_parse(event, len, ret->has_crc, &ret->list);
    if (rc < 0) {
        return rc;
    }
    sl_free(ret->list_event);
    ret->list_event = duplicate(event, len);
    ret->list_event_len = len;
    return ret->list_event != NULL ? SL_OK : SL_ENOMEM;
}

static int parse_plain_list(struct cursor *c, struct sl_store_head *ret, struct sl_err *err)
{
    struct sl_event_header h;
    int rc = peek(c, &h, err);
    if (rc < 0) {
        return rc;
    }
    rc = take_list(c->data + c->at, h.length, ret);
    if (rc < 0) {
        return sl_err_set(err, rc, "damaged at offset %zu: no GTID_LIST", c->at);
    }
    c->at += h.length;
    return SL_OK;
}

static int open_list_with(const struct sl_store *s, enum sl_event_cipher cipher,
                          const struct cursor *c, uint32_t len, struct sl_store_head *ret)
{
    struct sl_event_crypt *crypt;
    ret->cipher = cipher;
    int rc = sl_store_head_crypt(s, ret, &crypt, NULL);
    if (rc < 0) {
        return rc;
    }
    struct sl_buf plain = SL_BUF_INIT;
    rc = sl_event_crypt_open(crypt, c->data + c->at, len, c->at, &plain);
    if (rc == SL_OK) {
        rc = take_list(plain.data + plain.start, (uint32_t)sl_buf_len(&plain), ret);
    }
    sl_buf_free(&plain);
    sl_event_crypt_free(crypt);
    return rc;
}

static int parse_sealed_list(const struct sl_store *s, struct cursor *c, struct sl_store_head *ret,
                             struct sl_err *err)
{
    static const enum sl_event_cipher all[] = {SL_CIPHER_AES_GCM, SL_CIPHER_AES_CBC,
                                               SL_CIPHER_AES_CTR};
    struct sl_event_header h;
    int rc = peek(c, &h, err);
    if (rc < 0) {
        return rc;
    }
    if (sl_store_key_find(s, ret->encryption.key_version) == NULL) {
        return sl_err_set(err, SL_EPROTO, "encrypted with key version %u, which is not there",
                          ret->encryption.key_version);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(all); i++) {
        rc = open_list_with(s, all[i], c, h.length, ret);
        if (rc != SL_EPROTO) {
            c->at += h.length;
            return rc;
        }
    }
    return sl_err_set(err, SL_EPROTO,
                      "damaged at offset %zu, or key version %u is not the one it was written with",
                      c->at, ret->encryption.key_version);
}

static int parse(const struct sl_store *s, struct cursor *c, struct sl_store_head *ret,
                 struct sl_err *err)
{
    if (c->len < SL_BINLOG_MAGIC_LEN) {
        return SL_EAGAIN;
    }
    if (memcmp(c->data, magic, sizeof(magic)) != 0) {
        return sl_err_set(err, SL_EPROTO, "not a binlog file");
    }
    c->at = SL_BINLOG_MAGIC_LEN;
    int rc = parse_fde(c, ret, err);
    if (rc == SL_OK) {
        rc = parse_encryption(c, ret, err);
    }
    ret->events_at = (uint32_t)c->at;
    if (rc == SL_OK) {
        rc = ret->is_encrypted ? parse_sealed_list(s, c, ret, err) : parse_plain_list(c, ret, err);
    }
    ret->end = (uint32_t)c->at;
    return rc;
}

int sl_store_head_parse(const struct sl_store *s, const uint8_t *data, size_t len,
                        struct sl_store_head *ret, struct sl_err *err)
{
    struct cursor c = {.data = data, .len = len};
    *ret = (struct sl_store_head){0};
    int rc = parse(s, &c, ret, err);
    if (rc < 0) {
        sl_store_head_free(ret);
        return rc;
    }
    ret->crc = sl_event_crc_add(0, data, ret->end);
    return SL_OK;
}

/* ---- from files ---- */

/* The first bytes of a zstd file, decompressed; *ret_len < size: there are no more. */
static int read_compressed(int fd, uint8_t *out, size_t size, size_t *ret_len)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    size_t in_size = ZSTD_DStreamInSize();
    uint8_t *in_data = sl_malloc(in_size);
    ZSTD_outBuffer to = {out, size, 0};
    uint64_t at = 0;
    int rc = stream != NULL && in_data != NULL ? SL_OK : SL_ENOMEM;
    while (rc == SL_OK && to.pos < to.size) {
        ssize_t n = pread(fd, in_data, in_size, (off_t)at);
        if (n <= 0) {
            rc = n < 0 ? SL_ESYS : SL_OK;
            break;
        }
        at += (uint64_t)n;
        ZSTD_inBuffer from = {in_data, (size_t)n, 0};
        while (rc == SL_OK && from.pos < from.size && to.pos < to.size) {
            rc = ZSTD_isError(ZSTD_decompressStream(stream, &to, &from)) ? SL_EPROTO : SL_OK;
        }
    }
    *ret_len = to.pos;
    sl_free(in_data);
    ZSTD_freeDStream(stream);
    return rc;
}

static int read_plain(int fd, uint8_t *out, size_t size, size_t *ret_len)
{
    ssize_t n;
    do {
        n = pread(fd, out, size, 0);
    } while (n < 0 && errno == EINTR);
    *ret_len = n > 0 ? (size_t)n : 0;
    return n < 0 ? SL_ESYS : SL_OK;
}

/* One try with the first `size` bytes. SL_EAGAIN: more are needed; *ret_is_all: there are none. */
static int try_read(const struct sl_store *s, int fd, bool is_compressed, size_t size,
                    struct sl_store_head *ret, bool *ret_is_all, struct sl_err *err)
{
    uint8_t *data = sl_malloc(size);
    if (data == NULL) {
        return sl_err_set(err, SL_ENOMEM, "out of memory");
    }
    size_t len = 0;
    int rc =
        is_compressed ? read_compressed(fd, data, size, &len) : read_plain(fd, data, size, &len);
    if (rc < 0) {
        sl_err_set(err, rc, "%s", rc == SL_EPROTO ? "not a zstd file" : strerror(errno));
    } else {
        rc = sl_store_head_parse(s, data, len, ret, err);
    }
    *ret_is_all = len < size;
    sl_free(data);
    return rc;
}

int sl_store_head_read(const struct sl_store *s, const char *path, bool is_compressed,
                       struct sl_store_head *ret, struct sl_err *err)
{
    int fd = sl_store_io->open(path, O_RDONLY, 0);
    if (fd < 0) {
        return sl_err_set(err, errno == ENOENT ? SL_ENOENT : SL_ESYS, "cannot open '%s': %s", path,
                          strerror(errno));
    }
    size_t size = HEAD_FIRST_READ;
    bool is_all = false;
    int rc = try_read(s, fd, is_compressed, size, ret, &is_all, err);
    while (rc == SL_EAGAIN && !is_all && size < SL_STORE_HEAD_MAX) {
        size *= 2;
        rc = try_read(s, fd, is_compressed, size, ret, &is_all, err);
    }
    sl_store_io->close(fd);
    if (rc == SL_EAGAIN) {
        sl_err_set(err, rc, "it ends inside of its first events");
    }
    return rc < 0 ? sl_err_wrap(err, "binlog file '%s'", path) : SL_OK;
}

/* ---- a new one ---- */

static int put_encryption(const struct sl_store *s, const struct sl_event_header *h,
                          struct sl_store_head *head, struct sl_buf *out)
{
    head->is_encrypted = true;
    head->cipher = s->cipher;
    head->encryption =
        (struct sl_start_encryption){.scheme = 1, .key_version = sl_store_key_newest(s)->version};
    sl_rng_bytes(head->encryption.nonce, sizeof(head->encryption.nonce));
    struct sl_event_header at = *h;
    size_t before = sl_buf_len(out);
    int rc = sl_start_encryption_event_build(out, &at, &head->encryption, head->has_crc);
    if (rc == SL_OK) {
        uint32_t len = (uint32_t)(sl_buf_len(out) - before);
        sl_event_set_pos(out->data + out->start + before, len, (uint32_t)sl_buf_len(out),
                         head->has_crc);
    }
    return rc;
}

static int put_list(const struct sl_store *s, const struct sl_event_header *h,
                    const struct sl_gtid_list *list, struct sl_store_head *head, struct sl_buf *out,
                    struct sl_err *err)
{
    struct sl_buf event = SL_BUF_INIT;
    struct sl_event_crypt *crypt = NULL;
    int rc = sl_gtid_list_event_build(&event, h, list, 0, head->has_crc);
    if (rc == SL_OK) {
        rc = sl_store_head_crypt(s, head, &crypt, err);
    }
    if (rc == SL_OK) {
        uint8_t *bytes = event.data + event.start;
        uint32_t len = (uint32_t)sl_buf_len(&event);
        uint64_t at = sl_buf_len(out);
        uint32_t stored = crypt != NULL ? sl_event_crypt_stored(crypt, len) : len;
        sl_event_set_pos(bytes, len, (uint32_t)(at + stored), head->has_crc);
        head->list_event = duplicate(bytes, len);
        head->list_event_len = len;
        rc = head->list_event == NULL ? SL_ENOMEM
             : crypt != NULL          ? sl_event_crypt_seal(crypt, bytes, len, at, out)
                                      : sl_buf_append(out, bytes, len);
    }
    sl_event_crypt_free(crypt);
    sl_buf_free(&event);
    return rc;
}

static int build(const struct sl_store *s, const uint8_t *fde, uint32_t len,
                 const struct sl_gtid_list *list, struct sl_buf *out, struct sl_store_head *ret,
                 struct sl_err *err)
{
    int rc = sl_buf_append(out, magic, sizeof(magic));
    if (rc == SL_OK) {
        rc = sl_buf_append(out, fde, len);
    }
    if (rc < 0) {
        return rc;
    }
    uint8_t *own = out->data + out->start + sizeof(magic);
    sl_fde_clear_in_use(own, len);
    sl_event_set_pos(own, len, (uint32_t)(sizeof(magic) + len), true);
    ret->fde = duplicate(own, len);
    ret->fde_len = len;
    if (ret->fde == NULL) {
        return SL_ENOMEM;
    }
    struct sl_event_header h = {.timestamp = sl_get_le32(own), .server_id = s->server_id};
    if (s->key_count > 0) {
        rc = put_encryption(s, &h, ret, out);
    }
    ret->events_at = (uint32_t)sl_buf_len(out);
    if (rc == SL_OK) {
        rc = sl_gtid_list_copy(&ret->list, list);
    }
    return rc == SL_OK ? put_list(s, &h, list, ret, out, err) : rc;
}

int sl_store_head_build(const struct sl_store *s, const uint8_t *fde, uint32_t len,
                        const struct sl_gtid_list *list, struct sl_buf *out,
                        struct sl_store_head *ret, struct sl_err *err)
{
    struct sl_fde parsed;
    *ret = (struct sl_store_head){0};
    if (len > SL_FDE_MAX || sl_fde_parse(fde, len, &parsed, NULL) < 0) {
        return sl_err_set(err, SL_EPROTO, "the primary's FORMAT_DESCRIPTION makes no sense");
    }
    ret->has_crc = parsed.has_crc;
    sl_err_set(err, SL_ENOMEM, "out of memory beginning a binlog file");
    int rc = build(s, fde, len, list, out, ret, err);
    if (rc < 0) {
        sl_store_head_free(ret);
        return rc;
    }
    ret->end = (uint32_t)sl_buf_len(out);
    ret->crc = sl_event_crc_add(0, out->data + out->start, ret->end);
    return SL_OK;
}

int sl_store_head_crypt(const struct sl_store *s, const struct sl_store_head *h,
                        struct sl_event_crypt **ret, struct sl_err *err)
{
    *ret = NULL;
    if (!h->is_encrypted) {
        return SL_OK;
    }
    const struct sl_store_key *key = sl_store_key_find(s, h->encryption.key_version);
    if (key == NULL) {
        return sl_err_set(err, SL_EPROTO, "encrypted with key version %u, which is not there",
                          h->encryption.key_version);
    }
    return sl_event_crypt_new(h->cipher, key->bytes, key->len, h->encryption.nonce, ret, err);
}
