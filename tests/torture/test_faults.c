/* SPDX-License-Identifier: MIT */
/*
 * test_faults.c - every call that can fail does so once, in every program, and nothing is lost by it.
 *
 * faults.sh has the scenarios. Each is run once with all calls counted (fault.c), then again for each SITE that was seen: its first call
 * fails, and its last one. Where the call writes to a file system, there are four runs more, in which from this call on all
 * such calls fail until the program has ended: the disk is full, the quota is used up, it is broken, it is read-only. Afterwards the
 * same is done without a fault. What has to hold:
 *
 *	- no signal, no hang; the exit code is one of those documented
 *	- a failure is said in one line that names a reason; what does not fail, and says nothing, has done all that it does otherwise
 *	- nothing is held at the end that is not held otherwise: memory, descriptors, mappings
 *	- after the run without fault, everything is as if there had been none
 *
 * test_faults [SCENARIO [N]]		all, or one, or N runs of it drawn at random
 * FR_SEED=N					another sample than the usual one
 * FR_FAULT=SCENARIO:KEY:NTH:ERRNO:ONWARD	one run, as a failure prints it; everything is kept and shown
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/torture.h"
#include "tests/torture/fault_site.h"

#define TEXT_MAX (1u << 20)
#define HANG_S 120
#define FAILURES_SHOWN 12
#define FULL_RUNS 150 /* of a scenario that has more, so many are drawn; with its name as the argument all are run */

static const struct scenario {
	const char *name, *program;
	size_t runs; /* at most, when all scenarios are run; 0: FULL_RUNS */
	bool varies; /* what it prints is not the same each time, or says itself what is missing */
	bool server; /* ended by a signal; what it says is a log: a fault may be named in it, and the rest goes on */
} scenarios[] = {
	{ .name = "recover", .program = "flightrec" },
	{ .name = "alive", .program = "flightrec", .varies = true },
	{ .name = "index", .program = "flightrec" },
	{ .name = "rebuild", .program = "flightrec" },
	{ .name = "retention", .program = "flightrec" },
	{ .name = "show", .program = "flightrec" },
	{ .name = "files", .program = "flightrec" },
	{ .name = "incidents", .program = "flightrec" },
	{ .name = "verify", .program = "flightrec" },
	{ .name = "status", .program = "flightrec", .varies = true },
	{ .name = "emit", .program = "flightrec" },
	{ .name = "upload", .program = "flightrec", .varies = true },
	{ .name = "app", .program = "tests/torture/fault_app", .varies = true },
	{ .name = "daemon", .program = "flightrecd", .server = true },
	{ .name = "bpf", .program = "flightrecd", .runs = 60, .server = true },
	{ .name = "collector", .program = "flightrec-collector", .server = true },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(*scenarios))

struct fault {
	uint64_t key;
	uint32_t nth;
	int32_t error;
	uint32_t onward;
};

struct said {
	char *text;
	size_t size;
};

struct outcome {
	int status; /* as from waitpid(); -1: it hung */
	struct said out, err, after;
};

/* what the workers add up */
static struct {
	unsigned long runs, unreached, left_out, failures, exits[5];
} *sum;

static char scratch[256], build[512], own[512];
static struct fault_page *page, *reference_page;
static struct outcome reference;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ------------------------------------------------------------------ running a phase */

static void take(int fd, struct said *said)
{
	if (!said->text)
		said->text = malloc(TEXT_MAX + 1);
	for (said->size = 0;;) {
		ssize_t n = read(fd, said->text + said->size, TEXT_MAX - said->size);

		if (n <= 0)
			break;
		said->size += (size_t)n;
	}
	said->text[said->size] = '\0';
}

/* The directory of this run is of no interest, nor how long it took. */
static void forget(struct said *said, const char *dir)
{
	static const char took[] = "\"seconds\":";
	size_t length = strlen(dir);

	for (char *at = said->text; (at = strstr(at, took));) {
		size_t number = strspn(at += strlen(took), "0123456789.");

		memmove(at, at + number, said->size - (size_t)(at + number - said->text) + 1);
		said->size -= number;
	}
	for (char *at = said->text; (at = strstr(at, dir)); at++) {
		*at = 'D';
		memmove(at + 1, at + length, said->size - (size_t)(at + length - said->text) + 1);
		said->size -= length - 1;
	}
}

