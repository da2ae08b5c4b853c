/* SPDX-License-Identifier: MIT */
/*
 * test_index_life.c - whatever becomes of index.db - made again, damaged, of another version, killed, filled by several at
 * once, replaced under a writer's hands - it says the same.
 */
#include "tests/unit/unit_index.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "uploader/db.h"
#include "uploader/retention.h"

TEST(test_update_again_and_rebuild_say_the_same)
{
	struct fr_index_stats stats;
	struct fr_index *index;
	char *first, *again;
	struct scratch s;

	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, &stats);
	assert_int_equal(stats.segments, 4);
	first = index_dump(index);
	assert_int_equal(fr_index_update(index, &stats), 0);
	assert_int_equal(stats.segments, 0);
	again = index_dump(index);
	assert_string_equal(first, again);
	free(again);
	fr_index_close(index);
	assert_int_equal(fr_index_rebuild(s.state, NULL, NULL, &stats), 0);
	assert_int_equal(stats.segments, 4);
	index = index_now(&s, &stats);
	assert_int_equal(stats.segments, 0);
	again = index_dump(index);
	assert_string_equal(first, again);
	free(again);
	free(first);
	fr_index_close(index);
	scratch_remove(&s);
}

static void overwrite(const char *path, off_t at, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, at), size);
	close(fd);
}

TEST(test_a_damaged_index_is_said_set_aside_and_made_again)
{
	static char garbage[200000];
	char path[128], *before, *after;
	struct fr_index *index;
	struct scratch s;

	memset(garbage, 0x5a, sizeof(garbage));
	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, NULL);
	before = index_dump(index);
	fr_index_close(index);
	snprintf(path, sizeof(path), "%s/index.db", s.state);
	for (int where = 0; where < 3; where++) { /* no database at all; its first page; all but that */
		overwrite(path, where == 2 ? 16384 : 0, garbage, where == 1 ? 4096 : sizeof(garbage));
		assert_int_equal(fr_index_open(s.state, 0, &index), 0);
		assert_int_equal(fr_index_update(index, NULL), 0);
		assert_true(strstr(fr_index_note(index), "damaged"));
		assert_true(scratch_has(s.state, "index.db.damaged"));
		after = index_dump(index);
		assert_string_equal(before, after);
		free(after);
		fr_index_close(index);
		index = index_now(&s, NULL); /* said once */
		assert_string_equal(fr_index_note(index), "");
		fr_index_close(index);
	}
	free(before);
	scratch_remove(&s);
}

static void set_version(const struct scratch *s, int version)
{
	char path[128], sql[64];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/index.db", s->state);
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", version);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

TEST(test_a_newer_index_is_refused_and_an_older_one_made_again)
{
	struct fr_index *index = NULL;
	struct scratch s;

	scratch_make(&s);
	index_machine(&s);
	fr_index_close(index_now(&s, NULL));
	assert_int_equal(fr_index_open(s.state, FR_INDEX_READ, &index), 0);
	assert_answer(index, "PRAGMA table_info(cause)", "0|id|INTEGER|0|-|1\n1|name|TEXT|1|-|0\n");
	assert_answer(index, "SELECT count(*) FROM events", "104\n");
	fr_index_close(index);
	set_version(&s, FR_INDEX_VERSION + 1);
	assert_int_equal(fr_index_open(s.state, 0, &index), -EPROTONOSUPPORT);
	assert_int_equal(fr_index_open(s.state, FR_INDEX_READ, &index), -EPROTONOSUPPORT);
	set_version(&s, FR_INDEX_VERSION - 1);
	assert_int_equal(fr_index_open(s.state, FR_INDEX_READ, &index), -EUCLEAN);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT count(*) FROM events", "104\n");
	fr_index_close(index);
	scratch_remove(&s);
}

/* Lets a child do `work` on the machine until it is killed at a random instant, or done. */
static void kill_at_random(const struct scratch *s, void (*work)(const struct scratch *s), uint64_t *seed)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		work(s);
		_exit(0);
	}
	usleep((useconds_t)(unit_random(seed) % 30000));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void work_update(const struct scratch *s)
{
	struct fr_index *index;

	if (!fr_index_open(s->state, 0, &index) && !fr_index_update(index, NULL))
		fr_index_close(index);
}

static void work_rebuild(const struct scratch *s)
{
	fr_index_rebuild(s->state, NULL, NULL, NULL);
}

