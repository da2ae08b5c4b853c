/* SPDX-License-Identifier: MIT */
/* test_index_incidents.c - one row a death, with the best cause that the evidence gives. */
#include <signal.h>

#include "tests/unit/unit_index.h"

#define WHAT "SELECT kind, pid, comm, cause, evidence FROM incidents ORDER BY time_ns, pid"
#define END { NULL, 0, NULL }

static void process(const struct scratch *s, unsigned tag, uint32_t pid, enum frm_reason reason, const struct said *crash)
{
	struct writer w;

	writer_make(&w, FRM_KIND_PROCESS, tag, pid, 1);
	writer_order(&w, 0, 300 * SECOND, 1);
	if (crash)
		writer_say(&w, 0, 301 * SECOND, FR_EVENT_FR_CRASH, crash);
	if (reason == FRM_REASON_CLOSED)
		fr_ring_close_mark(&w.ring, true);
	writer_seal(&w, s, 0, reason, NULL, NULL);
	writer_done(&w);
}

static void says_exit(struct writer *w, uint64_t time_ns, uint32_t pid, int signal, int code)
{
	writer_say(w, 0, time_ns, FR_EVENT_PROC_EXIT,
		   (struct said[]){ { "pid", pid, NULL }, { "tid", pid, NULL }, { "comm", 0, "task" },
				    { "start_time_ns", writer_start_ns(pid) + 4567890, NULL }, { "signal", (uint64_t)signal, NULL },
				    { "exit_code", (uint64_t)code, NULL }, { "group_dead", 1, NULL }, { "known", 1, NULL }, END });
}

static void says_sent(struct writer *w, uint64_t time_ns, uint32_t from, const char *comm, uint32_t to, int signal)
{
	writer_say(w, 0, time_ns, FR_EVENT_SIG_GENERATE,
		   (struct said[]){ { "pid", from, NULL }, { "tid", from, NULL }, { "comm", 0, comm }, { "target_pid", to, NULL },
				    { "target_start_time_ns", writer_start_ns(to) + 4567890, NULL },
				    { "sig", (uint64_t)signal, NULL }, END });
}

TEST(test_without_the_kernels_word_the_ring_is_believed_and_else_it_vanished)
{
	struct fr_index *index;
	struct scratch s;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_DIED, NULL);
	process(&s, 2, 12, FRM_REASON_DIED,
		(struct said[]){ { "signal", SIGSEGV, NULL }, { "code", 1, NULL }, { "fault_addr", 0x10, NULL }, END });
	process(&s, 3, 13, FRM_REASON_CLOSED, NULL);
	process(&s, 4, 14, FRM_REASON_DRAIN, NULL);
	process(&s, 5, 15, FRM_REASON_DIED,
		(struct said[]){ { "signal", SIGABRT, NULL }, { "code", (uint64_t)-6, NULL }, { "sender_pid", 15, NULL }, END });
	process(&s, 6, 16, FRM_REASON_DIED,
		(struct said[]){ { "signal", SIGTERM, NULL }, { "sender_pid", 1, NULL }, END });
	index = index_now(&s, NULL);
	assert_answer(index, WHAT,
		      "process|11|proc1|vanished|none\n"
		      "process|12|proc2|SIGSEGV at 0x10|ring\n"
		      "process|15|proc5|SIGABRT raised by itself|ring\n"
		      "process|16|proc6|killed by SIGTERM from pid 1|ring\n");
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_the_kernels_word_corrects_what_was_found_before)
{
	char *before, *after;
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_DIED, NULL);
	process(&s, 2, 12, FRM_REASON_DIED,
		(struct said[]){ { "signal", SIGSEGV, NULL }, { "code", 1, NULL }, { "fault_addr", 0x10, NULL }, END });
	process(&s, 3, 13, FRM_REASON_DIED, NULL);
	process(&s, 4, 14, FRM_REASON_DIED, NULL);
	process(&s, 5, 15, FRM_REASON_DIED, NULL);
	process(&s, 6, 16, FRM_REASON_DIED, NULL);
	index = index_now(&s, NULL);
	before = index_ask(index, "SELECT id FROM incidents WHERE pid IN (11, 12) ORDER BY pid");
	assert_answer(index, "SELECT count(*) FROM incidents", "6\n");
	writer_make(&w, FRM_KIND_SYSTEM, 9, 50, 1);
	says_sent(&w, 300 * SECOND, 812, "bash", 11, SIGKILL);
	says_exit(&w, 302 * SECOND, 11, SIGKILL, 0);
	says_exit(&w, 303 * SECOND, 12, SIGSEGV, 0);
	says_exit(&w, 304 * SECOND, 13, 0, 3);
	says_exit(&w, 305 * SECOND, 14, 0, 0); /* left by itself: no incident, whatever its ring looks like */
	writer_say(&w, 0, 306 * SECOND, FR_EVENT_MEM_OOM_KILL,
		   (struct said[]){ { "pid", 1, NULL }, { "comm", 0, "hungry" }, { "victim_pid", 15, NULL },
				    { "victim_start_time_ns", writer_start_ns(15), NULL }, { "victim_comm", 0, "proc5" }, END });
	says_exit(&w, 307 * SECOND, 15, SIGKILL, 0);
	says_exit(&w, 308 * SECOND, 16 + 1, SIGKILL, 0); /* another process */
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_answer(index, WHAT,
		      "process|16|proc6|vanished|none\n"
		      "process|11|proc1|killed by SIGKILL from pid 812 (bash)|ebpf\n"
		      "process|12|proc2|SIGSEGV at 0x10|ebpf+ring\n"
		      "process|13|proc3|exited with code 3|ebpf\n"
		      "process|15|proc5|killed by the kernel for want of memory|ebpf\n"
		      "process|17|task|killed by SIGKILL|ebpf\n");
	after = index_ask(index, "SELECT id FROM incidents WHERE pid IN (11, 12) ORDER BY pid");
	assert_string_equal(before, after);
	free(before);
	free(after);
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

