/* SPDX-License-Identifier: MIT */
/* server.c - see server.h. */
#include "recorder/daemon/server.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"
#include "recorder/daemon/request.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

#define REQUEST_MAX 4096 /* a later version's may be longer than ours */
#define BACKLOG	    256
#define SWEEP_MS    250
#define CLOSE_US    2000

struct connection {
	struct connection *next;
	struct daemon *daemon;
	struct server_peer peer;
	struct loop_source *source;
	uint64_t until_ns;
};

static void wake(int number)
{
	(void)number; /* it has ended a wait: that is all */
}

/*
 * What a client sent along and nobody took is closed by the kernel in our name: as we receive, or
 * as we close the socket with it unread. Closing a socket that lingers waits as long as its owner
 * chose, unless a signal comes. Where the kernel doesn't refuse descriptors in the first place, one
 * comes soon.
 */
static void hurry(const struct server *server, bool on)
{
	const struct itimerval soon = { .it_interval.tv_usec = on ? CLOSE_US : 0,
					.it_value.tv_usec = on ? CLOSE_US : 0 };

	if (!server->without_rights)
		setitimer(ITIMER_REAL, &soon, NULL);
}

static void close_client(const struct server *server, int fd)
{
	hurry(server, true);
	close(fd);
	hurry(server, false);
}

static void refuse_rights(struct server *server)
{
	const struct sigaction action = { .sa_handler = wake }; /* no SA_RESTART */
	const int no = 0;
	bool refused;

	refused = setsockopt(server->socket, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) == 0;
#ifdef FR_TESTPOINTS
	if (getenv("FLIGHTREC_TEST_PASSRIGHTS")) { /* as on an older kernel */
		const int yes = 1;

		setsockopt(server->socket, SOL_SOCKET, SO_PASSRIGHTS, &yes, sizeof(yes));
		refused = false;
	}
#endif
	server->without_rights = refused;
	if (!refused)
		sigaction(SIGALRM, &action, NULL);
}

static void drop(struct connection *connection)
{
	struct server *server = &connection->daemon->server;

	for (struct connection **at = &server->first; *at; at = &(*at)->next) {
		if (*at == connection) {
			*at = connection->next;
			break;
		}
	}
	server->connections--;
	loop_remove(&connection->daemon->loop, connection->source);
	if (connection->peer.pidfd >= 0)
		close(connection->peer.pidfd);
	close_client(server, connection->peer.socket);
	free(connection);
}

