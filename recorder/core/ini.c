/* SPDX-License-Identifier: MIT */
/*
 * ini.c - the configuration reader: files in order, the syntax, messages with file and line. Values are in ini_value.c.
 */
#include "recorder/core/ini.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "recorder/core/paths.h"

struct parse {
	const char *file;
	unsigned line;
	char *section;		/* points into the text */
	bool section_warned;
	const struct fr_ini_reader *reader;
	char *error;
	size_t error_size;
};

static void free_text(char **text)
{
	free(*text);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

__attribute__((format(printf, 3, 4))) static int fail(struct parse *p, int code, const char *format, ...)
{
	va_list args;
	int used = p->line ? snprintf(p->error, p->error_size, "%s:%u: ", p->file, p->line)
			   : snprintf(p->error, p->error_size, "%s: ", p->file);

	if (used > 0 && (size_t)used < p->error_size) {
		va_start(args, format);
		vsnprintf(p->error + used, p->error_size - used, format, args);
		va_end(args);
	}
	return code;
}

__attribute__((format(printf, 2, 3))) static void warn(const struct parse *p, const char *format, ...)
{
	char text[FR_INI_TEXT_MAX];
	va_list args;
	int used;

	if (!p->reader->warning)
		return;
	used = snprintf(text, sizeof text, "%s:%u: ", p->file, p->line);
	if (used > 0 && (size_t)used < sizeof text) {
		va_start(args, format);
		vsnprintf(text + used, sizeof text - used, format, args);
		va_end(args);
	}
	p->reader->warning(p->reader->ctx, text);
}

static char *trim(char *text)
{
	size_t size;

	while (*text == ' ' || *text == '\t' || *text == '\r')
		text++;
	size = strlen(text);
	while (size && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\r'))
		text[--size] = '\0';
	return text;
}

static int take_entry(struct parse *p, char *key, char *value)
{
	struct fr_ini_entry entry = { p->file, p->line, p->section, key, value };
	char why[FR_INI_TEXT_MAX] = "";
	int r;

	if (!*p->section) {
		warn(p, "\"%s\" stands in no section and is ignored; put [name] above it", key);
		return 0;
	}
	r = p->reader->entry(p->reader->ctx, &entry, why, sizeof why);
	if (r < 0)
		return fail(p, r, "%s = %s: %s", key, value, *why ? why : strerror(-r));
	if (r == FR_INI_UNKNOWN_KEY)
		warn(p, "unknown key \"%s\" in [%s] is ignored; check its spelling", key, p->section);
	if (r == FR_INI_UNKNOWN_SECTION && !p->section_warned) {
		warn(p, "unknown section [%s] is ignored; check its spelling", p->section);
		p->section_warned = true;
	}
	return 0;
}

static int take_line(struct parse *p, char *line)
{
	char *text = trim(line), *equals;
	size_t size = strlen(text);

	if (!size || *text == '#' || *text == ';')
		return 0;
	if (*text == '[') {
		if (text[size - 1] != ']' || size < 3)
			return fail(p, -EINVAL, "\"%s\" is no section; write [name]", text);
		text[size - 1] = '\0';
		p->section = trim(text + 1);
		p->section_warned = false;
		return 0;
	}
	equals = strchr(text, '=');
	if (!equals)
		return fail(p, -EINVAL, "\"%.80s\" is neither a section, a comment nor key = value", text);
	*equals = '\0';
	text = trim(text);
	if (!*text)
		return fail(p, -EINVAL, "there is no key before the =");
	return take_entry(p, text, trim(equals + 1));
}

/* Works in place: `text` is terminated and may be changed. */
static int parse_text(struct parse *p, char *text, size_t size)
{
	static char none[] = "";
	char *end = text + size;

	if (memchr(text, '\0', size))
		return fail(p, -EINVAL, "holds a zero byte: this is no text file");
	p->section = none;
	while (text < end) {
		char *newline = memchr(text, '\n', end - text);
		int r;

		if (newline)
			*newline = '\0';
		p->line++;
		r = take_line(p, text);
		if (r < 0)
			return r;
		if (!newline)
			break;
		text = newline + 1;
	}
	return 0;
}

int fr_ini_parse(const char *name, const char *text, size_t size, const struct fr_ini_reader *reader, char *error,
		 size_t error_size)
{
	struct parse p = { .file = name, .reader = reader, .error = error, .error_size = error_size };
	__attribute__((cleanup(free_text))) char *copy = malloc(size + 1);

	if (!copy)
		return fail(&p, -ENOMEM, "not enough memory");
	memcpy(copy, text, size);
	copy[size] = '\0';
	return parse_text(&p, copy, size);
}

static int load_file(const char *path, const struct fr_ini_reader *reader, char *error, size_t error_size)
{
	struct parse p = { .file = path, .reader = reader, .error = error, .error_size = error_size };
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	__attribute__((cleanup(free_text))) char *text = NULL;
	struct stat st;
	size_t used = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(&p, -errno, "can't be read: %s", strerror(errno));
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return 0; /* /dev/null: on purpose nothing */
	if (!S_ISREG(st.st_mode))
		return fail(&p, -EINVAL, "is not a file");
	if (st.st_size > FR_INI_FILE_MAX)
		return fail(&p, -EFBIG, "is larger than 1 MiB; this can't be a configuration");
	text = malloc(FR_INI_FILE_MAX + 1);
	if (!text)
		return fail(&p, -ENOMEM, "not enough memory");
	while (used < FR_INI_FILE_MAX) {
		ssize_t n = read(fd, text + used, FR_INI_FILE_MAX - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(&p, -errno, "can't be read: %s", strerror(errno));
		if (!n)
			break;
		used += n;
	}
	text[used] = '\0';
	return parse_text(&p, text, used);
}

static int is_dropin(const struct dirent *entry)
{
	size_t size = strlen(entry->d_name);

	return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_dropins(const char *path, const struct fr_ini_reader *reader, char *error, size_t error_size)
{
	char folder[FR_PATH_MAX], file[FR_PATH_MAX];
	struct parse p = { .file = folder, .reader = reader, .error = error, .error_size = error_size };
	struct dirent **names;
	int count, r = 0;

	if ((size_t)snprintf(folder, sizeof folder, "%s.d", path) >= sizeof folder)
		return 0;
	count = scandir(folder, &names, is_dropin, by_name);
	if (count < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(&p, -errno, "can't be read: %s", strerror(errno));
	for (int i = 0; i < count; i++) {
		if (!r && (size_t)snprintf(file, sizeof file, "%s/%s", folder, names[i]->d_name) < sizeof file)
			r = load_file(file, reader, error, error_size);
		free(names[i]);
	}
	free(names);
	return r;
}

int fr_ini_load(const char *path, bool optional, const struct fr_ini_reader *reader, char *error, size_t error_size)
{
	int r = 0;

	if (error_size)
		error[0] = '\0';
	if (!optional || access(path, F_OK) == 0 || errno != ENOENT)
		r = load_file(path, reader, error, error_size);
	return r < 0 ? r : load_dropins(path, reader, error, error_size);
}

const char *fr_ini_config_path(void)
{
	const char *path = getenv("FLIGHTREC_CONFIG");

	return path && *path ? path : FR_CONFIG_DEFAULT;
}

int fr_ini_load_config(const struct fr_ini_reader *reader, char *error, size_t error_size)
{
	const char *named = getenv("FLIGHTREC_CONFIG");

	return fr_ini_load(fr_ini_config_path(), !(named && *named), reader, error, error_size);
}
