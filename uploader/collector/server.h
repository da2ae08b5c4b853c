/* SPDX-License-Identifier: MIT */
/*
 * server.h - the collector's HTTP side: listens, bounds what it takes, hands whole requests to receive.h.
 *
 * Owns: libmicrohttpd. One thread serves all connections, so that the store has one user. Memory is bounded by
 * FR_SERVER_CONNECTIONS bodies.
 */
#ifndef UPLOADER_COLLECTOR_SERVER_H
#define UPLOADER_COLLECTOR_SERVER_H

#include <stdint.h>

#include "uploader/collector/store.h"

#define FR_SERVER_CONNECTIONS 16
#define FR_SERVER_BODY_MAX    (16u << 20)

struct fr_server_options {
	const char *address;	 /* "127.0.0.1:0", "[::1]:8443" */
	const char *token;	 /* NULL: none is wanted */
	const char *cert, *key;	 /* PEM text, NULL: no TLS */
	uint64_t body_max;	 /* bytes; 0: FR_SERVER_BODY_MAX */
};

struct fr_server;
/* Strings are not kept, except token. -EINVAL with `why`. */
int fr_server_start(const struct fr_server_options *options, struct fr_store *store, struct fr_server **ret_server,
		    char *why, size_t why_size);
uint16_t fr_server_port(const struct fr_server *server);
void fr_server_stop(struct fr_server *server);

#endif
