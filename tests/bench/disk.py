#!/usr/bin/env python3
"""How fast Linux reads and writes a virtio disk in software, with the queues on the main thread and on one of their own.

Two processes of a guest with two CPUs read and write an image in the host's page cache, past the guest's own: small and
large requests.  Ours and the reference take turns; medians of the guest's seconds and their ratios.  A report, not a test:
always ends with 0.

    tests/bench/disk.py [pairs]
"""
import os
import re
import subprocess
import sys
import tempfile

from boards import COMMON, HERE, LIMIT
from program import OURS, REFERENCE, median, missing_reference

sys.path.insert(0, os.path.join(HERE, "../boot"))
from demo import BUSYBOX, newest_kernel  # noqa: E402
from soft_guests import pack  # noqa: E402

MODULES = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
           "virtio/virtio_pci", "block/virtio_blk"]
WORK = {"read 4k": "if=/dev/vda of=/dev/null bs=4k count=4000 iflag=direct skip=$((n * 4000))",
        "write 4k": "if=/dev/zero of=/dev/vda bs=4k count=2000 oflag=direct seek=$((n * 4000))",
        "read 1M": "if=/dev/vda of=/dev/null bs=1M count=64 iflag=direct"}
MARK = "all is done"


def script():
    lines = [f"insmod /{os.path.basename(m)}.ko" for m in MODULES]
    for name, work in WORK.items():
        lines += ["read a b </proc/uptime", f"for n in 0 1; do dd {work} 2>/dev/null & done; wait",
                  "read c d </proc/uptime", f'echo "took {name}: $a $c"']
    return "\n".join([*lines, f"echo {MARK}", "poweroff -f", ""])


def run(command):
    """The guest's seconds for each kind of work."""
    said = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          errors="replace", timeout=LIMIT, check=False).stdout
    if MARK not in said:
        raise RuntimeError(f"{' '.join(command)}: it ends with {said[-300:]}")
    return [float(end) - float(begin) for begin, end in re.findall(r"took .*: ([\d.]+) ([\d.]+)", said)]


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    kernel = newest_kernel()
    if not kernel or not os.path.exists(BUSYBOX):
        print("nothing to measure with: a readable kernel in /boot or busybox is missing")
        return
    if missing_reference():
        print(f"no comparison: {missing_reference()}")
    programs = [("ostler", OURS)] + ([] if missing_reference() else [("reference", REFERENCE)])
    drivers = f"/lib/modules/{os.path.basename(kernel).split('-', 1)[1]}/kernel/drivers"
    with tempfile.TemporaryDirectory(prefix="ostler-disk-") as folder:
        archive = pack(os.path.join(folder, "initramfs.gz"), script(),
                       **{f"{os.path.basename(m)}.ko": f"{drivers}/{m}.ko" for m in MODULES})
        disk = os.path.join(folder, "disk")
        with open(disk, "wb") as f:
            f.write(os.urandom(64 << 20))
        common = ["-M", "q35", *COMMON, "-smp", "2", "-kernel", kernel, "-initrd", archive, "-append",
                  "console=ttyS0 quiet panic=-1", "-drive", f"if=none,id=d,format=raw,file={disk}", "-object",
                  "iothread,id=t"]
        for title, device in (("main thread", ""), ("iothread", ",iothread=t")):
            results = {name: [] for name, _ in programs}
            for _ in range(pairs):
                for name, path in programs:
                    results[name].append(run([path, *common, "-device", f"virtio-blk-pci,drive=d{device}"]))
            medians = {name: [median(column) for column in zip(*rows)] for name, rows in results.items()}
            for i, work in enumerate(WORK):
                figures = "  ".join(f"{name} {row[i]:6.2f} s" for name, row in medians.items())
                ratio = f"  ratio {medians['ostler'][i] / medians['reference'][i]:.2f}" if len(medians) == 2 else ""
                print(f"{title:12} {work:9} {figures}{ratio}", flush=True)


if __name__ == "__main__":
    main()
