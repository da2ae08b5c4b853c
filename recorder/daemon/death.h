/* SPDX-License-Identifier: MIT */
/*
 * death.h - how a process ended, as far as the kernel tells without eBPF.
 *
 * A process that just died is a zombie until its parent asks: until then /proc has its exit status. After that the pidfd
 * has it (Linux 6.15). Neither is certain to be there: then it "vanished".
 */
#ifndef RECORDER_DAEMON_DEATH_H
#define RECORDER_DAEMON_DEATH_H

#include <stddef.h>
#include <stdint.h>

/* Writes "signal 9 (KILL)", "signal 11 (SEGV), core dumped", "exit code 3" or "vanished". `pidfd` may be -1. */
void death_how(uint32_t pid, uint64_t start_time_ns, int pidfd, char *how, size_t size);

#endif
