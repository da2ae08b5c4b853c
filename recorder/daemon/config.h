/* SPDX-License-Identifier: MIT */
/*
 * config.h - what the administrator wants of the daemon.
 *
 * Owns: the daemon's sections of /etc/flightrec/flightrec.conf, their keys, bounds and defaults. The table in config.c is
 * the reference; the man page follows it.
 */
#ifndef RECORDER_DAEMON_CONFIG_H
#define RECORDER_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/core/gates.h"
#include "recorder/core/paths.h"

#define CONFIG_GATES_MAX 64

/* A kernel event that is switched on or off: [events] proc.fork = on */
#define CONFIG_EVENTS_MAX 64
struct config_event {
	uint16_t id; /* enum fr_event_id */
	bool on;
};

struct config {
	/* [store] */
	char ring_dir[FR_PATH_MAX]; /* "": STATE/rings */
	uint64_t ring_size;	    /* of a ring whose owner has no wish */
	uint64_t ring_size_max;
	uint64_t rings_max, rings_bytes_max;   /* of all, also of the dead until salvage */
	uint64_t uid_rings_max, uid_bytes_max; /* of one user's, who is not root */
	uint64_t sync_interval_ms; /* rings are written to the disk so often; 0: when the kernel likes */
	uint64_t sync_rate;	   /* bytes a second for one ring; 0: no limit */
	/* [server] */
	uint64_t connections_max;
	uint64_t request_timeout_ms;
	uint64_t attach_rate; /* rings handed out to one user in a second */
	uint64_t socket_mode;
	/* [system] */
	uint64_t system_ring_size;
	uint64_t drain_interval_ms; /* at the latest, what is new in it is copied to the spool */
	bool kernel_log;
	uint64_t kernel_log_level; /* syslog severity: this and graver */
	/* [bpf] */
	bool bpf;
	bool unload_at_stop;
	struct config_event event[CONFIG_EVENTS_MAX];
	unsigned event_count;
	/* [gates] */
	struct fr_gate_rule gate[CONFIG_GATES_MAX];
	unsigned gate_count;
};

/*
 * Reads the configuration. `path` NULL: $FLIGHTREC_CONFIG or the default file. 0, or negative errno and one line in `error`;
 * *ret_config is untouched then. Unknown keys cost a line of the log each.
 */
int config_load(const char *path, struct config *ret_config, char *error, size_t error_size);

/* Says what a reload can't change, and keeps it as it was. */
void config_keep_fixed(const struct config *old, struct config *new);

/* Section and key of row `i` and its value as text; false past the last. For status and the man page's test. */
bool config_describe(const struct config *config, size_t i, const char **section, const char **key,
		     char *value, size_t size);

#endif
