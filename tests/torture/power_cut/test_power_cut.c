/* SPDX-License-Identifier: MIT */
/*
 * test_power_cut.c - the power goes while evidence is on its way from rings to the receiver, behind
 * every change of the disk and with many a choice of what the disk kept (disk.h). The real programs
 * run on what is left, in a new boot, and cut_judge.h says what then has to hold. Every fourth
 * image is cut once more, while the programs mend what the first cut left.
 *
 * CUT_ONE="clock|none ENTRY NAMES DATA SEED", as a failure prints it, makes that one again.
 * CUT_KEEP=1 leaves its files.
 */
#include "tests/torture/power_cut/cut_judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/paths.h"
#include "tests/lib/torture.h"
#include "tests/torture/power_cut/lines.h"

static const char *const names_said[DISK_NAMES] = { "all", "none", "ordered", "any", "newest", "but-one" };
static const char *const data_said[DISK_DATA] = { "all",   "none",	"ordered", "sectors",
						  "pages", "size-only", "newest",  "stale" };

/* ------------------------------------------------------------------ what the receiver had at the cut */

static bool was_acknowledged(const struct disk *disk, size_t cut, const char *uuid)
{
	struct disk_step step;

	for (size_t i = 0; i < cut; i++) {
		disk_step(disk, i, &step);
		if (step.op == DISK_WRITE && !strncmp(step.name, "state/spool/acks.log", 20) &&
		    memmem(step.data, step.data_size, uuid, strlen(uuid)))
			return true;
	}
	return false;
}

static bool may_be_sent(const struct disk *disk, size_t cut, const char *hex)
{
	struct disk_step step;
	bool made = false;
	char name[64];

	snprintf(name, sizeof(name), "state/outbox/%s.frb", hex);
	for (size_t i = 0; i < cut; i++) {
		disk_step(disk, i, &step);
		made |= step.op == DISK_RENAME && !strcmp(step.target, name);
		if (made && step.op == DISK_SYNC && !strcmp(step.name, "state/outbox"))
			return true;
	}
	return false;
}

/*
 * Takes from the receiver what it can't have had: batches that were not in the outbox for good by
 * then; of one that was, and whose acknowledgement is not written down, nobody knows. `had`: what
 * it had before the journal began; `waiting`: in the outbox then.
 */
static void set_back(const char *work, const struct disk *disk, size_t cut, const struct lines *had,
		     const struct lines *waiting, uint64_t seed)
{
	struct lines ids LINES = { 0 };
	sqlite3 *db = db_open(work, "fleet.db");
	char sql[256], uuid[37];
	uint8_t id[16];

	db_ask(db, "SELECT lower(hex(id)) FROM batches", &ids);
	for (size_t i = 0; i < ids.count; i++) {
		const char *hex = ids.line[i];

		fr_unhex(id, 16, hex);
		fr_uuid_text(uuid, id);
		if (lines_have(had, hex) || was_acknowledged(disk, cut, uuid))
			continue;
		if ((may_be_sent(disk, cut, hex) || lines_have(waiting, hex)) && seed % 2)
			continue;
		snprintf(
			sql, sizeof(sql),
			"DELETE FROM events WHERE batch = (SELECT row FROM batches WHERE id = x'%s');"
			"DELETE FROM batches WHERE id = x'%s'",
			hex, hex);
		db_exec(db, sql);
	}
	sqlite3_close(db);
}

