"""The gdb stub against raw bytes: the protocol's small print, and clients that misbehave."""
import os
import random
import re
import shutil
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "boot"))
import harness
import wire

# 7c00: inc word [0x500]; inc ax; jmp 7c00
LOOP = bytes.fromhex("ff060005" "40" "ebf9")


class Stub(harness.Machine):
    """A stopped machine with a stub on a unix socket."""

    def __init__(self, *args, accel="soft"):
        self.socket_folder = tempfile.mkdtemp(prefix="ostler-gdb-")
        self.path = os.path.join(self.socket_folder, "gdb")
        super().__init__("-accel", accel, "-gdb", f"unix:{self.path}", "-S", *args)

    def close(self):
        super().close()
        shutil.rmtree(self.socket_folder, ignore_errors=True)

    def client(self):
        return wire.connect(self.path)

    def running(self):
        return self.qmp.command("query-status")["running"]


def numbers(client):
    """Register numbers by name."""
    return {m[0]: int(m[1]) for m in re.findall(r'<reg name="(\w+)"[^>]* regnum="(\d+)"', client.xml())}


def load_loop(client):
    """LOOP at 7c00 in real mode, and CPU 0 at its beginning."""
    n = numbers(client)
    client.write(0x7c00, LOOP)
    assert client.ask(f"P{n['cs']:x}=00000000") == "OK"
    assert client.ask(f"P{n['ds']:x}=00000000") == "OK"
    set_pc(client, n, 0x7c00)
    return n


def set_pc(client, n, at):
    assert client.ask(f"P{n['rip']:x}={at.to_bytes(8, 'little').hex()}") == "OK"


def get(client, number):
    return int.from_bytes(bytes.fromhex(client.ask(f"p{number:x}")), "little")


