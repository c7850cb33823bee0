/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's entry: the bytes are a sequence of commands to one context of /dev/iommu or /dev/vfio/vfio, with devices that do DMA in
 * between. Fields are picked from small sets (ids that exist, addresses on both sides of borders), so that commands meet one another;
 * the model says after each what must hold. Nothing depends on time, addresses or what ran before.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "base/safe.h"
#include "core/request.h"
#include "container.h"
#include "fields.h"
#include "files.h"
#include "mock/mock.h"
#include "model.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t n_bytes);

static struct ui_mock *mock;
static u8 memory_image[ARENA_PAGES * UI_PAGE_BYTES]; /* what the arena holds at the start of each run */
static struct sigaction others[2];

static void on_bad_access(int sig, siginfo_t *info, void *ucontext)
{
	const struct sigaction *other = &others[sig == SIGBUS];

	if (ui_safe_recover(sig, info, ucontext))
		return;
	if (other->sa_flags & SA_SIGINFO)
		other->sa_sigaction(sig, info, ucontext);
	signal(sig, SIG_DFL);
}

static void prepare(int *fd)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	void *fixed = (void *)(uintptr_t)ARENA;
	const int flags = MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	act.sa_sigaction = on_bad_access;
	CHECK(!sigaction(SIGSEGV, &act, &others[0]) && !sigaction(SIGBUS, &act, &others[1]));
	ui_log_set(UI_LOG_NONE, NULL, NULL);
	CHECK(mmap(fixed, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) == fixed);
	CHECK(!munmap((u8 *)fixed + HOLE_AT * PAGE, (READONLY_AT - HOLE_AT) * PAGE));
	CHECK(!mprotect((u8 *)fixed + READONLY_AT * PAGE, 2 * PAGE, PROT_READ));
	fixed = (void *)(uintptr_t)BIG;
	CHECK(mmap(fixed, BIG_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0) == fixed);
	*fd = memfd_create("fuzz", MFD_CLOEXEC);
	CHECK(*fd >= 0 && !ftruncate(*fd, FILE_PAGES * (s64)PAGE));
	fixed = (void *)(uintptr_t)FILE_MAP;
	CHECK(mmap(fixed, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE | MAP_SHARED, *fd, 0) == fixed);
	for (u64 i = 0; i < sizeof(memory_image); i++)
		memory_image[i] = (u8)(i >> UI_PAGE_LG2);
}

static void reset_memory(void)
{
	memcpy((void *)(uintptr_t)ARENA, memory_image, HOLE_AT * PAGE);
	memcpy((void *)(uintptr_t)(ARENA + (READONLY_AT + 2) * PAGE), memory_image, (ARENA_PAGES - READONLY_AT - 2) * PAGE);
	memset((void *)(uintptr_t)FILE_MAP, 0x5a, FILE_PAGES * PAGE);
}

static void open_world(struct world *w, u8 how)
{
	struct ui_iommufd_env env = { .arg = w };

	files_env(&env);
	w->mocked = how % 3 == 1;
	w->nests = how % 3 == 2;
	w->contains = how >= 0xc0 && !w->mocked;
	w->mem = ui_mem_create_process();
	w->iommu = ui_iommu_create(ui_driver_find(w->nests ? "vtd" : "generic"), w->mem);
	CHECK(w->iommu);
	for (u32 i = 0; i < N_DEVICES; i++) {
		struct ui_device_cfg cfg = { .rid = 0x100 + i * 8, .pasid_bits = i == WITHOUT_PASIDS ? 0 : 16, .name = "fuzz" };

		w->dev[i] = ui_device_create(w->iommu, &cfg);
		CHECK(w->dev[i]);
		w->port[i] = ui_device_port_open(w->dev[i]);
		CHECK(w->port[i]);
	}
	mock = w->mocked ? ui_mock_create() : NULL;
	CHECK(mock || !w->mocked);
	w->ctx = w->mocked ? ui_mock_open(mock, &env) : w->contains ? ui_iommufd_open_container(&env) : ui_iommufd_open(&env);
	CHECK(w->ctx);
	w->binder = ui_iommufd_binder(w->ctx);
}

static void unbind(struct world *w, unsigned i)
{
	if (!w->bound[i])
		return;
	w->binder.ops->unbind(w->bound[i]);
	w->bound[i] = NULL;
	w->model.bound[i] = false;
	for (u32 p = 0; p < N_PASIDS; p++)
		model_detached(w, i, p);
}

static void close_world(struct world *w)
{
	model_compare_all(w);
	for (unsigned i = 0; i < N_DEVICES; i++)
		unbind(w, i);
	container_untie_all(w);
	regions_unmap(w);
	files_close_all();
	ui_iommufd_close(w->ctx);
	ui_mock_destroy(mock);
	for (unsigned i = 0; i < N_DEVICES; i++) {
		ui_dma_close(w->port[i]);
		ui_device_destroy(w->dev[i]);
	}
	ui_iommu_destroy(w->iommu);
	ui_mem_destroy(w->mem);
}

