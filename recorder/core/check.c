/* SPDX-License-Identifier: MIT */
/* check.c - see check.h. */
#include "recorder/core/check.h"

#include <errno.h>
#include <string.h>

#include "recorder/core/crc.h"
#include "recorder/core/ring.h"

uint32_t fr_check_crc(const uint8_t ring_id[16], const void *bytes, size_t size, size_t at)
{
	static const uint8_t zero[4];
	const uint8_t *p = bytes;
	uint32_t crc = ring_id ? fr_crc32c(0, ring_id, 16) : 0;

	crc = fr_crc32c(crc, p, at);
	crc = fr_crc32c(crc, zero, 4);
	return fr_crc32c(crc, p + at + 4, size - at - 4);
}

#define SIGN_AND_OK(kind)                                                                                  \
	void fr_##kind##_sign(struct frm_##kind *entry, const uint8_t ring_id[16])                         \
	{                                                                                                  \
		entry->crc = fr_check_crc(ring_id, entry, sizeof(*entry), offsetof(struct frm_##kind, crc)); \
	}                                                                                                  \
	bool fr_##kind##_ok(const struct frm_##kind *entry, const uint8_t ring_id[16])                     \
	{                                                                                                  \
		return entry->crc ==                                                                       \
		       fr_check_crc(ring_id, entry, sizeof(*entry), offsetof(struct frm_##kind, crc));     \
	}
SIGN_AND_OK(owner)
SIGN_AND_OK(anchor)
SIGN_AND_OK(session)

void fr_super_sign(struct frm_super *super)
{
	super->crc = fr_check_crc(NULL, super, sizeof(*super), offsetof(struct frm_super, crc));
}

void fr_lane_head_sign(struct frm_lane *head)
{
	head->crc = fr_crc32c(0, head, offsetof(struct frm_lane, crc));
}

bool fr_lane_head_ok(const struct frm_lane *head, const struct frm_super *super, uint32_t index)
{
	return head->magic == FRM_MAGIC_LANE && head->index == index &&
	       head->data_size == fr_super_lane_data(super) && !memcmp(head->ring_id, super->ring_id, 16) &&
	       !memcmp(head->boot_id, super->boot_id, 16) &&
	       head->crc == fr_crc32c(0, head, offsetof(struct frm_lane, crc));
}

uint64_t fr_super_lane_data(const struct frm_super *super)
{
	return super->lane_size - 2 * FRM_LANE_HEAD;
}

uint64_t fr_super_lane_offset(const struct frm_super *super, uint32_t lane)
{
	return 2ull * super->meta_size + lane * super->lane_size;
}

int fr_super_check(const struct frm_super *super)
{
	if (super->magic != FRM_MAGIC_RING)
		return -EBADMSG;
	/* I13, before the checksum: a newer major version may have moved it */
	if (super->version_major > FRM_VERSION_MAJOR)
		return -EPROTONOSUPPORT;
	if (super->crc != fr_check_crc(NULL, super, sizeof(*super), offsetof(struct frm_super, crc)))
		return -EBADMSG;
	if (super->incompat & ~FRM_INCOMPAT_KNOWN)
		return -EPROTONOSUPPORT;
	/* the checksum holds, but whoever wrote it may have been anyone */
	if (super->ring_size < FRM_RING_MIN || super->ring_size > FRM_RING_MAX ||
	    super->meta_size < FRM_META_MIN || super->meta_size > FRM_META_MAX || super->meta_size % FRM_PAGE ||
	    super->lane_count < 1 || super->lane_count > FRM_LANES_MAX || super->shared_lanes > super->lane_count ||
	    super->lane_size < FRM_LANE_MIN || super->lane_size > FRM_RING_MAX || super->lane_size % FRM_PAGE ||
	    fr_super_lane_offset(super, super->lane_count) > super->ring_size)
		return -EBADMSG;
	return 0;
}

const struct frm_desc *fr_desc_next(const uint8_t *log, size_t size, const uint8_t ring_id[16], size_t *at, size_t *damaged)
{
	for (; *at + sizeof(struct frm_desc) <= size; *at += 8) {
		const struct frm_desc *desc = (const struct frm_desc *)(log + *at);
		uint64_t word;

		if (desc->size >= sizeof(*desc) && desc->size <= FRM_DESC_MAX && desc->size <= size - *at && desc->type &&
		    desc->crc == fr_check_crc(ring_id, desc, desc->size, offsetof(struct frm_desc, crc))) {
			*at += fr_record_span(desc->size);
			return desc;
		}
		memcpy(&word, desc, 8);
		if (word && damaged)
			*damaged += 8;
	}
	return NULL;
}
