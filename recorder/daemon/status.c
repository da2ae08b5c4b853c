/* SPDX-License-Identifier: MIT */
/* status.c - see status.h. */
#include "recorder/daemon/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bpf/loader.h"
#include "recorder/core/host.h"
#include "recorder/core/ini.h"
#include "recorder/core/json.h"
#include "recorder/daemon/daemon.h"

#define WRITERS_BYTES (40u << 10) /* of the answer: what follows has to fit */
#define STALE_NS      1000000000ull

struct text {
	char *at;
	size_t used, size;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text->at + text->used, text->size - text->used, format, ap);
	va_end(ap);
	if (n > 0)
		text->used += (size_t)n < text->size - text->used ? (size_t)n
								  : text->size - text->used - 1;
}

/* ,"key":"value" with the value escaped; the comma is the caller's */
static void put_string(struct text *text, const char *key, const char *value)
{
	if (key)
		put(text, "\"%s\":", key);
	put(text, "\"");
	if (text->used < text->size) {
		size_t need = fr_json_escape(text->at + text->used, text->size - text->used, value,
					     strlen(value));

		if (need < text->size - text->used)
			text->used += need;
	}
	put(text, "\"");
}

uint64_t status_rss_bytes(void)
{
	char line[256];
	uint64_t anon = 0, file = 0, value;
	FILE *status = fopen("/proc/self/status", "re");

	if (!status)
		return 0;
	while (fgets(line, sizeof(line), status)) {
		if (sscanf(line, "RssAnon: %" SCNu64, &value) == 1)
			anon = value;
		else if (sscanf(line, "RssFile: %" SCNu64, &value) == 1)
			file = value;
	}
	fclose(status);
	return (anon + file) << 10;
}

/* What a power cut costs, as it was measured; null where nobody syncs, or nobody has to. */
static void put_sync(struct text *text, const struct sync *sync)
{
	const struct sync_page *page = sync->page;

	if (!page || sync->pid <= 0 || !fr_load_relaxed(&page->interval_ms)) {
		put(text, ",\"sync\":null");
		return;
	}
	put(text,
	    ",\"sync\":{\"interval_ms\":%" PRIu64 ",\"window_ns\":%" PRIu64
	    ",\"worst_window_ns\":%" PRIu64,
	    fr_load_relaxed(&page->interval_ms), fr_load_relaxed(&page->window_ns),
	    fr_load_relaxed(&page->worst_ns));
	put(text,
	    ",\"pid\":%d,\"rings\":%" PRIu64 ",\"syncs\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"held\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"failing\":%s,\"cpu_ns\":%" PRIu64 "}",
	    (int)sync->pid, fr_load_relaxed(&page->rings), fr_load_relaxed(&page->syncs),
	    fr_load_relaxed(&page->bytes), fr_load_relaxed(&page->held),
	    fr_load_relaxed(&page->errors), fr_load_relaxed(&page->last_error) ? "true" : "false",
	    fr_load_relaxed(&page->cpu_ns));
}

static void put_stores(struct text *text, struct daemon *daemon)
{
	struct statvfs fs;
	bool known = statvfs(daemon->ring_dir, &fs) == 0;

	put(text, ",\"stores\":[{");
	put_string(text, "path", daemon->ring_dir);
	put(text, ",\"tier\":\"%s\"", daemon->ring_dir_dax ? "dax" : "file");
	put(text, ",\"measured\":\"%s\"",
	    daemon->ring_dir_dax ? "a mapping with MAP_SYNC works" : "no MAP_SYNC: page cache");
	put(text, ",\"rings\":%u,\"bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64,
	    daemon->writers.living + daemon->own.open,
	    daemon->writers.bytes + (daemon->own.open ? daemon->own.ring.size : 0),
	    known ? (uint64_t)fs.f_bavail * fs.f_frsize : 0);
	put_sync(text, &daemon->sync);
	put(text, "}]");
}

