/* SPDX-License-Identifier: MIT */
/* unit_dump.h - everything an image says, as text that never changes: what golden images are compared by. */
#ifndef TESTS_UNIT_UNIT_DUMP_H
#define TESTS_UNIT_UNIT_DUMP_H

#include <stdio.h>

#include "recorder/core/image.h"

void unit_dump(struct fr_image *image, FILE *to);

#endif
