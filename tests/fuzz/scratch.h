/* SPDX-License-Identifier: MIT */
/* scratch.h - a directory in memory for a target that needs files; it goes when the program ends. */
#ifndef TESTS_FUZZ_SCRATCH_H
#define TESTS_FUZZ_SCRATCH_H

const char *scratch_folder(void);

#endif
