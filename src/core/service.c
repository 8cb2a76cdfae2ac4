/* SPDX-License-Identifier: Apache-2.0 */
/* Services: counters, version text, networks of PROXY headers. */
#include "core/service.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/config.h"
#include "proto/handshake.h"

uint64_t sl_service_sum(const struct sl_service *s, size_t counter_offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->worker_count; i++) {
        const char *base = (const char *)&s->counters[i];
        sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)(base + counter_offset),
                                    memory_order_relaxed);
    }
    return sum;
}

uint32_t sl_service_connections(const struct sl_service *s)
{
    return atomic_load_explicit(&s->connection_total, memory_order_relaxed);
}

/* Version of the lowest server that has been seen, so that no client expects more than a backend
 * can do. */
static bool lowest_version(struct sl_service *s, char *out, size_t size)
{
    uint32_t lowest = 0;
    for (unsigned i = 0; i < s->reached_count; i++) {
        struct sl_server_info info;
        sl_server_info_get(s->reached[i], &info);
        uint32_t n = sl_version_number(sl_slice_text(info.version));
        if (n > 0 && (lowest == 0 || n < lowest)) {
            lowest = n;
            snprintf(out, size, "%s", info.version);
        }
    }
    return lowest != 0;
}

void sl_service_version_text(struct sl_service *s, char *out, size_t size)
{
    char version[160];
    const char *own = s->settings.version_string;
    if (own && own[0]) {
        snprintf(version, sizeof version, "%s", own);
    } else if (!lowest_version(s, version, sizeof version)) {
        snprintf(version, sizeof version, "10.6.0-MariaDB-sealane");
    }
    /* Replicas and old connectors read the first character as the major version. */
    bool needs_prefix = strncmp(version, "10.", 3) == 0 || (own && own[0] != '5' && own[0] != '8');
    snprintf(out, size, "%s%s%s", needs_prefix ? "5.5.5-" : "", version,
             s->ops && s->ops->version_suffix ? s->ops->version_suffix : "");
}

/* ---- proxy_protocol_networks ---- */

struct network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned prefix;     /* bits of the 128 */
};

struct sl_proxy_networks {
    bool any;
    bool local; /* unix sockets */
    unsigned count;
    struct network list[64];
};

static void map_v4(const void *v4, uint8_t out[16])
{
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, v4, 4);
}

static bool parse_network(const char *text, struct network *n)
{
    char host[128];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof host) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = 0;
    uint8_t v4[4];
    bool is_v4 = inet_pton(AF_INET, host, v4) == 1;
    if (is_v4) {
        map_v4(v4, n->address);
    } else if (inet_pton(AF_INET6, host, n->address) != 1) {
        return false;
    }
    unsigned bits = is_v4 ? 32 : 128;
    unsigned long prefix = bits;
    if (slash) {
        char *end;
        prefix = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || *end || prefix > bits) {
            return false;
        }
    }
    n->prefix = (unsigned)prefix + (128 - bits);
    return true;
}

struct parse_state {
    struct sl_proxy_networks *networks;
    struct sl_err *err;
    int rc;
};

static void parse_item(void *arg, const char *item)
{
    struct parse_state *p = arg;
    struct sl_proxy_networks *n = p->networks;
    if (strcmp(item, "*") == 0) {
        n->any = true;
    } else if (strcmp(item, "localhost") == 0) {
        n->local = true;
    } else if (n->count == SL_ARRAY_LEN(n->list)) {
        p->rc = sl_err_set(p->err, SL_ELIMIT, "proxy_protocol_networks: more than %zu networks",
                           SL_ARRAY_LEN(n->list));
    } else if (parse_network(item, &n->list[n->count])) {
        n->count++;
    } else {
        p->rc = sl_err_set(
            p->err, SL_EINVAL,
            "proxy_protocol_networks: '%s' is not an IP address, a network (IP/bits), '*' or "
            "'localhost'",
            item);
    }
}

int sl_proxy_networks_parse(const char *text, struct sl_proxy_networks **ret, struct sl_err *err)
{
    *ret = NULL;
    if (!text || !text[0]) {
        return SL_OK;
    }
    struct parse_state p = {sl_xcalloc(1, sizeof *p.networks), err, SL_OK};
    sl_conf_list_each(text, ',', parse_item, &p);
    if (p.rc < 0) {
        sl_free(p.networks);
        return p.rc;
    }
    *ret = p.networks;
    return SL_OK;
}

static bool is_inside(const struct network *n, const uint8_t address[16])
{
    unsigned bytes = n->prefix / 8, bits = n->prefix % 8;
    if (memcmp(n->address, address, bytes) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff00u >> bits);
    return bits == 0 || (n->address[bytes] & mask) == (address[bytes] & mask);
}

bool sl_proxy_networks_match(const struct sl_proxy_networks *n, const struct sockaddr_storage *peer)
{
    if (peer->ss_family != AF_INET && peer->ss_family != AF_INET6) {
        return n->any || n->local;
    }
    uint8_t address[16];
    if (peer->ss_family == AF_INET) {
        map_v4(&((const struct sockaddr_in *)peer)->sin_addr, address);
    } else {
        memcpy(address, &((const struct sockaddr_in6 *)peer)->sin6_addr, sizeof address);
    }
    for (unsigned i = 0; i < n->count; i++) {
        if (is_inside(&n->list[i], address)) {
            return true;
        }
    }
    return n->any;
}

void sl_proxy_networks_free(struct sl_proxy_networks *n)
{
    sl_free(n);
}
