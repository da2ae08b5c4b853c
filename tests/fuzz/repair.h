/* SPDX-License-Identifier: MIT */
/*
 * repair.h - makes the checksums of a ring or a segment hold again, so that a fuzzer gets behind them.
 *
 * Everything a checksum protects is signed where it lies: superblocks, lane heads, owners, anchors,
 * sessions, descriptors, records, chunks, the seal. Readers judge what is left: bounds, positions,
 * numbers.
 */
#ifndef TESTS_FUZZ_REPAIR_H
#define TESTS_FUZZ_REPAIR_H

#include <stddef.h>
#include <stdint.h>

/* Records of a ring whose position is not where they lie */
enum repair {
	REPAIR_IN_PLACE, /* are left alone */
	REPAIR_PLACE,	 /* get the position of their place, when their length fits */
	REPAIR_ANYWHERE, /* are signed as they are */
};

void repair_image(uint8_t *image, size_t size, enum repair place);

#endif
