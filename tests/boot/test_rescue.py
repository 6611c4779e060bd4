#!/usr/bin/env python3
"""Guests under -accel kvm that a KVM without hardware behind it breaks off: the software CPU takes over there.

Where KVM has hardware these run all the same; then nothing is rescued, and nothing is asked about it."""

import harness
import test_soft
from harness import Machine, need_file, need_kvm
from soft_guests import SoftTest, colours, floppy, kernel


class RescueTest(SoftTest):
    def setUp(self):
        need_kvm()

    def start(self, *args, **kwargs):
        m = Machine("-accel", "kvm", *args, **kwargs)
        self.addCleanup(m.close)
        return m

    def check_counts(self, m):
        counts = m.qmp.command("x-query-kvm-rescue")
        self.assertEqual(sum(c["given-up"] for c in counts), 0, counts)
        if harness.kvm_emulates():
            self.assertGreater(sum(c["instructions"] for c in counts), 1000, counts)
            self.assertRegex(m.hmp("info kvm"), r"CPU #0: rescued [1-9]\d* times")


class Linux(RescueTest):
    work = test_soft.Linux.work

    def test_1_processor(self):
        self.work(kernel(), 1)

    def test_2_processors(self):
        self.work(kernel(), 2)

    def test_stop_and_look(self):
        """Looked at and stopped again and again on its way to the shell, whoever is in charge."""
        archive = self.initramfs("echo shell ready\nexec setsid cttyhack sh\n")
        m = self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1")
        for _ in range(100):
            m.qmp.command("stop")
            m.hmp("info registers")
            m.qmp.command("cont")
            m.hmp("info registers -a")
        m.wait_for("shell ready", 400, m.serial)
        self.assertNotRegex(m.serial(), r"Oops|BUG:|Call Trace")
        self.check_counts(m)


class Others(RescueTest):
    def test_freebsd_floppy(self):
        """A loader of virtual-8086 programs, then a kernel with two-level paging."""
        m = self.start("-m", 64, *floppy(self.guest("fbsd-iso-1.0.3-288.img")))
        m.wait_for("choose a keymap below", 400)
        self.check_counts(m)

    def memtest(self, name):
        m = self.start("-m", 32, "-cdrom", need_file(f"/usr/lib/memtest86+/{name}"), "-boot", "d")
        m.wait_for(r"Test #[2-9]", 400)
        self.assertRegex(m.screen(), r"Errors: 0")
        self.check_counts(m)

    def test_memtest_32(self):
        self.memtest("memtest86+ia32.iso")

    def test_memtest_64(self):
        self.memtest("memtest86+x64.iso")

    def test_ovmf(self):
        """Firmware that is 64-bit code from its first milliseconds on; a picture of more than its logo."""
        m = self.start("-m", 256, "-bios", need_file("/usr/share/ovmf/OVMF.fd"), "-net", "none")
        m.wait_for("UEFI Interactive Shell|Shell>", 400, m.serial)
        self.assertGreater(len(colours(m.picture("rescue-ovmf")[2])), 1)
        self.check_counts(m)

    def test_rescue_off(self):
        """As it was: such a KVM stops the machine, one with hardware does not need the option."""
        image = self.guest("fbsd-iso-1.0.3-288.img")
        if not harness.kvm_emulates():
            self.skipTest("this KVM has hardware behind it")
        m = Machine("-accel", "kvm,rescue=off", "-m", 64, *floppy(image))
        self.addCleanup(m.close)
        m.qmp.wait_event("STOP", 200)
        self.assertEqual(m.qmp.command("query-status")["status"], "internal-error")
        self.assertEqual(m.qmp.command("x-query-kvm-rescue"), [])


if __name__ == "__main__":
    harness.main()
