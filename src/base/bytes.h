/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian and big-endian integers in byte arrays. The caller guarantees the room. */
#ifndef SL_BASE_BYTES_H
#define SL_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t sl_get_le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint16_t)p[1] << 8);
}

static inline uint32_t sl_get_le24(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint32_t sl_get_le32(const uint8_t *p)
{
    return sl_get_le24(p) | (uint32_t)p[3] << 24;
}

static inline uint64_t sl_get_le64(const uint8_t *p)
{
    return sl_get_le32(p) | (uint64_t)sl_get_le32(p + 4) << 32;
}

static inline uint16_t sl_get_be16(const uint8_t *p)
{
    return (uint16_t)((uint16_t)p[0] << 8 | p[1]);
}

static inline void sl_put_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void sl_put_le24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
}

static inline void sl_put_le32(uint8_t *p, uint32_t v)
{
    sl_put_le24(p, v);
    p[3] = (uint8_t)(v >> 24);
}

static inline void sl_put_le64(uint8_t *p, uint64_t v)
{
    sl_put_le32(p, (uint32_t)v);
    sl_put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline void sl_put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

#endif
