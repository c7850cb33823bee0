/* SPDX-License-Identifier: MIT */
/* What is pinned against RLIMIT_MEMLOCK. iommufd-semantics 3, "Accounting" and IOAS_CHANGE_PROCESS. */
#include "common.h"

#include "base/proc.h"
#include "base/user.h"
#include "core/access.h"
#include "core/account.h"
#include "iommufd/ctx.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rig rig;
static struct ui_account *account;
static struct rlimit before;
static bool privileged;
static u8 *mem;

enum { MEM_PAGES = 32, LIMIT_PAGES = 8 };

static bool may(void *arg, unsigned cap)
{
	return cap != CAP_IPC_LOCK || privileged;
}

static void open_ctx(bool by_process)
{
	const struct ui_iommufd_env env = { .capable = may, .account = account };
	u64 mode = by_process;

	if (rig.ctx)
		ui_iommufd_close(rig.ctx);
	rig.ctx = ui_iommufd_open(&env);
	assert_non_null(rig.ctx);
	rig.binder = ui_iommufd_binder(rig.ctx);
	assert_int_equal(option(&rig, UI_UAPI_OPTION_RLIMIT_MODE, UI_UAPI_OPTION_OP_SET, 0, &mode), 0);
}

static int setup(void **state)
{
	struct rlimit limit;

	rig_open(&rig, NULL, 0);
	account = ui_account_create();
	privileged = false;
	open_ctx(false);
	mem = pages_new(MEM_PAGES * PAGE);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	limit = before;
	limit.rlim_cur = LIMIT_PAGES * PAGE + 100;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	return 0;
}

static int teardown(void **state)
{
	u64 pinned, locked;

	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
	for (unsigned i = 0; i < N_DEVICES; i++)
		rig_unbind(&rig, i);
	ui_iommufd_close(rig.ctx);
	rig.ctx = NULL;
	ui_account_read(account, 0, &pinned, &locked);
	assert_int_equal(pinned, 0);
	ui_account_destroy(account);
	munmap(mem, MEM_PAGES * PAGE);
	rig_close(&rig);
	return 0;
}

static u64 pinned_by(s32 pid)
{
	u64 pinned, locked;

	ui_account_read(account, pid, &pinned, &locked);
	return pinned;
}

static u64 locked_by(s32 pid)
{
	u64 pinned, locked;

	ui_account_read(account, pid, &pinned, &locked);
	return locked;
}

static void attach_to(unsigned i, u32 ioas)
{
	u32 pt = ioas;

	rig_bind(&rig, i);
	assert_int_equal(attach(&rig, i, 0, &pt), 0);
}

/* Charged when it is pinned, ENOMEM above the limit with everything undone. */
static void the_limit_counts_what_is_pinned(void **state)
{
	u32 ioas = ioas_new(&rig), pt = ioas;

	assert_int_equal(map_at(&rig, ioas, mem, MEM_PAGES * PAGE, 0x100000), 0);
	assert_int_equal(pinned_by(0), 0);
	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), -ENOMEM);
	assert_int_equal(pinned_by(0), 0);
	assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
	pt = ioas;
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(map_at(&rig, ioas, mem, (LIMIT_PAGES + 1) * PAGE, 0x100000), -ENOMEM);
	assert_int_equal(map_at(&rig, ioas, mem, LIMIT_PAGES * PAGE, 0x100000), 0);
	assert_int_equal(pinned_by(0), LIMIT_PAGES);
	assert_int_equal(map_at(&rig, ioas, mem, 1, 0x200000), -EINVAL);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x200000), -ENOMEM);
	assert_int_equal(unmap(&rig, ioas, 0x100000, LIMIT_PAGES * PAGE, NULL), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x200000), 0);
	assert_int_equal(pinned_by(0), 1);
	detach(&rig, 0, 0);
	assert_int_equal(pinned_by(0), 0);
}

