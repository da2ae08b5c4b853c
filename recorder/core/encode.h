/* SPDX-License-Identifier: MIT */
/*
 * encode.h - writes events whose shape is known only at run time (kernel events, harvested lines, the daemon's own).
 *
 * Owns: the payload encoding's writing side for values; applications encode by generated code (flightrec.h).
 *
 * Payload: the fixed block holds the fields in declared order, each at its natural alignment; a STR, BYTES or JSON
 * field is a le32 length there. The block is padded with zeros to 8. The variable parts follow back to back.
 */
#ifndef RECORDER_CORE_ENCODE_H
#define RECORDER_CORE_ENCODE_H

#include "recorder/core/decode.h"
#include "recorder/core/ring.h"

/* Bytes a field takes in the fixed block, at that alignment; 0 for a type this build doesn't know. */
uint32_t fr_type_width(uint8_t type);
bool fr_type_is_variable(uint8_t type); /* STR, BYTES, JSON */

/* Bytes of the fixed block, and where each field lies in it (offset[i], may be NULL). */
uint32_t fr_payload_layout(const uint8_t *types, unsigned count, uint32_t *offset);

/* Bytes the payload needs. Only `type` and the value of each fr_value are read. */
uint32_t fr_encode_size(const struct fr_value *values, unsigned count);
void fr_encode(const struct fr_value *values, unsigned count, unsigned char *payload);

struct fr_stamp {
	uint64_t time_ns; /* CLOCK_BOOTTIME */
	uint16_t event, cpu, session;
	uint32_t tid;
};

/* Reserve, encode, commit in a lane the caller holds. 0 or what fr_lane_reserve() says. */
int fr_emit(struct fr_lane *lane, const struct fr_stamp *stamp, const struct fr_value *values, unsigned count);

#endif
