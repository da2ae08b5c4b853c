/* SPDX-License-Identifier: MIT */
/* test_map.c - making and mapping rings, and what is written there that is no record. */
#include "tests/unit/unit_ring.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "recorder/core/ringfile.h"

static int create(uint64_t size, uint32_t lanes, uint32_t shared, uint32_t policy, struct frm_super *super)
{
	struct fr_geometry geometry = { .ring_size = size, .lanes = lanes, .shared_lanes = shared, .policy = policy };
	struct fr_identity identity;
	struct fr_ring ring;
	int fd = memfd_create("ring", MFD_CLOEXEC), r;

	unit_identity(&identity);
	r = fr_ring_create(fd, &geometry, &identity);
	if (r == 0) {
		assert_int_equal(fr_ring_map(fd, &ring), 0);
		*super = ring.super;
		fr_ring_unmap(&ring);
	}
	close(fd);
	return r;
}

TEST(test_every_geometry_that_is_accepted_makes_a_ring_that_holds_together)
{
	static const uint64_t sizes[] = { 64 << 10, 68 << 10, 100 << 10, 128 << 10, 1 << 20, (1 << 20) + 4096, 16 << 20, 64 << 20 };
	static const uint32_t lanes[] = { 0, 1, 2, 3, 5, 8, 64, 1000, 1024, 5000, UINT32_MAX };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		for (size_t j = 0; j < COUNT(lanes); j++) {
			for (uint32_t shared = 0; shared < 4; shared++) {
				struct frm_super super;

				assert_int_equal(create(sizes[i], lanes[j], shared, 0, &super), 0);
				assert_int_equal(fr_super_check(&super), 0);
				assert_true(2ull * super.meta_size + super.lane_count * super.lane_size <= super.ring_size);
				assert_int_equal(super.lane_size % FRM_PAGE, 0);
				assert_int_equal(super.meta_size % FRM_PAGE, 0);
				assert_true(super.meta_size >= FRM_PAGE); /* I10: copies at least a page apart */
				assert_true(super.shared_lanes < super.lane_count || super.lane_count == 1);
			}
		}
	}
}

TEST(test_a_geometry_that_can_not_be_is_refused)
{
	struct frm_super super;

	assert_int_equal(create(0, 0, 0, 0, &super), -EINVAL);
	assert_int_equal(create((64 << 10) - 4096, 0, 0, 0, &super), -EINVAL);
	assert_int_equal(create((64 << 10) + 1, 0, 0, 0, &super), -EINVAL);
	assert_int_equal(create((1ull << 30) + 4096, 0, 0, 0, &super), -EINVAL);
	assert_int_equal(create(UINT64_MAX, 0, 0, 0, &super), -EINVAL);
	assert_int_equal(create(64 << 10, 0, 0, 2, &super), -EINVAL);
}

