/* SPDX-License-Identifier: MIT */
/*
 * test_recover_killed.c - recovery is killed after each of its side effects, the first time and every later time that one
 * happens, and run again: the spool then holds what it holds after a run that nobody disturbed.
 */
#include "tests/unit/unit_story.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "pstore/attempt.h"
#include "pstore/sha256.h"
#include "recorder/core/decode.h"

#define PANIC "Panic#2 Part1\n<4>[   12.400000] odd\n<0>[   13.000001] Kernel panic - not syncing: killed\n"
#define OOPS  "Oops#1 Part1\n<6>[    1.000000] long ago\n<4>[   12.400000] odd\n<4>[   12.500000] Oops: 0002 [#1]\n"

/*
 * Each FR_TESTPOINT on the way of evidence (tests/lib/testpoints.sh); the test fails when one is
 * never reached.
 */
static char points[64][48];
static size_t point_count;

static char outside[64]; /* rings on another file system */

/* The evidence: the same bytes in each round, or nothing could be compared. */
struct evidence {
	struct {
		char name[64];
		char *bytes;
		size_t size;
	} ring[3];
};

static void make_evidence(struct evidence *evidence)
{
	static const uint8_t boot_id[16] = { 0xb };
	struct scratch s;
	DIR *dir;
	struct dirent *entry;
	uint8_t id[16];
	size_t n = 0;

	scratch_make(&s);
	for (unsigned i = 0; i < COUNT(evidence->ring); i++)
		scratch_make_ring(s.rings, 100 + i, boot_id, 1, 1700000000000000000ull, 50 + i, id);
	dir = opendir(s.rings);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_true(n < COUNT(evidence->ring));
		strcpy(evidence->ring[n].name, entry->d_name);
		evidence->ring[n].bytes = scratch_get(s.rings, entry->d_name, &evidence->ring[n].size);
		n++;
	}
	closedir(dir);
	assert_int_equal(n, COUNT(evidence->ring));
	scratch_remove(&s);
}

static void put_evidence(const struct evidence *evidence, const struct scratch *s)
{
	struct fr_attempt earlier = { 0 };
	struct fr_spool *spool;
	struct fr_sha256 sha;
	char mark[64], hex[17];
	uint8_t id[32];

	for (size_t i = 0; i < COUNT(evidence->ring); i++)
		scratch_put(i == 0 ? outside : s->rings, evidence->ring[i].name, evidence->ring[i].bytes, evidence->ring[i].size);
	scratch_put_text(s->rings, "7-junk.ring", "no ring");
	scratch_put_text(outside, "8-junk.ring", "no ring either");
	scratch_put_text(s->pstore, "dmesg-ramoops-0", OOPS);
	scratch_put_text(s->pstore, "dmesg-ramoops-1", PANIC);
	scratch_date(s->pstore, "dmesg-ramoops-0", 1700000100);
	scratch_date(s->pstore, "dmesg-ramoops-1", 1700000100);
	scratch_put_text(s->archive, "dmesg-ramoops-1", PANIC);
	scratch_put_text(s->archive, "dmesg-erst-6", "poison");
	scratch_date(s->archive, "dmesg-ramoops-1", 1700001000);
	assert_int_equal(fr_spool_open(s->state, &spool), 0);
	fr_sha256_init(&sha);
	fr_sha256_add(&sha, "poison", 6);
	fr_sha256_done(&sha, id);
	fr_hex(hex, id, 8);
	snprintf(mark, sizeof(mark), "archive-%s-dmesg-erst-6", hex);
	assert_int_equal(fr_attempt_begin(spool, mark, &earlier), 0);
	assert_int_equal(fr_attempt_blame(spool, getpid(), SIGSEGV), 1);
	fr_spool_close(spool);
}

/* What counts in the end, as a text: each event with its key, what is in quarantine, what is left anywhere. */
struct outcome {
	char *line[512];
	size_t count;
};

static void note(struct outcome *outcome, const char *text)
{
	assert_true(outcome->count < COUNT(outcome->line));
	outcome->line[outcome->count++] = strdup(text);
}

