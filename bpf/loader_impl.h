/* SPDX-License-Identifier: MIT */
/*
 * loader_impl.h - what the loader's files share: loader.c (life, reading), pins.c (what outlives
 * us), attach.c (which program, how), kernel.c (what the kernel has).
 */
#ifndef BPF_LOADER_IMPL_H
#define BPF_LOADER_IMPL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/knobs.h"
#include "bpf/loader.h"
#include "recorder/core/catalogue.h"

struct fr_bpf_hook {
	struct fr_bpf_probe probe;
	int link_fd; /* -1: none */
	int prog_fd;
	int perf_fd; /* a classic tracepoint on a kernel without links for it */
};

#define FR_BPF_EXITS 16

struct fr_bpf {
	struct fr_bpf_options options;
	char pin_dir[256]; /* empty: no pins */
	int pin_fd;	   /* the directory, locked */
	unsigned missing;
	bool resumed;
	struct fr_bpf_knobs knobs;
	uint64_t build;
	int events_fd, counts_fd, ledger_fd, stats_fd;
	int epoll_fd, timer_fd;
	struct fr_bpf_ledger ledger;
	const uint64_t *read_pos, *write_pos; /* the buffer's own, mapped; NULL: not to be had */
	struct ring_buffer *ring, *previous; /* previous: left by other stamps, read first */
	int previous_fd[8];
	unsigned previous_count;
	struct fr_bpf_hook hook[FR_CLASS_COUNT];
	char last_line[160]; /* the last line of the verifier that says anything */

	/* while consuming */
	fr_bpf_event_fn fn;
	void *fn_ctx;
	unsigned taken, max;
	int fn_result;
	struct {
		uint32_t pid;
		uint64_t start_time_ns;
	} exits[FR_BPF_EXITS]; /* the last ones: an old kernel may tell of one twice */
	unsigned next_exit;
};

__attribute__((format(printf, 3, 4)))
void fr_bpf_log(struct fr_bpf *bpf, int level, const char *format, ...);
/* Marks a probe as failed. */
void fr_bpf_fail(struct fr_bpf *bpf, unsigned class_no, const char *why);
static inline uint16_t fr_bpf_event_id(unsigned class_no)
{
	return fr_catalogue_by_class(class_no)->id;
}

/* kernel.c */
struct fr_bpf_kernel {
	struct btf *btf; /* of vmlinux; NULL: none */
	char tracefs[64]; /* empty: none */
};
void fr_bpf_kernel_open(struct fr_bpf *bpf, struct fr_bpf_kernel *kernel);
void fr_bpf_kernel_close(struct fr_bpf_kernel *kernel); /* forgets the types */
bool fr_bpf_kernel_bpffs(struct fr_bpf *bpf, const char *dir); /* mounts /sys/fs/bpf if it may */
bool fr_bpf_kernel_boot_clock(void);
/* Is the hook there? If not, *ret_why says so. */
bool fr_bpf_kernel_typed(const struct fr_bpf_kernel *kernel, const char *tracepoint,
			 const char **ret_why);
bool fr_bpf_kernel_classic(const struct fr_bpf_kernel *kernel, const char *path,
			   const char **ret_why);
int fr_bpf_kernel_tracepoint_id(const struct fr_bpf_kernel *kernel, const char *path);

/* attach.c: loads and attaches every probe that is FR_BPF_FAILED and has no reason yet. */
void fr_bpf_attach(struct fr_bpf *bpf);
uint64_t fr_bpf_build_hash(const struct fr_bpf *bpf);

/* pins.c */
/* Locks; finds what is ours, sets aside what is not; -EBUSY. */
int fr_bpf_pins_open(struct fr_bpf *bpf);
void fr_bpf_pins_maps(struct fr_bpf *bpf);   /* pins new maps, before anything is attached */
void fr_bpf_pins_probe(struct fr_bpf *bpf, unsigned class_no); /* pins a new link */
void fr_bpf_pins_stamp(struct fr_bpf *bpf);  /* last of all: from here on the pins are whole */
/* Ring buffers of other stamps, oldest first; -1: no more. */
int fr_bpf_pins_previous(const struct fr_bpf *bpf, unsigned n);
void fr_bpf_pins_drained(struct fr_bpf *bpf); /* they were read to their end */
void fr_bpf_pins_remove(struct fr_bpf *bpf);

#endif
