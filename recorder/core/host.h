/* SPDX-License-Identifier: MIT */
/*
 * host.h - who and where we are: boot and machine ids, the boot's number, a process's identity, clocks.
 */
#ifndef RECORDER_CORE_HOST_H
#define RECORDER_CORE_HOST_H

#include <sys/types.h>

#include "recorder/core/map.h"

int fr_host_boot_id(uint8_t boot_id[16]);
int fr_host_machine_id(uint8_t machine_id[16]); /* zeros and -errno; -ENOENT when the machine has none */
/*
 * Number of a boot on this machine, from 1, kept in STATE/boots (one line a boot: number, boot id, first seen in
 * seconds of the wall clock), because a machine without a real-time clock can't sort boots by date. Assigns the next
 * number to a boot that is new, durably: a ring that says it may outlive a power cut. 0 when it
 * can't be known.
 */
uint64_t fr_host_boot_seq(const char *state_dir, const uint8_t boot_id[16]);
/*
 * Locks a file or directory (flock, exclusively, until its descriptor is closed). False when others hold it for half a
 * second: whoever may read it may lock it, and must not stop us by that.
 */
bool fr_host_lock(int fd);
/*
 * Opens a log for appending, made with `mode` when it is not there, and locks it, shared, until its
 * descriptor is closed: while it is held nobody puts a shorter file in its place
 * (uploader/compact.h). Returns the descriptor, -EBUSY when that is being done for longer than
 * `wait_ms`, or what open says. After fork allowed.
 */
int fr_host_open_log(const char *path, mode_t mode, unsigned wait_ms);
/* Fills what /proc tells of a process. -ESRCH when it is gone. */
int fr_host_identity(pid_t pid, struct fr_identity *identity);
/* No process has that number: one that /proc hides from us (hidepid) is not gone. */
bool fr_host_gone(pid_t pid);
/* Start time of a process since boot in ns; 0 when it is gone, or hidden from us. */
uint64_t fr_host_start_time_ns(pid_t pid);
/* Where its stack begins: another address after each exec. 0 when it is gone, or we may not know. */
uint64_t fr_host_stack_start(pid_t pid);
/*
 * True when the process that the superblock names still runs, in this boot; and when that can't be known, because there is
 * no /proc or the number belongs to another pid namespace: a ring that may be in use is left alone.
 */
bool fr_host_writer_alive(const struct frm_super *super);

uint64_t fr_clock_boot_ns(void);
uint64_t fr_clock_real_ns(void);
uint64_t fr_clock_mono_ns(void);

#endif
