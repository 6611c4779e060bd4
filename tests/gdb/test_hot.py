"""The gdb stub and code that is hot, as a translator has it: points in its middle, bytes that the debugger writes, coming and going."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "boot"))
import harness
import test_protocol

FOLDER = os.path.dirname(os.path.abspath(__file__))
TABLE, COUNT, COPY, HOT = 0x60000, 0x60100, 0x61000, 100000


class Hot(unittest.TestCase):
    accel = "soft"

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ostler-gdb-hot-")
        self.addCleanup(folder.cleanup)
        image = os.path.join(folder.name, "hot.bin")
        include = os.path.join(FOLDER, "..", "system") + "/"
        subprocess.run([harness.need_tool("nasm"), "-Werror", "-f", "bin", "-i", include, "-o", image,
                        os.path.join(FOLDER, "hot.asm")], check=True)
        self.machine = test_protocol.Stub("-nodefaults", "-m", "32", "-bios", image, accel=self.accel)
        self.addCleanup(self.machine.close)
        self.machine.qmp.command("cont")
        self.client = None
        self.addCleanup(lambda: self.client and self.client.close())
        self.attach()

    def attach(self):
        """A new debugger finds the loop running, and hot."""
        for _ in range(100):
            time.sleep(0.05)
            self.client = self.machine.client()
            before = self.number(COUNT)
            self.client.ask("?")
            if before > HOT:
                break
            self.leave()
        self.n = test_protocol.numbers(self.client)
        self.two, self.store, self.behind, self.third = (self.number(TABLE + 8 * k) for k in range(4))
        self.assertGreater(self.number(COUNT), HOT)

    def leave(self):
        self.assertEqual(self.client.ask("D"), "OK")
        self.client.close()
        self.machine.wait_gone()

    def number(self, at):
        return int.from_bytes(self.client.memory(at, 8), "little")

    def get(self, name):
        return test_protocol.get(self.client, self.n[name])

    def run_for(self, seconds=0.3):
        self.client.send("c")
        time.sleep(seconds)
        self.client.raw(b"\x03")
        self.assertTrue(self.client.reply().startswith("T02"))

    def go(self):
        """To the next stop; from a breakpoint as debuggers do it."""
        self.assertTrue(self.client.ask("s").startswith("T05"))
        return self.client.ask("c")

    def consistent(self):
        """Registers and memory tell the same story, wherever in the loop it stopped."""
        rip, count, rax = self.get("rip"), self.number(COUNT), self.get("rax")
        self.assertLessEqual(abs(count - rax), 1, hex(rip))
        self.assertLessEqual(abs(count - self.number(COPY)), 1, hex(rip))

    def test_breakpoint(self):
        c = self.client
        for at in (self.two, self.behind, self.third - 3):
            self.run_for()
            self.consistent()
            self.assertEqual(c.ask(f"Z0,{at:x},1"), "OK")
            last = None
            for _ in range(20):
                self.assertTrue(self.go().startswith("T05"))
                self.assertEqual(self.get("rip"), at)
                count = self.number(COUNT)
                self.assertEqual(self.get("rax"), count)
                if at != self.two:
                    self.assertEqual(self.get("rdx"), count)
                if last is not None:
                    self.assertEqual(count, last + 1)
                last = count
            self.assertEqual(c.ask(f"z0,{at:x},1"), "OK")
            self.run_for()
            self.assertGreater(self.number(COUNT), last + HOT)

    def test_watchpoint(self):
        c = self.client
        self.assertEqual(c.ask(f"Z2,{COPY:x},8"), "OK")
        last = None
        for _ in range(20):
            self.assertIn("watch:", c.ask("c"))
            self.assertEqual(self.get("rip"), self.behind)
            count = self.number(COPY)
            self.assertEqual(self.get("rax"), count)
            if last is not None:
                self.assertEqual(count, last + 1)
            last = count
        self.assertEqual(c.ask(f"z2,{COPY:x},8"), "OK")
        self.run_for()
        self.assertGreater(self.number(COUNT), last + HOT)
        self.consistent()
        self.assertEqual(c.ask(f"Z3,{COUNT:x},8"), "OK")      # read by two instructions
        for _ in range(10):
            self.assertIn("rwatch:", c.ask("c"))
        self.assertEqual(c.ask(f"z3,{COUNT:x},8"), "OK")

    def test_steps(self):
        c = self.client
        self.run_for()
        seen = set()
        for _ in range(60):
            self.assertTrue(c.ask("s").startswith("T05"))
            seen.add(self.get("rip"))
            self.consistent()
        self.assertEqual(len(seen), 13)     # each instruction of the loop but the end
        self.run_for()
        self.consistent()

    def test_code_is_written(self):
        c = self.client
        self.run_for()
        for value in (3, 5, 1):
            c.write(self.third, value.to_bytes(4, "little"))
            at = self.two
            self.assertEqual(c.ask(f"Z1,{at:x},1"), "OK")
            self.assertTrue(self.go().startswith("T05"))
            self.assertTrue(self.go().startswith("T05"))
            rsi = self.get("rsi")
            self.assertTrue(self.go().startswith("T05"))
            self.assertEqual(self.get("rsi"), rsi + value)
            self.assertEqual(c.ask(f"z1,{at:x},1"), "OK")
            self.run_for()

    def test_code_is_written_and_run_hot(self):
        c = self.client
        for value in (3, 7):
            self.run_for()
            before = self.get("rsi"), self.get("rax")
            c.write(self.third, value.to_bytes(4, "little"))
            self.run_for()
            after = self.get("rsi"), self.get("rax")
            self.assertLessEqual(abs((after[0] - before[0]) - value * (after[1] - before[1])), 2 * value)

    def test_comes_and_goes(self):
        for _ in range(4):
            self.assertEqual(self.client.ask(f"Z0,{self.behind:x},1"), "OK")
            self.assertTrue(self.client.ask("c").startswith("T05"))
            count = self.number(COUNT)
            self.leave()                                        # the breakpoint goes with it
            time.sleep(0.2)
            self.attach()
            self.assertGreater(self.number(COUNT), count + HOT)
            self.consistent()


if __name__ == "__main__":
    harness.main()
