#!/usr/bin/env python3
"""uiommu walk against golden files: walk.py UIOMMU MANY EXPECTED [--update]

The tables of walk_machine() are written from the specifications' numbers (Arm IHI 0070, Arm ARM D8); each case says by itself how the
access ends and which field is why, and its text is compared with EXPECTED/walk-NAME.txt (some with .json); --update as in golden.py. Then
dumps that mean harm: each must end in an answer or in one line on stderr."""
import json
import random
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
from machine import BASE, FAR, HIGH, NESTED, S2PAGE, S2TTB, SPLIT, STRTAB, VA, Commands, Tables, elf, random_words, walk_machine

uiommu = Commands(*sys.argv[1:4])

# name: (arguments, outcome or event, field, stage)
CASES = {
    's1': ('2 VA', 'translated'),
    's1-block': ('2 0x40123456 --access w', 'translated'),
    's1-ro': ('2 0x12345678a008 --access w', 'F_PERMISSION', 'AP', 1),
    's1-no-access-flag': ('2 0x12345678b000', 'F_ACCESS', 'AF', 1),
    's1-privileged-page': ('2 0x12345678c000', 'F_PERMISSION', 'AP', 1),
    's1-privileged': ('2 0x12345678c000 --access r,priv', 'translated'),
    's1-fetch': ('2 0x12345678d000 --access x', 'translated'),
    's1-no-fetch': ('2 VA --access x', 'F_PERMISSION', 'UXN', 1),
    's1-no-privileged-fetch': ('2 VA --access x,priv', 'F_PERMISSION', 'PXN', 1),
    's1-user-writes': ('2 0x12345678d000 --access x,priv', 'F_PERMISSION', 'AP', 1),
    's1-address-size': ('2 0x123456790000 --ssid 6', 'F_ADDR_SIZE', 'IPS', 1),
    's1-block-at-level-3': ('2 0x123456791000', 'F_TRANSLATION', 'Type', 1),
    's1-block-at-level-0': ('2 0x7e0000000000', 'F_TRANSLATION', 'Type', 1),
    's1-unmapped': ('2 0x123456600000', 'F_TRANSLATION', 'Valid', 1),
    's1-beyond': ('2 0x1000000000000', 'F_TRANSLATION', 'T0SZ', 1),
    's1-table-not-there': ('2 0x7f0000000000', 'F_WALK_EABT', None, 1),
    's1-aptable-user': ('2 0x600000000000', 'F_PERMISSION', 'APTable', 1),
    's1-aptable-ro': ('2 0x600000000000 --access w,priv', 'F_PERMISSION', 'APTable', 1),
    's1-pxntable': ('2 0x600000000000 --access x,priv', 'F_PERMISSION', 'PXNTable', 1),
    's1-upper': ('2 HIGH', 'translated'),
    's1-upper-beyond': ('2 0xffff800000201000', 'F_TRANSLATION', 'T1SZ', 1),
    's1-neither-half': ('2 0xff7fff8000201000', 'F_TRANSLATION', 'T0SZ', 1),
    's1-ssid': ('2 VA --ssid 1 --all', 'translated'),
    's1-marks': ('2 0x12345678e000 --ssid 1 --access w', 'translated'),
    's1-top-byte': ('2 0xab00123456789000 --ssid 1', 'translated'),
    's1-upper-disabled': ('2 HIGH --ssid 1', 'F_TRANSLATION', 'EPD1', 1),
    's1-64k': ('2 0x12345678 --ssid 2', 'translated'),
    's1-64k-block': ('2 0x20345678 --ssid 2 --access w', 'translated'),
    's1-quiet': ('2 0x12345678 --ssid 4', 'F_TRANSLATION', 'Valid', 1),
    's1-ips': ('2 0x100000000 --ssid 4', 'F_TRANSLATION', 'T0SZ', 1),
    'cd-illegal': ('2 VA --ssid 3', 'C_BAD_CD', 'TTB0', 0),
    'cd-not-valid': ('2 VA --ssid 5', 'C_BAD_CD', 'V', 0),
    'cd-not-there': ('9 VA', 'F_CD_FETCH', None, 0),
    'ssid-beyond': ('2 VA --ssid 8', 'C_BAD_SUBSTREAMID', 'S1CDMax', 0),
    'ssid-0': ('2 VA --ssid 0', 'F_STREAM_DISABLED', 'S1DSS', 0),
    'ssid-none': ('8 VA', 'F_STREAM_DISABLED', 'S1DSS', 0),
    'ssid-no-stage-1': ('1 VA --ssid 1', 'C_BAD_SUBSTREAMID', 'Config', 0),
    'bypass': ('1 0x40070000', 'bypass'),
    'bypass-beyond': ('1 0x10000000000000', 'F_ADDR_SIZE', 'OAS', 1),
    'abort': ('6 VA', 'abort', 'Config'),
    'ste-not-valid': ('7 VA', 'C_BAD_STE', 'V', 0),
    'ste-illegal': ('5 VA', 'C_BAD_STE', 'S1CDMax', 0),
    'sid-beyond': ('16 VA', 'C_BAD_STREAMID', 'LOG2SIZE', 0),
    's2': ('3 0x140001008 --access x', 'translated'),
    's2-unmapped': ('3 0x6000 --access w', 'F_TRANSLATION', 'Valid', 2),
    's2-ro': ('3 0x7000 --access w,priv', 'F_PERMISSION', 'S2AP', 2),
    's2-no-access-flag': ('3 0xa000', 'F_ACCESS', 'AF', 2),
    's2-beyond': ('3 0x8000000000', 'F_TRANSLATION', 'S2T0SZ', 2),
    's2-concatenated': ('10 0x18000001abc', 'translated'),
    's2-quiet': ('12 0x6000', 'F_TRANSLATION', 'Valid', 2),
    'nested': ('4 VA --ssid 1 --access w', 'F_ACCESS', 'AF', 2),
    'nested-bypass-s1': ('4 0x5010', 'translated'),
    'nested-l1cd-not-valid': ('4 VA --ssid 64', 'C_BAD_SUBSTREAMID', 'V', 0),
    'nested-s2-marks': ('13 0x12345678c000 --ssid 2', 'translated'),
    'nested-cd-unmapped': ('11 VA', 'F_TRANSLATION', 'Valid', 2),
}
# With NESTED's page mapped for access in stage 2.
NESTED_CASES = {
    'nested-s1': ('4 VA --ssid 1 --access w', 'translated'),
    'nested-unmapped': ('4 0x12345678a000 --ssid 1', 'F_TRANSLATION', 'Valid', 2),
    'nested-ro': ('4 0x12345678b000 --ssid 1 --access w', 'F_PERMISSION', 'S2AP', 2),
    'nested-marks': ('4 0x12345678c000 --ssid 2', 'translated'),
    'nested-table-unmapped': ('4 0x1000 --ssid 1', 'F_TRANSLATION', 'Valid', 2),
    'nested-table-in-device-memory': ('4 0x8000000000 --ssid 1', 'F_PERMISSION', 'MemAttr', 2),
}
SPLIT_CASES = {
    'split': ('65 VA', 'translated'),
    'split-span': ('66 VA', 'C_BAD_STREAMID', 'Span', 0),
    'split-no-span': ('1 VA', 'C_BAD_STREAMID', 'Span', 0),
    'split-reserved-span': ('128 VA', 'C_BAD_STREAMID', 'Span', 0),
    'split-not-there': ('192 VA', 'F_STE_FETCH', None, 0),
}


