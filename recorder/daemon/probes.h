/* SPDX-License-Identifier: MIT */
/*
 * probes.h - eBPF's events into the own ring.
 *
 * Owns: which probes are asked for, when their ring buffer is emptied, and that every drop is told: in the stream and in
 * the ledger. Programs stay in the kernel when the daemon stops or is killed, so that a restart misses nothing; they leave
 * it by `flightrecd --unload`, with [bpf] unload_at_stop, or when the machine restarts.
 */
#ifndef RECORDER_DAEMON_PROBES_H
#define RECORDER_DAEMON_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/core/paths.h"
#include "recorder/daemon/loop.h"

struct daemon;
struct fr_bpf;

struct probes {
	struct daemon *daemon;
	struct fr_bpf *bpf; /* NULL: none */
	struct loop_source *source;
	struct loop_timer timer, pause_timer;
	unsigned missing; /* enum fr_bpf_missing */
	char pin_dir[FR_PATH_MAX];
	bool paused, may_pause;
	bool skip_first; /* the sample that an earlier daemon recorded last may come again */
	bool measured; /* the kernel has timed the programs, at some looks */
	uint64_t taken, refused, looks;
};

void probes_open(struct daemon *daemon);
/* What waits in the ring buffer now. */
void probes_consume(struct probes *probes);
void probes_resume(struct probes *probes);
/* Takes what waits, and leaves the programs in the kernel unless `unload`. */
void probes_close(struct probes *probes, bool unload);
/* `flightrecd --unload`: removes programs that a daemon of this state directory left in the kernel. */
int probes_unload_pins(struct daemon *daemon);

#endif