static unsigned n_pins;

static int count_pin(void *arg, u64 va, u64 n_bytes, bool write)
{
	n_pins++;
	return 0;
}

/* As a kernel, which counts before it touches: a range that is far above the limit does not first fill the machine. */
static void what_is_above_the_limit_is_not_made_present(void **state)
{
	const struct ui_iommufd_env env = { .capable = may, .account = account, .pin = count_pin };
	const u64 n_bytes = (u64)9 << 30;
	void *huge = mmap(NULL, n_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u32 ioas;

	assert_ptr_not_equal(huge, MAP_FAILED);
	ui_iommufd_close(rig.ctx);
	rig.ctx = ui_iommufd_open(&env);
	rig.binder = ui_iommufd_binder(rig.ctx);
	ioas = ioas_new(&rig);
	attach_to(0, ioas);
	n_pins = 0;
	assert_int_equal(map_at(&rig, ioas, huge, n_bytes, (u64)1 << 32), -ENOMEM);
	assert_int_equal(n_pins, 0);
	assert_int_equal(pinned_by(0), 0);
	munmap(huge, n_bytes);
}

/* "pins counted once per backing page however many domains and copies share it", and each map is an object of its own. */
static void shared_pages_are_paid_once(void **state)
{
	u32 ioas = ioas_new(&rig), other = ioas_new(&rig);
	u64 iova = 0;

	attach_to(0, ioas);
	attach_to(3, other);
	assert_int_equal(map_at(&rig, ioas, mem, LIMIT_PAGES * PAGE, 0x100000), 0);
	assert_int_equal(copy(&rig, other, ioas, RW | FIXED, 0x100000 + PAGE, 3 * PAGE, &iova), 0);
	iova = 0x200000;
	assert_int_equal(copy(&rig, ioas, other, RW | FIXED, PAGE, PAGE, &iova), 0);
	assert_int_equal(pinned_by(0), LIMIT_PAGES);
	assert_int_equal(unmap(&rig, ioas, 0x100000, LIMIT_PAGES * PAGE, NULL), 0);
	assert_int_equal(pinned_by(0), 3);
	assert_int_equal(map_at(&rig, ioas, mem, (LIMIT_PAGES - 3) * PAGE, 0x300000), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x400000), -ENOMEM);
	assert_int_equal(unmap(&rig, other, 0, 3 * PAGE, NULL), 0);
	assert_int_equal(pinned_by(0), LIMIT_PAGES - 2);
}

/* What an access or a hardware queue pins is paid for once, too, and stays paid for when the domain goes. */
static void accesses_and_holds_pay_for_pages(void **state)
{
	static const struct ui_access_ops ops = { .pins = true };
	u32 ioas = ioas_new(&rig);
	struct ui_access_obj *access;
	struct ui_ioas_hold *held;
	u64 pa;

	assert_int_equal(ui_access_obj_new(rig.ctx, &ops, NULL, &access), 0);
	assert_int_equal(ui_access_obj_attach(access, ioas), 0);
	assert_int_equal(map_at(&rig, ioas, mem, MEM_PAGES * PAGE, 0x100000), 0);
	assert_int_equal(ui_access_pin(access->access, 0x100000, (LIMIT_PAGES + 1) * PAGE, 0, NULL, NULL), -ENOMEM);
	assert_int_equal(ui_ioas_hold(access->ioas->ioas, 0x100000, (LIMIT_PAGES + 1) * PAGE, &held, &pa), -ENOMEM);
	assert_int_equal(pinned_by(0), 0);
	/* All or nothing: the second of two areas is not there. */
	assert_int_equal(map_at(&rig, ioas, (void *)(uintptr_t)0x1000, PAGE, 0x100000 + MEM_PAGES * PAGE), 0);
	assert_int_equal(ui_access_pin(access->access, 0x100000 + (MEM_PAGES - 1) * PAGE, 2 * PAGE, 0, NULL, NULL), -EFAULT);
	assert_int_equal(pinned_by(0), 0);
	assert_int_equal(ui_access_pin(access->access, 0x100000, 4 * PAGE, 0, NULL, NULL), 0);
	assert_int_equal(pinned_by(0), 4);
	assert_int_equal(ui_ioas_hold(access->ioas->ioas, 0x102000, 4 * PAGE, &held, &pa), 0);
	assert_int_equal(pinned_by(0), 6);
	assert_int_equal(ui_access_pin(access->access, 0x102000, 3 * PAGE, 0, NULL, NULL), 0);
	assert_int_equal(pinned_by(0), 6);
	ui_access_unpin(access->access, 0x100000, 4 * PAGE);
	assert_int_equal(pinned_by(0), 4);
	ui_ioas_release(held);
	assert_int_equal(pinned_by(0), 3);
	ui_access_unpin(access->access, 0x102000, 3 * PAGE);
	assert_int_equal(pinned_by(0), 0);
	ui_access_obj_destroy(access);
}

