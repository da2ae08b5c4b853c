/* SPDX-License-Identifier: MIT */
/* request.c - see request.h. */
#include "recorder/daemon/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recorder/daemon/attach.h"
#include "recorder/daemon/daemon.h"
#include "recorder/daemon/status.h"

#define REQUEST_MIN offsetof(struct fr_proto_request, policy)

static void set_gate(struct daemon *daemon, const struct server_peer *peer,
		     const struct fr_proto_request *request)
{
	struct fr_proto_answer answer = { 0 };
	char source[64];
	int rings;

	if (peer->uid != 0 && peer->uid != geteuid()) {
		server_refuse(daemon, peer, -EPERM,
			      "only root and the recorder's own user may set gates");
		return;
	}
	snprintf(source, sizeof(source), "process %u of user %u", peer->pid, peer->uid);
	rings = policy_set(daemon, request->provider, request->level, request->keywords, source);
	if (rings < 0) {
		server_refuse(daemon, peer, rings, "the gate could not be set: %s",
			      rings == -EINVAL
				      ? "want a provider's name or GUID and a level from 0 to 5"
				      : strerror(-rings));
		return;
	}
	answer.affected = (uint32_t)rings;
	server_answer(peer, &answer, NULL, -1);
	if (log_allowed(&daemon->server.gates))
		log_line(LOG_PRIO_NOTICE,
			 "gate of %s set to level %u by %s: %d running rings changed",
			 request->provider, request->level, source, rings);
}

void request_serve(struct daemon *daemon, const struct server_peer *peer,
		   const unsigned char *packet, size_t size)
{
	struct fr_proto_request request = { 0 };
	uint32_t said;

	daemon->server.requests++;
	if (size < REQUEST_MIN) {
		server_refuse(daemon, peer, -EPROTO, "a packet of %zu bytes is no request", size);
		return;
	}
	memcpy(&said, packet, sizeof(said));
	if (said != size) {
		server_refuse(daemon, peer, -EPROTO, "a packet of %zu bytes says it has %u", size,
			      said);
		return;
	}
	memcpy(&request, packet, size < sizeof(request) ? size : sizeof(request));
	request.provider[sizeof(request.provider) - 1] = 0;
	if (request.version == 0 || request.version > FR_PROTO_VERSION) {
		server_refuse(daemon, peer, -EPROTONOSUPPORT,
			      "it speaks version %u of the protocol, this is version %u",
			      request.version, FR_PROTO_VERSION);
		return;
	}
	switch (request.op) {
	case FR_PROTO_ATTACH:
		attach_client(daemon, peer, &request);
		break;
	case FR_PROTO_GATE:
		set_gate(daemon, peer, &request);
		break;
	case FR_PROTO_STATUS:
		if (peer->uid != 0 && !server_may_ask(&daemon->server, peer->uid, 1))
			server_refuse(daemon, peer, -EAGAIN,
				      "its user asks too often: [server] attach_rate");
		else
			status_answer(daemon, peer);
		break;
	default:
		server_refuse(daemon, peer, -ENOSYS, "there is no request number %u", request.op);
	}
}
