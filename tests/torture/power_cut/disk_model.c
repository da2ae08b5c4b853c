/* SPDX-License-Identifier: MIT */
/* disk_model.c - from a directory and a journal to what a power cut may leave; disk.h says what that is. */
#include "tests/torture/power_cut/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME 512

#define REQUIRE(what, ...)                                     \
	do {                                                   \
		if (!(what)) {                                 \
			fprintf(stderr, "disk: " __VA_ARGS__); \
			fputc('\n', stderr);                   \
			exit(1);                               \
		}                                              \
	} while (0)

/* A file or a directory. A number of an inode is used again for another one, so it is no identity. */
struct node {
	bool is_dir;
	mode_t mode;
	unsigned char *base; /* what it held when the journal began */
	size_t base_size;
	uint64_t mtime_ns;
	char name[NAME]; /* that it had first */
	char now[NAME];	 /* has, where the journal has been read up to */
};

struct step {
	struct disk_entry entry;
	char name[NAME], target[NAME];
	const unsigned char *data;
	size_t node; /* that the entry is about */
};

struct disk {
	struct node *node;
	size_t nodes, base_nodes;
	struct {
		uint64_t inode;
		size_t node;
	} *inode; /* the newest meaning of a number comes last */
	size_t inodes;
	struct step *step;
	size_t steps;
	unsigned char *journal;
};

static void *grow(void *array, size_t count, size_t size)
{
	if (!(count & (count - 1))) {
		array = realloc(array, (count ? 2 * count : 1) * size);
		REQUIRE(array, "no memory");
	}
	return array;
}

static unsigned char *read_all(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char *bytes;
	struct stat st;

	REQUIRE(fd >= 0 && fstat(fd, &st) == 0, "%s: %s", path, strerror(errno));
	bytes = malloc((size_t)st.st_size + 1);
	REQUIRE(bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size, "%s: %s", path, strerror(errno));
	close(fd);
	*ret_size = (size_t)st.st_size;
	return bytes;
}

static size_t add_node(struct disk *disk, uint64_t inode, bool is_dir, const char *name)
{
	disk->node = grow(disk->node, disk->nodes, sizeof(*disk->node));
	disk->node[disk->nodes] = (struct node){ .is_dir = is_dir, .mode = is_dir ? 0755 : 0644 };
	snprintf(disk->node[disk->nodes].name, NAME, "%s", name);
	snprintf(disk->node[disk->nodes].now, NAME, "%s", name);
	disk->inode = grow(disk->inode, disk->inodes, sizeof(*disk->inode));
	disk->inode[disk->inodes].inode = inode;
	disk->inode[disk->inodes++].node = disk->nodes;
	return disk->nodes++;
}

static void scan(struct disk *disk, const char *root, const char *below)
{
	char path[2 * NAME], name[2 * NAME];
	struct dirent *entry;
	struct stat st;
	size_t node;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", root, below);
	REQUIRE(lstat(path, &st) == 0, "%s: %s", path, strerror(errno));
	node = add_node(disk, st.st_ino, S_ISDIR(st.st_mode), below);
	disk->node[node].mode = st.st_mode & 0777;
	disk->node[node].mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	if (!S_ISDIR(st.st_mode)) {
		disk->node[node].base = read_all(path, &disk->node[node].base_size);
		return;
	}
	dir = opendir(path);
	REQUIRE(dir, "%s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(name, sizeof(name), "%s%s%.250s", below, *below ? "/" : "", entry->d_name);
		scan(disk, root, name);
	}
	closedir(dir);
}

struct disk *disk_load(const char *root)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	REQUIRE(disk, "no memory");
	scan(disk, root, "");
	disk->base_nodes = disk->nodes;
	return disk;
}

static size_t node_of(const struct disk *disk, uint64_t inode)
{
	for (size_t i = disk->inodes; i-- > 0;)
		if (disk->inode[i].inode == inode)
			return disk->inode[i].node;
	REQUIRE(false, "inode %llu came from nowhere", (unsigned long long)inode);
	return 0;
}

static void add_step(struct disk *disk, const unsigned char *at)
{
	struct step *step;

	disk->step = grow(disk->step, disk->steps, sizeof(*disk->step));
	step = &disk->step[disk->steps++];
	memset(step, 0, sizeof(*step));
	memcpy(&step->entry, at, sizeof(step->entry));
	at += sizeof(step->entry);
	REQUIRE(step->entry.name_size < NAME && step->entry.target_size < NAME, "a name is too long");
	memcpy(step->name, at, step->entry.name_size);
	memcpy(step->target, at + step->entry.name_size, step->entry.target_size);
	step->data = at + step->entry.name_size + step->entry.target_size;
	REQUIRE(step->entry.op != DISK_UNSEEN, "%s was changed by %s, which the log can't follow",
		step->name, step->target);
	if (step->entry.op == DISK_CREATE || step->entry.op == DISK_MKDIR || step->entry.op == DISK_PUT)
		step->node = add_node(disk, step->entry.inode, step->entry.op == DISK_MKDIR, step->name);
	else
		step->node = node_of(disk, step->entry.inode);
	if (step->entry.op == DISK_RENAME)
		strcpy(disk->node[step->node].now, step->target);
	if (!*step->name)
		strcpy(step->name, disk->node[step->node].now);
}

