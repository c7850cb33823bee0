# SPDX-License-Identifier: MIT
"""Random stream tables, context descriptors and page tables for oracle.py, and accesses that go through them.

A case is one configuration of one stream with some accesses. What its accesses should give, nobody here knows: that is for
those who are compared. But most tables are made so that the accesses get through, and each way of being wrong has its share.
"""

# The machine: what lies where.
CMDQ, CMDQ_LG2, EVENTQ, EVENTQ_LG2 = 0x40000000, 8, 0x40010000, 4
LINEAR, LEVEL1, LEVEL2 = 0x40020000, 0x40030000, 0x40040000
ARENA, DATA, RAM_END = 0x48000000, 0x80000000, 0x240000000
HOLE = 0x300000000  # no memory from here on, for some GiB
OAS = 44
PS = [32, 36, 40, 42, 44, 48, 52, 52]
SIDS = [0x08, 0x20, 0x40, 0x98, 0xf8]
TG0, TG1 = {12: 0, 16: 1, 14: 2}, {14: 1, 12: 2, 16: 3}
WRONG = ('access', 'size', 'absent', 'type', 'write', 'contiguous', 'execute')
BLOCKS = {12: (1, 2), 14: (2,), 16: (2,)}

# Fields of an STE and a CD that a case may spoil: (word, low bit, bits).
STE_FIELDS = {
    'V': (0, 0, 1), 'Config': (0, 1, 3), 'S1Fmt': (0, 4, 2), 'S1CDMax': (0, 59, 5), 'S1DSS': (1, 0, 2), 'S1STALLD': (1, 27, 1),
    'EATS': (1, 28, 2), 'STRW': (1, 30, 2), 'SHCFG': (1, 44, 2), 'PRIVCFG': (1, 48, 2), 'S2VMID': (2, 0, 16), 'S2T0SZ': (2, 32, 6),
    'S2SL0': (2, 38, 2), 'S2TG': (2, 46, 2), 'S2PS': (2, 48, 3), 'S2AA64': (2, 51, 1), 'S2ENDI': (2, 52, 1), 'S2AFFD': (2, 53, 1),
    'S2PTW': (2, 54, 1), 'S2HD': (2, 55, 1), 'S2HA': (2, 56, 1), 'S2S': (2, 57, 1), 'S2R': (2, 58, 1), 'S2TTB': (3, 40, 12),
    'S1ContextPtr': (0, 40, 12),
}
CD_FIELDS = {
    'T0SZ': (0, 0, 6), 'TG0': (0, 6, 2), 'EPD0': (0, 14, 1), 'ENDI': (0, 15, 1), 'T1SZ': (0, 16, 6), 'TG1': (0, 22, 2),
    'EPD1': (0, 30, 1), 'V': (0, 31, 1), 'IPS': (0, 32, 3), 'AFFD': (0, 35, 1), 'WXN': (0, 36, 1), 'TBI0': (0, 38, 1),
    'TBI1': (0, 39, 1), 'PAN': (0, 40, 1), 'AA64': (0, 41, 1), 'HD': (0, 42, 1), 'HA': (0, 43, 1), 'S': (0, 44, 1), 'R': (0, 45, 1),
    'A': (0, 46, 1), 'ASID': (0, 48, 16), 'HAD0': (1, 1, 1), 'TTB0': (1, 40, 12), 'HAD1': (2, 1, 1), 'TTB1': (2, 40, 12),
}


def put(words, field, value):
    word, low, bits = field
    words[word] = words[word] & ~(((1 << bits) - 1) << low) | (value & (1 << bits) - 1) << low


