/* SPDX-License-Identifier: MIT */
/*
 * derive.c - see derive.h.
 *
 * WHAT IS AN INCIDENT
 *	kernel	  kernel.panic was harvested for the boot; or the ring of its recorder was left open at the boot's end
 *	process	  its ring was left open by a writer that died - unless the kernel or the daemon says that it left with exit(0)
 *		  or the kernel says that a signal or the want of memory ended it. Without a ring only signals that speak of a fault
 *		  or of force count: SIGTERM, SIGINT, SIGHUP, SIGPIPE and timers are how ordinary programs are told to go
 * A kernel's end ends all its processes. Their rings are evidence of the one incident; one of its own has only a process
 * that was shown to have died before.
 *
 * WHO IS THE SAME PROCESS: same boot, same pid, start times within 20 ms (rings know it in steps of 10 ms); a
 * start time that is not known matches any.
 */
#include "uploader/derive.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "uploader/witness.h"

#define SAME_PROCESS " AND (abs(start_time_ns - ?3) <= 20000000 OR start_time_ns = 0 OR ?3 = 0)"
#define WITNESSED(kind) \
	"SELECT time, signal, code, flags, address, other_pid, text, start_time_ns, process FROM witness" \
	" WHERE boot = ?1 AND pid = ?2 AND kind = " #kind SAME_PROCESS

enum statement { RINGS, EXITS, OOMS, EXIT_OF, OOM_OF, DIED_OF, SENT_TO, FAULT_OF, CRASH_OF, RING_OF, INCIDENT_OF, PUT, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	/* reason and state are those of the last part: what was seen last */
	[RINGS] = "SELECT r.id, p.id, p.pid, p.start_time_ns, s.reason, s.closed_ns,"
		  " (SELECT max(last_ns) FROM segment x WHERE x.ring = r.id), r.ring_id"
		  " FROM ring r JOIN process p ON p.id = r.process JOIN segment s ON s.id ="
		  " (SELECT id FROM segment x WHERE x.ring = r.id ORDER BY part DESC LIMIT 1)"
		  " WHERE r.boot = ?1 AND r.kind = 1 AND s.reason IN (3, 4) AND ifnull(s.closed_ns, 0) = 0 ORDER BY r.ring_id",
	[EXITS] = "SELECT pid, start_time_ns, process FROM witness WHERE boot = ?1 AND kind = 1 AND"
		  " signal IN (3, 4, 5, 6, 7, 8, 9, 11, 24, 25, 31) ORDER BY time, event",
	[OOMS] = "SELECT pid, start_time_ns, process FROM witness WHERE boot = ?1 AND kind = 4 ORDER BY time, event",
	[EXIT_OF] = WITNESSED(1) " ORDER BY time DESC LIMIT 1",
	[OOM_OF] = WITNESSED(4) " ORDER BY time DESC LIMIT 1",
	[DIED_OF] = WITNESSED(7) " ORDER BY time DESC LIMIT 1",
	[SENT_TO] = WITNESSED(2) " AND signal = ?4 AND time <= ?5 ORDER BY time DESC LIMIT 1",
	[FAULT_OF] = WITNESSED(3) " ORDER BY time DESC LIMIT 1",
	[CRASH_OF] = "SELECT time, signal, code, flags, address, other_pid, text, start_time_ns, process FROM witness"
		     " WHERE ring = ?1 AND kind = 5 ORDER BY time DESC, event DESC LIMIT 1",
	[RING_OF] = "SELECT r.id, r.process, p.start_time_ns FROM process p JOIN ring r ON r.process = p.id"
		    " WHERE p.boot = ?1 AND p.pid = ?2 AND r.kind = 1 AND (abs(p.start_time_ns - ?3) <= 20000000 OR"
		    " p.start_time_ns = 0 OR ?3 = 0) ORDER BY r.created_ns LIMIT 1",
	[INCIDENT_OF] = "SELECT 1 FROM incident i JOIN process p ON p.id = i.process WHERE i.boot = ?1 AND p.pid = ?2"
			" AND (abs(p.start_time_ns - ?3) <= 20000000 OR p.start_time_ns = 0 OR ?3 = 0)",
	[PUT] = "INSERT OR IGNORE INTO incident VALUES (?, ?, ?, ?, nullif(?, 0), nullif(?, 0), ?, ?)",
};

