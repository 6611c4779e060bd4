"""lldb's gdb-remote, in batch mode."""
from debuggers import Case, build_kernel, debugger, harness


class Lldb(Case):
    def lldb(self, kernel, *commands):
        """A session with a machine that ends with it."""
        path = harness.need_tool("lldb")
        with harness.Machine("-accel", "soft", "-S", "-gdb", f"unix:{self.path}", "-kernel", kernel[0], "-smp", "2", *kernel[1:]) as m:
            command = [path, "--batch", "--no-lldbinit", "-o", f"file {kernel[0]}",
                       "-o", f"process connect --plugin gdb-remote unix-connect://{self.path}"]
            for c in commands:
                command += ["-o", c]
            text = debugger(command + ["-o", "kill"], 60)
            self.assertEqual(m.process.wait(20), 0, text)
            return text

    def test_64(self):
        text = self.lldb([build_kernel(64, self.folder)], "breakpoint set --name kmain", "continue", "thread backtrace", "next", "next",
                         "print counter", "breakpoint set --name leaf", "continue", "thread backtrace", "finish", "frame variable n",
                         "breakpoint disable", "watchpoint set variable watched", "continue", "continue", "print watched",
                         "register read rip eax cr3", "register write rax 0x123456789", "register read rax eax", "thread list",
                         "memory read --format x --size 4 --count 4 0x100000", "process plugin packet monitor info status",
                         "watchpoint delete --force", "thread step-inst")
        self.see(text, r"stop reason = breakpoint 1\.1", r"frame #0: .*`kmain", r"frame #1: .*`long_mode", r"stop reason = step over",
                 r"\$0 = 1$", r"stop reason = breakpoint 2\.1", r"frame #1: .*`middle\(n=1\)", r"frame #2: .*`kmain",
                 r"Return value: \(int\) \$\d+ = 3", r"n = 1$", r"stop reason = watchpoint 1", r"= 16$",
                 r"rip = 0x[0-9a-f]+ .*`kmain", r"cr3 = 0x", r"rax = 0x0000000123456789", r"eax = 0x23456789",
                 r"thread #2", r"0x00100000: ", r"VM status: paused", r"exited with status = 0")

    def test_32(self):
        """lldb takes the server's word for the architecture: a 32-bit kernel wants a 32-bit model."""
        text = self.lldb([build_kernel(32, self.folder), "-cpu", "qemu32"], "breakpoint set --name leaf", "continue", "thread backtrace",
                         "next", "register read eip")
        self.see(text, r"stop reason = breakpoint 1\.1", r"`middle\(n=1\)", r"`kmain", r"stop reason = step over", r"eip = 0x")


if __name__ == "__main__":
    harness.main()
