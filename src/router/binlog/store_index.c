/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GTID index files: which groups stand before which offset of a log file.
 *
 *   header (64 bytes): magic, slots, end and CRC of the log's first events, flags, log size,
 *                      number of entries, time it was finished, CRC
 *   entries of one size: offset, count, flags, CRC, `slots` x {domain, server, sequence number}
 *
 * An entry has, as a state, the newest GTID per domain and server of the groups between the log's
 * GTID_LIST and the offset; together with the GTID_LIST that is the state of the log there. Each
 * entry stands for itself: a lost page of an index costs nothing but that page. One whose log had
 * not been synced when it was written is good for look-ups (they end at the published end) but not
 * for recovery, nor is anything behind it.
 *
 * All numbers little-endian. The writer and the recovery own a struct sl_store_index; look-ups read
 * the file, under `index_lock` while it still grows.
 */
#include "router/binlog/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mem.h"

enum {
    HEADER = 64,
    ENTRY_HEADER = 16,
    SLOT = 16,
    ENTRY_MAX = ENTRY_HEADER + SL_STORE_SLOTS_MAX * SLOT,
    QUEUE_MAX = 16 * 1024 * 1024, /* bytes of entries that wait; more: the index ends */
};

enum header_flags {
    HEADER_FINISHED = 1
};
enum entry_flags {
    ENTRY_SYNCED = 1,
    ENTRY_OUT_OF_ORDER = 2
};

static const char magic[8] = {'S', 'L', 'G', 'T', 'I', 'D', 'X', '1'};

struct header {
    uint32_t slots, flags;
    uint64_t log_size, count;
    int64_t finished_ms;
};

static uint32_t entry_size(uint32_t slots)
{
    return ENTRY_HEADER + slots * SLOT;
}

/* ---- bytes ---- */

static void put_header(uint8_t out[HEADER], const struct header *h, const struct sl_store_head *log)
{
    memset(out, 0, HEADER);
    memcpy(out, magic, sizeof(magic));
    sl_put_le32(out + 8, h->slots);
    sl_put_le32(out + 12, log->end);
    sl_put_le32(out + 16, log->crc);
    sl_put_le32(out + 20, h->flags);
    sl_put_le64(out + 24, h->log_size);
    sl_put_le64(out + 32, h->count);
    sl_put_le64(out + 40, (uint64_t)h->finished_ms);
    sl_put_le32(out + 60, sl_event_crc_add(0, out, 60));
}

/* False: not the header of an index of this log. */
static bool get_header(const uint8_t data[HEADER], const struct sl_store_head *log,
                       struct header *ret)
{
    ret->slots = sl_get_le32(data + 8);
    ret->flags = sl_get_le32(data + 20);
    ret->log_size = sl_get_le64(data + 24);
    ret->count = sl_get_le64(data + 32);
    ret->finished_ms = (int64_t)sl_get_le64(data + 40);
    return memcmp(data, magic, sizeof(magic)) == 0 && sl_get_le32(data + 12) == log->end &&
           sl_get_le32(data + 16) == log->crc && ret->slots >= SL_STORE_SLOTS_MIN &&
           ret->slots <= SL_STORE_SLOTS_MAX &&
           sl_get_le32(data + 60) == sl_event_crc_add(0, data, 60);
}

static uint32_t entry_crc(const uint8_t *entry, uint32_t slots)
{
    uint32_t crc = sl_event_crc_add(0, entry, 12);
    return sl_event_crc_add(crc, entry + ENTRY_HEADER, slots * SLOT);
}

static void put_entry(uint8_t *out, uint32_t slots, uint64_t offset, uint16_t flags,
                      const struct sl_gtid_list *touched)
{
    memset(out, 0, entry_size(slots));
    sl_put_le64(out, offset);
    sl_put_le16(out + 8, (uint16_t)touched->count);
    sl_put_le16(out + 10, flags);
    for (uint32_t i = 0; i < touched->count; i++) {
        uint8_t *slot = out + ENTRY_HEADER + i * SLOT;
        sl_put_le32(slot, touched->gtid[i].domain);
        sl_put_le32(slot + 4, touched->gtid[i].server_id);
        sl_put_le64(slot + 8, touched->gtid[i].seq);
    }
}

static bool entry_is_good(const uint8_t *entry, uint32_t slots)
{
    return sl_get_le16(entry + 8) <= slots && sl_get_le32(entry + 12) == entry_crc(entry, slots);
}

