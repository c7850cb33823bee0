#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Domains of our SMMUv3's driver half on QEMU's SMMUv3: its structures and tables in that machine's memory, and DMA arrives
where the domains say. See docs/conformance.md.

domains.py [--seed N] -- DOMAINS QEMU...   DOMAINS is smmuv3-domains
"""
import argparse
import os
import subprocess
import sys

import cases
import machine
from oracle import CR0, CMDQ_BASE, STRTAB_BASE, STRTAB_CFG


def fit(ste):
    """QEMU has 44 bits of IPA and no wish for more: the same table serves fewer."""
    word = int.from_bytes(ste[16:24], 'little')
    if ste[0] >> 1 & 7 == 6 and word >> 32 & 63 == 64 - 48:
        word = word & ~(63 << 32) | 64 - cases.OAS << 32
    return ste[:16] + word.to_bytes(8, 'little') + ste[24:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=int.from_bytes(os.urandom(4), 'little'))
    parser.add_argument('domains')
    parser.add_argument('qemu', nargs='+')
    args = parser.parse_args()
    print('seed %d' % args.seed)
    output = subprocess.run([args.domains, str(args.seed)], stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line.split() for line in output.splitlines()]
    regs = {int(line[1], 16): int(line[3], 16) for line in lines if line[0] == 'r'}
    stes = [(regs[STRTAB_BASE] & 0xfffffffffffc0) + 64 * sid for sid in cases.SIDS]
    qemu = machine.Machine(args.qemu, cases.RAM_END - 0x40000000, cases.SIDS)
    for line in lines:
        if line[0] == 'w':
            pa, data = int(line[1], 16), bytes.fromhex(line[2])
            qemu.write_bytes(pa, fit(data) if pa in stes else data)
    qemu.set_reg(machine.EVENTQ_BASE, 8, cases.EVENTQ | cases.EVENTQ_LG2)
    qemu.set_reg(CMDQ_BASE, 8, cases.CMDQ | cases.CMDQ_LG2)
    for offset, value in regs.items():
        qemu.set_reg(offset, 8 if offset == STRTAB_BASE else 4, value)
    qemu.set_reg(CR0, 4, 0xd)
    good = total = arrived = 0
    for line in lines:
        if line[0] != 'e':
            continue
        sid, iova, *pa = (int(x, 16) for x in line[1:])
        result = qemu.access(sid, iova, pa[0] if pa else cases.DATA)
        while qemu.take_event():
            pass
        total += 1
        arrived += bool(pa)
        if result == (machine.WRITTEN if pa else machine.REFUSED):
            good += 1
        else:
            print('sid %x iova %x: result %x, domain says %s' % (sid, iova, result, '%x' % pa[0] if pa else 'nothing'))
    qemu.close()
    print('%d of them arrive' % arrived)
    print('accesses: %d/%d' % (good, total))
    sys.exit(good < total or arrived < total / 2)


if __name__ == '__main__':
    main()