def check(name, dump, where, case):
    line, outcome, *why = case
    sid, va, *rest = line.replace('VA', hex(VA)).replace('HIGH', hex(HIGH)).split()
    args = ['walk'] + dump + where + ['--sid', sid, '--iova', va] + rest
    refused = outcome not in ('translated', 'bypass')
    status, out, err = uiommu.run(*args)
    if status != (2 if refused else 0) or err:
        uiommu.fail('%s: status %d, "%s"' % (name, status, err.decode()))
    uiommu.compare('walk-%s.txt' % name, out)
    status, out, err = uiommu.run(*args, '--json')
    result = json.loads(out)['result']
    got = [result.get('name', result['outcome']), result.get('field'), result.get('stage')]
    if got[:1 + len(why)] != [outcome] + why:
        uiommu.fail('%s: %s, wanted %s' % (name, got, case))
    if name in ('s1-marks', 'nested-s1', 'nested-table-unmapped', 'split'):
        uiommu.compare('walk-%s.json' % name, out)
        if uiommu.run_alone(*args, '--json') != (status, out, err):
            uiommu.fail(name + ': the command itself differs')
    return result


def golden(work):
    mem = walk_machine()
    raw, core = work + '/raw', work + '/core'
    open(raw, 'wb').write(mem.bytes)
    cuts = [0, 0x1090, 0x3020, 0x41004, len(mem.bytes)]
    open(core, 'wb').write(elf([(BASE + a, bytes(mem.bytes[a:b])) for a, b in zip(cuts, cuts[1:])]))
    for name, case in CASES.items():
        for dump in [core], ['--base', hex(BASE), raw]:
            check(name, dump, [hex(STRTAB), '--log2size', '4'], case)
    for name, case in SPLIT_CASES.items():
        check(name, [core], [hex(SPLIT), '--cfg', hex(1 << 16 | 6 << 6 | 8)], case)
        check(name, [core], [hex(SPLIT), '--log2size', '8', '--split', '6'], case)
    if open(raw, 'rb').read() != mem.bytes:
        uiommu.fail('the dump was changed')
    Tables(mem, S2TTB, 0, top=1).map(NESTED + FAR, NESTED | S2PAGE)
    open(raw, 'wb').write(mem.bytes)
    for name, case in NESTED_CASES.items():
        check(name, ['--base', hex(BASE), raw], [hex(STRTAB), '--log2size', '4'], case)
    values(raw)


