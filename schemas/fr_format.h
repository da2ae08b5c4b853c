/* SPDX-License-Identifier: MIT */
/*
 * fr_format.h - the only C definition of what lies on the medium: rings and segments.
 *
 * FORMAT.md beside this file says the same in words; tests/unit/test_format.c holds the two together, and
 * tests/golden/ holds a ring image that every later version must read.
 *
 * LAYOUT of a ring file (all integers little-endian, all offsets from the start of the file)
 *
 *	0                 meta, copy A     meta_size bytes
 *	meta_size         meta, copy B     the same again
 *	2 * meta_size     lane 0           lane_size bytes
 *	... + lane_size   lane 1
 *	...
 *
 *	meta:  superblock 4096 | ledger, anchors, sessions 4096 | descriptor log, the rest
 *	lane:  head 512 | data lane_size - 1024 | tail 512 (the head's second copy)
 *
 * This header is freestanding: user space, eBPF and kernel code include it alike.
 */
#ifndef SCHEMAS_FR_FORMAT_H
#define SCHEMAS_FR_FORMAT_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "flightrec runs on little-endian machines; the format needs byte swaps anywhere else"
#endif

typedef uint16_t frm_le16;
typedef uint32_t frm_le32;
typedef uint64_t frm_le64;

#define FRM_ASSERT(cond, text) _Static_assert(cond, text)

#define FRM_MAGIC_RING	  0x0a474e5252544c46ull /* "FLTRRNG\n" */
#define FRM_MAGIC_SEGMENT 0x0a4745535252544cull /* "LTRRSEG\n" */
#define FRM_MAGIC_LANE	  0x454e414cu		/* "LANE" */

#define FRM_VERSION_MAJOR 1 /* a reader refuses a larger one */
#define FRM_VERSION_MINOR 0 /* a reader accepts any */

#define FRM_PAGE	  4096u
#define FRM_RING_MIN	  (64u << 10)
#define FRM_RING_MAX	  (1u << 30)
#define FRM_LANES_MAX	  1024u
#define FRM_LANE_HEAD	  512u
#define FRM_LANE_MIN	  (2 * FRM_PAGE)
#define FRM_META_MIN	  (3 * FRM_PAGE)
#define FRM_META_MAX	  (1u << 20)
#define FRM_RECORD_ALIGN  8u
#define FRM_RECORD_MAX	  (1u << 20) /* header and payload; also at most a quarter of the lane's data */
#define FRM_DESC_MAX	  4096u /* an entry of the descriptor log */
#define FRM_PROVIDERS_MAX 64u
#define FRM_SESSIONS_MAX  24u
#define FRM_ANCHORS_MAX	  16u
#define FRM_OWNERS_MAX	  8u

/* Levels, as in ETW: the lower, the graver. */
enum frm_level {
	FRM_LEVEL_CRITICAL = 1,
	FRM_LEVEL_ERROR = 2,
	FRM_LEVEL_WARNING = 3,
	FRM_LEVEL_INFO = 4,
	FRM_LEVEL_VERBOSE = 5,
};

/* ------------------------------------------------------------------ records */

/*
 * One record. It starts on a multiple of 8 in the lane's data, does not wrap, and occupies its size
 * rounded up to 8; the bytes of the rounding are zero and are part of the checksum.
 *
 * VALID if and only if
 *	1. 40 <= size <= FRM_RECORD_MAX, at most a quarter of the data, and size fits between its place and the end of the data;
 *	2. pos modulo the data's length is the offset at which the record lies;
 *	3. pos lies within one data length of the end of the lane's newest record that satisfies 1, 2 and 4;
 *	4. crc is the CRC32C of ring_id, boot_id, the lane's number (le32) and the record with crc as zero.
 */
