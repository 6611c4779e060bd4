#!/usr/bin/env python3
"""device_add and device_del of PCI devices as a management program sees them; the guest's part is played over the wire."""
import json
import os
import subprocess
import unittest

from harness import OSTLER, QmpError
from qtest import Pci, Qtest, main

UP, DOWN, EJECT, SELECT = 0xae00, 0xae04, 0xae08, 0xae10
PORT_CAP, SLOT_CONTROL, SLOT_STATUS = 0x54, 0x54 + 0x18, 0x54 + 0x1a
POWERED, RELEASED = 1 << 8, 3 << 8 | 1 << 10


class Hotplug(unittest.TestCase):
    def machine(self, *args):
        q = Qtest(*args)
        self.addCleanup(q.close)
        return q

    def refused(self, q, pattern, command, **arguments):
        with self.assertRaisesRegex(QmpError, pattern):
            q.qmp.command(command, **arguments)

    def gone(self, q, *ids):
        for device in ids:
            event = q.qmp.wait_event("DEVICE_DELETED", 10)["data"]
            self.assertEqual(event, {"device": device, "path": f"/machine/peripheral/{device}"})
            self.refused(q, "not found", "device_del", id=device)

    def test_acpi(self):
        q = self.machine("-M", "pc", "-device", "pci-bridge,id=br,addr=4", "-device", "virtio-rng-pci,id=old,addr=9")
        q.qmp.command("device_add", driver="edu", id="card", bus="br", addr="3")
        q.outl(SELECT, 1)
        self.assertEqual((q.inl(UP), q.inl(UP)), (1 << 3, 0))
        q.qmp.command("device_del", id="card")
        self.refused(q, "Device card is already in the process of unplug", "device_del", id="card")
        self.assertEqual(q.inl(DOWN), 1 << 3)
        self.assertEqual([e for e in q.qmp.events if e["event"] == "DEVICE_DELETED"], [])
        q.outl(EJECT, 1 << 3)
        self.gone(q, "card")
        q.qmp.command("device_del", id="old")
        q.outl(SELECT, 0)
        self.assertEqual(q.inl(DOWN), 1 << 9)
        q.qmp.command("system_reset")
        self.gone(q, "old")
        self.assertEqual(q.inl(DOWN), 0)
        self.refused(q, "bridge that was there from the start", "device_del", id="br")

    def test_acpi_off(self):
        for option in ("-global", "PIIX4_PM.acpi-root-pci-hotplug=off"), ("-machine", "acpi=off"):
            q = self.machine("-M", "pc", "-device", "edu,id=card", *option)
            self.refused(q, "Bus 'pci.0' does not support hotplugging", "device_add", driver="edu")
            self.refused(q, "Bus 'pci.0' does not support hotplugging", "device_del", id="card")

    def test_all_functions_of_a_slot(self):
        q = self.machine("-M", "pc")
        q.qmp.command("device_add", driver="edu", id="f1", addr="7.1")
        q.qmp.command("device_add", driver="edu", id="f0", addr="7.0", multifunction=True)
        self.refused(q, "cannot be exposed to guest", "device_add", driver="edu", addr="7.2")
        q.qmp.command("device_del", id="f1")
        self.refused(q, "already in the process of unplug: its slot holds f1", "device_del", id="f0")
        q.outl(EJECT, q.inl(DOWN))
        self.gone(q, "f0", "f1")

    def test_thread_changes(self):
        q = self.machine("-M", "pc", "-object", "iothread,id=t,thread-pool-max=4", "-object", "memory-backend-ram,id=m,size=1M")
        tasks = lambda: len(os.listdir(f"/proc/{q.process.pid}/task"))
        get = lambda name: q.qmp.command("qom-get", path="/objects/t", property=name)
        put = lambda name, value: q.qmp.command("qom-set", path="/objects/t", property=name, value=value)
        before = tasks()
        put("thread-pool-min", 3)
        self.assertEqual(tasks(), before + 3)
        for name, value in (("poll-max-ns", 5000), ("poll-grow", 3), ("poll-shrink", 2)):
            put(name, value)
            self.assertEqual(get(name), value)
        told = q.qmp.command("query-iothreads")[0]
        self.assertEqual([told[n] for n in ("id", "poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch")], ["t", 5000, 3, 2, 0])
        for name, value, says in (("thread-pool-max", 2, "expected: 0 to thread-pool-max"), ("thread-pool-max", 0, "1 to 1024"),
                                  ("poll-grow", -1, "at least 0"), ("poll-grow", "x", "whole number"), ("nope", 1, "not found"),
                                  ("poll-grow", {"a": 1}, "a plain value"), ("type", "x", "Insufficient permission")):
            with self.assertRaisesRegex(QmpError, says):
                put(name, value)
        self.assertEqual((get("thread-pool-min"), get("thread-pool-max"), get("poll-grow")), (3, 4, 3))
        with self.assertRaisesRegex(QmpError, "Insufficient permission"):
            q.qmp.command("qom-set", path="/objects/m", property="size", value=1)
        q.qmp.command("object-del", id="t")
        self.assertEqual(tasks(), before - 1)

    def test_queues_of_several_threads(self):
        """A property that is a list: on the command line in JSON and with dots, by device_add; and as it is told again."""
        mapping = [{"iothread": "t0", "vqs": [0, 2]}, {"iothread": "t1", "vqs": [1, 3]}]
        disk = {"driver": "virtio-blk-pci", "num-queues": 4, "iothread-vq-mapping": mapping}
        q = self.machine("-M", "pc", "-object", "iothread,id=t0", "-object", "iothread,id=t1",
                         *(word for n in range(4) for word in ("-drive", f"if=none,id=d{n},driver=null-co,read-zeroes=on")),
                         "-device", json.dumps({"id": "a", "drive": "d0", **disk}), "-device",
                         "virtio-blk-pci,id=b,drive=d1,num-queues=4,iothread-vq-mapping.0.iothread=t1,iothread-vq-mapping.1.iothread=t0")
        q.qmp.command("device_add", id="c", drive="d2", **disk)
        self.refused(q, "queue 3 is given to no iothread", "device_add", drive="d3",
                     **{**disk, "iothread-vq-mapping": [{"iothread": "t0", "vqs": [0, 1, 2]}]})
        told = {n: q.qmp.command("qom-get", path=f"/machine/peripheral/{n}", property="iothread-vq-mapping") for n in "abc"}
        self.assertEqual(told, {"a": mapping, "b": [{"iothread": "t1"}, {"iothread": "t0"}], "c": mapping})
        self.assertIn('iothread-vq-mapping = [{"iothread": "t0", "vqs": [0, 2]}, ',
                      q.qmp.command("human-monitor-command", **{"command-line": "info qtree"}))
        types = {p["name"]: p["type"] for p in q.qmp.command("device-list-properties", typename="virtio-blk-pci")}
        self.assertEqual(types["iothread-vq-mapping"], "IOThreadVirtQueueMappingList")
        self.refused(q, "object 't1' is in use", "object-del", id="t1")
        for device in "abc":
            q.qmp.command("device_del", id=device)
        q.qmp.command("system_reset")
        self.gone(q, "a", "b", "c")
        q.qmp.command("object-del", id="t1")

    def test_bridge_with_what_is_behind(self):
        """Nobody in the guest can be told of the inside of a bridge that came late; it goes as a whole."""
        q = self.machine("-M", "pc")
        q.qmp.command("device_add", driver="pci-bridge", id="late", addr="6")
        self.refused(q, "Bus 'late' does not support hotplugging", "device_add", driver="edu", id="x", bus="late")
        q.qmp.command("device_add", driver="ahci", id="sata", addr="7")
        q.qmp.command("device_del", id="late")
        q.qmp.command("device_del", id="sata")
        q.outl(EJECT, q.inl(DOWN))
        self.gone(q, "late", "sata")

    def config(self, q, slot, at, value=None):
        q.outl(0xcf8, 1 << 31 | slot << 11 | at & 0xfc)
        return q.inw(0xcfc + (at & 2)) if value is None else q.outw(0xcfc + (at & 2), value)

    def test_native(self):
        q = self.machine("-M", "q35", "-device", "pcie-root-port,id=rp,addr=4,chassis=1,slot=1", "-device",
                         "pcie-root-port,id=fixed,addr=5,hotplug=off,chassis=1,slot=2")
        self.refused(q, "Bus 'pcie.0' does not support hotplugging", "device_add", driver="edu")
        self.refused(q, "Bus 'fixed' does not support hotplugging", "device_add", driver="edu", bus="fixed")
        q.qmp.command("device_add", driver="edu", id="card", bus="rp")
        self.refused(q, "slot 3 is not valid|Bus 'rp' is full", "device_add", driver="edu", bus="rp", addr="3")
        self.assertEqual(self.config(q, 4, SLOT_STATUS) & 0x49, 0x49)
        q.qmp.command("device_del", id="card")             # the slot has no power: nobody has to be asked
        self.gone(q, "card")
        q.qmp.command("device_add", driver="edu", id="card", bus="rp")
        self.config(q, 4, SLOT_CONTROL, POWERED)
        q.qmp.command("device_del", id="card")
        self.refused(q, "already in the process of unplug", "device_del", id="card")
        self.config(q, 4, SLOT_CONTROL, 2 << 8)
        self.config(q, 4, SLOT_CONTROL, POWERED)
        event = q.qmp.wait_event("DEVICE_UNPLUG_GUEST_ERROR", 10)["data"]
        self.assertEqual(event, {"device": "card", "path": "/machine/peripheral/card"})
        q.qmp.command("device_del", id="card")
        self.config(q, 4, SLOT_CONTROL, RELEASED)
        self.gone(q, "card")

    def test_native_reset(self):
        q = self.machine("-M", "q35", "-device", "pcie-root-port,id=rp", "-device", "edu,id=card,bus=rp")
        q.qmp.command("device_del", id="card")
        q.qmp.command("system_reset")
        self.gone(q, "card")

    def test_standard(self):
        """The registers of an SHPC, by way of configuration space; and on pc, where the tables' methods come first."""
        q = self.machine("-M", "q35", "-device", "pci-bridge,id=b,addr=5,shpc=on")
        pci, button, enabled = Pci(q, 5), 1 << 18, 2 | 1 << 2
        def dword(n, value=None):
            pci.writeb(0x9a, n)
            if value is not None:
                pci.writel(0x9c, value)
            return pci.readl(0x9c)
        pci.writel(0x18, 0x00010100)
        q.qmp.command("device_add", driver="edu", id="card", bus="b", addr="7")
        self.assertEqual(dword(9 + 6) & (button | 3), button | 3)
        dword(5, 7 << 8 | enabled)
        dword(9 + 6, 0x7f << 24 | button)
        dword(9 + 6, 0)
        dword(8, 0)
        q.qmp.command("device_del", id="card")
        self.assertTrue(dword(9 + 6) & button)
        dword(9 + 6, button)
        dword(5, 7 << 8 | 3 | 3 << 2)
        self.gone(q, "card")
        q = self.machine("-M", "pc", "-device", "pci-bridge,id=b,addr=5,shpc=on")
        q.qmp.command("device_add", driver="edu", id="card", bus="b", addr="7")
        q.outl(SELECT, 1)
        self.assertEqual(q.inl(UP), 1 << 7)
        q.qmp.command("device_del", id="card")
        q.outl(EJECT, 1 << 7)
        self.gone(q, "card")
        q = self.machine("-M", "pc", "-device", "pci-bridge,id=b,addr=5,shpc=on", "-global",
                         "PIIX4_PM.acpi-pci-hotplug-with-bridge-support=off")
        q.qmp.command("device_add", driver="edu", id="card", bus="b", addr="7")
        q.outl(SELECT, 1)
        self.assertEqual(q.inl(UP), 0)
        q.qmp.command("device_del", id="card")
        self.gone(q, "card")                                   # the slot has no power

    def test_properties(self):
        for args, said in ((["-M", "q35", "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=on"], "expects 'off'"),
                           (["-device", "pci-bridge,shpc=on,id=b", "-device", "edu,bus=b,addr=0"],
                            "Unsupported PCI slot 0 for standard hotplug controller"),
                           (["-device", "pcie-root-port,slot=8192"], "slot' expects 0 to 8191"),
                           (["-device", "ioh3420,slot=1", "-device", "pcie-root-port,slot=1"], "chassis 0 has a slot 1 already")):
            with self.subTest(args=args):
                end = subprocess.run([OSTLER, "-accel", "qtest", "-display", "none", *args], stdin=subprocess.DEVNULL,
                                     capture_output=True, text=True, timeout=30)
                self.assertEqual((end.returncode, end.stderr.count("\n")), (1, 1), end.stderr)
                self.assertRegex(end.stderr, said)


if __name__ == "__main__":
    main()