static void note_segment(struct outcome *outcome, const struct scratch *s, const char *name)
{
	struct fr_image *image;
	uint8_t ring_id[16];
	uint32_t part;
	char line[700], text[512], hex[33], boot[33];

	assert_int_equal(fr_segment_parse_name(name, ring_id, &part), 0);
	fr_hex(hex, ring_id, 16);
	image = scratch_segment(s, ring_id, part);
	for (size_t i = 0; i < fr_image_record_count(image); i++) {
		struct fr_event event;

		fr_decode(image, fr_image_record(image, i), &event);
		fr_event_text(&event, text, sizeof(text));
		fr_hex(boot, event.boot_id, 16);
		snprintf(line, sizeof(line), "event %s %u %llu %s %s %s", hex, event.lane, (unsigned long long)event.seq, boot, event.name, text);
		note(outcome, line);
	}
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		snprintf(line, sizeof(line), "loss %s %u %d %llu", hex, loss->lane, (int)loss->cause, (unsigned long long)loss->count);
		note(outcome, line);
	}
	fr_image_close(image);
}

static void note_dir(struct outcome *outcome, const struct scratch *s, const char *label, const char *path, bool content)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char line[1024];

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		size_t length = strlen(entry->d_name);

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || !strcmp(entry->d_name, ".lock"))
			continue;
		if (!strcmp(label, "spool") && length > 4 && !strcmp(entry->d_name + length - 4, ".frs"))
			note_segment(outcome, s, entry->d_name);
		if (content) {
			char *bytes = scratch_get(path, entry->d_name, NULL);

			snprintf(line, sizeof(line), "%s %s: %.300s", label, entry->d_name, bytes);
			free(bytes);
		} else {
			snprintf(line, sizeof(line), "%s %s", label, entry->d_name);
		}
		note(outcome, line);
	}
	closedir(dir);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void look(struct outcome *outcome, const struct scratch *s)
{
	char path[200];

	memset(outcome, 0, sizeof(*outcome));
	note_dir(outcome, s, "spool", s->spool, false);
	note_dir(outcome, s, "quarantine", s->quarantine, true);
	note_dir(outcome, s, "ring", s->rings, false);
	note_dir(outcome, s, "outside", outside, false);
	note_dir(outcome, s, "pstore", s->pstore, false);
	note_dir(outcome, s, "archive", s->archive, true);
	snprintf(path, sizeof(path), "%s/attempts", s->spool);
	note_dir(outcome, s, "attempt", path, true);
	snprintf(path, sizeof(path), "%s/cursors", s->spool);
	note_dir(outcome, s, "cursor", path, false);
	qsort(outcome->line, outcome->count, sizeof(*outcome->line), by_text);
}

static void forget(struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->count; i++)
		free(outcome->line[i]);
}

static void assert_same(const struct outcome *want, const struct outcome *got, const char *where)
{
	for (size_t i = 0; i < want->count || i < got->count; i++) {
		const char *a = i < want->count ? want->line[i] : "nothing", *b = i < got->count ? got->line[i] : "nothing";

		if (strcmp(a, b))
			fail_msg("killed at %s:\n want %s\n got  %s", where, a, b);
	}
}

static void ignore(void *ctx UNUSED, const struct fr_found *found UNUSED)
{
}

