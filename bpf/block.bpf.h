/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * block.bpf.h - blk.error.
 *
 * Completion runs wherever the interrupt found the CPU, so nobody's identity is recorded. Kernels
 * before 5.18 have no hook for errors alone: there each completed request is looked at, and left
 * alone when it went well.
 */
#include "bpf/emit.bpf.h"
#include "bpf/kernel_types.h"

#define EIO 5

/* The block layer's status as errno. The first fourteen are the same in all kernels since 4.13. */
static __always_inline int blk_errno(__u32 status)
{
	switch (status) {
	case 1:
		return -95; /* EOPNOTSUPP */
	case 2:
		return -110; /* ETIMEDOUT */
	case 3:
		return -28; /* ENOSPC */
	case 4:
		return -67; /* ENOLINK */
	case 5:
		return -121; /* EREMOTEIO */
	case 6:
		return -52; /* EBADE */
	case 7:
		return -61; /* ENODATA */
	case 8:
		return -84; /* EILSEQ */
	case 9:
		return -12; /* ENOMEM */
	case 12:
		return -11; /* EAGAIN */
	case 13:
		return -16; /* EBUSY */
	default:
		return -EIO;
	}
}

#define FLAG(name) (1u << bpf_core_enum_value(enum req_flag_bits, name))

static __always_inline void blk_rwbs(char *rwbs, __u32 cmd_flags)
{
	__u32 op = cmd_flags & 0xff, at = 0;

	if (cmd_flags & FLAG(__REQ_PREFLUSH))
		rwbs[at++] = 'F';
	rwbs[at++] = op == 0 ? 'R' : op == 1 ? 'W' : op == 2 ? 'F' : op == 3 ? 'D' : 'N';
	if (cmd_flags & FLAG(__REQ_FUA))
		rwbs[at++ & 7] = 'F';
	if (cmd_flags & FLAG(__REQ_RAHEAD))
		rwbs[at++ & 7] = 'A';
	if (cmd_flags & FLAG(__REQ_SYNC))
		rwbs[at++ & 7] = 'S';
	if (cmd_flags & FLAG(__REQ_META))
		rwbs[at++ & 7] = 'M';
}

static __always_inline int blk_failed(struct request *rq, __u32 status, int error, __u32 bytes)
{
	struct fr_kevent_blk_error *e;
	struct gendisk *disk;

	e = FR_RESERVE(BLK_ERROR, blk_error, FR_KEVENT_NOBODY);
	if (!e)
		return 0;
	if (bpf_core_field_exists(rq->q->disk))
		disk = BPF_CORE_READ(rq, q, disk);
	else
		disk = BPF_CORE_READ((struct request___rq_disk *)rq, rq_disk);
	if (disk) {
		e->dev_major = (__u32)BPF_CORE_READ(disk, major);
		e->dev_minor = (__u32)BPF_CORE_READ(disk, first_minor);
	}
	e->sector = BPF_CORE_READ(rq, __sector);
	e->sector_count = bytes >> 9;
	e->status = status;
	e->error = error;
	blk_rwbs(e->rwbs, BPF_CORE_READ(rq, cmd_flags));
	submit(e, 1);
	return 0;
}

/* args of both: struct request *rq, blk_status_t error, unsigned int nr_bytes */
FR_PROBE(blk_error, block_rq_error)
{
	__u8 status = (__u8)ctx[1];

	return blk_failed((struct request *)ctx[0], status, blk_errno(status), (__u32)ctx[2]);
}

/* Before 5.16 the second argument was a negative errno; a status is below 256. */
FR_PROBE(blk_error, block_rq_complete)
{
	int error = (int)ctx[1];

	if (!error)
		return 0;
	if (error < 0)
		return blk_failed((struct request *)ctx[0], 0, error, (__u32)ctx[2]);
	return blk_failed((struct request *)ctx[0], (__u8)error, blk_errno((__u8)error),
			  (__u32)ctx[2]);
}
