/* SPDX-License-Identifier: MIT */
/* cut_judge.c - see cut_judge.h. */
#include "tests/torture/power_cut/cut_judge.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/core/host.h"
#include "recorder/core/image.h"
#include "recorder/core/paths.h"
#include "tests/torture/power_cut/lines.h"

static void expect_none(const char *root, const char *below, const char *suffix)
{
	struct lines found LINES = { 0 };

	lines_of_dir(root, below, suffix, &found);
	REQUIRE(!found.count, "%s/%s is left", below, found.line[0]);
}

/* What retention.log says of a record: 's' sent, 'u' unsent, '-' nothing; of both the last word counts. */
static char dropped_as(const struct lines *log, const char *key)
{
	char ring[33], said = '-';
	unsigned long long seq;
	unsigned lane;

	REQUIRE(sscanf(key, "%32s %u %llu", ring, &lane, &seq) == 3, "%s", key);
	for (size_t i = 0; i < log->count; i++) {
		char word[65], of[33];
		unsigned long long first, last;
		unsigned in;

		if (sscanf(log->line[i], "%64s %*s %32s %u %llu %llu", word, of, &in, &first,
			   &last) == 5 &&
		    !strcmp(of, ring) && in == lane && first <= seq && seq <= last &&
		    (!strcmp(word, "sent") || (!strcmp(word, "unsent") && said != 's')))
			said = word[0];
	}
	return said;
}

static bool is_lost(const struct lines *losses, const char *key)
{
	char ring[33];
	unsigned long long seq;
	unsigned lane;

	sscanf(key, "%32s %u %llu", ring, &lane, &seq);
	for (size_t i = 0; i < losses->count; i++) {
		char of[33];
		unsigned long long first, count;
		unsigned in;

		if (sscanf(losses->line[i], "%32s %u %llu %llu", of, &in, &first, &count) == 4 &&
		    !strcmp(of, ring) && in == lane && first <= seq && seq - first < count)
			return true;
	}
	return false;
}

static void add_keys_of_ring(const char *dir, const char *name, struct lines *keys)
{
	char path[3 * MACHINE_PATH], hex[33], key[64];
	struct fr_image *image;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	REQUIRE(fr_image_open_path(path, 0, &image) == 0, "%s", path);
	fr_hex(hex, fr_image_super(image)->ring_id, 16);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		snprintf(key, sizeof(key), "%s %u %llu", hex, fr_image_record(image, i)->lane,
			 (unsigned long long)fr_image_record(image, i)->seq);
		lines_add(keys, key);
	}
	fr_image_close(image);
}

static bool is_junk_dropped(const struct machine *machine)
{
	struct lines log LINES = { 0 };
	bool named = false;

	lines_of_file(machine->root, "state/spool/retention.log", &log);
	for (size_t i = 0; i < log.count; i++)
		named |= !strncmp(log.line[i], "quarantine/7-junk.ring ", 23);
	return named;
}

/*
 * The records of what lies in quarantine, whole. The junk is there, or named as dropped; whatever
 * else is there, two cuts are the reason.
 */
static unsigned judge_quarantine(const struct story *story, const struct machine *machine, struct lines *keys)
{
	struct lines names LINES = { 0 };
	char dir[2 * MACHINE_PATH];
	unsigned set_aside = 0;
	bool dropped = is_junk_dropped(machine), junk = dropped;

	snprintf(dir, sizeof(dir), "%s/state/spool/quarantine", machine->root);
	lines_of_dir(dir, "", "", &names);
	for (size_t i = 0; i < names.count; i += 2) {
		struct lines why LINES = { 0 }, text LINES = { 0 };
		const char *name = names.line[i];
		size_t size = strlen(name);

		if (dropped && !strcmp(name, "7-junk.ring.why")) { /* goes after its source */
			i--;
			continue;
		}
		REQUIRE(i + 1 < names.count && !strncmp(names.line[i + 1], name, size) &&
				!strcmp(names.line[i + 1] + size, ".why"),
			"%s has no reason beside it", name);
		if (!strcmp(name, "7-junk.ring")) {
			junk = true;
			continue;
		}
		lines_of_file(dir, names.line[i + 1], &why);
		REQUIRE(why.count == 1 &&
				strstr(why.line[0], "2 attempts to read it did not finish"),
			"%s is innocent: %s", name, why.count ? why.line[0] : "");
		set_aside++;
		if (strstr(name, ".ring")) {
			add_keys_of_ring(dir, name, keys);
			continue;
		}
		lines_of_file(dir, name, &text);
		REQUIRE(text.count == 4 && !strcmp(text.line[1], "<6>[   11.000000] hello\n"), "%s", name);
		for (size_t k = 0; k < story->keys; k++)
			if (!strncmp(story->key[k].text, story->harvested, 32))
				lines_add(keys, story->key[k].text);
	}
	REQUIRE(junk, "the junk is gone");
	lines_sort(keys);
	return set_aside;
}

