"""Real debuggers against real machines: kernels to debug, gdb and lldb in batch mode, and what they must say."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "boot"))
import harness

_FLAGS = ["-g", "-O0", "-ffreestanding", "-fno-pic", "-fno-pie", "-fno-stack-protector", "-fcf-protection=none",
          "-mgeneral-regs-only", "-mno-red-zone", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none",
          "-Wl,--no-warn-rwx-segments"]


def build_kernel(bits, folder):
    """The kernel of this folder, as an ELF file for -kernel and for the debugger."""
    out = os.path.join(folder, f"kernel{bits}")
    command = [harness.need_tool("gcc"), f"-m{bits}", *_FLAGS, "-Wl,-T," + os.path.join(HERE, "kernel.ld"),
               os.path.join(HERE, f"start{bits}.S"), os.path.join(HERE, "kernel.c"), "-o", out]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if made.returncode:
        raise unittest.SkipTest(f"gcc -m{bits} cannot build the kernel: {made.stderr[:300]}")
    return out


def debugger(command, limit):
    """What a debugger in batch mode prints."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=limit, check=False)
    return done.stdout


def gdb(commands, program=None, limit=60):
    """gdb with these commands, one a line; each comes back as a line "(gdb) COMMAND" before what it prints."""
    command = [harness.need_tool("gdb"), "-nx", "-batch", "-ex", "set pagination off", "-ex", "set confirm off",
               "-ex", "set width 0", "-ex", "set style enabled off", "-ex", "set debuginfod enabled off"]
    for line in filter(None, map(str.strip, commands.splitlines())):
        command += ["-ex", "echo (gdb) " + line.replace("\\", "\\\\").replace('"', '\\"') + "\\n", "-ex", line]
    return debugger(command + ([program] if program else []), limit)


class Case(unittest.TestCase):
    """A folder for kernels and sockets, and assertions on transcripts."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="ostler-gdb-")
        cls.path = os.path.join(cls.folder, "gdb")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)

    def machine(self, accel, *args):
        """A stopped machine with a stub at self.path."""
        if accel == "kvm":
            harness.need_kvm()
        return harness.Machine("-accel", accel, "-S", "-gdb", f"unix:{self.path}", *args)

    def see(self, transcript, *patterns):
        """These regular expressions match one after the other; never a description that does not fit."""
        self.assertNotIn("reply is too long", transcript)
        self.assertNotIn("Truncated register", transcript)
        at = 0
        for pattern in patterns:
            match = re.compile(pattern, re.M).search(transcript, at)
            self.assertTrue(match, f"no {pattern!r} behind character {at} of\n{transcript}")
            at = match.end()
