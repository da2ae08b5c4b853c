/* SPDX-License-Identifier: MIT */
/* cut_story.c - see cut_story.h. */
#include "tests/torture/power_cut/cut_story.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "recorder/core/host.h"
#include "recorder/core/image.h"
#include "recorder/core/paths.h"
#include "tests/torture/power_cut/lines.h"

#define DAY 86400

static void add_key(struct story *story, const char *text)
{
	for (size_t i = 0; i < story->keys; i++)
		if (!strcmp(story->key[i].text, text))
			return;
	if (!(story->keys & (story->keys - 1)))
		story->key = realloc(story->key, (story->keys ? 2 * story->keys : 1) * sizeof(*story->key));
	REQUIRE(story->key);
	snprintf(story->key[story->keys].text, sizeof(story->key->text), "%s", text);
	story->key[story->keys++].source = story->sources;
}

static void take_keys(struct story *story, const char *name)
{
	char path[2 * MACHINE_PATH], hex[33], text[64];
	struct fr_image *image;

	snprintf(path, sizeof(path), "%s/%s", story->machine.root, name);
	REQUIRE(fr_image_open_path(path, 0, &image) == 0, "%s", path);
	fr_hex(hex, fr_image_super(image)->ring_id, 16);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		const struct fr_record *record = fr_image_record(image, i);

		snprintf(text, sizeof(text), "%s %u %llu", hex, record->lane,
			 (unsigned long long)record->seq);
		add_key(story, text);
	}
	fr_image_close(image);
}

/* A ring appears in the middle of the story; `alive`: of this very process. */
static void ring_appears(struct story *story, unsigned count, bool alive, char name[128])
{
	static pid_t pid = 4100000; /* beyond what a kernel hands out */

	machine_put_ring(&story->machine, alive ? getpid() : pid++,
			 alive ? fr_host_start_time_ns(getpid()) : 1,
			 (uint64_t)(story->machine.boot - 'A' + 1), count, name);
	if (*story->machine.journal) {
		machine_settle(&story->machine, name);
		story->sources++;
	}
	take_keys(story, name);
}

void story_boot(struct machine *machine, char which, bool clock)
{
	machine->boot = which;
	machine->clock_shift_s = clock ? (which - 'A') * DAY - 30 * DAY : 1000 - (int64_t)time(NULL);
}

static void begin(struct story *story)
{
	static const char *const dirs[] = { "", "/state", "/state/rings", "/pstore", "/archive" };
	char path[2 * MACHINE_PATH], name[128];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", story->machine.root, dirs[i]);
		REQUIRE(mkdir(path, 0700) == 0, "%s: %s", path, strerror(errno));
	}
	story_boot(&story->machine, 'A', story->clock);
	for (unsigned i = 0; i < 3; i++)
		ring_appears(story, 20 + i, false, name);
	machine_put_file(&story->machine, "state/rings/7-junk.ring", "no ring", time(NULL));
	machine_put_file(&story->machine, "pstore/dmesg-ramoops-0", STORY_PANIC,
			 story->clock ? time(NULL) - 30 * DAY + 3600 : 0);
	machine_put_file(&story->machine, "archive/dmesg-ramoops-0", STORY_PANIC,
			 story->clock ? time(NULL) - 30 * DAY + 3600 : 0);
	story->disk = disk_load(story->machine.root);
	snprintf(story->machine.journal, MACHINE_PATH, "%.400s/journal", story->machine.work);
}

static void take_harvested_keys(struct story *story)
{
	char path[2 * MACHINE_PATH];
	struct lines lines LINES = { 0 };
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/state", story->machine.root);
	db = db_open(path, "index.db");
	db_ask(db,
	       "SELECT ring, lane, seq FROM events WHERE event IN ('kernel.log', 'kernel.panic')",
	       &lines);
	REQUIRE(lines.count == 4, "%zu events were harvested", lines.count);
	for (size_t i = 0; i < lines.count; i++)
		add_key(story, lines.line[i]);
	snprintf(story->harvested, sizeof(story->harvested), "%.32s", lines.line[0]);
	sqlite3_close(db);
}

