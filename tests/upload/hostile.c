/* SPDX-License-Identifier: MIT */
/*
 * hostile.c - a server that does to an uploader what networks, proxies and broken receivers do:
 *
 *	hostile PORT_FILE LOG COLLECTOR_PORT [DEED...]
 *
 * Each request gets the next deed; when they are used up every one is forwarded to the collector. Writes a line a
 * request to LOG: milliseconds, deed, batch id, CRC of the body; and one "sent BYTES DEED" after
 * what has no end.
 *
 *	forward		to the collector, its answer back
 *	drop		to the collector, which commits and answers; the answer is lost
 *	refuse		the connection is closed before anything is read
 *	reset		the request is read, then the connection is reset
 *	hang		the request is read, nothing is answered
 *	half		our side is closed for writing at once, the request is read to its end
 *	deaf		our side is closed for reading at once, nothing is answered
 *	garbage		bytes that are no HTTP
 *	empty html	200 without an acknowledgement
 *	huge		200 and a body without end
 *	endless-head	200 and headers without end
 *	slow-head slow-body	a good acknowledgement, a byte every 20 ms, from the first or from its body on
 *	cut		a good acknowledgement that ends in the middle
 *	other-id	an acknowledgement of another batch
 *	other-count	an acknowledgement of one event more
 *	other-word	an acknowledgement that says "rejected"
 *	twice		two acknowledgements in one body
 *	redirect	302 to the collector itself; redirect=STATUS,URL any other
 *	NUMBER		that status; NUMBER:SECONDS with Retry-After in seconds, NUMBER@SECONDS as a date, NUMBER=TEXT any other
 *	reject		422 with a verdict
 *	poison=TEXT	stays: a body that holds TEXT gets 422 and a verdict, any other is forwarded
 *	poison400=TEXT	the same, with a bare 400
 *	reject-all	stays: 422 with a verdict, whatever it is
 *
 * With a batch that the collector has got before, and acknowledged:
 *
 *	chunked		in chunks
 *	bad-chunks	in chunks whose sizes are none
 *	continue	after three times "100 Continue"
 *	continue-flood	"100 Continue" without end
 *	gzip		with Content-Encoding: gzip, which nobody asked for
 *	length=TEXT	with that Content-Length
 *	lengths		with two Content-Lengths that differ
 *	duplicate	as one that was there already
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "uploader/batch.h"

#define REQUEST_MAX (32u << 20)

struct message {
	char *bytes;
	size_t size, head; /* head: bytes up to the body */
	char id[40];
	unsigned long events;
};

static int collector_port;
static FILE *log_file;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void header(const struct message *m, const char *name, char *buf, size_t size)
{
	char *at = strcasestr(m->bytes, name);

	buf[0] = '\0';
	if (at && at < m->bytes + m->head)
		snprintf(buf, size, "%.*s", (int)strcspn(at + strlen(name), "\r\n"), at + strlen(name));
}

/* Reads one message with Content-Length. */
static bool read_message(int fd, struct message *m)
{
	size_t want = 0;
	char text[64];

	*m = (struct message){ .bytes = malloc(REQUEST_MAX + 1) };
	while (m->size < REQUEST_MAX && (!want || m->size < want)) {
		ssize_t n = read(fd, m->bytes + m->size, REQUEST_MAX - m->size);
		char *end;

		if (n <= 0)
			return want && m->size >= want;
		m->size += (size_t)n;
		m->bytes[m->size] = '\0';
		end = want ? NULL : strstr(m->bytes, "\r\n\r\n");
		if (end) {
			m->head = (size_t)(end + 4 - m->bytes);
			header(m, "Content-Length: ", text, sizeof text);
			want = m->head + strtoul(text, NULL, 10);
			header(m, "Flightrec-Events: ", text, sizeof text);
			m->events = strtoul(text, NULL, 10);
			header(m, "Idempotency-Key: \"", m->id, sizeof m->id);
			m->id[36] = '\0';
		}
	}
	return true;
}

static void say(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		size -= (size_t)n;
	}
}