static struct sl_gtid entry_gtid(const uint8_t *entry, uint32_t i)
{
    const uint8_t *slot = entry + ENTRY_HEADER + i * SLOT;
    return (struct sl_gtid){.domain = sl_get_le32(slot),
                            .server_id = sl_get_le32(slot + 4),
                            .seq = sl_get_le64(slot + 8)};
}

static int entry_into(const uint8_t *entry, struct sl_gtid_list *state)
{
    int rc = SL_OK;
    for (uint32_t i = 0; i < sl_get_le16(entry + 8) && rc == SL_OK; i++) {
        rc = sl_gtid_state_add(state, entry_gtid(entry, i));
    }
    return rc;
}

/* ---- writing ---- */

static int write_header(const struct sl_store_index *x, const struct header *h,
                        const struct sl_store_head *log)
{
    uint8_t bytes[HEADER];
    put_header(bytes, h, log);
    return sl_store_io_write(x->fd, bytes, sizeof(bytes), 0, NULL);
}

void sl_store_index_close(struct sl_store_index *x)
{
    if (x->fd >= 0) {
        sl_store_io->close(x->fd);
    }
    sl_gtid_list_free(&x->touched);
    sl_buf_free(&x->queue);
    *x = (struct sl_store_index){.fd = -1};
}

static void switch_off(struct sl_store_index *x)
{
    x->is_off = true;
    sl_buf_free(&x->queue);
}

int sl_store_index_create(struct sl_store_index *x, const char *path, const struct sl_store_head *h)
{
    *x = (struct sl_store_index){.fd = -1, .slots = SL_STORE_SLOTS_MIN, .last_offset = h->end};
    snprintf(x->path, sizeof(x->path), "%s", path);
    x->fd = sl_store_io->open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (x->fd < 0 || write_header(x, &(struct header){.slots = x->slots}, h) != 0) {
        int rc = errno == ENOSPC || errno == EDQUOT ? SL_ELIMIT : SL_ESYS;
        int saved = errno;
        sl_store_index_close(x);
        x->is_off = true;
        errno = saved;
        return rc;
    }
    return SL_OK;
}

/* All entries of the file once more, in a file with wider ones. */
static int copy_wider(struct sl_store_index *x, const struct sl_store_head *h, int to,
                      uint32_t slots)
{
    uint8_t entry[ENTRY_MAX];
    uint8_t header[HEADER];
    put_header(header, &(struct header){.slots = slots}, h);
    if (sl_store_io_write(to, header, sizeof(header), 0, NULL) != 0) {
        return -1;
    }
    for (uint64_t i = 0; i < x->count; i++) {
        memset(entry, 0, entry_size(slots));
        if (sl_store_io_read(x->fd, entry, entry_size(x->slots),
                             HEADER + i * entry_size(x->slots)) != 0) {
            return -1;
        }
        sl_put_le32(entry + 12, entry_crc(entry, slots));
        if (sl_store_io_write(to, entry, entry_size(slots), HEADER + i * entry_size(slots), NULL) !=
            0) {
            return -1;
        }
    }
    return sl_store_io->sync(to);
}

static int widen(struct sl_store_index *x, const struct sl_store_head *h, uint32_t slots)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof(temporary), "%s.tmp", x->path);
    int fd = sl_store_io->open(temporary, O_RDWR | O_CREAT | O_TRUNC, 0640);
    if (fd < 0) {
        return -1;
    }
    if (copy_wider(x, h, fd, slots) != 0 || sl_store_io->rename(temporary, x->path) != 0) {
        sl_store_io->close(fd);
        sl_store_io->unlink(temporary);
        return -1;
    }
    sl_store_io->close(x->fd);
    x->fd = fd;
    x->slots = slots;
    return 0;
}

/* Entries that wait have the old width: they are made wider, too. */
static int widen_queue(struct sl_store_index *x, uint32_t slots)
{
    struct sl_buf wide = SL_BUF_INIT;
    uint32_t old = entry_size(x->slots), size = entry_size(slots);
    int rc = sl_buf_reserve(&wide, sl_buf_len(&x->queue) / old * size + 1);
    for (size_t at = 0; at < sl_buf_len(&x->queue) && rc == SL_OK; at += old) {
        uint8_t *to = wide.data + wide.end;
        memset(to, 0, size);
        memcpy(to, x->queue.data + x->queue.start + at, old);
        sl_buf_commit(&wide, size);
    }
    sl_buf_free(&x->queue);
    x->queue = wide;
    return rc;
}

