"""Drive the devices of an Ostler machine over the qtest wire: ports, memory, clock and interrupt lines.

As existing test programs do, the test is the server of both sockets (the wire and the monitor), and the emulator connects
to them, the wire first.  The CPUs do not run; time moves only by clock_step and clock_set.
"""
import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "boot"))
from harness import OSTLER, Qmp, QmpError, main  # noqa: E402  (tests take them from here)

__all__ = ["Qtest", "WireError", "Pci", "QmpError", "main"]

LIMIT = 30                              # seconds that anything may take


class WireError(Exception):
    """The wire refused a request; str() is its whole answer."""


class Qtest:
    """A machine under the qtest accelerator; use as a context manager."""

    def __init__(self, *args, accel=("-accel", "qtest"), log=None):
        self.folder = tempfile.mkdtemp(prefix="ostler-qtest-")
        self.irqs = {}                  # line -> level, as far as told
        self.irq_lines = []             # "raise 4", in order
        self._file = self.qmp = self._sock = None
        servers = [self._listen("wire"), self._listen("qmp")]
        self.command = [OSTLER, "-qtest", f"unix:{self.folder}/wire", "-qtest-log", log or "/dev/null",
                        "-chardev", f"socket,path={self.folder}/qmp,id=char0", "-mon", "chardev=char0,mode=control",
                        "-display", "none", *[str(a) for a in args], *accel]
        self.process = None
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self._sock = self._accept(servers[0])
            self._file = self._sock.makefile("rb")
            self.qmp = Qmp(self._accept(servers[1]), LIMIT)
        except BaseException:
            self.close()
            raise
        finally:
            for server in servers:
                server.close()

    def _listen(self, name):
        server = socket.socket(socket.AF_UNIX)
        server.bind(f"{self.folder}/{name}")
        server.listen(1)
        server.settimeout(0.1)
        return server

    def _accept(self, server):
        for _ in range(LIMIT * 10):
            try:
                sock = server.accept()[0]
                sock.settimeout(LIMIT)
                return sock
            except socket.timeout:
                if self.process.poll() is not None:
                    break
        raise RuntimeError(f"{' '.join(self.command)}\nended with {self.process.poll()} and did not connect: "
                           f"{self.process.stderr.read() if self.process.poll() is not None else ''}")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        if self.process:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stderr.close()
        for thing in (self._file, self._sock, self.qmp and self.qmp.file, self.qmp and self.qmp.sock):
            if thing:
                thing.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def terminate(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    # ---- The wire ----

    def send(self, data):
        """Bytes as they are."""
        self._sock.sendall(data)

    def answer(self):
        """The next line that tells of no interrupt, whole, without its newline; "IRQ" lines go to .irqs."""
        while True:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                raise EOFError("the wire was closed")
            line = line[:-1].decode()
            if not line.startswith("IRQ "):
                return line
            _, verb, number = line.split(" ")
            self.irqs[int(number)] = verb == "raise"
            self.irq_lines.append(f"{verb} {number}")

    def ask(self, request):
        """One request; what stands after the OK."""
        self.send(request.encode() + b"\n")
        answer = self.answer()
        if answer != "OK" and not answer.startswith("OK "):
            raise WireError(answer)
        return answer[3:]

    def _number(self, request):
        return int(self.ask(request), 0)

    def inb(self, port):
        return self._number(f"inb {port:#x}")

    def inw(self, port):
        return self._number(f"inw {port:#x}")

    def inl(self, port):
        return self._number(f"inl {port:#x}")

    def outb(self, port, value):
        self.ask(f"outb {port:#x} {value:#x}")

    def outw(self, port, value):
        self.ask(f"outw {port:#x} {value:#x}")

    def outl(self, port, value):
        self.ask(f"outl {port:#x} {value:#x}")

    def readb(self, at):
        return self._number(f"readb {at:#x}")

    def readw(self, at):
        return self._number(f"readw {at:#x}")

    def readl(self, at):
        return self._number(f"readl {at:#x}")

    def readq(self, at):
        return self._number(f"readq {at:#x}")

    def writeb(self, at, value):
        self.ask(f"writeb {at:#x} {value:#x}")

    def writew(self, at, value):
        self.ask(f"writew {at:#x} {value:#x}")

    def writel(self, at, value):
        self.ask(f"writel {at:#x} {value:#x}")

    def writeq(self, at, value):
        self.ask(f"writeq {at:#x} {value:#x}")

    def read(self, at, size):
        return bytes.fromhex(self.ask(f"read {at:#x} {size:#x}")[2:])

    def write(self, at, data):
        self.ask(f"write {at:#x} {len(data):#x} 0x{data.hex()}")

    def b64read(self, at, size):
        return base64.b64decode(self.ask(f"b64read {at:#x} {size:#x}"), validate=True)

    def b64write(self, at, data):
        self.ask(f"b64write {at:#x} {len(data):#x} {base64.b64encode(data).decode()}")

    def memset(self, at, value, size):
        self.ask(f"memset {at:#x} {size:#x} {value:#x}")

    def clock_step(self, ns=None):
        """The new time in ns; without an argument, to the next deadline."""
        return int(self.ask("clock_step" if ns is None else f"clock_step {ns}"))

    def clock_set(self, ns):
        return int(self.ask(f"clock_set {ns}"))

    def intercept_in(self, path):
        self.ask(f"irq_intercept_in {path}")


class Pci:
    """One function's configuration space, through ports CF8 and CFC."""

    def __init__(self, q, slot, function=0):
        self.q = q
        self.base = 1 << 31 | slot << 11 | function << 8

    def _select(self, at):
        self.q.outl(0xcf8, self.base | at & ~3)
        return 0xcfc + (at & 3)

    def readb(self, at):
        return self.q.inb(self._select(at))

    def readw(self, at):
        return self.q.inw(self._select(at))

    def readl(self, at):
        return self.q.inl(self._select(at))

    def writeb(self, at, value):
        self.q.outb(self._select(at), value)

    def writew(self, at, value):
        self.q.outw(self._select(at), value)

    def writel(self, at, value):
        self.q.outl(self._select(at), value)

    def size_bar(self, n):
        """How much a base address register decodes; its value is kept."""
        at = 0x10 + 4 * n
        was = self.readl(at)
        self.writel(at, 0xffffffff)
        mask = self.readl(at)
        self.writel(at, was)
        mask &= 0xfffffffc if mask & 1 else 0xfffffff0
        return -mask & 0xffffffff
