/* SPDX-License-Identifier: MIT */
/*
 * loader.h - gets the eBPF programs into the kernel, and their events out of it.
 *
 * Owns: everything that touches libbpf. Who includes this needs no libbpf header, and links
 * libfr_bpf and $(BPF_LIBS); a build without libbpf links the same functions, and fr_bpf_open()
 * says FR_BPF_NO_BUILD.
 *
 * LIFE. Maps, programs and links are pinned below pin_dir, so that they outlive the daemon: a
 * daemon that is killed and started again finds them, goes on reading where it stopped, and gets
 * what happened meanwhile, up to the size of the ring buffer; what did not fit was counted, in a
 * map that is pinned too. Pins of another build or other options are replaced; what was left in
 * their ring buffer is read first. Without bpffs everything works but that.
 *
 * A killed daemon may have been given its last event and not have said so: that one comes a second
 * time.
 *
 * NEVER FATAL. Each event is one probe. What the kernel has decides how it is attached: tp_btf,
 * else a raw tracepoint, else a classic tracepoint (which needs tracefs, and no BTF). A probe that
 * can't be attached says why, the others go on.
 *
 * Functions return 0 or negative errno, block only for system calls, write nothing to stderr, and
 * belong to one thread: libbpf's log is one for the whole program.
 */
#ifndef BPF_LOADER_H
#define BPF_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/fr_kevent.h"

struct fr_bpf;

#define FR_BPF_PIN_DIR	     "/sys/fs/bpf/flightrec"
#define FR_BPF_RINGBUF_BYTES (4u << 20) /* 30,000 events: 60 ms of half a million a second */

struct fr_bpf_options {
	size_t size;		 /* sizeof(struct fr_bpf_options) */
	const char *pin_dir;	 /* NULL: FR_BPF_PIN_DIR; "": no pins */
	uint32_t ringbuf_bytes; /* rounded up to a power of two; 0: FR_BPF_RINGBUF_BYTES */
	/* so much waiting wakes the reader, or a few events more do; 0: an eighth of the ring buffer; 1: each event */
	uint32_t wakeup_bytes;
	/* names ("proc.exec") of those to have; NULL: those that are on by default */
	const char *const *events;
	unsigned event_count;
	unsigned without; /* NO_BTF, NO_BPFFS, NO_TRACEFS: do as if they were missing */
	/* libbpf's lines and ours, without newline; 0 warning, 1 info, 2 debug; may be NULL */
	void (*log)(void *ctx, int level, const char *line);
	void *log_ctx;
};

/* What is missing: bits. Each has a line that says what it costs and what to do. */
enum fr_bpf_missing {
	FR_BPF_NO_BUILD = 0x1,	   /* fatal: built without libbpf */
	FR_BPF_NO_SYSCALL = 0x2,   /* fatal: the kernel has no bpf() */
	FR_BPF_NO_PRIVILEGE = 0x4, /* fatal */
	FR_BPF_NO_RINGBUF = 0x8,   /* fatal: the kernel is older than the BPF ring buffer (5.8) */
	FR_BPF_IN_USE = 0x10,	   /* fatal: another recorder holds the pins */
	FR_BPF_NO_BTF = 0x20,	   /* classic tracepoints: no parent, start time, exit code */
	FR_BPF_NO_TRACEFS = 0x40,  /* no classic tracepoints; matters only without BTF */
	FR_BPF_NO_BPFFS = 0x80,	   /* nothing survives a kill of the daemon */
	FR_BPF_NO_BOOT_CLOCK = 0x100, /* converted from CLOCK_MONOTONIC: off after a suspend */
};
#define FR_BPF_MISSING_BITS 9
const char *fr_bpf_missing_text(enum fr_bpf_missing bit);

/*
 * -EOPNOTSUPP (NO_BUILD, NO_RINGBUF), -ENOSYS, -EPERM, -EBUSY (IN_USE), -EINVAL an unknown event,
 * -ENOMEM, or what the kernel says. *ret_missing is set in any case and may hold bits on success.
 * Probes that failed are no error here. Mounts bpffs on /sys/fs/bpf, and tracefs when it is needed,
 * if they are missing and it may.
 */
