/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edwards25519: -x^2 + y^2 = 1 + d x^2 y^2 over the integers modulo p = 2^255 - 19.
 *
 * A field element has five limbs of 51 bits. Bounds: carry() leaves limbs below 2^51 + 2^13; add
 * and sub take carried ones and give carried ones; so products of two limbs and their sums, times
 * 19, stay far below 2^128. Points are (X:Y:Z:T) with x = X/Z, y = Y/Z, xy = T/Z (RFC 8032,
 * 5.1.4), where the addition formula is complete: the same code adds, doubles and copes with the
 * neutral point.
 */
#include "proto/curve25519.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"

#define LIMB_BITS 51
#define LIMB_MASK ((1ULL << LIMB_BITS) - 1)

__extension__ typedef unsigned __int128 wide;

struct field {
    uint64_t limb[5];
};

struct point {
    struct field x, y, z, t;
};

static const struct field zero = {{0, 0, 0, 0, 0}};
static const struct field one = {{1, 0, 0, 0, 0}};

static void carry(struct field *f)
{
    uint64_t c = 0;
    for (int i = 0; i < 5; i++) {
        f->limb[i] += c;
        c = f->limb[i] >> LIMB_BITS;
        f->limb[i] &= LIMB_MASK;
    }
    f->limb[0] += 19 * c; /* 2^255 = 19 */
}

static struct field add(const struct field *a, const struct field *b)
{
    struct field r;
    for (int i = 0; i < 5; i++) {
        r.limb[i] = a->limb[i] + b->limb[i];
    }
    carry(&r);
    return r;
}

static struct field subtract(const struct field *a, const struct field *b)
{
    struct field r;
    for (int i = 0; i < 5; i++) { /* plus 4 p, so that no limb goes below zero */
        r.limb[i] = a->limb[i] + 4 * (i == 0 ? LIMB_MASK - 18 : LIMB_MASK) - b->limb[i];
    }
    carry(&r);
    return r;
}

static struct field multiply(const struct field *a, const struct field *b)
{
    wide sum[5];
    wide c = 0;
    struct field r;
    for (int i = 0; i < 5; i++) {
        sum[i] = 0;
        for (int j = 0; j < 5; j++) {
            int k = i - j;
            sum[i] += (wide)a->limb[j] * (k >= 0 ? b->limb[k] : 19 * b->limb[k + 5]);
        }
    }
    for (int i = 0; i < 5; i++) {
        sum[i] += c;
        r.limb[i] = (uint64_t)sum[i] & LIMB_MASK;
        c = sum[i] >> LIMB_BITS;
    }
    r.limb[0] += 19 * (uint64_t)c;
    carry(&r);
    return r;
}

/* a^(p-2), the inverse: p - 2 = 2^255 - 21 has all bits set but 2 and 4. */
static struct field invert(const struct field *a)
{
    struct field r = *a;
    for (int bit = 253; bit >= 0; bit--) {
        r = multiply(&r, &r);
        if (bit != 2 && bit != 4) {
            r = multiply(&r, a);
        }
    }
    return r;
}

static struct field small(uint64_t v)
{
    struct field r = zero;
    r.limb[0] = v;
    return r;
}

static struct field from_bytes(const uint8_t in[32])
{
    struct field r;
    r.limb[0] = sl_get_le64(in) & LIMB_MASK;
    r.limb[1] = sl_get_le64(in + 6) >> 3 & LIMB_MASK;
    r.limb[2] = sl_get_le64(in + 12) >> 6 & LIMB_MASK;
    r.limb[3] = sl_get_le64(in + 19) >> 1 & LIMB_MASK;
    r.limb[4] = sl_get_le64(in + 24) >> 12 & LIMB_MASK;
    return r;
}

