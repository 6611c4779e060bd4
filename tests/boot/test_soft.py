#!/usr/bin/env python3
"""Unmodified guests under -accel soft, those that are quick: Linux on one to four processors, GNU Mach, DOS, MikeOS."""
import gzip
import os
import subprocess
import tempfile

import harness
import vmlinux
from harness import need_file, need_tool
from soft_guests import SoftTest, colours, floppy, kernel

WORK = r"""
echo "processors $(grep -c ^processor /proc/cpuinfo)"
seq 1 20000 | sort -rn | head -n 3 | tr '\n' ' ' | sed 's/^/pipes /'; echo
seq 1 5000 >/tmp/a; cp /tmp/a /tmp/b; echo x >>/tmp/b; cmp -s /tmp/a /tmp/b || echo "files $(md5sum </tmp/a)"
awk 'BEGIN { for (i = 1; i <= 20000; i++) x += 1 / (i * i); printf "float %.9f\n", x }'
for i in 1 2 3 4 5 6; do (echo $i; true) & done | sort | tr -d '\n' | sed 's/^/processes /'; echo; wait
ifconfig lo 127.0.0.1 up
(echo from the server | nc -l -p 99 >/tmp/got) &
sleep 1
echo from the client | nc 127.0.0.1 99 | sed 's/^/socket: /'
sleep 1
cat /tmp/got | sed 's/^/socket: /'
/work
cat /tmp/no-such-file 2>/dev/null || echo "script done"
poweroff -f
"""
# md5sum of the numbers 1 to 5000 in lines.
SAID = ["pipes 20000 19999 19998", "files a5a208cd26b07cadade3450fe14d1d93", "float 1.644884068", "processes 123456",
        "socket: from the server", "socket: from the client", "script done"]
CHECKS = ["floats", "SIGFPE divide", "SIGFPE sse", "SIGFPE x87", "SIGILL", "SIGTRAP", "pages", "made code", "threads",
          "sockets"]


class Linux(SoftTest):
    def work(self, image, cpus, *args):
        """Boot, do all of the above, power off with exit code 0."""
        archive = self.initramfs(WORK, work=self.compiled("linux-work.c"))
        m = self.start("-m", 256, "-smp", cpus, "-kernel", image, "-initrd", archive, "-append",
                       "console=ttyS0 quiet panic=-1", "-no-reboot", *args)
        m.wait_for("script done", 400, m.serial)
        self.assertEqual(m.process.wait(60), 0)
        lines = [line.strip() for line in m.serial().split("\n")]
        for line in [f"processors {cpus}", *SAID, *(f"ok {name}" for name in CHECKS)]:
            self.assertTrue(any(said.startswith(line) for said in lines), f"{line!r} is missing in\n{m.serial()}")
        self.assertNotRegex(m.serial(), r"Oops|BUG:|Call Trace|WRONG")

    def test_1_processor_by_pvh(self):
        path = os.path.join(self.folder(), "vmlinux")
        with open(path, "wb") as f:
            f.write(vmlinux.extract(kernel()))
        self.work(path, 1)

    def test_2_processors(self):
        self.work(kernel(), 2)

    def test_4_processors_newest_instructions(self):
        self.work(kernel(), 4, "-cpu", "max")

    def test_shell_on_the_screen(self):
        archive = self.initramfs("clear\nexec setsid cttyhack sh\n")
        m = self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append", "console=tty0 quiet")
        m.wait_for(r"^/ # ?$", 200)
        m.type("uname -s; echo $((6*7))\n", 0.1)
        m.wait_for(r"^Linux\n42$", 60)
        m.qmp.command("stop")
        self.assertEqual(m.quit(), 0)


class Others(SoftTest):
    def check_text_picture(self, m, name):
        width, height, rows = m.picture(name)
        self.assertEqual((width, height), (720, 400))
        self.assertGreater(len(colours(rows)), 1)

    def test_gnu_mach(self):
        """The package's kernel is a 64-bit ELF with a Multiboot header, which asks for 32-bit ones."""
        packed = need_file("/boot/gnumach-1.8-486.gz")
        with tempfile.NamedTemporaryFile(prefix="ostler-mach-") as wide:
            with gzip.open(packed, "rb") as f:
                wide.write(f.read())
            wide.flush()
            image = os.path.join(self.folder(), "gnumach")
            subprocess.run([need_tool("objcopy"), "-O", "elf32-i386", wide.name, image], check=True)
        m = self.start("-m", 64, "-kernel", image)
        m.wait_for(r"GNU Mach 1\.8", 60)
        m.wait_for(r"RTC time is \d{4}-\d\d-\d\d", 60)
        m.wait_for(r"No bootstrap code loaded", 60)
        self.check_text_picture(m, "gnu-mach")

    def test_grub(self):
        m = self.start("-m", 64, "-cdrom", need_file("/usr/lib/grub-rescue/grub-rescue-cdrom.iso"), "-boot", "d")
        m.wait_for(r"GNU GRUB +version", 100)
        m.keys("c")
        m.wait_for("grub>", 60)
        m.type("echo ost" + "ler works\n", 0.1)
        m.wait_for(r"^ostler works", 60)
        self.check_text_picture(m, "grub")

    def test_freedos(self):
        m = self.start("-m", 16, *floppy(self.guest("fd-minimal-144.img")))
        m.wait_for(r"A:\\>", 100)
        m.type("dir\n", 0.1)
        m.wait_for(r"bytes free", 60)
        self.assertRegex(m.screen(), r"(?i)file\(s\)")
        self.check_text_picture(m, "freedos")

    def test_mikeos(self):
        m = self.start("-m", 16, *floppy(self.guest("mikeos.flp")))
        m.wait_for("Thanks for trying out MikeOS", 100)
        m.keys("ret")
        m.wait_for(r"(?i)\.(bin|bas)", 60)
        self.check_text_picture(m, "mikeos")

    def test_elks(self):
        m = self.start("-m", 16, *floppy(self.guest("elks-fd1440.img")))
        m.wait_for(r"VFS: Mounted root", 100)
        m.wait_for(r"^# ?$", 100)
        m.type("ls /\n", 0.2)
        m.wait_for(r"\bbin\b.*\betc\b|\bdev\b", 60)


if __name__ == "__main__":
    harness.main()
