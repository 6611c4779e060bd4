#!/usr/bin/env python3
"""Linux's own virtio drivers under -accel soft: every device, both ring formats, both generations of the PCI interface."""
import hashlib
import os
import random
import re
import socket
import time

import harness
from harness import Machine
from soft_guests import SoftTest, kernel, modules
from test_uefi import Uefi

SIZE = 16 << 20
# Module, and the driver for the device under test behind the transport.
TRANSPORT = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"]
FOLDERS = {"virtio_blk": "drivers/block", "virtio_console": "drivers/char", "virtio-rng": "drivers/char/hw_random",
           "evdev": "drivers/input"}
COMPLAINTS = r"Oops|BUG:|Call Trace|WARNING:|virtio.*(fail|error|bad|broken|timed out)|I/O error|blk_update_request"


def module(name):
    base = f"/lib/modules/{os.path.basename(kernel()).split('-', 1)[1]}/kernel"
    return harness.need_file(f"{base}/{FOLDERS.get(name, 'drivers/virtio')}/{name}.ko")


def copied(script, disk):
    """`script` with work for a disk in the place of COPY: all of it is read, four writers make a copy of its first part."""
    return script.replace("COPY", f'''echo "read $(md5sum </dev/{disk} | cut -c1-32)"
dd if=/dev/{disk} of=/tmp/part bs=64k count=64 2>/dev/null
for n in 0 1 2 3; do
    (dd if=/tmp/part of=/dev/{disk} bs=4k skip=$((n * 256)) seek=$((2048 + n * 256)) count=256 conv=notrunc 2>/dev/null) &
done
wait
sync
echo 3 >/proc/sys/vm/drop_caches
echo "copy $(dd if=/dev/{disk} bs=64k skip=128 count=64 2>/dev/null | md5sum | cut -c1-32)"''')


class Virtio(SoftTest):
    def boot(self, script, modules, *args, cpus=1, accel="soft"):
        """A machine whose init loads the transport and these modules, then runs the script."""
        names = [*TRANSPORT, *modules]
        load = "".join(f"insmod /{name}.ko\n" for name in names)
        archive = self.initramfs(load + script, **{f"{name}.ko": module(name) for name in names})
        m = Machine("-accel", accel, "-m", 256, "-smp", cpus, "-kernel", kernel(), "-initrd", archive, "-append",
                          "console=ttyS0 quiet loglevel=5 panic=-1", "-no-reboot", "-d", "guest_errors", *args)
        self.addCleanup(m.close)
        return m

    def check_end(self, m):
        """The script came to its end, and nobody complained: not the kernel, not the device about its driver."""
        m.wait_for("script done", 400, m.serial)
        self.assertEqual(m.process.wait(60), 0)
        self.assertNotRegex(m.serial(), COMPLAINTS)
        said = [line for line in m.process.stderr.read().splitlines() if "requested feature" not in line]
        self.assertEqual(said, [])


