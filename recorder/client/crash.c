/* SPDX-License-Identifier: MIT */
/*
 * crash.c - the fatal-signal hook: one event "fr.crash", then whatever would have happened without it.
 *
 * The handler runs on a stack of its own and uses what a handler may use. Unwinding a broken stack may fault in turn: that
 * second fault comes here too (SA_NODEFER), and then the event is written without a backtrace. A handler that was there
 * before is called with what we got and may recover; without one, the default comes back and the signal is sent again,
 * so that exit status, core dump and the kernel's word on it are those of the signal itself.
 */
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

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP };
#define FATAL_COUNT (sizeof(fatal_signals) / sizeof(*fatal_signals))

static struct sigaction previous[FATAL_COUNT];
static bool installed;
/* What this thread is dying of, while its stack is being unwound. */
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

/* Lets the signal do what it would have done. */
static void hand_on(int signal_number, siginfo_t *info, void *context)
{
	size_t i = 0;

	while (fatal_signals[i] != signal_number)
		i++;
	if (previous[i].sa_flags & SA_SIGINFO) {
		previous[i].sa_sigaction(signal_number, info, context);
		return;
	}
	if (previous[i].sa_handler != SIG_DFL && previous[i].sa_handler != SIG_IGN) {
		previous[i].sa_handler(signal_number);
		return;
	}
	sigaction(signal_number, &previous[i], NULL);
	/* a fault comes again when the instruction is tried again; a signal that was sent must be sent again */
	if (info->si_code <= 0 || signal_number == SIGTRAP || signal_number == SIGSYS)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), signal_number, info);
}

static void on_fatal_signal(int signal_number, siginfo_t *info, void *context)
{
	void *frames[FRAMES_MAX];
	int count = 0;

	if (dying_of) { /* unwinding faulted: what counts is the first signal */
		record(dying_of->si_signo, dying_of, dying_at, NULL, 0);
		signal(signal_number, SIG_DFL);
		signal(dying_of->si_signo, SIG_DFL);
		syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), dying_of->si_signo, dying_of);
		return;
	}
	dying_at = context;
	dying_of = info;
#ifdef HAVE_BACKTRACE
	count = backtrace(frames, FRAMES_MAX);
#endif
	dying_of = NULL;
	record(signal_number, info, context, frames, count);
	hand_on(signal_number, info, context);
}

/* A signal stack for the calling thread, unless it has one; it lives as long as the process. */
static int give_stack(void)
{
	stack_t stack;

	if (sigaltstack(NULL, &stack) == 0 && !(stack.ss_flags & SS_DISABLE))
		return 0;
	stack = (stack_t){ .ss_size = STACK_BYTES };
	stack.ss_sp = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack.ss_sp == MAP_FAILED)
		return -errno;
	return sigaltstack(&stack, NULL) < 0 ? -errno : 0;
}

FLIGHTREC_API int flightrec_record_crashes(void)
{
	struct sigaction action = { .sa_sigaction = on_fatal_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	int r = give_stack();

	if (r < 0 || installed)
		return r;
	r = flightrec_register(&fr_self_provider);
	if (r < 0)
		return r;
#ifdef HAVE_BACKTRACE
	{
		void *frames[2];

		backtrace(frames, 2); /* loads the unwinder now: a handler may not */
	}
#endif
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < FATAL_COUNT; i++)
		if (sigaction(fatal_signals[i], &action, &previous[i]) < 0)
			return -errno;
	installed = true;
	return 0;
}
