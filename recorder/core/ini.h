/* SPDX-License-Identifier: MIT */
/*
 * ini.h - reads configuration: a file, then its drop-ins, later entries over earlier ones.
 *
 *	# comment          (also ; - only at the start of a line)
 *	[section]
 *	key = value        white space around key and value is dropped; the value is taken as it stands
 *
 * Owns: which files are read, in which order, the syntax, and the wording of what is wrong in them. It keeps nothing:
 * every entry is handed to the reader, who knows sections, keys and their meaning. For a file F the drop-ins are
 * F.d/[!.]*.conf, sorted by name. Blocking; not for signal handlers.
 */
#ifndef RECORDER_CORE_INI_H
#define RECORDER_CORE_INI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FR_CONFIG_DEFAULT "/etc/flightrec/flightrec.conf"
#define FR_INI_FILE_MAX	  (1u << 20)
#define FR_INI_TEXT_MAX	  512 /* of an error or a warning */

/* What an entry() returns besides 0 (taken) and a negative errno (refused). */
enum {
	FR_INI_UNKNOWN_KEY = 1,	    /* becomes a warning; reading goes on */
	FR_INI_UNKNOWN_SECTION = 2, /* the same, said once for a section's run of entries */
	FR_INI_NOT_MINE = 3,	    /* known, and another program's business: silent */
};

struct fr_ini_entry {
	const char *file; /* all strings are good only during the call */
	unsigned line;
	const char *section; /* "" before the first */
	const char *key;
	const char *value; /* "" is a value: "back to the default" by convention */
};

struct fr_ini_reader {
	/*
	 * Takes one entry. To refuse it, returns a negative errno and writes to `why` what is wrong and what to do
	 * ("want a size such as 64K or 10M"); file, line and key are put in front of it.
	 */
	int (*entry)(void *ctx, const struct fr_ini_entry *entry, char *why, size_t why_size);
	void (*warning)(void *ctx, const char *text); /* may be NULL */
	void *ctx;
};

/*
 * Reads `path` and its drop-ins. A missing `path` is -ENOENT unless `optional`; a missing drop-in directory is no
 * matter. Stops at the first error: a negative errno, and `error` holds "file:line: what is wrong". The caller then
 * keeps what it had before: entries already handed out are part of a configuration that does not hold.
 */
int fr_ini_load(const char *path, bool optional, const struct fr_ini_reader *reader, char *error, size_t error_size);

/* $FLIGHTREC_CONFIG, which then must exist, or FR_CONFIG_DEFAULT, which need not. */
int fr_ini_load_config(const struct fr_ini_reader *reader, char *error, size_t error_size);
const char *fr_ini_config_path(void);

/* One text in place of a file; `name` stands for it in messages. */
int fr_ini_parse(const char *name, const char *text, size_t size, const struct fr_ini_reader *reader, char *error,
		 size_t error_size);

/*
 * Values. 0, or -EINVAL / -ERANGE with `why` filled as entry() must; *ret untouched then.
 * size: bytes, or K M G (powers of 1024), "64K", "10M", "10 MiB". duration: ms s min h d, "500ms", "2 h"; a bare number is
 * not taken, because nobody remembers its unit.
 */
int fr_ini_bool(const char *value, bool *ret, char *why, size_t why_size);
int fr_ini_number(const char *value, uint64_t min, uint64_t max, uint64_t *ret, char *why, size_t why_size);
int fr_ini_size(const char *value, uint64_t min, uint64_t max, uint64_t *ret_bytes, char *why, size_t why_size);
int fr_ini_duration(const char *value, uint64_t min_ms, uint64_t max_ms, uint64_t *ret_ms, char *why, size_t why_size);
int fr_ini_string(const char *value, char *buf, size_t size, char *why, size_t why_size); /* copies what fits whole */

#endif
