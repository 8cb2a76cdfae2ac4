/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption of events at rest. See event_crypt.h.
 *
 *   plain   | 9 bytes | length | rest of the event            |
 *   stored  | 9 bytes | length | rest               | tag, pad |      E(9 bytes + rest), length clear
 *
 * The counter of CTR begins at IV and grows by one for 16 bytes; the IV is nonce * 2^32 + offset as
 * one big number, so that the counters of events at different offsets of a file never meet, also
 * beyond 4 GiB. GCM authenticates the length, too. CBC and CTR have no tag: there log_pos tells a
 * wrong key, since it must be the end of what is stored.
 */
#include "repl/event_crypt.h"

#include <openssl/evp.h>

#include "base/mem.h"

enum {
    BLOCK = 16,
    TAG = 16,
    OFF_LENGTH = 9,
    LENGTH = 4,
    BEHIND_LENGTH = OFF_LENGTH + LENGTH
};

struct sl_event_crypt {
    enum sl_event_cipher cipher;
    uint8_t nonce[SL_BINLOG_NONCE_LEN];
    EVP_CIPHER_CTX *seal, *open;
};

/* ---- making ---- */

static const char *name_of(enum sl_event_cipher cipher, size_t key_len)
{
    static const char *const names[][3] = {
        [SL_CIPHER_AES_GCM] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
        [SL_CIPHER_AES_CBC] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
        [SL_CIPHER_AES_CTR] = {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"},
    };
    return names[cipher][(key_len - 16) / 8];
}

/* A context with the key in it; each event gives it another IV. */
static EVP_CIPHER_CTX *make_context(const EVP_CIPHER *type, const uint8_t *key, bool is_seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool is_gcm = EVP_CIPHER_get_mode(type) == EVP_CIPH_GCM_MODE;
    bool is_ok = ctx && EVP_CipherInit_ex(ctx, type, NULL, NULL, NULL, is_seal) == 1 &&
                 (!is_gcm || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, BLOCK, NULL) == 1) &&
                 EVP_CipherInit_ex(ctx, NULL, NULL, key, NULL, is_seal) == 1;
    if (!is_ok) {
        EVP_CIPHER_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

int sl_event_crypt_new(enum sl_event_cipher cipher, const uint8_t *key, size_t key_len,
                       const uint8_t nonce[SL_BINLOG_NONCE_LEN], struct sl_event_crypt **ret,
                       struct sl_err *err)
{
    *ret = NULL;
    if (key_len != 16 && key_len != 24 && key_len != 32) {
        return sl_err_set(err, SL_EINVAL, "key of %zu bytes; 16, 24 or 32 are possible", key_len);
    }
    struct sl_event_crypt *c = sl_calloc(1, sizeof *c);
    EVP_CIPHER *type = EVP_CIPHER_fetch(NULL, name_of(cipher, key_len), NULL);
    if (c && type) {
        c->cipher = cipher;
        memcpy(c->nonce, nonce, sizeof c->nonce);
        c->seal = make_context(type, key, true);
        c->open = make_context(type, key, false);
    }
    EVP_CIPHER_free(type); /* the contexts hold it */
    if (!c || !c->seal || !c->open) {
        sl_event_crypt_free(c);
        return sl_err_set(err, SL_ENOMEM, "out of memory for %s", name_of(cipher, key_len));
    }
    *ret = c;
    return SL_OK;
}

void sl_event_crypt_free(struct sl_event_crypt *c)
{
    if (c) {
        EVP_CIPHER_CTX_free(c->seal); /* wipes the key */
        EVP_CIPHER_CTX_free(c->open);
        sl_free(c);
    }
}

/* ---- one event ---- */

uint32_t sl_event_crypt_stored(const struct sl_event_crypt *c, uint32_t len)
{
    switch (c->cipher) {
    case SL_CIPHER_AES_GCM:
        return len + TAG;
    case SL_CIPHER_AES_CBC:
        return LENGTH + ((len - LENGTH) / BLOCK + 1) * BLOCK;
    case SL_CIPHER_AES_CTR:
        break;
    }
    return len;
}

static void make_iv(const struct sl_event_crypt *c, uint64_t offset, uint8_t iv[BLOCK])
{
    memcpy(iv, c->nonce, SL_BINLOG_NONCE_LEN);
    memset(iv + SL_BINLOG_NONCE_LEN, 0, BLOCK - SL_BINLOG_NONCE_LEN);
    for (int i = BLOCK - 1; offset > 0 && i >= 0; i--) {
        offset += iv[i];
        iv[i] = (uint8_t)offset;
        offset >>= 8;
    }
}

static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, size_t *done, const uint8_t *in, size_t len)
{
    int n = 0;
    if (EVP_CipherUpdate(ctx, out + *done, &n, in, (int)len) != 1) {
        return false;
    }
    *done += (size_t)n;
    return true;
}

/* What stands around the length of `in`, in one piece, through the cipher. */
static bool run(struct sl_event_crypt *c, EVP_CIPHER_CTX *ctx, uint32_t stored_len, uint64_t offset,
                struct sl_slice in, uint8_t *out, size_t *ret_done)
{
    uint8_t iv[BLOCK], length[LENGTH];
    int n = 0;
    make_iv(c, offset, iv);
    sl_put_le32(length, stored_len);
    *ret_done = 0;
    return EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) == 1 &&
           (c->cipher != SL_CIPHER_AES_GCM ||
            EVP_CipherUpdate(ctx, NULL, &n, length, LENGTH) == 1) &&
           update(ctx, out, ret_done, in.data, OFF_LENGTH) &&
           update(ctx, out, ret_done, in.data + BEHIND_LENGTH, in.len - BEHIND_LENGTH);
}