/* A domain pays for what nobody else has pinned, and leaves that to the access when it goes. */
static void an_access_keeps_paying_when_the_domain_goes(void **state)
{
	static const struct ui_access_ops ops = { .pins = true };
	u32 ioas = ioas_new(&rig);
	struct ui_access_obj *access;

	assert_int_equal(ui_access_obj_new(rig.ctx, &ops, NULL, &access), 0);
	assert_int_equal(ui_access_obj_attach(access, ioas), 0);
	assert_int_equal(map_at(&rig, ioas, mem, LIMIT_PAGES * PAGE, 0x100000), 0);
	assert_int_equal(ui_access_pin(access->access, 0x101000, 2 * PAGE, 0, NULL, NULL), 0);
	attach_to(0, ioas);
	assert_int_equal(pinned_by(0), LIMIT_PAGES);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x200000), -ENOMEM);
	ui_access_unpin(access->access, 0x101000, 2 * PAGE);
	assert_int_equal(pinned_by(0), LIMIT_PAGES);
	assert_int_equal(ui_access_pin(access->access, 0x101000, 2 * PAGE, 0, NULL, NULL), 0);
	detach(&rig, 0, 0);
	assert_int_equal(pinned_by(0), 2);
	ui_access_unpin(access->access, 0x101000, 2 * PAGE);
	assert_int_equal(pinned_by(0), 0);
	ui_access_obj_destroy(access);
}

static int file_of(u64 n_pages)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)(n_pages * PAGE)), 0);
	return fd;
}

/* A process that does nothing, with a limit of @pages. */
static pid_t other_process(u64 pages)
{
	pid_t pid = fork();

	if (!pid) {
		struct rlimit limit = before;

		/* Also when an assertion fails. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		limit.rlim_cur = pages * PAGE;
		setrlimit(RLIMIT_MEMLOCK, &limit);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static long change_process(pid_t pid)
{
	/* At the same address in the other process. */
	static const struct ui_uapi_ioas_change_process cmd = { .size = sizeof(cmd) };
	const struct ui_caller caller = { .pid = pid }, *old = ui_caller();
	long ret;

	if (pid)
		ui_caller_set(&caller);
	ret = call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &cmd);
	ui_caller_set(old);
	return ret;
}

