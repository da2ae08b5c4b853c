/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "recorder/cli/cli.h"
#include "recorder/cli/look.h"
#include "recorder/cli/status.h"

static void heading(const struct fr_term *term, struct fr_out *out, const char *text)
{
	fr_out_printf(out, "%s%-10s%s ", fr_paint(term, FR_BOLD), text, fr_paint(term, FR_PLAIN));
}

static void escaped(struct fr_out *out, const char *text)
{
	fr_out_escaped(out, text, strlen(text));
}

/* ------------------------------------------------------------------ the daemon's words */

static void probes(const struct fr_term *term, const char *json, struct fr_out *out)
{
	unsigned on = 0, all = 0;
	uint64_t dropped = 0;
	char text[256];

	for (const char *probe = fr_look_first(fr_look(json, "probes")); probe; probe = fr_look_next(probe)) {
		fr_look_string(fr_look(probe, "state"), text, sizeof(text));
		all++;
		on += strcmp(text, "attached") == 0 || strcmp(text, "resumed") == 0;
		dropped += fr_look_number(fr_look(probe, "dropped"));
	}
	if (!all)
		return;
	heading(term, out, "eBPF");
	fr_out_printf(out, "%u of %u probes record", on, all);
	if (dropped)
		fr_out_printf(out, ", %s events dropped", fr_count_text(text, dropped));
	fr_out_char(out, '\n');
	for (const char *probe = fr_look_first(fr_look(json, "probes")); probe; probe = fr_look_next(probe)) {
		fr_look_string(fr_look(probe, "state"), text, sizeof(text));
		if (strcmp(text, "failed") != 0)
			continue;
		fr_out_put(out, "           ");
		escaped(out, fr_look_string(fr_look(probe, "event"), text, sizeof(text)));
		fr_out_put(out, " failed: ");
		escaped(out, fr_look_string(fr_look(probe, "why"), text, sizeof(text)));
		fr_out_char(out, '\n');
	}
}

static void cost(const struct fr_term *term, const char *json, struct fr_out *out)
{
	const char *cost = fr_look(json, "cost");
	uint64_t uptime_ns = fr_look_number(fr_look(json, "uptime_ns")), cpu_ns = fr_look_number(fr_look(cost, "cpu_ns"));
	uint64_t runs = fr_look_number(fr_look(cost, "bpf_run_count"));
	char text[32];

	if (!cost)
		return;
	heading(term, out, "Cost");
	fr_out_printf(out, "%.2f %% of one CPU", uptime_ns ? 100.0 * (double)cpu_ns / (double)uptime_ns : 0.0);
	fr_out_printf(out, ", %s resident", fr_size_text(text, fr_look_number(fr_look(cost, "rss_bytes"))));
	if (runs)
		fr_out_printf(out, ", eBPF %s a run",
			      fr_duration_text(text, fr_look_number(fr_look(cost, "bpf_run_time_ns")) / runs));
	fr_out_char(out, '\n');
}

static void daemon_part(const struct status *status, const struct fr_term *term, struct fr_out *out)
{
	const char *json = status->daemon;
	char text[512];

	heading(term, out, "Daemon");
	if (!json) {
		if (status->daemon_error == -ENOENT)
			fr_out_put(out, "not running: applications keep their own rings; no kernel events\n");
		else
			fr_out_printf(out, "%sno answer%s: %s\n", fr_paint(term, FR_RED), fr_paint(term, FR_PLAIN),
				      fr_why(status->daemon_error));
		return;
	}
	fr_out_put(out, "flightrecd ");
	escaped(out, fr_look_string(fr_look(json, "version"), text, sizeof(text)));
	fr_out_printf(out, ", pid %llu, up ", (unsigned long long)fr_look_number(fr_look(json, "pid")));
	fr_out_put(out, fr_duration_text(text, fr_look_number(fr_look(json, "uptime_ns"))));
	fr_out_printf(out, ", boot %llu\n", (unsigned long long)fr_look_number(fr_look(json, "boot_seq")));
	cost(term, json, out);
	probes(term, json, out);
	for (const char *missing = fr_look_first(fr_look(json, "missing")); missing; missing = fr_look_next(missing)) {
		heading(term, out, "Missing");
		escaped(out, fr_look_string(fr_look(missing, "feature"), text, sizeof(text)));
		fr_out_put(out, ": ");
		escaped(out, fr_look_string(fr_look(missing, "why"), text, sizeof(text)));
		fr_out_char(out, '\n');
	}
}

