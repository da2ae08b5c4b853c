/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what every fuzz target includes: how a property fails, and how an input is taken apart.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The property: a false one is a finding, with the bytes that led to it. */
#define HOLDS(condition)                                                                                    \
	do {                                                                                                \
		if (!(condition)) {                                                                         \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);      \
			abort();                                                                            \
		}                                                                                           \
	} while (0)

/* What is left of an input. Taking more than there is gives zeros, or what is left. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint64_t take_number(struct input *input, size_t bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < bytes && input->left; i++, input->left--)
		number |= (uint64_t)*input->at++ << 8 * i;
	return number;
}

static inline const uint8_t *take_bytes(struct input *input, size_t wanted, size_t *ret_size)
{
	const uint8_t *at = input->at;

	*ret_size = wanted < input->left ? wanted : input->left;
	input->at += *ret_size;
	input->left -= *ret_size;
	return at;
}

/* The next line, without its end, as text of its own that the caller frees; "" when nothing is left. */
static inline char *take_line(struct input *input)
{
	const uint8_t *end = input->left ? memchr(input->at, '\n', input->left) : NULL;
	size_t size = end ? (size_t)(end - input->at) : input->left;
	char *line = malloc(size + 1);

	HOLDS(line);
	if (size)
		memcpy(line, input->at, size);
	line[size] = '\0';
	take_bytes(input, size + (end ? 1 : 0), &size);
	return line;
}

#endif
