/* SPDX-License-Identifier: MIT */
/*
 * boots.h - which boots this machine had, and to which one a piece of foreign evidence belongs.
 *
 * Owns: the judgement. A kernel's last words don't name their boot, while rings do; both have to carry the same boot id or
 * one crash becomes two stories. What is known: STATE/boots, and the superblocks of rings and segments that lie around.
 *
 * A piece with a time of its own (pstore keeps when it was written) belongs to the newest boot that had begun by then. One
 * without belongs to the boot before this one. An archived one was moved early in the boot after its own. When none of that
 * leads to a boot we know, it gets a boot id of its own, made from its content: better a boot without a number than a wrong
 * one.
 */
#ifndef PSTORE_BOOTS_H
#define PSTORE_BOOTS_H

#include "pstore/spool.h"
#include "schemas/fr_format.h"

struct fr_boot {
	uint8_t id[16];
	uint64_t seq;	   /* 0 unknown */
	uint64_t start_real_ns; /* wall clock at its start, or when it was first seen; 0 unknown */
	uint64_t boot_ns, real_ns; /* the newest anchor: both clocks at one instant; 0 unknown */
	uint64_t suspended_ns;	   /* CLOCK_BOOTTIME less CLOCK_MONOTONIC at that instant; the kernel's log knows the latter */
};

struct fr_boots {
	struct fr_boot *boot; /* newest first, without the running one */
	size_t count;
	struct fr_boot current;
	uint8_t machine_id[16]; /* zeros: it has none */
};

/* Gathers what STATE/boots, the segments of the spool and these ring directories tell. */
int fr_boots_open(const struct fr_spool *spool, const char *const *ring_dirs, size_t ring_dir_count, struct fr_boots *boots);
void fr_boots_close(struct fr_boots *boots);

/*
 * The boot of a piece of evidence: written at `written_ns` (wall clock; 0 unknown), or archived at `archived_ns` (0: not from
 * an archive). NULL: none that we know.
 */
const struct fr_boot *fr_boots_find(const struct fr_boots *boots, uint64_t written_ns, uint64_t archived_ns);

/*
 * Gives the boots their numbers in STATE/boots before the running one takes its own, when that file is new: rings may
 * have survived where the state did not.
 */
void fr_boots_number(const struct fr_spool *spool, struct fr_boots *boots);

#endif
