/* SPDX-License-Identifier: MIT */
/*
 * catalogue.c - the table of events, made from schemas/events.def.
 *
 * A sample of eBPF is walked by the same table: its fields follow struct fr_kevent in declared
 * order, each number at its natural alignment, which is where the compiler puts the members of
 * struct fr_kevent_<symbol> (tests/bpf asserts it).
 */
#include "recorder/core/catalogue.h"

#include <errno.h>
#include <string.h>

const struct fr_catalogue_provider fr_catalogue_provider[FR_PROVIDER_COUNT] = {
#define FR_PROVIDER(number, SYMBOL, name_, major, minor, ...)                                      \
	[FR_PROVIDER_##SYMBOL] = { .name = name_,                                                  \
				   .guid = { __VA_ARGS__ },                                        \
				   .version_major = major,                                         \
				   .version_minor = minor },
#include "schemas/events.def"
};

#define TYPE_u8	 FRM_U8
#define TYPE_u16 FRM_U16
#define TYPE_u32 FRM_U32
#define TYPE_u64 FRM_U64
#define TYPE_i8	 FRM_I8
#define TYPE_i16 FRM_I16
#define TYPE_i32 FRM_I32
#define TYPE_i64 FRM_I64

#define NUMBER(type, name, unit, doc)	 { TYPE_##type, false, 0, #name, unit, doc },
#define TEXT(name, size, unit, doc)	 { FRM_STR, false, size, #name, unit, doc },
#define STRINGS(name, size, unit, doc)	 { FRM_STR, true, size, #name, unit, doc },
#define OTHER_BYTES(name, unit, doc)	 { FRM_BYTES, false, 0, #name, unit, doc },
#define OTHER_JSON(name, unit, doc)	 { FRM_JSON, false, 0, #name, unit, doc },

#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc)                        \
	static const struct fr_catalogue_field fields_##symbol[] = {                               \
		FR_IDENTITY_FIELDS(NUMBER, TEXT)
#define FR_UEVENT(id, SYMBOL, symbol, name, provider, role, level, keywords, on, hook, doc) \
	static const struct fr_catalogue_field fields_##symbol[] = {
#define FR_FIELD       NUMBER
#define FR_FIELD_STR   TEXT
#define FR_FIELD_ARGV  STRINGS
#define FR_FIELD_BYTES OTHER_BYTES
#define FR_FIELD_JSON  OTHER_JSON
#define FR_EVENT_END() };
#include "schemas/events.def"