int server_answer(const struct server_peer *peer, const struct fr_proto_answer *answer,
		  const char *text, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct fr_proto_answer head = *answer;
	struct iovec parts[2] = { { &head, sizeof(head) },
				  { (char *)text, text ? strlen(text) : 0 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = text ? 2 : 1 };

	head.size = sizeof(head);
	head.version = FR_PROTO_VERSION;
	head.text_size = (uint32_t)parts[1].iov_len;
	if (fd >= 0) {
		struct cmsghdr *cmsg;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	return sendmsg(peer->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

void server_refuse(struct daemon *daemon, const struct server_peer *peer, int error,
		   const char *format, ...)
{
	struct fr_proto_answer answer = { .error = error };
	char why[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	daemon->server.refused++;
	if (log_allowed(&daemon->server.refusals))
		log_line(LOG_PRIO_WARNING, "request of process %u (user %u) refused: %s", peer->pid,
			 peer->uid, why);
	server_answer(peer, &answer, why, -1);
}

bool server_may_ask(struct server *server, uint32_t uid, uint64_t cost)
{
	uint64_t now = fr_clock_boot_ns(), rate = server->daemon->config.attach_rate;
	struct server_rate *slot = &server->rate[0];

	for (unsigned i = 0; i < SERVER_USERS; i++) {
		if (server->rate[i].at_ns && server->rate[i].uid == uid) {
			slot = &server->rate[i];
			break;
		}
		if (server->rate[i].at_ns < slot->at_ns)
			slot = &server->rate[i];
	}
	if (slot->uid != uid || slot->at_ns == 0)
		*slot = (struct server_rate){ .uid = uid, .at_ns = now, .tokens = (double)rate };
	slot->tokens += (double)(now - slot->at_ns) * 1e-9 * (double)rate;
	if (slot->tokens > (double)rate)
		slot->tokens = (double)rate;
	slot->at_ns = now;
	if (cost > rate)
		cost = rate;
	if (slot->tokens < (double)cost)
		return false;
	slot->tokens -= (double)cost;
	return true;
}

/* True when the connection is done. */
static bool receive(struct connection *connection)
{
	const struct server *server = &connection->daemon->server;
	unsigned char packet[REQUEST_MAX];
	ssize_t got;
	int error;

	hurry(server, true);
	got = recv(connection->peer.socket, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
	error = errno;
	hurry(server, false);
	if (got < 0 && (error == EAGAIN || error == EINTR))
		return false;
	if (got > (ssize_t)sizeof(packet))
		server_refuse(connection->daemon, &connection->peer, -EMSGSIZE,
			      "a packet of %zd bytes is no request", got);
	else if (got > 0)
		request_serve(connection->daemon, &connection->peer, packet, (size_t)got);
	return true; /* also when it left without a word */
}

static void connection_ready(void *ctx, uint32_t events)
{
	struct connection *connection = ctx;

	(void)events;
	if (receive(connection))
		drop(connection);
}

static void sweep(void *ctx)
{
	struct daemon *daemon = ctx;
	struct server *server = &daemon->server;
	uint64_t now = fr_clock_boot_ns();

	for (struct connection *connection = server->first, *next; connection; connection = next) {
		next = connection->next;
		if (connection->until_ns > now)
			continue;
		server->timed_out++;
		if (log_allowed(&server->floods))
			log_line(LOG_PRIO_WARNING,
				 "process %u (user %u) has connected and said nothing: dropped",
				 connection->peer.pid, connection->peer.uid);
		drop(connection);
	}
	loop_enable(&daemon->loop, server->source, true);
	if (server->first)
		loop_timer_set(&daemon->loop, &server->sweep, SWEEP_MS);
}

static int know_peer(int fd, struct server_peer *peer)
{
	struct ucred cred;
	socklen_t length = sizeof(cred);

	*peer = (struct server_peer){ .pidfd = -1, .socket = fd };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) < 0)
		return -errno;
	peer->pid = (uint32_t)cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	length = sizeof(peer->pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &peer->pidfd, &length) < 0)
		peer->pidfd = -1;
	return 0;
}

static unsigned connections_of(const struct server *server, uint32_t uid)
{
	unsigned count = 0;

	for (const struct connection *c = server->first; c; c = c->next)
		count += c->peer.uid == uid;
	return count;
}

/*
 * Who makes room for one more: what is to be said comes with the connection, so whoever has waited
 * longest will hardly say it. A user with half of all takes from itself; else it is the turn of one
 * who has several. NULL: there is room.
 */
static struct connection *in_the_way(const struct server *server, uint32_t uid)
{
	uint64_t most = server->daemon->config.connections_max;
	struct connection *c = server->first;

	if (uid != 0 && connections_of(server, uid) >= (most + 1) / 2) {
		while (c && c->peer.uid != uid)
			c = c->next;
		return c;
	}
	if (server->connections < most)
		return NULL;
	while (c && (c->peer.uid == 0 || connections_of(server, c->peer.uid) < 2))
		c = c->next;
	return c ? c : server->first;
}

static void welcome(struct daemon *daemon, int fd)
{
	struct server *server = &daemon->server;
	struct connection *connection = calloc(1, sizeof(*connection)), *other, **end;

	if (!connection || know_peer(fd, &connection->peer) < 0) {
		free(connection);
		close_client(server, fd);
		return;
	}
	other = in_the_way(server, connection->peer.uid);
	if (other) {
		server->flooded++;
		if (log_allowed(&server->floods))
			log_line(
				LOG_PRIO_WARNING,
				"too many connections that say nothing ([server] connections_max = %llu): that of process %u "
				"(user %u) is dropped",
				(unsigned long long)daemon->config.connections_max, other->peer.pid,
				other->peer.uid);
		drop(other);
	}
	connection->daemon = daemon;
	connection->until_ns = fr_clock_boot_ns() + daemon->config.request_timeout_ms * 1000000;
	for (end = &server->first; *end; end = &(*end)->next)
		;
	*end = connection;
	server->connections++;
	if (receive(connection) || loop_add(&daemon->loop, fd, EPOLLIN, connection_ready,
					    connection, &connection->source) < 0) {
		drop(connection);
		return;
	}
	if (!loop_timer_is_set(&server->sweep))
		loop_timer_set(&daemon->loop, &server->sweep, SWEEP_MS);
}

static void accept_ready(void *ctx, uint32_t events)
{
	struct daemon *daemon = ctx;

	(void)events;
	for (unsigned i = 0; i < BACKLOG; i++) { /* then the others get their turn */
		int fd = accept4(daemon->server.socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
			loop_enable(&daemon->loop, daemon->server.source,
				    false); /* the sweep enables */
			loop_timer_set(&daemon->loop, &daemon->server.sweep, SWEEP_MS);
		}
		if (fd < 0)
			return;
		welcome(daemon, fd);
	}
}

int server_open(struct daemon *daemon)
{
	struct server *server = &daemon->server;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	server->daemon = daemon;
	server->sweep = (struct loop_timer){ .fire = sweep, .ctx = daemon };
	server->refusals.about = "requests refused";
	server->floods.about = "connections dropped";
	server->gates.about = "gates set";
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", daemon->runtime) >=
	    (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	server->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->socket < 0)
		return -errno;
	refuse_rights(server); /* those who connect inherit it */
	unlink(address.sun_path); /* a killed daemon's; we hold the lock, so nobody else's */
	if (bind(server->socket, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, (mode_t)daemon->config.socket_mode) < 0 ||
	    listen(server->socket, BACKLOG) < 0) {
		error = -errno;
		close(server->socket);
		server->socket = -1;
		return error;
	}
	FR_TESTPOINT("socket-open");
	return loop_add(&daemon->loop, server->socket, EPOLLIN, accept_ready, daemon,
			&server->source);
}

void server_close(struct daemon *daemon)
{
	struct server *server = &daemon->server;
	char path[FR_PATH_MAX];

	if (server->socket < 0)
		return;
	while (server->first)
		drop(server->first);
	loop_remove(&daemon->loop, server->source);
	if (snprintf(path, sizeof(path), "%s/socket", daemon->runtime) < (int)sizeof(path))
		unlink(path);
	close(server->socket);
	server->socket = -1;
}
