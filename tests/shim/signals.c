/* SPDX-License-Identifier: MIT */
/* A program's own handling of SIGSEGV and SIGBUS is as if nobody stood before it, while devices are in use. */
#include "dma.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

static struct dma dma;
static sigjmp_buf back;
static volatile sig_atomic_t hits, last_sig, last_code, on_stack, mask_ok;
static void *volatile last_addr;
static char *alt_stack;
enum { ALT_BYTES = 65536 };

static void jump(int sig)
{
	hits++;
	last_sig = sig;
	siglongjmp(back, 1);
}

static void inform(int sig, siginfo_t *info, void *ucontext)
{
	sigset_t mask;
	char here;

	hits++;
	last_sig = sig;
	last_code = info->si_code;
	last_addr = info->si_addr;
	on_stack = &here >= alt_stack && &here < alt_stack + ALT_BYTES;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	mask_ok = sigismember(&mask, SIGUSR2) && sigismember(&mask, sig) && !sigismember(&mask, SIGUSR1);
	siglongjmp(back, 1);
}

static void touch(volatile char *p)
{
	*p = 1;
}

static char *hole(void)
{
	char *p = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* The library's own use of the signal goes on under all of the following: a DMA into a hole is a fault of the device. */
static void a_device_finds_a_hole(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int before = hits;

	CHECK(!ioas_map(dma.iommu, dma.ioas, p, PAGE, 0x500000));
	CHECK(dma_fill(&dma, 0x500000, 5, 64) == DONE && p[0] == 5);
	CHECK(!mprotect(p, PAGE, PROT_NONE));
	CHECK(dma_fill(&dma, 0x500000, 6, 64) == FAULT);
	CHECK(!mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	CHECK(p[0] == 5 && dma_fill(&dma, 0x500000, 7, 64) == DONE && p[0] == 7);
	CHECK(!ioas_unmap(dma.iommu, dma.ioas, 0x500000, PAGE) && !munmap(p, PAGE));
	CHECK(hits == before);
}

static void bad_pointers_in_calls_are_efault(void)
{
	char *p = hole();

	CHECK(ioctl(dma.iommu, IOMMU_IOAS_ALLOC, NULL) == -1 && errno == EFAULT);
	CHECK(ioctl(dma.iommu, IOMMU_IOAS_ALLOC, p) == -1 && errno == EFAULT);
	CHECK(pread(dma.device, p, 4, (off_t)dma.bar0) == -1 && errno == EFAULT);
	CHECK(ioas_map(dma.iommu, dma.ioas, p, PAGE, 0x600000) == -EFAULT);
}

static void a_handler_that_jumps_works(void)
{
	struct sigaction act = { .sa_handler = jump }, old;

	for (int i = 0; i < 3; i++) {
		hits = 0;
		CHECK(!sigaction(SIGSEGV, &act, NULL));
		if (!sigsetjmp(back, 1))
			touch(hole());
		CHECK(hits == 1 && last_sig == SIGSEGV);
		a_device_finds_a_hole();
	}
	CHECK(!sigaction(SIGSEGV, NULL, &old) && old.sa_handler == jump && !(old.sa_flags & SA_SIGINFO));
}

static void a_handler_gets_its_mask_stack_and_information(void)
{
	struct sigaction act = { .sa_sigaction = inform, .sa_flags = SA_SIGINFO | SA_ONSTACK }, old;
	stack_t stack = { .ss_size = ALT_BYTES };
	char *p = hole();

	stack.ss_sp = alt_stack = malloc(ALT_BYTES);
	CHECK(!sigaltstack(&stack, NULL));
	sigaddset(&act.sa_mask, SIGUSR2);
	CHECK(!sigaction(SIGSEGV, &act, &old) && old.sa_handler == jump);
	hits = 0;
	if (!sigsetjmp(back, 1))
		touch(p + 5);
	CHECK(hits == 1 && last_addr == p + 5 && last_code == SEGV_ACCERR && on_stack && mask_ok);
	a_device_finds_a_hole();
	CHECK(!sigaction(SIGSEGV, NULL, &old) && old.sa_sigaction == inform && sigismember(&old.sa_mask, SIGUSR2) &&
	      old.sa_flags & SA_ONSTACK);
}

static struct sigaction chained;
static volatile sig_atomic_t chain_hits;

/* As a run-time does: its own faults it mends, all others go to whoever was there before. */
static void chain(int sig, siginfo_t *info, void *ucontext)
{
	chain_hits++;
	if (chained.sa_flags & SA_SIGINFO)
		chained.sa_sigaction(sig, info, ucontext);
	else if (chained.sa_handler != SIG_DFL && chained.sa_handler != SIG_IGN)
		chained.sa_handler(sig);
}

static void chaining_reaches_the_earlier_handler(void)
{
	struct sigaction act = { .sa_sigaction = chain, .sa_flags = SA_SIGINFO };

	CHECK(!sigaction(SIGSEGV, &act, &chained) && chained.sa_sigaction == inform);
	hits = 0;
	if (!sigsetjmp(back, 1))
		touch(hole());
	CHECK(hits == 1 && chain_hits == 1);
	CHECK(!sigaction(SIGSEGV, &chained, NULL));
}

static void one_shot_handlers_go_back_to_default(void)
{
	struct sigaction act = { .sa_handler = jump, .sa_flags = (int)SA_RESETHAND }, old;

	CHECK(!sigaction(SIGBUS, &act, NULL));
	hits = 0;
	if (!sigsetjmp(back, 1))
		raise(SIGBUS);
	CHECK(hits == 1 && last_sig == SIGBUS);
	CHECK(!sigaction(SIGBUS, NULL, &old) && old.sa_handler == SIG_DFL);
	CHECK(signal(SIGBUS, SIG_IGN) == SIG_DFL);
	raise(SIGBUS);
	CHECK(signal(SIGBUS, SIG_DFL) == SIG_IGN);
}

static int ends_by(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		fn();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void fault(void)
{
	touch(hole());
}

static void send(void)
{
	raise(SIGSEGV);
}

static void fault_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	touch(hole());
}

static void send_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	raise(SIGSEGV);
}

static void the_default_action_is_the_kernel_s(void)
{
	CHECK(ends_by(fault) == SIGSEGV && ends_by(send) == SIGSEGV && ends_by(fault_ignored) == SIGSEGV && ends_by(send_ignored) == 0);
}

static void *blocked_thread(void *arg)
{
	sigset_t all;
	uint32_t id = 0;

	/* A thread that blocks everything uses the device all the same. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	CHECK(ioctl(dma.iommu, IOMMU_IOAS_ALLOC, hole()) == -1 && errno == EFAULT);
	CHECK(pread(dma.device, &id, 4, (off_t)dma.bar0) == 4 && id == 0x31616d64);
	pthread_sigmask(SIG_SETMASK, NULL, &all);
	CHECK(sigismember(&all, SIGSEGV) && sigismember(&all, SIGTERM));
	return NULL;
}

static volatile sig_atomic_t alarms, jumping;

static void on_alarm(int sig)
{
	struct ioas_alloc cmd = { .size = sizeof(cmd) };

	/* A handler may use the device; it never meets a call half done. */
	CHECK(!ioctl(dma.iommu, IOMMU_IOAS_ALLOC, &cmd));
	CHECK(!ioctl(dma.iommu, IOMMU_DESTROY, (uint32_t[]){ 8, cmd.out_id }));
	alarms++;
	if (jumping)
		siglongjmp(back, 1);
}

/* @jumping: the handler leaves by siglongjmp(), in which case the program itself must not be in its allocator. */
static void alarms_at_any_time(char *p)
{
	alarms = 0;
	sigsetjmp(back, 1);
	ualarm(100, jumping ? 0 : 100);
	while (alarms < 200) {
		if (!jumping)
			free(malloc(3000));
		ioas_map(dma.iommu, dma.ioas, p, PAGE, 0x700000);
		ioas_unmap(dma.iommu, dma.ioas, 0x700000, PAGE);
	}
	ualarm(0, 0);
}

static void handlers_may_call_and_jump_at_any_time(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	char *p = hole();

	CHECK(!mprotect(p, PAGE, PROT_READ | PROT_WRITE) && !sigaction(SIGALRM, &act, NULL));
	alarms_at_any_time(p);
	jumping = 1;
	alarms_at_any_time(p);
	signal(SIGALRM, SIG_IGN);
	ioas_unmap(dma.iommu, dma.ioas, 0x700000, PAGE);
}

int main(void)
{
	struct sigaction early = { .sa_handler = jump };
	pthread_t thread;

	/* Set before any device is used. */
	CHECK(!sigaction(SIGSEGV, &early, NULL));
	dma_open(&dma);
	CHECK(!sigaction(SIGSEGV, NULL, &early) && early.sa_handler == jump);
	if (!sigsetjmp(back, 1))
		touch(hole());
	CHECK(hits == 1);
	bad_pointers_in_calls_are_efault();
	a_device_finds_a_hole();
	a_handler_that_jumps_works();
	a_handler_gets_its_mask_stack_and_information();
	chaining_reaches_the_earlier_handler();
	one_shot_handlers_go_back_to_default();
	the_default_action_is_the_kernel_s();
	CHECK(!pthread_create(&thread, NULL, blocked_thread, NULL) && !pthread_join(thread, NULL));
	handlers_may_call_and_jump_at_any_time();
	a_device_finds_a_hole();
	return 0;
}
