/* SPDX-License-Identifier: MIT */
/*
 * sparse.h - images without their zeros, so that a corpus of rings is small and a mutation hits something.
 *
 * Packed: any number of { le16 words of zeros, le16 words, then these words }, a word being 8
 * bytes. What begins with the magic of a ring or a segment is an image as it lies on the medium and
 * unpacks to itself; so do bytes too few for a magic.
 */
#ifndef TESTS_FUZZ_SPARSE_H
#define TESTS_FUZZ_SPARSE_H

#include <stddef.h>
#include <stdint.h>

#define SPARSE_IMAGE_MAX (256u << 10)

/* The image, to be freed; exactly its size is allocated. */
uint8_t *sparse_unpack(const uint8_t *packed, size_t size, size_t *ret_size);
/*
 * Bytes written, or 0 when `room` does not suffice. What is behind the last full word of the image
 * is left out.
 */
size_t sparse_pack(const uint8_t *image, size_t size, uint8_t *packed, size_t room);

#endif
