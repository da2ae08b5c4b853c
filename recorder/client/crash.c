/* SPDX-License-Identifier: MIT */
/*
 * crash.c - the fatal-signal hook: one event "fr.crash", then whatever would have happened without it.
 *
 * The handler runs on a stack of its own and uses what a handler may use. Unwinding a broken stack may fault in turn: that
 * second fault comes here too (SA_NODEFER), and then the event is written without a backtrace; a third ends it. A handler
 * that was there before is called with what we got, under the mask it asked for, and may recover; without one, the default
 * comes back and the signal is sent again, so that exit status, core dump and the kernel's word on it are those of the
 * signal itself. What was ignored still is.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAVE_BACKTRACE 1
#endif

#include "recorder/client/client.h"
#include "recorder/core/decode.h"

#define FRAMES_MAX   64
#define NAMED_FRAMES 24
#define STACK_BYTES  (64u << 10)
#define STACK_ENOUGH (32u << 10) /* a thread's own signal stack that is smaller is replaced: unwinding needs more */
#define GUARD_BYTES  (64u << 10) /* below the stack, a multiple of any page */

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
#define FATAL_COUNT (sizeof(fatal_signals) / sizeof(*fatal_signals))

static struct sigaction previous[FATAL_COUNT];
static bool installed;
static pthread_key_t stack_key;
/* What this thread is dying of, while that is being recorded; and how often it faulted meanwhile. */
static __thread int faults __attribute__((tls_model("initial-exec")));
static __thread const siginfo_t *volatile dying_of __attribute__((tls_model("initial-exec")));
static __thread const ucontext_t *volatile dying_at __attribute__((tls_model("initial-exec")));

struct registers {
	uint64_t ip, sp;
	const void *bytes;
	size_t size;
};

static struct registers registers_of(const ucontext_t *context)
{
#if defined(__x86_64__)
	const greg_t *regs = context->uc_mcontext.gregs;

	return (struct registers){ (uint64_t)regs[REG_RIP], (uint64_t)regs[REG_RSP], regs, sizeof(context->uc_mcontext.gregs) };
#elif defined(__aarch64__)
	const mcontext_t *machine = &context->uc_mcontext;

	return (struct registers){ machine->pc, machine->sp, machine->regs, sizeof(machine->regs) };
#else
	(void)context;
	return (struct registers){ 0 };
#endif
}

/*
 * Where it happened, and who called, in words. The frames begin with this handler and the kernel's way into it: what comes
 * before the place of the fault is left out.
 */
static size_t name_frames(uint64_t ip, void *const *frames, int frame_count, char *buf)
{
	char *to = buf + fr_modules_name(ip, buf);
	int first = 0;

	while (first < frame_count && (uint64_t)(uintptr_t)frames[first] != ip)
		first++;
	if (first == frame_count)
		return (size_t)(to - buf);
	for (int i = first + 1; i < frame_count && i - first < NAMED_FRAMES; i++) {
		*to++ = ' ';
		to += fr_modules_name((uint64_t)(uintptr_t)frames[i], to);
	}
	return (size_t)(to - buf);
}

static void record(int signal_number, const siginfo_t *info, const ucontext_t *context, void *const *frames, int frame_count)
{
	struct registers registers = registers_of(context);
	bool sent = info->si_code <= 0; /* SI_USER, SI_TKILL, SI_QUEUE: a process sent it; else si_addr holds */
	char thread[16] = "", frame_names[NAMED_FRAMES * (FR_FRAME_MAX + 1)];
	struct fr_value values[] = {
		{ .type = FRM_U64, .u = sent ? 0 : (uint64_t)(uintptr_t)info->si_addr },
		{ .type = FRM_U64, .u = registers.ip },
		{ .type = FRM_U64, .u = registers.sp },
		{ .type = FRM_U32, .u = (uint32_t)signal_number },
		{ .type = FRM_I32, .i = info->si_code },
		{ .type = FRM_U32, .u = sent ? (uint32_t)info->si_pid : 0 },
		{ .type = FRM_STR, .s = { thread, 0 } },
		{ .type = FRM_STR, .s = { frame_names, name_frames(registers.ip, frames, frame_count, frame_names) } },
		{ .type = FRM_BYTES, .s = { registers.bytes, registers.size } },
		{ .type = FRM_BYTES, .s = { (const char *)frames, (size_t)frame_count * sizeof(*frames) } },
	};

	prctl(PR_GET_NAME, thread);
	values[6].s.size = strnlen(thread, sizeof(thread));
	fr_builtin_emit(&fr_self_provider, FR_BUILTIN_CRASH, FLIGHTREC_CRITICAL, 0, values, sizeof(values) / sizeof(*values));
}

static void send_again(const siginfo_t *info)
{
	syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), info->si_signo, info);
}

