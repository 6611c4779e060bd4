#!/usr/bin/env python3
"""Unmodified guests under -accel kvm: firmware, boot loaders, DOS, ELKS, MikeOS and a Linux kernel.

Limits are generous: a KVM without hardware behind it emulates some three million instructions a second.
"""
import glob
import os
import subprocess
import tempfile
import time
import unittest

import harness
import vmlinux
from harness import Machine, need_file, need_kvm, need_tool

GUESTS = os.environ.get("OSTLER_GUESTS",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/guests"))
GRUB = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def guest(name):
    return need_file(os.path.join(GUESTS, name))


def floppy(path):
    return ["-drive", f"if=floppy,format=raw,snapshot=on,file={path}", "-boot", "a"]


def el_torito(machine_test, image):
    """A CD that boots this floppy image by El Torito floppy emulation."""
    tool = need_tool("xorrisofs")
    folder = tempfile.mkdtemp(prefix="ostler-cd-")
    machine_test.addCleanup(subprocess.run, ["rm", "-rf", folder], check=True)
    os.mkdir(f"{folder}/tree")
    subprocess.run(["cp", image, f"{folder}/tree/floppy.img"], check=True)
    subprocess.run([tool, "-quiet", "-b", "floppy.img", "-o", f"{folder}/cd.iso", f"{folder}/tree"], check=True)
    return f"{folder}/cd.iso"


class Kvm(unittest.TestCase):
    def setUp(self):
        need_kvm()

    def start(self, *args, **kwargs):
        m = Machine("-accel", "kvm", *args, **kwargs)
        self.addCleanup(m.close)
        return m

    def check_text_picture(self, m, name):
        """A screendump of a text mode: the size of 80x25 characters, and more than one colour."""
        width, height, rows = m.picture(name)
        self.assertEqual((width, height), (720, 400))
        colours = {row[i:i + 3] for row in rows for i in range(0, len(row), 3)}
        self.assertGreater(len(colours), 1)

    def test_firmware_menu(self):
        m = self.start("-m", 16, "-boot", "menu=on,splash-time=60000", "-cdrom", need_file(GRUB))
        m.wait_for("SeaBIOS", 60)
        m.wait_for("Press ESC for boot menu", 60)
        m.keys("esc")
        m.wait_for(r"Select boot device:", 60)
        m.wait_for(r"\d\. .*(DVD/CD|CD)", 60)         # the firmware writes line by line
        self.check_text_picture(m, "firmware-menu")

    def test_grub_prompt(self):
        m = self.start("-m", 64, "-cdrom", need_file(GRUB), "-boot", "d")
        m.wait_for("grub>|GNU GRUB", 300)
        if "grub>" not in m.screen():
            m.keys("c")
            m.wait_for("grub>", 300)
        m.type("echo ost" + "ler works\n", 0.6)
        m.wait_for(r"^ostler works", 120)
        self.check_text_picture(m, "grub")

    def dos(self, name, *args):
        m = self.start("-m", 16, *args)
        m.wait_for(r"A:\\>", 240)
        m.type("dir\n", 0.5)
        m.wait_for(r"bytes free", 120)
        self.assertRegex(m.screen(), r"(?i)file\(s\)")
        self.check_text_picture(m, name)

    def test_freedos_floppy(self):
        self.dos("freedos-floppy", *floppy(guest("fd-minimal-144.img")))

    def test_freedos_floppy_formats(self):
        for size in (160, 360, 720, 1200):
            with self.subTest(kilobytes=size):
                m = self.start("-m", 16, *floppy(guest(f"fd-minimal-{size}.img")))
                m.wait_for(r"A:\\>", 240)
                m.close()

    def test_freedos_cd(self):
        self.dos("freedos-cd", "-cdrom", el_torito(self, guest("fd-minimal-144.img")), "-boot", "d")

    def elks(self, name, *args):
        m = self.start("-m", 16, *args)
        m.wait_for(r"VFS: Mounted root", 240)
        self.check_text_picture(m, name)
        m.wait_for(r"^# ?$", 240)
        m.type("ls /\n", 0.5)
        m.wait_for(r"\bbin\b.*\betc\b|\bdev\b", 120)

    def test_elks_floppy(self):
        self.elks("elks-floppy", *floppy(guest("elks-fd1440.img")))

    def test_elks_cd(self):
        self.elks("elks-cd", "-cdrom", el_torito(self, guest("elks-fd1440.img")), "-boot", "d")

    def mikeos(self, name, *args):
        m = self.start("-m", 16, *args)
        m.wait_for("Thanks for trying out MikeOS", 240)
        m.keys("ret")
        m.wait_for(r"(?i)\.(bin|bas)", 60)
        self.check_text_picture(m, name)

    def test_mikeos_cd(self):
        self.mikeos("mikeos-cd", "-cdrom", guest("mikeos.iso"), "-boot", "d")

    def test_mikeos_floppy(self):
        self.mikeos("mikeos-floppy", *floppy(guest("mikeos.flp")))

    def test_linux_by_pvh(self):
        images = sorted(glob.glob("/boot/vmlinuz-*-amd64"))
        if not images:
            self.skipTest("missing: a Debian kernel (package linux-image-amd64)")
        with tempfile.NamedTemporaryFile(prefix="ostler-vmlinux-") as kernel:
            kernel.write(vmlinux.extract(images[-1]))
            kernel.flush()
            m = self.start("-m", 256, "-kernel", kernel.name, "-append",
                           "console=ttyS0 earlyprintk=serial,ttyS0 nokaslr")
            m.wait_for(r"Linux version \d", 240, m.serial)
            m.wait_for(r"Command line: .*console=ttyS0", 240, m.serial)
            m.wait_for(r"BIOS-e820: .* usable", 240, m.serial)
            m.wait_for(r"Memory: \d+K/\d+K available|SLUB", 300, m.serial)


class OnlyASocket(unittest.TestCase):
    """Boot, keys, picture, power button, exit code: with nothing but a socket and JSON."""

    def test_round(self):
        need_kvm()
        with Machine("-accel", "kvm", "-m", 16, "-boot", "menu=on,splash-time=60000") as m:
            m.wait_for("Press ESC", 60)
            m.keys("esc")
            m.wait_for("Select boot device", 60)
            width, height, _ = m.picture()
            self.assertEqual((width, height), (720, 400))
            m.qmp.command("system_powerdown")
            m.qmp.wait_event("POWERDOWN")
            self.assertEqual(m.qmp.command("query-status")["status"], "running")
            m.qmp.command("stop")
            m.qmp.wait_event("STOP")
            time.sleep(0.1)
            m.qmp.command("cont")
            m.qmp.wait_event("RESUME")
            m.qmp.command("system_reset")
            event = m.qmp.wait_event("RESET")
            self.assertFalse(event["data"]["guest"])
            self.assertEqual(m.quit(), 0)


if __name__ == "__main__":
    harness.main()
