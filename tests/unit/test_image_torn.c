/* SPDX-License-Identifier: MIT */
/*
 * test_image_torn.c - torn images: of all that writers stored between two sync points each unit of
 * 8 bytes, 64 bytes or a page has reached the medium, or not, or shows what it was in between, or
 * is rubbish. 600 images in a check, 10,000 under torture.
 *
 * THE ORACLE knows from unit_torn.h what was written, and asks of an image only whether the very
 * bytes are there:
 *
 *	a record all of whose bytes are there, at most a lap old	is read
 *	any other							is not read
 *	each number up to the newest that the image shows		is read or lost, once
 *	an entry of which either copy is whole				is offered
 *	anything else							is not there
 *
 * What salvage makes of the image says the same. TORN_SEED chooses other images; a failure names
 * its seed.
 */
#include "tests/unit/unit_parallel.h"
#include "tests/unit/unit_scratch.h"
#include "tests/unit/unit_torn.h"

#include "pstore/salvage.h"
#include "tests/lib/torture.h"

#define IMAGES_EACH  40 /* of one ring */
#define SALVAGE_EACH 20 /* images */

static const struct shape {
	uint64_t size;
	uint32_t lanes, policy;
	unsigned before;  /* operations before the first sync point, at most */
	unsigned between; /* and between it and the second */
} shapes[] = {
	{ 64 << 10, 2, FRM_POLICY_OVERWRITE, 400, 300 },
	{ 64 << 10, 4, FRM_POLICY_OVERWRITE, 1500, 60 },
	{ 128 << 10, 3, FRM_POLICY_OVERWRITE, 3000, 900 },
	{ 256 << 10, 8, FRM_POLICY_OVERWRITE, 3000, 400 },
	{ 128 << 10, 12, FRM_POLICY_OVERWRITE, 20, 3000 },
	{ 64 << 10, 3, FRM_POLICY_DISCARD, 300, 300 },
	{ 256 << 10, 2, FRM_POLICY_OVERWRITE, 4000, 20 },
};

static struct {
	uint64_t images, live, salvaged, refused, rebuilt, touched_units;
	uint64_t read, lost[3], unknown;
} *tally;

static uint64_t base_seed, at_ring, at_image;
static uint32_t at_lane;

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

