/* SPDX-License-Identifier: MIT */
/*
 * image.h - THE reader: opens a ring file or a segment, judges every record, names every loss.
 *
 * Owns: what "valid" means in code. Everyone who reads - daemon, recover, show, verify, index - reads
 * through this. The file is untrusted: it is copied by pread into private memory, so that nobody can change
 * or shrink it under the reader, and no length or offset in it is believed before it is checked.
 */
#ifndef RECORDER_CORE_IMAGE_H
#define RECORDER_CORE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/fr_format.h"

enum fr_image_type {
	FR_IMAGE_RING = 1,
	FR_IMAGE_SEGMENT = 2,
};

/* A record that is valid. Pointers stay good until fr_image_close(). */
struct fr_record {
	const struct frm_record *head;
	const unsigned char *payload;
	uint32_t payload_size;
	uint32_t lane;
	uint64_t pos;
	uint64_t seq;
	uint64_t time_ns;
	uint16_t event;
	uint16_t cpu;
	uint16_t session; /* 0: none */
	uint16_t flags;	  /* FRM_RECORD_* >> 24 */
	uint32_t tid;
};

/* A run of records that is not there. */
struct fr_loss {
	uint32_t lane; /* FRM_LANE_NONE: a counter of the ring's ledger, without a place */
	enum frm_loss cause;
	uint64_t first_seq;
	uint64_t count;
	uint64_t from_pos; /* bytes [from_pos, to_pos) of the lane hold what is left of them; equal: nothing */
	uint64_t to_pos;
};

struct fr_provider {
	uint16_t id;
	uint8_t guid[16];
	uint16_t version_major, version_minor;
	const char *name; /* terminated, owned by the image */
};

struct fr_field_desc {
	uint8_t type; /* enum frm_type */
	const char *name;
	const char *unit; /* "" when none */
};

struct fr_event_desc {
	uint16_t id;
	uint16_t provider; /* id */
	uint8_t level;
	uint8_t field_count;
	uint64_t keywords;
	const char *name;
	const struct fr_field_desc *field;
};

struct fr_module {
	uint64_t start, end, offset;
	uint8_t build_id[20];
	uint8_t build_id_len;
	const char *path;
};

/* What the image says of one lane. */
struct fr_lane_info {
	bool readable; /* false: not even its size made sense; a segment has no chunk of a lane that was never used */
	bool head_damaged;
	uint64_t data_size;
	uint64_t oldest_pos, newest_end; /* of valid records */
	uint64_t next_seq;		 /* one past the newest number known to have been reserved */
	uint64_t records;
	uint64_t discarded;
	struct frm_owner owner[FRM_OWNERS_MAX]; /* only those whose crc holds, newest last; tid 0 ends */
};

struct fr_image; /* opaque; accessors below */

enum fr_image_flags {
	FR_IMAGE_LIVE = 1, /* the writer may be writing: an unfinished newest record is no loss */
};

/*
 * Opens and judges the ring or segment in fd (not kept). Blocking; allocates up to the file's size plus 64 bytes
 * a record. Errors: -EBADMSG not a ring or segment, or both superblocks and all heads of lanes
 * damaged; -ENODATA a segment without its seal; -EPROTONOSUPPORT a newer major version or an
 * unknown incompatible feature; -EFBIG larger than FRM_RING_MAX plus slack; -ENOMEM; and what pread
 * says. *ret_image is untouched on failure.
 */
int fr_image_open(int fd, unsigned flags, struct fr_image **ret_image);
int fr_image_open_path(const char *path, unsigned flags, struct fr_image **ret_image);
/*
 * The same for a ring whose superblock is known from elsewhere and valid: what the file says in its
 * place is not asked, nor is its size. Never -EBADMSG, -EPROTONOSUPPORT or -EFBIG for a regular
 * file: at worst all is lost that was in it.
 */
int fr_image_open_known(int fd, unsigned flags, const struct frm_super *super, struct fr_image **ret_image);
int fr_image_from_memory(const void *bytes, size_t size, unsigned flags, struct fr_image **ret_image); /* copies */
void fr_image_close(struct fr_image *image);

