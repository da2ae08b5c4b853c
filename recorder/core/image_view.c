/* SPDX-License-Identifier: MIT */
/* image_view.c - the accessors of image.h, and the timeline across lanes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "recorder/core/image_private.h"

enum fr_image_type fr_image_type(const struct fr_image *image)
{
	return image->type;
}

const struct frm_super *fr_image_super(const struct fr_image *image)
{
	return &image->super;
}

const struct frm_state *fr_image_state(const struct fr_image *image)
{
	return &image->state;
}

const struct frm_segment *fr_image_segment(const struct fr_image *image)
{
	return image->type == FR_IMAGE_SEGMENT ? &image->segment : NULL;
}

const struct frm_meta *fr_image_meta(const struct fr_image *image)
{
	return image->meta;
}

unsigned fr_image_meta_damage(const struct fr_image *image)
{
	return image->meta_damage;
}

unsigned fr_image_chunk_damage(const struct fr_image *image)
{
	return image->chunks_damaged;
}

size_t fr_image_lane_count(const struct fr_image *image)
{
	return image->super.lane_count;
}

const struct fr_lane_info *fr_image_lane(const struct fr_image *image, size_t lane)
{
	return &image->lanes[lane].info;
}

size_t fr_image_record_count(const struct fr_image *image)
{
	return image->event_count;
}

const struct fr_record *fr_image_record(const struct fr_image *image, size_t i)
{
	return &image->records[image->events[i]];
}

const struct fr_record *fr_image_lane_records(const struct fr_image *image, size_t lane, size_t *ret_count)
{
	*ret_count = image->lanes[lane].count;
	return *ret_count ? image->records + image->lanes[lane].first : NULL;
}

size_t fr_image_loss_count(const struct fr_image *image)
{
	return image->loss_count;
}

const struct fr_loss *fr_image_loss(const struct fr_image *image, size_t i)
{
	return &image->losses[i];
}

size_t fr_image_provider_count(const struct fr_image *image)
{
	return image->provider_count;
}

const struct fr_provider *fr_image_provider(const struct fr_image *image, size_t i)
{
	return &image->providers[i];
}

const struct fr_provider *fr_image_provider_by_id(const struct fr_image *image, uint16_t id)
{
	for (size_t i = 0; i < image->provider_count; i++)
		if (image->providers[i].id == id)
			return &image->providers[i];
	return NULL;
}

size_t fr_image_event_desc_count(const struct fr_image *image)
{
	return image->desc_count;
}

const struct fr_event_desc *fr_image_event_desc(const struct fr_image *image, size_t i)
{
	return &image->descs[i];
}

const struct fr_event_desc *fr_image_event_desc_by_id(const struct fr_image *image, uint16_t id)
{
	return id < image->desc_ids && image->desc_by_id[id]
		       ? &image->descs[image->desc_by_id[id] - 1]
		       : NULL;
}

size_t fr_image_session_count(const struct fr_image *image)
{
	return image->session_count;
}

const struct frm_session *fr_image_session(const struct fr_image *image, size_t i)
{
	return &image->sessions[i];
}

const struct frm_session *fr_image_session_by_number(const struct fr_image *image, uint16_t number)
{
	for (size_t i = 0; number && i < image->session_count; i++)
		if (image->sessions[i].number == number)
			return &image->sessions[i];
	return NULL;
}

size_t fr_image_anchor_count(const struct fr_image *image)
{
	return image->anchor_count;
}

const struct frm_anchor *fr_image_anchor(const struct fr_image *image, size_t i)
{
	return &image->anchors[i];
}

size_t fr_image_module_count(const struct fr_image *image)
{
	return image->module_count;
}

const struct fr_module *fr_image_module(const struct fr_image *image, size_t i)
{
	return &image->modules[i];
}

const char *fr_image_text(const struct fr_image *image, size_t i, const char **ret_name, size_t *ret_size)
{
	if (i >= image->text_count)
		return NULL;
	*ret_name = image->texts[i].name;
	*ret_size = image->texts[i].size;
	return image->texts[i].bytes;
}

const char *fr_image_thread_name(const struct fr_image *image, const struct fr_record *record)
{
	const struct fr_lane_info *own = &image->lanes[record->lane].info;
	size_t low = 0, high = image->owner_count;

	for (size_t i = FRM_OWNERS_MAX; i-- > 0;)
		if (own->owner[i].tid == record->tid && own->owner[i].tid && own->owner[i].from_pos <= record->pos)
			return own->owner[i].name;
	/* a borrowed lane: the thread may own another */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (image->owners[middle].tid < record->tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < image->owner_count && image->owners[low].tid == record->tid ? image->owners[low].name : "";
}