class Packets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = Stub("-smp", "2")

    @classmethod
    def tearDownClass(cls):
        cls.machine.close()

    def setUp(self):
        self.c = self.machine.client()

    def tearDown(self):
        self.c.close()

    def test_supported(self):
        c = self.c
        features = c.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386").split(";")
        size = int(features[0].split("=")[1], 16)
        self.assertGreaterEqual(size, 0x10000)
        for f in ("qXfer:features:read+", "vContSupported+", "QStartNoAckMode+", "multiprocess+", "swbreak+", "hwbreak+"):
            self.assertIn(f, features)
        self.assertEqual(c.ask("?"), "T05thread:p01.01;core:0;")
        self.assertEqual(c.ask("qC"), "QCp01.01")
        self.assertNotIn("multiprocess+", c.ask("qSupported:xmlRegisters=i386"))
        self.assertEqual(c.ask("qC"), "QC01")

    def test_unknown(self):
        for packet in ("vMustReplyEmpty", "vFile:setfs:0", "qOffsets", "qTStatus", "e", "", "vContinue", "qCRC:0,1", "g1"):
            self.assertEqual(self.c.ask(packet), "", packet)

    def test_acknowledgements(self):
        c = self.c
        c.raw(b"$?#00")
        c.take(b"-")
        c.raw(wire.frame("?"))
        c.take(b"+")
        reply = c.reply()
        c.raw(b"-")                                     # once more, please
        self.assertEqual(c.reply(), reply)
        c.no_ack()
        c.raw(b"$qAttached#00")                         # nobody looks at checksums now
        self.assertEqual(c.reply(), "1")
        c.raw(b"-")
        self.assertTrue(c.quiet())

    def test_noise_and_lost_ends(self):
        self.c.raw(b"noise\0\xff#12$m0,")               # the rest of this packet was lost on the line
        self.assertEqual(self.c.ask("qAttached"), "1")

    def test_too_long(self):
        c = self.c
        for length in (0x20000, 0x20001, 1 << 20):
            c.send("m" + "0" * (length - 1))
            self.assertRegex(c.reply(), "^E22$|^$")
        self.assertEqual(c.ask("qAttached"), "1")

    def test_malformed(self):
        for packet in ("m", "m0", "m,", "m0,", "mx,1", "m0,1x", "m11111111111111111,1", "M0,1", "M0,1:", "M0,2:11", "M0,1:1122",
                       "M0,ffffffffffff:00", "X0,5:abc", "p", "pzz", "pffffffffffffffff", "pfff", "P", "P0", "P0=", "P0=1",
                       "P0=112233445566778899", "G1", "Gzz", "H", "Hg", "Hx1", "Hgp2.1", "Hg3", "Hgp1.1x", "T", "T0", "T3", "Tp1.-1",
                       "Z", "Z0", "Z9,0,1", "Z0,0", "Z0,x,1", "Z0,0,1x", "z", "z0", "vCont;", "vCont;x", "vCont;c:9", "vCont;c:p2.1",
                       "vCont;r1", "vCont;r1,", "vCont;t", "vCont;C", "vCont;cc", "C", "cx", "sx", "Sx;1", "qXfer:features:read:target.xml:0",
                       "qXfer:features:read:target.xml:fffff,1", "qRcmd,1", "qRcmd,zz", "qThreadExtraInfo,9", "Qqemu.sstep=",
                       "Qqemu.sstep=8", "Qqemu.PhyMemMode:2", "vAttach;9", "qSearch:memory:0;10", "qSearch:memory:0;10;"):
            self.assertRegex(self.c.ask(packet), "^E[0-9a-f]{2}$", packet)
        self.assertFalse(self.machine.running())

    def test_garbage(self):
        r = random.Random(7)
        for _ in range(200):
            body = bytes(r.choice(b"?gGpPmMxXZzHTqQvcsCS0123456789abcdef,;:.=-") for _ in range(r.randrange(40)))
            self.c.raw(wire.frame(body) if r.random() < 0.7 else bytes(r.randrange(256) for _ in range(30)))
        self.c.close()
        self.c = self.machine.client()
        self.assertIn("T05", self.c.ask("?"))

    def test_threads(self):
        c = self.c
        self.assertEqual(c.ask("qfThreadInfo"), "m01,02")
        self.assertEqual(c.ask("qsThreadInfo"), "l")
        self.assertEqual(c.ask("T2"), "OK")
        self.assertRegex(bytes.fromhex(c.ask("qThreadExtraInfo,2")).decode(), r"^CPU#1 \[(halted|running)\]$")
        n = numbers(c)
        self.assertEqual(c.ask("Hg2"), "OK")
        self.assertEqual(c.ask(f"P{n['rax']:x}=0200000000000000"), "OK")
        self.assertEqual(c.ask("Hg1"), "OK")
        self.assertEqual(c.ask(f"P{n['rax']:x}=0100000000000000"), "OK")
        c.ask("Hg2")
        self.assertEqual(get(c, n["rax"]), 2)
        self.assertIn("CPU#1", c.monitor("info registers"))

    def test_memory(self):
        c = self.c
        data = bytes(range(256)) * 4
        c.write(0x8000, data)
        self.assertEqual(c.memory(0x8000, len(data)), data)
        self.assertEqual(c.ask(b"X9000,400:" + data), "OK")
        self.assertEqual(c.ask(f"x9000,{len(data):x}").encode("latin-1"), b"b" + data)
        self.assertEqual(c.ask("X9000,0:"), "OK")
        self.assertEqual(c.ask("mb0000000,4"), "E14")           # nothing there
        self.assertEqual(c.ask("Mb0000000,1:00"), "E14")
        self.assertEqual(len(c.memory(0x7fff000 - 0x1000 + 0x1000 - 8, 0x4000)), 0x1008)       # what is there before 128 MB end
        self.assertEqual(c.memory(0xfffffff0, 1), b"\xea")
        self.assertEqual(len(c.memory(0, 0x10000 - 1)), 0xffff)

    def test_search(self):
        c = self.c
        c.write(0x20ffe, b"need#le")
        self.assertEqual(c.ask(b"qSearch:memory:10000;20000;need#le"), "1,20ffe")
        self.assertEqual(c.ask(b"qSearch:memory:21000;100;need#le"), "0")
        self.assertEqual(c.ask(b"qSearch:memory:20ffe;6;need#le"), "0")
        self.assertEqual(c.ask(b"qSearch:memory:0;ffffffffffffffff;x"), "E22")

    def test_registers(self):
        c = self.c
        n = numbers(c)
        whole = c.ask("g")
        self.assertEqual(c.ask("G" + whole), "OK")
        self.assertEqual(c.ask("g"), whole)
        for name, number in n.items():
            value = c.ask(f"p{number:x}")
            self.assertEqual(c.ask(f"P{number:x}={value}"), "OK", name)
            self.assertEqual(c.ask(f"p{number:x}"), value, name)
        c.ask(f"P{n['rbx']:x}=8877665544332211")
        self.assertEqual(get(c, n["ebx"]), 0x55667788)
        c.ask(f"P{n['ebx']:x}=0df0ad0b")
        self.assertEqual(get(c, n["rbx"]), 0xbadf00d)
        # In a G packet the alias that did not change does not undo the one that did.
        at = c.ask("g").index("0df0ad0b00000000")
        whole = c.ask("g")
        c.ask("G" + whole[:at] + "1122334400000000" + whole[at + 16:])
        self.assertEqual(get(c, n["rbx"]), 0x44332211)
        self.assertEqual(get(c, n["ebx"]), 0x44332211)
        self.assertEqual(c.ask(f"P{n['cr0']:x}=00000080" + "00000000"), "E22")         # paging without protection
        self.assertEqual(c.ask(f"P{n['cr8']:x}=10" + "00" * 7), "E22")
        self.assertEqual(c.ask(f"P{n['mxcsr']:x}=ffffffff"), "E22")
        self.assertEqual(c.ask(f"P{n['gs_base']:x}=0000000000008000"), "E22")           # not canonical
        self.assertEqual(c.ask(f"P{n['st3']:x}=" + "0000000000000080ff3f"), "OK")
        self.assertIn("8000000000000000 3fff", c.monitor("info registers"))

    def test_run_for_a_while(self):
        c = self.c
        n = load_loop(c)
        c.ask("qSupported:swbreak+;hwbreak+")
        self.assertEqual(c.ask("Z0,7c04,1"), "OK")
        self.assertEqual(c.ask("Z0,7c04,1"), "OK")
        self.assertEqual(c.ask("vCont;c:1"), "T05thread:01;core:0;swbreak:;")
        self.assertEqual(get(c, n["rip"]), 0x7c04)
        self.assertEqual(c.memory(0x7c00, len(LOOP)), LOOP)
        self.assertEqual(c.ask("z0,7c04,1"), "OK")
        self.assertEqual(c.ask("z0,7c04,1"), "OK")
        self.assertEqual(c.ask("Z1,7c00,1"), "OK")
        self.assertEqual(c.ask("vCont;c:1"), "T05thread:01;core:0;hwbreak:;")
        self.assertEqual(c.ask("z1,7c00,1"), "OK")
        for kind, name in ((2, "watch"), (3, "rwatch"), (4, "awatch")):
            self.assertEqual(c.ask(f"Z{kind},500,2"), "OK")
            self.assertEqual(c.ask("c"), f"T05thread:01;core:0;{name}:500;")
            self.assertEqual(c.ask(f"z{kind},500,2"), "OK")
        set_pc(c, n, 0x7c00)
        self.assertEqual(c.ask("s"), "T05thread:01;core:0;")
        self.assertEqual(get(c, n["rip"]), 0x7c04)
        self.assertEqual(c.ask("vCont;r7c00,7c05:1"), "T05thread:01;core:0;")
        self.assertEqual(get(c, n["rip"]), 0x7c05)
        self.assertEqual(c.ask("s7c05"), "T05thread:01;core:0;")
        self.assertEqual(get(c, n["rip"]), 0x7c00)
        # A range that is never left goes on until it is interrupted.
        c.send("vCont;r7c00,7c07:1;c")
        self.assertTrue(c.quiet())
        c.raw(b"\x03")
        self.assertEqual(c.reply(), "T02thread:01;core:0;")

    def test_hold(self):
        """Both CPUs would count, and only the one that may does."""
        c = self.c
        n = load_loop(c)
        c.ask(f"P{n['rax']:x}=" + "00" * 8)
        c.write(0x500, b"\0\0")
        c.send("vCont;c:2")                                 # CPU 0 is held
        time.sleep(0.2)
        c.raw(b"\x03")
        c.reply()
        c.ask("Hg1")
        self.assertEqual(get(c, n["rip"]), 0x7c00)
        self.assertEqual(c.memory(0x500, 2), b"\0\0")
        c.send("vCont;c:1")
        time.sleep(0.2)
        c.raw(b"\x03")
        c.reply()
        c.ask("Hg1")
        self.assertNotEqual(c.memory(0x500, 2), b"\0\0")

    def test_interrupt_races(self):
        c = self.c
        load_loop(c)
        for i in range(60):
            c.raw(wire.frame("c") + b"\x03")
            self.assertEqual(c.reply()[:3], "T02", i)
        c.raw(b"\x03\x03")                                  # it stands still: nothing to say
        self.assertEqual(c.ask("qAttached"), "1")
        c.raw(wire.frame("c") + b"\x03\x03\x03")
        self.assertEqual(c.reply()[:3], "T02")
        self.assertEqual(c.ask("qAttached"), "1")
        c.send("c")
        c.send("qAttached")                                 # not now
        self.assertTrue(c.quiet())
        c.raw(b"\x03")
        self.assertEqual(c.reply()[:3], "T02")

    def test_monitor(self):
        c = self.c
        self.assertIn("VM status: paused", c.monitor("info status"))
        self.assertNotIn("\r", c.monitor("info registers"))
        self.assertIn("over its own connection", c.monitor("gdbserver none"))
        self.assertGreater(len(c.monitor("x /20000xb 0")), 100000)
        self.assertIn("unknown command", c.monitor("nonsense"))
        self.assertEqual(c.ask("qAttached"), "1")

    def test_qemu_queries(self):
        c = self.c
        self.assertEqual(c.ask("qqemu.sstepbits"), "ENABLE=1,NOIRQ=2,NOTIMER=4")
        self.assertEqual(c.ask("qqemu.sstep"), "0x7")
        self.assertEqual(c.ask("Qqemu.sstep=1"), "OK")
        self.assertEqual(c.ask("qqemu.sstep"), "0x1")
        self.assertEqual(c.ask("Qqemu.sstep=7"), "OK")
        self.assertEqual(c.ask("qqemu.PhyMemMode"), "0")
        self.assertEqual(c.ask("Qqemu.PhyMemMode:1"), "OK")
        self.assertEqual(c.ask("qqemu.PhyMemMode"), "1")


