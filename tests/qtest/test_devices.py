#!/usr/bin/env python3
"""Devices of the board as a driver sees them: PCI configuration, ports, memory, interrupts."""
import os
import struct
import tempfile
import unittest

from qtest import Pci, Qtest, main

PRIMARY, CONTROL, BUS_MASTER = 0x1f0, 0x3f6, 0xc000
DRQ, DRDY, BSY = 0x08, 0x40, 0x80


class Scratch:
    """A raw image in a temporary file."""

    def __init__(self, size):
        self.file = tempfile.NamedTemporaryFile(suffix=".img")
        self.file.truncate(size)
        self.path = self.file.name

    def put(self, at, data):
        self.file.seek(at)
        self.file.write(data)
        self.file.flush()

    def get(self, at, size):
        self.file.seek(at)
        return self.file.read(size)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()


class Ide(unittest.TestCase):
    def wait(self, q, bits, limit=100000):
        for _ in range(limit):
            status = q.inb(CONTROL)
            if not status & BSY and status & bits == bits:
                return status
        self.fail(f"status {status:02x}")

    def command(self, q, code, lba=0, count=1):
        for port, value in ((2, count), (3, lba & 255), (4, lba >> 8 & 255), (5, lba >> 16 & 255), (6, 0x40),
                            (7, code)):
            q.outb(PRIMARY + port, value)

    def test_identify(self):
        with Scratch(8 << 20) as disk, Qtest("-drive", f"file={disk.path},format=raw,if=ide",
                                             "-global", "ide-hd.serial=scratch") as q:
            self.assertEqual(Pci(q, 1, 1).readl(0), 0x70108086)
            q.outb(PRIMARY + 6, 0)
            q.outb(PRIMARY + 7, 0xec)
            self.wait(q, DRQ)
            words = [q.inw(PRIMARY) for _ in range(256)]
            self.assertEqual(q.inb(PRIMARY + 7) & (BSY | DRQ | DRDY), DRDY)
            self.assertEqual(words[60] | words[61] << 16, 8 << 11)
            text = b"".join(struct.pack(">H", w) for w in words[10:20])
            self.assertEqual(text.strip(), b"scratch")

    def test_dma_both_ways_with_interrupts(self):
        with Scratch(1 << 20) as disk, Qtest("-drive", f"file={disk.path},format=raw,if=ide") as q:
            q.intercept_in("ioapic")
            pci = Pci(q, 1, 1)
            pci.writel(0x20, BUS_MASTER)
            pci.writew(4, 5)
            data = os.urandom(4096)
            disk.put(8192, data)
            for direction, code, lba in ((8, 0xc8, 16), (0, 0xca, 100)):
                q.write(0x10000, struct.pack("<IIII", 0x20000, 1024, 0x30000, 3072 | 1 << 31))
                q.outl(BUS_MASTER + 4, 0x10000)
                q.outb(BUS_MASTER, direction)
                q.outb(BUS_MASTER + 2, 6)
                self.command(q, code, lba, 8)
                q.outb(BUS_MASTER, direction | 1)
                while q.inb(BUS_MASTER + 2) & 5 == 1:
                    pass
                self.assertEqual(q.inb(BUS_MASTER + 2) & 7, 4)
                self.assertTrue(q.irqs[14])
                self.wait(q, DRDY)
                q.inb(PRIMARY + 7)
                self.assertFalse(q.irqs[14])
                q.outb(BUS_MASTER, 0)
                self.assertEqual(q.read(0x20000, 1024) + q.read(0x30000, 3072), data)
            self.command(q, 0xe7)       # flush
            self.wait(q, DRDY)
            self.assertEqual(disk.get(51200, 4096), data)

    def test_geometry_in_cmos(self):
        with Scratch(61440 * 512) as disk, Qtest("-drive", f"file={disk.path},format=raw,if=ide") as q:
            def cmos(index):
                q.outb(0x70, index)
                return q.inb(0x71)
            self.assertEqual([cmos(i) for i in (0x12, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x23, 0x24)],
                             [0xf0, 47, 0, 60, 0, 16, 63, 0])


