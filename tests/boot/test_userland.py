#!/usr/bin/env python3
"""Debian's own tools under -accel soft say of the machine what the command line said; its kernel complains of nothing."""
import os
import re
import subprocess
import unittest

import harness
from harness import need_tool
from soft_guests import SoftTest, kernel, programs

TOOLS = ["lspci", "lscpu", "dmidecode", "numactl"]
SCRIPT = "export PATH=/usr/bin:/bin\ndmesg | sed 's/^/dmesg: /'\n" + "".join(
    f"echo begin {name}\n{command} 2>/dev/null\necho end {name}\n" for name, command in
    (("lspci", "lspci -nn -vvv"), ("lscpu", "lscpu"), ("dmidecode", "dmidecode"), ("numactl", "numactl -H"))) + \
    "echo script done\npoweroff -f\n"
# Behind them: 4 processors on 2 sockets, 512 MiB on 2 nodes.
MACHINE = ["-m", 512, "-smp", "4,sockets=2,cores=2", "-numa", "node,cpus=0-1,mem=256", "-numa", "node,cpus=2-3,mem=256",
           "-numa", "dist,src=0,dst=1,val=21", "-smbios", "type=1,serial=TRAVELLER-7,uuid=5f3a6a6e-0b9e-4d0c-9c3e-3d1c9a4a7b10",
           "-device", "virtio-rng-pci"]
COMPLAINTS = (r"(?im)^dmesg: .*(?:ACPI (?:BIOS )?(?:error|warning|exception|bug)|AE_|firmware bug|BIOS bug|"
              r"PCI.*(?:conflict|can't|failed|invalid)|BAR.*(?:failed|can't)|APIC.*(?:error|failed)|clocksource.*unstable|"
              r"call trace).*$")


class Userland(SoftTest):
    def initrd(self):
        return self.initramfs(SCRIPT, **programs(*TOOLS))

    def said(self, m, name):
        return re.search(f"(?s)begin {name}\n(.*?)end {name}\n", m.serial().replace("\r", "")).group(1)

    def complains_of_nothing(self, m):
        m.wait_for("script done", 300, m.serial)
        self.assertRegex(m.serial(), r"(?m)^dmesg: .*Linux version")
        self.assertRegex("dmesg: ACPI BIOS Error (bug): x", COMPLAINTS)
        self.assertEqual(re.findall(COMPLAINTS, m.serial()), [])
        self.assertEqual(m.process.wait(60), 0)

    def processors_and_memory(self, m):
        cpus, nodes = self.said(m, "lscpu"), self.said(m, "numactl")
        for what, value in (("CPU\\(s\\)", 4), ("Socket\\(s\\)", 2), ("Core\\(s\\) per socket", 2), ("Thread\\(s\\) per core", 1),
                            ("NUMA node\\(s\\)", 2), ("NUMA node1 CPU\\(s\\)", "2,3")):
            self.assertRegex(cpus, rf"(?m)^ *{what}: +{value}$")
        self.assertRegex(nodes, r"node 0 cpus: 0 1\nnode 0 size: 2\d\d MB\n")
        self.assertRegex(nodes, r"node 1 cpus: 2 3\nnode 1 size: 2\d\d MB\n")
        self.assertRegex(nodes, r"0: +10 +21 *\n +1: +21 +10")

    def board(self, m, product, functions):
        text, pci = self.said(m, "dmidecode"), self.said(m, "lspci")
        for line in ("Manufacturer: QEMU", "Product Name: " + product, "Serial Number: TRAVELLER-7",
                     "UUID: 5f3a6a6e-0b9e-4d0c-9c3e-3d1c9a4a7b10", "Socket Designation: CPU 1", "Size: 512 MB"):
            self.assertIn("\t" + line + "\n", text)
        self.assertEqual(text.count("Processor Information"), 2)
        self.assertEqual(re.findall(r"(?m)^\S+ .*\[(\w{4}:\w{4})\]", pci), functions)
        self.assertNotRegex(pci, "access denied|Unknown header|!!!")
        self.assertRegex(pci, r"MSI-X: Enable[-+] Count=\d")

    def test_pc_by_grub(self):
        """SeaBIOS, GRUB on a CD, Debian."""
        folder, cd = self.folder(), os.path.join(self.folder(), "cd.iso")
        image, configuration = os.path.join(folder, "eltorito.img"), os.path.join(folder, "grub.cfg")
        with open(configuration, "w", encoding="ascii") as f:
            f.write("linux /vmlinuz console=ttyS0 panic=-1 quiet\ninitrd /initrd\nboot\n")
        if not os.path.isdir("/usr/lib/grub/i386-pc"):
            raise unittest.SkipTest("missing: GRUB for BIOS (package grub-pc-bin)")
        subprocess.run([need_tool("grub-mkimage"), "-O", "i386-pc-eltorito", "-p", "/boot/grub", "-o", image, "biosdisk",
                        "iso9660", "linux", "normal"], check=True)
        files = {"eltorito.img": image, "boot/grub/grub.cfg": configuration, "vmlinuz": kernel(), "initrd": self.initrd()}
        subprocess.run([need_tool("xorriso"), "-as", "mkisofs", "-quiet", "-o", cd, "-b", "eltorito.img", "-no-emul-boot",
                        "-boot-load-size", "4", "-boot-info-table", "-graft-points",
                        *(f"{name}={path}" for name, path in files.items())], check=True, stderr=subprocess.DEVNULL)
        m = self.start("-M", "pc", *MACHINE, "-cdrom", cd, "-boot", "d")
        self.complains_of_nothing(m)
        self.processors_and_memory(m)
        self.board(m, "Standard PC (i440FX + PIIX, 1996)",
                   ["8086:1237", "8086:7000", "8086:7010", "8086:7113", "1234:1111", "1af4:1005"])

    def test_q35(self):
        m = self.start("-M", "q35", *MACHINE, "-kernel", kernel(), "-initrd", self.initrd(), "-append",
                       "console=ttyS0 panic=-1 quiet")
        self.complains_of_nothing(m)
        self.processors_and_memory(m)
        self.board(m, "Standard PC (Q35 + ICH9, 2009)",
                   ["8086:29c0", "1234:1111", "1af4:1005", "8086:2918", "8086:2922", "8086:2930"])

    def test_microvm(self):
        m = self.start("-M", "microvm", "-m", 512, "-smp", "4,sockets=2,cores=2", "-kernel", kernel(), "-initrd",
                       self.initrd(), "-append", "console=ttyS0 panic=-1 quiet")
        self.complains_of_nothing(m)
        self.assertRegex(self.said(m, "lscpu"), r"(?m)^ *Core\(s\) per socket: +2$")
        self.assertRegex(self.said(m, "lscpu"), r"(?m)^ *Socket\(s\): +2$")


if __name__ == "__main__":
    harness.main()
