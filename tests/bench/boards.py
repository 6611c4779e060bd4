#!/usr/bin/env python3
"""How soon a guest runs: from exec to its first instruction, to a kernel's, and to the first line of Debian's userspace.

Ours and the reference take turns, both with their software CPU; medians of wall-clock and CPU time, and their ratios.  The
first instruction writes a character to the serial port, from the reset vector of a firmware image of 64 KiB or from the
entry of a small PVH kernel.  A report, not a test: always ends with 0.

    tests/bench/boards.py [pairs [pairs of Linux boots]]
"""
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time

from program import OURS, REFERENCE, median, missing_reference

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../boot"))
from demo import BUSYBOX, newest_kernel  # noqa: E402

COMMON = ["-accel", "tcg", "-m", "256", "-display", "none", "-nodefaults", "-nic", "none", "-serial", "stdio", "-monitor",
          "none", "-no-reboot"]
MARK = b"!"
SAY16 = bytes.fromhex("baf803 b021 ee f4 ebfd")         # mov dx, 3f8h; mov al, '!'; out dx, al; hlt; jmp $-1
SAY32 = bytes.fromhex("66") + SAY16
LIMIT = 600


def firmware(path):
    image = bytearray(b"\xf4" * (64 << 10))
    image[-16:-16 + len(SAY16)] = SAY16
    with open(path, "wb") as f:
        f.write(image)
    return path


def pvh_kernel(path):
    """An ELF file of two program headers: code at 1 MiB, and the note with its entry."""
    entry, head = 0x100000, 52 + 2 * 32
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", entry)
    elf = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1, entry, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    load = struct.pack("<8I", 1, head, entry, entry, len(SAY32), len(SAY32), 5, 4)
    notes = struct.pack("<8I", 4, head + len(SAY32), 0, 0, len(note), len(note), 4, 4)
    with open(path, "wb") as f:
        f.write(elf + load + notes + SAY32 + note)
    return path


def initramfs(folder):
    """BusyBox and an init that prints the mark."""
    from cpu import initramfs as pack
    path = os.path.join(folder, "initramfs.gz")
    pack(path, BUSYBOX, [])
    return path


def until(command, mark):
    """Wall-clock and CPU milliseconds from exec to `mark` on its standard output."""
    begin = time.monotonic()
    p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = b""
    while mark not in said:
        left = begin + LIMIT - time.monotonic()
        if left < 0 or not select.select([p.stdout], [], [], max(left, 0))[0]:
            break
        data = os.read(p.stdout.fileno(), 65536)
        if not data:
            break
        said += data
    wall = time.monotonic() - begin
    os.kill(p.pid, signal.SIGKILL)         # not p.kill(), which may take the status away from wait4
    usage = os.wait4(p.pid, 0)[2]
    p.returncode = 0
    p.stdout.close()
    if mark not in said:
        raise RuntimeError(f"{' '.join(command)}: no {mark} after {wall:.1f} s; it ends with {said[-200:]}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def compare(title, arguments, mark, pairs):
    programs = [("ostler", OURS)] + ([] if missing_reference() else [("reference", REFERENCE)])
    results = {name: [] for name, _ in programs}
    for _ in range(pairs):
        for name, path in programs:
            results[name].append(until([path, *COMMON, *arguments], mark))
    medians = {name: [median(column) for column in zip(*rows)] for name, rows in results.items()}
    print(title)
    for name, (wall, cpu) in medians.items():
        print(f"  {name:10} {wall:9.1f} ms  {cpu:9.1f} ms of CPU")
    if len(medians) == 2:
        ratios = [a / b for a, b in zip(medians["ostler"], medians["reference"])]
        print("  {:10} {:9.2f}     {:9.2f}".format("ratio", *ratios), flush=True)


def main():
    pairs, boots = (int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 11), (2, 1)))
    if missing_reference():
        print(f"no comparison: {missing_reference()}")
    with tempfile.TemporaryDirectory(prefix="ostler-boards-") as folder:
        image, small = firmware(os.path.join(folder, "bios")), pvh_kernel(os.path.join(folder, "kernel"))
        for board in ("microvm", "pc", "q35"):
            compare(f"{board}: the first instruction", ["-M", board, "-bios", image], MARK, pairs)
        for board in ("microvm", "pc"):
            compare(f"{board}: a kernel's first instruction", ["-M", board, "-kernel", small], MARK, pairs)
        kernel = newest_kernel()
        if not kernel or not os.path.exists(BUSYBOX):
            print("no Linux boots: a readable kernel in /boot or busybox is missing")
            return
        linux = ["-kernel", kernel, "-initrd", initramfs(folder), "-append", "console=ttyS0 quiet panic=-1"]
        # Hardware-reduced ACPI leaves the reference's guest without anything to measure its TSC with: it hangs.
        for board in ("microvm,acpi=off", "pc") if boots else ():
            compare(f"{board}: Debian's userspace", ["-M", board, *linux], b"BOOTED", boots)


if __name__ == "__main__":
    main()
