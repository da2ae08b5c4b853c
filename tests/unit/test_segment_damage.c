/* SPDX-License-Identifier: MIT */
/*
 * test_segment_damage.c - prefixes and flipped bits of a segment, for a spool lies on disks for
 * weeks: some in a check, each under torture.
 */
#include "tests/unit/unit_parallel.h"

#include <sys/stat.h>

#include "recorder/core/check.h"
#include "recorder/core/image.h"
#include "tests/lib/torture.h"

#define SUPER_END (128 + 16 + 2048)

static unsigned char *bytes;
static size_t size;
static struct fr_image *whole;
static uint64_t step; /* between the bits, or the bytes, that have their turn: a prime or 1 */

static int setup(void **state UNUSED)
{
	FILE *file = fopen("tests/golden/v1.0.frs", "r");
	struct stat st;

	if (!file || fstat(fileno(file), &st) < 0)
		return -1;
	size = (size_t)st.st_size;
	bytes = malloc(size);
	if (fread(bytes, 1, size, file) != size)
		return -1;
	fclose(file);
	return fr_image_from_memory(bytes, size, 0, &whole);
}

/* The same segment with as little of its meta as there need be. */
static int setup_cut(void **state)
{
	const size_t at = sizeof(struct frm_segment), body = at + sizeof(struct frm_chunk);
	struct frm_chunk *meta;
	struct frm_seal *seal;
	size_t keep, gone;

	if (setup(state) < 0)
		return -1;
	fr_image_close(whole);
	meta = (struct frm_chunk *)(bytes + at);
	keep = meta->size - sizeof(*meta);
	gone = keep;
	while (!bytes[body + keep - 1])
		keep--;
	keep = (keep + 7) & ~(size_t)7;
	gone -= keep;
	if (!gone)
		return -1;
	memmove(bytes + body + keep, bytes + body + keep + gone, size - body - keep - gone);
	size -= gone;
	meta->size -= gone;
	meta->crc = fr_check_crc(NULL, meta, meta->size, offsetof(struct frm_chunk, crc));
	seal = (struct frm_seal *)(bytes + size - sizeof(*seal));
	seal->bytes -= gone;
	meta = (struct frm_chunk *)seal - 1;
	meta->crc = fr_check_crc(NULL, meta, meta->size, offsetof(struct frm_chunk, crc));
	return fr_image_from_memory(bytes, size, 0, &whole);
}

static int teardown(void **state UNUSED)
{
	fr_image_close(whole);
	free(bytes);
	return 0;
}

/* Records of the damaged segment are some of the whole one's, unchanged and in order. Returns how many are missing. */
static size_t missing(const struct fr_image *image)
{
	size_t have = 0, gone = 0;

	for (size_t i = 0; i < fr_image_record_count(whole); i++) {
		const struct fr_record *want = fr_image_record(whole, i), *got;

		got = have < fr_image_record_count(image) ? fr_image_record(image, have) : NULL;
		if (!got || got->lane != want->lane || got->seq != want->seq) {
			gone++;
			continue;
		}
		assert_memory_equal(got->head, want->head, 40 + want->payload_size);
		have++;
	}
	assert_int_equal(have, fr_image_record_count(image)); /* nothing invented */
	return gone;
}

/*
 * Records that a damaged byte may cost: the one it lies in; all of a lane, if it lies in the head of the lane's chunk, which names
 * the lane; none elsewhere.
 */
static size_t may_cost(size_t byte)
{
	size_t at = sizeof(struct frm_segment);

	while (at < size) {
		const struct frm_chunk *chunk = (const struct frm_chunk *)(bytes + at);
		const struct frm_chunk_lane *lane = (const struct frm_chunk_lane *)(chunk + 1);
		size_t next = at + ((chunk->size + 7) & ~7ull);

		if (byte < next && chunk->type != FRM_CHUNK_LANE)
			return 0;
		if (byte < next)
			return byte < at + sizeof(*chunk) + sizeof(*lane) ? lane->record_count : 1;
		at = next;
	}
	return 0;
}

/* What rounds a chunk up to 8: no checksum covers it. */
static bool is_padding(size_t byte)
{
	for (size_t at = sizeof(struct frm_segment), next; at < size; at = next) {
		const struct frm_chunk *chunk = (const struct frm_chunk *)(bytes + at);

		next = at + ((chunk->size + 7) & ~7ull);
		if (byte < next)
			return byte >= at + chunk->size;
	}
	return false;
}

static uint64_t told_damaged(const struct fr_image *image)
{
	uint64_t count = 0;

	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		count += fr_image_loss(image, i)->cause == FRM_LOSS_DAMAGED
				 ? fr_image_loss(image, i)->count
				 : 0;
	return count;
}

/* With those that are no events: given back, or torn. */
static uint64_t all_records(const struct fr_image *image)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < fr_image_lane_count(image); i++)
		count += fr_image_lane(image, i)->records;
	return count;
}

/* What is missing is told, and no more. */
static void assert_told(const struct fr_image *image, size_t byte)
{
	uint64_t gone = all_records(whole) - all_records(image);

	if (told_damaged(image) != told_damaged(whole) + gone)
		fail_msg("byte %zu: %llu records are missing, %llu told", byte, (unsigned long long)gone,
			 (unsigned long long)(told_damaged(image) - told_damaged(whole)));
}

