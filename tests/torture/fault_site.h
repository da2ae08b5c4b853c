/* SPDX-License-Identifier: MIT */
/*
 * fault_site.h - finds a site in a page, says where it is in the source and whether what it got was
 * given back, and counts the lines of what was said there.
 */
#ifndef TESTS_TORTURE_FAULT_SITE_H
#define TESTS_TORTURE_FAULT_SITE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tests/torture/fault.h"

static inline unsigned lines_in(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static inline const struct fault_site *find_site(const struct fault_page *where, uint64_t key)
{
	for (size_t k = key % FAULT_SITES, n = 0; n < FAULT_SITES && where->site[k].key;
	     k = (k + 1) % FAULT_SITES, n++)
		if (where->site[k].key == key)
			return &where->site[k];
	return NULL;
}

/* "write < write_fully < flush < ..." */
static inline const char *site_text(const char *build, const char *program,
				    const struct fault_page *where, const struct fault_site *site)
{
	static char text[4096];
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", site->call);

	for (int i = 0; i < FAULT_DEPTH && site->frame[i] && used < sizeof(text) - 400; i++) {
		const char *module = where->module[site->module[i]];
		char line[1400], function[256] = "";
		FILE *names;

		if (strstr(module, ".so")) {
			used += (size_t)snprintf(text + used, sizeof(text) - used, " < %s", module);
			continue;
		}
		snprintf(line, sizeof(line),
			 "addr2line -f -s -e %s/%s 0x%x 2>/dev/null | paste -sd' '", build, program,
			 site->frame[i] - 1);
		names = popen(line, "r");
		if (names && fgets(function, sizeof(function), names))
			function[strcspn(function, "\n")] = '\0';
		if (names)
			pclose(names);
		used += (size_t)snprintf(text + used, sizeof(text) - used, " < %s", function);
	}
	return text;
}

/*
 * By whom a thing is held: the call and the innermost two places in the program itself. How the
 * program got there may be another way than usual.
 */
static inline uint64_t holder(const struct fault_page *where, const struct fault_site *site)
{
	uint64_t key = strlen(site->call) << 8 | (uint8_t)site->call[0];
	unsigned own_frames = 0;

	for (int i = 0; i < FAULT_DEPTH && site->frame[i] && own_frames < 2; i++) {
		if (strcmp(where->module[site->module[i]], "program"))
			continue;
		own_frames++;
		key = key * 0x9e3779b97f4a7c15ull ^ site->frame[i];
	}
	return key;
}

static inline long held_by(const struct fault_page *where, uint64_t key)
{
	long held = 0;

	for (size_t i = 0; i < FAULT_SITES; i++)
		if (where->site[i].held > 0 && holder(where, &where->site[i]) == key)
			held += where->site[i].held;
	return held;
}

/*
 * Held, but not for us to give back: what the loader holds is a thread's that runs on in a library (a look-up of
 * libcurl's that was given up), and what OpenSSL drops when its own call fails is out of libcurl's reach, too. A
 * transfer that we forget holds something of libcurl's besides.
 */
static inline bool held_by_others(const struct fault_page *where, const struct fault_site *site)
{
	const char *module = where->module[site->module[0]];

	return strstr(module, "ld-linux") || strstr(module, "libcrypto");
}

/* Something that was held at the end, and is not otherwise. */
static inline const struct fault_site *leak(const struct fault_page *where,
					    const struct fault_page *reference)
{
	for (size_t i = 0; i < FAULT_SITES; i++) {
		const struct fault_site *site = &where->site[i];
		uint64_t key = holder(where, site);

		if (site->held > 0 && !held_by_others(where, site) && held_by(where, key) > held_by(reference, key))
			return site;
	}
	return NULL;
}

#endif
