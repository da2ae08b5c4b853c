/* SPDX-License-Identifier: MIT */
/* test_salvage.c - rings become segments: complete, once, and only then they go. */
#include "tests/unit/unit_salvage.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "pstore/attempt.h"
#include "recorder/core/host.h"

/* Every record of the image, in the same order and bytes as in the other. */
static void assert_same_records(const struct fr_image *a, const struct fr_image *b)
{
	assert_int_equal(fr_image_record_count(a), fr_image_record_count(b));
	for (size_t i = 0; i < fr_image_record_count(a); i++) {
		const struct fr_record *one = fr_image_record(a, i), *other = fr_image_record(b, i);

		assert_int_equal(one->lane, other->lane);
		assert_int_equal(one->payload_size, other->payload_size);
		assert_memory_equal(one->head, other->head, sizeof(*one->head) + one->payload_size);
		assert_string_equal(fr_image_thread_name(a, one), fr_image_thread_name(b, other));
	}
}

static void losses(const struct fr_image *image, uint64_t lost[FRM_LOSS_COUNT])
{
	memset(lost, 0, FRM_LOSS_COUNT * sizeof(*lost));
	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		lost[fr_image_loss(image, i)->cause] += fr_image_loss(image, i)->count;
}

TEST(test_a_dead_writers_ring_becomes_a_segment_with_all_it_held_and_goes)
{
	uint64_t in_ring[FRM_LOSS_COUNT], in_segment[FRM_LOSS_COUNT];
	struct fr_reservation unfinished;
	struct fr_image *ring, *segment;
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, 256 << 10, 4, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 5000); /* several laps */
	unit_write_many(&t.u, 1, 10);
	unit_write_many(&t.u, 3, 700);
	assert_int_equal(unit_reserve(&t.u, 1, &unfinished), 0);
	fr_ring_count_loss(&t.u.ring, FRM_LOSS_DISCARDED_BUSY, 17);
	ring = unit_image(&t.u, 0);

	assert_int_equal(salvage_ring(&t, 0), FR_FATE_SALVAGED);
	assert_int_equal(t.found.reason, FRM_REASON_BOOT_END); /* unit rings are of another boot */
	assert_true(t.found.released);
	assert_false(scratch_has(t.s.rings, t.name));
	segment = scratch_segment(&t.s, t.u.ring.super.ring_id, 0);
	assert_same_records(ring, segment);
	assert_int_equal(t.found.records, fr_image_record_count(ring));
	losses(ring, in_ring);
	losses(segment, in_segment);
	assert_memory_equal(in_ring, in_segment, sizeof(in_ring));
	assert_memory_equal(in_ring, t.found.loss, sizeof(in_ring));
	assert_int_equal(in_segment[FRM_LOSS_TORN], 1);
	assert_int_equal(in_segment[FRM_LOSS_DISCARDED_BUSY], 17);
	assert_true(in_segment[FRM_LOSS_OVERWRITTEN] > 0);
	assert_string_equal(fr_image_super(segment)->comm, "unit");
	assert_int_equal(fr_image_event_desc_count(segment), 1);
	/* nothing is left of the work */
	assert_int_equal(fr_salvage_ring(t.spool, t.s.rings, t.name, 0, &t.found), -ENOENT);
	fr_image_close(segment);
	fr_image_close(ring);
	salvage_end(&t);
}

TEST(test_a_ring_that_was_left_in_order_is_salvaged_as_closed)
{
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 3);
	fr_ring_close_mark(&t.u.ring, true);
	salvage_ring(&t, 0);
	assert_int_equal(t.found.reason, FRM_REASON_CLOSED);
	assert_int_equal(t.found.records, 3);
	salvage_end(&t);
}