#define require(condition, ...) \
	do { \
		if (!(condition)) { \
			print_error("TORN_SEED=%llu, ring %llu, image %llu, lane %u: ", \
				    (unsigned long long)base_seed, (unsigned long long)at_ring, \
				    (unsigned long long)at_image, at_lane); \
			print_error(__VA_ARGS__); \
			fail_msg(" (%s)", #condition); \
		} \
	} while (0)

#define N(x) ((unsigned long long)(x))

/* An image, and what of a lane is really there. */
struct look {
	const struct torn *t;
	const unsigned char *bytes;
	struct torn_how how;
	unsigned flags;
	struct fr_image *image;
};

struct lane_look {
	const struct torn_lane *lane;
	const unsigned char *data;
	const struct frm_lane *head;
	uint64_t size;
	bool head_whole, untouched;
	uint64_t *valid; /* numbers of the records that must be read */
	size_t count;
	uint64_t newest_end, next_seq; /* behind the newest of them */
};

static bool is_whole(const struct lane_look *l, uint64_t seq)
{
	const struct torn_record *record = &l->lane->record[seq];

	return !record->stale && record->bytes &&
	       !memcmp(l->data + record->pos % l->size, record->bytes, record->span);
}

static void look_at_lane(const struct look *k, uint32_t index, struct lane_look *l)
{
	const struct frm_super *super = &k->t->u.ring.super;
	uint64_t at = fr_super_lane_offset(super, index), horizon;

	*l = (struct lane_look){ .lane = &k->t->lane[index],
				 .head = (const struct frm_lane *)(k->bytes + at),
				 .data = k->bytes + at + FRM_LANE_HEAD,
				 .size = fr_super_lane_data(super) };
	l->head_whole = !memcmp(l->head, k->t->now + at, offsetof(struct frm_lane, reserved0));
	l->untouched = !memcmp(l->head, k->t->now + at, super->lane_size);
	l->valid = malloc((l->lane->count + 1) * sizeof(*l->valid));
	for (uint64_t seq = 0; seq < l->lane->count; seq++) {
		const struct torn_record *record = &l->lane->record[seq];

		if (!is_whole(l, seq) ||
		    (k->flags & FR_IMAGE_LIVE && l->head_whole && record->pos >= l->head->next_pos))
			continue;
		l->valid[l->count++] = seq;
		l->newest_end = record->pos + record->span;
		l->next_seq = seq + 1;
	}
	horizon = l->newest_end;
	if (k->flags & FR_IMAGE_LIVE && l->head_whole && l->head->next_pos > horizon)
		horizon = l->head->next_pos;
	size_t old = 0;
	while (old < l->count && l->lane->record[l->valid[old]].pos + l->size < horizon)
		old++;
	memmove(l->valid, l->valid + old, (l->count - old) * sizeof(*l->valid));
	l->count -= old;
	if (fr_image_type(k->image) == FR_IMAGE_SEGMENT) { /* marks are left behind */
		size_t kept = 0;

		for (size_t i = 0; i < l->count; i++)
			if (!(((const struct frm_record *)l->lane->record[l->valid[i]].bytes)
				      ->size_flags >>
			      24))
				l->valid[kept++] = l->valid[i];
		l->count = kept;
	}
}

/* Records: those that are there, and no other (I1, I8, I9). */
static void judge_records(const struct look *k, const struct lane_look *l)
{
	size_t count;
	const struct fr_record *got = fr_image_lane_records(k->image, at_lane, &count);

	for (size_t i = 0; i < count && i < l->count; i++) {
		const struct torn_record *want = &l->lane->record[l->valid[i]];

		require(got[i].seq == l->valid[i] && got[i].pos == want->pos,
			"record %llu is there, whole, and %llu at %llu was read", N(l->valid[i]),
			N(got[i].seq), N(got[i].pos));
		require(!memcmp(got[i].head, want->bytes, want->size),
			"record %llu is not what was written", N(got[i].seq));
	}
	require(count == l->count, "%zu records were read, %zu are there", count, l->count);
	add(&tally->read, count);
}

/* One past the newest number that the head shows, when it shows what once was true. */
static uint64_t shown_by_head(const struct lane_look *l)
{
	const struct frm_lane *head = l->head;

	if (!l->head_whole || head->next_seq == 0 || head->next_seq > l->lane->count ||
	    l->lane->record[head->next_seq - 1].pos + l->lane->record[head->next_seq - 1].span !=
		    head->next_pos)
		return 0;
	return head->next_seq;
}

/* The same by headers that follow the newest record and say their own number and place. */
static uint64_t shown_by_headers(const struct lane_look *l)
{
	uint64_t seq = l->next_seq;

	for (; seq < l->lane->count; seq++) {
		const struct torn_record *want = &l->lane->record[seq];
		const struct frm_record *there =
			(const struct frm_record *)(l->data + want->pos % l->size);

		if (there->pos != want->pos || (there->seq_session & FRM_SEQ_MASK) != seq ||
		    (!there->pos && !there->size_flags)) /* zeros */
			break;
		if ((there->size_flags & FRM_RECORD_SIZE_MASK) != want->size)
			return seq + 1;
	}
	return seq;
}

/* Numbers: each one read or lost, once (I6), up to the newest that the image shows. */
static void judge_numbers(const struct look *k, const struct lane_look *l)
{
	uint64_t known = fr_image_lane(k->image, at_lane)->next_seq, shown, most = l->lane->count,
		 torn = 0, damaged = 0;
	uint64_t numbers = known < most ? known : most; /* no memory for what rubbish says */
	unsigned char *seen = calloc(1, numbers + 1);
	bool live = k->flags & FR_IMAGE_LIVE, whole_lap = live && l->count == 0;
	uint64_t marks = 0;
	size_t count;
	const struct fr_record *records = fr_image_lane_records(k->image, at_lane, &count);

	for (size_t i = 0; i < count; i++)
		if (records[i].flags & FRM_RECORD_TORN >> 24)
			marks++;
		else
			seen[records[i].seq]++;
	for (size_t i = 0; i < fr_image_loss_count(k->image); i++) {
		const struct fr_loss *loss = fr_image_loss(k->image, i);

		if (loss->lane != at_lane || loss->cause > FRM_LOSS_DAMAGED)
			continue;
		require(loss->first_seq <= known && loss->count <= known - loss->first_seq,
			"%s %llu+%llu of %llu", fr_loss_name(loss->cause), N(loss->first_seq),
			N(loss->count), N(known));
		for (uint64_t seq = loss->first_seq;
		     seq < loss->first_seq + loss->count && seq < numbers; seq++)
			seen[seq]++;
		torn += loss->cause == FRM_LOSS_TORN ? loss->count : 0;
		damaged += loss->cause == FRM_LOSS_DAMAGED ? loss->count : 0;
		add(&tally->lost[loss->cause], loss->count);
	}
	for (uint64_t seq = 0; seq < numbers; seq++)
		require(seen[seq] == 1 || (live && seq + 1 == known && !seen[seq]),
			"number %llu is accounted for %u times", N(seq), seen[seq]);
	require(torn <= marks + 1, "%llu torn", N(torn));
	free(seen);

	shown = shown_by_head(l);
	if (l->next_seq > shown && (shown || !live)) /* a living lane's hints are never torn */
		shown = l->next_seq;
	if (!live && shown_by_headers(l) > shown)
		shown = shown_by_headers(l);
	if (l->head->next_seq > most) /* rubbish that happens to fit can't be told from the truth */
		most = l->head->next_seq;
	require(known >= shown && (known <= most || whole_lap),
		"%llu numbers; the image shows %llu, %llu there were", N(known), N(shown), N(most));
	if (known < l->lane->count)
		add(&tally->unknown, l->lane->count - known);
	if (l->untouched && !live)
		require(known == l->lane->count && damaged == 0 && torn == marks + l->lane->busy,
			"nothing was touched, but %llu of %llu numbers, %llu damaged, %llu torn",
			N(known), N(l->lane->count), N(damaged), N(torn));
}

static bool same_entry(const struct torn_entry *entry, const unsigned char *got)
{
	return !memcmp(entry->bytes, got, entry->size);
}

/*
 * Something that is stored twice and was read: it was written, and unless things were moved about
 * it is in the image.
 */
static void judge_genuine(const struct look *k, enum torn_kind kind, const void *got,
			  const char *what)
{
	for (size_t i = 0; i < k->t->entries; i++)
		if (k->t->entry[i].kind == kind && same_entry(&k->t->entry[i], got))
			return;
	require(false, "%s is invented", what);
}

/* The descriptor was read, with its name and fields. */
static bool has_desc(const struct fr_image *image, const unsigned char *bytes)
{
	const struct frm_desc *desc = (const struct frm_desc *)bytes;

	if (desc->type == FRM_DESC_PROVIDER) {
		const struct frm_desc_provider *want = (const struct frm_desc_provider *)desc;
		const struct fr_provider *got = fr_image_provider_by_id(image, want->id);

		return got && strlen(got->name) == want->name_len &&
		       !memcmp(got->name, want + 1, want->name_len);
	}
	const struct frm_desc_event *want = (const struct frm_desc_event *)desc;
	const struct fr_event_desc *got = fr_image_event_desc_by_id(image, want->id);

	return got && got->level == want->level && got->keywords == want->keywords &&
	       got->field_count == want->field_count && strlen(got->name) == want->name_len &&
	       !memcmp(got->name, want + 1, want->name_len);
}

/* One of the versions whose bytes are in the image, in either copy, is what was read. */
static bool is_offered(const struct look *k, const struct torn_entry *entry)
{
	const struct fr_lane_info *info;

	switch (entry->kind) {
	case TORN_OWNER:
		for (uint32_t lane = 0; lane < k->t->u.lanes; lane++) {
			uint64_t at = fr_super_lane_offset(&k->t->u.ring.super, lane);

			if (entry->place[0] < at || entry->place[0] > at + FRM_LANE_HEAD)
				continue;
			info = fr_image_lane(k->image, lane);
			if (fr_image_type(k->image) == FR_IMAGE_SEGMENT && !info->records)
				return true; /* it has no chunk there */
			for (unsigned i = 0; i < FRM_OWNERS_MAX && info->owner[i].tid; i++)
				if (same_entry(entry, (const unsigned char *)&info->owner[i]))
					return true;
		}
		return false;
	case TORN_ANCHOR:
		for (size_t i = 0; i < fr_image_anchor_count(k->image); i++)
			if (same_entry(entry, (const unsigned char *)fr_image_anchor(k->image, i)))
				return true;
		return false;
	case TORN_SESSION:
		for (size_t i = 0; i < fr_image_session_count(k->image); i++)
			if (same_entry(entry, (const unsigned char *)fr_image_session(k->image, i)))
				return true;
		return false;
	default:
		return has_desc(k->image, entry->bytes);
	}
}

static void judge_entries(const struct look *k)
{
	const struct torn *t = k->t;
	bool *settled = calloc(t->entries, sizeof(*settled));
	size_t wanted[4] = { 0 };

	/* of each place: some version that is in the image, if any is */
	for (size_t i = 0; i < t->entries; i++) {
		bool there = false, offered = false;

		if (settled[i])
			continue;
		for (size_t j = i; j < t->entries; j++) {
			const struct torn_entry *e = &t->entry[j];

			if (e->place[0] != t->entry[i].place[0])
				continue;
			settled[j] = true;
			if (memcmp(k->bytes + e->place[0], e->bytes, e->size) &&
			    memcmp(k->bytes + e->place[1], e->bytes, e->size))
				continue;
			there = true;
			offered = offered || is_offered(k, e);
		}
		/* bytes from elsewhere may be another entry that is as good as this one */
		require(!there || offered || k->how.moved,
			"an entry of kind %u at %llu or %llu is whole, and was not read",
			t->entry[i].kind, N(t->entry[i].place[0]), N(t->entry[i].place[1]));
		wanted[t->entry[i].kind] += there;
	}
	free(settled);
	for (size_t i = 0; i < fr_image_anchor_count(k->image); i++)
		judge_genuine(k, TORN_ANCHOR, fr_image_anchor(k->image, i), "an anchor");
	for (size_t i = 0; i < fr_image_session_count(k->image); i++)
		judge_genuine(k, TORN_SESSION, fr_image_session(k->image, i), "a session");
	for (uint32_t lane = 0; lane < t->u.lanes; lane++)
		for (unsigned i = 0;
		     i < FRM_OWNERS_MAX && fr_image_lane(k->image, lane)->owner[i].tid; i++)
			judge_genuine(k, TORN_OWNER, &fr_image_lane(k->image, lane)->owner[i],
				      "an owner");
	if (k->how.moved)
		return;
	require(fr_image_anchor_count(k->image) == wanted[TORN_ANCHOR] &&
			fr_image_session_count(k->image) == wanted[TORN_SESSION] &&
			fr_image_provider_count(k->image) + fr_image_event_desc_count(k->image) ==
				wanted[TORN_DESC],
		"more entries than there are");
}

/*
 * Counters have no checksum: one copy that has the last value is enough, whatever the other has,
 * but for a likely value.
 */
static void judge_counter(uint64_t got, uint64_t a, uint64_t b, const uint64_t range[2],
			  const char *what)
{
	if (a == range[1] || b == range[1])
		require(got == range[1], "%s: %llu instead of %llu (%llu, %llu)", what, N(got),
			N(range[1]), N(a), N(b));
}

static void judge_counters(const struct look *k)
{
	const struct frm_super *super = &k->t->u.ring.super;
	const struct frm_state *a = &((const struct frm_meta *)k->bytes)->state;
	const struct frm_state *b =
		&((const struct frm_meta *)(k->bytes + super->meta_size))->state;

	uint64_t closed;

	if (k->how.moved)
		return;
	for (unsigned i = 0; i < FRM_LOSS_COUNT; i++)
		judge_counter(fr_image_state(k->image)->loss[i], a->loss[i], b->loss[i],
			      (uint64_t[2]){ k->t->loss[0][i], k->t->loss[1][i] }, fr_loss_name(i));
	for (uint32_t lane = 0; lane < k->t->u.lanes; lane++) {
		uint64_t at = fr_super_lane_offset(super, lane);
		const struct frm_lane *head = (const struct frm_lane *)(k->bytes + at);
		const struct frm_lane *tail =
			(const struct frm_lane *)(k->bytes + at + super->lane_size - FRM_LANE_HEAD);

		judge_counter(fr_image_lane(k->image, lane)->discarded, head->discarded,
			      tail->discarded,
			      (uint64_t[2]){ k->t->discarded[0][lane], k->t->discarded[1][lane] },
			      "refused");
	}
	closed = fr_image_state(k->image)->closed_boot_ns;
	/* rubbish is an instant of ten years one time in sixty */
	require(!closed || closed == k->t->closed_boot_ns || k->how.trashed,
		"it was not left in order");
	if (fr_image_super(k->image)->created_boot_ns && k->t->closed_boot_ns &&
	    (a->closed_boot_ns == k->t->closed_boot_ns ||
	     b->closed_boot_ns == k->t->closed_boot_ns))
		require(closed == k->t->closed_boot_ns || k->how.trashed, "it was left in order");
}

/*
 * Whether anything in the image says what its geometry is: a superblock, or the head or tail of a
 * lane.
 */
static bool shows_geometry(const struct look *k, bool *ret_super)
{
	const struct frm_super *super = &k->t->u.ring.super;
	bool any = false;

	*ret_super = !memcmp(k->bytes, super, sizeof(*super)) ||
		     !memcmp(k->bytes + super->meta_size, super, sizeof(*super));
	for (uint32_t lane = 0; lane < k->t->u.lanes; lane++)
		for (int copy = 0; copy < 2; copy++) {
			uint64_t at = fr_super_lane_offset(super, lane) +
				      (copy ? super->lane_size - FRM_LANE_HEAD : 0);

			any = any || !memcmp(k->bytes + at, k->t->now + at,
					     offsetof(struct frm_lane, reserved0));
		}
	return any || *ret_super;
}

static void judge(const struct look *k)
{
	for (at_lane = 0; at_lane < k->t->u.lanes; at_lane++) {
		struct lane_look l;

		look_at_lane(k, at_lane, &l);
		judge_records(k, &l);
		judge_numbers(k, &l);
		free(l.valid);
	}
	judge_entries(k);
	judge_counters(k);
}

static void judge_same_losses(const struct fr_image *a, const struct fr_image *b)
{
	require(fr_image_loss_count(a) == fr_image_loss_count(b),
		"%zu losses in the ring, %zu in the segment", fr_image_loss_count(a),
		fr_image_loss_count(b));
	for (size_t i = 0; i < fr_image_loss_count(a); i++) {
		const struct fr_loss *x = fr_image_loss(a, i), *y = fr_image_loss(b, i);

		require(x->lane == y->lane && x->cause == y->cause &&
				x->first_seq == y->first_seq && x->count == y->count,
			"loss %zu is another in the segment", i);
	}
}

/* What salvage makes of it has the same records, entries, counters, and losses. */
static void judge_segment(struct look *k)
{
	struct fr_image *ring = k->image;
	struct fr_found found;
	struct fr_spool *spool;
	struct scratch s;

	scratch_make(&s);
	scratch_put(s.rings, "torn.ring", k->bytes, k->t->u.ring.size);
	assert_int_equal(fr_spool_open(s.state, &spool), 0);
	require(fr_salvage_ring(spool, s.rings, "torn.ring", FR_SALVAGE_DEAD, &found) == 0 &&
			found.fate == FR_FATE_SALVAGED,
		"salvage failed: %s", found.why);
	k->image = scratch_segment(&s, k->t->u.ring.super.ring_id, 0);
	for (at_lane = 0; at_lane < k->t->u.lanes; at_lane++) {
		struct lane_look l;

		look_at_lane(k, at_lane, &l);
		judge_records(k, &l);
		free(l.valid);
	}
	judge_entries(k);
	judge_same_losses(ring, k->image);
	require(!memcmp(fr_image_super(ring), fr_image_super(k->image), sizeof(struct frm_super)),
		"the superblock is another");
	require(fr_image_chunk_damage(k->image) == 0, "a fresh segment is damaged");
	fr_image_close(k->image);
	k->image = ring;
	fr_spool_close(spool);
	scratch_remove(&s);
	add(&tally->salvaged, 1);
}

static void try_image(const struct torn *t, uint64_t *seed, unsigned char *bytes)
{
	struct look k = { .t = t,
			  .bytes = bytes,
			  .flags = unit_random(seed) % 4 ? 0 : FR_IMAGE_LIVE };
	bool super, shown;
	int r;

	torn_image(t, seed, bytes, &k.how);
	add(&tally->images, 1);
	add(&tally->live, k.flags != 0);
	add(&tally->touched_units, k.how.dropped + k.how.older + k.how.trashed);
	shown = shows_geometry(&k, &super);
	r = fr_image_from_memory(bytes, t->u.ring.size, k.flags, &k.image);
	if (!shown) {
		require(r == -EBADMSG, "an image that shows nothing was opened: %d", r);
		add(&tally->refused, 1);
		return;
	}
	require(r == 0, "%s", fr_image_strerror(r));
	add(&tally->rebuilt, !super);
	if (super)
		require(!memcmp(fr_image_super(k.image), &t->u.ring.super,
				sizeof(struct frm_super)),
			"the superblock is another");
	judge(&k);
	if (!k.flags && unit_random(seed) % SALVAGE_EACH == 0)
		judge_segment(&k);
	fr_image_close(k.image);
}

static void try_ring(uint64_t ring)
{
	const struct shape *shape = &shapes[ring % COUNT(shapes)];
	uint64_t seed = base_seed * 1000003 + ring;
	unsigned char *bytes = malloc(shape->size);
	struct torn t;

	at_ring = ring;
	torn_make(&t, shape->size, shape->lanes, shape->policy);
	torn_run(&t, &seed, (unsigned)(unit_random(&seed) % shape->before));
	torn_sync(&t);
	torn_run(&t, &seed, (unsigned)(1 + unit_random(&seed) % shape->between));
	torn_end(&t, &seed);
	for (at_image = 0; at_image < IMAGES_EACH; at_image++)
		try_image(&t, &seed, bytes);
	torn_free(&t);
	free(bytes);
}

TEST(test_I9_torn_images_keep_all_records_that_are_whole_and_count_the_others)
{
	const char *wanted = getenv("TORN_SEED");

	base_seed = wanted ? strtoull(wanted, NULL, 0) : 1;
	tally = unit_shared(sizeof(*tally));
	unit_parallel(torture_count(UNIT_SANITIZED ? 120 : 600, 10000) / IMAGES_EACH, try_ring);
	assert_true(tally->salvaged > 0 && tally->live > 0);
	torture_row("torn images", tally->images, "images",
		    "%llu units dropped, older or trashed at 8 B, 64 B, 4 KiB; %llu records read, "
		    "lost: %llu overwritten %llu torn %llu damaged; "
		    "%llu with both superblocks gone; %llu read while living, %llu salvaged into "
		    "segments",
		    N(tally->touched_units), N(tally->read), N(tally->lost[0]), N(tally->lost[1]),
		    N(tally->lost[2]), N(tally->rebuilt), N(tally->live), N(tally->salvaged));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_I9_torn_images_keep_all_records_that_are_whole_and_count_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
