/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's entry for the SMMUv3's device half: the bytes are what a driver and devices do, the good and the bad in turns. Memory
 * begins as a driver would have set it up; then words of it, registers and commands may become anything.
 *
 * What must hold: nothing crashes, hangs or leaks; nothing outside the memory object is read or written (around RAM lie entries that
 * lead to a page which would give it away); each event is one that there is, with nothing in its reserved bits; the command queue
 * stands still only where it may; when everything has been invalidated the caches agree with memory; and so they do after exactly
 * the commands that the specification asks for after a change of exactly these entries.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/log.h"
#include "base/safe.h"
#include "models/smmuv3/smmuv3.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t n_bytes);

#define CHECK(cond)                                                                                                       \
	do {                                                                                                              \
		if (!(cond)) {                                                                                            \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #cond);                          \
			abort();                                                                                          \
		}                                                                                                         \
	} while (0)

enum {
	PAGE = 4096,
	RAM = 0x40000000,
	RAM_BYTES = 512 << 10,
	MARGIN = 64 << 10,
	OURS = 0x50000000, /* the SMMU's own registers */
	STRTAB = RAM,
	CMDQ = RAM + 0x1000,
	EVENTQ = RAM + 0x2000,
	CDTAB = RAM + 0x3000,
	S1 = RAM + 0x4000,     /* four tables, from the top down; so is FLAT, which maps RAM to itself */
	FLAT = RAM + 0x8000,
	L1STD = RAM + 0xc000,
	S2 = RAM + 0xd000,     /* three tables */
	WIDE = RAM + 0x10000,  /* two of 64K */
	DATA = RAM + 0x40000,
	DATA_PAGES = 64,
	VA = 0x200000,
	N_STREAMS = 8,
	VMID = 3, VMID_S2 = 5,
	SID_BITS = 6,
};
#define TELLTALE 0x765432100000ull
#define TELLTALE_VALUE 0x5ca1ab1e0ddba11ull
#define LEAF_S1 ((u64)1 << 10 | (u64)1 << 6 | (u64)3 << 8 | (u64)1 << 11 | 3)
#define LEAF_S2 ((u64)1 << 10 | (u64)3 << 6 | (u64)0xf << 2 | 3)

/* SIDs of @streams: stage 1, nested, stage 2, stage 1 of 64K, bypass, substreams, none, none. */
enum { S1_STREAM = 1, NESTED_STREAM, S2_STREAM, WIDE_STREAM, BYPASS_STREAM, SSID_STREAM };

struct input {
	const u8 *at, *end;
};

struct world {
	struct ui_mem *mem;
	struct ui_smmuv3 *smmu;
	struct ui_smmuv3_stream *streams[N_STREAMS];
	bool clean; /* only data and leaves that are invalidated at once have changed */
	unsigned n_irqs;
};

static u8 *ram, *telltale, *image;
static struct sigaction others[2];

