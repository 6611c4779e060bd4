#!/usr/bin/env python3
"""Speed of the software CPU against the reference's translator: a Linux boot, and workloads inside the guest.

    tests/bench/cpu.py [-n PAIRS] [-w NAME,NAME...] [--ours-only]

Both programs boot Debian's kernel with the same initramfs, the same CPU model and memory, one after the other, as many times
as there are pairs.  Each workload is timed inside the guest (its own clock) and as the host's CPU time between the marks
that it prints; ratios below 1 mean that we are faster.  The checksums of both must agree.
"""
import argparse
import gzip
import io
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from program import OURS, REFERENCE, missing_reference

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../boot"))
from demo import BUSYBOX, cpio_entry, newest_kernel  # noqa: E402

GROUPS = {
    "integer": ["sieve", "sort", "crc", "bytecode", "calls", "divide"],
    "memory": ["copy", "words", "repeat", "chase"],
    "system": ["syscalls", "faults", "forks", "pipes"],
    "floating point": ["scalar", "matrix", "x87"],
    "vector": ["sse2", "packed", "avx2"],
}
COMPUTE = ["integer", "memory", "floating point", "vector"]
# What both know; no more, so that both run the same code of the kernel and of its users.
CPU = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+movbe,+aes,+xsave,+xsaveopt,+avx,+avx2,+fma,+bmi1,+bmi2,+abm,+rdrand"
ARGUMENTS = ["-cpu", CPU, "-m", "256", "-display", "none", "-nodefaults", "-nic", "none", "-serial", "stdio",
             "-monitor", "none", "-no-reboot"]
LIMIT = 600


def initramfs(path, guest, names):
    """BusyBox, the workloads, and an init that runs them and turns the machine off."""
    init = ("#!/bin/sh\n/bin/busybox --install -s /bin\nmount -t proc proc /proc\nmount -t devtmpfs devtmpfs /dev\n"
            "echo BOOTED\n" + (f"/guest {' '.join(names)}\n" if names else "") + "echo DONE\npoweroff -f\n")
    out = io.BytesIO()
    with open(BUSYBOX, "rb") as b, open(guest, "rb") as g:
        files = [*((name, 0o40755, b"") for name in ("bin", "dev", "proc", "tmp")), ("bin/busybox", 0o100755, b.read()),
                 ("bin/sh", 0o120777, b"busybox"), ("guest", 0o100755, g.read()), ("init", 0o100755, init.encode())]
    for number, (name, mode, body) in enumerate(files, 1):
        cpio_entry(out, number, name, mode, body)
    cpio_entry(out, 100, "dev/console", 0o20600, device=(5, 1))
    cpio_entry(out, 0, "TRAILER!!!", 0)
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(out.getvalue())


def cpu_seconds(pid):
    """CPU time of all threads, by the scheduler's own account: finer than the ticks of stat."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def run(command):
    """{name: (guest seconds, host CPU seconds, checksum)}; "boot" is from exec to the first line of init."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    watchdog = threading.Timer(LIMIT, process.kill)
    watchdog.start()
    result, started, tail = {}, {}, []
    try:
        for raw in process.stdout:
            line = raw.decode("latin-1").strip()
            tail = tail[-15:] + [line]
            words = line.split()
            if line == "BOOTED":
                result["boot"] = (time.monotonic() - begin, cpu_seconds(process.pid), "")
            elif len(words) == 2 and words[0] == "BEGIN":
                started[words[1]] = (time.monotonic(), cpu_seconds(process.pid))
            elif len(words) == 4 and words[0] == "END":
                wall, cpu = started[words[1]]
                host_wall = time.monotonic() - wall
                result[words[1]] = (float(words[2]), cpu_seconds(process.pid) - cpu, words[3])
                if abs(host_wall - float(words[2])) > 0.2 + 0.2 * host_wall:
                    print(f"note: {words[1]} took {words[2]} s by {command[0]}'s guest, {host_wall:.2f} s by the host")
        code = process.wait()
    finally:
        watchdog.cancel()
        process.kill()
    if code or "boot" not in result:
        sys.exit(f"{' '.join(command)}\nended with {code}:\n" + "\n".join(tail) + "\n" + process.stderr.read().decode())
    return result


def mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else math.nan


def ratio(ours, theirs, name, column):
    """The middle one of the pairs' ratios."""
    pairs = [(max(o[name][column], 0.001), max(t[name][column], 0.001)) for o, t in zip(ours, theirs)
             if name in o and name in t]
    return statistics.median(o / t for o, t in pairs) if pairs else None


def middle(runs, name, column):
    return statistics.median(r[name][column] for r in runs if name in r)


def report(ours, theirs, names):
    print(f"{'':18}{'inside the guest, s':>27}   {'host CPU, s':>27}")
    print(f"{'':18}{'ours':>9}{'theirs':>9}{'ratio':>9}   {'ours':>9}{'theirs':>9}{'ratio':>9}")
    ratios = {}
    for name in ["boot", *names]:
        if name not in ours[0]:
            print(f"{name:18}not run: the CPU lacks it")
            continue
        line = f"{name:18}"
        for column in (0, 1):
            line += f"{middle(ours, name, column):9.2f}"
            r = ratio(ours, theirs, name, column)
            if r:
                line += f"{middle(theirs, name, column):9.2f}{r:9.2f}"
                ratios.setdefault(name, []).append(r)
            line += "   "
        if theirs and name in theirs[0] and ours[0][name][2] != theirs[0][name][2]:
            line += " CHECKSUMS DIFFER"
        print(line.rstrip())
    if not theirs:
        return
    print("geometric means")
    titles = [(g, [n for n in GROUPS[g] if n in ratios]) for g in GROUPS]
    titles.append(("compute", [n for g in COMPUTE for n in GROUPS[g] if n in ratios]))
    titles.append(("less repeat", [n for n in titles[-1][1] if n != "repeat"]))     # which no translator is quick at
    titles.append(("all workloads", [n for n in names if n in ratios]))
    for title, members in titles:
        if members:
            print(f"  {title:16}{'':18}{mean([ratios[n][0] for n in members]):9.2f}   {'':18}"
                  f"{mean([ratios[n][1] for n in members]):9.2f}")


def main():
    parser = argparse.ArgumentParser(description="Speed of the software CPU against the reference's translator.")
    parser.add_argument("-n", type=int, default=3, metavar="PAIRS", help="how often both are run (3)")
    parser.add_argument("-w", default="", metavar="NAMES", help="only these workloads, with commas; none: the boot only")
    parser.add_argument("--ours-only", action="store_true", help="no reference")
    options = parser.parse_args()
    names = [n for group in GROUPS.values() for n in group]
    if options.w:
        names = [n for n in names if n in options.w.split(",")]
    kernel = newest_kernel()
    if not os.access(OURS, os.X_OK) or not kernel or not os.access(BUSYBOX, os.R_OK):
        print(f"skipped: it takes {OURS}, a readable kernel in /boot (linux-image-amd64) and {BUSYBOX} (busybox-static)")
        return
    compare = not options.ours_only
    if compare and missing_reference():
        print(f"no comparison: {missing_reference()}")
        compare = False
    with tempfile.TemporaryDirectory(prefix="ostler-bench-") as folder:
        guest, archive = f"{folder}/guest", f"{folder}/initramfs.gz"
        subprocess.run(["cc", "-O2", "-static", "-fno-tree-vectorize", "-fno-math-errno", "-o", guest,
                        f"{HERE}/cpu-guest.c"], check=True)
        initramfs(archive, guest, names)
        rest = [*ARGUMENTS, "-kernel", kernel, "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1"]
        ours, theirs = [], []
        for _ in range(options.n):
            ours.append(run([OURS, "-accel", "soft", *rest]))
            if compare:
                theirs.append(run([REFERENCE, "-accel", "tcg", *rest]))
    report(ours, theirs, names)


if __name__ == "__main__":
    main()