struct frm_record {
	frm_le64 pos;	      /* bytes this lane had ever taken before this record: never restarts */
	frm_le32 crc;
	frm_le32 size_flags;  /* low 24 bits: bytes of header and payload; high 8: FRM_RECORD_* */
	frm_le64 time_ns;     /* CLOCK_BOOTTIME */
	frm_le16 event;	      /* id of an event descriptor of this ring */
	frm_le16 cpu;	      /* FRM_CPU_NONE: not known */
	frm_le32 tid;	      /* the writer's claim */
	frm_le64 seq_session; /* low 48 bits: number in this lane, from 0; high 16: session, 0 none */
};
FRM_ASSERT(sizeof(struct frm_record) == 40, "the record header is 40 bytes");

#define FRM_RECORD_SIZE_MASK 0x00ffffffu
#define FRM_RECORD_DISCARDED 0x01000000u /* taken, then given back by its writer: no event, not a loss */
#define FRM_RECORD_TORN	     0x02000000u /* put over what an ended thread had reserved and not committed */
#define FRM_SEQ_MASK	     0x0000ffffffffffffull
#define FRM_SESSION_SHIFT    48
#define FRM_CPU_NONE	     0xffffu

/* ------------------------------------------------------------------ lane */

struct frm_owner {
	frm_le64 from_pos; /* the owner's first record lies at or after this position */
	frm_le32 tid;	   /* 0: the slot is empty */
	frm_le32 crc;	   /* CRC32C of ring_id and this entry with crc as zero */
	char name[16];	   /* thread's name when it took the lane */
};
FRM_ASSERT(sizeof(struct frm_owner) == 32, "owner");

/* First 512 bytes of a lane and, as second copy, its last 512: a lane mapped alone can be written. */
struct frm_lane {
	frm_le32 magic;
	frm_le32 index;
	frm_le64 data_size;   /* bytes, a multiple of 8 */
	uint8_t ring_id[16];
	uint8_t boot_id[16];
	frm_le32 crc;	      /* CRC32C of the 48 bytes before it */
	frm_le32 reserved0;
	/* what follows changes: hints for live readers, evidence for dead ones, never trusted */
	frm_le64 next_pos;    /* where the next record will be reserved; stored with release at reserve */
	frm_le64 next_seq;    /* the number it will get; next_seq - 1 is the newest reserved */
	frm_le64 discarded;   /* records not written because the lane refused them */
	frm_le64 reserved1[5];
	struct frm_owner owner[FRM_OWNERS_MAX]; /* newest owners, a ring of its own: entry n % 8 */
	uint8_t reserved2[FRM_LANE_HEAD - 120 - 32 * FRM_OWNERS_MAX];
};
FRM_ASSERT(sizeof(struct frm_lane) == FRM_LANE_HEAD, "lane head");
FRM_ASSERT(offsetof(struct frm_lane, next_pos) == 56, "lane head, changing part");
FRM_ASSERT(offsetof(struct frm_lane, owner) == 120, "lane head, owners");

/* ------------------------------------------------------------------ meta */

enum frm_kind {
	FRM_KIND_PROCESS = 1, /* the ring of an application */
	FRM_KIND_SYSTEM = 2,  /* the daemon's: kernel events, kernel log, its own */
	FRM_KIND_HARVEST = 3, /* no ring ever was: made from pstore or another foreign source */
};

#define FRM_IDENT_VOUCHED 0x1u /* pid, uid, gid, cgroup come from the kernel, not from the process */

#define FRM_POLICY_OVERWRITE 0u /* the oldest record gives way */
#define FRM_POLICY_DISCARD   1u /* the newest record is dropped, and counted, once the lane is full */

#define FRM_INCOMPAT_KNOWN 0ull
#define FRM_COMPAT_KNOWN   0ull

