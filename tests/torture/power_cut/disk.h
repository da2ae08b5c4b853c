/* SPDX-License-Identifier: MIT */
/*
 * disk.h - what a disk may hold after a power cut: a journal of everything that programs changed
 * below a directory, and images of that directory made from it, as many as there are choices.
 *
 * disk_log.c, preloaded into the programs under test, writes the journal; disk_model.c reads it and
 * makes the images.
 *
 * THE MODEL. A power cut after entry k of the journal leaves, of everything that was changed by then,
 *
 *	surely	what a file held, and how long it was, at the last fsync or fdatasync of it that returned by then;
 *		what a directory's entries were at the last fsync of it that returned by then
 *	maybe	anything later, each piece by itself:
 *
 *	- A sector (512 bytes, or a page of 4096 under another choice) holds what it held at any one instant between that sync and
 *	  the cut. Not any mixture of writes: the page cache has one state of a page at a time, and the disk gets such states.
 *	  Sectors of one write, and of one file, choose for themselves, which is what torn and reordered writes are.
 *	- A size is that of any such instant, whatever became of the data: what lies in a file and was never written back reads
 *	  as zeros, or under one choice as bytes that somebody else left on the disk (ext4 with data=writeback).
 *	- Making, linking, renaming and removing a name are kept or dropped one by one, in whatever directory, whatever was done
 *	  earlier or later. A rename is one change: the old name goes and the new one comes, or neither. It is durable with the
 *	  fsync of either directory.
 *	- fsync of a file says nothing of its name, mkdir nothing of the directory above: POSIX promises no more, and fsync(2) says so.
 *	- sync_file_range promises nothing.
 *
 * A disk keeps a sector whole: it has the old bytes or the new ones. SQLite relies on it, and so do
 * all journals. Bytes beside those that were written don't change (SQLite's "powersafe overwrite").
 *
 * The journalling file systems keep more than this: they order the changes of names (ext4, XFS,
 * btrfs), and sync a new file's name with it (ext4, XFS). The choice "ordered" is such a file
 * system; the others are what code that is to run on any may count upon.
 *
 * Owners, modes, extended attributes and times of access are not modelled. The time of a file's
 * last change is that of the last change in its image; the index tells by it whether a segment is
 * the one it has read.
 */
#ifndef TESTS_TORTURE_POWER_CUT_DISK_H
#define TESTS_TORTURE_POWER_CUT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ------------------------------------------------------------------ the journal: entries, back to back */

enum disk_op {
	DISK_CREATE = 1, /* inode, name */
	DISK_MKDIR,	 /* inode, name */
	DISK_WRITE,	 /* inode, offset, data */
	DISK_SIZE,	 /* inode, offset: the new size */
	DISK_SYNC,	 /* inode: of a file or a directory */
	DISK_LINK,	 /* inode, name */
	DISK_UNLINK,	 /* inode, name */
	DISK_RENAME,	 /* inode, name, target */
	/*
	 * name, data: a file appeared, durable with its name; by the test, not by a program under
	 * test
	 */
	DISK_PUT,
	DISK_UNSEEN,	 /* name: something was done that the log can't follow */
};

struct disk_entry {
	uint32_t op, name_size, target_size, reserved;
	uint64_t inode, offset, data_size, mtime_ns;
	/* the name, the target, the data; names are relative to the directory, without terminators */
};

/* What the log reads from the environment. */
#define DISK_ENV_ROOT	 "FR_DISK_ROOT"	   /* the directory, absolute, without links */
#define DISK_ENV_LOG	 "FR_DISK_LOG"	   /* the journal, appended to; empty: none */
#define DISK_ENV_BOOT_ID "FR_DISK_BOOT_ID" /* a file that is read in place of the kernel's boot id */
#define DISK_ENV_CLOCK	 "FR_DISK_CLOCK"   /* seconds to be added to the wall clock */

/* ------------------------------------------------------------------ the model */

struct disk; /* what a directory held at the start, and a journal */

/* Reads both; exits with a message when the journal can't be followed. */
struct disk *disk_load(const char *root);
void disk_follow(struct disk *disk, const char *journal);
void disk_free(struct disk *disk);

size_t disk_entries(const struct disk *disk);
/* The n-th entry, with its name and data in place. */
struct disk_step {
	enum disk_op op;
	/* "" when there is none; of a write and a sync, the last name of the inode */
	const char *name, *target;
	const unsigned char *data;
	uint64_t offset, data_size;
};
void disk_step(const struct disk *disk, size_t n, struct disk_step *ret_step);

/*
 * The entries behind which a cut is worth trying, 0 among them; free it. Of writes to one file that
 * follow each other it is the last: what a cut between them leaves is among the choices for that
 * one.
 */
size_t *disk_cuts(const struct disk *disk, size_t *ret_count);

/* What becomes of names, and of sectors and sizes, that are not durable. */
enum disk_names {
	DISK_NAMES_ALL,
	DISK_NAMES_NONE,
	DISK_NAMES_ORDERED,
	DISK_NAMES_ANY,
	DISK_NAMES_NEWEST,
	DISK_NAMES_BUT_ONE,
	DISK_NAMES
};
enum disk_data {
	DISK_DATA_ALL,
	DISK_DATA_NONE,
	DISK_DATA_ORDERED,
	DISK_DATA_SECTORS,
	DISK_DATA_PAGES,
	DISK_DATA_SIZE_ONLY,
	DISK_DATA_NEWEST,
	DISK_DATA_STALE,
	DISK_DATA
};

/*
 * Makes below `target`, which is not there, what is left after a cut behind entry `cut` (0: before
 * the first).
 */
void disk_image(const struct disk *disk, size_t cut, enum disk_names names, enum disk_data data,
		uint64_t seed, const char *target);

#endif
