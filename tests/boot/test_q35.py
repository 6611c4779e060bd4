#!/usr/bin/env python3
"""The board q35 under -accel soft: SeaBIOS and OVMF, Linux with its AHCI driver, power button, reset; AHCI on pc, too."""
import hashlib
import os
import random
import re
import unittest

import harness
from harness import need_file
from soft_guests import SoftTest, kernel, modules

MIB = 1 << 20
RESCUE = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"

# Read, write through the queue, forget with TRIM; then the CD.
DISK = r"""
dd if=/dev/sda bs=1M count=8 2>/dev/null | md5sum | sed 's/^/first /'
dd if=/dev/sda of=/dev/sda bs=1M count=4 seek=20 conv=notrunc,fsync 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/sda bs=1M count=4 skip=20 2>/dev/null | md5sum | sed 's/^/copy /'
dd if=/dev/zero of=/dev/sda bs=4k count=8 seek=7680 oflag=direct conv=notrunc 2>/dev/null
blkdiscard -o 25165824 -l 1048576 /dev/sda && echo trimmed
echo depth $(cat /sys/block/sda/device/queue_depth)
dd if=/dev/sr0 bs=2048 count=512 2>/dev/null | md5sum | sed 's/^/cd /'
dmesg | sed 's/^\[[^]]*\] //'
echo script done
"""


class Q35Test(SoftTest):
    def disk(self):
        path = os.path.join(self.folder(), "disk.img")
        content = random.Random(35).randbytes(32 * MIB)
        with open(path, "wb") as f:
            f.write(content)
        return path, content

    def linux(self, script, names, *args, append=""):
        files, load = modules(*names)
        archive = self.initramfs(load + script, **files)
        return self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append",
                          "console=ttyS0 quiet panic=-1 " + append, *args)


