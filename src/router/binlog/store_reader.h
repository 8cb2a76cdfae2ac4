/* SPDX-License-Identifier: Apache-2.0 */
/* What store_read.c and store_piece.c share: readers and their blocks. */
#ifndef SL_ROUTER_BINLOG_STORE_READER_H
#define SL_ROUTER_BINLOG_STORE_READER_H

#include "router/binlog/store_internal.h"

struct sl_store_block {
    uint64_t entry_id; /* 0: nothing in it */
    uint64_t start;    /* stored offset of the first byte */
    uint32_t len;      /* stored bytes */
    uint32_t whole;    /* of them, in whole events */
    bool is_sealed;    /* the events are in `plain`, not in `data` */
    uint8_t *data;
    struct sl_buf plain;
};

struct sl_store_reader {
    struct sl_store *store;
    struct sl_store_entry *entry; /* a reference, counted in readers and plain_users */
    int fd;                       /* the entry's; -1: not yet */
    uint64_t offset;
    char name[SL_BINLOG_FILE_NAME_MAX + 1];
    struct sl_event_crypt *crypt;    /* NULL: plain file */
    bool checks_place;               /* the next event must know that it stands at `offset` */
    uint32_t part_length, part_done; /* of an event that is given in parts; 0: none */
    uint32_t part_stored;            /* its stored length */
    uint32_t part_read;              /* of an encrypted file: stored bytes that were read */
    struct sl_gtid_list start;
};

#endif
