/* SPDX-License-Identifier: MIT */
/* test_segment.c - the writing side of segments, read back by the one reader. */
#include "tests/unit/unit_scratch.h"

#include <signal.h>
#include <sys/resource.h>

#include "recorder/core/segment.h"

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	return fd;
}

TEST(test_a_name_says_ring_and_part_and_nothing_else_passes_for_one)
{
	static const char *const wrong[] = { "", ".frs", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.frs", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-000000.tmp",
					     "a0a1a2a3a4a5a6a7a8a9aaabacadaea-000000.frs", "A0a1a2a3a4a5a6a7a8a9aaabacadaeaf-000000.frs",
					     "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-00000.frs", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-0000000.frs",
					     "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-00000x.frs", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-99999999999.frs",
					     "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-4294967296.frs", "../a0a1a2a3a4a5a6a7a8a9aaabacadae-000000.frs" };
	uint8_t id[16], back[16];
	char name[FR_SEGMENT_NAME];
	uint32_t part;

	for (int i = 0; i < 16; i++)
		id[i] = (uint8_t)(0xa0 + i);
	fr_segment_name(name, id, 7);
	assert_string_equal(name, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-000007.frs");
	for (uint64_t n = 0; n <= UINT32_MAX; n = 7 * n + 1) {
		fr_segment_name(name, id, (uint32_t)n);
		assert_int_equal(fr_segment_parse_name(name, back, &part), 0);
		assert_int_equal(part, n);
		assert_memory_equal(id, back, 16);
	}
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(fr_segment_parse_name(wrong[i], NULL, NULL), -EINVAL);
}

/* A segment with a meta and texts of these sizes. */
static int make(int dir, const struct unit_ring *u, const size_t *sizes, size_t count, uint64_t *ret_bytes)
{
	struct fr_image *image = unit_image(u, 0);
	struct frm_segment head;
	struct fr_segment *segment;
	char *bytes = malloc(2 << 20);
	int error;

	memset(bytes, 'x', 2 << 20);
	fr_segment_head(&head, u->ring.super.ring_id, u->ring.super.boot_id, 0, FRM_REASON_HARVEST);
	error = fr_segment_create(dir, &head, &segment);
	if (!error) {
		fr_segment_chunk(segment, FRM_CHUNK_META, fr_image_meta(image), fr_image_super(image)->meta_size);
		for (size_t i = 0; i < count; i++) {
			uint32_t name = 1;

			fr_segment_begin(segment, FRM_CHUNK_TEXT, 5 + sizes[i]);
			fr_segment_append(segment, &name, 4);
			fr_segment_append(segment, "n", 1);
			fr_segment_append(segment, bytes, sizes[i] / 2);
			fr_segment_append(segment, bytes, sizes[i] - sizes[i] / 2);
			fr_segment_end(segment);
		}
		error = fr_segment_seal(segment, 0, ret_bytes);
	}
	free(bytes);
	fr_image_close(image);
	return error;
}

TEST(test_chunks_of_any_size_come_back_whole)
{
	static const size_t sizes[] = { 0, 1, 2, 7, 8, 9, 100000, 262143, 262144, 262145, 1 << 20, 3, (2 << 20) - 1, 12 };
	struct scratch s;
	struct unit_ring u;
	struct fr_image *image;
	uint64_t bytes = 0;
	size_t size;
	int dir;

	scratch_make(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	dir = open_dir(s.root);
	assert_int_equal(make(dir, &u, sizes, COUNT(sizes), &bytes), 0);
	strcpy(s.spool, s.root);
	image = scratch_segment(&s, u.ring.super.ring_id, 0);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const char *name, *text = fr_image_text(image, i, &name, &size);

		assert_non_null(text);
		assert_string_equal(name, "n");
		assert_int_equal(size, sizes[i]);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(text[k], 'x');
	}
	fr_image_close(image);
	/* the name is taken now, and nothing half written lies about */
	assert_int_equal(make(dir, &u, sizes, 1, NULL), -EEXIST);
	assert_int_equal(scratch_count(s.root, ".tmp"), 0);
	close(dir);
	unit_ring_free(&u);
	scratch_remove(&s);
}

/* A segment with this much of the ring's meta and nothing else; `cut` SIZE_MAX: as much as the writer thinks fit. */
static int make_meta(const struct scratch *s, int dir, const struct frm_meta *meta, size_t cut, struct fr_image **ret_image,
		     uint64_t *ret_bytes)
{
	char name[FR_SEGMENT_NAME], path[256];
	struct fr_segment *segment;
	struct frm_segment head;
	int error;

	fr_segment_head(&head, meta->super.ring_id, meta->super.boot_id, 0, FRM_REASON_DIED);
	assert_int_equal(fr_segment_create(dir, &head, &segment), 0);
	if (cut == SIZE_MAX)
		fr_segment_meta(segment, meta);
	else
		fr_segment_chunk(segment, FRM_CHUNK_META, meta, cut);
	assert_int_equal(fr_segment_seal(segment, 0, ret_bytes), 0);
	fr_segment_name(name, head.ring_id, 0);
	snprintf(path, sizeof(path), "%s/%s", s->root, name);
	error = fr_image_open_path(path, 0, ret_image);
	assert_int_equal(unlinkat(dir, name, 0), 0);
	return error;
}

TEST(test_a_meta_goes_without_the_zeros_at_its_end_and_comes_back_with_them)
{
	const uint64_t around = sizeof(struct frm_segment) + 2 * sizeof(struct frm_chunk) + sizeof(struct frm_seal);
	struct fr_image *ring, *image;
	unsigned char *meta;
	struct unit_ring u;
	struct scratch s;
	size_t size, used;
	uint64_t bytes;
	int dir;

	scratch_make(&s);
	unit_ring_make(&u, 4 << 20, 2, FRM_POLICY_OVERWRITE);
	dir = open_dir(s.root);
	ring = unit_image(&u, 0);
	size = fr_image_super(ring)->meta_size;
	assert_int_equal(size, 256 << 10);
	meta = malloc(size);
	memcpy(meta, fr_image_meta(ring), size);
	for (used = size; !meta[used - 1]; used--)
		;
	used = (used + 7) & ~(size_t)7;
	assert_true(used > 8192 && used < 16384);

	/* cut by the writer; not cut; cut and then filled up, by whoever, to some length between */
	assert_int_equal(make_meta(&s, dir, (struct frm_meta *)meta, SIZE_MAX, &image, &bytes), 0);
	assert_int_equal(bytes, around + used);
	assert_memory_equal(fr_image_meta(image), meta, size);
	assert_non_null(fr_image_provider(image, 0));
	fr_image_close(image);
	for (size_t cut = used; cut <= size; cut = cut < size && 3 * cut > size ? size : 3 * cut) {
		assert_int_equal(make_meta(&s, dir, (struct frm_meta *)meta, cut, &image, &bytes), 0);
		assert_memory_equal(fr_image_meta(image), meta, size);
		fr_image_close(image);
		if (cut == size)
			break;
	}
	/* a log without entries, and one that is full to its last byte */
	memset(meta + 8192, 0, size - 8192);
	assert_int_equal(make_meta(&s, dir, (struct frm_meta *)meta, SIZE_MAX, &image, &bytes), 0);
	assert_int_equal(bytes, around + 8192);
	assert_memory_equal(fr_image_meta(image), meta, size);
	fr_image_close(image);
	meta[size - 1] = 1;
	assert_int_equal(make_meta(&s, dir, (struct frm_meta *)meta, SIZE_MAX, &image, &bytes), 0);
	assert_int_equal(bytes, around + size);
	assert_memory_equal(fr_image_meta(image), meta, size);
	fr_image_close(image);
	free(meta);
	fr_image_close(ring);
	close(dir);
	unit_ring_free(&u);
	scratch_remove(&s);
}

TEST(test_a_meta_of_a_size_that_can_not_be_is_refused)
{
	struct fr_image *ring, *image;
	struct unit_ring u;
	struct scratch s;
	unsigned char *meta;
	size_t size;
	int dir;

	scratch_make(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	dir = open_dir(s.root);
	ring = unit_image(&u, 0);
	size = fr_image_super(ring)->meta_size;
	meta = calloc(1, size + 8);
	memcpy(meta, fr_image_meta(ring), size);
	for (size_t cut = 0; cut < 8192; cut += cut < 2048 || cut > 8160 ? 8 : 128)
		assert_int_equal(make_meta(&s, dir, (struct frm_meta *)meta, cut, &image, NULL), -EBADMSG);
	assert_int_equal(make_meta(&s, dir, (struct frm_meta *)meta, size + 8, &image, NULL), -EBADMSG);
	free(meta);
	fr_image_close(ring);
	close(dir);
	unit_ring_free(&u);
	scratch_remove(&s);
}

TEST(test_I19_every_prefix_and_every_flipped_bit_of_the_seal_is_refused)
{
	static const size_t sizes[] = { 10, 20 };
	struct scratch s;
	struct unit_ring u;
	struct fr_image *image;
	char name[FR_SEGMENT_NAME];
	unsigned char *bytes;
	size_t size;
	int dir;

	scratch_make(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	dir = open_dir(s.root);
	assert_int_equal(make(dir, &u, sizes, COUNT(sizes), NULL), 0);
	fr_segment_name(name, u.ring.super.ring_id, 0);
	bytes = (unsigned char *)scratch_get(s.root, name, &size);
	assert_int_equal(fr_image_from_memory(bytes, size, 0, &image), 0);
	fr_image_close(image);
	for (size_t cut = 0; cut < size; cut++)
		assert_true(fr_image_from_memory(bytes, cut, 0, &image) < 0);
	for (size_t bit = (size - sizeof(struct frm_seal) - sizeof(struct frm_chunk)) * 8; bit < size * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_true(fr_image_from_memory(bytes, size, 0, &image) < 0);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	free(bytes);
	close(dir);
	unit_ring_free(&u);
	scratch_remove(&s);
}

TEST(test_bytes_that_do_not_add_up_are_refused_and_leave_nothing)
{
	struct scratch s;
	struct fr_segment *segment;
	struct frm_segment head;
	uint8_t id[16] = { 1 };
	int dir;

	scratch_make(&s);
	dir = open_dir(s.root);
	fr_segment_head(&head, id, id, 0, FRM_REASON_DIED);

	assert_int_equal(fr_segment_create(dir, &head, &segment), 0);
	assert_int_equal(fr_segment_begin(segment, FRM_CHUNK_TEXT, 4), 0);
	assert_int_equal(fr_segment_append(segment, "12345", 5), -EINVAL);
	assert_int_equal(fr_segment_seal(segment, 0, NULL), -EINVAL);

	assert_int_equal(fr_segment_create(dir, &head, &segment), 0);
	assert_int_equal(fr_segment_begin(segment, FRM_CHUNK_TEXT, 4), 0);
	assert_int_equal(fr_segment_append(segment, "123", 3), 0);
	assert_int_equal(fr_segment_end(segment), -EINVAL);
	assert_int_equal(fr_segment_seal(segment, 0, NULL), -EINVAL);

	assert_int_equal(fr_segment_create(dir, &head, &segment), 0);
	fr_segment_discard(segment);
	fr_segment_discard(NULL);
	assert_int_equal(scratch_count(s.root, ".tmp") + scratch_count(s.root, ".frs"), 0);
	close(dir);
	scratch_remove(&s);
}

TEST(test_a_full_disk_is_an_error_and_leaves_nothing)
{
	static const size_t sizes[] = { 1 << 20 };
	struct rlimit old, limit;
	struct scratch s;
	struct unit_ring u;
	int dir;

	scratch_make(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	dir = open_dir(s.root);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){ 300000, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(make(dir, &u, sizes, 1, NULL), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(scratch_count(s.root, ".tmp") + scratch_count(s.root, ".frs"), 0);
	close(dir);
	unit_ring_free(&u);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_name_says_ring_and_part_and_nothing_else_passes_for_one),
		cmocka_unit_test(test_chunks_of_any_size_come_back_whole),
		cmocka_unit_test(test_a_meta_goes_without_the_zeros_at_its_end_and_comes_back_with_them),
		cmocka_unit_test(test_a_meta_of_a_size_that_can_not_be_is_refused),
		cmocka_unit_test(test_I19_every_prefix_and_every_flipped_bit_of_the_seal_is_refused),
		cmocka_unit_test(test_bytes_that_do_not_add_up_are_refused_and_leave_nothing),
		cmocka_unit_test(test_a_full_disk_is_an_error_and_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
