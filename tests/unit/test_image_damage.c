/* SPDX-License-Identifier: MIT */
/*
 * test_image_damage.c - prefixes and flipped bits of a ring: what the damage touches is lost and
 * counted, everything else is read, nothing is invented, and the accounts stay whole. A check flips
 * some bits of a ring of 256 KiB, torture each.
 */
#include "tests/unit/unit_parallel.h"
#include "tests/unit/unit_ring.h"

#include "tests/lib/torture.h"

#define LANES	  4
#define RING_SIZE (256u << 10)

static struct {
	unsigned char *bytes;
	uint64_t size;
	struct fr_image *whole;
	struct frm_super super;
	uint64_t step;	/* between the bits, or the bytes, that have their turn: a prime or 1 */
	uint64_t *lost; /* by cause, for all images; shared */
} ring;

/*
 * Lanes in different states: never lapped, lapped often, with a torn last record, with marks and
 * owners.
 */
static int setup(void **state UNUSED)
{
	struct unit_ring u;
	struct fr_reservation res = { 0 };

	unit_ring_make(&u, RING_SIZE, LANES, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 150);
	unit_write_many(&u, 1, 2500);
	unit_write_many(&u, 2, 900);
	unit_reserve(&u, 2, &res);
	for (int i = 0; i < 1200; i++) {
		unit_reserve(&u, 3, &res);
		if (i % 10 == 3)
			fr_lane_cover_torn(&u.lane[3], UNIT_TIME);
		else
			fr_lane_commit(&res, i % 10 == 7 ? FRM_RECORD_DISCARDED : 0);
	}
	fr_ring_session_begin(&u.ring, 0, NULL, "a session");
	ring.bytes = unit_bytes(&u);
	ring.size = u.ring.size;
	ring.super = u.ring.super;
	ring.whole = unit_image(&u, 0);
	ring.lost = unit_shared(FRM_LOSS_COUNT * sizeof(*ring.lost));
	for (uint32_t lane = 0; lane < LANES; lane++)
		unit_account(ring.whole, lane, NULL);
	unit_ring_free(&u);
	return 0;
}

static int teardown(void **state UNUSED)
{
	fr_image_close(ring.whole);
	free(ring.bytes);
	return 0;
}

#define fail_at(from, to, ...) \
	do { \
		print_error("damage in bytes %llu..%llu: ", (unsigned long long)(from), \
			    (unsigned long long)(to)); \
		fail_msg(__VA_ARGS__); \
	} while (0)

/* Where a record lies in the file. */
static uint64_t place_of(const struct fr_record *record)
{
	return fr_super_lane_offset(&ring.super, record->lane) + FRM_LANE_HEAD +
	       record->pos % fr_super_lane_data(&ring.super);
}

/* Whether the byte belongs to a record. */
static bool hits_record(uint64_t byte)
{
	uint64_t lane = byte < 2ull * ring.super.meta_size
				? LANES
				: (byte - 2ull * ring.super.meta_size) / ring.super.lane_size;
	const struct fr_record *records;
	size_t count = 0;

	records = lane < LANES ? fr_image_lane_records(ring.whole, lane, &count) : NULL;
	for (size_t i = 0; i < count; i++)
		if (byte - place_of(&records[i]) <
		    fr_record_span(records[i].payload_size + (uint32_t)sizeof(*records->head)))
			return true;
	return false;
}

static bool same_record(const struct fr_record *a, const struct fr_record *b)
{
	return a->seq == b->seq && a->pos == b->pos && a->payload_size == b->payload_size &&
	       !memcmp(a->head, b->head, sizeof(*a->head) + a->payload_size);
}

/*
 * Every record of the lane that does not overlap [from, to) must be there, in order; anything else
 * there must be genuine (a record that the newest one had put beyond the horizon may come back when
 * that one is damaged). Returns how many are gone.
 */
