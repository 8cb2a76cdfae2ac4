/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiples of the base point of edwards25519 (RFC 8032), for scalars that OpenSSL gives no access
 * to. Used by auth.c only.
 */
#ifndef SL_PROTO_CURVE25519_H
#define SL_PROTO_CURVE25519_H

#include <stdint.h>

/* ret_point = encoding of scalar * B; the scalar is little-endian, below 2^255. Running time and
 * memory access do not depend on the scalar. */
void sl_curve25519_base_multiply(const uint8_t scalar[32], uint8_t ret_point[32]);

#endif
