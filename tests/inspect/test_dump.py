"""dump-guest-memory: what readers of the two formats find is what the guest has."""
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import zlib

import harness
from guest import HOSTILE, LA57, LEGACY, LONG, MANY, NEEDLES, PAE, PLAIN, Guest
from harness import QmpError

PAGE = 4096


class Elf:
    """An ELF core, read as the System V gABI says."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = data = f.read()
        assert data[:4] == b"\x7fELF" and data[5:7] == b"\1\1"
        self.wide = data[4] == 2
        form = "<HHIQQQIHHHHHH" if self.wide else "<HHIIIIIHHHHHH"
        (kind, self.machine, version, _, phoff, shoff, _, ehsize, phentsize, phnum, shentsize, shnum,
         _) = struct.unpack_from(form, data, 16)
        assert (kind, version, ehsize, phentsize) == ((4, 1, 64, 56) if self.wide else (4, 1, 52, 32))
        if phnum == 0xffff:             # PN_XNUM: counted by section 0
            assert shnum == 1 and shentsize == (64 if self.wide else 40)
            phnum = struct.unpack_from("<I", data, shoff + (44 if self.wide else 28))[0]
        self.loads, self.notes = [], []
        for i in range(phnum):
            at = phoff + i * phentsize
            if self.wide:
                kind, _, offset, virtual, physical, size, memory, _ = struct.unpack_from("<IIQQQQQQ", data, at)
            else:
                kind, offset, virtual, physical, size, memory, _, _ = struct.unpack_from("<8I", data, at)
            assert size == memory and offset + size <= len(data)
            if kind == 4:
                self.notes = read_notes(data[offset:offset + size])
            else:
                assert kind == 1
                self.loads.append((virtual, physical, size, offset))

    def maps(self):
        return [load[:3] for load in self.loads]


def read_notes(data):
    notes, at = [], 0
    while at < len(data):
        names, size, kind = struct.unpack_from("<III", data, at)
        name = data[at + 12:at + 12 + names].rstrip(b"\0").decode()
        at += 12 + (names + 3 & ~3)
        notes.append((name, kind, data[at:at + size]))
        at += size + 3 & ~3
    return notes


def unflatten(data):
    """The file that a flattened one describes (makedumpfile's IMPLEMENTATION)."""
    assert data[:16] == b"makedumpfile\0\0\0\0" and struct.unpack_from(">qq", data, 16) == (1, 1)
    out, at = bytearray(), 4096
    while True:
        offset, size = struct.unpack_from(">qq", data, at)
        at += 16
        if offset == -1:
            assert size == -1 and at == len(data)
            return bytes(out)
        if len(out) < offset + size:
            out += bytes(offset + size - len(out))
        out[offset:offset + size] = data[at:at + size]
        at += size


class Kdump:
    """A kdump-compressed file, header version 6, as crash's diskdump.h describes it."""

    def __init__(self, data):
        wide = data[0x110:0x116] == b"x86_64"
        assert data[:12] == b"KDUMP   \6\0\0\0" and (wide or data[0x110:0x114] == b"i686")
        at = 424 if wide else 412
        (status, size, sub, bitmaps, last, _, _, _, _, self.cpus) = struct.unpack_from("<10I", data, at)
        assert (status, size) == (1, PAGE)
        form = "<QIIQQQQQQQQQQQ" if wide else "<IIIIIQIQIQIQQQ"
        fields = struct.unpack_from(form, data, PAGE)
        assert fields[1] == 1 and fields[13] == last
        self.notes = read_notes(data[fields[7]:fields[7] + fields[8]])
        start = (1 + sub) * PAGE
        half = bitmaps // 2 * PAGE
        known, dumped = data[start:start + half], data[start + half:start + 2 * half]
        assert known == dumped
        self.pages = {}
        self.offsets = set()
        at = start + 2 * half
        for number in range(last):
            if dumped[number // 8] >> number % 8 & 1:
                offset, size, flags, _ = struct.unpack_from("<qIIQ", data, at)
                at += 24
                page = data[offset:offset + size]
                self.pages[number] = zlib.decompress(page) if flags else page
                self.offsets.add(offset)
                assert len(self.pages[number]) == PAGE


class Dump(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ostler-dump-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = f"{self.folder}/dump"

    def guest(self, mode, *args):
        m = Guest(self, mode, *args)
        self.addCleanup(m.close)
        return m

    def dump(self, m, **arguments):
        m.qmp.command("dump-guest-memory", **{"paging": False, "protocol": "file:" + self.path, **arguments})

    def refused(self, m, text, **arguments):
        with self.assertRaises(QmpError) as caught:
            self.dump(m, **arguments)
        self.assertIn(text, str(caught.exception))

    def check_memory(self, m, elf):
        for virtual, physical, size, offset in elf.loads:
            self.assertEqual(elf.data[offset:offset + size], m.memory(physical, size), f"at {virtual:#x}")

    def check_notes(self, m, notes, wide, cpus):
        self.assertEqual([n[:2] for n in notes], [("CORE", 1)] * cpus + [("QEMU", 0)] * cpus)
        for i in range(cpus):
            m.hmp(f"cpu {i}")
            value = {name: int(m.qmp.command("human-monitor-command", command_line=f"p/x ${name}", cpu_index=i), 16)
                     for name in ("eip", "esp", "eflags", "eax", "cs", "gs.base", "cr0", "cr3", "cr4", "tr", "gdt")}
            status, own = notes[i][2], notes[cpus + i][2]
            self.assertEqual(len(status), 336 if wide else 144)
            if wide:
                got = struct.unpack_from("<27Q", status, 112)
                self.assertEqual([got[10], got[16], got[17], got[18], got[19], got[22]],
                                 [value[k] for k in ("eax", "eip", "cs", "eflags", "esp", "gs.base")])
            else:
                got = struct.unpack_from("<17I", status, 72)
                self.assertEqual([got[6], got[12], got[13], got[14], got[15]],
                                 [value[k] for k in ("eax", "eip", "cs", "eflags", "esp")])
            self.assertEqual(struct.unpack_from("<I", status, 32 if wide else 24)[0], i + 1)
            self.assertEqual(struct.unpack_from("<IIQ", own), (1, 440, value["eax"]))
            self.assertEqual(struct.unpack_from("<Q", own, 8 + 16 * 8)[0], value["eip"])
            self.assertEqual(struct.unpack_from("<5Q", own, 392)[::3], (value["cr0"], value["cr3"]))
            self.assertEqual(struct.unpack_from("<I", own, 152 + 7 * 24)[0], value["tr"])
            self.assertEqual(struct.unpack_from("<Q", own, 152 + 8 * 24 + 16)[0], value["gdt"])

    def test_elf(self):
        ram = [(0, 0, 0xa0000), (0xf0000, 0xf0000, 0x1f10000), (0xffff0000, 0xffff0000, 0x10000)]
        for mode, wide in ((PLAIN, False), (LEGACY, False), (LONG, True)):
            m = self.guest(mode, "-smp", "2")
            self.dump(m)
            self.assertEqual(m.qmp.command("query-status")["status"], "running")
            m.qmp.command("stop")
            self.dump(m)
            self.assertEqual(m.qmp.command("query-status")["status"], "paused")
            elf = Elf(self.path)
            self.assertEqual((elf.wide, elf.machine, elf.maps()), (wide, 62 if wide else 3, ram))
            self.check_memory(m, elf)
            self.check_notes(m, elf.notes, wide, 2)
            self.dump(m, begin=0x9f000, length=0x60000)
            elf = Elf(self.path)
            self.assertEqual(elf.maps(), [(0x9f000, 0x9f000, 0x1000), (0xf0000, 0xf0000, 0xf000)])
            self.check_memory(m, elf)

    def test_paging(self):
        low, high = 0xa0000, 0xf0000

        def twice(at, size=0x2000000):
            return [(at, 0, low), (at + high, high, size - high)]

        apart = [(0x2000000, 0x50000, 0x1000), (0x2001000, 0x52000, 0x1000)]
        long = twice(0) + apart + twice(0xffff888000000000) + [(0xffff888000000000 + a, p, n) for a, p, n in apart]
        five = [(base + a, p, n) for base in (0, 0x888000000000, 0xff11 << 48, 0xff11888 << 36)
                for a, p, n in twice(0) + apart]
        expected = {PLAIN: [(0, 0, low), (high, high, 0x1f10000), (0xffff0000, 0xffff0000, 0x10000)],
                    LEGACY: twice(0, 0x400000) + twice(0xc0000000, 0x400000) + twice(0xc0400000, 0x400000),
                    PAE: twice(0) + twice(0xc0000000), LONG: long, LA57: five}
        for mode, maps in expected.items():
            m = self.guest(mode)
            m.qmp.command("stop")
            self.dump(m, paging=True)
            elf = Elf(self.path)
            self.assertEqual(elf.maps(), maps)
            self.check_memory(m, elf)

    def test_hostile_tables(self):
        """Tables that never end are refused, and the guest goes on."""
        m = self.guest(HOSTILE)
        self.refused(m, "page tables describe more than", paging=True)
        self.assertEqual(m.qmp.command("query-status")["status"], "running")
        self.dump(m)

    def test_many_program_headers(self):
        """More than e_phnum can count."""
        m = self.guest(MANY)
        m.qmp.command("stop")
        self.dump(m, paging=True)
        elf = Elf(self.path)
        self.assertEqual(len(elf.loads), 8 + 2 * 140 * 512)
        self.assertEqual([load[:3] for load in elf.loads[4:6]], [(0x40000000, 0x1001000, PAGE), (0x40001000, 0x1000000, PAGE)])
        ram = m.memory(0, 32 << 20)
        for _, physical, size, offset in elf.loads:
            if elf.data[offset:offset + size] != ram[physical:physical + size]:
                self.fail(f"at {physical:#x}")

    def test_kdump(self):
        for mode, wide in ((PLAIN, False), (LONG, True)):
            m = self.guest(mode)
            m.qmp.command("stop")
            self.dump(m, format="kdump-zlib")
            with open(self.path, "rb") as f:
                flat = f.read()
            dump = Kdump(unflatten(flat))
            self.assertEqual(dump.cpus, 1)
            self.assertEqual(sorted(dump.pages), [*range(0xa0), *range(0xf0, 0x2000), *range(0xffff0, 0x100000)])
            ram = m.memory(0, 32 << 20)
            for number, page in dump.pages.items():
                if number < 0x2000:
                    self.assertEqual(page, ram[number * PAGE:][:PAGE], f"page {number:#x}")
            self.assertEqual(b"".join(dump.pages[n] for n in range(0xffff0, 0x100000)), m.memory(0xffff0000, 0x10000))
            self.assertLess(len(dump.offsets), 100)         # pages of zeros share one
            self.check_notes(m, dump.notes, wide, 1)
            if shutil.which("makedumpfile"):
                with open(self.path, "rb") as f:
                    subprocess.run(["makedumpfile", "-f", "-R", self.path + "2"], stdin=f, check=True, stdout=subprocess.DEVNULL)
                with open(self.path + "2", "rb") as f:
                    self.assertEqual(f.read(), unflatten(flat))
            m.close()

    def test_gdb(self):
        gdb = harness.need_tool("gdb")
        for mode, paging in ((PLAIN, False), (LONG, True)):
            m = self.guest(mode)
            m.qmp.command("stop")
            self.dump(m, paging=paging)
            base = 0xffff888000000000 if paging else 0
            said = subprocess.run([gdb, "-nx", "-batch", "-ex", "p/x $pc", "-ex", f"x/s {base + NEEDLES:#x}", "-c",
                                   self.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True,
                                  env={**os.environ, "LC_ALL": "C"}).stdout
            self.assertIn("needle in a haystack", said)
            self.assertIn(f"$1 = {m.lines('p/x $eip')[0]}", said)

    def test_detached(self):
        m = self.guest(LONG)
        self.dump(m, detach=True)
        self.assertEqual(m.qmp.wait_event("DUMP_COMPLETED")["data"]["result"]["status"], "completed")
        m.qmp.wait_event("RESUME")
        whole = m.qmp.command("query-dump")
        self.assertEqual(whole, {"status": "completed", "completed": 0x1fc0000, "total": 0x1fc0000})
        ours, theirs = socket.socketpair()
        socket.send_fds(m.qmp.sock, [b'{"execute":"getfd","arguments":{"fdname":"out"}}'], [theirs.fileno()])
        self.assertEqual(m.qmp.read(), {"return": {}})
        theirs.close()
        self.dump(m, protocol="fd:out", format="kdump-zlib", detach=True)
        time.sleep(0.1)
        self.assertEqual(m.lines("info dump")[0], "Status: active")
        self.assertEqual(m.qmp.command("query-status")["status"], "save-vm")
        for name in ("cont", "stop"):
            with self.assertRaisesRegex(QmpError, "There is a dump in process"):
                m.qmp.command(name)
        self.refused(m, "There is a dump in process")
        m.qmp.command("system_reset")               # waits for the end of the dump
        with ours.makefile("rb") as f:
            self.assertEqual(len(Kdump(unflatten(f.read())).pages), 0x1fc0)
        ours.close()
        m.qmp.wait_event("RESET")

    def test_failures(self):
        m = self.guest(PLAIN)
        self.refused(m, "No space left on device", protocol="file:/dev/full")
        self.assertEqual(m.qmp.wait_event("DUMP_COMPLETED")["data"]["result"]["status"], "failed")
        self.assertEqual(m.qmp.command("query-dump")["status"], "failed")
        self.refused(m, "Could not open", protocol=f"file:{self.folder}/no/such")
        self.refused(m, "'x' has not been found", protocol="fd:x")
        self.refused(m, "expects file:PATH or fd:NAME", protocol="exec:cat")
        self.refused(m, "'length' is missing", begin=0)
        self.refused(m, "'begin' is missing", length=1)
        self.refused(m, "no guest memory", begin=1 << 40, length=1 << 40)
        self.refused(m, "a physical address", begin=-1, length=1)
        self.refused(m, "above 0", begin=0, length=0)
        self.refused(m, "doesn't support paging or filter", paging=True, format="kdump-zlib")
        self.refused(m, "kdump-lzo is not available now", format="kdump-lzo")
        self.refused(m, "win-dmp is not available now", format="win-dmp")
        self.refused(m, "does not accept value 'tar'", format="tar")
        for flags, text in (("-z -l", "only one of"), ("-z -p", "support paging"), ("-s", "not available")):
            self.assertIn(text, m.hmp(f"dump-guest-memory {flags} {self.path}"))
        read, write = os.pipe()
        socket.send_fds(m.qmp.sock, [b'{"execute":"getfd","arguments":{"fdname":"gone"}}'], [write])
        while "return" not in (answer := m.qmp.read()):
            self.assertIn("event", answer)
        os.close(write)
        os.close(read)
        self.refused(m, "Broken pipe", protocol="fd:gone")
        self.assertEqual(m.qmp.command("query-status")["status"], "running")

    def test_end_while_nobody_reads(self):
        m = self.guest(PLAIN)
        read, write = os.pipe()
        socket.send_fds(m.qmp.sock, [b'{"execute":"getfd","arguments":{"fdname":"slow"}}'], [write])
        self.assertEqual(m.qmp.read(), {"return": {}})
        os.close(write)
        self.dump(m, protocol="fd:slow", detach=True)
        self.assertEqual(m.quit(), 0)
        os.close(read)


if __name__ == "__main__":
    harness.main()
