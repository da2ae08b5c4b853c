/* SPDX-License-Identifier: MIT */
/*
 * crc.h - CRC32C (Castagnoli), the checksum of everything on the medium.
 *
 * fr_crc32c(fr_crc32c(0, a), b) is the checksum of a followed by b. Uses the processor's instruction where
 * there is one (SSE 4.2, ARMv8 CRC), else eight tables.
 */
#ifndef RECORDER_CORE_CRC_H
#define RECORDER_CORE_CRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

uint32_t fr_crc32c_table(uint32_t state, const void *bytes, size_t size); /* no inversion at the ends */
extern bool fr_crc32c_hardware; /* set before main; false only means slower */

#if defined(__x86_64__)
#define FR_CRC_INSTRUCTION 1
static inline uint64_t fr_crc32c_8(uint64_t state, uint64_t word)
{
	__asm__("crc32q %1, %0" : "+r"(state) : "rm"(word));
	return state;
}
static inline uint32_t fr_crc32c_1(uint32_t state, uint8_t byte)
{
	__asm__("crc32b %1, %0" : "+r"(state) : "rm"(byte));
	return state;
}
#elif defined(__aarch64__)
#define FR_CRC_INSTRUCTION 1
static inline uint64_t fr_crc32c_8(uint64_t state, uint64_t word)
{
	uint32_t s = (uint32_t)state;

	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(s) : "r"(word));
	return s;
}
static inline uint32_t fr_crc32c_1(uint32_t state, uint8_t byte)
{
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(state) : "r"((uint32_t)byte));
	return state;
}
#endif

/* CRC32C of what `crc` covered, followed by these bytes. Start with 0. */
static inline uint32_t fr_crc32c(uint32_t crc, const void *bytes, size_t size)
{
	const unsigned char *p = (const unsigned char *)bytes;

#ifdef FR_CRC_INSTRUCTION
	if (__builtin_expect(fr_crc32c_hardware, 1)) {
		uint64_t state = (uint32_t)~crc, word;

		for (; size >= 8; size -= 8, p += 8) {
			memcpy(&word, p, 8);
			state = fr_crc32c_8(state, word);
		}
		while (size--)
			state = fr_crc32c_1((uint32_t)state, *p++);
		return ~(uint32_t)state;
	}
#endif
	return ~fr_crc32c_table(~crc, p, size);
}

/* The same for a record: its first two words by value (the second with crc as zero), then the rest, in eights. */
static inline uint32_t fr_crc32c_record(uint32_t seed, uint64_t first, uint64_t second, const unsigned char *rest,
					uint32_t size)
{
#ifdef FR_CRC_INSTRUCTION
	if (__builtin_expect(fr_crc32c_hardware, 1)) {
		uint64_t state = (uint32_t)~seed, word;

		state = fr_crc32c_8(state, first);
		state = fr_crc32c_8(state, second);
		for (uint32_t i = 0; i < size; i += 8) {
			memcpy(&word, rest + i, 8);
			state = fr_crc32c_8(state, word);
		}
		return ~(uint32_t)state;
	}
#endif
	seed = fr_crc32c(seed, &first, 8);
	seed = fr_crc32c(seed, &second, 8);
	return fr_crc32c(seed, rest, size);
}

#endif
