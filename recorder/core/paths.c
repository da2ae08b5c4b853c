/* SPDX-License-Identifier: MIT */
/* paths.c - see paths.h. */
#include "recorder/core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int join(char *buf, size_t size, const char *base, const char *middle, const char *below)
{
	int n = snprintf(buf, size, "%s%s%s%s", base, middle, *below ? "/" : "", below);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* An environment variable that names a directory, or NULL: empty and relative ones don't count. */
static const char *directory_from(const char *variable)
{
	const char *value = secure_getenv(variable);

	return value && value[0] == '/' ? value : NULL;
}

int fr_path_state(char *buf, size_t size, const char *below)
{
	const char *base = directory_from("FLIGHTREC_STATE_DIR");

	if (base)
		return join(buf, size, base, "", below);
	if (geteuid() == 0)
		return join(buf, size, "/var/lib/flightrec", "", below);
	base = directory_from("XDG_STATE_HOME");
	if (base)
		return join(buf, size, base, "/flightrec", below);
	base = directory_from("HOME");
	return base ? join(buf, size, base, "/.local/state/flightrec", below) : -ENOENT;
}

int fr_path_runtime(char *buf, size_t size, const char *below)
{
	const char *base = directory_from("FLIGHTREC_RUNTIME_DIR");

	if (base)
		return join(buf, size, base, "", below);
	if (geteuid() == 0)
		return join(buf, size, "/run/flightrec", "", below);
	base = directory_from("XDG_RUNTIME_DIR");
	return base ? join(buf, size, base, "/flightrec", below) : fr_path_state(buf, size, below);
}

int fr_path_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int fr_path_sync_parent(const char *path)
{
	char parent[FR_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	if (n >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, n);
	parent[n] = '\0';
	return fr_path_sync(n ? parent : slash ? "/" : ".");
}

int fr_path_make(const char *path, mode_t mode)
{
	char buf[FR_PATH_MAX];
	size_t n = strlen(path);
	int r = 0;

	if (n >= sizeof(buf))
		return -ENAMETOOLONG;
	memcpy(buf, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (buf[i] != '/' && buf[i] != '\0')
			continue;
		buf[i] = '\0';
		if (mkdir(buf, mode) == 0)
			r = fr_path_sync_parent(buf);
		else if (errno != EEXIST)
			return -errno;
		if (r < 0 && r != -EACCES && r != -EINVAL) /* EINVAL: not a thing of this file system */
			return r;
		buf[i] = path[i];
	}
	return 0;
}

mode_t fr_path_file_mode(const char *dir)
{
	struct stat st;

	return stat(dir, &st) == 0 && (st.st_mode & S_IWGRP) ? 0660 : 0640;
}

void fr_hex(char *buf, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		buf[2 * i] = digits[bytes[i] >> 4];
		buf[2 * i + 1] = digits[bytes[i] & 15];
	}
	buf[2 * count] = '\0';
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int fr_unhex(uint8_t *bytes, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++) {
		int high = digit(text[2 * i]), low = high < 0 ? -1 : digit(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * count] ? -EINVAL : 0;
}

static bool dash_before(size_t byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void fr_uuid_text(char buf[37], const uint8_t uuid[16])
{
	for (size_t i = 0; i < 16; i++) {
		if (dash_before(i))
			*buf++ = '-';
		fr_hex(buf, uuid + i, 1);
		buf += 2;
	}
}

int fr_uuid_parse(uint8_t uuid[16], const char *text)
{
	uint8_t parsed[16];
	bool dashes = strlen(text) == 36;

	for (size_t i = 0; i < 16; i++) {
		char pair[3];

		if (dashes && dash_before(i) && *text++ != '-')
			return -EINVAL;
		pair[0] = text[0];
		pair[1] = text[0] ? text[1] : '\0';
		pair[2] = '\0';
		if (fr_unhex(parsed + i, 1, pair) < 0)
			return -EINVAL;
		text += 2;
	}
	if (*text)
		return -EINVAL;
	memcpy(uuid, parsed, 16);
	return 0;
}
