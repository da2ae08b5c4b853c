/* SPDX-License-Identifier: MIT */
/*
 * bench_peers.c - what else people use to have an event after a death: the same two u64 and 40-byte
 * string, each as its own users would write it. MODE says which:
 *
 *	journal		sd_journal_send(3), to the journal daemon that answers on this machine
 *	syslog		syslog(3), to whoever reads /dev/log
 *	file		fprintf and fflush: a line survives the process that printed it
 *	buffered	fprintf alone: what lies in the buffer dies with the process
 *	libqb		qb_log() into libqb's blackbox, which a signal handler has to save
 *	sqlite		one INSERT a transaction, WAL, synchronous=OFF: survives the process
 *
 * Files go to FLIGHTREC_STATE_DIR. A mode that this build was made without ends with 77.
 */
#include <sqlite3.h>
#include <syslog.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-journal.h>
#endif
#ifdef HAVE_QB
#include <qb/qblog.h>
#endif

#include "tests/bench/bench_loop.h"

static FILE *file;
static sqlite3_stmt *insert;

static void to_file(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		fprintf(file, "order_id=%llu amount=%u customer=\"%s\"\n", (unsigned long long)i,
			thread, BENCH_TEXT);
		fflush(file);
	}
}

static void to_buffer(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		fprintf(file, "order_id=%llu amount=%u customer=\"%s\"\n", (unsigned long long)i,
			thread, BENCH_TEXT);
}

static void to_syslog(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		syslog(LOG_INFO, "order_id=%llu amount=%u customer=\"%s\"", (unsigned long long)i,
		       thread, BENCH_TEXT);
}

static void to_sqlite(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++) {
		sqlite3_bind_int64(insert, 1, (sqlite3_int64)i);
		sqlite3_bind_int64(insert, 2, thread);
		sqlite3_bind_text(insert, 3, BENCH_TEXT, 40, SQLITE_STATIC);
		if (sqlite3_step(insert) != SQLITE_DONE)
			abort();
		sqlite3_reset(insert);
	}
}

static bool open_sqlite(const char *dir)
{
	char path[4096];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/peer.db", dir);
	return sqlite3_open(path, &db) == SQLITE_OK &&
	       sqlite3_exec(
		       db,
		       "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE paid(order_id, amount, customer)",
		       NULL, NULL, NULL) == SQLITE_OK &&
	       sqlite3_prepare_v2(db, "INSERT INTO paid VALUES(?, ?, ?)", -1, &insert, NULL) ==
		       SQLITE_OK;
}

static bool open_file(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/peer.log", dir);
	file = fopen(path, "w");
	return file != NULL;
}

#ifdef HAVE_SYSTEMD
static void to_journal(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		if (sd_journal_send("MESSAGE=paid", "PRIORITY=6", "ORDER_ID=%llu",
				    (unsigned long long)i, "AMOUNT=%u", thread, "CUSTOMER=%s",
				    BENCH_TEXT, NULL) < 0)
			abort();
}

/* Without a journal daemon sd_journal_send() does nothing, quickly. */
static bool journal_is_there(void)
{
	return access("/run/systemd/journal/socket", W_OK) == 0;
}
#endif

#ifdef HAVE_QB
static void to_qb(unsigned thread, uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		qb_log(LOG_INFO, "order_id=%llu amount=%u customer=\"%s\"", (unsigned long long)i,
		       thread, BENCH_TEXT);
}

static bool open_qb(void)
{
	qb_log_init("bench", LOG_USER, LOG_EMERG);
	qb_log_ctl(QB_LOG_SYSLOG, QB_LOG_CONF_ENABLED, QB_FALSE);
	return qb_log_filter_ctl(QB_LOG_BLACKBOX, QB_LOG_FILTER_ADD, QB_LOG_FILTER_FILE, "*",
				 LOG_DEBUG) == 0 &&
	       qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_SIZE, 2 << 20) == 0 &&
	       qb_log_ctl(QB_LOG_BLACKBOX, QB_LOG_CONF_ENABLED, QB_TRUE) == 0;
}
#endif

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "", *dir = getenv("FLIGHTREC_STATE_DIR");
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : BENCH_EVENTS;
	bench_loop *loop = NULL;
	bool ready = true;

	if (!dir)
		dir = ".";
	if (!strcmp(mode, "file") || !strcmp(mode, "buffered")) {
		loop = !strcmp(mode, "file") ? to_file : to_buffer;
		ready = open_file(dir);
	} else if (!strcmp(mode, "syslog")) {
		loop = to_syslog;
		ready = access("/dev/log", W_OK) == 0;
		openlog("bench", LOG_PID, LOG_USER);
	} else if (!strcmp(mode, "sqlite")) {
		loop = to_sqlite;
		ready = open_sqlite(dir);
#ifdef HAVE_SYSTEMD
	} else if (!strcmp(mode, "journal")) {
		loop = to_journal;
		ready = journal_is_there();
#endif
#ifdef HAVE_QB
	} else if (!strcmp(mode, "libqb")) {
		loop = to_qb;
		ready = open_qb();
#endif
	}
	if (!loop || !ready) {
		fprintf(stderr, "bench_peers: %s can't be measured here\n", mode);
		return 77;
	}
	printf("%.3f\n", bench_run(loop, 1, count));
	return 0;
}