#define DEFAULT_ON  true
#define DEFAULT_OFF false
#define EVENT(id_, symbol_, name_, provider_, role_, level_, keywords_, on, hook_, doc_)           \
	{ .id = id_,                                                                               \
	  .provider = FR_PROVIDER_##provider_,                                                     \
	  .role = FR_ROLE_##role_,                                                                 \
	  .level = FRM_LEVEL_##level_,                                                             \
	  .default_on = DEFAULT_##on,                                                              \
	  .keywords = keywords_,                                                                   \
	  .symbol = #symbol_,                                                                      \
	  .name = name_,                                                                           \
	  .hook = hook_,                                                                           \
	  .doc = doc_,                                                                             \
	  .field_count = sizeof(fields_##symbol_) / sizeof(fields_##symbol_[0]),                   \
	  .field = fields_##symbol_ },

const struct fr_catalogue_event fr_catalogue[] = {
#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc) \
	EVENT(id, symbol, name, KERNEL, EBPF, level, keywords, on, hook, doc)
#define FR_UEVENT(id, SYMBOL, symbol, name, provider, role, level, keywords, on, hook, doc) \
	EVENT(id, symbol, name, provider, role, level, keywords, on, hook, doc)
#include "schemas/events.def"
};

const unsigned fr_catalogue_count = sizeof(fr_catalogue) / sizeof(fr_catalogue[0]);

/* A table of ids that are too many for decode.h, or not below FR_EVENT_ID_END, shall not build. */
#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc)                        \
	_Static_assert(id < FR_KEVENT_ID_END &&                                                    \
			       sizeof(fields_##symbol) / sizeof(fields_##symbol[0]) <=             \
				       FR_FIELDS_MAX,                                              \
		       #symbol);                                                                   \
	_Static_assert(sizeof(struct fr_kevent_##symbol) % 8 == 0, #symbol);
#define FR_UEVENT(id, SYMBOL, symbol, name, provider, role, level, keywords, on, hook, doc)        \
	_Static_assert(id < FR_EVENT_ID_END &&                                                     \
			       sizeof(fields_##symbol) / sizeof(fields_##symbol[0]) <=             \
				       FR_FIELDS_MAX,                                              \
		       #symbol);
#include "schemas/events.def"

static const uint16_t class_id[FR_CLASS_COUNT] = {
#define FR_KEVENT(id, SYMBOL, symbol, name, level, keywords, on, hook, doc)                        \
	[FR_CLASS_##SYMBOL] = id,
#include "schemas/events.def"
};

const struct fr_catalogue_event *fr_catalogue_by_id(uint16_t id)
{
	for (unsigned i = 0; i < fr_catalogue_count; i++)
		if (fr_catalogue[i].id == id)
			return &fr_catalogue[i];
	return NULL;
}

const struct fr_catalogue_event *fr_catalogue_by_name(const char *name)
{
	for (unsigned i = 0; i < fr_catalogue_count; i++)
		if (strcmp(fr_catalogue[i].name, name) == 0)
			return &fr_catalogue[i];
	return NULL;
}

const struct fr_catalogue_event *fr_catalogue_by_class(unsigned class_no)
{
	return class_no < FR_CLASS_COUNT ? fr_catalogue_by_id(class_id[class_no]) : NULL;
}

const char *fr_catalogue_type_name(uint8_t type)
{
	static const char *const name[] = {
		[FRM_U8] = "u8", [FRM_U16] = "u16", [FRM_U32] = "u32", [FRM_U64] = "u64",
		[FRM_I8] = "i8", [FRM_I16] = "i16", [FRM_I32] = "i32", [FRM_I64] = "i64",
		[FRM_F64] = "f64", [FRM_STR] = "str", [FRM_BYTES] = "bytes", [FRM_JSON] = "json",
	};

	return type < sizeof(name) / sizeof(name[0]) && name[type] ? name[type] : "unknown";
}

int fr_catalogue_declare_event(struct fr_ring *ring, uint16_t provider,
			       const struct fr_catalogue_event *event)
{
	struct fr_field_spec spec[FR_FIELDS_MAX];

	for (unsigned i = 0; i < event->field_count; i++)
		spec[i] = (struct fr_field_spec){
			.type = event->field[i].type,
			.name = event->field[i].name,
			.unit = event->field[i].unit,
		};
	return fr_ring_declare_event(ring, provider, event->name, event->level, event->keywords,
				     spec, event->field_count);
}

int fr_catalogue_declare(struct fr_ring *ring, unsigned roles, struct fr_catalogue_ids *ids)
{
	int error = 0;

	memset(ids, 0, sizeof(*ids));
	for (unsigned p = 0; p < FR_PROVIDER_COUNT; p++)
		ids->provider[p] = -ENOENT;

	for (unsigned i = 0; i < fr_catalogue_count; i++) {
		const struct fr_catalogue_event *event = &fr_catalogue[i];
		const struct fr_catalogue_provider *provider =
			&fr_catalogue_provider[event->provider];
		int *number = &ids->provider[event->provider], id;

		if (!(event->role & roles))
			continue;
		if (*number < 0)
			*number = fr_ring_declare_provider(ring, provider->guid, provider->name,
							   provider->version_major,
							   provider->version_minor);
		id = *number < 0 ? *number
				 : fr_catalogue_declare_event(ring, (uint16_t)*number, event);
		if (id > 0)
			ids->event[event->id] = (uint16_t)id;
		else if (!error)
			error = id;
	}
	return error;
}

static unsigned number_size(uint8_t type)
{
	switch (type) {
	case FRM_U8:
	case FRM_I8:
		return 1;
	case FRM_U16:
	case FRM_I16:
		return 2;
	case FRM_U32:
	case FRM_I32:
		return 4;
	default:
		return 8;
	}
}

static void number_value(const unsigned char *at, struct fr_value *value)
{
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
		int8_t i8;
		int16_t i16;
		int32_t i32;
		int64_t i64;
	} raw = { 0 };

	memcpy(&raw, at, number_size(value->type));
	switch (value->type) {
	case FRM_I8:
		value->i = raw.i8;
		break;
	case FRM_I16:
		value->i = raw.i16;
		break;
	case FRM_I32:
		value->i = raw.i32;
		break;
	case FRM_I64:
		value->i = raw.i64;
		break;
	default:
		value->u = raw.u64; /* little-endian, the rest is zero */
		break;
	}
}

/* "ls\0-l\0" becomes "ls -l"; what does not fit in the scratch is left out. */
static void argv_value(const char *strings, size_t size, struct fr_kevent_values *v,
		       size_t *scratch_used, struct fr_value *value)
{
	size_t room = sizeof(v->scratch) - *scratch_used;
	char *out = v->scratch + *scratch_used;

	if (size && strings[size - 1] == '\0')
		size--;
	if (size > room)
		size = room;
	for (size_t i = 0; i < size; i++)
		out[i] = strings[i] ? strings[i] : ' ';
	value->s.data = out;
	value->s.size = size;
	*scratch_used += size;
}

#define ALIGN_UP(n, to) (((n) + (to) - 1) / (to) * (to))

int fr_kevent_values(const void *sample, size_t size, int64_t mono_to_boot_ns,
		     struct fr_kevent_values *v)
{
	const unsigned char *bytes = sample;
	const struct fr_catalogue_event *event;
	struct fr_kevent head;
	size_t at = offsetof(struct fr_kevent, start_time_ns), scratch_used = 0;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, sample, sizeof(head));
	if (head.version != FR_KEVENT_VERSION)
		return -EPROTO;
	event = fr_catalogue_by_id(head.event);
	if (!event || event->role != FR_ROLE_EBPF)
		return -ENOENT;

	v->event = event;
	v->count = event->field_count;
	v->pid = head.pid;
	v->start_time_ns = head.start_time_ns;
	v->flags = head.flags;
	v->stamp = (struct fr_stamp){
		.time_ns = head.time_ns +
			   (head.flags & FR_KEVENT_MONOTONIC ? (uint64_t)mono_to_boot_ns : 0),
		.event = head.event,
		.cpu = head.cpu,
		.tid = head.tid,
	};

	for (unsigned i = 0; i < event->field_count; i++) {
		const struct fr_catalogue_field *field = &event->field[i];
		struct fr_value *value = &v->value[i];
		unsigned width =
			field->type == FRM_STR ? field->sample_size : number_size(field->type);
		uint32_t used = 0;

		*value = (struct fr_value){ .name = field->name,
					    .unit = field->unit,
					    .type = field->type };
		if (field->argv) {
			at = ALIGN_UP(at, sizeof(used));
			if (at + sizeof(used) > size)
				return -EBADMSG;
			memcpy(&used, bytes + at, sizeof(used));
			at += sizeof(used);
		} else if (field->type != FRM_STR) {
			at = ALIGN_UP(at, width);
		}
		if (at + width > size)
			return -EBADMSG;
		if (field->argv) {
			argv_value((const char *)bytes + at, used < width ? used : width, v,
				   &scratch_used, value);
		} else if (field->type == FRM_STR) {
			value->s.data = (const char *)bytes + at;
			value->s.size = strnlen(value->s.data, width);
		} else {
			number_value(bytes + at, value);
		}
		at += width;
	}
	return ALIGN_UP(at, 8) == size ? 0 : -EBADMSG;
}
