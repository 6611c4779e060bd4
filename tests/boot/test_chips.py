#!/usr/bin/env python3
"""Small chips under Linux's own drivers, with -accel soft: watchdogs, displays, the VM generation identifier."""
import os
import re
import struct
import uuid

import harness
from soft_guests import SoftTest, colours, kernel, modules


class ChipsTest(SoftTest):
    def linux(self, script, names, *args, append=""):
        files, load = modules(*names)
        archive = self.initramfs(load + script, **files)
        return self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append",
                          "console=ttyS0 quiet panic=-1 " + append, *args)


class Sleep(ChipsTest):
    """Linux suspends to RAM, the clock's alarm wakes it, and it can still switch itself off."""
    TWICE = """
dd if=/dev/urandom of=/tmp/x bs=64k count=16 2>/dev/null
md5sum /tmp/x | sed 's/^/before /'
for i in 1 2; do
    echo +2 >/sys/class/rtc/rtc0/wakealarm
    echo mem >/sys/power/state
    echo awake $i of $(nproc)
done
md5sum /tmp/x | sed 's/^/after /'
dmesg | grep 'ACPI Error' | sed 's/^/complaint: /'
poweroff -f
"""

    def twice(self, board, cpus):
        m = self.linux(self.TWICE, [], "-machine", board, "-smp", cpus)
        self.assertEqual(m.process.wait(240), 0, m.serial())
        text = m.serial()
        self.assertIn(f"awake 1 of {cpus}", text)
        self.assertIn(f"awake 2 of {cpus}", text)
        self.assertEqual(re.search("before (.*)", text)[1], re.search("after (.*)", text)[1])
        self.assertNotIn("complaint", text)

    def test_pc(self):
        self.twice("pc", 2)

    def test_q35(self):
        self.twice("q35", 2)


class Hibernation(ChipsTest):
    """Linux suspends to a disk, which switches the machine off; the next start goes on where it was."""
    ONCE = """
resume=$(cat /sys/block/vda/dev)
echo $resume >/sys/power/resume # does not come back if there is something to go on with
mkswap /dev/vda >/dev/null
swapon /dev/vda
dd if=/dev/urandom of=/tmp/x bs=64k count=16 2>/dev/null
md5sum /tmp/x | sed 's/^/before /' >/dev/ttyS0
echo $resume >/sys/power/resume
echo platform >/sys/power/disk
echo disk >/sys/power/state
echo awake of $(nproc)
md5sum /tmp/x | sed 's/^/after /'
dmesg | grep 'ACPI Error' | sed 's/^/complaint: /'
poweroff -f
"""

    def hibernate(self, board, cpus, device):
        disk = os.path.join(self.folder(), "swap.raw")
        with open(disk, "wb") as f:
            f.truncate(512 << 20)
        said = []
        for _ in range(2):
            m = self.linux(self.ONCE, ["virtio_pci", "virtio_blk"], "-machine", board, "-smp", cpus, "-drive",
                           f"if=none,id=d,format=raw,file={disk}", "-device", device, append="no_console_suspend")
            if not said:
                m.qmp.wait_event("SUSPEND_DISK", 240)
            self.assertEqual(m.qmp.wait_event("SHUTDOWN", 240)["data"], {"guest": True, "reason": "guest-shutdown"})
            self.assertEqual(m.process.wait(60), 0, m.serial())
            said.append(m.serial())
        self.assertNotIn("awake", said[0])
        self.assertIn(f"awake of {cpus}", said[1])
        self.assertNotIn("before", said[1])
        self.assertEqual(re.search("before (.*)", said[0])[1], re.search("after (.*)", said[1])[1])
        self.assertNotIn("complaint", said[1])

    def test_pc(self):
        self.hibernate("pc", 2, "virtio-blk-pci,drive=d")

    def test_q35(self):
        self.hibernate("q35", 2, "virtio-blk-pci,drive=d")


