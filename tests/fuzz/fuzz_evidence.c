/* SPDX-License-Identifier: MIT */
/*
 * fuzz_evidence.c - property: whatever a log of acknowledgements or of retention holds, what is
 * read of it lies within bounds; what is appended afterwards is read, once and last, by who begins
 * at the start and by who had read to its end.
 *
 * The input is u8 mode, then the log. With an odd mode each of its lines gets a checksum that holds.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/crc.h"
#include "schemas/fr_format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch.h"
#include "uploader/evidence.h"

#define LOG_FILE "fuzz.log"

struct read {
	size_t count;
	struct fr_index_range last[2];
};

static int take(void *ctx, const char *word, const struct fr_index_range *range, uint64_t unix_time)
{
	struct read *read = ctx;

	(void)unix_time;
	HOLDS(*word && strlen(word) <= 64 && !strpbrk(word, " \n"));
	HOLDS(range->lane < FRM_LANES_MAX || range->lane == FRM_LANE_NONE);
	HOLDS(range->first <= range->last && range->last <= FRM_SEQ_MASK && range->count &&
	      range->count <= range->last - range->first + 1);
	read->count++;
	read->last[0] = read->last[1];
	read->last[1] = *range;
	return 0;
}

static void put_log(struct input *input, int fd, bool sign)
{
	while (sign && input->left) {
		char *line = take_line(input);

		HOLDS(dprintf(fd, "%s %08" PRIx32 "\n", line, fr_crc32c(0, line, strlen(line))) > 0);
		free(line);
	}
	HOLDS(write(fd, input->at, input->left) == (ssize_t)input->left);
}

static size_t read_from(uint64_t from, struct read *read, uint64_t *ret_to)
{
	*read = (struct read){ 0 };
	HOLDS(fr_evidence_read(scratch_folder(), LOG_FILE, from, take, read, ret_to) == 0);
	return read->count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct fr_index_range range[2] = { { .lane = 1, .first = 5, .last = 9, .count = 5 },
							{ .lane = 2, .first = 7, .last = 7, .count = 1 } };
	struct input input = { bytes, size };
	bool sign = take_number(&input, 1) & 1;
	struct read read;
	uint64_t to, end;
	size_t before;
	int dir = open(scratch_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	HOLDS(dir >= 0);
	fd = openat(dir, LOG_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	HOLDS(fd >= 0);
	put_log(&input, fd, sign);
	close(fd);
	close(dir);
	before = read_from(0, &read, &to);
	HOLDS(fr_evidence_append(scratch_folder(), LOG_FILE, "sent", range, 2) == 0);
	for (int whole = 0; whole < 2; whole++) {
		size_t count = read_from(whole ? 0 : to, &read, &end);

		HOLDS(count >= 2 && (!whole || count >= before + 2));
		for (int i = 0; i < 2; i++)
			HOLDS(read.last[i].lane == range[i].lane &&
			      read.last[i].first == range[i].first &&
			      read.last[i].last == range[i].last);
	}
	return 0;
}