class Disks(Virtio):
    DISK = r"""
cat /sys/bus/virtio/devices/virtio0/features
echo "size $(cat /sys/block/vda/size) queues $(ls /sys/block/vda/mq | wc -l) serial $(cat /sys/block/vda/serial)"
echo "cache $(cat /sys/block/vda/queue/write_cache)"
COPY
echo "part $(md5sum </tmp/part | cut -c1-32)"
blkdiscard -o $((12 << 20)) -l $((1 << 20)) /dev/vda
sync
grep virtio /proc/interrupts
echo script done
poweroff -f
"""

    def disk(self, device, cpus=1, queues=1, packed=False, modern=True, accel="soft"):
        """Read all of it, copy a part with several writers, discard a piece; then look at the image."""
        data = random.Random(device).randbytes(SIZE)
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.write(data)
        m = self.boot(copied(self.DISK, "vda"), ["virtio_blk"],
                      *(word for t in sorted(set(re.findall(r"iothread=(\w+)", device))) for word in ("-object", f"iothread,id={t}")),
                      "-drive", f"if=none,id=d,format=raw,discard=unmap,file={path}", "-device",
                      f"{device},drive=d,serial=a-serial-number", cpus=cpus, accel=accel)
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
        said = self.disk("virtio-blk-pci,packed=on", cpus=2, queues=2, packed=True)
        self.assertRegex(said, r"virtio0-req.1")

    def test_disk_packed_without_index(self):
        self.disk("virtio-blk-pci-non-transitional,packed=on,event_idx=off,indirect_desc=off", packed=True)

    def test_disk_legacy_two_queues(self):
        self.disk("virtio-blk-pci,disable-modern=on,num-queues=2", cpus=2, queues=2, modern=False)

    def test_disk_legacy_without_msix(self):
        said = self.disk("virtio-blk-pci,disable-modern=on,vectors=0,event_idx=off,indirect_desc=off", modern=False)
        self.assertRegex(said, r"IO-APIC.*fasteoi +virtio0")

    def test_disk_kvm(self):
        harness.need_kvm()
        self.disk("virtio-blk-pci", cpus=2, queues=2, accel="kvm")

    def test_disk_iothread(self):
        self.assertRegex(self.disk("virtio-blk-pci,iothread=t", cpus=2, queues=2), r"virtio0-req.1")

    def test_disk_iothread_packed(self):
        self.disk("virtio-blk-pci,iothread=t,packed=on", packed=True)

    def test_disk_iothread_legacy(self):
        said = self.disk("virtio-blk-pci,iothread=t,disable-modern=on,vectors=0,event_idx=off", modern=False)
        self.assertRegex(said, r"IO-APIC.*fasteoi +virtio0")

    def test_disk_iothread_kvm(self):
        harness.need_kvm()
        self.disk("virtio-blk-pci,iothread=t", cpus=2, queues=2, accel="kvm")

    MAPPING = ("iothread-vq-mapping.0.iothread=t,iothread-vq-mapping.0.vqs.0=0,iothread-vq-mapping.0.vqs.1=2,"
               "iothread-vq-mapping.1.iothread=u,iothread-vq-mapping.1.vqs.0=1,iothread-vq-mapping.1.vqs.1=3")

    def test_disk_two_iothreads(self):
        said = self.disk(f"virtio-blk-pci,num-queues=4,{self.MAPPING}", cpus=4, queues=4)
        self.assertRegex(said, r"virtio0-req.3")

    def test_disk_two_iothreads_legacy(self):
        self.disk(f"virtio-blk-pci,disable-modern=on,num-queues=4,{self.MAPPING}", cpus=2, queues=2, modern=False)

    def test_disk_two_iothreads_packed(self):
        self.disk(f"virtio-blk-pci,num-queues=4,packed=on,{self.MAPPING}", cpus=2, queues=2, packed=True)

    def test_disk_two_iothreads_kvm(self):
        harness.need_kvm()
        self.disk(f"virtio-blk-pci,num-queues=4,{self.MAPPING}", cpus=2, queues=2, accel="kvm")

    def test_disk_two_iothreads_irqfd(self):
        """The kernel's interrupt chips take the queues' messages from the threads."""
        harness.need_kvm()
        if harness.kvm_emulates():
            self.skipTest("with its own interrupt chips such a KVM is too slow for Linux; test_irqfd has a small guest")
        said = self.disk(f"virtio-blk-pci,num-queues=4,{self.MAPPING}", cpus=2, queues=2, accel="kvm,kernel-irqchip=on")
        self.assertRegex(said, r"virtio0-req.1")

    BUSY = r"""
other() {       # the other CPU's queue, as far as the scheduler likes
    while ! [ -f /tmp/end ]; do dd if=/dev/vda of=/dev/null bs=16k count=64 skip=256 iflag=direct 2>/dev/null; done
}
other &
while ! [ -f /tmp/end ]; do
    [ "$(dd if=/dev/vda bs=64k count=64 iflag=direct 2>/dev/null | md5sum | cut -c1-32)" = SUM ] || echo "wrong data"
    dd if=/dev/vda of=/dev/vda bs=64k count=16 skip=128 seek=192 oflag=direct conv=notrunc 2>/dev/null
    echo round
    [ "$(cat /sys/block/vda/size)" = 32768 ] || touch /tmp/end
done
wait
echo "after $(cat /sys/block/vda/size)"
i=0
while [ -b /dev/vda ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
sleep 3         # the slot is ejected after its disk has gone, by the other CPU
echo script done
poweroff -f
"""

    def test_iothread_and_people(self):
        self.people("iothread=t", ["t"])

    def test_two_iothreads_and_people(self):
        self.people(f"num-queues=4,{self.MAPPING}", ["t", "u"])

    def people(self, properties, threads):
        """A disk with threads of its own under load, while the machine stops and goes on, the disk grows and leaves."""
        data = random.Random(1).randbytes(SIZE)
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.write(data)
        m = self.boot(self.BUSY.replace("SUM", hashlib.md5(data[:4 << 20]).hexdigest()), ["virtio_blk"],
                      *(word for t in threads for word in ("-object", f"iothread,id={t}")), "-drive",
                      f"if=none,id=d,format=raw,file={path}", "-device", f"virtio-blk-pci,id=disk,drive=d,{properties}", cpus=2)
        m.wait_for("round", 400, m.serial)
        ids = {t["id"]: t["thread-id"] for t in m.qmp.command("query-iothreads")}
        self.assertEqual(list(ids), threads)
        for name in threads:
            with self.assertRaisesRegex(harness.QmpError, "in use"):
                m.qmp.command("object-del", id=name)

        def bytes_read():
            with open(f"/proc/{m.process.pid}/io") as f:
                return int(re.search(r"rchar: (\d+)", f.read())[1])

        for _ in range(50):
            m.qmp.command("stop")
            before = bytes_read()
            time.sleep(0.01)
            self.assertLess(bytes_read() - before, 4096)        # bells, and no disk
            m.qmp.command("cont")
            time.sleep(0.02)
        for name, tid in ids.items():
            with open(f"/proc/{m.process.pid}/task/{tid}/stat") as f:
                comm, rest = f.read().rsplit(")", 1)
            self.assertTrue(comm.endswith(f"(IO {name}"), comm)
            self.assertGreater(sum(map(int, rest.split()[11:13])), 0)      # ticks: it did the work
        m.qmp.command("block_resize", device="d", size=2 * SIZE)
        m.wait_for("after 65536", 100, m.serial)
        m.qmp.command("device_del", id="disk")
        m.qmp.wait_event("DEVICE_DELETED", 60)
        for name in threads:
            m.qmp.command("object-del", id=name)
        self.assertEqual(m.qmp.command("query-iothreads"), [])
        self.assertNotIn("wrong data", m.serial())
        self.check_end(m)

    RESIZE = r"""
echo "before $(cat /sys/block/vda/size)"
i=0
while [ "$(cat /sys/block/vda/size)" = 32768 ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
echo "after $(cat /sys/block/vda/size)"
echo beyond | dd of=/dev/vda seek=40000 conv=notrunc,fsync 2>/dev/null
echo script done
poweroff -f
"""

    def test_disk_resize(self):
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.truncate(SIZE)
        m = self.boot(self.RESIZE, ["virtio_blk"], "-drive", f"if=virtio,id=d,format=raw,file={path}")
        m.wait_for("before 32768", 400, m.serial)
        m.qmp.command("block_resize", device="d", size=2 * SIZE)
        m.wait_for("after 65536", 100, m.serial)
        self.check_end(m)
        with open(path, "rb") as f:
            f.seek(40000 * 512)
            self.assertEqual(f.read(7), b"beyond\n")


