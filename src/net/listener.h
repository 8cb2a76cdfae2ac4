/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets: TCP (IPv4, IPv6 dual stack) with SO_REUSEPORT, one socket per worker loop, or
 * one unix socket shared by all loops with EPOLLEXCLUSIVE.
 */
#ifndef SL_NET_LISTENER_H
#define SL_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net/loop.h"

struct sl_listener_socket;

/* A client has been accepted: fd is non-blocking, close-on-exec, TCP_NODELAY and keep-alive set.
 * The callee owns it. IPv4 clients of a dual-stack socket come as AF_INET; unix clients as
 * AF_UNIX. */
typedef void sl_on_accept(void *arg, struct sl_loop *loop, int fd,
                          const struct sockaddr_storage *peer,
                          const struct sockaddr_storage *local);

/* Binds and listens; not yet accepting. address: IP or host name, "::" falls back to 0.0.0.0
 * when IPv6 is missing; path: unix socket (then address and port are ignored; a stale socket
 * file is replaced). Control thread. SL_ESYS with text naming address, port and reason. */
int sl_listener_socket_new(const char *address, uint16_t port, const char *path,
                           unsigned loop_count, struct sl_listener_socket **ret,
                           struct sl_err *err);
/* Starts accepting on the index-th loop; called on that loop's thread (post a message). Accepts
 * at most 64 a turn. */
int sl_listener_socket_start(struct sl_listener_socket *s, unsigned index, struct sl_loop *loop,
                             sl_on_accept *on_accept, void *arg, struct sl_err *err);
/* Stops accepting on that loop; same thread. The sockets stay bound until _free (control thread,
 * after every loop has stopped). */
void sl_listener_socket_stop(struct sl_listener_socket *s, unsigned index, struct sl_loop *loop);
void sl_listener_socket_free(struct sl_listener_socket *s);
/* The port actually bound (for port 0 in tests). */
uint16_t sl_listener_socket_port(const struct sl_listener_socket *s);

/* Resolves a host name or IP; blocking: control thread or blocking pool only. */
int sl_resolve(const char *host, uint16_t port, struct sockaddr_storage *ret_addr,
               socklen_t *ret_len, struct sl_err *err);
/* "127.0.0.1", "::1", "localhost" for a unix socket. */
void sl_address_text(const struct sockaddr_storage *addr, char *out, size_t size);
uint16_t sl_address_port(const struct sockaddr_storage *addr);
/* The host name by reverse DNS, "" without. Only a name that leads back to the address counts:
 * whoever owns an address can give it any name. Blocking, for as long as the resolver takes. */
void sl_address_name(const struct sockaddr_storage *addr, char *out, size_t size);
/* Does the name lead to the address? Blocking. */
bool sl_address_has_name(const struct sockaddr_storage *addr, const char *name);
/* TCP_NODELAY and keep-alive, for both sides of the proxy. */
void sl_socket_set_tcp_options(int fd);

#endif