static void read_file(const char *dir, const char *name, struct said *said)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	take(fd, said);
	close(fd);
	forget(said, dir);
}

static pid_t start(const char *scenario, const char *phase, const char *dir)
{
	char out[600], err[600];
	pid_t pid = fork();

	if (pid)
		return pid;
	setpgid(0, 0);
	snprintf(out, sizeof(out), "%s/%s.out", dir, phase);
	snprintf(err, sizeof(err), "%s/%s.err", dir, phase);
	if (!freopen("/dev/null", "r", stdin) || !freopen(out, "w", stdout) || !freopen(err, "w", stderr))
		_exit(126);
	setenv("D", dir, 1);
	execl("/bin/bash", "bash", "tests/torture/faults.sh", scenario, phase, (char *)NULL);
	_exit(127);
}

/* Its status; -1 when it had to be ended. */
static int wait_for(pid_t pid, unsigned seconds)
{
	struct timespec nap = { .tv_nsec = 500000 };
	int status = 0;

	for (unsigned long i = 0; i < seconds * 2000ul; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		nanosleep(&nap, NULL);
	}
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

/* A phase in which nothing fails. False: it did, and why is said. */
static bool phase(const char *scenario, const char *name, const char *dir)
{
	int status = wait_for(start(scenario, name, dir), HANG_S);
	char file[32];
	struct said err = { 0 };

	if (status == 0)
		return true;
	snprintf(file, sizeof(file), "%s.err", name);
	read_file(dir, file, &err);
	printf("%s: without a fault, `%s` ended with status %#x: %s\n", scenario, name, status, err.text);
	free(err.text);
	return false;
}

static void __attribute__((format(printf, 1, 2))) command(const char *format, ...)
{
	char line[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0)
		die("failed: %s", line);
}

/* The scenario in a fresh copy of what it begins with. False when what has nothing to do with the fault went wrong. */
static bool play(const struct scenario *scenario, const struct fault *fault, const char *dir, struct outcome *ret)
{
	char code[16];
	pid_t pid;

	*page = (struct fault_page){ .target = fault->key, .nth = fault->nth, .error = fault->error, .onward = fault->onward };
	if (fault->onward)
		setenv("FAULT_ONWARD", "1", 1);
	else
		unsetenv("FAULT_ONWARD");
	command("rm -rf %s && cp -a %s/%s.begin %s", dir, scratch, scenario->name, dir);
	pid = start(scenario->name, "run", dir);
	if (scenario->server) {
		wait_for(start(scenario->name, "during", dir), HANG_S);
		kill(pid, SIGTERM);
	}
	ret->status = wait_for(pid, HANG_S);
	page->target = 0;
	page->onward = 0;
	read_file(dir, "run.out", &ret->out);
	read_file(dir, "run.err", &ret->err);
	snprintf(code, sizeof(code), "%d", WIFEXITED(ret->status) ? WEXITSTATUS(ret->status) : -1);
	setenv("CODE", code, 1);
	ret->after.size = 0;
	if (!phase(scenario->name, "after", dir))
		return false;
	read_file(dir, "after.out", &ret->after);
	return true;
}

/* ------------------------------------------------------------------ what has to hold */

static bool same(const struct said *a, const struct said *b)
{
	return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

static const char *nonsense_in(const struct said *said)
{
	static const char *const words[] = { ": Success", "(null)", "Unknown error", "error 0", "not an error", "Sanitizer" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(said->text, words[i]))
			return words[i];
	return NULL;
}

static const char swallowed[] = "it swallowed an error: another output, and nothing said";

/* NULL, or what is wrong; *ret_site: where, if that is another place than the fault's. */
static const char *judge(const struct scenario *scenario, const char *call, const struct outcome *outcome,
			 const struct fault_site **ret_site)
{
	int code = WEXITSTATUS(outcome->status), usual = WEXITSTATUS(reference.status);
	bool failed = strstr(outcome->out.text, "failed") || strstr(outcome->out.text, "\"what\":\"left\"");

	if (outcome->status == -1)
		return "it hung";
	if (!WIFEXITED(outcome->status))
		return "it died of a signal";
	if (code != usual && code != 1 && code != 3 && !failed)
		return "the exit code says something that is not so";
	if (!same(&outcome->after, &reference.after))
		return "without the fault, what comes out is not the same as ever";
	/* SQLite itself knows nothing of an error that it was said to have */
	if (nonsense_in(&outcome->err) && strncmp(call, "sqlite3_", 8))
		return "what it says makes no sense";
	if (scenario->server)
		return code == 1 && !lines_in(outcome->err.text) ? "it failed and did not say why" : NULL;
	if (code == 1 && lines_in(outcome->err.text) != 1 && !(failed && !lines_in(outcome->err.text)))
		return "it failed and did not say so in one line";
	if (code != usual && !lines_in(outcome->err.text) && !failed)
		return "it did less and did not say so";
	if (!scenario->varies && code == usual && !lines_in(outcome->err.text) && !failed && !same(&outcome->out, &reference.out))
		return swallowed;
	if (strstr(outcome->err.text, ": out of memory (")) /* who ends on the spot gives nothing back */
		return NULL;
	*ret_site = leak(page, reference_page);
	return *ret_site ? "something was not given back" : NULL;
}

/* ------------------------------------------------------------------ telling where */

/* What may go without a word: whether a writer lives is not known then, and it is taken to live. */
static bool is_excused(const struct scenario *scenario, const char *what, const struct fault_site *site)
{
	const char *text = what == swallowed ? site_text(build, scenario->program, reference_page, site) : "";

	return strstr(text, " read_id ") || strstr(text, " stat_fields ") || strstr(text, " own_pid_namespace ");
}

/* The first line of what came out in the end that is another. */
static void print_difference(const struct outcome *outcome)
{
	const char *a = reference.after.text, *b = outcome->after.text;

	while (*a && *b && !strncmp(a, b, strcspn(a, "\n") + 1)) {
		a += strcspn(a, "\n");
		b += strcspn(b, "\n");
		a += *a == '\n';
		b += *b == '\n';
	}
	printf("  want: %.*s\n  have: %.*s\n", (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
}

static void print_failure(const struct scenario *scenario, const struct fault *fault, const struct outcome *outcome, const char *what,
			  const struct fault_site *where)
{
	const struct fault_site *site = find_site(reference_page, fault->key);

	printf("FAILED %s: %s\n  FR_FAULT=%s:%llx:%u:%d:%u", scenario->name, what, scenario->name, (unsigned long long)fault->key, fault->nth,
	       fault->error, fault->onward);
	printf("  call %u of %u, %s%s\n", fault->nth, site ? site->count : 0,
	       fault->error ? strerror(fault->error) : "with the errno that suits it", fault->onward ? ", and all from then on" : "");
	if (site)
		printf("    %s\n", site_text(build, scenario->program, reference_page, site));
	if (where) {
		printf("  held at the end:\n    %s\n", site_text(build, scenario->program, page, where));
	}
	if (outcome->err.text)
		printf("  status %#x, standard error: %.2000s\n", outcome->status, outcome->err.text);
	if (outcome->after.text && !same(&outcome->after, &reference.after))
		print_difference(outcome);
	fflush(stdout);
}

/* ------------------------------------------------------------------ all of them, or a sample */

static const int lasting[] = { ENOSPC, EDQUOT, EIO, EROFS };

/* A library's own use of what it offers: it relies on what only the real call leaves behind. */
static bool calls_itself(const struct fault_site *site)
{
	bool offered = !strncmp(site->call, "sqlite3_", 8) || !strncmp(site->call, "curl_", 5) || !strncmp(site->call, "ZSTD_", 5);

	return offered && strcmp(reference_page->module[site->module[0]], "program");
}

/* The runs that the sites ask for; *ret_plan is to be freed. */
static size_t make_plan(struct fault **ret_plan)
{
	struct fault *plan = calloc(FAULT_SITES * 6, sizeof(*plan));
	size_t count = 0;

	for (size_t i = 0; plan && i < FAULT_SITES; i++) {
		const struct fault_site *site = &reference_page->site[i];

		if (!site->key || calls_itself(site))
			continue;
		plan[count++] = (struct fault){ .key = site->key, .nth = 1 };
		if (site->count > 1)
			plan[count++] = (struct fault){ .key = site->key, .nth = site->count };
		for (size_t k = 0; (site->kinds & FAULT_STORE) && k < 4; k++)
			plan[count++] = (struct fault){
				.key = site->key,
				.nth = 1 + (uint32_t)k * (site->count - 1) / 3,
				.error = lasting[k],
				/* who may not write may not remove, either */
				.onward = FAULT_STORE | (lasting[k] == EIO || lasting[k] == EROFS ? FAULT_UNDO : 0),
			};
	}
	*ret_plan = plan;
	return count;
}

static bool one_run(const struct scenario *scenario, const struct fault *fault, const char *dir)
{
	static struct outcome outcome;
	const struct fault_site *where = NULL;
	const struct fault_site *site = find_site(reference_page, fault->key);
	const char *what;
	int code;

	outcome.err.size = 0;
	if (play(scenario, fault, dir, &outcome))
		what = judge(scenario, site ? site->call : "", &outcome, &where);
	else
		what = "what has no fault went wrong after it";
	code = WIFEXITED(outcome.status) ? WEXITSTATUS(outcome.status) : 0;
	__atomic_add_fetch(&sum->runs, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sum->exits[code < 5 ? code : 0], 1, __ATOMIC_RELAXED);
	if (!page->fired)
		__atomic_add_fetch(&sum->unreached, 1, __ATOMIC_RELAXED);
	if (!what || (site && is_excused(scenario, what, site)))
		return true;
	if (__atomic_add_fetch(&sum->failures, 1, __ATOMIC_RELAXED) <= FAILURES_SHOWN || getenv("FR_ALL"))
		print_failure(scenario, fault, &outcome, what, where);
	return false;
}

static struct fault_page *make_page(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct fault_page *made = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*made)) == 0)
		made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (made == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);
	setenv("FAULT_PAGE", path, 1);
	return made;
}

/* Worker `mine` of `workers`: every so manieth run of the plan. */
static void work(const struct scenario *scenario, const struct fault *plan, size_t count, unsigned mine, unsigned workers)
{
	char dir[300], path[320];

	snprintf(dir, sizeof(dir), "%s/%u", scratch, mine);
	snprintf(path, sizeof(path), "%s/page.%u", scratch, mine);
	page = make_page(path);
	for (size_t i = mine; i < count; i += workers)
		one_run(scenario, &plan[i], dir);
	fflush(stdout);
}

/* Learns the scenario's sites. False when it is not possible here; why was said. */
static bool learn(const struct scenario *scenario)
{
	static const struct fault none;
	char dir[300], path[320];
	int status;

	snprintf(dir, sizeof(dir), "%s/%s.begin", scratch, scenario->name);
	command("rm -rf %s && mkdir %s", dir, dir);
	status = wait_for(start(scenario->name, "prepare", dir), HANG_S);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("%s: left out here\n", scenario->name);
		return false;
	}
	if (status)
		die("%s can't be prepared: status %#x, see %s", scenario->name, status, dir);
	snprintf(dir, sizeof(dir), "%s/learn", scratch);
	snprintf(path, sizeof(path), "%s/page", scratch);
	page = make_page(path);
	if (!play(scenario, &none, dir, &reference))
		die("%s does not work without a fault", scenario->name);
	if (!WIFEXITED(reference.status) || WEXITSTATUS(reference.status) == 1 || page->overflow || !page->sites)
		die("%s: status %#x without a fault, %u sites: %s", scenario->name, reference.status, page->sites, reference.err.text);
	*reference_page = *page;
	return true;
}

