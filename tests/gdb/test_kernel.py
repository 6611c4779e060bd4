#!/usr/bin/env python3
"""gdb on Debian's kernel: from the reset vector to start_kernel and on, by socket and pipe, on several processors."""
import os
import re
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "boot"))
import harness  # noqa: E402  (found by the line above)
import kernel_symbols  # noqa: E402
from gdb_session import Gdb  # noqa: E402
from harness import need_kvm, need_tool  # noqa: E402
from soft_guests import SoftTest, kernel  # noqa: E402

NAMES = ["start_kernel", "x86_64_start_reservations", "x86_64_start_kernel", "early_boot_irqs_disabled", "linux_banner",
         "system_state", "rest_init", "start_secondary", "secondary_startup_64_no_verify", "do_idle"]


class KernelTest(SoftTest):
    symbols = None

    def setUp(self):
        need_tool("gdb")
        if not KernelTest.symbols:              # one boot serves all
            KernelTest.place = tempfile.TemporaryDirectory(prefix="ostler-vmlinux-")
            path = os.path.join(KernelTest.place.name, "vmlinux")
            kernel_symbols.with_symbols(self, path, NAMES)
            KernelTest.symbols = path

    def gdb(self, *args):
        g = Gdb(KernelTest.symbols, *args, seconds=400)
        self.addCleanup(g.close)
        return g

    def options(self, accel, cpus):
        """Of a machine that boots to a busy shell."""
        archive = self.initramfs("echo shell ready\nwhile true; do true; done\n")
        return ["-accel", accel, "-m", "256", "-smp", str(cpus), "-kernel", kernel(), "-initrd", archive, "-append",
                "console=ttyS0 quiet nokaslr panic=-1"]

    def machine(self, accel, cpus, *args):
        m = harness.Machine(*self.options(accel, cpus), "-S", *args)
        self.addCleanup(m.close)
        return m

    def check(self, text, *patterns):
        for pattern in patterns:
            self.assertRegex(text, pattern)

    def early_boot(self, g, connect):
        """From the first instruction: the breakpoint is in memory where there is nothing yet."""
        self.check(g.do(connect), r"0x0*fff0 in ")
        self.check(g.do("print/x $cs_base", "print/x $cr0"), r"= 0xffff0000\n", r"= (0x60000010|\[.*ET.*\])")
        self.check(g.do("stepi", "print/x $cs"), r"= 0xf000\n")
        self.check(g.do("break start_kernel", "continue"), r"Breakpoint 1, 0xffffffff\w+ in start_kernel \(\)")
        # What called it were jumps; the start-up code's call is in the frame.
        self.check(g.do("backtrace"), r"#0 +0x\w+ in start_kernel \(\)\n#1 +0x\w+ in secondary_startup_64_no_verify \(\)")
        self.check(g.do("x/s (char *)&linux_banner"), r'"Linux version ')
        self.check(g.do("print/x $cr3"), r"= 0x[0-9a-f]+000\n")
        before = int(re.search(r"0x\w+", g.do("print/x $rip"))[0], 16)
        g.do("stepi", "stepi", "stepi")
        self.assertNotEqual(int(re.search(r"0x\w+", g.do("print/x $rip"))[0], 16), before)
        self.check(g.do("watch *(char *)&early_boot_irqs_disabled", "continue"), r"Hardware watchpoint 2",
                   r"Old value = 0 '\\000'\nNew value = 1 '\\001'")
        g.do("delete")


class Soft(KernelTest):
    accel = "soft"
    cpus = 1

    def socket(self):
        return os.path.join(self.folder(), "gdb.sock")

    def test_boot(self):
        path = self.socket()
        m = self.machine(self.accel, self.cpus, "-gdb", f"unix:{path},server=on,wait=off")
        g = self.gdb()
        self.early_boot(g, f"target remote {path}")
        g.do("hbreak rest_init", "continue")
        self.check(g.do("print/x $rip == (unsigned long)&rest_init"), "= 0x1")
        self.check(g.do("detach"), "detached")
        m.wait_for("shell ready", 400, m.serial)
        self.check(g.do(f"target remote {path}", "info registers rip"), r"rip +0x\w+")      # reconnected, somewhere
        self.check(g.do("break do_idle" if self.cpus > 1 else "print 1", "detach"), "detached")
        self.assertNotRegex(m.serial(), r"Oops|BUG:|Call Trace")


class SoftFourProcessors(Soft):
    cpus = 4

    def test_threads(self):
        path = self.socket()
        m = self.machine(self.accel, self.cpus, "-gdb", f"unix:{path},server=on,wait=off")
        g = self.gdb()
        g.do(f"target remote {path}", "hbreak start_secondary")
        self.check(g.do("info threads"), r"\* 1 .*\n +2 .*\n +3 .*\n +4 ")
        self.check(g.do("continue"), r"Thread [234] hit Breakpoint 1, 0x\w+ in start_secondary")
        self.check(g.do("set scheduler-locking on", "stepi", "stepi", "info threads"), r"\* [234] ")
        g.do("set scheduler-locking off", "delete")
        g.do("detach")
        m.wait_for("shell ready", 400, m.serial)
        m.qmp.command("stop")
        self.check(g.do(f"target remote {path}", "thread apply all -q print $rip"), r"(= .*\n.*){4}")


class SoftPipe(KernelTest):
    def test_stdio(self):
        """gdb starts the machine itself."""
        options = " ".join(f"'{o}'" for o in self.options("soft", 1))
        g = self.gdb()
        self.early_boot(g, f"target remote | {harness.OSTLER} {options} -S -gdb stdio -display none -nic none")
        self.check(g.do("kill"), r"killed")


class Kvm(Soft):
    accel = "kvm"

    def setUp(self):
        need_kvm()
        super().setUp()


if __name__ == "__main__":
    harness.main()
