/* SPDX-License-Identifier: MIT */
/* witness.c - see witness.h. */
#include "uploader/witness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/core/catalogue.h"
#include "recorder/core/encode.h"

enum fr_witness fr_witness_kind(uint32_t ring_kind, const struct fr_image *image, const struct fr_event_desc *desc)
{
	static const struct {
		const char *name;
		enum fr_witness kind;
	} of_kernel[] = {
		{ "proc.exit", FR_WITNESS_EXIT },     { "sig.generate", FR_WITNESS_SENT }, { "sig.deliver", FR_WITNESS_FAULT },
		{ "mem.oom_kill", FR_WITNESS_OOM },   { "kernel.panic", FR_WITNESS_PANIC },
	};
	const struct fr_provider *provider = fr_image_provider_by_id(image, desc->provider);

	if (ring_kind == FRM_KIND_PROCESS)
		return !strcmp(desc->name, "fr.crash") ? FR_WITNESS_CRASH : 0;
	if (!provider)
		return 0;
	if (ring_kind == FRM_KIND_SYSTEM && !strcmp(desc->name, "fr.process_died"))
		return memcmp(provider->guid, fr_catalogue_provider[FR_PROVIDER_FLIGHTREC].guid, 16) ? 0 : FR_WITNESS_DIED;
	if (memcmp(provider->guid, fr_catalogue_provider[FR_PROVIDER_KERNEL].guid, 16))
		return 0;
	for (size_t i = 0; i < sizeof(of_kernel) / sizeof(*of_kernel); i++)
		if (!strcmp(desc->name, of_kernel[i].name))
			return of_kernel[i].kind;
	return 0;
}

/* A field's number whatever its width; 0 when it is not there. */
static uint64_t number(const struct fr_event *event, const char *name)
{
	const struct fr_value *value = fr_event_field(event, name);

	return value && !fr_type_is_variable(value->type) && !value->truncated ? value->u : 0;
}

static void text(const struct fr_event *event, const char *name, char *buf, size_t size)
{
	const struct fr_value *value = fr_event_field(event, name);
	size_t length = value && fr_type_is_variable(value->type) ? value->s.size : 0;

	if (length >= size)
		length = size - 1;
	if (length)
		memcpy(buf, value->s.data, length);
	buf[length] = 0;
}

/* What recorder/daemon/death.c says: "signal 9 (KILL), core dumped", "exit code 3"; anything else: not known. */
static void read_how(const char *how, struct fr_witness_row *row)
{
	static const char by_signal[] = "signal ", by_exit[] = "exit code ";

	if (!strncmp(how, by_signal, sizeof(by_signal) - 1)) {
		row->signal = (int32_t)strtol(how + sizeof(by_signal) - 1, NULL, 10);
		row->flags = row->signal > 0 ? FR_WITNESS_KNOWN : 0;
		if (strstr(how, "core dumped"))
			row->flags |= FR_WITNESS_CORE;
	} else if (!strncmp(how, by_exit, sizeof(by_exit) - 1)) {
		row->code = (int32_t)strtol(how + sizeof(by_exit) - 1, NULL, 10);
		row->flags = FR_WITNESS_KNOWN;
	}
}

bool fr_witness_read(const struct fr_event *event, struct fr_witness_row *row)
{
	row->time_ns = event->time_ns;
	row->pid = event->pid;
	row->start_time_ns = event->start_time_ns;
	switch (row->kind) {
	case FR_WITNESS_EXIT:
		if (!number(event, "group_dead") && event->tid != event->pid)
			return false; /* one thread of a process that goes on */
		row->signal = (int32_t)number(event, "signal");
		row->code = (int32_t)number(event, "exit_code");
		row->flags = (number(event, "core") ? FR_WITNESS_CORE : 0) | (number(event, "known") ? FR_WITNESS_KNOWN : 0);
		return true;
	case FR_WITNESS_SENT:
		row->other_pid = event->pid;
		snprintf(row->text, sizeof(row->text), "%s", event->comm);
		row->pid = (uint32_t)number(event, "target_pid");
		row->start_time_ns = number(event, "target_start_time_ns");
		row->signal = (int32_t)number(event, "sig");
		row->code = (int32_t)number(event, "code");
		row->flags = number(event, "handler") ? 0 : FR_WITNESS_NO_HANDLER;
		row->process = 0; /* that is the sender's */
		return row->pid && row->signal;
	case FR_WITNESS_FAULT:
		row->signal = (int32_t)number(event, "sig");
		row->code = (int32_t)number(event, "code");
		row->address = number(event, "fault_addr");
		row->flags = number(event, "handler") ? 0 : FR_WITNESS_NO_HANDLER;
		return row->signal;
	case FR_WITNESS_OOM:
		row->pid = (uint32_t)number(event, "victim_pid");
		row->start_time_ns = number(event, "victim_start_time_ns");
		row->uid = (uint32_t)number(event, "victim_uid");
		row->signal = SIGKILL;
		text(event, "victim_comm", row->text, sizeof(row->text));
		return row->pid;
	case FR_WITNESS_CRASH:
		row->signal = (int32_t)number(event, "signal");
		row->code = (int32_t)number(event, "code");
		row->address = number(event, "fault_addr");
		row->other_pid = (uint32_t)number(event, "sender_pid");
		return row->signal;
	case FR_WITNESS_PANIC:
		row->pid = 0;
		row->start_time_ns = 0;
		row->process = 0;
		text(event, "reason", row->text, sizeof(row->text));
		return true;
	case FR_WITNESS_DIED:
		row->pid = (uint32_t)number(event, "pid");
		row->start_time_ns = number(event, "start_time_ns");
		row->process = 0; /* that is the daemon's */
		text(event, "how", row->text, sizeof(row->text));
		read_how(row->text, row);
		return row->pid;
	}
	return false;
}

int fr_witness_put(struct fr_index *index, const struct fr_witness_row *row)
{
	FR_STMT put = NULL;
	int r = fr_db_prepare(index,
			      "INSERT OR IGNORE INTO witness (event, kind, boot, time, pid, start_time_ns, process, ring, signal, code,"
			      " flags, address, other_pid, text) VALUES (?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?)",
			      &put);

	if (r < 0)
		return r;
	sqlite3_bind_int64(put, 1, row->event);
	sqlite3_bind_int64(put, 2, row->kind);
	sqlite3_bind_int64(put, 3, row->boot);
	sqlite3_bind_int64(put, 4, fr_db_clamp(row->time_ns));
	sqlite3_bind_int64(put, 5, row->pid);
	sqlite3_bind_int64(put, 6, fr_db_clamp(row->start_time_ns));
	sqlite3_bind_int64(put, 7, row->process);
	sqlite3_bind_int64(put, 8, row->ring);
	sqlite3_bind_int64(put, 9, row->signal);
	sqlite3_bind_int64(put, 10, row->code);
	sqlite3_bind_int64(put, 11, row->flags);
	sqlite3_bind_int64(put, 12, (int64_t)row->address);
	sqlite3_bind_int64(put, 13, row->other_pid);
	sqlite3_bind_text(put, 14, row->text, -1, SQLITE_STATIC);
	return fr_db_run(put);
}