static void bind(struct world *w, struct input *in)
{
	u8 what = input8(in);
	unsigned i = what % N_DEVICES;

	if (w->bound[i]) {
		/* Seldom: what is bound is what makes the rest interesting. */
		if (what > 0xe0)
			unbind(w, i);
		return;
	}
	if (!w->binder.ops->bind(w->binder.ctx, w->dev[i], &w->dev_id[i], &w->bound[i]))
		w->model.bound[i] = true;
	else
		w->bound[i] = NULL;
}

static void attach(struct world *w, struct input *in)
{
	u8 what = input8(in);
	unsigned i = what % N_DEVICES;
	u32 pasid = what / N_DEVICES % 5 < N_PASIDS ? what / N_DEVICES % 5u : 0, pt = input_id(in), used = pt;

	if (w->bound[i] && !w->binder.ops->attach(w->bound[i], pasid, pasid != 0, &used))
		model_attached(w, i, pasid, used, pt);
}

static void detach(struct world *w, struct input *in)
{
	u8 what = input8(in);
	unsigned i = what % N_DEVICES;
	u32 pasid = what / N_DEVICES % N_PASIDS;

	if (!w->bound[i])
		return;
	w->binder.ops->detach(w->bound[i], pasid, pasid != 0);
	model_detached(w, i, pasid);
}

/* Whatever is there, or is not: only the process must stand. */
static void dma(struct world *w, struct input *in)
{
	u8 what = input8(in);
	struct ui_dma_addr at = { .iova = input_iova(in), .pasid = what / N_DEVICES % N_PASIDS }, to = at;
	struct ui_dma *port = w->port[what % N_DEVICES];
	u64 n_bytes = input_length(in) & 0x3fff, done;
	static u8 buf[0x4000];
	bool differs;

	at.has_pasid = to.has_pasid = at.pasid != 0;
	to.iova ^= 0x4000;
	switch (what >> 5) {
	case 0: ui_dma_write(port, &at, memory_image, n_bytes, &done, NULL); break;
	case 1: ui_dma_copy(port, &at, &to, n_bytes, &done, NULL); break;
	case 2: ui_dma_fill(port, &at, MAX / 3, n_bytes, &done, NULL); break;
	case 3: ui_dma_compare(port, &at, &to, n_bytes, &differs, &done, NULL); break;
	default: ui_dma_read(port, &at, buf, n_bytes, &done, NULL); break;
	}
}

static void page_request(struct world *w, struct input *in)
{
	u8 what = input8(in);
	struct ui_page_request request = {
		.dev = w->dev[what % N_DEVICES], .pasid = what / N_DEVICES % N_PASIDS, .last = what & 0x40, .group = what >> 7, .access = 1,
		.iova = input_iova(in)
	};

	request.has_pasid = request.pasid != 0;
	ui_device_page_request(&request);
}

/* The program writes to its memory: tables of nested domains, entries of invalidations. */
static void poke(struct input *in)
{
	u64 at = ARENA + SCRATCH_AT * PAGE + input8(in) * 8ull + (input8(in) & 7u) * PAGE, val = input_any(in);

	memcpy((void *)(uintptr_t)at, &val, sizeof(val));
}

static void step(struct world *w, struct input *in, u64 *inject)
{
	u8 op = input8(in);

	/* Half of the steps are commands. */
	if (w->contains && (op >= 0x80 || op % 12 < 4 || op % 12 == 11)) {
		container_use(w, in, *inject);
		*inject = 0;
		return;
	}
	if (op >= 0x80) {
		command(w, in, op & 0x7f, *inject);
		*inject = 0;
		return;
	}
	switch (op % 12) {
	case 0: bind(w, in); break;
	case 1: case 2: attach(w, in); break;
	case 3: detach(w, in); break;
	case 4: dma(w, in); break;
	case 5: poke(in); break;
	case 6: *inject = input8(in) % 64; break;
	case 7: file_use(w, in); break;
	case 8: model_compare_dirty(w, &w->model.hwpts[input8(in) % N_HWPTS], input8(in)); break;
	case 9: region_use(w, in); break;
	case 10: page_request(w, in); break;
	default: command_vfio(w, in); break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t n_bytes)
{
	static int fd = -1;
	struct input in = { .at = data, .end = data + n_bytes };
	static struct world w; /* what the leak sanitizer sees */
	u64 inject = 0, live;

	if (fd < 0)
		prepare(&fd);
	live = ui_alloc_live();
	reset_memory();
	w = (struct world){ .fd = fd };
	open_world(&w, input8(&in));
	for (unsigned i = 0; i < 200 && in.at < in.end; i++)
		step(&w, &in, &inject);
	close_world(&w);
	CHECK(ui_alloc_live() == live);
	return 0;
}
