/* SPDX-License-Identifier: MIT */
/* test_vouch.c - whose ring it was is what was said when it was made, whatever the ring says later. */
#include "tests/unit/unit_story.h"

#include <sys/stat.h>

#include "pstore/vouch.h"
#include "recorder/core/host.h"
#include "recorder/core/ringfile.h"

#define PID 4000001 /* no process has it */

struct vouched {
	struct scratch s;
	uint8_t id[16];
	char name[FR_RING_NAME_MAX], folder[128];
	struct frm_super super; /* as it was made */
};

static void make(struct vouched *v)
{
	char hex[33];
	char *bytes;

	scratch_make(&v->s);
	snprintf(v->folder, sizeof(v->folder), "%s/vouched", v->s.state);
	assert_int_equal(fr_path_make(v->folder, 0700), 0);
	scratch_make_ring(v->s.rings, PID, NULL, 3, 1700000000000000000, 20, v->id);
	fr_hex(hex, v->id, 16);
	snprintf(v->name, sizeof(v->name), "%u-%s.ring", PID, hex);
	bytes = scratch_get(v->s.rings, v->name, NULL);
	assert_non_null(bytes);
	memcpy(&v->super, bytes, sizeof(v->super));
	free(bytes);
}

/* Writes over both superblocks. */
static void scribble(const struct vouched *v, const struct frm_super *super)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", v->s.rings, v->name);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	for (int copy = 0; copy < 2; copy++)
		assert_int_equal(pwrite(fd, super, sizeof(*super), copy * (off_t)v->super.meta_size), sizeof(*super));
	close(fd);
}

/* Who the ring could say it is: init, which lives, of another boot. */
static struct frm_super liar(const struct vouched *v)
{
	struct frm_super super = v->super;

	super.pid = 1;
	super.uid = 12345;
	super.start_time_ns = fr_host_start_time_ns(1);
	strcpy(super.comm, "innocent");
	super.crc = fr_check_crc(NULL, &super, sizeof(super), offsetof(struct frm_super, crc));
	return super;
}

static void assert_as_made(const struct vouched *v)
{
	char *bytes = scratch_get(v->s.rings, v->name, NULL);

	assert_memory_equal(bytes, &v->super, sizeof(v->super));
	assert_memory_equal(bytes + v->super.meta_size, &v->super, sizeof(v->super));
	free(bytes);
}

TEST(test_what_is_kept_comes_back_and_goes_into_both_copies)
{
	struct frm_super super, lie;
	struct vouched v;

	make(&v);
	assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), -ENOENT);
	assert_int_equal(fr_vouch_restore(v.s.state, v.s.rings, v.name), -ENOENT);
	assert_int_equal(fr_vouch_store(v.s.state, v.name, &v.super), 0);
	assert_int_equal(fr_vouch_store(v.s.state, v.name, &v.super), -EEXIST);
	assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), 0);
	assert_memory_equal(&super, &v.super, sizeof(super));

	assert_int_equal(fr_vouch_restore(v.s.state, v.s.rings, v.name), 0);
	lie = liar(&v);
	scribble(&v, &lie);
	assert_int_equal(fr_vouch_restore(v.s.state, v.s.rings, v.name), 1);
	assert_as_made(&v);
	memset(&lie, 0xff, sizeof(lie));
	scribble(&v, &lie);
	assert_int_equal(fr_vouch_restore(v.s.state, v.s.rings, v.name), 1);
	assert_as_made(&v);

	fr_vouch_sweep(v.s.state, v.s.rings); /* it is there */
	assert_true(scratch_has(v.folder, v.name));
	fr_vouch_drop(v.s.state, v.name);
	assert_false(scratch_has(v.folder, v.name));
	scratch_put(v.folder, "1-of-a-ring-that-is-gone.ring", &v.super, sizeof(v.super));
	fr_vouch_sweep(v.s.state, v.s.rings);
	assert_int_equal(scratch_count(v.folder, ""), 0);
	scratch_remove(&v.s);
}

