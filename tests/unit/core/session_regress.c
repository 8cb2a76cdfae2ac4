/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. */
#include "session_regress.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "core/server.h"
#include "proto/constants.h"

void regress_up(struct world *w, struct client *c, const char *router_lines)
{
    world_up(w, router_lines);
    client_open_all(w, c);
    world_forget(w);
}

void regress_down(struct world *w, struct client *c)
{
    client_close(c);
    world_down(w);
}

void expect_end(struct world *w, struct client *c)
{
    assert_true(client_wait(w, c, SL_COM_QUERY, 60000).is_closed);
}

/* The proxy has noticed that nothing connects it with the server. */
void world_wait_disconnected(struct world *w, unsigned server)
{
    uint64_t deadline = sl_clock_mono_ms() + 60000;
    while (sl_server_connections(w->core->servers[server]) > 0) {
        assert_true(sl_clock_mono_ms() < deadline);
        world_pump(w, 1);
    }
}

void world_wait_count(struct world *w, const char *prefix, unsigned count)
{
    uint64_t deadline = sl_clock_mono_ms() + 60000;
    while (world_count(w, prefix) < count) {
        assert_true(sl_clock_mono_ms() < deadline);
        world_pump(w, 1);
    }
}

void world_lose_primary(struct world *w)
{
    fake_server_kill(&w->servers[PRIMARY], true);
    world_wait_disconnected(w, PRIMARY);
}

uint32_t client_prepare(struct world *w, struct client *c, const char *sql)
{
    client_send(c, SL_COM_STMT_PREPARE, sql, strlen(sql));
    struct answer a = client_wait(w, c, SL_COM_STMT_PREPARE, 60000);
    assert_true(a.stmt_id != 0);
    return a.stmt_id;
}

/* An execution with one string parameter of so many bytes (0: no parameter at all). */
void client_send_execute(struct client *c, uint32_t id, unsigned bytes, bool with_types)
{
    static uint8_t arg[REGRESS_BIG + 32];
    memset(arg, 0, 32);
    sl_put_le32(arg, id);
    sl_put_le32(arg + 5, 1);
    size_t at = 9;
    if (bytes > 0) {
        at++; /* no NULLs */
        arg[at++] = with_types;
        if (with_types) {
            sl_put_le16(arg + at, 0xfd);
            at += 2;
        }
        arg[at++] = 0xfc; /* length in two bytes */
        sl_put_le16(arg + at, (uint16_t)bytes);
        at += 2;
        memset(arg + at, 'p', bytes);
        at += bytes;
    }
    uint8_t head[5] = {0, 0, 0, 0, SL_COM_STMT_EXECUTE};
    sl_put_le24(head, (uint32_t)at + 1);
    assert_int_equal(send(c->fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
    size_t first = SL_MIN(at, (size_t)5000);
    assert_int_equal(send(c->fd, arg, first, MSG_NOSIGNAL), first);
    if (at > first) {
        usleep(20000); /* so that the proxy sees the beginning alone */
        assert_int_equal(send(c->fd, arg + first, at - first, MSG_NOSIGNAL), at - first);
    }
}

struct answer client_execute(struct world *w, struct client *c, uint32_t id, unsigned bytes,
                             bool with_types)
{
    client_send_execute(c, id, bytes, with_types);
    return client_wait(w, c, SL_COM_STMT_EXECUTE, 60000);
}
