/* SPDX-License-Identifier: MIT */
/*
 * kmsg.h - the kernel's log, read from /dev/kmsg as it is written: lines of the wanted severity become kernel.log events.
 *
 * Owns: parsing the device's records, and counting lines that the kernel overwrote before they were read. Its time stamps
 * are CLOCK_MONOTONIC in microseconds: time that the machine slept before a line is not in them.
 */
#ifndef RECORDER_DAEMON_KMSG_H
#define RECORDER_DAEMON_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;

struct kmsg {
	struct daemon *daemon;
	struct loop_source *source;
	int fd; /* -1: not read */
	bool paused;
	bool seq_known;
	uint64_t next_seq;
	uint64_t lines, recorded, lost;
};

/* Opens the device and records what it still holds and what comes. When that can't be, says so and is done. */
void kmsg_open(struct daemon *daemon);
void kmsg_close(struct kmsg *kmsg); /* after a last look */
void kmsg_resume(struct kmsg *kmsg);

/* One record of the device: "prio,seq,usec,flags[,...];text\n KEY=value\n". Pointers go into the record, which is changed. */
struct kmsg_line {
	uint64_t seq, time_us;
	unsigned severity, facility;
	const char *text, *subsystem, *device;
	size_t text_size, subsystem_size, device_size;
};
/* 0 or -EBADMSG. */
int kmsg_parse(char *record, size_t size, struct kmsg_line *line);

#endif