int fr_bpf_open(const struct fr_bpf_options *options, struct fr_bpf **ret_bpf,
		unsigned *ret_missing);

/* Leaves the pins: the programs go on recording. Without pins everything ends here. Takes NULL. */
void fr_bpf_close(struct fr_bpf *bpf);
/* Removes the pins, then closes: the programs leave the kernel, unread events too. Takes NULL. */
void fr_bpf_unload(struct fr_bpf *bpf);

bool fr_bpf_resumed(const struct fr_bpf *bpf); /* the maps were found pinned */

/*
 * Becomes readable at once when an event does not want to wait (a signal, a death by one, a memory
 * kill, an error) or when wakeup_bytes are waiting, and otherwise every FR_BPF_PERIOD_MS, so that a
 * quiet event is late by that at most: waking the reader costs the process that execs or exits ten
 * times what recording does. After fr_bpf_open() consume once without waiting for it.
 */
#define FR_BPF_PERIOD_MS 250
int fr_bpf_fd(const struct fr_bpf *bpf);

/*
 * Times in `event` are CLOCK_BOOTTIME. Whatever it returns the event counts as taken; anything but
 * 0 ends fr_bpf_consume().
 */
typedef int (*fr_bpf_event_fn)(void *ctx, const struct fr_kevent *event, size_t size);

/*
 * Gives out at most `max` events (0: all there are), oldest first. Their number, or what the
 * callback returned.
 */
int fr_bpf_consume(struct fr_bpf *bpf, unsigned max, fr_bpf_event_fn fn, void *ctx);

/* Of the ring buffer, 0 to 100: what waits to be read. */
unsigned fr_bpf_fill_percent(const struct fr_bpf *bpf);

/* Totals over all CPUs since the maps were made. `class_no` is enum fr_kevent_class. */
int fr_bpf_count(const struct fr_bpf *bpf, unsigned class_no, struct fr_kevent_count *ret_count);

/*
 * Drops that nobody has been told of yet, also those of a daemon before. Tell (write the loss into
 * the ring), then confirm: a daemon that is killed between tells again, it never forgets.
 */
uint64_t fr_bpf_drops(const struct fr_bpf *bpf, unsigned class_no);
int fr_bpf_drops_told(struct fr_bpf *bpf, unsigned class_no, uint64_t count);

enum fr_bpf_state {
	FR_BPF_OFF,	 /* not asked for */
	FR_BPF_ATTACHED,
	FR_BPF_RESUMED,	 /* was pinned by a daemon before, and went on all the while */
	FR_BPF_FAILED,	 /* `why` tells */
};
enum fr_bpf_variant {
	FR_BPF_NONE,
	FR_BPF_TP_BTF,
	FR_BPF_RAW_TP,
	FR_BPF_TRACEPOINT,
};
struct fr_bpf_probe {
	uint16_t event; /* enum fr_event_id */
	const char *name; /* "proc.exec" */
	enum fr_bpf_state state;
	enum fr_bpf_variant variant;
	bool pinned;
	char hook[48]; /* "sched_process_exec" */
	char why[160]; /* one line, empty when there is nothing to say */
};
/* -ENOENT past the last. Iterate class_no from 0. */
int fr_bpf_probe(const struct fr_bpf *bpf, unsigned class_no, struct fr_bpf_probe *ret_probe);
/* "off", "attached", "resumed", "failed" */
const char *fr_bpf_state_name(enum fr_bpf_state state);
/* "", "tp_btf", "raw_tp", "tracepoint" */
const char *fr_bpf_variant_name(enum fr_bpf_variant variant);

struct fr_bpf_cost {
	uint64_t run_count; /* of the runs that were timed since the program was loaded */
	uint64_t run_time_ns;
};
/*
 * Lets the kernel time the runs of all its eBPF programs, or no longer; 0 or a negative errno. That is two clock reads a
 * run, which can take longer than all the rest of it: for samples.
 */
int fr_bpf_measure(struct fr_bpf *bpf, bool on);
/* -ENODATA when the probe is not attached; zeros when nothing was timed. */
int fr_bpf_cost(const struct fr_bpf *bpf, unsigned class_no, struct fr_bpf_cost *ret_cost);

#endif
