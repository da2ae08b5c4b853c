/* SPDX-License-Identifier: MIT */
/* encode.c - see encode.h. */
#include "recorder/core/encode.h"

static const uint8_t widths[] = {
	[FRM_U8] = 1, [FRM_U16] = 2, [FRM_U32] = 4, [FRM_U64] = 8, [FRM_I8] = 1, [FRM_I16] = 2, [FRM_I32] = 4,
	[FRM_I64] = 8, [FRM_F64] = 8, [FRM_STR] = 4, [FRM_BYTES] = 4, [FRM_JSON] = 4,
};

uint32_t fr_type_width(uint8_t type)
{
	return type < sizeof(widths) ? widths[type] : 0;
}

bool fr_type_is_variable(uint8_t type)
{
	return type == FRM_STR || type == FRM_BYTES || type == FRM_JSON;
}

uint32_t fr_payload_layout(const uint8_t *types, unsigned count, uint32_t *offset)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t width = fr_type_width(types[i]);

		if (width)
			at = (at + width - 1) & ~(width - 1);
		if (offset)
			offset[i] = at;
		at += width;
	}
	return (at + 7) & ~7u;
}

static uint32_t layout_of(const struct fr_value *values, unsigned count, uint32_t *offset)
{
	uint8_t types[FR_FIELDS_MAX] = { 0 };

	for (unsigned i = 0; i < count; i++)
		types[i] = values[i].type;
	return fr_payload_layout(types, count, offset);
}

uint32_t fr_encode_size(const struct fr_value *values, unsigned count)
{
	uint32_t offset[FR_FIELDS_MAX], size;

	if (count > FR_FIELDS_MAX)
		count = FR_FIELDS_MAX;
	size = layout_of(values, count, offset);
	for (unsigned i = 0; i < count; i++) {
		if (fr_type_is_variable(values[i].type))
			size += values[i].s.size < FRM_RECORD_MAX ? (uint32_t)values[i].s.size : FRM_RECORD_MAX;
		if (size > FRM_RECORD_MAX)
			return FRM_RECORD_MAX + 1; /* refused at reserve */
	}
	return size;
}

void fr_encode(const struct fr_value *values, unsigned count, unsigned char *payload)
{
	uint32_t offset[FR_FIELDS_MAX], at;

	if (count > FR_FIELDS_MAX)
		count = FR_FIELDS_MAX;
	at = layout_of(values, count, offset);
	memset(payload, 0, at);
	for (unsigned i = 0; i < count; i++) {
		const struct fr_value *v = &values[i];

		if (fr_type_is_variable(v->type)) {
			uint32_t size = (uint32_t)v->s.size;

			memcpy(payload + offset[i], &size, 4);
			if (size)
				memcpy(payload + at, v->s.data, size);
			at += size;
		} else {
			memcpy(payload + offset[i], &v->u, fr_type_width(v->type)); /* little-endian: the low bytes */
		}
	}
}

int fr_emit(struct fr_lane *lane, const struct fr_stamp *stamp, const struct fr_value *values, unsigned count)
{
	struct fr_reservation res;
	int r = fr_lane_reserve(lane, fr_encode_size(values, count), &res);

	if (r < 0)
		return r;
	res.record->time_ns = stamp->time_ns;
	res.record->event = stamp->event;
	res.record->cpu = stamp->cpu;
	res.record->tid = stamp->tid;
	res.record->seq_session |= (uint64_t)stamp->session << FRM_SESSION_SHIFT;
	fr_encode(values, count, (unsigned char *)(res.record + 1));
	fr_lane_commit(&res, 0);
	return 0;
}
