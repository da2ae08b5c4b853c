/* SPDX-License-Identifier: MIT */
/*
 * image_rebuild.c - a superblock for a ring that has lost both of its own.
 *
 * What records are judged by stands in each lane's head, and again in its tail: ring id, boot id,
 * the lane's number and size. Any one of these is enough to know where all lanes lie, for it says
 * where it lies itself. So two lost pages cost the identity of the writer, and no records. Heads
 * are asked for their opinion, and the opinion that most of them have is taken: a page may be in
 * the wrong place, and an application may have recorded a copy of another ring.
 *
 * If the two superblocks are each damaged in few places, the identity is there, too: where they
 * differ, one of them is right, and the checksum says which.
 */
#include <errno.h>
#include <string.h>

#include "recorder/core/crc.h"
#include "recorder/core/image_private.h"

#define OPINIONS_MAX 16
#define DOUBTS_MAX   12 /* words in which two superblocks may differ: 4096 possibilities */

struct opinion {
	struct frm_super super;
	unsigned votes;
};

/* Adds what a head says that would belong to a lane starting at `start`, if it is one. */
static void listen(struct opinion opinions[OPINIONS_MAX], const struct frm_lane *head,
		   uint64_t start, uint64_t file_size)
{
	uint64_t lane_size = head->data_size + 2 * FRM_LANE_HEAD,
		 metas = start - head->index * lane_size;
	struct frm_super super = { .magic = FRM_MAGIC_RING,
				   .version_major = FRM_VERSION_MAJOR,
				   .version_minor = FRM_VERSION_MINOR,
				   .kind = FRM_KIND_PROCESS,
				   .meta_size = (uint32_t)(metas / 2),
				   .lane_size = lane_size };

	if (head->magic != FRM_MAGIC_LANE ||
	    head->crc != fr_crc32c(0, head, offsetof(struct frm_lane, crc)) ||
	    head->index >= FRM_LANES_MAX || lane_size < FRM_LANE_MIN || lane_size > FRM_RING_MAX ||
	    head->index * lane_size > start || metas > 2 * FRM_META_MAX)
		return;
	super.lane_count = (uint32_t)((file_size - metas) / lane_size);
	if (super.lane_count <= head->index) /* the file was cut short inside this lane */
		super.lane_count = head->index + 1;
	if (super.lane_count > FRM_LANES_MAX)
		super.lane_count = FRM_LANES_MAX;
	super.ring_size =
		metas + super.lane_count * lane_size; /* at least: what does not divide is unused */
	if (super.ring_size < file_size)
		super.ring_size = file_size < FRM_RING_MAX ? file_size : FRM_RING_MAX;
	if (super.ring_size < FRM_RING_MIN)
		super.ring_size = FRM_RING_MIN;
	memcpy(super.ring_id, head->ring_id, 16);
	memcpy(super.boot_id, head->boot_id, 16);
	fr_super_sign(&super);
	if (2ull * super.meta_size != metas || fr_super_check(&super) < 0)
		return;
	for (int i = 0; i < OPINIONS_MAX; i++) {
		if (opinions[i].votes && memcmp(&opinions[i].super, &super, sizeof(super)))
			continue;
		opinions[i].super = super;
		opinions[i].votes++;
		return;
	}
}

int fr_image_rebuild_super(const struct fr_source *source, struct frm_super *ret_super)
{
	struct opinion opinions[OPINIONS_MAX] = { 0 }, *best = opinions;
	struct frm_lane head;
	int r = 0;

	for (uint64_t at = 2 * FRM_META_MIN; at + FRM_PAGE <= source->size && r == 0;
	     at += FRM_PAGE) {
		r = fr_source_fetch(source, &head, sizeof(head), at);
		if (r == 0)
			listen(opinions, &head, at, source->size);
		if (r == 0)
			r = fr_source_fetch(source, &head, sizeof(head),
					    at + FRM_PAGE - FRM_LANE_HEAD);
		/* a tail: wraps and is refused when its lane would begin before the file */
		if (r == 0)
			listen(opinions, &head, at + FRM_PAGE - 2 * FRM_LANE_HEAD - head.data_size,
			       source->size);
	}
	if (r < 0)
		return r;
	for (int i = 1; i < OPINIONS_MAX; i++)
		if (opinions[i].votes > best->votes)
			best = &opinions[i];
	if (!best->votes)
		return -EBADMSG;
	*ret_super = best->super;
	return 0;
}

bool fr_image_mend_super(const struct frm_super *a, const struct frm_super *b,
			 const struct frm_super *rebuilt, struct frm_super *ret_super)
{
	const size_t words = sizeof(*a) / 8;
	uint64_t from_a[sizeof(*a) / 8], from_b[sizeof(*a) / 8];
	size_t doubt[DOUBTS_MAX], doubts = 0;

	memcpy(from_a, a, sizeof(*a));
	memcpy(from_b, b, sizeof(*b));
	for (size_t i = 0; i < words; i++) {
		if (from_a[i] == from_b[i])
			continue;
		if (doubts == DOUBTS_MAX)
			return false;
		doubt[doubts++] = i;
	}
	for (uint32_t choice = 0; choice < 1u << doubts; choice++) {
		struct frm_super mended = *a;

		for (size_t i = 0; i < doubts; i++)
			if (choice >> i & 1)
				memcpy((unsigned char *)&mended + doubt[i] * 8, &from_b[doubt[i]],
				       8);
		if (fr_super_check(&mended) == 0 && !memcmp(mended.ring_id, rebuilt->ring_id, 16) &&
		    !memcmp(mended.boot_id, rebuilt->boot_id, 16) &&
		    mended.meta_size == rebuilt->meta_size &&
		    mended.lane_size == rebuilt->lane_size) {
			*ret_super = mended;
			return true;
		}
	}
	return false;
}
