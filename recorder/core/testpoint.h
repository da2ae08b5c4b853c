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
 *	FLIGHTREC_TESTPOINT=seal-renamed:3:stop  SIGSTOP, likewise; seal-renamed:stop: each time
 *	FLIGHTREC_TESTPOINT=seal-renamed:3:usr1  SIGUSR1 to the thread that is there, for a handler of the test's to go on with
 *
 * FLIGHTREC_TESTPOINT_NOTE names a file that is made when it has come to that, in whichever process.
 * All threads count together, and so do all places of one name; a forked child goes on counting
 * where its parent was.
 */
#ifndef RECORDER_CORE_TESTPOINT_H
#define RECORDER_CORE_TESTPOINT_H

#ifdef FR_TESTPOINTS

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((weak)) unsigned long fr_testpoint_reached; /* how often that one was */

static inline void fr_testpoint(const char *name)
{
	const char *wanted = getenv("FLIGHTREC_TESTPOINT"), *note;
	size_t length = strlen(name);
	unsigned long reached, when;

	if (!wanted || strncmp(wanted, name, length) || (wanted[length] && wanted[length] != ':'))
		return;
	wanted += length;
	reached = __atomic_add_fetch(&fr_testpoint_reached, 1, __ATOMIC_RELAXED);
	when = *wanted ? strtoul(wanted + 1, NULL, 10) : 1;
	if (reached != when && strcmp(wanted, ":stop"))
		return;
	note = getenv("FLIGHTREC_TESTPOINT_NOTE");
	if (note)
		close(open(note, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	if (strstr(wanted, ":usr1"))
		raise(SIGUSR1);
	else
		kill(getpid(), strstr(wanted, ":stop") ? SIGSTOP :
			       strstr(wanted, ":abort") ? SIGABRT : SIGKILL);
}

#define FR_TESTPOINT(name) fr_testpoint(name)

#else
#define FR_TESTPOINT(name) ((void)0)
#endif

#endif