class Disks(Q35Test):
    def work(self, m, path, content):
        m.wait_for("script done", 200, m.serial)
        said = m.serial()
        self.assertIn("first " + hashlib.md5(content[:8 * MIB]).hexdigest(), said)
        self.assertIn("copy " + hashlib.md5(content[:4 * MIB]).hexdigest(), said)
        self.assertIn("trimmed", said)
        self.assertRegex(said, r"depth 3[12]\b")
        with open(RESCUE, "rb") as f:
            self.assertIn("cd " + hashlib.md5(f.read(MIB)).hexdigest(), said)
        self.assertRegex(said, r"ata\d\.00: .*NCQ \(depth 32\)")
        self.assertNotRegex(said, r"ata\d.*(exception|failed|error)|ACPI (BIOS )?(Error|Warning)|ACPI: .*AE_|Call Trace")
        self.assertEqual(m.process.wait(60), 0)
        with open(path, "rb") as f:
            now = f.read()
        self.assertEqual(now[20 * MIB:24 * MIB], content[:4 * MIB])
        self.assertEqual(now[30 * MIB:30 * MIB + 32768], bytes(32768))
        self.assertEqual(now[:20 * MIB], content[:20 * MIB])
        return said

    DRIVERS = ["ahci", "sd_mod", "sr_mod"]
    WAIT = "for i in $(seq 100); do [ -b /dev/sda ] && [ -b /dev/sr0 ] && break; sleep 0.1; done\n"

    def test_q35(self):
        path, content = self.disk()
        m = self.linux(self.WAIT + DISK + "lspci\npoweroff -f\n", self.DRIVERS, "-M", "q35", "-cdrom", need_file(RESCUE),
                       "-drive", f"if=ide,format=raw,discard=unmap,file={path}")
        said = self.work(m, path, content)
        self.assertRegex(said, r"MMCONFIG .*at \[mem 0x[0-9a-f]+-0x[0-9a-f]+\] reserved")
        self.assertIn("_OSC: OS now controls", said)
        self.assertIn("pci 0000:00:1f.2: [8086:2922]", said)

    def test_q35_without_messages(self):
        """INTx, by ACPI's routes to the I/O APIC."""
        path, content = self.disk()
        m = self.linux(self.WAIT + "grep ahci /proc/interrupts\n" + DISK + "poweroff -f\n", self.DRIVERS, "-M", "q35",
                       "-cdrom", need_file(RESCUE), "-drive", f"if=ide,format=raw,discard=unmap,file={path}",
                       append="pci=nomsi")
        self.assertRegex(self.work(m, path, content), r"16: .*IO-APIC +16-fasteoi +ahci")

    def test_q35_with_8259s(self):
        path, content = self.disk()
        m = self.linux(self.WAIT + "grep ahci /proc/interrupts\n" + DISK + "poweroff -f\n", self.DRIVERS, "-M", "q35",
                       "-cdrom", need_file(RESCUE), "-drive", f"if=ide,format=raw,discard=unmap,file={path}",
                       append="noapic pci=nomsi")
        self.assertRegex(self.work(m, path, content), r"1[01]: .*XT-PIC +ahci")

    def test_behind_a_root_port_and_a_bridge(self):
        """Without messages, so that interrupts find their way as well."""
        path, content = self.disk()
        m = self.linux(self.WAIT + DISK + "poweroff -f\n", self.DRIVERS, "-M", "q35,sata=off", "-nodefaults",
                       "-device", "pcie-root-port,id=rp,addr=3", "-device",
                       "ahci,id=a,bus=rp", "-device", "pci-bridge,id=br,addr=5,chassis_nr=1", "-device",
                       "ahci,id=b,bus=br,addr=7", "-drive", f"if=none,id=d,format=raw,discard=unmap,file={path}",
                       "-device", "ide-hd,drive=d,bus=a.0", "-drive",
                       f"if=none,id=c,media=cdrom,format=raw,readonly=on,file={need_file(RESCUE)}", "-device",
                       "ide-cd,drive=c,bus=b.2", append="pci=nomsi")
        self.work(m, path, content)

    def test_behind_a_switch_and_bridges(self):
        """Wires again, from the far end of a PCI Express switch and from conventional PCI behind a bridge from Express."""
        path, content = self.disk()
        m = self.linux(self.WAIT + "grep ahci /proc/interrupts\n" + DISK + "poweroff -f\n", self.DRIVERS, "-M",
                       "q35,sata=off", "-nodefaults",
                       "-device", "ioh3420,id=rp,addr=3,slot=1", "-device", "x3130-upstream,id=up,bus=rp",
                       "-device", "xio3130-downstream,id=down,bus=up,addr=2,slot=2", "-device", "ahci,id=a,bus=down",
                       "-device", "pcie-root-port,id=rp2,addr=4,slot=3", "-device", "pcie-pci-bridge,id=conv,bus=rp2",
                       "-device", "pci-bridge,id=br,bus=conv,addr=1,chassis_nr=1", "-device", "ahci,id=b,bus=br,addr=7",
                       "-device", "i82801b11-bridge,id=dmi", "-device", "edu,bus=dmi,addr=3",
                       "-drive", f"if=none,id=d,format=raw,discard=unmap,file={path}", "-device", "ide-hd,drive=d,bus=a.0",
                       "-drive", f"if=none,id=c,media=cdrom,format=raw,readonly=on,file={need_file(RESCUE)}", "-device",
                       "ide-cd,drive=c,bus=b.2", append="pci=nomsi")
        said = self.work(m, path, content)
        self.assertEqual(len(re.findall(r"IO-APIC +\d+-fasteoi +ahci", said)), 2)

    def test_ahci_on_pc(self):
        path, content = self.disk()
        m = self.linux(self.WAIT + DISK + "poweroff -f\n", self.DRIVERS, "-device", "ahci,id=ahci0", "-drive",
                       f"if=none,id=d,format=raw,discard=unmap,file={path}", "-device", "ide-hd,drive=d,bus=ahci0.0",
                       "-drive", f"if=none,id=c,media=cdrom,format=raw,readonly=on,file={need_file(RESCUE)}",
                       "-device", "ide-cd,drive=c,bus=ahci0.5")
        self.work(m, path, content)