struct derive {
	struct fr_index *index;
	sqlite3_stmt *statement[STATEMENTS];
	int64_t boot;
	uint8_t boot_id[16];
	bool kernel_died;
};

/* One thing that a witness said. */
struct word {
	bool there;
	int64_t time, address, start_time_ns, process;
	int signal, code, flags;
	uint32_t other_pid;
	char text[256];
};

struct death {
	int64_t ring, process, start_time_ns, time;
	uint32_t pid;
	uint8_t ring_id[16];
	char cause[384];
	const char *evidence;
};

static int hear(struct derive *derive, enum statement which, uint32_t pid, int64_t start, int signal, int64_t until,
		struct word *word)
{
	sqlite3_stmt *row = derive->statement[which];
	int r;

	sqlite3_bind_int64(row, 1, derive->boot);
	sqlite3_bind_int64(row, 2, pid);
	sqlite3_bind_int64(row, 3, start);
	if (which == SENT_TO) {
		sqlite3_bind_int64(row, 4, signal);
		sqlite3_bind_int64(row, 5, until);
	}
	*word = (struct word){ 0 };
	r = fr_db_step(row);
	if (r == 1) {
		word->there = true;
		word->time = sqlite3_column_int64(row, 0);
		word->signal = sqlite3_column_int(row, 1);
		word->code = sqlite3_column_int(row, 2);
		word->flags = sqlite3_column_int(row, 3);
		word->address = sqlite3_column_int64(row, 4);
		word->other_pid = (uint32_t)sqlite3_column_int64(row, 5);
		snprintf(word->text, sizeof(word->text), "%s", fr_db_text(row, 6));
		word->start_time_ns = sqlite3_column_int64(row, 7);
		word->process = sqlite3_column_int64(row, 8);
	}
	sqlite3_reset(row);
	return r < 0 ? r : 0;
}

static int hear_crash(struct derive *derive, int64_t ring, struct word *word)
{
	sqlite3_stmt *row = derive->statement[CRASH_OF];
	int r;

	*word = (struct word){ 0 };
	if (!ring)
		return 0;
	sqlite3_bind_int64(row, 1, ring);
	r = fr_db_step(row);
	if (r == 1) {
		word->there = true;
		word->time = sqlite3_column_int64(row, 0);
		word->signal = sqlite3_column_int(row, 1);
		word->code = sqlite3_column_int(row, 2);
		word->address = sqlite3_column_int64(row, 4);
		word->other_pid = (uint32_t)sqlite3_column_int64(row, 5);
	}
	sqlite3_reset(row);
	return r < 0 ? r : 0;
}

static const char *signal_text(int number, char buf[24])
{
	const char *name = fr_signal_name(number);

	if (name)
		return name;
	snprintf(buf, 24, "signal %d", number);
	return buf;
}

/* Who was heard. */
static const char *evidence(bool kernel, bool daemon, bool ring)
{
	static const char *const of[] = { "none", "ring", "daemon", "daemon+ring", "ebpf", "ebpf+ring", "ebpf+daemon", "ebpf+daemon+ring" };

	return of[kernel << 2 | daemon << 1 | ring];
}

/* Faults that have an address; si_code above 0: the processor or the kernel says so, not a sender. */
static bool has_address(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP;
}

/* "SIGSEGV at 0x10", "killed by SIGKILL from pid 812 (bash)", "SIGABRT raised by itself" ... */
static void say_signal(struct death *death, int signal, const struct word *sent, const struct word *fault, bool core)
{
	char name[24], *at = death->cause;
	size_t size = sizeof(death->cause);
	const char *tail = core ? ", core dumped" : "";

	if (sent->there && sent->code <= 0 && sent->other_pid && sent->other_pid != death->pid)
		snprintf(at, size, "killed by %s from pid %" PRIu32 "%s%s%s%s", signal_text(signal, name), sent->other_pid,
			 *sent->text ? " (" : "", sent->text, *sent->text ? ")" : "", tail);
	else if (sent->there && sent->code <= 0 && sent->other_pid)
		snprintf(at, size, "%s raised by itself%s", signal_text(signal, name), tail);
	else if (fault->there && fault->signal == signal && has_address(signal) && fault->code > 0)
		snprintf(at, size, "%s at 0x%" PRIx64 "%s", signal_text(signal, name), (uint64_t)fault->address, tail);
	else
		snprintf(at, size, "killed by %s%s", signal_text(signal, name), tail);
}