/* Bytes 0..2047 of the meta: written once, then never changed. */
struct frm_super {
	frm_le64 magic;
	frm_le16 version_major;
	frm_le16 version_minor;
	frm_le32 crc; /* CRC32C of these 2048 bytes with crc as zero */
	frm_le64 incompat;
	frm_le64 compat;
	frm_le64 ring_size; /* bytes of the file */
	frm_le32 meta_size;
	frm_le32 lane_count;
	frm_le64 lane_size;
	frm_le32 policy;
	frm_le32 kind;
	uint8_t ring_id[16];
	uint8_t boot_id[16];
	uint8_t machine_id[16];
	frm_le64 boot_seq;	   /* number of the boot on this machine, from 1; 0 unknown */
	frm_le64 created_boot_ns;  /* CLOCK_BOOTTIME */
	frm_le64 created_real_ns;  /* CLOCK_REALTIME at the same instant */
	frm_le32 pid;
	frm_le32 ppid;
	frm_le64 start_time_ns;	   /* process start since boot (/proc/PID/stat), CLOCK_BOOTTIME, 10 ms grain */
	frm_le32 uid;
	frm_le32 gid;
	frm_le32 ident_flags;
	frm_le32 shared_lanes;	   /* the last so many lanes are borrowed for one record at a time */
	char comm[16];
	char exe[256];
	char cgroup[256];
	char hostname[64];
	char creator[64];	   /* "libflightrec 0.1.0", "flightrecd 0.1.0" */
	frm_le64 pid_namespace;	   /* inode of the namespace in which pid means something; 0 unknown */
	uint8_t reserved[2048 - 832];
};
FRM_ASSERT(sizeof(struct frm_super) == 2048, "superblock");
FRM_ASSERT(offsetof(struct frm_super, ring_id) == 64, "superblock, ring id");
FRM_ASSERT(offsetof(struct frm_super, comm) == 168, "superblock, comm");
FRM_ASSERT(offsetof(struct frm_super, reserved) == 832, "superblock, end of what is used");

/* Why something is missing. One word for each, the same in code, index and on the screen. */
enum frm_loss {
	FRM_LOSS_OVERWRITTEN = 0, /* an older record gave way: the horizon, not a fault */
	FRM_LOSS_TORN,		  /* reserved, and its writer died or was cancelled before commit */
	FRM_LOSS_DAMAGED,	  /* was committed, and the medium did not keep it */
	FRM_LOSS_DISCARDED_FULL,  /* policy "discard", lane full */
	FRM_LOSS_DISCARDED_BUSY,  /* no lane was free for a borrower */
	FRM_LOSS_DISCARDED_SIZE,  /* larger than the ring takes */
	FRM_LOSS_DISCARDED_DESC,  /* the descriptor log is full: the event could not be declared */
	FRM_LOSS_KERNEL_BUFFER,	  /* an eBPF program found its ring buffer full */
	FRM_LOSS_KERNEL_LOG,	  /* the kernel log overwrote lines before they were read */
	FRM_LOSS_RETENTION,	  /* dropped from spool by the cap, never sent */
	FRM_LOSS_COUNT,
};

/* Bytes 2048..4095 of the meta: changes while the ring lives. Copy A is authoritative for gates. */
struct frm_state {
	frm_le64 closed_boot_ns;	  /* 0: in use or died; else when the writer left in order */
	frm_le64 reserved0[7];
	frm_le64 loss[16];		  /* by enum frm_loss: only what lanes don't tell by their numbering */
	frm_le64 gate[FRM_PROVIDERS_MAX]; /* by provider; see FRM_GATE_*; copy A only */
	uint8_t reserved1[2048 - 64 - 128 - 8 * FRM_PROVIDERS_MAX];
};
FRM_ASSERT(sizeof(struct frm_state) == 2048, "state");
FRM_ASSERT(FRM_LOSS_COUNT <= 16, "losses fit the ledger");

/* A gate: bit L (1..5) is set when level L is wanted; bits 8..63 are the wanted keywords. */
#define FRM_GATE_LEVEL(level)  (1ull << (level))
#define FRM_GATE_KEYWORD_SHIFT 8
#define FRM_GATE_LEVELS	       0xffull

