/* SPDX-License-Identifier: MIT */
/*
 * Plays a script against our SMMUv3's device half, as the oracles of check-smmuv3 play it against others: memory, registers,
 * accesses of devices, and what became of each. One command a line, numbers in hexadecimal:
 *
 *   ram PA BYTES            memory; file PA BYTES OFFSET NAME: memory with what the file holds there
 *   idr VALUE...            the six ID registers, and the SMMU is there
 *   w PA BYTES              writes memory, given as pairs of digits
 *   z PA N                  N bytes of zero
 *   r OFFSET SIZE VALUE     writes a register; v OFFSET VALUE: it must read so
 *   t SID IOVA [SSID]       a device writes four bytes: "pa X" where they are now, or "abort", or "event W0 W1 W2 W3"
 *   x SID IOVA [SSID]       what is there, without an access: "pa X PROT", or "none"
 *   l SID                   all leaves of its lower half: "leaf IOVA BYTES PA PROT" each, "leaves N" in the end
 *
 * Answers go to standard output, one line for each t and x. Exit status 1: a command that makes no sense, or a register that reads
 * otherwise.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/safe.h"
#include "models/smmuv3/config.h"
#include "models/smmuv3/smmuv3.h"

enum { MAX_STREAMS = 64 };

static struct ui_mem *mem;
static struct ui_smmuv3 *smmu;
static struct ui_smmuv3_feat feat;
static struct {
	u32 sid;
	struct ui_smmuv3_stream *stream;
} streams[MAX_STREAMS];
static unsigned n_streams, line_no;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "line %u: %s\n", line_no, what);
	exit(1);
}

/* ---- Memory ---- */

static u8 *host(u64 pa, u64 n_bytes)
{
	struct ui_mem_span span;

	if (!ui_mem_resolve(mem, pa, &span) || !span.host || span.n_bytes < n_bytes)
		die("no memory there");
	return span.host;
}

static void add_ram(u64 pa, u64 n_bytes, u64 offset, const char *file)
{
	int fd = file ? open(file, O_RDONLY) : -1;
	u8 *at = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE | (file ? 0 : MAP_ANONYMOUS), fd, (off_t)offset);

	if ((file && fd < 0) || at == MAP_FAILED || ui_mem_add_ram(mem, pa, n_bytes, at, true))
		die("cannot have this memory");
	if (fd >= 0)
		close(fd);
}

static void write_memory(u64 pa, const char *digits)
{
	size_t n_bytes = strlen(digits) / 2;
	u8 *at = host(pa, n_bytes);
	unsigned byte;

	for (size_t i = 0; i < n_bytes; i++) {
		if (sscanf(digits + i * 2, "%2x", &byte) != 1)
			die("not a number");
		at[i] = (u8)byte;
	}
}

/* ---- Registers ---- */

static void start(const u32 idr[UI_SMMUV3_N_IDR])
{
	struct ui_smmuv3_cfg cfg;

	ui_smmuv3_cfg_init(&cfg, 16);
	ui_smmuv3_feat_from_idr(&feat, idr);
	cfg.feat = feat;
	if (ui_smmuv3_create(mem, &cfg, &smmu))
		die("a feature that the device half has not");
}

static u64 reg(u64 offset, unsigned n_bytes)
{
	u64 val;

	if (!smmu || !ui_smmuv3_read(smmu, offset, n_bytes, &val))
		die("no such register");
	return val;
}

static void set_reg(u64 offset, unsigned n_bytes, u64 val)
{
	if (!smmu || !ui_smmuv3_write(smmu, offset, n_bytes, val))
		die("no such register");
}

/* The oldest event, taken out of the queue. False: none. */
static bool take_event(u64 evt[UI_SMMUV3_EVT_WORDS])
{
	u64 base = reg(UI_SMMUV3_REG_EVENTQ_BASE, 8);
	unsigned lg2 = (unsigned)ui_hw_get(&base, UI_SMMUV3_Q_BASE_LOG2SIZE);
	u32 cons = (u32)reg(UI_SMMUV3_REG_EVENTQ_CONS, 4), prod = (u32)reg(UI_SMMUV3_REG_EVENTQ_PROD, 4);
	u32 index = cons & (u32)ui_mask_lg2(lg2 + 1);

	if ((prod & (u32)ui_mask_lg2(lg2 + 1)) == index)
		return false;
	memcpy(evt, host(ui_hw_get_addr(&base, UI_SMMUV3_Q_BASE_ADDR) + (index & ui_mask_lg2(lg2)) * UI_SMMUV3_EVT_BYTES,
			 UI_SMMUV3_EVT_BYTES), UI_SMMUV3_EVT_BYTES);
	set_reg(UI_SMMUV3_REG_EVENTQ_CONS, 4, (cons & 1u << 31) | ((index + 1) & ui_mask_lg2(lg2 + 1)));
	return true;
}

/* ---- Accesses ---- */

static struct ui_dma *port(u32 sid)
{
	unsigned i = 0;

	while (i < n_streams && streams[i].sid != sid)
		i++;
	if (i == n_streams) {
		if (n_streams == MAX_STREAMS || !smmu)
			die("too many devices, or no SMMU");
		streams[i].sid = sid;
		streams[i].stream = ui_smmuv3_stream_open(smmu, sid);
		if (!streams[i].stream)
			die("no memory");
		n_streams++;
	}
	return ui_smmuv3_stream_dma(streams[i].stream);
}

