/* SPDX-License-Identifier: MIT */
/*
 * attach.h - a ring for a client.
 *
 * Owns: bounds on rings, and the order of things:
 *	1. who it is, by the kernel		2. ring file made and renamed
 *	3. superblock remembered (vouch.h)	4. in the table, watched
 *	5. descriptor sent			6. forgotten again if nobody took it
 * A daemon killed after any step finds the ring at its next start by its file.
 */
#ifndef RECORDER_DAEMON_ATTACH_H
#define RECORDER_DAEMON_ATTACH_H

#include "recorder/daemon/server.h"

void attach_client(struct daemon *daemon, const struct server_peer *peer,
		   const struct fr_proto_request *request);

#endif
