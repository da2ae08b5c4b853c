/* SPDX-License-Identifier: MIT */
/* attach.c - see attach.h. */
#include "recorder/daemon/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pstore/vouch.h"
#include "recorder/core/check.h"
#include "recorder/core/host.h"
#include "recorder/core/testpoint.h"
#include "recorder/daemon/daemon.h"

#define PROCESS_RINGS_MAX 8

/*
 * A descriptor that stands for the peer. SO_PEERPIDFD was taken by the kernel at connect(). Else the pid is opened, and it is
 * the peer's if the connection still has its other end open: a process that is waiting for us has not died.
 */
static int peer_pidfd(const struct server_peer *peer)
{
	if (peer->pidfd >= 0)
		return fcntl(peer->pidfd, F_DUPFD_CLOEXEC, 0);
#ifdef SYS_pidfd_open
	return (int)syscall(SYS_pidfd_open, (pid_t)peer->pid, 0);
#else
	return -1;
#endif
}

static bool hung_up(int socket)
{
	struct pollfd poll_one = { .fd = socket, .events = POLLIN };

	return poll(&poll_one, 1, 0) > 0 && poll_one.revents & (POLLHUP | POLLERR);
}

static bool has_died(int pidfd)
{
	struct pollfd poll_one = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&poll_one, 1, 0) > 0;
}

static bool within_bounds(struct daemon *daemon, const struct server_peer *peer, uint64_t size)
{
	const struct config *config = &daemon->config;
	const struct writers *writers = &daemon->writers;
	uint64_t bytes, all = writers->bytes + writers->waiting_bytes;
	unsigned rings;

	writers_of_user(daemon, peer->uid, &rings, &bytes);
	bytes += salvage_queue_spent(&daemon->queue, peer->uid);
	if (writers_of_process(daemon, peer->pid) >= PROCESS_RINGS_MAX)
		server_refuse(daemon, peer, -EUSERS, "it has %d rings already", PROCESS_RINGS_MAX);
	else if (writers->count >= config->rings_max || all + size > config->rings_bytes_max)
		server_refuse(
			daemon, peer, -ENOSPC,
			"%u rings of %llu MiB are in use or wait for their salvage: [store] rings_max or "
			"rings_bytes_max",
			writers->count, (unsigned long long)all >> 20);
	else if (peer->uid != 0 &&
		 (rings >= config->uid_rings_max || bytes + size > config->uid_bytes_max))
		server_refuse(
			daemon, peer, -EDQUOT,
			"its user has %u rings of %llu MiB, with what went to the spool of late: [store] "
			"user_rings_max or user_bytes_max",
			rings, (unsigned long long)bytes >> 20);
	else if (peer->uid != 0 &&
		 !server_may_ask(&daemon->server, peer->uid, 1 + (size - 1) / config->ring_size))
		server_refuse(daemon, peer, -EAGAIN,
			      "its user asks for rings too often: [server] attach_rate");
	else
		return true;
	return false;
}

/* In the words of the kernel alone; what /proc says is checked to be of the same process. */
static int identify(struct daemon *daemon, const struct server_peer *peer, int pidfd,
		    struct fr_identity *identity)
{
	int error = fr_host_identity((pid_t)peer->pid, identity);

	if (error < 0)
		return error;
	if (has_died(pidfd) || (peer->pidfd < 0 && hung_up(peer->socket)))
		return -ESRCH;
	identity->kind = FRM_KIND_PROCESS;
	identity->uid = peer->uid;
	identity->gid = peer->gid;
	identity->flags = FRM_IDENT_VOUCHED;
	identity->boot_seq = daemon->boot_seq;
	identity->creator = "flightrecd " FR_VERSION;
	memset(identity->ring_id, 0, sizeof(identity->ring_id));
	return 0;
}

static void unmake(struct daemon *daemon, const char *name)
{
	char path[FR_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", daemon->ring_dir, name) < (int)sizeof(path))
		unlink(path);
	fr_vouch_drop(daemon->state, name);
}

/* From the made ring to the client's hands. `pidfd` is taken over. */
static void hand_out(struct daemon *daemon, const struct server_peer *peer, int fd,
		     const char *name, int pidfd)
{
	struct fr_proto_answer answer = { 0 };
	struct frm_super super;
	struct writer *writer;
	int error = 0;

	if (pread(fd, &super, sizeof(super), 0) != (ssize_t)sizeof(super))
		error = -EIO;
	if (error == 0)
		error = fr_vouch_store(daemon->state, name, &super);
	if (error < 0) {
		if (pidfd >= 0)
			close(pidfd);
		unmake(daemon, name);
		server_refuse(daemon, peer, error,
			      "its identity could not be kept in %.150s/vouched: %s", daemon->state,
			      strerror(-error));
		return;
	}
	writer = writers_add(daemon, name, &super, pidfd, true);
	if (!writer) {
		unmake(daemon, name);
		server_refuse(daemon, peer, -ENOMEM, "out of memory");
		return;
	}
	FR_TESTPOINT("attach-entered");
	error = server_answer(peer, &answer, NULL, fd);
	FR_TESTPOINT("attach-answered");
	if (error < 0) {
		writers_remove(writer);
		unmake(daemon, name);
	}
}

void attach_client(struct daemon *daemon, const struct server_peer *peer,
		   const struct fr_proto_request *request)
{
	const struct config *config = &daemon->config;
	struct fr_geometry geometry = { .ring_size = request->ring_size ? request->ring_size
									: config->ring_size,
					.lanes = request->lanes,
					.policy = request->policy };
	struct fr_identity identity = { 0 };
	char name[FR_RING_NAME_MAX];
	int fd, pidfd, error;

	if (geometry.ring_size > config->ring_size_max)
		geometry.ring_size = config->ring_size_max;
	if (geometry.ring_size < FRM_RING_MIN)
		geometry.ring_size = FRM_RING_MIN;
	geometry.ring_size &= ~(uint64_t)(FRM_PAGE - 1);
	if (peer->pid == 0) {
		server_refuse(daemon, peer, -ESRCH,
			      "it lives in a pid namespace that is not below the recorder's");
		return;
	}
	writers_end_abandoned(daemon, peer->pid);
	if (!within_bounds(daemon, peer, geometry.ring_size))
		return;
	pidfd = peer_pidfd(peer);
	error = identify(daemon, peer, pidfd, &identity);
	fd = error < 0 ? error
		       : fr_ringfile_create(daemon->ring_dir, 0640, &geometry, &identity, name);
	if (fd < 0) {
		if (pidfd >= 0)
			close(pidfd);
		server_refuse(daemon, peer, fd, "no ring could be made in %.150s: %s",
			      daemon->ring_dir, strerror(-fd));
		return;
	}
	FR_TESTPOINT("attach-made");
	hand_out(daemon, peer, fd, name, pidfd);
	close(fd);
}