static void put_own(struct text *text, const struct own *own)
{
	static const char *const names[OWN_LANES] = { "kernel", "kernel-log", "recorder" };
	char id[33];

	if (!own->open) {
		put(text, ",\"own_ring\":null");
		return;
	}
	fr_hex(id, own->ring.super.ring_id, 16);
	put(text, ",\"own_ring\":{\"ring\":\"%s\",\"bytes\":%" PRIu64 ",\"lanes\":[", id,
	    own->ring.size);
	for (unsigned i = 0; i < OWN_LANES; i++) {
		const struct fr_lane *lane = &own->lane[i];

		put(text,
		    "%s{\"name\":\"%s\",\"records\":%" PRIu64 ",\"discarded\":%" PRIu64
		    ",\"unsaved_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64 "}",
		    i ? "," : "", names[i], lane->seq, lane->discarded, lane->pos - own->saved[i],
		    lane->size);
	}
	put(text, "],\"drains\":%" PRIu64 ",\"drain_failures\":%" PRIu64 "}", own->drains,
	    own->drain_failures);
}

struct names {
	struct text *text;
	unsigned count;
};

static int put_provider(void *ctx, const struct fr_gates_provider *provider)
{
	struct names *names = ctx;

	if (names->count++)
		put(names->text, ",");
	put_string(names->text, NULL, provider->name);
	return names->count >= 16; /* enough to know it by */
}

static void put_writer(struct text *text, struct writer *writer)
{
	struct frm_super super = { .meta_size = writer->meta_size };
	struct names names = { .text = text };
	char id[33];
	int fd;

	writers_look(writer);
	fr_hex(id, writer->ring_id, 16);
	put(text, "{\"pid\":%u,", writer->pid);
	put_string(text, "comm", writer->comm);
	put(text,
	    ",\"uid\":%u,\"ring\":\"%s\",\"bytes\":%" PRIu64 ",\"since_ns\":%" PRIu64
	    ",\"vouched\":%s,\"pidfd\":%s",
	    writer->uid, id, writer->size, writer->since_ns, writer->vouched ? "true" : "false",
	    writer->pidfd >= 0 ? "true" : "false");
	put(text,
	    ",\"records\":%" PRIu64 ",\"rate\":%.1f,\"discarded\":%" PRIu64 ",\"providers\":[",
	    writer->records, writer->rate, writer->discarded);
	memcpy(super.ring_id, writer->ring_id, 16);
	fd = writers_open_ring(writer, O_RDONLY);
	if (fd >= 0) {
		fr_gates_each(fd, &super, put_provider, &names);
		close(fd);
	}
	put(text, "]}");
}

static void put_writers(struct text *text, struct daemon *daemon)
{
	unsigned count = 0;

	put(text, ",\"writers_total\":%u,\"writers\":[", daemon->writers.living);
	for (struct writer *writer = daemon->writers.first; writer && text->used < WRITERS_BYTES;
	     writer = writer->next) {
		if (writer->state != WRITER_LIVING)
			continue;
		if (count++)
			put(text, ",");
		put_writer(text, writer);
	}
	put(text, "]");
}

/* Returns eBPF's whole cost. */
static struct fr_bpf_cost put_probes(struct text *text, const struct probes *probes)
{
	struct fr_bpf_cost total = { 0 };
	struct fr_bpf_probe probe;