static size_t compare_records(const struct fr_image *image, uint32_t lane, uint64_t from,
			      uint64_t to)
{
	size_t wanted, count, have = 0, gone = 0;
	const struct fr_record *want = fr_image_lane_records(ring.whole, lane, &wanted);
	const struct fr_record *got = fr_image_lane_records(image, lane, &count);

	for (size_t i = 0; i < wanted; i++) {
		uint64_t place = place_of(&want[i]),
			 end = place + fr_record_span(want[i].payload_size +
						      (uint32_t)sizeof(*want[i].head));

		if (have < count && same_record(&got[have], &want[i])) {
			have++; /* zeros at its end that were cut off read as zeros */
			continue;
		}
		if (place < to && from < end) {
			gone++;
			continue;
		}
		if (have == count || have > 0 || !unit_is_genuine(&got[have]))
			fail_at(from, to, "record %u/%llu is gone, or one invented", lane,
				(unsigned long long)want[i].seq);
		have++; /* an older one, before all others */
		i--;
	}
	if (have < count)
		fail_at(from, to, "lane %u has %zu records more", lane, count - have);
	return gone;
}

/*
 * Each number of the lane is read or lost, once (I6); whether records are genuine was looked at
 * already.
 */
static void compare_numbers(const struct fr_image *image, uint32_t lane, uint64_t from, uint64_t to)
{
	static unsigned char seen[1 << 16];
	uint64_t known = fr_image_lane(image, lane)->next_seq;
	size_t count;
	const struct fr_record *records = fr_image_lane_records(image, lane, &count);

	if (known > sizeof(seen)) { /* the number itself is what was hit */
		unit_account(image, lane, NULL);
		return;
	}
	memset(seen, 0, known);
	for (size_t i = 0; i < count; i++)
		if (!(records[i].flags & FRM_RECORD_TORN >> 24) &&
		    (records[i].seq >= known || seen[records[i].seq]++))
			fail_at(from, to, "record %u/%llu is there twice or beyond", lane,
				(unsigned long long)records[i].seq);
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if (loss->lane != lane || loss->cause > FRM_LOSS_DAMAGED)
			continue;
		if (loss->first_seq > known || loss->count > known - loss->first_seq)
			fail_at(from, to, "lane %u: a loss beyond the newest number", lane);
		for (uint64_t seq = loss->first_seq; seq < loss->first_seq + loss->count; seq++)
			if (seen[seq]++)
				fail_at(from, to, "number %u/%llu is accounted for twice", lane,
					(unsigned long long)seq);
		__atomic_fetch_add(&ring.lost[loss->cause], loss->count, __ATOMIC_RELAXED);
	}
	if (memchr(seen, 0, known))
		fail_at(from, to, "a number of lane %u is neither there nor lost", lane);
}

/* What does not stand in a lane: nothing of it depends on one copy. */
static void compare_meta(const struct fr_image *image, uint64_t byte)
{
	if (fr_image_provider_count(image) != 1 || fr_image_event_desc_count(image) != 1 ||
	    fr_image_session_count(image) != 1 || fr_image_anchor_count(image) != 1 ||
	    memcmp(fr_image_super(image), fr_image_super(ring.whole), sizeof(struct frm_super)))
		fail_at(byte, byte + 1, "something of the meta is gone");
	for (uint32_t lane = 0; lane < LANES; lane++)
		if (memcmp(fr_image_lane(image, lane)->owner,
			   fr_image_lane(ring.whole, lane)->owner,
			   sizeof(fr_image_lane(image, 0)->owner)))
			fail_at(byte, byte + 1, "an owner of lane %u is gone", lane);
}

/* Bytes that were reserved behind the lane's newest record. */
static uint64_t room_reserved(uint32_t lane)
{
	const unsigned char *head = ring.bytes + fr_super_lane_offset(&ring.super, lane);

	return ((const struct frm_lane *)head)->next_pos - fr_image_lane(ring.whole, lane)->newest_end;
}

