#!/usr/bin/env python3
"""The qtest wire itself: each request, its answers, and what it says to nonsense."""
import os
import tempfile
import time
import unittest

from qtest import Qtest, WireError, main

RAM = 0x100000                          # ordinary memory
SHARED = {}


def setUpModule():
    SHARED["q"] = Qtest("-m", "64")


def tearDownModule():
    SHARED["q"].close()


class Requests(unittest.TestCase):
    """On one machine, one after another."""

    def setUp(self):
        self.q = SHARED["q"]

    def raw(self, request):
        self.q.send(request.encode() + b"\n")
        return self.q.answer()

    def refused(self, request):
        with self.assertRaises(WireError) as caught:
            self.q.ask(request)
        self.assertRegex(str(caught.exception), "^(FAIL|ERR) .")

    def test_endianness(self):
        self.assertEqual(self.raw("endianness"), "OK little")

    def test_ports(self):
        self.assertEqual(self.raw("outl 0xcf8 0x80000000"), "OK")
        self.assertEqual(self.raw("inl 0xcfc"), "OK 0x12378086")
        self.assertEqual(self.raw("inw 0xcfc"), "OK 0x8086")
        self.assertEqual(self.raw("inb 0xcfd"), "OK 0x0080")
        self.assertEqual(self.raw("outw 0x70 0x0a"), "OK")
        self.assertEqual(self.raw("outb 0x70 10"), "OK")

    def test_numbers_are_in_c_notation(self):
        for text in ("0x100000", "1048576", "04000000", "0X100000"):
            self.assertEqual(self.raw(f"writeb {text} 0x5a"), "OK")
            self.assertEqual(self.raw(f"readb {text}"), "OK 0x000000000000005a")
            self.q.writeb(RAM, 0)
        self.q.writeq(RAM, 0)
        self.assertEqual(self.raw("writel 0x100000 -1"), "OK")
        self.assertEqual(self.raw("readq 0x100000"), "OK 0x00000000ffffffff")

    def test_memory_in_each_width(self):
        q = self.q
        q.writeq(RAM, 0x1122334455667788)
        self.assertEqual(self.raw(f"readq {RAM:#x}"), "OK 0x1122334455667788")
        self.assertEqual(self.raw(f"readl {RAM:#x}"), "OK 0x0000000055667788")
        self.assertEqual(self.raw(f"readw {RAM + 2:#x}"), "OK 0x0000000000005566")
        self.assertEqual(self.raw(f"readb {RAM + 7:#x}"), "OK 0x0000000000000011")
        q.writel(RAM + 1, 0xaabbccdd)
        q.writew(RAM + 6, 0xeeff)
        q.writeb(RAM, 0x01)
        self.assertEqual(q.read(RAM, 8), bytes.fromhex("01ddccbbaa33ffee"))

    def test_read_and_write(self):
        self.assertEqual(self.raw("write 0x100000 4 0xdeadBEEF"), "OK")
        self.assertEqual(self.raw("read 0x100000 4"), "OK 0xdeadbeef")
        self.assertEqual(self.raw("read 0x100001 1"), "OK 0xad")

    def test_short_data_is_filled_with_zeroes(self):
        self.q.memset(RAM, 0xff, 16)
        self.assertEqual(self.raw("write 0x100000 8 0x0102"), "OK")
        self.assertEqual(self.q.read(RAM, 10), bytes([1, 2, 0, 0, 0, 0, 0, 0, 0xff, 0xff]))

    def test_data_beyond_the_size_is_ignored(self):
        self.q.memset(RAM, 0xff, 8)
        self.assertEqual(self.raw("write 0x100000 2 0x01020304"), "OK")
        self.assertEqual(self.q.read(RAM, 4), b"\x01\x02\xff\xff")

    def test_big_transfers(self):
        data = os.urandom(1 << 20)
        self.q.write(RAM, data)
        self.assertEqual(self.q.read(RAM, len(data)), data)
        self.assertEqual(self.q.b64read(RAM, len(data)), data)
        self.q.b64write(0x300000, data[::-1])
        self.assertEqual(self.q.read(0x300000, len(data)), data[::-1])

    def test_base64_with_each_padding(self):
        for n in (1, 2, 3, 3071, 3072, 3073, 4000):
            data = os.urandom(n)
            self.q.memset(RAM, 0xee, n + 1)
            self.q.b64write(RAM, data)
            self.assertEqual(self.q.b64read(RAM, n), data)
            self.assertEqual(self.q.readb(RAM + n), 0xee)
        self.assertEqual(self.raw("b64write 0x100000 3 AQID"), "OK")
        self.assertEqual(self.raw("b64read 0x100000 2"), "OK AQI=")

    def test_memset(self):
        self.q.memset(RAM, 0, 10000)
        self.q.memset(RAM + 1, 0xa5, 9000)
        self.assertEqual(self.q.read(RAM, 9003), b"\0" + b"\xa5" * 9000 + b"\0\0")
        self.assertEqual(self.raw("memset 0x100001 0 0x77"), "OK")
        self.assertEqual(self.q.readb(RAM + 1), 0xa5)

    def test_nobody_there(self):
        self.assertEqual(self.q.inb(0x5678), 0xff)
        self.assertEqual(self.q.inl(0x5678), 0xffffffff)
        self.q.outb(0x5678, 1)
        self.q.writel(0xd0000000, 1)    # a hole below 4 GiB, and the end of the address space
        self.q.readl(0xd0000000)
        self.q.readq(0xfffffffffffffff8)
        self.q.read(0xfffffffffffffff0, 64)

    def test_nonsense_is_refused_and_the_wire_goes_on(self):
        for request in ("nonsense", "OK", "inb", "inb zebra", "inb 0x", "outb 0x70", "outb 1 2x", "readb", "writeq 0x0",
                        "read 0x100000", "read 0x100000 0", "read 0x100000 -1", "read 0x100000 99999999999999999999",
                        "write 0x100000 4", "write 0x100000 0xffffffffffffffff 0x00", "write 0x100000 2 zz",
                        "b64write 0x100000 3 ****", "b64read 0x100000 0x8000000000000000", "memset 0x100000 4",
                        "memset 0 0xffffffffffffffff 0", "clock_set", "clock_set -5", "clock_step soon",
                        "irq_intercept_in", "irq_intercept_in nobody", "irq_intercept_out nobody",
                        "set_irq_in nobody x 0 1", "set_irq_in ioapic", "module_load", "inb " + "9" * 100,
                        "x" * 5000):
            with self.subTest(request[:40]):
                self.refused(request)
        self.assertEqual(self.raw("endianness"), "OK little")

    def test_empty_lines_and_spaces(self):
        self.q.send(b"\n\n   \n  readb   0x100000 \r\n")
        self.assertRegex(self.q.answer(), "^OK 0x0+..$")

    def test_requests_in_pieces_and_in_bunches(self):
        for part in (b"wri", b"te 0x1000", b"00 3 0x", b"0", b"10203", b"\nre", b"ad 0x100000 3\nendianness\n"):
            self.q.send(part)
            time.sleep(0.01)
        self.assertEqual([self.q.answer() for _ in range(3)], ["OK", "OK 0x010203", "OK little"])
        self.q.send(b"inb 0x71\n" * 5000)
        for _ in range(5000):
            self.assertRegex(self.q.answer(), "^OK 0x00..$")

    def test_module_load(self):
        self.assertRegex(self.raw("module_load block- curl"), "^(OK|FAIL .)")

    def test_quick(self):
        begin = time.monotonic()
        for _ in range(20000):
            self.q.send(b"readl 0x100000\n")
            self.q.answer()
        took = time.monotonic() - begin
        self.assertLess(took, 20, "a round trip takes a millisecond")