static void judge_records(const struct story *story, const struct machine *machine, size_t sources,
			  const struct lines *aside, sqlite3 *index, sqlite3 *fleet)
{
	struct lines here LINES = { 0 }, there LINES = { 0 }, losses LINES = { 0 }, log LINES = { 0 };
	size_t expected = 0, found_here = 0, found_there = 0;

	db_ask(index, "SELECT ring, lane, seq FROM events", &here);
	db_ask(index,
	       "SELECT ring, lane, first_seq, count FROM losses WHERE cause = 'dropped by retention'",
	       &losses);
	db_ask(fleet, "SELECT ring, lane, seq FROM event", &there);
	lines_of_file(machine->root, "state/spool/retention.log", &log);
	for (size_t i = 0; i < story->keys; i++) {
		const char *key = story->key[i].text;
		bool in_index = lines_have(&here, key), sent = lines_have(&there, key),
		     lost = is_lost(&losses, key);

		if (story->key[i].source > sources)
			continue;
		expected++;
		found_here += in_index;
		found_there += sent;
		REQUIRE(!(lost && (in_index || sent)), "%s is there, and called lost", key);
		REQUIRE(!in_index || sent, "%s is in the index and was not sent", key);
		if (!in_index && lines_have(aside, key))
			continue;
		REQUIRE(in_index || dropped_as(&log, key) != '-',
			"%s is gone, and retention does not say so", key);
		REQUIRE(in_index || (dropped_as(&log, key) == 's' ? sent : lost || sent),
			"%s is gone, said to be %s", key,
			dropped_as(&log, key) == 's' ? "sent" : "lost");
	}
	REQUIRE(here.count == found_here, "%zu events in the index that nobody recorded, or twice",
		here.count - found_here);
	REQUIRE(there.count == found_there, "%zu events at the receiver that nobody recorded",
		there.count - found_there);
	REQUIRE(expected, "nothing was to be found");
	REQUIRE(db_ask_number(fleet, "SELECT sum(events) FROM batches") == (long long)there.count,
		"%lld events in batches, %zu of them different: some were sent as new", db_ask_number(fleet, "SELECT sum(events) FROM batches"),
		there.count);
	REQUIRE(!db_ask_number(index,
			       "SELECT count(*) FROM losses WHERE cause <> 'dropped by retention'"),
		"a loss that is none");
}

/*
 * Whether the logs were shortened before the cut, or not, or at the cut: what they say adds up to
 * the same.
 */
static void judge_logs(const struct story *story, size_t sources, sqlite3 *index)
{
	long long dropped = db_ask_number(
		index, "SELECT sum(count) FROM losses WHERE boot = '" STORY_OLD_BOOT "'");

	REQUIRE(dropped == (sources < story->old_source ? 0 : STORY_OLD_DROPPED),
		"%lld records of an old boot were dropped", dropped);
}

