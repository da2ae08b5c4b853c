/* SPDX-License-Identifier: MIT */
/* test_salvage.c - rings become segments: complete, once, and only then they go. */
#include "tests/unit/unit_story.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "pstore/attempt.h"
#include "pstore/cursor.h"
#include "pstore/salvage.h"
#include "recorder/core/host.h"

static struct fr_spool *open_spool(const struct scratch *s)
{
	struct fr_spool *spool;

	assert_int_equal(fr_spool_open(s->state, &spool), 0);
	return spool;
}

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
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, 256 << 10, 4, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 5000); /* several laps */
	unit_write_many(&u, 1, 10);
	unit_write_many(&u, 3, 700);
	assert_int_equal(unit_reserve(&u, 1, &unfinished), 0);
	fr_ring_count_loss(&u.ring, FRM_LOSS_DISCARDED_BUSY, 17);
	scratch_put_ring(s.rings, &u, name);
	ring = unit_image(&u, 0);

	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_SALVAGED);
	assert_int_equal(found.reason, FRM_REASON_BOOT_END); /* unit rings are of another boot */
	assert_true(found.released);
	assert_false(scratch_has(s.rings, name));
	segment = scratch_segment(&s, u.ring.super.ring_id, 0);
	assert_same_records(ring, segment);
	assert_int_equal(found.records, fr_image_record_count(ring));
	losses(ring, in_ring);
	losses(segment, in_segment);
	assert_memory_equal(in_ring, in_segment, sizeof(in_ring));
	assert_memory_equal(in_ring, found.loss, sizeof(in_ring));
	assert_int_equal(in_segment[FRM_LOSS_TORN], 1);
	assert_int_equal(in_segment[FRM_LOSS_DISCARDED_BUSY], 17);
	assert_true(in_segment[FRM_LOSS_OVERWRITTEN] > 0);
	assert_string_equal(fr_image_super(segment)->comm, "unit");
	assert_int_equal(fr_image_event_desc_count(segment), 1);
	/* nothing is left of the work */
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), -ENOENT);
	fr_image_close(segment);
	fr_image_close(ring);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_a_ring_that_was_left_in_order_is_salvaged_as_closed)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 3);
	fr_ring_close_mark(&u.ring, true);
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.reason, FRM_REASON_CLOSED);
	assert_int_equal(found.records, 3);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_the_same_ring_again_adds_nothing_and_goes_too)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 30);
	for (int round = 0; round < 3; round++) {
		scratch_put_ring(s.rings, &u, name);
		assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
		assert_int_equal(found.fate, round ? FR_FATE_KNOWN : FR_FATE_SALVAGED);
		assert_true(found.released);
		assert_int_equal(scratch_count(s.spool, ".frs"), 1);
	}
	/* an empty ring says one thing: that it was there */
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_a_ring_with_nothing_in_it_still_tells_that_its_process_was_there)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct fr_image *segment;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_SALVAGED);
	segment = scratch_segment(&s, u.ring.super.ring_id, 0);
	assert_int_equal(fr_image_record_count(segment), 0);
	fr_image_close(segment);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

/* Counts each number of each lane over all parts: once, or in one loss. */
static void assert_parts_are_complete(const struct scratch *s, const struct unit_ring *u, uint32_t parts)
{
	for (uint32_t lane = 0; lane < u->lanes; lane++) {
		uint64_t count = u->lane[lane].seq;
		uint8_t *seen = calloc(count + 1, 1);

		for (uint32_t part = 0; part < parts; part++) {
			struct fr_image *image = scratch_segment(s, u->ring.super.ring_id, part);

			for (size_t i = 0; i < fr_image_record_count(image); i++) {
				const struct fr_record *record = fr_image_record(image, i);

				assert_true(unit_is_genuine(record));
				if (record->lane == lane)
					seen[record->seq]++;
			}
			for (size_t i = 0; i < fr_image_loss_count(image); i++) {
				const struct fr_loss *loss = fr_image_loss(image, i);

				for (uint64_t k = 0; loss->lane == lane && k < loss->count; k++)
					seen[loss->first_seq + k]++;
			}
			fr_image_close(image);
		}
		for (uint64_t seq = 0; seq < count; seq++)
			if (seen[seq] != 1)
				fail_msg("lane %u number %u is there %u times", lane, (unsigned)seq, seen[seq]);
		free(seen);
	}
}

