#!/usr/bin/env python3
"""What every PCI function takes: where it sits, whether its slot has more functions, and its expansion ROM."""
import os
import subprocess
import tempfile
import unittest

from harness import OSTLER, QmpError
from qtest import Pci, Qtest, main
from test_acpi import fw_cfg_file

ROM_BAR, COMMAND, HEADER = 0x30, 0x04, 0x0e
ROM_AT = 0xfe000000


class Functions(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ostler-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def machine(self, *devices, board="pc"):
        q = Qtest("-M", board, "-vga", "none", *(a for d in devices for a in ("-device", d)))
        self.addCleanup(q.close)
        return q

    def refused(self, expected, *devices):
        result = subprocess.run([OSTLER, "-S", "-accel", "qtest", "-display", "none", "-vga", "none",
                                 *(a for d in devices for a in ("-device", d))], cwd=self.folder, timeout=30,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, rf"\Aostler: -device [^\n]*{expected}[^\n]*\n\Z")

    def rom_size(self, pci):
        pci.writel(ROM_BAR, 0xfffffffe)
        return -(pci.readl(ROM_BAR) & 0xfffff800) & 0xffffffff

    def test_rom_of_a_file(self):
        """A power of two from 2 KiB on (PCI 3.0 6.2.5.2), whatever the bytes are; the rest of it is 0."""
        for size, decoded in ((1, 2048), (2048, 2048), (2049, 4096), (70000, 131072)):
            data = bytes(n * 7 + 1 & 0xff for n in range(size))
            with self.subTest(size):
                q = self.machine(f"edu,addr=5,romfile={self.file('my.rom', data)}")
                pci = Pci(q, 5)
                self.assertEqual(pci.readl(ROM_BAR), 0)
                self.assertEqual(self.rom_size(pci), decoded)
                pci.writel(ROM_BAR, ROM_AT | 1)
                pci.writew(COMMAND, 2)
                self.assertEqual(q.read(ROM_AT, decoded), data + bytes(decoded - size))
                pci.writel(ROM_BAR, ROM_AT)
                self.assertEqual(q.read(ROM_AT, 1), b"\xff", "not enabled")

    def test_no_rom(self):
        for device in ("VGA,addr=5,romfile=", "VGA,addr=5,romfile=,rombar=0", "edu,addr=5"):
            with self.subTest(device):
                q = self.machine(device)
                self.assertEqual(self.rom_size(Pci(q, 5)), 0)
                self.assertRaises(AssertionError, fw_cfg_file, q, "vgaroms/vgabios-stdvga.bin")

    def test_rom_without_a_bar(self):
        """Firmware gets it as a file, in the folder of those that it runs first where it is a VGA BIOS."""
        mine = self.file("my.rom", b"mine")
        q = self.machine("VGA,addr=4,rombar=0", f"edu,addr=5,rombar=0,romfile={mine}",
                         f"edu,addr=6,rombar=0,romfile={mine}",
                         f"pci-bridge,addr=7,rombar=0,romfile={self.file('its.rom', b'bridge')}")
        for slot in (4, 5, 6):
            self.assertEqual(self.rom_size(Pci(q, slot)), 0)
        self.assertEqual(fw_cfg_file(q, "genroms/my.rom"), b"mine")
        self.assertEqual(fw_cfg_file(q, "genroms/its.rom"), b"bridge")
        self.assertEqual(fw_cfg_file(q, "vgaroms/vgabios-stdvga.bin")[:2], b"\x55\xaa")
        with self.assertRaisesRegex(QmpError, "Hot-plugged device without ROM bar can't have an option ROM"):
            q.qmp.command("device_add", driver="edu", rombar="0", romfile=mine)
        q.qmp.command("device_add", driver="edu", id="late", addr="8", rombar="0", romfile="")
        q.qmp.command("device_add", driver="edu", id="later", addr="9", romfile=mine)
        self.assertEqual(self.rom_size(Pci(q, 9)), 2048)

    def test_wrong_rom(self):
        first, second = self.file("my.rom", b"mine"), self.file("other/my.rom", b"theirs")
        for rombar in "01":
            self.refused('failed to find romfile "nonexist"', f"edu,romfile=nonexist,rombar={rombar}")
            self.refused("has 0 bytes", f"edu,romfile={self.file('empty.rom', b'')},rombar={rombar}")
            self.refused("directory", f"edu,romfile={self.folder},rombar={rombar}")
        self.refused("another ROM as \"genroms/my.rom\"", f"edu,rombar=0,romfile={first}",
                     f"edu,rombar=0,romfile={second}")

    def test_rom_of_a_bridge(self):
        """Its base address is at 38h (PCI-to-PCI Bridge 1.2, 3.2.5.17); 30h is the upper half of the I/O window's."""
        q = self.machine(f"pci-bridge,addr=5,romfile={self.file('my.rom', b'mine')}", "pci-bridge,addr=6")
        pci, other = Pci(q, 5), Pci(q, 6)
        pci.writel(0x38, 0xfffffffe)
        self.assertEqual((pci.readl(0x38), pci.readl(0x30)), (0xfffff800, 0))
        pci.writel(0x38, ROM_AT | 1)
        pci.writew(COMMAND, 2)
        self.assertEqual(q.read(ROM_AT, 5), b"mine\0")
        other.writel(0x38, 0xffffffff)
        self.assertEqual(other.readl(0x38), 0, "none")

    def test_errors(self):
        """pcie_aer_inject_error: names or bits, and what the function then shows (PCI Express Base 3.0, 7.10)."""
        q = self.machine("pcie-root-port,id=p,addr=5", "edu,id=e", board="q35")
        pci = Pci(q, 5)
        pci.writew(0x54 + 8, 7)
        def inject(args):
            return q.qmp.command("human-monitor-command", command_line="pcie_aer_inject_error " + args).strip()
        self.assertEqual(inject("p BAD_TLP"), "OK id: p root bus: 0000:00, bus: 0 devfn: 5.0")
        q.outl(0xcf8, 0x80000000 | 5 << 11)
        config = 0xe0000000
        Pci(q, 0).writel(0x60, config | 1)
        def aer(at):
            return q.readl(config + (5 << 15) + 0x100 + at)
        self.assertEqual((aer(0x10), aer(0x30), aer(0x34)), (0x40, 1, 0x28))
        self.assertRegex(inject("-c p 0x1"), "^OK")
        self.assertEqual((aer(0x10), aer(0x30)), (0x41, 3))
        self.assertRegex(inject("p MALF_TLP 1 2 3 0xffffffff 5 6"), "^OK")
        self.assertEqual([aer(0x18), *(aer(at) for at in range(0x1c, 0x2c, 4)), aer(0x38), aer(0x3c), aer(0x40)],
                         [18 | 1 << 11, 1, 2, 3, 0xffffffff, 5, 6, 0])
        self.assertRegex(inject("e BAD_TLP"), "^Error: e.* is not on PCI Express$")
        self.assertRegex(inject("nobody BAD_TLP"), "^Error: Device 'nobody' not found$")
        self.assertRegex(inject("p BAD"), "^Error: invalid error status value 'BAD', expected: ")
        self.assertRegex(inject("p BAD_TLP 1 0x123456789"), "^Error: header1: 0x123456789 has more than 32 bits$")
        self.assertRegex(inject("p 3"), "^Error: error status 0x3 is no uncorrectable error")

    def test_addr(self):
        """SLOT or SLOT.FUNCTION, in hex with or without leading zeroes."""
        for text, slot, function in (("5", 5, 0), ("05", 5, 0), ("0x5", 5, 0), ("05.0", 5, 0), ("1f", 31, 0),
                                     ("1e.7", 30, 7)):
            with self.subTest(text):
                q = self.machine(f"edu,addr={text}")
                self.assertEqual(Pci(q, slot, function).readl(0), 0x11e81234)
        q = self.machine("edu,addr=2", "edu", "edu")
        self.assertEqual([Pci(q, slot).readw(0) for slot in (2, 3, 4, 5)], [0x1234, 0x1234, 0x1234, 0xffff],
                         "those that name no slot take the next free ones")
        for text in ("20", "5.8", "-2", "5.", ".1", "5.0.0", "slot5", "5 "):
            with self.subTest(text):
                self.refused("expected: SLOT or SLOT.FUNCTION in hex", f"edu,addr={text}")
        self.refused("PCI: slot 0 function 0 not available for edu, in use by i440FX", "edu,addr=0")
        self.refused("PCI: slot 9 function 0 not available for edu, in use by pvpanic-pci,id=a",
                     "pvpanic-pci,id=a,addr=9", "edu,addr=9.0")

    def test_functions_of_a_slot(self):
        q = self.machine("edu,addr=6.1", "edu,addr=7.0,multifunction=on", "pvpanic-pci,addr=7.3",
                         "edu,addr=8.2,multifunction=on")
        self.assertEqual((Pci(q, 7).readb(HEADER), Pci(q, 7, 3).readb(HEADER)), (0x80, 0))
        self.assertEqual(Pci(q, 7, 3).readl(0), 0x00111b36)
        # Accepted without a function 0; who scans by the rules (PCI 3.0 3.2.2.3.4) does not look further.
        self.assertEqual((Pci(q, 6).readl(0), Pci(q, 6, 1).readl(0)), (0xffffffff, 0x11e81234))
        self.assertEqual((Pci(q, 8).readl(0), Pci(q, 8, 2).readb(HEADER)), (0xffffffff, 0x80))
        self.refused("slot 6 holds a single-function edu: it needs multifunction=on", "edu,addr=6", "edu,addr=6.1")
        self.refused("edu as function 0 of slot 6 needs multifunction=on, because function 1 is",
                     "edu,addr=6.1", "edu,addr=6")


if __name__ == "__main__":
    main()
