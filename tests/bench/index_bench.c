/* SPDX-License-Identifier: MIT */
/*
 * index_bench.c - how fast events come from a dead writer's ring into the index, and how fast the newest come out again.
 *
 *	index_bench DIR [recover|show|both|dead|made] [FLIGHTREC]
 *
 * recover  a ring with 1 M events of an application (two u64 and a 40-byte string, four lanes) is salvaged and indexed; then
 *	    the floor: SQLite alone puts the same rows into a database with that table and index, as many by one INSERT as we do
 * show     ten such rings, 10 M events spread over 24 h; then the newest 1,000, and one minute out of the middle,
 *	    are asked for with an index just opened, rendered as text. FLIGHTREC: also through the command, as a user waits for it
 * dead     leaves eight lapped rings of 2 MiB whose writers are gone, for others to recover
 * made     leaves an index of 1 M events and its spool, for others to make it again
 *
 * DIR is emptied of what the bench makes. One JSON object a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pstore/recover.h"
#include "recorder/core/encode.h"
#include "recorder/core/host.h"
#include "recorder/core/map.h"
#include "recorder/core/paths.h"
#include "recorder/core/ringfile.h"
#include "uploader/query.h"

#define LANES	  4
#define DAY_NS	  (24 * 3600 * 1000000000ull)
#define MINUTE_NS (60 * 1000000000ull)
#define BEGIN_NS  (10 * 1000000000ull)

static char state[FR_PATH_MAX - 64];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Processor time of this process: on a busy machine the figure that says something. */
static double cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static void die(const char *what, int error)
{
	fprintf(stderr, "index_bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

/*
 * A ring whose writer is gone, large enough for all (ring_size 0) or lapped, with events spread
 * evenly from `from_ns` over `span_ns`.
 */
static void make_ring(uint64_t ring_size, uint32_t pid, uint64_t events, uint64_t from_ns, uint64_t span_ns)
{
	static const struct fr_field_spec fields[] = { { FRM_U64, "order", "" }, { FRM_U64, "amount", "" }, { FRM_STR, "customer", "" } };
	static const uint8_t guid[16] = { 0xbe, 0xac };
	struct fr_geometry geometry = {
		.ring_size = ring_size ? ring_size : (events * 112 >> 20 << 20) + (4 << 20),
		.lanes = LANES
	};
	struct fr_identity identity = { .kind = FRM_KIND_PROCESS, .pid = pid, .boot_seq = 1, .comm = "bench" };
	char dir[FR_PATH_MAX], name[FR_RING_NAME_MAX];
	struct fr_lane lane[LANES];
	struct fr_ring ring;
	int fd, provider, event, r;

	if (geometry.ring_size > FRM_RING_MAX)
		geometry.ring_size = FRM_RING_MAX;
	fr_host_boot_id(identity.boot_id);
	snprintf(dir, sizeof(dir), "%s/rings", state);
	fr_path_make(dir, 0700);
	fd = fr_ringfile_create(dir, 0600, &geometry, &identity, name);
	if (fd < 0)
		die("ring", fd);
	r = fr_ring_map(fd, &ring);
	if (r < 0)
		die("map", r);
	provider = fr_ring_declare_provider(&ring, guid, "bench", 1, 0);
	event = fr_ring_declare_event(&ring, (uint16_t)provider, "bench.order", FRM_LEVEL_INFO, 1, fields, 3);
	for (uint32_t i = 0; i < LANES; i++) {
		fr_ring_lane(&ring, i, &lane[i]);
		fr_ring_lane_owner(&ring, &lane[i], 0, pid + i, "worker");
	}
	for (uint64_t i = 0; i < events; i++) {
		struct fr_stamp stamp = { .time_ns = from_ns + (uint64_t)((double)span_ns * (double)i / (double)events),
					  .event = (uint16_t)event, .cpu = (uint16_t)(i % 2), .tid = pid + (uint32_t)(i % LANES) };
		struct fr_value value[3] = { { .type = FRM_U64, .u = i }, { .type = FRM_U64, .u = i * 7 }, { .type = FRM_STR } };

		value[2].s.data = "a forty byte long customer name, exactly";
		value[2].s.size = 40;
		r = fr_emit(&lane[i % LANES], &stamp, value, 3);
		if (r < 0)
			die("emit", r);
	}
	fr_ring_unmap(&ring);
	close(fd);
}

static void empty(void)
{
	if (chdir(state) < 0 || system("rm -rf rings spool index.db* index.lock floor.db*") != 0)
		die("rm", EIO);
}

static void found(void *ctx, const struct fr_found *what)
{
	(void)ctx;
	if (what->fate != FR_FATE_SALVAGED)
		fprintf(stderr, "index_bench: %s: %s\n", what->path, fr_fate_name((enum fr_fate)what->fate));
}

static void recover(void)
{
	struct fr_recover recover = { .state_dir = state, .inline_ = true, .report = found };
	int r = fr_recover(&recover);

	if (r < 0)
		die("recover", r);
}

static double index_all(struct fr_index_stats *stats)
{
	double begun = now();
	struct fr_index *index;
	int r = fr_index_open(state, 0, &index);

	if (!r)
		r = fr_index_update(index, stats);
	if (r < 0)
		die("index", r);
	fr_index_close(index);
	return now() - begun;
}

static uint64_t index_bytes(void)
{
	char path[FR_PATH_MAX];
	struct stat st = { 0 };

	uint64_t bytes;

	snprintf(path, sizeof(path), "%s/index.db", state);
	bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	/* closing wrote it back: there should be none */
	snprintf(path, sizeof(path), "%s/index.db-wal", state);
	return bytes + (stat(path, &st) == 0 ? (uint64_t)st.st_size : 0);
}

/* What differs from one row of table event to the next. */
struct row {
	int64_t id, time, tid, cpu, thread;
	int size;
	unsigned char payload[64];
};

static void sql(sqlite3 *db, const char *text)
{
	char *why = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK) {
		fprintf(stderr, "index_bench: %s: %s\n", text, why ? why : "no memory");
		exit(1);
	}
}

static sqlite3 *open_db(const char *name)
{
	char path[FR_PATH_MAX];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/%s", state, name);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		die(path, EIO);
	return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) {
		fprintf(stderr, "index_bench: %s: %s\n", text, sqlite3_errmsg(db));
		exit(1);
	}
	return statement;
}

