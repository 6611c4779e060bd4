#!/usr/bin/env python3
"""Linux's own virtio drivers under -accel soft: every device, both ring formats, both generations of the PCI interface."""
import hashlib
import os
import random

import harness
from soft_guests import SoftTest, kernel

SIZE = 16 << 20
# Module, and the driver for the device under test behind the transport.
TRANSPORT = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"]
FOLDERS = {"virtio_blk": "drivers/block", "virtio_console": "drivers/char", "rng-core": "drivers/char/hw_random",
           "virtio-rng": "drivers/char/hw_random"}
COMPLAINTS = r"Oops|BUG:|Call Trace|WARNING:|virtio.*(fail|error|bad|broken|timed out)|I/O error|blk_update_request"


def module(name):
    base = f"/lib/modules/{os.path.basename(kernel()).split('-', 1)[1]}/kernel"
    return harness.need_file(f"{base}/{FOLDERS.get(name, 'drivers/virtio')}/{name}.ko")


class Virtio(SoftTest):
    def boot(self, script, modules, *args, cpus=1):
        """A machine whose init loads the transport and these modules, then runs the script."""
        names = [*TRANSPORT, *modules]
        load = "".join(f"insmod /{name}.ko\n" for name in names)
        archive = self.initramfs(load + script, **{f"{name}.ko": module(name) for name in names})
        return self.start("-m", 256, "-smp", cpus, "-kernel", kernel(), "-initrd", archive, "-append",
                          "console=ttyS0 quiet loglevel=5 panic=-1", "-no-reboot", "-d", "guest_errors", *args)

    def check_end(self, m, said="script done", limit=400):
        m.wait_for(said, limit, m.serial)
        self.assertEqual(m.process.wait(60), 0)
        self.assertNotRegex(m.serial(), COMPLAINTS)
        self.assertEqual(m.process.stderr.read(), "")

    # ---- Disks ----

    DISK = r"""
cat /sys/bus/virtio/devices/virtio0/features
echo "size $(cat /sys/block/vda/size) queues $(ls /sys/block/vda/mq | wc -l) serial $(cat /sys/block/vda/serial)"
echo "cache $(cat /sys/block/vda/queue/write_cache)"
echo "read $(md5sum </dev/vda | cut -c1-32)"
dd if=/dev/vda of=/tmp/part bs=64k count=64 2>/dev/null
for i in 0 1 2 3; do
    (dd if=/tmp/part of=/dev/vda bs=4k skip=$((i * 256)) seek=$((2048 + i * 256)) count=256 conv=notrunc 2>/dev/null) &
done
wait
sync
echo 3 >/proc/sys/vm/drop_caches
echo "copy $(dd if=/dev/vda bs=64k skip=128 count=64 2>/dev/null | md5sum | cut -c1-32)"
echo "part $(md5sum </tmp/part | cut -c1-32)"
blkdiscard -z -o $((12 << 20)) -l $((1 << 20)) /dev/vda 2>/dev/null || dd if=/dev/zero of=/dev/vda bs=1M seek=12 count=1 conv=notrunc 2>/dev/null
sync
grep virtio /proc/interrupts
echo script done
poweroff -f
"""

    def disk(self, device, cpus=1, queues=1, packed=False, modern=True):
        """Read all of it, copy a part with several writers, zero a piece; then look at the image."""
        data = random.Random(device).randbytes(SIZE)
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.write(data)
        m = self.boot(self.DISK, ["virtio_blk"], "-drive", f"if=none,id=d,format=raw,file={path}", "-device",
                      f"{device},drive=d,serial=a-serial-number", cpus=cpus)
        self.check_end(m)
        md5 = lambda b: hashlib.md5(b).hexdigest()
        said = m.serial().replace("\r", "")
        self.assertIn(f"size {SIZE // 512} queues {queues} serial a-serial-number\ncache write back\n", said)
        self.assertIn(f"read {md5(data)}\n", said)
        self.assertIn(f"copy {md5(data[:4 << 20])}\npart {md5(data[:4 << 20])}\n", said)
        bits = [line.strip() for line in said.splitlines() if set(line.strip()) == {"0", "1"}][0]
        self.assertEqual(bits[32], "1" if modern else "0")
        self.assertEqual(bits[34], "1" if packed else "0")
        with open(path, "rb") as f:
            after = f.read()
        part = data[:4 << 20]
        self.assertEqual(md5(after), md5(data[:8 << 20] + part + bytes(1 << 20) + data[13 << 20:]))
        return said

    def test_disk_split(self):
        self.assertRegex(self.disk("virtio-blk-pci"), r"PCI-MSI.*virtio0-req.0")

    def test_disk_packed_two_queues(self):
        said = self.disk("virtio-blk-pci,num-queues=2,packed=on", cpus=2, queues=2, packed=True)
        self.assertRegex(said, r"virtio0-req.1")

    def test_disk_packed_without_index(self):
        self.disk("virtio-blk-pci-non-transitional,packed=on,event_idx=off,indirect_desc=off", packed=True)

    def test_disk_legacy_two_queues(self):
        self.disk("virtio-blk-pci,disable-modern=on,num-queues=2", cpus=2, queues=2, modern=False)

    def test_disk_legacy_without_msix(self):
        said = self.disk("virtio-blk-pci,disable-modern=on,vectors=0,event_idx=off,indirect_desc=off", modern=False)
        self.assertRegex(said, r"IO-APIC.*fasteoi +virtio0")


if __name__ == "__main__":
    harness.main()