static void says_died(struct writer *w, uint64_t time_ns, uint32_t pid, const char *how)
{
	writer_say(w, 0, time_ns, FR_EVENT_FR_PROCESS_DIED,
		   (struct said[]){ { "pid", pid, NULL }, { "start_time_ns", writer_start_ns(pid), NULL }, { "how", 0, how }, END });
}

TEST(test_what_the_daemon_saw_is_believed_after_the_kernel_and_before_the_ring)
{
	static const struct said fault[] = { { "signal", SIGSEGV, NULL }, { "code", 1, NULL }, { "fault_addr", 0x10, NULL }, END };
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_DIED, NULL);
	process(&s, 2, 12, FRM_REASON_DIED, fault);
	process(&s, 3, 13, FRM_REASON_DIED, fault); /* survived that, and was ended by another */
	process(&s, 4, 14, FRM_REASON_DIED, NULL);
	process(&s, 5, 15, FRM_REASON_DIED, NULL);
	process(&s, 6, 16, FRM_REASON_DIED, NULL);
	process(&s, 7, 17, FRM_REASON_DIED, fault);
	process(&s, 8, 18, FRM_REASON_DIED, NULL);
	process(&s, 10, 20, FRM_REASON_DIED,
		(struct said[]){ { "signal", SIGTERM, NULL }, { "code", 0, NULL }, { "sender_pid", 812, NULL }, END });
	writer_make(&w, FRM_KIND_SYSTEM, 9, 50, 1);
	says_died(&w, 311 * SECOND, 11, "signal 9 (KILL)");
	says_died(&w, 312 * SECOND, 12, "signal 11 (SEGV), core dumped");
	says_died(&w, 313 * SECOND, 13, "signal 9 (KILL)");
	says_died(&w, 314 * SECOND, 14, "exit code 3");
	says_died(&w, 315 * SECOND, 15, "exit code 0");
	says_exit(&w, 315 * SECOND, 16, SIGTERM, 0);
	says_died(&w, 316 * SECOND, 16, "signal 9 (KILL)");
	says_died(&w, 317 * SECOND, 17, "vanished");
	says_died(&w, 318 * SECOND, 18, "vanished");
	says_died(&w, 319 * SECOND, 19, "signal 9 (KILL)"); /* without a ring it stays an event */
	says_died(&w, 320 * SECOND, 20, "signal 15 (TERM)");
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	writer_done(&w);
	index = index_now(&s, NULL);
	assert_answer(index, WHAT,
		      "process|11|proc1|killed by SIGKILL|daemon\n"
		      "process|12|proc2|SIGSEGV at 0x10, core dumped|daemon+ring\n"
		      "process|13|proc3|killed by SIGKILL|daemon+ring\n"
		      "process|14|proc4|exited with code 3|daemon\n"
		      "process|16|proc6|killed by SIGTERM|ebpf\n"
		      "process|17|proc7|SIGSEGV at 0x10|daemon+ring\n"
		      "process|18|proc8|vanished|daemon\n"
		      "process|20|proc10|killed by SIGTERM from pid 812|daemon+ring\n");
	assert_answer(index, "SELECT time_ns FROM incidents WHERE pid = 11", "311000000000\n");
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_an_application_cannot_speak_for_the_daemon)
{
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_DIED, NULL);
	writer_make(&w, FRM_KIND_PROCESS, 2, 12, 1);
	assert_int_equal(fr_catalogue_declare(&w.ring, FR_ROLE_DAEMON, &w.ids), 0);
	says_died(&w, 311 * SECOND, 11, "signal 9 (KILL)");
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	writer_done(&w);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT count(*) FROM event_fr_process_died", "1\n");
	assert_answer(index, WHAT, "process|11|proc1|vanished|none\n");
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_a_death_without_a_ring_counts_when_force_or_a_fault_ended_it)
{
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_SYSTEM, 9, 50, 1);
	writer_say(&w, 0, 300 * SECOND, FR_EVENT_SIG_DELIVER,
		   (struct said[]){ { "pid", 21, NULL }, { "tid", 21, NULL }, { "start_time_ns", writer_start_ns(21) + 4567890, NULL },
				    { "sig", SIGBUS, NULL }, { "code", 2, NULL }, { "fault_addr", 0x7000, NULL }, END });
	says_exit(&w, 301 * SECOND, 21, SIGBUS, 0);
	says_exit(&w, 302 * SECOND, 22, SIGTERM, 0);
	says_exit(&w, 303 * SECOND, 23, 0, 1);
	says_sent(&w, 303 * SECOND, 24, "task", 24, SIGABRT);
	says_exit(&w, 304 * SECOND, 24, SIGABRT, 0);
	writer_say(&w, 0, 305 * SECOND, FR_EVENT_PROC_EXIT, /* a thread of a process that goes on */
		   (struct said[]){ { "pid", 25, NULL }, { "tid", 26, NULL }, { "signal", 9, NULL }, { "known", 1, NULL }, END });
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	index = index_now(&s, NULL);
	assert_answer(index, WHAT, "process|21|task|SIGBUS at 0x7000|ebpf\nprocess|24|task|SIGABRT raised by itself|ebpf\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_an_application_cannot_speak_for_the_kernel)
{
	static const uint8_t *guid = fr_catalogue_provider[0].guid;
	static const struct fr_field_spec fields[] = { { FRM_U32, "pid", "" }, { FRM_U32, "tid", "" }, { FRM_U32, "signal", "" },
						       { FRM_U8, "known", "" } };
	struct fr_value value[4] = { { .type = FRM_U32, .u = 99 }, { .type = FRM_U32, .u = 99 }, { .type = FRM_U32, .u = 9 },
				     { .type = FRM_U8, .u = 1 } };
	struct fr_index *index;
	struct scratch s;
	struct writer w;
	int provider;

	scratch_make(&s);
	writer_make(&w, FRM_KIND_PROCESS, 1, 11, 1);
	provider = fr_ring_declare_provider(&w.ring, guid, "kernel", 1, 0);
	assert_true(provider >= 0);
	assert_int_equal(fr_emit(&w.lane[0],
				 &(struct fr_stamp){ .time_ns = 300 * SECOND,
						     .event = (uint16_t)fr_ring_declare_event(&w.ring, (uint16_t)provider, "proc.exit",
											      4, 0, fields, 4) },
				 value, 4), 0);
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	index = index_now(&s, NULL);
	assert_answer(index, "SELECT count(*) FROM events WHERE event = 'proc.exit' AND pid = 11", "1\n");
	assert_answer(index, WHAT, "");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_a_panic_is_one_incident_and_rings_are_its_evidence)
{
	struct fr_incidents *list;
	struct fr_incident incident;
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_BOOT_END, NULL);
	process(&s, 2, 12, FRM_REASON_BOOT_END, NULL);
	process(&s, 3, 13, FRM_REASON_BOOT_END, /* had died before */
		(struct said[]){ { "signal", SIGSEGV, NULL }, { "code", 1, NULL }, { "fault_addr", 0x10, NULL }, END });
	writer_make(&w, FRM_KIND_HARVEST, 8, 0, 1);
	writer_say(&w, 0, 310 * SECOND, FR_EVENT_KERNEL_PANIC,
		   (struct said[]){ { "reason", 0, "sysrq triggered crash" }, { "source", 0, "ramoops" }, END });
	writer_seal(&w, &s, 0, FRM_REASON_HARVEST, NULL, NULL);
	writer_done(&w);
	index = index_now(&s, NULL);
	assert_answer(index, WHAT,
		      "process|13|proc3|SIGSEGV at 0x10|ring\n"
		      "kernel|-|-|kernel panic: sysrq triggered crash|pstore+ring\n");
	assert_int_equal(fr_incidents_open(index, "1", NULL, &list), 0);
	assert_int_equal(fr_incidents_next(list, &incident), 1);
	assert_int_equal(fr_incidents_next(list, &incident), 1);
	assert_true(incident.kernel);
	assert_string_equal(incident.comm, "kernel");
	assert_int_equal(incident.recovered, 5);
	assert_int_equal(incident.time_ns, 310 * SECOND);
	assert_int_equal(incident.real_ns, (1000000 + 310) * SECOND);
	assert_int_equal(fr_incidents_next(list, &incident), 0);
	fr_incidents_close(list);
	fr_index_close(index);
	scratch_remove(&s);
}

