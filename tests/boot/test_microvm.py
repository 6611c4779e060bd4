#!/usr/bin/env python3
"""Debian's kernel on the board microvm, entered without firmware, with Linux's drivers for virtio over memory-mapped registers."""
import hashlib
import os
import random
import unittest

from harness import need_file
from soft_guests import SoftTest, kernel, modules

LOOK = r"""
echo "read $(md5sum </dev/vda | cut -c1-32)"
dd if=/dev/vda of=/dev/vda bs=64k count=16 seek=16 conv=notrunc,fsync 2>/dev/null
cat /sys/class/misc/hw_random/rng_current
echo "random $(dd if=/dev/hwrng bs=1024 count=4 iflag=fullblock 2>/dev/null | wc -c)"
echo "to the console" >/dev/hvc0
echo "places $(ls -d /sys/bus/virtio/devices/virtio* | wc -l)"
dmesg | grep -E 'ACPI.*(Error|Warn)|BUG|WARNING|Call Trace|nobody cared'
"""
POWER_BUTTON = r"""
echo "waiting for the button"
dd if=/dev/input/event0 bs=24 count=1 2>/dev/null | wc -c
poweroff -f
"""
SIZE = 4 << 20


class Microvm(SoftTest):
    def boot(self, machine, script, *args, load=("virtio_mmio", "virtio_blk", "virtio-rng", "virtio_console"), cpus=1):
        files, lines = modules(*load)
        archive = self.initramfs(lines + script, **files)
        m = self.start("-M", machine, "-m", 192, "-smp", cpus, "-kernel", kernel(), "-initrd", archive, "-append",
                       "console=ttyS0 quiet loglevel=5 panic=-1", "-no-reboot", "-d", "guest_errors", *args)
        return m

    def disk(self):
        data = random.Random("microvm").randbytes(SIZE)
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.write(data)
        return path, hashlib.md5(data).hexdigest()

    def check_end(self, m):
        self.assertEqual(m.process.wait(120), 0)
        said = [line for line in m.process.stderr.read().splitlines() if "requested feature" not in line]
        self.assertEqual(said, [])
        return m.serial().replace("\r", "")

    def test_devices_and_poweroff(self):
        path, md5 = self.disk()
        out = os.path.join(self.folder(), "console")
        m = self.boot("microvm", LOOK + "poweroff -f\n", "-device", "virtio-blk-device,drive=d", "-drive",
                      f"if=none,id=d,format=raw,file={path}", "-device", "virtio-rng-device", "-device",
                      "virtio-serial-device", "-chardev", f"file,id=c,path={out}", "-device", "virtconsole,chardev=c",
                      cpus=2)
        said = self.check_end(m)
        self.assertIn(f"read {md5}\nvirtio_rng.0\nrandom 4096\nplaces 3\n", said)
        self.assertNotRegex(said, "Error|Warn|BUG|WARNING|Call Trace|nobody cared")
        with open(out, encoding="ascii") as f:
            self.assertEqual(f.read().strip(), "to the console")
        with open(path, "rb") as f:
            data = f.read()
        self.assertEqual(data[:1 << 20], data[1 << 20:2 << 20])

    def test_without_acpi_and_clock(self):
        """The MP tables and the command line instead; Debian's driver is built without that parameter, others read it."""
        path, _ = self.disk()
        m = self.boot("microvm,acpi=off,rtc=off", "cat /proc/cmdline\ngrep -c IO-APIC /proc/interrupts\necho script done\n"
                      "poweroff -f\n", "-drive", f"if=virtio,format=raw,file={path}", load=(), cpus=2)
        m.wait_for("script done", 300, m.serial)
        said = m.serial().replace("\r", "")
        self.assertRegex(said, r"panic=-1 virtio_mmio.device=512@0xfeb00000:5\n[1-9]")
        self.assertNotRegex(said, "BUG|WARNING|Call Trace|nobody cared")

    def test_power_button(self):
        m = self.boot("microvm", POWER_BUTTON, load=("evdev", "button"))
        m.wait_for("waiting for the button", 300, m.serial)
        m.qmp.command("system_powerdown")
        m.qmp.wait_event("SHUTDOWN", 120)
        self.assertIn("\n24\n", self.check_end(m))

    def test_firmware(self):
        """The same through SeaBIOS, which finds the kernel's option ROM, ACPI and the disk."""
        need_file("/usr/share/seabios/bios-microvm.bin")
        path, md5 = self.disk()
        m = self.boot("microvm", "echo \"read $(md5sum </dev/vda | cut -c1-32)\"\npoweroff -f\n", "-bios",
                      "bios-microvm.bin", "-drive", f"if=virtio,format=raw,file={path}", load=("virtio_mmio", "virtio_blk"))
        self.assertIn(f"read {md5}\n", self.check_end(m))


if __name__ == "__main__":
    unittest.main()
