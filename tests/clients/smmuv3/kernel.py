#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots a stock arm64 kernel behind QEMU's SMMUv3, stops it when it is quiet, and has our device half walk what the kernel's driver
left in memory: every mapping that the kernel's trace says is live is there, and nothing else. See docs/conformance.md.

kernel.py REPLAY FOLDER VMLINUZ INITRAMFS QEMU...   FOLDER gets logs and the image of memory
"""
import collections
import json
import os
import re
import socket
import subprocess
import sys
import time

RAM, RAM_BYTES, SMMU = 0x40000000, 512 << 20, 0x09050000
DEVICES = {0x08: 'nvme', 0x10: 'e1000e'}
LIMIT = 150  # seconds
CR0, STRTAB_BASE, STRTAB_CFG = 0x20, 0x80, 0x88


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.file = self.socket.makefile('rw')
        self.file.readline()
        self('qmp_capabilities')

    def __call__(self, command, **arguments):
        self.file.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if 'error' in answer:
                raise RuntimeError(answer['error']['desc'])
            if 'return' in answer:
                return answer['return']

    def word(self, addr, size):
        """Of a device's register: the guest's view, without a processor."""
        text = self('human-monitor-command', **{'command-line': 'xp /1x%s 0x%x' % ({4: 'w', 8: 'g'}[size], addr)})
        return int(text.split()[1], 0)


def boot(folder, vmlinuz, initramfs, qemu):
    """Runs the guest until it is quiet: ID registers, stream table registers and the console's text. Memory is in a file."""
    disk, console, memory = (os.path.join(folder, name) for name in ('smmuv3.img', 'smmuv3-kernel.log', 'smmuv3-memory'))
    with open(disk, 'wb') as file:
        file.truncate(32 << 20)
    sock = 'smmuv3-qmp'  # relative: the path of a socket has a limit
    for path in (console, os.path.join(folder, sock)):
        if os.path.exists(path):
            os.unlink(path)
    process = subprocess.Popen(qemu + [
        '-machine', 'virt,gic-version=3,iommu=smmuv3', '-cpu', 'cortex-a57', '-accel', 'tcg', '-m', '%dM' % (RAM_BYTES >> 20),
        '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'file:' + os.path.abspath(console),
        '-qmp', 'unix:%s,server=on,wait=off' % sock,
        '-kernel', os.path.abspath(vmlinuz), '-initrd', os.path.abspath(initramfs),
        '-append', 'console=ttyAMA0 panic=-1 oops=panic quiet iommu.passthrough=0 iommu.strict=1 '
                   'trace_event=iommu:map,iommu:unmap trace_buf_size=4M',
        '-drive', 'file=%s,format=raw,if=none,id=disk' % os.path.abspath(disk), '-device', 'nvme,serial=1,drive=disk,addr=1',
        '-device', 'e1000e,addr=2,romfile=',
    ], cwd=folder)
    try:
        for _ in range(LIMIT * 5):
            text = open(console, errors='replace').read() if os.path.exists(console) else ''
            if 'guest: quiet' in text:
                break
            if process.poll() is not None:
                sys.exit('the guest has ended, see ' + console)
            time.sleep(0.2)
        else:
            sys.exit('the guest is not quiet after %d s, see %s' % (LIMIT, console))
        os.chdir(folder)
        monitor = Monitor(sock)
        monitor('stop')
        idr = [monitor.word(SMMU + 4 * i, 4) for i in range(6)]
        base = monitor.word(SMMU + STRTAB_BASE, 4) | monitor.word(SMMU + STRTAB_BASE + 4, 4) << 32
        cfg, cr0 = monitor.word(SMMU + STRTAB_CFG, 4), monitor.word(SMMU + CR0, 4)
        monitor('pmemsave', val=RAM, size=RAM_BYTES, filename=memory)
    finally:
        process.kill()
        process.wait()
    if not cr0 & 1:
        sys.exit('the kernel does not use the SMMU')
    return idr, base, cfg, text, memory


def traced(text):
    """Pages that are mapped, {iova: (n, [pa, ...])}: by n devices, since a trace does not say whose, each to one of these pages;
    and how many events there were."""
    if 'LOST' in text:
        sys.exit('the trace has lost events')
    live, events = {}, 0
    for line in text.split('guest: trace')[1].splitlines():
        found = re.search(r' (un)?map: IOMMU: iova=0x(\w+) - 0x(\w+)(?: paddr=0x(\w+))? size=(\d+)(?: unmapped_size=(\d+))?', line)
        if not found:
            continue
        events += 1
        un, iova, _, pa, size, unmapped = found.groups()
        for offset in range(0, int(unmapped if un else size), 4096):
            at = int(iova, 16) + offset
            n, pas = live.get(at, (0, []))
            live[at] = (n - 1, pas) if un else (n + 1, pas + [int(pa, 16) + offset])
            if live[at][0] == 0:
                del live[at]
    return live, events


def walk(replay, idr, base, cfg, memory, live):
    """What our device half finds: leaves as {sid: {iova: pa}}, in pages, and what it says to each live page, per device."""
    script = ['file %x %x 0 %s' % (RAM, RAM_BYTES, memory), 'idr ' + ' '.join('%x' % x for x in idr),
              'r %x 8 %x' % (STRTAB_BASE, base), 'r %x 4 %x' % (STRTAB_CFG, cfg), 'r %x 4 1' % CR0]
    for sid in DEVICES:
        script.append('l %x' % sid)
        script += ['x %x %x' % (sid, iova) for iova in live]
    output = subprocess.run([replay], input='\n'.join(script), stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    leaves, looks, at = {}, {}, 0
    for sid in DEVICES:
        leaves[sid] = {}
        while not output[at].startswith('leaves'):
            _, iova, size, pa, _ = output[at].split()
            for offset in range(0, int(size, 16), 4096):
                leaves[sid][int(iova, 16) + offset] = int(pa, 16) + offset
            at += 1
        at += 1
        answers = output[at:at + len(live)]
        at += len(live)
        looks[sid] = {iova: int(answer.split()[1], 16) for iova, answer in zip(live, answers) if answer != 'none'}
    return leaves, looks


def main():
    replay, folder, vmlinuz, initramfs, *qemu = sys.argv[1:]
    replay = os.path.abspath(replay)
    idr, base, cfg, text, memory = boot(folder, vmlinuz, initramfs, qemu)
    live, events = traced(text)
    leaves, looks = walk(replay, idr, base, cfg, memory, live)
    os.unlink(memory)
    good, n_live, bad = 0, sum(n for n, _ in live.values()), 0
    for iova, (n, pas) in live.items():
        found = [looks[sid][iova] for sid in DEVICES if iova in looks[sid]]
        if len(found) == n and not collections.Counter(found) - collections.Counter(pas):
            good += n
        else:
            print('mapped %x to %s, found %s' % (iova, ' '.join('%x' % x for x in pas), ' '.join('%x' % x for x in found)))
    for sid, pages in leaves.items():
        stale = [iova for iova in pages if iova not in live]
        bad += len(stale)
        listed = ''.join(', %x not live' % x for x in stale[:5])
        print('stream %x (%s): %d pages in leaves%s' % (sid, DEVICES[sid], len(pages), listed))
        if not pages:
            bad += 1
    print('%d events, strtab %x, cfg %x' % (events, base, cfg))
    print('live pages: %d/%d' % (good, n_live))
    sys.exit(good < n_live or bad > 0 or events < 500)


if __name__ == '__main__':
    main()
