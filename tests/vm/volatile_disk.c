/* SPDX-License-Identifier: MIT */
/*
 * volatile_disk.c - a disk with a write cache that a power cut empties, for guests: an NBD server
 *on a Unix socket.
 *
 *	volatile_disk SOCKET IMAGE SEED
 *
 * What a guest writes goes into memory, and to IMAGE only when the guest asks for a flush (or marks
 *the write FUA). SIGTERM is the power cut: of each sector of 4 KiB that was not flushed, chance
 *says whether it had reached the medium; then it ends. So whoever forgets a flush, or waits for
 *none, loses what it thought it had written. Prints what happened.
 *
 * It speaks as much of the NBD protocol (fixed newstyle) as QEMU needs: one client, one export,
 *simple replies.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SECTOR		   4096u
#define LENGTH_MAX	   (32u << 20)
#define MAGIC		   0x4e42444d41474943ull /* "NBDMAGIC" */
#define HAVE_OPTION	   0x49484156454f5054ull /* "IHAVEOPT" */
#define OPTION_REPLY	   0x3e889045565a9ull
#define OPTION_EXPORT_NAME 1u
#define OPTION_ABORT	   2u
#define REPLY_ACK	   1u
#define REPLY_UNSUPPORTED  0x80000001u
#define REQUEST_MAGIC	   0x25609513u
#define REPLY_MAGIC	   0x67446698u
#define NO_ZEROES	   2u /* handshake flag; 1: fixed newstyle */

enum { READ = 0, WRITE = 1, DISCONNECT = 2, FLUSH = 3 };
enum { HAS_FLAGS = 1, SEND_FLUSH = 4, SEND_FUA = 8 };

struct __attribute__((packed)) request {
	uint32_t magic;
	uint16_t flags; /* 1: FUA */
	uint16_t type;
	uint64_t handle;
	uint64_t offset;
	uint32_t length;
};

static struct {
	int image;
	uint64_t size;
	unsigned char *cache; /* what the guest sees */
	unsigned char *dirty; /* a byte a sector: the image doesn't have it */
	uint64_t flushes, writes;
} disk;
static volatile sig_atomic_t cut;

static void on_term(int number)
{
	(void)number;
	cut = 1;
}

/* True when there is something to read; false at the cut. Only here the signal gets through. */
static bool wait_for(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	sigset_t none;

	sigemptyset(&none);
	while (!cut) {
		if (ppoll(&one, 1, NULL, &none) > 0)
			return true;
	}
	return false;
}