class Time(unittest.TestCase):
    def test_the_clock_stands_still_until_told(self):
        with Qtest() as q:
            self.assertEqual(q.clock_step(1), 1)
            time.sleep(0.05)
            self.assertEqual(q.clock_step(10), 11)
            self.assertEqual(q.clock_set(5_000_000), 5_000_000)
            self.assertEqual(q.clock_step(1), 5_000_001)

    def test_a_step_without_length_goes_to_the_next_deadline(self):
        """Here the periodic interrupt of the MC146818 at 1024 Hz."""
        with Qtest("-rtc", "clock=vm") as q:
            for index, value in ((0x0a, 0x26), (0x0b, 0x42)):
                q.outb(0x70, index)
                q.outb(0x71, value)
            q.outb(0x70, 0x0c)
            self.assertEqual(q.inb(0x71), 0)
            at = q.clock_step()
            self.assertIn(at, (976562, 976563))
            self.assertEqual(q.inb(0x71), 0xc0)
            self.assertIn(q.clock_step(), (2 * at, 2 * at - 1))

    def test_timers_run_in_order_within_one_step(self):
        """An RTC at 8192 Hz raises its line anew only when register C is read: one big step, one edge."""
        with Qtest("-rtc", "clock=vm") as q:
            q.intercept_in("ioapic")
            for index, value in ((0x0a, 0x23), (0x0b, 0x42)):
                q.outb(0x70, index)
                q.outb(0x71, value)
            q.clock_step(1_000_000_000)
            self.assertTrue(q.irqs.get(8))
            self.assertEqual(q.irq_lines.count("raise 8"), 1)
            q.outb(0x70, 0x0c)
            self.assertEqual(q.inb(0x71) & 0xc0, 0xc0)
            self.assertFalse(q.irqs[8])

    def test_a_running_cpu_keeps_its_own_time(self):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            self.skipTest("no usable /dev/kvm")
        with Qtest("-S", accel=("-accel", "kvm")) as q:
            self.assertEqual(q.ask("endianness"), "little")
            q.writel(RAM, 0x12345678)
            self.assertEqual(q.readl(RAM), 0x12345678)
            self.assertEqual(q.inl(0xcf8), 0)


