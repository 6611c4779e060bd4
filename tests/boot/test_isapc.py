#!/usr/bin/env python3
"""The board without PCI: SeaBIOS, its VGA BIOS and boot media on the ISA bus."""
import unittest

from harness import need_file
from soft_guests import SoftTest, floppy

GRUB = "/usr/lib/grub-rescue/grub-rescue-"


class Isapc(SoftTest):
    def test_grub_floppy(self):
        m = self.start("-M", "isapc", "-m", 32, *floppy(need_file(GRUB + "floppy.img")))
        m.wait_for("GNU/Linux", 40)

    def test_grub_disk(self):
        """The image of a USB stick, as a disk."""
        m = self.start("-M", "isapc", "-m", 32, "-drive",
                       f"if=ide,index=0,format=raw,snapshot=on,file={need_file(GRUB + 'usb.img')}")
        m.wait_for("GNU/Linux|grub>", 40)

    def test_freedos(self):
        m = self.start("-M", "isapc", "-m", 16, *floppy(self.guest("fd-minimal-144.img")))
        m.wait_for(r"[AaCc]:\\?>", 40)

    def test_displays(self):
        for vga in ("std", "cirrus"):
            with self.subTest(vga):
                self.start("-M", "isapc", "-m", 16, "-vga", vga).wait_for("No bootable device", 40)

    def test_no_pci(self):
        m = self.start("-M", "isapc", "-S", serial=False)
        self.assertEqual(m.qmp.command("query-pci"), [])


if __name__ == "__main__":
    unittest.main()