/* The same when the kernel's words do not say it. */
static int find_cause_without_kernel(struct death *death, const struct word *gone, const struct word *died, const struct word *crash,
				     bool *ret_shown, bool *ret_orderly)
{
	struct word sent = { .there = crash->other_pid, .other_pid = crash->other_pid, .code = crash->code };
	bool told = died->there && died->flags & FR_WITNESS_KNOWN;

	if (died->there && !gone->there)
		death->time = died->time;
	if (told && !died->signal && !died->code) {
		*ret_orderly = true;
	} else if (told) {
		death->evidence = evidence(gone->there, true, crash->there);
		if (died->signal && crash->signal != died->signal)
			sent.there = false; /* that was another signal, which it survived */
		if (died->signal)
			say_signal(death, died->signal, &sent, crash, died->flags & FR_WITNESS_CORE);
		else
			snprintf(death->cause, sizeof(death->cause), "exited with code %d", died->code);
	} else if (crash->there) {
		death->evidence = evidence(gone->there, died->there, true);
		if (!gone->there && !died->there)
			death->time = crash->time;
		say_signal(death, crash->signal, &sent, crash, false);
	} else {
		snprintf(death->cause, sizeof(death->cause), "vanished");
		death->evidence = evidence(gone->there, died->there, false);
		*ret_shown = gone->there || died->there;
	}
	return 0;
}

/*
 * What ended the process, by the order of belief in incident.h. Fills cause, evidence and time; *ret_shown is false when
 * nothing was said at all, *ret_orderly true when it left by itself with exit(0).
 */
static int find_cause(struct derive *derive, struct death *death, bool *ret_shown, bool *ret_orderly)
{
	struct word gone, oom, died, fault, sent = { 0 }, crash;
	int64_t until;
	int signal = 0, r;

	*ret_shown = true;
	*ret_orderly = false;
	r = hear(derive, EXIT_OF, death->pid, death->start_time_ns, 0, 0, &gone);
	if (!r)
		r = hear(derive, OOM_OF, death->pid, death->start_time_ns, 0, 0, &oom);
	if (!r)
		r = hear(derive, DIED_OF, death->pid, death->start_time_ns, 0, 0, &died);
	if (!r)
		r = hear(derive, FAULT_OF, death->pid, death->start_time_ns, 0, 0, &fault);
	if (!r)
		r = hear_crash(derive, death->ring, &crash);
	if (r < 0)
		return r;
	if (gone.there && gone.flags & FR_WITNESS_KNOWN && !gone.signal && !gone.code) {
		*ret_orderly = true;
		return 0;
	}
	until = gone.there ? gone.time : INT64_MAX;
	if (gone.there)
		death->time = gone.time;
	death->evidence = evidence(true, false, crash.there);
	if (gone.there && gone.signal)
		signal = gone.signal;
	else if (gone.there && gone.flags & FR_WITNESS_KNOWN) {
		snprintf(death->cause, sizeof(death->cause), "exited with code %d", gone.code);
		return 0;
	}
	if (oom.there && (!signal || signal == SIGKILL)) {
		snprintf(death->cause, sizeof(death->cause), "killed by the kernel for want of memory");
		if (!gone.there)
			death->time = oom.time;
		return 0;
	}
	if (!signal) { /* the exit was not seen, or does not tell: nobody survives SIGKILL, nor a fault without a handler */
		r = hear(derive, SENT_TO, death->pid, death->start_time_ns, SIGKILL, until, &sent);
		if (r < 0)
			return r;
		if (sent.there) {
			signal = SIGKILL;
			if (!gone.there)
				death->time = sent.time;
		} else if (fault.there && fault.flags & FR_WITNESS_NO_HANDLER) {
			signal = fault.signal;
			if (!gone.there)
				death->time = fault.time;
		}
	}
	if (signal) {
		r = hear(derive, SENT_TO, death->pid, death->start_time_ns, signal, until, &sent);
		if (r < 0)
			return r;
		if (!fault.there && crash.there)
			fault = crash;
		say_signal(death, signal, &sent, &fault, gone.flags & FR_WITNESS_CORE);
		return 0;
	}
	return find_cause_without_kernel(death, &gone, &died, &crash, ret_shown, ret_orderly);
}

