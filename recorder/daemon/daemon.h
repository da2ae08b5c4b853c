/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - flightrecd as one struct: what its parts need of each other.
 *
 *	main.c		options, lifetime, signals; places.c: directories and the lock
 *	config.c	what the administrator wants
 *	loop.c		waiting for everything; worker.c: jobs in children; log.c: lines; notify.c: the service manager
 *	own.c		the daemon's ring; kmsg.c, probes.c: its sources; resume.c: where the sources went on
 *	writers.c	rings of living writers; writers_scan.c: those that are found; writers_size.c: how large;
 *			pstore/vouch.h: whose they are
 *	death.c		how a writer ended; salvage_queue.c: what happens then
 *	server.c	the socket; request.c: a packet; attach.c: a ring for a client; status.c: the state as JSON
 *	policy.c	gates
 *	sync.c, syncer.c	rings on the disk before the power goes, by a process of its own
 */
#ifndef RECORDER_DAEMON_DAEMON_H
#define RECORDER_DAEMON_DAEMON_H

#include "recorder/daemon/config.h"
#include "recorder/daemon/kmsg.h"
#include "recorder/daemon/log.h"
#include "recorder/daemon/loop.h"
#include "recorder/daemon/own.h"
#include "recorder/daemon/policy.h"
#include "recorder/daemon/probes.h"
#include "recorder/daemon/resume.h"
#include "recorder/daemon/salvage_queue.h"
#include "recorder/daemon/server.h"
#include "recorder/daemon/status.h"
#include "recorder/daemon/sync.h"
#include "recorder/daemon/writers.h"

#define DAEMON_MISSING_MAX 12

struct daemon {
	struct config config;
	const char *config_path; /* --config, or NULL */
	char state[FR_PATH_MAX], runtime[FR_PATH_MAX], ring_dir[FR_PATH_MAX];
	uint8_t boot_id[16];
	uint64_t boot_seq;
	uint64_t start_ns;
	bool no_bpf;
	bool ring_dir_dax; /* measured: a mapping with MAP_SYNC worked there */
	int lock;
	struct loop loop;
	struct own own;
	struct writers writers;
	struct salvage_queue queue;
	struct sync sync;
	struct server server;
	struct status_text status;
	struct policy policy;
	struct kmsg kmsg;
	struct probes probes;
	struct resume resume;
	char missing[DAEMON_MISSING_MAX][256];
	unsigned missing_count;
	char stop_reason[64];
};

/* A feature that is not there: one line in the log, and in the status. `what` names it, `why` ends with what to do. */
void daemon_missing(struct daemon *daemon, const char *what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* It is there after all: no more in the status. */
void daemon_found(struct daemon *daemon, const char *what);
/* After a pause that own_wants_pause() asked for. */
void daemon_resume_sources(struct daemon *daemon);

#endif
