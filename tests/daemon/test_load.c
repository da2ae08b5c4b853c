/* SPDX-License-Identifier: MIT */
/*
 * test_load.c - many writers at full speed, while the daemon is killed and stopped in turns, and
 * others come and go.
 *
 *	steady		processes of several threads that record for as long as the test runs, and then die or leave; they are nice, or hundreds
 *			of threads would leave the daemon a hundredth of a CPU to start in
 *	visitors	processes that record a little and leave, or are killed at a random instant; another takes the place at once, so
 *			that something is always being salvaged
 *	the daemon	ended by SIGKILL and SIGTERM in turns, and started again
 *
 * When all is over the witness (oracle.h), which is no part of any ring, judges what lies in the
 * spool: each number that was committed is there, or in a range of losses with its cause; nothing
 * comes twice or was invented. Of the daemons the last is as large as the first, and nothing is
 * left of the rings but segments.
 *
 * LOAD_SEED repeats the choices. Built with SAN=thread, a report of any of the processes fails it.
 */
#include "tests/crash/oracle.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"
#include "recorder/core/segment.h"
#include "tests/lib/torture.h"

FLIGHTREC_PROVIDER(provider, "test.load", "6ad4a1c0-30c1-4a62-9f5b-0d2fdb2ad0a1", 1, 0);
FLIGHTREC_EVENT(provider, oracle, FLIGHTREC_INFO, 0, ORACLE_FIELDS)

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifdef UNDER_TSAN
#define ROW "races"
#else
#define ROW "load"
#endif

#define VISITORS_MAX   20000
#define VISITORS       4 /* at a time */
#define VISITOR_EVENTS 3000
#define MS	       1000000ull

/* One writer process: whose ring it is, and what its threads committed. */
struct seat {
	char ring_id[33];
	bool found; /* in a segment */
	unsigned threads;
	struct witness witness;
};

static struct {
	unsigned steady, threads, seconds, restarts;
} size;
static struct seat *seat;
static unsigned seats; /* taken */
static uint64_t seed;
static char state[FR_PATH_MAX], build[FR_PATH_MAX];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ------------------------------------------------------------------ writers */

struct writer {
	struct seat *seat;
	uint32_t thread;
	uint64_t events; /* then it is done */
};