/* ------------------------------------------------------------------ what lies there */

/*
 * What a power cut takes, as the daemon has measured it. Whoever has no disk to wait for has
 * nothing to say.
 */
static void power_line(const struct status *status, const struct store_status *store,
		       const struct fr_term *term, struct fr_out *out)
{
	char path[FR_PATH_MAX], text[32];
	const char *theirs = fr_look_first(fr_look(status->daemon, "stores")),
		   *sync = fr_look(theirs, "sync");
	bool ours = strcmp(fr_look_string(fr_look(theirs, "path"), path, sizeof(path)), store->path) == 0;

	if (strcmp(store->tier, "file") != 0)
		return;
	fr_out_printf(out, "           %s", fr_paint(term, FR_DIM));
	if (!ours || !fr_look(sync, "window_ns")) {
		fr_out_printf(
			out,
			"nobody syncs: a power cut takes what the kernel has not written back (30 s)%s\n",
			fr_paint(term, FR_PLAIN));
		return;
	}
	fr_out_printf(out, "a power cut takes the last %s",
		      fr_duration_text(text, fr_look_number(fr_look(sync, "window_ns"))));
	fr_out_printf(out, " (measured; at worst %s)",
		      fr_duration_text(text, fr_look_number(fr_look(sync, "worst_window_ns"))));
	if (fr_look_number(fr_look(sync, "held")))
		fr_out_printf(out, "; %s syncs held back by sync_rate",
			      fr_count_text(text, fr_look_number(fr_look(sync, "held"))));
	fr_out_printf(out, "%s\n", fr_paint(term, FR_PLAIN));
	if (fr_look_true(fr_look(sync, "failing")))
		fr_out_printf(
			out,
			"           %sthe disk refuses%s: the daemon's log says which ring and why\n",
			fr_paint(term, FR_RED), fr_paint(term, FR_PLAIN));
}

static void stores_part(const struct status *status, const struct fr_term *term, struct fr_out *out)
{
	char text[32];

	for (size_t i = 0; i < status->store_count; i++) {
		const struct store_status *store = &status->stores[i];

		heading(term, out, "Store");
		escaped(out, store->path);
		fr_out_printf(out, ": %s (%s)\n           ", store->tier, store->measured);
		fr_out_printf(out, "%llu ring%s, %s", (unsigned long long)store->rings, store->rings == 1 ? "" : "s",
			      fr_size_text(text, store->bytes));
		fr_out_printf(out, ", %s free\n", fr_size_text(text, store->free_bytes));
		if (*store->survives)
			fr_out_printf(out, "           %s%s%s\n", fr_paint(term, FR_DIM), store->survives, fr_paint(term, FR_PLAIN));
		power_line(status, store, term, out);
	}
}

/* On a line of its own, since most rings have nothing to say here. */
static void lost_line(const struct ring_status *ring, const struct fr_term *term, struct fr_out *out)
{
	char text[32];
	bool any = false;

	for (unsigned cause = 0; cause < FRM_LOSS_COUNT; cause++) {
		if (!ring->lost[cause] || cause == FRM_LOSS_OVERWRITTEN)
			continue;
		if (!any)
			fr_out_put(out, fr_paint(term, FR_YELLOW));
		fr_out_printf(out, "%s%s %s", any ? ", " : "    lost ", fr_count_text(text, ring->lost[cause]), fr_loss_name(cause));
		any = true;
	}
	if (any)
		fr_out_printf(out, "%s\n", fr_paint(term, FR_PLAIN));
}

/* "2 min 5 s to 3 s ago" is how far the ring's memory reaches back; of another boot, only its length means something. */
static void horizon_columns(const struct status *status, const struct ring_status *ring, struct fr_out *out)
{
	char length[32] = "-", newest[40] = "-";

	if (ring->events) {
		uint64_t ago = status->now_ns > ring->newest_ns ? status->now_ns - ring->newest_ns : 0;
		char text[32];

		fr_duration_short(length, ring->newest_ns - ring->oldest_ns);
		if (ring->this_boot)
			snprintf(newest, sizeof(newest), "%s ago", fr_duration_short(text, ago));
		else
			snprintf(newest, sizeof(newest), "earlier boot");
	}
	fr_out_printf(out, " %9s %12s", length, newest);
}

