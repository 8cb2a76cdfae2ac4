/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption of events at rest. The file begins with FORMAT_DESCRIPTION and START_ENCRYPTION in
 * clear; each later event is encrypted by itself with IV = nonce (12 bytes) + its file offset (4
 * bytes, big-endian; what is beyond 4 GiB is carried into the nonce). Its length stays readable: the
 * four bytes at offset 9 of what is stored are the stored length in clear, so that a file can be
 * walked without a key. Stored length = plain length (CTR), + 16 bytes tag (GCM), padded to whole
 * blocks (CBC). Positions are those of the stored file: the log_pos of a plain event is the end of
 * its stored form.
 *
 * The same offset of a file must not be sealed twice with different contents and both be seen by
 * somebody (CTR, GCM): what is cut off and written again belongs into a file with a new nonce, or
 * was never complete.
 *
 * One object per file and thread. Sealing and opening allocate nothing but room in `out`.
 */
#ifndef SL_REPL_EVENT_CRYPT_H
#define SL_REPL_EVENT_CRYPT_H

#include "repl/event.h"

enum sl_event_cipher {
    SL_CIPHER_AES_GCM,
    SL_CIPHER_AES_CBC,
    SL_CIPHER_AES_CTR
};

/* Stored bytes of one event at most. */
#define SL_EVENT_CRYPT_MAX (SL_EVENT_MAX + 16)

struct sl_event_crypt;

/* key_len 16, 24 or 32. The key is copied and wiped at the end. SL_EINVAL, SL_ENOMEM. */
int sl_event_crypt_new(enum sl_event_cipher cipher, const uint8_t *key, size_t key_len,
                       const uint8_t nonce[SL_BINLOG_NONCE_LEN], struct sl_event_crypt **ret,
                       struct sl_err *err);
void sl_event_crypt_free(struct sl_event_crypt *c);

/* Stored length of an event of plain length `len` >= SL_EVENT_HEADER. */
uint32_t sl_event_crypt_stored(const struct sl_event_crypt *c, uint32_t len);
/* Appends the encrypted event that will stand at `offset`. 0, SL_ENOMEM; SL_EINVAL: its length or
 * log_pos (offset + stored length) is wrong. */
int sl_event_crypt_seal(struct sl_event_crypt *c, const uint8_t *event, uint32_t len,
                        uint64_t offset, struct sl_buf *out);
/* Appends the plain event. SL_EPROTO: damaged, moved, or another key; `out` is as it was. Damage
 * behind the header is only seen with GCM, else by the checksum of the plain event. */
int sl_event_crypt_open(struct sl_event_crypt *c, const uint8_t *stored, uint32_t len,
                        uint64_t offset, struct sl_buf *out);

/* An event that is too large to be in memory, as it is stored. */
struct sl_event_crypt_long {
    uint64_t offset;
    uint32_t stored, plain; /* lengths */
};
/* Bytes at the end of a stored event that tell its plain length, and that must not be split over two
 * pieces. */
#define SL_EVENT_CRYPT_END 32
/* Sets e->plain, from the last SL_EVENT_CRYPT_END bytes. SL_EPROTO: impossible. */
int sl_event_crypt_measure(struct sl_event_crypt *c, struct sl_event_crypt_long *e,
                           const uint8_t *end);
/* Does opening tell damage anywhere in the event? Only at its end: then. */
bool sl_event_crypt_has_tag(const struct sl_event_crypt *c);
/* Appends what is plain now of the event, of which `len` more stored bytes, from `at` on, are here.
 * One piece after the other, nothing else opened in between; all but the last have
 * SL_EVENT_CRYPT_END bytes at least. SL_EPROTO as sl_event_crypt_open(); a tag is checked with the
 * last piece. At most 16 bytes more than `len` are appended. */
int sl_event_crypt_open_piece(struct sl_event_crypt *c, const struct sl_event_crypt_long *e,
                              const uint8_t *stored, uint32_t len, uint32_t at, struct sl_buf *out);

#endif
