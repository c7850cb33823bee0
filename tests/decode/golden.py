#!/usr/bin/env python3
"""uiommu decode against golden files: golden.py UIOMMU MANY EXPECTED [--update]

EXPECTED holds what the command prints for the dumps that machine.py makes; --update writes it anew, to be read by a human before it is
believed. Then dumps that mean harm: each must end in an answer or in one line on stderr."""
import json
import random
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
from machine import BASE, Commands, elf, machine, random_words, ste, walk_machine

uiommu = Commands(*sys.argv[1:4])
fail = uiommu.fail


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
PT_CASES = {
    'pt-arm-s1': '0x40010000 --format arm-s1',
    'pt-arm-s1-output-bits': '0x40010000 --format arm-s1 --output-bits 40 --start 0x12345678e800 --last 0x123456790000',
    'pt-arm-s1-upper': '0x40060000 --format arm-s1 --bits 39 --upper',
    'pt-arm-s1-64k': '0x40080000 --format arm-s1 --bits 36 --granule 64k',
    'pt-arm-s2': '0x40040000 --format arm-s2 --bits 39',
    'pt-arm-s2-side-by-side': '0x40050000 --format arm-s2 --bits 41',
    'pt-arm-s2-levels': '0x40064000 --format arm-s2 --bits 40 --levels 4',
    'pt-x86-64': '0x400a0000 --format x86-64',
    'pt-vtd-ss': '0x400a8000 --format vtd-ss --bits 39',
}


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
            status, out, err = uiommu.run('decode', *sum((dump if a == 'DUMP' else [a] for a in line.split()), []))
            if status or err:
                fail('%s: status %d, "%s"' % (name, status, err.decode()))
            outs.append(out)
        if outs[0] != outs[1]:
            fail(name + ': core and raw dump differ')
        uiommu.compare(name + '.txt', outs[0])
        args = ['decode', '--json'] + sum(([core] if a == 'DUMP' else [a] for a in line.split()), [])
        out = uiommu.run(*args)[1]
        json.loads(out)
        if name in ('ste-s1', 'cdtab-two-levels', 'cmdq', 'eventq'):
            uiommu.compare(name + '.json', out)
            if uiommu.run_alone(*args) != (0, out, b''):
                fail(name + ': the command itself differs')
    values(core)
    open(work + '/tables', 'wb').write(walk_machine().bytes)
    for name, line in PT_CASES.items():
        args = ['decode', '--base', hex(BASE), work + '/tables', 'pt'] + line.split()
        status, out, err = uiommu.run(*args)
        if status or err:
            fail('%s: status %d, "%s"' % (name, status, err.decode()))
        uiommu.compare(name + '.txt', out)
        out = uiommu.run(*args, '--json')[1]
        json.loads(out)
        if name == 'pt-x86-64':
            uiommu.compare(name + '.json', out)


def values(core):
    """What a program would ask the JSON."""
    tab = json.loads(uiommu.run('decode', '--json', core, 'strtab', '0x40001000', '--log2size', '5', '--cds')[1])
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
            ('pt needs --format', based + ['pt', '0x40000000']), ('unknown format "arm"', based + ['pt', '0', '--format', 'arm']),
            ('no page table of that format', based + ['pt', '0x40000000', '--format', 'x86-64', '--bits', '39']),
            ('no page table of that format', based + ['pt', '0x40000000', '--format', 'x86-64', '--granule', '64k']),
            ('no page table of that format', based + ['pt', '0x40000000', '--format', 'arm-s2', '--bits', '48', '--levels', '2']),
            ('no page table of that format', based + ['pt', '0x40000000', '--format', 'vtd-ss', '--upper']),
            ('from 0 to 5', based + ['pt', '0x40000000', '--format', 'vtd-ss', '--levels', '6']),
            ('nothing of the page table', based + ['pt', '0', '--format', 'arm-s1']),
            ('not an ELF file; a raw dump needs', [raw, 'ste', '0']), ('No such file', [work + '/none', 'ste', '0']),
            ('Is a directory', [work, 'ste', '0']), ('not a regular file', ['/dev/null', 'ste', '0']),
            ('beyond 2\\^64', ['--base', '0xfffffffffffff000', raw, 'ste', '0'])]:
        uiommu.refuses(pattern, 'decode', *args)
    uiommu.refuses('which dump', 'decode', raw, 'ste', alone=True)