static void check_flip(uint64_t i)
{
	uint64_t bit = i * ring.step, byte = bit / 8;
	struct fr_image *image = NULL;
	size_t gone = 0;

	ring.bytes[byte] ^= (unsigned char)(1 << bit % 8);
	if (fr_image_from_memory(ring.bytes, ring.size, 0, &image) != 0)
		fail_at(byte, byte + 1, "the ring can't be opened");
	ring.bytes[byte] ^= (unsigned char)(1 << bit % 8);

	for (uint32_t lane = 0; lane < LANES; lane++) {
		uint64_t before = fr_image_lane(ring.whole, lane)->next_seq,
			 after = fr_image_lane(image, lane)->next_seq;
		uint64_t hint = fr_super_lane_offset(&ring.super, lane) +
				offsetof(struct frm_lane, next_seq);
		bool hit = byte >= hint && byte < hint + 8;
		uint64_t made_up = hit ? room_reserved(lane) / sizeof(struct frm_record) : 0;

		gone += compare_records(image, lane, byte, byte + 1);
		compare_numbers(image, lane, byte, byte + 1);
		/*
		 * no number is made up but by the hint itself, as far as there is room for them, and
		 * none is forgotten but that of a torn newest record
		 */
		if (after > before + made_up || after + hit < before)
			fail_at(byte, byte + 1, "bit %u: lane %u has had %llu records, not %llu",
				(unsigned)(bit % 8), lane, (unsigned long long)before,
				(unsigned long long)after);
	}
	if (gone != hits_record(byte))
		fail_at(byte, byte + 1, "%zu records are gone", gone);
	compare_meta(image, byte);
	fr_image_close(image);
}

TEST(test_I9_every_single_flipped_bit_costs_at_most_the_record_it_lies_in)
{
	uint64_t bits = ring.size * 8;

	/* primes, so that all bits of all bytes have their turn */
	ring.step = UNIT_SANITIZED ? 15013 : torture_count(211, 1);
	memset(ring.lost, 0, FRM_LOSS_COUNT * sizeof(*ring.lost));
	unit_parallel(bits / ring.step, check_flip);
	torture_row("flipped bits, each of a ring of 256 KiB", bits / ring.step, "images",
		    "each lost at most the record it hit; %llu records counted as damaged",
		    (unsigned long long)ring.lost[FRM_LOSS_DAMAGED]);
}

static void check_prefix(uint64_t i)
{
	uint64_t size = i * ring.step;
	struct fr_image *image = NULL;
	int r = fr_image_from_memory(ring.bytes, size, 0, &image);

	if (r < 0 && size < sizeof(struct frm_super)) {
		assert_int_equal(r, -EBADMSG);
		return;
	}
	assert_int_equal(r, 0);
	for (uint32_t lane = 0; lane < LANES; lane++) {
		compare_records(image, lane, size, ring.size);
		compare_numbers(image, lane, size, ring.size);
	}
	fr_image_close(image);
}

TEST(test_I8_every_prefix_of_a_ring_is_read_as_far_as_it_goes)
{
	ring.step = UNIT_SANITIZED ? 1009 : torture_count(127, 1);
	unit_parallel(ring.size / ring.step, check_prefix);
}

/* A page of the file may be what it was some time ago: writes reach the disk page by page. */
TEST(test_I9_a_page_that_was_not_written_back_costs_its_own_records)
{
	struct unit_ring u;
	uint64_t lost[FRM_LOSS_COUNT], seed = 11;

	for (int round = 0; round < 200; round++) {
		unsigned char *early, *late;
		struct fr_image *image = NULL;
		uint64_t page;

		unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
		unit_write_many(&u, 0, unit_random(&seed) % 600);
		early = unit_bytes(&u);
		unit_write_many(&u, 0, unit_random(&seed) % 200);
		late = unit_bytes(&u);
		page = unit_random(&seed) % (u.ring.size / FRM_PAGE);
		memcpy(late + page * FRM_PAGE, early + page * FRM_PAGE, FRM_PAGE);
		assert_int_equal(fr_image_from_memory(late, u.ring.size, 0, &image), 0);
		unit_account(image, 0, lost);
		fr_image_close(image);
		free(early);
		free(late);
		unit_ring_free(&u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I8_every_prefix_of_a_ring_is_read_as_far_as_it_goes),
		cmocka_unit_test(
			test_I9_every_single_flipped_bit_costs_at_most_the_record_it_lies_in),
		cmocka_unit_test(test_I9_a_page_that_was_not_written_back_costs_its_own_records),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
