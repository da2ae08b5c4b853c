/* SPDX-License-Identifier: MIT */
/*
 * test_image_rates.c - bits of a ring flip at random, each with the same probability: all records
 * without a flipped bit are read, all others are lost and counted, and how many are kept is what
 * the rate leaves of records of their sizes. A ring of 8 MiB in a check, of 64 MiB and several
 * times under torture. RATES_SEED chooses other bits.
 */
#include "tests/unit/unit_parallel.h"
#include "tests/unit/unit_ring.h"

#include <math.h>

#include "tests/lib/torture.h"

#define LANES 8

static struct {
	unsigned char *bytes;
	uint64_t size;
	struct fr_image *whole;
	struct frm_super super;
	double rate;
	uint64_t seed;
} ring;

static struct {
	uint64_t flipped, kept, lost, unknown, superblocks, identities, records;
} *tally;

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static int setup(void **state UNUSED)
{
	const char *wanted = getenv("RATES_SEED");
	struct unit_ring u;

	ring.size = torture_full() ? 64 << 20 : UNIT_SANITIZED ? 2 << 20 : 8 << 20;
	ring.seed = wanted ? strtoull(wanted, NULL, 0) : 1;
	unit_ring_make(&u, ring.size, LANES, FRM_POLICY_OVERWRITE);
	for (uint32_t lane = 0; lane < LANES; lane++) /* from half a lap to more than one */
		unit_write_many(&u, lane, ring.size / LANES / 200 * (lane + 1) / 2);
	ring.bytes = unit_bytes(&u);
	ring.super = u.ring.super;
	ring.whole = unit_image(&u, 0);
	tally = unit_shared(sizeof(*tally));
	unit_ring_free(&u);
	return 0;
}

static int teardown(void **state UNUSED)
{
	fr_image_close(ring.whole);
	free(ring.bytes);
	return 0;
}

/*
 * Each bit with the probability `rate`: from one flipped bit to the next there are geometrically
 * many.
 */
static void flip(unsigned char *bytes, uint64_t *seed)
{
	double scale = 1 / log1p(-ring.rate), bit = -1;

	for (;;) {
		double uniform = ((double)(unit_random(seed) >> 11) + 1) * 0x1p-53; /* in (0, 1] */

		bit += 1 + floor(log(uniform) * scale);
		if (bit >= (double)ring.size * 8)
			return;
		bytes[(uint64_t)bit / 8] ^= (unsigned char)(1 << (uint64_t)bit % 8);
		add(&tally->flipped, 1);
	}
}

static bool is_touched(const unsigned char *bytes, uint64_t at, size_t size)
{
	return memcmp(bytes + at, ring.bytes + at, size);
}

static uint32_t span_of(const struct fr_record *record)
{
	return fr_record_span(record->payload_size + (uint32_t)sizeof(*record->head));
}

/*
 * The lane's records are those that no bit was flipped in; its numbers add up to what was written.
 */
static void check_lane(const struct fr_image *image, uint32_t lane, const unsigned char *bytes)
{
	uint64_t at = fr_super_lane_offset(&ring.super, lane),
		 size = fr_super_lane_data(&ring.super), known;
	size_t wanted, count, have = 0, kept = 0;
	const struct fr_record *want = fr_image_lane_records(ring.whole, lane, &wanted);
	const struct fr_record *got = fr_image_lane_records(image, lane, &count);
	bool touched = false;

	for (size_t i = 0; i < wanted; i++) {
		touched = is_touched(bytes, at + FRM_LANE_HEAD + want[i].pos % size,
				     span_of(&want[i]));
		if (touched)
			continue;
		while (have < count && !kept &&
		       got[have].seq <
			       want[0].seq) /* came back: the newest one's end is not known */
			assert_true(unit_is_genuine(&got[have++]));
		if (have == count || got[have].seq != want[i].seq || got[have].pos != want[i].pos)
			fail_msg("record %u/%llu was not touched, and is gone", lane,
				 (unsigned long long)want[i].seq);
		have++;
		kept++;
	}
	assert_int_equal(have, count);
	unit_account(image, lane, NULL);
	known = fr_image_lane(image, lane)->next_seq;
	if (known != fr_image_lane(ring.whole, lane)->next_seq) {
		/* nothing names the newest any more: neither the head nor itself */
		assert_true(touched && is_touched(bytes, at, offsetof(struct frm_lane, discarded)));
		assert_true(known < fr_image_lane(ring.whole, lane)->next_seq);
		add(&tally->unknown, fr_image_lane(ring.whole, lane)->next_seq - known);
	}
	add(&tally->records, wanted);
	add(&tally->kept, kept);
	add(&tally->lost, wanted - kept);
}

