/* SPDX-License-Identifier: MIT */
#include "recorder/cli/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "recorder/core/paths.h"

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error == -ECONNREFUSED ? -ENOENT : error; /* the socket of a daemon that is no more */
}

static int receive(int fd, struct fr_proto_answer *answer, char *text, int timeout_ms)
{
	struct iovec parts[2] = { { answer, sizeof(*answer) }, { text, FR_PROTO_TEXT_MAX } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	ssize_t got;

	if (poll(&waiting, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	got = recvmsg(fd, &message, 0);
	if (got < 0)
		return -errno;
	if (got < (ssize_t)sizeof(*answer) || answer->size != sizeof(*answer) ||
	    answer->text_size > (size_t)got - sizeof(*answer))
		return -EPROTO;
	text[answer->text_size] = '\0';
	return 0;
}

int fr_ask(struct fr_proto_request *request, struct fr_proto_answer *ret_answer, char *text, int timeout_ms)
{
	char path[FR_PATH_MAX];
	int fd = -ENOENT, result;

	request->size = sizeof(*request);
	request->version = FR_PROTO_VERSION;
	if (fr_path_runtime(path, sizeof(path), "socket") == 0)
		fd = connect_to(path);
	if (fd == -ENOENT && geteuid() != 0 && !getenv("FLIGHTREC_RUNTIME_DIR"))
		fd = connect_to("/run/flightrec/socket");
	if (fd < 0)
		return fd;
	result = send(fd, request, sizeof(*request), MSG_NOSIGNAL) < 0 ? -errno : receive(fd, ret_answer, text, timeout_ms);
	close(fd);
	return result;
}
