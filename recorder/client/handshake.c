/* SPDX-License-Identifier: MIT */
/*
 * handshake.c - asks flightrecd for a ring: see proto.h. A daemon that is absent, slow or talks nonsense is as good as
 * none; an application never waits for one longer than TIMEOUT_MS, and learns nothing of it.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "recorder/client/client.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/proto.h"
#include "recorder/core/testpoint.h"

#define TIMEOUT_MS 250

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) { /* also EAGAIN: its queue is full */
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* A program's own signals may come often: they don't shorten the wait. */
static bool answers_in_time(int fd)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	uint64_t now = fr_clock_mono_ns(), until = now + TIMEOUT_MS * UINT64_C(1000000);
	int r;

	do {
		r = poll(&waiting, 1, (int)((until - now + 999999) / 1000000));
		now = fr_clock_mono_ns();
	} while (r < 0 && errno == EINTR && now < until);
	return r > 0;
}

/* Receives the answer and the descriptor that comes with it. */
static int receive(int fd)
{
	struct fr_proto_answer answer = { 0 };
	char text[256];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec parts[2] = { { &answer, sizeof(answer) }, { text, sizeof(text) } };
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = 2, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct cmsghdr *header;
	ssize_t got;
	int ring = -1;

	if (!answers_in_time(fd))
		return -ETIMEDOUT;
	got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -EPROTO;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&ring, CMSG_DATA(header), sizeof(int));
	if (ring >= 0 && (answer.error < 0 || got < (ssize_t)sizeof(answer))) {
		close(ring);
		ring = -1;
	}
	return ring >= 0 ? ring : answer.error < 0 ? answer.error : -EPROTO;
}

int fr_client_ask_daemon(uint64_t ring_size, uint32_t lanes, uint32_t policy)
{
	struct fr_proto_request request = { .size = sizeof(request),
					    .version = FR_PROTO_VERSION,
					    .op = FR_PROTO_ATTACH,
					    .policy = policy,
					    .ring_size = ring_size,
					    .lanes = lanes };
	char path[FR_PATH_MAX];
	int fd = -ENOENT, r;

	if (secure_getenv("FLIGHTREC_RING_DIR")) /* the user said where */
		return -ENOENT;
	if (fr_path_runtime(path, sizeof(path), "socket") == 0)
		fd = connect_to(path);
	if (fd < 0 && geteuid() != 0 && !secure_getenv("FLIGHTREC_RUNTIME_DIR"))
		fd = connect_to("/run/flightrec/socket"); /* the system's */
	if (fd < 0)
		return fd;
	r = send(fd, &request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request) ? 0 : -errno;
	FR_TESTPOINT("daemon-asked");
	if (r == 0)
		r = receive(fd);
	FR_TESTPOINT("daemon-answered");
	close(fd);
	return r;
}
