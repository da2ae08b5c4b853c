/* SPDX-License-Identifier: MIT */
/*
 * status.h - the daemon's state as one JSON object, the answer to FR_PROTO_STATUS.
 *
 *	{"version":"0.1.0","pid":1,"uptime_ns":1,"boot_id":"...","boot_seq":1,
 *	 "state_dir":"...","runtime_dir":"...",
 *	 "stores":[{"path":"...","tier":"file|dax","measured":"...","rings":1,"bytes":1,"free_bytes":1,
 *	            "sync":{"interval_ms":50,"window_ns":1,"worst_window_ns":1,"pid":1,"rings":1,"syncs":1,
 *	                    "bytes":1,"held":0,"errors":0,"failing":false,"cpu_ns":1} or null}],
 *	 "own_ring":{"ring":"...","bytes":1,"lanes":[{"name":"kernel","records":1,"discarded":0,"unsaved_bytes":1,"bytes":1}],
 *	             "drains":1,"drain_failures":0} or null,
 *	 "writers_total":1,"writers":[{"pid":1,"comm":"...","uid":1,"ring":"...","bytes":1,"since_ns":1,"vouched":true,
 *	             "pidfd":true,"records":1,"rate":1.5,"discarded":0,"providers":["acme.shop"]}],   as many as fit
 *	 "salvage":{"waiting":0,"salvaged":1,"records":1,"quarantined":0,"failed":0},
 *	 "probes":[{"event":"proc.exec","state":"attached","variant":"tp_btf","hook":"...","why":"","emitted":1,"dropped":0,
 *	            "run_count":1,"run_time_ns":1}],
 *	 "losses":{"kernel buffer full":0,...},      by fr_loss_name(), of the own ring's ledger, this daemon's life
 *	 "kernel_log":{"lines":1,"recorded":1,"lost":0} or null,
 *	 "server":{"requests":1,"refused":0,"dropped":0,"timed_out":0},
 *	 "cost":{"cpu_ns":1,"rss_bytes":1,"bpf_run_time_ns":1,"bpf_run_count":1,"bpf_measured":true},
 *	 "config":{"file":"...","store.ring_size":"1048576",...},"gates":["acme.shop 5 0x0 set"],
 *	 "missing":[{"feature":"eBPF","why":"..."}]}
 *
 * New members may come at any place. What it takes to look into each ring is spent once a second,
 * however many users ask; root and the recorder's own user get fresh figures.
 */
#ifndef RECORDER_DAEMON_STATUS_H
#define RECORDER_DAEMON_STATUS_H

#include "recorder/daemon/server.h"

/* The newest answer, for those who may not have one made for themselves. */
struct status_text {
	char *text; /* NULL: none is kept */
	uint64_t made_ns;
};

void status_answer(struct daemon *daemon, const struct server_peer *peer);
/* "3 programs, 12.0 MiB of rings, 6 probes": for the service manager. */
void status_line(struct daemon *daemon, char *line, size_t size);
uint64_t status_rss_bytes(void);

#endif
