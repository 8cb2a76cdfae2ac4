/* SPDX-License-Identifier: Apache-2.0 */
/* Cryptographic randomness from the kernel, and a small seeded generator for tests and jitter. */
#ifndef SL_BASE_RNG_H
#define SL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Fills `len` bytes from getrandom(2); panics if the kernel has none. Any thread. */
void sl_rng_bytes(void *out, size_t len);

/* xorshift-style generator; the same seed gives the same sequence. Not for secrets. */
struct sl_rng {
    uint64_t state;
};
void sl_rng_seed(struct sl_rng *r, uint64_t seed);
uint64_t sl_rng_next(struct sl_rng *r);

#endif
