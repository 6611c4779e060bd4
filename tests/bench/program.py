"""Start a program that speaks QMP, ours or the reference, and look at its process from outside."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

OURS = os.environ.get("OSTLER", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/ostler"))
REFERENCE = os.environ.get("REFERENCE", shutil.which("qemu-system-x86_64") or "")

BARE = ["-accel", "kvm", "-S", "-display", "none", "-nodefaults", "-nic", "none"]
USUAL = ["-accel", "kvm", "-S", "-display", "none", "-serial", "null", "-parallel", "null", "-monitor", "none", "-nic",
         "none"]


def missing():
    """Why nothing can be measured here, or None."""
    if not os.access(OURS, os.X_OK):
        return f"no program at {OURS} (OSTLER names another)"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is missing or closed to this user"
    return None


def missing_reference():
    return None if REFERENCE else "no qemu-system-x86_64 to compare with (REFERENCE names another)"


class Program:
    """A started program; .seconds passed from exec to the QMP greeting."""

    def __init__(self, command, wrapper=()):
        self.folder = tempfile.mkdtemp(prefix="ostler-bench-")
        path = f"{self.folder}/qmp"
        begin = time.monotonic()
        self.process = subprocess.Popen([*wrapper, *command, "-qmp", f"unix:{path},server=on,wait=off"],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if self.process.poll() is not None:
                    raise RuntimeError(f"{command[0]}: {self.process.stderr.read()}") from None
                time.sleep(0.0002)
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.seconds = time.monotonic() - begin

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.file.close()
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, name):
        self.socket.sendall(b'{"execute": "%s"}\n' % name.encode())
        while b'"event"' in self.file.readline():
            pass

    def quit(self):
        self.execute("qmp_capabilities")
        self.execute("quit")
        self.process.wait(600)

    def private_dirty(self):
        """KiB of memory that is this process's own."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith("Private_Dirty:"):
                    return int(line.split()[1])
        raise RuntimeError("no Private_Dirty in smaps_rollup")

    def cpu_ms(self):
        """CPU time used so far by all its threads, to the nanosecond's honesty of the scheduler."""
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
            except FileNotFoundError:
                pass                    # a thread that ended meanwhile
        return total / 1e6


def median(values):
    values = sorted(values)
    n = len(values)
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2