class Cmos(unittest.TestCase):
    def rtc(self, q, index, value=None):
        q.outb(0x70, index)
        return q.inb(0x71) if value is None else q.outb(0x71, value)

    def test_alarm_reaches_the_io_apic(self):
        with Qtest("-rtc", "base=2020-02-29T12:34:50,clock=vm") as q:
            q.intercept_in("ioapic")
            self.assertEqual([self.rtc(q, i) for i in (0, 2, 4, 7, 8, 9)], [0x50, 0x34, 0x12, 0x29, 2, 0x20])
            for index, value in ((1, 0x55), (3, 0xc0), (5, 0xc0), (0x0b, 0x22)):
                self.rtc(q, index, value)
            q.clock_step(4_900_000_000)
            self.assertFalse(q.irqs.get(8))
            q.clock_step(200_000_000)
            self.assertTrue(q.irqs.get(8))
            self.assertEqual(self.rtc(q, 0x0c) & 0xa0, 0xa0)
            self.assertFalse(q.irqs[8])


class Firmware(unittest.TestCase):
    def item(self, q, key, size):
        q.outw(0x510, key)
        return bytes(q.inb(0x511) for _ in range(size))

    def test_signature_and_files(self):
        with Qtest("-m", "77", "-smp", "2", "-fw_cfg", "name=opt/ostler/test,string=hello") as q:
            self.assertEqual(self.item(q, 0, 4), b"QEMU")
            self.assertEqual(self.item(q, 1, 4), struct.pack("<I", 3))
            self.assertEqual(self.item(q, 3, 8), struct.pack("<Q", 77 << 20))
            self.assertEqual(self.item(q, 5, 2), struct.pack("<H", 2))
            n = struct.unpack(">I", self.item(q, 0x19, 4))[0]
            files = {}
            for size, key, name in struct.iter_unpack(">IH2x56s", self.item(q, 0x19, 4 + n * 64)[4:]):
                files[name.rstrip(b"\0").decode()] = key, size
            self.assertIn("etc/e820", files)
            self.assertEqual(self.item(q, *files["opt/ostler/test"]), b"hello")

    def test_dma(self):
        with Qtest() as q:
            q.write(0x1000, struct.pack(">IIQ", 0x0000000a, 4, 0x2000))     # select item 0, read
            q.outl(0x514, 0)
            q.outl(0x518, struct.unpack("<I", struct.pack(">I", 0x1000))[0])
            self.assertEqual(q.readl(0x1000), 0)
            self.assertEqual(q.read(0x2000, 4), b"QEMU")


class Vga(unittest.TestCase):
    def test_frame_buffer_behind_its_bar(self):
        with Qtest("-vga", "std") as q:
            pci = Pci(q, 2)
            self.assertEqual(pci.readl(0), 0x11111234)
            self.assertEqual(pci.readl(8) >> 8, 0x030000)
            size = pci.size_bar(0)
            self.assertEqual(size & (size - 1), 0)
            self.assertGreaterEqual(size, 8 << 20)
            pci.writel(0x10, 0xe0000000)
            pci.writel(0x18, 0xf0000000)
            pci.writew(4, 3)
            q.write(0xe0000000, b"picture")
            q.writeb(0xe0000000 + size - 1, 0x5a)
            self.assertEqual(q.read(0xe0000000, 7), b"picture")
            self.assertEqual(q.readb(0xe0000000 + size - 1), 0x5a)
            self.assertEqual(q.readw(0xf0000500) & 0xfff0, 0xb0c0)          # the VBE registers' id, in memory
            pci.writew(4, 1)
            self.assertNotEqual(q.read(0xe0000000, 7), b"picture")