static void check_image(uint64_t i)
{
	uint64_t seed = ring.seed * 1000003 + i + (uint64_t)(ring.rate * 1e9);
	unsigned char *bytes = malloc(ring.size);
	struct fr_image *image = NULL;
	int r;

	assert_non_null(bytes);
	memcpy(bytes, ring.bytes, ring.size);
	flip(bytes, &seed);
	r = fr_image_from_memory(bytes, ring.size, 0, &image);
	if (r < 0)
		fail_msg("RATES_SEED=%llu, image %llu: %s", (unsigned long long)ring.seed,
			 (unsigned long long)i, fr_image_strerror(r));
	add(&tally->superblocks, fr_image_meta_damage(image) == 3);
	add(&tally->identities,
	    memcmp(fr_image_super(image), &ring.super, sizeof(ring.super)) != 0);
	for (uint32_t lane = 0; lane < LANES; lane++)
		check_lane(image, lane, bytes);
	fr_image_close(image);
	free(bytes);
}

/*
 * What the rate should leave: of a record of n bits (1 - rate)^n; the variances of independent
 * records add up.
 */
static void expect(double *ret_kept, double *ret_deviation)
{
	double variance = 0;

	*ret_kept = 0;
	for (uint32_t lane = 0; lane < LANES; lane++) {
		size_t count;
		const struct fr_record *records = fr_image_lane_records(ring.whole, lane, &count);

		for (size_t i = 0; i < count; i++) {
			double kept = exp(8.0 * span_of(&records[i]) * log1p(-ring.rate));

			*ret_kept += kept;
			variance += kept * (1 - kept);
		}
	}
	*ret_deviation = sqrt(variance);
}

static void try_rate(double rate)
{
	unsigned long images = torture_count(2, 20);
	double expected, deviation;

	ring.rate = rate;
	memset(tally, 0, sizeof(*tally));
	unit_parallel(images, check_image);
	expect(&expected, &deviation);
	expected *= (double)images;
	deviation *= sqrt((double)images);
	if (fabs((double)tally->kept - expected) > 5 * deviation)
		fail_msg("RATES_SEED=%llu: %llu records kept, %.0f expected, give or take %.0f",
			 (unsigned long long)ring.seed, (unsigned long long)tally->kept, expected,
			 5 * deviation);
	torture_row("flipped bits, at random", images, "images",
		    "of %u MiB, rate %.0e: %.4f %% of %llu records kept, %.4f %% (+- %.4f %%) "
		    "expected; %llu bits flipped, %llu records lost, "
		    "%llu of them not known to have been; both superblocks damaged in %llu, beyond "
		    "mending in %llu",
		    (unsigned)(ring.size >> 20), rate,
		    100.0 * (double)tally->kept / (double)tally->records,
		    (unsigned long long)tally->records, 100 * expected / (double)tally->records,
		    100 * 5 * deviation / (double)tally->records,
		    (unsigned long long)tally->flipped, (unsigned long long)tally->lost,
		    (unsigned long long)tally->unknown, (unsigned long long)tally->superblocks,
		    (unsigned long long)tally->identities);
}

TEST(test_I9_bits_flipped_at_random_cost_the_records_they_lie_in)
{
	try_rate(1e-6);
	try_rate(1e-5);
	try_rate(1e-4);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		test_I9_bits_flipped_at_random_cost_the_records_they_lie_in) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