class Clients(unittest.TestCase):
    def test_second_client_waits(self):
        with Stub() as m:
            first = m.client()
            self.assertIn("T05", first.ask("?"))
            second = m.client()
            second.send("qAttached")
            self.assertTrue(second.quiet())
            self.assertEqual(first.ask("qAttached"), "1")
            first.close()
            self.assertEqual(second.reply(), "1")
            second.close()

    def test_vanishes(self):
        """In the middle of anything: its points go, the machine stays as it is, the next one is served."""
        with Stub() as m:
            c = m.client()
            load_loop(c)
            c.ask("Z0,7c04,1")
            c.raw(b"$m0,")
            c.close()
            self.assertFalse(m.running())
            c = m.client()
            self.assertIn("T05", c.ask("?"))
            c.send("c")
            self.assertTrue(c.quiet())                      # no breakpoint any more
            c.close()
            time.sleep(0.2)
            self.assertTrue(m.running())
            c = m.client()
            self.assertIn("T05", c.ask("?"))
            self.assertFalse(m.running())
            c.ask("Z2,500,2")
            self.assertIn("watch", c.ask("c"))
            c.send("vCont;s:1")
            c.close()
            m.hmp("cont")
            time.sleep(0.3)
            self.assertTrue(m.running())                    # neither watched nor stepped
            for _ in range(30):
                c = m.client()
                c.raw(b"$" + os.urandom(random.randrange(50)))
                c.close()
            with m.client() as c:
                self.assertIn("T05", c.ask("?"))

    def test_does_not_read(self):
        """Replies that nobody takes do not pile up."""
        with Stub() as m:
            c = m.client()
            c.sock.setblocking(False)
            packet = wire.frame("m0,8000") * 16
            end = time.monotonic() + 3
            while time.monotonic() < end:
                try:
                    c.sock.send(packet)
                except BlockingIOError:
                    time.sleep(0.05)
            m.qmp.command("query-status")                   # others are served
            with open(f"/proc/{m.process.pid}/status", encoding="ascii") as f:
                resident = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
            self.assertLess(resident, 400000)
            c.close()
            with m.client() as c:
                self.assertEqual(c.ask("qAttached"), "1")

    def test_others_drive_the_machine(self):
        with Stub() as m:
            c = m.client()
            load_loop(c)
            c.send("c")
            time.sleep(0.1)
            m.hmp("stop")
            self.assertEqual(c.reply(), "T02thread:01;core:0;")
            m.hmp("cont")
            self.assertTrue(m.running())
            self.assertEqual(c.ask("qAttached"), "1")        # the client thinks that it stands: so it does
            self.assertFalse(m.running())
            c.send("c")
            m.hmp("system_reset")
            self.assertTrue(c.quiet())
            m.qmp.command("quit")
            self.assertEqual(c.reply(), "W00")
            c.close()
            self.assertEqual(m.process.wait(20), 0)

    def test_shutdown_stops(self):
        """The end of a machine that -no-shutdown keeps, and one that cannot go on."""
        with Stub("-no-shutdown", "-no-reboot") as m, m.client() as c:
            n = numbers(c)
            c.write(0x7c00, bytes.fromhex("fa b0fe e664 f4 ebfd"))         # cli; out 0x64, 0xfe: reset
            c.ask(f"P{n['cs']:x}=00000000")
            set_pc(c, n, 0x7c00)
            self.assertEqual(c.ask("c")[:3], "T03")
            c.send("c")
            said = c.reply()
            self.assertEqual(bytes.fromhex(said[1:]).decode(), "Resetting the Virtual Machine is required\n")
            self.assertEqual(c.reply()[:3], "T03")

    def test_kill(self):
        for packet in ("k", "vKill;1"):
            with Stub("-no-shutdown") as m:
                with m.client() as c:
                    c.send(packet)
                    self.assertEqual(m.process.wait(20), 0)
                self.assertIn("Terminated via GDBstub", m.process.stderr.read())

    def test_detach(self):
        with Stub() as m:
            with m.client() as c:
                load_loop(c)
                c.ask("Z0,7c04,1")
                self.assertEqual(c.ask("D"), "OK")
            time.sleep(0.2)
            self.assertTrue(m.running())

    def test_reset(self):
        with Stub() as m, m.client() as c:
            n = load_loop(c)
            self.assertEqual(c.ask("R00"), "")
            self.assertEqual(c.ask("!"), "OK")
            c.send("R00")
            self.assertIn("T05", c.ask("?"))
            self.assertEqual(get(c, n["rip"]), 0xfff0)

    def test_gdbserver_command(self):
        with harness.Machine("-accel", "soft", "-S") as m:
            path = os.path.join(m.folder, "a")
            self.assertIn("Waiting for gdb connection on device", m.hmp(f"gdbserver unix:{path}"))
            other = os.path.join(m.folder, "b")
            with wire.connect(path) as a:
                self.assertIn("T05", a.ask("?"))
                self.assertIn("Waiting", m.hmp(f"gdbserver unix:{other}"))
                with self.assertRaises((EOFError, ConnectionError)):
                    a.ask("?")
            with wire.connect(other) as b:
                self.assertIn("T05", b.ask("?"))
                self.assertIn("Disabled gdbserver", m.hmp("gdbserver none"))
            self.assertIn("Could not open gdbserver on device 'nonsense'", m.hmp("gdbserver nonsense"))
            self.assertFalse(os.path.exists(other))

    def test_tcp_and_errors(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        with harness.Machine("-accel", "soft", "-S", "-gdb", f"tcp:127.0.0.1:{port}"):
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                s.sendall(wire.frame("qAttached"))
                self.assertEqual(s.recv(1), b"+")
            m = harness.Machine("-accel", "soft", "-gdb", f"tcp:127.0.0.1:{port}", qmp=False)
            self.assertEqual(m.process.wait(20), 1)
            self.assertIn("-gdb", m.process.stderr.read())
            m.close()

    def test_plain_i386(self):
        with Stub("-cpu", "qemu32") as m, m.client() as c:
            xml = c.xml()
            self.assertIn("<architecture>i386</architecture>", xml)
            self.assertNotIn("rax", xml)
            self.assertNotIn("xmm8", xml)
            self.assertEqual(len(c.ask("g")) // 2,
                             sum(int(b) for b in re.findall(r'bitsize="(\d+)"', xml)) // 8)


if __name__ == "__main__":
    harness.main()
