"""Drive an Ostler machine from Python: start it, speak QMP, type, read the screen, keep the serial log.

Needs nothing but Python's standard library.  Every wait has a limit; a test that runs into it shows the screen and the
end of the serial log, so that a failure explains itself.
"""
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

OSTLER = os.environ.get("OSTLER", "ostler")

# What each printable character needs on a US keyboard, as QKeyCode names.
_PLAIN = {"\n": "ret", " ": "spc", "-": "minus", "=": "equal", "[": "bracket_left", "]": "bracket_right",
          ";": "semicolon", "'": "apostrophe", "`": "grave_accent", "\\": "backslash", ",": "comma", ".": "dot",
          "/": "slash", "\t": "tab"}
_SHIFT = {"!": "1", "@": "2", "#": "3", "$": "4", "%": "5", "^": "6", "&": "7", "*": "8", "(": "9", ")": "0",
          "_": "minus", "+": "equal", "{": "bracket_left", "}": "bracket_right", ":": "semicolon",
          '"': "apostrophe", "~": "grave_accent", "|": "backslash", "<": "comma", ">": "dot", "?": "slash"}


class QmpError(Exception):
    """The monitor answered with an error; .kind is its class, str() its text."""

    def __init__(self, error):
        super().__init__(error["desc"])
        self.kind = error["class"]


class Qmp:
    """A QMP connection: commands in order, events kept in a list."""

    def __init__(self, sock, limit=60):
        self.sock = sock
        self.sock.settimeout(limit)
        self.file = sock.makefile("rb")
        self.events = []
        self.greeting = self.read()
        self.command("qmp_capabilities")

    def read(self):
        line = self.file.readline()
        if not line:
            raise EOFError("the monitor closed the connection")
        return json.loads(line)

    def command(self, name, **arguments):
        message = {"execute": name}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.sock.sendall(json.dumps(message).encode() + b"\n")
        while True:
            answer = self.read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(answer["error"])
            else:
                return answer["return"]

    def wait_event(self, name, limit=60):
        """The first event of that name, taken out of the list."""
        end = time.monotonic() + limit
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no event {name} within {limit} s")
            self.sock.settimeout(left)
            try:
                self.events.append(self.read())
            finally:
                self.sock.settimeout(60)


