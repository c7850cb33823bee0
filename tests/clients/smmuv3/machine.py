# SPDX-License-Identifier: MIT
"""QEMU's SMMUv3 with iommu-testdev before it, driven over qtest: no guest code runs. See docs/conformance.md."""
import atexit
import base64
import os
import socket
import subprocess
import tempfile

SMMU, ECAM, BARS = 0x09050000, 0x4010000000, 0x10000000
IDR, EVENTQ_BASE, EVENTQ_PROD, EVENTQ_CONS, CMDQ_PROD = 0, 0xa0, 0x100a8, 0x100ac, 0x98
# iommu-testdev's registers.
TRIGGER, GVA, LEN, RESULT, DOORBELL, GPA = 0, 0x4, 0xc, 0x10, 0x14, 0x1c
WRITTEN, REFUSED, ELSEWHERE = 0, 0xdead0002, 0xdead0004


class Machine:
    """sids: of the devices, all of bus 0."""

    def __init__(self, qemu, ram_bytes, sids):
        self.ram, self.ram_bytes = 0x40000000, ram_bytes
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, 'qtest')
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        devices = [x for sid in sids for x in ('-device', 'iommu-testdev,addr=%x.%x' % (sid >> 3, sid & 7))]
        self.qemu = subprocess.Popen(
            qemu + ['-machine', 'virt,iommu=smmuv3', '-display', 'none', '-nodefaults', '-accel', 'qtest', '-qtest', 'unix:' + path,
                    '-qtest-log', '/dev/null', '-m', '%dM' % (ram_bytes >> 20), '-global', 'arm-smmuv3.stage=nested'] + devices,
            stdout=subprocess.DEVNULL)
        atexit.register(self.qemu.kill)
        listener.settimeout(60)
        self.socket = listener.accept()[0]
        self.socket.settimeout(60)
        self.file = self.socket.makefile('rb')
        listener.close()
        self.bars = {}
        for number, sid in enumerate(sids):
            self.bars[sid] = BARS + number * 0x1000
            self.write(ECAM + (sid << 12) + 0x10, 4, self.bars[sid])
            self.write(ECAM + (sid << 12) + 4, 4, 6)

    def close(self):
        self.socket.close()
        self.qemu.kill()
        self.qemu.wait()
        self.folder.cleanup()

    def send(self, *commands):
        """All at once, since a way to QEMU and back takes longer than what it does there. The answers."""
        self.socket.sendall(''.join(command + '\n' for command in commands).encode())
        answers = []
        while len(answers) < len(commands):
            words = self.file.readline().decode().split()
            if not words:
                raise RuntimeError('QEMU has ended')
            if words[0] == 'OK':
                answers.append(words[1] if len(words) > 1 else None)
            elif words[0] != 'IRQ':
                raise RuntimeError('%s: %s' % (commands[len(answers)][:60], ' '.join(words)))
        return answers

    def write(self, addr, size, value):
        self.send('write%s 0x%x 0x%x' % ({1: 'b', 2: 'w', 4: 'l', 8: 'q'}[size], addr, value))

    def read(self, addr, size):
        return int(self.send('read%s 0x%x' % ({1: 'b', 2: 'w', 4: 'l', 8: 'q'}[size], addr))[0], 0)

    def write_bytes(self, addr, data):
        self.send('b64write 0x%x 0x%x %s' % (addr, len(data), base64.b64encode(data).decode()))

    def read_bytes(self, addr, size):
        return base64.b64decode(self.send('b64read 0x%x 0x%x' % (addr, size))[0])

    def idr(self):
        return [self.read(SMMU + IDR + 4 * i, 4) for i in range(6)]

    def set_reg(self, offset, size, value):
        self.write(SMMU + offset, size, value)

    def reg(self, offset, size=4):
        return self.read(SMMU + offset, size)

    def take_event(self):
        """Four words, or None."""
        base, prod, cons = self.reg(EVENTQ_BASE, 8), self.reg(EVENTQ_PROD), self.reg(EVENTQ_CONS)
        entries = 1 << (base & 31)
        if not (prod ^ cons) & (2 * entries - 1):
            return None
        at = (base & 0xfffffffffffe0) + 32 * (cons & (entries - 1))
        data = self.read_bytes(at, 32)
        self.set_reg(EVENTQ_CONS, 4, cons & 1 << 31 | (cons + 1) & (2 * entries - 1))
        return [int.from_bytes(data[i:i + 8], 'little') for i in range(0, 32, 8)]

    def access(self, sid, iova, pa):
        """A device writes four bytes. WRITTEN: they are at pa, and are taken away again; ELSEWHERE; REFUSED."""
        bar = self.bars[sid]
        commands = ['writel 0x%x 0x%x' % (bar + at, value) for at, value in (
            (GVA, iova & 0xffffffff), (GVA + 4, iova >> 32), (GPA, pa & 0xffffffff), (GPA + 4, pa >> 32), (LEN, 4), (DOORBELL, 1))]
        commands += ['readl 0x%x' % (bar + TRIGGER), 'readl 0x%x' % (bar + RESULT)]
        result = int(self.send(*commands)[-1], 0)
        if result == WRITTEN:
            self.write(pa, 4, 0)
        return result
