/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short list of hosts with failed logins. Bounded: beyond HOSTS_MAX the oldest entry goes, so
 * that an attacker with many addresses costs a fixed amount of memory.
 */
#include "core/auth_block.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/core.h"

#define BLOCK_MS 60000
#define HOSTS_MAX 1024

struct host {
    struct sl_list node;
    uint32_t failures;
    uint64_t blocked_until_ms;
    char text[64];
};

static struct host *find(struct sl_worker *w, const char *text, unsigned *ret_count)
{
    *ret_count = 0;
    SL_LIST_FOR_EACH (node, &w->auth_blocks) {
        struct host *h = SL_CONTAINER_OF(node, struct host, node);
        if (strcmp(h->text, text) == 0) {
            return h;
        }
        ++*ret_count;
    }
    return NULL;
}

static void forget(struct host *h)
{
    sl_list_remove(&h->node);
    sl_free(h);
}

bool sl_auth_block_is_blocked(struct sl_worker *w, const struct sockaddr_storage *peer)
{
    if (sl_list_is_empty(&w->auth_blocks)) {
        return false;
    }
    char text[64];
    unsigned count;
    sl_address_text(peer, text, sizeof text);
    struct host *h = find(w, text, &count);
    if (!h || h->blocked_until_ms == 0) {
        return false;
    }
    if (sl_loop_now_ms(w->loop) < h->blocked_until_ms) {
        return true;
    }
    forget(h);
    return false;
}

void sl_auth_block_failed(struct sl_worker *w, const struct sockaddr_storage *peer)
{
    int64_t limit = w->core->config->global.max_auth_errors_until_block;
    if (limit <= 0) {
        return;
    }
    char text[64];
    unsigned count;
    sl_address_text(peer, text, sizeof text);
    struct host *h = find(w, text, &count);
    if (!h) {
        if (count >= HOSTS_MAX) {
            forget(SL_CONTAINER_OF(w->auth_blocks.next, struct host, node));
        }
        h = sl_calloc(1, sizeof *h);
        if (!h) {
            return;
        }
        memcpy(h->text, text, sizeof text);
        sl_list_append(&w->auth_blocks, &h->node);
    }
    if (++h->failures >= (uint64_t)limit && h->blocked_until_ms == 0) {
        h->blocked_until_ms = sl_loop_now_ms(w->loop) + BLOCK_MS;
        sl_log_error("Host %s blocked for %d seconds after %u failed logins", text, BLOCK_MS / 1000,
                     h->failures);
    }
}

void sl_auth_block_succeeded(struct sl_worker *w, const struct sockaddr_storage *peer)
{
    if (sl_list_is_empty(&w->auth_blocks)) {
        return;
    }
    char text[64];
    unsigned count;
    sl_address_text(peer, text, sizeof text);
    struct host *h = find(w, text, &count);
    if (h) {
        forget(h);
    }
}

void sl_auth_block_clear(struct sl_worker *w)
{
    SL_LIST_FOR_EACH (node, &w->auth_blocks) {
        forget(SL_CONTAINER_OF(node, struct host, node));
    }
}
