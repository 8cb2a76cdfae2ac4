/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers: any bytes; what is accepted can be written again and reads the same. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const uint8_t *bytes, size_t len, const struct sl_proxy_header *first)
{
    struct sl_proxy_header again;
    sl_assert(sl_proxy_header_parse(bytes, len, &again) == (long)len);
    sl_assert(again.has_address);
    sl_assert(memcmp(&again.source, &first->source, sizeof(again.source)) == 0);
    sl_assert(memcmp(&again.destination, &first->destination, sizeof(again.destination)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly this size: reading behind it is found. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    struct sl_proxy_header h;
    long rc = sl_proxy_header_parse(copy, size, &h);
    sl_assert(rc == SL_EAGAIN || rc == SL_EPROTO || (rc >= 0 && (size_t)rc <= size));
    if (rc > 0 && h.has_address) {
        const struct sockaddr *source = (const struct sockaddr *)&h.source;
        const struct sockaddr *destination = (const struct sockaddr *)&h.destination;
        char v1[108];
        uint8_t v2[52];
        size_t len = sl_proxy_header_build_v1(source, destination, v1);
        check_again((uint8_t *)v1, len, &h);
        len = sl_proxy_header_build_v2(source, destination, v2);
        check_again(v2, len, &h);
    }
    free(copy);
    return 0;
}
