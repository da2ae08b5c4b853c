/* SPDX-License-Identifier: MIT */
/*
 * fuzz_request.c - property: whatever packets clients send, each gets exactly one well-formed
 * answer: a ring of bounded size that is made out to the peer, a state in JSON, or one line that
 * says why not; and the gates that are remembered stay readable and bounded.
 *
 * The input is packets: u8 user (even: root), le16 size, bytes. The daemon is real but for the
 * socket, which is one end of a pair.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pstore/vouch.h"
#include "recorder/core/check.h"
#include "recorder/core/json.h"
#include "recorder/core/proto.h"
#include "recorder/daemon/daemon.h"
#include "recorder/daemon/request.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch.h"

#define RINGS 4

/* In place of recorder/daemon/log.c and main.c. */
void log_line(int priority, const char *format, ...)
{
	(void)priority, (void)format;
}

bool log_allowed(struct log_limit *limit)
{
	(void)limit;
	return true;
}

void daemon_missing(struct daemon *daemon, const char *what, const char *format, ...)
{
	(void)daemon, (void)what, (void)format;
}

void daemon_found(struct daemon *daemon, const char *what)
{
	(void)daemon, (void)what;
}

void daemon_resume_sources(struct daemon *daemon)
{
	(void)daemon;
}

static void on_signal(void *ctx, int number)
{
	(void)ctx, (void)number;
}

static struct daemon *start(void)
{
	static struct daemon daemon;
	char path[FR_PATH_MAX], error[256];

	if (daemon.loop.epoll > 0)
		return &daemon;
	HOLDS(config_load("/dev/null", &daemon.config, error, sizeof(error)) == 0);
	daemon.config.ring_size = daemon.config.ring_size_max = FRM_RING_MIN;
	daemon.config.rings_max = RINGS;
	daemon.config_path = "fuzz.conf";
	snprintf(daemon.state, sizeof(daemon.state), "%s", scratch_folder());
	snprintf(daemon.runtime, sizeof(daemon.runtime), "%s", scratch_folder());
	snprintf(daemon.ring_dir, sizeof(daemon.ring_dir), "%s", scratch_folder());
	snprintf(path, sizeof(path), "%.100s/vouched", scratch_folder());
	HOLDS(mkdir(path, 0700) == 0);
	daemon.lock = daemon.kmsg.fd = daemon.writers.watch = -1;
	daemon.writers.pidfds_max = 64;
	daemon.server.daemon = daemon.queue.daemon = &daemon;
	HOLDS(loop_open(&daemon.loop, on_signal, &daemon) == 0);
	return &daemon;
}

/* As it was before the first packet. */
static void forget(struct daemon *daemon)
{
	char path[FR_PATH_MAX];

	while (daemon->writers.first) {
		snprintf(path, sizeof(path), "%.100s/%.100s", daemon->ring_dir, daemon->writers.first->name);
		HOLDS(unlink(path) == 0);
		fr_vouch_drop(daemon->state, daemon->writers.first->name);
		writers_remove(daemon->writers.first);
	}
	HOLDS(!daemon->writers.living && !daemon->writers.bytes);
	daemon->policy.size = 0;
	memset(daemon->server.rate, 0, sizeof(daemon->server.rate));
}

struct received {
	struct fr_proto_answer answer;
	char text[FR_PROTO_TEXT_MAX + 1];
	size_t size;
	int fd; /* -1: none came */
};

