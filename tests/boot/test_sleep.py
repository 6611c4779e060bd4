#!/usr/bin/env python3
"""Suspend to RAM, as the board sees it: without a CPU, by the registers that a guest would write."""
import os
import socket
import unittest

import harness
from harness import Machine

PM = 0x600
S3 = 1 << 10 | 1 << 13                  # SLP_TYP of the board's _S3, SLP_EN
BUTTON, RTC, WAK = 1 << 8, 1 << 10, 1 << 15         # PM1 status


class Sleep(unittest.TestCase):
    def start(self, *args):
        path = f"/tmp/ostler-sleep-{os.getpid()}"
        self.m = Machine("-accel", "qtest", "-qtest", f"unix:{path},server=on,wait=off", "-m", 16, *args, serial=False)
        self.addCleanup(self.m.close)
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.connect(path)
        os.unlink(path)
        self.sock, self.file = sock, sock.makefile("r", encoding="ascii")
        self.addCleanup(self.file.close)

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\n")
        answer = self.file.readline().split()
        self.assertEqual(answer[0], "OK", line)
        return int(answer[1], 0) if len(answer) > 1 else None

    def config(self, at, size, value):
        self.ask(f"outl 0xcf8 {0x80000b00 | at & 0xfc:#x}")     # function 1.3
        self.ask(f"out{size} {0xcfc + (at & 3):#x} {value:#x}")

    def cmos(self, index):
        self.ask(f"outb 0x70 {index:#x}")
        return self.ask("inb 0x71")

    def enable(self):
        self.config(0x40, "l", PM | 1)
        self.config(0x80, "b", 1)

    def test_resume(self):
        self.start()
        self.enable()
        self.ask("write 0x5000 0x4 0x12345678")
        self.ask("outb 0x21 0x5a")
        self.assertEqual(self.cmos(0x0f), 0)
        self.ask(f"outw {PM + 4:#x} {S3:#x}")
        self.m.qmp.wait_event("SUSPEND")
        self.assertEqual(self.m.qmp.command("query-status")["status"], "suspended")
        self.m.qmp.command("system_wakeup")
        self.m.qmp.wait_event("WAKEUP")
        self.assertEqual(self.m.qmp.command("query-status")["status"], "running")
        self.assertEqual([e for e in self.m.qmp.events if e["event"] == "RESET"], [])
        # What the firmware needs to know, memory as it was, and chips in their reset state.
        self.assertEqual(self.cmos(0x0f), 0xfe)
        self.assertEqual(self.ask("readl 0x5000"), 0x78563412)
        self.assertEqual(self.ask("inb 0x21"), 0)
        self.enable()
        self.assertEqual(self.ask(f"inw {PM:#x}") & WAK, WAK)
        self.ask(f"outw {PM:#x} {WAK:#x}")
        self.assertEqual(self.ask(f"inw {PM:#x}") & WAK, 0)

    def sleep(self):
        self.ask(f"outw {PM + 4:#x} {S3:#x}")
        self.m.qmp.wait_event("SUSPEND")

    def woken_by(self):
        self.m.qmp.wait_event("WAKEUP")
        self.enable()
        return self.ask(f"inw {PM:#x}")

    def test_alarm(self):
        """The clock's alarm wakes the machine when PM1 says so, and is named afterwards; its time goes on meanwhile."""
        self.start("-rtc", "clock=vm")
        self.enable()
        for index in (1, 3, 5):                         # every second
            self.ask(f"outb 0x70 {index}"), self.ask("outb 0x71 0xff")
        self.ask("outb 0x70 11"), self.ask("outb 0x71 0x22")
        self.ask(f"outw {PM + 2:#x} {RTC:#x}")
        self.sleep()
        self.ask("clock_step 1500000000")
        self.assertEqual(self.woken_by() & (WAK | RTC | BUTTON), WAK | RTC)
        self.assertEqual([e["event"] for e in self.m.qmp.events if e["event"] in ("STOP", "RESUME")], [])

    def test_alarm_not_enabled(self):
        self.start("-rtc", "clock=vm")
        self.enable()
        for index in (1, 3, 5):
            self.ask(f"outb 0x70 {index}"), self.ask("outb 0x71 0xff")
        self.ask("outb 0x70 11"), self.ask("outb 0x71 0x22")
        self.sleep()
        self.ask("clock_step 1500000000")
        self.assertEqual(self.m.qmp.command("query-status")["status"], "suspended")

    def test_button(self):
        self.start()
        self.enable()
        self.sleep()
        self.m.qmp.command("system_powerdown")
        self.assertEqual(self.woken_by() & (WAK | RTC | BUTTON), WAK | BUTTON)

    def test_reset(self):
        self.start()
        self.enable()
        self.sleep()
        self.m.qmp.command("system_reset")
        self.m.qmp.wait_event("RESET")
        self.assertEqual(self.m.qmp.command("query-status")["status"], "running")
        self.assertEqual(self.cmos(0x0f), 0)

    def test_shadow(self):
        """The copy of the firmware stays in sight over a sleep, and not over a reset."""
        self.start()
        self.enable()
        shadow = 0x80000000 | 0x58                      # 00.0, PAM0 at 59h
        self.ask(f"outl 0xcf8 {shadow:#x}"), self.ask("outb 0xcfd 0x30")
        self.ask("write 0xf1234 0x4 0x78563412")
        self.sleep()
        self.m.qmp.command("system_wakeup")
        self.m.qmp.wait_event("WAKEUP")
        self.assertEqual(self.ask("readl 0xf1234"), 0x12345678)
        self.m.qmp.command("system_reset")
        self.m.qmp.wait_event("RESET")
        self.ask(f"outl 0xcf8 {shadow:#x}")
        self.assertEqual(self.ask("inb 0xcfd"), 0)
        self.assertNotEqual(self.ask("readl 0xf1234"), 0x12345678)

    def test_not_asleep(self):
        self.start()
        self.enable()
        with self.assertRaises(harness.QmpError):
            self.m.qmp.command("system_wakeup")
        self.assertEqual(self.cmos(0x0f), 0)

    def test_no_smm_here(self):
        with self.assertRaisesRegex(RuntimeError, "System Management Mode not supported"):
            Machine("-accel", "qtest", "-machine", "smm=on", serial=False)


if __name__ == "__main__":
    harness.main()