class Watchdogs(ChipsTest):
    LET_IT_BARK = """
cat /sys/class/watchdog/watchdog0/bootstatus | sed 's/^/bootstatus /'
watchdog -T 2 -t 1 /dev/watchdog
sleep 5
echo still alive
kill -9 $(pidof watchdog)
sleep 60
echo nothing happened
"""

    def bark(self, device, module, action):
        m = self.linux(self.LET_IT_BARK, [module], "-device", device, "-action", f"watchdog={action}")
        m.wait_for("still alive", 120, m.serial)
        self.assertNotIn("WATCHDOG", [e["event"] for e in m.qmp.events])
        self.assertEqual(m.qmp.wait_event("WATCHDOG", 60)["data"], {"action": action})
        self.assertNotIn("nothing happened", m.serial())
        return m

    def test_i6300esb_resets(self):
        m = self.bark("i6300esb", "i6300esb", "reset")
        self.assertEqual(m.qmp.wait_event("RESET")["data"], {"guest": True, "reason": "guest-reset"})
        m.qmp.command("watchdog-set-action", action="poweroff")
        m.wait_for("bootstatus 32", 120, m.serial) # the next boot knows that it was the watchdog
        self.assertEqual(m.qmp.wait_event("WATCHDOG", 60)["data"], {"action": "poweroff"})
        self.assertEqual(m.process.wait(30), 0)

    def test_ib700_pauses(self):
        m = self.bark("ib700", "ib700wdt", "pause")
        m.qmp.wait_event("STOP")
        self.assertEqual(m.qmp.command("query-status")["status"], "watchdog")

    def test_ib700_sends_nmis(self):
        m = self.bark("ib700", "ib700wdt", "inject-nmi")
        m.wait_for("NMI", 30, m.serial)


