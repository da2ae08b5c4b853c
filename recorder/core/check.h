/* SPDX-License-Identifier: MIT */
/*
 * check.h - checksums and bounds of everything on the medium that is not a record.
 *
 * Owns: the one place where writer (map.c) and reader (image.c) agree on what a superblock, a lane head, an owner, an
 * anchor, a session or a descriptor has to satisfy.
 */
#ifndef RECORDER_CORE_CHECK_H
#define RECORDER_CORE_CHECK_H

#include <stdbool.h>

#include "schemas/fr_format.h"

/* CRC32C of `prefix` (ring id, or NULL for none) and `size` bytes, in which the le32 at `at` counts as zero. */
uint32_t fr_check_crc(const uint8_t ring_id[16], const void *bytes, size_t size, size_t at);

/* Each takes the ring id of the superblock. sign sets crc, ok compares it. */
void fr_super_sign(struct frm_super *super);
void fr_owner_sign(struct frm_owner *owner, const uint8_t ring_id[16]);
bool fr_owner_ok(const struct frm_owner *owner, const uint8_t ring_id[16]);
void fr_anchor_sign(struct frm_anchor *anchor, const uint8_t ring_id[16]);
bool fr_anchor_ok(const struct frm_anchor *anchor, const uint8_t ring_id[16]);
void fr_session_sign(struct frm_session *session, const uint8_t ring_id[16]);
bool fr_session_ok(const struct frm_session *session, const uint8_t ring_id[16]);
void fr_lane_head_sign(struct frm_lane *head);
bool fr_lane_head_ok(const struct frm_lane *head, const struct frm_super *super, uint32_t index);

/*
 * Checks a superblock: 0; -EBADMSG not one, or damaged, or with a geometry that can't be; -EPROTONOSUPPORT a newer major
 * version or an incompatible feature that this build does not know.
 */
int fr_super_check(const struct frm_super *super);
/* Bytes of lane data, between head and tail. */
uint64_t fr_super_lane_data(const struct frm_super *super);
uint64_t fr_super_lane_offset(const struct frm_super *super, uint32_t lane);

/*
 * Steps through a descriptor log of `size` bytes. *at starts at 0. Returns the next entry whose checksum holds (its
 * size is within the log) or NULL at the end. Skips damage in steps of 8 and counts the skipped bytes that were not
 * zero in *damaged (may be NULL).
 */
const struct frm_desc *fr_desc_next(const uint8_t *log, size_t size, const uint8_t ring_id[16], size_t *at, size_t *damaged);

#endif
