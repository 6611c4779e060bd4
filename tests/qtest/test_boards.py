#!/usr/bin/env python3
"""Where boards have their chips, their properties, their versioned names and their presets: without a guest."""
import struct
import subprocess
import unittest

from demo import newest_kernel
from harness import OSTLER
from qtest import Qtest, main
import test_acpi
from test_acpi import fw_cfg_file, tables_in

MAGIC, BLK, RNG = 0x74726976, 2, 4
TRANSPORTS, SIZE = 0xfeb00000, 0x200
GED, GED_REGS, POWER_BUTTON = 0xfea00000, 0xfea00200, 2


def run(*args):
    return subprocess.run([OSTLER, *args], capture_output=True, text=True, timeout=60)


class Microvm(unittest.TestCase):
    def machine(self, options="", *args):
        q = Qtest("-M", "microvm" + options, *args)
        self.addCleanup(q.close)
        return q

    def places(self, q):
        """Device IDs by transport, as far as there are transports."""
        found = []
        while q.readl(TRANSPORTS + SIZE * len(found)) == MAGIC:
            found.append(q.readl(TRANSPORTS + SIZE * len(found) + 8))
        return found

    def test_transports(self):
        q = self.machine("", "-device", "virtio-rng-device", "-device", "virtio-rng-device,bus=virtio-mmio-bus.23")
        self.assertEqual(self.places(q), [RNG, *[0] * 22, RNG])
        self.assertEqual(self.places(self.machine(",ioapic2=off")), [0] * 8)
        self.assertEqual(self.places(self.machine(",acpi=off")), [0] * 8)

    def test_all_places_taken(self):
        said = run("-M", "microvm,acpi=off", "-display", "none", *["-device", "virtio-rng-device"] * 9)
        self.assertEqual(said.returncode, 1)
        self.assertEqual(said.stderr.count("\n"), 1, said.stderr)

    def test_drive(self):
        q = self.machine("", "-drive", "if=virtio,driver=null-co,read-zeroes=on")
        self.assertEqual(self.places(q)[0], BLK)

    def test_chips(self):
        q = self.machine()
        self.assertEqual(q.inb(0x3f8 + 5), 0x60)               # the serial port's line status
        self.assertEqual(q.inb(0x71), q.inb(0x71))
        q.outb(0x21, 0x5a)
        self.assertEqual(q.inb(0x21), 0x5a)                    # the PIC's mask
        q = self.machine(",pic=off,pit=off,rtc=off,isa-serial=off")
        for port in (0x21, 0x40, 0x71, 0x3f8 + 5):
            self.assertEqual(q.inb(port), 0xff, hex(port))

    def test_second_ioapic(self):
        q = self.machine()
        q.writel(0xfec10000, 1)
        self.assertEqual(q.readl(0xfec10010), 0x170020)
        self.assertEqual(self.machine(",ioapic2=off").readl(0xfec10010), 0xffffffff)

    def test_power_button(self):
        q = self.machine()
        q.intercept_in("ioapic")
        q.qmp.command("system_powerdown")
        q.qmp.wait_event("POWERDOWN")
        q.inb(0x80)                                            # until here the wire had no reason to tell
        self.assertTrue(q.irqs.get(9))
        self.assertEqual(q.readl(GED), POWER_BUTTON)
        self.assertEqual(q.readl(GED), 0)
        self.assertFalse(q.irqs[9])

    def test_sleep_and_reset_registers(self):
        q = self.machine()
        q.writeb(GED_REGS + 2, 0x42)
        q.qmp.wait_event("RESET")
        q.writeb(GED_REGS, 3 << 2 | 1 << 5)                    # S3: there is no such state
        q.writeb(GED_REGS, 5 << 2)                             # without SLP_EN
        q.qmp.command("query-status")
        q.writeb(GED_REGS, 5 << 2 | 1 << 5)
        q.qmp.wait_event("SHUTDOWN")

    def test_pm_timer(self):
        q = self.machine()
        before = q.inl(0x608)
        q.clock_step(1_000_000_000)
        self.assertAlmostEqual(q.inl(0x608) - before, 3579545, delta=2)

    def test_tables(self):
        q = self.machine("", "-smp", 2, "-device", "virtio-rng-device")
        found = tables_in(fw_cfg_file(q, "etc/acpi/tables"))
        fadt = found["FACP"]
        self.assertEqual((fadt[8], len(fadt)), (6, 276))
        self.assertTrue(struct.unpack_from("<I", fadt, 112)[0] >> 20 & 1, "hardware-reduced")
        self.assertEqual(struct.unpack_from("<IB", fadt, 36)[0], 0, "no FACS")
        self.assertEqual(struct.unpack_from("<Q", fadt, 248)[0], GED_REGS)
        self.assertEqual(found["DSDT"].count(b"LNRO0005"), 1)
        self.assertIn(bytes([1, 12, 1, 0]) + struct.pack("<II", 0xfec10000, 24), found["APIC"])
        test_acpi.Tables.round_trip(self, found)