/* The rows of the index, in the order in which it got them. */
static struct row *read_rows(uint64_t events)
{
	struct row *rows = calloc(events, sizeof(*rows));
	sqlite3 *db = open_db("index.db");
	sqlite3_stmt *get = prepare(db, "SELECT id, time, tid, cpu, thread, payload FROM event ORDER BY id");
	uint64_t i = 0;

	if (!rows)
		die("rows", ENOMEM);
	for (; i < events && sqlite3_step(get) == SQLITE_ROW; i++) {
		rows[i] = (struct row){ .id = sqlite3_column_int64(get, 0), .time = sqlite3_column_int64(get, 1),
					.tid = sqlite3_column_int64(get, 2), .cpu = sqlite3_column_int64(get, 3),
					.thread = sqlite3_column_int64(get, 4), .size = sqlite3_column_bytes(get, 5) };
		if (rows[i].size > (int)sizeof(rows[i].payload))
			die("payload", E2BIG);
		memcpy(rows[i].payload, sqlite3_column_blob(get, 5), (size_t)rows[i].size);
	}
	if (i != events)
		die("rows", ENODATA);
	sqlite3_finalize(get);
	sqlite3_close(db);
	return rows;
}

#define AT_ONCE 32 /* as FR_EVENT_ROWS in uploader/event_rows.h */

/* Seconds that SQLite alone takes for the rows, with the settings of the index, until they lie in the database's own file. */
static double floor_s(uint64_t events)
{
	struct row *rows = read_rows(events);
	double begun = now(), ended;
	sqlite3 *db = open_db("floor.db");
	char insert[AT_ONCE * 64] = "INSERT OR IGNORE INTO event VALUES";
	sqlite3_stmt *put;

	sql(db, "PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
		"PRAGMA cache_size = -65536; CREATE TABLE event (id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, time INTEGER NOT NULL,"
		" descriptor INTEGER NOT NULL, tid INTEGER, cpu INTEGER, session INTEGER, thread INTEGER, process INTEGER,"
		" flags INTEGER, lag INTEGER, payload BLOB); CREATE INDEX by_time ON event (boot, time); BEGIN");
	for (int i = 0; i < AT_ONCE; i++)
		strcat(insert, i ? ", (?, 1, ?, 1, ?, ?, NULL, ?, NULL, NULL, NULL, ?)" : " (?, 1, ?, 1, ?, ?, NULL, ?, NULL, NULL, NULL, ?)");
	put = prepare(db, insert);
	for (uint64_t i = 0; i < events; i += AT_ONCE) { /* of a million none is left over */
		for (uint64_t k = 0; k < AT_ONCE; k++) {
			const struct row *row = &rows[i + k];
			int at = (int)k * 6;

			sqlite3_bind_int64(put, at + 1, row->id);
			sqlite3_bind_int64(put, at + 2, row->time);
			sqlite3_bind_int64(put, at + 3, row->tid);
			sqlite3_bind_int64(put, at + 4, row->cpu);
			sqlite3_bind_int64(put, at + 5, row->thread);
			sqlite3_bind_blob(put, at + 6, row->payload, row->size, SQLITE_STATIC);
		}
		if (sqlite3_step(put) != SQLITE_DONE)
			die("floor.db", EIO);
		sqlite3_reset(put);
	}
	sqlite3_finalize(put);
	sql(db, "COMMIT");
	sqlite3_close(db);
	ended = now();
	free(rows);
	return ended - begun;
}

