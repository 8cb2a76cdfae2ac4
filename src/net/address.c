/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses: resolving, text, and the options every TCP socket of the proxy gets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "net/listener.h"

int sl_resolve(const char *host, uint16_t port, struct sockaddr_storage *ret_addr,
               socklen_t *ret_len, struct sl_err *err)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        /* AI_ADDRCONFIG hides loopback addresses on a host without a network. */
        hints.ai_flags = AI_NUMERICSERV;
        rc = getaddrinfo(host, service, &hints, &found);
    }
    if (rc != 0) {
        return sl_err_set(err, SL_ENOENT, "Cannot resolve '%s': %s", host,
                          rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    }
    memset(ret_addr, 0, sizeof(*ret_addr));
    memcpy(ret_addr, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return SL_OK;
}

void sl_address_text(const struct sockaddr_storage *addr, char *out, size_t size)
{
    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        inet_ntop(AF_INET, &in->sin_addr, out, (socklen_t)size);
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            /* An IPv4 client of a dual-stack socket: accounts name it by its IPv4 address. */
            inet_ntop(AF_INET, &in->sin6_addr.s6_addr[12], out, (socklen_t)size);
        } else {
            inet_ntop(AF_INET6, &in->sin6_addr, out, (socklen_t)size);
        }
    } else {
        snprintf(out, size, "localhost");
    }
}

bool sl_address_has_name(const struct sockaddr_storage *addr, const char *name)
{
    /* What begins like an address is no name (the server thinks so, too: sql/hostname.cc,
     * is_hostname_valid and ip_to_hostname). */
    size_t digits = strspn(name, "0123456789");
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if ((digits > 0 && name[digits] == '.') || strchr(name, ':') != NULL ||
        getaddrinfo(name, NULL, &hints, &found) != 0) {
        return false;
    }
    char wanted[INET6_ADDRSTRLEN];
    bool is_found = false;
    sl_address_text(addr, wanted, sizeof(wanted));
    for (const struct addrinfo *a = found; a != NULL && !is_found; a = a->ai_next) {
        struct sockaddr_storage candidate = {0};
        char text[INET6_ADDRSTRLEN];
        memcpy(&candidate, a->ai_addr, a->ai_addrlen);
        sl_address_text(&candidate, text, sizeof(text));
        is_found = strcmp(text, wanted) == 0;
    }
    freeaddrinfo(found);
    return is_found;
}

void sl_address_name(const struct sockaddr_storage *addr, char *out, size_t size)
{
    if (getnameinfo((const struct sockaddr *)addr, sizeof(*addr), out, (socklen_t)size, NULL, 0,
                    NI_NAMEREQD) != 0 ||
        !sl_address_has_name(addr, out)) {
        out[0] = '\0';
    }
}

uint16_t sl_address_port(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET) {
        return ntohs(((const struct sockaddr_in *)addr)->sin_port);
    }
    if (addr->ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
    }
    return 0;
}

void sl_socket_set_tcp_options(int fd)
{
    static const int ON = 1;
    /* A socket that refuses them (already reset) fails at its next use; nothing to report here. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &ON, sizeof(ON));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &ON, sizeof(ON));
}
