#!/usr/bin/env python3
"""Processors as Linux sees them under -accel soft: where they sit, and that they come and go while it runs."""
import os

import harness
from soft_guests import SoftTest, kernel, modules

# Who shares what with whom, as lscpu reads it.
SEATS = r"""
cd /sys/devices/system/cpu
for n in $(seq 0 $(($(nproc) - 1))); do
    t=cpu$n/topology
    echo seat $n package $(cat $t/physical_package_id) die $(cat $t/die_cpus_list) core $(cat $t/core_cpus_list) \
        l3 $(cat cpu$n/cache/index3/shared_cpu_list)
done
echo possible $(cat possible) present $(cat present)
dmesg | sed 's/^\[[^]]*\] //'
echo script done
poweroff -f
"""
COMPLAINTS = r"ACPI (BIOS )?(Error|Warning)|ACPI: .*AE_|Call Trace|\[Firmware Bug\]|BUG:|rcu.*stall|TSC warp"


def ranges(first, n):
    return f"{first}-{first + n - 1}" if n > 1 else str(first)


class CpuTest(SoftTest):
    def linux(self, script, *args, names=(), append=""):
        files, load = modules(*names)
        archive = self.initramfs(load + script, **files)
        m = self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append",
                       "console=ttyS0 quiet panic=-1 " + append, *args)
        return m


class Cpus(CpuTest):
    def seats(self, sockets, dies, cores, threads, *args):
        m = self.linux(SEATS, "-smp", f"sockets={sockets},dies={dies},cores={cores},threads={threads}", *args)
        m.wait_for("script done", 200, m.serial)
        said = m.serial().replace("\r", "")
        die = cores * threads
        for n in range(sockets * dies * die):
            self.assertIn(f"seat {n} package {n // (dies * die)} die {ranges(n // die * die, die)} "
                          f"core {ranges(n // threads * threads, threads)} l3 {ranges(n // die * die, die)}\n", said)
        self.assertNotRegex(said, COMPLAINTS)
        self.assertEqual(m.process.wait(60), 0)
        return said

    def test_dies_and_threads(self):
        self.seats(1, 2, 3, 2, "-M", "q35", "-cpu", "Skylake-Server")

    def test_amd_sockets(self):
        self.seats(2, 1, 3, 2, "-cpu", "EPYC")


    # Interrupts of the serial port, by way of the I/O APIC, to the processor with the wide number.
    WIDE = r"""
echo 1 >/proc/irq/4/smp_affinity_list
echo one line of several interrupts
sleep 1
grep ' 4:' /proc/interrupts | tr -s ' ' | sed 's/^/counts/'
grep -h apicid /proc/cpuinfo
taskset 2 cut -d' ' -f39 /proc/self/stat | sed 's/^/ran on /'
dmesg | sed 's/^\[[^]]*\] //'
echo script done
poweroff -f
"""

    def test_wide_id(self):
        """APIC IDs 0 and 256."""
        m = self.linux(self.WIDE, "-M", "q35", "-cpu", "max", "-smp", "1,maxcpus=258,sockets=2,cores=129", "-device",
                       "max-x86_64-cpu,socket-id=1,core-id=0,thread-id=0")
        m.wait_for("script done", 200, m.serial)
        said = m.serial().replace("\r", "")
        self.assertIn("apicid\t\t: 256\n", said)
        self.assertIn("ran on 1\n", said)
        self.assertRegex(said, r"counts 4: \d+ [1-9]\d* IO-APIC")
        self.assertNotRegex(said, COMPLAINTS)
        self.assertEqual(m.process.wait(60), 0)


# Whenever processor 1 comes: switch it on, work on it, say so; then wait until it has gone.
COME_AND_GO = r"""
(while :; do dd if=/dev/vda of=/dev/null bs=64k 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; done) &
cd /sys/devices/system/cpu
echo script waits
n=0
while [ $n -lt ROUNDS ]; do
    while [ ! -e cpu1/online ]; do usleep 20000; done
    echo 1 >cpu1/online
    n=$((n + 1))
    echo round $n on $(taskset 2 cut -d' ' -f39 /proc/self/stat) sum $(taskset 2 dd if=/dev/vda bs=64k count=2 2>/dev/null | md5sum | cut -c1-8)
    while [ -e cpu1 ]; do usleep 20000; done
    echo gone $n
done
dmesg | sed 's/^\[[^]]*\] //'
echo script done
poweroff -f
"""


class HotPlugTest(CpuTest):
    CPU = {"driver": "qemu64-x86_64-cpu", "socket-id": 1, "core-id": 0, "thread-id": 0}

    def rounds(self, n, *args):
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.truncate(1 << 20)
        m = self.linux(COME_AND_GO.replace("ROUNDS", str(n)), "-smp", "1,maxcpus=4,sockets=4,cores=1", "-drive",
                       f"if=virtio,format=raw,file={path}", *args, names=["virtio_pci", "virtio_blk"])
        m.wait_for("script waits", 200, m.serial)
        for i in range(1, n + 1):
            name = f"c{i}"
            m.qmp.command("device_add", id=name, **self.CPU)
            m.wait_for(rf"round {i} on 1 sum \w+", 60, m.serial)
            self.assertEqual([c["cpu-index"] for c in m.qmp.command("query-cpus-fast")], [0, 1])
            m.qmp.command("device_del", id=name)
            while m.qmp.wait_event("DEVICE_DELETED", 60)["data"].get("device") != name:
                pass
            self.assertEqual([c["cpu-index"] for c in m.qmp.command("query-cpus-fast")], [0])
            m.wait_for(rf"gone {i}\b", 60, m.serial)
        m.wait_for("script done", 60, m.serial)
        said = m.serial()
        self.assertNotRegex(said, COMPLAINTS)
        self.assertEqual(m.process.wait(60), 0)
        return said


class HotPlug(HotPlugTest):
    def test_some(self):
        self.rounds(3)


class Many(HotPlugTest):
    def test_hundred(self):
        self.rounds(100, "-M", "q35")


if __name__ == "__main__":
    harness.main()