/* IOAS_MAP 10: "any failure undoes everything", what was paid too. */
static void a_failed_map_is_not_paid_for(void **state)
{
	u32 ioas = ioas_new(&rig), other = ioas_new(&rig);
	int fd = file_of(1);
	u64 iova = 0x300000;

	attach_to(0, ioas);
	munmap(mem + 3 * PAGE, PAGE);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x100000), -EFAULT);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova), -EINVAL);
	assert_int_equal(pinned_by(0), 0);
	/* A copy of two areas, the second of which cannot be pinned. */
	assert_int_equal(map_at(&rig, other, mem, 2 * PAGE, 0), 0);
	assert_int_equal(map_at(&rig, other, mem + 2 * PAGE, 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(copy(&rig, ioas, other, RW | FIXED, 0, 4 * PAGE, &iova), -EFAULT);
	assert_int_equal(pinned_by(0), 0);
	assert_int_equal(map_at(&rig, ioas, mem + 4 * PAGE, LIMIT_PAGES * PAGE, 0x100000), 0);
	close(fd);
}

/* 9, version 1: an area that is split pays as before, and for less when a part of it goes. */
static void a_hole_is_not_paid_for(void **state)
{
	struct ui_uapi_vfio_ioas set = { .size = sizeof(set), .op = UI_UAPI_VFIO_IOAS_SET };
	struct ui_uapi_vfio_unmap hole = { .argsz = sizeof(hole), .iova = 0x102000, .size = 2 * PAGE };
	u32 ioas = set.ioas_id = ioas_new(&rig);

	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOAS, &set), 0);
	assert_int_equal(ui_iommufd_ioctl(rig.ctx, UI_UAPI_VFIO_SET_IOMMU, UI_UAPI_VFIO_TYPE1), 0);
	attach_to(0, ioas);
	assert_int_equal(map_at(&rig, ioas, mem, LIMIT_PAGES * PAGE, 0x100000), 0);
	assert_int_equal(call(&rig, UI_UAPI_VFIO_IOMMU_UNMAP_DMA, &hole), 0);
	assert_int_equal(pinned_by(0), LIMIT_PAGES - 2);
	assert_int_equal(map_at(&rig, ioas, mem, 2 * PAGE, 0x200000), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x300000), -ENOMEM);
	detach(&rig, 0, 0);
	assert_int_equal(pinned_by(0), 0);
}

/* User mode: the sum over what the user has pinned. */
static void contexts_share_the_limit(void **state)
{
	u32 ioas = ioas_new(&rig), second;
	struct rig first = rig;

	attach_to(0, ioas);
	assert_int_equal(map_at(&rig, ioas, mem, 5 * PAGE, 0), 0);
	first = rig;
	rig.ctx = NULL;
	open_ctx(false);
	second = ioas_new(&rig);
	attach_to(3, second);
	assert_int_equal(map_at(&rig, second, mem, 4 * PAGE, 0), -ENOMEM);
	assert_int_equal(map_at(&rig, second, mem, 3 * PAGE, 0), 0);
	assert_int_equal(unmap(&first, ioas, 0, MAX, NULL), 0);
	assert_int_equal(map_at(&rig, second, mem, 5 * PAGE, 0x100000), 0);
	rig_unbind(&first, 0);
	rig.bound[0] = NULL;
	ui_iommufd_close(first.ctx);
}

/* User mode: whichever of the user's processes pays. */
static void processes_of_a_user_share_the_limit(void **state)
{
	int fd = file_of(LIMIT_PAGES);
	u32 ioas = ioas_new(&rig), second;
	struct rig first;
	u64 iova = 0;
	pid_t pid = other_process(LIMIT_PAGES);

	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 5 * PAGE, &iova), 0);
	assert_int_equal(change_process(pid), 0);
	attach_to(0, ioas);
	assert_int_equal(pinned_by(pid), 5);
	first = rig;
	rig.ctx = NULL;
	open_ctx(false);
	second = ioas_new(&rig);
	attach_to(3, second);
	assert_int_equal(map_at(&rig, second, mem, 4 * PAGE, 0), -ENOMEM);
	assert_int_equal(map_at(&rig, second, mem, 3 * PAGE, 0), 0);
	rig_unbind(&first, 0);
	rig.bound[0] = NULL;
	ui_iommufd_close(first.ctx);
	end_process(pid);
	close(fd);
}

