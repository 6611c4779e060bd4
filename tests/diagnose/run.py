#!/usr/bin/env python3
"""Broken guests and what the black box says about them: one test a case of broken.asm and an accelerator.

    run.py                           all
    run.py Soft.test_empty_gate      one
    DIAGNOSE_SHOW=1 run.py ...       and print the reports
"""
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "boot"))
from harness import OSTLER, Machine, kvm_emulates, main, need_tool  # noqa: E402  (found by the line above)

SECONDS = float(os.environ.get("DIAGNOSE_SECONDS", "60"))
SOURCE = os.path.join(FOLDER, "broken.asm")
NOT_KNOWN = "Which faults they were is not known here"


class Case:
    def __init__(self, name):
        self.name, self.says, self.kvm, self.one_line = name, [], [], False


def read_cases():
    cases = []
    with open(SOURCE, encoding="utf-8") as source:
        for line in source:
            if match := re.match(r"; (case|says|kvm|one line):?\s*(.*)", line):
                key, rest = match.groups()
                if key == "case":
                    cases.append(Case(rest.split()[0]))
                elif key == "one line":
                    cases[-1].one_line = True
                else:
                    getattr(cases[-1], key).append(rest)
    return cases


def assemble(case, image):
    system = os.path.join(FOLDER, "..", "system") + "/"
    subprocess.run([need_tool("nasm"), "-Werror", "-f", "bin", "-i", system, "-D" + case.name, "-o", image, SOURCE], check=True)


def arguments(accel, image):
    return ["-accel", accel, "-cpu", "max", "-m", "32", "-nodefaults", "-vga", "none", "-bios", image, "-chardev", "null,id=out",
            "-device", "isa-debugcon,chardev=out", "-device", "isa-debug-exit"]


def run(accel, image, *more, seconds=SECONDS):
    """What the machine logs until it ends by its reset; None: it does not end."""
    command = [OSTLER, *arguments(accel, image), "-display", "none", "-no-reboot", *more]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return None
    return done.stderr


class Base(unittest.TestCase):
    def check(self, text, wanted):
        """Each expression is found behind the one before.  Line ends count as spaces, but for '^'."""
        if os.environ.get("DIAGNOSE_SHOW"):
            print(text)
        flat = re.sub(r"\n {5,}", " ", text)
        at = 0
        for expression in wanted:
            match = re.compile(expression, re.M).search(flat, at)
            self.assertTrue(match, f"the report does not say, or not in this order: {expression}\n{text}")
            at = match.end()