class Board(unittest.TestCase):
    def test_pam_hides_and_shows_ram(self):
        with Qtest() as q:
            pci = Pci(q, 0)
            rom = q.read(0xf0000, 16)
            pci.writeb(0x59, 0x30)      # F0000h: read and write RAM
            q.write(0xf0000, b"shadow")
            self.assertEqual(q.read(0xf0000, 6), b"shadow")
            pci.writeb(0x59, 0x00)
            self.assertEqual(q.read(0xf0000, 16), rom)
            q.write(0xf0000, b"lost")
            pci.writeb(0x59, 0x10)
            self.assertEqual(q.read(0xf0000, 6), b"shadow")

    def test_timer_interrupts(self):
        with Qtest() as q:
            q.intercept_in("ioapic")
            for port, value in ((0x43, 0x34), (0x40, 0xa9), (0x40, 0x04)):  # channel 0, rate generator, 1193 clocks: 1 ms
                q.outb(port, value)
            q.clock_step(10_500_000)
            self.assertIn(q.irq_lines.count("raise 2"), (10, 11))

    def test_reset_port(self):
        with Qtest() as q:
            q.outb(0xcf9, 2)
            q.outb(0xcf9, 6)
            q.qmp.wait_event("RESET", 20)
            self.assertEqual(q.ask("endianness"), "little")

    def test_panic_port(self):
        with Qtest("-device", "pvpanic", "-action", "panic=none") as q:
            self.assertEqual(q.inb(0x505), 3)
            q.outb(0x505, 1)
            self.assertEqual(q.qmp.wait_event("GUEST_PANICKED", 20)["data"]["action"], "run")

    def test_panic_register_on_pci(self):
        with Qtest("-device", "pvpanic-pci,addr=4", "-action", "panic=pause") as q:
            pci = Pci(q, 4)
            self.assertEqual(pci.readl(0), 0x00111b36)
            pci.writel(0x10, 0xfe000000)
            pci.writew(4, 2)
            self.assertEqual(q.readb(0xfe000000), 3)
            q.writeb(0xfe000000, 1)
            self.assertEqual(q.qmp.wait_event("GUEST_PANICKED", 20)["data"]["action"], "pause")
            q.qmp.wait_event("STOP", 20)

    def test_features_of_a_cpu(self):
        with Qtest("-cpu", "phenom,+xsaveopt,-sse4a") as q:
            path = q.qmp.command("query-cpus-fast")[0]["qom-path"]

            def get(name):
                return q.qmp.command("qom-get", path=path, property=name)
            self.assertEqual(get("level"), 13)
            self.assertEqual(get("vendor"), "AuthenticAMD")
            self.assertFalse(get("sse4a"))
            self.assertTrue(get("lm"))
            word = [w for w in get("feature-words")
                    if w["cpuid-input-eax"] == 0x80000001 and w["cpuid-register"] == "ECX"][0]
            self.assertEqual(word["features"] >> 6 & 1, 0)


class Floppy(unittest.TestCase):
    FIFO, MSR, DIR = 0x3f5, 0x3f4, 0x3f7

    def command(self, q, *sent):
        for byte in sent:
            self.assertEqual(q.inb(self.MSR) & 0xc0, 0x80)
            q.outb(self.FIFO, byte)

    def seek(self, q, track):
        self.command(q, 0x0f, 0, track)
        self.assertTrue(q.irqs[6])
        self.command(q, 0x08)
        self.assertEqual([q.inb(self.FIFO) for _ in range(2)], [0x20, track])
        self.assertFalse(q.irqs[6])

    def test_medium_by_the_device_s_id(self):
        with Scratch(1440 << 10) as disk, Qtest("-device", "floppy,id=fd") as q:
            disk.put(512, bytes(range(256)) * 2)
            q.intercept_in("ioapic")
            self.assertTrue(q.inb(self.DIR) & 0x80)
            q.qmp.command("blockdev-change-medium", id="fd", filename=disk.path, format="raw")
            self.assertTrue(q.inb(self.DIR) & 0x80)
            self.seek(q, 1)
            self.assertFalse(q.inb(self.DIR) & 0x80)
            self.seek(q, 0)
            q.outb(0x3f2, 0x14)         # without DMA
            self.command(q, 0x46, 0, 0, 0, 2, 2, 2, 0x1b, 0xff)
            while q.inb(self.MSR) != 0xf0:
                pass
            self.assertEqual(bytes(q.inb(self.FIFO) for _ in range(512)), bytes(range(256)) * 2)
            self.assertEqual(q.inb(self.MSR), 0xd0)
            self.assertEqual([q.inb(self.FIFO) for _ in range(7)], [0, 0, 0, 1, 0, 1, 2])
            q.qmp.command("eject", id="fd")
            self.assertTrue(q.inb(self.DIR) & 0x80)


if __name__ == "__main__":
    main()