/* Process mode: together with what the process has locked itself. */
static void process_mode_counts_what_is_locked(void **state)
{
	u8 *own = pages_new(4 * PAGE);
	u32 ioas;

	open_ctx(true);
	ioas = ioas_new(&rig);
	attach_to(0, ioas);
	/* Not by mlock(), which a sanitizer turns into nothing. */
	if (syscall(SYS_mlock, own, 4 * PAGE)) {
		print_message("mlock is not allowed here\n");
		munmap(own, 4 * PAGE);
		skip();
	}
	assert_int_equal(ui_proc_locked_bytes(0), 4 * PAGE);
	assert_int_equal(map_at(&rig, ioas, mem, 5 * PAGE, 0), -ENOMEM);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0), 0);
	assert_int_equal(pinned_by(0), 4);
	assert_int_equal(locked_by(0), 4);
	munmap(own, 4 * PAGE);
	assert_int_equal(map_at(&rig, ioas, mem, 4 * PAGE, 0x100000), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0x200000), -ENOMEM);
}

/* "process has CAP_IPC_LOCK -> no limit check"; fixed when it is mapped. */
static void a_privileged_process_has_no_limit(void **state)
{
	u32 ioas = ioas_new(&rig);

	attach_to(0, ioas);
	privileged = true;
	assert_int_equal(map_at(&rig, ioas, mem, MEM_PAGES * PAGE, 0), 0);
	assert_int_equal(pinned_by(0), MEM_PAGES);
	assert_int_equal(locked_by(0), 0);
	privileged = false;
	assert_int_equal(map_at(&rig, ioas, mem, (LIMIT_PAGES + 1) * PAGE, 0x100000), -ENOMEM);
	assert_int_equal(map_at(&rig, ioas, mem, LIMIT_PAGES * PAGE, 0x100000), 0);
}

/* Without an environment that says otherwise it is the thread's own capability that counts. */
static void capabilities_are_the_systems(void **state)
{
	u64 effective = 0;
	FILE *status = fopen("/proc/thread-self/status", "r");
	char line[256];

	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "CapEff: %lx", &effective);
	fclose(status);
	for (unsigned cap = 0; cap < 40; cap++) {
		assert_int_equal(ui_proc_capable(0, cap), effective >> cap & 1);
		assert_int_equal(ui_proc_capable(getpid(), cap), effective >> cap & 1);
	}
	assert_int_equal(ui_proc_uid(getpid()), getuid());
	assert_true(ui_proc_started(getpid()) > 0);
	assert_false(ui_proc_capable(0x7ffffff0, CAP_IPC_LOCK));
}

/* IOAS_CHANGE_PROCESS, process mode: the charges go to the caller, and later ones do. */
static void charges_follow_the_process(void **state)
{
	u64 first = 0, second = 0x100000, third = 0x200000;
	int fd = file_of(8);
	u32 ioas, other;
	pid_t pid;

	open_ctx(true);
	ioas = ioas_new(&rig);
	other = ioas_new(&rig);
	attach_to(0, ioas);
	pid = other_process(4);
	assert_int_equal(change_process(pid), 0);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 3 * PAGE, &first), 0);
	/* Its pages are the first one's. */
	assert_int_equal(copy(&rig, other, ioas, RW | FIXED, first, 3 * PAGE, &second), 0);
	assert_int_equal(pinned_by(0), 3);
	assert_int_equal(change_process(pid), 0);
	assert_int_equal(pinned_by(0), 0);
	assert_int_equal(pinned_by(pid), 3);
	assert_int_equal(locked_by(pid), 3);
	assert_int_equal(change_process(pid), 0);
	assert_int_equal(pinned_by(pid), 3);
	assert_int_equal(change_process(0), 0);
	assert_int_equal(pinned_by(0), 3);
	assert_int_equal(pinned_by(pid), 0);
	/* Over the new process's limit: nothing has changed. */
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 3 * PAGE, 2 * PAGE, &third), 0);
	assert_int_equal(change_process(pid), -ENOMEM);
	assert_int_equal(pinned_by(0), 5);
	assert_int_equal(pinned_by(pid), 0);
	assert_int_equal(unmap(&rig, ioas, third, 2 * PAGE, NULL), 0);
	assert_int_equal(change_process(pid), 0);
	/* What it pays for now goes with its last user. */
	assert_int_equal(unmap(&rig, other, second, 3 * PAGE, NULL), 0);
	assert_int_equal(pinned_by(pid), 3);
	assert_int_equal(unmap(&rig, ioas, first, 3 * PAGE, NULL), 0);
	assert_int_equal(pinned_by(pid), 0);
	end_process(pid);
	close(fd);
}

