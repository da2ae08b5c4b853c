/* SPDX-License-Identifier: MIT */
/*
 * sha256.h - identity of foreign evidence by its content (FIPS 180-4). Nothing here is a secret; what counts is that the
 * same text found in two places is known to be the same, and two different ones never are.
 */
#ifndef PSTORE_SHA256_H
#define PSTORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct fr_sha256 {
	uint32_t state[8];
	uint64_t size;
	uint8_t block[64];
};

void fr_sha256_init(struct fr_sha256 *sha);
void fr_sha256_add(struct fr_sha256 *sha, const void *bytes, size_t size);
void fr_sha256_done(struct fr_sha256 *sha, uint8_t digest[32]);

#endif