class Machine:
    """A running Ostler with a QMP socket; use as a context manager."""

    def __init__(self, *args, serial=True, qmp=True):
        self.folder = tempfile.mkdtemp(prefix="ostler-test-")
        self.serial_path = os.path.join(self.folder, "serial.log")
        self.command = [OSTLER, "-display", "none", "-nic", "none"]
        if qmp:
            self.command += ["-qmp", f"unix:{self.folder}/qmp,server=on,wait=off"]
        if serial:
            self.command += ["-serial", f"file:{self.serial_path}"]
        self.command += [str(a) for a in args]
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.qmp = None
        if qmp:
            try:
                self.qmp = self.connect()
            except BaseException:
                self.close()
                raise

    def connect(self, limit=30):
        end = time.monotonic() + limit
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(f"{self.folder}/qmp")
                return Qmp(sock)
            except OSError:
                sock.close()
                if self.process.poll() is not None:
                    raise RuntimeError(f"{' '.join(self.command)}\nended with {self.process.returncode}: "
                                       f"{self.process.stderr.read()}") from None
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        if self.qmp:
            self.qmp.file.close()
            self.qmp.sock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- QMP ----

    def hmp(self, line):
        return self.qmp.command("human-monitor-command", command_line=line)

    def keys(self, *names):
        """Press these keys together ("ctrl", "alt", "delete")."""
        self.qmp.command("send-key", keys=[{"type": "qcode", "data": n} for n in names])

    def type(self, text, pause=0.25):
        for ch in text:
            if ch in _SHIFT:
                self.keys("shift", _SHIFT[ch])
            elif ch.isupper():
                self.keys("shift", ch.lower())
            else:
                self.keys(_PLAIN.get(ch, ch))
            time.sleep(pause)           # a slow guest reads one key at a time

    def quit(self):
        """Ends the machine by QMP; returns the exit code."""
        self.qmp.command("quit")
        return self.process.wait(30)

    # ---- What the guest shows ----

    def memory(self, at, size):
        path = os.path.join(self.folder, "memory")
        self.qmp.command("pmemsave", val=at, size=size, filename=path)
        with open(path, "rb") as f:
            return f.read()

    def screen(self, columns=80):
        """The text screen, line by line, from video memory."""
        data = self.memory(0xb8000, columns * 2 * 25)
        text = data[::2].decode("cp437").replace("\0", " ")
        return "\n".join(text[i:i + columns].rstrip() for i in range(0, len(text), columns))

    def text_memory(self, columns=80):
        """All that lies in text video memory, for guests that scroll by moving the start of the screen."""
        text = self.memory(0xb8000, 0x8000)[::2].decode("cp437").replace("\0", " ")
        return "\n".join(text[i:i + columns].rstrip() for i in range(0, len(text), columns))

    def serial(self):
        try:
            with open(self.serial_path, encoding="latin-1") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def picture(self, name=None):
        """(width, height, rows of RGB bytes) of a PNG screendump; kept as OSTLER_PICTURES/name.png where that is set."""
        path = os.path.join(self.folder, "screen.png")
        self.qmp.command("screendump", filename=path, format="png")
        keep = os.environ.get("OSTLER_PICTURES")
        if keep and name:
            os.makedirs(keep, exist_ok=True)
            shutil.copy(path, os.path.join(keep, name + ".png"))
        with open(path, "rb") as f:
            return read_png(f.read())

    def shades(self):
        """(width, height, set of RGB colours) of the screen: quicker to get than picture()."""
        path = os.path.join(self.folder, "screen.ppm")
        self.qmp.command("screendump", filename=path)
        with open(path, "rb") as f:
            kind, width, height, _, pixels = re.match(rb"(P6)\s+(\d+)\s+(\d+)\s+(\d+)\s(.*)", f.read(), re.S).groups()
        return int(width), int(height), set(zip(pixels[::3], pixels[1::3], pixels[2::3]))

    def wait_for(self, pattern, limit, where=None, typed=None):
        """Wait until the screen (or where=machine.serial) shows the regular expression; returns the match.

        typed: keys to send again and again until it does (a prompt that waits with a time-out)."""
        where = where or self.screen
        end = time.monotonic() + limit
        while True:
            text = where()
            match = re.search(pattern, text, re.M)
            if match:
                return match
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {pattern!r}: "
                                     f"{self.process.stderr.read()}\nserial:\n{self.serial()[-2000:]}")
            if time.monotonic() > end:
                raise AssertionError(f"no {pattern!r} within {limit} s\nscreen:\n{self.screen()}\nserial:\n"
                                     f"{self.serial()[-2000:]}\nstatus: {self.hmp('info status')}\n"
                                     f"{self.hmp('info registers')}")
            if typed:
                self.keys(typed)
            time.sleep(0.5)


def read_png(data):
    """Width, height and rows of RGB bytes of an 8-bit RGB(A) PNG without interlacing."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG file"
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body), "bad CRC"
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    raw, bpp, rows = zlib.decompress(packed), 3 if colour == 2 else 4, []
    stride = width * bpp
    before = bytearray(stride)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for x in range(stride):
            left = line[x - bpp] if x >= bpp else 0
            up, corner = before[x], before[x - bpp] if x >= bpp else 0
            if kind == 1:
                line[x] = line[x] + left & 255
            elif kind == 2:
                line[x] = line[x] + up & 255
            elif kind == 3:
                line[x] = line[x] + (left + up) // 2 & 255
            elif kind == 4:
                p = left + up - corner
                nearest = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
                line[x] = line[x] + nearest & 255
        before = line
        rows.append(bytes(line) if bpp == 3 else b"".join(bytes(line[i:i + 3]) for i in range(0, stride, 4)))
    return width, height, rows


def need_kvm():
    """Skip, saying why, where KVM cannot be used."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise unittest.SkipTest("no usable /dev/kvm")


def need_file(*paths):
    """The first of these files that exists; skip, naming them, where none does."""
    for path in paths:
        if os.path.exists(path):
            return path
    raise unittest.SkipTest("missing: " + ", ".join(paths))


def need_tool(name):
    path = shutil.which(name)
    if not path:
        raise unittest.SkipTest(f"missing: {name}")
    return path


def kvm_emulates():
    """Whether /dev/kvm has no hardware behind it (see docs/testing.md): limits become generous there."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            flags = f.read().split()
        return not {"vmx", "svm"} & set(flags)
    except OSError:
        return False


def main():
    """unittest's main with TAP-like lines that tests/summary.py counts."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print(f"counted: {result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    for test, why in result.skipped:
        print(f"skipped: {test.id()}: {why}")
    sys.exit(1 if failed else 77 if result.testsRun == skipped else 0)
