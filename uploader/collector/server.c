/* SPDX-License-Identifier: MIT */
/* server.c - requests by libmicrohttpd. */
#include "uploader/collector/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uploader/collector/receive.h"

#define DISCARD_FACTOR 16 /* a body too large is still read to its end, up to so many times the limit, so that 413 arrives */

struct fr_server {
	struct MHD_Daemon *daemon;
	struct fr_store *store;
	const char *token;
	uint64_t body_max;
};

/* A request on its way in. */
struct incoming {
	unsigned char *body;
	size_t size, announced;
	unsigned refused; /* status that is due once the body has been read */
	struct fr_reply reply;
};

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct fr_reply *reply)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(reply->body), (void *)(uintptr_t)reply->body, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", "application/json");
	if (reply->retry_later)
		MHD_add_response_header(response, "Retry-After", "10");
	if (reply->status == 405)
		MHD_add_response_header(response, "Allow", "POST");
	if (reply->status == 401)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

static void say(struct fr_reply *reply, unsigned status, const char *word)
{
	reply->status = status;
	snprintf(reply->body, sizeof reply->body, "{\"status\":\"%s\"}", word);
}

static void read_headers(struct MHD_Connection *connection, struct fr_request *request)
{
	request->content_type = header(connection, "Content-Type");
	request->content_encoding = header(connection, "Content-Encoding");
	request->authorization = header(connection, "Authorization");
	request->idempotency_key = header(connection, "Idempotency-Key");
	request->protocol = header(connection, "Flightrec-Protocol");
	request->database = header(connection, "Flightrec-Database");
	request->machine = header(connection, "Flightrec-Machine");
	request->boot = header(connection, "Flightrec-Boot");
	request->events = header(connection, "Flightrec-Events");
	request->body_crc = header(connection, "Flightrec-Body-Crc");
}

/* The status that is due whatever the body holds, or 0 and room for the body. */
static unsigned judge_start(struct fr_server *server, struct MHD_Connection *connection, const char *url, const char *method,
			    struct incoming *incoming)
{
	struct fr_request request = { 0 };
	const char *length = header(connection, "Content-Length");
	char *end;
	unsigned long long size;

	if (strcmp(url, "/v1/batches") != 0) {
		say(&incoming->reply, 404, "not found");
		return 404;
	}
	if (strcmp(method, "POST") != 0) {
		say(&incoming->reply, 405, "want POST");
		return 405;
	}
	read_headers(connection, &request);
	if (fr_receive_headers(&request, server->token, &incoming->reply))
		return incoming->reply.status;
	errno = 0;
	size = length && *length >= '0' && *length <= '9' ? strtoull(length, &end, 10) : (end = NULL, 0);
	if (!end || *end || errno || header(connection, "Transfer-Encoding")) {
		say(&incoming->reply, 411, "want Content-Length");
		return 411;
	}
	if (size > server->body_max) {
		say(&incoming->reply, 413, "too large");
		return 413;
	}
	incoming->body = malloc(size ? size : 1);
	if (!incoming->body) {
		say(&incoming->reply, 503, "busy");
		incoming->reply.retry_later = true;
		return 503;
	}
	incoming->announced = size;
	return 0;
}

static enum MHD_Result take_data(struct fr_server *server, struct incoming *incoming, const char *data, size_t *size)
{
	if (incoming->refused) {
		incoming->size += *size;
		if (incoming->size > DISCARD_FACTOR * server->body_max)
			return MHD_NO;
	} else {
		if (*size > incoming->announced - incoming->size)
			return MHD_NO;
		memcpy(incoming->body + incoming->size, data, *size);
		incoming->size += *size;
	}
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *data, size_t *size, void **state)
{
	struct fr_server *server = ctx;
	struct incoming *incoming = *state;
	struct fr_request request = { 0 };

	(void)version;
	if (!incoming) {
		incoming = *state = calloc(1, sizeof *incoming);
		if (!incoming)
			return MHD_NO;
		incoming->refused = judge_start(server, connection, url, method, incoming);
		return MHD_YES;
	}
	if (*size)
		return take_data(server, incoming, data, size);
	if (!incoming->refused) {
		read_headers(connection, &request);
		request.body = incoming->body;
		request.body_size = incoming->size;
		if (incoming->size != incoming->announced)
			return MHD_NO;
		fr_receive(server->store, &request, &incoming->reply);
	}
	return send_reply(connection, &incoming->reply);
}

static void on_end(void *ctx, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
	struct incoming *incoming = *state;

	(void)ctx, (void)connection, (void)code;
	if (incoming)
		free(incoming->body);
	free(incoming);
	*state = NULL;
}

static bool parse_address(const char *text, struct sockaddr_storage *address)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	size_t size = colon ? (size_t)(colon - text) : 0;
	unsigned long port;
	char *end;

	if (!size || size >= sizeof host || colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	memcpy(host, text, size);
	host[size] = '\0';
	memset(address, 0, sizeof *address);
	if (*end || port > 65535)
		return false;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return true;
	}
	if (host[0] != '[' || host[size - 1] != ']')
		return false;
	host[size - 1] = '\0';
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

int fr_server_start(const struct fr_server_options *options, struct fr_store *store, struct fr_server **ret_server,
		    char *why, size_t why_size)
{
	/* by poll: where epoll refuses to let go of a socket, libmicrohttpd ends the program */
	unsigned flags = MHD_USE_POLL_INTERNAL_THREAD;
	struct sockaddr_storage address;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->key },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct fr_server *server;

	if (!parse_address(options->address, &address)) {
		snprintf(why, why_size, "--listen %s: want ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8443", options->address);
		return -EINVAL;
	}
	if (!options->cert && !is_loopback(&address)) {
		snprintf(why, why_size, "--listen %s: other machines can reach this, so it needs --cert and --key", options->address);
		return -EINVAL;
	}
	server = calloc(1, sizeof *server);
	if (!server)
		return -ENOMEM;
	server->store = store;
	server->token = options->token;
	server->body_max = options->body_max ? options->body_max : FR_SERVER_BODY_MAX;
	flags |= options->cert ? MHD_USE_TLS : 0;
	flags |= address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0;
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, &address,
					  MHD_OPTION_CONNECTION_LIMIT, FR_SERVER_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
					  MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_ARRAY,
					  options->cert ? tls : tls + 2, MHD_OPTION_END);
	if (!server->daemon) {
		snprintf(why, why_size, "can't serve on %s: %s%s", options->address, strerror(errno),
			 options->cert ? "; or certificate and key do not fit" : "");
		free(server);
		return -EINVAL;
	}
	*ret_server = server;
	return 0;
}

uint16_t fr_server_port(const struct fr_server *server)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

void fr_server_stop(struct fr_server *server)
{
	if (!server)
		return;
	MHD_stop_daemon(server->daemon);
	free(server);
}