static bool make_room(struct sl_store_index *x, const struct sl_store_head *h)
{
    uint32_t slots = x->slots;
    while (slots < x->touched.count) {
        slots *= 2;
    }
    if (slots == x->slots) {
        return true;
    }
    return slots <= SL_STORE_SLOTS_MAX && widen_queue(x, slots) == SL_OK && widen(x, h, slots) == 0;
}

static bool queue_entry(struct sl_store_index *x, const struct sl_store_head *h, uint64_t end)
{
    if (!make_room(x, h) || sl_buf_len(&x->queue) > QUEUE_MAX ||
        sl_buf_reserve(&x->queue, entry_size(x->slots)) < 0) {
        return false;
    }
    put_entry(x->queue.data + x->queue.end, x->slots, end,
              x->is_out_of_order ? ENTRY_OUT_OF_ORDER : 0, &x->touched);
    sl_buf_commit(&x->queue, entry_size(x->slots));
    x->last_offset = end;
    return true;
}

void sl_store_index_group(struct sl_store_index *x, const struct sl_store_head *h,
                          struct sl_gtid gtid, uint64_t end)
{
    if (x->is_off) {
        return;
    }
    const struct sl_gtid *last = sl_gtid_state_last(&x->touched, gtid.domain);
    if (last == NULL) {
        last = sl_gtid_state_last(&h->list, gtid.domain);
    }
    x->is_out_of_order |= last != NULL && gtid.seq <= last->seq;
    bool is_due = end >= x->last_offset + SL_STORE_INDEX_GAP;
    if (sl_gtid_state_add(&x->touched, gtid) < 0 || (is_due && !queue_entry(x, h, end))) {
        switch_off(x);
    }
}

void sl_store_index_flush(struct sl_store_index *x, bool is_synced)
{
    size_t len = sl_buf_len(&x->queue);
    if (x->is_off || len == 0) {
        return;
    }
    uint32_t size = entry_size(x->slots);
    uint8_t *data = x->queue.data + x->queue.start;
    for (size_t at = 0; at < len; at += size) {
        uint16_t flags = sl_get_le16(data + at + 10);
        sl_put_le16(data + at + 10, flags | (is_synced ? ENTRY_SYNCED : 0));
        sl_put_le32(data + at + 12, entry_crc(data + at, x->slots));
    }
    if (sl_store_io_write(x->fd, data, len, HEADER + x->count * size, NULL) != 0) {
        switch_off(x);
        return;
    }
    x->count += len / size;
    sl_buf_clear(&x->queue);
}

bool sl_store_index_finish(struct sl_store_index *x, const struct sl_store_head *h,
                           uint64_t log_size, int64_t finished_ms)
{
    struct header header = {.slots = x->slots,
                            .flags = HEADER_FINISHED,
                            .log_size = log_size,
                            .count = x->count,
                            .finished_ms = finished_ms};
    bool is_good = x->fd >= 0 && !x->is_off && write_header(x, &header, h) == 0 &&
                   sl_store_io->sync(x->fd) == 0;
    sl_store_index_close(x);
    return is_good;
}

/* ---- continuing ---- */

/* Entries up to the first one that is bad, was not synced, or lies beyond the log. */
static uint64_t count_trusted(const struct sl_store_index *x, uint64_t log_size, uint8_t *last)
{
    uint8_t entry[ENTRY_MAX];
    uint32_t size = entry_size(x->slots);
    uint64_t count = 0, before = 0;
    while (sl_store_io_read(x->fd, entry, size, HEADER + count * size) == 0) {
        uint64_t offset = sl_get_le64(entry);
        bool is_synced = sl_get_le16(entry + 10) & ENTRY_SYNCED;
        if (!entry_is_good(entry, x->slots) || !is_synced || offset <= before ||
            offset > log_size) {
            break;
        }
        before = offset;
        memcpy(last, entry, size);
        count++;
    }
    return count;
}

static bool load(struct sl_store_index *x, const struct sl_store_head *h, uint64_t log_size)
{
    uint8_t bytes[HEADER], last[ENTRY_MAX];
    struct header header;
    if (sl_store_io_read(x->fd, bytes, sizeof(bytes), 0) != 0 || !get_header(bytes, h, &header)) {
        return false;
    }
    x->slots = header.slots;
    x->count = count_trusted(x, log_size, last);
    if (x->count > 0) {
        x->last_offset = sl_get_le64(last);
        x->is_out_of_order = sl_get_le16(last + 10) & ENTRY_OUT_OF_ORDER;
        if (entry_into(last, &x->touched) < 0) {
            return false;
        }
    }
    return sl_store_io->truncate(x->fd, (off_t)(HEADER + x->count * entry_size(x->slots))) == 0;
}

