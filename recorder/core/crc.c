/* SPDX-License-Identifier: MIT */
/* crc.c - CRC32C by tables, for processors without the instruction, and the choice between the two. */
#include "recorder/core/crc.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41 with its bits reversed */

bool fr_crc32c_hardware;
static uint32_t table[8][256];

__attribute__((constructor(101))) static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
#if defined(__x86_64__)
	__builtin_cpu_init(); /* in a constructor nobody else may have done it yet */
	fr_crc32c_hardware = __builtin_cpu_supports("sse4.2");
#elif defined(__aarch64__)
	fr_crc32c_hardware = getauxval(AT_HWCAP) & (1 << 7); /* HWCAP_CRC32 */
#endif
}

uint32_t fr_crc32c_table(uint32_t state, const void *bytes, size_t size)
{
	const unsigned char *p = bytes;

	for (; size >= 8; size -= 8, p += 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		w ^= state;
		state = table[7][w & 0xff] ^ table[6][w >> 8 & 0xff] ^ table[5][w >> 16 & 0xff] ^
			table[4][w >> 24 & 0xff] ^ table[3][w >> 32 & 0xff] ^ table[2][w >> 40 & 0xff] ^
			table[1][w >> 48 & 0xff] ^ table[0][w >> 56];
	}
	while (size--)
		state = state >> 8 ^ table[0][(state ^ *p++) & 0xff];
	return state;
}
