/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the file in which replicas are remembered over a restart:
 *   <server_id> <port> <master_id> <last seen, s> <file> <offset> <position> <host>
 * with "-" for what is empty. Pure.
 */
#ifndef SL_ROUTER_BINLOG_REPLICAS_LINE_H
#define SL_ROUTER_BINLOG_REPLICAS_LINE_H

#include "router/binlog/relay.h"

/* What a client says of itself, as a word of such a line and as every client can show it: anything but
 * visible ASCII becomes '_'. NULL is empty. */
void sl_replica_word_copy(char *out, size_t size, const char *text);
/* Appends; file and host have no blanks. 0 or SL_ENOMEM. */
int sl_replica_line_put(struct sl_buf *out, const struct sl_replica_info *info,
                        const struct sl_gtid_list *position);
/* Takes the line to pieces. 0, SL_EPROTO, SL_ENOMEM. */
int sl_replica_line_parse(char *line, struct sl_replica_info *ret,
                          struct sl_gtid_list *ret_position);

#endif