static void answer(int fd, int status, const char *headers, const char *body)
{
	char text[2048];

	snprintf(text, sizeof text, "HTTP/1.1 %d x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body), body);
	say(fd, text, strlen(text));
}

static void reject(int fd, const struct message *m)
{
	char body[256];

	snprintf(body, sizeof body, "{\"batch\":\"%s\",\"status\":\"rejected\",\"reason\":\"poison\"}", m->id);
	answer(fd, 422, "Content-Type: application/json\r\n", body);
}

static bool forward(const struct message *m, int fd)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)collector_port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int up = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct message reply = { 0 };
	bool good = connect(up, (struct sockaddr *)&to, sizeof to) == 0;

	if (good) {
		say(up, m->bytes, m->size);
		good = read_message(up, &reply);
		if (good && fd >= 0)
			say(fd, reply.bytes, reply.size);
	}
	close(up);
	free(reply.bytes);
	return good;
}

static bool holds(const struct message *m, const char *text)
{
	struct fr_text raw = { 0 };
	bool found = fr_batch_raw(m->bytes + m->head, m->size - m->head, &raw) == 0 && strstr(raw.data, text);

	fr_text_done(&raw);
	return found;
}

static void status(int fd, const char *deed)
{
	char headers[128] = "", date[64];
	const char *after = deed + strspn(deed, "0123456789");
	time_t when = time(NULL) + atoi(*after ? after + 1 : "0");

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&when));
	if (*after)
		snprintf(headers, sizeof headers, "Retry-After: %.100s\r\n",
			 *after == '@' ? date : after + 1);
	answer(fd, atoi(deed), headers, "<html>no</html>");
}

static void wait_for_close(int fd)
{
	char byte;

	while (recv(fd, &byte, 1, 0) > 0)
		;
}

static void redirect(int fd, const char *deed)
{
	const char *url = strchr(deed, ',');
	char headers[256];

	if (url)
		snprintf(headers, sizeof headers, "Location: %.200s\r\n", url + 1);
	else
		snprintf(headers, sizeof headers, "Location: http://127.0.0.1:%d/v1/batches\r\n",
			 collector_port);
	answer(fd, url ? atoi(strchr(deed, '=') + 1) : 302, headers, "");
}

/* The same bytes until the other side has had enough, or 256 MiB. */
static void without_end(int fd, const char *deed, const char *first, const char *again)
{
	char block[4096];
	size_t size = 0, sent = 0;

	say(fd, first, strlen(first));
	while (size + strlen(again) <= sizeof block) {
		memcpy(block + size, again, strlen(again));
		size += strlen(again);
	}
	for (ssize_t n = 1; n > 0 && sent < 256u << 20; sent += n > 0 ? (size_t)n : 0)
		n = send(fd, block, size, MSG_NOSIGNAL);
	fprintf(log_file, "sent %zu %s\n", sent, deed);
	fflush(log_file);
}

static void drip(int fd, const char *text, size_t at_once)
{
	struct timespec nap = { .tv_nsec = 20000000 };

	say(fd, text, at_once);
	for (text += at_once; *text && send(fd, text, 1, MSG_NOSIGNAL) == 1; text++)
		nanosleep(&nap, NULL);
}