void disk_follow(struct disk *disk, const char *journal)
{
	size_t size, at = 0;

	disk->journal = read_all(journal, &size);
	while (at < size) {
		struct disk_entry entry;

		REQUIRE(size - at >= sizeof(entry), "the journal ends in an entry");
		memcpy(&entry, disk->journal + at, sizeof(entry));
		add_step(disk, disk->journal + at);
		at += sizeof(entry) + entry.name_size + entry.target_size + entry.data_size;
	}
	REQUIRE(at == size, "the journal ends in an entry");
}

void disk_free(struct disk *disk)
{
	for (size_t i = 0; disk && i < disk->nodes; i++)
		free(disk->node[i].base);
	if (disk) {
		free(disk->node);
		free(disk->inode);
		free(disk->step);
		free(disk->journal);
	}
	free(disk);
}

size_t disk_entries(const struct disk *disk)
{
	return disk->steps;
}

void disk_step(const struct disk *disk, size_t n, struct disk_step *ret_step)
{
	const struct step *step = &disk->step[n];

	*ret_step = (struct disk_step){ (enum disk_op)step->entry.op, step->name, step->target, step->data, step->entry.offset,
					step->entry.data_size };
}

size_t *disk_cuts(const struct disk *disk, size_t *ret_count)
{
	size_t *cuts = calloc(disk->steps + 1, sizeof(*cuts)), count = 0;

	REQUIRE(cuts, "no memory");
	for (size_t i = 0; i <= disk->steps; i++) {
		const struct step *last = i ? &disk->step[i - 1] : NULL,
				  *next = i < disk->steps ? &disk->step[i] : NULL;

		if (last && next && last->entry.op == DISK_WRITE && next->entry.op == DISK_WRITE &&
		    last->node == next->node)
			continue;
		cuts[count++] = i;
	}
	*ret_count = count;
	return cuts;
}

/* ------------------------------------------------------------------ choices */

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

struct image {
	const struct disk *disk;
	size_t cut;
	enum disk_names names;
	enum disk_data data;
	uint64_t seed;
	size_t *at; /* by name, in `name`: the node */
	char (*name)[NAME];
	size_t count;
};

/* ------------------------------------------------------------------ names */

static bool changes_names(const struct step *step)
{
	return step->entry.op == DISK_CREATE || step->entry.op == DISK_MKDIR || step->entry.op == DISK_LINK ||
	       step->entry.op == DISK_UNLINK || step->entry.op == DISK_RENAME || step->entry.op == DISK_PUT;
}

static bool lies_in(const char *name, const char *dir)
{
	const char *slash = strrchr(name, '/');
	size_t size = slash ? (size_t)(slash - name) : 0;

	return *name && strlen(dir) == size && !strncmp(name, dir, size);
}

static void set_name(struct image *image, const char *name, size_t node)
{
	size_t i = 0;

	while (i < image->count && strcmp(image->name[i], name))
		i++;
	if (i == image->count) {
		image->name = grow(image->name, image->count, sizeof(*image->name));
		image->at = grow(image->at, image->count, sizeof(*image->at));
		strcpy(image->name[image->count++], name);
	}
	image->at[i] = node;
}

static void drop_name(struct image *image, const char *name, size_t node)
{
	for (size_t i = 0; i < image->count; i++) {
		if (strcmp(image->name[i], name) || image->at[i] != node)
			continue;
		image->count--;
		if (i != image->count) {
			strcpy(image->name[i], image->name[image->count]);
			image->at[i] = image->at[image->count];
		}
		return;
	}
}

/* Each is about one inode, so that what was kept of the rest does not change what it means. */
static void apply_name(struct image *image, const struct step *step)
{
	if (step->entry.op == DISK_UNLINK || step->entry.op == DISK_RENAME)
		drop_name(image, step->name, step->node);
	if (step->entry.op != DISK_UNLINK)
		set_name(image, step->entry.op == DISK_RENAME ? step->target : step->name, step->node);
}

