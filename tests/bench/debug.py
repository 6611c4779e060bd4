#!/usr/bin/env python3
"""What debugging costs when nobody debugs: host instructions, counted by callgrind, of the same guest run with the black box and
a listening gdb stub, and without.

    tests/bench/debug.py [how many functions to list]

The run is the firmware's start up to an option ROM that ends it: ports, mode switches, system management, interrupts.
Time goes by instructions (-icount), so that it is the same each time; what differs by chance (sleeping threads) is small,
and the least of several runs counts.  What the program needs to start is measured apart and taken off.  The ratio is to be
below 1.01.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

OURS = os.environ.get("OSTLER", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/ostler"))
RUNS = 3
LIMIT = 1.01
GUEST = ["-accel", "soft", "-icount", "shift=3,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-m", "32", "-display", "none",
         "-nodefaults", "-vga", "none", "-device", "isa-debug-exit"]


def option_rom(path):
    """Ends the machine with exit code 1: MOV DX, 501h; MOV AL, 0; OUT DX, AL."""
    rom = bytearray(512)
    code = bytes.fromhex("ba0105 b000 ee cb")
    rom[:6] = b"\x55\xaa\x01\xeb\x1b\x90"  # the entry is at 3: a jump to 20h
    rom[0x20:0x20 + len(code)] = code
    rom[-1] = -sum(rom) & 0xff
    with open(path, "wb") as f:
        f.write(rom)


def count(folder, arguments, listed=0, text=None):
    """Instructions of the least of the runs, and its most expensive functions."""
    best, functions = None, []
    out = os.path.join(folder, "callgrind.out")
    for _ in range(RUNS):
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", OURS, *GUEST, *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=600, check=False)
        found = re.search(r"Collected : (\d+)", done.stderr)
        if not found or done.returncode not in (0, 1):
            raise RuntimeError(f"{' '.join(command)}\nended with {done.returncode}\n{done.stderr[-2000:]}")
        if best is None or int(found[1]) < best:
            best = int(found[1])
            if listed:
                table = subprocess.run(["callgrind_annotate", out], capture_output=True, text=True, check=True).stdout
                functions = re.findall(r"^\s*([\d,]+ \(\s*[\d.]+%\)\s+.*)$", table, re.M)[1:listed + 1]
    return best, functions


def accepts(arguments):
    done = subprocess.run([OURS, *arguments, "-S", "-display", "none", "-nodefaults", "-accel", "soft", "-monitor", "stdio"],
                          input="quit\n", capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0


def main():
    listed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if not os.access(OURS, os.X_OK) or not shutil.which("valgrind"):
        print(f"skipped: {'no valgrind' if os.access(OURS, os.X_OK) else f'no program at {OURS} (OSTLER names another)'}")
        return
    with tempfile.TemporaryDirectory(prefix="ostler-debug-") as folder:
        rom = os.path.join(folder, "end.rom")
        option_rom(rom)
        stub = ["-gdb", f"unix:{folder}/gdb,server=on,wait=off"]
        start, _ = count(folder, ["-S", "-blackbox", "off", "-monitor", "stdio"], text="quit\n")
        base, _ = count(folder, ["-blackbox", "off", "-option-rom", rom])
        print(f"start of the program: {start / 1e6:.1f} million instructions")
        print(f"the guest's run: {(base - start) / 1e6:.1f} million")
        for title, arguments in (("black box", []), ("gdb stub, listening", ["-blackbox", "off", *stub]), ("both", stub)):
            if stub[0] in arguments and not accepts(stub):
                print(f"{title}: skipped, this build has no -gdb")
                continue
            cost, functions = count(folder, [*arguments, "-option-rom", rom], listed)
            ratio = (cost - start) / (base - start)
            verdict = "" if ratio < LIMIT else f"  (more than {LIMIT})"
            print(f"{title}: {(cost - start) / 1e6:.1f} million, ratio {ratio:.4f}{verdict}")
            for line in functions:
                print(f"    {line}")


main()
