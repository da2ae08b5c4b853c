/* SPDX-License-Identifier: MIT */
/*
 * fault_site.h - finds a site in a page, says where it is in the source, and counts the lines of
 * what was said there.
 */
#ifndef TESTS_TORTURE_FAULT_SITE_H
#define TESTS_TORTURE_FAULT_SITE_H

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

#endif