/* A ring that this process could be writing, without the first, without both of its superblocks. */
TEST(test_a_living_writer_is_known_by_what_is_left_of_its_superblocks)
{
	struct frm_super *super;
	struct salvage t;
	uint8_t id[16];
	char hex[33], *bytes;
	size_t size;

	for (int lost = 1; lost <= 2; lost++) {
		salvage_begin(&t);
		scratch_make_ring(t.s.rings, (uint32_t)getpid(), NULL, 1, 1700000000000000000, 5, id);
		fr_hex(hex, id, 16);
		snprintf(t.name, sizeof(t.name), "%d-%s.ring", getpid(), hex);
		bytes = scratch_get(t.s.rings, t.name, &size);
		super = (struct frm_super *)(bytes + ((struct frm_super *)bytes)->meta_size);
		super->start_time_ns = fr_host_start_time_ns(getpid());
		fr_super_sign(super);
		memset(bytes, 0, sizeof(*super));
		if (lost == 2)
			memset(super, 0, sizeof(*super));
		scratch_put(t.s.rings, t.name, bytes, size);
		free(bytes);
		assert_int_equal(salvage_file(&t, t.name, 0), FR_FATE_ALIVE);
		assert_true(scratch_has(t.s.rings, t.name));
		assert_int_equal(salvage_file(&t, t.name, FR_SALVAGE_DEAD), FR_FATE_SALVAGED);
		assert_int_equal(t.found.records, 5);
		assert_true(t.found.released && t.found.meta_damaged);
		salvage_end(&t);
	}
}

TEST(test_the_same_ring_again_adds_nothing_and_goes_too)
{
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 30);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(salvage_ring(&t, 0), round ? FR_FATE_KNOWN : FR_FATE_SALVAGED);
		assert_true(t.found.released);
		assert_int_equal(scratch_count(t.s.spool, ".frs"), 1);
	}
	salvage_end(&t);
}

TEST(test_a_ring_with_nothing_in_it_still_tells_that_its_process_was_there)
{
	struct fr_image *segment;
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	assert_int_equal(salvage_ring(&t, 0), FR_FATE_SALVAGED);
	segment = scratch_segment(&t.s, t.u.ring.super.ring_id, 0);
	assert_int_equal(fr_image_record_count(segment), 0);
	fr_image_close(segment);
	salvage_end(&t);
}

TEST(test_what_is_no_ring_is_set_aside_with_its_reason)
{
	static const char *const junk[] = { "", "x", "not a ring, but a letter that somebody left here" };
	struct salvage t;
	char *kept, *why;

	salvage_begin(&t);
	for (size_t i = 0; i < COUNT(junk); i++) {
		scratch_put_text(t.s.rings, "12-junk.ring", junk[i]);
		assert_int_equal(salvage_file(&t, "12-junk.ring", 0), FR_FATE_QUARANTINED);
		assert_false(scratch_has(t.s.rings, "12-junk.ring"));
		kept = scratch_get(t.s.quarantine, t.found.aside, NULL);
		assert_string_equal(kept, junk[i]);
		free(kept);
		strcat(t.found.aside, ".why");
		why = scratch_get(t.s.quarantine, t.found.aside, NULL);
		assert_non_null(strstr(why, "12-junk.ring: "));
		free(why);
	}
	salvage_end(&t);
}

TEST(test_links_devices_and_fifos_are_not_followed)
{
	struct salvage t;
	char path[300];

	salvage_begin(&t);
	snprintf(path, sizeof(path), "%s/1-link.ring", t.s.rings);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(fr_salvage_ring(t.spool, t.s.rings, "1-link.ring", 0, &t.found), -EINVAL);
	assert_true(scratch_has(t.s.rings, "1-link.ring"));
	assert_int_equal(scratch_count(t.s.quarantine, ""), 0);
	salvage_end(&t);
}

TEST(test_a_ring_that_claims_to_be_another_is_set_aside)
{
	struct salvage t;
	unsigned char *bytes;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	bytes = unit_bytes(&t.u);
	scratch_put(t.s.rings, "9-000102030405060708090a0b0c0d0e0f.ring", bytes, t.u.ring.size);
	assert_int_equal(salvage_file(&t, "9-000102030405060708090a0b0c0d0e0f.ring", 0), FR_FATE_QUARANTINED);
	assert_int_equal(scratch_count(t.s.spool, ".frs"), 0);
	free(bytes);
	salvage_end(&t);
}

TEST(test_I13_a_ring_of_a_newer_version_stays_where_it_is)
{
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int copy = 0; copy < 2; copy++) {
		t.u.ring.meta[copy]->super.version_major = FRM_VERSION_MAJOR + 1;
		fr_super_sign(&t.u.ring.meta[copy]->super);
	}
	assert_int_equal(salvage_ring(&t, 0), FR_FATE_LEFT);
	assert_true(scratch_has(t.s.rings, t.name));
	salvage_end(&t);
}

