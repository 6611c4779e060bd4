#!/usr/bin/env python3
"""CPU time that a machine uses while it has nothing to do: stopped, and running a guest that sits in HLT.

    tests/bench/idle.py [seconds]
"""
import os
import sys
import tempfile
import time

from program import OURS, REFERENCE, Program, median, missing, missing_reference

# cli; hlt; jmp back, at the reset vector of a 64 KiB firmware
FIRMWARE = b"\xf4" * 0xfff0 + b"\xfa\xf4\xeb\xfd" + b"\xf4" * 12
ARGUMENTS = ["-accel", "kvm", "-display", "none", "-nodefaults", "-nic", "none"]


def used(command, seconds):
    with Program(command) as p:
        time.sleep(1)                   # past everything that a start leaves behind
        begin = p.cpu_ms()
        time.sleep(seconds)
        return p.cpu_ms() - begin


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5
    if missing():
        print(f"skipped: {missing()}")
        return
    programs = [("ostler", OURS)] + ([] if missing_reference() else [("reference", REFERENCE)])
    if missing_reference():
        print(f"no comparison: {missing_reference()}")
    with tempfile.TemporaryDirectory(prefix="ostler-idle-") as folder:
        firmware = os.path.join(folder, "hlt.bin")
        with open(firmware, "wb") as f:
            f.write(FIRMWARE)
        for title, more in (("stopped", ["-S"]), ("guest in HLT", ["-bios", firmware])):
            results = {name: median([used([path, *ARGUMENTS, *more], seconds) for _ in range(3)])
                       for name, path in programs}
            line = ", ".join(f"{name} {ms:.2f} ms" for name, ms in results.items())
            if len(results) == 2:
                line += f", ratio {results['ostler'] / max(results['reference'], 0.001):.2f}"
            print(f"{title}, CPU time in {seconds:g} s: {line}")


main()