class Scsi(Virtio):
    """virtio_scsi with Linux's sd and sr."""
    RESCUE = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
    DRIVERS = ["virtio_pci", "virtio_scsi", "sd_mod", "sr_mod", "isofs"]

    def linux(self, script, *args, cpus=1, accel="soft"):
        files, load = modules(*self.DRIVERS)
        archive = self.initramfs(load + script + "echo script done\npoweroff -f\n", **files)
        m = Machine("-accel", accel, "-m", 256, "-smp", cpus, "-kernel", kernel(), "-initrd", archive, "-append",
                    "console=ttyS0 quiet loglevel=5 panic=-1", "-no-reboot", "-d", "guest_errors", *args)
        self.addCleanup(m.close)
        return m

    WAIT = "i=0; while ! [ -b /dev/sda ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done\n"
    WORK = WAIT + r"""
cat /sys/bus/virtio/devices/virtio0/features
while ! [ -b /dev/sr0 ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
echo "size $(cat /sys/block/sda/size) cache $(cat /sys/block/sda/queue/write_cache)"
echo "limits $(cat /sys/block/sda/queue/discard_granularity) $(cat /sys/block/sda/queue/rotational)"
tr -c 'a-z0-9-' ' ' </sys/block/sda/device/vpd_pg80; echo
cat /sys/block/sda/device/wwid
COPY
blkdiscard -o $((12 << 20)) -l $((1 << 20)) /dev/sda && echo discarded
mkdir /mnt
mount -t iso9660 -o ro /dev/sr0 /mnt && echo "grub $(ls /mnt/boot)"
umount /mnt
echo "cd $(dd if=/dev/sr0 bs=2048 count=512 2>/dev/null | md5sum | cut -c1-32)"
dd if=/dev/sda of=/dev/null bs=512 count=1 skip=99999 2>/dev/null
echo eject it
while ! dd if=/dev/sr0 of=/dev/null count=1 2>&1 | grep 'No medium found'; do sleep 0.1; done
cat /proc/interrupts
"""

    def eject(self, m, drive, tries=100):
        """The guest looks at its disc again and again, and locks the tray while it does."""
        while True:
            try:
                return m.qmp.command("eject", device=drive)
            except harness.QmpError as error:
                tries -= 1
                if "is locked" not in str(error) or not tries:
                    raise
                time.sleep(0.1)

    def work(self, adapter, cpus=1, packed=False, modern=True, accel="soft", disk=""):
        data = random.Random(adapter).randbytes(SIZE)
        path = os.path.join(self.folder(), "disk.raw")
        with open(path, "wb") as f:
            f.write(data)
        m = self.linux(copied(self.WORK, "sda"), "-object", "iothread,id=t", "-device", f"{adapter},id=scsi0", "-drive",
                       f"if=none,id=d,format=raw,discard=unmap,file={path}", "-device",
                       f"scsi-hd,drive=d,bus=scsi0.0,serial=a-serial-number,wwn=0x5000c50015ea71ac,rotation_rate=1{disk}",
                       "-drive", f"if=none,id=c,media=cdrom,format=raw,readonly=on,file={harness.need_file(self.RESCUE)}",
                       "-device", "scsi-cd,drive=c,bus=scsi0.0", cpus=cpus, accel=accel)
        m.wait_for("eject it", 400, m.serial)
        self.eject(m, "c")
        self.check_end(m)
        md5 = lambda b: hashlib.md5(b).hexdigest()
        said = m.serial().replace("\r", "")
        self.assertIn(f"size {SIZE // 512} cache write back\nlimits 4096 0\n", said)
        self.assertRegex(said, r"(?m)^ *a-serial-number$")
        self.assertIn("naa.5000c50015ea71ac\n", said)
        self.assertIn(f"read {md5(data)}\n", said)
        self.assertIn(f"copy {md5(data[:4 << 20])}\n", said)
        self.assertIn("discarded\n", said)
        self.assertRegex(said, r"(?m)^grub .*grub")
        with open(self.RESCUE, "rb") as f:
            self.assertIn(f"cd {md5(f.read(1 << 20))}\n", said)
        self.assertIn("No medium found", said)
        bits = [line.strip() for line in said.splitlines() if set(line.strip()) == {"0", "1"}][0]
        self.assertEqual((bits[32], bits[34]), ("1" if modern else "0", "1" if packed else "0"))
        with open(path, "rb") as f:
            after = f.read()
        self.assertEqual(md5(after), md5(data[:8 << 20] + data[:4 << 20] + bytes(1 << 20) + data[13 << 20:]))
        return said

    def test_split(self):
        self.assertRegex(self.work("virtio-scsi-pci"), r"PCI-MSI.*virtio0-request")

    def test_packed_two_queues(self):
        said = self.work("virtio-scsi-pci-non-transitional,packed=on", cpus=2, packed=True)
        self.assertEqual(len(set(re.findall(r"PCI-MSI (\d+)-edge +virtio0-request", said))), 2)

    def test_legacy(self):
        said = self.work("virtio-scsi-pci,disable-modern=on,vectors=0,event_idx=off", modern=False)
        self.assertRegex(said, r"IO-APIC.*fasteoi +virtio0")

    def test_kvm(self):
        harness.need_kvm()
        self.work("virtio-scsi-pci", cpus=2, accel="kvm")

    PLUG = WAIT + r"""
echo ready
while ! [ -b /dev/sdb ]; do sleep 0.1; done
echo "came $(md5sum </dev/sdb | cut -c1-32)"
while [ "$(cat /sys/block/sdb/size)" = 32768 ]; do sleep 0.1; done
echo "grew $(cat /sys/block/sdb/size)"
(while dd if=/dev/sdb of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null; do :; done) &
sleep 1
echo reading
while [ -b /dev/sdb ]; do sleep 0.1; done
echo left
"""

    def test_iothread(self):
        self.work("virtio-scsi-pci,iothread=t", cpus=2)

    def test_iothread_kvm(self):
        harness.need_kvm()
        self.work("virtio-scsi-pci,iothread=t", cpus=2, accel="kvm")

    def test_hot_plug(self):
        self.hot_plug("virtio-scsi-pci")

    def test_hot_plug_iothread(self):
        self.hot_plug("virtio-scsi-pci,iothread=t")

    def hot_plug(self, adapter):
        """A disk comes, grows, and leaves while it is read."""
        paths = []
        data = random.Random(2).randbytes(SIZE)
        for name in "ab":
            paths.append(os.path.join(self.folder(), name))
            with open(paths[-1], "wb") as f:
                f.write(data)
        m = self.linux(self.PLUG, "-object", "iothread,id=t", "-device", f"{adapter},id=scsi0", "-drive",
                       f"if=none,id=a,format=raw,file={paths[0]}", "-device", "scsi-hd,drive=a", "-drive", f"if=none,id=b,format=raw,file={paths[1]}")
        m.wait_for("ready", 400, m.serial)
        m.qmp.command("device_add", driver="scsi-hd", id="disk", drive="b", bus="scsi0.0", lun=3, **{"scsi-id": 5})
        self.assertEqual(m.wait_for(r"came (\w+)", 100, m.serial)[1], hashlib.md5(data).hexdigest())
        m.qmp.command("block_resize", device="b", size=2 * SIZE)
        m.wait_for("grew 65536", 100, m.serial)
        m.wait_for("reading", 100, m.serial)
        m.qmp.command("device_del", id="disk")
        self.assertEqual(m.qmp.wait_event("DEVICE_DELETED")["data"]["device"], "disk")
        m.wait_for("left", 100, m.serial)
        m.wait_for("script done", 100, m.serial)
        self.assertEqual(m.process.wait(60), 0)
        self.assertNotRegex(m.serial(), "Oops|BUG:|Call Trace|WARNING:|timed out")


