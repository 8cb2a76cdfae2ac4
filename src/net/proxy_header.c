/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PROXY protocol headers: recognising, reading and writing. Sans-I/O; any thread.
 *
 *   v1   "PROXY TCP4 192.0.2.1 192.0.2.2 4711 3306\r\n", at most 107 bytes
 *   v2   12 bytes signature, version and command, family and transport, length, addresses, TLVs
 *
 * Source: "The PROXY protocol, versions 1 & 2" (HAProxy's doc/proxy-protocol.txt), sections 2.1,
 * 2.2. Bytes are trusted only when their sender is: the caller checks that before it asks here.
 */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum {
    V1_MAX = 107, /* with CR LF, without a NUL */
    V2_FIXED = 16,
    V2_MAX_LEN = 4096, /* of addresses and TLVs: more is nobody's header */
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_UNSPEC = 0x00,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_TCP4_LEN = 12,
    V2_TCP6_LEN = 36
};

static const uint8_t V1_PREFIX[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t V2_SIGNATURE[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static void set_ip4(struct sockaddr_storage *addr, const void *ip, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)addr;
    memset(addr, 0, sizeof(*addr));
    in->sin_family = AF_INET;
    memcpy(&in->sin_addr, ip, 4);
    in->sin_port = htons(port);
}

static void set_ip6(struct sockaddr_storage *addr, const void *ip, uint16_t port)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)addr;
    memset(addr, 0, sizeof(*addr));
    in->sin6_family = AF_INET6;
    memcpy(&in->sin6_addr, ip, 16);
    in->sin6_port = htons(port);
}

/* --- version 1 -------------------------------------------------------------------------------- */

/* A decimal port without sign, blanks or leading zeros; -1 when it is none. */
static long read_port(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || (text[0] == '0' && len > 1)) {
        return -1;
    }
    long port = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        port = 10 * port + (text[i] - '0');
    }
    return port <= UINT16_MAX ? port : -1;
}

static bool read_ip(struct sockaddr_storage *addr, int family, const char *text, long port)
{
    uint8_t ip[16];
    if (port < 0 || inet_pton(family, text, ip) != 1) {
        return false;
    }
    if (family == AF_INET) {
        set_ip4(addr, ip, (uint16_t)port);
    } else {
        set_ip6(addr, ip, (uint16_t)port);
    }
    return true;
}

/* The next word of the line, NUL-terminated in place; NULL when there is none. Words are separated
 * by exactly one blank. */
static char *next_word(char **line)
{
    char *word = *line;
    if (word == NULL || *word == '\0') {
        return NULL;
    }
    char *blank = strchr(word, ' ');
    if (blank != NULL) {
        *blank = '\0';
        *line = blank + 1;
    } else {
        *line = NULL;
    }
    return word;
}

static bool read_v1_line(char *line, struct sl_proxy_header *ret)
{
    char *words[5];
    char *rest = line;
    char *protocol = next_word(&rest);
    if (protocol == NULL) {
        return false;
    }
    if (strcmp(protocol, "UNKNOWN") == 0) {
        return true; /* whatever follows is to be ignored */
    }
    int family = strcmp(protocol, "TCP4") == 0 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && strcmp(protocol, "TCP6") != 0) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        words[i] = next_word(&rest);
        if (words[i] == NULL) {
            return false;
        }
    }
    ret->has_address = rest == NULL &&
                       read_ip(&ret->source, family, words[0], read_port(words[2])) &&
                       read_ip(&ret->destination, family, words[1], read_port(words[3]));
    return ret->has_address;
}

static long parse_v1(const uint8_t *data, size_t len, struct sl_proxy_header *ret)
{
    size_t seen = SL_MIN(len, (size_t)V1_MAX);
    const uint8_t *lf = memchr(data, '\n', seen);
    if (lf == NULL) {
        return len < V1_MAX ? SL_EAGAIN : SL_EPROTO;
    }
    size_t line_len = (size_t)(lf - data);
    if (lf[-1] != '\r' || memchr(data, '\0', line_len) != NULL) {
        return SL_EPROTO;
    }
    char line[V1_MAX + 1];
    size_t text_len = line_len - 1 - sizeof(V1_PREFIX);
    memcpy(line, data + sizeof(V1_PREFIX), text_len);
    line[text_len] = '\0';
    return read_v1_line(line, ret) ? (long)line_len + 1 : SL_EPROTO;
}

/* --- version 2 -------------------------------------------------------------------------------- */

static void read_v2_addresses(const uint8_t *p, unsigned family, struct sl_proxy_header *ret)
{
    if (family == V2_TCP4) {
        set_ip4(&ret->source, p, sl_get_be16(p + 8));
        set_ip4(&ret->destination, p + 4, sl_get_be16(p + 10));
    } else {
        set_ip6(&ret->source, p, sl_get_be16(p + 32));
        set_ip6(&ret->destination, p + 16, sl_get_be16(p + 34));
    }
    ret->has_address = true;
}

