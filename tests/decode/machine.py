#!/usr/bin/env python3
"""Machines' memory, bit by bit from the specification's numbers (Arm IHI 0070: bit n of a structure is bit n % 64 of its word n / 64), so
that the commands' reading is checked by a writer that shares nothing with it; and how tests run the commands over it."""
import os
import re
import struct
import subprocess
import sys

BASE = 0x40000000


def bits(n_words, **fields):
    """Words with each field's value at its bits: name=(high, low, value). An address lies in place: (high, low, value, True)."""
    total = 0
    for high, low, val, *in_place in fields.values():
        if in_place:
            val = (val >> (low % 64))
        assert val >> (high - low + 1) == 0, (high, low, val)
        total |= val << low
    return total.to_bytes(n_words * 8, 'little')


def ste(**f):
    at = {'V': (0, 0), 'Config': (3, 1), 'S1Fmt': (5, 4), 'S1CDMax': (63, 59), 'S1DSS': (65, 64), 'S1CIR': (67, 66),
          'S1COR': (69, 68), 'S1CSH': (71, 70), 'MEV': (83, 83), 'S1STALLD': (91, 91), 'EATS': (93, 92), 'STRW': (95, 94),
          'SHCFG': (109, 108), 'S2VMID': (143, 128), 'S2T0SZ': (165, 160), 'S2SL0': (167, 166), 'S2IR0': (169, 168),
          'S2OR0': (171, 170), 'S2SH0': (173, 172), 'S2TG': (175, 174), 'S2PS': (178, 176), 'S2AA64': (179, 179),
          'S2PTW': (182, 182), 'S2HA': (184, 184), 'S2R': (186, 186), 'RES': (63 + 3 * 64, 63 + 3 * 64), 'S1ContextPtr': (51, 6), 'S2TTB': (243, 196)}
    place = ('S1ContextPtr', 'S2TTB')
    return bits(8, **{k: (*at[k], v, *([True] if k in place else [])) for k, v in f.items()})


def cd(**f):
    at = {'T0SZ': (5, 0), 'TG0': (7, 6), 'IR0': (9, 8), 'OR0': (11, 10), 'SH0': (13, 12), 'EPD0': (14, 14), 'T1SZ': (21, 16),
          'TG1': (23, 22), 'EPD1': (30, 30), 'V': (31, 31), 'IPS': (34, 32), 'TBI0': (38, 38), 'AA64': (41, 41), 'HD': (42, 42),
          'HA': (43, 43), 'R': (45, 45), 'A': (46, 46), 'ASET': (47, 47), 'ASID': (63, 48), 'TTB0': (115, 68), 'TTB1': (179, 132),
          'MAIR': (255, 192)}
    place = ('TTB0', 'TTB1')
    return bits(8, **{k: (*at[k], v, *([True] if k in place else [])) for k, v in f.items()})


class Memory:
    def __init__(self, n_bytes):
        self.bytes = bytearray(n_bytes)

    def put(self, addr, data):
        assert BASE <= addr and addr - BASE + len(data) <= len(self.bytes)
        self.bytes[addr - BASE:addr - BASE + len(data)] = data

    def get(self, addr, n_bytes):
        return bytes(self.bytes[addr - BASE:addr - BASE + n_bytes])


def elf(segments):
    """An ELF core: [(physical address, bytes)]."""
    n = len(segments)
    offset = 64 + 56 * n
    head = b'\x7fELF\x02\x01\x01' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 4, 183, 1, 0, 64, 0, 0, 64, 56, n, 0, 0, 0)
    body = b''
    for addr, data in segments:
        head += struct.pack('<IIQQQQQQ', 1, 6, offset + len(body), 0xffff000000000000 + addr, addr, len(data), len(data), 0)
        body += data
    return head + body


S1_CD = dict(V=1, T0SZ=16, IR0=1, OR0=1, SH0=3, EPD1=1, IPS=5, AA64=1, R=1, A=1, ASET=1, MAIR=0xf404ff44)
S2 = dict(S2T0SZ=25, S2SL0=1, S2IR0=1, S2OR0=1, S2SH0=3, S2PS=5, S2AA64=1, S2PTW=1, S2R=1)