TEST(test_poison_is_set_aside_on_the_second_try_and_an_unlucky_ring_is_not)
{
	struct fr_attempt earlier = { 0 };
	struct salvage t;
	char mark[96];

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 3);
	scratch_put_ring(t.s.rings, &t.u, t.name);
	snprintf(mark, sizeof(mark), "ring-%s", t.name);

	/* whoever read it last was killed: it may not have been the ring */
	assert_int_equal(fr_attempt_begin(t.spool, mark, &earlier), 0);
	fr_attempt_read(t.spool, mark, &earlier);
	assert_int_equal(earlier.unfinished, 1);
	assert_false(fr_attempt_is_poison(&earlier));
	assert_int_equal(salvage_file(&t, t.name, 0), FR_FATE_SALVAGED);
	fr_attempt_read(t.spool, mark, &earlier);
	assert_int_equal(earlier.unfinished, 0);

	/* whoever read it last crashed in it */
	scratch_put_ring(t.s.rings, &t.u, t.name);
	assert_int_equal(fr_attempt_begin(t.spool, mark, &earlier), 0);
	assert_int_equal(fr_attempt_blame(t.spool, getpid() + 1, SIGSEGV), 0); /* somebody else's crash */
	assert_int_equal(fr_attempt_blame(t.spool, getpid(), SIGSEGV), 1);
	assert_int_equal(salvage_file(&t, t.name, 0), FR_FATE_QUARANTINED);
	assert_string_equal(t.found.aside, t.name);
	assert_false(scratch_has(t.s.rings, t.name));
	fr_attempt_read(t.spool, mark, &earlier);
	assert_int_equal(earlier.unfinished + (unsigned)earlier.signal, 0);

	/* two readers ended in it, nobody knows of what */
	scratch_put_ring(t.s.rings, &t.u, t.name);
	assert_int_equal(fr_attempt_begin(t.spool, mark, &earlier), 0);
	fr_attempt_read(t.spool, mark, &earlier);
	assert_int_equal(fr_attempt_begin(t.spool, mark, &earlier), 0);
	assert_int_equal(salvage_file(&t, t.name, 0), FR_FATE_QUARANTINED);
	/* the same bytes lie there already */
	assert_string_equal(t.found.aside, t.name);
	assert_int_equal(scratch_count(t.s.quarantine, ".ring"), 1);
	salvage_end(&t);
}

TEST(test_a_full_disk_costs_nothing_but_time)
{
	struct rlimit old, limit;
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, 256 << 10, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 500);
	scratch_put_ring(t.s.rings, &t.u, t.name);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (rlim_t most = 0; most < 40000; most += most < 200 ? 20 : 5000) {
		limit = (struct rlimit){ most, old.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		salvage_file(&t, t.name, 0);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		assert_int_equal(t.found.fate, FR_FATE_FAILED);
		assert_int_equal(t.found.error, -EFBIG);
		assert_true(scratch_has(t.s.rings, t.name));
		assert_int_equal(scratch_count(t.s.spool, ".frs") + scratch_count(t.s.spool, ".tmp"), 0);
	}
	assert_int_equal(salvage_file(&t, t.name, 0), FR_FATE_SALVAGED);
	assert_int_equal(t.found.records, 500);
	salvage_end(&t);
}

TEST(test_whoever_holds_the_spool_keeps_others_out)
{
	struct fr_spool *one, *other;
	struct scratch s;

	scratch_make(&s);
	assert_int_equal(fr_spool_open(s.state, &one), 0);
	assert_int_equal(fr_spool_open(s.state, &other), 0);
	assert_int_equal(fr_spool_lock(one, true), 0);
	assert_int_equal(fr_spool_lock(one, true), 0);
	assert_int_equal(fr_spool_lock(other, false), -EWOULDBLOCK);
	fr_spool_unlock(one);
	assert_int_equal(fr_spool_lock(other, false), -EWOULDBLOCK);
	scratch_put_text(s.spool, "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf-000000.tmp", "half");
	fr_spool_unlock(one);
	assert_int_equal(fr_spool_lock(other, false), 0);
	assert_int_equal(scratch_count(s.spool, ".tmp"), 0); /* who comes fresh sweeps */
	fr_spool_close(other);
	fr_spool_close(one);
	scratch_remove(&s);
}

