#!/usr/bin/env python3
"""-kernel end to end: tiny kernels of each kind, entered through SeaBIOS, tell what they were given."""
import os
import subprocess
import tempfile
import unittest

from harness import Machine, need_kvm, need_tool

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kernels.asm")
SUCCESS = 16 << 1 | 1                   # what isa-debug-exit makes of 16


class Loader(unittest.TestCase):
    def setUp(self):
        need_kvm()
        self.folder = tempfile.TemporaryDirectory(prefix="ostler-kernel-")
        self.addCleanup(self.folder.cleanup)

    def file(self, name, contents):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            f.write(contents)
        return path

    def run_kernel(self, kind, initrd):
        """Its exit code and what it printed."""
        kernel = os.path.join(self.folder.name, kind)
        subprocess.run([need_tool("nasm"), "-f", "bin", f"-D{kind}", "-o", kernel, SOURCE], check=True)
        with Machine("-accel", "kvm", "-m", 32, "-vga", "none", "-device", "isa-debug-exit", "-kernel", kernel,
                     "-initrd", initrd, "-append", "two words", qmp=False) as m:
            return m.process.wait(120), m.serial(), kernel

    def test_linux(self):
        code, text, _ = self.run_kernel("LINUX", self.file("initrd", b"the initrd"))
        self.assertEqual((code, text), (SUCCESS, "two words|the initrd"))

    def test_pvh(self):
        code, text, _ = self.run_kernel("PVH", self.file("initrd", b"the initrd"))
        self.assertEqual((code, text), (SUCCESS, "two words|the initrd"))

    def test_multiboot(self):
        one, two = self.file("one", b"first"), self.file("two", b"second" * 1000)
        code, text, kernel = self.run_kernel("MULTIBOOT", f"{one} a b,{two}")
        self.assertEqual((code, text), (SUCCESS, f"{kernel} two words|first|{one} a b|{'second' * 1000}|{two}|"))


if __name__ == "__main__":
    unittest.main()
