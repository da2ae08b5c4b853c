/* SPDX-License-Identifier: MIT */
/* image_private.h - what image.c, image_meta.c, image_segment.c and scan.c share; nobody else includes it. */
#ifndef RECORDER_CORE_IMAGE_PRIVATE_H
#define RECORDER_CORE_IMAGE_PRIVATE_H

#include "recorder/core/check.h"
#include "recorder/core/image.h"

/* Where bytes come from: a file, or memory. */
struct fr_source {
	int fd; /* -1: memory */
	const unsigned char *bytes;
	uint64_t size;
	const struct frm_super *super; /* known from elsewhere, or NULL */
};

/* Reads `size` bytes; what lies beyond the end reads as zeros. */
int fr_source_fetch(const struct fr_source *source, void *to, uint64_t size, uint64_t at);

struct lane_view {
	struct fr_lane_info info;
	size_t first, count; /* in image->records */
};

struct text {
	const char *name, *bytes;
	size_t size;
};

/* A lane's owner; of several of one thread, the one with the smallest `at` counts. */
struct owner_ref {
	uint32_t tid, at;
	const char *name;
};

struct fr_image {
	enum fr_image_type type;
	unsigned flags, meta_damage;
	unsigned chunks_damaged;
	struct frm_super super;
	struct frm_state state;
	struct frm_segment segment;
	unsigned char *bytes; /* the file, or what of it is needed */
	struct frm_meta *meta; /* both copies merged; meta_size bytes */

	struct lane_view *lanes; /* super.lane_count */
	struct owner_ref *owners; /* by thread */
	size_t owner_count;
	struct fr_record *records; /* marks included, lane by lane */
	size_t record_count, record_room;
	uint32_t *events; /* those that are no marks */
	size_t event_count;
	uint32_t *timeline;
	struct fr_loss *losses;
	size_t loss_count, loss_room;

	struct fr_provider *providers;
	struct fr_event_desc *descs;
	struct fr_module *modules;
	size_t provider_count, desc_count, module_count;
	uint16_t *desc_by_id; /* index + 1, or 0 */
	size_t desc_ids;      /* entries of it */
	struct frm_session sessions[FRM_SESSIONS_MAX];
	size_t session_count;
	struct frm_anchor anchors[FRM_ANCHORS_MAX];
	size_t anchor_count;
	struct text *texts;
	size_t text_count, text_room;
	struct arena *arena; /* strings of descriptors */
};

/* A lane's bytes as they were read, and the hints of its head before and after its data was. */
struct lane_bytes {
	const unsigned char *data;
	uint64_t size, have; /* from `have` on there are zeros, because the file ends there */
	uint32_t lane;
	bool hints; /* the head is good enough to look at next_pos and next_seq */
	uint64_t next_pos, next_seq, next_pos_after;
};

int fr_scan_lane(struct fr_image *image, const struct lane_bytes *bytes);
/* Records of a segment's lane, one after the other. */
int fr_scan_stream(struct fr_image *image, uint32_t lane, const unsigned char *data, uint64_t size);

int fr_image_add_record(struct fr_image *image, const unsigned char *at, uint32_t lane);
int fr_image_add_loss(struct fr_image *image, const struct fr_loss *loss);
/*
 * Of two copies of a counter: the larger, if they differ by as little as they do when one was
 * stored or written back and the other not yet; else the smaller, for the other is damaged.
 */
uint64_t fr_image_settle(uint64_t a, uint64_t b);

/* What the lanes' heads say of the ring, as a superblock without a writer; -EBADMSG when there are none. */
int fr_image_rebuild_super(const struct fr_source *source, struct frm_super *ret_super);
/*
 * The superblock that two damaged copies are of, if it can be made of both, and is one of the ring
 * that was rebuilt.
 */
bool fr_image_mend_super(const struct frm_super *a, const struct frm_super *b,
			 const struct frm_super *rebuilt, struct frm_super *ret_super);

/*
 * Merges copy B's entries into copy A's where A's are damaged, checks what the superblock says.
 * `rebuilt`: stands in for the superblock when neither copy's holds.
 */
int fr_image_merge_meta(struct fr_image *image, const unsigned char *a, const unsigned char *b,
			const struct frm_super *rebuilt);
int fr_image_parse_meta(struct fr_image *image);
int fr_image_read_segment(struct fr_image *image, size_t size);

/* Memory that goes with the image. */
void *fr_image_alloc(struct fr_image *image, size_t size);

#endif
