/* SPDX-License-Identifier: MIT */
/* recover.c - see recover.h. */
#include "pstore/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "pstore/attempt.h"
#include "pstore/cursor.h"
#include "pstore/salvage.h"
#include "pstore/source.h"
#include "pstore/vouch.h"
#include "recorder/core/testpoint.h"

#define CRASHES_MAX 100 /* each sets one source aside; a machine with more has another problem */

_Static_assert(sizeof(struct fr_found) <= PIPE_BUF, "a report goes through the pipe in one piece");

/* A ring whose superblock was not what it was made with. */
struct mended {
	struct mended *next;
	char path[sizeof(((struct fr_found *)0)->path)];
};

struct run {
	const struct fr_recover *recover;
	struct fr_spool *spool;
	char rings[FR_PATH_MAX + 8]; /* STATE/rings */
	const char **dir;	     /* all ring directories */
	size_t dirs;
	struct fr_found *told; /* by workers that crashed later */
	size_t tolds;
	struct fr_evidence_list later; /* rings that an earlier attempt did not finish with */
	struct mended *mended;
	bool stuck;  /* a ring could not be set aside: its mark is still needed */
	int pipe; /* the worker's end; -1: report directly */
};

static void tell(void *ctx, const struct fr_found *found)
{
	struct run *run = ctx;
	ssize_t n;

	if (run->pipe < 0) {
		run->recover->report(run->recover->ctx, found);
		return;
	}
	do
		n = write(run->pipe, found, sizeof(*found));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*found))
		_exit(1); /* nobody listens any more */
}

/* An earlier worker of this run has told what became of it, and it is still there. */
static bool told(const struct run *run, const struct fr_found *found)
{
	for (size_t i = 0; i < run->tolds; i++)
		if (!strcmp(run->told[i].source, found->source) && !strcmp(run->told[i].path, found->path) &&
		    (run->told[i].fate == FR_FATE_ALIVE || run->told[i].fate == FR_FATE_LEFT || run->told[i].fate == FR_FATE_FAILED))
			return true;
	return false;
}

/*
 * What a later run may have again. To go on without what could not be read for it would be to
 * believe the ring instead.
 */
static bool is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

/*
 * Puts back whose rings they are, where a daemon has kept that. Before anything is believed that a ring says: of which boot it is,
 * whether its writer lives. (A living writer's superblock is as fixed as a dead one's.)
 */
static int restore_identities(struct run *run)
{
	for (size_t d = 0; d < run->dirs; d++) {
		struct fr_evidence_list list = { 0 };
		int error = fr_source[FR_SOURCE_KIND_RING].enumerate(run->dir[d], &list); /* take_rings() says what is wrong */

		for (size_t i = 0; i < list.count && !is_shortage(error); i++) {
			struct mended *mended;
			struct fr_found found;

			error = fr_vouch_restore(run->recover->state_dir, list.item[i].dir,
						 list.item[i].name);
			if (error <= 0)
				continue;
			mended = malloc(sizeof(*mended));
			if (!mended) {
				error = -ENOMEM;
				break;
			}
			fr_found_path(&found, list.item[i].dir, list.item[i].name);
			strcpy(mended->path, found.path);
			mended->next = run->mended;
			run->mended = mended;
		}
		fr_evidence_done(&list);
		if (is_shortage(error))
			return error;
	}
	return 0;
}

static void tell_mended(const struct run *run, struct fr_found *found)
{
	for (const struct mended *mended = run->mended; mended; mended = mended->next)
		if (found->fate == FR_FATE_SALVAGED && !*found->why && !strcmp(mended->path, found->path))
			strcpy(found->why, "its superblock had been changed, and is as the daemon made it again");
}

static int take_ring(struct run *run, const struct fr_evidence *ring)
{
	struct fr_found found = { .source = "ring" };
	int error;

	fr_found_path(&found, ring->dir, ring->name);
	if (told(run, &found))
		return 0;
	error = fr_salvage_ring(run->spool, ring->dir, ring->name, 0, &found);
	if (!error && found.fate == FR_FATE_ALIVE && run->recover->live)
		error = fr_salvage_ring(run->spool, ring->dir, ring->name, FR_SALVAGE_DRAIN, &found);
	if (error == -ENOENT)
		return 0;
	if (error)
		return error;
	if (found.fate == FR_FATE_FAILED || found.error == -EBADMSG)
		run->stuck = true;
	if (found.released)
		fr_vouch_drop(run->recover->state_dir, ring->name);
	tell_mended(run, &found);
	tell(run, &found);
	return 0;
}