static long parse_v2(const uint8_t *data, size_t len, struct sl_proxy_header *ret)
{
    if (len < V2_FIXED) {
        return SL_EAGAIN;
    }
    unsigned command = data[12];
    unsigned family = data[13];
    size_t rest_len = sl_get_be16(data + 14);
    if ((command != V2_LOCAL && command != V2_PROXY) || rest_len > V2_MAX_LEN) {
        return SL_EPROTO;
    }
    bool has_address = command == V2_PROXY && (family == V2_TCP4 || family == V2_TCP6);
    if (has_address && rest_len < (family == V2_TCP4 ? V2_TCP4_LEN : V2_TCP6_LEN)) {
        return SL_EPROTO;
    }
    if (len < V2_FIXED + rest_len) {
        return SL_EAGAIN;
    }
    /* Other families (unix, UDP): the connection is accepted, the real peer kept. TLVs are
     * skipped. */
    if (has_address) {
        read_v2_addresses(data + V2_FIXED, family, ret);
    }
    return (long)(V2_FIXED + rest_len);
}

long sl_proxy_header_parse(const uint8_t *data, size_t len, struct sl_proxy_header *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (memcmp(data, V2_SIGNATURE, SL_MIN(len, sizeof(V2_SIGNATURE))) == 0) {
        return len < sizeof(V2_SIGNATURE) ? SL_EAGAIN : parse_v2(data, len, ret);
    }
    if (memcmp(data, V1_PREFIX, SL_MIN(len, sizeof(V1_PREFIX))) == 0) {
        return len < sizeof(V1_PREFIX) ? SL_EAGAIN : parse_v1(data, len, ret);
    }
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The family both addresses can be written in, or AF_UNSPEC. */
static int common_family(const struct sockaddr *source, const struct sockaddr *destination)
{
    if (source == NULL || destination == NULL || source->sa_family != destination->sa_family ||
        (source->sa_family != AF_INET && source->sa_family != AF_INET6)) {
        return AF_UNSPEC;
    }
    return source->sa_family;
}

size_t sl_proxy_header_build_v1(const struct sockaddr *source, const struct sockaddr *destination,
                                char *out)
{
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    uint16_t from_port = 0, to_port = 0;
    int family = common_family(source, destination);
    if (family == AF_UNSPEC) {
        static const char UNKNOWN[] = "PROXY UNKNOWN\r\n";
        memcpy(out, UNKNOWN, sizeof(UNKNOWN));
        return sizeof(UNKNOWN) - 1;
    }
    if (family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)source;
        const struct sockaddr_in *b = (const struct sockaddr_in *)destination;
        inet_ntop(family, &a->sin_addr, from, sizeof(from));
        inet_ntop(family, &b->sin_addr, to, sizeof(to));
        from_port = ntohs(a->sin_port);
        to_port = ntohs(b->sin_port);
    } else {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)source;
        const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)destination;
        inet_ntop(family, &a->sin6_addr, from, sizeof(from));
        inet_ntop(family, &b->sin6_addr, to, sizeof(to));
        from_port = ntohs(a->sin6_port);
        to_port = ntohs(b->sin6_port);
    }
    int len = snprintf(out, V1_MAX + 1, "PROXY %s %s %s %u %u\r\n",
                       family == AF_INET ? "TCP4" : "TCP6", from, to, from_port, to_port);
    sl_assert(len > 0 && len <= V1_MAX);
    return (size_t)len;
}

size_t sl_proxy_header_build_v2(const struct sockaddr *source, const struct sockaddr *destination,
                                uint8_t *out)
{
    int family = common_family(source, destination);
    uint8_t *p = out + V2_FIXED;
    memcpy(out, V2_SIGNATURE, sizeof(V2_SIGNATURE));
    out[12] = family == AF_UNSPEC ? V2_LOCAL : V2_PROXY;
    if (family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)source;
        const struct sockaddr_in *b = (const struct sockaddr_in *)destination;
        out[13] = V2_TCP4;
        memcpy(p, &a->sin_addr, 4);
        memcpy(p + 4, &b->sin_addr, 4);
        memcpy(p + 8, &a->sin_port, 2); /* network byte order on both sides */
        memcpy(p + 10, &b->sin_port, 2);
        p += V2_TCP4_LEN;
    } else if (family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)source;
        const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)destination;
        out[13] = V2_TCP6;
        memcpy(p, &a->sin6_addr, 16);
        memcpy(p + 16, &b->sin6_addr, 16);
        memcpy(p + 32, &a->sin6_port, 2);
        memcpy(p + 34, &b->sin6_port, 2);
        p += V2_TCP6_LEN;
    } else {
        out[13] = V2_UNSPEC;
    }
    sl_put_be16(out + 14, (uint16_t)(p - out - V2_FIXED));
    return (size_t)(p - out);
}
