/* SPDX-License-Identifier: MIT */
/*
 * server.h - the socket: one request packet, one answer packet, goodbye (recorder/core/proto.h).
 *
 * Owns: connections: how many, how long, who is at the other end by the kernel's word. Nothing a client sends is more than a
 * claim; what is wrong costs it its connection, and us a line while the limit of lines lasts. Descriptors that a client
 * sends along are refused by the kernel, or else dropped, and what their closing takes is bounded.
 */
#ifndef RECORDER_DAEMON_SERVER_H
#define RECORDER_DAEMON_SERVER_H

#include <sys/types.h>

#include "recorder/core/proto.h"
#include "recorder/daemon/log.h"
#include "recorder/daemon/loop.h"

#define SERVER_USERS 32 /* whose rate is known at a time */

struct daemon;

struct server_peer {
	uint32_t pid, uid, gid; /* SO_PEERCRED: of who called connect() */
	int pidfd;		/* SO_PEERPIDFD, -1: the kernel has none */
	int socket;
};

struct server_rate {
	uint32_t uid;
	uint64_t at_ns;
	double tokens;
};

struct connection;

struct server {
	struct daemon *daemon;
	int socket;
	struct loop_source *source;
	struct connection *first; /* the oldest */
	unsigned connections;
	bool without_rights; /* the kernel refuses descriptors (Linux 6.16) */
	struct loop_timer sweep;
	struct server_rate rate[SERVER_USERS];
	struct log_limit refusals, floods, gates;
	uint64_t requests, refused, flooded, timed_out;
};

int server_open(struct daemon *daemon);
void server_close(struct daemon *daemon); /* and removes the socket */

/* Sends the answer, with text and descriptor (-1: none). 0 or negative errno; never blocks. */
int server_answer(const struct server_peer *peer, const struct fr_proto_answer *answer,
		  const char *text, int fd);
/* The same for a refusal, with a line that says why; also to our log. */
void server_refuse(struct daemon *daemon, const struct server_peer *peer, int error,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* False: this user has asked for enough rings and states for now. `cost`: 1, more for what takes longer. */
bool server_may_ask(struct server *server, uint32_t uid, uint64_t cost);

#endif
