/* SPDX-License-Identifier: MIT */
/* test_index.c - segments become rows: each event once, with all that it had. */
#include "tests/unit/unit_index.h"

#include <dirent.h>
#include <sqlite3.h>

#include "uploader/db.h"

TEST(test_every_event_of_a_segment_is_a_row_with_the_same_identity_and_fields)
{
	struct fr_query everything = { 0 };
	struct fr_index_stats stats;
	struct fr_cursor *cursor;
	struct fr_image *image;
	struct fr_index *index;
	struct fr_event row, event;
	const uint32_t *order;
	char a[512], b[512];
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 7, 100, 3);
	for (uint64_t i = 0; i < 200; i++)
		writer_order(&w, i / 3 % 2, 200 * SECOND + i * 1000, i);
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	index = index_now(&s, &stats);
	assert_int_equal(stats.segments, 1);
	assert_int_equal(stats.events, 200);
	assert_int_equal(fr_image_open(w.fd, 0, &image), 0);
	order = fr_image_timeline(image);
	assert_int_equal(fr_query_open(index, &everything, &cursor), 0);
	for (size_t i = 0; i < 200; i++) {
		assert_int_equal(fr_query_next(cursor, &row), 1);
		fr_decode(image, fr_image_record(image, order[i]), &event);
		assert_memory_equal(row.ring_id, event.ring_id, 16);
		assert_memory_equal(row.boot_id, event.boot_id, 16);
		assert_int_equal(row.lane, event.lane);
		assert_int_equal(row.seq, event.seq);
		assert_int_equal(row.boot_seq, event.boot_seq);
		assert_int_equal(row.time_ns, event.time_ns);
		assert_int_equal(row.real_ns, event.real_ns);
		assert_int_equal(row.pid, event.pid);
		assert_int_equal(row.tid, event.tid);
		assert_int_equal(row.ppid, event.ppid);
		assert_int_equal(row.uid, event.uid);
		assert_int_equal(row.start_time_ns, event.start_time_ns);
		assert_int_equal(row.cpu, event.cpu);
		assert_int_equal(row.level, event.level);
		assert_int_equal(row.keywords, event.keywords);
		assert_string_equal(row.comm, event.comm);
		assert_string_equal(row.thread, event.thread);
		assert_string_equal(row.cgroup, event.cgroup);
		assert_string_equal(row.provider, event.provider);
		assert_memory_equal(row.provider_guid, event.provider_guid, 16);
		assert_string_equal(row.name, event.name);
		fr_event_json_fields(&row, a, sizeof(a));
		fr_event_json_fields(&event, b, sizeof(b));
		assert_string_equal(a, b);
	}
	assert_int_equal(fr_query_next(cursor, &row), 0);
	fr_query_close(cursor);
	fr_image_close(image);
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_a_kernel_event_belongs_to_the_process_that_it_speaks_of)
{
	struct fr_index *index;
	struct scratch s;

	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT pid, comm, tid FROM events WHERE event = 'proc.exit' AND boot_seq = 1", "101|gone|101\n");
	assert_answer(index, "SELECT pid, comm FROM events WHERE event = 'fr.start' AND boot_seq = 1", "50|proc17\n");
	/* one process, though ring and kernel know its start to another grain */
	assert_answer(index, "SELECT count(*), max(ring IS NOT NULL) FROM processes WHERE boot_seq = 1 AND pid = 101", "1|1\n");
	assert_answer(index, "SELECT boot_seq, name FROM sessions ORDER BY 1", "1|shift\n2|shift\n");
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_typed_fields_are_columns_for_any_sqlite)
{
	struct fr_index *index;
	char path[128], sql[256];
	sqlite3_stmt *row;
	struct scratch s;
	struct writer w;
	sqlite3 *db;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 7, 100, 3);
	for (uint64_t i = 0; i < 5; i++)
		writer_order(&w, 0, 200 * SECOND + i, i);
	writer_order(&w, 0, 201 * SECOND, 1234567890);
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	writer_done(&w);
	fr_index_close(index_now(&s, NULL));
	snprintf(path, sizeof(path), "%s/index.db", s.state);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	snprintf(sql, sizeof(sql), "SELECT id || ' ' || change || ' ' || price || ' ' || customer || ' ' || hex(raw) || ' ' || more,"
				   " _pid, typeof(price), json_extract(more, '$.n') FROM event_shop_order ORDER BY _seq");
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
	for (unsigned i = 0; i < 6; i++) {
		static const char *const raw[] = { "", "FF", "FF00", "FF007F", "", "FF00" };
		unsigned long number = i < 5 ? i : 1234567890;
		char expected[128];

		snprintf(expected, sizeof(expected), "%lu %ld %s customer %lu %s {\"n\":%lu}", number, -(long)number,
			 i < 5 ? (const char *[]){ "0.0", "0.125", "0.25", "0.375", "0.5" }[i] : "154320986.25", number, raw[i], number);
		assert_int_equal(sqlite3_step(row), SQLITE_ROW);
		assert_string_equal((const char *)sqlite3_column_text(row, 0), expected);
		assert_int_equal(sqlite3_column_int(row, 1), 100);
		assert_string_equal((const char *)sqlite3_column_text(row, 2), "real");
		assert_int_equal(sqlite3_column_int64(row, 3), number);
	}
	assert_int_equal(sqlite3_step(row), SQLITE_DONE);
	sqlite3_finalize(row);
	sqlite3_close(db);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT fields FROM events ORDER BY seq LIMIT 1",
		      "{\"id\":0,\"change\":0,\"price\":0,\"customer\":\"customer 0\",\"raw\":\"\",\"more\":{\"n\":0}}\n");
	assert_int_equal(fr_index_sql(index, "DELETE FROM event", NULL, NULL, NULL), -EACCES);
	assert_int_equal(fr_index_sql(index, "ATTACH '/tmp/x' AS x", NULL, NULL, NULL), -EACCES);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_the_order_of_arrival_does_not_matter)
{
	char *forward, *backward, from[256], to[256];
	struct fr_index *index;
	struct scratch s;
	DIR *dir;
	struct dirent *entry;

	scratch_make(&s);
	index_machine(&s);
	index = index_now(&s, NULL);
	forward = index_dump(index);
	fr_index_close(index);
	snprintf(from, sizeof(from), "%s/index.db", s.state);
	unlink(from);
	/* one segment after the other, the last name first */
	snprintf(to, sizeof(to), "%s/held", s.root);
	assert_int_equal(rename(s.spool, to), 0);
	assert_int_equal(fr_path_make(s.spool, 0700), 0);
	for (;;) {
		char last[64] = "";

		dir = opendir(to);
		while ((entry = readdir(dir)))
			if (entry->d_name[0] != '.' && strcmp(entry->d_name, last) > 0)
				snprintf(last, sizeof(last), "%.60s", entry->d_name);
		closedir(dir);
		if (!*last)
			break;
		snprintf(from, sizeof(from), "%s/held/%s", s.root, last);
		snprintf(to, sizeof(to), "%s/%s", s.spool, last);
		assert_int_equal(rename(from, to), 0);
		snprintf(to, sizeof(to), "%s/held", s.root);
		fr_index_close(index_now(&s, NULL));
	}
	index = index_now(&s, NULL);
	backward = index_dump(index);
	assert_string_equal(forward, backward);
	free(forward);
	free(backward);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_the_schema_has_the_version_and_words_of_the_program)
{
	struct fr_index *index;
	struct scratch s;
	char sql[64], expected[64];
	int64_t version;

	scratch_make(&s);
	index = index_now(&s, NULL);
	assert_int_equal(fr_db_int(index, "PRAGMA user_version", &version), 0);
	assert_int_equal(version, FR_INDEX_VERSION);
	for (int i = 0; i < FRM_LOSS_COUNT; i++) {
		snprintf(sql, sizeof(sql), "SELECT name FROM cause WHERE id = %d", i);
		snprintf(expected, sizeof(expected), "%s\n", fr_loss_name((enum frm_loss)i));
		assert_answer(index, sql, expected);
	}
	for (unsigned i = 1; i <= 5; i++) {
		snprintf(sql, sizeof(sql), "SELECT name FROM level WHERE id = %u", i);
		snprintf(expected, sizeof(expected), "%s\n", fr_level_name(i));
		assert_answer(index, sql, expected);
	}
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_a_segment_that_cannot_be_read_is_noted_and_stops_nothing)
{
	struct fr_index_stats stats;
	struct fr_index *index;
	struct scratch s;
	char name[FR_SEGMENT_NAME];

	scratch_make(&s);
	index_machine(&s);
	fr_segment_name(name, (const uint8_t *)"0123456789abcdef", 3);
	scratch_put_text(s.spool, name, "this is not a segment");
	index = index_now(&s, &stats);
	assert_int_equal(stats.segments, 5);
	assert_int_equal(stats.segments_bad, 1);
	assert_int_equal(stats.events, 104);
	assert_answer(index, "SELECT count(*) FROM segments WHERE error IS NOT NULL", "1\n");
	assert_int_equal(fr_index_update(index, &stats), 0);
	assert_int_equal(stats.segments_bad, 0);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_flipped_bits_in_a_segment_never_crash_and_never_invent)
{
	uint64_t seed = 1;
	unsigned char *bytes;
	struct scratch s;
	struct writer w;
	char name[FR_SEGMENT_NAME];
	size_t size;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_SYSTEM, 7, 100, 3);
	for (uint64_t i = 0; i < 20; i++)
		writer_say(&w, i % 2, 200 * SECOND + i, FR_EVENT_PROC_EXIT,
			   (struct said[]){ { "pid", i, NULL }, { "tid", i, NULL }, { "signal", 9, NULL }, { "comm", 0, "x" },
					    { NULL, 0, NULL } });
	writer_seal(&w, &s, 0, FRM_REASON_DIED, NULL, NULL);
	fr_segment_name(name, w.id, 0);
	bytes = (unsigned char *)scratch_get(s.spool, name, &size);
	for (int round = 0; round < 60; round++) {
		struct fr_index_stats stats;
		struct fr_index *index;
		char *dump;

		for (int flips = 0; flips < 4; flips++)
			bytes[unit_random(&seed) % size] ^= (unsigned char)(1u << unit_random(&seed) % 8);
		scratch_put(s.spool, name, bytes, size);
		scratch_date(s.spool, name, 1000000 + round);
		index = index_now(&s, &stats);
		assert_true(stats.events <= 20);
		dump = index_dump(index);
		free(dump);
		assert_answer(index, "SELECT count(*) > 20 FROM events", "0\n");
		fr_index_close(index);
	}
	free(bytes);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_rows_of_a_segment_that_is_gone_go_too)
{
	struct fr_index *index;
	char path[200], name[FR_SEGMENT_NAME];
	struct scratch s;
	uint8_t id[16];

	scratch_make(&s);
	index_machine(&s);
	fr_index_close(index_now(&s, NULL));
	for (unsigned tag = 16; tag <= 17; tag++) {
		memset(id, (int)tag, 16);
		fr_segment_name(name, id, 0);
		snprintf(path, sizeof(path), "%s/%s", s.spool, name);
		assert_int_equal(unlink(path), 0);
	}
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT count(*), min(boot_seq) FROM events", "52|2\n");
	assert_answer(index, "SELECT count(*) FROM boots", "1\n");
	assert_answer(index, "SELECT count(*) FROM processes", "2\n");
	assert_answer(index, "SELECT count(*) FROM incidents", "1\n");
	assert_answer(index, "SELECT count(*) FROM witness", "1\n");
	assert_answer(index, "SELECT count(*) FROM stream", "3\n");
	fr_index_close(index);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_of_a_segment_is_a_row_with_the_same_identity_and_fields),
		cmocka_unit_test(test_a_kernel_event_belongs_to_the_process_that_it_speaks_of),
		cmocka_unit_test(test_typed_fields_are_columns_for_any_sqlite),
		cmocka_unit_test(test_the_order_of_arrival_does_not_matter),
		cmocka_unit_test(test_the_schema_has_the_version_and_words_of_the_program),
		cmocka_unit_test(test_a_segment_that_cannot_be_read_is_noted_and_stops_nothing),
		cmocka_unit_test(test_flipped_bits_in_a_segment_never_crash_and_never_invent),
		cmocka_unit_test(test_rows_of_a_segment_that_is_gone_go_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
