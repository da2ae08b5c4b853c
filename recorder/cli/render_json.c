/* SPDX-License-Identifier: MIT */
/*
 * render_json.c - an event as one JSON object: everything that is known of it, typed. What is not known is left out.
 */
#include <string.h>

#include "recorder/cli/render.h"
#include "recorder/cli/when.h"
#include "recorder/core/image.h"
#include "recorder/core/paths.h"

static void key(struct fr_out *out, const char *name)
{
	fr_out_printf(out, ",\"%s\":", name);
}

static void number(struct fr_out *out, const char *name, uint64_t value)
{
	fr_out_printf(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

static void string(struct fr_out *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	key(out, name);
	fr_out_json(out, value);
}

static void identity(const struct fr_event *event, struct fr_out *out)
{
	char id[37];

	fr_uuid_text(id, event->boot_id);
	string(out, "boot", id);
	if (event->boot_seq)
		number(out, "boot_seq", event->boot_seq);
	if (event->pid) {
		number(out, "pid", event->pid);
		number(out, "tid", event->tid);
		number(out, "ppid", event->ppid);
		number(out, "uid", event->uid);
		number(out, "gid", event->gid);
		if (event->start_time_ns)
			number(out, "start_time_ns", event->start_time_ns);
	}
	string(out, "comm", event->comm);
	string(out, "thread", event->thread);
	string(out, "cgroup", event->cgroup);
	if (event->cpu != FRM_CPU_NONE)
		number(out, "cpu", event->cpu);
}

void fr_render_json(const struct fr_event *event, struct fr_out *out)
{
	char text[40];
	size_t size;

	fr_out_char(out, '{');
	if (event->real_ns) {
		fr_when_iso(event->real_ns, text);
		fr_out_printf(out, "\"time\":\"%s\",\"real_ns\":%llu,", text, (unsigned long long)event->real_ns);
	}
	fr_out_printf(out, "\"boot_ns\":%llu", (unsigned long long)event->time_ns);
	identity(event, out);
	if (event->level)
		string(out, "level", fr_level_name(event->level));
	string(out, "provider", event->provider);
	if (event->provider_guid) {
		fr_uuid_text(text, event->provider_guid);
		string(out, "guid", text);
	}
	string(out, "event", event->name);
	if (event->keywords)
		number(out, "keywords", event->keywords);
	if (event->session) {
		number(out, "session", event->session);
		string(out, "session_name", event->session_name);
	}
	key(out, "fields");
	size = fr_event_json_fields(event, fr_out_reserve(out, 511), 512);
	if (size > 511)
		size = fr_event_json_fields(event, fr_out_reserve(out, size), size + 1);
	out->size += size;
	fr_hex(text, event->ring_id, 16);
	string(out, "ring", text);
	number(out, "lane", event->lane);
	number(out, "seq", event->seq);
	fr_out_char(out, '}');
}