struct frm_anchor {
	frm_le64 boot_ns; /* CLOCK_BOOTTIME */
	frm_le64 real_ns; /* CLOCK_REALTIME at the same instant; 0: the slot is empty */
	frm_le64 mono_ns; /* CLOCK_MONOTONIC, likewise */
	frm_le32 crc;	  /* CRC32C of ring_id and this entry with crc as zero */
	frm_le32 reserved;
};
FRM_ASSERT(sizeof(struct frm_anchor) == 32, "anchor");

struct frm_session {
	frm_le32 crc;	   /* CRC32C of ring_id and this entry with crc as zero */
	frm_le16 number;   /* 1..65535; slot = number % FRM_SESSIONS_MAX; 0: empty */
	frm_le16 provider;
	frm_le64 begin_ns; /* CLOCK_BOOTTIME */
	frm_le64 end_ns;   /* 0: not ended */
	uint8_t guid[16];  /* zero: none */
	char name[88];
};
FRM_ASSERT(sizeof(struct frm_session) == 128, "session");

/* Second page of the meta. */
struct frm_tables {
	struct frm_anchor anchor[FRM_ANCHORS_MAX];
	uint8_t reserved[FRM_PAGE - 32 * FRM_ANCHORS_MAX - 128 * FRM_SESSIONS_MAX];
	struct frm_session session[FRM_SESSIONS_MAX];
};
FRM_ASSERT(sizeof(struct frm_tables) == FRM_PAGE, "tables");

struct frm_meta {
	struct frm_super super;
	struct frm_state state;
	struct frm_tables tables;
	uint8_t log[]; /* descriptor log: entries of struct frm_desc, append only */
};
FRM_ASSERT(offsetof(struct frm_meta, log) == 2 * FRM_PAGE, "meta");

/* ------------------------------------------------------------------ descriptors */

enum frm_desc_type {
	FRM_DESC_PROVIDER = 1, /* struct frm_desc_provider */
	FRM_DESC_EVENT = 2,    /* struct frm_desc_event, then its fields */
	FRM_DESC_SOURCE = 3,   /* text: where a harvested segment comes from */
	FRM_DESC_MODULE = 4,   /* struct frm_desc_module: what lies where in the address space */
};

/*
 * An entry of the descriptor log. Entries start on multiples of 8. An entry whose crc does not hold is
 * skipped in steps of 8, so one that was torn or damaged hides no other.
 */
struct frm_desc {
	frm_le32 crc;  /* CRC32C of ring_id and the entry (size bytes) with crc as zero */
	frm_le16 size; /* bytes with this header, without the rounding to 8 */
	frm_le16 type; /* enum frm_desc_type; unknown ones are skipped */
};

/* Strings of descriptors are counted, not terminated: `name_len` bytes follow where said. */
struct frm_desc_provider {
	struct frm_desc desc;
	uint8_t guid[16];
	frm_le16 id;	   /* 0..63, also the index of its gate */
	frm_le16 name_len;
	frm_le16 version_major;
	frm_le16 version_minor;
	/* name */
};
FRM_ASSERT(sizeof(struct frm_desc_provider) == 32, "provider descriptor");

struct frm_desc_event {
	struct frm_desc desc;
	frm_le64 keywords;    /* 56 bits */
	frm_le16 id;	      /* what records carry */
	frm_le16 provider;    /* id of its provider */
	uint8_t level;
	uint8_t field_count;
	frm_le16 name_len;
	/* name, then field_count times struct frm_field + name + unit */
};
FRM_ASSERT(sizeof(struct frm_desc_event) == 24, "event descriptor");

/* Types of fields. A payload is decoded by them alone; see "Payload" in FORMAT.md. */
enum frm_type {
	FRM_U8 = 1,
	FRM_U16,
	FRM_U32,
	FRM_U64,
	FRM_I8,
	FRM_I16,
	FRM_I32,
	FRM_I64,
	FRM_F64,
	FRM_STR,   /* le32 length in the fixed block, UTF-8 by convention, no terminator */
	FRM_BYTES, /* the same, bytes */
	FRM_JSON,  /* the same, checked to be JSON by the writer */
};

