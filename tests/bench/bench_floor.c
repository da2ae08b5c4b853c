/* SPDX-License-Identifier: MIT */
/*
 * bench_floor.c - the floor: what this machine needs at least for the bytes of one event. Reads the time-stamp counter, fills the
 * 40 bytes of a record's header and the 64 of its payload in a mapped file, and checksums them; no gate, no lane, no reader
 * in mind. MODE: one, two (threads, each with a file of its own).
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "tests/bench/bench_loop.h"

#define BYTES (512u << 10) /* as much as a lane has */
#define RECORD 104u

static unsigned char *area[16];

static inline uint64_t counter(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#endif
}

static void loop(unsigned thread, uint64_t first, uint64_t count)
{
	const char *text = BENCH_TEXT;
	unsigned char *base = area[thread];
	uint32_t off = 0;

	for (uint64_t i = first; i < first + count; i++) {
		unsigned char *p = base + off;
		uint64_t *head = (uint64_t *)p;
		uint32_t length;

		__asm__ volatile("" : "+r"(text)); /* its length is not known when this is compiled */
		length = (uint32_t)strlen(text);
		head[0] = i;
		head[2] = counter();
		head[3] = thread;
		head[4] = i;
		head[5] = i;
		head[6] = thread;
		head[7] = length;
		memcpy(&head[8], text, length);
		head[1] = (uint64_t)RECORD << 32;
		head[1] |= fr_crc32c_record(0x1234, head[0], head[1], p + 16, RECORD - 16);
		off += RECORD;
		if (off > BYTES - RECORD)
			off = 0;
	}
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : BENCH_EVENTS;
	const char *dir = getenv("FLIGHTREC_STATE_DIR");
	unsigned threads;

	if (argc < 2)
		return 2;
	threads = strcmp(argv[1], "two") ? 1 : 2;
	for (unsigned i = 0; i < threads; i++) {
		char path[4096];
		int fd;

		snprintf(path, sizeof(path), "%s/floor-%u", dir ? dir : ".", i);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || ftruncate(fd, BYTES) < 0) {
			perror(path);
			return 1;
		}
		area[i] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (area[i] == MAP_FAILED) {
			perror("mmap");
			return 1;
		}
		memset(area[i], 0, BYTES);
		unlink(path);
	}
	printf("%.3f\n", bench_run(loop, threads, count));
	return 0;
}
