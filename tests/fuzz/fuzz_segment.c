/* SPDX-License-Identifier: MIT */
/*
 * fuzz_segment.c - property: whatever the bytes, a segment is refused, or its records prove
 * themselves, stand in the order of their lanes, and sealed again read back the same (I8, I19).
 */
#include <errno.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/roundtrip.h"
#include "tests/fuzz/sparse.h"

static void check_order(const struct fr_image *image)
{
	for (size_t lane = 0; lane < fr_image_lane_count(image); lane++) {
		size_t count;
		const struct fr_record *record = fr_image_lane_records(image, lane, &count);

		for (size_t i = 1; i < count; i++)
			HOLDS(record[i].pos >= record[i - 1].pos + sizeof(*record[i].head) +
						       record[i - 1].payload_size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *packed, size_t packed_size)
{
	struct fr_image *image = NULL;
	size_t size;
	uint8_t *bytes = sparse_unpack(packed, packed_size, &size);
	int error = fr_image_from_memory(bytes, size, 0, &image);

	if (error < 0) {
		HOLDS(!image && (error == -EBADMSG || error == -EPROTONOSUPPORT || error == -ENODATA));
	} else if (fr_image_type(image) == FR_IMAGE_SEGMENT) {
		look_at_all(image);
		check_order(image);
		salvage_and_compare(image);
	}
	fr_image_close(image);
	free(bytes);
	return 0;
}
