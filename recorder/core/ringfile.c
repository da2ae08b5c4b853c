/* SPDX-License-Identifier: MIT */
/* ringfile.c - see ringfile.h. */
#include "recorder/core/ringfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/paths.h"
#include "recorder/core/testpoint.h"

int fr_ringfile_create(const char *dir, mode_t mode, const struct fr_geometry *geometry, const struct fr_identity *identity,
		       char ret_name[FR_RING_NAME_MAX])
{
	static const uint8_t no_id[16];
	struct fr_identity named = *identity;
	char temporary[FR_RING_NAME_MAX], name[FR_RING_NAME_MAX], hex[33];
	int dir_fd, fd = -1, r;

	if (!memcmp(named.ring_id, no_id, 16) && getrandom(named.ring_id, 16, 0) != 16)
		return -errno;
	fr_hex(hex, named.ring_id, 16);
	snprintf(temporary, sizeof(temporary), ".%u-%s.new", named.pid, hex);
	snprintf(name, sizeof(name), "%u-%s" FR_RING_SUFFIX, named.pid, hex);

	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	fd = openat(dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	FR_TESTPOINT("ringfile-opened");
	(void)fchmod(fd, mode); /* what the umask took; if refused, the file is only more private */
	r = fr_ring_create(fd, geometry, &named);
	FR_TESTPOINT("ringfile-written");
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir_fd, temporary, 0);
		goto out;
	}
	/* a ring that is to outlive the kernel needs a name that does: without this, a panic leaves the temporary one */
	if (fr_ring_on_dax(fd) && fsync(dir_fd) < 0) {
		r = -errno;
		unlinkat(dir_fd, name, 0);
		goto out;
	}
	FR_TESTPOINT("ringfile-named");
	memcpy(ret_name, name, sizeof(name));
out:
	close(dir_fd);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int fr_ringfile_sync_names(const char *path)
{
	char folder[FR_PATH_MAX], *slash;
	int r = -ENOENT;

	if (strlen(path) >= sizeof(folder))
		return -ENAMETOOLONG;
	strcpy(folder, path);
	for (bool first = true; (slash = strrchr(folder, '/')) && slash != folder; first = false) {
		int error;

		*slash = '\0';
		error = fr_path_sync(folder);
		if (first)
			r = error;
	}
	return r;
}