static void *write_on(void *arg)
{
	struct writer *w = arg;
	struct witness *witness = &w->seat->witness;
	char text[256];

	for (uint64_t number = 0;
	     number < w->events && !__atomic_load_n(&witness->stop, __ATOMIC_RELAXED); number++) {
		oracle_text(w->thread, number, text);
		if (flightrec_emit_oracle(0, w->thread, number, text) != 1) {
			__atomic_fetch_add(&witness->lost, 1, __ATOMIC_RELAXED);
			number--;
			continue;
		}
		__atomic_store_n(&witness->committed[w->thread], number + 1, __ATOMIC_RELEASE);
		if (number == 0)
			__atomic_fetch_add(&witness->ready, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void __attribute__((noreturn)) be_writer(struct seat *at, uint64_t events)
{
	struct flightrec_status status = { .size = sizeof(status) };
	struct writer w[ORACLE_THREADS];
	pthread_t id[ORACLE_THREADS];

	if (events == UINT64_MAX)
		setpriority(PRIO_PROCESS, 0, 19);
	REQUIRE(flightrec_register(&provider) == 0);
	REQUIRE(flightrec_get_status(&status) == 0 && status.error == 0, "%s", strerror(-status.error));
	memcpy(at->ring_id, status.ring_id, 33);
	for (unsigned i = 0; i < at->threads; i++) {
		w[i] = (struct writer){ at, i, events };
		REQUIRE(pthread_create(&id[i], NULL, write_on, &w[i]) == 0);
	}
	for (unsigned i = 0; i < at->threads; i++)
		pthread_join(id[i], NULL);
	flightrec_unregister(&provider);
	exit(0);
}

static pid_t start_writer(unsigned threads, const char *ring_size, uint64_t events)
{
	struct seat *at = &seat[seats];
	pid_t pid;

	REQUIRE(seats < size.steady + VISITORS_MAX);
	seats++;
	at->threads = threads;
	setenv("FLIGHTREC_RING_SIZE", ring_size, 1);
	pid = fork();
	REQUIRE(pid >= 0, "%s", strerror(errno));
	if (pid == 0)
		be_writer(at, events);
	return pid;
}

/* True when it is gone; it left in order, or was killed by us. */
static bool has_ended(pid_t pid, bool wait)
{
	int status;
	pid_t got = waitpid(pid, &status, wait ? 0 : WNOHANG);

	REQUIRE(got >= 0, "%s", strerror(errno));
	REQUIRE(got == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
			(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
		"a writer ended with %#x", status);
	return got == pid;
}

struct visitor {
	pid_t pid;
	uint64_t until_ns; /* then it is killed */
};

static void see_to(struct visitor *visitor, bool more)
{
	static const char *const sizes[] = { "64K", "128K", "256K" };

	if (visitor->pid && now_ns() > visitor->until_ns)
		kill(visitor->pid, SIGKILL);
	if (visitor->pid && has_ended(visitor->pid, !more))
		visitor->pid = 0;
	if (visitor->pid || !more || seats == size.steady + VISITORS_MAX)
		return;
	visitor->until_ns = now_ns() + (5 + oracle_random(&seed) % 250) * MS;
	visitor->pid = start_writer(1 + (unsigned)(oracle_random(&seed) % 3), sizes[oracle_random(&seed) % 3],
				    1 + oracle_random(&seed) % VISITOR_EVENTS);
}

/* ------------------------------------------------------------------ the daemon */

static pid_t daemon_pid;
static unsigned starts;

static uint64_t status_number(pid_t pid, const char *key)
{
	char path[64], line[256];
	uint64_t value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static unsigned descriptors(pid_t pid)
{
	char path[64];
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static unsigned lines_ready(void)
{
	char path[FR_PATH_MAX + 8], line[2048];
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", state);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, " ready: ") != NULL;
	if (file)
		fclose(file);
	return count;
}

static void start_daemon(void)
{
	char path[FR_PATH_MAX + 16], log[FR_PATH_MAX + 8];
	uint64_t end = now_ns() + 60000 * MS;

	snprintf(path, sizeof(path), "%s/flightrecd", build);
	snprintf(log, sizeof(log), "%s/log", state);
	daemon_pid = fork();
	REQUIRE(daemon_pid >= 0, "%s", strerror(errno));
	if (daemon_pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(fd, STDERR_FILENO);
		execl(path, "flightrecd", "--no-bpf", (char *)NULL);
		_exit(127);
	}
	starts++;
	while (lines_ready() < starts) {
		int status;

		REQUIRE(waitpid(daemon_pid, &status, WNOHANG) == 0,
			"the daemon ended with %#x; see %s", status, log);
		REQUIRE(now_ns() < end, "the daemon is not ready; see %s", log);
		oracle_sleep_us(5000);
	}
}

static void end_daemon(int how)
{
	int status;

	REQUIRE(kill(daemon_pid, how) == 0);
	REQUIRE(waitpid(daemon_pid, &status, 0) == daemon_pid);
	REQUIRE(how == SIGKILL || (WIFEXITED(status) && WEXITSTATUS(status) == 0),
		"the daemon ended with %#x", status);
}

/* ------------------------------------------------------------------ what is left */

static unsigned count_files(const char *below, const char *suffix)
{
	char path[FR_PATH_MAX + 32];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", state, below);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		size_t length = strlen(entry->d_name), end = strlen(suffix);

		count += entry->d_name[0] != '.' && length >= end &&
			 !strcmp(entry->d_name + length - end, suffix);
	}
	if (dir)
		closedir(dir);
	return count;
}

static struct seat *seat_of(const uint8_t ring_id[16])
{
	char hex[33];

	fr_hex(hex, ring_id, 16);
	for (unsigned i = 0; i < seats; i++)
		if (!strcmp(seat[i].ring_id, hex))
			return &seat[i];
	return NULL;
}

static struct {
	uint64_t committed, recovered, overwritten, torn, removed;
	unsigned rings, closed;
} sum;

static void judge_segment(const char *path)
{
	struct fr_image *image = NULL;
	struct verdict verdict;
	struct seat *at;
	bool closed;
	int r = fr_image_open_path(path, 0, &image);

	REQUIRE(r == 0, "%s: %s", path, fr_image_strerror(r));
	if (fr_image_super(image)->kind != FRM_KIND_PROCESS) {
		fr_image_close(image);
		return;
	}
	at = seat_of(fr_image_super(image)->ring_id);
	closed = fr_image_state(image)->closed_boot_ns != 0;
	if (at) {
		REQUIRE(!at->found, "%s: a second segment of one ring", path);
		at->found = true;
		verdict = oracle_judge_image(image, &at->witness, at->threads,
					     ORACLE_OWN_LANES | (closed ? ORACLE_CLOSED : 0));
		REQUIRE(verdict.torn <= at->threads, "%s: %llu torn records of %u threads", path,
			(unsigned long long)verdict.torn, at->threads);
		sum.recovered += verdict.recovered;
		sum.overwritten += verdict.overwritten;
		sum.torn += verdict.torn;
		sum.rings++;
		sum.closed += closed;
	} else { /* killed between its attachment and its first event */
		REQUIRE(fr_image_record_count(image) == 0, "%s: events of nobody", path);
	}
	fr_image_close(image);
}

/* Rings that made room for others while no daemon was there: the library names what goes, lane by lane. */
static void read_removals(void)
{
	char path[FR_PATH_MAX + 32], line[512], ring[33];
	unsigned long long count;
	FILE *file;

	snprintf(path, sizeof(path), "%s/spool/retention.log", state);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		for (unsigned i = 0; i < seats; i++)
			if (sscanf(line, "unsent %*32s %32s %*u %*u %*u %llu", ring, &count) == 2 &&
			    !strcmp(seat[i].ring_id, ring)) {
				seat[i].found = true;
				sum.removed += count;
			}
	if (file)
		fclose(file);
}

static void judge(void)
{
	char path[2 * FR_PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	read_removals();
	snprintf(path, sizeof(path), "%s/spool", state);
	dir = opendir(path);
	REQUIRE(dir);
	while ((entry = readdir(dir))) {
		uint8_t id[16];
		uint32_t part;

		if (fr_segment_parse_name(entry->d_name, id, &part) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/spool/%s", state, entry->d_name);
		judge_segment(path);
	}
	closedir(dir);
	for (unsigned i = 0; i < seats; i++) {
		uint64_t committed = 0;

		for (unsigned t = 0; t < seat[i].threads; t++)
			committed += seat[i].witness.committed[t];
		REQUIRE(!committed || seat[i].found,
			"ring %s: %llu events were committed, and nothing says where they are",
			seat[i].ring_id, (unsigned long long)committed);
		sum.committed += committed;
	}
	/* the last event of a thread may be there without its witness; nothing else may differ */
	REQUIRE(sum.recovered + sum.overwritten + sum.torn + sum.removed >= sum.committed,
		"%llu committed, %llu accounted for", (unsigned long long)sum.committed,
		(unsigned long long)(sum.recovered + sum.overwritten + sum.torn + sum.removed));
}

static bool all_salvaged(void)
{
	return count_files("rings", FR_RING_SUFFIX) <= 1; /* the daemon's own */
}

/* ------------------------------------------------------------------ the whole */

static void configure(void)
{
	const char *given = getenv("FR_BUILD"), *wanted = getenv("LOAD_SEED");
	char path[FR_PATH_MAX + 16];
	FILE *file;

	snprintf(build, sizeof(build), "%s", given ? given : "build");
	oracle_environment("load", "1M", 12); /* lanes enough: a quarter of them is shared */
	snprintf(state, sizeof(state), "%s", getenv("FLIGHTREC_STATE_DIR"));
	snprintf(path, sizeof(path), "%s/conf", state);
	file = fopen(path, "we");
	REQUIRE(file);
	fclose(file);
	setenv("FLIGHTREC_CONFIG", path, 1);
#ifdef UNDER_TSAN
	char options[FR_PATH_MAX + 64];

	snprintf(options, sizeof(options), "log_path=%s/tsan:exitcode=66:die_after_fork=0", state);
	setenv("TSAN_OPTIONS", options, 1); /* for who is executed: the daemon and its workers */
#endif
	size.steady = (unsigned)torture_count(4, 64);
	size.threads = (unsigned)torture_count(4, 8);
	size.seconds = (unsigned)torture_count(2, 60);
	size.restarts = (unsigned)torture_count(2, 12);
	seed = wanted ? strtoull(wanted, NULL, 0) : ((uint64_t)getpid() << 32 | (uint64_t)time(NULL));
	seat = oracle_shared((size.steady + VISITORS_MAX) * sizeof(*seat));
	fprintf(stderr, "LOAD_SEED=%llu\n", (unsigned long long)seed);
}

/*
 * What the sanitizer had to say of a daemon or a worker, also of one that was killed before it
 * could exit with it.
 */
static void no_reports(void)
{
	char pattern[FR_PATH_MAX + 16];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/tsan.*", state);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			char line[512];
			FILE *report = fopen(found.gl_pathv[i], "r");

			while (report && fgets(line, sizeof(line), report))
				fputs(line, stderr);
		}
		REQUIRE(found.gl_pathc == 0, "%zu reports of races", found.gl_pathc);
	}
	globfree(&found);
}

int main(void)
{
	struct visitor visitor[VISITORS] = { { 0 } };
	uint64_t first_kib = 0, last_kib = 0, most_kib = 0;
	pid_t steady[64];
	unsigned fds = 0;

	configure();
	start_daemon();
	for (unsigned i = 0; i < size.steady; i++)
		steady[i] = start_writer(size.threads, "1M", UINT64_MAX);
	for (unsigned i = 0; i <= size.restarts; i++) {
		uint64_t end = now_ns() + size.seconds * 1000 * MS / (size.restarts + 1);

		while (now_ns() < end) {
			for (unsigned v = 0; v < VISITORS; v++)
				see_to(&visitor[v], true);
			oracle_sleep_us(2000);
		}
		last_kib = status_number(daemon_pid, "RssAnon:");
		if (i == 1)
			first_kib = last_kib; /* of the first that was started again */
		most_kib = last_kib > most_kib ? last_kib : most_kib;
		fds = descriptors(daemon_pid);
		fprintf(stderr, "daemon %u: %llu KiB, %u descriptors; %u writers so far\n", i,
			(unsigned long long)last_kib, fds, seats);
		/* its writers' pidfds, its connections, and a handful */
		REQUIRE(fds <= size.steady + VISITORS + 2 * 64 + 2 * 64, "%u descriptors", fds);
		if (i < size.restarts) {
			end_daemon(i % 2 ? SIGTERM : SIGKILL);
			start_daemon();
		}
	}
	for (unsigned v = 0; v < VISITORS; v++)
		see_to(&visitor[v], false);
	for (unsigned i = 0; i < size.steady; i++) { /* one half dies, the other leaves */
		if (i % 2)
			kill(steady[i], SIGKILL);
		else
			__atomic_store_n(&seat[i].witness.stop, 1, __ATOMIC_RELAXED);
	}
	for (unsigned i = 0; i < size.steady; i++)
		has_ended(steady[i], true);
	for (uint64_t end = now_ns() + 200000 * MS; !all_salvaged(); oracle_sleep_us(20000))
		REQUIRE(now_ns() < end, "%u rings are left unsalvaged", count_files("rings", FR_RING_SUFFIX));
	end_daemon(SIGTERM);
	judge();
	REQUIRE(count_files("rings", "") == 0 && count_files("vouched", "") == 0 &&
			count_files("spool/quarantine", "") == 0 &&
			count_files("spool/attempts", "") == 0 &&
			count_files("spool/cursors", "") == 0,
		"files are left: rings %u, vouched %u, quarantine %u, attempts %u, cursors %u",
		count_files("rings", ""), count_files("vouched", ""),
		count_files("spool/quarantine", ""), count_files("spool/attempts", ""),
		count_files("spool/cursors", ""));
	no_reports();
#if !defined(UNDER_TSAN) && !defined(__SANITIZE_ADDRESS__)
	REQUIRE(last_kib <= first_kib + 1024,
		"the daemon has %llu KiB at the end, and had %llu after its first restart",
		(unsigned long long)last_kib, (unsigned long long)first_kib);
#endif
	torture_row(
		ROW, size.seconds, "s",
		"%u processes of %u threads and %u that came and went, the daemon restarted %u times: %llu events committed, %llu recovered, "
		"%llu overwritten, %llu torn, %llu removed for room, all others 0; daemon %llu KiB after the first restart, %llu at the end",
		size.steady, size.threads, seats - size.steady, size.restarts,
		(unsigned long long)sum.committed, (unsigned long long)sum.recovered,
		(unsigned long long)sum.overwritten, (unsigned long long)sum.torn,
		(unsigned long long)sum.removed, (unsigned long long)first_kib,
		(unsigned long long)last_kib);
	return 0;
}
