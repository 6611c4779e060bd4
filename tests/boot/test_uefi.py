#!/usr/bin/env python3
"""UEFI under -accel soft: variables that stay, GRUB and Debian's kernel from every kind of disk, Secure Boot."""
import os
import subprocess
import unittest

import harness
from harness import need_file, need_tool
from soft_guests import OVMF, SoftTest, kernel

GRUB, GRUB_CD = (f"/usr/lib/grub/x86_64-efi/monolithic/{name}x64.efi" for name in ("grub", "gcd"))
SHIM = "/usr/lib/shim/shimx64.efi"
BOOT_FILE = "EFI/BOOT/BOOTX64.EFI"
CONFIGURATION = """search --set=root --file /initrd
linux /vmlinuz console=ttyS0 quiet panic=-1
initrd /initrd
boot
"""
# What is asked for with every build of the firmware that has system management mode (its own manual says so).
SECURE = ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"]


class Uefi(SoftTest):
    def esp(self, files):
        """A FAT disk with these files {path: where they come from}, as an EFI system partition has them."""
        path = os.path.join(self.folder(), "esp.img")
        size = sum(os.path.getsize(need_file(f)) for f in files.values())
        with open(path, "wb") as f:
            f.truncate(max(size + (2 << 20), 8 << 20))
        fat = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
        subprocess.run([need_tool("mformat"), "-i", path, "-v", "ESP", "::"], check=True, env=fat)
        made = set()
        for name, source in files.items():
            for i in range(1, len(name.split("/"))):
                folder = "/".join(name.split("/")[:i])
                if folder not in made:
                    subprocess.run(["mmd", "-i", path, "::" + folder], check=True, env=fat)
                    made.add(folder)
            subprocess.run(["mcopy", "-i", path, source, "::" + name], check=True, env=fat)
        return path


class Variables(Uefi):
    def shell(self, m, *lines):
        for line in lines:
            m.type(line + "\n", 0.05)

    def test_they_stay(self):
        variables = self.variables(OVMF.replace("CODE", "VARS"))
        guid = "5f3a6a6e-0b9e-4d0c-9c3e-3d1c9a4a7b10"
        m = self.uefi(variables=variables)
        m.wait_for(r"Shell>", 200, m.serial)
        self.shell(m, f"setvar Traveller -guid {guid} -bs -rt -nv =0x4f53544c4552")
        self.shell(m, f"setvar Traveller -guid {guid}")
        m.wait_for(r"52 45 4C 54 53 4F", 60, m.serial)
        m.qmp.command("quit")           # no orderly end: what the guest has written is on the disk
        m.process.wait(30)
        m = self.uefi(variables=variables)
        m.wait_for(r"Shell>", 200, m.serial)
        self.shell(m, f"setvar Traveller -guid {guid}", "reset -s")
        m.wait_for(r"52 45 4C 54 53 4F", 60, m.serial)
        self.assertEqual(m.process.wait(60), 0)


class Grub(Uefi):
    """OVMF, GRUB, the kernel, its userland."""

    def setUp(self):
        self.grub = os.path.join(self.folder(), "grub.cfg")
        with open(self.grub, "w", encoding="ascii") as f:
            f.write(CONFIGURATION)
        self.initrd = self.initramfs("dmesg | grep -i -E 'efi: EFI|ACPI.*(error|warning)|AE_' \n"
                                     "echo userland is up\npoweroff -f\n")

    def disk(self):
        return self.esp({BOOT_FILE: GRUB, "EFI/debian/grub.cfg": self.grub, "vmlinuz": kernel(), "initrd": self.initrd})

    def boots(self, m):
        m.wait_for("userland is up", 300, m.serial)
        said = m.serial()
        self.assertIn("efi: EFI v2", said)
        self.assertNotRegex(said, r"(?i)ACPI.*(error|warning)|AE_")
        self.assertEqual(m.process.wait(60), 0)

    def test_sata_disk(self):
        self.boots(self.uefi("-drive", f"if=ide,format=raw,file={self.disk()}"))

    def test_ide_disk_on_pc(self):
        self.boots(self.uefi("-drive", f"if=ide,format=raw,file={self.disk()}", machine="pc"))

    def test_virtio_disk(self):
        self.boots(self.uefi("-drive", f"if=virtio,format=raw,file={self.disk()}"))

    def test_virtio_scsi_disk(self):
        """The second one: OVMF looks for it at the address that the boot order names."""
        empty = os.path.join(self.folder(), "empty.img")
        with open(empty, "wb") as f:
            f.truncate(1 << 20)
        self.boots(self.uefi("-device", "virtio-scsi-pci,id=scsi0", "-drive", f"if=none,id=e,format=raw,file={empty}", "-device",
                             "scsi-hd,drive=e", "-drive", f"if=none,id=d,format=raw,file={self.disk()}", "-device",
                             "scsi-hd,drive=d,scsi-id=4,bootindex=0"))

    def test_cd(self):
        cd = os.path.join(self.folder(), "cd.iso")
        files = {"esp.img": self.esp({BOOT_FILE: GRUB_CD}), "boot/grub/grub.cfg": self.grub, "vmlinuz": kernel(),
                 "initrd": self.initrd}
        subprocess.run([need_tool("xorriso"), "-as", "mkisofs", "-quiet", "-o", cd, "-e", "esp.img", "-no-emul-boot",
                        "-graft-points", *(f"{name}={path}" for name, path in files.items())],
                       check=True, stderr=subprocess.DEVNULL)
        self.boots(self.uefi("-cdrom", cd))


class SecureBoot(Uefi):
    """The firmware that enforces it, with Microsoft's keys enrolled; its variables are written in SMM alone."""

    def boot(self, loader):
        disk = self.esp({BOOT_FILE: loader})
        return self.uefi("-drive", f"if=ide,format=raw,file={disk}", *SECURE, machine="q35,smm=on",
                         code=OVMF.replace("CODE_4M", "CODE_4M.secboot"),
                         variables=self.variables(OVMF.replace("CODE_4M", "VARS_4M.ms")))

    def test_unsigned_loader(self):
        m = self.boot(SHIM)
        m.wait_for(r'failed to (load|start) Boot\d+ "UEFI [^"]*".*(Access Denied|Security Violation)', 200, m.serial)
        self.assertNotIn("shim", m.serial())

    def test_signed_loader(self):
        m = self.boot(SHIM + ".signed")
        m.wait_for(r"grubx64.efi.*Not Found", 200, m.serial)    # shim runs, and looks for its next stage


if __name__ == "__main__":
    harness.main()
