/* SPDX-License-Identifier: MIT */
/* unit_dump.c - see unit_dump.h. It has words of its own: how flightrec shows things may change, what it read may not. */
#include "tests/unit/unit_dump.h"

#include <inttypes.h>
#include <stdlib.h>

#include "recorder/core/decode.h"

static void bytes(FILE *to, const void *from, size_t size)
{
	const unsigned char *p = from;

	while (size--)
		fprintf(to, "%02x", *p++);
}

static void dump_super(const struct frm_super *super, FILE *to)
{
	fprintf(to, "version %u.%u kind %u policy %u incompat %#" PRIx64 " compat %#" PRIx64 "\n", super->version_major,
		super->version_minor, super->kind, super->policy, super->incompat, super->compat);
	fprintf(to, "size %" PRIu64 " meta %u lanes %u of %" PRIu64 " shared %u\n", super->ring_size, super->meta_size,
		super->lane_count, super->lane_size, super->shared_lanes);
	fprintf(to, "ring ");
	bytes(to, super->ring_id, 16);
	fprintf(to, " boot ");
	bytes(to, super->boot_id, 16);
	fprintf(to, " machine ");
	bytes(to, super->machine_id, 16);
	fprintf(to, "\nboot number %" PRIu64 " created %" PRIu64 " %" PRIu64 "\n", super->boot_seq, super->created_boot_ns,
		super->created_real_ns);
	fprintf(to, "pid %u ppid %u started %" PRIu64 " uid %u gid %u flags %#x\n", super->pid, super->ppid, super->start_time_ns,
		super->uid, super->gid, super->ident_flags);
	fprintf(to, "comm \"%s\" exe \"%s\" cgroup \"%s\" host \"%s\" creator \"%s\"\n", super->comm, super->exe, super->cgroup,
		super->hostname, super->creator);
}

static void dump_tables(const struct fr_image *image, FILE *to)
{
	const struct frm_state *state = fr_image_state(image);

	fprintf(to, "closed %" PRIu64 "\n", state->closed_boot_ns);
	for (int i = 0; i < 16; i++)
		if (state->loss[i])
			fprintf(to, "ledger %d: %" PRIu64 "\n", i, state->loss[i]);
	for (int i = 0; i < (int)FRM_PROVIDERS_MAX; i++)
		if (state->gate[i])
			fprintf(to, "gate %d: %#" PRIx64 "\n", i, state->gate[i]);
	for (size_t i = 0; i < fr_image_anchor_count(image); i++) {
		const struct frm_anchor *anchor = fr_image_anchor(image, i);

		fprintf(to, "anchor %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", anchor->boot_ns, anchor->real_ns, anchor->mono_ns);
	}
	for (size_t i = 0; i < fr_image_session_count(image); i++) {
		const struct frm_session *session = fr_image_session(image, i);

		fprintf(to, "session %u provider %u %" PRIu64 "..%" PRIu64 " ", session->number, session->provider, session->begin_ns,
			session->end_ns);
		bytes(to, session->guid, 16);
		fprintf(to, " \"%s\"\n", session->name);
	}
}

static void dump_descriptors(const struct fr_image *image, FILE *to)
{
	for (size_t i = 0; i < fr_image_provider_count(image); i++) {
		const struct fr_provider *provider = fr_image_provider(image, i);

		fprintf(to, "provider %u \"%s\" %u.%u ", provider->id, provider->name, provider->version_major, provider->version_minor);
		bytes(to, provider->guid, 16);
		fputc('\n', to);
	}
	for (size_t i = 0; i < fr_image_event_desc_count(image); i++) {
		const struct fr_event_desc *desc = fr_image_event_desc(image, i);

		fprintf(to, "event %u of %u \"%s\" level %u keywords %#" PRIx64, desc->id, desc->provider, desc->name, desc->level,
			desc->keywords);
		for (unsigned k = 0; k < desc->field_count; k++)
			fprintf(to, " %u:%s(%s)", desc->field[k].type, desc->field[k].name, desc->field[k].unit);
		fputc('\n', to);
	}
	for (size_t i = 0; i < fr_image_module_count(image); i++) {
		const struct fr_module *module = fr_image_module(image, i);

		fprintf(to, "module %#" PRIx64 "..%#" PRIx64 " at %#" PRIx64 " \"%s\" ", module->start, module->end, module->offset,
			module->path);
		bytes(to, module->build_id, module->build_id_len);
		fputc('\n', to);
	}
}

static void dump_value(const struct fr_value *value, FILE *to)
{
	fprintf(to, " %s%s=", value->name, value->truncated ? "(cut)" : "");
	if (value->type >= FRM_STR)
		bytes(to, value->s.data, value->s.size);
	else if (value->type == FRM_F64)
		fprintf(to, "%a", value->f);
	else if (value->type >= FRM_I8)
		fprintf(to, "%" PRId64, value->i);
	else
		fprintf(to, "%" PRIu64, value->u);
}

void unit_dump(struct fr_image *image, FILE *to)
{
	const struct frm_segment *segment = fr_image_segment(image);
	const char *name, *text;
	size_t size;

	if (segment)
		fprintf(to, "segment part %u reason %u salvaged %" PRIu64 " %" PRIu64 "\n", segment->part, segment->reason,
			segment->salvaged_real_ns, segment->salvaged_boot_ns);
	dump_super(fr_image_super(image), to);
	dump_tables(image, to);
	dump_descriptors(image, to);
	for (size_t i = 0; i < fr_image_lane_count(image); i++) {
		const struct fr_lane_info *lane = fr_image_lane(image, i);

		fprintf(to, "lane %zu: %" PRIu64 " records, bytes %" PRIu64 "..%" PRIu64 ", next number %" PRIu64 ", discarded %" PRIu64 "\n", i,
			lane->records, lane->oldest_pos, lane->newest_end, lane->next_seq, lane->discarded);
		for (int k = 0; k < (int)FRM_OWNERS_MAX && lane->owner[k].tid; k++)
			fprintf(to, "  owner %u \"%s\" from %" PRIu64 "\n", lane->owner[k].tid, lane->owner[k].name, lane->owner[k].from_pos);
	}
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		fprintf(to, "loss lane %d cause %d: %" PRIu64 " from %" PRIu64 "\n", (int)loss->lane, loss->cause, loss->count, loss->first_seq);
	}
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);
		struct fr_event event;

		fr_decode(image, record, &event);
		fprintf(to, "%u/%" PRIu64 " at %" PRIu64 " time %" PRIu64 " real %" PRIu64 " cpu %u tid %u (%s) session %u (%s) %s/%s", record->lane,
			record->seq, record->pos, record->time_ns, event.real_ns, record->cpu, record->tid, event.thread, record->session,
			event.session_name, event.provider, event.name);
		for (unsigned k = 0; k < event.field_count; k++)
			dump_value(&event.field[k], to);
		fputc('\n', to);
	}
	for (size_t i = 0; (text = fr_image_text(image, i, &name, &size)); i++)
		fprintf(to, "text \"%s\": %.*s\n", name, (int)size, text);
}
