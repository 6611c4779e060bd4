#!/usr/bin/env python3
"""PCI devices that come and go while Linux works on them, a hundred times by ACPI on pc and by PCI Express slots on q35,
and by bridges' standard controllers."""
import hashlib
import os
import random
import re
import time

import harness
from soft_guests import SoftTest, kernel, modules

MIB = 1 << 20
# One disk is always there and always busy.  Each other one is read and compared when it comes, and busy until it goes.
SCRIPT = r"""
echo 1 >/proc/sys/kernel/printk
(while true; do
    dd if=/dev/vda of=/dev/null bs=64k count=32 iflag=direct 2>/dev/null
    dd if=/dev/zero of=/dev/vda bs=64k count=8 oflag=direct conv=notrunc 2>/dev/null
    sleep 0.2
done) &
watch() {
    while true; do
        if [ -b /dev/$1 ]; then
            until dd if=/dev/$1 of=/tmp/$1 bs=64k count=16 iflag=direct 2>/dev/null && [ -s /tmp/$1 ]; do sleep 0.05; done
            echo "came $1 $(md5sum </tmp/$1 | cut -c1-32)"
            while [ -b /dev/$1 ]; do
                dd if=/dev/$1 of=/dev/null bs=16k count=8 iflag=direct 2>/dev/null
                dd if=/dev/zero of=/dev/$1 bs=16k count=2 seek=64 oflag=direct conv=notrunc 2>/dev/null
                sleep 0.3
            done
            rm -f /dev/$1 # dd may have come a moment too late and made a file
            echo "went $1"
        fi
        sleep 0.2
    done
}
for d in WATCHED; do watch $d & done
echo ready
read line </dev/ttyS1
dmesg | sed 's/^\[[^]]*\] //'
echo "functions $(ls /sys/bus/pci/devices | wc -l)"
echo script done
poweroff -f
"""
COMPLAINTS = r"Oops|BUG:|Call Trace|WARNING:|I/O error|AE_[A-Z]|ACPI (BIOS )?(Error|Warning)|[Ff]ailed|can't|timed out|[Tt]imeout"
# Not about cards: said on every boot of this kernel on pc, whoever emulates it; and where the host is busy while it calibrates.
USUAL = r"fail to add MMCONFIG information|tsc: Fast TSC calibration failed|APIC calibration"


