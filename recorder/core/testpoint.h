/* SPDX-License-Identifier: MIT */
/*
 * testpoint.h - places where a test may kill or stop the program: after each side effect that others can see.
 *
 *	FR_TESTPOINT("seal-renamed");
 *
 * Nothing at all in a normal build. Built with -DFR_TESTPOINTS, the environment says what happens there:
 *
 *	FLIGHTREC_TESTPOINT=seal-renamed         SIGKILL, the first time it is reached
 *	FLIGHTREC_TESTPOINT=seal-renamed:3       SIGKILL, the third time
 *	FLIGHTREC_TESTPOINT=seal-renamed:3:abort SIGABRT, likewise
 *	FLIGHTREC_TESTPOINT=seal-renamed:stop    SIGSTOP, each time
 */
#ifndef RECORDER_CORE_TESTPOINT_H
#define RECORDER_CORE_TESTPOINT_H

#ifdef FR_TESTPOINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void fr_testpoint(const char *name, unsigned long *reached)
{
	const char *wanted = getenv("FLIGHTREC_TESTPOINT");
	size_t length = strlen(name);

	if (!wanted || strncmp(wanted, name, length) || (wanted[length] && wanted[length] != ':'))
		return;
	++*reached;
	if (!strcmp(wanted + length, ":stop"))
		kill(getpid(), SIGSTOP);
	else if (*reached == (wanted[length] ? strtoul(wanted + length + 1, NULL, 10) : 1))
		kill(getpid(), strstr(wanted + length, ":abort") ? SIGABRT : SIGKILL);
}

#define FR_TESTPOINT(name)                                \
	do {                                              \
		static unsigned long fr_testpoint_reached_; \
		fr_testpoint(name, &fr_testpoint_reached_); \
	} while (0)

#else
#define FR_TESTPOINT(name) ((void)0)
#endif

#endif
