/* SPDX-License-Identifier: MIT */
/*
 * test_room.c - rings of the dead are bounded where nobody salvages them: the oldest go, the living's stay, and what goes
 * is named in spool/retention.log.
 */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <flightrec/flightrec.h>

#define REQUIRE(condition)                                                                    \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);      \
			exit(1);                                                              \
		}                                                                             \
	} while (0)

FLIGHTREC_PROVIDER(provider, "test.room", "44444444-2222-3333-4444-555555555555", 1, 0);

static char state[] = "/tmp/flightrec-room.XXXXXX";

/* A process with a ring of 64 KiB and one event; it ends, or lives until it is killed. Returns when the event is committed. */
static pid_t record(bool lives)
{
	int ready[2];
	char byte;
	pid_t pid;

	REQUIRE(pipe(ready) == 0);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		REQUIRE(flightrec_register(&provider) == 0);
		REQUIRE(flightrec_text(&provider, FLIGHTREC_INFO, 0, "here", 4) == 1);
		REQUIRE(write(ready[1], "x", 1) == 1);
		while (lives)
			pause();
		_exit(0);
	}
	REQUIRE(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	if (!lives)
		REQUIRE(waitpid(pid, NULL, 0) == pid);
	return pid;
}

/* Counts the rings; *ret_has: whether one is of that process. */
static unsigned rings(pid_t pid, bool *ret_has)
{
	char path[128], prefix[32];
	unsigned count = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/rings", state);
	snprintf(prefix, sizeof(prefix), "%d-", (int)pid);
	dir = opendir(path);
	REQUIRE(dir);
	*ret_has = false;
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".ring"))
			continue;
		count++;
		*ret_has |= !strncmp(entry->d_name, prefix, strlen(prefix));
	}
	closedir(dir);
	return count;
}

static unsigned named_losses(void)
{
	char path[128], line[256];
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/spool/retention.log", state);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		count += !strncmp(line, "unsent ", 7);
	if (file)
		fclose(file);
	return count;
}

int main(void)
{
	char command[64];
	pid_t living, first, last = 0;
	bool has;

	REQUIRE(mkdtemp(state));
	setenv("FLIGHTREC_STATE_DIR", state, 1);
	setenv("FLIGHTREC_RUNTIME_DIR", state, 1);
	setenv("FLIGHTREC_RING_SIZE", "64K", 1);
	setenv("FLIGHTREC_RINGS_MAX", "256K", 1);
	unsetenv("FLIGHTREC_RING_DIR");

	living = record(true);
	first = record(false);
	REQUIRE(rings(first, &has) == 2 && has);
	REQUIRE(named_losses() == 0);
	for (int i = 0; i < 6; i++) {
		last = record(false);
		usleep(20000); /* file systems date changes by ticks */
	}
	REQUIRE(rings(first, &has) == 4 && !has);
	printf("four rings of 64 KiB fit into 256 KiB: the oldest of the dead is gone\n");
	REQUIRE(rings(last, &has) == 4 && has);
	REQUIRE(rings(living, &has) == 4 && has);
	printf("the ring of a living process stays, although it is the oldest\n");
	REQUIRE(named_losses() == 4);
	printf("four rings went, and four losses are named\n");

	kill(living, SIGKILL);
	waitpid(living, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf %s", state);
	return system(command) == 0 ? 0 : 1;
}
