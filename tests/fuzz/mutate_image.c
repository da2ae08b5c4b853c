/* SPDX-License-Identifier: MIT */
/*
 * mutate_image.c - libFuzzer's mutator for images: changes a ring or a segment where it holds
 * something, and then, mostly, makes its checksums hold again.
 */
#include "recorder/core/check.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/repair.h"
#include "tests/fuzz/sparse.h"

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed);

static uint64_t state;

static size_t below(size_t bound)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return bound ? (size_t)((z ^ z >> 31) % bound) : 0;
}

/* A multiple of 8 in the image, mostly one where something is. */
static size_t somewhere(const uint8_t *image, size_t size)
{
	size_t words = size / 8, at = below(words);

	for (size_t i = 0; i < words && below(64); i++, at = at + 1 < words ? at + 1 : 0) {
		static const uint8_t zero[8];

		if (memcmp(image + 8 * at, zero, 8))
			break;
	}
	return 8 * at;
}

static void change_number(uint8_t *at)
{
	static const uint64_t steps[] = {
		1,	    8,	       40, 64, 512, 4096, (uint64_t)-1, (uint64_t)-8, (uint64_t)-40,
		1ull << 32, 1ull << 48
	};
	size_t width = below(2) ? 8 : below(2) ? 4 : 2;
	uint64_t number = 0;

	memcpy(&number, at, width);
	number = below(8) ? number + steps[below(sizeof(steps) / sizeof(*steps))] : (uint64_t)-1 << below(64);
	memcpy(at, &number, width);
}

static void change(uint8_t *image, size_t size)
{
	size_t to = somewhere(image, size), from = somewhere(image, size), length = 8 << below(6);

	if (length > size - to)
		length = size - to;
	switch (below(6)) {
	case 0:
		change_number(image + to + (length >= 16 ? 4 * below(3) : 0));
		return;
	case 1:
		if (length > size - from)
			length = size - from;
		memmove(image + to, image + from, length);
		return;
	case 2:
		memset(image + to, 0, length);
		return;
	default:
		LLVMFuzzerMutate(image + to, length < 64 ? length : 64, length < 64 ? length : 64);
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
	size_t image_size, packed = 0;
	uint8_t *image = sparse_unpack(bytes, size, &image_size), *larger;

	state = seed;
	if (image_size < 64) {
		free(image);
		return LLVMFuzzerMutate(bytes, size, room);
	}
	larger = realloc(image, SPARSE_IMAGE_MAX);
	HOLDS(larger);
	memset(larger + image_size, 0, SPARSE_IMAGE_MAX - image_size);
	image = larger;
	for (size_t i = 1 + below(4); i; i--)
		change(image, image_size);
	if (!below(32))
		image_size = 64 + 8 * below((SPARSE_IMAGE_MAX - 64) / 8);
	if (below(8))
		repair_image(image, image_size, (enum repair)below(3));
	packed = sparse_pack(image, image_size, bytes, room);
	free(image);
	return packed ? packed : LLVMFuzzerMutate(bytes, size, room);
}
