/* SPDX-License-Identifier: MIT */
/*
 * bpf_test.h - the world of tests that load eBPF programs: root, a bpffs of their own, children
 * that die as told.
 */
#ifndef TESTS_BPF_BPF_TEST_H
#define TESTS_BPF_BPF_TEST_H

#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "bpf/loader.h"
#include "recorder/core/catalogue.h"

#define PIN_DIR "/sys/fs/bpf/flightrec-test"

/*
 * Enters a mount namespace with a bpffs of its own, so that nothing of the machine's is touched and
 * nothing stays. Ends the program with 77 and a line that says why when eBPF can't be had here.
 */
void bpf_test_world(void);

/* Fills in size and pin_dir; must succeed. */
struct fr_bpf *bpf_test_open(struct fr_bpf_options options);
/* For a group of tests that share one: opened before the first, taken out of the kernel after the last. */
extern struct fr_bpf *bpf;
int bpf_group_open(void **state);
int bpf_group_close(void **state);

/* Samples in the order in which they came. */
struct seen {
	struct {
		size_t size;
		union {
			struct fr_kevent head;
			struct fr_kevent_proc_exec exec;
			struct fr_kevent_proc_exit exit;
			struct fr_kevent_sig_deliver deliver;
			struct fr_kevent_sig_generate generate;
			struct fr_kevent_mem_oom_kill oom;
			struct fr_kevent_blk_error blk;
		};
	} *sample;
	unsigned count, room;
};
#define SEEN __attribute__((cleanup(seen_done))) struct seen
void seen_done(struct seen *seen);

int seen_take(void *seen, const struct fr_kevent *event, size_t size); /* a fr_bpf_event_fn */
void seen_all(struct seen *seen, struct fr_bpf *bpf);		       /* what is there now */
/* First sample of that event with this pid (0: any), reading for up to 5 s; -1: it doesn't come. */
int seen_wait(struct seen *seen, struct fr_bpf *bpf, enum fr_event_id event, pid_t pid);
int seen_find(const struct seen *seen, enum fr_event_id event, pid_t pid, int from); /* -1: none */
unsigned seen_number(const struct seen *seen, enum fr_event_id event, pid_t pid);

uint64_t boot_ns(void);
uint64_t start_ticks(pid_t pid); /* field 22 of /proc/PID/stat: 1/100 s since boot */

/* A child that runs fn(arg) and leaves with what it returns. */
pid_t child(int (*fn)(void *), void *arg);
int child_end(pid_t pid, struct rusage *usage); /* status of wait */
int pause_forever(void *unused);

#endif