static void copy_file(const char *from, const char *to)
{
	static char bytes[1 << 20];
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");
	size_t n;

	REQUIRE(in && out, "%s: %s", to, strerror(errno));
	while ((n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		REQUIRE(fwrite(bytes, 1, n, out) == n);
	fclose(in);
	fclose(out);
}

static struct seen {
	unsigned long images, again; /* and images that were cut again */
	unsigned long made_again;    /* indexes that were damaged, and said so */
	unsigned long set_aside;     /* sources that two cuts met while they were parsed */
} seen;

/* The programs mend what the cut left; `rebuild`: somebody makes the index again before he looks at it. */
static void mend(const struct machine *machine, bool rebuild)
{
	char *said;
	int code = MACHINE_RUN(machine, "recover");

	REQUIRE(code == 0 || code == 3 || code == 4, "recover: %d: %s", code, machine_said(machine, "err"));
	code = rebuild ? MACHINE_RUN(machine, "index", "--keep", "--rebuild")
		       : MACHINE_RUN(machine, "index", "--keep");
	REQUIRE(code == 0, "index: %d: %s", code, machine_said(machine, "err"));
	said = machine_said(machine, "err");
	seen.made_again += strstr(said, "damaged") != NULL;
	free(said);
	code = machine_upload(machine);
	REQUIRE(code == 0 || code == 4, "upload: %d: %s", code, machine_said(machine, "err"));
}

/* ------------------------------------------------------------------ cuts */

struct cut {
	size_t entry;
	enum disk_names names;
	enum disk_data data;
	uint64_t seed;
};

static size_t sources_at(const struct disk *disk, size_t cut)
{
	struct disk_step step;
	size_t count = 0;

	for (size_t i = 0; i < cut; i++) {
		disk_step(disk, i, &step);
		count += step.op == DISK_PUT;
	}
	return count;
}

static void say_cut(const struct story *story, const struct disk *disk, const struct cut *cut,
		    const char *before)
{
	static const char *const ops[] = { "nothing", "create", "mkdir",  "write",  "size",
					   "sync",    "link",	"unlink", "rename", "put" };
	struct disk_step step = { .name = "" };
	char where[300];

	if (cut->entry)
		disk_step(disk, cut->entry - 1, &step);
	snprintf(where, sizeof(where), "%s %.200s", ops[step.op], step.name);
	snprintf(machine_context, sizeof(machine_context),
		 "%sCUT_ONE=\"%s %zu %s %s %llu\" (behind %s):\n", before,
		 story->clock ? "clock" : "none", cut->entry, names_said[cut->names],
		 data_said[cut->data], (unsigned long long)cut->seed, where);
}

/*
 * Once more, while the programs mend what the first cut left. The machine is then the one after the
 * second cut.
 */
static void cut_again(const struct story *story, struct machine *machine, const struct lines *had,
		      uint64_t seed)
{
	struct lines waiting LINES = { 0 }, files LINES = { 0 };
	struct disk *disk = disk_load(machine->root);
	char before[sizeof(machine_context)];
	size_t *cuts, count;
	struct cut cut = { .names = (enum disk_names)(seed % DISK_NAMES),
			   .data = (enum disk_data)(seed / 8 % DISK_DATA),
			   .seed = seed };

	lines_of_dir(machine->root, "state/outbox", ".frb", &files);
	for (size_t i = 0; i < files.count; i++) {
		files.line[i][32] = '\0';
		lines_add(&waiting, files.line[i]);
	}
	snprintf(machine->journal, MACHINE_PATH, "%.400s/journal", machine->work);
	unlink(machine->journal);
	machine_start_receiver(machine);
	mend(machine, seed >> 40 & 1);
	machine_stop_receiver(machine);
	disk_follow(disk, machine->journal);
	machine->journal[0] = '\0';
	cuts = disk_cuts(disk, &count);
	cut.entry = cuts[seed / 64 % count];
	free(cuts);
	seen.again++;
	snprintf(before, sizeof(before), "%.200s", machine_context);
	say_cut(story, disk, &cut, before);
	set_back(machine->work, disk, cut.entry, had, &waiting, seed);
	snprintf(machine->root, MACHINE_PATH, "%.400s/again", machine->work);
	machine_wipe(machine->root);
	disk_image(disk, cut.entry, cut.names, cut.data, cut.seed, machine->root);
	disk_free(disk);
}

static void survive(const struct story *story, const char *work, const struct cut *cut)
{
	struct lines none = { 0 }, had LINES = { 0 };
	struct machine machine;
	char path[2 * MACHINE_PATH];
	sqlite3 *fleet;

	machine_make(&machine, work, "disk");
	say_cut(story, story->disk, cut, "");
	machine_wipe(machine.root);
	disk_image(story->disk, cut->entry, cut->names, cut->data, cut->seed, machine.root);
	snprintf(path, sizeof(path), "%s/fleet.db", machine.work);
	copy_file(story->fleet, path);
	set_back(work, story->disk, cut->entry, &none, &none, cut->seed);
	story_boot(&machine, 'M', story->clock);
	if (cut->seed % 4 == 3) {
		fleet = db_open(work, "fleet.db");
		db_ask(fleet, "SELECT lower(hex(id)) FROM batches", &had);
		sqlite3_close(fleet);
		cut_again(story, &machine, &had, cut->seed * 2654435761u >> 3);
		story_boot(&machine, 'N', story->clock);
	}
	machine_start_receiver(&machine);
	mend(&machine, false);
	machine_stop_receiver(&machine);
	seen.set_aside += cut_judge(story, &machine, sources_at(story->disk, cut->entry));
	seen.images++;
	if (!getenv("CUT_KEEP"))
		machine_wipe(work);
}

/* The first choices are those that have broken the most programs; then any. */
static void choose(struct cut *cut, uint64_t number)
{
	static const struct {
		enum disk_names names;
		enum disk_data data;
	} first[] = {
		{ DISK_NAMES_NONE, DISK_DATA_NONE },	 { DISK_NAMES_ALL, DISK_DATA_NONE },
		{ DISK_NAMES_ANY, DISK_DATA_SECTORS },	 { DISK_NAMES_NEWEST, DISK_DATA_NEWEST },
		{ DISK_NAMES_ALL, DISK_DATA_SIZE_ONLY }, { DISK_NAMES_BUT_ONE, DISK_DATA_STALE },
		{ DISK_NAMES_NONE, DISK_DATA_ALL },	 { DISK_NAMES_ORDERED, DISK_DATA_ORDERED },
		{ DISK_NAMES_ANY, DISK_DATA_PAGES },
	};
	const size_t count = sizeof(first) / sizeof(*first);

	cut->seed = number;
	cut->names = number < count ? first[number].names : (enum disk_names)(number % DISK_NAMES);
	cut->data = number < count ? first[number].data : (enum disk_data)(number / DISK_NAMES % DISK_DATA);
}

static int word(const char *text, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(text, words[i]))
			return i;
	REQUIRE(false, "%s", text);
	return 0;
}

static void survive_one(const struct story *story, const char *work, const char *which)
{
	char names[16], data[16];
	unsigned long long seed;
	struct cut cut;

	REQUIRE(sscanf(which, "%*s %zu %15s %15s %llu", &cut.entry, names, data, &seed) == 4, "%s", which);
	cut.names = (enum disk_names)word(names, names_said, DISK_NAMES);
	cut.data = (enum disk_data)word(data, data_said, DISK_DATA);
	cut.seed = seed;
	survive(story, work, &cut);
}

/*
 * Every `workers`-th image. In full each cut gets some, with choices that differ from one to the
 * next; else some cuts get one.
 */
static void work_on(const struct story *story, const char *work, unsigned worker, unsigned workers,
		    unsigned long images)
{
	size_t count, *cuts = disk_cuts(story->disk, &count);

	for (unsigned long i = worker; i < images; i += workers) {
		struct cut cut = { .entry = torture_full() ? cuts[i % count]
							   : cuts[(i * 2654435761u + 7) % count] };

		/* all choices; a quarter is cut again */
		choose(&cut, torture_full() ? i / count * 7 + i % count % 36 : i);
		survive(story, work, &cut);
	}
	free(cuts);
}

/* Forks the workers and adds up what they saw; false when one of them failed. */
static bool work_together(const struct story *story, const char *scratch, unsigned long images,
			  struct seen *total)
{
	unsigned workers = torture_full() ? (unsigned)sysconf(_SC_NPROCESSORS_ONLN) : 2;
	char work[256];
	bool good = true;
	int ends[2];

	REQUIRE(pipe(ends) == 0);
	for (unsigned i = 0; i < workers; i++) {
		pid_t pid = fork();

		REQUIRE(pid >= 0, "%s", strerror(errno));
		if (pid)
			continue;
		snprintf(work, sizeof(work), "%s/%u", scratch, i);
		work_on(story, work, i, workers, images);
		_exit(write(ends[1], &seen, sizeof(seen)) != (ssize_t)sizeof(seen));
	}
	close(ends[1]);
	for (unsigned i = 0; i < workers; i++) {
		struct seen one;
		int status;

		good &= wait(&status) > 0 && !status;
		if (read(ends[0], &one, sizeof(one)) != (ssize_t)sizeof(one))
			continue;
		total->images += one.images;
		total->again += one.again;
		total->made_again += one.made_again;
		total->set_aside += one.set_aside;
	}
	close(ends[0]);
	return good;
}

int main(void)
{
	const char *one = getenv("CUT_ONE"), *tmp = getenv("TMPDIR"), *sanitizer = getenv("SAN");
	unsigned long sample = sanitizer && *sanitizer ? 4 : 12;
	char scratch[128], path[256];
	struct seen total = { 0 };
	size_t changes = 0, cuts = 0;
	bool good = true;

	snprintf(scratch, sizeof(scratch), "%.60s/fr-cut-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm"
		 : tmp			       ? tmp
					       : "/tmp");
	REQUIRE(mkdtemp(scratch), "%s", strerror(errno));
	for (int clock = 1; clock >= 0 && good; clock--) {
		struct story story;
		size_t count;

		if (one && strncmp(one, clock ? "clock" : "none", 4))
			continue;
		snprintf(path, sizeof(path), "%s/story", scratch);
		story_make(&story, path, clock);
		free(disk_cuts(story.disk, &count));
		changes += disk_entries(story.disk);
		cuts += count;
		snprintf(path, sizeof(path), "%s/one", scratch);
		if (one)
			survive_one(&story, path, one);
		else
			good = work_together(
				&story, scratch,
				torture_count(clock ? sample : sample / 3, count * (clock ? 2 : 1)),
				&total);
		story_done(&story);
	}
	if (!getenv("CUT_KEEP"))
		machine_wipe(scratch);
	if (!good || one)
		return !good;
	torture_row("power cut of spool and index", total.images, "images",
		    "%zu places to cut among %zu changes of the disk, %lu images cut again while mending: every record in the index or named "
		    "as dropped, none sent as new; %lu damaged indexes, each said once; %lu sources set aside because both cuts met them",
		    cuts, changes, total.again, total.made_again, total.set_aside);
	return 0;
}
