/* SPDX-License-Identifier: MIT */
/*
 * proto.h - what an application, `flightrec set` and flightrecd say to each other over the Unix socket
 * RUNTIME_DIR/socket (SOCK_SEQPACKET). One request packet, one answer packet, then both sides close.
 *
 * Structs begin with their size and grow at the end. Identity comes from the socket's credentials, never from here.
 */
#ifndef RECORDER_CORE_PROTO_H
#define RECORDER_CORE_PROTO_H

#include <stdint.h>

#define FR_PROTO_VERSION 1u

enum fr_proto_op {
	FR_PROTO_ATTACH = 1, /* give me a ring; the answer carries its descriptor (SCM_RIGHTS) */
	FR_PROTO_GATE = 2,   /* set a provider's gate in every ring, and remember it */
	FR_PROTO_STATUS = 3, /* the answer is followed by a JSON text in the same packet */
};

struct fr_proto_request {
	uint32_t size;
	uint32_t version;
	uint32_t op;
	uint32_t policy;     /* ATTACH: FRM_POLICY_* */
	uint64_t ring_size;  /* ATTACH: wish in bytes, 0: the daemon's default; bounded by its configuration */
	uint32_t lanes;	     /* ATTACH: wish, 0: chosen */
	uint32_t level;	     /* GATE: 0 off, 1..5 */
	uint64_t keywords;   /* GATE: 56 bits; 0: all */
	char provider[128];  /* GATE: name, or GUID in its 36 characters */
};

struct fr_proto_answer {
	uint32_t size;
	uint32_t version;
	int32_t error;	     /* 0 or negative errno */
	uint32_t affected;   /* GATE: rings changed */
	uint32_t text_size;  /* bytes of text that follow this struct (STATUS: JSON; on error: one line why) */
	uint32_t reserved;
};

#define FR_PROTO_TEXT_MAX (64u << 10)

#endif