static u8 input8(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static u64 input64(struct input *in)
{
	u64 val = 0;

	for (unsigned i = 0; i < 8; i++)
		val |= (u64)input8(in) << (8 * i);
	return val;
}

/* ---- Memory ---- */

static u64 *at(u64 pa)
{
	CHECK(pa - RAM < RAM_BYTES);
	return (u64 *)(void *)(ram + (pa - RAM));
}

static void on_bad_access(int sig, siginfo_t *info, void *ucontext)
{
	const struct sigaction *other = &others[sig == SIGBUS];

	if (ui_safe_recover(sig, info, ucontext))
		return;
	if (other->sa_flags & SA_SIGINFO)
		other->sa_sigaction(sig, info, ucontext);
	signal(sig, SIG_DFL);
}

static void make_cd(u64 *cd, u64 ttb, unsigned tg, unsigned t0sz, u16 asid)
{
	ui_hw_set(cd, UI_SMMUV3_CD_T0SZ, t0sz);
	ui_hw_set(cd, UI_SMMUV3_CD_TG0, tg);
	ui_hw_set(cd, UI_SMMUV3_CD_EPD1, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_IPS, UI_SMMUV3_PS_48);
	ui_hw_set(cd, UI_SMMUV3_CD_AA64, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_R, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_A, 1);
	ui_hw_set(cd, UI_SMMUV3_CD_ASID, asid);
	ui_hw_set_addr(cd, UI_SMMUV3_CD_TTB0, ttb);
	ui_hw_set(cd, UI_SMMUV3_CD_V, 1);
}

static void make_ste(unsigned sid, unsigned config, u64 cd, unsigned cdmax, u64 s2, unsigned t0sz, unsigned sl0, u16 vmid)
{
	u64 *ste = at(STRTAB + sid * 64u);

	ui_hw_set_addr(ste, UI_SMMUV3_STE_S1ContextPtr, cd);
	ui_hw_set(ste, UI_SMMUV3_STE_S1CDMax, cdmax);
	ui_hw_set(ste, UI_SMMUV3_STE_S1DSS, UI_SMMUV3_S1DSS_SSID0);
	ui_hw_set(ste, UI_SMMUV3_STE_S2VMID, vmid);
	ui_hw_set(ste, UI_SMMUV3_STE_S2T0SZ, t0sz);
	ui_hw_set(ste, UI_SMMUV3_STE_S2SL0, sl0);
	ui_hw_set(ste, UI_SMMUV3_STE_S2PS, UI_SMMUV3_PS_48);
	ui_hw_set(ste, UI_SMMUV3_STE_S2AA64, 1);
	ui_hw_set(ste, UI_SMMUV3_STE_S2R, 1);
	ui_hw_set_addr(ste, UI_SMMUV3_STE_S2TTB, s2);
	ui_hw_set(ste, UI_SMMUV3_STE_Config, config);
	ui_hw_set(ste, UI_SMMUV3_STE_V, 1);
}

static u64 *leaf_of(u64 table, unsigned page)
{
	return table == WIDE ? at(WIDE + 0x10000 + (((u64)VA >> 16) + page / 16) * 8) :
			       at((table == S1 ? S1 + 3 * PAGE : S2 + 2 * PAGE) + (u64)page * 8);
}

static u64 leaf_to(u64 table, u8 page)
{
	u64 pa = DATA + (u64)(page % DATA_PAGES) * PAGE;

	return table == WIDE ? ui_align_down(pa, 0x10000) | LEAF_S1 : pa | (table == S1 ? LEAF_S1 : LEAF_S2);
}

/* As a driver leaves it behind. */
static void make_image(void)
{
	for (unsigned level = 0; level < 2; level++) {
		*at(S1 + level * PAGE) = (S1 + (level + 1) * PAGE) | 3u;
		*at(FLAT + level * PAGE + (level ? 8 : 0)) = (FLAT + (level + 1) * PAGE) | 3u;
	}
	*at(S1 + 2 * PAGE + 8) = (S1 + 3 * PAGE) | 3u;
	*at(FLAT + 2 * PAGE) = (FLAT + 3 * PAGE) | 3u;
	for (u64 i = 0; i < RAM_BYTES / PAGE; i++)
		*at(FLAT + 3 * PAGE + i * 8) = (RAM + i * PAGE) | LEAF_S2;
	*at(S2) = (S2 + PAGE) | 3u;
	*at(S2 + PAGE + 8) = (S2 + 2 * PAGE) | 3u;
	*at(WIDE) = (WIDE + 0x10000) | 3u;
	for (u8 page = 0; page < DATA_PAGES; page++)
		*leaf_of(S1, page) = leaf_to(S1, page), *leaf_of(S2, page) = leaf_to(S2, page), *leaf_of(WIDE, page) = leaf_to(WIDE, page);
	for (u64 i = 0; i < DATA_PAGES * PAGE; i += 8)
		*at(DATA + i) = i >> 12;
	*at(L1STD) = STRTAB | 7u;
	make_cd(at(CDTAB), S1, UI_SMMUV3_TG0_4K, 16, 1);
	make_cd(at(CDTAB + 64), S1, UI_SMMUV3_TG0_4K, 16, 2);
	make_cd(at(CDTAB + 128), WIDE, UI_SMMUV3_TG0_64K, 22, 4);
	make_cd(at(CDTAB + 192), S1, UI_SMMUV3_TG0_4K, 16, 5);
	make_ste(S1_STREAM, UI_SMMUV3_CONFIG_S1, CDTAB, 0, 0, 16, 2, VMID);
	make_ste(NESTED_STREAM, UI_SMMUV3_CONFIG_NESTED, CDTAB + 64, 0, FLAT, 16, 2, VMID);
	make_ste(S2_STREAM, UI_SMMUV3_CONFIG_S2, 0, 0, S2, 33, 1, VMID_S2);
	make_ste(WIDE_STREAM, UI_SMMUV3_CONFIG_S1, CDTAB + 128, 0, 0, 16, 2, VMID);
	make_ste(BYPASS_STREAM, UI_SMMUV3_CONFIG_BYPASS, 0, 0, 0, 16, 2, 0);
	make_ste(SSID_STREAM, UI_SMMUV3_CONFIG_S1, CDTAB, 2, 0, 16, 2, VMID);
}

static void prepare(void)
{
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	u8 *all = mmap(NULL, RAM_BYTES + 2 * MARGIN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	act.sa_sigaction = on_bad_access;
	CHECK(!sigaction(SIGSEGV, &act, &others[0]) && !sigaction(SIGBUS, &act, &others[1]));
	ui_log_set(UI_LOG_NONE, NULL, NULL);
	telltale = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	image = malloc(RAM_BYTES);
	CHECK(all != MAP_FAILED && telltale != MAP_FAILED && image);
	ram = all + MARGIN;
	make_image();
	memcpy(image, ram, RAM_BYTES);
	for (unsigned i = 0; i < PAGE / 8; i++)
		((u64 *)(void *)telltale)[i] = TELLTALE_VALUE;
	for (unsigned i = 0; i < MARGIN / 8; i++)
		((u64 *)(void *)all)[i] = ((u64 *)(void *)(ram + RAM_BYTES))[i] = TELLTALE | LEAF_S1;
}

static void check_margins(void)
{
	for (unsigned i = 0; i < MARGIN / 8; i++)
		CHECK(((u64 *)(void *)(ram - MARGIN))[i] == (TELLTALE | LEAF_S1) &&
		      ((u64 *)(void *)(ram + RAM_BYTES))[i] == (TELLTALE | LEAF_S1));
}

/* ---- The SMMU ---- */

static void wr(struct world *w, u64 offset, unsigned n_bytes, u64 val)
{
	CHECK(ui_smmuv3_write(w->smmu, offset, n_bytes, val));
}

static u64 rd(struct world *w, u64 offset)
{
	u64 val;

	CHECK(ui_smmuv3_read(w->smmu, offset, 4, &val));
	return val;
}

static bool own_read(void *arg, u64 offset, unsigned n_bytes, u64 *val)
{
	return ui_smmuv3_read(((struct world *)arg)->smmu, offset, n_bytes, val);
}

static bool own_write(void *arg, u64 offset, unsigned n_bytes, u64 val)
{
	return ui_smmuv3_write(((struct world *)arg)->smmu, offset, n_bytes, val);
}

static void on_irq(void *arg, enum ui_smmuv3_irq irq)
{
	struct world *w = arg;

	w->n_irqs++;
	rd(w, UI_SMMUV3_REG_GERROR);
}

static void turn_on(struct world *w)
{
	wr(w, UI_SMMUV3_REG_STRTAB_BASE, 8, STRTAB);
	wr(w, UI_SMMUV3_REG_STRTAB_BASE_CFG, 4, SID_BITS);
	wr(w, UI_SMMUV3_REG_CMDQ_BASE, 8, CMDQ | 4);
	wr(w, UI_SMMUV3_REG_EVENTQ_BASE, 8, EVENTQ | 3);
	wr(w, UI_SMMUV3_REG_CR2, 4, 2);
	wr(w, UI_SMMUV3_REG_IRQ_CTRL, 4, 5);
	wr(w, UI_SMMUV3_REG_CR0, 4, 0xd);
}

static void open_world(struct world *w, u8 how)
{
	static const struct ui_mem_mmio_ops own = { own_read, own_write };
	struct ui_smmuv3_cfg cfg;

	ui_smmuv3_cfg_init(&cfg, SID_BITS);
	cfg.irq = on_irq;
	cfg.arg = w;
	cfg.feat.ril = !(how & 1);
	cfg.feat.httu = how & 2 ? UI_SMMUV3_HTTU_NONE : UI_SMMUV3_HTTU_AF_DIRTY;
	cfg.feat.msi = !(how & 4);
	w->mem = ui_mem_create();
	CHECK(w->mem && !ui_mem_add_ram(w->mem, RAM, RAM_BYTES, ram, true) && !ui_mem_add_ram(w->mem, TELLTALE, PAGE, telltale, true));
	CHECK(!ui_mem_add_mmio(w->mem, OURS, UI_SMMUV3_MMIO_BYTES, &own, w));
	CHECK(!ui_smmuv3_create(w->mem, &cfg, &w->smmu));
	for (u32 i = 0; i < N_STREAMS; i++) {
		w->streams[i] = ui_smmuv3_stream_open(w->smmu, i == N_STREAMS - 1 ? 1u << SID_BITS : i);
		CHECK(w->streams[i]);
	}
	turn_on(w);
	w->clean = true;
}

static void close_world(struct world *w)
{
	for (unsigned i = 0; i < N_STREAMS; i++)
		ui_smmuv3_stream_close(w->streams[i]);
	ui_smmuv3_destroy(w->smmu);
	ui_mem_destroy(w->mem);
}

/* 3.5, 7.1: all that was put into the queue has run, unless it is off or an error is there to say why. */
static void check_queue(struct world *w)
{
	u64 lg2 = rd(w, UI_SMMUV3_REG_CMDQ_BASE) & 31, mask = ui_mask_lg2((unsigned)lg2 + 1);

	if ((rd(w, UI_SMMUV3_REG_CR0) & 8) && !((rd(w, UI_SMMUV3_REG_GERROR) ^ rd(w, UI_SMMUV3_REG_GERRORN)) & 1))
		CHECK(!((rd(w, UI_SMMUV3_REG_CMDQ_PROD) ^ rd(w, UI_SMMUV3_REG_CMDQ_CONS)) & mask));
}

/* A driver that knows what it does, whatever was done to the queue before. */
static void commands(struct world *w, const u64 (*cmds)[2], unsigned n)
{
	u32 cr0 = (u32)rd(w, UI_SMMUV3_REG_CR0);

	wr(w, UI_SMMUV3_REG_CR0, 4, cr0 & ~8u);
	wr(w, UI_SMMUV3_REG_GERRORN, 4, rd(w, UI_SMMUV3_REG_GERROR));
	wr(w, UI_SMMUV3_REG_CMDQ_BASE, 8, CMDQ | 4);
	wr(w, UI_SMMUV3_REG_CMDQ_PROD, 4, 0);
	wr(w, UI_SMMUV3_REG_CMDQ_CONS, 4, 0);
	memcpy(at(CMDQ), cmds, n * 16);
	wr(w, UI_SMMUV3_REG_CR0, 4, cr0 | 8);
	wr(w, UI_SMMUV3_REG_CMDQ_PROD, 4, n);
	CHECK((rd(w, UI_SMMUV3_REG_CMDQ_CONS) & 0xfffff) == n);
}

static void caches_agree(struct world *w, unsigned page)
{
	for (unsigned i = 0; i < N_STREAMS; i++) {
		const struct ui_dma_addr where = { .iova = VA + page * (u64)PAGE };
		const struct ui_dma_addr with = { .iova = where.iova, .pasid = i & 3, .has_pasid = true };

		CHECK(ui_smmuv3_stream_cached(w->streams[i], &where, UI_PROT_READ) == UI_SMMUV3_CACHE_GOOD);
		CHECK(ui_smmuv3_stream_cached(w->streams[i], &with, UI_PROT_WRITE) == UI_SMMUV3_CACHE_GOOD);
	}
}

/* ---- Steps ---- */

static void invalidate_all(struct world *w, struct input *in)
{
	static const u64 all[][2] = { { 0x04, 31 }, { 0x30, 0 }, { 0x46, 0 } };

	commands(w, all, 3);
	caches_agree(w, input8(in) % DATA_PAGES);
}

/* Moves some leaves, and says so as the specification wants it. */
static void remap(struct world *w, struct input *in)
{
	static const u64 tables[] = { S1, S2, WIDE };
	u64 table = tables[input8(in) % 3], vmid = (u64)(table == S2 ? VMID_S2 : VMID) << 32, cmds[9][2];
	u8 first = input8(in), n = 1 + input8(in) % 8, to = input8(in), how = input8(in);
	u64 op = table == S2 ? 0x2a : 0x13, tg = table == WIDE ? 3 : 1;
	unsigned step = table == WIDE ? 16 : 1, k;

	if (!w->clean)
		return;
	first = (u8)(first % DATA_PAGES);
	n = (u8)(first + n * step > DATA_PAGES ? 1 : n);
	for (k = 0; k < n; k++) {
		*leaf_of(table, first + k * step) = leaf_to(table, (u8)(to + k * step));
		cmds[k][0] = op | vmid;
		cmds[k][1] = (VA + (first + k * step) * (u64)PAGE) | (how & 1);
	}
	if (how & 2 && rd(w, UI_SMMUV3_REG_IDR3) >> 10 & 1) {
		/* One command for all; with a level, which also tells a single granule from a reserved encoding. */
		cmds[0][0] = op | vmid | (u64)(n - 1) << 12;
		cmds[0][1] = ui_align_down(VA + first * (u64)PAGE, (u64)step * PAGE) | tg << 10 | 3 << 8 | (how & 1);
		k = 1;
	}
	cmds[k][0] = 0x46;
	cmds[k][1] = 0;
	commands(w, cmds, k + 1);
	for (k = 0; k < n * step && first + k < DATA_PAGES; k++)
		caches_agree(w, first + k);
}

static void check_events(struct world *w, u64 from)
{
	u64 to = rd(w, UI_SMMUV3_REG_EVENTQ_PROD);

	for (u64 i = from & 15; i != (to & 15); i = (i + 1) & 15) {
		u64 evt[UI_SMMUV3_EVT_WORDS];
		const struct ui_hw_struct *s;

		memcpy(evt, at(EVENTQ + (i & 7) * 32), sizeof(evt));
		s = ui_smmuv3_event(evt);
		CHECK(s);
		for (unsigned word = 0; word < UI_SMMUV3_EVT_WORDS; word++)
			CHECK(!(evt[word] & ui_hw_reserved(s, word)));
	}
}

static void dma(struct world *w, struct input *in)
{
	static const u64 places[] = { VA, VA, VA, RAM, OURS, 0, ~(u64)0 << 12, (u64)1 << 48 };
	u8 who = input8(in), where = input8(in), how = input8(in);
	struct ui_dma *port = ui_smmuv3_stream_dma(w->streams[who % N_STREAMS]);
	struct ui_dma_addr addr = { .iova = places[where & 7] + (u64)(where >> 3) * 2 * PAGE + (how & 4) * 1022, .priv = who >> 7 };
	u64 prod = rd(w, UI_SMMUV3_REG_EVENTQ_PROD), buf[4] = { how, prod };
	bool watched = rd(w, UI_SMMUV3_REG_EVENTQ_BASE) == (EVENTQ | 3);

	addr.has_pasid = who & 8;
	addr.pasid = who >> 4 & 7;
	if (how & 1) {
		/* It may write tables: then they are as they are. */
		w->clean = w->clean && (where & 7) < 3;
		ui_dma_write(port, &addr, buf, 1 + (how >> 3), NULL, NULL);
		return;
	}
	ui_dma_read(port, &addr, buf, 1 + (how >> 3), NULL, NULL);
	for (unsigned i = 0; i < 4; i++)
		CHECK(buf[i] != TELLTALE_VALUE);
	/* A read of our own registers writes nothing, and nothing else has come between. */
	if (watched)
		check_events(w, prod);
}

static void scribble(struct world *w, struct input *in)
{
	static const u64 places[] = { STRTAB + 64, STRTAB + 128, STRTAB + 192, CDTAB, CDTAB + 64, S1, S1 + 3 * PAGE, FLAT, FLAT + 3 * PAGE,
				      S2, WIDE, WIDE + 0x10000, L1STD, CMDQ };
	u8 where = input8(in), how = input8(in), offset = input8(in);
	u64 *word = at(places[where % ui_array_size(places)] + (u64)offset * 8), val = input64(in);

	w->clean = false;
	switch (how >> 6) {
	case 0:
		*word ^= (u64)1 << (how & 63);
		break;
	case 1:
		*word = (RAM + (val & (RAM_BYTES - 1) & ~(u64)0xfff)) | (how & 3) | ((u64)(how & 4) << 8);
		break;
	case 2:
		/* The last bytes of memory, and what would be behind. */
		*word = (RAM + RAM_BYTES - 64 * (u64)(how & 7)) | (val & 0x1f);
		break;
	default:
		*word = val;
		break;
	}
}

static void raw_command(struct world *w, struct input *in)
{
	static const u8 ops[] = { 1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x20, 0x28, 0x2a, 0x30, 0x40, 0x41, 0x44, 0x46, 0x46 };
	u64 prod = rd(w, UI_SMMUV3_REG_CMDQ_PROD), lg2 = rd(w, UI_SMMUV3_REG_CMDQ_BASE) & 31;
	u8 op = input8(in), fields = input8(in), n = input8(in);
	u64 *entry = at(CMDQ + (prod & 15) * 16);

	entry[0] = ops[op % sizeof(ops)] | (u64)(fields & 7) << 32 | (u64)(fields >> 3 & 3) << 12 | (u64)(n & 31) << 20 | (u64)(fields >> 5) << 48;
	entry[1] = (VA + (u64)n * PAGE) | (u64)(fields & 0xf) << 8 | (op >> 5);
	if (fields == 0xff)
		entry[0] = input64(in), entry[1] = input64(in);
	if (op >= 0xf0) /* a message to ourselves */
		entry[0] = 0x46 | 1 << 12 | (u64)n << 32, entry[1] = OURS + (fields & 0xfc);
	wr(w, UI_SMMUV3_REG_CMDQ_PROD, 4, (prod + 1 + (n > 0xf0)) & ui_mask_lg2((unsigned)lg2 + 1));
	check_queue(w);
}

static void register_access(struct world *w, struct input *in)
{
	u8 which = input8(in), how = input8(in);
	const struct ui_smmuv3_reg *reg = &ui_smmuv3_regs[which % ui_smmuv3_n_regs];
	u64 val = how & 1 ? input64(in) : how >> 1, read;

	if (how & 8)
		val |= RAM + (u64)input8(in) * 2048;
	if (reg->offset == UI_SMMUV3_REG_CR0 || reg->offset >= UI_SMMUV3_REG_STRTAB_BASE)
		w->clean = false;
	ui_smmuv3_write(w->smmu, reg->offset + (how & 2 ? 4 : 0), which & 0x80 ? 8 : 4, val);
	ui_smmuv3_read(w->smmu, reg->offset, which & 0x80 ? 8 : 4, &read);
	check_queue(w);
}

static void step(struct world *w, struct input *in)
{
	u8 op = input8(in), i;

	switch (op % 16) {
	case 0: case 1: case 2: case 3: case 4:
		dma(w, in);
		break;
	case 5: case 6: case 7:
		remap(w, in);
		break;
	case 8: case 9:
		raw_command(w, in);
		break;
	case 10: case 11:
		scribble(w, in);
		break;
	case 12:
		register_access(w, in);
		break;
	case 13:
		invalidate_all(w, in);
		break;
	case 14:
		wr(w, UI_SMMUV3_REG_EVENTQ_CONS, 4, rd(w, UI_SMMUV3_REG_EVENTQ_PROD));
		break;
	default:
		i = (op >> 4) % N_STREAMS;
		if (op & 0x80) {
			ui_smmuv3_reset(w->smmu);
			turn_on(w);
			break;
		}
		ui_smmuv3_stream_close(w->streams[i]);
		w->streams[i] = ui_smmuv3_stream_open(w->smmu, i);
		CHECK(w->streams[i]);
		break;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t n_bytes)
{
	struct input in = { .at = data, .end = data + n_bytes };
	static struct world w; /* what the leak sanitizer sees */
	u64 live;

	if (!ram)
		prepare();
	live = ui_alloc_live();
	memcpy(ram, image, RAM_BYTES);
	w = (struct world){ 0 };
	open_world(&w, input8(&in));
	for (unsigned i = 0; i < 200 && in.at < in.end; i++)
		step(&w, &in);
	invalidate_all(&w, &in);
	check_margins();
	close_world(&w);
	CHECK(ui_alloc_live() == live);
	return 0;
}