static void run_scenario(const struct scenario *scenario, size_t sample, unsigned long *calls, unsigned long *sites)
{
	unsigned workers = sample && sample < 20 ? 1 : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	struct fault *plan;
	size_t count, drawn;

	if (!learn(scenario))
		return;
	count = make_plan(&plan);
	if (!plan)
		die("no memory");
	for (size_t i = 0; sample && i < count; i++) { /* shuffled; as many as wanted are in front */
		size_t k = i + (size_t)random() % (count - i);
		struct fault other = plan[i];

		plan[i] = plan[k];
		plan[k] = other;
	}
	drawn = sample && count > sample ? sample : count;
	*calls += reference_page->calls;
	*sites += reference_page->sites;
	printf("%s: %u calls from %u places; %zu of %zu runs\n", scenario->name, reference_page->calls, reference_page->sites, drawn, count);
	sum->left_out += count - drawn;
	fflush(stdout);
	for (unsigned i = 0; i < workers; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			work(scenario, plan, drawn, i, workers);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < workers; i++) {
		int status;

		if (wait(&status) < 0 || status)
			__atomic_add_fetch(&sum->failures, 1, __ATOMIC_RELAXED);
	}
	free(plan);
}

static void again(const char *text)
{
	char name[32], dir[300], path[320];
	struct fault fault = { 0 };
	unsigned long long key;

	if (sscanf(text, "%31[^:]:%llx:%u:%d:%u", name, &key, &fault.nth, &fault.error, &fault.onward) != 5)
		die("FR_FAULT: want SCENARIO:KEY:NTH:ERRNO:ONWARD");
	fault.key = key;
	for (size_t i = 0; i < SCENARIOS; i++) {
		if (strcmp(scenarios[i].name, name) || !learn(&scenarios[i]))
			continue;
		snprintf(dir, sizeof(dir), "%s/again", scratch);
		snprintf(path, sizeof(path), "%s/page.again", scratch);
		page = make_page(path);
		printf("%s; it is kept in %s, and without a fault in %s/learn\n", one_run(&scenarios[i], &fault, dir) ? "it holds" : "it fails",
		       dir, scratch);
		printf("reached: %u, calls that failed: %u\n", page->fired, page->failed);
	}
}