static void bench_recover(uint64_t events)
{
	struct fr_index_stats stats;
	double salvage, index, used;

	empty();
	make_ring(0, 3999990, events, BEGIN_NS, 10 * 1000000000ull);
	sync();
	used = cpu();
	salvage = now();
	recover();
	salvage = now() - salvage;
	index = index_all(&stats);
	used = cpu() - used;
	printf("{\"bench\":\"recover+index\",\"events\":%" PRIu64 ",\"indexed\":%" PRIu64 ",\"recover_s\":%.3f,\"index_s\":%.3f,\"cpu_s\":%.3f,"
	       "\"events_per_s\":%.0f,\"bytes_per_event\":%.1f,\"floor_s\":%.3f}\n",
	       events, stats.events, salvage, index, used, (double)stats.events / (salvage + index),
	       (double)index_bytes() / (double)stats.events, floor_s(events));
	fflush(stdout);
}

static void ask(const char *name, const struct fr_query *query)
{
	double begun = now(), opened;
	struct fr_cursor *cursor;
	struct fr_index *index;
	struct fr_event event;
	uint64_t events = 0;
	char text[1024];
	int r = fr_index_open(state, FR_INDEX_READ, &index);

	if (r < 0)
		die("open", r);
	opened = now() - begun;
	r = fr_query_open(index, query, &cursor);
	while (!r && (r = fr_query_next(cursor, &event)) == 1) {
		fr_event_text(&event, text, sizeof(text));
		events++;
		r = 0;
	}
	if (r < 0)
		die("query", r);
	fr_query_close(cursor);
	fr_index_close(index);
	printf("{\"bench\":\"%s\",\"events\":%" PRIu64 ",\"open_ms\":%.2f,\"ms\":%.2f}\n", name, events, opened * 1e3,
	       (now() - begun) * 1e3);
	fflush(stdout);
}

static void command(const char *name, const char *program, const char *arguments)
{
	char line[2 * FR_PATH_MAX];
	double begun;

	snprintf(line, sizeof(line), "FLIGHTREC_STATE_DIR='%s' '%s' show %s >/dev/null", state, program, arguments);
	begun = now();
	if (system(line) != 0) {
		fprintf(stderr, "index_bench: failed: %s\n", line);
		exit(1);
	}
	printf("{\"bench\":\"%s\",\"command\":\"flightrec show %s\",\"ms\":%.2f}\n", name, arguments, (now() - begun) * 1e3);
	fflush(stdout);
}

static void bench_show(const char *program)
{
	struct fr_query last = { .last = 1000 };
	struct fr_query minute = { .since_boot_ns = BEGIN_NS + DAY_NS / 2, .until_boot_ns = BEGIN_NS + DAY_NS / 2 + MINUTE_NS };
	struct fr_index_stats stats;
	double index;

	empty();
	for (uint32_t i = 0; i < 10; i++) {
		make_ring(0, 3999900 + 10 * i, 1000000, BEGIN_NS + i * 1000, DAY_NS);
		recover();
	}
	index = index_all(&stats);
	printf("{\"bench\":\"index 10 M\",\"events\":%" PRIu64 ",\"index_s\":%.2f,\"events_per_s\":%.0f,\"bytes_per_event\":%.1f}\n",
	       stats.events, index, (double)stats.events / index, (double)index_bytes() / (double)stats.events);
	for (int i = 0; i < 3; i++) {
		ask("last 1,000 of 10 M", &last);
		ask("one minute of 10 M", &minute);
	}
	for (int i = 0; program && i < 3; i++)
		command("command, last 1,000 of 10 M", program, "-n 1000");
}

/* What recover finds after a crash: rings as applications have them, lapped, of writers that are gone. */
static void make_dead(void)
{
	for (uint32_t i = 0; i < 8; i++)
		make_ring(2 << 20, 3999900 + 10 * i, 40000, BEGIN_NS, 10 * 1000000000ull);
	sync();
}

/* An index to be made again. */
static void make_index(void)
{
	struct fr_index_stats stats;

	for (uint32_t i = 0; i < 4; i++) {
		make_ring(0, 3999900 + 10 * i, 250000, BEGIN_NS + i * 1000, 10 * 1000000000ull);
		recover();
	}
	index_all(&stats);
	printf("{\"bench\":\"made\",\"events\":%" PRIu64 "}\n", stats.events);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "both";

	if (argc < 2 || strlen(argv[1]) >= sizeof(state) || argv[1][0] != '/') {
		fprintf(stderr, "usage: index_bench DIR [recover|show|both|dead|made] [FLIGHTREC]\n");
		return 2;
	}
	strcpy(state, argv[1]);
	if (fr_path_make(state, 0700) < 0)
		die(state, errno);
	if (!strcmp(what, "dead") || !strcmp(what, "made")) {
		empty();
		!strcmp(what, "dead") ? make_dead() : make_index();
		return 0;
	}
	for (int i = 0; i < 3 && strcmp(what, "show"); i++)
		bench_recover(1000000);
	if (strcmp(what, "recover"))
		bench_show(argc > 3 ? argv[3] : NULL);
	empty();
	return 0;
}
