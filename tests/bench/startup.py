#!/usr/bin/env python3
"""How long from exec to the QMP greeting of a machine that waits (-S), and how much memory it has made its own by then.

Ours and the reference take turns, so that a busy host disturbs both.  A report, not a test: always ends with 0.

    tests/bench/startup.py [pairs]
"""
import sys
import time

from program import BARE, OURS, REFERENCE, USUAL, Program, median, missing, missing_reference


def measure(command):
    with Program(command) as p:
        cpu = p.cpu_ms()
        time.sleep(0.1)                 # idle by now
        return p.seconds * 1000, cpu, p.private_dirty() / 1024


def compare(title, arguments, pairs):
    programs = [("ostler", OURS)] + ([] if missing_reference() else [("reference", REFERENCE)])
    results = {name: [] for name, _ in programs}
    for _ in range(pairs):
        for name, path in programs:
            results[name].append(measure([path, *arguments]))
    print(f"{title}: {' '.join(arguments)}")
    medians = {name: [median(column) for column in zip(*rows)] for name, rows in results.items()}
    for name, (wall, cpu, memory) in medians.items():
        print(f"  {name:10} {wall:7.1f} ms to the greeting  {cpu:7.1f} ms of CPU  {memory:6.2f} MiB private dirty")
    if len(medians) == 2:
        ratios = [a / b for a, b in zip(medians["ostler"], medians["reference"])]
        print("  {:10} {:7.2f}                     {:7.2f}            {:6.2f}".format("ratio", *ratios))


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    if missing():
        print(f"skipped: {missing()}")
        return
    if missing_reference():
        print(f"no comparison: {missing_reference()}")
    compare("bare", BARE, pairs)
    compare("usual devices", USUAL, pairs)


main()
