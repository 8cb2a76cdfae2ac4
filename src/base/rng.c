/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness: the kernel's for secrets, a seeded sequence for jitter and tests. Any thread. */
#include "base/rng.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

void sl_rng_bytes(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            sl_assert(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

/* The seed goes through the finaliser of splitmix64 (Steele, Lea, Flood 2014): neighbouring seeds
 * give unrelated sequences, and the state 0, where xorshift would stand still, is avoided. */
void sl_rng_seed(struct sl_rng *r, uint64_t seed)
{
    uint64_t z = seed + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    r->state = z ? z : 0x9e3779b97f4a7c15u;
}

/* xorshift64* (Vigna 2014). */
uint64_t sl_rng_next(struct sl_rng *r)
{
    uint64_t x = r->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    return x * 0x2545f4914f6cdd1du;
}
