/* SPDX-License-Identifier: MIT */
/* clock.c - anchors and slope: see clock.h. */
#include "recorder/core/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "recorder/core/host.h"

#define CALIBRATION_NS	200000u
#define GOOD_FOR_NS	1000000u
#define BRACKET_NS	300u	    /* repeat a reading that took longer: something came between */
#define SLOPE_MIN_NS	10000000u   /* measure the slope over at least this ... */
#define SLOPE_MAX_NS	2000000000u /* ... and at most this: then start again from here */

/* True when the kernel's clock runs on the counter that user space reads. */
static bool counter_is_trusted(void)
{
#if defined(__aarch64__)
	return true; /* the architecture's one timer */
#elif defined(__x86_64__)
	char name[16] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	close(fd);
	return !strcmp(name, "tsc\n");
#else
	return false;
#endif
}

/* Reads counter and clock together: the counter in the middle of two readings around clock_gettime. */
static void read_both(uint64_t *tick, uint64_t *ns, uint64_t slope)
{
	uint64_t best = UINT64_MAX;

	for (int attempt = 0; attempt < 4; attempt++) {
		uint64_t before = fr_clock_tick(), now = fr_clock_boot_ns(), width = fr_clock_tick() - before;

		if (width >= best)
			continue;
		best = width;
		*tick = before + width / 2;
		*ns = now;
		if (slope && (width * slope >> 32) < BRACKET_NS)
			return;
	}
}

static uint64_t slope_between(uint64_t ticks, uint64_t ns)
{
	return ticks ? (ns << 32) / ticks : 0;
}

void fr_clock_init(struct fr_clock *clock)
{
	static struct fr_clock first;
	static bool known;

	if (!known) {
		uint64_t tick = 0, ns = 0;

		if (counter_is_trusted()) {
			read_both(&first.slope_tick, &first.slope_ns, 0);
			do
				read_both(&tick, &ns, 0);
			while (ns - first.slope_ns < CALIBRATION_NS);
			first.slope = slope_between(tick - first.slope_tick, ns - first.slope_ns);
			if (first.slope)
				first.limit = ((uint64_t)GOOD_FOR_NS << 32) / first.slope;
		}
		known = true;
	}
	*clock = first;
	clock->tick = fr_clock_tick() - clock->limit; /* the first use takes an anchor */
}

uint64_t fr_clock_refresh(struct fr_clock *clock)
{
	uint64_t tick = 0, ns = 0, passed;

	if (!clock->limit)
		return fr_clock_boot_ns();
	read_both(&tick, &ns, clock->slope);
	passed = ns - clock->slope_ns;
	if (passed >= SLOPE_MIN_NS) {
		uint64_t slope = passed < SLOPE_MAX_NS ? slope_between(tick - clock->slope_tick, passed) : 0;

		/* more than a thousandth off is no slope but a gap: sleep, migration */
		if (slope > clock->slope - clock->slope / 1024 && slope < clock->slope + clock->slope / 1024)
			clock->slope = slope;
		if (passed >= SLOPE_MAX_NS / 2) {
			clock->slope_tick = tick;
			clock->slope_ns = ns;
		}
	}
	clock->tick = tick;
	clock->ns = ns;
	return ns;
}
