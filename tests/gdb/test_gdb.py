"""Scripted gdb on firmware, a boot loader, and a 32-bit and a 64-bit kernel, under both accelerators."""
import os
import signal
import socket
import subprocess
import time

from debuggers import Case, build_kernel, gdb, harness

GRUB = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
ACCELS = ("soft", "kvm")

KERNEL = """
    break kmain
    continue
    backtrace
    next
    next
    print counter
    break leaf
    continue
    backtrace
    info args
    finish
    delete
    watch watched
    continue
    continue
    print watched
    delete
    rwatch place.x
    delete
    set var counter = 1000
    print counter
    tbreak kernel.c:43
    continue
    print counter
    step
    step
    up
    info frame
    print/x $cr3
    print/x $cr0
    info threads
    set $eax = 0x12345678
    print/x $ax
    monitor info status
"""
KERNEL_SAYS = (
    r"Breakpoint 1, kmain \(\)", r"^#0  kmain \(\)", r"^#1 .* in (_start|long_mode) \(\)", r"^42\s+counter\+\+;", r"= 0$",
    r"Breakpoint 2, leaf \(n=1\)", r"^#0  leaf \(n=1\)", r"^#1 .* in middle \(n=1\)", r"^#2 .* in kmain \(\)", r"^n = 1$",
    r"Run till exit|in middle", r"Value returned is \$\d+ = 3",
    r"Hardware watchpoint \d+: watched", r"Old value = 0\nNew value = 8", r"Old value = 8\nNew value = 16", r"= 16$",
    r"Hardware read watchpoint", r"= 1000$", r"Temporary breakpoint \d+, kmain", r"= 1001$",
    r"^middle \(n=1001\)", r"^leaf \(n=1001\)", r"^#1 .* in middle \(n=1001\)", r"caller of frame")