class ScsiBoot(Uefi):
    """Firmware, GRUB and the kernel, all from virtio-scsi disks, of which the first is not to be booted."""

    def test_seabios(self):
        """GRUB's rescue image as a disk, by bootindex; it loads the kernel from another one by the firmware's calls."""
        files, load = modules(*Scsi.DRIVERS)
        initrd = self.initramfs(load + Scsi.WAIT + "cat /proc/cmdline\nls /dev/sd*\necho script done\npoweroff -f\n", **files)
        disk = self.esp({"vmlinuz": kernel(), "initrd.gz": initrd})
        empty = os.path.join(self.folder(), "empty.img")
        with open(empty, "wb") as f:
            f.truncate(1 << 20)
        m = self.start("-m", 256, "-no-reboot", "-device", "virtio-scsi-pci,id=scsi0",
                       "-drive", f"if=none,id=e,format=raw,file={empty}", "-device", "scsi-hd,drive=e",
                       "-drive", f"if=none,id=g,format=raw,snapshot=on,file={harness.need_file(Scsi.RESCUE)}",
                       "-device", "scsi-hd,drive=g,scsi-id=3,lun=2,bootindex=1",
                       "-drive", f"if=none,id=k,format=raw,file={disk}", "-device", "scsi-hd,drive=k,scsi-id=4")
        m.wait_for(r"GNU GRUB +version", 100)
        m.keys("c")
        m.wait_for("grub>", 60)
        for line in ("search --set=root -f /vmlinuz", "linux /vmlinuz console=ttyS0", "initrd /initrd.gz"):
            m.type(line, 0.15)
            m.wait_for("grub> " + re.escape(line) + "$", 30)
            m.type("\n")
            m.wait_for(r"grub> *$", 60)
        m.type("boot\n")
        self.assertEqual(m.process.wait(300), 0)
        self.assertIn("script done", m.serial())
        self.assertRegex(m.serial(), r"BOOT_IMAGE=.*vmlinuz")
        self.assertIn("/dev/sdc", m.serial())


