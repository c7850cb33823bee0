/* SPDX-License-Identifier: MIT */
#include "mock/mock.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/user.h"
#include "base/sys.h"
#include "iommufd/ctx.h"

#include <errno.h>
#include <sys/mman.h>

#define CMD_TEST (UI_UAPI_TYPE | 0xa0u)

enum { OP_ADD_RESERVED = 1, OP_MD_CHECK_REFS = 4, OP_SET_TEMP_MEMORY_LIMIT = 9 };

/* The smallest batch that the kernel accepts. Here nothing is done in batches that a limit could cut. */
enum { MEMORY_LIMIT_MIN = 12 };

struct test_cmd {
	u32 size, op, id, __reserved;
	union {
		struct {
			u64 start, length;
		} add_reserved;
		struct {
			u64 length, uptr;
			u32 refs;
		} check_refs;
		struct {
			u32 limit;
		} memory_limit;
		u64 words[6];
	};
	u64 last;
};

static_assert(sizeof(struct test_cmd) == 72, "test_cmd");
enum { TEST_CMD_MIN = 68 };

/*
 * Pins per page of the process, in three steps of 12 bits each (35 bits of page number). Nodes come straight from the system: a
 * count must never be lost to an allocation that a test makes fail.
 */
enum { STEP_LG2 = 12, N_STEPS = 3 };

union node {
	union node *below[1 << STEP_LG2];
	u32 pins[1 << STEP_LG2];
};

struct ui_mock {
	pthread_mutex_t lock;
	union node *root; /* lock */
	u32 n_open;       /* lock */
};

/* A context: its own environment behind the counting one. */
struct mock_ctx {
	struct ui_mock *mock;
	struct ui_iommufd_env env;
};

