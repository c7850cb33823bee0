/* SPDX-License-Identifier: MIT */
/*
 * What the structures of an IOMMU in a memory dump say, and what becomes of an access by them. Today: Arm SMMUv3's stream tables, context
 * descriptors and queues, with the names of SMMUv3.2 (Arm IHI 0070), and page tables.
 *
 * Dumps are untrusted: whatever is in them, decoding ends and stays inside the file. One thread at a time for a dump.
 */
#ifndef UIOMMU_DECODE_H
#define UIOMMU_DECODE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uiommu_dump;

/**
 * uiommu_dump_open_raw() - a file that holds memory as it was, from one address on
 * @path: a regular file; must not change while it is used
 * @base: physical address of the file's first byte
 * @err: one line for the user (no newline) on failure, cut at @err_bytes
 *
 * Return: a dump to be freed with uiommu_dump_close(), or NULL with @err.
 */
struct uiommu_dump *uiommu_dump_open_raw(const char *path, uint64_t base, char *err, size_t err_bytes);

/**
 * uiommu_dump_open_elf() - an ELF core of a machine's memory (QEMU's dump-guest-memory, /proc/vmcore)
 * @path: as above; 64 bits, little-endian; its program headers tell which physical addresses it holds
 *
 * Return: as uiommu_dump_open_raw().
 */
struct uiommu_dump *uiommu_dump_open_elf(const char *path, char *err, size_t err_bytes);

/** uiommu_dump_close() - @dump may be NULL */
void uiommu_dump_close(struct uiommu_dump *dump);

/** enum uiommu_decode_what - what lies at the address */
enum uiommu_decode_what {
	UIOMMU_DECODE_STRTAB,	/* SMMUv3 stream table */
	UIOMMU_DECODE_STE,	/* one stream table entry */
	UIOMMU_DECODE_CDTAB,	/* table of context descriptors */
	UIOMMU_DECODE_CD,	/* one context descriptor */
	UIOMMU_DECODE_CMDQ,	/* command queue */
	UIOMMU_DECODE_EVENTQ,	/* event queue */
	UIOMMU_DECODE_PRIQ,	/* page request queue */
	UIOMMU_DECODE_PT,	/* page table: what it maps */
};

/** enum uiommu_pt_format - formats of page tables */
enum uiommu_pt_format {
	UIOMMU_PT_ARM_S1,	/* VMSAv8-64 stage 1 */
	UIOMMU_PT_ARM_S2,	/* stage 2 */
	UIOMMU_PT_X86_64,	/* VT-d first stage and the processors' own */
	UIOMMU_PT_VTD_SS,	/* VT-d second stage */
};

/** What UIOMMU_DECODE_* flags mean: fields that are zero and entries that are not valid as well; the CD tables of STEs; JSON */
#define UIOMMU_DECODE_ALL 1u
#define UIOMMU_DECODE_CDS 2u
#define UIOMMU_DECODE_JSON 4u

/**
 * struct uiommu_decode - what to decode; members that do not matter to @what are not looked at
 * @what: see enum uiommu_decode_what
 * @flags: UIOMMU_DECODE_*
 * @addr: physical address of the table, entry or queue, aligned as the hardware aligns it
 * @log2size: stream table: STRTAB_BASE_CFG.LOG2SIZE, 0 to 32; queues: log2 of their entries, 0 to 19
 * @split: stream table: 0 linear; 6, 8 or 10: two levels, StreamID bits of the second
 * @s1fmt: CD table: STE.S1Fmt: 0 linear, 1 and 2 two levels with leaves of 4 and 64 KiB
 * @s1cdmax: CD table: STE.S1CDMax, 0 to 20
 * @has_range: queues: only the entries from @cons up to, not including, @prod
 * @prod: queues: the PROD register's WR, with its wrap bit
 * @cons: queues: the CONS register's RD, with its wrap bit
 * @has_idr: @idr says what the SMMU can do; else it can do all that SMMUv3.2 knows
 * @idr: IDR0 to IDR5; with them what is ILLEGAL is told more exactly
 * @format: page table: see enum uiommu_pt_format
 * @granule_lg2: page table: log2 bytes of its smallest pages: 12; Arm also 14 and 16
 * @input_bits: page table: bits of input addresses: Arm 25 to 48 (52 with 64 KiB), x86-64 48 and 57, VT-d 39, 48 and 57
 * @output_bits: page table: bits of output addresses, 32 to 52
 * @levels: page table: 0: as many as @input_bits need, for Arm stage 2 with tables side by side at the top where they can be
 * @upper: page table, Arm stage 1: TTB1's, of the last 2^input_bits addresses
 * @has_window: page table: only what is mapped from @start to @last
 * @start: first input address
 * @last: last one
 */