static void drain_in_parts(bool lose_cursor)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64], cursors[200];
	uint32_t parts = 0;
	uint64_t told = 0;

	scratch_make(&s);
	spool = open_spool(&s);
	snprintf(cursors, sizeof(cursors), "%s/cursors", s.spool);
	unit_ring_make(&u, 256 << 10, 3, FRM_POLICY_OVERWRITE);
	for (int round = 0; round < 8; round++) {
		unit_write_many(&u, 0, 40);
		unit_write_many(&u, 1, round == 3 ? 4000 : 7); /* once faster than the drain */
		fr_ring_count_loss(&u.ring, FRM_LOSS_KERNEL_BUFFER, 5);
		scratch_put_ring(s.rings, &u, name);
		assert_int_equal(fr_salvage_ring(spool, s.rings, name, round < 7 ? FR_SALVAGE_DRAIN : FR_SALVAGE_DEAD, &found), 0);
		assert_int_equal(found.fate, FR_FATE_SALVAGED);
		assert_int_equal(found.part, parts++);
		assert_int_equal(scratch_has(s.rings, name), round < 7);
		told += found.loss[FRM_LOSS_KERNEL_BUFFER];
		if (lose_cursor && round % 2) {
			char hex[33], path[300];

			fr_hex(hex, u.ring.super.ring_id, 16);
			snprintf(path, sizeof(path), "%s/%s", cursors, hex);
			unlink(path);
		}
		/* nothing new: no part */
		if (round < 7) {
			assert_int_equal(fr_salvage_ring(spool, s.rings, name, FR_SALVAGE_DRAIN, &found), 0);
			assert_int_equal(found.fate, FR_FATE_KNOWN);
		}
	}
	assert_int_equal(told, 8 * 5); /* the ledger is told once, piece by piece */
	assert_int_equal(scratch_count(s.spool, ".frs"), parts);
	assert_int_equal(scratch_count(cursors, ""), 0);
	assert_parts_are_complete(&s, &u, parts);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_a_ring_drained_in_parts_and_then_dead_has_each_record_in_one_part)
{
	drain_in_parts(false);
}

TEST(test_without_its_cursor_the_segments_tell_where_the_drain_stood)
{
	drain_in_parts(true);
}

TEST(test_a_drain_leaves_an_unfinished_record_for_later)
{
	struct fr_reservation unfinished;
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 5);
	assert_int_equal(unit_reserve(&u, 0, &unfinished), 0);
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, FR_SALVAGE_DRAIN, &found), 0);
	assert_int_equal(found.records, 5);
	assert_int_equal(found.loss[FRM_LOSS_TORN], 0);
	fr_lane_commit(&unfinished, 0);
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, FR_SALVAGE_DEAD, &found), 0);
	assert_int_equal(found.records, 1);
	assert_parts_are_complete(&s, &u, 2);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

/* A ring of this process in this boot, shared with whoever maps its file. */
static void make_own_ring(const struct scratch *s, pid_t pid, struct unit_ring *u, char name[64])
{
	char path[400];

	unit_ring_make(u, 128 << 10, 2, FRM_POLICY_OVERWRITE);
	for (int copy = 0; copy < 2; copy++) {
		struct frm_super *super = &u->ring.meta[copy]->super;

		super->pid = (uint32_t)pid;
		super->start_time_ns = fr_host_start_time_ns(pid);
		fr_host_boot_id(super->boot_id);
		fr_super_sign(super);
	}
	u->ring.super = u->ring.meta[0]->super;
	for (uint32_t i = 0; i < u->lanes; i++) { /* their seed holds the boot */
		struct frm_lane *head = u->lane[i].head, *tail = u->lane[i].tail;

		memcpy(head->boot_id, u->ring.super.boot_id, 16);
		fr_lane_head_sign(head);
		*tail = *head;
		fr_ring_lane(&u->ring, i, &u->lane[i]);
	}
	scratch_put_ring(s->rings, u, name);
	fr_ring_unmap(&u->ring);
	close(u->fd);
	snprintf(path, sizeof(path), "%s/%s", s->rings, name);
	u->fd = open(path, O_RDWR);
	assert_true(u->fd >= 0);
	assert_int_equal(fr_ring_map(u->fd, &u->ring), 0);
	for (uint32_t i = 0; i < u->lanes; i++)
		fr_ring_lane(&u->ring, i, &u->lane[i]);
}