TEST(test_a_boot_without_an_orderly_end_is_the_kernels_incident)
{
	struct fr_index *index;
	struct scratch s;
	struct writer w;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_BOOT_END, NULL);
	index = index_now(&s, NULL);
	/* without a recorder nobody knows how the boot ended */
	assert_answer(index, WHAT, "process|11|proc1|vanished|none\n");
	writer_make(&w, FRM_KIND_SYSTEM, 9, 50, 1);
	writer_say(&w, 0, 305 * SECOND, FR_EVENT_FR_START, (struct said[]){ END });
	writer_seal(&w, &s, 0, FRM_REASON_DRAIN, NULL, NULL);
	writer_seal(&w, &s, 1, FRM_REASON_BOOT_END, NULL, NULL);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_answer(index, WHAT, "kernel|-|-|the boot ended without a shutdown|ring\n");
	fr_ring_close_mark(&w.ring, true); /* it had ended in order after all */
	writer_seal(&w, &s, 2, FRM_REASON_CLOSED, NULL, NULL);
	assert_int_equal(fr_index_update(index, NULL), 0);
	assert_answer(index, WHAT, "process|11|proc1|vanished|none\n");
	fr_index_close(index);
	writer_done(&w);
	scratch_remove(&s);
}

TEST(test_an_incident_is_found_by_a_prefix_of_its_id)
{
	struct fr_incidents *list;
	struct fr_incident one, other;
	struct fr_index *index;
	char prefix[16];
	struct scratch s;

	scratch_make(&s);
	process(&s, 1, 11, FRM_REASON_DIED, NULL);
	process(&s, 2, 12, FRM_REASON_DIED, NULL);
	index = index_now(&s, NULL);
	assert_int_equal(fr_incidents_open(index, NULL, NULL, &list), 0);
	assert_int_equal(fr_incidents_next(list, &one), 1);
	assert_int_equal(strlen(one.id), 12);
	fr_incidents_close(list);
	snprintf(prefix, sizeof(prefix), "%.6s", one.id);
	assert_int_equal(fr_incidents_open(index, NULL, prefix, &list), 0);
	assert_int_equal(fr_incidents_next(list, &other), 1);
	assert_string_equal(one.id, other.id);
	assert_int_equal(fr_incidents_next(list, &other), 0);
	fr_incidents_close(list);
	assert_int_equal(fr_incidents_open(index, NULL, "no id", &list), -ENOENT);
	assert_int_equal(fr_incidents_open(index, "99", NULL, &list), -ENOENT);
	fr_index_close(index);
	scratch_remove(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_the_kernels_word_the_ring_is_believed_and_else_it_vanished),
		cmocka_unit_test(test_the_kernels_word_corrects_what_was_found_before),
		cmocka_unit_test(test_what_the_daemon_saw_is_believed_after_the_kernel_and_before_the_ring),
		cmocka_unit_test(test_an_application_cannot_speak_for_the_daemon),
		cmocka_unit_test(test_a_death_without_a_ring_counts_when_force_or_a_fault_ended_it),
		cmocka_unit_test(test_an_application_cannot_speak_for_the_kernel),
		cmocka_unit_test(test_a_panic_is_one_incident_and_rings_are_its_evidence),
		cmocka_unit_test(test_a_boot_without_an_orderly_end_is_the_kernels_incident),
		cmocka_unit_test(test_an_incident_is_found_by_a_prefix_of_its_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
