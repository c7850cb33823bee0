/* SPDX-License-Identifier: MIT */
/*
 * The virtio-iommu: MAP+UNMAP per second at 1 k and 1 M live mappings, bare (the functions behind the requests, under the device's lock)
 * and through the virtqueue; the same workload on GLib's GTree, keyed by intervals and locked by a recursive mutex as QEMU's device has it.
 * Two workloads: `ring`, in which the oldest mapping goes and a new one comes, and `random`, in which any of them does.
 */
#include "measure.h"

#include "base/bits.h"
#include "base/sys.h"
#include "core/domain.h"
#include "virtio/iommu_priv.h"

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef HAVE_GLIB
#include <glib.h>
#endif

enum { ROUNDS = 7, N_OPS = 40000, SIZE = 256, IN_FLIGHT = 64 };
#define IOVA ((u64)1 << 32)
#define RAM_BYTES ((size_t)1 << 20)
#define DESC_PA ((u64)0x1000)
#define AVAIL_PA ((u64)0x3000)
#define USED_PA ((u64)0x4000)
#define BUF_PA ((u64)0x10000)

struct world {
	struct ui_mem *mem;
	u8 *ram;
	struct ui_iommu *iommu;
	struct ui_device *devs[2];
	struct ui_dma *port;
	struct ui_virtio_iommu *vi;
	struct ui_virtio *v;
	u16 next;
};

/* Which mapping goes and comes: number @n of 2^@lg2 live ones. */
struct workload {
	unsigned lg2;
	bool random;
	u64 n;
};

static u64 next_iova(struct workload *wl)
{
	u64 i = wl->random ? next_random() : wl->n++;

	return IOVA + ((i & ui_mask_lg2(wl->lg2)) << UI_PAGE_LG2);
}

static u64 resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	must(f && fscanf(f, "%*s %lu", &pages) == 1, "/proc/self/statm");
	fclose(f);
	return (u64)pages * (u64)sysconf(_SC_PAGESIZE);
}

static void start(struct world *w)
{
	const struct ui_virtio_queue_setup setup = { .size = SIZE, .desc = DESC_PA, .avail = AVAIL_PA, .used = USED_PA };
	struct ui_virtio_iommu_cfg cfg;
	struct ui_device_cfg dev = { .rid = 8, .name = "endpoint" };

	memset(w, 0, sizeof(*w));
	w->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->mem = ui_mem_create();
	must(w->ram != MAP_FAILED && w->mem && !ui_mem_add_ram(w->mem, 0, RAM_BYTES, w->ram, true), "memory");
	w->iommu = ui_iommu_create(ui_driver_find("generic"), w->mem);
	must(w->iommu, "an iommu");
	w->devs[0] = ui_device_create(w->iommu, &dev);
	dev.rid = 9;
	w->devs[1] = ui_device_create(w->iommu, &dev);
	must(w->devs[0] && w->devs[1], "devices");
	must(!ui_device_attach(w->devs[1], 0, false, ui_domain_identity(w->iommu), false, NULL), "identity");
	w->port = ui_device_port_open(w->devs[1]);
	ui_virtio_iommu_cfg_init(&cfg);
	must(w->port && !ui_virtio_iommu_create(&cfg, w->port, &w->vi) && !ui_virtio_iommu_add(w->vi, 8, w->devs[0]), "the device");
	w->v = ui_virtio_iommu_device(w->vi);
	ui_virtio_set_features(w->v, w->v->offered);
	ui_virtio_set_status(w->v, 11);
	ui_virtio_queue_set(w->v, 0, &setup);
	ui_virtio_queue_enable(w->v, 0);
	ui_virtio_set_status(w->v, 15);
	must(!ui_viommu_attach(w->vi, ui_viommu_endpoint(w->vi, 8), 1, false), "an attachment");
}

static void stop(struct world *w)
{
	ui_virtio_iommu_destroy(w->vi);
	ui_dma_close(w->port);
	ui_device_detach(w->devs[1], 0, false);
	ui_device_destroy(w->devs[0]);
	ui_device_destroy(w->devs[1]);
	ui_iommu_destroy(w->iommu);
	ui_mem_destroy(w->mem);
	munmap(w->ram, RAM_BYTES);
}

/* ---- Bare ---- */

static void bare_map(struct world *w, u64 iova)
{
	pthread_mutex_lock(&w->v->lock);
	must(!ui_viommu_map(&w->vi->cfg, ui_viommu_space_find(ui_viommu_domain(w->vi, 1), 0, false), iova, iova + UI_PAGE_BYTES - 1, iova, 3), "a map");
	pthread_mutex_unlock(&w->v->lock);
}

