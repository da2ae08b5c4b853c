/* SPDX-License-Identifier: MIT */
/* sparse.c - see sparse.h. */
#include "tests/fuzz/sparse.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/fr_format.h"
#include "tests/fuzz/fuzz.h"

static bool is_plain(const uint8_t *bytes, size_t size)
{
	uint64_t magic;

	if (size < sizeof(magic))
		return true;
	memcpy(&magic, bytes, sizeof(magic));
	return magic == FRM_MAGIC_RING || magic == FRM_MAGIC_SEGMENT;
}

uint8_t *sparse_unpack(const uint8_t *packed, size_t size, size_t *ret_size)
{
	static uint8_t image[SPARSE_IMAGE_MAX];
	uint8_t *exact;
	struct input input = { packed, size };
	size_t at = 0, part;

	memset(image, 0, sizeof(image));
	if (is_plain(packed, size)) {
		at = size < SPARSE_IMAGE_MAX ? size : SPARSE_IMAGE_MAX;
		if (at)
			memcpy(image, packed, at);
	}
	while (at < SPARSE_IMAGE_MAX && !is_plain(packed, size) && input.left) {
		size_t zeros = 8 * take_number(&input, 2), room;
		const uint8_t *bytes;

		at += zeros < SPARSE_IMAGE_MAX - at ? zeros : SPARSE_IMAGE_MAX - at;
		room = SPARSE_IMAGE_MAX - at;
		part = 8 * take_number(&input, 2);
		bytes = take_bytes(&input, part < room ? part : room, &part);
		if (part)
			memcpy(image + at, bytes, part);
		at += part;
	}
	exact = malloc(at ? at : 1); /* a sanitizer sees a read beyond */
	HOLDS(exact);
	memcpy(exact, image, at);
	*ret_size = at;
	return exact;
}

static bool is_zero(const uint8_t *word)
{
	static const uint8_t zero[8];

	return !memcmp(word, zero, sizeof(zero));
}

size_t sparse_pack(const uint8_t *image, size_t size, uint8_t *packed, size_t room)
{
	size_t words = size / 8, used = 0;

	for (size_t i = 0; i < words;) {
		size_t zeros = 0, full = 0;
		uint16_t head[2];

		while (i + zeros < words && zeros < UINT16_MAX && is_zero(image + 8 * (i + zeros)))
			zeros++;
		while (i + zeros + full < words && full < UINT16_MAX &&
		       !is_zero(image + 8 * (i + zeros + full)))
			full++;
		if (sizeof(head) + 8 * full > room - used)
			return 0;
		head[0] = (uint16_t)zeros;
		head[1] = (uint16_t)full;
		memcpy(packed + used, head, sizeof(head));
		memcpy(packed + used + sizeof(head), image + 8 * (i + zeros), 8 * full);
		used += sizeof(head) + 8 * full;
		i += zeros + full;
	}
	return used;
}