static void receive(int socket, struct received *received)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec parts[2] = { { &received->answer, sizeof(received->answer) },
				  { received->text, FR_PROTO_TEXT_MAX } };
	struct msghdr message = { .msg_iov = parts,
				  .msg_iovlen = 2,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };
	ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	char more;

	HOLDS(got >= (ssize_t)sizeof(received->answer) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)));
	HOLDS(recv(socket, &more, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	received->size = (size_t)got - sizeof(received->answer);
	received->text[received->size] = '\0';
	received->fd = -1;
	if (message.msg_controllen) {
		HOLDS(CMSG_FIRSTHDR(&message)->cmsg_len == CMSG_LEN(sizeof(int)));
		memcpy(&received->fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	}
}

static void check_ring(const struct daemon *daemon, const struct server_peer *peer, int fd)
{
	struct frm_super super;
	struct stat st;

	HOLDS(fstat(fd, &st) == 0 && pread(fd, &super, sizeof(super), 0) == (ssize_t)sizeof(super));
	HOLDS(fr_super_check(&super) == 0 && super.uid == peer->uid && super.pid == peer->pid);
	HOLDS(super.ident_flags & FRM_IDENT_VOUCHED && super.policy <= FRM_POLICY_DISCARD);
	HOLDS((uint64_t)st.st_size == super.ring_size && super.ring_size <= daemon->config.ring_size_max);
}

static void check_answer(const struct daemon *daemon, const struct server_peer *peer, uint32_t op,
			 struct received *received)
{
	const struct fr_proto_answer *answer = &received->answer;

	HOLDS(answer->size == sizeof(*answer) && answer->version == FR_PROTO_VERSION && !answer->reserved);
	HOLDS(answer->text_size == received->size && strlen(received->text) == received->size);
	HOLDS(answer->error <= 0 && (received->fd >= 0) == (answer->error == 0 && op == FR_PROTO_ATTACH));
	if (answer->error) {
		HOLDS(received->size && !answer->affected);
		for (size_t i = 0; i < received->size; i++)
			HOLDS((unsigned char)received->text[i] >= ' ');
	} else if (op == FR_PROTO_STATUS) {
		HOLDS(fr_json_valid(received->text, received->size));
	} else {
		HOLDS(!received->size);
	}
	if (received->fd >= 0) {
		check_ring(daemon, peer, received->fd);
		close(received->fd);
	}
}

static void check_gates(const struct daemon *daemon)
{
	const char *cursor = daemon->policy.text, *end = cursor + daemon->policy.size;
	static char text[FR_GATES_TEXT_MAX];
	struct fr_gate_rule rule;
	char path[FR_PATH_MAX];
	size_t rules = 0, lines = 0;

	HOLDS(daemon->policy.size <= FR_GATES_TEXT_MAX && daemon->writers.living <= RINGS);
	for (const char *p = cursor; p < end; p++)
		lines += *p == '\n';
	while (fr_gates_next(&cursor, end, &rule)) {
		HOLDS(*rule.selector && rule.level <= FRM_LEVEL_VERBOSE && !rule.from_config);
		rules++;
	}
	HOLDS(rules == lines);
	if (!rules)
		return;
	snprintf(path, sizeof(path), "%.100s/%s", daemon->state, FR_GATES_FILE);
	HOLDS(fr_gates_read(path, text, sizeof(text)) == (int)daemon->policy.size);
	HOLDS(!memcmp(text, daemon->policy.text, daemon->policy.size));
}

static void ask(struct daemon *daemon, uint64_t user, const uint8_t *packet, size_t size)
{
	static struct received received;
	struct server_peer peer = {
		.pid = (uint32_t)getpid(), .uid = user & 1 ? 1000 : 0, .gid = 7, .pidfd = -1
	};
	struct fr_proto_request request = { 0 };
	int pair[2];

	HOLDS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	peer.socket = pair[0];
	memcpy(&request, packet, size < sizeof(request) ? size : sizeof(request));
	request_serve(daemon, &peer, packet, size);
	receive(pair[1], &received);
	check_answer(daemon, &peer, request.op, &received);
	close(pair[0]);
	close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct daemon *daemon = start();
	struct input input = { bytes, size };

	for (unsigned i = 0; i < 16 && input.left; i++) {
		uint64_t user = take_number(&input, 1);
		size_t length = take_number(&input, 2);
		const uint8_t *from = take_bytes(&input, length, &length);
		/* exactly its size: a sanitizer sees a read beyond */
		uint8_t *packet = malloc(length ? length : 1);

		HOLDS(packet);
		memcpy(packet, from, length);
		if (length)
			ask(daemon, user, packet, length);
		free(packet);
	}
	check_gates(daemon);
	forget(daemon);
	return 0;
}