def hostile(work):
    path = work + '/hostile'
    good = elf([(BASE, bytes(4096))])
    # Headers cut at each length, each byte of them wrong in turn.
    for n in list(range(0, 130, 7)) + [64 + 55, 64 + 56]:
        open(path, 'wb').write(good[:n])
        uiommu.survives('cut at %d' % n, 'decode', path, 'ste', hex(BASE))
    for n in range(16, 120, 3):
        open(path, 'wb').write(good[:n] + b'\xff' + good[n + 1:])
        uiommu.survives('byte %d is 0xff' % n, 'decode', path, 'ste', hex(BASE))
    # 65536 program headers, said by a section header.
    many = bytearray(good)
    many[56:58] = b'\xff\xff'
    many[40:48] = struct.pack('<Q', len(good))
    open(path, 'wb').write(bytes(many) + struct.pack('<IIQQQQIIQQ', 0, 0, 0, 0, 0, 0, 0, 0xffffffff, 0, 0))
    err = uiommu.survives('too many headers', 'decode', path, 'ste', hex(BASE))
    if b'makes no sense' not in err:
        fail('too many headers: ' + err.decode())
    # Every descriptor of a first level leads to the same second level: without an end, 2^32 entries.
    page = b''.join(ste(V=1, Config=5, S1Fmt=1, S1CDMax=20, S1ContextPtr=BASE, SHCFG=i & 3, S2VMID=i) for i in range(1024))
    open(path, 'wb').write(struct.pack('<Q', BASE + 0x80000 | 11) * 0x10000 + page)
    err = uiommu.survives('all descriptors alike', 'decode', '--base', hex(BASE), path, 'strtab', hex(BASE), '--log2size', '26', '--split', '10',
                          '--cds')
    if b'more entries than can be shown' not in err:
        fail('all descriptors alike: ' + err.decode())
    # A page table that is all of its own entries.
    open(path, 'wb').write(struct.pack('<Q', BASE | 0x67) * 512)
    err = uiommu.survives('a table that leads to itself', 'decode', '--base', hex(BASE), path, 'pt', hex(BASE), '--format', 'x86-64')
    if b'more entries than can be shown' not in err:
        fail('a table that leads to itself: ' + err.decode())
    # Random bytes, read as anything.
    seed = 20261121
    print('seed %d' % seed)
    rnd = random.Random(seed)
    for n in range(40):
        open(path, 'wb').write(random_words(rnd))
        what = rnd.choice(('strtab', 'ste', 'cdtab', 'cd', 'cmdq', 'eventq', 'priq'))
        args = ['--base', hex(BASE), path, what, hex(BASE + (rnd.getrandbits(12) & ~63)), '--log2size', str(rnd.randrange(12)), '--cds',
                '--s1cdmax', str(rnd.randrange(15)), '--s1fmt', rnd.choice(('linear', '4k', '64k'))]
        args += rnd.choice(([], ['--split', '6'], ['--split', '10']))
        args += rnd.choice(([], ['--all'], ['--json'], ['--idr', ','.join(str(rnd.getrandbits(32)) for _ in range(6))]))
        uiommu.survives('random %d: %s' % (n, args), 'decode', *args)
        start = rnd.getrandbits(47)
        args = ['--base', hex(BASE), path, 'pt', hex(BASE + (rnd.getrandbits(12) & ~63)), '--format',
                rnd.choice(('arm-s1', 'arm-s2', 'x86-64', 'vtd-ss')), '--start', hex(start), '--last', hex(start + 0x7ffffff)]
        uiommu.survives('random tables %d: %s' % (n, args), 'decode', *args)


with tempfile.TemporaryDirectory() as work:
    golden(work)
    refused(work)
    hostile(work)
uiommu.end('decode')
