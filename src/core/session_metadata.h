/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection_metadata: what a client with SESSION_TRACK is told about the session in the OK packet
 * of its login, so that connectors need not ask for it.
 */
#ifndef SL_CORE_SESSION_METADATA_H
#define SL_CORE_SESSION_METADATA_H

#include "base/buffer.h"

struct sl_session;

/*
 * Appends the records of a session-state block (the block's own length not included). Keys of the
 * listener's list with the value `auto` are looked up; a value that is not known is left out.
 * SL_OK, SL_ENOMEM. Worker.
 */
int sl_session_metadata_build(struct sl_session *s, struct sl_buf *out_state_block);

#endif