static void work_retention(const struct scratch *s)
{
	struct fr_retention limits = { .max_bytes = 1 };
	struct fr_index *index;

	if (!fr_index_open(s->state, 0, &index) && !fr_index_update(index, NULL))
		fr_retention_run(index, &limits, NULL);
}

TEST(test_killed_at_random_instants_and_run_again_gives_the_same)
{
	char *expected, *dump, path[128];
	struct fr_index *index;
	uint64_t seed = 7;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	index_machine(&s);
	for (unsigned tag = 64; tag < 80; tag++) {
		writer_make(&w, FRM_KIND_PROCESS, tag, tag, 3);
		for (uint64_t i = 0; i < 300; i++)
			writer_order(&w, i % 2, 200 * SECOND + i, i);
		writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
		writer_done(&w);
	}
	index = index_now(&s, NULL);
	expected = index_dump(index);
	fr_index_close(index);
	for (int round = 0; round < 12; round++) {
		snprintf(path, sizeof(path), "%s/index.db", s.state);
		if (round % 4 == 0)
			unlink(path);
		kill_at_random(&s, round % 3 == 2 ? work_rebuild : work_update, &seed);
		kill_at_random(&s, round % 3 == 1 ? work_rebuild : work_update, &seed);
		index = index_now(&s, NULL);
		assert_string_equal(fr_index_note(index), "");
		dump = index_dump(index);
		assert_string_equal(expected, dump);
		free(dump);
		fr_index_close(index);
	}
	free(expected);
	/* whatever retention was doing: each event is there, or its loss is */
	for (int round = 0; round < 12; round++) {
		kill_at_random(&s, work_retention, &seed);
		index = index_now(&s, NULL);
		assert_answer(index, "SELECT (SELECT count(*) FROM events) + (SELECT ifnull(sum(count), 0) FROM losses)", "4904\n");
		fr_index_close(index);
	}
	scratch_remove(&s);
}

TEST(test_several_writers_at_once_do_the_work_once)
{
	char *expected, *dump, path[128];
	struct fr_index *index;
	struct scratch s;
	pid_t child[4];
	int status;

	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, NULL);
	expected = index_dump(index);
	fr_index_close(index);
	for (int round = 0; round < 5; round++) {
		snprintf(path, sizeof(path), "%s/index.db", s.state);
		assert_int_equal(unlink(path), 0);
		for (unsigned i = 0; i < COUNT(child); i++) {
			child[i] = fork();
			if (!child[i])
				_exit(fr_index_open(s.state, 0, &index) < 0 ? 1 : fr_index_update(index, NULL) < 0 ? 2 :
				      *fr_index_note(index) ? 3 : 0);
		}
		for (unsigned i = 0; i < COUNT(child); i++) {
			assert_int_equal(waitpid(child[i], &status, 0), child[i]);
			assert_int_equal(status, 0);
		}
		index = index_now(&s, NULL);
		dump = index_dump(index);
		assert_string_equal(expected, dump);
		free(dump);
		fr_index_close(index);
	}
	free(expected);
	scratch_remove(&s);
}

/* What SQLite itself says of the file; and that whoever reads it need not wait for a writer. */
static void assert_sound(const struct scratch *s)
{
	unsigned char head[20];
	sqlite3_stmt *check;
	char path[128];
	sqlite3 *db;
	int fd;

	snprintf(path, sizeof(path), "%s/index.db", s->state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	close(fd);
	assert_int_equal(head[18], 2); /* WAL */
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &check, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(check), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(check, 0), "ok");
	sqlite3_finalize(check);
	sqlite3_close(db);
}

TEST(test_a_rebuilt_index_is_sound_and_in_all_as_one_that_was_filled)
{
	static const char schema[] = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2";
	char *dump[2], *words[2], path[128];
	struct fr_index *index;
	struct scratch s;

	scratch_make(&s);
	index_machine(&s);
	snprintf(path, sizeof(path), "%s/index.db.new", s.state);
	for (int rebuilt = 0; rebuilt < 2; rebuilt++) {
		overwrite(path, 0, "half", 4); /* what is left of one that was killed */
		if (rebuilt)
			assert_int_equal(fr_index_rebuild(s.state, NULL, NULL, NULL), 0);
		assert_int_equal(scratch_has(s.state, "index.db.new"), !rebuilt);
		index = index_now(&s, NULL);
		assert_false(scratch_has(s.state, "index.db.new"));
		dump[rebuilt] = index_dump(index);
		words[rebuilt] = index_ask(index, schema);
		fr_index_close(index);
		assert_sound(&s);
	}
	assert_string_equal(dump[0], dump[1]);
	assert_string_equal(words[0], words[1]);
	assert_true(strstr(words[0], "by_time"));
	for (int i = 0; i < 2; i++) {
		free(dump[i]);
		free(words[i]);
	}
	scratch_remove(&s);
}

