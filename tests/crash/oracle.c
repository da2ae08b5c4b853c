/* SPDX-License-Identifier: MIT */
/* oracle.c - see oracle.h. */
#include "tests/crash/oracle.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

void *oracle_shared(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(map != MAP_FAILED, "%s", strerror(errno));
	return map;
}

struct witness *witness_new(void)
{
	return oracle_shared(sizeof(struct witness));
}

void witness_reset(struct witness *witness)
{
	memset(witness, 0, sizeof(*witness));
}

uint64_t oracle_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void oracle_text(uint32_t thread, uint64_t number, char text[256])
{
	uint64_t seed = number << 8 | thread, bits = oracle_random(&seed);
	unsigned length = (unsigned)(bits % 201);

	for (unsigned i = 0; i < length; i++)
		text[i] = (char)('a' + (bits >> i % 50) % 26);
	text[length] = '\0';
}

void oracle_sleep_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

void oracle_environment(const char *name, const char *ring_size, unsigned lanes)
{
	const char *tmp = getenv("TMPDIR");
	char path[4096], number[16];

	snprintf(path, sizeof(path), "%s/crash-%s-%d", tmp ? tmp : "/tmp", name, (int)getpid());
	mkdir(path, 0700);
	setenv("FLIGHTREC_STATE_DIR", path, 1);
	setenv("FLIGHTREC_RUNTIME_DIR", path, 1); /* no daemon there */
	setenv("FLIGHTREC_RING_SIZE", ring_size, 1);
	snprintf(number, sizeof(number), "%u", lanes);
	if (lanes)
		setenv("FLIGHTREC_LANES", number, 1);
	else
		unsetenv("FLIGHTREC_LANES");
}

int oracle_child(unsigned seconds, void (*body)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		alarm(seconds);
		body();
		exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	return status;
}

void witness_ring(struct witness *witness)
{
	struct flightrec_status status = { .size = sizeof(status) };

	REQUIRE(flightrec_get_status(&status) == 0);
	REQUIRE(status.error == 0, "%s", strerror(-status.error));
	REQUIRE(status.ring_path[0], "the ring has no path");
	memcpy(witness->ring_path, status.ring_path, sizeof(witness->ring_path));
}

struct per_thread {
	uint64_t count, first, last;
	uint64_t *seen; /* a bit for each number */
	uint64_t room;
	uint32_t lane;
	bool moved; /* it wrote more than one lane */
};

static void note(struct per_thread *t, uint64_t number, uint32_t thread)
{
	uint64_t words = number / 64 + 1;

	if (words > t->room) {
		uint64_t room = 2 * words;

		t->seen = reallocarray(t->seen, room, 8);
		REQUIRE(t->seen);
		memset(t->seen + t->room, 0, (room - t->room) * 8);
		t->room = room;
	}
	REQUIRE(!(t->seen[number / 64] >> number % 64 & 1), "thread %u: number %llu comes twice", thread, (unsigned long long)number);
	t->seen[number / 64] |= 1ull << number % 64;
	if (!t->count || number < t->first)
		t->first = number;
	if (!t->count || number > t->last)
		t->last = number;
	t->count++;
}

static void judge_record(const struct fr_image *image, const struct fr_record *record, const struct witness *witness,
			 unsigned threads, struct per_thread *per, uint64_t *in_lane, bool extra)
{
	const struct fr_value *thread, *number, *text;
	struct fr_event event;
	char want[256];
	uint32_t who;

	fr_decode(image, record, &event);
	if (extra && strcmp(event.name, "oracle"))
		return;
	REQUIRE(!strcmp(event.name, "oracle"), "an event \"%s\" nobody wrote", event.name);
	thread = fr_event_field(&event, "thread");
	number = fr_event_field(&event, "number");
	text = fr_event_field(&event, "text");
	REQUIRE(thread && number && text && !text->truncated);
	who = (uint32_t)thread->u;
	REQUIRE(who < threads, "thread %u?", who);
	oracle_text(who, number->u, want);
	REQUIRE(text->s.size == strlen(want) && !memcmp(text->s.data, want, text->s.size),
		"thread %u, number %llu: \"%.*s\" is not what was written", who, (unsigned long long)number->u, (int)text->s.size,
		text->s.data);
	REQUIRE(number->u <= witness->committed[who], "thread %u: number %llu, but the witness knows %llu", who,
		(unsigned long long)number->u, (unsigned long long)witness->committed[who]);
	REQUIRE(!in_lane[who] || number->u >= in_lane[who], "thread %u: number %llu after %llu in one lane", who,
		(unsigned long long)number->u, (unsigned long long)in_lane[who] - 1);
	in_lane[who] = number->u + 1;
	if (per[who].count && per[who].lane != record->lane)
		per[who].moved = true;
	per[who].lane = record->lane;
	note(&per[who], number->u, who);
}

/*
 * I6 for one lane; the last number of a lane may be torn, others only where a mark says so. Holes: the torn record may have begun
 * to overwrite the oldest ones in any order, so that an older one is still whole.
 */
