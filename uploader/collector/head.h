/* SPDX-License-Identifier: MIT */
/*
 * head.h - the header line of a batch, checked: the table "Header" of schemas/WIRE.md.
 *
 * Owns: every rule about the header. JSON is read by SQLite's functions; what comes out of them is bounded and typed here.
 */
#ifndef UPLOADER_COLLECTOR_HEAD_H
#define UPLOADER_COLLECTOR_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sqlite3;

struct fr_head_range {
	uint32_t g;
	uint64_t first, last;
	int64_t base_ns;
};

struct fr_head_lane {
	uint8_t ring[16];
	int64_t lane, process, tid;
};

struct fr_head_provider {
	uint8_t guid[16];
	char *name;
};

struct fr_head_kind {
	char *name;
	int64_t provider, level, keywords;
};

struct fr_head_process {
	int64_t pid, ppid, uid, gid, start_ns;
	char *comm, *cgroup;
};

struct fr_head {
	uint8_t id[16], database[16], machine[16], boot[16];
	int64_t created_ns, boot_seq, events;
	char *host, *agent;
	struct fr_head_range *range;
	struct fr_head_lane *lane;
	struct fr_head_provider *provider;
	struct fr_head_kind *kind;
	struct fr_head_process *process;
	char **session;
	size_t ranges, lanes, providers, kinds, processes, sessions;
};

/* `line` is terminated and known to be JSON. -EPROTO: a rule does not hold, `why` says which; -ENOMEM. */
int fr_head_read(struct sqlite3 *db, const char *line, struct fr_head *ret_head, char *why, size_t why_size);
void fr_head_done(struct fr_head *head);

#endif