def machine():
    mem = Memory(0x60000)
    # A linear stream table of 32: abort for most, each kind once, three broken.
    for sid in range(32):
        mem.put(0x40001000 + sid * 64, ste(V=1, Config=0))
    mem.put(0x40001000 + 64 * 1, ste(V=1, Config=4, SHCFG=1))
    mem.put(0x40001000 + 64 * 2, ste(V=1, Config=5, S1Fmt=0, S1ContextPtr=0x40003000, S1CDMax=2, S1DSS=2, S1CIR=1, S1COR=1, S1CSH=3,
                                     EATS=1))
    mem.put(0x40001000 + 64 * 3, ste(V=1, Config=6, S2VMID=7, S2TTB=0x40020000, SHCFG=1, **S2))
    mem.put(0x40001000 + 64 * 4, ste(V=1, Config=7, S1ContextPtr=0x8000, S1DSS=0, S2VMID=8, S2TTB=0x40020000, EATS=2, MEV=1, **S2))
    mem.put(0x40001000 + 64 * 5, ste(V=1, Config=5, S1CDMax=21, S1ContextPtr=0x40003000, RES=1))
    mem.put(0x40001000 + 64 * 6, ste(V=1, Config=6, **dict(S2, S2TG=3)))
    mem.put(0x40001000 + 64 * 8, bytes(64))
    # One of two levels, split at 6: the first descriptor with 4 STEs, the third with a reserved Span, the fourth in no dump.
    mem.put(0x40002000, struct.pack('<4Q', 0x40002400 | 3, 0, 0x40002400 | 31, 0x70000000 | 7))
    for sid in range(4):
        mem.put(0x40002400 + sid * 64, ste(V=1, Config=5, S1Fmt=2, S1ContextPtr=0x40004000, S1CDMax=12, S1DSS=1))
    # CDs: a linear table of four; two levels of 64K leaves, of which the second is there.
    mem.put(0x40003000, cd(TG1=2, ASID=1, TTB0=0x40030000, **S1_CD))
    mem.put(0x40003000 + 64 * 2, cd(ASID=5, TTB0=0x40031000, HA=1, HD=1, TBI0=1, **S1_CD))
    mem.put(0x40003000 + 64 * 3, cd(ASID=6, TTB0=1 << 50, **S1_CD))
    mem.put(0x40004000, struct.pack('<4Q', 0, 0x40040001, 0x40050000, 0x50000001))
    mem.put(0x40040000 + 64 * 5, cd(ASID=9, TTB0=0x40032000, **S1_CD))
    # Queues.
    mem.put(0x40005000, b''.join([
        struct.pack('<QQ', 0x03 | 0x12 << 32, 1), struct.pack('<QQ', 0x04, 31),
        struct.pack('<QQ', 0x12 | 9 << 20 | 7 << 32 | 5 << 48, 0xffff00000000 | 1 | 3 << 8 | 1 << 10),
        struct.pack('<QQ', 0x12 | 7 << 32, 0x1000 | 1 << 10), struct.pack('<QQ', 0x40 | 1 << 11 | 5 << 12 | 0x12 << 32, 52),
        struct.pack('<QQ', 0x46 | 1 << 12 | 3 << 22 | 15 << 24 | 0xcafe << 32, 0x40006000), struct.pack('<QQ', 0x99, 0)]))
    mem.put(0x40006000, b''.join([
        struct.pack('<4Q', 0x10 | 1 << 11 | 5 << 12 | 0x12 << 32, 1 << 35 | 2 << 40, 0x8080604567, 0),
        struct.pack('<4Q', 0x13 | 0x12 << 32, 1 << 31 | 0x77 | 1 << 39 | 1 << 40 | 1 << 44, 0x1000, 0x40012340),
        struct.pack('<4Q', 0x02 | 0x99 << 32, 0, 0, 0), struct.pack('<4Q', 0xee | 1 << 32, 2, 3, 4)]))
    mem.put(0x40007000, struct.pack('<4Q', 0x12 | 5 << 32 | 1 << 60 | 1 << 63, 0x123456000 | 3, 0x12 | 1 << 62, 4))
    return mem


STRTAB, SPLIT, CDS, CDS2, S1, UPPER, S1_64K, NESTED, S2TTB, ROOTS = (BASE + n for n in (
    0x1000, 0x2000, 0x3000, 0x4000, 0x10000, 0x60000, 0x80000, 0x30000, 0x40000, 0x50000))