int sl_store_index_continue(struct sl_store_index *x, const char *path,
                            const struct sl_store_head *h, uint64_t log_size, uint64_t *ret_offset)
{
    *x = (struct sl_store_index){.slots = SL_STORE_SLOTS_MIN, .last_offset = h->end};
    snprintf(x->path, sizeof(x->path), "%s", path);
    x->fd = sl_store_io->open(path, O_RDWR, 0);
    if (x->fd >= 0 && load(x, h, log_size)) {
        *ret_offset = x->last_offset;
        return SL_OK;
    }
    sl_store_index_close(x);
    *ret_offset = h->end;
    return sl_store_index_create(x, path, h);
}

/* ---- reading ---- */

static int open_good(const char *path, const struct sl_store_head *h, struct header *ret)
{
    uint8_t bytes[HEADER];
    int fd = sl_store_io->open(path, O_RDONLY, 0);
    if (fd >= 0 &&
        (sl_store_io_read(fd, bytes, sizeof(bytes), 0) != 0 || !get_header(bytes, h, ret))) {
        sl_store_io->close(fd);
        return -1;
    }
    return fd;
}

bool sl_store_index_check(const char *path, const struct sl_store_head *h, uint64_t *ret_log_size,
                          int64_t *ret_finished_ms)
{
    struct header header;
    struct stat st;
    int fd = open_good(path, h, &header);
    if (fd < 0) {
        return false;
    }
    bool is_good = (header.flags & HEADER_FINISHED) && fstat(fd, &st) == 0 &&
                   (uint64_t)st.st_size >= HEADER + header.count * entry_size(header.slots);
    sl_store_io->close(fd);
    *ret_log_size = header.log_size;
    *ret_finished_ms = header.finished_ms;
    return is_good;
}

/* Is there nothing before the entry that the position lacks? What the file has not touched, the
 * choice of the file has answered. */
static bool entry_is_covered(const uint8_t *entry, const struct sl_gtid_list *position)
{
    if (sl_get_le16(entry + 10) & ENTRY_OUT_OF_ORDER) {
        return false;
    }
    for (uint32_t i = 0; i < sl_get_le16(entry + 8); i++) {
        struct sl_gtid gtid = entry_gtid(entry, i);
        const struct sl_gtid *reached = sl_gtid_position_find(position, gtid.domain);
        if (reached == NULL || reached->seq < gtid.seq) {
            return false;
        }
    }
    return true;
}

/* The last good entry: binary search; entries grow in offset and in what they have. False: the file
 * is damaged there. */
static bool search(int fd, const struct header *header, uint64_t count,
                   const struct sl_gtid_list *position, uint64_t limit, uint8_t *best)
{
    uint8_t entry[ENTRY_MAX];
    uint32_t size = entry_size(header->slots);
    uint64_t low = 0, high = count; /* entries before `low` are covered, from `high` on not */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (sl_store_io_read(fd, entry, size, HEADER + middle * size) != 0 ||
            !entry_is_good(entry, header->slots)) {
            return false;
        }
        if (sl_get_le64(entry) <= limit && entry_is_covered(entry, position)) {
            memcpy(best, entry, size);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return true;
}

int sl_store_index_find(const char *path, const struct sl_store_head *h,
                        const struct sl_gtid_list *position, uint64_t limit, uint64_t *ret_offset,
                        struct sl_gtid_list *before)
{
    uint8_t best[ENTRY_MAX] = {0};
    struct header header;
    struct stat st;
    *ret_offset = h->end;
    int rc = sl_gtid_list_copy(before, &h->list);
    int fd = open_good(path, h, &header);
    if (fd < 0 || rc < 0) {
        if (fd >= 0) {
            sl_store_io->close(fd);
        }
        return rc < 0 ? rc : SL_ENOENT;
    }
    bool is_good = fstat(fd, &st) == 0;
    uint64_t count = is_good ? ((uint64_t)st.st_size - HEADER) / entry_size(header.slots) : 0;
    is_good = is_good && search(fd, &header, count, position, limit, best);
    sl_store_io->close(fd);
    if (is_good && sl_get_le64(best) > 0) {
        *ret_offset = sl_get_le64(best);
        rc = entry_into(best, before);
    }
    return rc < 0 ? rc : is_good ? SL_OK : SL_EPROTO;
}