static int take_later(struct run *run, const struct fr_evidence *ring)
{
	struct fr_evidence *more = realloc(run->later.item, (run->later.count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	run->later.item = more;
	more[run->later.count++] = *ring;
	return 0;
}

/*
 * Those that an earlier attempt did not finish with wait for the end: whatever they do to us, the
 * others are through.
 */
static int take_rings(struct run *run)
{
	int error = 0;

	for (size_t d = 0; d < run->dirs && !error; d++) {
		struct fr_evidence_list list = { 0 };

		error = fr_source[FR_SOURCE_KIND_RING].enumerate(run->dir[d], &list);
		if (error < 0 && error != -ENOMEM) {
			struct fr_found found = { .fate = FR_FATE_LEFT, .source = "ring", .error = error };

			fr_found_path(&found, run->dir[d], "");
			strcpy(found.why, "can't be read");
			if (!told(run, &found))
				tell(run, &found);
		}
		error = error == -ENOMEM ? error : 0;
		for (size_t i = 0; i < list.count && !error; i++) {
			struct fr_attempt earlier;
			char mark[FR_SPOOL_NAME];

			snprintf(mark, sizeof(mark), "ring-%.180s", list.item[i].name);
			fr_attempt_read(run->spool, mark, &earlier);
			error = earlier.unfinished || earlier.signal
					? take_later(run, &list.item[i])
					: take_ring(run, &list.item[i]);
		}
		fr_evidence_done(&list);
	}
	return error;
}

/* Whether a ring file of that id lies in one of the directories: by name, that is all a cursor needs. */
static bool ring_is_there(void *ctx, const uint8_t ring_id[16])
{
	const struct run *run = ctx;
	char hex[33];
	bool there = false;

	fr_hex(hex, ring_id, 16);
	for (size_t d = 0; d < run->dirs && !there; d++) {
		struct fr_evidence_list list = { 0 };

		/* a place that can't be read may hold it */
		there = fr_source[FR_SOURCE_KIND_RING].enumerate(run->dir[d], &list) < 0;
		for (size_t i = 0; i < list.count && !there; i++)
			there = strstr(list.item[i].name, hex);
		fr_evidence_done(&list);
	}
	return there;
}

static void tell_once(void *ctx, const struct fr_found *found)
{
	if (!told(ctx, found))
		tell(ctx, found);
}

static int work(struct run *run)
{
	const struct fr_recover *recover = run->recover;
	struct fr_boots boots;
	int error;

	error = restore_identities(run);
	/* before any ring goes: which boot a kernel's last words belong to is what the rings tell */
	if (!error)
		error = fr_boots_open(run->spool, run->dir, run->dirs, &boots);
	if (error < 0)
		return error;
	fr_boots_number(run->spool, &boots);
	FR_TESTPOINT("boots-numbered");
	error = take_rings(run);
	if (!error)
		error = fr_harvest(run->spool, &boots, recover->pstore_dir, recover->archive_dir, tell_once, run);
	for (size_t i = 0; i < run->later.count && !error; i++)
		error = take_ring(run, &run->later.item[i]);
	fr_evidence_done(&run->later);
	if (!error && !run->stuck)
		fr_attempt_sweep(run->spool, "ring-");
	if (!error)
		fr_cursor_sweep(run->spool, ring_is_there, run);
	fr_boots_close(&boots);
	return error;
}

/* What the worker says until it ends. */
static int listen_to(struct run *run, int pipe)
{
	for (;;) {
		struct fr_found found, *more;
		ssize_t n = read(pipe, &found, sizeof(found));

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(found))
			return n < 0 ? -errno : 0;
		more = realloc(run->told, (run->tolds + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		run->told = more;
		run->told[run->tolds++] = found;
		run->recover->report(run->recover->ctx, &found);
	}
}

/* 0 done, 1 it crashed in something that is marked now, or a negative errno. */
static int run_worker(struct run *run)
{
	pid_t parent = getpid(), pid;
	int ends[2], status, error;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		error = -errno;
		close(ends[0]);
		close(ends[1]);
		return error;
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(ends[0]);
		run->pipe = ends[1];
		error = work(run);
		_exit(error < 0 ? (-error < 255 ? -error : EIO) : 0);
	}
	close(ends[1]);
	error = listen_to(run, ends[0]);
	close(ends[0]);
	if (error < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (error < 0)
		return error;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT)
		return -EINTR;
	return fr_attempt_blame(run->spool, pid, WTERMSIG(status)) ? 1 : -EIO;
}

/* A place named twice is one place. */
static void add_dir(struct run *run, const char *path)
{
	struct stat st, other;

	for (size_t i = 0; i < run->dirs; i++)
		if (stat(path, &st) == 0 && stat(run->dir[i], &other) == 0 && st.st_dev == other.st_dev && st.st_ino == other.st_ino)
			return;
	run->dir[run->dirs++] = path;
}

int fr_recover(const struct fr_recover *recover)
{
	struct fr_spool *spool;
	struct run run = { .recover = recover, .pipe = -1 };
	int error = fr_spool_open(recover->state_dir, &spool);

	if (error < 0)
		return error;
	run.spool = spool;
	run.dir = calloc(recover->ring_dirs + 1, sizeof(*run.dir));
	snprintf(run.rings, sizeof(run.rings), "%s/rings", recover->state_dir);
	error = run.dir ? fr_spool_lock(spool, true) : -ENOMEM;
	if (!error) {
		add_dir(&run, run.rings);
		for (size_t i = 0; i < recover->ring_dirs; i++)
			add_dir(&run, recover->ring_dir[i]);
		if (recover->inline_) {
			error = work(&run);
		} else {
			error = 1;
			for (int i = 0; i < CRASHES_MAX && error == 1; i++)
				error = run_worker(&run);
			error = error == 1 ? -EIO : error;
		}
		fr_spool_unlock(spool);
	}
	fr_spool_close(spool);
	free(run.dir);
	free(run.told);
	while (run.mended) {
		struct mended *mended = run.mended;

		run.mended = mended->next;
		free(mended);
	}
	return error;
}
