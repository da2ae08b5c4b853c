/* SPDX-License-Identifier: MIT */
/* store.h - a collector's store in memory, the same one each time, emptied. */
#ifndef TESTS_FUZZ_STORE_H
#define TESTS_FUZZ_STORE_H

#include "uploader/collector/store.h"

struct fr_store *empty_store(void);

#endif