/* The index as another process has made it, ready to be put into its place. */
static void copy_index(const char *path, const char *copy)
{
	char sql[300];
	sqlite3 *db;

	snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", copy);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

TEST(test_a_writer_whose_file_was_replaced_goes_on_with_the_one_that_is_there)
{
	struct fr_index *index, *reader;
	char path[128], copy[128];
	struct fr_index_stats stats;
	struct scratch s;

	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, NULL);
	snprintf(path, sizeof(path), "%s/index.db", s.state);
	snprintf(copy, sizeof(copy), "%s/copy.db", s.state);
	copy_index(path, copy);
	for (int there = 0; there < 2; there++) {
		assert_int_equal(unlink(path), 0);
		if (there)
			assert_int_equal(rename(copy, path), 0);
		assert_int_equal(fr_index_update(index, &stats), 0);
		assert_int_equal(stats.segments, there ? 0 : 4);
		assert_int_equal(fr_index_open(s.state, FR_INDEX_READ, &reader), 0);
		assert_answer(reader, "SELECT count(*) FROM events", "104\n");
		fr_index_close(reader);
	}
	/* one that it can't use is left alone, however often it looks, and nobody waits for the lock */
	copy_index(path, copy);
	assert_int_equal(rename(copy, path), 0);
	set_version(&s, FR_INDEX_VERSION + 1);
	for (int again = 0; again < 2; again++)
		assert_int_equal(fr_index_update(index, NULL), -EPROTONOSUPPORT);
	assert_false(scratch_has(s.state, "index.db.damaged"));
	set_version(&s, FR_INDEX_VERSION);
	assert_int_equal(fr_index_rebuild(s.state, NULL, NULL, NULL), 0);
	assert_int_equal(fr_index_update(index, &stats), 0);
	assert_int_equal(stats.segments, 0);
	fr_index_close(index);
	scratch_remove(&s);
}

/* STATE as a package makes it: whoever is in the group may add files, and remove their own. */
TEST(test_nobody_replaces_the_index_of_another_user_by_half)
{
	char path[128], *before, *after;
	struct fr_index *index;
	struct scratch s;
	struct stat was, is;
	pid_t child;
	int status;

	if (geteuid() != 0) {
		print_message("skipped: root makes it, and another user tries\n");
		skip();
	}
	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, NULL);
	before = index_dump(index);
	fr_index_close(index);
	snprintf(path, sizeof(path), "%s/index.db", s.state);
	assert_int_equal(chmod(s.root, 0755) | chmod(s.state, 01777) | chmod(s.spool, 0755) | chmod(path, 0666), 0);
	assert_int_equal(stat(path, &was), 0);
	snprintf(path, sizeof(path), "%s/index.lock", s.state);
	assert_int_equal(chmod(path, 0666), 0);
	child = fork();
	if (!child)
		_exit(setuid(65534) ? 1 : fr_index_rebuild(s.state, NULL, NULL, NULL) == -EPERM ? 0 : 2);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/index.db", s.state);
	assert_int_equal(stat(path, &is), 0);
	assert_int_equal(was.st_ino, is.st_ino);
	assert_false(scratch_has(s.state, "index.db.new"));
	index = index_now(&s, NULL);
	after = index_dump(index);
	assert_string_equal(before, after);
	fr_index_close(index);
	free(before);
	free(after);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_update_again_and_rebuild_say_the_same),
		cmocka_unit_test(test_a_damaged_index_is_said_set_aside_and_made_again),
		cmocka_unit_test(test_a_newer_index_is_refused_and_an_older_one_made_again),
		cmocka_unit_test(test_killed_at_random_instants_and_run_again_gives_the_same),
		cmocka_unit_test(test_several_writers_at_once_do_the_work_once),
		cmocka_unit_test(test_a_rebuilt_index_is_sound_and_in_all_as_one_that_was_filled),
		cmocka_unit_test(test_a_writer_whose_file_was_replaced_goes_on_with_the_one_that_is_there),
		cmocka_unit_test(test_nobody_replaces_the_index_of_another_user_by_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
