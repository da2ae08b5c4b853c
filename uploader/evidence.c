/* SPDX-License-Identifier: MIT */
/* evidence.c - see evidence.h. */
#include "uploader/evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "recorder/core/host.h"
#include "recorder/core/paths.h"
#include "recorder/core/write.h"

#define LINE_MAX_BYTES 512
#define LOCK_WAIT_MS   10000 /* while it is shortened: a second on a slow disk */

static int path_of(char *buf, size_t size, const char *state_dir, const char *file)
{
	return snprintf(buf, size, "%s/%s", state_dir, file) < (int)size ? 0 : -ENAMETOOLONG;
}

/* True when the file does not end with a line feed: an append was cut short. */
static bool ends_in_a_line(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last;

	return size <= 0 || (pread(fd, &last, 1, size - 1) == 1 && last == '\n');
}

void fr_evidence_put(FILE *stream, const char *word, const struct fr_index_range *range,
		     uint64_t unix_time)
{
	char line[LINE_MAX_BYTES], boot[33], ring[33];
	int length;

	fr_hex(boot, range->boot_id, 16);
	fr_hex(ring, range->ring_id, 16);
	length = snprintf(line, sizeof(line),
			  "%s %s %s %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, word,
			  boot, ring, range->lane, range->first, range->last, range->count,
			  unix_time);
	fprintf(stream, "%s %08" PRIx32 "\n", line, fr_crc32c(0, line, (size_t)length));
}

int fr_evidence_append(const char *state_dir, const char *file, const char *word, const struct fr_index_range *ranges,
		       size_t count)
{
	char path[FR_PATH_MAX];
	uint64_t generation = 0;
	bool fresh;
	char *text;
	size_t size;
	FILE *stream;
	int fd, r;

	if (!*word || strlen(word) > FR_EVIDENCE_WORD_MAX || strpbrk(word, " \n"))
		return -EINVAL;
	r = path_of(path, sizeof(path), state_dir, file);
	if (r < 0)
		return r;
	stream = open_memstream(&text, &size);
	if (!stream)
		return -ENOMEM;
	fd = fr_host_open_log(path, 0640, LOCK_WAIT_MS);
	if (fd < 0) {
		r = fd;
		goto out;
	}
	fresh = lseek(fd, 0, SEEK_END) == 0;
	if (fresh)
		(void)!fchmod(fd, fr_path_file_mode(state_dir));
	if (!ends_in_a_line(fd))
		fputc('\n', stream);
	for (size_t i = 0; i < count; i++)
		fr_evidence_put(stream, word, &ranges[i], (uint64_t)time(NULL));
	r = fflush(stream) == 0 ? 0 : -ENOMEM;
	if (!r)
		r = fr_evidence_generation(fd, &generation);
	if (!r)
		r = fr_write_all(fd, text, size);
	if (!r && fdatasync(fd) < 0)
		r = -errno;
	/* who shortened it may have been killed before the new file had its name for good */
	if (!r && (fresh || generation))
		r = fr_path_sync_parent(path);
	close(fd);
out:
	fclose(stream);
	free(text);
	return r;
}

/* Cuts the next word off. NULL when there is none. */
static char *next_word(char **at)
{
	char *word = strsep(at, " ");

	return word && *word ? word : NULL;
}

static bool number(char **at, uint64_t *ret)
{
	char *word = next_word(at), *end;

	if (!word || *word < '0' || *word > '9')
		return false;
	errno = 0;
	*ret = strtoull(word, &end, 10);
	return !*end && !errno;
}

static bool parse(char *line, const char **ret_word, struct fr_index_range *range, uint64_t *ret_time)
{
	char *crc_text = strrchr(line, ' '), *word, *at = line, *end;
	uint64_t lane;
	unsigned long crc;

	if (!crc_text || strlen(crc_text + 1) != 8)
		return false;
	crc = strtoul(crc_text + 1, &end, 16);
	if (*end || crc != fr_crc32c(0, line, (size_t)(crc_text - line)))
		return false;
	*crc_text = 0;
	*ret_word = next_word(&at);
	if (!*ret_word || strlen(*ret_word) > FR_EVIDENCE_WORD_MAX)
		return false;
	word = next_word(&at);
	if (!word || strlen(word) != 32 || fr_unhex(range->boot_id, 16, word) < 0)
		return false;
	word = next_word(&at);
	if (!word || strlen(word) != 32 || fr_unhex(range->ring_id, 16, word) < 0)
		return false;
	if (!number(&at, &lane) || !number(&at, &range->first) || !number(&at, &range->last) ||
	    !number(&at, &range->count) || !number(&at, ret_time) || at)
		return false;
	range->lane = (uint32_t)lane;
	return (lane < FRM_LANES_MAX || lane == FRM_LANE_NONE) && range->first <= range->last &&
	       range->last <= FRM_SEQ_MASK && range->count && range->count <= range->last - range->first + 1;
}

int fr_evidence_open(const char *state_dir, const char *file)
{
	char path[FR_PATH_MAX];
	int r = path_of(path, sizeof(path), state_dir, file), fd;

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int fr_evidence_generation(int fd, uint64_t *ret_generation)
{
	char text[LINE_MAX_BYTES], *end;
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
	struct fr_index_range range;
	const char *word;
	uint64_t time;

	if (size < 0)
		return -errno;
	text[size] = 0;
	end = strchr(text, '\n');
	if (end)
		*end = 0;
	if (end && parse(text, &word, &range, &time) && !strcmp(word, FR_EVIDENCE_COMPACTED))
		*ret_generation = range.first;
	else
		*ret_generation = 0;
	return 0;
}

int fr_evidence_read_fd(int fd, uint64_t from, fr_evidence_line line, void *data, uint64_t *ret_to)
{
	char text[LINE_MAX_BYTES];
	struct fr_index_range range;
	bool skipping = false;
	uint64_t to = from, time;
	const char *word;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), r = 0;
	FILE *stream = copy < 0 ? NULL : fdopen(copy, "r");

	if (!stream) {
		r = -errno;
		if (copy >= 0)
			close(copy);
		return r;
	}
	if (fseeko(stream, 0, SEEK_END) < 0 || (uint64_t)ftello(stream) < from)
		from = to = 0; /* not the file it was */
	if (fseeko(stream, (off_t)from, SEEK_SET) < 0)
		r = -errno;
	while (!r && fgets(text, sizeof(text), stream)) {
		/* a line may hold zeros: a power cut leaves some */
		size_t size = (size_t)((uint64_t)ftello(stream) - to);
		bool whole = text[size - 1] == '\n';

		if (!whole && feof(stream))
			break; /* being written, or cut short: what follows it begins a line */
		to += size;
		if (whole && !skipping && strlen(text) == size) {
			text[size - 1] = 0;
			if (parse(text, &word, &range, &time))
				r = line(data, word, &range, time);
		}
		skipping = !whole; /* the rest of an overlong line */
	}
	if (!r && ferror(stream))
		r = -EIO;
	fclose(stream);
	if (!r)
		*ret_to = to;
	return r;
}

int fr_evidence_read(const char *state_dir, const char *file, uint64_t from, fr_evidence_line line,
		     void *data, uint64_t *ret_to)
{
	int fd = fr_evidence_open(state_dir, file), r;

	if (fd == -ENOENT) {
		*ret_to = 0;
		return 0;
	}
	if (fd < 0)
		return fd;
	r = fr_evidence_read_fd(fd, from, line, data, ret_to);
	close(fd);
	return r;
}