FAR = 1 << 32  # stage 2 maps RAM here
PT_X86, PT_VTD, S2FRESH = BASE + 0xa0000, BASE + 0xa8000, BASE + 0xb0000
VA, HIGH = 0x123456789000, 0xffffff8000201000
PAGE = 0x3 | 1 << 2 | 1 << 6 | 3 << 8 | 1 << 10 | 1 << 11 | 1 << 53 | 1 << 54  # valid page, AttrIndx 1, user RW, ISH, AF, nG, no execute
S2PAGE = 0x3 | 0xf << 2 | 3 << 6 | 3 << 8 | 1 << 10
AF, RO, USER, PXN, UXN, DBM = 1 << 10, 1 << 7, 1 << 6, 1 << 53, 1 << 54, 1 << 51


class Tables:
    """Page tables in @mem: those at @root, which start at Arm's level @top; new ones are taken from @free on."""

    def __init__(self, mem, root, free, top=0, granule=12, offset=0, table_bits=0):
        self.mem, self.root, self.free, self.top, self.granule = mem, root, free, top, granule
        self.offset, self.table_bits = offset, table_bits  # what table entries hold beyond the address

    def slot(self, table, va, level):
        """Address of the entry; the root may be more than one table."""
        low = self.granule + (3 - level) * (self.granule - 3)
        index = va >> low
        if level != self.top:
            index &= (1 << (self.granule - 3)) - 1
        return table + index * 8

    def map(self, va, entry, level=3):
        """The entry for @va at @level; returns where it lies."""
        table = self.root
        for at in range(self.top, level):
            slot = self.slot(table, va, at)
            old, = struct.unpack('<Q', self.mem.get(slot, 8))
            if not old:
                self.mem.put(slot, struct.pack('<Q', self.free + self.offset | 3 | self.table_bits))
                old = self.free + self.offset
                self.free += 1 << self.granule
            table = (old & 0xfffffffff000) - self.offset
        self.mem.put(self.slot(table, va, level), struct.pack('<Q', entry))
        return self.slot(table, va, level)


def stage_1(mem):
    t = Tables(mem, S1, S1 + 0x1000)
    t.map(VA, 0x40070000 | PAGE)
    t.map(VA + 0x1000, 0x40071000 | PAGE | RO)
    t.map(VA + 0x2000, 0x40072000 | PAGE & ~AF)
    t.map(VA + 0x3000, 0x40073000 | PAGE & ~USER)
    t.map(VA + 0x4000, 0x40074000 | PAGE & ~PXN & ~UXN)
    t.map(VA + 0x5000, 0x40075000 | PAGE & ~AF | RO | DBM)
    t.map(VA + 0x6000, 0x40076000 | PAGE & ~USER & ~PXN)
    t.map(VA + 0x7000, 0x40077000 | PAGE | 1 << 47)
    t.map(VA + 0x8000, 0x40077000 | PAGE & ~2)
    t.map(0x40000000, 0x40000000 | PAGE & ~2, level=2)
    t.map(0x7f0000000000, 0x700000000 | 3, level=1)
    t.map(0x7e0000000000, 0x40000000 | PAGE & ~2, level=0)
    # A subtree whose table entry takes rights away: APTable 3 (read-only, privileged only), UXNTable and PXNTable.
    slot = t.map(0x600000000000, 0, level=0)
    t.table_bits = 3 << 61 | 3 << 59
    t.map(0x600000000000, 0x40078000 | PAGE & ~PXN & ~UXN)
    t.table_bits = 0
    assert mem.get(slot, 8)[7] == 0x78
    t = Tables(mem, UPPER, UPPER + 0x1000, top=1)  # T1SZ 25: 39 bits
    t.map(HIGH & (1 << 39) - 1, 0x40079000 | PAGE)
    t = Tables(mem, S1_64K, S1_64K + 0x10000, top=2, granule=16)
    t.map(0x12340000, 0x40070000 | PAGE)
    t.map(0x20000000, 0x40000000 | PAGE & ~2, level=2)