class Image:
    """What is written to memory, in words of 8 bytes; all else is zero."""

    def __init__(self):
        self.words = {}
        self.top = ARENA

    def take(self, n_bytes, align):
        self.top = -(-self.top // align) * align
        pa, self.top = self.top, self.top + n_bytes
        assert self.top <= DATA
        return pa

    def put(self, pa, words):
        for i, word in enumerate(words):
            self.words[pa + 8 * i] = word

    def runs(self):
        """(pa, bytes) of what was put since the last time."""
        run, start = b'', None
        for pa in sorted(self.words):
            if start is not None and pa != start + len(run):
                yield start, run
                start = None
            if start is None:
                start, run = pa, b''
            run += self.words[pa].to_bytes(8, 'little')
        if start is not None:
            yield start, run
        self.words = {}


class Tables:
    """Of one stage, or half of one. place(pa): the address that the tables above have to say for a table at pa."""

    def __init__(self, case, stage, granule, bits, start, place):
        self.case, self.stage, self.granule, self.bits, self.start, self.place = case, stage, granule, bits, start, place
        n_bytes = 8 << bits - self.shift(start)
        root = case.image.take(n_bytes, max(64, n_bytes))
        self.tables, self.leaves, self.wrong, self.root = {(start, 0): root}, {}, set(), place(root, n_bytes, True)

    def shift(self, level):
        return self.granule + (3 - level) * (self.granule - 3)

    def sizes(self):
        return [level for level in BLOCKS[self.granule] + (3,) if level >= self.start and self.shift(level) < self.bits]

    def entry(self, level, va):
        """Where it lies, its tables made; None below a leaf."""
        for at in range(self.start, level):
            key = at + 1, va >> self.shift(at)
            if (at, va >> self.shift(at)) in self.leaves:
                return None
            if key not in self.tables:
                self.tables[key] = self.case.image.take(1 << self.granule, 1 << self.granule)
                slot = self.tables[at, va >> self.shift(at - 1) if at > self.start else 0] + self.index(at, va) * 8
                self.case.image.put(slot, [self.case.table(self.stage, self.place(self.tables[key], 1 << self.granule)) | 3])
        return self.tables[level, va >> self.shift(level - 1) if level > self.start else 0] + self.index(level, va) * 8

    def index(self, level, va):
        width = self.granule - 3 if level > self.start else self.bits - self.shift(level)
        return va >> self.shift(level) & (1 << width) - 1

    def map(self, va, out, level, bits):
        """A leaf over va. False: there is something already."""
        key = level, va >> self.shift(level)
        slot = self.entry(level, va)
        if slot is None or key in self.leaves or (level < 3 and (level + 1, key[1]) in self.tables):
            return False
        self.leaves[key] = out
        self.case.image.put(slot, [out >> self.shift(level) << self.shift(level) | bits])
        return True

    def is_wrong(self, va):
        return any((level, va >> self.shift(level)) in self.wrong for level in range(self.start, 4))

    def find(self, va):
        """The output address, or None."""
        for level in range(self.start, 4):
            if (level, va >> self.shift(level)) in self.leaves:
                return self.leaves[level, va >> self.shift(level)] + va % (1 << self.shift(level))
        return None


def s1_start(granule, bits):
    return 4 - -(-(bits - granule) // (granule - 3))


def s2_starts(granule, bits):
    """Start levels that have a table for so many bits: two entries to sixteen tables."""
    stride = granule - 3
    levels = range(0 if granule == 12 else 1, 3 if granule == 12 else 4)
    return [at for at in levels if 1 <= bits - granule - (3 - at) * stride <= stride + 4]


class Case:
    """kind: 's1', 's2' or 'nested'; spoil: what is wrong beside single entries, or None. self.accesses: addresses."""

    def __init__(self, rng, image, kind, spoil, granules, two_level, n_accesses):
        self.rng, self.image, self.kind, self.spoil, self.accesses, self.tags = rng, image, kind, spoil, [], set()
        self.sid, self.two_level = rng.choice(SIDS), two_level
        self.ste, self.cd = [0] * 8, [0] * 8
        self.s1, self.s2, self.granules = [None, None], None, granules
        # Whether single entries are wrong, too.
        self.wrong = rng.random() < 0.7
        config = {'s1': 5, 's2': 6, 'nested': 7}[kind]
        self.put(STE_FIELDS, self.ste, V=1, Config=config, SHCFG=1, S2AA64=1, S2VMID=rng.randrange(1 << 16))
        if kind != 's1':
            self.make_s2(granules[1])
        cd_at = image.take(64, 64)
        if kind != 's2':
            self.make_s1(granules[0])
        self.ste[0] |= self.place(cd_at, 64) if kind != 's2' else HOLE
        for _ in range(n_accesses):
            self.accesses.append(self.access())
        if spoil:
            getattr(self, 'spoil_' + spoil)()
        if kind != 's2':
            image.put(cd_at, self.cd)

    @staticmethod
    def put(fields, words, **values):
        for name, value in values.items():
            put(words, fields[name], value)

    def chance(self, percent):
        return self.rng.random() * 100 < percent

    # ---- stages ----

    def make_s2(self, granule):
        bits = self.rng.choice(range(34, OAS + 1) if self.kind == 'nested' else range(26, OAS + 1))
        start = self.rng.choice(s2_starts(granule, bits))
        sl0 = 2 - start if granule == 12 else 3 - start
        # A place for tables and CD of stage 1, and some for data.
        # QEMU takes the first of several tables side by side for all of them.
        shift = granule + (4 - start) * (granule - 3)
        reach = bits if self.chance(10) else min(bits, shift)
        self.many = bits > shift
        if self.many and reach == bits:
            self.tags.add('side by side')
        self.tables_at = self.rng.randrange(1 << max(reach - 29, 0)) << 29
        self.ipas = [self.rng.randrange(1 << reach) for _ in range(3)]
        if self.kind == 'nested':
            self.ipas = [ipa ^ 1 << 29 if ipa >> 29 == self.tables_at >> 29 else ipa for ipa in self.ipas]
        self.s2_bits, self.s2_reach = bits, reach
        self.s2 = Tables(self, 2, granule, bits, start, lambda pa, n_bytes, first=False: pa)
        self.put(STE_FIELDS, self.ste, S2T0SZ=64 - bits, S2SL0=sl0, S2TG=TG0[granule],
                 S2PS=self.rng.choice([ps for ps in range(1, 6) if min(PS[ps], OAS) >= bits]),
                 S2AA64=1, S2AFFD=self.chance(15), S2R=1, S2PTW=self.chance(20))
        self.ste[3] |= self.s2.root

    def make_s1(self, granule):
        uppers = [self.granules[0], self.rng.choice((12, 14, 16))]
        have = self.rng.choice(((0,), (1,), (0, 1), (0, 1)))
        self.vas = [None, None]
        for half in have:
            granule = uppers[half if len(have) > 1 else 0]
            bits = self.rng.randrange(25, 49)
            self.vas[half] = [self.rng.randrange(1 << bits) for _ in range(2)]
            self.s1[half] = Tables(self, 1, granule, bits, s1_start(granule, bits), self.place)
            self.cd[1 + half] |= self.s1[half].root
            names = {'T%dSZ' % half: 64 - bits, 'TG%d' % half: (TG0, TG1)[half][granule], 'HAD%d' % half: self.chance(20)}
            self.put(CD_FIELDS, self.cd, **names)
        self.put(CD_FIELDS, self.cd, EPD0=0 not in have, EPD1=1 not in have, V=1,
                 IPS=5 if self.s2 and self.chance(90) else self.rng.choice((1, 2, 3, 4, 5)),
                 AFFD=self.chance(15), TBI0=self.chance(25), TBI1=self.chance(25), AA64=1, R=1, A=1, ASID=self.rng.randrange(1 << 16))

    def place(self, pa, n_bytes, first=False):
        """Where stage 1 has to look for a table (first: of TTB0 or TTB1) or CD at pa: behind stage 2, some are not there."""
        if not self.s2:
            return pa
        ipa = self.tables_at + pa % (1 << 29)
        # QEMU asks stage 2 for where a table begins, not for the entry: all of it shares its fate.
        how = self.rng.choice(WRONG[:5]) if self.wrong and self.chance(2) else None
        pages = range(0, n_bytes, 1 << self.s2.granule)
        if any(self.s2.find(ipa + offset) is not None for offset in pages):
            how = 'absent' if any(self.s2.is_wrong(ipa + offset) for offset in pages) else None
        for offset in pages:
            if self.s2.find(ipa + offset) is None:
                self.reach(ipa + offset, pa + offset, how)
        if first and self.s2.is_wrong(ipa):
            self.tags.add('first table')
        return ipa

    def reach(self, ipa, pa, how):
        """Makes stage 2 lead from ipa to pa."""
        levels = [at for at in self.s2.sizes() if ipa % (1 << self.s2.shift(at)) == pa % (1 << self.s2.shift(at))]
        level = self.rng.choice(levels)
        if not self.s2.map(ipa, pa, level, self.leaf(2, level, how)):
            level = 3
            self.s2.map(ipa, pa, level, self.leaf(2, level, how))
        if how:
            self.s2.wrong.add((level, ipa >> self.s2.shift(level)))

    # ---- entries ----

    def table(self, stage, addr):
        """What a table entry says beside its type."""
        if self.wrong and self.chance(1.5):
            if stage == 1 and self.s2 and self.many:
                self.tags.add('side by side')
            return HOLE + addr % (1 << 30)
        if self.wrong and self.chance(0.5):
            self.tags.add('table beyond')
            return addr | 1 << self.rng.randrange(OAS, 48)
        if stage == 1 and self.chance(5):
            addr |= self.rng.choice((1 << 62, 1 << 60, 1 << 59))
            self.tags.add('table rights')
        return addr

    def some_way(self):
        """For a leaf, how it is wrong."""
        return self.rng.choice(WRONG) if self.wrong and self.chance(25) else None

    def leaf(self, stage, level, how):
        """The bits of a leaf but for its address."""
        bits = 1 if level < 3 else 3
        bits |= 1 << 10 | (0xf << 2 | 3 << 6 if stage == 2 else 1 << 6 | 1 << 11 | self.rng.randrange(8) << 2) | 3 << 8
        if not how:
            return bits
        if how == 'access':
            return bits & ~(1 << 10)
        if how == 'write':
            return bits ^ 1 << 7
        if how == 'type':
            return bits ^ 2 if level == 3 else bits
        if how == 'size':
            return bits | 1 << self.rng.randrange(OAS, 48)
        if how == 'absent':
            return bits & ~1
        return bits | (1 << 52 if how == 'contiguous' else 3 << 53)

    # ---- accesses ----

    def output(self, level, tables):
        """Memory for a leaf."""
        size = 1 << tables.shift(level)
        return self.rng.randrange(DATA // size if size <= 1 << 30 else 0, RAM_END // size) * size

    def near(self, centers, bits):
        """An address not far from others, so that they share tables."""
        center = self.rng.choice(centers)
        return (center ^ self.rng.randrange(1 << self.rng.choice((14, 18, 24)))) % (1 << bits) & ~3

    def through_s2(self, ipa):
        if self.s2.find(ipa) is None:
            level = self.rng.choice(self.s2.sizes())
            self.s2.map(ipa, self.output(level, self.s2), level, self.leaf(2, level, self.some_way()))

    def access(self):
        if self.kind == 's2':
            ipa = self.near(self.ipas, self.s2_reach)
            if self.chance(94):
                self.through_s2(ipa)
            elif self.chance(50):
                ipa |= 1 << self.rng.randrange(self.s2_bits, 64)
            return ipa
        half = self.rng.choice([half for half in (0, 1) if self.s1[half]])
        tables = self.s1[half]
        va = self.near(self.vas[half], tables.bits)
        if self.chance(94):
            if tables.find(va) is None:
                level = self.rng.choice(tables.sizes())
                out = self.near(self.ipas, self.s2_reach) if self.s2 else self.output(level, tables)
                tables.map(va, out >> tables.shift(level) << tables.shift(level), level, self.leaf(1, level, self.some_way()))
            ipa = tables.find(va)
            if self.s2 and ipa is not None and self.chance(96):
                self.through_s2(ipa) if not ipa >> self.s2_bits else None
        iova = va | (half and (1 << 64) - (1 << tables.bits))
        if self.chance(6):
            iova ^= 1 << self.rng.randrange(tables.bits, 64)
        return iova

    # ---- what is wrong with a whole case ----

    def spoil_ste(self):
        name = self.rng.choice(list(STE_FIELDS))
        self.tags.add('STE.' + name)
        value = self.rng.randrange(1 << STE_FIELDS[name][2])
        # QEMU ends when it sees tables of 32 bits.
        self.put(STE_FIELDS, self.ste, **{name: 1 if name == 'S2AA64' else value})
        if name == 'Config' and value == 4:
            self.bypass()

    def spoil_cd(self):
        name = self.rng.choice(list(CD_FIELDS))
        self.tags.add('CD.' + name)
        value = self.rng.randrange(1 << CD_FIELDS[name][2])
        # QEMU ends on an IPS that it has not.
        self.put(CD_FIELDS, self.cd, **{name: 0 if name == 'IPS' and value > 5 else value})

    def spoil_no_ste(self):
        self.ste[0] &= ~1

    def spoil_no_cd(self):
        self.cd[0] &= ~(1 << 31)

    def spoil_cd_hole(self):
        self.ste[0] = self.ste[0] & ~0xfffffffffffc0 | HOLE

    def spoil_root_hole(self):
        if self.s2:
            self.ste[3] = HOLE
        else:
            self.cd[1] = self.cd[2] = HOLE

    def spoil_config(self):
        self.put(STE_FIELDS, self.ste, Config=self.rng.randrange(5))
        self.bypass()

    def bypass(self):
        # Where there is memory, and where there is none.
        self.accesses = [self.rng.choice((DATA, HOLE, 1 << self.rng.randrange(OAS, 64))) + self.rng.randrange(1 << 30) & ~3
                         for _ in self.accesses]

    def spoil_ste_hole(self):
        self.tags.add('stream table')

    def spoil_sid(self):
        self.tags.add('stream table')

    def side_by_side(self, iova):
        """Can it be that a stage 2 table is needed behind the first?"""
        words = self.ste[2]
        granule, sl0 = {0: 12, 1: 16, 2: 14, 3: 12}[words >> 46 & 3], words >> 38 & 3
        reach = granule + ((2 if granule == 12 else 1) + sl0) * (granule - 3)
        if self.kind == 's2':
            return iova >> reach != 0
        return 'side by side' in self.tags or bool(self.tags & {'STE.S2SL0', 'STE.S2T0SZ', 'STE.S2TG'})

    def stream_table(self):
        """(base register, configuration register): the STE is in the image, if it is anywhere."""
        split = self.rng.choice((6, 8, 10))
        if not self.two_level:
            self.image.put(LINEAR + 64 * self.sid, self.ste)
            small = self.rng.randrange(3)
            if self.spoil == 'sid':
                return LINEAR, small
            return HOLE if self.spoil == 'ste_hole' else LINEAR, 8
        behind = LEVEL2 + (self.sid >> split << split + 6)
        self.image.put(behind + 64 * (self.sid & (1 << split) - 1), self.ste)
        span = split + 1
        if self.spoil == 'sid':
            span = self.rng.choice((0, 1, 12, 31, min(span, (self.sid & (1 << split) - 1).bit_length())))
        elif self.spoil == 'ste_hole' and self.chance(50):
            behind = HOLE
        elif self.spoil == 'ste_hole':
            return HOLE, 1 << 16 | split << 6 | 8
        self.image.put(LEVEL1 + 8 * (self.sid >> split), [behind | span])
        return LEVEL1, 1 << 16 | split << 6 | 8