static bool finish(EVP_CIPHER_CTX *ctx, uint8_t *out, size_t *done)
{
    int n = 0;
    if (EVP_CipherFinal_ex(ctx, out + *done, &n) != 1) {
        return false;
    }
    *done += (size_t)n;
    return true;
}

/* The first bytes go in front of the gap for the length. */
static void put_length(uint8_t *event, uint32_t len)
{
    memmove(event, event + LENGTH, OFF_LENGTH);
    sl_put_le32(event + OFF_LENGTH, len);
}

static bool ends_at(const uint8_t *event, uint64_t end)
{
    struct sl_event_header h;
    return sl_event_header_parse(event, &h) == SL_OK && h.log_pos == (uint32_t)end;
}

int sl_event_crypt_seal(struct sl_event_crypt *c, const uint8_t *event, uint32_t len,
                        uint64_t offset, struct sl_buf *out)
{
    uint32_t stored = len >= SL_EVENT_HEADER ? sl_event_crypt_stored(c, len) : 0;
    if (stored == 0 || len > SL_EVENT_MAX || sl_event_length(event) != len ||
        !ends_at(event, offset + stored)) {
        return SL_EINVAL;
    }
    if (sl_buf_reserve(out, stored) != SL_OK) {
        return SL_ENOMEM;
    }
    uint8_t *to = out->data + out->end;
    size_t done;
    if (!run(c, c->seal, stored, offset, sl_slice(event, len), to + LENGTH, &done) ||
        !finish(c->seal, to + LENGTH, &done)) {
        return SL_ENOMEM;
    }
    if (c->cipher == SL_CIPHER_AES_GCM) {
        EVP_CIPHER_CTX_ctrl(c->seal, EVP_CTRL_AEAD_GET_TAG, TAG, to + LENGTH + done);
    }
    put_length(to, stored);
    sl_buf_commit(out, stored);
    return SL_OK;
}

static bool set_tag(EVP_CIPHER_CTX *ctx, const uint8_t *tag)
{
    /* It is only read. */
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(uintptr_t)tag) == 1;
}