class Others(Virtio):
    RNG = r"""
cat /sys/class/misc/hw_random/rng_current
echo "got $(dd if=/dev/hwrng bs=4096 count=16 iflag=fullblock 2>/dev/null | gzip | wc -c)"
echo script done
poweroff -f
"""

    def test_rng(self):
        m = self.boot(self.RNG, ["virtio-rng"], "-device", "virtio-rng-pci,packed=on")
        self.check_end(m)
        self.assertIn("virtio_rng.0", m.serial())
        got = int(m.wait_for(r"got (\d+)", 1, m.serial)[1])
        self.assertGreater(got, 65536)      # it cannot be compressed

    PORTS = r"""
cat /sys/class/virtio-ports/*/name
read line </dev/virtio-ports/org.test || read line </dev/vport0p1
echo "port: $line"
exec 3<>/dev/vport0p1
echo "answer to $line" >&3
dd if=/dev/zero bs=4k count=64 2>/dev/null | tr '\0' z >&3
read line <&3
echo "port: $line"
stty -F /dev/hvc0 raw -echo
read line </dev/hvc0
echo "console: $line" | tee /dev/hvc0
echo script done
sleep 1
poweroff -f
"""

    def connect(self, path):
        s = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + 30
        while True:
            try:
                s.connect(path)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        s.settimeout(100)
        self.addCleanup(s.close)
        return s

    def test_ports(self):
        folder = self.folder()
        m = self.boot(self.PORTS, ["virtio_console"], "-device", "virtio-serial-pci", "-chardev",
                      f"socket,id=p,path={folder}/port,server=on,wait=off", "-device",
                      "virtserialport,chardev=p,name=org.test,id=port", "-chardev",
                      f"socket,id=c,path={folder}/console,server=on,wait=off", "-device", "virtconsole,chardev=c")
        port, console = self.connect(f"{folder}/port"), self.connect(f"{folder}/console")
        m.wait_for("org.test", 400, m.serial)
        self.assertEqual(m.qmp.wait_event("VSERPORT_CHANGE", 100)["data"], {"id": "port", "open": True})
        port.sendall(b"hello\n")
        said = port.makefile("rb")
        self.assertEqual(said.readline(), b"answer to hello\n")
        self.assertEqual(said.read(1 << 18), b"z" * (1 << 18))
        port.sendall(b"second\n")
        m.wait_for("port: second", 100, m.serial)
        console.sendall(b"typed\n")
        m.wait_for("console: typed", 100, m.serial)
        echo, said = console.makefile("rb"), b""
        while said.strip() != b"console: typed":        # before it comes the terminal's echo
            said = echo.readline()
        self.check_end(m)

    BALLOON = r"""
free -k | sed -n 's/^Mem: *\([0-9]*\).*/total \1/p'
echo ready
i=0
while [ "$(free -k | awk '/^Mem/ { print ($2 < 100000) }')" = 0 ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
free -k | sed -n 's/^Mem: *\([0-9]*\).*/smaller \1/p'
while [ "$(free -k | awk '/^Mem/ { print ($2 > 200000) }')" = 0 ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i + 1)); done
free -k | sed -n 's/^Mem: *\([0-9]*\).*/larger \1/p'
dd if=/dev/zero of=/tmp/fill bs=1M count=60 2>/dev/null
md5sum </tmp/fill
echo script done
poweroff -f
"""

    def test_balloon(self):
        m = self.boot(self.BALLOON, ["virtio_balloon"], "-device",
                      "virtio-balloon-pci,id=b,free-page-reporting=on,guest-stats-polling-interval=1")
        self.assertEqual(m.qmp.command("query-balloon"), {"actual": 256 << 20})
        m.wait_for("ready", 400, m.serial)
        m.qmp.command("balloon", value=128 << 20)
        m.wait_for(r"smaller \d+", 100, m.serial)
        end = time.monotonic() + 100
        while m.qmp.command("query-balloon")["actual"] != 128 << 20 and time.monotonic() < end:
            time.sleep(0.2)
        self.assertEqual(m.hmp("info balloon"), "balloon: actual=128\r\n")
        stats = m.qmp.command("qom-get", path="/machine/peripheral/b", property="guest-stats")
        self.assertGreater(stats["stats"]["stat-total-memory"], 50 << 20)
        self.assertGreater(stats["last-update"], 0)
        m.qmp.command("qom-set", path="/machine/peripheral/b", property="guest-stats-polling-interval", value=0)
        m.hmp("balloon 256")
        self.check_end(m)
        self.assertIn("BALLOON_CHANGE", [e["event"] for e in m.qmp.events])
        total, smaller, larger = (int(m.wait_for(fr"{w} (\d+)", 1, m.serial)[1])
                                  for w in ("total", "smaller", "larger"))
        self.assertLess(smaller, 100000)
        self.assertGreater(total, 190000)
        self.assertGreater(larger, total - 10000)
        self.assertIn(hashlib.md5(bytes(60 << 20)).hexdigest(), m.serial())

    # An event of evdev: 16 bytes of time, type, code, value; SYN is left out.
    INPUT = r"""
cat /sys/class/input/input*/name
for e in /sys/class/input/event*; do
    name=$(cat $e/device/name)
    case "$name" in
    "QEMU Virtio"*)
        while set -- $(dd bs=24 count=1 2>/dev/null | od -An -tu2 -v); do echo "${name##* } $9 ${10} ${11}"; done \
            </dev/input/${e##*/} & ;;
    esac
done
sleep 1
echo ready
read line </dev/ttyS1
echo script done
poweroff -f
"""

    def test_input(self):
        folder = self.folder()
        m = self.boot(self.INPUT, ["virtio_input", "evdev"], "-device", "virtio-keyboard-pci", "-device",
                      "virtio-mouse-pci,packed=on", "-device", "virtio-tablet-pci", "-chardev",
                      f"socket,id=s,path={folder}/end,server=on,wait=off", "-serial", "chardev:s")
        end = self.connect(f"{folder}/end")
        m.wait_for("ready", 400, m.serial)
        m.keys("a", "home")
        for event in ({"type": "rel", "data": {"axis": "x", "value": -5}},
                      {"type": "abs", "data": {"axis": "y", "value": 16384}},
                      {"type": "btn", "data": {"button": "left", "down": True}}):
            m.qmp.command("input-send-event", events=[event])
        for said in ("Keyboard 1 30 1", "Keyboard 1 102 1", "Keyboard 1 30 0", "Mouse 2 0 65531", "Tablet 3 1 16384",
                     "Tablet 1 272 1"):
            m.wait_for(f"^{said}", 60, m.serial)
        end.sendall(b"end\n")
        self.check_end(m)


if __name__ == "__main__":
    harness.main()