def values(raw):
    """What a program would ask the JSON: events bit by bit (7.3), and an SMMU that can do less."""
    run = lambda *args: json.loads(uiommu.run('walk', '--json', '--base', hex(BASE), raw, hex(STRTAB), '--log2size', '4', *args)[1])
    got = run('--sid', '4', '--iova', '0x1000', '--ssid', '1', '--access', 'w,priv')['result']['event']['words']
    # F_TRANSLATION, SSV, SubstreamID 1, StreamID 4; PnU, S2, CLASS TT; InputAddr; IPA.
    want = ['0x400001810', '0x18200000000', '0x1000', '0x8000000']
    if got != want:
        uiommu.fail('event: %s, wanted %s' % (got, want))
    # An SMMU without 4K granules.
    got = run('--sid', '2', '--iova', hex(VA), '--idr', '0x0d44101a,0x02730010,0,0x1404,0,0x64')['result']
    if (got.get('name'), got.get('field')) != ('C_BAD_CD', 'TG0'):
        uiommu.fail('with --idr: %s' % got)


def refused(work):
    based = ['walk', '--base', hex(BASE), work + '/raw']
    for pattern, args in [
            ('which dump', []), ('which dump', [hex(STRTAB)][:0]), ('needs --sid and --iova', [hex(STRTAB), '--sid', '1']),
            ('"zz" is not an address', ['zz', '-s', '1', '-i', '1']), ('one or the other', [hex(STRTAB), '--cfg', '4', '--log2size', '4']
                                                                       + ['-s', '1', '-i', '1']),
            ('split at 6, 8 or 10', [hex(STRTAB), '--split', '7']), ('from 0 to 1048575', [hex(STRTAB), '--ssid', '0x100000']),
            ('unknown access "rw"', [hex(STRTAB), '--access', 'rw']), ('not six numbers', [hex(STRTAB), '--idr', '1']),
            ('from 0 to 4294967295', [hex(STRTAB), '--sid', '0x100000000'])]:
        uiommu.refuses(pattern, *based, *args)
    uiommu.refuses('not an ELF', 'walk', work + '/raw', '0', '-s', '0', '-i', '0')
    uiommu.refuses('No such file', 'walk', work + '/none', '0', '-s', '0', '-i', '0', alone=True)


def hostile(work):
    path = work + '/hostile'
    seed = 20261122
    print('seed %d' % seed)
    rnd = random.Random(seed)
    # Random memory; then a good machine with random words in it, and tables that lead to themselves.
    good = walk_machine().bytes
    for n in range(200):
        mem = bytearray(random_words(rnd) if n % 4 == 0 else good)
        for _ in range(0 if n % 4 == 0 else 40):
            at = rnd.randrange(len(mem) // 8) * 8 if n % 2 else rnd.choice((0x1000, 0x3000, 0x4000, 0x10000, 0x30000, 0x40000)) + rnd.randrange(
                64) * 8
            mem[at:at + 8] = struct.pack('<Q', rnd.choice((rnd.getrandbits(64), (BASE + (rnd.getrandbits(19) & ~0xfff)) | 3,
                                                           struct.unpack('<Q', mem[at:at + 8])[0] ^ 1 << rnd.randrange(64))))
        open(path, 'wb').write(mem)
        args = ['--base', hex(BASE), path, hex(rnd.choice((BASE, STRTAB, SPLIT))), '--cfg', hex(rnd.choice((4, 0x10188, rnd.getrandbits(18)))),
                '--sid', str(rnd.choice((rnd.randrange(13), 65))), '--iova', hex(rnd.choice((VA, 0x5000, HIGH, rnd.getrandbits(64)))),
                '--access', rnd.choice(('r', 'w', 'x', 'r,priv', 'w,priv', 'x,priv'))]
        args += rnd.choice(([], ['--ssid', str(rnd.randrange(5))])) + rnd.choice(([], ['--all'], ['--json']))
        args += rnd.choice(([], [], ['--idr', ','.join(str(rnd.getrandbits(32)) for _ in range(6))]))
        uiommu.survives('random %d: %s' % (n, args), 'walk', *args)


with tempfile.TemporaryDirectory() as work:
    golden(work)
    refused(work)
    hostile(work)
uiommu.end('walk')