	put(text, ",\"probes\":[");
	for (unsigned i = 0; probes->bpf && fr_bpf_probe(probes->bpf, i, &probe) == 0; i++) {
		struct fr_kevent_count count = { 0 };
		struct fr_bpf_cost cost = { 0 };

		fr_bpf_count(probes->bpf, i, &count);
		fr_bpf_cost(probes->bpf, i, &cost);
		total.run_count += cost.run_count;
		total.run_time_ns += cost.run_time_ns;
		put(text, "%s{", i ? "," : "");
		put_string(text, "event", probe.name);
		put(text, ",\"state\":\"%s\",\"variant\":\"%s\",", fr_bpf_state_name(probe.state),
		    fr_bpf_variant_name(probe.variant));
		put_string(text, "hook", probe.hook);
		put(text, ",");
		put_string(text, "why", probe.why);
		put(text,
		    ",\"emitted\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"run_count\":%" PRIu64
		    ",\"run_time_ns\":%" PRIu64 "}",
		    count.emitted, count.dropped, cost.run_count, cost.run_time_ns);
	}
	put(text, "]");
	return total;
}

static void put_losses(struct text *text, const struct daemon *daemon)
{
	put(text, ",\"losses\":{");
	for (unsigned cause = 0; daemon->own.open && cause < FRM_LOSS_COUNT; cause++)
		put(text, "%s\"%s\":%" PRIu64, cause ? "," : "", fr_loss_name((enum frm_loss)cause),
		    fr_load_relaxed(&daemon->own.ring.meta[0]->state.loss[cause]));
	put(text, "}");
}

