#!/usr/bin/env python3
"""Small chips under Linux's own drivers, with -accel soft: watchdogs."""
import harness
from soft_guests import SoftTest, kernel, modules


class ChipsTest(SoftTest):
    def linux(self, script, names, *args, append=""):
        files, load = modules(*names)
        archive = self.initramfs(load + script, **files)
        return self.start("-m", 256, "-kernel", kernel(), "-initrd", archive, "-append",
                          "console=ttyS0 quiet panic=-1 " + append, *args)


class Watchdogs(ChipsTest):
    LET_IT_BARK = """
cat /sys/class/watchdog/watchdog0/bootstatus | sed 's/^/bootstatus /'
watchdog -T 2 -t 1 /dev/watchdog
sleep 5
echo still alive
kill -9 $(pidof watchdog)
sleep 60
echo nothing happened
"""

    def bark(self, device, module, action):
        m = self.linux(self.LET_IT_BARK, [module], "-device", device, "-action", f"watchdog={action}")
        m.wait_for("still alive", 120, m.serial)
        self.assertNotIn("WATCHDOG", [e["event"] for e in m.qmp.events])
        self.assertEqual(m.qmp.wait_event("WATCHDOG", 60)["data"], {"action": action})
        self.assertNotIn("nothing happened", m.serial())
        return m

    def test_i6300esb_resets(self):
        m = self.bark("i6300esb", "i6300esb", "reset")
        self.assertEqual(m.qmp.wait_event("RESET")["data"], {"guest": True, "reason": "guest-reset"})
        m.qmp.command("watchdog-set-action", action="poweroff")
        m.wait_for("bootstatus 32", 120, m.serial) # the next boot knows that it was the watchdog
        self.assertEqual(m.qmp.wait_event("WATCHDOG", 60)["data"], {"action": "poweroff"})
        self.assertEqual(m.process.wait(30), 0)

    def test_ib700_pauses(self):
        m = self.bark("ib700", "ib700wdt", "pause")
        m.qmp.wait_event("STOP")
        self.assertEqual(m.qmp.command("query-status")["status"], "watchdog")

    def test_ib700_sends_nmis(self):
        m = self.bark("ib700", "ib700wdt", "inject-nmi")
        m.wait_for("NMI", 30, m.serial)


if __name__ == "__main__":
    harness.main()
