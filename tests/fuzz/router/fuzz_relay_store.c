/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of the relay's files: a directory with one log file and its index, both of any
 * content, is opened, read from the beginning and from its own position, closed and opened again.
 *
 *   byte 0       bit 0: checksums and log_pos are made right first; bit 1: there is an index;
 *                bit 2: there are keys
 *   bytes 1, 2   bytes of the index, which come last in the input
 *   rest         the log, then the index
 *
 * What must hold: no matter what is there, the store opens or says why not; what it opened it has cut
 * for good (the second time nothing is torn and the state is the same); without an index, which is
 * trusted, all that is left can be read.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "router/binlog/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    HEAD = 3,
    MODE_REPAIR = 1,
    MODE_INDEX = 2,
    MODE_KEYS = 4,
    READ_MAX = 64 * 1024
};

static char root[64], datadir[80];
static struct sl_store_block *block;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return type == FTW_DP && strcmp(path, root) == 0 ? 0 : remove(path);
}

static void tidy_up(void)
{
    sl_store_block_free(block);
    rmdir(root);
}

/* In memory if there is such a place: nothing is to survive. */
static void prepare(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(root, sizeof root, "%s/sealane-fuzz-XXXXXX", base);
    sl_assert(mkdtemp(root));
    snprintf(datadir, sizeof datadir, "%s/data", root);
    sl_log_set_level_mask(0);
    sl_assert(sl_store_block_new(&block) == SL_OK);
    atexit(tidy_up);
}

static void write_file(const char *name, const uint8_t *data, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", datadir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    sl_assert(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    close(fd);
}

/* Each plain event gets the log_pos and checksum it should have, so that its content is looked at. */
static void repair(uint8_t *log, size_t len)
{
    bool has_crc = true;
    uint32_t event = 0;
    for (size_t at = SL_BINLOG_MAGIC_LEN; at + SL_EVENT_HEADER + SL_EVENT_CRC <= len; at += event) {
        struct sl_fde fde;
        event = sl_event_length(log + at);
        if (event < SL_EVENT_HEADER + SL_EVENT_CRC || event > len - at) {
            return;
        }
        sl_put_le32(log + at + 13, (uint32_t)(at + event));
        bool is_fde = sl_event_type(log + at) == SL_EVENT_FORMAT_DESCRIPTION;
        if (is_fde && sl_fde_parse(log + at, event, &fde, NULL) == SL_OK) {
            has_crc = fde.has_crc;
        }
        if (has_crc || is_fde) {
            sl_event_crc_put(log + at, event);
        }
    }
}

/* Bytes up to the end, or -1 after an error. */
static int64_t read_all(struct sl_store_reader *r)
{
    enum sl_store_step step = SL_STORE_EVENTS;
    struct sl_store_piece piece;
    struct sl_err err = SL_ERR_INIT;
    int64_t bytes = 0;
    while (step == SL_STORE_EVENTS || step == SL_STORE_PART) {
        if (sl_store_reader_next(r, block, READ_MAX, &step, &piece, &err) != SL_OK) {
            sl_assert(err.text[0] != '\0');
            return -1;
        }
        bytes += (int64_t)piece.bytes.len;
    }
    return bytes;
}

static void read_by_position(struct sl_store *store, const struct sl_gtid_list *position)
{
    struct sl_store_reader *r = NULL;
    struct sl_err err = SL_ERR_INIT;
    if (sl_store_reader_open(store, position, &r, &err) == SL_OK) {
        read_all(r);
        sl_store_reader_free(r);
    } else {
        sl_assert(err.text[0] != '\0');
    }
}

static void read_store(struct sl_store *store, bool is_verified)
{
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    struct sl_store_reader *r = NULL;
    struct sl_err err = SL_ERR_INIT;
    uint64_t end = 0;
    if (!sl_store_tail(store, name, &end)) {
        return;
    }
    int rc = sl_store_reader_open_at(store, "", SL_BINLOG_MAGIC_LEN, &r, &err);
    sl_assert(rc == SL_OK || err.text[0] != '\0');
    if (rc == SL_OK) {
        sl_assert(read_all(r) >= 0 || !is_verified);
        sl_store_reader_free(r);
    }
    struct sl_gtid_list position = SL_GTID_LIST_INIT, state = SL_GTID_LIST_INIT;
    read_by_position(store, &position);
    sl_assert(sl_store_state(store, &state) == SL_OK);
    sl_assert(sl_gtid_state_position(&state, &position) == SL_OK);
    read_by_position(store, &position);
    sl_gtid_list_free(&position);
    sl_gtid_list_free(&state);
}

/* False: it was not opened. *ret_state: its text. */
static bool visit(bool has_keys, bool is_verified, struct sl_buf *ret_state, uint64_t *ret_torn)
{
    static const struct sl_store_key key = {.version = 1, .len = 16, .bytes = "sixteen bytes it"};
    struct sl_store_config config = {.name = "Relay",
                                     .datadir = datadir,
                                     .server_id = 4711,
                                     .cipher = SL_CIPHER_AES_CTR,
                                     .keys = &key,
                                     .key_count = has_keys ? 1 : 0,
                                     .tuning = {.minimum_files = 1, .plain_files = 1}};
    struct sl_store *store = NULL;
    struct sl_err err = SL_ERR_INIT;
    struct sl_store_stats stats;
    if (sl_store_open(&config, &store, &err) != SL_OK) {
        sl_assert(err.text[0] != '\0');
        return false;
    }
    read_store(store, is_verified);
    sl_assert(sl_store_position_text(store, ret_state) == SL_OK);
    sl_store_stats(store, &stats);
    *ret_torn = stats.torn_bytes;
    sl_store_close(store);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    if (root[0] == '\0') {
        prepare();
    }
    size_t index = data[0] & MODE_INDEX ? sl_get_le16(data + 1) : 0, log = size - HEAD;
    index = index < log ? index : log;
    log -= index;
    uint8_t *copy = malloc(log + 1);
    sl_assert(copy);
    memcpy(copy, data + HEAD, log);
    if (data[0] & MODE_REPAIR) {
        repair(copy, log);
    }
    sl_assert(mkdir(datadir, 0700) == 0);
    write_file("pbin.000001", copy, log);
    free(copy);
    if (index > 0) {
        write_file("pbin.000001.gtidx", data + HEAD + log, index);
    }
    struct sl_buf before = SL_BUF_INIT, after = SL_BUF_INIT;
    uint64_t torn = 0;
    if (visit(data[0] & MODE_KEYS, index == 0, &before, &torn)) {
        sl_assert(visit(data[0] & MODE_KEYS, index == 0, &after, &torn));
        sl_assert(torn == 0 && sl_slice_equal(sl_buf_slice(&before), sl_buf_slice(&after)));
    }
    sl_buf_free(&before);
    sl_buf_free(&after);
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