TEST(test_I17_all_bytes_of_a_ring_are_written_before_the_first_record)
{
	struct fr_geometry geometry = { .ring_size = 1 << 20 };
	struct fr_identity identity;
	char dir[512], name[FR_RING_NAME_MAX], path[1024];
	const char *tmp = getenv("TMPDIR");
	struct stat st;
	int fd;

	snprintf(dir, sizeof(dir), "%s/unit-map-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	unit_identity(&identity);
	fd = fr_ringfile_create(dir, 0640, &geometry, &identity, name);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_true((uint64_t)st.st_blocks * 512 >= 1 << 20); /* no hole */
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_true(lseek(fd, 0, SEEK_HOLE) == st.st_size);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(access(path, R_OK), 0);
	assert_non_null(strstr(name, "4711-a0a1a2"));
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* nothing else was left */
	close(fd);
}

TEST(test_what_is_no_ring_is_not_mapped)
{
	struct fr_ring ring;
	int fd = memfd_create("none", MFD_CLOEXEC);

	assert_int_equal(fr_ring_map(fd, &ring), -EBADMSG);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(fr_ring_map(fd, &ring), -EBADMSG);
	close(fd);
}

TEST(test_I18_a_ring_that_was_cut_is_not_mapped)
{
	struct unit_ring u;
	struct fr_ring again;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	assert_int_equal(ftruncate(u.fd, FRM_RING_MIN - 4096), 0);
	assert_int_equal(fr_ring_map(u.fd, &again), -EBADMSG);
	unit_ring_free(&u);
}

TEST(test_I10_everything_beside_the_records_is_stored_twice)
{
	struct unit_ring u;
	const struct frm_meta *a, *b;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	fr_ring_session_begin(&u.ring, 0, NULL, "one");
	fr_ring_session_end(&u.ring, 1);
	fr_ring_anchor(&u.ring);
	fr_ring_count_loss(&u.ring, FRM_LOSS_DISCARDED_BUSY, 7);
	fr_ring_close_mark(&u.ring, true);
	a = u.ring.meta[0];
	b = u.ring.meta[1];
	assert_true((const char *)b - (const char *)a >= (long)FRM_PAGE);
	assert_memory_equal(&a->super, &b->super, sizeof(a->super));
	assert_memory_equal(&a->tables, &b->tables, sizeof(a->tables));
	assert_memory_equal(a->log, b->log, u.ring.log_size);
	assert_memory_equal(a->state.loss, b->state.loss, sizeof(a->state.loss));
	assert_int_equal(a->state.closed_boot_ns, b->state.closed_boot_ns);
	assert_memory_equal(u.lane[1].head->owner, u.lane[1].tail->owner, sizeof(u.lane[1].head->owner));
	unit_ring_free(&u);
}

TEST(test_equal_declarations_share_an_id)
{
	static const uint8_t guid[16] = { 9 }, other[16] = { 8 };
	static const struct fr_field_spec fields[] = { { FRM_U8, "a", "B" }, { FRM_STR, "b", NULL } };
	struct unit_ring u;
	uint32_t changes;
	int first;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	first = fr_ring_declare_provider(&u.ring, guid, "p", 1, 0);
	assert_int_equal(fr_ring_declare_provider(&u.ring, guid, "p", 1, 0), first);
	assert_int_not_equal(fr_ring_declare_provider(&u.ring, other, "p", 1, 0), first);
	first = fr_ring_declare_event(&u.ring, 0, "e", 3, 5, fields, 2);
	changes = u.ring.changes;
	assert_int_equal(fr_ring_declare_event(&u.ring, 0, "e", 3, 5, fields, 2), first);
	assert_true(u.ring.changes != changes); /* I20: who put it may be dead before it told of it */
	assert_int_not_equal(fr_ring_declare_event(&u.ring, 0, "e", 3, 5, fields, 1), first);
	assert_int_not_equal(fr_ring_declare_event(&u.ring, 0, "e", 2, 5, fields, 2), first);
	unit_ring_free(&u);
}

TEST(test_a_full_descriptor_log_is_a_named_loss)
{
	struct unit_ring u;
	struct fr_image *image;
	int declared = 0, refused = 0;
	bool named = false;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int i = 0; i < 1000; i++) {
		char name[32];
		int r;

		snprintf(name, sizeof(name), "event number %d", i);
		r = fr_ring_declare_event(&u.ring, 0, name, 3, 0, NULL, 0);
		declared += r > 0;
		refused += r == -ENOSPC;
	}
	assert_true(declared > 10 && refused > 10);
	assert_int_equal(declared + refused, 1000);
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_event_desc_count(image), declared + 1);
	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		named |= fr_image_loss(image, i)->cause == FRM_LOSS_DISCARDED_DESC &&
			 fr_image_loss(image, i)->count == (uint64_t)refused;
	assert_true(named);
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_providers_beyond_the_table_are_refused)
{
	struct unit_ring u;
	int r = 0;

	unit_ring_make(&u, 4 << 20, 2, FRM_POLICY_OVERWRITE);
	for (uint8_t i = 1; i < FRM_PROVIDERS_MAX; i++) {
		uint8_t guid[16] = { i, 77 };

		r = fr_ring_declare_provider(&u.ring, guid, "p", 1, 0);
		assert_int_equal(r, i);
	}
	for (uint8_t i = 0; i < 5; i++) {
		uint8_t guid[16] = { i, 78 };

		assert_int_equal(fr_ring_declare_provider(&u.ring, guid, "p", 1, 0), -ENOSPC);
	}
	unit_ring_free(&u);
}

