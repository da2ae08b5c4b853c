/* SPDX-License-Identifier: MIT */
/*
 * hostile.c - a client that means harm, by a random schedule that its seed repeats.
 *
 *	hostile SEED ROUNDS [ACTION]	does so many things (of one kind: ring, packet, silence, rights, greed, status, gate);
 *					says what came of them in one line, and exits with 1 when it got what it must not get
 *	hostile stuck SECONDS		sends a socket that lingers so long, and exits
 *
 * As root it turns into user 60001 or 60002 first, by the seed, who are nobody's friends.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/check.h"
#include "recorder/core/proto.h"

#define STRANGER   60001
#define RIGHTS_MAX 250
#define LIFE_S	   60 /* of whatever is forked here */

static uint64_t seed;
static bool stranger; /* the daemon is not ours */
static struct seen {
	unsigned rings, refused, dropped, answered, rights, rights_refused, spoiled;
} *seen; /* shared with what is forked */

static void count(unsigned *what)
{
	__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

static uint64_t any(uint64_t below)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (z ^ z >> 31) % below;
}

static void any_bytes(void *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = (unsigned char)any(256);
}

static void nap_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

static int dial(void)
{
	const struct timeval patience = { .tv_sec = 100 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", getenv("FLIGHTREC_RUNTIME_DIR"));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		fprintf(stderr, "hostile: no connection: %s\n", strerror(errno));
		exit(2);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

/* The answer's error; -ECONNRESET when there is none. A ring goes to *ret_ring. */
static int answer_of(int fd, int *ret_ring)
{
	struct fr_proto_answer answer = { 0 };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { &answer, sizeof(answer) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	if (header && ret_ring)
		memcpy(ret_ring, CMSG_DATA(header), sizeof(int));
	if (got < (ssize_t)sizeof(answer)) {
		count(&seen->dropped);
		return -ECONNRESET;
	}
	count(answer.error < 0 ? &seen->refused : &seen->answered);
	return answer.error;
}

static struct fr_proto_request request_for(uint32_t op)
{
	return (struct fr_proto_request) { .size = sizeof(struct fr_proto_request),
					   .version = FR_PROTO_VERSION,
					   .op = op };
}

static int attach(uint64_t size, uint32_t lanes)
{
	struct fr_proto_request request = request_for(FR_PROTO_ATTACH);
	int fd = dial(), ring = -1;

	request.ring_size = size;
	request.lanes = lanes;
	if (send(fd, &request, sizeof(request), MSG_NOSIGNAL) > 0)
		answer_of(fd, &ring);
	close(fd);
	if (ring >= 0)
		count(&seen->rings);
	return ring;
}

/* ------------------------------------------------------------------ rings */

static uint64_t any_size(uint64_t size)
{
	const uint64_t sizes[] = { 0,	     1,	       100,	 4096,	     size / 2,
				   size - 1, size + 1, 2 * size, 1ull << 30, 1ull << 40 };

	return sizes[any(sizeof(sizes) / sizeof(sizes[0]))];
}

/* A superblock that is right in itself, and says what is not so. */
static void forge(int ring)
{
	struct frm_super super;

	if (pread(ring, &super, sizeof(super), 0) != (ssize_t)sizeof(super))
		return;
	switch (any(6)) {
	case 0:
		super.uid = super.gid = 0;
		super.pid = 1;
		break;
	case 1:
		any_bytes(super.ring_id, sizeof(super.ring_id));
		break;
	case 2:
		super.lane_count = (uint32_t)any(FRM_LANES_MAX);
		super.lane_size = any(FRM_RING_MAX);
		break;
	case 3:
		super.ring_size = FRM_RING_MAX;
		super.lane_size = FRM_RING_MAX / 2;
		break;
	case 4:
		super.version_major = 2;
		break;
	default:
		any_bytes(super.boot_id, sizeof(super.boot_id));
		any_bytes(super.comm, sizeof(super.comm));
	}
	fr_super_sign(&super);
	if (pwrite(ring, &super, sizeof(super), 0) < 0 ||
	    pwrite(ring, &super, sizeof(super), (off_t)super.meta_size) < 0)
		return;
	count(&seen->spoiled);
}

/* Numbers that can't be: of lanes, of losses, of the instant it was left. */
static void exaggerate(int ring, uint64_t size)
{
	uint64_t numbers[8];
	const off_t places[] = { offsetof(struct frm_meta, state),
				 offsetof(struct frm_meta, tables), offsetof(struct frm_meta, log),
				 (off_t)(2 * FRM_META_MIN),
				 (off_t)(2 * FRM_META_MIN + offsetof(struct frm_lane, next_pos)) };

	memset(numbers, any(2) ? 0xff : 0x7f, sizeof(numbers));
	for (unsigned i = 0; i < 20; i++)
		if (pwrite(ring, numbers, 8 + any(7) * 8,
			   any(2) ? places[any(5)] : (off_t)any(size) & ~7ll) > 0)
			count(&seen->spoiled);
}

/* Through a mapping, which nobody is told of; what it has cut off itself costs it a SIGBUS. */
static void scribble(int ring, uint64_t size)
{
	unsigned char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
	struct stat st;

	if (map == MAP_FAILED)
		return;
	for (unsigned i = 0; i < 200 && fstat(ring, &st) == 0 && (uint64_t)st.st_size >= size; i++)
		any_bytes(map + any(size - 64), 1 + any(64));
	munmap(map, size);
}

static void mistreat(int ring, uint64_t size)
{
	unsigned char rubbish[4096];

	switch (any(8)) {
	case 0:
	case 1:
		if (ftruncate(ring, (off_t)any_size(size)) == 0)
			count(&seen->spoiled);
		break;
	case 2:
		if (fallocate(ring, FALLOC_FL_KEEP_SIZE, (off_t)size, 8 << 20) == 0)
			count(&seen->spoiled);
		break;
	case 3:
		any_bytes(rubbish, sizeof(rubbish));
		for (unsigned i = 0; i < 20; i++)
			if (pwrite(ring, rubbish, 1 + any(sizeof(rubbish)), (off_t)any(size)) > 0)
				count(&seen->spoiled);
		break;
	case 4:
		scribble(ring, size);
		break;
	case 5:
		exaggerate(ring, size);
		break;
	case 6:
		fallocate(ring, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)any(size),
			  (off_t)any(size) + 1);
		break;
	default:
		forge(ring);
	}
}

/*
 * Asks for rings, spoils them, dies. A child that has them, too, goes on while they are salvaged,
 * and after: they are files without a name then, or lie in quarantine.
 */
static void act_ring(void)
{
	uint64_t size = 65536ull << any(4);
	pid_t child = fork();

	if (child == 0) {
		int ring[4], rings = (int)any(4) + 1;
		bool both;

		alarm(LIFE_S);
		for (int i = 0; i < rings; i++)
			ring[i] = attach(size, (uint32_t)any(20));
		both = fork() == 0;
		alarm(LIFE_S);
		for (unsigned i = (unsigned)any(both ? 60 : 6); i > 0; i--) {
			int at = (int)any((uint64_t)rings);

			if (ring[at] >= 0)
				mistreat(ring[at], size);
			nap_us(any(both ? 4000 : 2000));
		}
		if (any(2))
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	if (any(2))
		nap_us(any(20000));
}

static void act_greed(void)
{
	const uint64_t sizes[] = { 0, 1, 4095, 65536, 1 << 20, 64 << 20, 1ull << 40, UINT64_MAX };

	if (fork() == 0) {
		alarm(LIFE_S);
		for (unsigned i = 0; i < 12; i++)
			attach(sizes[any(8)], (uint32_t)any(UINT32_MAX));
		nap_us(any(50000));
		_exit(0);
	}
}

/* ------------------------------------------------------------------ the socket */

static void act_packet(void)
{
	static unsigned char bytes[150000];
	struct fr_proto_request request = request_for((uint32_t)any(6));
	size_t size = any(2) ? any(256) : any(sizeof(bytes));
	int fd = dial();

	switch (any(6)) {
	case 0: /* noise */
		any_bytes(bytes, size > 4096 ? 4096 : size);
		break;
	case 1: /* cut */
		size = any(sizeof(request));
		memcpy(bytes, &request, sizeof(request));
		break;
	case 2: /* a later version's, longer than ours */
		memset(bytes, (int)any(256), sizeof(bytes));
		request.size = (uint32_t)(size = sizeof(request) + any(8000));
		memcpy(bytes, &request, sizeof(request));
		break;
	case 3: /* right in form, wrong in all else */
		any_bytes(&request.policy, sizeof(request) - offsetof(struct fr_proto_request, policy));
		memcpy(bytes, &request, size = sizeof(request));
		break;
	case 4: /* byte by byte, which packets are not */
		for (size_t i = 0;
		     i < sizeof(request) && send(fd, (char *)&request + i, 1, MSG_NOSIGNAL) == 1;
		     i++)
			nap_us(100);
		size = 0;
		break;
	default: /* many at once */
		memcpy(bytes, &request, size = sizeof(request));
		for (unsigned i = 0; i < 50; i++)
			send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	if (size && send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		count(&seen->dropped);
	if (any(3) == 0)
		shutdown(fd, any(2) ? SHUT_RD : SHUT_WR);
	if (any(3) == 0) {
		int ring = -1;

		answer_of(fd, &ring);
		if (ring >= 0)
			close(ring);
	}
	close(fd);
}

static void act_silence(void)
{
	if (fork() == 0) {
		alarm(LIFE_S);
		for (unsigned i = (unsigned)any(40); i > 0; i--)
			shutdown(dial(), any(8) ? -1 : SHUT_WR);
		nap_us(any(1500000));
		_exit(0);
	}
}

static int lingering(unsigned seconds)
{
	const struct linger linger = { 1, (int)seconds };
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	static char bytes[65536];

	if (listener < 0 || fd < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
	    connect(fd, (struct sockaddr *)&address, length) < 0)
		return -1;
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) /* nobody ever reads it */
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

static bool send_rights(int fd, const int *rights, unsigned many, const void *packet, size_t size)
{
	static union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
	} control;
	struct iovec part = { (void *)packet, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes };
	struct cmsghdr *header;

	message.msg_controllen = CMSG_SPACE(many * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(many * sizeof(int));
	memcpy(CMSG_DATA(header), rights, many * sizeof(int));
	if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		count(&seen->rights_refused);
		return false;
	}
	count(&seen->rights);
	return true;
}

/* In a process of its own, that closes nothing: at its end, nothing lingers. */
static void act_rights(void)
{
	struct fr_proto_request request = request_for((uint32_t)any(4));
	unsigned count = 1 + (unsigned)any(RIGHTS_MAX - 1); /* the parent draws, too: else all were alike */
	int rights[RIGHTS_MAX], pipes[2], fd, kinds[5], known = 0;

	if (fork() != 0)
		return;
	alarm(LIFE_S);
	fd = dial();
	if (pipe2(pipes, O_CLOEXEC) == 0) {
		kinds[known++] = pipes[0];
		kinds[known++] = pipes[1];
	}
	kinds[known++] = fd;
	kinds[known++] = any(2) ? memfd_create("hostile", MFD_CLOEXEC) : epoll_create1(EPOLL_CLOEXEC);
	if (any(4) == 0)
		kinds[known++] = lingering(1 + (unsigned)any(600));
	for (unsigned i = 0; i < count; i++) {
		rights[i] = kinds[any((uint64_t)known)];
		if (rights[i] < 0)
			rights[i] = fd;
	}
	for (unsigned i = (unsigned)any(4); i > 0; i--) /* behind a request that is served, the rest is thrown away unread */
		send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT);
	send_rights(fd, rights, count, &request, any(2) ? sizeof(request) : 1 + any(sizeof(request)));
	_exit(0);
}

static void act_status(void)
{
	struct fr_proto_request request = request_for(FR_PROTO_STATUS);

	for (unsigned i = 0; i < 30; i++) {
		int fd = dial();

		send(fd, &request, sizeof(request), MSG_NOSIGNAL);
		if (any(2))
			answer_of(fd, NULL);
		close(fd);
	}
}

static void act_gate(void)
{
	struct fr_proto_request request = request_for(FR_PROTO_GATE);
	int fd = dial();

	request.level = (uint32_t)any(7);
	any_bytes(request.provider, sizeof(request.provider));
	if (any(2))
		strcpy(request.provider, "*");
	send(fd, &request, sizeof(request), MSG_NOSIGNAL);
	if (answer_of(fd, NULL) == 0 && stranger) {
		fprintf(stderr, "hostile: a stranger has set gates\n");
		exit(1);
	}
	close(fd);
}

static const struct {
	const char *name;
	void (*act)(void);
	unsigned weight;
} actions[] = {
	{ "ring", act_ring, 12 },     { "packet", act_packet, 8 }, { "silence", act_silence, 1 }, { "rights", act_rights, 3 },
	{ "greed", act_greed, 1 },   { "status", act_status, 2 }, { "gate", act_gate, 2 },
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void act_any(void)
{
	unsigned all = 0, chosen;
	size_t i;

	for (i = 0; i < ACTIONS; i++)
		all += actions[i].weight;
	chosen = (unsigned)any(all);
	for (i = 0; chosen >= actions[i].weight; i++)
		chosen -= actions[i].weight;
	actions[i].act();
}

static void become_stranger(void)
{
	const uid_t user = STRANGER + seed % 2;

	if (geteuid() != 0)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 || setresuid(user, user, user) < 0) {
		fprintf(stderr, "hostile: can't be user %u: %s\n", user, strerror(errno));
		exit(2);
	}
	stranger = true;
}

int main(int argc, char **argv)
{
	void (*act)(void) = argc > 3 ? NULL : act_any;
	unsigned long rounds;

	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 2;
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	become_stranger();
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* what is forked further down is waited for, too */
	if (argc == 3 && !strcmp(argv[1], "stuck")) {
		int fd = dial(), stuck = lingering((unsigned)atoi(argv[2]));

		if (stuck < 0)
			return 77;
		printf("%s\n", send_rights(fd, &stuck, 1, "stuck", 5) ? "sent" : "refused");
		return 0;
	}
	for (size_t i = 0; i < ACTIONS && argc > 3; i++)
		if (!strcmp(argv[3], actions[i].name))
			act = actions[i].act;
	if (argc < 3 || !act) {
		fprintf(stderr, "hostile: see the top of hostile.c\n");
		return 2;
	}
	rounds = strtoul(argv[2], NULL, 10);
	for (unsigned long i = 0; i < rounds; i++) {
		act();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	while (wait(NULL) > 0)
		;
	printf("rounds %lu rings %u spoiled %u answered %u refused %u dropped %u rights %u rights-refused %u\n",
	       rounds, seen->rings, seen->spoiled, seen->answered, seen->refused, seen->dropped,
	       seen->rights, seen->rights_refused);
	return 0;
}