static void flip(uint64_t i)
{
	struct fr_image *image = NULL;
	uint64_t bit = i * step;
	size_t byte = bit / 8, seal = size - 32, gone;
	int r;

	bytes[byte] ^= (unsigned char)(1 << bit % 8);
	r = fr_image_from_memory(bytes, size, 0, &image);
	bytes[byte] ^= (unsigned char)(1 << bit % 8);
	if (byte < SUPER_END || byte >= seal) { /* what there is only once: refused or read */
		assert_true(r == 0 || r == -EBADMSG || r == -ENODATA || r == -EPROTONOSUPPORT);
		if (r == 0) {
			assert_int_equal(missing(image), 0);
			assert_int_equal(fr_image_chunk_damage(image), 1);
			fr_image_close(image);
		}
		return;
	}
	if (r < 0)
		fail_msg("bit %u of byte %zu: %s", (unsigned)(bit % 8), byte, fr_image_strerror(r));
	assert_int_equal(fr_image_chunk_damage(image), !is_padding(byte));
	gone = missing(image);
	if (gone > may_cost(byte))
		fail_msg("bit %u of byte %zu costs %zu records", (unsigned)(bit % 8), byte, gone);
	assert_told(image, byte);
	fr_image_close(image);
}

TEST(test_I9_every_single_flipped_bit_of_a_segment)
{
	step = UNIT_SANITIZED ? 241 : torture_count(23, 1);
	unit_parallel(size * 8 / step, flip);
	torture_row("flipped bits, each of a segment", size * 8 / step, "images",
		    "each cost at most the record it hit, or, in a chunk's head, "
		    "what that alone names; %zu records in %zu bytes",
		    fr_image_record_count(whole), size);
}

static void cut(uint64_t i)
{
	struct fr_image *image = NULL;
	int r = fr_image_from_memory(bytes, i * step, 0, &image);

	if (r == 0)
		fail_msg("%llu bytes of %zu are taken for a segment", (unsigned long long)(i * step), size);
	assert_true(r == -EBADMSG || r == -ENODATA);
}

/* The heads of two chunks that lie side by side: that of the second can't be found, and a lane is hidden. */
TEST(test_I9_what_two_damaged_neighbours_hide_is_counted)
{
	size_t at = sizeof(struct frm_segment), hidden = 0;

	while (at < size) {
		struct frm_chunk *chunk = (struct frm_chunk *)(bytes + at), *next, kept[2];
		size_t after = at + ((chunk->size + 7) & ~7ull);
		struct fr_image *image;

		next = (struct frm_chunk *)(bytes + after);
		if (after < size && chunk->type == FRM_CHUNK_LANE && next->type == FRM_CHUNK_LANE) {
			kept[0] = *chunk;
			kept[1] = *next;
			memset(chunk, 0xff, sizeof(*chunk));
			memset(next, 0xff, sizeof(*next));
			chunk->type = FRM_CHUNK_LANE;
			assert_int_equal(fr_image_from_memory(bytes, size, 0, &image), 0);
			*chunk = kept[0];
			*next = kept[1];
			hidden += missing(image);
			assert_told(image, at);
			fr_image_close(image);
		}
		at = after;
	}
	assert_true(hidden);
}

TEST(test_I19_no_prefix_of_a_segment_is_a_segment)
{
	step = UNIT_SANITIZED ? 61 : torture_count(7, 1);
	unit_parallel((size + step - 1) / step, cut);
}

TEST(test_I19_a_segment_with_something_behind_its_seal_is_none)
{
	unsigned char *longer = calloc(1, size + 64);
	struct fr_image *image = NULL;

	memcpy(longer, bytes, size);
	assert_int_equal(fr_image_from_memory(longer, size + 64, 0, &image), -ENODATA);
	memcpy(longer + size, bytes + size - 32, 32); /* its own seal once more */
	assert_int_equal(fr_image_from_memory(longer, size + 32, 0, &image), -ENODATA);
	free(longer);
}

TEST(test_I8_a_seal_that_lies_invents_no_more_than_there_is_room_for)
{
	unsigned char *lying = malloc(size);
	struct frm_seal *seal = (struct frm_seal *)(lying + size - sizeof(*seal));
	struct frm_chunk *chunk = (struct frm_chunk *)seal - 1;
	struct fr_image *image;

	memcpy(lying, bytes, size);
	seal->records = UINT64_MAX;
	chunk->crc = fr_check_crc(NULL, chunk, chunk->size, offsetof(struct frm_chunk, crc));
	assert_int_equal(fr_image_from_memory(lying, size, 0, &image), 0);
	assert_int_equal(missing(image), 0);
	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		assert_true(fr_image_loss(image, i)->count < size);
	fr_image_close(image);
	free(lying);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I9_every_single_flipped_bit_of_a_segment),
		cmocka_unit_test(test_I9_what_two_damaged_neighbours_hide_is_counted),
		cmocka_unit_test(test_I19_no_prefix_of_a_segment_is_a_segment),
		cmocka_unit_test(test_I19_a_segment_with_something_behind_its_seal_is_none),
		cmocka_unit_test(test_I8_a_seal_that_lies_invents_no_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests_name("whole meta", tests, setup, teardown) +
	       cmocka_run_group_tests_name("cut meta", tests, setup_cut, teardown);
}
