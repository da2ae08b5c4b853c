/* SPDX-License-Identifier: MIT */
/*
 * test_machine.c - the events of memory and disks, caused on purpose, and every field of them
 * compared with what the kernel's log and the system calls say of the same thing.
 */
#include "tests/bpf/bpf_test.h"

#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/sysmacros.h>

static int eat_memory(void *arg)
{
	char *procs = arg;
	FILE *f = fopen(procs, "we");

	if (!f || fprintf(f, "0") < 0 || fclose(f) != 0)
		return 99;
	prctl(PR_SET_NAME, "fr-eater");
	for (;;) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED)
			return 98;
		memset(p, 1, 1 << 20);
	}
}

static bool put(const char *dir, const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "we");
	return f && fprintf(f, "%s", text) > 0 && fclose(f) == 0;
}

/* The kernel logs the same numbers right after; who may not read that checks what they can be. */
static void check_memory(const struct fr_kevent_mem_oom_kill *oom)
{
	static char log[1 << 20];
	int size = klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof(log) - 1);
	unsigned long vm, anon, file, shmem, pgtables;
	char text[64], *line = NULL;

	log[size > 0 ? size : 0] = '\0';
	snprintf(text, sizeof(text), "Killed process %u (fr-eater) ", oom->victim_pid);
	for (char *at = log; (at = strstr(at, text)); at++)
		line = at + strlen(text);
	if (line && sscanf(line,
			   "total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, shmem-rss:%lukB, "
			   "UID:%*u pgtables:%lukB",
			   &vm, &anon, &file, &shmem, &pgtables) == 5) {
		assert_int_equal(oom->total_vm_kib, vm);
		assert_int_equal(oom->anon_rss_kib, anon);
		assert_int_equal(oom->file_rss_kib, file);
		assert_int_equal(oom->shmem_rss_kib, shmem);
		assert_int_equal(oom->pgtables_kib, pgtables);
		printf("the kernel's log has the same numbers\n");
		return;
	}
	assert_in_range(oom->anon_rss_kib, 8 << 10, 20 << 10);
	assert_in_range(oom->total_vm_kib, oom->anon_rss_kib, oom->anon_rss_kib + (64 << 10));
	assert_in_range(oom->file_rss_kib, 0, 64 << 10);
	assert_in_range(oom->shmem_rss_kib, 0, 64 << 10);
	assert_in_range(oom->pgtables_kib, 4, 4096);
}

TEST(test_a_kill_for_want_of_memory_tells_its_victim)
{
	SEEN seen = { 0 };
	const struct fr_kevent_mem_oom_kill *oom;
	char dir[64], procs[96];
	int i;
	pid_t pid;

	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/memory/flightrec-test-%d", getpid());
	if (mkdir(dir, 0755) < 0 || !put(dir, "memory.limit_in_bytes", "16777216")) {
		rmdir(dir);
		snprintf(dir, sizeof(dir), "/sys/fs/cgroup/flightrec-test-%d", getpid());
		if (mkdir(dir, 0755) < 0 || !put(dir, "memory.max", "16777216")) {
			rmdir(dir);
			printf("no cgroup with a memory limit can be made here: not tested\n");
			skip();
		}
	}
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	put(dir, "memory.memsw.limit_in_bytes", "16777216");
	put(dir, "memory.swap.max", "0");
	pid = child(eat_memory, procs);
	assert_int_equal(child_end(pid, NULL), SIGKILL);
	i = seen_wait(&seen, bpf, FR_EVENT_MEM_OOM_KILL, 0);
	for (int tries = 0; rmdir(dir) < 0 && tries < 100; tries++)
		usleep(10000);
	assert_true(i >= 0);
	oom = &seen.sample[i].oom;
	assert_int_equal(oom->victim_pid, pid);
	assert_string_equal(oom->victim_comm, "fr-eater");
	assert_string_equal(oom->head.comm, "fr-eater"); /* it was its own allocation */
	assert_int_equal(oom->head.pid, pid);
	assert_true(oom->victim_start_time_ns == oom->head.start_time_ns);
	assert_int_equal(oom->victim_uid, getuid());
	assert_int_equal(oom->oom_score_adj, 0);
	check_memory(oom);
}

/* A disk whose place runs out: a sparse file on a file system that is full. */
static int break_disk(char *dir, int *ret_loop)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number, backing, filler;
	char path[160], block[4096] = { 0 };

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	*ret_loop = number < 0 ? -1 : open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (*ret_loop < 0)
		return -1;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=128k"), 0);
	snprintf(path, sizeof(path), "%s/disk", dir);
	backing = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(backing >= 0);
	assert_int_equal(ftruncate(backing, 1 << 20), 0);
	assert_int_equal(ioctl(*ret_loop, LOOP_SET_FD, backing), 0);
	snprintf(path, sizeof(path), "%s/filler", dir);
	filler = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(filler, block, sizeof(block)) > 0)
		;
	close(filler);
	return backing;
}

TEST(test_a_block_error_tells_device_place_and_reason)
{
	SEEN seen = { 0 };
	const struct fr_kevent_blk_error *blk = NULL;
	char dir[128], block[4096] __attribute__((aligned(4096))) = { 1 };
	int backing, loop, i, error;
	uint64_t after = boot_ns();
	struct stat st;

	snprintf(dir, sizeof(dir), "%s/flightrec-disk-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	backing = break_disk(dir, &loop);
	if (backing < 0) {
		printf("no loop device can be made here: not tested\n");
		skip();
	}
	assert_int_equal(fstat(loop, &st), 0);
	assert_int_equal(pwrite(loop, block, sizeof(block), 65536), -1);
	error = errno;
	i = seen_wait(&seen, bpf, FR_EVENT_BLK_ERROR, 0);
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
	close(backing);
	umount2(dir, MNT_DETACH);
	rmdir(dir);

	assert_true(i >= 0);
	blk = &seen.sample[i].blk;
	assert_int_equal(blk->head.flags, FR_KEVENT_NOBODY);
	assert_int_equal(blk->head.pid, 0);
	assert_int_equal(blk->head.start_time_ns, 0);
	assert_in_range(blk->head.time_ns, after, boot_ns());
	assert_int_equal(blk->dev_major, major(st.st_rdev));
	assert_int_equal(blk->dev_minor, minor(st.st_rdev));
	assert_int_equal(blk->sector, 65536 / 512);
	assert_int_equal(blk->sector_count, 8);
	printf("the disk said: %s\n", strerror(error));
	assert_int_equal(blk->error, -error);
	assert_int_equal(blk->status, error == ENOSPC ? 3 : 10); /* BLK_STS_NOSPC, BLK_STS_IOERR */
	assert_string_equal(blk->rwbs, "WS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_kill_for_want_of_memory_tells_its_victim),
		cmocka_unit_test(test_a_block_error_tells_device_place_and_reason),
	};

	bpf_test_world();
	return cmocka_run_group_tests(tests, bpf_group_open, bpf_group_close);
}
