/* SPDX-License-Identifier: MIT */
/* unit_parallel.c - see unit_parallel.h. */
#include "tests/unit/unit_parallel.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define WORKERS_MAX 64

void *unit_shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

void unit_parallel(uint64_t count, void (*check)(uint64_t i))
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN), workers = processors < 1 ? 1
								   : processors > WORKERS_MAX
									   ? WORKERS_MAX
									   : processors;
	uint64_t *next = unit_shared(sizeof(*next));
	pid_t child[WORKERS_MAX];
	bool good = true;
	int status;

	for (long w = 0; w < workers; w++) {
		child[w] = fork();
		assert_true(child[w] >= 0);
		if (child[w])
			continue;
		setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion ends the child */
#ifdef M_TRIM_THRESHOLD
		/* what one check frees the next one takes, without asking the kernel */
		mallopt(M_TRIM_THRESHOLD, 1 << 30);
		mallopt(M_MMAP_THRESHOLD, 1 << 25);
#endif
		for (uint64_t i; (i = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < count;)
			check(i);
		_exit(0);
	}
	for (long w = 0; w < workers; w++) {
		assert_int_equal(waitpid(child[w], &status, 0), child[w]);
		good = good && status == 0;
	}
	munmap(next, sizeof(*next));
	assert_true(good);
}