static void judge_boots(const struct story *story, const struct machine *machine, sqlite3 *index)
{
	struct lines rows LINES = { 0 };
	char state[2 * MACHINE_PATH];
	uint8_t id[16];
	long long before = 0, newest;

	for (char which = 'A'; which <= 'D'; which++) {
		char hex[33], sql[128];
		long long number;

		machine_boot_id(which, id);
		fr_hex(hex, id, 16);
		snprintf(sql, sizeof(sql), "SELECT boot_seq FROM boots WHERE boot = '%s'", hex);
		number = db_ask_number(index, sql);
		REQUIRE(!number || number > before, "boot %c has number %lld, the one before %lld",
			which, number, before);
		before = number ? number : before;
	}
	newest = db_ask_number(index, "SELECT max(boot_seq) FROM boots");
	machine_boot_id(machine->boot, id);
	snprintf(state, sizeof(state), "%s/state", machine->root);
	REQUIRE((long long)fr_host_boot_seq(state, id) > newest,
		"this boot has number %llu, an earlier one %lld",
		(unsigned long long)fr_host_boot_seq(state, id), newest);
	if (!story->clock)
		return;
	db_ask(index,
	       "SELECT DISTINCT boot_seq FROM events WHERE event = 'kernel.panic' AND boot_seq <> (SELECT min(boot_seq) FROM boots)",
	       &rows);
	REQUIRE(!rows.count, "the panic is in boot %s", rows.line[0]);
}

static void judge_places(const struct machine *machine)
{
	expect_none(machine->root, "state/rings", ".ring");
	expect_none(machine->root, "pstore", "");
	expect_none(machine->root, "state/spool", ".tmp");
	expect_none(machine->root, "state/spool/attempts", "");
	expect_none(machine->root, "state/spool/quarantine", ".tmp");
	expect_none(machine->root, "state/outbox", ".tmp");
	expect_none(machine->root, "state/outbox", ".frb");
	expect_none(machine->root, "state/outbox/damaged", "");
	expect_none(machine->root, "state/outbox/rejected", "");
}

static void dump(sqlite3 *index, struct lines *lines)
{
	db_ask(index,
	       "SELECT 'event', ring, lane, seq, time_ns, boot, boot_seq, event, comm, hex(payload) FROM events",
	       lines);
	db_ask(index, "SELECT 'loss', ring, lane, cause, first_seq, count FROM losses", lines);
	db_ask(index, "SELECT 'boot', boot_seq, boot, rings, events, incidents FROM boots", lines);
	db_ask(index,
	       "SELECT 'incident', id, kind, boot, time_ns, cause, evidence, recovered FROM incidents",
	       lines);
	db_ask(index, "SELECT 'segment', name, records, error FROM segments", lines);
}

static void expect_same(const struct lines *a, const struct lines *b)
{
	for (size_t i = 0; i < a->count || i < b->count; i++)
		REQUIRE(i < a->count && i < b->count && !strcmp(a->line[i], b->line[i]),
			"made again it says\n%s\n, before\n%s",
			i < b->count ? b->line[i] : "nothing",
			i < a->count ? a->line[i] : "nothing");
}

unsigned cut_judge(const struct story *story, struct machine *machine, size_t sources)
{
	struct lines before LINES = { 0 }, after LINES = { 0 }, aside LINES = { 0 };
	char state[2 * MACHINE_PATH], *said;
	unsigned set_aside;
	sqlite3 *index, *fleet = db_open(machine->work, "fleet.db");

	snprintf(state, sizeof(state), "%s/state", machine->root);
	REQUIRE(MACHINE_RUN(machine, "recover") == 4, "a second recovery found something: %s",
		machine_said(machine, "out"));
	REQUIRE(MACHINE_RUN(machine, "index", "--keep") == 0);
	said = machine_said(machine, "err");
	REQUIRE(!*said, "index still says %s", said);
	free(said);
	index = db_open(state, "index.db");
	REQUIRE(db_ask_number(
			index,
			"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'") ==
		0);
	set_aside = judge_quarantine(story, machine, &aside);
	judge_records(story, machine, sources, &aside, index, fleet);
	judge_logs(story, sources, index);
	judge_boots(story, machine, index);
	judge_places(machine);
	dump(index, &before);
	sqlite3_close(index);
	REQUIRE(MACHINE_RUN(machine, "index", "--rebuild", "--keep") == 0);
	index = db_open(state, "index.db");
	dump(index, &after);
	expect_same(&before, &after);
	sqlite3_close(index);
	sqlite3_close(fleet);
	return set_aside;
}