static bool was_sent(const siginfo_t *info)
{
	return info->si_code <= 0;
}

/* Calls a handler as the kernel would: a fault of its own is then its death, as it was without us. */
static void call(const struct sigaction *action, int signal_number, siginfo_t *info, void *context)
{
	sigset_t masked = action->sa_mask, before;

	if (!(action->sa_flags & SA_NODEFER))
		sigaddset(&masked, signal_number);
	pthread_sigmask(SIG_BLOCK, &masked, &before);
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(signal_number, info, context);
	else
		action->sa_handler(signal_number);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Lets the signal do what it would have done. */
static void hand_on(const struct sigaction *action, int signal_number, siginfo_t *info, void *context)
{
	if (action->sa_flags & SA_SIGINFO || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN)) {
		call(action, signal_number, info, context);
		return;
	}
	if (fr_client && fr_client->generation) /* an end on the way out is none in order */
		fr_ring_close_mark(&fr_client->ring, false);
	sigaction(signal_number, action, NULL);
	/* a fault comes again when the instruction is tried again; anything else must be sent again */
	if (was_sent(info) || signal_number == SIGTRAP || signal_number == SIGSYS ||
	    (signal_number == SIGBUS && info->si_code == BUS_MCEERR_AO))
		send_again(info);
}

static void on_fatal_signal(int signal_number, siginfo_t *info, void *context)
{
	void *frames[FRAMES_MAX];
	int count = 0;
	size_t i = 0;
	FR_KEEP_ERRNO;

	while (fatal_signals[i] != signal_number)
		i++;
	if (faults++) { /* recording faulted: what counts is the first signal */
		siginfo_t first = dying_of ? *dying_of : *info;

		if (faults == 2)
			record(first.si_signo, &first, dying_of ? dying_at : context, NULL, 0);
		signal(signal_number, SIG_DFL);
		signal(first.si_signo, SIG_DFL);
		send_again(&first);
		return;
	}
	if (was_sent(info) && !(previous[i].sa_flags & SA_SIGINFO) && previous[i].sa_handler == SIG_IGN) {
		faults = 0;
		return;
	}
	dying_at = context;
	dying_of = info;
#ifdef HAVE_BACKTRACE
	count = backtrace(frames, FRAMES_MAX);
#endif
	record(signal_number, info, context, frames, count);
	dying_of = NULL;
	faults = 0;
	hand_on(&previous[i], signal_number, info, context);
}

static void free_stack(void *start)
{
	stack_t stack;

	if (sigaltstack(NULL, &stack) == 0 && stack.ss_sp == (char *)start + GUARD_BYTES) {
		stack = (stack_t){ .ss_flags = SS_DISABLE };
		sigaltstack(&stack, NULL);
	}
	munmap(start, GUARD_BYTES + STACK_BYTES);
}

/* A signal stack for the calling thread, unless it has one; goes with the thread. */
static int give_stack(void)
{
	stack_t stack;
	char *start;
	int r = 0;

	if (sigaltstack(NULL, &stack) == 0 && !(stack.ss_flags & SS_DISABLE) && stack.ss_size >= STACK_ENOUGH)
		return 0;
	start = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (start == MAP_FAILED)
		return -errno;
	stack = (stack_t){ .ss_sp = start + GUARD_BYTES, .ss_size = STACK_BYTES };
	if (mprotect(stack.ss_sp, STACK_BYTES, PROT_READ | PROT_WRITE) < 0 || sigaltstack(&stack, NULL) < 0)
		r = -errno;
	else
		r = -pthread_setspecific(stack_key, start);
	if (r < 0)
		free_stack(start);
	return r;
}

static int install(void)
{
	struct sigaction action = { .sa_sigaction = on_fatal_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	int r = flightrec_register(&fr_self_provider);

	if (r < 0)
		return r;
	r = -pthread_key_create(&stack_key, free_stack);
	if (r < 0)
		return r;
#ifdef HAVE_BACKTRACE
	{
		void *frames[2];

		backtrace(frames, 2); /* loads the unwinder now: a handler may not */
	}
#endif
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < FATAL_COUNT; i++) {
		/* looked at first: ours must find it there from its first signal on */
		if (sigaction(fatal_signals[i], NULL, &previous[i]) < 0 || sigaction(fatal_signals[i], &action, NULL) < 0)
			return -errno;
	}
	return 0;
}

FLIGHTREC_API int flightrec_record_crashes(void)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	int r = 0, cancel;
	FR_KEEP_ERRNO;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&one_at_a_time);
	if (!installed)
		r = install();
	if (r == 0)
		installed = true;
	pthread_mutex_unlock(&one_at_a_time);
	pthread_setcancelstate(cancel, NULL);
	return r < 0 ? r : give_stack();
}