def nested(mem):
    t = Tables(mem, NESTED, NESTED + 0x1000, offset=FAR)
    t.map(VA, 0x5000 | PAGE)
    t.map(VA + 0x1000, 0x6000 | PAGE)
    t.map(VA + 0x2000, 0x7000 | PAGE)
    t.map(VA + 0x3000, 0x5000 | PAGE & ~AF)
    t.map(0x1000, 0x8000000 | 3, level=0)  # a table that stage 2 does not map
    t.map(0x8000000000, 0x9000 | 3, level=0)  # one in device memory
    s2 = Tables(mem, S2TTB, S2TTB + 0x1000, top=1)  # S2SL0 1, 39 bits
    for pa in range(BASE, BASE + 0x80000, 0x1000):
        s2.map(pa + FAR, pa | S2PAGE)
    s2.map(0x5000, 0x40070000 | S2PAGE)
    s2.map(0x7000, 0x40071000 | S2PAGE & ~(2 << 6))
    s2.map(0x9000, 0x40072000 | S2PAGE & ~(0xf << 2) | 1 << 2)
    s2.map(0xa000, 0x40073000 | S2PAGE & ~AF)
    s2.map(NESTED + FAR, NESTED | S2PAGE & ~AF)
    fresh = Tables(mem, S2FRESH, S2FRESH + 0x1000, top=1)  # nothing was accessed yet
    for pa in range(BASE, BASE + 0x80000, 0x1000):
        fresh.map(pa + FAR, pa | S2PAGE & ~AF)
    fresh.map(0x5000, 0x40070000 | S2PAGE & ~AF)
    roots = Tables(mem, ROOTS, ROOTS + 0x4000, top=1)  # four tables side by side: 41 bits
    roots.map(3 << 39 | 0x1000, 0x4007a000 | S2PAGE)
    deep = Tables(mem, BASE + 0x64000, BASE + 0x65000)  # 40 bits in four levels
    deep.map(0x8000001000, 0x4007a000 | S2PAGE)


def intel(mem):
    """What x86-64 and VT-d's second stage share: 9 bits a level, table entries with bits 0 and 1."""
    t = Tables(mem, PT_X86, PT_X86 + 0x1000, table_bits=0x24)
    for n in range(600):
        t.map(0x7f0000100000 + n * 0x1000, 0x80000000 + n * 0x1000 | 0x67)  # P RW US A D, over two tables
    t.map(0x7f0000358000, 0x80258000 | 0x27)  # goes on, but clean
    t.map(0x7f0000359000, 0x80259000 | 0x1 | 1 << 63)
    t.map(0x7f0040000000, 0xc0000000 | 0xe7 | 1 << 12, level=2)  # 2M, PAT
    t.map(0x7f0040200000, 0xc0200000 | 0xe7 | 1 << 13, level=2)  # a reserved bit
    t.map(0x7f8000000000, 0x4000000000 | 0xe7, level=1)
    t = Tables(mem, PT_VTD, PT_VTD + 0x1000, top=1)
    t.map(0x1000, 0x80001000 | 0x1 | 6 << 3)
    t.map(0x2000, 0x80002000 | 0x2 | 1 << 9)
    t.map(0x40000000, 0x80000000 | 0x83 | 1 << 8, level=2)
    t.map(0x40200000, 0x80200000 | 0x83 | 1 << 8, level=2)
    t.map(0x40400000, 0x90000000 | 3 | 1 << 11, level=2)  # SNP in a table entry