TEST(test_a_living_writers_ring_is_left_alone)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	make_own_ring(&s, getpid(), &u, name);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_ALIVE);
	assert_true(scratch_has(s.rings, name));
	assert_int_equal(scratch_count(s.spool, ".frs"), 0);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_I14_drains_of_a_ring_that_is_being_written_lose_and_invent_nothing)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	uint64_t *progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t parts = 0;
	char name[64];
	int status;
	pid_t pid;

	scratch_make(&s);
	spool = open_spool(&s);
	make_own_ring(&s, getpid(), &u, name);
	pid = fork();
	if (pid == 0) {
		for (;;) {
			unit_write(&u, 0);
			progress[0] = u.lane[0].seq;
			if (u.lane[0].seq % 5 == 0)
				unit_write(&u, 1);
			progress[1] = u.lane[1].seq;
			for (volatile int i = 0; i < 2000; i++)
				; /* so that the drains keep up, more or less */
		}
	}
	while (parts < 40) {
		assert_int_equal(fr_salvage_ring(spool, s.rings, name, FR_SALVAGE_DRAIN, &found), 0);
		assert_int_equal(found.loss[FRM_LOSS_DAMAGED] + found.loss[FRM_LOSS_TORN], 0);
		parts += found.fate == FR_FATE_SALVAGED;
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, FR_SALVAGE_DEAD, &found), 0);
	parts += found.fate == FR_FATE_SALVAGED;
	assert_int_equal(found.reason, FRM_REASON_DIED);
	assert_int_equal(found.loss[FRM_LOSS_DAMAGED], 0);
	u.lane[0].seq = progress[0];
	u.lane[1].seq = progress[1];
	assert_parts_are_complete(&s, &u, parts);
	munmap(progress, 4096);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_what_is_no_ring_is_set_aside_with_its_reason)
{
	static const char *const junk[] = { "", "x", "not a ring, but a letter that somebody left here" };
	struct fr_found found;
	struct fr_spool *spool;
	struct scratch s;
	char *kept, *why;

	scratch_make(&s);
	spool = open_spool(&s);
	for (size_t i = 0; i < COUNT(junk); i++) {
		scratch_put_text(s.rings, "12-junk.ring", junk[i]);
		assert_int_equal(fr_salvage_ring(spool, s.rings, "12-junk.ring", 0, &found), 0);
		assert_int_equal(found.fate, FR_FATE_QUARANTINED);
		assert_false(scratch_has(s.rings, "12-junk.ring"));
		kept = scratch_get(s.quarantine, found.aside, NULL);
		assert_string_equal(kept, junk[i]);
		free(kept);
		strcat(found.aside, ".why");
		why = scratch_get(s.quarantine, found.aside, NULL);
		assert_non_null(strstr(why, "12-junk.ring: "));
		free(why);
	}
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_links_devices_and_fifos_are_not_followed)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct scratch s;
	char path[300];

	scratch_make(&s);
	spool = open_spool(&s);
	snprintf(path, sizeof(path), "%s/1-link.ring", s.rings);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(fr_salvage_ring(spool, s.rings, "1-link.ring", 0, &found), -EINVAL);
	assert_true(scratch_has(s.rings, "1-link.ring"));
	assert_int_equal(scratch_count(s.quarantine, ""), 0);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_a_ring_that_claims_to_be_another_is_set_aside)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	unsigned char *bytes;

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	bytes = unit_bytes(&u);
	scratch_put(s.rings, "9-000102030405060708090a0b0c0d0e0f.ring", bytes, u.ring.size);
	assert_int_equal(fr_salvage_ring(spool, s.rings, "9-000102030405060708090a0b0c0d0e0f.ring", 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_QUARANTINED);
	assert_int_equal(scratch_count(s.spool, ".frs"), 0);
	free(bytes);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_I13_a_ring_of_a_newer_version_stays_where_it_is)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	for (int copy = 0; copy < 2; copy++) {
		u.ring.meta[copy]->super.version_major = FRM_VERSION_MAJOR + 1;
		fr_super_sign(&u.ring.meta[copy]->super);
	}
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_LEFT);
	assert_true(scratch_has(s.rings, name));
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_poison_is_set_aside_on_the_second_try_and_an_unlucky_ring_is_not)
{
	struct fr_attempt earlier = { 0 };
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	char name[64], mark[96];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 3);
	scratch_put_ring(s.rings, &u, name);
	snprintf(mark, sizeof(mark), "ring-%s", name);

	/* whoever read it last was killed: it may not have been the ring */
	assert_int_equal(fr_attempt_begin(spool, mark, &earlier), 0);
	fr_attempt_read(spool, mark, &earlier);
	assert_int_equal(earlier.unfinished, 1);
	assert_false(fr_attempt_is_poison(&earlier));
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_SALVAGED);
	fr_attempt_read(spool, mark, &earlier);
	assert_int_equal(earlier.unfinished, 0);

	/* whoever read it last crashed in it */
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_attempt_begin(spool, mark, &earlier), 0);
	assert_int_equal(fr_attempt_blame(spool, getpid() + 1, SIGSEGV), 0); /* somebody else's crash */
	assert_int_equal(fr_attempt_blame(spool, getpid(), SIGSEGV), 1);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_QUARANTINED);
	assert_string_equal(found.aside, name);
	assert_false(scratch_has(s.rings, name));
	fr_attempt_read(spool, mark, &earlier);
	assert_int_equal(earlier.unfinished + (unsigned)earlier.signal, 0);

	/* two readers ended in it, nobody knows of what */
	scratch_put_ring(s.rings, &u, name);
	assert_int_equal(fr_attempt_begin(spool, mark, &earlier), 0);
	fr_attempt_read(spool, mark, &earlier);
	assert_int_equal(fr_attempt_begin(spool, mark, &earlier), 0);
	assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
	assert_int_equal(found.fate, FR_FATE_QUARANTINED);
	/* the same bytes lie there already */
	assert_string_equal(found.aside, name);
	assert_int_equal(scratch_count(s.quarantine, ".ring"), 1);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