class Lines(unittest.TestCase):
    def test_told_before_the_answer(self):
        with Qtest() as q:
            q.intercept_in("ioapic")
            self.assertEqual(q.irq_lines, [])
            q.outb(0x3fc, 8)
            q.outb(0x3f9, 2)            # COM1: transmitter empty
            self.assertEqual(q.irq_lines, ["raise 4"])
            self.assertEqual(q.inb(0x3fa) & 0x0f, 2)
            self.assertEqual(q.irq_lines, ["raise 4", "lower 4"])

    def test_once_is_enough(self):
        with Qtest() as q:
            q.intercept_in("ioapic")
            q.intercept_in("ioapic")    # the same again changes nothing
            with self.assertRaises(WireError):
                q.intercept_in("isa-pit")

    def test_set_irq_in(self):
        with Qtest() as q:
            q.ask("set_irq_in ioapic unnamed-gpio-in 5 1")
            q.ask("set_irq_in ioapic unnamed-gpio-in 5 0")
            q.intercept_in("ioapic")
            q.ask("set_irq_in ioapic unnamed-gpio-in 5 1")
            self.assertEqual(q.irq_lines, ["raise 5"])


class Process(unittest.TestCase):
    def test_sigterm_is_exit_status_0(self):
        with Qtest() as q:
            self.assertEqual(q.ask("endianness"), "little")
            self.assertEqual(q.terminate(), 0)
            self.assertEqual(q.process.stderr.read().count("\n"), 0)

    def test_quit(self):
        with Qtest("-S") as q:
            q.qmp.command("quit")
            self.assertEqual(q.process.wait(30), 0)

    def test_machine_none_lists_machines_and_devices(self):
        with Qtest("-machine", "none") as q:
            names = {m["name"] for m in q.qmp.command("query-machines")}
            self.assertIn("none", names)
            self.assertTrue(any(m.get("alias") == "pc" for m in q.qmp.command("query-machines")))
            types = {t["name"] for t in q.qmp.command("qom-list-types", implements="device", abstract=False)}
            self.assertLessEqual({"isa-serial", "piix3-ide", "VGA", "ide-hd"}, types)
            self.assertEqual(q.ask("endianness"), "little")
            self.assertEqual(q.terminate(), 0)

    def test_log(self):
        with tempfile.NamedTemporaryFile("r", suffix=".log") as log, Qtest(log=log.name) as q:
            q.inb(0x71)
            q.terminate()
            text = log.read()
            self.assertRegex(text, r"\[R [^]]*\] inb 0x71\n")
            self.assertRegex(text, r"\[S [^]]*\] OK 0x")

    def test_commands_need_no_newline(self):
        with Qtest() as q:
            q.qmp.sock.sendall(b'{"execute": "query-status"}{"execute": "query-name"}')
            self.assertIn("status", q.qmp.read()["return"])
            self.assertEqual(q.qmp.read()["return"], {})

    def test_the_first_accelerator_that_works_is_taken(self):
        with Qtest("-accel", "qtest") as q:
            self.assertFalse(q.qmp.command("query-kvm")["enabled"])


if __name__ == "__main__":
    main()
