#!/usr/bin/env python3
"""Instructions from exec to greeting and quit, counted by callgrind: the same on a busy host as on an idle one.

    tests/bench/instructions.py [how many functions to list]
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from program import BARE, OURS, REFERENCE, USUAL, Program, missing, missing_reference


def count(command, listed):
    with tempfile.TemporaryDirectory(prefix="ostler-callgrind-") as folder:
        out = os.path.join(folder, "out")
        wrapper = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}"]
        with Program(command, wrapper) as p:
            p.quit()
        text = subprocess.run(["callgrind_annotate", out], capture_output=True, text=True, check=True).stdout
    total = re.search(r"^\s*([\d,]+) \([\d.]+%\)\s+PROGRAM TOTALS", text, re.M)
    functions = re.findall(r"^\s*([\d,]+ \(\s*[\d.]+%\)\s+.*)$", text, re.M)
    return int(total.group(1).replace(",", "")), [re.sub(r" \[.*", "", f) for f in functions[1:listed + 1]]


def main():
    listed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    if missing() or not shutil.which("valgrind"):
        print(f"skipped: {missing() or 'no valgrind'}")
        return
    for title, arguments in (("bare", BARE), ("usual devices", USUAL)):
        ours, functions = count([OURS, *arguments], listed)
        print(f"{title}: ostler {ours / 1e6:.2f} million instructions")
        for line in functions:
            print(f"    {line}")
        if missing_reference():
            print(f"  no comparison: {missing_reference()}")
            continue
        try:
            theirs, _ = count([REFERENCE, *arguments], 0)
            print(f"  reference {theirs / 1e6:.2f} million, ratio {ours / theirs:.2f}")
        except (RuntimeError, AttributeError, subprocess.SubprocessError) as problem:
            print(f"  no comparison: the reference does not run under valgrind ({problem})")


main()