uint64_t fr_image_real_ns(const struct fr_image *image, uint64_t boot_ns)
{
	const struct frm_anchor *best = NULL;
	uint64_t best_distance = UINT64_MAX;

	for (size_t i = 0; i < image->anchor_count; i++) {
		const struct frm_anchor *anchor = &image->anchors[i];
		uint64_t distance = anchor->boot_ns > boot_ns ? anchor->boot_ns - boot_ns : boot_ns - anchor->boot_ns;

		if (distance < best_distance) {
			best = anchor;
			best_distance = distance;
		}
	}
	return best ? best->real_ns + (boot_ns - best->boot_ns) : 0;
}

/* One lane's front in the merge. `time` never falls: order within a lane is the lane's own. */
struct front {
	uint64_t time;
	uint32_t lane;
	uint32_t next, end; /* indices into image->events */
};

static bool before(const struct front *a, const struct front *b)
{
	return a->time != b->time ? a->time < b->time : a->lane < b->lane;
}

static void sift_down(struct front *heap, size_t count, size_t at)
{
	for (;;) {
		size_t child = 2 * at + 1;
		struct front swap;

		if (child >= count)
			return;
		if (child + 1 < count && before(&heap[child + 1], &heap[child]))
			child++;
		if (!before(&heap[child], &heap[at]))
			return;
		swap = heap[at];
		heap[at] = heap[child];
		heap[child] = swap;
		at = child;
	}
}

const uint32_t *fr_image_timeline(struct fr_image *image)
{
	struct front *heap;
	size_t count = 0, out = 0;

	if (image->timeline)
		return image->timeline;
	heap = calloc(image->super.lane_count, sizeof(*heap));
	image->timeline = malloc((image->event_count + 1) * sizeof(*image->timeline));
	if (!heap || !image->timeline) {
		free(heap);
		free(image->timeline);
		return image->timeline = NULL;
	}
	for (uint32_t i = 0; i < image->event_count;) {
		const struct fr_record *record = fr_image_record(image, i);
		struct front front = { .time = record->time_ns, .lane = record->lane, .next = i };

		while (i < image->event_count && fr_image_record(image, i)->lane == front.lane)
			i++;
		front.end = i;
		heap[count++] = front;
	}
	for (size_t i = count; i-- > 0;)
		sift_down(heap, count, i);
	while (count) {
		struct front *first = &heap[0];

		image->timeline[out++] = first->next++;
		if (first->next == first->end) {
			*first = heap[--count];
		} else {
			uint64_t time = fr_image_record(image, first->next)->time_ns;

			if (time > first->time)
				first->time = time;
		}
		sift_down(heap, count, 0);
	}
	free(heap);
	return image->timeline;
}

static const char *const loss_names[FRM_LOSS_COUNT] = {
	[FRM_LOSS_OVERWRITTEN] = "overwritten",
	[FRM_LOSS_TORN] = "torn",
	[FRM_LOSS_DAMAGED] = "damaged",
	[FRM_LOSS_DISCARDED_FULL] = "discarded: lane full",
	[FRM_LOSS_DISCARDED_BUSY] = "discarded: no lane free",
	[FRM_LOSS_DISCARDED_SIZE] = "discarded: too large",
	[FRM_LOSS_DISCARDED_DESC] = "discarded: descriptor log full",
	[FRM_LOSS_KERNEL_BUFFER] = "kernel buffer full",
	[FRM_LOSS_KERNEL_LOG] = "kernel log overrun",
	[FRM_LOSS_RETENTION] = "dropped by retention",
};

const char *fr_loss_name(enum frm_loss cause)
{
	return (unsigned)cause < FRM_LOSS_COUNT ? loss_names[cause] : "unknown cause";
}

static const char *const level_names[] = { "off", "critical", "error", "warning", "info", "verbose" };

const char *fr_level_name(unsigned level)
{
	return level < sizeof(level_names) / sizeof(*level_names) ? level_names[level] : "unknown";
}

int fr_level_parse(const char *text)
{
	if (text[0] >= '0' && text[0] <= '5' && !text[1])
		return text[0] - '0';
	for (int i = 0; i < 6; i++)
		if (!strcasecmp(text, level_names[i]))
			return i;
	return -EINVAL;
}