int main(int argc, char **argv)
{
	const char *seed_text = getenv("FR_SEED"), *tmp = getenv("TMPDIR");
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 10) : 1; /* what has held shall hold again */
	unsigned long calls = 0, sites = 0;

	snprintf(own, sizeof(own), "%s", getenv("FR_BUILD") ? getenv("FR_BUILD") : "build");
	if (!realpath(own, build))
		die("%s: %s", own, strerror(errno));
	setenv("B", build, 1);
	snprintf(scratch, sizeof(scratch), "%s/faults.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(scratch))
		die("%s: %s", scratch, strerror(errno));
	sum = mmap(NULL, sizeof(*sum), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	reference_page = malloc(sizeof(*reference_page));
	if (sum == MAP_FAILED || !reference_page)
		die("no memory");
	if (getenv("FR_FAULT")) {
		again(getenv("FR_FAULT"));
		return sum->failures != 0;
	}
	srandom(seed);
	printf("FR_SEED=%u\n", seed);
	fflush(stdout);
	if (!torture_full() && argc < 2) {
		for (int i = 0; i < 3; i++)
			run_scenario(&scenarios[(size_t)random() % SCENARIOS], 6, &calls, &sites);
	}
	for (size_t i = 0; i < SCENARIOS; i++)
		if (argc > 1 ? !strcmp(argv[1], scenarios[i].name) : torture_full())
			run_scenario(&scenarios[i], argc > 2 ? strtoul(argv[2], NULL, 10) : argc > 1 ? 0
				     : scenarios[i].runs ? scenarios[i].runs : FULL_RUNS, &calls, &sites);
	command("rm -rf %s", scratch);
	if (sum->failures) {
		printf("%lu of %lu runs failed\n", sum->failures, sum->runs);
		return 1;
	}
	torture_row("faults", sum->runs, "runs",
		    "%lu calls from %lu places: the first and the last call of each failed once, and where it writes to a file system all from "
		    "there on (ENOSPC, EDQUOT, EIO, EROFS); failed and said why %lu, did without %lu, place not reached %lu, left out %lu "
		    "(seed %u); nothing lost, no leak", calls, sites, sum->exits[1], sum->runs - sum->exits[1], sum->unreached, sum->left_out,
		    seed);
	return 0;
}