TEST(test_whoever_holds_the_spool_keeps_others_out)
{
	struct fr_spool *one, *other;
	struct scratch s;

	scratch_make(&s);
	one = open_spool(&s);
	other = open_spool(&s);
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

TEST(test_I8_no_single_flipped_bit_of_a_small_ring_stops_recovery)
{
	struct fr_found found;
	struct fr_spool *spool;
	struct unit_ring u;
	struct scratch s;
	unsigned char *bytes;
	uint64_t seed = 42;
	char name[64];

	scratch_make(&s);
	spool = open_spool(&s);
	unit_ring_make(&u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&u, 0, 20);
	bytes = unit_bytes(&u);
	for (int i = 0; i < 150; i++) {
		uint64_t bit = unit_random(&seed) % (i % 2 ? 4096 * 8 : u.ring.size * 8);
		char path[300], segment[FR_SEGMENT_NAME];

		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		scratch_put(s.rings, "4711-a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.ring", bytes, u.ring.size);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		strcpy(name, "4711-a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.ring");
		assert_int_equal(fr_salvage_ring(spool, s.rings, name, 0, &found), 0);
		assert_int_equal(found.fate, FR_FATE_SALVAGED); /* both superblocks are never hit */
		assert_true(found.records >= 19);
		fr_segment_name(segment, u.ring.super.ring_id, 0);
		snprintf(path, sizeof(path), "%s/%s", s.spool, segment);
		assert_int_equal(unlink(path), 0);
	}
	free(bytes);
	unit_ring_free(&u);
	fr_spool_close(spool);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_dead_writers_ring_becomes_a_segment_with_all_it_held_and_goes),
		cmocka_unit_test(test_a_ring_that_was_left_in_order_is_salvaged_as_closed),
		cmocka_unit_test(test_the_same_ring_again_adds_nothing_and_goes_too),
		cmocka_unit_test(test_a_ring_with_nothing_in_it_still_tells_that_its_process_was_there),
		cmocka_unit_test(test_a_ring_drained_in_parts_and_then_dead_has_each_record_in_one_part),
		cmocka_unit_test(test_without_its_cursor_the_segments_tell_where_the_drain_stood),
		cmocka_unit_test(test_a_drain_leaves_an_unfinished_record_for_later),
		cmocka_unit_test(test_a_living_writers_ring_is_left_alone),
		cmocka_unit_test(test_I14_drains_of_a_ring_that_is_being_written_lose_and_invent_nothing),
		cmocka_unit_test(test_what_is_no_ring_is_set_aside_with_its_reason),
		cmocka_unit_test(test_links_devices_and_fifos_are_not_followed),
		cmocka_unit_test(test_a_ring_that_claims_to_be_another_is_set_aside),
		cmocka_unit_test(test_I13_a_ring_of_a_newer_version_stays_where_it_is),
		cmocka_unit_test(test_poison_is_set_aside_on_the_second_try_and_an_unlucky_ring_is_not),
		cmocka_unit_test(test_whoever_holds_the_spool_keeps_others_out),
		cmocka_unit_test(test_I8_no_single_flipped_bit_of_a_small_ring_stops_recovery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
