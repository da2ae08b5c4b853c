/* SPDX-License-Identifier: MIT */
/*
 * request.h - one packet from a client: is it a request, and if so, what it gets.
 *
 * Owns: the reading of recorder/core/proto.h. Knows of the connection only whom to answer; a packet
 * is untrusted.
 */
#ifndef RECORDER_DAEMON_REQUEST_H
#define RECORDER_DAEMON_REQUEST_H

#include <stddef.h>

#include "recorder/daemon/server.h"

/* Sends exactly one answer, unless the peer can't take it. */
void request_serve(struct daemon *daemon, const struct server_peer *peer,
		   const unsigned char *packet, size_t size);

#endif