static void ring_line(const struct status *status, const struct ring_status *ring, const struct fr_term *term, struct fr_out *out)
{
	const char *state = ring->alive ? "alive" : ring->gone ? "DEAD" : "ended";
	enum fr_paint paint = ring->alive ? FR_GREEN : ring->gone ? FR_RED : FR_PLAIN;
	size_t before;
	char text[32];

	fr_out_put(out, "  ");
	if (ring->error) {
		escaped(out, ring->path);
		fr_out_printf(out, ": %s\n", ring->error == -EACCES ? fr_why(ring->error) : fr_image_strerror(ring->error));
		return;
	}
	before = out->size;
	escaped(out, ring->super.comm);
	fr_out_printf(out, "[%u]", ring->super.pid);
	if (out->size - before < 22)
		fr_out_pad(out, 22 - (out->size - before));
	fr_out_printf(out, " %s%-5s%s", fr_paint(term, paint), state, paint ? fr_paint(term, FR_PLAIN) : "");
	fr_out_printf(out, " %7s", fr_size_text(text, ring->super.ring_size));
	fr_out_printf(out, " %10s", fr_count_text(text, ring->events));
	horizon_columns(status, ring, out);
	if (ring->alive && ring->rate >= 0.1)
		fr_out_printf(out, ring->rate < 10 ? " %5.1f/s\n" : " %5.0f/s\n", ring->rate);
	else
		fr_out_printf(out, " %7s\n", "-");
	lost_line(ring, term, out);
}

static void rings_part(const struct status *status, const struct fr_term *term, struct fr_out *out)
{
	if (!status->ring_count)
		return;
	fr_out_printf(out, "\n%s  %-22s %-5s %7s %10s %9s %12s %7s%s\n", fr_paint(term, FR_DIM), "WRITER", "STATE", "RING",
		      "EVENTS", "HORIZON", "NEWEST", "RATE", fr_paint(term, FR_PLAIN));
	for (size_t i = 0; i < status->ring_count; i++)
		ring_line(status, &status->ring[i], term, out);
	fr_out_char(out, '\n');
}

static void spool_part(const struct status *status, const struct fr_term *term, struct fr_out *out)
{
	char text[32];

	heading(term, out, "Spool");
	fr_out_printf(out, "%s segment%s, ", fr_count_text(text, status->segments), status->segments == 1 ? "" : "s");
	fr_out_put(out, fr_size_text(text, status->segment_bytes));
	if (status->has_index && status->segments > status->indexed_segments)
		fr_out_printf(out, ", %llu not indexed yet", (unsigned long long)(status->segments - status->indexed_segments));
	if (status->quarantined)
		fr_out_printf(out, "; %s%llu set aside in quarantine%s", fr_paint(term, FR_RED),
			      (unsigned long long)status->quarantined, fr_paint(term, FR_PLAIN));
	fr_out_char(out, '\n');
	heading(term, out, "Index");
	if (!status->has_index)
		fr_out_put(out, "none yet; `flightrec index` makes it\n");
	else if (status->index_error)
		fr_out_printf(out, "%snot usable%s: %s\n", fr_paint(term, FR_RED), fr_paint(term, FR_PLAIN), status->index_error);
	else {
		fr_out_printf(out, "%s events, ", fr_count_text(text, status->indexed_events));
		fr_out_printf(out, "%s incident%s, ", fr_count_text(text, status->incidents), status->incidents == 1 ? "" : "s");
		fr_out_printf(out, "%s\n", fr_size_text(text, status->index_bytes));
	}
	heading(term, out, "Upload");
	if (status->batches)
		fr_out_printf(out, "%llu batch%s waiting, %s\n", (unsigned long long)status->batches,
			      status->batches == 1 ? "" : "es", fr_size_text(text, status->batch_bytes));
	else
		fr_out_put(out, status->upload_on ? "no batch waits\n" : "off: no endpoint is configured; nothing leaves this machine\n");
}

void status_text(const struct status *status, const struct fr_term *term, struct fr_out *out)
{
	daemon_part(status, term, out);
	stores_part(status, term, out);
	rings_part(status, term, out);
	spool_part(status, term, out);
}