/* Whether the bytes are where the translation says is looked at, too: then they are taken away again. */
static void access_memory(u32 sid, const struct ui_dma_addr *at)
{
	static const u32 pattern = 0x12345678, none;
	struct ui_dma *dma = port(sid);
	u64 evt[UI_SMMUV3_EVT_WORDS];
	enum ui_dma_status status = ui_dma_write(dma, at, &pattern, sizeof(pattern), NULL, NULL);
	struct ui_walk walk;

	if (status == UI_DMA_OK) {
		if (take_event(evt))
			die("an event of an access that succeeded");
		if (ui_dma_translate(dma, at, UI_PROT_WRITE, &walk, NULL) != UI_DMA_OK || memcmp(host(walk.oa, 4), &pattern, 4))
			die("the bytes are not where the translation says");
		memcpy(host(walk.oa, 4), &none, 4);
		printf("pa %" PRIx64 "\n", walk.oa);
	} else if (take_event(evt)) {
		printf("event %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", evt[0], evt[1], evt[2], evt[3]);
		if (take_event(evt))
			die("two events of one access");
	} else {
		printf("abort\n");
	}
}

static void look(u32 sid, const struct ui_dma_addr *at)
{
	struct ui_walk walk;

	if (ui_dma_translate(port(sid), at, 0, &walk, NULL) == UI_DMA_OK)
		printf("pa %" PRIx64 " %x\n", walk.oa, walk.prot);
	else
		printf("none\n");
}

/* A fault says how large the hole is in which it happened, so that the whole half takes no longer than its tables are large. */
static void leaves(u32 sid)
{
	const struct ui_smmuv3_tables tables = {
		.mem = mem, .feat = &feat, .strtab_base = reg(UI_SMMUV3_REG_STRTAB_BASE, 8),
		.strtab_cfg = (u32)reg(UI_SMMUV3_REG_STRTAB_BASE_CFG, 4),
	};
	struct ui_smmuv3_config config;
	const struct ui_stage_config *stages = &config.stages;
	u64 evt[UI_SMMUV3_EVT_WORDS], n = 0, step;
	const struct ui_walk_cfg *cfg;
	struct ui_fault fault;
	struct ui_walk walk;

	if (ui_smmuv3_config_read(&tables, sid, false, 0, &config, evt) || stages->kind != UI_CFG_TRANSLATE)
		die("a stream that translates nothing");
	cfg = stages->s1.present ? &stages->s1.walk : &stages->s2.walk;
	for (u64 iova = 0; iova < UI_BIT(cfg->ia_bits); iova = (iova & ~(step - 1)) + step) {
		const struct ui_dma_addr at = { .iova = iova };

		if (ui_dma_translate(port(sid), &at, 0, &walk, &fault) != UI_DMA_OK) {
			step = UI_BIT(cfg->granule_lg2 + fault.level * (cfg->granule_lg2 - 3u));
			continue;
		}
		step = UI_BIT(walk.leaf_lg2);
		printf("leaf %" PRIx64 " %" PRIx64 " %" PRIx64 " %x\n", iova, step, walk.oa, walk.prot);
		n++;
	}
	printf("leaves %" PRIu64 "\n", n);
}

/* ---- The script ---- */

static void command(char *line)
{
	char *words[8], *end, *save = NULL;
	struct ui_dma_addr at = { 0 };
	u64 n[8] = { 0 };
	u32 idr[UI_SMMUV3_N_IDR];
	int n_words = 0;

	for (char *word = strtok_r(line, " \n", &save); word && n_words < 8; word = strtok_r(NULL, " \n", &save)) {
		words[n_words] = word;
		n[n_words++] = strtoull(word, &end, 16);
	}
	if (!n_words)
		return;
	at = (struct ui_dma_addr){ .iova = n[2], .pasid = (u32)n[3], .has_pasid = n_words > 3 };
	if (!strcmp(words[0], "ram") && n_words == 3) {
		add_ram(n[1], n[2], 0, NULL);
	} else if (!strcmp(words[0], "file") && n_words == 5) {
		add_ram(n[1], n[2], n[3], words[4]);
	} else if (!strcmp(words[0], "idr") && n_words == 1 + UI_SMMUV3_N_IDR) {
		for (unsigned i = 0; i < UI_SMMUV3_N_IDR; i++)
			idr[i] = (u32)n[1 + i];
		start(idr);
	} else if (!strcmp(words[0], "w") && n_words == 3) {
		write_memory(n[1], words[2]);
	} else if (!strcmp(words[0], "z") && n_words == 3) {
		memset(host(n[1], n[2]), 0, n[2]);
	} else if (!strcmp(words[0], "r") && n_words == 4) {
		set_reg(n[1], (unsigned)n[2], n[3]);
	} else if (!strcmp(words[0], "v") && n_words == 3) {
		if (reg(n[1], 4) != n[2])
			die("the register reads otherwise");
	} else if (!strcmp(words[0], "t") && n_words >= 3) {
		access_memory((u32)n[1], &at);
	} else if (!strcmp(words[0], "x") && n_words >= 3) {
		look((u32)n[1], &at);
	} else if (!strcmp(words[0], "l") && n_words == 2) {
		leaves((u32)n[1]);
	} else {
		die("not a command");
	}
}

int main(void)
{
	char *line = NULL;
	size_t n_bytes = 0;

	mem = ui_mem_create();
	if (ui_safe_install() || !mem)
		return 1;
	for (line_no = 1; getline(&line, &n_bytes, stdin) > 0; line_no++)
		command(line);
	free(line);
	for (unsigned i = 0; i < n_streams; i++)
		ui_smmuv3_stream_close(streams[i].stream);
	ui_smmuv3_destroy(smmu);
	ui_mem_destroy(mem);
	return 0;
}
