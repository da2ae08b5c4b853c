/* SPDX-License-Identifier: MIT */
/*
 * test_kill_points.c - kills writers at every testpoint of ring and library: the first times it is
 * reached, and later ones, when the lanes have lapped; one to three threads, one or three
 * processes. What they leave is judged by the oracle.
 *
 * The testpoints are those that the source has (tests/lib/testpoints.sh); one that is never reached
 * fails the test.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/crash/points/life.h"
#include "tests/lib/torture.h"

#define PROCESSES 3

/* Killed there by other tests. */
static const struct {
	const char *point, *why;
} elsewhere[] = {
	{ "daemon-asked", "needs a daemon: tests/daemon/test_killed_at_testpoints.sh" },
	{ "daemon-answered", "needs a daemon: tests/daemon/test_killed_at_testpoints.sh" },
};

struct plan {
	const char *name;
	unsigned processes, threads, lanes;
	const char *ring_size;
	unsigned events;
	bool discard, crowded;
};

static const struct plan plans[] = {
	{ "one", 1, 1, 6, "96K", 400, false, false },	  { "two", 1, 2, 7, "96K", 400, false, false },
	{ "three", 1, 3, 8, "96K", 400, false, false },	  { "three processes", 3, 1, 6, "96K", 400, false, false },
	{ "discard", 1, 2, 7, "96K", 400, true, false },  { "crowded", 1, 1, 6, "96K", 20, false, true },
};

static struct witness *witness[PROCESSES];
static struct noise *noise[PROCESSES];
static unsigned long runs, killed, early, lapped;

/*
 * The folder of rings: every file in it can be read; those of nobody the witnesses know hold
 * nothing. Then all is removed.
 */
static void judge_and_remove_leftovers(unsigned processes)
{
	char path[4096], file[8192];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/rings", getenv("FLIGHTREC_STATE_DIR"));
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct fr_image *image = NULL;
		bool known = false;

		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (strstr(entry->d_name, ".ring")) {
			for (unsigned i = 0; i < processes; i++)
				known |= !strcmp(file, witness[i]->ring_path);
			REQUIRE(fr_image_open_path(file, 0, &image) == 0, "%s can't be read", file);
			REQUIRE(known || !fr_image_record_count(image), "%s holds events", file);
			fr_image_close(image);
		} else {
			REQUIRE(entry->d_name[0] == '.', "%s?", file);
		}
		unlink(file);
	}
	if (dir)
		closedir(dir);
}

/* Rings of the dead that have to make room for the next one. */
static void crowd(void)
{
	setenv("FLIGHTREC_RINGS_MAX", "256K", 1);
	unsetenv("FLIGHTREC_TESTPOINT");
	for (int i = 0; i < 3; i++) {
		struct life quick = { witness[0], noise[0], 1, 1, false };
		pid_t pid = fork();

		if (pid == 0) {
			life_run(&quick);
			_exit(0);
		}
		REQUIRE(waitpid(pid, NULL, 0) == pid);
	}
}

static void judge(const struct plan *plan, unsigned i, const char *where)
{
	unsigned flags = ORACLE_OWN_LANES | ORACLE_EXTRA | ORACLE_MAYBE_CLOSED;
	struct verdict verdict;

	if (!witness[i]->ring_path[0]) { /* killed before it had a ring */
		early++;
		return;
	}
	fprintf(stderr, "%s\n", where); /* shown when it fails */
	verdict = oracle_judge(witness[i], plan->threads,
			       plan->discard ? flags | ORACLE_NEVER_LAPPED : flags);
	life_judge_noise(witness[i], noise[i], verdict.overwritten > 0);
	lapped += verdict.laps >= 1;
}

/* Writers that are killed when they reach the point for the n-th time. False: none of them did so often. */
static bool run(const struct plan *plan, const char *point, unsigned long n)
{
	pid_t pid[PROCESSES];
	char where[96];
	bool reached = false;

	snprintf(where, sizeof(where), "%.47s:%lu, %s", point, n, plan->name);
	oracle_environment("points", plan->ring_size, plan->lanes);
	setenv("FLIGHTREC_POLICY", plan->discard ? "discard" : "overwrite", 1);
	unsetenv("FLIGHTREC_RINGS_MAX");
	for (unsigned i = 0; i < plan->processes; i++) {
		witness_reset(witness[i]);
		memset(noise[i], 0, sizeof(*noise[i]));
	}
	if (plan->crowded) {
		crowd();
		witness_reset(witness[0]);
		memset(noise[0], 0, sizeof(*noise[0]));
	}
	for (unsigned i = 0; i < plan->processes; i++) {
		struct life life = { witness[i], noise[i], plan->threads, plan->events, plan->discard };
		char wanted[64];

		pid[i] = fork();
		REQUIRE(pid[i] >= 0, "%s", strerror(errno));
		if (pid[i] == 0) {
			snprintf(wanted, sizeof(wanted), "%.47s:%lu", point, n);
			setenv("FLIGHTREC_TESTPOINT", wanted, 1);
			life_run(&life);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < plan->processes; i++) {
		int status;

		REQUIRE(waitpid(pid[i], &status, 0) == pid[i]);
		REQUIRE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
			"%s: the writer ended by itself: %#x", where, status);
		reached |= WIFSIGNALED(status);
		killed += WIFSIGNALED(status);
	}
	for (unsigned i = 0; i < plan->processes; i++)
		judge(plan, i, where);
	if (!plan->crowded)
		judge_and_remove_leftovers(plan->processes);
	else
		while (system("rm -rf \"$FLIGHTREC_STATE_DIR\"") != 0)
			;
	runs++;
	return reached;
}

static bool is_elsewhere(const char *point)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
		if (!strcmp(elsewhere[i].point, point))
			return true;
	return false;
}

static void test_I3_a_writer_killed_at_any_testpoint_costs_at_most_its_own_record(void)
{
	/*
	 * the sample: once early, once late, in turn with each plan; and all plans until one
	 * reaches the point
	 */
	static const unsigned long every[] = { 1,  2,  3,   5,	 8,   13,  21, 34,
					       55, 89, 150, 230, 420, 700, 900 },
				   sample[] = { 1, 150 };
	const unsigned long *occurrences = torture_full() ? every : sample;
	size_t count_of = torture_full() ? sizeof(every) / sizeof(*every) : 2,
	       all = sizeof(plans) / sizeof(*plans);
	static char point[256][48];
	size_t points = life_points("writer", point, 256);

	for (size_t p = 0; p < points; p++) {
		bool reached = false;

		if (is_elsewhere(point[p]))
			continue;
		for (size_t i = 0; i < all && (!reached || torture_full()); i++) {
			const struct plan *plan = &plans[(p + i) % all];

			for (size_t n = 0; n < count_of && run(plan, point[p], occurrences[n]); n++)
				reached = true;
		}
		REQUIRE(reached, "%s is never reached", point[p]);
	}
	REQUIRE(lapped * 8 > runs, "only %lu rings of %lu lapped", lapped, runs);
	torture_row("kill at every testpoint: ring and client", runs, "runs",
		    "%zu testpoints, %lu writers killed, %lu of them before they had a ring, %lu rings had lapped", points, killed,
		    early, lapped);
}

int main(void)
{
	for (int i = 0; i < PROCESSES; i++) {
		witness[i] = witness_new();
		noise[i] = oracle_shared(sizeof(struct noise));
	}
	test_I3_a_writer_killed_at_any_testpoint_costs_at_most_its_own_record();
	return 0;
}
