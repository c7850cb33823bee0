#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random tables and accesses through QEMU's SMMUv3 and ours: the same address, or the same event. See docs/conformance.md.

oracle.py [--seed N] [--cases N] -- REPLAY QEMU...   REPLAY is smmuv3-replay, QEMU the command that starts it
"""
import argparse
import collections
import os
import random
import subprocess
import sys
import tempfile

import cases
import machine

EVENTS = {0x02: 'C_BAD_STREAMID', 0x03: 'F_STE_FETCH', 0x04: 'C_BAD_STE', 0x09: 'F_CD_FETCH', 0x0a: 'C_BAD_CD', 0x0b: 'F_WALK_EABT',
          0x10: 'F_TRANSLATION', 0x11: 'F_ADDR_SIZE', 0x12: 'F_ACCESS', 0x13: 'F_PERMISSION'}
CR0, CR1, CR2, STRTAB_BASE, STRTAB_CFG, CMDQ_BASE = 0x20, 0x28, 0x2c, 0x80, 0x88, 0x90
LEAST = 50  # of each event


def plan(rng, n_cases):
    """The cases, as steps: ('w', pa, bytes), ('r', offset, size, value), ('t', sid, address, case)."""
    image, prod = cases.Image(), 0
    yield 'r', machine.EVENTQ_BASE, 8, cases.EVENTQ | cases.EVENTQ_LG2
    yield 'r', CMDQ_BASE, 8, cases.CMDQ | cases.CMDQ_LG2
    yield 'r', CR1, 4, 0xd75
    yield 'r', CR2, 4, 2
    spoils = [None] * 9 + ['ste', 'ste', 'cd', 'cd', 'no_ste', 'no_cd', 'cd_hole', 'config', 'ste_hole', 'sid',
                          'root_hole']
    for number in range(n_cases):
        spoil = spoils[number % len(spoils)]
        kind = ('s1', 's2', 'nested')[number // len(spoils) % 3]
        if kind == 's2' and spoil in ('cd', 'no_cd', 'cd_hole'):
            kind = 's1'
        granules = rng.choice((12, 14, 16)), rng.choice((12, 14, 16))
        # QEMU does not go back from two levels to one.
        case = cases.Case(rng, image, kind, spoil, granules, number >= n_cases // 2,
                          8 if spoil in ('ste', 'cd') else 4 if spoil else 40)
        base, cfg = case.stream_table()
        yield 'r', CR0, 4, 0xc
        yield 'r', STRTAB_BASE, 8, base
        yield 'r', STRTAB_CFG, 4, cfg
        yield 'r', CR0, 4, 0xd
        # CFGI_ALL, TLBI_NSNH_ALL, CMD_SYNC.
        for words in ((4, 31), (0x30, 0), (0x46, 0)):
            image.put(cases.CMDQ + 16 * (prod % (1 << cases.CMDQ_LG2)), words)
            prod = (prod + 1) % (2 << cases.CMDQ_LG2)
        for pa, data in image.runs():
            yield 'w', pa, data
        yield 'r', machine.CMDQ_PROD, 4, prod
        for iova in case.accesses:
            yield 't', case.sid, iova, case
        for pa in (cases.LINEAR + 64 * case.sid, cases.LEVEL2 + 64 * case.sid):
            image.put(pa, [0] * 8)
        for i in range(4):
            image.put(cases.LEVEL1 + 8 * i, [0])


def replay(program, idr, steps):
    """What ours says to each access: ('pa', address), ('abort',) or ('event', words)."""
    with tempfile.TemporaryFile('w+') as script:
        script.write('ram 40000000 %x\nidr %s\n' % (cases.RAM_END - 0x40000000, ' '.join('%x' % x for x in idr)))
        for step in steps:
            if step[0] == 'w':
                script.write('w %x %s\n' % (step[1], step[2].hex()))
            else:
                script.write('%s %s\n' % (step[0], ' '.join('%x' % x for x in step[1:] if isinstance(x, int))))
        script.seek(0)
        output = subprocess.run([program], stdin=script, stdout=subprocess.PIPE, text=True, check=True).stdout
    answers = []
    for line in output.splitlines():
        words = line.split()
        numbers = [int(x, 16) for x in words[1:]]
        answers.append((words[0], numbers) if words[0] == 'event' else (words[0], *numbers))
    return answers


def theirs(qemu, sid, iova, ours):
    """What QEMU does with an access: as above, ('elsewhere',) if the bytes are not where ours has them."""
    result = qemu.access(sid, iova, ours[1] if ours[0] == 'pa' else cases.DATA)
    if result == machine.WRITTEN:
        return 'pa', ours[1] if ours[0] == 'pa' else cases.DATA
    if result != machine.REFUSED:
        return ('elsewhere',)
    event = qemu.take_event()
    return ('event', event) if event else ('abort',)


# ---- Where QEMU is known to differ: docs/conformance.md says why it is QEMU. case, address, ours, theirs as words or as they are.

CD, TT, RNW, S2 = 0, 1, 1 << 35, 1 << 39


def of_class(event, number):
    return 0x0b <= event[0] & 0xff <= 0x13 and event[1] >> 40 & 3 == number


def ipa_of_fault(case, iova, ours, theirs):
    """Bits 11:0 of an IPA are in the record."""
    if 0x10 <= theirs[0] & 0xff <= 0x13:
        theirs[3] &= ~0xfff


def cd_fetch_address(case, iova, ours, theirs):
    """The address of F_CD_FETCH is in the wrong word."""
    if theirs[0] & 0xff == 0x09 and not theirs[3]:
        theirs[2:] = 0, theirs[2]


def read_of_structure(case, iova, ours, theirs):
    """A fault on the way to a CD or a first table says that the access was a read."""
    if of_class(theirs, CD) or (of_class(theirs, TT) and theirs[1] & S2):
        theirs[1] &= ~RNW


def table_of_stage_1(case, iova, ours, theirs):
    """A fault of stage 2 for a table of stage 1 is said to be of stage 1, and where the table begins, not where the entry is."""
    if of_class(theirs, TT) and of_class(ours, TT) and ours[0] == theirs[0] and ours[1] & S2 and case.kind == 'nested':
        size = 1 << max(t.granule for t in case.s1 if t)
        if theirs[0] & 0xff != 0x0b and ours[3] // size == theirs[3] // size:
            theirs[1], theirs[3] = theirs[1] | S2, ours[3]


def record_of_stage_1(case, iova, mine, other):
    """And so CD.R decides whether it is recorded, not STE.S2R."""
    event = mine[1] if other == ('abort',) else other[1] if mine == ('abort',) else None
    return case.kind == 'nested' and case.tags & {'CD.R', 'STE.S2R'} and event is not None and of_class(event, TT)


SAME_EVENT = [ipa_of_fault, cd_fetch_address, read_of_structure, table_of_stage_1]


def cd_field(case, name):
    word, low, bits = cases.CD_FIELDS[name]
    return case.cd[word] >> low & (1 << bits) - 1


# A case whose tables are read in another shape than they were made.
RESHAPED = {'CD.T0SZ', 'CD.T1SZ', 'CD.TG0', 'CD.TG1', 'STE.S2T0SZ', 'STE.S2TG', 'STE.S2SL0'}

OTHER_OUTCOME = {
    'first of tables side by side': lambda case, iova, mine, other: case.s2 and case.side_by_side(iova),
    'TBI0 for both halves': lambda case, iova, mine, other:
        case.kind != 's2' and iova >> 55 & 1 and iova >> 56 != 0xff and cd_field(case, 'TBI0') != cd_field(case, 'TBI1'),
    'record of a table of stage 1': record_of_stage_1,
    'begin of a table for its entries': lambda case, iova, mine, other:
        case.kind == 'nested' and case.tags & RESHAPED and
        any(answer[0] == 'event' and of_class(answer[1], TT) for answer in (mine, other)),
    'blocks at every level': lambda case, iova, mine, other:
        case.tags & RESHAPED and type_of(mine) == 'F_TRANSLATION',
    'first tables at once': lambda case, iova, mine, other:
        'first table' in case.tags and other[0] == 'event' and of_class(other[1], TT),
    'table beyond the address size': lambda case, iova, mine, other:
        case.tags & ({'table beyond', 'STE.S2PS', 'CD.IPS'} | RESHAPED) and
        (type_of(mine) == 'F_ADDR_SIZE' or (mine == ('abort',) and case.tags & {'CD.R', 'STE.S2R'})),
    'address size after rights': lambda case, iova, mine, other:
        type_of(mine) == 'F_ADDR_SIZE' and type_of(other) in ('F_ACCESS', 'F_PERMISSION'),
    'rights of a table before its entries': lambda case, iova, mine, other:
        'table rights' in case.tags and type_of(mine)[:2] == 'F_' and type_of(other) == 'F_PERMISSION',
    'no record of an address beyond the IAS': lambda case, iova, mine, other:
        type_of(mine) == 'F_ADDR_SIZE' and other == ('abort',) and iova >> cases.OAS and not mine[1][1] & S2,
    'S1CDMax without SubstreamIDs': lambda case, iova, mine, other: 'STE.S1CDMax' in case.tags and type_of(other) == 'C_BAD_STE',
    'S2HA and S2HD are not looked at': lambda case, iova, mine, other:
        case.tags & {'STE.S2HA', 'STE.S2HD'} and type_of(mine) == 'C_BAD_STE',
    'S2SL0 for more bits than S2T0SZ': lambda case, iova, mine, other:
        case.tags & {'STE.S2SL0', 'STE.S2T0SZ', 'STE.S2TG'} and type_of(mine) == 'C_BAD_STE',
    'S1STALLD without stage 1': lambda case, iova, mine, other:
        'STE.S1STALLD' in case.tags and case.kind == 's2' and type_of(other) == 'C_BAD_STE',
    'S2T0SZ against S2PS': lambda case, iova, mine, other: case.tags & {'STE.S2PS', 'STE.S2T0SZ'} and type_of(other) == 'C_BAD_STE',
    'S1ContextPtr beyond the OAS': lambda case, iova, mine, other:
        'STE.S1ContextPtr' in case.tags and
        (type_of(mine), type_of(other)) in (('C_BAD_STE', 'F_CD_FETCH'), ('F_TRANSLATION', 'abort')),
    'span of an L1STD': lambda case, iova, mine, other:
        'stream table' in case.tags and case.two_level and type_of(mine) == 'C_BAD_STREAMID',
}


def type_of(answer):
    return EVENTS.get(answer[1][0] & 0xff, '?') if answer[0] == 'event' else answer[0]


def explain(case, iova, mine, other):
    """'' when they agree, the name of a known difference, or None."""
    if mine == other:
        return ''
    if mine[0] == other[0] == 'event':
        for rule in SAME_EVENT:
            words = list(other[1])
            rule(case, iova, mine[1], words)
            if words == mine[1]:
                return rule.__name__
        words = list(other[1])
        for rule in SAME_EVENT:
            rule(case, iova, mine[1], words)
        if words == mine[1]:
            return 'several of them'
    return next((name for name, rule in OTHER_OUTCOME.items() if rule(case, iova, mine, other)), None)


def say(answer):
    if answer[0] == 'event':
        return '%s %s' % (EVENTS.get(answer[1][0] & 0xff, '?'), ' '.join('%x' % x for x in answer[1]))
    return ' '.join(x if isinstance(x, str) else '%x' % x for x in answer)


class Tally:
    def __init__(self):
        self.outcomes, self.explained, self.differences = collections.Counter(), collections.Counter(), collections.Counter()
        self.stages = collections.Counter()

    def add(self, step, mine, other):
        _, sid, iova, case = step
        self.outcomes[type_of(mine)] += 1
        granules = [s.granule for s in case.s1 if s and s is case.s1[iova >> 55 & 1]] if case.kind != 's2' else []
        granules += [case.s2.granule] if case.s2 else []
        self.stages[case.kind, '/'.join('%dK' % (1 << g - 10) for g in granules), mine[0] == 'pa'] += 1
        why = explain(case, iova, mine, other)
        if why:
            self.explained[why] += 1
        elif why is None:
            self.differences[type_of(mine), type_of(other)] += 1
            if self.differences[type_of(mine), type_of(other)] <= 5:
                print('DIFFERENCE: %s %s sid %x iova %x: ours %s, theirs %s' % (
                    case.kind, ', '.join(case.tags) or case.spoil, sid, iova, say(mine), say(other)))

    def report(self):
        """True: enough of everything was seen, and nothing that nobody explains."""
        n, ok = sum(self.outcomes.values()), True
        for name, count in self.outcomes.most_common():
            print('%6d %s' % (count, name))
        for kind, granules in sorted({key[:2] for key in self.stages if key[1]}):
            good, bad = self.stages[kind, granules, True], self.stages[kind, granules, False]
            print('%6d of %5d accesses get through %s %s' % (good, good + bad, kind, granules))
        for name, count in self.explained.most_common():
            print('%6d differ as docs/conformance.md explains: %s' % (count, name))
        for name in EVENTS.values():
            if self.outcomes[name] < LEAST:
                print('only %d %s, not %d' % (self.outcomes[name], name, LEAST))
                ok = False
        if self.outcomes['pa'] < 0.4 * n:
            print('less than 40 % get through')
            ok = False
        for kind, n_granules in (('s1', 3), ('s2', 3), ('nested', 9)):
            if sum(1 for key in self.stages if key[0] == kind and key[2] and key[1].count('/') == (kind == 'nested')) < n_granules:
                print('not every granule of %s was seen' % kind)
                ok = False
        return ok and not self.differences


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=int.from_bytes(os.urandom(4), 'little'))
    parser.add_argument('--cases', type=int, default=720)
    parser.add_argument('replay')
    parser.add_argument('qemu', nargs='+')
    args = parser.parse_args()
    print('seed %d' % args.seed)
    steps = list(plan(random.Random(args.seed), args.cases))
    qemu = machine.Machine(args.qemu, cases.RAM_END - 0x40000000, cases.SIDS)
    ours = iter(replay(args.replay, qemu.idr(), steps))
    tally = Tally()
    for step in steps:
        if step[0] == 'w':
            qemu.write_bytes(step[1], step[2])
        elif step[0] == 'r':
            qemu.set_reg(*step[1:])
        else:
            mine = next(ours)
            tally.add(step, mine, theirs(qemu, step[1], step[2], mine))
    qemu.close()
    ok, n = tally.report(), sum(tally.outcomes.values())
    print('accesses: %d/%d' % (n - sum(tally.differences.values()), n))
    sys.exit(not ok)


if __name__ == '__main__':
    main()