static void put_cost(struct text *text, const struct daemon *daemon, struct fr_bpf_cost bpf)
{
	struct rusage self, children;
	uint64_t cpu_ns;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	cpu_ns = 1000000000ull * (uint64_t)(self.ru_utime.tv_sec + self.ru_stime.tv_sec +
					    children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
		 1000ull * (uint64_t)(self.ru_utime.tv_usec + self.ru_stime.tv_usec +
				      children.ru_utime.tv_usec + children.ru_stime.tv_usec);
	if (daemon->sync.page) /* it lives on, and is none of those that were waited for */
		cpu_ns += fr_load_relaxed(&daemon->sync.page->cpu_ns);
	put(text,
	    ",\"cost\":{\"cpu_ns\":%" PRIu64 ",\"rss_bytes\":%" PRIu64
	    ",\"bpf_run_time_ns\":%" PRIu64 ",\"bpf_run_count\":%" PRIu64 ",\"bpf_measured\":%s}",
	    cpu_ns, status_rss_bytes(), bpf.run_time_ns, bpf.run_count,
	    daemon->probes.bpf && daemon->probes.measured ? "true" : "false");
}

static void put_config(struct text *text, const struct daemon *daemon)
{
	const char *section, *key, *cursor = daemon->policy.text;
	char value[FR_PATH_MAX];
	struct fr_gate_rule rule;
	unsigned count = 0;

	put(text, ",\"config\":{");
	put_string(text, "file", daemon->config_path ? daemon->config_path : fr_ini_config_path());
	for (size_t i = 0;
	     config_describe(&daemon->config, i, &section, &key, value, sizeof(value)); i++) {
		put(text, ",\"%s.%s\":", section, key);
		put_string(text, NULL, value);
	}
	put(text, "},\"gates\":[");
	while (count < 64 &&
	       fr_gates_next(&cursor, daemon->policy.text + daemon->policy.size, &rule)) {
		char line[sizeof(rule.selector) + 64];

		snprintf(line, sizeof(line), "%s %u 0x%" PRIx64 " %s", rule.selector, rule.level,
			 (uint64_t)rule.keywords, rule.from_config ? "config" : "set");
		put(text, "%s", count++ ? "," : "");
		put_string(text, NULL, line);
	}
	put(text, "]");
}

static void put_missing(struct text *text, const struct daemon *daemon)
{
	put(text, ",\"missing\":[");
	for (unsigned i = 0; i < daemon->missing_count; i++) {
		const char *what = daemon->missing[i], *why = strchr(what, '\t');
		char feature[64];

		snprintf(feature, sizeof(feature), "%.*s", (int)(why - what), what);
		put(text, "%s{", i ? "," : "");
		put_string(text, "feature", feature);
		put(text, ",");
		put_string(text, "why", why + 1);
		put(text, "}");
	}
	put(text, "]");
}

static void fill(struct text *text, struct daemon *daemon)
{
	const struct server *server = &daemon->server;
	const struct salvage_queue *queue = &daemon->queue;
	struct fr_bpf_cost cost;
	char boot[37];

	fr_uuid_text(boot, daemon->boot_id);
	put(text,
	    "{\"version\":\"%s\",\"pid\":%d,\"uptime_ns\":%" PRIu64
	    ",\"boot_id\":\"%s\",\"boot_seq\":%" PRIu64 ",",
	    FR_VERSION, (int)getpid(), fr_clock_boot_ns() - daemon->start_ns, boot,
	    daemon->boot_seq);
	put_string(text, "state_dir", daemon->state);
	put(text, ",");
	put_string(text, "runtime_dir", daemon->runtime);
	put_stores(text, daemon);
	put_own(text, &daemon->own);
	put_writers(text, daemon);
	put(text,
	    ",\"salvage\":{\"waiting\":%u,\"salvaged\":%" PRIu64 ",\"records\":%" PRIu64
	    ",\"quarantined\":%" PRIu64 ",\"failed\":%" PRIu64 "}",
	    salvage_queue_length(queue), queue->salvaged, queue->records, queue->quarantined,
	    queue->failed);
	cost = put_probes(text, &daemon->probes);
	put_losses(text, daemon);
	if (daemon->kmsg.fd >= 0)
		put(text,
		    ",\"kernel_log\":{\"lines\":%" PRIu64 ",\"recorded\":%" PRIu64
		    ",\"lost\":%" PRIu64 "}",
		    daemon->kmsg.lines, daemon->kmsg.recorded, daemon->kmsg.lost);
	else
		put(text, ",\"kernel_log\":null");
	put(text,
	    ",\"server\":{\"requests\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"dropped\":%" PRIu64
	    ",\"timed_out\":%" PRIu64 "}",
	    server->requests, server->refused, server->flooded, server->timed_out);
	put_cost(text, daemon, cost);
	put_config(text, daemon);
	put_missing(text, daemon);
	put(text, "}");
}

static int make(struct daemon *daemon)
{
	struct text text = { .size = FR_PROTO_TEXT_MAX };

	text.at = malloc(text.size);
	if (!text.at)
		return -ENOMEM;
	probes_consume(&daemon->probes);
	fill(&text, daemon);
	free(daemon->status.text);
	daemon->status.text = text.at;
	daemon->status.made_ns = fr_clock_boot_ns();
	return 0;
}

void status_answer(struct daemon *daemon, const struct server_peer *peer)
{
	bool fresh = peer->uid == 0 || peer->uid == geteuid();
	struct status_text *last = &daemon->status;
	struct fr_proto_answer answer = { 0 };
	int error = 0;

	if (fresh || !last->text || fr_clock_boot_ns() - last->made_ns > STALE_NS)
		error = make(daemon);
	if (error < 0) {
		server_refuse(daemon, peer, error, "out of memory");
		return;
	}
	error = server_answer(peer, &answer, last->text, -1);
	if (error < 0)
		server_refuse(daemon, peer, error, "the status could not be sent: %s",
			      strerror(-error));
	if (fresh) { /* who needs no copy costs none */
		free(last->text);
		last->text = NULL;
	}
}

void status_line(struct daemon *daemon, char *line, size_t size)
{
	struct fr_bpf_probe probe;
	unsigned on = 0;

	for (unsigned i = 0; daemon->probes.bpf && fr_bpf_probe(daemon->probes.bpf, i, &probe) == 0;
	     i++)
		on += probe.state == FR_BPF_ATTACHED || probe.state == FR_BPF_RESUMED;
	snprintf(line, size, "%u programs record, %.1f MiB of rings, %u eBPF probes",
		 daemon->writers.living, (double)daemon->writers.bytes / 1048576, on);
}