/* One line that says why the last open failed in words a person can act on; for any negative errno of open. */
const char *fr_image_strerror(int error);

enum fr_image_type fr_image_type(const struct fr_image *image);
const struct frm_super *fr_image_super(const struct fr_image *image); /* checked copy; strings terminated */
const struct frm_state *fr_image_state(const struct fr_image *image); /* untrusted numbers */
const struct frm_segment *fr_image_segment(const struct fr_image *image); /* NULL for a ring */
const struct frm_meta *fr_image_meta(const struct fr_image *image);	  /* the better copy, meta_size bytes */
/*
 * Bit 0: copy A's superblock bad, bit 1: copy B's. Both: it was made of the two, or, with pid 0, of
 * what the lanes say.
 */
unsigned fr_image_meta_damage(const struct fr_image *image);
unsigned fr_image_chunk_damage(const struct fr_image *image); /* chunks of a segment whose checksum does not hold */

size_t fr_image_lane_count(const struct fr_image *image);
const struct fr_lane_info *fr_image_lane(const struct fr_image *image, size_t lane);

/*
 * All events, by lane and then by position: the order in which each lane wrote them. Records that are marks
 * (FRM_RECORD_DISCARDED, FRM_RECORD_TORN) are not among them; fr_image_lane_records() has them too, for those who copy.
 */
size_t fr_image_record_count(const struct fr_image *image);
const struct fr_record *fr_image_record(const struct fr_image *image, size_t i);
const struct fr_record *fr_image_lane_records(const struct fr_image *image, size_t lane, size_t *ret_count);
/*
 * The same events on one timeline: ordered by time, never against the order of their lane (a record whose time
 * lies before its predecessor's counts as simultaneous with it). Computed at the first call. order[i] is an index
 * for fr_image_record(). NULL when memory is short.
 */
const uint32_t *fr_image_timeline(struct fr_image *image);

size_t fr_image_loss_count(const struct fr_image *image);
const struct fr_loss *fr_image_loss(const struct fr_image *image, size_t i);

size_t fr_image_provider_count(const struct fr_image *image);
const struct fr_provider *fr_image_provider(const struct fr_image *image, size_t i);
const struct fr_provider *fr_image_provider_by_id(const struct fr_image *image, uint16_t id);
size_t fr_image_event_desc_count(const struct fr_image *image);
const struct fr_event_desc *fr_image_event_desc(const struct fr_image *image, size_t i);
const struct fr_event_desc *fr_image_event_desc_by_id(const struct fr_image *image, uint16_t id);
size_t fr_image_session_count(const struct fr_image *image);
const struct frm_session *fr_image_session(const struct fr_image *image, size_t i); /* name terminated */
const struct frm_session *fr_image_session_by_number(const struct fr_image *image, uint16_t number);
size_t fr_image_anchor_count(const struct fr_image *image);
const struct frm_anchor *fr_image_anchor(const struct fr_image *image, size_t i); /* oldest first */
size_t fr_image_module_count(const struct fr_image *image);
const struct fr_module *fr_image_module(const struct fr_image *image, size_t i);

/* Foreign text kept in a segment (struct frm_chunk of type TEXT): NULL past the last. */
const char *fr_image_text(const struct fr_image *image, size_t i, const char **ret_name, size_t *ret_size);

/* Name of the thread that owned the lane when the record was written, "" when the image doesn't know. */
const char *fr_image_thread_name(const struct fr_image *image, const struct fr_record *record);

/* Wall clock of a CLOCK_BOOTTIME instant by the nearest anchor; 0 when there is none. */
uint64_t fr_image_real_ns(const struct fr_image *image, uint64_t boot_ns);

const char *fr_loss_name(enum frm_loss cause); /* "overwritten", "torn", ... */
const char *fr_level_name(unsigned level);     /* "critical", "error", ... */
int fr_level_parse(const char *text);	       /* name or number; -EINVAL */

#endif
