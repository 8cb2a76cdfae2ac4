/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fast searches over statement text: 16 bytes at a time with SSE2 where the machine has it, byte by
 * byte elsewhere. All functions stay inside [p, end) and return end when nothing is found. Pure.
 */
#ifndef SL_SQL_SCAN_H
#define SL_SQL_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>

/* Bit i of the result: byte i of the 16 at p equals a or b. */
static inline unsigned sl_scan_mask2(const uint8_t *p, uint8_t a, uint8_t b)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)a)),
                                     _mm_cmpeq_epi8(v, _mm_set1_epi8((char)b)));
    return (unsigned)_mm_movemask_epi8(hit);
}

/* Bit i of the result: byte i of the 16 at p is neither a digit nor one of `,` `(` `)` `.` blank
 * LF. */
static inline unsigned sl_scan_mask_list(const uint8_t *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m128i digit =
        _mm_cmpeq_epi8(_mm_min_epu8(_mm_sub_epi8(v, _mm_set1_epi8('0')), _mm_set1_epi8(9)),
                       _mm_sub_epi8(v, _mm_set1_epi8('0')));
    /* '(' and ')' differ in their lowest bit only, so do ',' and '-': take '-' back out below. */
    const __m128i even = _mm_and_si128(v, _mm_set1_epi8((char)0xFE));
    __m128i ok = _mm_or_si128(digit, _mm_cmpeq_epi8(even, _mm_set1_epi8('(')));
    ok = _mm_or_si128(ok, _mm_cmpeq_epi8(v, _mm_set1_epi8(',')));
    ok = _mm_or_si128(ok, _mm_cmpeq_epi8(v, _mm_set1_epi8(' ')));
    ok = _mm_or_si128(ok, _mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
    ok = _mm_or_si128(ok, _mm_cmpeq_epi8(v, _mm_set1_epi8('\n')));
    return (unsigned)_mm_movemask_epi8(ok) ^ 0xFFFFu;
}
#endif

/* The first byte that is a or b. */
static inline const uint8_t *sl_scan_either(const uint8_t *p, const uint8_t *end, uint8_t a,
                                            uint8_t b)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        const unsigned mask = sl_scan_mask2(p, a, b);
        if (mask != 0) {
            return p + __builtin_ctz(mask);
        }
        p += 16;
    }
#endif
    while (p < end && *p != a && *p != b) {
        p++;
    }
    return p;
}

static inline bool sl_scan_is_list_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == ',' || c == ' ' || c == '(' || c == ')' || c == '.' ||
           c == '\n';
}

/* The first byte that cannot be part of a list of plain numbers. */
static inline const uint8_t *sl_scan_list(const uint8_t *p, const uint8_t *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        const unsigned mask = sl_scan_mask_list(p);
        if (mask != 0) {
            return p + __builtin_ctz(mask);
        }
        p += 16;
    }
#endif
    while (p < end && sl_scan_is_list_byte(*p)) {
        p++;
    }
    return p;
}

#endif
