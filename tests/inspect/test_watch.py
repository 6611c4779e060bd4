"""find, trace-at, expressions, logs and trace events: what people watch a running guest with."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import harness
from guest import HOSTILE, LA57, LEGACY, LONG, NEEDLES, PAE, PLAIN, WATCHED, Guest
from harness import QmpError


def command(machine, execute, **arguments):
    """A QMP command with an argument called name, which the harness has taken."""
    machine.qmp.sock.sendall(json.dumps({"execute": execute, "arguments": arguments}).encode())
    while "event" in (answer := machine.qmp.read()):
        pass
    if "error" in answer:
        raise QmpError(answer["error"])
    return answer["return"]


class Watch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ostler-watch-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = f"{self.folder}/log"

    def guest(self, mode, *args):
        m = Guest(self, mode, *args)
        self.addCleanup(m.close)
        return m

    def logged(self):
        with open(self.log, encoding="latin-1") as f:
            return f.read()

    # ---- find ----

    def found(self, m, line):
        lines = m.lines("find " + line)
        self.assertRegex(lines[-1], r"found|not found")
        return [int(line, 16) for line in lines[:-1]]

    def test_find(self):
        m = self.guest(LONG)
        near, high = f"{NEEDLES:#x}, +0x1000, ", 0xffff888000000000
        for pattern, at in (('"needle"', [0, 48]), ("/h 0xbeef", [24]), ("0xdeadbeef, 0x12345678", [24]),
                            ("/g 0x0123456789abcdef", [32, 40]), ("0x0123456789abcdef", [32, 40]), ("/b 1, 2, 3", [21]),
                            ('x"01 0203ef"', [21]), ("-1", []), ('"needle", 0x00', [])):
            form, value = pattern.split(" ", 1) if pattern[0] == "/" else ("", pattern)
            self.assertEqual(self.found(m, f"{form} {near}{value}"), [NEEDLES + n for n in at], pattern)
        self.assertEqual(self.found(m, f"{NEEDLES:#x}, {NEEDLES + 4:#x}, \"needle\""), [])
        self.assertEqual(self.found(m, f"{NEEDLES:#x}, {NEEDLES + 5:#x}, \"needle\""), [NEEDLES])
        self.assertEqual(len(self.found(m, f"/1 {near}\"needle\"")), 1)
        everywhere = self.found(m, "0, 0xffffffffffffffff, \"needle in\"")
        self.assertEqual(len(everywhere), 8)
        self.assertEqual([a for a in everywhere if a >= high], [a + high for a in everywhere[:4]])
        physical = self.found(m, "-p 0, 0xffffffffffffffff, \"needle in\"")
        self.assertIn(NEEDLES, physical)
        self.assertEqual([m.memory(a, 9) for a in physical], [b"needle in"] * len(physical))
        self.assertEqual(m.lines("info status")[0], "VM status: running")
        for line, text in (("0", "',' and +LENGTH"), ("0, +0, 1", "range is empty"), ("0, +1, \"", "closing quote"),
                           ("0, +1, x\"0g\"", "two hexadecimal digits"), ("0, +1,", "unexpected end"),
                           ("/z 0, +1, 1", "'z'"), ("0, +1, " + '"' + "a" * 5000 + '"', "too long")):
            self.assertIn(text, m.hmp("find " + line))

    def test_find_across_pieces(self):
        """A text across two of the megabytes that are read at once, and across pages that are no neighbours."""
        m = self.guest(LONG)
        zeros = self.found(m, "-p /3b 0x1000000, +0x300000, " + ", ".join(["0"] * 100))
        self.assertEqual(zeros, [0x1000000, 0x1000001, 0x1000002])
        self.assertEqual(len(self.found(m, "-p /100000b 0x10ffff0, +0x20, 0, 0")), 31)

    def test_find_ends(self):
        """Page tables without an end take limited time."""
        m = self.guest(HOSTILE)
        start = time.monotonic()
        text = m.hmp("find 0x8000000000, 0xffffffffffffffff, \"no such text\"")
        self.assertLess(time.monotonic() - start, 25)
        self.assertIn("stopped after", text)

    # ---- trace-at ----

    def test_trace_at(self):
        m = self.guest(LONG, "-D", self.log)
        target = m.labels["target"]
        said = m.lines(f'trace-at {target:#x} "n={{*4(0x51000):d}} s={{$ecx:s}} {{{{8}}}}={{8:o}} {{65:c}} {{-1:u}} {{$rip}} '
                       '{*0x7fffffff0000}"')
        self.assertEqual(said, ["Trace point 1"])
        self.assertEqual(m.lines(f'trace-at -w -l=4 {WATCHED:#x} "{{*4({WATCHED:#x})}}"'), ["Trace point 2"])
        self.assertEqual(m.lines(f'trace-at -c="*4({WATCHED:#x}) & 0xff == 7" -a -l=4 {WATCHED:#x}'), ["Trace point 3"])
        time.sleep(0.5)
        self.assertEqual(m.lines("info status")[0], "VM status: running")
        listed = m.hmp("trace-at")
        met = re.search(r"3: access .* met (\d+) times, (\d+) lines", listed)
        self.assertGreater(int(met[1]), int(met[2]))
        self.assertIn("last: trace-at 1: cpu 0", listed)
        self.assertEqual(m.lines("trace-remove 1"), [""])
        self.assertIn("no trace point 1", m.hmp("trace-remove 1"))
        m.hmp("trace-remove all")
        self.assertEqual(m.lines("trace-at"), ["No trace points"])
        time.sleep(0.1)
        log = self.logged()
        lines = re.findall(rf'^trace-at 1: cpu 0 {target:#x}: n=(\d+) s="a string" \{{8\}}=010 \'A\' 18446744073709551615 '
                           rf'{target:#x} <cannot access 0x7fffffff0000>$', log, re.M)
        self.assertGreater(len(lines), 10)
        self.assertEqual([int(n) - int(lines[0]) for n in lines[:10]], list(range(10)))
        wrote = [int(n, 16) for n in re.findall(rf"^trace-at 2: cpu 0 {WATCHED:#x} write from 0x\w+: (0x\w+)$", log, re.M)]
        self.assertEqual([n - wrote[0] for n in wrote[:10]], list(range(10)))
        self.assertTrue(re.search(r"^trace-at 3: ", log, re.M))
        size = os.path.getsize(self.log)
        time.sleep(0.2)
        self.assertEqual(os.path.getsize(self.log), size)

    def test_trace_at_mistakes(self):
        m = self.guest(PLAIN)
        for line, text in (("-w -r 0", "only one of"), ('0 "{"', "at character 2"), ('0 "{1:y}"', "x d u o c s"),
                           ('0 "a}"', "at character 2"), ('0 "{$foo}"', "unknown register"), ("-c=1+ 0", "condition, at"),
                           ("-w -l=0 0", "-l=0"), ("-l=4 0", "goes with"), ("-w", "address is missing")):
            self.assertIn(text, m.hmp("trace-at " + line), line)
        self.assertEqual(m.lines("trace-at"), ["No trace points"])

    # ---- Expressions ----

    def test_expressions(self):
        m = self.guest(LONG)
        for text, value in (("*0x50000", 0x6920656c6465656e), ("*4(0x50018)", 0xdeadbeef), ("*1(0x50000 + 1)", 0x65),
                            ("*2(0x50018) + 1", 0xbef0), ("1 + 2 * 3 == 7 && 2 < 3", 1), ("1 > 2 || 0", 0), ("!3", 0),
                            ("6 & 3", 2), ("0 && *0x7fffffff0000", 0), ("-1 > 1", 1), ("$cs == 0x38", 1),
                            ("$rflags & 2", 2), ("$eflags & 2", 2)):
            self.assertEqual(int(m.lines("p/x " + text)[0], 16), value, text)
        self.assertIn("cannot access 0x7fffffff0000", m.hmp("p *0x7fffffff0000"))
        self.assertIn("division by zero", m.hmp("p 1/0"))
        self.assertIn("too deep", m.hmp("p " + "*" * 100 + "1"))

    # ---- Logs ----

    def test_dfilter(self):
        m = self.guest(LONG, "-d", "in_asm,exec", "-D", self.log, "-dfilter", "0x1000+0x1000")
        m.qmp.command("stop")
        log, target = self.logged(), m.labels["target"]
        self.assertRegex(log, rf"(?m)^in_asm: cpu 0 {target:016x}  incl? ")
        self.assertRegex(log, rf"(?m)^exec: cpu 0 0038:{target:016x}, \d+ instructions$")
        for line in log.splitlines():
            match = re.match(r"in_asm: cpu 0 (\w{16})  |exec: cpu 0 \w{4}:(\w{16}), ", line)
            self.assertTrue(match, line)
            self.assertIn(int(match[1] or match[2], 16), range(0x1000, 0x2000))

    def test_dfilter_forms(self):
        for text, first, last in ((f"{0x11c0:#x}..{0x11cf:#x}", 0x11c0, 0x11cf), ("0x11cf-0x10", 0x11c0, 0x11cf),
                                  ("0x50000+1,0x11c0+0x10", 0x11c0, 0x11cf)):
            m = self.guest(LONG, "-d", "in_asm", "-D", self.log, "-dfilter", text)
            m.close()
            told = [int(at, 16) for at in re.findall(r"(?m)^in_asm: cpu 0 (\w{16})", self.logged())]
            self.assertTrue(told and min(told) >= first - 14 and max(told) <= last, text)
        for text in ("", "1", "1+", "1+0", "2..1", "x", "1+2,"):
            said = subprocess.run([harness.OSTLER, "-display", "none", "-dfilter", text], capture_output=True, text=True,
                                  check=False, timeout=20)
            self.assertIn("expected START+LENGTH", said.stderr)

    def test_cpu_log(self):
        m = self.guest(PLAIN, "-d", "cpu", "-D", self.log, "-dfilter", "0x1000+0x800")
        m.close()
        self.assertRegex(self.logged(), r"cpu: cpu 0\nEAX=\w{8} EBX")

    # ---- Trace events ----

    def test_trace_events(self):
        m = self.guest(PLAIN)

        def get(name):
            return {e["name"]: e["state"] for e in command(m, "trace-event-get-state", name=name)}

        every = get("*")
        self.assertEqual(set(every.values()), {"disabled"})
        self.assertIn("kvm_rescue", every)
        self.assertIn("rtc.seconds", every)
        command(m, "trace-event-set-state", name="rtc.*", enable=True)
        self.assertEqual(get("rtc.index"), {"rtc.index": "enabled"})
        command(m, "trace-event-set-state", name="rtc.index", enable=False)
        self.assertEqual(m.lines("info trace-events rtc.i*"), ["rtc.index : state 0"])
        self.assertIn("rtc.seconds : state 1", m.lines("info trace-events rtc"))
        m.hmp("trace-event rtc off")
        self.assertEqual(get("*"), every)
        self.assertEqual(get("no-such*"), {})
        for name in ("trace-event-get-state", "trace-event-set-state"):
            more = {"enable": True} if "set" in name else {}
            for wrong, text in (({"name": "nox"}, 'unknown event "nox"'), ({"name": "rtc.a", "vcpu": 9}, "invalid vCPU index 9"),
                                ({"name": "rtc.a", "vcpu": 0}, "not vCPU-specific")):
                with self.assertRaisesRegex(QmpError, text):
                    command(m, name, **more, **wrong)
        self.assertEqual(m.lines("trace-event nox on"), ['unknown event "nox"'])
        listed = subprocess.run([harness.OSTLER, "-trace", "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertIn("kvm_rescue\n", listed)
        self.assertIn("mc146818rtc.seconds\n", listed)

    def test_trace_lines(self):
        forms = (([], r"^\d+\.\d{6} rtc\.index <- 8f"), (["-msg", "timestamp=on"], r"^\d+@\d{10}\.\d{6}:rtc\.index <- 8f"),
                 (["-trace", "format=perf"], r"^ *CPU-0\S*\s+\d+ \[\d+\]\s+\d+\.\d{6}: ostler:rtc\.index: <- 8f"))
        for args, form in forms:
            with harness.Machine("-accel", "soft", "-m", "16", "-trace", f"rtc.index,file={self.log}", *args, serial=False):
                end = time.monotonic() + 30
                while not os.path.exists(self.log) or not re.search(form, self.logged(), re.M):
                    self.assertLess(time.monotonic(), end, self.logged())
                    time.sleep(0.05)
            self.assertNotIn("rtc.low", self.logged())

    # ---- Page tables ----

    def test_info_mem(self):
        long = ["0000000000000000-0000000002001000 0000000002001000 -rw", "0000000002001000-0000000002002000 0000000000001000 -r-"]
        expected = {
            PLAIN: ["PG disabled"],
            LEGACY: ["0000000000000000-0000000000050000 0000000000050000 urw",
                     "0000000000050000-0000000000051000 0000000000001000 ur-",
                     "0000000000051000-0000000000400000 00000000003af000 urw",
                     "00000000c0000000-00000000c0050000 0000000000050000 -rw",
                     "00000000c0050000-00000000c0051000 0000000000001000 -r-",
                     "00000000c0051000-00000000c0800000 00000000007af000 -rw"],
            PAE: ["0000000000000000-0000000002000000 0000000002000000 -rw",
                  "00000000c0000000-00000000c2000000 0000000002000000 -rw"],
            LONG: long + [f"ffff8880{a[8:17]}ffff8880{a[25:]}" for a in long],
        }
        for mode, lines in expected.items():
            m = self.guest(mode)
            self.assertEqual(m.lines("info mem"), lines)
            m.close()
        m = self.guest(LA57)
        self.assertEqual(len(m.lines("info mem")), 8)
        self.assertIn("ff11888002001000-ff11888002002000 0000000000001000 -r-", m.lines("info mem"))


if __name__ == "__main__":
    harness.main()
