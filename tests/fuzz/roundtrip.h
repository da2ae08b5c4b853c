/* SPDX-License-Identifier: MIT */
/* roundtrip.h - properties of any image that was opened, wherever its bytes came from. */
#ifndef TESTS_FUZZ_ROUNDTRIP_H
#define TESTS_FUZZ_ROUNDTRIP_H

#include "recorder/core/image.h"

/* Whatever it offers can be looked at, and lies within its bytes' checksums (I8). */
void look_at_all(struct fr_image *image);

/*
 * Salvage makes a segment of it in which every event and loss is, once; salvaged again there is
 * nothing more to say.
 */
void salvage_and_compare(const struct fr_image *image);

#endif