static bool keeps_name(const struct image *image, size_t pending, size_t n)
{
	switch (image->names) {
	case DISK_NAMES_NONE:
		return false;
	case DISK_NAMES_ORDERED:
		return n < mix(image->seed, 1) % (pending + 1);
	case DISK_NAMES_ANY:
		return mix(image->seed, 100 + n) & 1;
	case DISK_NAMES_NEWEST:
		return n + 1 == pending;
	case DISK_NAMES_BUT_ONE:
		return n != mix(image->seed, 2) % pending;
	default:
		return true;
	}
}

static void choose_names(struct image *image)
{
	const struct disk *disk = image->disk;
	size_t *pending = calloc(image->cut + 1, sizeof(*pending)), count = 0;

	REQUIRE(pending, "no memory");
	for (size_t i = 0; i < disk->base_nodes; i++)
		set_name(image, disk->node[i].name, i);
	for (size_t i = 0; i < image->cut; i++) {
		const struct step *step = &disk->step[i];
		size_t left = 0;

		if (step->entry.op == DISK_PUT)
			apply_name(image, step);
		else if (changes_names(step))
			pending[count++] = i;
		if (step->entry.op != DISK_SYNC || !disk->node[step->node].is_dir)
			continue;
		for (size_t k = 0; k < count; k++) {
			const struct step *change = &disk->step[pending[k]];

			if (lies_in(change->name, step->name) || lies_in(change->target, step->name))
				apply_name(image, change);
			else
				pending[left++] = pending[k];
		}
		count = left;
	}
	for (size_t k = 0; k < count; k++)
		if (keeps_name(image, count, k))
			apply_name(image, &disk->step[pending[k]]);
	free(pending);
}

/* ------------------------------------------------------------------ data */

struct file {
	unsigned char *bytes;
	size_t size, room;
};

static void resize(struct file *file, size_t size)
{
	if (size > file->room) {
		file->room = 2 * size;
		file->bytes = realloc(file->bytes, file->room);
		REQUIRE(file->bytes, "no memory");
	}
	if (size > file->size)
		memset(file->bytes + file->size, 0, size - file->size);
	file->size = size;
}

static bool changes_data(const struct step *step)
{
	return step->entry.op == DISK_WRITE || step->entry.op == DISK_SIZE;
}

/* What the range from `from` to `to` of the file holds after the step, if the file is that long. */
static void apply_data(struct file *file, const struct step *step, size_t from, size_t to)
{
	size_t begin = step->entry.offset, end = begin + step->entry.data_size;

	if (step->entry.op == DISK_SIZE) {
		if (begin < to)
			memset(file->bytes + (begin > from ? begin : from), 0,
			       to - (begin > from ? begin : from));
		return;
	}
	if (begin < from)
		begin = from;
	if (end > to)
		end = to;
	if (begin < end)
		memcpy(file->bytes + begin, step->data + (begin - step->entry.offset), end - begin);
}

static size_t size_after(size_t size, const struct step *step)
{
	if (step->entry.op == DISK_SIZE)
		return step->entry.offset;
	return size > step->entry.offset + step->entry.data_size
		       ? size
		       : step->entry.offset + step->entry.data_size;
}

static void apply_whole(struct file *file, const struct step *step)
{
	resize(file, size_after(file->size, step));
	if (step->entry.op == DISK_WRITE)
		apply_data(file, step, 0, file->size);
}

/* How many of the pending changes the size has seen; and those that a grain has. */
static size_t instant_of_size(const struct image *image, size_t node, size_t pending)
{
	switch (image->data) {
	case DISK_DATA_NONE:
		return 0;
	case DISK_DATA_ORDERED:
		return mix(image->seed, node) % (pending + 1);
	case DISK_DATA_SECTORS:
	case DISK_DATA_PAGES:
	case DISK_DATA_STALE:
		return mix(image->seed, node * 31 + 7) % 3
			       ? pending
			       : mix(image->seed, node * 31 + 8) % (pending + 1);
	default:
		return pending;
	}
}

static size_t instant_of_grain(const struct image *image, size_t node, size_t pending, size_t grain)
{
	uint64_t chance = mix(mix(image->seed, node), grain);

	switch (image->data) {
	case DISK_DATA_SECTORS:
	case DISK_DATA_PAGES:
	case DISK_DATA_STALE:
		return chance % 4 == 0 ? 0 : chance % 4 == 1 ? (chance >> 8) % (pending + 1) : pending;
	case DISK_DATA_SIZE_ONLY:
		return 0;
	default:
		return instant_of_size(image, node, pending);
	}
}

/* The newest alone: sectors that the last change touched have seen all, the others none. */
static bool touches(const struct step *step, size_t from, size_t to)
{
	return step->entry.op == DISK_WRITE && step->entry.offset < to &&
	       step->entry.offset + step->entry.data_size > from;
}