static bool get(int fd, void *to, size_t size)
{
	unsigned char *p = to;

	while (size) {
		ssize_t n = wait_for(fd) ? read(fd, p, size) : -1;

		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

static bool put(int fd, const void *from, size_t size)
{
	const unsigned char *p = from;

	while (size) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

/* Sectors of the cache to the image. */
static void write_through(uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		if (!disk.dirty[i])
			continue;
		if (pwrite(disk.image, disk.cache + i * SECTOR, SECTOR, (off_t)(i * SECTOR)) !=
		    (ssize_t)SECTOR) {
			perror("volatile_disk: image");
			exit(1);
		}
		disk.dirty[i] = 0;
	}
}

static bool negotiate(int fd)
{
	struct __attribute__((packed)) {
		uint64_t magic, option;
		uint16_t flags;
	} hello = { htobe64(MAGIC), htobe64(HAVE_OPTION), htobe16(1 | NO_ZEROES) };
	struct __attribute__((packed)) {
		uint64_t magic;
		uint32_t option, length;
	} option;
	uint32_t flags;
	char ignored[4096];

	if (!put(fd, &hello, sizeof(hello)) || !get(fd, &flags, sizeof(flags)))
		return false;
	while (get(fd, &option, sizeof(option)) && be32toh(option.length) <= sizeof(ignored) &&
	       get(fd, ignored, be32toh(option.length))) {
		struct __attribute__((packed)) {
			uint64_t magic;
			uint32_t option, type, length;
		} reply = { htobe64(OPTION_REPLY), option.option, htobe32(REPLY_UNSUPPORTED), 0 };
		struct __attribute__((packed)) {
			uint64_t size;
			uint16_t flags;
			unsigned char zeroes[124];
		} export = { htobe64(disk.size),
			     htobe16(HAS_FLAGS | SEND_FLUSH | SEND_FUA),
			     { 0 } };

		if (be32toh(option.option) == OPTION_EXPORT_NAME)
			return put(fd, &export, be32toh(flags) & NO_ZEROES ? 10 : sizeof(export));
		if (be32toh(option.option) == OPTION_ABORT)
			reply.type = htobe32(REPLY_ACK);
		if (!put(fd, &reply, sizeof(reply)))
			return false;
	}
	return false;
}

static bool serve_one(int fd, const struct request *request)
{
	struct __attribute__((packed)) {
		uint32_t magic, error;
		uint64_t handle;
	} reply = { htobe32(REPLY_MAGIC), 0, request->handle };
	uint64_t at = be64toh(request->offset), first = at / SECTOR;
	uint32_t length = be32toh(request->length);
	uint16_t type = be16toh(request->type);
	uint64_t count = (at + length + SECTOR - 1) / SECTOR - first;
	bool inside = length <= LENGTH_MAX && at <= disk.size && length <= disk.size - at;

	if (type == DISCONNECT)
		return false;
	if (type == WRITE) {
		if (!inside || !get(fd, disk.cache + at, length))
			return false;
		memset(disk.dirty + first, 1, count);
		disk.writes++;
		if (be16toh(request->flags) & 1)
			write_through(first, count);
	} else if (type == FLUSH) {
		write_through(0, disk.size / SECTOR);
		disk.flushes++;
	} else if (type != READ || !inside) {
		reply.error = htobe32(EINVAL);
	}
	return put(fd, &reply, sizeof(reply)) &&
	       (type != READ || reply.error || put(fd, disk.cache + at, length));
}

static void lose_power(unsigned long seed)
{
	uint64_t kept = 0, lost = 0;

	for (uint64_t i = 0; i < disk.size / SECTOR; i++) {
		if (!disk.dirty[i])
			continue;
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		if (seed >> 63) {
			write_through(i, 1);
			kept++;
		} else {
			lost++;
		}
	}
	printf("volatile_disk: %llu writes, %llu flushes; of what was not flushed %llu sectors were kept, %llu lost\n",
	       (unsigned long long)disk.writes, (unsigned long long)disk.flushes,
	       (unsigned long long)kept, (unsigned long long)lost);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct sigaction action = { .sa_handler = on_term };
	int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	struct request request;
	struct stat st;
	sigset_t term;

	if (argc != 4 || strlen(argv[1]) >= sizeof(address.sun_path))
		return fprintf(stderr, "usage: volatile_disk SOCKET IMAGE SEED\n"), 2;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	sigaction(SIGTERM, &action, NULL);
	disk.image = open(argv[2], O_RDWR);
	if (disk.image < 0 || fstat(disk.image, &st) < 0)
		return perror(argv[2]), 1;
	disk.size = (uint64_t)st.st_size / SECTOR * SECTOR;
	disk.cache = malloc(disk.size);
	disk.dirty = calloc(disk.size / SECTOR, 1);
	if (!disk.cache || !disk.dirty ||
	    pread(disk.image, disk.cache, disk.size, 0) != (ssize_t)disk.size)
		return perror(argv[2]), 1;
	strcpy(address.sun_path, argv[1]);
	unlink(argv[1]);
	if (socket_fd < 0 || bind(socket_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(socket_fd, 1) < 0)
		return perror(argv[1]), 1;
	while (wait_for(socket_fd)) {
		fd = accept(socket_fd, NULL, NULL);
		if (fd < 0)
			continue;
		if (negotiate(fd)) {
			while (get(fd, &request, sizeof(request)) &&
			       be32toh(request.magic) == REQUEST_MAGIC && serve_one(fd, &request))
				;
		}
		close(fd);
	}
	lose_power(strtoul(argv[3], NULL, 10));
	return 0;
}
