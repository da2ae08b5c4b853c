/* SPDX-License-Identifier: MIT */
/*
 * fuzz_image.c - property: whatever the bytes, an image is opened or refused, and everything it offers can be looked at (I8).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static volatile uint64_t touched;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fr_image *image = NULL;
	char text[512];
	const char *name;
	size_t length;

	if (size > 1 << 20 || fr_image_from_memory(bytes, size, size & 1 ? FR_IMAGE_LIVE : 0, &image) < 0)
		return 0;
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		for (uint32_t k = 0; k < record->payload_size; k++)
			touched += record->payload[k];
		fr_decode(image, record, &event);
		touched += fr_event_text(&event, text, sizeof(text)) + fr_event_json_fields(&event, text, sizeof(text));
	}
	for (size_t i = 0; i < fr_image_module_count(image); i++)
		touched += strlen(fr_image_module(image, i)->path);
	for (size_t i = 0; fr_image_text(image, i, &name, &length); i++)
		touched += strlen(name) + length;
	if (!fr_image_timeline(image))
		abort();
	fr_image_close(image);
	return 0;
}
