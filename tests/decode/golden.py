#!/usr/bin/env python3
"""uiommu decode against golden files: golden.py UIOMMU EXPECTED [--update]

The dumps are made here, bit by bit from the specification's numbers (Arm IHI 0070: bit n of a structure is bit n % 64 of its word
n / 64), so that the command's reading is checked by a writer that shares nothing with it. EXPECTED holds what the command prints for
each; --update writes it anew, to be read by a human before it is believed. Then dumps that mean harm: each must end in an answer or in
one line on stderr."""
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

BASE = 0x40000000
uiommu, expected = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
update = '--update' in sys.argv
failed = 0


def fail(what):
    global failed
    failed += 1
    print('not ok: ' + what)


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
          'S2PTW': (182, 182), 'S2R': (186, 186), 'RES': (63 + 3 * 64, 63 + 3 * 64), 'S1ContextPtr': (51, 6), 'S2TTB': (243, 196)}
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


QEMU_IDR = '0x0d44101a,0x02730010,0,0x1404,0,0x74'
CASES = {
    'strtab-linear': 'DUMP strtab 0x40001000 --log2size 5',
    'strtab-linear-cds': 'DUMP strtab 0x40001000 --log2size 2 --cds',
    'strtab-two-levels': 'DUMP strtab 0x40002000 --log2size 8 --split 6',
    'strtab-beyond-dump': 'DUMP strtab 0x40001000 --log2size 32',
    'ste-s1': 'DUMP ste 0x40001080',
    'ste-nested-cds': 'DUMP ste 0x40001100 --cds',
    'ste-qemu': 'DUMP ste 0x400010c0 --idr ' + QEMU_IDR,
    'ste-all': 'DUMP ste 0x40001040 --all',
    'cdtab-linear': 'DUMP cdtab 0x40003000 --s1cdmax 2',
    'cdtab-two-levels': 'DUMP cdtab 0x40004000 --s1fmt 64k --s1cdmax 12',
    'cd': 'DUMP cd 0x40003080',
    'cd-qemu': 'DUMP cd 0x40003080 --idr ' + QEMU_IDR,
    'cmdq': 'DUMP cmdq 0x40005000 --log2size 4',
    'cmdq-range': 'DUMP cmdq 0x40005000 --log2size 3 --cons 14 --prod 0x80000001',
    'eventq': 'DUMP eventq 0x40006000 --log2size 3',
    'priq': 'DUMP priq 0x40007000 --log2size 2',
}


def run(args, **kw):
    return subprocess.run([uiommu, 'decode'] + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **kw)


def compare(name, out):
    path = os.path.join(expected, name)
    if update:
        open(path, 'wb').write(out)
    elif not os.path.exists(path) or open(path, 'rb').read() != out:
        fail('%s: differs from what is expected:\n%s' % (name, out.decode(errors='replace')))


def golden(work):
    mem = machine()
    raw, core = work + '/raw', work + '/core'
    open(raw, 'wb').write(mem.bytes)
    # The same memory in pieces, out of order, one cutting an STE in two, one said twice.
    cuts = [0, 0x1090, 0x2000, 0x3000, 0x41000, len(mem.bytes)]
    pieces = [(BASE + a, bytes(mem.bytes[a:b])) for a, b in zip(cuts, cuts[1:])]
    open(core, 'wb').write(elf(pieces[::-1] + [(BASE + 0x1800, bytes(mem.bytes[0x1800:0x2800]))]))
    for name, line in CASES.items():
        outs = []
        for dump in ([core], ['--base', hex(BASE), raw]):
            r = run(sum((dump if a == 'DUMP' else [a] for a in line.split()), []))
            if r.returncode or r.stderr:
                fail('%s: status %d, "%s"' % (name, r.returncode, r.stderr.decode()))
            outs.append(r.stdout)
        if outs[0] != outs[1]:
            fail(name + ': core and raw dump differ')
        compare(name + '.txt', outs[0])
        r = run(['--json'] + sum(([core] if a == 'DUMP' else [a] for a in line.split()), []))
        json.loads(r.stdout)
        if name in ('ste-s1', 'cdtab-two-levels', 'cmdq', 'eventq'):
            compare(name + '.json', r.stdout)
    values(core)


def values(core):
    """What a program would ask the JSON."""
    tab = json.loads(run(['--json', core, 'strtab', '0x40001000', '--log2size', '5', '--cds']).stdout)
    by_sid = {e['StreamID']: e for e in tab['entries']}
    got = (by_sid[2]['fields']['S1ContextPtr'], by_sid[2]['meaning']['Config'], by_sid[5]['illegal'], by_sid[5]['reserved'],
           by_sid[6]['illegal'], by_sid[9]['last'], tab['not_valid'], [c['fields']['ASID'] for c in by_sid[2]['cds']['entries']],
           by_sid[2]['cds']['entries'][2]['illegal'], by_sid[3]['words'][3])
    want = ('0x40003000', 'S1 translate, S2 bypass', 'S1CDMax', {'word 3': '0x8000000000000000'}, 'S2TG', 31, 1, [1, 5, 6], 'TTB0',
            '0x40020000')
    if got != want:
        fail('values: %s, wanted %s' % (got, want))