static void bare_unmap(struct world *w, u64 iova)
{
	pthread_mutex_lock(&w->v->lock);
	must(!ui_viommu_unmap(ui_viommu_space_find(ui_viommu_domain(w->vi, 1), 0, false), iova, iova + UI_PAGE_BYTES - 1), "an unmap");
	pthread_mutex_unlock(&w->v->lock);
}

static double bare(struct world *w, struct workload *wl)
{
	double t = now_ns();

	for (unsigned i = 0; i < N_OPS; i++) {
		u64 iova = next_iova(wl);

		bare_unmap(w, iova);
		bare_map(w, iova);
	}
	return (now_ns() - t) / N_OPS;
}

/* ---- Through the queue ---- */

/* Request @slot, of the pair that UNMAP begins. The descriptors stand in the ring already. */
static void put_request(struct world *w, unsigned slot, bool is_map, u64 iova)
{
	u8 *req = w->ram + BUF_PA + 64 * slot;
	const u32 domain = 1, flags = 3;
	u64 last = iova + UI_PAGE_BYTES - 1;
	u16 head = (u16)(2 * slot);

	memset(req, 0, 40);
	req[0] = is_map ? 3 : 4;
	memcpy(req + 4, &domain, 4);
	memcpy(req + 8, &iova, 8);
	memcpy(req + 16, &last, 8);
	if (is_map) {
		memcpy(req + 24, &iova, 8);
		memcpy(req + 32, &flags, 4);
	}
	req[48] = 0xff;
	memcpy(w->ram + DESC_PA + 32 * slot + 8, &(u32){ is_map ? 36 : 28 }, 4);
	memcpy(w->ram + AVAIL_PA + 4 + 2 * (w->next++ & (SIZE - 1)), &head, 2);
	memcpy(w->ram + AVAIL_PA + 2, &w->next, 2);
}

static void prepare_ring(struct world *w)
{
	for (unsigned slot = 0; slot < SIZE / 2; slot++) {
		u8 *d = w->ram + DESC_PA + 32 * slot;
		u64 addr = BUF_PA + 64 * slot;

		memcpy(d, &addr, 8);
		memcpy(d + 12, &(u16){ 1 }, 2);
		memcpy(d + 14, &(u16){ (u16)(2 * slot + 1) }, 2);
		addr += 48;
		memcpy(d + 16, &addr, 8);
		memcpy(d + 24, &(u32){ 4 }, 4);
		memcpy(d + 28, &(u16){ 2 }, 2);
	}
}

static void serve(struct world *w, unsigned n)
{
	ui_virtio_notify(w->v, 0);
	while (ui_virtio_step(w->v))
		;
	for (unsigned slot = 0; slot < n; slot++)
		must(!w->ram[BUF_PA + 64 * slot + 48], "a request");
}

static double queued(struct world *w, struct workload *wl, unsigned in_flight)
{
	double t = now_ns();

	for (unsigned i = 0; i < N_OPS; i += in_flight > 1 ? in_flight / 2 : 1) {
		u64 iova;

		if (in_flight == 1) {
			iova = next_iova(wl);
			put_request(w, 0, false, iova);
			serve(w, 1);
			put_request(w, 0, true, iova);
			serve(w, 1);
			continue;
		}
		for (unsigned slot = 0; slot < in_flight; slot += 2) {
			iova = next_iova(wl);
			put_request(w, slot, false, iova);
			put_request(w, slot + 1, true, iova);
		}
		serve(w, in_flight);
	}
	return (now_ns() - t) / N_OPS;
}

/* ---- GLib's tree, as QEMU's device uses it: interval keys that compare equal when they overlap ---- */

#ifdef HAVE_GLIB
struct g_interval {
	u64 low, high;
};

struct g_mapping {
	u64 phys;
	u32 flags;
};

static GTree *trees[2], *tree; /* of each size; the one in use */
static pthread_mutex_t tree_lock;

static gint compare(gconstpointer a, gconstpointer b, gpointer data)
{
	const struct g_interval *x = a, *y = b;

	return x->high < y->low ? -1 : y->high < x->low ? 1 : 0;
}

static void tree_map(u64 iova)
{
	struct g_interval *key = g_malloc0(sizeof(*key));
	struct g_mapping *val = g_malloc0(sizeof(*val));

	key->low = iova;
	key->high = iova + UI_PAGE_BYTES - 1;
	val->phys = iova;
	val->flags = 3;
	pthread_mutex_lock(&tree_lock);
	must(!g_tree_lookup(tree, key), "a map in the tree");
	g_tree_insert(tree, key, val);
	pthread_mutex_unlock(&tree_lock);
}

