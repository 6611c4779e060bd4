"""Debian's kernel without its debug package, as gdb wants it: the uncompressed ELF file with symbols.

The names are the kernel's own: a guest prints what /proc/kallsyms says (nokaslr, so that addresses are those of the file)."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "boot"))
import vmlinux  # noqa: E402  (found by the line above)
from harness import need_tool  # noqa: E402
from soft_guests import kernel  # noqa: E402

MARK = "symbols end"


def ask_guest(test, names):
    """{name: (type letter, address)}, from a guest booted by a SoftTest."""
    grep = "^[0-9a-f]* . \\(" + "\\|".join(names) + "\\)$"
    archive = test.initramfs(f"echo 0 >/proc/sys/kernel/kptr_restrict\ngrep '{grep}' /proc/kallsyms\n"
                             f"echo {MARK}\npoweroff -f\n")
    m = test.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append", "console=ttyS0 quiet nokaslr", "-no-reboot")
    m.wait_for(MARK, 300, m.serial)
    m.process.wait(60)
    found = re.findall(r"^([0-9a-f]{16}) (\w) (\w+)\r?$", m.serial(), re.M)
    return {name: (letter, int(address, 16)) for address, letter, name in found}


def sections(path):
    """[(name, address, size)] of what is loaded."""
    text = subprocess.run([need_tool("readelf"), "-SW", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.findall(r"\] (\S+)\s+(?:PROGBITS|NOBITS)\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)", text)
    return [(name, int(at, 16), int(size, 16)) for name, at, size in found if int(at, 16)]


def with_symbols(test, path, names):
    """Writes the kernel with these symbols to `path`."""
    symbols = ask_guest(test, names)
    missing = set(names) - set(symbols)
    assert not missing, f"the guest's /proc/kallsyms lacks {missing}"
    with open(path, "wb") as f:
        f.write(vmlinux.extract(kernel()))
    places, options = sections(path), []
    for name, (letter, address) in symbols.items():
        section, base = next((s, at) for s, at, size in places if at <= address < at + size)
        kind = "function" if letter in "tTwW" else "object"
        options.append(f"--add-symbol={name}={section}:{address - base:#x},{kind},global")
    subprocess.run([need_tool("objcopy"), *options, path], check=True)