static void judge_lane(const struct fr_image *image, uint32_t lane, struct verdict *verdict, uint64_t *holes)
{
	const struct fr_lane_info *info = fr_image_lane(image, lane);
	const struct fr_record *records;
	uint64_t accounted = 0, marks = 0, laps, given = info->next_seq;
	size_t count;

	if (!info->readable && fr_image_type(image) == FR_IMAGE_SEGMENT)
		return; /* nobody ever wrote it */
	REQUIRE(info->readable && !info->head_damaged, "lane %u", lane);
	laps = info->data_size ? info->newest_end / info->data_size : 0; /* a segment doesn't know */
	records = fr_image_lane_records(image, lane, &count);
	for (size_t i = 0; i < count; i++)
		marks += (records[i].flags & FRM_RECORD_TORN >> 24) != 0;
	accounted = count - marks;
	for (size_t i = 0; i < fr_image_loss_count(image); i++) {
		const struct fr_loss *loss = fr_image_loss(image, i);

		if (loss->lane != lane || loss->cause > FRM_LOSS_DAMAGED)
			continue;
		REQUIRE(loss->cause != FRM_LOSS_DAMAGED, "lane %u: %llu numbers from %llu are called damaged; oldest %llu, newest %llu",
			lane, (unsigned long long)loss->count, (unsigned long long)loss->first_seq,
			(unsigned long long)(count ? records[0].seq : 0), (unsigned long long)(count ? records[count - 1].seq : 0));
		if (loss->cause == FRM_LOSS_OVERWRITTEN)
			verdict->overwritten += loss->count;
		else
			verdict->torn += loss->count;
		if (loss->cause == FRM_LOSS_OVERWRITTEN && count && loss->first_seq > records[0].seq)
			*holes += loss->count;
		accounted += loss->count;
		if (given < loss->first_seq + loss->count && fr_image_type(image) == FR_IMAGE_SEGMENT)
			/* where it ends is told by its records and losses alone */
			given = loss->first_seq + loss->count;
	}
	REQUIRE(!*holes || verdict->torn, "lane %u: %llu numbers missing in between", lane, (unsigned long long)*holes);
	REQUIRE(accounted == given, "lane %u: %llu numbers were given, %llu are accounted for",
		lane, (unsigned long long)given, (unsigned long long)accounted);
	if (laps > verdict->laps)
		verdict->laps = laps;
}

struct verdict oracle_judge_image(const struct fr_image *image, const struct witness *witness, unsigned threads, unsigned flags)
{
	struct per_thread per[2 * ORACLE_THREADS] = { 0 };
	uint64_t in_lane[2 * ORACLE_THREADS] = { 0 };
	struct verdict verdict = { .recovered = fr_image_record_count(image) };
	uint64_t *holes = calloc(fr_image_lane_count(image), sizeof(*holes));
	uint32_t lane = UINT32_MAX;

	REQUIRE(holes);
	REQUIRE(fr_image_meta_damage(image) == 0);
	REQUIRE((flags & ORACLE_MAYBE_CLOSED) ||
			(fr_image_state(image)->closed_boot_ns != 0) == !!(flags & ORACLE_CLOSED),
		"left in order: %s", fr_image_state(image)->closed_boot_ns ? "yes" : "no");
	for (size_t i = 0; i < verdict.recovered; i++) {
		const struct fr_record *record = fr_image_record(image, i);

		if (record->lane != lane)
			memset(in_lane, 0, sizeof(in_lane));
		lane = record->lane;
		judge_record(image, record, witness, threads, per, in_lane, flags & ORACLE_EXTRA);
	}
	for (uint32_t i = 0; i < fr_image_lane_count(image); i++)
		judge_lane(image, i, &verdict, &holes[i]);
	for (size_t i = 0; i < fr_image_loss_count(image); i++)
		if (fr_image_loss(image, i)->cause == FRM_LOSS_DISCARDED_BUSY)
			verdict.busy += fr_image_loss(image, i)->count;
	for (uint32_t t = 0; t < threads; t++) {
		uint64_t committed = witness->committed[t];

		if (flags & ORACLE_OWN_LANES && committed) {
			REQUIRE(per[t].count, "thread %u: nothing is left of %llu", t, (unsigned long long)committed);
			REQUIRE(per[t].last + 1 >= committed, "thread %u: the last is %llu, the witness knows %llu", t,
				(unsigned long long)per[t].last, (unsigned long long)committed);
			REQUIRE(per[t].count + holes[per[t].lane] >= per[t].last - per[t].first + 1, "thread %u: of %llu..%llu there are %llu", t,
				(unsigned long long)per[t].first, (unsigned long long)per[t].last, (unsigned long long)per[t].count);
		}
		if (flags & ORACLE_NEVER_LAPPED && committed)
			REQUIRE(per[t].first == 0 && per[t].count >= committed, "thread %u: %llu of %llu, from %llu", t,
				(unsigned long long)per[t].count, (unsigned long long)committed, (unsigned long long)per[t].first);
		free(per[t].seen);
	}
	free(holes);
	return verdict;
}

struct verdict oracle_judge(const struct witness *witness, unsigned threads, unsigned flags)
{
	struct fr_image *image = NULL;
	struct verdict verdict;
	int r = fr_image_open_path(witness->ring_path, 0, &image);

	REQUIRE(r == 0, "%s: %s", witness->ring_path, fr_image_strerror(r));
	verdict = oracle_judge_image(image, witness, threads, flags);
	fr_image_close(image);
	return verdict;
}
