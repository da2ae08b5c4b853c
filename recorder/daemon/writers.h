/* SPDX-License-Identifier: MIT */
/*
 * writers.h - the rings that have a writer, and the moment when they have one no more.
 *
 * Owns: the table of rings in ring_dir. A ring enters when it is handed out, when it is found at start, or when it appears
 * (a library that found no daemon made it). It leaves when its file does. A death is noticed by pidfd, which names a process and
 * never its successor; where the kernel has none, by looking several times a second. The daemon keeps no descriptor of a ring and
 * never maps one: it opens it by name and reads with pread.
 */
#ifndef RECORDER_DAEMON_WRITERS_H
#define RECORDER_DAEMON_WRITERS_H

#include "recorder/core/ringfile.h"
#include "recorder/daemon/log.h"
#include "recorder/daemon/loop.h"

struct daemon;

enum writer_state {
	WRITER_LIVING,
	WRITER_DEAD, /* waits for its salvage, or is in it */
};

struct writer {
	struct writer *next;
	struct daemon *daemon;
	enum writer_state state;
	char name[FR_RING_NAME_MAX];
	uint8_t ring_id[16];
	char comm[16];
	uint32_t pid, uid;
	uint64_t start_time_ns;
	uint64_t stack_start; /* another one says that it ran another program since; 0: can't be known */
	uint64_t size; /* what the file has to have */
	uint32_t meta_size, lane_count;
	uint64_t lane_size;
	bool vouched; /* handed out by a daemon: its first bytes are remembered */
	bool this_boot;
	bool size_said;
	int pidfd; /* -1: looked at by start time */
	struct loop_source *source;
	uint64_t since_ns; /* when it came to us */
	/* salvage */
	unsigned attempts;
	uint64_t not_before_ns;
	int last_error;
	/* last look at its lanes */
	uint64_t records, discarded, looked_ns;
	double rate;
};

struct writers {
	struct writer *first;
	unsigned count, living;
	unsigned pidfds, pidfds_max; /* in use; the rest of the living are looked at */
	uint64_t bytes;		     /* of the living's rings */
	uint64_t waiting_bytes;	     /* of the dead's */
	int watch;		     /* inotify of ring_dir, -1: none */
	/* the same for writes to files there: rings are mapped, so nobody writes but us */
	int sizes;
	struct loop_source *sizes_source;
	struct loop_timer poll, check;
	bool polling;
	uint64_t deaths, abandoned;
	struct log_limit size_limit;
};

int writers_open(struct daemon *daemon); /* scans ring_dir, begins to watch it */
void writers_close(struct daemon *daemon);

/* writers_scan.c: all rings in ring_dir that are not in the table; then those that appear. */
void writers_scan(struct daemon *daemon, bool at_start);
void writers_watch(struct daemon *daemon);
/* writers_size.c: what a client adds to its ring goes again, soon. */
void writers_watch_sizes(struct daemon *daemon);
void writers_check_size(struct writer *writer);
/* Into the table as dead, for writers_scan.c. NULL when memory is short. */
struct writer *writers_enter(struct daemon *daemon, const char *name,
			     const struct frm_super *super);

/*
 * A ring that was just made for a process. `pidfd` (or -1) is taken over in any case. NULL when memory is short.
 */
struct writer *writers_add(struct daemon *daemon, const char *name, const struct frm_super *super,
			   int pidfd, bool vouched);
void writers_remove(struct writer *writer); /* from the table; the file is the caller's business */
struct writer *writers_find(struct daemon *daemon, const char *name);

/*
 * Rings of this process from before it ran another program: their end has come. Its memory map
 * would say, too, but may be as long as it likes, and reading it waits for whatever its threads
 * wait for.
 */
void writers_end_abandoned(struct daemon *daemon, uint32_t pid);

/* Living rings and their bytes of one user. */
void writers_of_user(const struct daemon *daemon, uint32_t uid, unsigned *ret_rings,
		     uint64_t *ret_bytes);
unsigned writers_of_process(const struct daemon *daemon, uint32_t pid);

/* Reads the lanes' heads: records, discarded, rate since the last look. */
void writers_look(struct writer *writer);
int writers_open_ring(const struct writer *writer, int flags); /* descriptor or negative errno */

#endif