/* CRC-32 as gzip has it. */
static uint32_t gzip_crc(const char *bytes, size_t size)
{
	uint32_t crc = ~0u;

	while (size--) {
		crc ^= (unsigned char)*bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* A text as gzip: one block, stored. */
static size_t gzip(const char *text, char *to)
{
	static const char head[] = { 0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1 };
	uint32_t size = (uint32_t)strlen(text), crc = gzip_crc(text, size);
	uint16_t length[2] = { (uint16_t)size, (uint16_t)~size };
	char *at = mempcpy(to, head, sizeof head);

	at = mempcpy(at, length, sizeof length);
	at = mempcpy(at, text, size);
	at = mempcpy(at, &crc, sizeof crc);
	at = mempcpy(at, &size, sizeof size);
	return (size_t)(at - to);
}

/* The collector has it; how that is told is what may be wrong. False: not one of these deeds. */
static bool tell_oddly(const char *deed, int fd, const struct message *m)
{
	static const char ok[] = "HTTP/1.1 200 x\r\nConnection: close\r\n";
	char body[256], text[1024], packed[512];
	size_t size;

	snprintf(body, sizeof body, "{\"batch\":\"%s\",\"status\":\"%s\",\"events\":%lu}", m->id,
		 strcmp(deed, "duplicate") == 0 ? "duplicate" : "accepted", m->events);
	if (strcmp(deed, "duplicate") == 0) {
		snprintf(text, sizeof text, "%sContent-Length: %zu\r\n\r\n%s", ok, strlen(body), body);
	} else if (strcmp(deed, "chunked") == 0) {
		snprintf(
			text, sizeof text,
			"%sTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n%.5s\r\n%zx\r\n%s\r\n0\r\n\r\n",
			ok, body, strlen(body) - 5, body + 5);
	} else if (strcmp(deed, "bad-chunks") == 0) {
		snprintf(text, sizeof text,
			 "%sTransfer-Encoding: chunked\r\n\r\nzz\r\n%s\r\n-1\r\n\r\n", ok, body);
	} else if (strcmp(deed, "continue") == 0) {
		snprintf(text, sizeof text, "%s%s%s%sContent-Length: %zu\r\n\r\n%s",
			 "HTTP/1.1 100 Continue\r\n\r\n",
			 "HTTP/1.1 100 Continue\r\nRetry-After: 9999\r\n\r\n",
			 "HTTP/1.1 100 x\r\n\r\n", ok, strlen(body), body);
	} else if (strncmp(deed, "length=", 7) == 0) {
		snprintf(text, sizeof text, "%sContent-Length: %.40s\r\n\r\n%s", ok, deed + 7, body);
	} else if (strcmp(deed, "lengths") == 0) {
		snprintf(text, sizeof text, "%sContent-Length: %zu\r\nContent-Length: 3\r\n\r\n%s",
			 ok, strlen(body), body);
	} else if (strcmp(deed, "gzip") == 0) {
		snprintf(text, sizeof text,
			 "%sContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", ok,
			 gzip(body, packed));
	} else if (strcmp(deed, "continue-flood") != 0) {
		return false;
	}
	forward(m, -1);
	if (strcmp(deed, "continue-flood") == 0) {
		without_end(fd, deed, "", "HTTP/1.1 100 Continue\r\n\r\n");
		return true;
	}
	size = strlen(text);
	if (strcmp(deed, "gzip") == 0) {
		say(fd, text, size);
		say(fd, packed, gzip(body, packed));
	} else {
		say(fd, text, size);
	}
	return true;
}

/* An acknowledgement that is none, or comes slowly. False: not one of these deeds. */
static bool acknowledge_badly(const char *deed, int fd, const struct message *m)
{
	const char *id = strcmp(deed, "other-id") == 0 ? "00000000-0000-4000-8000-000000000000" : m->id;
	const char *word = strcmp(deed, "other-word") == 0 ? "rejected" : "accepted";
	unsigned long events = m->events + (strcmp(deed, "other-count") == 0);
	char body[512], text[1024];
	int size;

	size = snprintf(body, sizeof body, "{\"batch\":\"%s\",\"status\":\"%s\",\"events\":%lu}",
			id, word, events);
	if (strcmp(deed, "twice") == 0)
		memmove(body + size, body, (size_t)size + 1);
	snprintf(text, sizeof text,
		 "HTTP/1.1 200 x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	if (strcmp(deed, "slow-head") == 0)
		drip(fd, text, 0);
	else if (strcmp(deed, "slow-body") == 0)
		drip(fd, text, (size_t)(strstr(text, "\r\n\r\n") + 4 - text));
	else if (strcmp(deed, "cut") == 0)
		say(fd, text, strlen(text) - 10);
	else if (strncmp(deed, "other-", 6) == 0 || strcmp(deed, "twice") == 0)
		say(fd, text, strlen(text));
	else
		return false;
	return true;
}

static void do_deed(const char *deed, int fd, const struct message *m)
{
	static const char garbage[] = "\x16\x03\x01\xff\xfe\x00 no HTTP \n\n\n";
	struct linger reset = { 1, 0 };

	if (tell_oddly(deed, fd, m) || acknowledge_badly(deed, fd, m))
		return;
	if (strcmp(deed, "forward") == 0) {
		forward(m, fd);
	} else if (strcmp(deed, "drop") == 0) {
		forward(m, -1);
	} else if (strcmp(deed, "reset") == 0) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	} else if (strcmp(deed, "hang") == 0 || strcmp(deed, "half") == 0) {
		wait_for_close(fd);
	} else if (strcmp(deed, "garbage") == 0) {
		say(fd, garbage, sizeof garbage);
	} else if (strcmp(deed, "empty") == 0) {
		answer(fd, 200, "", "");
	} else if (strcmp(deed, "html") == 0) {
		answer(fd, 200, "Content-Type: text/html\r\n", "<html>Log in to the hotel's network</html>");
	} else if (strcmp(deed, "huge") == 0) {
		without_end(fd, deed, "HTTP/1.1 200 x\r\nConnection: close\r\n\r\n", " ");
	} else if (strcmp(deed, "endless-head") == 0) {
		without_end(fd, deed, "HTTP/1.1 200 x\r\n", "X-More: of the same\r\n");
	} else if (strncmp(deed, "redirect", 8) == 0) {
		redirect(fd, deed);
	} else if (strcmp(deed, "reject") == 0 || strcmp(deed, "reject-all") == 0) {
		reject(fd, m);
	} else if (strncmp(deed, "poison=", 7) == 0) {
		if (holds(m, deed + 7))
			reject(fd, m);
		else
			forward(m, fd);
	} else if (strncmp(deed, "poison400=", 10) == 0) {
		if (holds(m, deed + 10))
			answer(fd, 400, "", "<html>bad request</html>");
		else
			forward(m, fd);
	} else {
		status(fd, deed);
	}
}

/* A line of fields: blanks in the deed's name become '_'. */
static void log_request(const char *deed, const struct message *m)
{
	fprintf(log_file, "%llu ", (unsigned long long)now_ms());
	for (; *deed; deed++)
		fputc(*deed == ' ' ? '_' : *deed, log_file);
	fprintf(log_file, " %s %08x\n", m->id, fr_crc32c(0, m->bytes + m->head, m->size - m->head));
	fflush(log_file);
}

static bool stays(const char *deed)
{
	return strncmp(deed, "poison", 6) == 0 || strcmp(deed, "reject-all") == 0;
}

static int listen_on_loopback(const char *port_file)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char tmp[4096];
	FILE *file;

	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		return -1;
	snprintf(tmp, sizeof tmp, "%s.tmp", port_file);
	file = fopen(tmp, "w");
	fprintf(file, "%u\n", ntohs(at.sin_port));
	fclose(file);
	rename(tmp, port_file);
	return fd;
}

int main(int argc, char **argv)
{
	int next = 4, listener;

	if (argc < 4)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	log_file = fopen(argv[2], "a");
	collector_port = atoi(argv[3]);
	listener = listen_on_loopback(argv[1]);
	if (listener < 0 || !log_file)
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		const char *deed = next < argc ? argv[next] : "forward";
		struct timeval patience = { 20, 0 };
		struct message m = { 0 };

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		if (strcmp(deed, "half") == 0)
			shutdown(fd, SHUT_WR);
		if (strcmp(deed, "deaf") == 0)
			shutdown(fd, SHUT_RD);
		if (strcmp(deed, "refuse") != 0 && read_message(fd, &m)) {
			log_request(deed, &m);
			do_deed(deed, fd, &m);
		}
		close(fd);
		free(m.bytes);
		if (next < argc && !stays(deed))
			next++;
	}
}
