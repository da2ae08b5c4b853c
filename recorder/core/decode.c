/* SPDX-License-Identifier: MIT */
/*
 * decode.c - record to event, by the descriptors of its own ring alone (I11): see decode.h. The layout of a payload is computed from the descriptor's types (encode.h);
 * what the payload is too short for is marked truncated.
 */
#include "recorder/core/decode.h"

#include <stdio.h>
#include <string.h>

#include "recorder/core/catalogue.h"
#include "recorder/core/encode.h"

static const struct fr_field_desc whole_payload = { .type = FRM_BYTES, .name = "payload", .unit = "hex" };

static int64_t sign_extend(uint64_t value, unsigned bytes)
{
	unsigned shift = 64 - 8 * bytes;

	return (int64_t)(value << shift) >> shift;
}

/* Reads one field. `tail` is where the next variable part lies. */
static void read_field(struct fr_value *value, const unsigned char *payload, uint32_t size, uint32_t at, uint32_t *tail)
{
	uint32_t width = fr_type_width(value->type);
	uint64_t raw = 0;

	if (at > size || width > size - at) {
		value->truncated = true;
		value->s.data = "";
		value->s.size = 0;
		if (!fr_type_is_variable(value->type))
			value->u = 0;
		return;
	}
	memcpy(&raw, payload + at, width);
	if (fr_type_is_variable(value->type)) {
		uint32_t room = *tail < size ? size - *tail : 0;

		value->truncated = raw > room;
		value->s.data = room ? (const char *)payload + *tail : "";
		value->s.size = raw > room ? room : (size_t)raw;
		*tail += (uint32_t)value->s.size;
	} else if (value->type >= FRM_I8 && value->type <= FRM_I64) {
		value->i = sign_extend(raw, width);
	} else {
		value->u = raw; /* a double's bits, too */
	}
}

unsigned fr_decode_payload(const struct fr_event_desc *desc, const unsigned char *payload, uint32_t size,
			   struct fr_value ret_field[FR_FIELDS_MAX])
{
	uint8_t types[FR_FIELDS_MAX] = { 0 };
	uint32_t offset[FR_FIELDS_MAX], tail;
	unsigned count = 0;

	if (desc && desc->field_count <= FR_FIELDS_MAX) {
		for (; count < desc->field_count; count++) {
			types[count] = desc->field[count].type;
			if (!fr_type_width(types[count]))
				break; /* a type of the future: from here on the layout is unknown */
		}
	}
	if (!desc || count < desc->field_count || (!count && size)) {
		ret_field[0] = (struct fr_value){ .name = whole_payload.name, .unit = whole_payload.unit, .type = FRM_BYTES };
		ret_field[0].s.data = (const char *)payload;
		ret_field[0].s.size = size;
		return size ? 1 : 0;
	}
	tail = fr_payload_layout(types, count, offset);
	for (unsigned i = 0; i < count; i++) {
		ret_field[i] = (struct fr_value){ .name = desc->field[i].name, .unit = desc->field[i].unit, .type = types[i] };
		read_field(&ret_field[i], payload, size, offset[i], &tail);
	}
	return count;
}

/* A kernel event carries the identity of the task it speaks of, as fields; one without speaks of the kernel. */
static void take_identity(struct fr_event *event)
{
	event->pid = event->ppid = event->uid = event->gid = 0;
	event->start_time_ns = 0;
	event->comm = "kernel";
	event->cgroup = "";
	event->thread = "";
	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_value *field = &event->field[i];

		if (fr_type_is_variable(field->type) != !strcmp(field->name, "comm"))
			continue;
		if (!strcmp(field->name, "pid"))
			event->pid = (uint32_t)field->u;
		else if (!strcmp(field->name, "tid"))
			event->tid = (uint32_t)field->u;
		else if (!strcmp(field->name, "ppid"))
			event->ppid = (uint32_t)field->u;
		else if (!strcmp(field->name, "uid"))
			event->uid = (uint32_t)field->u;
		else if (!strcmp(field->name, "start_time_ns"))
			event->start_time_ns = field->u;
		else if (!strcmp(field->name, "comm")) {
			size_t n = field->s.size < sizeof(event->task) - 1 ? field->s.size : sizeof(event->task) - 1;

			memcpy(event->task, field->s.data, n);
			event->task[n] = '\0';
			event->comm = event->task;
		}
	}
}

void fr_decode(const struct fr_image *image, const struct fr_record *record, struct fr_event *ret_event)
{
	const struct fr_event_desc *desc = fr_image_event_desc_by_id(image, record->event);
	const struct fr_provider *provider = desc ? fr_image_provider_by_id(image, desc->provider) : NULL;
	const struct frm_session *session = fr_image_session_by_number(image, record->session);
	const struct frm_super *super = fr_image_super(image);
	static const uint8_t no_guid[16];
	struct fr_event *event = ret_event;

	memset(event, 0, offsetof(struct fr_event, field));
	memcpy(event->ring_id, super->ring_id, 16);
	memcpy(event->boot_id, super->boot_id, 16);
	event->lane = record->lane;
	event->seq = record->seq;
	event->boot_seq = super->boot_seq;
	event->time_ns = record->time_ns;
	event->real_ns = fr_image_real_ns(image, record->time_ns);
	event->pid = super->pid;
	event->tid = record->tid;
	event->ppid = super->ppid;
	event->uid = super->uid;
	event->gid = super->gid;
	event->start_time_ns = super->start_time_ns;
	event->cpu = record->cpu;
	event->session = record->session;
	event->session_name = session ? session->name : "";
	event->flags = record->flags;
	event->comm = super->comm;
	event->thread = fr_image_thread_name(image, record);
	event->cgroup = super->cgroup;
	event->provider = provider ? provider->name : "?";
	event->provider_guid = provider ? provider->guid : no_guid;
	event->level = desc ? desc->level : 0;
	event->keywords = desc ? desc->keywords : 0;
	event->name = desc ? desc->name : event->scratch;
	if (!desc)
		snprintf(event->scratch, sizeof(event->scratch), "event-%u", record->event);
	event->field_count = fr_decode_payload(desc, record->payload, record->payload_size, event->field);
	if (provider && super->kind != FRM_KIND_PROCESS && !memcmp(provider->guid, fr_catalogue_provider[FR_PROVIDER_KERNEL].guid, 16))
		take_identity(event);
}

const struct fr_value *fr_event_field(const struct fr_event *event, const char *name)
{
	for (unsigned i = 0; i < event->field_count; i++)
		if (!strcmp(event->field[i].name, name))
			return &event->field[i];
	return NULL;
}
