/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host lists. An IPv4 client of a dual-stack socket (::ffff:1.2.3.4) counts as IPv4. No state; any
 * thread.
 */
#include "admin/hosts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ITEMS_MAX 256

struct item {
    bool is_network;
    int family;
    uint8_t address[16];
    unsigned bits;
    char *pattern; /* of a name or address, when not a network */
};

struct sl_hosts {
    unsigned count;
    struct item items[ITEMS_MAX];
};

void sl_hosts_free(struct sl_hosts *h)
{
    if (h == NULL) {
        return;
    }
    for (unsigned i = 0; i < h->count; i++) {
        sl_free(h->items[i].pattern);
    }
    sl_free(h);
}

static bool parse_address(const char *text, struct item *item)
{
    item->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    item->bits = item->family == AF_INET6 ? 128 : 32;
    return inet_pton(item->family, text, item->address) == 1;
}

/* Cuts the text at the slash. */
static bool parse_network(char *text, struct item *item)
{
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (!parse_address(text, item)) {
        return false;
    }
    if (slash != NULL) {
        char *end;
        unsigned long bits = strtoul(slash + 1, &end, 10);
        if (!isdigit((unsigned char)slash[1]) || *end != '\0' || bits > item->bits) {
            return false;
        }
        item->bits = (unsigned)bits;
    }
    return true;
}

static int parse_item(char *text, struct item *item, struct sl_err *err)
{
    bool has_slash = strchr(text, '/') != NULL;
    char *copy = sl_xstrdup(text);
    item->is_network = parse_network(text, item);
    if (item->is_network) {
        sl_free(copy);
        return SL_OK;
    }
    if (has_slash) {
        int rc = sl_err_set(err, SL_EINVAL, "'%s' is no network such as 10.0.0.0/8", copy);
        sl_free(copy);
        return rc;
    }
    item->pattern = strcmp(copy, "*") == 0 ? strcpy(copy, "%") : copy;
    return SL_OK;
}

int sl_hosts_parse(const char *list, struct sl_hosts **ret, struct sl_err *err)
{
    struct sl_hosts *h = sl_xcalloc(1, sizeof *h);
    char *copy = sl_xstrdup(list != NULL ? list : "");
    char *save = NULL;
    int rc = SL_OK;
    for (char *text = strtok_r(copy, ", ", &save); text != NULL && rc == SL_OK;
         text = strtok_r(NULL, ", ", &save)) {
        rc = h->count < ITEMS_MAX ? parse_item(text, &h->items[h->count], err)
                                  : sl_err_set(err, SL_ELIMIT, "more than %d hosts", ITEMS_MAX);
        h->count += rc == SL_OK;
    }
    sl_free(copy);
    if (rc < 0) {
        sl_hosts_free(h);
        return rc;
    }
    *ret = h;
    return SL_OK;
}

/* Letters of names: anything that is neither digit, dot, colon nor wildcard. */
static bool is_name_pattern(const char *pattern)
{
    return strspn(pattern, "0123456789.:%_") != strlen(pattern);
}

bool sl_hosts_need_name(const struct sl_hosts *h)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (!h->items[i].is_network && is_name_pattern(h->items[i].pattern)) {
            return true;
        }
    }
    return false;
}

/* % any text, _ one character, no difference of case. Iterative: the last % is tried longer. */
static bool like(const char *text, const char *pattern)
{
    const char *star = NULL;
    const char *resume = NULL;
    while (*text != '\0') {
        if (*pattern == '%') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '_' ||
                   tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '%') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool in_network(const struct item *item, int family, const uint8_t *address)
{
    if (item->family != family) {
        return false;
    }
    unsigned whole = item->bits / 8;
    unsigned rest = item->bits % 8;
    if (memcmp(item->address, address, whole) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return rest == 0 || ((item->address[whole] ^ address[whole]) & mask) == 0;
}

/* Address bytes; AF_UNSPEC for anything but IP. */
static int address_of(const struct sockaddr_storage *peer, uint8_t out[16])
{
    if (peer->ss_family == AF_INET) {
        memcpy(out, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
        return AF_INET;
    }
    if (peer->ss_family != AF_INET6) {
        return AF_UNSPEC;
    }
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a)) {
        memcpy(out, &a->s6_addr[12], 4);
        return AF_INET;
    }
    memcpy(out, a, 16);
    return AF_INET6;
}

bool sl_hosts_match(const struct sl_hosts *h, const struct sockaddr_storage *peer, const char *name)
{
    uint8_t address[16] = {0};
    char text[INET6_ADDRSTRLEN] = "";
    int family = address_of(peer, address);
    if (family != AF_UNSPEC) {
        inet_ntop(family, address, text, sizeof text);
    }
    for (unsigned i = 0; i < h->count; i++) {
        const struct item *item = &h->items[i];
        if (item->is_network
                ? in_network(item, family, address)
                : like(text, item->pattern) || (name != NULL && like(name, item->pattern))) {
            return true;
        }
    }
    return false;
}