class Kernels(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kernels = {bits: build_kernel(bits, cls.folder) for bits in (32, 64)}

    def run_kernel(self, accel, bits):
        with self.machine(accel, "-kernel", self.kernels[bits], "-smp", "2") as m:
            text = gdb(f"target remote {self.path}\n{KERNEL}\ndetach", self.kernels[bits])
            self.see(text, *KERNEL_SAYS, r"= 0x[0-9a-f]+000$" if bits == 64 else r"= 0x0$",
                     r"= 0x80000011$" if bits == 64 else r"= 0x11$",
                     r"^\* 1 +Thread 1\.1 \(CPU#0 \[running\]\)", r"^  2 +Thread 1\.2 \(CPU#1 \[(running|halted)\]\)", r"= 0x5678$",
                     r"VM status: paused \(debug\)", r"detached")
            self.assertTrue(m.qmp.command("query-status")["running"])

    def test_32_soft(self):
        self.run_kernel("soft", 32)

    def test_32_kvm(self):
        self.run_kernel("kvm", 32)

    def test_64_soft(self):
        self.run_kernel("soft", 64)

    def test_64_kvm(self):
        self.run_kernel("kvm", 64)

    def test_across_modes(self):
        """From the reset vector over protected mode to long mode and back to the firmware, in one session."""
        for accel in ACCELS:
            with self.subTest(accel), self.machine(accel, "-kernel", self.kernels[64]):
                text = gdb(f"""
                    set architecture i8086
                    target remote {self.path}
                    x/i $cs_base + $pc
                    stepi
                    print/x $eip
                    set architecture i386
                    hbreak *&_start
                    continue
                    x/i $pc
                    print/x $eip == (int)&_start
                    stepi
                    print/x $esp == (int)&stack
                    print/x $cr0
                    set architecture i386:x86-64
                    break long_mode
                    continue
                    info registers rip efer
                    print $pc
                    print $sp
                    x/i $pc
                    break kmain
                    continue
                    backtrace 2
                    info registers
                    monitor system_reset
                    set architecture i8086
                    flushregs
                    print/x $pc
                    set architecture i386:x86-64
                    print/x $pc
                    print/x $rip
                    """, self.kernels[64])
                self.see(text, r"ljmp +\$0xf000,\$0xe05b", r"= 0xe05b$",
                         r"Breakpoint 1, ", r"mov +\$0x[0-9a-f]+,%esp", r"= 0x1$", r"= 0x1$", r"= 0x11$",
                         r"Breakpoint 2, long_mode", r"^rip .* <long_mode>", r"^efer .*\[ LME LMA \]",
                         r"\(void \(\*\)\(\)\) 0x[0-9a-f]+ <long_mode>", r"\(void \*\) 0x",
                         r"mov +\$0x10,%eax", r"Breakpoint 3, kmain", r"^#1 .*long_mode",
                         r"^rip .* <kmain", r"^cr0 .*PG", r"= 0xfff0$", r"= 0xfff0$", r"= 0xfff0$")

    def test_scheduler_locking(self):
        """The second processor counts at 7000h in real mode; held, it does not."""
        for accel in ACCELS:
            with self.subTest(accel), self.machine(accel, "-kernel", self.kernels[32], "-smp", "2"):
                text = gdb(f"""
                    target remote {self.path}
                    break kmain
                    continue
                    break leaf
                    ignore 2 200
                    continue
                    set scheduler-locking on
                    set $before = *(int *)0x7000
                    ignore 2 20
                    continue
                    step
                    step
                    print *(int *)0x7000 - $before
                    set scheduler-locking off
                    ignore 2 200
                    continue
                    print *(int *)0x7000 != $before
                    set scheduler-locking on
                    thread 2
                    print/x $cs_base
                    set $before = counter
                    set $there = $eip
                    stepi
                    print counter - $before
                    print $eip != $there
                    """, self.kernels[32], 100)
                self.see(text, r"= 0$", r"= 1$", r"Switching to thread 2", r"= 0x8000$", r"= 0$", r"= 1$")

    def test_reconnect(self):
        """Breakpoints go with their client; the next one finds the machine as it was left."""
        with self.machine("soft", "-kernel", self.kernels[64]) as m:
            text = gdb(f"target remote {self.path}\nbreak leaf\ncontinue\nbreak middle", self.kernels[64])
            self.see(text, r"Breakpoint 1, leaf \(n=\d\)")          # the end of the script detaches
            time.sleep(0.2)
            self.assertTrue(m.qmp.command("query-status")["running"])
            for _ in range(3):
                text = gdb(f"target remote {self.path}\ninfo breakpoints\nprint counter > 0\ntbreak middle\ncontinue\nbacktrace",
                           self.kernels[64])
                self.see(text, r"No breakpoints", r"= 1$", r"breakpoint 1, middle", r"^#1 .* in kmain")
            text = gdb(f"target remote {self.path}\nkill", self.kernels[64])
            self.see(text, r"killed")
            self.assertEqual(m.process.wait(20), 0)
            self.assertIn("Terminated via GDBstub", m.process.stderr.read())

    def test_tcp(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with harness.Machine("-accel", "soft", "-S", "-gdb", f"tcp::{port}", "-kernel", self.kernels[64]):
            text = gdb(f"target remote :{port}\nhbreak kmain\ncontinue\ninfo registers rip", self.kernels[64])
            self.see(text, r"Breakpoint 1, kmain", r"<kmain")

    def pipe(self, bits):
        return (f"target remote | {harness.OSTLER} -accel soft -display none -serial none -monitor none -nic none -S -gdb stdio "
                f"-kernel {self.kernels[bits]}")

    def test_stdio(self):
        text = gdb(f"{self.pipe(32)}\nhbreak kmain\ncontinue\nlayout asm\nbacktrace\nkill", self.kernels[32])
        self.see(text, r"Breakpoint 1, kmain", r"^#0  kmain")

    def test_stdio_interrupt(self):
        """Ctrl-C in the terminal reaches every process there: the guest stops, the machine lives."""
        command = [harness.need_tool("gdb"), "-nx", "-q", "-ex", "set confirm off", "-ex", self.pipe(64), "-ex", "continue",
                   "-ex", "print counter > 0", "-ex", "info registers rip", "-ex", "kill", "-ex", "quit", self.kernels[64]]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              start_new_session=True) as p:
            time.sleep(3)
            with open(f"/proc/{p.pid}/task/{p.pid}/children", encoding="ascii") as f:
                children = [int(pid) for pid in f.read().split()]
            self.assertTrue(children)
            for pid in [p.pid] + children:
                os.kill(pid, signal.SIGINT)
            try:
                text = p.communicate(timeout=60)[0]
            finally:
                if p.poll() is None:
                    p.kill()
        self.see(text, r"SIGINT, Interrupt", r"= 1$", r"^rip ")

    def test_registers_by_name(self):
        """Vectors, the FPU and what gdb calculates from them."""
        with self.machine("soft", "-kernel", self.kernels[64], "-cpu", "max"):
            text = gdb(f"""
                target remote {self.path}
                break kmain
                continue
                set $xmm3.uint128 = 0x1122334455667788
                print/x $xmm3.v2_int64[0]
                set $st1 = 1.5
                print $st1
                print/x $fctrl
                set $eflags = $eflags | 1
                print $eflags
                set $al = 0xee
                print/x $rax & 0xff
                set $rip = $rip
                info registers fs_base gs_base k_gs_base cr4 cr8
                info all-registers
                stepi
                print/x $xmm3.v2_int64[0]
                """, self.kernels[64])
            self.see(text, r"= 0x1122334455667788$", r"= 1.5$", r"\[ CF", r"= 0xee$", r"^fs_base", r"^k_gs_base", r"^cr4 .*PAE",
                     r"^st1 +1.5", r"^mxcsr", r"= 0x1122334455667788$")

    def test_physical_memory(self):
        """Long mode maps no more than 4 GB one to one, so a page table entry is changed to tell the two apart."""
        with self.machine("soft", "-kernel", self.kernels[64], "-m", "64"):
            text = gdb(f"""
                target remote {self.path}
                break kmain
                continue
                set var *(unsigned long *)((char *)&pd + 16 * 8) = 0x83
                set var *(unsigned long *)0x5000 = 0x1234567
                print/x *(unsigned long *)0x2005000
                print *(int *)0x7000000000
                maintenance packet Qqemu.PhyMemMode:1
                set var $x = 0
                print/x *(unsigned long *)0x2005000
                maintenance packet Qqemu.PhyMemMode:0
                """, self.kernels[64])
            self.see(text, r"= 0x1234567$", r"Cannot access memory at address 0x7000000000", r'received: "OK"', r"= 0x0$",
                     r'received: "OK"')

    def test_plain_i386(self):
        """A model without long mode: a description as any 32-bit target has it, with pointers where they belong."""
        with self.machine("soft", "-kernel", self.kernels[32], "-cpu", "qemu32"):
            text = gdb(f"target remote {self.path}\nbreak kmain\ncontinue\nprint $pc\nprint $sp\ninfo registers", self.kernels[32])
            self.see(text, r"Breakpoint 1, kmain", r"\(void \(\*\)\(\)\) 0x[0-9a-f]+ <kmain", r"\(void \*\) 0x", r"^eip .*<kmain")
            self.assertNotIn("not compatible", text)
            self.assertNotIn("rax", text)


class Firmware(Case):
    """Real mode: the firmware, and what it loads."""

    def test_boot_loader(self):
        """A breakpoint from before the loader was there."""
        iso = harness.need_file(GRUB)
        for accel in ACCELS:
            with self.subTest(accel), self.machine(accel, "-cdrom", iso, "-boot", "d"):
                text = gdb(f"""
                    set architecture i8086
                    target remote {self.path}
                    x/i $cs_base + $pc
                    stepi
                    stepi
                    break *0x7c00
                    continue
                    x/2i $pc
                    print/x $cs_base
                    stepi
                    nexti
                    info registers eip cs
                    tbreak *0x8200
                    continue
                    print/x $cs_base + $eip
                    """, limit=60)
                self.see(text, r"ljmp +\$0xf000,\$0xe05b", r"Breakpoint 1, 0x00007c00", r"=> 0x7c00:", r"= 0x0$",
                         r"^eip .*0x7c", r"SIGTRAP", r"= 0x8200$")

    def test_int13(self):
        """Code whose segment has a base: the stop is a SIGTRAP, for gdb looks for its breakpoints at IP; going on works."""
        iso = harness.need_file(GRUB)
        for accel in ACCELS:
            with self.subTest(accel), self.machine(accel, "-cdrom", iso, "-boot", "d"):
                text = gdb(f"""
                    set architecture i8086
                    target remote {self.path}
                    break *0xfe3fe
                    continue
                    print/x $cs_base + $eip
                    x/i $cs_base + $eip
                    continue
                    print/x $cs_base + $eip
                    stepi
                    print/x $cs_base + $eip == 0xfe3fe
                    """, limit=60)
                self.see(text, r"SIGTRAP", r"= 0xfe3fe$", r"jmp", r"SIGTRAP", r"= 0xfe3fe$", r"= 0x0$")


if __name__ == "__main__":
    harness.main()