static void tree_unmap(u64 iova)
{
	const struct g_interval want = { iova, iova + UI_PAGE_BYTES - 1 };
	gpointer key, val;

	pthread_mutex_lock(&tree_lock);
	while (g_tree_lookup_extended(tree, &want, &key, &val))
		g_tree_remove(tree, key);
	pthread_mutex_unlock(&tree_lock);
}

static double tree_run(struct workload *wl)
{
	double t = now_ns();

	for (unsigned i = 0; i < N_OPS; i++) {
		u64 iova = next_iova(wl);

		tree_unmap(iova);
		tree_map(iova);
	}
	return (now_ns() - t) / N_OPS;
}

static void tree_start(unsigned size)
{
	pthread_mutexattr_t attr;

	if (!size) {
		pthread_mutexattr_init(&attr);
		pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
		pthread_mutex_init(&tree_lock, &attr);
	}
	trees[size] = g_tree_new_full(compare, NULL, g_free, g_free);
	tree = trees[size];
}

static void tree_use(unsigned size)
{
	tree = trees[size];
}
#else
static void tree_start(unsigned size)
{
}

static void tree_use(unsigned size)
{
}

static void tree_map(u64 iova)
{
}

static double tree_run(struct workload *wl)
{
	return 0;
}
#endif

/* ---- The measurement ---- */

enum { BARE, ONE, MANY, TREE, N_KINDS };

static struct world worlds[2]; /* with 1 k and with 1 M mappings */
static const unsigned lg2s[2] = { 10, 20 };

static void fill(unsigned size)
{
	u64 before = resident_bytes(), n = (u64)1 << lg2s[size], ours;

	start(&worlds[size]);
	prepare_ring(&worlds[size]);
	for (u64 i = 0; i < n; i++)
		bare_map(&worlds[size], IOVA + (i << UI_PAGE_LG2));
	ours = resident_bytes() - before;
	before = resident_bytes();
	tree_start(size);
	for (u64 i = 0; i < n; i++)
		tree_map(IOVA + (i << UI_PAGE_LG2));
	if (size)
		printf("virtio-iommu: %.0f bytes per mapping with its table, GTree %.0f without\n", (double)ours / (double)n,
		       (double)(resident_bytes() - before) / (double)n);
}

static double run(unsigned kind, unsigned size, struct workload *wl)
{
	switch (kind) {
	case BARE:
		return bare(&worlds[size], wl);
	case ONE:
		return queued(&worlds[size], wl, 1);
	case MANY:
		return queued(&worlds[size], wl, IN_FLIGHT);
	default:
		tree_use(size);
		return tree_run(wl);
	}
}

/* What is compared alternates: sizes and kinds. */
static void measure(bool random, double ns[N_KINDS][2])
{
	static double t[N_KINDS][2][ROUNDS];
	struct workload wls[N_KINDS][2];

	for (unsigned k = 0; k < N_KINDS; k++) {
		for (unsigned size = 0; size < 2; size++)
			wls[k][size] = (struct workload){ .lg2 = lg2s[size], .random = random };
	}
	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned k = 0; k < N_KINDS; k++) {
			for (unsigned size = 0; size < 2; size++)
				t[k][size][r] = run(k, size, &wls[k][size]);
		}
	}
	for (unsigned k = 0; k < N_KINDS; k++) {
		for (unsigned size = 0; size < 2; size++)
			ns[k][size] = median(t[k][size], ROUNDS);
	}
}

int main(void)
{
	static const char *const names[N_KINDS] = { "bare", "queue, 1 in flight", "queue, 64 in flight", "GTree, bare" };

	fill(0);
	fill(1);
	for (unsigned random = 0; random < 2; random++) {
		const char *workload = random ? "random" : "ring";
		double ns[N_KINDS][2];

		measure(random, ns);
		for (unsigned k = 0; k < N_KINDS; k++) {
			if (ns[k][0] > 0)
				printf("virtio-iommu MAP+UNMAP, %s, %s: 1 k %.2f M/s, 1 M %.2f M/s (%.2fx the time)\n", workload, names[k], 1e3 / ns[k][0],
				       1e3 / ns[k][1], ns[k][1] / ns[k][0]);
		}
		if (ns[TREE][1] > 0)
			printf("virtio-iommu, %s: %.1fx as fast as GTree at 1 M, %.1fx at 1 k, both bare\n", workload, ns[TREE][1] / ns[BARE][1],
			       ns[TREE][0] / ns[BARE][0]);
	}
	stop(&worlds[0]);
	stop(&worlds[1]);
	return 0;
}
