/* SPDX-License-Identifier: MIT */
/*
 * image.c - opening, closing and looking at an image: see image.h.
 *
 * The file is copied by pread (I18), the meta first, then lane by lane: head, data, head again (scan.c says why twice). What
 * was copied is judged; the file is not asked again.
 */
#include "recorder/core/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/core/image_private.h"
#include "recorder/core/ring.h"

/* A segment holds no more than a ring and its accompaniment. */
#define FILE_MAX ((uint64_t)FRM_RING_MAX + (64u << 20))

int fr_source_fetch(const struct fr_source *source, void *to, uint64_t size, uint64_t at)
{
	unsigned char *p = to;

	if (source->fd < 0) {
		uint64_t have = at < source->size ? source->size - at : 0;

		if (have > size)
			have = size;
		if (have)
			memcpy(p, source->bytes + at, have);
		memset(p + have, 0, size - have);
		return 0;
	}
	while (size) {
		ssize_t n = pread(source->fd, p, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		p += n;
		at += (uint64_t)n;
		size -= (uint64_t)n;
	}
	memset(p, 0, size);
	return 0;
}

struct arena {
	struct arena *next;
	_Alignas(16) unsigned char bytes[];
};

void *fr_image_alloc(struct fr_image *image, size_t size)
{
	struct arena *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->next = image->arena;
	image->arena = chunk;
	return chunk->bytes;
}

/* Doubles an array that is full. */
static int grow(void **array, size_t count, size_t *room, size_t element)
{
	size_t wanted = *room ? 2 * *room : 256;
	void *larger;

	if (count < *room)
		return 0;
	larger = reallocarray(*array, wanted, element);
	if (!larger)
		return -ENOMEM;
	*array = larger;
	*room = wanted;
	return 0;
}

int fr_image_add_record(struct fr_image *image, const unsigned char *at, uint32_t lane)
{
	const struct frm_record *head = (const struct frm_record *)at;
	uint32_t size = head->size_flags & FRM_RECORD_SIZE_MASK;
	int r = grow((void **)&image->records, image->record_count, &image->record_room, sizeof(*image->records));

	if (r < 0)
		return r;
	image->records[image->record_count++] = (struct fr_record){
		.head = head,
		.payload = at + sizeof(*head),
		.payload_size = size - (uint32_t)sizeof(*head),
		.lane = lane,
		.pos = head->pos,
		.seq = head->seq_session & FRM_SEQ_MASK,
		.time_ns = head->time_ns,
		.event = head->event,
		.cpu = head->cpu,
		.session = (uint16_t)(head->seq_session >> FRM_SESSION_SHIFT),
		.flags = (uint16_t)(head->size_flags >> 24),
		.tid = head->tid,
	};
	return 0;
}

int fr_image_add_loss(struct fr_image *image, const struct fr_loss *loss)
{
	int r = grow((void **)&image->losses, image->loss_count, &image->loss_room, sizeof(*image->losses));

	if (r == 0)
		image->losses[image->loss_count++] = *loss;
	return r;
}

/* The owners of a lane whose entry holds in the head or in the tail, oldest first. */
static void settle_owners(const struct fr_image *image, struct fr_lane_info *info, const struct frm_lane *head,
			  const struct frm_lane *tail)
{
	size_t count = 0;

	for (size_t i = 0; i < FRM_OWNERS_MAX; i++) {
		const struct frm_owner *owner = &head->owner[i];
		size_t at = count;

		if (!owner->tid || !fr_owner_ok(owner, image->super.ring_id))
			owner = &tail->owner[i];
		if (!owner->tid || !fr_owner_ok(owner, image->super.ring_id))
			continue;
		for (; at > 0 && info->owner[at - 1].from_pos > owner->from_pos; at--)
			info->owner[at] = info->owner[at - 1];
		info->owner[at] = *owner;
		info->owner[at].name[sizeof(owner->name) - 1] = '\0';
		count++;
	}
}

static int read_lane(struct fr_image *image, const struct fr_source *source, uint32_t lane,
		     unsigned char *data)
{
	struct lane_view *view = &image->lanes[lane];
	uint64_t at = fr_super_lane_offset(&image->super, lane), size = fr_super_lane_data(&image->super);
	struct frm_lane head, tail, after;
	struct lane_bytes bytes = { .data = data, .size = size, .lane = lane };
	int r = fr_source_fetch(source, &head, sizeof(head), at);

	if (r == 0 && source->size > at + FRM_LANE_HEAD) { /* a file that was cut short costs no memory: data is zero already */
		bytes.have = source->size - at - FRM_LANE_HEAD;
		if (bytes.have > size)
			bytes.have = size;
		r = fr_source_fetch(source, data, bytes.have, at + FRM_LANE_HEAD);
	}
	if (r == 0)
		r = fr_source_fetch(source, &tail, sizeof(tail), at + FRM_LANE_HEAD + size);
	if (r == 0)
		r = fr_source_fetch(source, &after, sizeof(after), at);
	if (r < 0)
		return r;
	view->info.readable = true;
	view->info.data_size = size;
	bytes.hints = fr_lane_head_ok(&head, &image->super, lane);
	view->info.head_damaged = !bytes.hints || !fr_lane_head_ok(&tail, &image->super, lane);
	bytes.next_pos = head.next_pos;
	bytes.next_seq = head.next_seq;
	bytes.next_pos_after = after.next_pos;
	view->info.discarded = fr_image_settle(head.discarded, tail.discarded);
	settle_owners(image, &view->info, &head, &tail);
	return fr_scan_lane(image, &bytes);
}

static int add_counter(struct fr_image *image, uint32_t lane, enum frm_loss cause, uint64_t count)
{
	struct fr_loss loss = { .lane = lane, .cause = cause, .count = count };

	return count ? fr_image_add_loss(image, &loss) : 0;
}

static int read_ring(struct fr_image *image, const struct fr_source *source)
{
	const struct frm_super *super = &image->super;
	uint64_t data_size = fr_super_lane_data(super);
	bool whole;
	int r = 0;

	/* zeros, where the file has less: zeros that nobody touches cost nothing */
	whole = source->size >= fr_super_lane_offset(super, super->lane_count);
	image->bytes = whole ? malloc(super->lane_count * data_size) : calloc(super->lane_count, data_size);
	if (!image->bytes)
		return -ENOMEM;
	for (uint32_t lane = 0; lane < super->lane_count && r == 0; lane++) {
		r = read_lane(image, source, lane, image->bytes + lane * data_size);
		if (r == 0)
			r = add_counter(image, lane, FRM_LOSS_DISCARDED_FULL, image->lanes[lane].info.discarded);
	}
	for (unsigned cause = 0; cause < FRM_LOSS_COUNT && r == 0; cause++)
		r = add_counter(image, FRM_LANE_NONE, cause, image->state.loss[cause]);
	return r;
}

static int by_tid(const void *a, const void *b)
{
	const struct owner_ref *x = a, *y = b;

	return x->tid != y->tid ? (x->tid < y->tid ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

/* Owners by thread: whoever asks for the name of a thread that borrowed a lane asks for each record. */
static int list_owners(struct fr_image *image)
{
	image->owners = fr_image_alloc(image, (size_t)image->super.lane_count * FRM_OWNERS_MAX * sizeof(*image->owners));
	if (!image->owners)
		return -ENOMEM;
	for (uint32_t lane = 0; lane < image->super.lane_count; lane++)
		for (uint32_t i = FRM_OWNERS_MAX; i-- > 0;) {
			const struct frm_owner *owner = &image->lanes[lane].info.owner[i];

			if (owner->tid)
				image->owners[image->owner_count++] = (struct owner_ref){
					.tid = owner->tid, .at = lane * FRM_OWNERS_MAX + FRM_OWNERS_MAX - 1 - i, .name = owner->name
				};
		}
	qsort(image->owners, image->owner_count, sizeof(*image->owners), by_tid);
	return 0;
}

/* By lane: a segment that is not ours may hold its lanes in any order. */
static int list_events(struct fr_image *image)
{
	image->events = malloc((image->record_count + 1) * sizeof(*image->events));
	if (!image->events)
		return -ENOMEM;
	for (uint32_t lane = 0; lane < image->super.lane_count; lane++) {
		const struct lane_view *view = &image->lanes[lane];

		for (size_t i = view->first; i < view->first + view->count; i++)
			if (!(image->records[i].flags & (FRM_RECORD_DISCARDED | FRM_RECORD_TORN) >> 24))
				image->events[image->event_count++] = (uint32_t)i;
	}
	return 0;
}

/*
 * The superblock's copies: A at 0; B where A says, or, when A is gone, on the first page where one
 * is found, or where the lanes leave room for it.
 */
static int find_meta(const struct fr_source *source, struct frm_super *rebuilt, uint64_t *ret_meta_size)
{
	struct frm_super a, b;
	uint64_t meta_size = 0;
	int r, checked;

	if (source->super) {
		*ret_meta_size = source->super->meta_size;
		return 0;
	}
	r = fr_source_fetch(source, &a, sizeof(a), 0);
	if (r < 0)
		return r;
	checked = fr_super_check(&a);
	if (checked == 0)
		meta_size = a.meta_size;
	for (uint64_t at = FRM_META_MIN; !meta_size && at <= FRM_META_MAX; at += FRM_PAGE) {
		r = fr_source_fetch(source, &b, sizeof(b), at);
		if (r < 0)
			return r;
		if (fr_super_check(&b) == 0 && b.meta_size == at)
			meta_size = at;
	}
	if (!meta_size) {
		r = fr_image_rebuild_super(source, rebuilt);
		if (r < 0) /* a newer version's B and lanes need not lie where ours would; a damaged A's do */
			return r == -EBADMSG ? checked : r;
		meta_size = rebuilt->meta_size;
	}
	*ret_meta_size = meta_size;
	return 0;
}

/* What is known takes the place of what is there. Returns which copies were not as they should be. */
static unsigned put_super(const struct frm_super *super, unsigned char *copies)
{
	unsigned damage = 0;

	for (unsigned copy = 0; copy < 2; copy++) {
		unsigned char *at = copies + (size_t)copy * super->meta_size;

		damage |= memcmp(at, super, sizeof(*super)) ? 1u << copy : 0;
		memcpy(at, super, sizeof(*super));
	}
	return damage;
}

static int read_meta(struct fr_image *image, const struct fr_source *source)
{
	struct frm_super rebuilt = { 0 };
	unsigned char *copies = NULL;
	unsigned damage = 0;
	uint64_t meta_size = 0;
	int r = find_meta(source, &rebuilt, &meta_size);

	if (r < 0)
		return r;
	copies = malloc(2 * meta_size);
	if (!copies)
		return -ENOMEM;
	r = fr_source_fetch(source, copies, 2 * meta_size, 0);
	if (r == 0 && source->super)
		damage = put_super(source->super, copies);
	if (r == 0)
		r = fr_image_merge_meta(image, copies, copies + meta_size, &rebuilt);
	image->meta_damage |= damage;
	free(copies);
	return r;
}

static int open_source(const struct fr_source *source, unsigned flags, struct fr_image **ret_image)
{
	struct fr_image *image;
	frm_le64 magic = 0;
	int r;

	if (source->size > FILE_MAX && !source->super)
		return -EFBIG;
	r = fr_source_fetch(source, &magic, sizeof(magic), 0);
	if (r < 0)
		return r;
	image = calloc(1, sizeof(*image));
	if (!image)
		return -ENOMEM;
	image->flags = flags;
	if (magic == FRM_MAGIC_SEGMENT && !source->super) {
		image->type = FR_IMAGE_SEGMENT;
		image->bytes = malloc(source->size + 8);
		r = image->bytes ? fr_source_fetch(source, image->bytes, source->size, 0) : -ENOMEM;
		if (r == 0)
			r = fr_image_read_segment(image, source->size);
	} else {
		image->type = FR_IMAGE_RING;
		r = read_meta(image, source);
		if (r == 0)
			r = read_ring(image, source);
	}
	if (r == 0)
		r = list_owners(image);
	if (r == 0)
		r = list_events(image);
	if (r < 0) {
		fr_image_close(image);
		return r;
	}
	*ret_image = image;
	return 0;
}

int fr_image_open_known(int fd, unsigned flags, const struct frm_super *super, struct fr_image **ret_image)
{
	struct fr_source source = { .fd = fd, .super = super };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EBADMSG;
	source.size = (uint64_t)st.st_size;
	return open_source(&source, flags, ret_image);
}

int fr_image_open(int fd, unsigned flags, struct fr_image **ret_image)
{
	return fr_image_open_known(fd, flags, NULL, ret_image);
}

int fr_image_open_path(const char *path, unsigned flags, struct fr_image **ret_image)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

	if (fd < 0)
		return -errno;
	r = fr_image_open(fd, flags, ret_image);
	close(fd);
	return r;
}

int fr_image_from_memory(const void *bytes, size_t size, unsigned flags, struct fr_image **ret_image)
{
	struct fr_source source = { .fd = -1, .bytes = bytes, .size = size };

	return open_source(&source, flags, ret_image);
}

void fr_image_close(struct fr_image *image)
{
	if (!image)
		return;
	while (image->arena) {
		struct arena *next = image->arena->next;

		free(image->arena);
		image->arena = next;
	}
	free(image->bytes);
	free(image->records);
	free(image->events);
	free(image->timeline);
	free(image->losses);
	free(image);
}

const char *fr_image_strerror(int error)
{
	switch (error) {
	case -EBADMSG:
		return "not a ring or segment of flightrec, or damaged beyond its superblocks";
	case -ENODATA:
		return "a segment without its seal: whoever wrote it was interrupted; run `flightrec recover` again";
	case -EPROTONOSUPPORT:
		return "written by a newer flightrec; read it with that version or a later one";
	case -EFBIG:
		return "larger than any ring or segment can be";
	case -ENOMEM:
		return "not enough memory to read it";
	default:
		return strerror(-error);
	}
}