/* As if rings had come and gone for long: retention will shorten these logs. */
static void logs_appear(struct story *story)
{
	static const char *const names[] = { "state/spool/retention.log", "state/spool/acks.log" };

	for (size_t i = 0; i < 2; i++) {
		char *text = NULL;
		size_t size;
		FILE *stream = open_memstream(&text, &size);

		REQUIRE(stream);
		for (unsigned ring = 1; ring <= STORY_OLD_DROPPED / 10; ring++) {
			char line[200];
			int length = snprintf(line, sizeof(line),
					      "unsent " STORY_OLD_BOOT " %032x 0 0 9 10 0", ring);

			fprintf(stream, "%s %08x\n", line, fr_crc32c(0, line, (size_t)length));
		}
		REQUIRE(fclose(stream) == 0);
		machine_put_file(&story->machine, names[i], text, 0);
		machine_settle(&story->machine, names[i]);
		free(text);
		story->sources++;
		if (!i)
			story->old_source = story->sources;
	}
}

static void tell(struct story *story)
{
	struct machine *machine = &story->machine;
	char name[128];

	story_boot(machine, 'B', story->clock);
	REQUIRE(MACHINE_RUN(machine, "recover") == 3); /* the junk */
	REQUIRE(MACHINE_RUN(machine, "index", "--keep") == 0);
	take_harvested_keys(story);
	logs_appear(story);
	REQUIRE(machine_upload(machine) == 0);
	ring_appears(story, 30, false, name);
	ring_appears(story, 31, false, name);
	REQUIRE(MACHINE_RUN(machine, "recover") == 0);
	REQUIRE(MACHINE_RUN(machine, "index", "--max-age", story->clock ? "12h" : "1000d") == 0);
	/* a day later what boot A left, and was sent, is too old; then what boot B left, and was not */
	story_boot(machine, 'C', story->clock);
	REQUIRE(MACHINE_RUN(machine, "index", "--max-age", "36h") == 0);
	ring_appears(story, 25, false, name);
	REQUIRE(MACHINE_RUN(machine, "recover") == 0);
	ring_appears(story, 15, true, name);
	REQUIRE(MACHINE_RUN(machine, "recover", "--live") == 0);
	REQUIRE(MACHINE_RUN(machine, "index", "--max-age", "12h") == 0);
	REQUIRE(machine_upload(machine) == 0);
	/* everything goes, also of the ring that lives on */
	REQUIRE(MACHINE_RUN(machine, "index", "--max-size", "1") == 0);
	machine_add_records(machine, name, 1, 17);
	machine_settle(machine, name);
	story->sources++;
	take_keys(story, name);
	REQUIRE(MACHINE_RUN(machine, "recover", "--live") == 0);
	REQUIRE(MACHINE_RUN(machine, "index", "--keep") == 0);
	story_boot(machine, 'D', story->clock);
	ring_appears(story, 22, false, name);
	REQUIRE(MACHINE_RUN(machine, "recover") == 0);
	REQUIRE(MACHINE_RUN(machine, "index", "--rebuild", "--keep") == 0);
	REQUIRE(machine_upload(machine) == 0);
}

static void keep_fleet(const struct machine *machine, const char *path)
{
	char sql[2 * MACHINE_PATH];
	sqlite3 *db = db_open(machine->work, "fleet.db");

	unlink(path);
	snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", path);
	db_exec(db, sql);
	sqlite3_close(db);
}

void story_make(struct story *story, const char *work, bool clock)
{
	*story = (struct story){ .clock = clock };
	machine_make(&story->machine, work, "disk");
	begin(story);
	machine_start_receiver(&story->machine);
	tell(story);
	machine_stop_receiver(&story->machine);
	snprintf(story->fleet, MACHINE_PATH, "%.400s/fleet.end", work);
	keep_fleet(&story->machine, story->fleet);
	disk_follow(story->disk, story->machine.journal);
}

void story_done(struct story *story)
{
	disk_free(story->disk);
	free(story->key);
	machine_remove(&story->machine);
}