/* 12 digits that follow from what died alone. */
static void make_id(char id[16], char kind, const uint8_t boot_id[16], uint64_t a, uint64_t b, const uint8_t extra[16])
{
	uint64_t hash = 0xcbf29ce484222325u;
	uint8_t bytes[49];

	bytes[0] = (uint8_t)kind;
	memcpy(bytes + 1, boot_id, 16);
	memcpy(bytes + 17, &a, 8);
	memcpy(bytes + 25, &b, 8);
	memcpy(bytes + 33, extra, 16);
	for (size_t i = 0; i < sizeof(bytes); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	hash ^= hash >> 32;
	snprintf(id, 16, "%012" PRIx64, hash & 0xffffffffffffu);
}

static int put_incident(struct derive *derive, const struct death *death, bool kernel)
{
	static const uint8_t none[16];
	sqlite3_stmt *put = derive->statement[PUT];
	char id[16];

	make_id(id, kernel ? 'k' : 'p', derive->boot_id, death->pid, (uint64_t)death->start_time_ns / 10000000,
		kernel || death->start_time_ns ? none : death->ring_id);
	sqlite3_bind_text(put, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 2, kernel);
	sqlite3_bind_int64(put, 3, derive->boot);
	sqlite3_bind_int64(put, 4, death->time);
	sqlite3_bind_int64(put, 5, death->process);
	sqlite3_bind_int64(put, 6, death->ring);
	sqlite3_bind_text(put, 7, death->cause, -1, SQLITE_STATIC);
	sqlite3_bind_text(put, 8, death->evidence, -1, SQLITE_STATIC);
	return fr_db_run(put);
}

static int derive_kernel(struct derive *derive)
{
	struct death death = { .evidence = "ring" };
	FR_STMT panic = NULL;
	FR_STMT left = NULL;
	int r = fr_db_prepare(derive->index,
			      "SELECT w.time, w.text, w.ring, (SELECT count(*) FROM ring x WHERE x.boot = w.boot AND x.kind <> 3)"
			      " FROM witness w WHERE w.boot = ? AND w.kind = 6 ORDER BY w.time, w.event LIMIT 1",
			      &panic);

	if (!r) /* rings that the boot's end cut short, and among them the recorder's own */
		r = fr_db_prepare(derive->index,
				  "SELECT max(s.last_ns), max(r.kind = 2) FROM ring r JOIN segment s ON s.id ="
				  " (SELECT id FROM segment x WHERE x.ring = r.id ORDER BY part DESC LIMIT 1)"
				  " WHERE r.boot = ? AND s.reason = 4 AND ifnull(s.closed_ns, 0) = 0",
				  &left);
	if (r < 0)
		return r;
	sqlite3_bind_int64(panic, 1, derive->boot);
	sqlite3_bind_int64(left, 1, derive->boot);
	r = fr_db_step(left);
	if (r < 0)
		return r;
	death.time = sqlite3_column_int64(left, 0);
	derive->kernel_died = sqlite3_column_int(left, 1);
	snprintf(death.cause, sizeof(death.cause), "the boot ended without a shutdown");
	r = fr_db_step(panic);
	if (r < 0)
		return r;
	if (r) {
		derive->kernel_died = true;
		death.time = sqlite3_column_int64(panic, 0);
		death.evidence = sqlite3_column_int64(panic, 3) ? "pstore+ring" : "pstore";
		snprintf(death.cause, sizeof(death.cause), "kernel panic%s%s", *fr_db_text(panic, 1) ? ": " : "",
			 fr_db_text(panic, 1));
	}
	return derive->kernel_died ? put_incident(derive, &death, true) : 0;
}

static int derive_rings(struct derive *derive)
{
	sqlite3_stmt *row = derive->statement[RINGS];
	bool shown, orderly;
	int r;

	sqlite3_bind_int64(row, 1, derive->boot);
	while ((r = fr_db_step(row)) == 1) {
		struct death death = { .ring = sqlite3_column_int64(row, 0),
				       .process = sqlite3_column_int64(row, 1),
				       .pid = (uint32_t)sqlite3_column_int64(row, 2),
				       .start_time_ns = sqlite3_column_int64(row, 3),
				       .time = sqlite3_column_int64(row, 6) };
		bool at_boot_end = sqlite3_column_int(row, 4) == FRM_REASON_BOOT_END;

		fr_db_id(row, 7, death.ring_id);
		r = find_cause(derive, &death, &shown, &orderly);
		if (!r && !orderly && (shown || !at_boot_end || !derive->kernel_died))
			r = put_incident(derive, &death, false);
		if (r < 0)
			break;
	}
	sqlite3_reset(row);
	return r;
}

/* Deaths that the kernel told of and that no ring left open by its writer did. */
static int derive_witnessed(struct derive *derive, enum statement which)
{
	sqlite3_stmt *row = derive->statement[which];
	bool shown, orderly;
	int r;

	sqlite3_bind_int64(row, 1, derive->boot);
	while ((r = fr_db_step(row)) == 1) {
		sqlite3_stmt *known = derive->statement[INCIDENT_OF], *ring = derive->statement[RING_OF];
		struct death death = { .pid = (uint32_t)sqlite3_column_int64(row, 0),
				       .start_time_ns = sqlite3_column_int64(row, 1),
				       .process = sqlite3_column_int64(row, 2) };

		sqlite3_bind_int64(known, 1, derive->boot);
		sqlite3_bind_int64(known, 2, death.pid);
		sqlite3_bind_int64(known, 3, death.start_time_ns);
		r = fr_db_step(known);
		sqlite3_reset(known);
		if (r == 1)
			continue;
		sqlite3_bind_int64(ring, 1, derive->boot);
		sqlite3_bind_int64(ring, 2, death.pid);
		sqlite3_bind_int64(ring, 3, death.start_time_ns);
		if (!r)
			r = fr_db_step(ring);
		if (r == 1) {
			death.ring = sqlite3_column_int64(ring, 0);
			death.process = sqlite3_column_int64(ring, 1);
			death.start_time_ns = sqlite3_column_int64(ring, 2);
		}
		sqlite3_reset(ring);
		if (r >= 0)
			r = find_cause(derive, &death, &shown, &orderly);
		if (!r && !orderly)
			r = put_incident(derive, &death, false);
		if (r < 0)
			break;
	}
	sqlite3_reset(row);
	return r;
}

static int derive_boot(struct derive *derive)
{
	FR_STMT clear = NULL;
	int r = fr_db_prepare(derive->index, "DELETE FROM incident WHERE boot = ?", &clear);

	if (r < 0)
		return r;
	sqlite3_bind_int64(clear, 1, derive->boot);
	r = fr_db_run(clear);
	derive->kernel_died = false;
	if (!r)
		r = derive_kernel(derive);
	if (!r)
		r = derive_rings(derive);
	if (!r)
		r = derive_witnessed(derive, EXITS);
	return r < 0 ? r : derive_witnessed(derive, OOMS);
}

int fr_derive_incidents(struct fr_index *index)
{
	struct derive derive = { .index = index };
	FR_STMT boots = NULL;
	int r = fr_db_begin(index);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < STATEMENTS && !r; i++)
		r = fr_db_prepare(index, sql[i], &derive.statement[i]);
	if (!r)
		r = fr_db_prepare(index, "SELECT b.id, b.boot_id FROM stale s JOIN boot b ON b.id = s.boot", &boots);
	while (!r && (r = fr_db_step(boots)) == 1) {
		derive.boot = sqlite3_column_int64(boots, 0);
		fr_db_id(boots, 1, derive.boot_id);
		r = derive_boot(&derive);
	}
	for (unsigned i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(derive.statement[i]);
	sqlite3_finalize(boots);
	boots = NULL;
	if (!r)
		r = fr_db_exec(index, "DELETE FROM stale");
	if (!r)
		return fr_db_commit(index);
	fr_db_rollback(index);
	return r;
}
