/* SPDX-License-Identifier: MIT */
/*
 * test_road.c - the whole road under fire: writers are killed, then recover, index, upload, rebuild
 * and retention run over what they left, each killed once - at a testpoint, or at a random instant
 * - and run again. In the end the index and the collector hold each recovered event once, each
 * thread's in order, and no command finds anything left to do. ROAD_POINT=NAME kills at that
 * testpoint only; ROAD_SEED repeats a way with random instants.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "recorder/core/crc.h"
#include "recorder/core/paths.h"
#include "tests/crash/points/life.h"
#include "tests/lib/torture.h"

#ifdef __SANITIZE_ADDRESS__ /* which makes a way take seconds */
#define SAMPLE 32
#else
#define SAMPLE 8
#endif
#define WRITERS	   3
#define EVENTS_MAX 20000
#define DATABASE   "6f1f3f0e-8a51-4f0e-b3f5-5b9d6a4d6d10"

static char scratch[48], state[64], fleet[64], endpoint[64];
static const char *flightrec;
static pid_t owner, collector;

/*
 * ------------------------------------------------------------------ keys of events, as sorted
 * texts "RING LANE SEQ"
 */

struct keys {
	size_t count;
	char (*key)[64];
};

static void keys_add(struct keys *keys, const char *ring, unsigned long long lane, unsigned long long seq)
{
	if (!keys->key)
		keys->key = calloc(EVENTS_MAX, sizeof(*keys->key));
	REQUIRE(keys->key && keys->count < EVENTS_MAX);
	snprintf(keys->key[keys->count++], sizeof(*keys->key), "%.32s %llu %llu", ring, lane, seq);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void keys_sort(struct keys *keys)
{
	if (keys->count)
		qsort(keys->key, keys->count, sizeof(*keys->key), by_text);
}

static void require_same(const struct keys *want, const struct keys *got, const char *where, const char *what)
{
	for (size_t i = 0; i < want->count || i < got->count; i++) {
		const char *a = i < want->count ? want->key[i] : "nothing",
			   *b = i < got->count ? got->key[i] : "nothing";

		REQUIRE(!strcmp(a, b), "%s: %s has %s, not %s; %zu events, want %zu", where, what,
			b, a, got->count, want->count);
	}
}

static void keys_of_image(struct keys *keys, const char *path)
{
	struct fr_image *image = NULL;
	char ring[33];

	REQUIRE(fr_image_open_path(path, 0, &image) == 0, "%s", path);
	fr_hex(ring, fr_image_super(image)->ring_id, 16);
	for (size_t i = 0; i < fr_image_record_count(image); i++)
		keys_add(keys, ring, fr_image_record(image, i)->lane, fr_image_record(image, i)->seq);
	fr_image_close(image);
}

/* ------------------------------------------------------------------ what index and collector hold */

static sqlite3 *db_open(const char *path)
{
	sqlite3 *db = NULL;

	REQUIRE(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK, "%s", path);
	sqlite3_busy_timeout(db, 10000);
	return db;
}

static void db_keys(const char *path, const char *sql, struct keys *keys)
{
	sqlite3 *db = db_open(path);
	sqlite3_stmt *rows = NULL;

	REQUIRE(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	while (sqlite3_step(rows) == SQLITE_ROW)
		keys_add(keys, (const char *)sqlite3_column_text(rows, 0),
			 (unsigned long long)sqlite3_column_int64(rows, 1),
			 (unsigned long long)sqlite3_column_int64(rows, 2));
	sqlite3_finalize(rows);
	sqlite3_close(db);
	keys_sort(keys);
}

static long long db_number(const char *path, const char *sql)
{
	sqlite3 *db = db_open(path);
	sqlite3_stmt *row = NULL;
	long long number;

	REQUIRE(sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	REQUIRE(sqlite3_step(row) == SQLITE_ROW, "%s", sql);
	number = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	return number;
}

static void judge_index(const struct keys *want, const char *where)
{
	struct keys got = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/index.db", state);
	db_keys(path, "SELECT ring, lane, seq FROM events", &got);
	require_same(want, &got, where, "the index");
	REQUIRE(db_number(path, "SELECT count(*) FROM (SELECT number n, lag(number) OVER"
				" (PARTITION BY _ring, thread ORDER BY _lane, _seq) before FROM event_oracle)"
				" WHERE n <= before") == 0,
		"%s: the index has a thread's events out of order", where);
	free(got.key);
}

static void judge_collector(const struct keys *want, const char *where)
{
	struct keys got = { 0 };

	db_keys(fleet, "SELECT ring, lane, seq FROM event", &got);
	require_same(want, &got, where, "the collector");
	REQUIRE(db_number(fleet, "SELECT total(events) FROM batches") == (long long)want->count,
		"%s: batches overlap", where);
	REQUIRE(db_number(fleet, "SELECT count(*) FROM (SELECT json_extract(fields, '$.number') n,"
				 " lag(json_extract(fields, '$.number')) OVER"
				 " (PARTITION BY ring, json_extract(fields, '$.thread') ORDER BY lane, seq) before"
				 " FROM event WHERE name = 'oracle') WHERE n <= before") == 0,
		"%s: the collector has a thread's events out of order", where);
	free(got.key);
}

static void forget_fleet(void)
{
	static const char sql[] =
		"BEGIN IMMEDIATE; DELETE FROM events; DELETE FROM batches; DELETE FROM lanes; COMMIT";
	sqlite3 *db = db_open(fleet);

	REQUIRE(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* ------------------------------------------------------------------ what retention shortens */

#define OLD_BOOT "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0"
static const char *const logs[] = { "acks.log", "retention.log" };

/*
 * As if rings had come and gone, long ago, of which all was sent: retention has to leave that out
 * in the end.
 */
static void make_long_logs(const char *dir)
{
	char path[96], line[256];

	snprintf(path, sizeof(path), "%s/spool", dir);
	REQUIRE(mkdir(path, 0700) == 0);
	for (int log = 0; log < 2; log++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/spool/%s", dir, logs[log]);
		file = fopen(path, "w");
		REQUIRE(file, "%s", path);
		for (int ring = 1; ring <= 400; ring++) {
			int length = snprintf(line, sizeof(line),
					      "sent " OLD_BOOT " %032x 0 0 9 10 1000000", ring);

			fprintf(file, "%s %08x\n", line, fr_crc32c(0, line, (size_t)length));
		}
		REQUIRE(fclose(file) == 0, "%s", path);
	}
}

static void judge_logs(const char *where)
{
	char line[256];

	for (int log = 0; log < 2; log++) {
		snprintf(line, sizeof(line),
			 "! grep -q " OLD_BOOT " %s/spool/%s && ! test -e %s/spool/%s.new", state,
			 logs[log], state, logs[log]);
		REQUIRE(system(line) == 0, "%s: %s was not shortened, or half of it is left", where,
			logs[log]);
	}
}

/*
 * What can't be read is gone, and named: there was room for nothing. Its reason may be left, which
 * goes a day later.
 */
static void judge_quarantine(const char *evidence, const char *where)
{
	char line[320];

	snprintf(line, sizeof(line),
		 "test ! -e %s/rings/7-junk.ring ||"
		 " { grep -q '^quarantine/7-junk.ring ' %s/spool/retention.log &&"
		 " ! test -e %s/spool/quarantine/7-junk.ring; }",
		 evidence, state, state);
	REQUIRE(system(line) == 0, "%s: what was set aside is there, or went unnamed", where);
}

/* ------------------------------------------------------------------ the commands */

enum stage { RECOVER, INDEX, UPLOAD, REBUILD, RETENTION, STAGES };
static const char *const stage_name[] = { "recover", "index", "upload", "index --rebuild",
					  "index --max-size" };

/*
 * Runs one; kills it after so many microseconds (0: not), or where `point` says (NULL: not). What
 * waitpid says.
 */
static int command(enum stage stage, const char *point, uint64_t kill_us)
{
	const char *args[STAGES][20] = {
		{ flightrec, "recover" },
		{ flightrec, "index", "--keep" },
		{ flightrec, "upload", "--endpoint", endpoint, "--database", DATABASE, "-o",
		  "batch_events=100", "-o", "retry_base=5ms", "-o", "retry_cap=50ms", "-o",
		  "timeout=2s", "-o", "give_up=60s" },
		{ flightrec, "index", "--keep", "--rebuild" },
		{ flightrec, "index", "--max-size", "1" },
	};
	int status, log;
	char path[96];
	pid_t pid = fork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		snprintf(path, sizeof(path), "%s/log", scratch);
		log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(log, 1);
		dup2(log, 2);
		if (point)
			setenv("FLIGHTREC_TESTPOINT", point, 1);
		execv(flightrec, (char **)args[stage]);
		_exit(126);
	}
	if (kill_us) {
		oracle_sleep_us(kill_us);
		kill(pid, SIGKILL);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	return status;
}

/* Killed, or its worker was. */
static bool died(int status)
{
	return WIFSIGNALED(status) || WEXITSTATUS(status) == 1;
}

static void finish(enum stage stage, const char *where)
{
	int status = command(stage, NULL, 0), code = WEXITSTATUS(status);

	REQUIRE(WIFEXITED(status) && (code == 0 || code == 3 || code == 4), "%s: %s ends with %#x",
		where, stage_name[stage], status);
}

/*
 * One way along the road over the evidence, which is copied. Dies at the point, in the first stage
 * that reaches it; or, when `seed` is given, now and then. Returns how often.
 */
static unsigned travel(const char *evidence, const struct keys *want, const char *point,
		       uint64_t *seed, const char *where)
{
	char line[256];
	unsigned deaths = 0;

	snprintf(line, sizeof(line), "rm -rf %s && cp -a %s %s && : >%s/log", state, evidence,
		 state, scratch);
	REQUIRE(system(line) == 0);
	forget_fleet();
	for (enum stage stage = 0; stage < STAGES; stage++) {
		for (int i = 0; seed && i < 3; i++)
			deaths += died(command(stage, NULL, 1000 + oracle_random(seed) % 15000));
		if (!seed && point && !deaths)
			deaths += died(command(stage, point, 0));
		finish(stage, where);
		if (stage == INDEX || stage == REBUILD)
			judge_index(want, where);
		if (stage == UPLOAD)
			judge_collector(want, where);
	}
	/* all was sent before it was dropped; so nothing is missing, and nothing is sent again */
	snprintf(line, sizeof(line), "%s/index.db", state);
	REQUIRE(db_number(line, "SELECT count(*) FROM events") == 0, "%s: it was not dropped", where);
	REQUIRE(db_number(line, "SELECT count(*) FROM losses WHERE cause LIKE '%retention%'") == 0,
		"%s: dropped unsent", where);
	judge_logs(where);
	judge_quarantine(evidence, where);
	REQUIRE(WEXITSTATUS(command(UPLOAD, NULL, 0)) == 4, "%s: there was something left to send", where);
	judge_collector(want, where);
	return deaths;
}

/* ------------------------------------------------------------------ evidence */

static struct witness *witness[WRITERS];
static struct noise *noise[WRITERS];

/* Rings of writers that were killed, judged, in DIR/rings; and their keys. `seed`: at random instants. */
static void make_evidence(const char *dir, struct keys *keys, uint64_t *seed)
{
	static const char *const at[WRITERS] = { "commit-sized:250", "reserve-published:390",
						 "client-reserved:520" };
	pid_t pid[WRITERS];

	mkdir(dir, 0700);
	setenv("FLIGHTREC_STATE_DIR", dir, 1);
	setenv("FLIGHTREC_RING_SIZE", "96K", 1);
	setenv("FLIGHTREC_LANES", "8", 1);
	for (unsigned i = 0; i < WRITERS; i++) {
		struct life life = { witness[i], noise[i], i + 1, seed ? 2000 : 400, false };

		witness_reset(witness[i]);
		memset(noise[i], 0, sizeof(*noise[i]));
		pid[i] = fork();
		REQUIRE(pid[i] >= 0);
		if (pid[i] == 0) {
			if (!seed)
				setenv("FLIGHTREC_TESTPOINT", at[i], 1);
			life_run(&life);
			while (seed)
				pause();
			_exit(1);
		}
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		int status;

		if (seed) {
			oracle_sleep_us(oracle_random(seed) % 30000);
			kill(pid[i], SIGKILL);
		}
		REQUIRE(waitpid(pid[i], &status, 0) == pid[i] && WIFSIGNALED(status),
			"a writer ended by itself: %#x", status);
		if (!witness[i]->ring_path[0])
			continue; /* killed before it had one */
		oracle_judge(witness[i], i + 1, ORACLE_OWN_LANES | ORACLE_EXTRA | ORACLE_MAYBE_CLOSED);
		keys_of_image(keys, witness[i]->ring_path);
	}
	keys_sort(keys);
}

static void put_text(const char *dir, const char *name, const char *text)
{
	char path[160];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s", path);
}

static void begin(void)
{
	static char program[4096];
	const char *build = getenv("FR_BUILD");
	char port_file[96], listener[4200];
	FILE *port = NULL;
	int number = 0;

	/* in memory where there is some: a way has dozens of fsyncs */
	snprintf(scratch, sizeof(scratch), "%s/flightrec-road.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	REQUIRE(mkdtemp(scratch));
	snprintf(state, sizeof(state), "%s/state", scratch);
	snprintf(fleet, sizeof(fleet), "%s/fleet.db", scratch);
	snprintf(port_file, sizeof(port_file), "%s/port", scratch);
	snprintf(program, sizeof(program), "%s/tests/upload/flightrec-testpoints", build ? build : "build");
	snprintf(listener, sizeof(listener), "%s/flightrec-collector", build ? build : "build");
	flightrec = program;
	setenv("FLIGHTREC_RUNTIME_DIR", scratch, 1); /* no daemon there */
	setenv("FLIGHTREC_CONFIG", "/dev/null", 1);
	unsetenv("FLIGHTREC_RING_DIR");
	unsetenv("http_proxy");
	collector = fork();
	REQUIRE(collector >= 0);
	if (collector == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(listener, listener, "--listen", "127.0.0.1:0", "--db", fleet, "--port-file",
		      port_file, (char *)NULL);
		_exit(126);
	}
	for (int i = 0; i < 6000 && number == 0; i++) {
		oracle_sleep_us(10000);
		port = fopen(port_file, "r");
		if (port && fscanf(port, "%d", &number) != 1)
			number = 0;
		if (port)
			fclose(port);
	}
	REQUIRE(number, "the collector does not come up");
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", number);
	for (int i = 0; i < WRITERS; i++) {
		witness[i] = witness_new();
		noise[i] = oracle_shared(sizeof(struct noise));
	}
}

static void end(void)
{
	char line[96];

	if (getpid() != owner) /* a child that found something wrong */
		return;
	if (collector > 0) {
		kill(collector, SIGKILL);
		waitpid(collector, NULL, 0);
	}
	snprintf(line, sizeof(line), "rm -rf %s", scratch);
	(void)!system(line);
}

/* ------------------------------------------------------------------ */

/* The fixed evidence: three killed writers, junk, a panic and an oops. */
static void make_fixed(const char *dir, struct keys *keys)
{
	char path[96], pstore[96];

	make_evidence(dir, keys, NULL);
	make_long_logs(dir);
	snprintf(path, sizeof(path), "%s/rings", dir);
	put_text(path, "7-junk.ring", "no ring");
	snprintf(pstore, sizeof(pstore), "%s/pstore", dir);
	mkdir(pstore, 0700);
	put_text(pstore, "dmesg-ramoops-0",
		 "Oops#1 Part1\n<6>[    1.000000] long ago\n<4>[   12.500000] Oops: 0002 [#1]\n");
	put_text(pstore, "dmesg-ramoops-1",
		 "Panic#2 Part1\n<4>[   12.400000] odd\n<0>[   13.000001] Kernel panic - not syncing: killed\n");
}

/* The keys of an undisturbed way: those of the rings, and what was harvested. */
static void look_undisturbed(const char *evidence, const struct keys *rings, struct keys *all)
{
	char line[256];
	size_t found = 0;

	snprintf(line, sizeof(line), "rm -rf %s && cp -a %s %s", state, evidence, state);
	REQUIRE(system(line) == 0);
	finish(RECOVER, "undisturbed");
	finish(INDEX, "undisturbed");
	snprintf(line, sizeof(line), "%s/index.db", state);
	db_keys(line, "SELECT ring, lane, seq FROM events", all);
	for (size_t i = 0; i < rings->count; i++)
		found += bsearch(rings->key[i], all->key, all->count, sizeof(*all->key), by_text) != NULL;
	/* the kernel's: four lines, an oops and a panic */
	REQUIRE(found == rings->count && all->count == rings->count + 6,
		"%zu events, of %zu that the rings hold %zu", all->count, rings->count, found);
}

static void test_killed_at_any_testpoint_the_road_ends_the_same(void)
{
	static char point[256][48], of_index[64][48];
	size_t points = life_points("evidence index upload", point, 256),
	       must = life_points("index", of_index, 64);
	const char *only = getenv("ROAD_POINT");
	struct keys rings = { 0 }, all = { 0 };
	unsigned long runs = 0, reached = 0;
	char evidence[64], pstore[96];

	snprintf(evidence, sizeof(evidence), "%s/evidence", scratch);
	snprintf(pstore, sizeof(pstore), "%s/pstore", state);
	make_fixed(evidence, &rings);
	setenv("FLIGHTREC_STATE_DIR", state, 1);
	setenv("FLIGHTREC_PSTORE_DIR", pstore, 1);
	setenv("FLIGHTREC_PSTORE_ARCHIVE", "", 1);
	look_undisturbed(evidence, &rings, &all);
	for (size_t p = 0; p < points; p++) {
		unsigned most = torture_full() ? 4 : 1, n;
		bool required = false;
		char where[64];

		for (size_t i = 0; i < must; i++)
			required |= !strcmp(point[p], of_index[i]);
		/* the sample: tests of their own kill at all the others */
		if (only ? strcmp(only, point[p]) : !torture_full() && !required && p % SAMPLE)
			continue;
		for (n = 1; n <= most; n++, runs++) {
			snprintf(where, sizeof(where), "%.47s:%u", point[p], n);
			fprintf(stderr, "%s\n", where); /* shown when it fails */
			if (!travel(evidence, &all, where, NULL, where))
				break;
		}
		reached += n > 1;
		REQUIRE(!required || n > 1, "%s is never reached", point[p]);
	}
	torture_row("kill at every testpoint: the whole road", runs, "runs",
		    "recover, index, upload, rebuild, retention killed at %lu testpoints: %zu events once each in index and collector",
		    reached, all.count);
	free(rings.key);
	free(all.key);
}

static void test_killed_at_random_instants_the_road_ends_the_same(void)
{
	const char *wanted = getenv("ROAD_SEED");
	uint64_t seed = wanted ? strtoull(wanted, NULL, 0)
			       : ((uint64_t)getpid() << 32 | (uint64_t)time(NULL)),
		 events = 0;
	unsigned long runs = torture_count(24 / SAMPLE + 1, 150), deaths = 0;
	char evidence[64], line[96], where[64];

	setenv("FLIGHTREC_PSTORE_DIR", "", 1);
	snprintf(evidence, sizeof(evidence), "%s/random", scratch);
	for (unsigned long i = 0; i < runs; i++) {
		struct keys keys = { 0 };

		snprintf(where, sizeof(where), "run %lu: ROAD_SEED=%llu", i, (unsigned long long)seed);
		fprintf(stderr, "%s\n", where); /* shown when it fails */
		make_evidence(evidence, &keys, &seed);
		setenv("FLIGHTREC_STATE_DIR", state, 1);
		deaths += travel(evidence, &keys, NULL, &seed, where);
		events += keys.count;
		free(keys.key);
		snprintf(line, sizeof(line), "rm -rf %s", evidence);
		REQUIRE(system(line) == 0);
	}
	torture_row("kill at random instants: the whole road", runs, "runs",
		    "%lu writers killed, then the commands %lu times: %llu events once each in index and collector",
		    runs * WRITERS, deaths, (unsigned long long)events);
}

int main(void)
{
	owner = getpid();
	atexit(end);
	begin();
	test_killed_at_any_testpoint_the_road_ends_the_same();
	if (!getenv("ROAD_POINT"))
		test_killed_at_random_instants_the_road_ends_the_same();
	return 0;
}
