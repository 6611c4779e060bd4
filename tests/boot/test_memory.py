#!/usr/bin/env python3
"""Linux under -accel soft and memory: NUMA nodes, the far end of 1 TiB, firmware at 3 GiB, DIMMs that come and go."""
import os
import random
import re
import time

import harness
from soft_guests import SoftTest, kernel, modules

MIB, GIB = 1 << 20, 1 << 30

NODES = r"""
for n in /sys/devices/system/node/node[0-9]*; do
    size=$(awk '/MemTotal/ {print $4}' $n/meminfo)
    echo "node ${n##*node} cpus $(cat $n/cpulist) distances $(cat $n/distance) size $size"
done
dmesg | sed 's/^\[[^]]*\] //' | grep -E 'ACPI (BIOS )?(Error|Warning)|ACPI: .*AE_|SRAT|SLIT'
echo script done
poweroff -f
"""

# Addresses are arguments: two words of memory, and one where there is none.
FAR = r"""
grep -m1 'address sizes' /proc/cpuinfo
devmem $LAST 64 0x1122334455667788
devmem $FIRST 64 0x99aabbccddeeff00
echo "far $(devmem $LAST 64) $(devmem $FIRST 64) $(devmem $NOTHING 64)"
echo script done
poweroff -f
"""

# The disk's DMA goes to pages of a program, whose copies lie in tmpfs: both are put on a DIMM, and have to move when it
# goes.
DIMMS = r"""
mount -t tmpfs none /tmp
echo online_movable >/sys/devices/system/memory/auto_online_blocks
want=$(md5sum </dev/vda)
echo "blocks $(cat /sys/devices/system/memory/block_size_bytes)"
good=0
while :; do
    dd if=/dev/vda of=/tmp/copy bs=1M iflag=direct 2>/dev/null
    [ "$(md5sum </tmp/copy)" = "$want" ] && good=$((good + 1)) || echo "bad data"
    rm /tmp/copy
    [ $((good % 8)) = 0 ] && echo "good $good"
    dmesg -c | sed 's/^\[[^]]*\] //' | grep -E 'ACPI (BIOS )?(Error|Warning)|ACPI: .*AE_|BUG|Oops|Call Trace|Bad page'
done
"""


class MemoryTest(SoftTest):
    def linux(self, script, *args, names=(), append="", **environment):
        files, load = modules(*names)
        words = "".join(f"{name}={value}\n" for name, value in environment.items())
        archive = self.initramfs(load + words + script, **files)
        return self.start("-kernel", kernel(), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1 " + append,
                          *args)


class Layout(MemoryTest):
    def test_nodes(self):
        m = self.linux(NODES, "-m", "768M", "-smp", "4,sockets=2,cores=2", "-object",
                       "memory-backend-ram,id=m0,size=256M", "-object", "memory-backend-memfd,id=m1,size=512M",
                       "-numa", "node,memdev=m0,cpus=0-1", "-numa", "node,memdev=m1,cpus=2-3", "-numa", "dist,src=0,dst=1,val=31")
        m.wait_for("script done", 120, m.serial)
        said = m.serial()
        self.assertRegex(said, r"node 0 cpus 0-1 distances 10 31 size 2[0-9]{5}\b")
        self.assertRegex(said, r"node 1 cpus 2-3 distances 31 10 size [45][0-9]{5}\b")
        self.assertNotRegex(said, "ACPI (BIOS )?(Error|Warning)|AE_")

    def test_far_end(self):
        """1 TiB: its last word and the first one above 4 GiB, and none behind; little of it is ours to keep."""
        m = self.linux(FAR, "-m", "1T", append="mem=512M", LAST=hex(2 * 1024 * GIB - 3 * GIB - 8),
                       FIRST=hex(1024 * GIB), NOTHING=hex(1000 * GIB))
        m.wait_for("script done", 120, m.serial)
        self.assertIn("far 0x1122334455667788 0x99AABBCCDDEEFF00 0xFFFFFFFFFFFFFFFF", m.serial())
        self.assertRegex(m.serial(), "4[1-9] bits physical")


class Dimms(MemoryTest):
    def test_a_hundred_times(self):
        path = os.path.join(self.folder(), "disk.img")
        with open(path, "wb") as f:
            f.write(random.Random(7).randbytes(8 * MIB))
        m = self.linux(DIMMS, "-m", "256M,slots=2,maxmem=2G", "-drive", f"file={path},format=raw,if=virtio",
                       names=("virtio_pci", "virtio_blk"))
        m.wait_for("blocks", 120, m.serial)
        q = m.qmp
        kept = 0
        for n in range(100):
            q.command("object-add", **{"qom-type": "memory-backend-ram", "id": "m", "size": 128 * MIB})
            q.command("device_add", driver="pc-dimm", id="d", memdev="m")
            while (said := q.wait_event("ACPI_DEVICE_OST")["data"]["info"])["source"] != 1:
                pass                    # of the one before, which went
            self.assertEqual((said["device"], said["slot-type"], said["slot"], said["status"]), ("d", "DIMM", "0", 0))
            if n % 20 == 19:
                self.wait_until_used(m)
            q.command("device_del", id="d")
            while not self.gone(q):     # it may be busy, and is asked again
                kept += 1
                self.assertLess(kept, 100)
                q.command("device_del", id="d")
            q.command("object-del", id="m")
            self.assertEqual(q.command("query-memory-devices"), [])
        done = len(re.findall("good", m.serial()))
        m.wait_for("(good[^g]*){%d}" % (done + 2), 60, m.serial)
        self.assertNotRegex(m.serial(), "bad data|ACPI (BIOS )?(Error|Warning)|AE_|BUG|Oops|Call Trace|Bad page")

    def wait_until_used(self, m):
        """Something lies in the DIMM."""
        path = os.path.join(self.folder(), "dimm")
        at = m.qmp.command("query-memory-devices")[0]["data"]["addr"]
        for _ in range(100):
            m.qmp.command("pmemsave", val=at, size=128 * MIB, filename=path)
            with open(path, "rb") as f:
                if any(any(f.read(4096)) for _ in range(128 * MIB // 4096)):
                    return
            time.sleep(0.1)
        self.fail("the guest never used the DIMM")

    def gone(self, q):
        """Whether the guest lets it go."""
        while True:
            for event in q.events:
                if event["event"] in ("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"):
                    q.events.remove(event)
                    return event["event"] == "DEVICE_DELETED"
            q.events.append(q.read())


if __name__ == "__main__":
    harness.main()