class Soft(Base):
    def run_case(self, case):
        with tempfile.TemporaryDirectory(prefix="ostler-diagnose-") as folder:
            image = os.path.join(folder, "guest.bin")
            assemble(case, image)
            text = run("soft", image)
            self.assertIsNotNone(text, "no end")
            self.check(text, case.says)
            if case.one_line:
                self.assertEqual(len(text.splitlines()), 1, text)
            else:
                self.assertNotIn("the state has changed", text)
                self.assertNotIn("does not tell", text)

    def test_off(self):
        """Without the ring the state alone is explained."""
        case = next(c for c in read_cases() if c.name == "EMPTY_GATE")
        with tempfile.TemporaryDirectory(prefix="ostler-diagnose-") as folder:
            image = os.path.join(folder, "guest.bin")
            assemble(case, image)
            self.check(run("soft", image, "-blackbox", "off"), [NOT_KNOWN, *case.kvm])

    def test_monitor(self):
        """The report outlives the reset, and what led to it is in the ring."""
        case = next(c for c in read_cases() if c.name == "STACK_UNMAPPED")
        with tempfile.TemporaryDirectory(prefix="ostler-diagnose-") as folder:
            image = os.path.join(folder, "guest.bin")
            assemble(case, image)
            with Machine(*arguments("soft", image), "-S", "-action", "reboot=shutdown,shutdown=pause", serial=False) as m:
                m.qmp.command("cont")
                m.qmp.wait_event("SHUTDOWN", SECONDS)
                text = m.qmp.command("human-monitor-command", command_line="info blackbox").replace("\r", "")
                self.check(text, [r"CPU #0: the last \d+ events", r"CR0 = 0x[0-9a-f]+ \+PG$", "#PF error 0x2 at 0x7ffffc",
                                  "The last shutdown of a CPU:", *case.says])
                info = m.qmp.command("x-query-blackbox")
                events = info["cpus"][0]["events"]
                self.assertEqual([e["kind"] for e in events[-3:]], ["exception", "exception", "shutdown"])
                self.assertEqual((events[-3]["number"], events[-3]["value"], events[-3]["error"]), (14, 0x7ffffc, 2))
                self.assertIn("triple fault", info["report"])
                self.assertTrue(info["enabled"])
                self.assertEqual(len(m.qmp.command("x-query-blackbox", limit=2)["cpus"][0]["events"]), 2)
                # the machine is reset: its explanation is gone, the report is not
                m.qmp.command("system_reset")
                self.assertEqual(m.qmp.command("x-query-blackbox")["report"], info["report"])

    def test_handled(self):
        """On request: why the last exception came, though its handler has long run."""
        with tempfile.TemporaryDirectory(prefix="ostler-diagnose-") as folder:
            image = os.path.join(folder, "guest.bin")
            assemble(Case("HANDLED"), image)
            with Machine(*arguments("soft", image), serial=False) as m:
                end = time.monotonic() + SECONDS
                while m.qmp.command("x-query-blackbox")["cpus"][0]["events"][-1]["kind"] != "halt":
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
                text = m.qmp.command("human-monitor-command", command_line="info blackbox 0").replace("\r", "")
                self.check(text, [r"#GP error 0x78 \(selector 0x78, GDT entry 15\)", "The last exception, and why",
                                  r"1\. #PF at 0x0000123456789000 \(read, supervisor, page not present; error code 0x0\) by the "
                                  r"instruction at 0038:[0-9a-f]+: PML4E at 0x30120 \(index 36\) is not present \(value 0x0\)"])
                self.assertNotIn("The last shutdown", text)
                self.assertIn("PML4E at 0x30120", m.qmp.command("x-query-blackbox")["cpus"][0]["last-exception"])
                self.assertIn("not available", m.qmp.command("human-monitor-command", command_line="info blackbox 7"))

    def test_logs(self):
        """-d mmu and -d unimp: a line an event."""
        cases = {c.name: c for c in read_cases()}
        with tempfile.TemporaryDirectory(prefix="ostler-diagnose-") as folder:
            image = os.path.join(folder, "guest.bin")
            assemble(cases["PDPTE_NOT_PRESENT"], image)
            self.check(run("soft", image, "-d", "mmu"),
                       [r"^mmu: cpu 0 #PF at 0x00000000c0001234 \(write, supervisor, page not present\) ip=0038:0*[0-9a-f]+: "
                        r"PDPTE at 0x31018 \(index 3\) is not present \(value 0x35006\)$"])
            assemble(cases["WRMSR_UNKNOWN"], image)
            self.check(run("soft", image, "-d", "unimp"),
                       [r"^unimp: cpu 0 WRMSR of MSR 0xdeadbeef ip=0008:[0-9a-f]+: no such register, #GP$"])

    def test_option(self):
        for value in ("maybe", "31", "-3", "2000000", "on"):
            done = subprocess.run([OSTLER, "-blackbox", value, "-display", "none"], capture_output=True, text=True,
                                  timeout=SECONDS, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, r'-blackbox \S+: expected "off", or the number of entries for each CPU, 32 to 1048576')


class Kvm(Base):
    accel, seconds = "kvm", SECONDS

    def run_case(self, case):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            self.skipTest("/dev/kvm is missing or closed to this user")
        with tempfile.TemporaryDirectory(prefix="ostler-diagnose-") as folder:
            image = os.path.join(folder, "guest.bin")
            assemble(case, image)
            text = run(self.accel, image, seconds=self.seconds)
            if text is None or not re.search("(?m)^CPU 0: (triple fault|reset by)", text):
                self.assertTrue(kvm_emulates(), f"no report\n{text}")
                how = (text or "not at all").strip().splitlines()[-1]
                self.skipTest(f"this KVM emulates, and the guest ends otherwise: {how}")
            self.check(text, case.kvm if NOT_KNOWN in text else case.says)


class KvmAlone(Kvm):
    """Without the software CPU's help: what processors with virtualization show.  A KVM that emulates fails at some."""
    accel = "kvm,rescue=off"
    seconds = min(SECONDS, 5) if kvm_emulates() else SECONDS


def add_tests():
    for case in (c for c in read_cases() if c.says):
        for group in (Soft, Kvm, KvmAlone):
            test = lambda self, case=case: self.run_case(case)  # noqa: E731
            test.__name__ = "test_" + case.name.lower()
            setattr(group, test.__name__, test)


add_tests()

if __name__ == "__main__":
    main()
