/* SPDX-License-Identifier: MIT */
/* test_drain.c - rings whose writers live: left alone, or copied piece by piece, each record once. */
#include "tests/unit/unit_salvage.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "recorder/core/host.h"

/* Counts each number of each lane over all parts: once, or in one loss. */
static void assert_parts_are_complete(const struct salvage *t, uint32_t parts)
{
	for (uint32_t lane = 0; lane < t->u.lanes; lane++) {
		uint64_t count = t->u.lane[lane].seq;
		uint8_t *seen = calloc(count + 1, 1);

		for (uint32_t part = 0; part < parts; part++) {
			struct fr_image *image = scratch_segment(&t->s, t->u.ring.super.ring_id, part);

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
	struct salvage t;
	char cursors[200];
	uint32_t parts = 0;
	uint64_t told = 0;

	salvage_begin(&t);
	snprintf(cursors, sizeof(cursors), "%s/cursors", t.s.spool);
	unit_ring_make(&t.u, 256 << 10, 3, FRM_POLICY_OVERWRITE);
	for (int round = 0; round < 8; round++) {
		unit_write_many(&t.u, 0, 40);
		unit_write_many(&t.u, 1, round == 3 ? 4000 : 7); /* once faster than the drain */
		fr_ring_count_loss(&t.u.ring, FRM_LOSS_KERNEL_BUFFER, 5);
		assert_int_equal(salvage_ring(&t, round < 7 ? FR_SALVAGE_DRAIN : FR_SALVAGE_DEAD), FR_FATE_SALVAGED);
		assert_int_equal(t.found.part, parts++);
		assert_int_equal(scratch_has(t.s.rings, t.name), round < 7);
		told += t.found.loss[FRM_LOSS_KERNEL_BUFFER];
		if (lose_cursor && round % 2) {
			char hex[33], path[300];

			fr_hex(hex, t.u.ring.super.ring_id, 16);
			snprintf(path, sizeof(path), "%s/%s", cursors, hex);
			unlink(path);
		}
		/* nothing new: no part */
		if (round < 7)
			assert_int_equal(salvage_file(&t, t.name, FR_SALVAGE_DRAIN), FR_FATE_KNOWN);
	}
	assert_int_equal(told, 8 * 5); /* the ledger is told once, piece by piece */
	assert_int_equal(scratch_count(t.s.spool, ".frs"), parts);
	assert_int_equal(scratch_count(cursors, ""), 0);
	assert_parts_are_complete(&t, parts);
	salvage_end(&t);
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
	struct salvage t;

	salvage_begin(&t);
	unit_ring_make(&t.u, FRM_RING_MIN, 2, FRM_POLICY_OVERWRITE);
	unit_write_many(&t.u, 0, 5);
	assert_int_equal(unit_reserve(&t.u, 0, &unfinished), 0);
	salvage_ring(&t, FR_SALVAGE_DRAIN);
	assert_int_equal(t.found.records, 5);
	assert_int_equal(t.found.loss[FRM_LOSS_TORN], 0);
	fr_lane_commit(&unfinished, 0);
	salvage_ring(&t, FR_SALVAGE_DEAD);
	assert_int_equal(t.found.records, 1);
	assert_parts_are_complete(&t, 2);
	salvage_end(&t);
}

/* A ring of this process in this boot, shared with whoever maps its file. */
static void make_own_ring(struct salvage *t, pid_t pid)
{
	struct unit_ring *u = &t->u;
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
	scratch_put_ring(t->s.rings, u, t->name);
	fr_ring_unmap(&u->ring);
	close(u->fd);
	snprintf(path, sizeof(path), "%s/%s", t->s.rings, t->name);
	u->fd = open(path, O_RDWR);
	assert_true(u->fd >= 0);
	assert_int_equal(fr_ring_map(u->fd, &u->ring), 0);
	for (uint32_t i = 0; i < u->lanes; i++)
		fr_ring_lane(&u->ring, i, &u->lane[i]);
}

TEST(test_a_living_writers_ring_is_left_alone)
{
	struct salvage t;

	salvage_begin(&t);
	make_own_ring(&t, getpid());
	assert_int_equal(salvage_file(&t, t.name, 0), FR_FATE_ALIVE);
	assert_true(scratch_has(t.s.rings, t.name));
	assert_int_equal(scratch_count(t.s.spool, ".frs"), 0);
	salvage_end(&t);
}

TEST(test_I14_drains_of_a_ring_that_is_being_written_lose_and_invent_nothing)
{
	struct salvage t;
	uint64_t *progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t parts = 0;
	int status;
	pid_t pid;

	salvage_begin(&t);
	make_own_ring(&t, getpid());
	pid = fork();
	if (pid == 0) {
		for (;;) {
			unit_write(&t.u, 0);
			progress[0] = t.u.lane[0].seq;
			if (t.u.lane[0].seq % 5 == 0)
				unit_write(&t.u, 1);
			progress[1] = t.u.lane[1].seq;
			for (volatile int i = 0; i < 2000; i++)
				; /* so that the drains keep up, more or less */
		}
	}
	while (parts < 40) {
		parts += salvage_file(&t, t.name, FR_SALVAGE_DRAIN) == FR_FATE_SALVAGED;
		assert_int_equal(t.found.loss[FRM_LOSS_DAMAGED] + t.found.loss[FRM_LOSS_TORN], 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	parts += salvage_file(&t, t.name, FR_SALVAGE_DEAD) == FR_FATE_SALVAGED;
	assert_int_equal(t.found.reason, FRM_REASON_DIED);
	assert_int_equal(t.found.loss[FRM_LOSS_DAMAGED], 0);
	t.u.lane[0].seq = progress[0];
	t.u.lane[1].seq = progress[1];
	assert_parts_are_complete(&t, parts);
	munmap(progress, 4096);
	salvage_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_ring_drained_in_parts_and_then_dead_has_each_record_in_one_part),
		cmocka_unit_test(test_without_its_cursor_the_segments_tell_where_the_drain_stood),
		cmocka_unit_test(test_a_drain_leaves_an_unfinished_record_for_later),
		cmocka_unit_test(test_a_living_writers_ring_is_left_alone),
		cmocka_unit_test(test_I14_drains_of_a_ring_that_is_being_written_lose_and_invent_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