class Displays(ChipsTest):
    DRAW = """
cat /sys/class/graphics/fb0/name | sed 's/^/frame buffer /'
cat /sys/class/graphics/fb0/virtual_size | sed 's/^/size /'
i=0
while [ $i -lt 60 ]; do echo "$i the quick brown fox jumps over the lazy dog" >/dev/tty0; i=$((i + 1)); done
dd if=/dev/zero bs=1024 count=100 2>/dev/null | tr '\\000' '\\377' >/dev/fb0
echo drawn
sleep 1000
"""

    def draws(self, device, module, name):
        m = self.linux(self.DRAW, [module], "-vga", "none", "-device", device)
        m.wait_for("drawn", 200, m.serial)
        self.assertRegex(m.serial(), rf"frame buffer {name}")
        width, height = (int(n) for n in m.wait_for(r"size (\d+),(\d+)", 1, m.serial).groups())
        shown, lines, rows = m.picture(device)
        self.assertEqual((shown, lines), (width, height))
        self.assertEqual(colours(rows[:8]), {b"\xff\xff\xff"})
        text = colours(rows[height // 2:])
        self.assertIn(b"\0\0\0", text)
        self.assertGreater(len(text), 1)

    def test_cirrus(self):
        self.draws("cirrus-vga", "cirrus", "cirrus")

    def test_bochs(self):
        self.draws("bochs-display", "bochs", "bochs")

    def test_behind_bridges(self):
        """SeaBIOS enables VGA on the path to the card; its text mode needs the ports and the memory there."""
        for name, args in (("bridge", ("-device", "pci-bridge,id=b,chassis_nr=1", "-device", "VGA,bus=b,addr=1")),
                           ("ports", ("-M", "q35", "-device", "pcie-root-port,id=p,chassis=1", "-device",
                                      "pcie-pci-bridge,id=b,bus=p", "-device", "cirrus-vga,bus=b,addr=2"))):
            with self.subTest(name):
                m = self.start("-m", 32, "-vga", "none", *args)
                m.wait_for("No bootable device", 100)

    def test_vga_bios_without_rom_bar(self):
        """SeaBIOS finds it among the files of fw_cfg, and prints by it."""
        m = self.start("-vga", "none", "-device", "VGA,rombar=0", "-m", 32)
        m.wait_for("^SeaBIOS .version", 30)


class Mouse(ChipsTest):
    """VMware's mouse behind its backdoor.  Linux looks for it where KVM's features are offered: with APIC IDs beyond 254."""
    SCRIPT = """
i=0; while ! grep -q VMMouse /proc/bus/input/devices && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
node=$(grep -A5 'VMMouse"' /proc/bus/input/devices | grep -o 'event[0-9]*' | head -1)
(dd if=/dev/input/$node bs=24 count=6 2>/dev/null | hexdump -v -e '24/1 "%02x" "\\n"' | sed 's/^/event /') &
sleep 1
echo listening on $node
wait
echo script done
poweroff -f
"""

    def test_places_and_buttons(self):
        m = self.linux(self.SCRIPT, ["psmouse", "evdev"], "-M", "q35", "-cpu", "max", "-smp", "1,maxcpus=288",
                       "-m", 512)           # possible CPUs cost memory
        m.wait_for("listening on event", 120, m.serial)
        self.assertIn("* Mouse #", m.hmp("info mice"))
        axes = [{"type": "abs", "data": {"axis": axis, "value": value}} for axis, value in (("x", 100), ("y", 20000))]
        for down, more in ((True, axes), (False, [])):
            m.qmp.command("input-send-event", events=more + [{"type": "btn", "data": {"down": down, "button": "left"}}])
        m.wait_for("script done", 60, m.serial)
        said = m.serial()
        events = [struct.unpack("<16xHHi", bytes.fromhex(e)) for e in re.findall("event ([0-9a-f]{48})", said)]
        key, absolute, left = 1, 3, 0x110
        for expected in ((absolute, 0, 200), (absolute, 1, 40000), (key, left, 1), (key, left, 0)):
            self.assertIn(expected, events)
        self.assertEqual(m.process.wait(60), 0)


class Errors(ChipsTest):
    PORTS = ["-device", "pcie-root-port,id=root,chassis=1,slot=1,addr=4", "-device", "x3130-upstream,id=up,bus=root",
             "-device", "xio3130-downstream,id=down,bus=up,chassis=1,slot=2,addr=1"]

    def test_linux_reports(self):
        """Its driver for Advanced Error Reporting, behind a switch; the header is that of a packet."""
        m = self.linux("echo 8 >/proc/sys/kernel/printk; echo up\nsleep 1000\n", [], "-M", "q35", *self.PORTS)
        m.wait_for("^up", 200, m.serial)
        self.assertIn("OK id: down", m.hmp("pcie_aer_inject_error down BAD_TLP"))
        m.wait_for(r"pcieport 0000:00:04.0: AER: Corrected error(?: message)? received(?: from|:) 0000:02:01.0", 60, m.serial)
        m.wait_for(r"pcieport 0000:02:01.0:.*type=Data Link Layer(?s:.*)\[ 6\] BadTLP", 60, m.serial)
        m.hmp("pcie_aer_inject_error down POISON_TLP 0x11111111 0x22222222 0x33333333 0x44444444")
        m.wait_for(r"pcieport 0000:00:04.0: AER: Uncorrected \(Non-Fatal\) error(?: message)? received(?: from|:) 0000:02:01.0",
                   60, m.serial)
        m.wait_for(r"pcieport 0000:02:01.0:.*severity=Uncorrected \(Non-Fatal\)(?s:.*)\[12\] TLP"
                   r"(?s:.*)TLP Header: 11111111 22222222 33333333 44444444", 60, m.serial)
        m.hmp("pcie_aer_inject_error root MALF_TLP")
        m.wait_for(r"Uncorrected \(Fatal\) error(?: message)? received(?: from|:) 0000:00:04.0", 60, m.serial)


class Generation(ChipsTest):
    def test_linux_finds_it(self):
        guid = "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"
        m = self.linux("ls /sys/bus/acpi/drivers/vmgenid; dd if=/sys/firmware/acpi/tables/SSDT bs=1 skip=42 count=4 "
                       "2>/dev/null | od -An -tx4 | sed 's/^ */page at /'; sleep 1000\n", [],
                       "-device", f"vmgenid,guid={guid}")
        page = int(m.wait_for("page at ([0-9a-f]+)", 120, m.serial).group(1), 16)
        self.assertIn("QEMUVGID:00", m.serial())
        self.assertEqual(uuid.UUID(bytes_le=m.memory(page + 40, 16)), uuid.UUID(guid))
        self.assertEqual(m.qmp.command("query-vm-generation-id"), {"guid": guid})


if __name__ == "__main__":
    harness.main()