class Hotplug(SoftTest):
    def boot(self, disks, *args):
        self.content = random.Random(11).randbytes(2 * MIB)
        folder = self.folder()
        for n in range(disks + 1):
            with open(os.path.join(folder, f"{n}.raw"), "wb") as f:
                f.write(self.content)
        self.names = ["vd" + chr(ord("b") + n) for n in range(disks)]
        files, load = modules("virtio_pci", "virtio_blk")
        archive = self.initramfs(load + SCRIPT.replace("WATCHED", " ".join(self.names)), **files)
        drives = [a for n in range(disks) for a in
                  ("-drive", f"if=none,id=d{n},format=raw,file={folder}/{n + 1}.raw")]
        self.end = os.path.join(folder, "end")
        os.mkfifo(self.end + ".in")
        os.mkfifo(self.end + ".out")
        m = self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1",
                       "-no-reboot", "-d", "guest_errors", "-drive", f"if=virtio,format=raw,file={folder}/0.raw", *drives,
                       "-chardev", f"pipe,id=end,path={self.end}", "-serial", "chardev:end", *args)
        m.wait_for("^ready", 200, m.serial)
        return m

    def memory(self, m):
        """KiB of the program's own, without the guest's RAM as far as that was touched before."""
        with open(f"/proc/{m.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

    def ask(self, m, device):
        """device_del; a slot whose indicator still blinks from powering up says so."""
        for _ in range(600):
            try:
                return m.qmp.command("device_del", id=device)
            except harness.QmpError as e:
                self.assertIn("guest is busy", str(e))
                time.sleep(0.1)
        self.fail(f"{device}: busy for a minute")

    def wait_count(self, m, pattern, n):
        m.wait_for("enough", 200, lambda: "enough" if len(re.findall(pattern, m.serial())) == n else m.serial())

    def round(self, m, n, slots, extra):
        """All the disks and an edu card come, are worked with, and go."""
        for i, slot in enumerate(slots):
            m.qmp.command("device_add", driver="virtio-blk-pci", id=f"hot{i}", drive=f"d{i}", **slot)
        m.qmp.command("device_add", driver="edu", id="card", **extra)
        whole = hashlib.md5(self.content[:MIB]).hexdigest()
        self.wait_count(m, rf"came \w+ {whole}\s", (n + 1) * len(slots))
        gone = {f"hot{i}" for i in range(len(slots))} | {"card"}
        for device in sorted(gone):
            self.ask(m, device)
        with self.assertRaisesRegex(harness.QmpError, "already in the process of unplug|not found"):
            m.qmp.command("device_del", id="card")
        while gone:
            event = m.qmp.wait_event("DEVICE_DELETED", 100)["data"]
            if "device" in event:
                gone.remove(event["device"])
        self.wait_count(m, r"went \w+\s", (n + 1) * len(slots))

    def rounds(self, m, n, slots, extra):
        for i in range(n):
            self.round(m, i, slots, extra)
            if i == 1:
                early = self.memory(m)
        self.assertLess(self.memory(m), early + 4096)
        self.assertNotIn("DEVICE_UNPLUG_GUEST_ERROR", [e["event"] for e in m.qmp.events])
        with open(self.end + ".in", "wb") as f:
            f.write(b"end\n")
        m.wait_for("script done", 60, m.serial)
        self.assertEqual(m.process.wait(60), 0)
        said = [line for line in m.serial().splitlines() if not re.search(USUAL, line)]
        self.assertNotRegex("\n".join(said), COMPLAINTS)
        return m.serial()

    def test_acpi(self):
        m = self.boot(5, "-device", "pci-bridge,id=br,chassis_nr=1,addr=7")
        slots = [{}, {"addr": "9"}, {}, {"bus": "br", "addr": "3"}, {"bus": "br"}]
        said = self.rounds(m, 20, slots, {"bus": "br", "addr": "1f"})
        self.assertEqual(said.count("came"), 100)
        self.assertIn("functions 7", said)

    def test_native(self):
        """The kernel blinks for five seconds before it lets go, so slots are emptied at the same time."""
        ports = [a for n in range(11) for a in
                 ("-device", f"pcie-root-port,id=rp{n},chassis=1,slot={n},addr={3 + n // 8}.{n % 8},multifunction=on")]
        m = self.boot(10, "-M", "q35", *ports)
        said = self.rounds(m, 10, [{"bus": f"rp{n}"} for n in range(10)], {"bus": "rp10"})
        self.assertEqual(said.count("came"), 100)

    def test_standard(self):
        """Linux's shpchp, behind a bridge of PCI Express and one of conventional PCI; as slow as the other."""
        m = self.boot(4, "-M", "q35", "-device", "pcie-root-port,id=rp,chassis=1,slot=40,addr=3", "-device",
                      "pcie-pci-bridge,id=br,bus=rp", "-device", "pci-bridge,id=conv,shpc=on,chassis_nr=2,addr=4")
        slots = [{"bus": "br"}, {"bus": "br", "addr": "1f"}, {"bus": "conv", "addr": "1"}, {"bus": "conv"}]
        said = self.rounds(m, 5, slots, {"bus": "conv", "addr": "9"})
        self.assertEqual(said.count("came"), 20)

    def test_standard_pc(self):
        """Where ACPI leaves the bridges alone, its OSHP method hands them to the system."""
        m = self.boot(1, "-device", "pci-bridge,id=br,shpc=on,chassis_nr=2", "-global",
                      "PIIX4_PM.acpi-pci-hotplug-with-bridge-support=off")
        self.assertEqual(self.rounds(m, 3, [{"bus": "br"}], {"bus": "br", "addr": "9"}).count("came"), 3)

    NUMBERS = r"""
show() { for f in /sys/bus/pci/devices/*/acpi_index; do echo "$1 ${f:21:12} $(cat $f)"; done; echo "$1 done"; }
show first
read line </dev/ttyS1
show second
sleep 1000
"""

    def numbers(self, board, *args, come=(), pause=2):
        folder = self.folder()
        end = os.path.join(folder, "end")
        os.mkfifo(end + ".in")
        os.mkfifo(end + ".out")
        m = self.start("-M", board, "-m", 256, "-kernel", kernel(), "-initrd", self.initramfs(self.NUMBERS), "-append",
                       "console=ttyS0 quiet", "-chardev", f"pipe,id=end,path={end}", "-serial", "chardev:end", *args)
        m.wait_for("^first done", 200, m.serial)
        for driver in come:
            m.qmp.command("device_add", **driver)
        time.sleep(pause)
        with open(end + ".in", "wb") as f:
            f.write(b"go\n")
        m.wait_for("^second done", 100, m.serial)
        self.assertNotRegex(m.serial(), COMPLAINTS)
        return {(when, at): int(n) for when, at, n in re.findall(r"(\w+) 0000:([0-9a-f:.]+) (\d+)", m.serial())}

    def test_numbers_pc(self):
        """acpi-index=, by which udev names a network card eno<N>; of what comes later as well."""
        seen = self.numbers("pc", "-device", "pci-bridge,id=br,addr=7", "-device", "edu,bus=br,addr=3,acpi-index=33",
                            "-device", "edu,addr=9.0,multifunction=on,acpi-index=9", "-device", "edu,addr=9.2,acpi-index=92",
                            come=[{"driver": "virtio-rng-pci", "id": "n", "addr": "b", "acpi-index": 5},
                                  {"driver": "edu", "bus": "br", "addr": "1f", "acpi-index": 6}, {"driver": "edu"}])
        first = {"00:09.0": 9, "00:09.2": 92, "01:03.0": 33}
        self.assertEqual({at: n for (when, at), n in seen.items() if when == "first"}, first)
        self.assertEqual({at: n for (when, at), n in seen.items() if when == "second"},
                         first | {"00:0b.0": 5, "01:1f.0": 6})

    def test_numbers_q35(self):
        seen = self.numbers("q35", "-device", "pcie-root-port,id=p,chassis=1,addr=4.0,multifunction=on", "-device",
                            "pcie-root-port,id=q,chassis=2,addr=4.1,acpi-index=41", "-device", "edu,bus=q,acpi-index=7",
                            "-device", "edu,addr=9,acpi-index=9", "-device", "pci-bridge,id=b,shpc=on,addr=a",
                            come=[{"driver": "virtio-rng-pci", "bus": "p", "acpi-index": 5},
                                  {"driver": "virtio-rng-pci", "bus": "b", "addr": "7", "acpi-index": 77}], pause=10)
        first = {"00:04.1": 41, "02:00.0": 7, "00:09.0": 9}
        self.assertEqual({at: n for (when, at), n in seen.items() if when == "first"}, first)
        self.assertEqual({at: n for (when, at), n in seen.items() if when == "second"},
                         first | {"01:00.0": 5, "03:07.0": 77})



if __name__ == "__main__":
    harness.main()