/* One run in a child, killed at that point (NULL: not). What waitpid says. */
static int recover(const struct scratch *s, const char *point)
{
	const char *dirs[] = { outside };
	struct fr_recover recover = { .state_dir = s->state, .ring_dir = dirs, .ring_dirs = 1, .pstore_dir = s->pstore,
				      .archive_dir = s->archive, .inline_ = true, .report = ignore };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (point)
			setenv("FLIGHTREC_TESTPOINT", point, 1);
		_exit(fr_recover(&recover) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Killed once (or twice in a row: `again`), then run to the end. False: the point was not reached so often. */
static bool killed_at(const struct evidence *evidence, const struct outcome *want, const char *point, unsigned times, const char *again)
{
	struct outcome got;
	struct scratch s;
	char where[96];
	int status;

	snprintf(where, sizeof(where), "%s:%u", point, times);
	scratch_make(&s);
	put_evidence(evidence, &s);
	status = recover(&s, where);
	if (again && WIFSIGNALED(status)) {
		recover(&s, again);
		strcat(where, " and ");
		strcat(where, again);
	}
	assert_int_equal(recover(&s, NULL), 0);
	assert_int_equal(recover(&s, NULL), 0); /* and once more changes nothing */
	look(&got, &s);
	assert_same(want, &got, where);
	forget(&got);
	scratch_remove(&s);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void outcome_undisturbed(const struct evidence *evidence, struct outcome *want)
{
	unsigned events = 0;
	struct scratch s;

	scratch_make(&s);
	put_evidence(evidence, &s);
	assert_int_equal(recover(&s, NULL), 0);
	look(want, &s);
	for (size_t i = 0; i < want->count; i++)
		events += !strncmp(want->line[i], "event ", 6);
	assert_int_equal(events, 50 + 51 + 52 + 3 + 2); /* records; the panic's lines and verdict; the oops's own lines */
	assert_int_equal(scratch_count(s.quarantine, ""), 2 * 3);
	assert_int_equal(scratch_count(s.rings, "") + scratch_count(outside, "") + scratch_count(s.pstore, ""), 0);
	scratch_remove(&s);
}

TEST(test_killed_after_any_side_effect_and_run_again_recovery_ends_the_same)
{
	struct evidence evidence;
	struct outcome want;

	make_evidence(&evidence);
	outcome_undisturbed(&evidence, &want);
	for (size_t i = 0; i < point_count; i++) {
		unsigned times = 1;

		while (killed_at(&evidence, &want, points[i], times, NULL))
			times++;
		if (times == 1)
			fail_msg("%s was never reached", points[i]);
	}
	forget(&want);
	for (size_t i = 0; i < COUNT(evidence.ring); i++)
		free(evidence.ring[i].bytes);
}

TEST(test_killed_twice_in_different_places_it_ends_the_same)
{
	struct evidence evidence;
	struct outcome want;

	make_evidence(&evidence);
	outcome_undisturbed(&evidence, &want);
	/* where one kill leaves a mark, the second has to be elsewhere: two in the same file are what poison looks like */
	for (size_t i = 0; i < point_count; i++)
		killed_at(&evidence, &want, points[i], 1, points[(i + 7) % point_count]);
	forget(&want);
	for (size_t i = 0; i < COUNT(evidence.ring); i++)
		free(evidence.ring[i].bytes);
}

TEST(test_a_reader_that_crashes_costs_what_it_crashed_in_and_nothing_else)
{
	struct evidence evidence;
	struct story story;
	struct scratch s;

	make_evidence(&evidence);
	scratch_make(&s);
	for (size_t i = 0; i < COUNT(evidence.ring); i++)
		scratch_put(s.rings, evidence.ring[i].name, evidence.ring[i].bytes, evidence.ring[i].size);
	scratch_put_text(s.pstore, "dmesg-ramoops-1", PANIC);
	setenv("FLIGHTREC_TESTPOINT", "ring-judged:3:abort", 1);
	scratch_recover(&s, &story); /* with a worker */
	setenv("FLIGHTREC_TESTPOINT", "", 1);
	assert_int_equal(story.error, 0);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 3); /* two rings and the panic */
	assert_non_null(strstr(story_first(&story, FR_FATE_QUARANTINED)->why, "signal 6"));
	assert_int_equal(scratch_count(s.rings, ""), 0);
	assert_int_equal(scratch_count(s.pstore, ""), 0);
	scratch_remove(&s);

	/* killed from outside is no crash: nothing is blamed, and the next run gets it all */
	scratch_make(&s);
	for (size_t i = 0; i < COUNT(evidence.ring); i++)
		scratch_put(s.rings, evidence.ring[i].name, evidence.ring[i].bytes, evidence.ring[i].size);
	setenv("FLIGHTREC_TESTPOINT", "ring-judged:2", 1);
	scratch_recover(&s, &story);
	setenv("FLIGHTREC_TESTPOINT", "", 1);
	assert_int_equal(story.error, -EINTR);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 1);
	scratch_recover(&s, &story);
	assert_int_equal(story.error, 0);
	assert_int_equal(story_count(&story, FR_FATE_SALVAGED), 2);
	assert_int_equal(scratch_count(s.quarantine, ""), 0);
	scratch_remove(&s);
	for (size_t i = 0; i < COUNT(evidence.ring); i++)
		free(evidence.ring[i].bytes);
}

static bool read_points(void)
{
	FILE *list = popen("tests/lib/testpoints.sh evidence", "r");

	while (list && point_count < COUNT(points) && fscanf(list, "%47s", points[point_count]) == 1)
		point_count++;
	return list && pclose(list) == 0 && point_count > 1 && point_count < COUNT(points);
}

static int make_outside(void **state UNUSED)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(outside, sizeof(outside), "%.40s/fr-outside-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1); /* hundreds of runs, each with dozens of fsyncs */
	return read_points() && mkdtemp(outside) ? 0 : -1;
}

static int remove_outside(void **state UNUSED)
{
	return rmdir(outside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed_after_any_side_effect_and_run_again_recovery_ends_the_same),
		cmocka_unit_test(test_killed_twice_in_different_places_it_ends_the_same),
		cmocka_unit_test(test_a_reader_that_crashes_costs_what_it_crashed_in_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, make_outside, remove_outside);
}