def walk_machine():
    mem = Memory(0xb8000)
    put = lambda sid, **f: mem.put(STRTAB + sid * 64, ste(V=1, **f))
    s1 = dict(Config=5, S1CIR=1, S1COR=1, S1CSH=3)
    put(1, Config=4, SHCFG=1)
    put(2, S1ContextPtr=CDS, S1CDMax=3, S1DSS=2, **s1)
    put(3, Config=6, S2VMID=7, S2TTB=S2TTB, SHCFG=1, **S2)
    put(4, Config=7, S1Fmt=1, S1ContextPtr=CDS2 + FAR, S1CDMax=8, S1DSS=1, S2VMID=8, S2TTB=S2TTB, **S2)
    put(5, S1CDMax=21, S1ContextPtr=CDS, **s1)
    put(6, Config=0)
    put(8, S1ContextPtr=CDS, S1CDMax=3, S1DSS=0, **s1)
    put(9, S1ContextPtr=0x70000000, **s1)
    put(10, Config=6, S2VMID=7, S2TTB=ROOTS, **dict(S2, S2T0SZ=23))
    put(11, Config=7, S1ContextPtr=0x20000000, S2VMID=8, S2TTB=S2TTB, **S2)
    put(13, Config=7, S1Fmt=1, S1ContextPtr=CDS2 + FAR, S1CDMax=8, S2VMID=9, S2TTB=S2FRESH, **dict(S2, S2HA=1))
    put(12, Config=6, S2VMID=7, S2TTB=S2TTB, **dict(S2, S2R=0))
    # As sid 2, behind a first level of 64.
    mem.put(SPLIT, struct.pack('<4Q', 0, SPLIT + 0x400 | 2, SPLIT + 0x400 | 12, 0x70000000 | 7))
    mem.put(SPLIT + 0x400 + 64, ste(V=1, S1ContextPtr=CDS, S1CDMax=3, S1DSS=2, **s1))
    put = lambda at, n, **f: mem.put(at + n * 64, cd(**dict(S1_CD, **f)))
    put(CDS, 0, ASID=1, TTB0=S1, EPD1=0, T1SZ=25, TG1=2, TTB1=UPPER)
    put(CDS, 1, ASID=2, TTB0=S1, HA=1, HD=1, TBI0=1)
    put(CDS, 2, ASID=3, TTB0=S1_64K, TG0=1, T0SZ=28)
    put(CDS, 3, ASID=4, TTB0=1 << 50)
    put(CDS, 4, ASID=5, TTB0=S1, T0SZ=32, IPS=0, R=0)
    put(CDS, 6, ASID=6, TTB0=S1, IPS=2)
    mem.put(CDS2, struct.pack('<2Q', CDS2 + 0x1000 + FAR | 1, 0x2000))
    put(CDS2 + 0x1000, 1, ASID=9, TTB0=NESTED + FAR)
    put(CDS2 + 0x1000, 2, ASID=9, TTB0=NESTED + FAR, HA=1)
    stage_1(mem)
    nested(mem)
    intel(mem)
    return mem


class Commands:
    """uiommu decode and walk, run by UIOMMU, the command, or without a process for each by MANY (many.c)."""

    def __init__(self, uiommu, many, expected):
        self.uiommu, self.expected, self.failed = os.path.realpath(uiommu), os.path.realpath(expected), 0
        self.update = '--update' in sys.argv
        self.many = subprocess.Popen([os.path.realpath(many)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def fail(self, what):
        self.failed += 1
        print('not ok: ' + what)

    def run(self, *args):
        """(status, stdout, stderr)"""
        self.many.stdin.write('\t'.join(args).encode() + b'\n')
        self.many.stdin.flush()
        line = self.many.stdout.readline()
        if not line:
            sys.exit('not ok: uiommu %s ended the process: %d' % (' '.join(args), self.many.wait()))
        status, n_out, n_err = (int(n) for n in line.split())
        return status, self.many.stdout.read(n_out), self.many.stdout.read(n_err)

    def run_alone(self, *args):
        r = subprocess.run([self.uiommu] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return r.returncode, r.stdout, r.stderr

    def compare(self, name, out):
        path = os.path.join(self.expected, name)
        if self.update:
            open(path, 'wb').write(out)
        elif not os.path.exists(path) or open(path, 'rb').read() != out:
            self.fail('%s: differs from what is expected:\n%s' % (name, out.decode(errors='replace')))

    def refuses(self, pattern, *args, alone=False):
        """What is wrong is said in one line."""
        status, out, err = (self.run_alone if alone else self.run)(*args)
        if status != 1 or out or err.count(b'\n') != 1 or not re.search(pattern, err.decode()):
            self.fail('%s: status %d, "%s"' % (args, status, err.decode()))

    def survives(self, what, *args):
        """An answer, or one line; returns stderr."""
        status, out, err = self.run(*args)
        if status not in (0, 1, 2) or err.count(b'\n') != (status == 1) or (status != 1) != bool(out):
            self.fail('%s: status %d, "%s"' % (what, status, err.decode()[-2000:]))
        return err

    def end(self, name):
        self.many.stdin.close()
        if self.many.wait():
            self.fail('the commands ended with status %d' % self.many.returncode)
        print('%s: %s' % (name, '%d failed' % self.failed if self.failed else 'all as expected'))
        sys.exit(1 if self.failed else 0)


def random_words(rnd, n=1024):
    """Many small numbers, so that some tables lead somewhere."""
    return struct.pack('<%dQ' % n, *[rnd.choice((rnd.getrandbits(64), BASE + rnd.getrandbits(12) | rnd.getrandbits(5), rnd.getrandbits(8)))
                                     for _ in range(n)])