struct frm_field {
	uint8_t type;
	uint8_t name_len;
	uint8_t unit_len; /* "ns", "B", "hex", "errno", "signal" ... or none */
	uint8_t reserved;
};
FRM_ASSERT(sizeof(struct frm_field) == 4, "field");

struct frm_desc_module {
	struct frm_desc desc;
	frm_le64 start; /* address of the first mapped byte */
	frm_le64 end;
	frm_le64 offset; /* in the file */
	uint8_t build_id[20];
	uint8_t build_id_len;
	uint8_t reserved;
	frm_le16 path_len;
	/* path */
};
FRM_ASSERT(sizeof(struct frm_desc_module) == 56, "module descriptor");

/* ------------------------------------------------------------------ segment */

/*
 * A segment: what salvage judged worth keeping, sealed. It is a sequence of chunks, each on a multiple
 * of 8; the first is FRM_CHUNK_META, the last FRM_CHUNK_SEAL, and a file without its seal is no segment.
 *
 *	struct frm_segment | chunk | chunk | ... | seal chunk
 */
struct frm_segment {
	frm_le64 magic;
	frm_le16 version_major;
	frm_le16 version_minor;
	frm_le32 crc; /* CRC32C of this header with crc as zero */
	uint8_t ring_id[16];
	uint8_t boot_id[16];
	frm_le32 part;		  /* 0, 1, ...: several segments may come of one ring */
	frm_le32 reason;	  /* enum frm_reason */
	frm_le64 salvaged_real_ns; /* CLOCK_REALTIME when it was made */
	frm_le64 salvaged_boot_ns; /* CLOCK_BOOTTIME of the boot it was made in */
	uint8_t salvage_boot_id[16]; /* that boot */
	uint8_t reserved[40];
};
FRM_ASSERT(sizeof(struct frm_segment) == 128, "segment header");

enum frm_reason {
	FRM_REASON_DRAIN = 1,	 /* the ring lives on: records so far */
	FRM_REASON_CLOSED = 2,	 /* its writer left in order */
	FRM_REASON_DIED = 3,	 /* its writer died, in this boot */
	FRM_REASON_BOOT_END = 4, /* it was left by an earlier boot */
	FRM_REASON_HARVEST = 5,	 /* foreign evidence */
};

enum frm_chunk_type {
	FRM_CHUNK_META = 1,    /* the ring's meta, merged; zeros at its end may be left out */
	FRM_CHUNK_LANE = 2,    /* struct frm_chunk_lane, then valid records, verbatim, in order of pos */
	FRM_CHUNK_LOSSES = 3,  /* array of struct frm_loss_entry */
	FRM_CHUNK_TEXT = 4,    /* le32 length of a name, the name, then foreign evidence as it was found */
	FRM_CHUNK_SEAL = 5,    /* struct frm_seal */
};

struct frm_chunk {
	frm_le32 crc;  /* CRC32C of the chunk with crc as zero, without the rounding to 8 */
	frm_le32 type;
	frm_le64 size; /* bytes with this header, without the rounding */
};
FRM_ASSERT(sizeof(struct frm_chunk) == 16, "chunk");

struct frm_chunk_lane {
	frm_le32 lane;
	frm_le32 record_count;
	frm_le64 bytes;		/* of records that follow */
	struct frm_owner owner[FRM_OWNERS_MAX];
};

struct frm_loss_entry {
	frm_le32 lane;	    /* FRM_LANE_NONE: the ring's ledger, first_seq unused */
	frm_le32 cause;	    /* enum frm_loss */
	frm_le64 first_seq;
	frm_le64 count;
	frm_le64 from_pos;  /* where in the lane, when known; else equal */
	frm_le64 to_pos;
};
FRM_ASSERT(sizeof(struct frm_loss_entry) == 40, "loss");
#define FRM_LANE_NONE 0xffffffffu

struct frm_seal {
	frm_le64 records;
	frm_le64 bytes; /* of the file up to this chunk */
};

#endif
