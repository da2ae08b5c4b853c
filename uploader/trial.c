/* SPDX-License-Identifier: MIT */
/* trial.c - see trial.h. */
#include "uploader/trial.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uploader/ingest.h"

#define SUSPECT	5
#define TRIAL_S 300 /* who reads one segment for longer does not come to an end */
#define TRIED	0
#define UNTRIED 2 /* for want of memory, say; a sanitizer ends a process with 1 */

struct note {
	char text[4096];
	size_t size;
};

static void read_note(struct fr_index *index, struct note *note)
{
	ssize_t got = pread(index->lock, note->text, sizeof(note->text) - 1, 0);
	char *end;

	note->text[got > 0 ? got : 0] = 0;
	end = strrchr(note->text, '\n'); /* a power cut leaves what it likes */
	note->size = end ? (size_t)(end - note->text) + 1 : 0;
	note->text[note->size] = 0;
}

/* Without room for it the next reader is not warned. That is no reason to stop this one. */
static void write_note(struct fr_index *index, const struct note *note)
{
	if (pwrite(index->lock, note->text, note->size, 0) == (ssize_t)note->size)
		(void)!ftruncate(index->lock, (off_t)note->size);
}

/* The first line with the name; NULL when there is none. */
static char *line_of(char *text, const char *name)
{
	size_t length = strlen(name);

	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		if (line + length == end && !memcmp(line, name, length))
			return line;
	return NULL;
}

static int try_it(const char *state, const char *name)
{
	struct fr_index index = { .lock = -1 };
	struct fr_index_stats stats = { 0 };
	struct fr_ingest *ingest;
	int r;

	snprintf(index.state, sizeof(index.state), "%s", state);
	r = fr_db_error(sqlite3_open("", &index.db)); /* a database of its own, that nobody sees */
	if (!r)
		r = fr_db_exec(&index, fr_index_schema);
	if (!r)
		r = fr_ingest_new(&index, &ingest);
	if (!r)
		r = fr_db_begin(&index);
	return r < 0 || fr_ingest_segment(ingest, name, 0, 0, &stats) < 0 ? UNTRIED : TRIED;
}

static int let_a_child_try(const char *state, const char *name)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(TRIAL_S);
		_exit(try_it(state, name));
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && (WEXITSTATUS(status) == TRIED || WEXITSTATUS(status) == UNTRIED) ? 0 : 1;
}

static unsigned times_begun(struct note *note, const char *name)
{
	size_t length = strlen(name) + 1;
	unsigned begun = 0;

	for (char *line = line_of(note->text, name); line; line = line_of(line + length, name))
		begun++;
	return begun;
}

bool fr_trial_put_off(struct fr_index *index, const char *name)
{
	struct note note;

	read_note(index, &note);
	return times_begun(&note, name) >= SUSPECT;
}

int fr_trial_begin(struct fr_index *index, const char *name)
{
	size_t length = strlen(name) + 1;
	unsigned begun;
	struct note note;

	read_note(index, &note);
	begun = times_begun(&note, name);
	if (begun < SUSPECT && note.size + length >= sizeof(note.text)) /* of segments that are long gone */
		note.size = 0;
	if (begun < SUSPECT)
		note.size += (size_t)snprintf(note.text + note.size, sizeof(note.text) - note.size, "%s\n", name);
	write_note(index, &note); /* before the child: want of memory may end both */
	return begun ? let_a_child_try(index->state, name) : 0;
}

void fr_trial_end(struct fr_index *index, const char *name)
{
	size_t length = strlen(name) + 1;
	struct note note;
	char *line;

	read_note(index, &note);
	if (!line_of(note.text, name))
		return;
	while ((line = line_of(note.text, name))) {
		memmove(line, line + length, note.size - (size_t)(line - note.text) - length + 1);
		note.size -= length;
	}
	write_note(index, &note);
}