class Power(Q35Test):
    BUTTON = r"""
echo script waits
for e in /dev/input/event*; do
    (dd if=$e of=/dev/null bs=24 count=1 2>/dev/null && echo pressed $(cat /sys/class/input/${e##*/}/device/name); poweroff -f) &
done
wait
sleep 100
"""

    def test_power_button(self):
        m = self.linux(self.BUTTON, ["button", "evdev"], "-M", "q35")
        m.wait_for("script waits", 120, m.serial)
        m.qmp.command("system_powerdown")
        m.qmp.wait_event("POWERDOWN")
        m.wait_for("pressed Power Button", 60, m.serial)
        self.assertEqual(m.process.wait(60), 0)

    def test_reboot_by_acpi(self):
        m = self.linux("echo script runs\nreboot -f\n", [], "-M", "q35", "-no-reboot", append="reboot=acpi")
        m.wait_for("script runs", 120, m.serial)
        self.assertEqual(m.process.wait(60), 0)

    def test_reset_starts_anew(self):
        m = self.linux("echo script runs\nsleep 1000\n", [], "-M", "q35")
        m.wait_for("script runs", 120, m.serial)
        m.qmp.command("system_reset")
        m.wait_for("(?s)script runs.*script runs", 120, m.serial)

    def test_watchdog(self):
        m = self.linux("watchdog -T 4 -t 2 /dev/watchdog; sleep 1; kill -9 $(pidof watchdog); echo let it bark; sleep 100\n",
                       ["iTCO_wdt", "lpc_ich", "i2c-i801"], "-M", "q35", "-global", "ICH9-LPC.noreboot=off", "-action",
                       "watchdog=poweroff")
        m.wait_for("let it bark", 120, m.serial)
        self.assertEqual(m.process.wait(60), 0)


class Firmware(Q35Test):
    def test_grub_from_sata_cd(self):
        m = self.start("-M", "q35", "-m", 64, "-cdrom", need_file(RESCUE))
        m.wait_for(r"GNU GRUB +version", 100)
        m.keys("c")
        m.wait_for("grub>", 60)
        m.type("ls\n", 0.1)
        m.wait_for(r"\(cd\)|\(cd0\)|\(hd96\)", 60)

    def test_ovmf_shell(self):
        path, _ = self.disk()
        m = self.uefi("-drive", f"if=ide,format=raw,file={path}")
        m.wait_for(r"Shell>", 200, m.serial)
        self.assertRegex(m.serial(), r"BLK\d:.*(?s:.*)Sata\(0x0,0xFFFF,0x0\)")

    def test_ovmf_linux(self):
        path, content = self.disk()
        files, load = modules("ahci", "sd_mod")
        archive = self.initramfs(load + Disks.WAIT.replace("&& [ -b /dev/sr0 ]", "") +
                                 "dd if=/dev/sda bs=1M count=8 2>/dev/null | md5sum\ndmesg\necho script done\npoweroff -f\n",
                                 **files)
        m = self.uefi("-kernel", kernel(), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1",
                      "-drive", f"if=ide,format=raw,file={path}")
        m.wait_for("script done", 300, m.serial)
        said = m.serial()
        self.assertIn(hashlib.md5(content[:8 * MIB]).hexdigest(), said)
        self.assertTrue(re.search("efi: EFI v2", said))
        self.assertNotRegex(said, r"ACPI (BIOS )?(Error|Warning)|ACPI: .*AE_|Call Trace|\[Firmware Bug\]: .*MMCONFIG")
        self.assertEqual(m.process.wait(60), 0)


if __name__ == "__main__":
    harness.main()
