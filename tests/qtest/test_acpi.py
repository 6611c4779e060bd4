#!/usr/bin/env python3
"""The ACPI tables as firmware gets them: iasl takes each apart and puts it together again, without an error."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

from harness import QmpError, need_tool
from qtest import Pci, Qtest, main

DIRECTORY, PORT, DATA = 0x19, 0x510, 0x511
LEGACY_PROCESSOR = 3168                 # a warning of iasl: Processor() is what older systems know


def fw_cfg(q, select, size):
    q.outw(PORT, select)
    return bytes(q.inb(DATA) for _ in range(size))


def fw_cfg_file(q, name):
    count = struct.unpack(">I", fw_cfg(q, DIRECTORY, 4))[0]
    entries = fw_cfg(q, DIRECTORY, 4 + 64 * count)[4:]
    for at in range(0, len(entries), 64):
        size, select, _, path = struct.unpack(">IHH56s", entries[at:at + 64])
        if path.rstrip(b"\0").decode() == name:
            return fw_cfg(q, select, size)
    raise AssertionError(f"no file {name}")


def tables_in(blob):
    """signature -> bytes, of a file that holds them one behind another at multiples of 16."""
    found, at = {}, 0
    while at + 8 <= len(blob):
        signature, length = struct.unpack_from("<4sI", blob, at)
        if re.fullmatch(rb"[A-Z]{4}", signature) and 36 <= length <= len(blob) - at:
            found[signature.decode()] = blob[at:at + length]
            at += length
        at = (at + 16) & ~15 if at % 16 or not re.fullmatch(rb"[A-Z]{4}", signature) else at
    return found


class Tables(unittest.TestCase):
    def machine(self, *args):
        q = Qtest(*args)
        self.addCleanup(q.close)
        return q

    def tables(self, q):
        found = tables_in(fw_cfg_file(q, "etc/acpi/tables"))
        for name in ("FACP", "DSDT", "APIC", "HPET", "WAET", "RSDT", "XSDT"):
            self.assertIn(name, found)
        return found

    def round_trip(self, found):
        iasl = need_tool("iasl")
        folder = tempfile.mkdtemp(prefix="ostler-acpi-")
        self.addCleanup(shutil.rmtree, folder, True)
        for name in set(found) - {"FACS", "RSDT", "XSDT"}:      # these two are lists of addresses yet to be filled in
            table = bytearray(found[name])
            table[9] = -(sum(table) - table[9]) & 0xff
            with open(os.path.join(folder, name + ".aml"), "wb") as f:
                f.write(table)
            apart = subprocess.run([iasl, "-d", name + ".aml"], cwd=folder, capture_output=True, text=True)
            self.assertEqual(apart.returncode, 0, apart.stderr)
            self.assertNotRegex(apart.stdout + apart.stderr, "(?i)warning|invalid|error", name)
            again = subprocess.run([iasl, "-oa", "-vw", str(LEGACY_PROCESSOR), "-p", "again", name + ".dsl"], cwd=folder,
                                   capture_output=True, text=True)
            self.assertRegex(again.stdout, r"0 Errors, 0 Warnings, 0 Remarks", name)
            with open(os.path.join(folder, "again.aml"), "rb") as f:
                second = f.read()
            self.assertEqual(len(second), len(table), name)
            if name == "DSDT":
                self.assertEqual(second[36:], bytes(table[36:]))

    def test_pc(self):
        found = self.tables(self.machine("-M", "pc"))
        self.assertNotIn("MCFG", found)
        self.round_trip(found)

    def test_nodes(self):
        found = self.tables(self.machine("-M", "pc", "-smp", "2", "-m", "64,slots=3,maxmem=4G", "-numa", "node,mem=32",
                                         "-numa", "node,mem=32", "-numa", "dist,src=0,dst=1,val=40"))
        self.assertIn("SRAT", found)
        self.assertIn("SLIT", found)
        self.round_trip(found)

    BRIDGES = ["-device", "pci-bridge,id=a,addr=5", "-device", "pci-bridge,id=b,bus=a,addr=3", "-device", "edu,bus=b,addr=9",
               "-device", "virtio-rng-pci,addr=6.0,multifunction=on", "-device", "edu,addr=6.1"]

    def test_pc_hotplug(self):
        """Slots of the root bus and behind bridges; each can be left out, and the table is none the worse for it."""
        for options, buses in (([], 3), (["acpi-pci-hotplug-with-bridge-support=off"], 1), (["acpi-root-pci-hotplug=off"], 2),
                               (["acpi-pci-hotplug-with-bridge-support=off", "acpi-root-pci-hotplug=off"], 0)):
            with self.subTest(options=options):
                q = self.machine("-M", "pc", *self.BRIDGES, *(a for o in options for a in ("-global", "PIIX4_PM." + o)))
                found = self.tables(q)
                dsdt = found["DSDT"]
                # Of the root bus not: host bridge, ISA bridge, display, and the bridge itself.
                self.assertEqual(dsdt.count(b"_EJ0"), {3: 28 + 31 + 32, 1: 28, 2: 31 + 32, 0: 0}[buses])
                self.assertEqual(dsdt.count(b"\x08BSEL"), buses)
                self.assertEqual(dsdt.count(b"_E01"), buses > 0)
                self.round_trip(found)

    def test_tables_after_hotplug(self):
        """Made anew after a reset, they do not grow with what was plugged in."""
        q = self.machine("-M", "pc", *self.BRIDGES)
        before = self.tables(q)["DSDT"]
        q.qmp.command("device_add", driver="pci-bridge", id="late", addr="7")
        q.qmp.command("device_add", driver="edu", id="card", bus="b")
        q.qmp.command("system_reset")
        self.assertEqual(self.tables(q)["DSDT"], before)
        with self.assertRaisesRegex(QmpError, "Bus 'late' does not support hotplugging"):
            q.qmp.command("device_add", driver="edu", bus="late")

    INDICES = ["-device", "pci-bridge,id=a,addr=5,acpi-index=11", "-device", "edu,bus=a,addr=9,acpi-index=12",
               "-device", "edu,addr=6.0,multifunction=on,acpi-index=13", "-device", "edu,addr=6.3,acpi-index=16383"]

    def test_indices(self):
        """_DSM, function 7 (PCI Firmware 3.3, 4.6.7), where a function has a number, and in each slot that can be filled."""
        off = "-global", "PIIX4_PM.acpi-root-pci-hotplug=off"
        alone = *off, "-global", "PIIX4_PM.acpi-pci-hotplug-with-bridge-support=off"
        for board, options, methods in (("pc", (), 28 + 32 + 2), ("pc", off, 32 + 3), ("pc", alone, 4), ("q35", (), 4)):
            with self.subTest(board, options=options):
                found = self.tables(self.machine("-M", board, *self.INDICES, *options))
                self.assertEqual(found["DSDT"].count(b"_DSM"), methods)
                self.assertEqual(found["DSDT"].count(b"\x0b\xff\x3f"), 1, "16383, in the table")
                self.round_trip(found)
        self.assertNotIn(b"DSM", self.tables(self.machine("-M", "q35", "-device", "edu"))["DSDT"])

    def test_indices_of_native_slots(self):
        """On q35 the tables ask for the number of what is in a slot that ACPI does not empty; registers at CD0h."""
        q = self.machine("-M", "q35", "-device", "pcie-root-port,id=p,chassis=1,addr=4.0,multifunction=on", "-device",
                         "pcie-root-port,chassis=2,addr=4.1,hotplug=off", "-device", "pci-bridge,id=b,shpc=on,addr=5")
        before = self.tables(q)
        self.assertEqual((before["DSDT"].count(b"_DSM"), before["DSDT"].count(b"_EJ0")), (1 + 31, 0))
        self.round_trip(before)
        q.qmp.command("device_add", driver="edu", bus="b", addr="7", acpi_index=77)
        q.qmp.command("device_add", driver="edu", bus="p", acpi_index=5)
        found = {}
        for bus in range(4):
            q.outl(0xcd0, bus)
            for slot in range(32):
                q.outl(0xcd4, 1 << slot)
                if q.inl(0xcd4):
                    found[q.inl(0xcd4)] = slot
        self.assertEqual(found, {77: 7, 5: 0})
        q.qmp.command("system_reset")
        self.assertEqual(self.tables(q)["DSDT"], before["DSDT"])

    def test_indices_clash(self):
        q = self.machine("-M", "pc", *self.INDICES)
        with self.assertRaisesRegex(QmpError, "^a PCI device with acpi-index = 12 already exist$"):
            q.qmp.command("device_add", driver="edu", acpi_index=12)
        with self.assertRaisesRegex(QmpError, "^acpi-index should be less or equal to 16383$"):
            q.qmp.command("device_add", driver="edu", acpi_index=16384)
        q.qmp.command("device_add", driver="edu", acpi_index=14)

    def test_q35(self):
        found = self.tables(self.machine("-M", "q35", "-smp", 3))
        self.assertEqual(len(found["MCFG"]), 44, "no window before the firmware opens it")
        q = self.machine("-M", "q35", "-smp", 3)
        mch = Pci(q, 0)
        mch.writel(0x64, 0)
        mch.writel(0x60, 0xe0000000 | 1)
        Pci(q, 31).writel(0x40, 0x801)                         # PMBASE
        found = self.tables(q)
        self.assertEqual(struct.unpack_from("<QHBB", found["MCFG"], 44), (0xe0000000, 0, 0, 255))
        fadt = found["FACP"]
        self.assertEqual(struct.unpack_from("<II", fadt, 56), (0x800, 0))       # PM1a events
        self.assertEqual(struct.unpack_from("<I", fadt, 76)[0], 0x808)          # timer
        self.assertEqual((struct.unpack_from("<I", fadt, 80)[0], fadt[92]), (0x820, 16))
        mch.writel(0x60, 0)
        self.assertEqual(self.tables(q)["MCFG"], found["MCFG"], "firmware may look more than once")
        self.assertEqual(struct.unpack_from("<IBB", fadt, 48), (0xb2, 2, 3))
        self.round_trip(found)

    def test_many_cpus(self):
        """From number 255 on a processor is a device, its entry in the MADT an x2APIC's (ACPI 6.4 8.4, 5.2.12.12)."""
        cpus = 288
        q = self.machine("-M", "q35", "-smp", f"1,maxcpus={cpus}", "-cpu", "max", "-m", 32)
        found = self.tables(q)
        dsdt, madt = found["DSDT"], found["APIC"]
        self.assertEqual(dsdt.count(b"ACPI0007\0"), cpus - 255)
        for number in range(255, cpus):                        # a byte or a word (20.2.3)
            uid = bytes((0x0a, number)) if number < 256 else b"\x0b" + struct.pack("<H", number)
            self.assertIn(b"ACPI0007\0\x08_UID" + uid, dsdt)
        at, entries = 44, []
        while at < len(madt):
            entries.append(madt[at:at + madt[at + 1]])
            at += madt[at + 1]
        small = [e[2] for e in entries if e[0] == 0]
        large = [struct.unpack_from("<HIII", e, 2)[3] for e in entries if e[0] == 9]
        self.assertEqual((small, large), (list(range(255)), list(range(255, cpus))))
        self.round_trip(found)


if __name__ == "__main__":
    main()