static void *declare_many(void *arg)
{
	struct fr_ring *ring = arg;

	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "shared-%d", i);
		assert_true(fr_ring_declare_event(ring, 0, name, 3, 0, NULL, 0) > 0);
	}
	return NULL;
}

TEST(test_threads_declare_at_the_same_time)
{
	struct unit_ring u;
	struct fr_image *image;
	pthread_t thread[4];

	unit_ring_make(&u, 4 << 20, 2, FRM_POLICY_OVERWRITE);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, declare_many, &u.ring);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	image = unit_image(&u, 0);
	for (int i = 0; i < 40; i++) {
		char name[16];
		int found = 0;

		snprintf(name, sizeof(name), "shared-%d", i);
		for (size_t k = 0; k < fr_image_event_desc_count(image); k++)
			found += !strcmp(fr_image_event_desc(image, k)->name, name);
		assert_in_range(found, 1, 4);
	}
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_sessions_take_turns_in_their_slots)
{
	struct unit_ring u;
	struct fr_image *image;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int i = 1; i <= 60; i++) {
		char name[16];

		snprintf(name, sizeof(name), "session %d", i);
		assert_int_equal(fr_ring_session_begin(&u.ring, 0, NULL, name), i);
		if (i % 2)
			fr_ring_session_end(&u.ring, (uint16_t)i);
	}
	fr_ring_session_end(&u.ring, 1); /* long gone */
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_session_count(image), FRM_SESSIONS_MAX);
	for (uint16_t i = 60 - FRM_SESSIONS_MAX + 1; i <= 60; i++) {
		const struct frm_session *session = fr_image_session_by_number(image, i);

		assert_non_null(session);
		assert_int_equal(session->end_ns != 0, i % 2);
	}
	assert_null(fr_image_session_by_number(image, 1));
	assert_null(fr_image_session_by_number(image, 0));
	fr_image_close(image);
	unit_ring_free(&u);
}

TEST(test_the_wall_clock_comes_from_the_nearest_anchor)
{
	struct unit_ring u;
	struct fr_image *image;
	const struct frm_anchor *anchor;

	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int i = 0; i < 40; i++)
		fr_ring_anchor(&u.ring);
	image = unit_image(&u, 0);
	assert_int_equal(fr_image_anchor_count(image), FRM_ANCHORS_MAX);
	anchor = fr_image_anchor(image, 0); /* the first stays: the oldest records' only one */
	assert_int_equal(anchor->boot_ns, u.ring.super.created_boot_ns);
	assert_int_equal(fr_image_real_ns(image, anchor->boot_ns), anchor->real_ns);
	assert_int_equal(fr_image_real_ns(image, anchor->boot_ns - 5), anchor->real_ns - 5);
	anchor = fr_image_anchor(image, FRM_ANCHORS_MAX - 1);
	assert_int_equal(fr_image_real_ns(image, anchor->boot_ns + 123456), anchor->real_ns + 123456);
	fr_image_close(image);
	unit_ring_free(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_geometry_that_is_accepted_makes_a_ring_that_holds_together),
		cmocka_unit_test(test_a_geometry_that_can_not_be_is_refused),
		cmocka_unit_test(test_I17_all_bytes_of_a_ring_are_written_before_the_first_record),
		cmocka_unit_test(test_what_is_no_ring_is_not_mapped),
		cmocka_unit_test(test_I18_a_ring_that_was_cut_is_not_mapped),
		cmocka_unit_test(test_I10_everything_beside_the_records_is_stored_twice),
		cmocka_unit_test(test_equal_declarations_share_an_id),
		cmocka_unit_test(test_a_full_descriptor_log_is_a_named_loss),
		cmocka_unit_test(test_providers_beyond_the_table_are_refused),
		cmocka_unit_test(test_threads_declare_at_the_same_time),
		cmocka_unit_test(test_sessions_take_turns_in_their_slots),
		cmocka_unit_test(test_the_wall_clock_comes_from_the_nearest_anchor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
