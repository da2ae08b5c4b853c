/* SPDX-License-Identifier: MIT */
/*
 * gates.c - the policy's text: reading, looking up, editing, storing. gates_ring.c takes it to ring files.
 */
#include "recorder/core/gates.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"
#include "recorder/core/write.h"

#define KEYWORDS_ALL UINT64_C(0xffffffffffffff)
#define LINE_MAX_BYTES 256

uint64_t fr_gate_word(unsigned level, uint64_t keywords)
{
	uint64_t word = 0;

	if (level == 0)
		return 0;
	for (unsigned l = 1; l <= level && l <= FRM_LEVEL_VERBOSE; l++)
		word |= FRM_GATE_LEVEL(l);
	keywords &= KEYWORDS_ALL;
	return word | (keywords ? keywords : KEYWORDS_ALL) << FRM_GATE_KEYWORD_SHIFT;
}

bool fr_gate_selects(const char *selector, const char *name, const uint8_t guid[16])
{
	size_t length = strlen(selector);
	uint8_t wanted[16];

	if (strcmp(selector, name) == 0)
		return true;
	if (length > 0 && selector[length - 1] == '*')
		return strncmp(selector, name, length - 1) == 0;
	return guid && length == 36 && fr_uuid_parse(wanted, selector) == 0 && memcmp(wanted, guid, 16) == 0;
}

static bool sane(const struct fr_gate_rule *rule)
{
	size_t length = strnlen(rule->selector, sizeof(rule->selector));

	if (length == 0 || length == sizeof(rule->selector) || rule->level > FRM_LEVEL_VERBOSE)
		return false;
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)rule->selector[i] <= ' ' || rule->selector[i] == 0x7f)
			return false;
	}
	return rule->selector[0] != '#';
}

static bool parse_line(const char *line, size_t length, struct fr_gate_rule *rule)
{
	char copy[LINE_MAX_BYTES], *save = NULL, *selector, *level, *keywords, *origin, *end;

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, line, length);
	copy[length] = 0;
	selector = strtok_r(copy, " \t\r", &save);
	level = strtok_r(NULL, " \t\r", &save);
	keywords = strtok_r(NULL, " \t\r", &save);
	origin = strtok_r(NULL, " \t\r", &save);
	if (!origin || strlen(selector) >= sizeof(rule->selector) || level[0] < '0' || level[0] > '5' || level[1])
		return false;
	strcpy(rule->selector, selector);
	rule->level = (uint8_t)(level[0] - '0');
	rule->keywords = strtoull(keywords, &end, 16) & KEYWORDS_ALL;
	rule->from_config = strcmp(origin, "config") == 0;
	return *end == 0 && sane(rule);
}

bool fr_gates_next(const char **cursor, const char *end, struct fr_gate_rule *rule)
{
	while (*cursor < end) {
		const char *line = *cursor, *newline = memchr(line, '\n', (size_t)(end - line));
		size_t length = (size_t)((newline ? newline : end) - line);

		*cursor = newline ? newline + 1 : end;
		if (parse_line(line, length, rule))
			return true;
	}
	return false;
}

int fr_gates_find(const char *text, size_t size, const char *name, const uint8_t guid[16], uint64_t *ret_gate)
{
	const char *cursor = text;
	struct fr_gate_rule rule;
	int result = -ENOENT;

	while (fr_gates_next(&cursor, text + size, &rule)) {
		if (fr_gate_selects(rule.selector, name, guid)) {
			*ret_gate = fr_gate_word(rule.level, rule.keywords);
			result = 0;
		}
	}
	return result;
}

int fr_gates_policy(const char *path, const char *name, const uint8_t guid[16], uint64_t *ret_gate)
{
	char window[2048];
	size_t kept = 0, total = 0;
	int result = -ENOENT, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (;;) { /* a window at a time, whole lines, so that a registration needs little stack */
		ssize_t got = read(fd, window + kept, sizeof(window) - kept);
		const char *last;
		size_t whole;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			result = -errno;
			break;
		}
		kept += (size_t)got;
		total += (size_t)got;
		last = memrchr(window, '\n', kept);
		whole = got == 0 || total >= FR_GATES_TEXT_MAX ? kept : last ? (size_t)(last - window) + 1 : 0;
		if (fr_gates_find(window, whole, name, guid, ret_gate) == 0)
			result = 0;
		if (got == 0 || total >= FR_GATES_TEXT_MAX)
			break;
		if (whole == 0 && kept == sizeof(window))
			whole = kept; /* no line is as long as this */
		memmove(window, window + whole, kept - whole);
		kept -= whole;
	}
	close(fd);
	return result;
}

int fr_gates_text_set(const char *from, size_t from_size, const struct fr_gate_rule *rule, char *to, size_t to_size)
{
	const char *cursor = from;
	struct fr_gate_rule old;
	size_t used = 0;
	bool more = true;

	if (!sane(rule))
		return -EINVAL;
	while (more) {
		const struct fr_gate_rule *say = &old;
		int n;

		more = fr_gates_next(&cursor, from + from_size, &old);
		if (!more)
			say = rule;
		else if (strcmp(old.selector, rule->selector) == 0 && old.from_config == rule->from_config)
			continue;
		n = snprintf(to + used, to_size - used, "%s %u 0x%" PRIx64 " %s\n", say->selector, say->level,
			     say->keywords & KEYWORDS_ALL, say->from_config ? "config" : "set");
		if (n < 0 || (size_t)n >= to_size - used)
			return -ENOSPC;
		used += (size_t)n;
	}
	return (int)used;
}

int fr_gates_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	size_t used = 0;

	if (fd < 0)
		return -errno;
	while (used < size) {
		ssize_t got = read(fd, text + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error = -errno;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	return error ? error : (int)used;
}

int fr_gates_write(const char *path, const char *text, size_t size, bool sync)
{
	char temporary[FR_PATH_MAX];
	int fd, error;

	if (snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	error = fr_write_all(fd, text, size);
	FR_TESTPOINT("gates-written");
	if (!error && fchmod(fd, 0644) < 0) /* whatever the umask is */
		error = -errno;
	if (!error && sync && fsync(fd) < 0)
		error = -errno;
	close(fd);
	if (!error && rename(temporary, path) < 0)
		error = -errno;
	if (error) {
		unlink(temporary);
		return error;
	}
	FR_TESTPOINT("gates-renamed");
	return sync ? fr_path_sync_parent(path) : 0;
}
