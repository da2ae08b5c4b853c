/* SPDX-License-Identifier: MIT */
/* test_index_access.c - who may not open the index is told so. */
#include "tests/unit/unit_index.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What a user without any privilege gets who opens the index to read. */
static int open_as_nobody(const struct scratch *s)
{
	struct fr_index *index = NULL;
	pid_t child = fork();
	int status, r;

	assert_true(child >= 0);
	if (!child) {
		if (!geteuid() && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
			_exit(255);
		r = fr_index_open(s->state, FR_INDEX_READ, &index);
		fr_index_close(index);
		_exit(-r);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

TEST(test_an_index_that_one_may_not_open_is_not_said_to_be_missing)
{
	char path[128], wal[160], shm[160];
	struct fr_index *index, *writer;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	assert_int_equal(chmod(s.root, 0755), 0);
	assert_int_equal(chmod(s.state, 0755), 0);
	assert_int_equal(fr_index_open(s.state, FR_INDEX_READ, &index), -ENOENT);
	assert_int_equal(open_as_nobody(&s), -ENOENT);
	writer_make(&w, FRM_KIND_PROCESS, 7, 100, 3);
	writer_order(&w, 0, 200 * SECOND, 1);
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	writer_done(&w);
	writer = index_now(&s, NULL);
	snprintf(path, sizeof(path), "%s/index.db", s.state);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	snprintf(shm, sizeof(shm), "%s-shm", path);
	/* what is in the journal is not in the file yet: without it there is nothing to read */
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(wal, 0), 0);
	assert_int_equal(chmod(shm, 0), 0);
	assert_int_equal(open_as_nobody(&s), -EACCES);
	fr_index_close(writer);
	assert_int_equal(open_as_nobody(&s), 0);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(open_as_nobody(&s), -EACCES);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(s.state, geteuid() ? 0 : 0700), 0);
	assert_int_equal(open_as_nobody(&s), -EACCES);
	assert_int_equal(chmod(s.state, 0755), 0);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_index_that_one_may_not_open_is_not_said_to_be_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