static void apply_pending(const struct image *image, size_t node, struct file *file,
			  const size_t *pending, size_t count)
{
	const struct step *step = image->disk->step;
	size_t durable = file->size, most = durable, size = durable,
	       grain = image->data == DISK_DATA_PAGES ? 4096 : 512, sees;

	sees = instant_of_size(image, node, count);
	for (size_t i = 0, now = durable; i < count; i++) {
		now = size_after(now, &step[pending[i]]);
		if (now > most)
			most = now;
		if (i + 1 == sees)
			size = now;
	}
	resize(file, most);
	if (image->data == DISK_DATA_STALE)
		for (size_t i = durable; i < most; i++)
			file->bytes[i] = (unsigned char)(0xa5 ^ i >> 9);
	for (size_t from = 0; from < most; from += grain) {
		size_t to = from + grain < most ? from + grain : most;
		size_t until = instant_of_grain(image, node, count, from / grain);

		if (image->data == DISK_DATA_NEWEST)
			until = touches(&step[pending[count - 1]], from, to) ? count : 0;
		for (size_t i = 0; i < until; i++)
			if (step[pending[i]].entry.op == DISK_SIZE || touches(&step[pending[i]], from, to))
				apply_data(file, &step[pending[i]], from, to);
	}
	file->size = size;
}

static void choose_data(const struct image *image, size_t node, struct file *file, uint64_t *ret_mtime_ns)
{
	const struct disk *disk = image->disk;
	size_t *pending = calloc(image->cut + 1, sizeof(*pending)), count = 0;

	REQUIRE(pending, "no memory");
	*ret_mtime_ns = disk->node[node].mtime_ns;
	resize(file, disk->node[node].base_size);
	if (file->size)
		memcpy(file->bytes, disk->node[node].base, file->size);
	for (size_t i = 0; i < image->cut; i++) {
		const struct step *step = &disk->step[i];

		if (step->node != node)
			continue;
		if (changes_data(step)) {
			pending[count++] = i;
			*ret_mtime_ns = step->entry.mtime_ns;
		} else if (step->entry.op == DISK_PUT) {
			resize(file, step->entry.data_size);
			memcpy(file->bytes, step->data, file->size);
			*ret_mtime_ns = step->entry.mtime_ns;
		} else if (step->entry.op == DISK_SYNC) {
			for (size_t k = 0; k < count; k++)
				apply_whole(file, &disk->step[pending[k]]);
			count = 0;
		}
	}
	if (count)
		apply_pending(image, node, file, pending, count);
	free(pending);
}

/* ------------------------------------------------------------------ making it */

static void put_file(const struct image *image, size_t node, const char *path)
{
	struct timespec times[2];
	struct file file = { 0 };
	uint64_t mtime_ns;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0, "%s: %s", path, strerror(errno));
	choose_data(image, node, &file, &mtime_ns);
	REQUIRE(write(fd, file.bytes, file.size) == (ssize_t)file.size, "%s: %s", path, strerror(errno));
	times[0] = times[1] = (struct timespec) { (time_t)(mtime_ns / 1000000000u),
						  (long)(mtime_ns % 1000000000u) };
	fchmod(fd, image->disk->node[node].mode);
	futimens(fd, times);
	close(fd);
	free(file.bytes);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

void disk_image(const struct disk *disk, size_t cut, enum disk_names names, enum disk_data data,
		uint64_t seed, const char *target)
{
	struct image image = { .disk = disk, .cut = cut, .names = names, .data = data, .seed = seed };
	bool more = true;

	choose_names(&image);
	while (more) { /* directories, from above; what lies in one that is not there is not there */
		more = false;
		for (size_t i = 0; i < image.count; i++) {
			char path[3 * NAME], *slash;

			snprintf(path, sizeof(path), "%s%s%s", target, *image.name[i] ? "/" : "",
				 image.name[i]);
			if (!disk->node[image.at[i]].is_dir || is_there(path))
				continue;
			slash = strrchr(path, '/');
			*slash = '\0';
			if (!is_there(path))
				continue;
			*slash = '/';
			REQUIRE(mkdir(path, disk->node[image.at[i]].mode) == 0, "%s: %s", path,
				strerror(errno));
			more = true;
		}
	}
	for (size_t i = 0; i < image.count; i++) {
		char path[3 * NAME], *slash;
		bool above;

		snprintf(path, sizeof(path), "%s/%s", target, image.name[i]);
		slash = strrchr(path, '/');
		*slash = '\0';
		above = is_there(path);
		*slash = '/';
		if (!disk->node[image.at[i]].is_dir && above)
			put_file(&image, image.at[i], path);
	}
	free(image.name);
	free(image.at);
}
