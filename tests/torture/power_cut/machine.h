/* SPDX-License-Identifier: MIT */
/*
 * machine.h - a machine in a scratch folder: boots and clocks of its own, rings that dead writers
 * left, the real programs run on it, and a receiver that keeps what it acknowledged.
 */
#ifndef TESTS_TORTURE_POWER_CUT_MACHINE_H
#define TESTS_TORTURE_POWER_CUT_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define REQUIRE(what, ...)                                                        \
	do {                                                                      \
		if (!(what)) {                                                    \
			fprintf(stderr, "%s%s:%d: %s", machine_context, __FILE__, __LINE__, #what); \
			fprintf(stderr, ": " __VA_ARGS__);                          \
			fputc('\n', stderr);                                      \
			exit(1);                                                  \
		}                                                                 \
	} while (0)

extern char machine_context[512]; /* said before what failed */

#define MACHINE_PATH 512

struct machine {
	char root[MACHINE_PATH];    /* what a power cut may do things to: state/, pstore/, archive/ */
	char journal[MACHINE_PATH]; /* of changes below root; "": not noted */
	char work[MACHINE_PATH];    /* beside it: what is the test's */
	char boot;		    /* 'A', 'B', ...: a boot id each */
	int64_t clock_shift_s;
	int collector;
	unsigned port;
};

/* A machine below `work`, which is made; nothing is on its disk. */
void machine_make(struct machine *machine, const char *work, const char *disk);
void machine_remove(struct machine *machine);
void machine_wipe(const char *path); /* a tree, which may not be there */

/* The boot's id, as the kernel has it. */
void machine_boot_id(char boot, uint8_t id[16]);

/* Runs `flightrec WORDS...`, up to NULL; the exit code. What it said lies in work/out and work/err. */
int machine_run(const struct machine *machine, const char *const *words);
#define MACHINE_RUN(machine, ...) machine_run(machine, (const char *const[]){ __VA_ARGS__, NULL })
/* A copy of what the last one said, on standard output or error; free it. */
char *machine_said(const struct machine *machine, const char *where);
/* `flightrec upload`, in small batches, to the receiver. */
int machine_upload(const struct machine *machine);

/* The receiver, with its database work/fleet.db; stop returns when that is closed. */
void machine_start_receiver(struct machine *machine);
void machine_stop_receiver(struct machine *machine);

/*
 * A ring of a process of the machine's boot: `count` records in lane 0. Its name is in `name`. And
 * `count` records more, in another lane of that ring.
 */
void machine_put_ring(const struct machine *machine, pid_t pid, uint64_t start_ns,
		      uint64_t boot_seq, unsigned count, char name[128]);
void machine_add_records(const struct machine *machine, const char *name, unsigned lane, unsigned count);
void machine_put_file(const struct machine *machine, const char *name, const char *text, int64_t mtime_s);
/* Notes in the journal that this file is there, and durable. */
void machine_settle(const struct machine *machine, const char *name);

#endif