int sl_event_crypt_open(struct sl_event_crypt *c, const uint8_t *stored, uint32_t len,
                        uint64_t offset, struct sl_buf *out)
{
    uint32_t tag = c->cipher == SL_CIPHER_AES_GCM ? TAG : 0;
    if (len < SL_EVENT_HEADER + tag || len > SL_EVENT_CRYPT_MAX || sl_event_length(stored) != len) {
        return SL_EPROTO;
    }
    if (sl_buf_reserve(out, (size_t)len + BLOCK) != SL_OK) {
        return SL_ENOMEM;
    }
    uint8_t *to = out->data + out->end;
    size_t done;
    if (!run(c, c->open, len, offset, sl_slice(stored, len - tag), to + LENGTH, &done)) {
        return SL_EPROTO;
    }
    if ((tag && !set_tag(c->open, stored + len - TAG)) || !finish(c->open, to + LENGTH, &done) ||
        done + LENGTH < SL_EVENT_HEADER) {
        return SL_EPROTO;
    }
    uint32_t plain = (uint32_t)done + LENGTH;
    put_length(to, plain);
    if (!ends_at(to, offset + len)) {
        return SL_EPROTO;
    }
    sl_buf_commit(out, plain);
    return SL_OK;
}

/* ---- an event in pieces ---- */

bool sl_event_crypt_has_tag(const struct sl_event_crypt *c)
{
    return c->cipher == SL_CIPHER_AES_GCM;
}

int sl_event_crypt_measure(struct sl_event_crypt *c, struct sl_event_crypt_long *e,
                           const uint8_t *end)
{
    if (e->stored < SL_EVENT_HEADER + SL_EVENT_CRYPT_END || e->stored > SL_EVENT_CRYPT_MAX) {
        return SL_EPROTO;
    }
    if (c->cipher != SL_CIPHER_AES_CBC) {
        e->plain = e->stored - (c->cipher == SL_CIPHER_AES_GCM ? TAG : 0);
        return SL_OK;
    }
    /* The last block has the padding; the one before it is its IV. */
    uint8_t plain[2 * BLOCK];
    size_t done = 0;
    if ((e->stored - LENGTH) % BLOCK != 0 ||
        EVP_CipherInit_ex(c->open, NULL, NULL, NULL, end, -1) != 1 ||
        !update(c->open, plain, &done, end + BLOCK, BLOCK) || !finish(c->open, plain, &done)) {
        return SL_EPROTO;
    }
    e->plain = e->stored - BLOCK + (uint32_t)done;
    return SL_OK;
}

int sl_event_crypt_open_piece(struct sl_event_crypt *c, const struct sl_event_crypt_long *e,
                              const uint8_t *stored, uint32_t len, uint32_t at, struct sl_buf *out)
{
    bool is_first = at == 0, is_last = len == e->stored - at;
    uint32_t tag = is_last && c->cipher == SL_CIPHER_AES_GCM ? TAG : 0;
    if (len > e->stored - at || len < (is_last ? tag : SL_EVENT_CRYPT_END)) {
        return SL_EINVAL;
    }
    if (sl_buf_reserve(out, (size_t)len + BLOCK) != SL_OK) {
        return SL_ENOMEM;
    }
    uint8_t *to = out->data + out->end;
    size_t done = 0;
    bool is_good = is_first ? run(c, c->open, e->stored, e->offset, sl_slice(stored, len - tag),
                                  to + LENGTH, &done)
                            : update(c->open, to, &done, stored, len - tag);
    done += is_first ? LENGTH : 0;
    if (is_good && is_last) {
        is_good = (!tag || set_tag(c->open, stored + len - TAG)) && finish(c->open, to, &done);
    }
    if (is_good && is_first) {
        put_length(to, e->plain);
        is_good = done >= SL_EVENT_HEADER && ends_at(to, e->offset + e->stored);
    }
    if (!is_good) {
        return SL_EPROTO;
    }
    sl_buf_commit(out, done);
    return SL_OK;
}
