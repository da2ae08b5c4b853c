/* SPDX-License-Identifier: MIT */
/*
 * witness.h - what a single event says of a death.
 *
 * Owns: the list of events that incidents are made of, and whom to believe: what the kernel says counts only in the
 * rings of those who may speak for it (the daemon's, and what was harvested), what the daemon says in its own; an
 * application can write what it likes into its ring, so its fr.crash counts for itself alone.
 */
#ifndef UPLOADER_WITNESS_H
#define UPLOADER_WITNESS_H

#include "uploader/db.h"

enum fr_witness {
	FR_WITNESS_EXIT = 1, /* proc.exit: the process is gone, and how */
	FR_WITNESS_SENT,     /* sig.generate: somebody sent it a signal */
	FR_WITNESS_FAULT,    /* sig.deliver: it caused a fault */
	FR_WITNESS_OOM,	     /* mem.oom_kill: the kernel chose it */
	FR_WITNESS_CRASH,    /* fr.crash: its own handler saw the signal */
	FR_WITNESS_PANIC,    /* kernel.panic */
	FR_WITNESS_DIED,     /* fr.process_died: the daemon saw it go, and asked the kernel how */
};

#define FR_WITNESS_CORE	      1
#define FR_WITNESS_KNOWN      2
#define FR_WITNESS_NO_HANDLER 4

struct fr_witness_row {
	enum fr_witness kind;
	int64_t event, boot, ring, process; /* rows */
	uint64_t time_ns, start_time_ns, address;
	uint32_t pid, other_pid, uid;
	int32_t signal, code;
	unsigned flags;
	char text[256]; /* FR_WITNESS_OOM: the victim's name, SENT: the sender's, PANIC: the reason */
};

/* 0: an event like any other. */
enum fr_witness fr_witness_kind(uint32_t ring_kind, const struct fr_image *image, const struct fr_event_desc *desc);
/* Fills in what the event says; kind is set. False: nothing that counts. */
bool fr_witness_read(const struct fr_event *event, struct fr_witness_row *row);
int fr_witness_put(struct fr_index *index, const struct fr_witness_row *row);

#endif