struct uiommu_decode {
	enum uiommu_decode_what what;
	unsigned flags;
	uint64_t addr;
	unsigned log2size, split, s1fmt, s1cdmax;
	int has_range;
	uint32_t prod, cons;
	int has_idr;
	uint32_t idr[6];
	enum uiommu_pt_format format;
	unsigned granule_lg2, input_bits, output_bits, levels;
	int upper, has_window;
	uint64_t start, last;
};

/**
 * uiommu_decode() - decode
 * @dump: from where
 * @what: what
 * @err: one line for the user (no newline) on failure, cut at @err_bytes
 *
 * Entries that the dump does not hold are counted, not an error, unless it is the only one.
 *
 * Return: text that ends with a newline, or a JSON document, to be freed with free(); NULL with @err: a member of @what is out of
 * range, nothing of it is in the dump, or there is no memory.
 */
char *uiommu_decode(struct uiommu_dump *dump, const struct uiommu_decode *what, char *err, size_t err_bytes);

/** enum uiommu_walk_access - what a device does */
enum uiommu_walk_access {
	UIOMMU_WALK_READ,
	UIOMMU_WALK_WRITE,
	UIOMMU_WALK_EXEC,	/* fetches an instruction */
};

/**
 * struct uiommu_walk - one access of a device behind an SMMUv3 that is enabled
 * @flags: UIOMMU_DECODE_ALL and UIOMMU_DECODE_JSON
 * @strtab_base: the register STRTAB_BASE, or only the address in it
 * @strtab_cfg: the register STRTAB_BASE_CFG: LOG2SIZE in bits 5:0, SPLIT in 10:6, FMT in 17:16 (1: two levels)
 * @sid: StreamID
 * @has_ssid: the access has a SubstreamID; 0: it has none, which is not SubstreamID 0
 * @ssid: 0 to 2^20 - 1
 * @iova: the address
 * @access: what is done there
 * @priv: the access is privileged
 * @has_idr: as in struct uiommu_decode
 * @idr: as there
 */
struct uiommu_walk {
	unsigned flags;
	uint64_t strtab_base;
	uint32_t strtab_cfg;
	uint32_t sid;
	int has_ssid;
	uint32_t ssid;
	uint64_t iova;
	enum uiommu_walk_access access;
	int priv;
	int has_idr;
	uint32_t idr[6];
};

/**
 * uiommu_walk() - what an SMMUv3 does with an access, step by step: stream table, context descriptors, page tables of both stages
 * @dump: its memory, which is not changed: accessed flags and dirty states that it would set are told
 * @what: the access
 * @refused: out: 1 where the access ends in an event or is terminated, 0 where it reaches an address
 * @err: one line for the user (no newline) on failure, cut at @err_bytes
 *
 * Return: text that ends with a newline, or a JSON document, to be freed with free(); NULL with @err: a member of @what is out of
 * range, or there is no memory.
 */
char *uiommu_walk(struct uiommu_dump *dump, const struct uiommu_walk *what, int *refused, char *err, size_t err_bytes);

#ifdef __cplusplus
}
#endif

#endif
