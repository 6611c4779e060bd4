"""What the tests of the software CPU share: machines under -accel soft, and a Linux to boot."""
import gzip
import io
import os
import shutil
import subprocess
import tempfile
import unittest

from demo import BUSYBOX, cpio_entry, newest_kernel
from harness import Machine, need_file, need_tool

HERE = os.path.dirname(os.path.abspath(__file__))
GUESTS = os.environ.get("OSTLER_GUESTS", os.path.join(HERE, "../../../shared/guests"))
OVMF = "/usr/share/OVMF/OVMF_CODE_4M.fd"
INSTALLER = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/"

INIT = """#!/bin/sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
"""


def pack(path, script, **files):
    """BusyBox, `script` behind the mounting of what is usual, and programs."""
    with open(need_file(BUSYBOX), "rb") as f:
        busybox = f.read()
    out = io.BytesIO()
    folders = {"bin", "dev"}
    for name in files:
        folders.update(name[:i] for i, ch in enumerate(name) if ch == "/")
    entries = [*((name, 0o40755, b"") for name in sorted(folders)), ("bin/busybox", 0o100755, busybox),
               ("bin/sh", 0o120777, b"busybox"), ("init", 0o100755, (INIT + script).encode())]
    for name, file in files.items():
        with open(file, "rb") as f:
            entries.append((name, 0o100755, f.read()))
    for number, (name, mode, body) in enumerate(entries, 1):
        cpio_entry(out, number, name, mode, body)
    cpio_entry(out, len(entries) + 1, "dev/console", 0o20600, device=(5, 1))
    cpio_entry(out, 0, "TRAILER!!!", 0)
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(out.getvalue())
    return path


class SoftTest(unittest.TestCase):
    def start(self, *args, **kwargs):
        m = Machine("-accel", "soft", *args, **kwargs)
        self.addCleanup(m.close)
        return m

    def uefi(self, *args, variables=None, code=OVMF, machine="q35", ram=512):
        """OVMF with a copy of its empty variables, or with a file of the test's own."""
        if not variables:
            variables = self.variables(OVMF.replace("CODE", "VARS"))
        return self.start("-M", machine, "-m", ram, "-drive", f"if=pflash,format=raw,readonly=on,file={need_file(code)}",
                          "-drive", f"if=pflash,format=raw,file={variables}", *args)

    def variables(self, template):
        path = os.path.join(self.folder(), "vars.fd")
        shutil.copyfile(need_file(template), path)
        return path

    def folder(self):
        path = tempfile.mkdtemp(prefix="ostler-soft-")
        self.addCleanup(shutil.rmtree, path, True)
        return path

    def guest(self, name):
        return need_file(os.path.join(GUESTS, name))

    def initramfs(self, script, **files):
        return pack(os.path.join(self.folder(), "initramfs.gz"), script, **files)

    def compiled(self, source):
        """A C file of this folder as a static program."""
        path = os.path.join(self.folder(), "program")
        subprocess.run([need_tool("cc"), "-O2", "-static", "-pthread", "-o", path, os.path.join(HERE, source), "-lm"],
                       check=True)
        return path


def programs(*names):
    """The distribution's programs and what they are linked with: files for initramfs()."""
    files = {}
    for name in names:
        path = need_tool(name)
        files["usr/bin/" + name] = path
        for line in subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout.splitlines():
            library = next((word for word in line.split() if word.startswith("/")), None)
            if library:
                files[library[1:]] = library
    return files


def kernel():
    path = newest_kernel()
    if not path:
        raise unittest.SkipTest("missing: a readable kernel in /boot (package linux-image-amd64)")
    return path


def floppy(path):
    return ["-drive", f"if=floppy,format=raw,snapshot=on,file={path}", "-boot", "a"]


def colours(rows):
    return {row[i:i + 3] for row in rows for i in range(0, len(row), 3)}


def modules(*names):
    """What an initramfs needs for these modules of the newest kernel: the files for initramfs(), and the lines that load
    them with all they depend on."""
    folder = "/lib/modules/" + os.path.basename(kernel()).split("-", 1)[1]
    needs = {}
    with open(need_file(folder + "/modules.dep"), encoding="ascii") as f:
        for line in f:
            path, after = line.split(":")
            needs[os.path.basename(path).split(".")[0]] = [path, *after.split()]
    paths = []
    for name in names:
        if name not in needs:
            raise unittest.SkipTest(f"missing: kernel module {name}")
        paths += [p for p in reversed(needs[name]) if p not in paths]
    files = {os.path.basename(p): os.path.join(folder, p) for p in paths}
    return files, "".join(f"insmod /{os.path.basename(p)} || echo cannot load {p}\n" for p in paths)
