#!/usr/bin/env python3
"""Boot a real guest and hand it over: demo.py OSTLER.

Debian's kernel with a BusyBox shell on the serial console: under KVM where that has hardware behind it, else in software.
Without a terminal nobody can type, so one command is typed here and what the guest shows is printed.
"""
import glob
import gzip
import io
import os
import re
import subprocess
import sys
import tempfile
import threading

BUSYBOX = "/bin/busybox"
INITTAB = "::sysinit:/etc/rc\nttyS0::respawn:/bin/sh\n"
RC = """#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
echo
echo "This is $(uname -sr) in Ostler.  'poweroff' ends it; so does Ctrl-A x."
"""


PROMPT = r"# (\x1b\[6n)?$"             # the shell asks where the cursor is


def fail(*lines):
    print("\n".join(lines), file=sys.stderr)
    sys.exit(1)


def cpio_entry(out, number, name, mode, body=b"", device=(0, 0)):
    """One file of a "newc" archive (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(body), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % f for f in fields)
    out.write(header + path + b"\0" * (-(len(header) + len(path)) % 4))
    out.write(body + b"\0" * (-len(body) % 4))


def make_initramfs(path):
    """BusyBox as init and shell, and nothing else."""
    with open(BUSYBOX, "rb") as f:
        busybox = f.read()
    out = io.BytesIO()
    entries = [*((name, 0o40755, b"") for name in ("bin", "dev", "etc", "proc", "sys", "tmp")),
               ("bin/busybox", 0o100755, busybox), ("bin/sh", 0o120777, b"busybox"),
               ("init", 0o120777, b"bin/busybox"), ("etc/inittab", 0o100644, INITTAB.encode()),
               ("etc/rc", 0o100755, RC.encode())]
    for number, (name, mode, body) in enumerate(entries, 1):
        cpio_entry(out, number, name, mode, body)
    cpio_entry(out, 100, "dev/console", 0o20600, device=(5, 1))
    cpio_entry(out, 0, "TRAILER!!!", 0)
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(out.getvalue())


def newest_kernel():
    kernels = [k for k in glob.glob("/boot/vmlinuz-*") if os.access(k, os.R_OK)]
    key = lambda k: [int(n) for n in re.findall(r"\d+", os.path.basename(k))]
    return max(kernels, key=key) if kernels else None


def hardware_kvm():
    """A /dev/kvm that we may open, on a processor with virtualization."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        return bool({"vmx", "svm"} & set(f.read().split())) and os.access("/dev/kvm", os.R_OK | os.W_OK)


# ---- Linux ----

def run_linux(ostler, kernel):
    if not os.access(BUSYBOX, os.R_OK):
        fail(f"There is no {BUSYBOX}: please install the package busybox-static.")
    folder = tempfile.mkdtemp(prefix="ostler-demo-")
    initramfs = os.path.join(folder, "initramfs.gz")
    make_initramfs(initramfs)
    accel = ["-accel", "kvm", "-cpu", "host"] if hardware_kvm() else ["-accel", "soft"]
    command = [ostler, *accel, "-m", "512", "-nic", "none", "-no-reboot", "-kernel", kernel,
               "-initrd", initramfs, "-append", "console=ttyS0 quiet"]
    print(f"== Booting {kernel} with a BusyBox shell, {'under KVM' if hardware_kvm() else 'in software'}. Ctrl-A x ends it.",
          flush=True)
    if sys.stdin.isatty() and sys.stdout.isatty():
        code = subprocess.run([*command, "-nographic"], check=False).returncode
    else:
        code = talk([*command, "-display", "none", "-serial", "stdio", "-monitor", "none"],
                    [(PROMPT, "uname -a\n"), (PROMPT, "poweroff\n")], 300)
    os.unlink(initramfs)
    os.rmdir(folder)
    return code


def talk(command, turns, limit):
    """Runs a guest on pipes, copies what it says, and answers each pattern in turn; its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    watchdog = threading.Timer(limit, process.kill)
    watchdog.start()
    said = ""
    while chunk := os.read(process.stdout.fileno(), 4096):
        text = chunk.decode("latin-1")
        sys.stdout.write(text)
        sys.stdout.flush()
        said += text
        if turns and re.search(turns[0][0], said):
            process.stdin.write(turns.pop(0)[1].encode())
            process.stdin.flush()
            said = ""
    code = process.wait()
    watchdog.cancel()
    if turns:
        print(f"\nThe guest never showed {turns[0][0]!r}.", file=sys.stderr)
        return 1
    return code


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        fail("usage: demo.py OSTLER")
    ostler = os.path.abspath(sys.argv[1])
    kernel = newest_kernel()
    if not kernel:
        fail("No kernel in /boot is readable: please install the package linux-image-amd64.")
    sys.exit(run_linux(ostler, kernel))


if __name__ == "__main__":
    main()