/* IOAS_CHANGE_PROCESS: reserved field, areas that are no file's; what is not pinned moves with its object. */
static void only_files_change_the_process(void **state)
{
	struct ui_uapi_ioas_change_process cmd = { .size = sizeof(cmd), .__reserved = 1 };
	u32 ioas = ioas_new(&rig), pt = ioas;
	int fd = file_of(2);
	u64 iova = 0x100000;
	pid_t pid = other_process(2);

	assert_int_equal(call(&rig, UI_UAPI_IOAS_CHANGE_PROCESS, &cmd), -EOPNOTSUPP);
	assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 2 * PAGE, &iova), 0);
	assert_int_equal(map_at(&rig, ioas, mem, PAGE, 0), 0);
	assert_int_equal(change_process(pid), -EINVAL);
	assert_int_equal(unmap(&rig, ioas, 0, PAGE, NULL), 0);
	assert_int_equal(change_process(pid), 0);
	rig_bind(&rig, 0);
	assert_int_equal(attach(&rig, 0, 0, &pt), 0);
	assert_int_equal(pinned_by(0), 0);
	assert_int_equal(pinned_by(pid), 2);
	end_process(pid);
	close(fd);
}

/* The limit of a process that has ended is the last that it had: its files can still be pinned. */
static void a_process_that_ended_has_its_last_limit(void **state)
{
	int fd = file_of(6);
	u64 iova = 0x100000;
	u32 pt, ioas;
	pid_t pid;

	for (unsigned by_process = 0; by_process < 2; by_process++) {
		open_ctx(by_process);
		pt = ioas = ioas_new(&rig);
		assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 4 * PAGE, &iova), 0);
		pid = other_process(4);
		assert_int_equal(change_process(pid), 0);
		end_process(pid);
		rig_bind(&rig, 0);
		assert_int_equal(attach(&rig, 0, 0, &pt), 0);
		detach(&rig, 0, 0);
		assert_int_equal(unmap(&rig, ioas, 0, MAX, NULL), 0);
		assert_int_equal(map_file(&rig, ioas, RW | FIXED, fd, 0, 6 * PAGE, &iova), 0);
		pid = other_process(4);
		assert_int_equal(change_process(pid), 0);
		end_process(pid);
		pt = ioas;
		assert_int_equal(attach(&rig, 0, 0, &pt), -ENOMEM);
		rig_unbind(&rig, 0);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_limit_counts_what_is_pinned),
		T(what_is_above_the_limit_is_not_made_present),
		T(shared_pages_are_paid_once),
		T(accesses_and_holds_pay_for_pages),
		T(an_access_keeps_paying_when_the_domain_goes),
		T(a_failed_map_is_not_paid_for),
		T(a_hole_is_not_paid_for),
		T(contexts_share_the_limit),
		T(processes_of_a_user_share_the_limit),
		T(process_mode_counts_what_is_locked),
		T(a_privileged_process_has_no_limit),
		T(capabilities_are_the_systems),
		T(charges_follow_the_process),
		T(only_files_change_the_process),
		T(a_process_that_ended_has_its_last_limit),
	};

	ui_log_set(UI_LOG_ERROR, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
