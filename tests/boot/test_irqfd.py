#!/usr/bin/env python3
"""A virtio disk with threads of its own under KVM: the kernel tells them of doorbells, and its interrupt chips take the messages of
their queues.  The CPU only rings and counts (interrupts.asm); the driver is this program, over the qtest wire beside KVM."""
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest

import harness

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "qtest"))
from qtest import Pci, Qtest  # noqa: E402

SLOT, BAR, MSIX = 5, 0xfe000000, 0xfe010000
PORT = 0xc000
COMMON, NOTIFY, LEGACY_NOTIFY, PENDING = BAR, BAR + 0x3000, PORT + 0x10, MSIX + 0x800
QUEUES, SIZE, COUNTERS, READY, RING = 4, 16, 0x9000, 0x9100, 0x9104
RINGS, BUFFERS = 0x20000, 0x40000
EJECT = 0xae08


class Irqfd(unittest.TestCase):
    def start(self, irqchip):
        harness.need_kvm()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        rom = f"{folder.name}/rom"
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "interrupts.asm")
        subprocess.run([harness.need_tool("nasm"), "-f", "bin", "-o", rom, source], check=True)
        self.data = random.Random(7).randbytes(1 << 20)
        with open(f"{folder.name}/disk", "wb") as f:
            f.write(self.data)
        disk = {"driver": "virtio-blk-pci", "id": "disk", "drive": "d", "addr": str(SLOT), "disable-legacy": "off",
                "num-queues": QUEUES,
                "iothread-vq-mapping": [{"iothread": "a", "vqs": [0, 2]}, {"iothread": "b", "vqs": [1, 3]}]}
        self.q = Qtest("-M", "pc", "-m", 16, "-nodefaults", "-bios", rom, "-object", "iothread,id=a", "-object", "iothread,id=b",
                       "-drive", f"if=none,id=d,format=raw,file={folder.name}/disk", "-device", json.dumps(disk),
                       accel=("-accel", f"kvm,kernel-irqchip={irqchip}"))
        self.addCleanup(self.q.close)
        self.until(lambda: self.q.readl(READY) == 1, "the guest is not ready")
        self.setup()

    def until(self, condition, what):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.001)

    def setup(self):
        """The bus, then what a driver does (virtio 1.2 §3.1.1)."""
        q, pci = self.q, Pci(self.q, SLOT)
        for at, value in ((0x10, PORT), (0x14, MSIX), (0x20, BAR), (0x24, 0), (0x04, 7)):
            pci.writel(at, value)
        self.msix(True)
        q.writeb(COMMON + 0x14, 0)
        q.writeb(COMMON + 0x14, 3)
        for i, features in enumerate((0, 1)):           # VERSION_1
            q.writel(COMMON + 0x08, i)
            q.writel(COMMON + 0x0c, features)
        q.writeb(COMMON + 0x14, 11)
        for n in range(QUEUES):
            q.memset(RINGS + n * 0x4000, 0, 0x4000)
            q.writew(COMMON + 0x16, n)
            q.writew(COMMON + 0x18, SIZE)
            q.writew(COMMON + 0x1a, n + 1)
            for area in range(3):
                q.writel(COMMON + 0x20 + 8 * area, RINGS + n * 0x4000 + area * 0x1000)
                q.writel(COMMON + 0x24 + 8 * area, 0)
            q.writew(COMMON + 0x1c, 1)
        q.writeb(COMMON + 0x14, 15)
        self.made = [0] * QUEUES

    def msix(self, on):
        for vector in range(QUEUES + 1):
            for word, value in enumerate((0xfee00000, 0, 0x40 + vector, 0)):
                self.q.writel(MSIX + 16 * vector + 4 * word, value)
        Pci(self.q, SLOT).writew(0x9a, 0x8000 if on else 0)

    def mask(self, vector, masked):
        self.q.writel(MSIX + 16 * vector + 12, masked)

    def submit(self, n, sector):
        """A read of 4 KiB by queue n; the CPU rings this generation's doorbell or the older one's."""
        q, ring, at = self.q, RINGS + n * 0x4000, BUFFERS + n * 0x4000
        q.write(at, bytes(8) + sector.to_bytes(8, "little") + b"\xee")
        for i, (where, length, flags) in enumerate(((at, 16, 1), (at + 0x1000, 4096, 3), (at + 16, 1, 2))):
            q.writeq(ring + 16 * i, where)
            q.writeq(ring + 16 * i + 8, length | flags << 32 | (i + 1) << 48)
        q.writew(ring + 0x1004 + 2 * (self.made[n] % SIZE), 0)
        self.made[n] += 1
        q.writew(ring + 0x1002, self.made[n] & 0xffff)
        q.writel(RING + 4, n)
        q.writel(RING, NOTIFY + 4 * n if self.made[n] % 2 else LEGACY_NOTIFY)
        self.until(lambda: not q.readl(RING), "the CPU does not ring")

    def check(self, n, sector):
        ring, at = RINGS + n * 0x4000, BUFFERS + n * 0x4000
        self.until(lambda: self.q.readw(ring + 0x2002) == self.made[n] & 0xffff, f"queue {n}: no answer")
        self.assertEqual(self.q.readb(at + 16), 0)
        self.assertEqual(self.q.read(at + 0x1000, 4096), self.data[sector * 512:sector * 512 + 4096])

    def count(self, vector):
        return self.q.readl(COUNTERS + 4 * vector)

    def all_queues(self, rounds=1):
        """Each queue reads, and its vector comes once for each time: the driver waits for it before it goes on."""
        for _ in range(rounds):
            before = [self.count(n + 1) for n in range(QUEUES)]
            sectors = [(self.made[n] * 8 + n * 64) % 2000 for n in range(QUEUES)]
            for n in range(QUEUES):
                self.submit(n, sectors[n])
            for n in range(QUEUES):
                self.check(n, sectors[n])
                self.until(lambda: self.count(n + 1) > before[n], f"queue {n}: no interrupt")
            self.assertEqual([self.count(n + 1) for n in range(QUEUES)], [b + 1 for b in before])

    def eventfds(self):
        folder = f"/proc/{self.q.process.pid}/fd"
        return sum(os.readlink(f"{folder}/{fd}") == "anon_inode:[eventfd]" for fd in os.listdir(folder))

    def work(self, irqchip, by_kernel):
        self.start(irqchip)
        self.all_queues(50)
        with_vectors = self.eventfds()
        # A masked vector waits, in the pending bits, and comes once.
        for _ in range(20):
            before = self.count(3)
            self.mask(3, 1)
            self.submit(2, 0)
            self.check(2, 0)
            self.until(lambda: self.q.readl(PENDING) == 1 << 3, "the message is not pending")
            self.assertEqual(self.count(3), before)
            self.mask(3, 0)
            self.until(lambda: self.count(3) == before + 1, "the message that was pending does not come")
            self.assertEqual(self.q.readl(PENDING), 0)
        self.all_queues()
        # Another vector of the CPU's for the same queue.
        self.q.writel(MSIX + 16 * 2 + 8, 0x47)
        before = self.count(2), self.count(7)
        self.submit(1, 8)
        self.check(1, 8)
        self.until(lambda: self.count(7) == before[1] + 1, "the new vector does not come")
        self.assertEqual(self.count(2), before[0])
        for _ in range(30):                     # resets at any time
            for n in range(QUEUES):
                self.submit(n, 0)
            self.setup()
        time.sleep(0.1)                         # interrupts under way
        self.all_queues(5)
        before = [self.count(n) for n in range(8)]
        self.q.qmp.command("device_del", id="disk")
        self.q.outl(EJECT, 1 << SLOT)
        self.q.qmp.wait_event("DEVICE_DELETED", 30)
        for name in "ab":
            self.q.qmp.command("object-del", id=name)
        self.assertEqual([self.count(n) for n in range(8)], before)
        # What went: two doorbells, what wakes two threads, and each queue's own.
        self.assertEqual(with_vectors - self.eventfds(), 4 + (QUEUES if by_kernel else 0))

    def test_kernel(self):
        self.work("on", True)

    def test_split(self):
        self.work("split", True)

    def test_off(self):
        self.work("off", False)


if __name__ == "__main__":
    harness.main()
