/* SPDX-License-Identifier: MIT */
/*
 * test_stop_lanes.c - processes that hold different lanes of one ring, as a kernel may hand them
 * out (I16): one is stopped by SIGSTOP at every testpoint of reserve, commit and cover, or killed
 * there; the others fill their lanes three times; it is continued. No record but its own is
 * touched, and its own is whole in the end.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "recorder/core/clock.h"
#include "recorder/core/host.h"
#include "recorder/core/map.h"
#include "tests/crash/points/life.h"
#include "tests/lib/torture.h"

#define LANES	  4
#define WRITES	  140 /* of the stopped one: more than a lap */

static struct witness *witness;
static struct fr_lane lanes[LANES];
static uint16_t event;

/*
 * One record of the oracle's; false when the lane is full. `leave`: 1 reserved and no more, 2 valid
 * and not yet settled.
 */
static bool lane_write(uint32_t number_of_lane, unsigned leave)
{
	struct fr_lane *lane = &lanes[number_of_lane];
	uint64_t number = witness->committed[number_of_lane];
	uint32_t fixed[6] = { number_of_lane, 0, (uint32_t)number, (uint32_t)(number >> 32), 0, 0 };
	struct fr_reservation res;
	char text[256];

	oracle_text(number_of_lane, number, text);
	fixed[4] = (uint32_t)strlen(text);
	if (fr_lane_reserve(lane, (uint32_t)sizeof(fixed) + fixed[4], &res) < 0)
		return false;
	res.record->time_ns = fr_clock_boot_ns();
	res.record->event = event;
	res.record->cpu = FRM_CPU_NONE;
	res.record->tid = number_of_lane + 1;
	if (leave == 1)
		return true;
	memcpy(res.record + 1, fixed, sizeof(fixed));
	memcpy((char *)(res.record + 1) + sizeof(fixed), text, fixed[4]);
	fr_lane_commit(&res, 0);
	__atomic_store_n(&witness->committed[number_of_lane], number + 1, __ATOMIC_RELEASE);
	if (leave == 2) {
		lane->reserved_size = res.size;
		lane->busy = 1;
	}
	return true;
}

static void write_and_stop(const char *wanted)
{
	setenv("FLIGHTREC_TESTPOINT", wanted, 1);
	for (int i = 0; i < WRITES; i++) {
		unsigned leave = i % 7 == 3 ? 1 + i / 7 % 3 : 0;

		if (!lane_write(0, leave == 3 ? 0 : leave))
			continue; /* full, and counted */
		if (leave == 3)
			lanes[0].busy = 1; /* as whoever ended before it had reserved */
		if (leave)
			fr_lane_cover_torn(&lanes[0], fr_clock_boot_ns());
	}
}

static struct verdict judge(int fd, const char *where)
{
	struct fr_image *image = NULL;
	struct verdict verdict;

	fprintf(stderr, "%s\n", where); /* shown when it fails */
	REQUIRE(fr_image_open(fd, 0, &image) == 0);
	verdict = oracle_judge_image(image, witness, LANES, ORACLE_OWN_LANES);
	fr_image_close(image);
	return verdict;
}

static void make_ring(int fd, struct fr_ring *ring, uint32_t policy)
{
	static const struct fr_field_spec fields[] = {
		{ FRM_U32, "thread", "" }, { FRM_U64, "number", "" }, { FRM_STR, "text", "" },
	};
	struct fr_geometry geometry = {
		.ring_size = FRM_RING_MIN, .lanes = LANES, .shared_lanes = 1, .policy = policy
	};
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .boot_id = { 1 } };
	static const uint8_t guid[16] = { 3 };

	REQUIRE(fr_ring_create(fd, &geometry, &identity) == 0 && fr_ring_map(fd, ring) == 0);
	REQUIRE(fr_ring_declare_provider(ring, guid, "test.lanes", 1, 0) == 0);
	event = (uint16_t)fr_ring_declare_event(ring, 0, "oracle", FRM_LEVEL_INFO, 0, fields, 3);
	for (uint32_t i = 0; i < LANES; i++)
		fr_ring_lane(ring, i, &lanes[i]);
}

/* False: it does not come there so often. */
static bool run(const char *point, unsigned n)
{
	bool refusing = !strncmp(point, "refusal-", 8);
	int fd = memfd_create("ring", MFD_CLOEXEC), status;
	uint64_t torn;
	char wanted[80];
	struct fr_ring ring;
	pid_t pid;

	snprintf(wanted, sizeof(wanted), "%.47s:%u:stop", point, n);
	make_ring(fd, &ring, refusing ? FRM_POLICY_DISCARD : FRM_POLICY_OVERWRITE);
	witness_reset(witness);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		write_and_stop(wanted);
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, WUNTRACED) == pid);
	if (WIFSTOPPED(status)) {
		for (uint32_t i = 1; i < LANES; i++) {
			while (lanes[i].pos < 4 * lanes[i].size)
				if (!lane_write(i, 0))
					break;
			REQUIRE(refusing || lanes[i].pos >= 4 * lanes[i].size);
		}
		torn = judge(fd, wanted).torn; /* had it died there */
		REQUIRE(kill(pid, SIGCONT) == 0);
		REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "%s: %#x", wanted, status);
		REQUIRE(judge(fd, wanted).torn <= torn + WRITES / 7);
		n = 0;
	} else {
		REQUIRE(status == 0, "%s: %#x", wanted, status);
	}
	fr_ring_unmap(&ring);
	close(fd);
	return n == 0;
}

static void test_I4_a_process_stopped_at_any_testpoint_for_three_laps_damages_nothing(void)
{
	static char point[256][48];
	size_t points = life_points("lane", point, 256), runs = 0;

	for (size_t p = 0; p < points; p++) {
		unsigned most = torture_full() ? WRITES : 4, n = 1;

		for (unsigned step = torture_full() ? 1 : 45; n <= most * step && run(point[p], n); n += step)
			runs++;
		REQUIRE(n > 1, "%s is never reached", point[p]);
	}
	torture_row("stopped writers: processes at every testpoint of a lane", runs, "runs",
		    "%zu testpoints, three laps by three others", points);
}

int main(void)
{
	witness = witness_new();
	test_I4_a_process_stopped_at_any_testpoint_for_three_laps_damages_nothing();
	return 0;
}