TEST(test_nothing_but_a_superblock_in_a_file_of_our_own_is_believed)
{
	struct frm_super super;
	struct vouched v;
	char path[256], other[256];

	make(&v);
	snprintf(path, sizeof(path), "%s/%s", v.folder, v.name);
	snprintf(other, sizeof(other), "%s/other", v.s.root);
	scratch_put(v.folder, v.name, &v.super, sizeof(v.super) - 1);
	assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), -EBADMSG);
	super = v.super;
	super.pid++;
	scratch_put(v.folder, v.name, &super, sizeof(super));
	assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), -EBADMSG);
	fr_vouch_drop(v.s.state, v.name);

	scratch_put(v.s.root, "other", &v.super, sizeof(v.super));
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), -ELOOP);
	assert_int_equal(fr_vouch_store(v.s.state, v.name, &v.super), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), -EPERM);
	assert_int_equal(unlink(path), 0);

	/* what others put there, and what lies elsewhere under the ring's name */
	assert_int_equal(fr_vouch_store(v.s.state, v.name, &v.super), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(fr_vouch_read(v.s.state, v.name, &super), -EPERM);
		assert_int_equal(chown(path, 0, 0), 0);
	}
	snprintf(path, sizeof(path), "%s/%s", v.s.rings, v.name);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(fr_vouch_restore(v.s.state, v.s.rings, v.name), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fr_vouch_restore(v.s.state, v.s.rings, v.name), -ENOENT);
	scratch_remove(&v.s);
}

TEST(test_recover_salvages_in_the_words_of_who_vouches)
{
	struct story story;
	struct fr_image *image;
	struct frm_super lie;
	struct vouched v;

	for (int i = 0; i < 2; i++) {
		make(&v);
		assert_int_equal(fr_vouch_store(v.s.state, v.name, &v.super), 0);
		lie = liar(&v);
		if (i)
			scribble(&v, &lie); /* which would have said: its writer lives */
		scratch_recover(&v.s, &story);
		assert_int_equal(story.error, 0);
		assert_int_equal(story.count, 1);
		assert_int_equal(story.found[0].fate, FR_FATE_SALVAGED);
		assert_int_equal(story.found[0].pid, PID);
		assert_int_equal(story.found[0].records, 20);
		assert_int_equal(!!strstr(story.found[0].why, "superblock had been changed"), i);
		image = scratch_segment(&v.s, v.id, 0);
		assert_memory_equal(&fr_image_meta(image)->super, &v.super, sizeof(v.super));
		fr_image_close(image);
		assert_false(scratch_has(v.s.rings, v.name));
		assert_int_equal(scratch_count(v.folder, ""), 0); /* nobody needs it any more */
		scratch_remove(&v.s);
	}
}

TEST(test_a_ring_that_stays_is_still_vouched_for)
{
	struct story story;
	struct vouched v;

	make(&v);
	v.super.pid = (uint32_t)getpid();
	v.super.start_time_ns = fr_host_start_time_ns(getpid());
	v.super.crc = fr_check_crc(NULL, &v.super, sizeof(v.super), offsetof(struct frm_super, crc));
	assert_int_equal(fr_vouch_store(v.s.state, v.name, &v.super), 0);
	scratch_recover(&v.s, &story); /* the ring says PID, who is dead; the kernel said: us */
	assert_int_equal(story.error, 0);
	assert_int_equal(story_count(&story, FR_FATE_ALIVE), 1);
	assert_as_made(&v);
	assert_true(scratch_has(v.folder, v.name));
	scratch_remove(&v.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept_comes_back_and_goes_into_both_copies),
		cmocka_unit_test(test_nothing_but_a_superblock_in_a_file_of_our_own_is_believed),
		cmocka_unit_test(test_recover_salvages_in_the_words_of_who_vouches),
		cmocka_unit_test(test_a_ring_that_stays_is_still_vouched_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