/* The one representative below p. */
static void to_bytes(const struct field *f, uint8_t out[32])
{
    struct field r = *f;
    uint64_t c;
    carry(&r);
    carry(&r);
    /* r is below 2^255 now; r >= p iff r + 19 reaches 2^255. Then subtract p by adding 19. */
    c = 19;
    for (int i = 0; i < 5; i++) {
        c = (r.limb[i] + c) >> LIMB_BITS;
    }
    r.limb[0] += 19 * c;
    c = 0;
    for (int i = 0; i < 5; i++) {
        r.limb[i] += c;
        c = r.limb[i] >> LIMB_BITS;
        r.limb[i] &= LIMB_MASK;
    }
    sl_put_le64(out, r.limb[0] | r.limb[1] << 51);
    sl_put_le64(out + 8, r.limb[1] >> 13 | r.limb[2] << 38);
    sl_put_le64(out + 16, r.limb[2] >> 26 | r.limb[3] << 25);
    sl_put_le64(out + 24, r.limb[3] >> 39 | r.limb[4] << 12);
}

static struct point point_add(const struct point *p, const struct point *q, const struct field *d2)
{
    struct field a, b, c, d, e, f, g, h, u, v;
    u = subtract(&p->y, &p->x);
    v = subtract(&q->y, &q->x);
    a = multiply(&u, &v);
    u = add(&p->y, &p->x);
    v = add(&q->y, &q->x);
    b = multiply(&u, &v);
    u = multiply(&p->t, d2);
    c = multiply(&u, &q->t);
    u = add(&p->z, &p->z);
    d = multiply(&u, &q->z);
    e = subtract(&b, &a);
    f = subtract(&d, &c);
    g = add(&d, &c);
    h = add(&b, &a);
    return (struct point){multiply(&e, &f), multiply(&g, &h), multiply(&f, &g), multiply(&e, &h)};
}

/* to = from if bit is 1. */
static void point_select(struct point *to, const struct point *from, uint64_t bit)
{
    uint64_t take = 0 - bit;
    uint64_t words[20];
    uint64_t other[20];
    _Static_assert(sizeof(struct point) == sizeof(words), "points are 20 limbs");
    memcpy(words, to, sizeof(words));
    memcpy(other, from, sizeof(other));
    for (int i = 0; i < 20; i++) {
        words[i] = (words[i] & ~take) | (other[i] & take);
    }
    memcpy(to, words, sizeof(words));
    sl_wipe(words, sizeof(words));
}

void sl_curve25519_base_multiply(const uint8_t scalar[32], uint8_t ret_point[32])
{
    /* Base point: y = 4/5, x the even root. d = -121665/121666; the formula wants 2 d. */
    static const uint8_t base_x[32] = {0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9,
                                       0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
                                       0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0,
                                       0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21};
    struct field n = small(2 * 121665);
    struct field m = small(121666);
    struct field d2, inverse;
    struct point base, sum, with;
    uint8_t x[32];

    inverse = invert(&m);
    d2 = multiply(&n, &inverse);
    d2 = subtract(&zero, &d2);
    m = small(5);
    n = small(4);
    inverse = invert(&m);
    base.x = from_bytes(base_x);
    base.y = multiply(&n, &inverse);
    base.z = one;
    base.t = multiply(&base.x, &base.y);
    sum = (struct point){zero, one, one, zero};
    for (int bit = 254; bit >= 0; bit--) {
        sum = point_add(&sum, &sum, &d2);
        with = point_add(&sum, &base, &d2);
        point_select(&sum, &with, scalar[bit >> 3] >> (bit & 7) & 1);
    }
    inverse = invert(&sum.z);
    n = multiply(&sum.x, &inverse);
    m = multiply(&sum.y, &inverse);
    to_bytes(&n, x);
    to_bytes(&m, ret_point);
    ret_point[31] |= (uint8_t)(x[0] << 7); /* the sign of x */
    sl_wipe(&sum, sizeof(sum));
    sl_wipe(&with, sizeof(with));
}
