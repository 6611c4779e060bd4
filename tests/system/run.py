#!/usr/bin/env python3
"""System tests: bare-metal programs that check the processor from inside, one test a program.

Each NAME.asm is assembled to a firmware image (start.inc says how it is laid out) and started with
-bios.  It prints on port E9h what it is about ("topic: ..."), what failed ("fail: ..."), what it
leaves out ("skip: ..."), and last "end: N checks, M failed"; isa-debug-exit tells the same as an exit
code.  Lines of its opening comment direct the runner:

    ; run: OPTIONS          start it with these; -DNAME goes to nasm instead.  One run for each such line.
    ; ends: reset           success is a machine that resets after the topic "reset", not an exit code
    ; twice                 both of two runs print the same

    run.py                  all programs
    run.py System.test_smc  one
    run.py -k smp           those with "smp"

SYSTEM_ACCEL (soft), SYSTEM_CPU (max) and SYSTEM_SECONDS (limit of one run, 120) change how they are
started.  With OSTLER=qemu-system-x86_64 and SYSTEM_ACCEL=tcg the programs themselves are tried on
another emulator; what it does not do right fails there.
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "boot"))
from harness import OSTLER, main, need_tool  # noqa: E402  (found by the line above)

ACCEL = os.environ.get("SYSTEM_ACCEL", "soft")
CPU = os.environ.get("SYSTEM_CPU", "max")
SECONDS = float(os.environ.get("SYSTEM_SECONDS", "120"))
PASSED, FAILED, SKIPPED = 16 << 1 | 1, 1 << 1 | 1, 8 << 1 | 1       # what isa-debug-exit makes of the verdict


class Program:
    """What the opening comment of a program says."""

    def __init__(self, path):
        self.path = path
        self.runs, self.ends_by_reset, self.twice = [], False, False
        with open(path, encoding="utf-8") as source:
            for line in source:
                if not line.startswith(";"):
                    break
                if match := re.match(r"; run:\s*(.*)", line):
                    self.runs.append(match[1].split())
                elif re.match(r"; ends: reset\b", line):
                    self.ends_by_reset = True
                elif re.match(r"; twice\b", line):
                    self.twice = True
        self.runs = self.runs or [[]]

    def assemble(self, image, defines):
        command = [need_tool("nasm"), "-Werror", "-f", "bin", "-i", FOLDER + "/", *defines, "-o", image]
        subprocess.run([*command, self.path], check=True)


def start(image, options):
    """Exit code (None: time is up) and what the program printed."""
    command = [OSTLER, "-accel", ACCEL, "-cpu", CPU, "-m", "32", "-nodefaults", "-display", "none",
               "-vga", "none", "-no-reboot", "-bios", image, "-chardev", "stdio,id=out",
               "-device", "isa-debugcon,chardev=out", "-device", "isa-debug-exit", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
        try:
            out, errors = process.communicate(timeout=SECONDS)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
            code = None
    return code, out.decode("latin-1"), errors.decode("latin-1")


class System(unittest.TestCase):
    def run_program(self, program):
        """All its runs; one failure that names those that failed."""
        failed, skipped, left_out = [], [], set()
        for options in program.runs:
            defines = [o for o in options if o.startswith("-D")]
            rest = [o for o in options if o not in defines]
            with tempfile.TemporaryDirectory(prefix="ostler-system-") as folder:
                image = os.path.join(folder, "program.bin")
                program.assemble(image, defines)
                try:
                    text = self.run_once(program, image, rest)
                    left_out |= set(re.findall(r"^skip: (.*)", text, re.M))
                    if program.twice:
                        self.assertEqual(text, self.run_once(program, image, rest), "two runs differ")
                except self.failureException as failure:
                    failed.append(f"[{' '.join(options)}] {failure}")
                except unittest.SkipTest as skip:
                    skipped.append(str(skip))
        for what in sorted(left_out):
            print(f"left out: {os.path.basename(program.path)}: {what}")
        if failed:
            self.fail("\n".join(failed))
        if len(skipped) == len(program.runs):
            self.skipTest(skipped[0])

    def run_once(self, program, image, options):
        code, text, errors = start(image, options)
        failures = re.findall(r"^fail: (.*)", text, re.M)
        topics = re.findall(r"^topic: (.*)", text, re.M)
        where = f"after topic {topics[-1]!r}" if topics else "before the first topic"
        tail = f"{errors}\n--- the end of what it printed:\n{text[-1500:]}"
        if failures:
            self.fail(f"{len(failures)} failed:\n" + "\n".join(failures[:40]))
        if code is None:
            self.fail(f"no end within {SECONDS:g} s, {where}\n{tail}")
        self.assertFalse(text.endswith("!"), f"it ran on behind the write that ends the machine\n{tail}")
        if program.ends_by_reset:
            self.assertEqual((code, topics[-1:]), (0, ["reset"]), f"it should reset the machine\n{tail}")
            return text
        if code == SKIPPED:
            self.skipTest("; ".join(re.findall(r"^skip: (.*)", text, re.M)) or "it does not say why")
        self.assertEqual(code, PASSED, f"ended {where}\n{tail}")
        self.assertRegex(text, r"(?m)^end: \d+ checks, 0 failed$")
        return text


def add_tests():
    for name in sorted(os.listdir(FOLDER)):
        if name.endswith(".asm"):
            program = Program(os.path.join(FOLDER, name))
            test = lambda self, program=program: self.run_program(program)  # noqa: E731
            test.__name__ = "test_" + name[:-4].replace("-", "_")
            setattr(System, test.__name__, test)


add_tests()

if __name__ == "__main__":
    main()