static union node *node_new(void)
{
	void *node = ui_sys_mmap(NULL, sizeof(union node), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return ui_sys_is_err(node) ? NULL : node;
}

static void node_free(union node *node, unsigned step)
{
	for (unsigned i = 0; step && i < 1 << STEP_LG2; i++) {
		if (node->below[i])
			node_free(node->below[i], step - 1);
	}
	ui_sys_munmap(node, sizeof(*node));
}

/* The count of @page; NULL: no page there was ever pinned (@make: or no memory for it). */
static u32 *find_pins(struct ui_mock *mock, u64 page, bool make)
{
	union node **at = &mock->root;

	for (unsigned step = N_STEPS; step-- > 0;) {
		if (!*at && make)
			*at = node_new();
		if (!*at)
			return NULL;
		if (step)
			at = &(*at)->below[page >> (step * STEP_LG2) & ui_mask_lg2(STEP_LG2)];
	}
	return &(*at)->pins[page & ui_mask_lg2(STEP_LG2)];
}

static void mock_pinned(void *arg, u64 va, u64 n_bytes, bool now)
{
	struct mock_ctx *ctx = arg;

	pthread_mutex_lock(&ctx->mock->lock);
	for (u64 page = va >> UI_PAGE_LG2, n = n_bytes >> UI_PAGE_LG2; n; page++, n--) {
		u32 *pins = find_pins(ctx->mock, page, now);

		if (pins)
			*pins += now ? 1u : ~0u;
	}
	pthread_mutex_unlock(&ctx->mock->lock);
	if (ctx->env.pinned)
		ctx->env.pinned(ctx->env.arg, va, n_bytes, now);
}

static long add_reserved(struct ui_iommufd *ctx, const struct test_cmd *cmd)
{
	struct ui_ioas_obj *ioas;
	u64 last;
	int ret;

	if (!cmd->add_reserved.length)
		return -EINVAL;
	if (!ui_range_last(cmd->add_reserved.start, cmd->add_reserved.length, &last))
		return -EOVERFLOW;
	ioas = ui_obj_get(ctx, cmd->id, UI_OBJ_IOAS);
	if (!ioas)
		return -ENOENT;
	ret = ui_ioas_reserve(ioas->ioas, cmd->add_reserved.start, last, NULL);
	ui_obj_put(ctx, &ioas->obj);
	return ret;
}

static long check_refs(struct ui_mock *mock, const struct test_cmd *cmd)
{
	u64 page = cmd->check_refs.uptr >> UI_PAGE_LG2, n = cmd->check_refs.length >> UI_PAGE_LG2;
	int ret = 0;

	if (!ui_is_aligned(cmd->check_refs.uptr | cmd->check_refs.length, UI_PAGE_BYTES))
		return -EINVAL;
	if (ui_user_probe(cmd->check_refs.uptr, cmd->check_refs.length, false))
		return -EFAULT;
	pthread_mutex_lock(&mock->lock);
	for (; n && !ret; page++, n--) {
		const u32 *pins = find_pins(mock, page, false);

		if ((pins ? *pins : 0) != cmd->check_refs.refs)
			ret = -EIO;
	}
	pthread_mutex_unlock(&mock->lock);
	return ret;
}

static long mock_ioctl(void *arg, struct ui_iommufd *ctx, u32 cmd, u64 uarg)
{
	struct test_cmd test;
	u32 user_bytes;
	int ret;

	/* With the test command the table reaches this far: bad pointers come first. */
	if ((cmd & 0xff) > (CMD_TEST & 0xff))
		return -ENOTTY;
	if (ui_user_read(&user_bytes, uarg, sizeof(user_bytes)))
		return -EFAULT;
	if (cmd != CMD_TEST)
		return -ENOTTY;
	ret = ui_iommufd_read_cmd(uarg, TEST_CMD_MIN, sizeof(test), &test, &user_bytes);
	if (ret)
		return ret;
	switch (test.op) {
	case OP_ADD_RESERVED:
		return add_reserved(ctx, &test);
	case OP_MD_CHECK_REFS:
		return check_refs(arg, &test);
	case OP_SET_TEMP_MEMORY_LIMIT:
		return test.memory_limit.limit < MEMORY_LIMIT_MIN ? -EINVAL : 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int mock_pin(void *arg, u64 va, u64 n_bytes, bool write)
{
	const struct mock_ctx *ctx = arg;

	return ctx->env.pin(ctx->env.arg, va, n_bytes, write);
}

static int mock_map_file(void *arg, int fd, u64 offset, u64 n_bytes, bool write, u64 *va)
{
	const struct mock_ctx *ctx = arg;

	return ctx->env.map_file(ctx->env.arg, fd, offset, n_bytes, write, va);
}

static void mock_unmap_file(void *arg, u64 va, u64 n_bytes)
{
	const struct mock_ctx *ctx = arg;

	ctx->env.unmap_file(ctx->env.arg, va, n_bytes);
}

static bool mock_capable(void *arg, unsigned cap)
{
	const struct mock_ctx *ctx = arg;

	return ctx->env.capable(ctx->env.arg, cap);
}

static void mock_gone(void *arg)
{
	struct mock_ctx *ctx = arg;

	if (ctx->env.gone)
		ctx->env.gone(ctx->env.arg);
	pthread_mutex_lock(&ctx->mock->lock);
	ctx->mock->n_open--;
	pthread_mutex_unlock(&ctx->mock->lock);
	ui_free(ctx);
}

struct ui_mock *ui_mock_create(void)
{
	struct ui_mock *mock = ui_zalloc(sizeof(*mock));

	if (mock)
		pthread_mutex_init(&mock->lock, NULL);
	return mock;
}

void ui_mock_destroy(struct ui_mock *mock)
{
	if (!mock)
		return;
	ui_assert(!mock->n_open);
	if (mock->root)
		node_free(mock->root, N_STEPS - 1);
	pthread_mutex_destroy(&mock->lock);
	ui_free(mock);
}

struct ui_iommufd *ui_mock_open(struct ui_mock *mock, const struct ui_iommufd_env *env)
{
	struct mock_ctx *mctx = ui_zalloc(sizeof(*mctx));
	struct ui_iommufd_env counting = { .pinned = mock_pinned, .gone = mock_gone, .arg = mctx };
	struct ui_iommufd *ctx;

	if (!mctx)
		return NULL;
	mctx->mock = mock;
	if (env)
		mctx->env = *env;
	/* What the environment leaves to the defaults stays there. */
	counting.pin = mctx->env.pin ? mock_pin : NULL;
	counting.map_file = mctx->env.map_file ? mock_map_file : NULL;
	counting.unmap_file = mctx->env.unmap_file ? mock_unmap_file : NULL;
	counting.capable = mctx->env.capable ? mock_capable : NULL;
	ctx = ui_iommufd_open(&counting);
	if (!ctx) {
		ui_free(mctx);
		return NULL;
	}
	pthread_mutex_lock(&mock->lock);
	mock->n_open++;
	pthread_mutex_unlock(&mock->lock);
	ui_iommufd_set_extra(ctx, mock_ioctl, mock);
	return ctx;
}