static bool looks_alive(pid_t pid, uint64_t start_time_ns)
{
	struct frm_super super = { .pid = (uint32_t)pid, .start_time_ns = start_time_ns };

	assert_int_equal(fr_host_boot_id(super.boot_id), 0);
	return fr_host_writer_alive(&super);
}

/* As a user whose /proc shows no others: 0 as it should be, 77 there can be none. */
static int look_where_proc_hides_others(pid_t other, uint64_t start_time_ns, pid_t dead)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0 ||
	    mount("proc", "/proc", "proc", 0, "hidepid=2") < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return 77;
	if (fr_host_start_time_ns(other)) /* it hides nothing */
		return 77;
	if (fr_host_gone(other) || !looks_alive(other, start_time_ns))
		return 1;
	return fr_host_gone(dead) && !looks_alive(dead, start_time_ns) && !looks_alive(0, 0) ? 0 : 2;
}

TEST(test_a_writer_that_proc_hides_is_not_taken_for_dead)
{
	uint64_t start_time_ns = fr_host_start_time_ns(getpid());
	pid_t self = getpid(), dead = fork(), child;
	int status;

	if (dead == 0)
		_exit(0);
	assert_int_equal(waitpid(dead, &status, 0), dead);
	assert_true(looks_alive(self, start_time_ns));
	assert_false(looks_alive(dead, start_time_ns));
	child = fork();
	if (child == 0)
		_exit(look_where_proc_hides_others(self, start_time_ns, dead));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status == 77 << 8) {
		print_message("no /proc of one's own with hidepid: not as root, or an old kernel\n");
		skip();
	}
	assert_int_equal(status, 0);
}

TEST(test_I8_no_single_flipped_bit_of_a_small_ring_stops_recovery)
{
	struct salvage t;
	unsigned char *bytes;
	uint64_t seed = 42;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 20);
	bytes = unit_bytes(&t.u);
	for (int i = 0; i < 150; i++) {
		uint64_t bit = unit_random(&seed) % (i % 2 ? 4096 * 8 : t.u.ring.size * 8);
		char path[300], segment[FR_SEGMENT_NAME];

		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		scratch_put(t.s.rings, "4711-a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.ring", bytes, t.u.ring.size);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		/* both superblocks are never hit */
		assert_int_equal(salvage_file(&t, "4711-a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.ring", 0), FR_FATE_SALVAGED);
		assert_true(t.found.records >= 19);
		fr_segment_name(segment, t.u.ring.super.ring_id, 0);
		snprintf(path, sizeof(path), "%s/%s", t.s.spool, segment);
		assert_int_equal(unlink(path), 0);
	}
	free(bytes);
	salvage_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_dead_writers_ring_becomes_a_segment_with_all_it_held_and_goes),
		cmocka_unit_test(test_a_ring_that_was_left_in_order_is_salvaged_as_closed),
		cmocka_unit_test(test_a_living_writer_is_known_by_what_is_left_of_its_superblocks),
		cmocka_unit_test(test_the_same_ring_again_adds_nothing_and_goes_too),
		cmocka_unit_test(test_a_ring_with_nothing_in_it_still_tells_that_its_process_was_there),
		cmocka_unit_test(test_what_is_no_ring_is_set_aside_with_its_reason),
		cmocka_unit_test(test_links_devices_and_fifos_are_not_followed),
		cmocka_unit_test(test_a_ring_that_claims_to_be_another_is_set_aside),
		cmocka_unit_test(test_I13_a_ring_of_a_newer_version_stays_where_it_is),
		cmocka_unit_test(test_poison_is_set_aside_on_the_second_try_and_an_unlucky_ring_is_not),
		cmocka_unit_test(test_a_full_disk_costs_nothing_but_time),
		cmocka_unit_test(test_whoever_holds_the_spool_keeps_others_out),
		cmocka_unit_test(test_a_writer_that_proc_hides_is_not_taken_for_dead),
		cmocka_unit_test(test_I8_no_single_flipped_bit_of_a_small_ring_stops_recovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