def refused(work):
    """What is wrong is said in one line."""
    raw = work + '/raw'
    based = ['--base', hex(BASE), raw]
    for pattern, args in [
            ('which dump, what, and where', []), ('which dump', [raw, 'ste']), ('unknown "x"; known: strtab', [raw, 'x', '0']),
            ('"4z" is not an address', [raw, 'ste', '4z']), ('"-1" is not an address', ['--', raw, 'ste', '-1']),
            ('strtab needs --log2size', based + ['strtab', '0']), ('eventq needs --log2size', based + ['eventq', '0']),
            ('--log2size: "33" is not a number from 0 to 32', ['--log2size', '33'] + based + ['strtab', '0']),
            ('a queue has at most', based + ['cmdq', '0', '--log2size', '20']),
            ('split at 6, 8 or 10', based + ['strtab', '0', '--log2size', '8', '--split', '7']),
            ('--prod and --cons go together', based + ['cmdq', '0', '--log2size', '4', '--prod', '1']),
            ('more than a queue apart', based + ['cmdq', '0', '--log2size', '4', '--prod', '18', '--cons', '1']),
            ('not six numbers', based + ['ste', '0', '--idr', '1,2,3']), ('not six numbers', based + ['ste', '0', '--idr', '1,2,3,4,5,6,7']),
            ('unknown format "8k"', based + ['cdtab', '0', '--s1fmt', '8k']),
            ('the STE is not in the dump', based + ['ste', '0']), ('the CD is not in the dump', based + ['cd', '0x4005ffff0']),
            ('nothing of the stream table', based + ['strtab', '0', '--log2size', '8']),
            ('nothing of the CD table', based + ['cdtab', '0']), ('nothing of the queue', based + ['priq', '0', '--log2size', '8']),
            ('not an ELF file; a raw dump needs', [raw, 'ste', '0']), ('No such file', [work + '/none', 'ste', '0']),
            ('Is a directory', [work, 'ste', '0']), ('not a regular file', ['/dev/null', 'ste', '0']),
            ('beyond 2\\^64', ['--base', '0xfffffffffffff000', raw, 'ste', '0'])]:
        r = run(args)
        if r.returncode != 1 or r.stdout or r.stderr.count(b'\n') != 1 or not re.search(pattern, r.stderr.decode()):
            fail('%s: status %d, "%s"' % (args, r.returncode, r.stderr.decode()))


def survives(what, args):
    r = run(args)
    if r.returncode not in (0, 1) or (r.returncode == 1 and r.stderr.count(b'\n') != 1) or (r.returncode == 0 and r.stderr):
        fail('%s: status %d, "%s"' % (what, r.returncode, r.stderr.decode()[-2000:]))
    return r


def hostile(work):
    path = work + '/hostile'
    good = elf([(BASE, bytes(4096))])
    # Headers cut at each length, each byte of them wrong in turn.
    for n in list(range(0, 130, 7)) + [64 + 55, 64 + 56]:
        open(path, 'wb').write(good[:n])
        survives('cut at %d' % n, [path, 'ste', hex(BASE)])
    for n in range(16, 120, 3):
        open(path, 'wb').write(good[:n] + b'\xff' + good[n + 1:])
        survives('byte %d is 0xff' % n, [path, 'ste', hex(BASE)])
    # 65536 program headers, said by a section header.
    many = bytearray(good)
    many[56:58] = b'\xff\xff'
    many[40:48] = struct.pack('<Q', len(good))
    open(path, 'wb').write(bytes(many) + struct.pack('<IIQQQQIIQQ', 0, 0, 0, 0, 0, 0, 0, 0xffffffff, 0, 0))
    r = survives('too many headers', [path, 'ste', hex(BASE)])
    if b'makes no sense' not in r.stderr:
        fail('too many headers: ' + r.stderr.decode())
    # Every descriptor of a first level leads to the same second level: without an end, 2^32 entries.
    page = b''.join(ste(V=1, Config=5, S1Fmt=1, S1CDMax=20, S1ContextPtr=BASE, SHCFG=i & 3, S2VMID=i) for i in range(1024))
    open(path, 'wb').write(struct.pack('<Q', BASE + 0x80000 | 11) * 0x10000 + page)
    r = survives('all descriptors alike', ['--base', hex(BASE), path, 'strtab', hex(BASE), '--log2size', '26', '--split', '10', '--cds'])
    if b'more entries than can be shown' not in r.stderr:
        fail('all descriptors alike: ' + r.stderr.decode())
    # Random bytes, read as anything.
    seed = 20261121
    print('seed %d' % seed)
    rnd = random.Random(seed)
    for n in range(40):
        # Many small numbers, so that some tables lead somewhere.
        words = [rnd.choice((rnd.getrandbits(64), BASE + rnd.getrandbits(12) | rnd.getrandbits(5), rnd.getrandbits(8)))
                 for _ in range(1024)]
        open(path, 'wb').write(struct.pack('<1024Q', *words))
        what = rnd.choice(('strtab', 'ste', 'cdtab', 'cd', 'cmdq', 'eventq', 'priq'))
        args = ['--base', hex(BASE), path, what, hex(BASE + (rnd.getrandbits(12) & ~63)), '--log2size', str(rnd.randrange(12)), '--cds',
                '--s1cdmax', str(rnd.randrange(21)), '--s1fmt', rnd.choice(('linear', '4k', '64k'))]
        args += rnd.choice(([], ['--split', '6'], ['--split', '10']))
        args += rnd.choice(([], ['--all'], ['--json'], ['--idr', ','.join(str(rnd.getrandbits(32)) for _ in range(6))]))
        survives('random %d: %s' % (n, args), args)


with tempfile.TemporaryDirectory() as work:
    golden(work)
    refused(work)
    hostile(work)
print('decode: %s' % ('%d failed' % failed if failed else 'all as expected'))
sys.exit(1 if failed else 0)
