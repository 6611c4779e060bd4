#!/usr/bin/env python3
"""Unmodified guests under -accel soft that take their time: an installer, memory tests, UEFI, other systems."""
import re

import harness
from harness import need_file
from soft_guests import INSTALLER, SoftTest, floppy

MEMTEST = "/usr/lib/memtest86+/memtest86+{}.iso"


class Installer(SoftTest):
    def boot(self, append):
        return self.start("-m", 1024, "-kernel", need_file(INSTALLER + "linux"), "-initrd", INSTALLER + "initrd.gz",
                          "-append", append)

    def test_debian_on_serial(self):
        m = self.boot("console=ttyS0 quiet")
        m.wait_for(r"Select a language", 500, m.serial)
        m.wait_for(r"English", 30, m.serial)

    def test_debian_on_vga(self):
        """The dialog is drawn: a grey box with a red bar in it on a blue ground."""
        m = self.boot("vga=normal quiet")

        def shown():
            width, height, seen = m.shades()
            tone = lambda r, g, b: any(abs(c[0] - r) < 60 and abs(c[1] - g) < 60 and abs(c[2] - b) < 60 for c in seen)
            return f"{width}x{height} {tone(0, 0, 170)} {tone(170, 170, 170)} {tone(170, 0, 0)}"
        m.wait_for(r"^\d+x\d+ True True True$", 500, shown)
        m.picture("debian-installer")


class Memtest(SoftTest):
    def a_pass(self, kind):
        m = self.start("-m", 32, "-cdrom", need_file(MEMTEST.format(kind)), "-boot", "d")
        m.wait_for(r"Memtest86\+ v6", 100)
        m.wait_for(r"Pass: +[1-9]", 600)
        screen = m.screen()
        self.assertRegex(screen, r"Errors: 0\b")
        self.assertIsNone(re.search(r"fail", screen, re.I), screen)
        m.picture("memtest-" + kind)

    def test_32_bit(self):
        self.a_pass("ia32")

    def test_64_bit(self):
        self.a_pass("x64")


class Uefi(SoftTest):
    def test_shell(self):
        m = self.uefi(machine="pc", ram=256)
        m.wait_for(r"Shell>", 400, m.serial)
        m.picture("ovmf")


class Systems(SoftTest):
    def test_freedos_formats(self):
        for size in (160, 360, 720, 1200):
            with self.subTest(kilobytes=size):
                m = self.start("-m", 16, *floppy(self.guest(f"fd-minimal-{size}.img")))
                m.wait_for(r"A:\\>", 100)
                m.close()

    def test_mikeos_cd(self):
        m = self.start("-m", 16, "-cdrom", self.guest("mikeos.iso"), "-boot", "d")
        m.wait_for("Thanks for trying out MikeOS", 100)

    def test_openbsd(self):
        m = self.start("-m", 64, *floppy(self.guest("openbsd28-i386-floppy.img")))
        m.wait_for(r"\(I\)nstall, \(U\)pgrade or \(S\)hell\?", 300, m.text_memory)
        m.type("s\n", 0.3)
        m.wait_for(r"^# ?$", 60, m.text_memory)
        m.type("echo /*\n", 0.3)        # there is no ls
        m.wait_for(r"/bin.* /dev", 60, m.text_memory)
        m.picture("openbsd")

    def test_freebsd(self):
        m = self.start("-m", 64, *floppy(self.guest("fbsd-iso-1.0.3-288.img")))
        m.wait_for(r"Enter a number", 300)
        m.keys("ret")
        m.wait_for(r"(?i)login:|press|enter", 60)
        m.wait_for(r"login: ?$", 120, typed="ret")
        m.type("root\n", 0.3)
        m.wait_for(r"# ?$", 60)
        m.type("ls /\n", 0.3)
        m.wait_for(r"\bbin\b.*\bdev\b", 60)

    def test_kolibri(self):
        m = self.start("-m", 128, "-vga", "std", *floppy(self.guest("kolibri-r4983-2014.img")))

        def desktop():
            width, height, seen = m.shades()
            return f"{width}x{height} {len(seen)}"
        m.wait_for(r"^800x600 \d{4,}$", 200, desktop)
        m.picture("kolibri")

    def test_tomsrtbt(self):
        m = self.start("-m", 64, *floppy(self.guest("tomsrtbt-2.0.103-288.img")))
        m.wait_for(r"^boot:", 100)
        m.keys("ret")
        m.wait_for(r"<SPACE> to continue", 100)
        m.keys("spc")
        m.wait_for(r"login:", 300, m.text_memory)
        m.type("root\n", 0.3)
        m.wait_for(r"(?i)password", 60, m.text_memory)
        m.type("xxxx\n", 0.3)
        m.wait_for(r"# ?$", 60, m.text_memory)

    def test_floppinux(self):
        m = self.start("-m", 128, *floppy(self.guest("flpnxrtl.img")))
        m.wait_for(r"BusyBox v1\.37", 300, m.text_memory)
        m.wait_for(r"^# ?$", 60, m.text_memory)

    def test_tinyroot(self):
        m = self.start("-m", 64, "-cdrom", self.guest("tinyroot.iso"), "-boot", "d")
        m.wait_for(r"BusyBox v1", 300, m.text_memory)
        m.wait_for(r"^/ # ?$", 60, m.text_memory)


if __name__ == "__main__":
    harness.main()
