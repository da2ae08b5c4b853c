/* SPDX-License-Identifier: MIT */
/*
 * clock.h - CLOCK_BOOTTIME in nanoseconds, at the price of the processor's own counter.
 *
 * Owns: the conversion from ticks. Each fr_clock holds an anchor - the counter and CLOCK_BOOTTIME, read together - and a
 * slope. Up to a millisecond after the anchor the time is computed; then the next anchor is taken.
 *
 * BOUND. At an anchor the two readings lie within the width of the bracket around clock_gettime (some tens of ns; a
 * wider one is repeated). Within a millisecond the slope may be wrong by what NTP can change at once, 500 ppm, that is 500 ns.
 * Together below a microsecond (I12; tests/unit/test_clock.c). A suspended machine, a stopped process or a migrated guest makes
 * the interval long, which makes a new anchor: nothing is carried across.
 *
 * The counter is trusted only if the kernel keeps its own time by it. Elsewhere each call asks the kernel.
 */
#ifndef RECORDER_CORE_CLOCK_H
#define RECORDER_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct fr_clock {
	uint64_t tick; /* the anchor */
	uint64_t ns;
	uint64_t slope; /* ns per tick, times 2^32 */
	uint64_t limit; /* ticks the anchor is good for; 0: always ask the kernel */
	uint64_t slope_tick, slope_ns; /* an older anchor: the slope is measured from there */
};

static inline uint64_t fr_clock_tick(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t tick;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(tick));
	return tick;
#else
	return 0;
#endif
}

/*
 * Sets up a clock: measures the slope for about 200 us, the first time in a process. Later ones copy.
 * Not thread-safe with itself; blocks for that long.
 */
void fr_clock_init(struct fr_clock *clock);

/* Takes a new anchor and returns its time. Safe in a signal handler, unless it interrupts another use of this clock. */
uint64_t fr_clock_refresh(struct fr_clock *clock);

/* The time, as long as the anchor is good; false: it is time for fr_clock_refresh(). */
static inline bool fr_clock_computed(const struct fr_clock *clock, uint64_t *ret_ns)
{
	uint64_t passed = fr_clock_tick() - clock->tick;

	*ret_ns = clock->ns + (passed * clock->slope >> 32);
	return passed < clock->limit;
}

static inline uint64_t fr_clock_now(struct fr_clock *clock)
{
	uint64_t now;

	return __builtin_expect(fr_clock_computed(clock, &now), 1) ? now : fr_clock_refresh(clock);
}

#endif