class Names(unittest.TestCase):
    def test_table_agrees(self):
        with Qtest("-M", "none") as q:
            machines = q.qmp.command("query-machines")
        said = run("-M", "help").stdout
        for m in machines:
            self.assertIn(f"\n{m['name']} ", said)
            self.assertEqual(f"{m['name']:20} " in said and m["deprecated"], m["name"] in
                             [f"pc-i440fx-1.{n}" for n in (4, 5, 6, 7)], m["name"])
        names = [m["name"] for m in machines]
        self.assertEqual(len(names), len(set(names)))
        for name in ("pc-i440fx-7.2", "pc-i440fx-2.0", "pc-q35-4.0.1", "pc-q35-2.4", "isapc", "microvm", "none"):
            self.assertIn(name, names)

    def sockets(self, name):
        with Qtest("-smp", 4, "-M", name) as q:
            return len({c["props"]["socket-id"] for c in q.qmp.command("query-hotpluggable-cpus")})

    def test_what_versions_differ_in(self):
        self.assertEqual([self.sockets(n) for n in ("pc", "pc-i440fx-6.2", "pc-i440fx-6.1", "pc-q35-5.0")], [1, 1, 4, 4])

    def test_properties_are_the_boards(self):
        self.assertIn("ioapic2=", run("-M", "microvm,help").stdout)
        self.assertNotIn("ioapic2=", run("-M", "q35,help").stdout)
        self.assertNotEqual(run("-M", "microvm,sata=off").returncode, 0)


class Kernels(unittest.TestCase):
    """By which of its two ways in a bzImage is entered."""

    def test_unpacked_where_wanted(self):
        image = newest_kernel()
        if not image:
            self.skipTest("missing: a readable kernel in /boot (package linux-image-amd64)")
        for options, rom in (("pc", "linuxboot_dma.bin"), ("pc,x-unpack-kernel=on", "pvh_dma.bin"),
                             ("q35,x-unpack-kernel=off", "linuxboot_dma.bin"), ("microvm", "pvh_dma.bin"),
                             ("microvm,x-unpack-kernel=off", "linuxboot_dma.bin")):
            with self.subTest(options), Qtest("-M", options, "-m", 256, "-kernel", image) as q:
                self.assertEqual(fw_cfg_file(q, "genroms/" + rom)[:2], b"\x55\xaa")


class Presets(unittest.TestCase):
    NAMES = ["dos", "freebsd", "illumos", "linux", "netbsd", "openbsd", "windows", "windows-98"]

    def test_list(self):
        listed = [line.split()[0] for line in run("-M", "q35,preset=help").stdout.splitlines()[1:]]
        self.assertEqual(sorted(listed), self.NAMES)
        self.assertIn("preset=help", run("-M", "q35,preset=nobody").stderr)

    def test_each_starts_and_prints(self):
        for name in self.NAMES:
            with Qtest("-M", f"q35,preset={name}") as q:
                q.qmp.command("query-status")
            text = run("-M", f"pc,preset={name},print").stdout
            self.assertTrue(text.startswith("-machine pc-i440fx-7.2") and "\n# left out" in text, text)
            with Qtest(*text.splitlines()[0].split()) as q:
                q.qmp.command("query-status")

    def test_where_they_do_not_fit(self):
        for args, said in (("microvm,preset=dos", "presets are for the boards pc and q35"),
                           ("isapc,preset=linux", "presets are for the boards pc and q35"),
                           ("q35,print", "print"), ("pc,preset=dos,print=x", "expected on or off"),
                           ('{"type":"pc","preset":"dos"}', "not JSON")):
            result = run("-M", args)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1), args)
            self.assertIn(said, result.stderr)
        with Qtest("-M", "pc,preset=dos,print=off") as q:
            q.qmp.command("query-status")

    def test_user_overrides(self):
        with Qtest("-M", "pc,preset=dos") as q:
            self.assertEqual(q.qmp.command("query-memory-size-summary")["base-memory"], 16 << 20)
        with Qtest("-M", "pc,preset=dos", "-m", 32) as q:
            self.assertEqual(q.qmp.command("query-memory-size-summary")["base-memory"], 32 << 20)
        with Qtest("-M", "q35,preset=linux", "-device", "virtio-rng-pci,id=mine") as q:
            tree = q.qmp.command("human-monitor-command", **{"command-line": "info qtree"})
            self.assertEqual((tree.count("dev: virtio-rng-pci"), tree.count("dev: virtio-balloon-pci")), (1, 1))
        with Qtest("-M", "q35,preset=linux", "-nodefaults") as q:
            self.assertNotIn("virtio", q.qmp.command("human-monitor-command", **{"command-line": "info qtree"}))


if __name__ == "__main__":
    main()
