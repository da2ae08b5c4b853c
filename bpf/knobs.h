/* SPDX-License-Identifier: MIT */
/*
 * knobs.h - what the loader tells the programs before they are loaded: read-only, so that the
 * verifier cuts away what is off. Shared by both worlds.
 */
#ifndef BPF_KNOBS_H
#define BPF_KNOBS_H

#include "schemas/fr_kevent.h"

struct fr_bpf_knobs {
	/* bit n - 1: signal n is recorded although the target handles it */
	uint64_t signals_always;
	/* bit n - 1: signal n's delivery is recorded when the kernel raised it */
	uint64_t signals_fault;
	uint32_t page_kib;
	uint32_t wakeup_bytes;	 /* so much waiting wakes the reader, soon */
	uint32_t boot_clock;	 /* 1: bpf_ktime_get_boot_ns() is there */
	uint32_t reserved;
};

/* Small facts that have to outlive the daemon: values of array maps with one entry. */
struct fr_bpf_stamp {
	uint64_t build; /* hash of the programs, their knobs and the ring buffer's size */
	uint8_t variant[FR_CLASS_COUNT];
	char hook[FR_CLASS_COUNT][48];
};

/* By event id, because maps may be handed from one build to another. */
struct fr_bpf_ledger {
	/* drops of maps that were replaced, samples that could not be read */
	uint64_t carried[FR_KEVENT_ID_END];
	uint64_t told[FR_KEVENT_ID_END];    /* drops that were written into a ring */
};

#endif
