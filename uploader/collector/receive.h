/* SPDX-License-Identifier: MIT */
/*
 * receive.h - one request to POST /v1/batches, from its headers and body to its answer.
 *
 * Owns: the order of the checks of schemas/WIRE.md ("What a receiver checks"), and that nothing is acknowledged before it
 * is committed. Knows nothing of sockets. Everything it gets is untrusted.
 */
#ifndef UPLOADER_COLLECTOR_RECEIVE_H
#define UPLOADER_COLLECTOR_RECEIVE_H

#include <stddef.h>

#include "uploader/collector/store.h"

/* Header values as they came, NULL when absent. */
struct fr_request {
	const char *content_type, *content_encoding, *authorization;
	const char *idempotency_key, *protocol, *database, *machine, *boot, *events, *body_crc;
	const unsigned char *body;
	size_t body_size;
};

struct fr_reply {
	unsigned status;
	char body[1024];
	bool retry_later; /* a Retry-After belongs to it */
};

/* What can be said before the body is there: 0, or the status (and the reply filled). `token` NULL: none is wanted. */
unsigned fr_receive_headers(const struct fr_request *request, const char *token, struct fr_reply *ret_reply);
/* The whole. */
void fr_receive(struct fr_store *store, const struct fr_request *request, struct fr_reply *ret_reply);

#endif
