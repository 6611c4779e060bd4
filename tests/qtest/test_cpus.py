#!/usr/bin/env python3
"""Processors without a guest: the tables, the queries and the hot-plug registers tell of the same ones."""
import contextlib
import os
import re
import struct
import subprocess
import unittest

from harness import OSTLER, need_kvm
from qtest import QmpError, Qtest, main
from test_acpi import fw_cfg, fw_cfg_file, tables_in

PORTS = {"pc": 0xaf00, "q35": 0xcd8}
SELECT, FLAGS, COMMAND, DATA = 0, 4, 5, 8
ENABLED, INSERTED, REMOVE, EJECT = 1, 2, 4, 8
NEXT, OST_SOURCE, OST_STATUS, ARCH_ID = range(4)
NB_CPUS, MAX_CPUS = 5, 15               # of the firmware's configuration device


def apic_id(place, topology):
    """SDM vol 3 §9.9: each level has the bits that its count needs."""
    at = 0
    for level, n in zip(("socket-id", "die-id", "core-id", "thread-id"), topology):
        at = at << (n - 1).bit_length() | place.get(level, 0)
    return at


def processors(madt):
    """uid -> (APIC ID, enabled), of entries of either kind."""
    found, at = {}, 44
    while at < len(madt):
        kind, size = madt[at:at + 2]
        if kind == 0:
            uid, number, flags = struct.unpack_from("<BBI", madt, at + 2)
            found[uid] = number, bool(flags & 1)
        elif kind == 9:
            number, flags, uid = struct.unpack_from("<III", madt, at + 4)
            found[uid] = number, bool(flags & 1)
        at += size
    return found


class Cpus(unittest.TestCase):
    def start(self, board, smp, *args, accel=("-accel", "qtest")):
        self.q = Qtest("-M", board, "-smp", smp, *args, accel=accel)
        self.addCleanup(self.q.close)
        self.port = PORTS[board]

    def select(self, index):
        self.q.outl(self.port + SELECT, index)

    def flags(self):
        return self.q.inb(self.port + FLAGS)

    def write(self, value):
        self.q.outb(self.port + FLAGS, value)

    def data(self, command, value=None):
        self.q.outb(self.port + COMMAND, command)
        if value is None:
            return self.q.inl(self.port + DATA)
        return self.q.outl(self.port + DATA, value)

    def indexes(self):
        return [c["cpu-index"] for c in self.q.qmp.command("query-cpus-fast")]

    def compare(self, board, smp, topology, cpus, *args):
        self.start(board, smp, *args)
        places = self.q.qmp.command("query-hotpluggable-cpus")[::-1]
        want = [apic_id(p["props"], topology) for p in places]
        self.assertEqual(sorted(set(want)), want)
        found = processors(tables_in(fw_cfg_file(self.q, "etc/acpi/tables"))["APIC"])
        self.assertEqual(found, {i: (number, i < cpus) for i, number in enumerate(want)})
        self.assertEqual([("qom-path" in p) for p in places], [i < cpus for i in range(len(places))])
        self.assertEqual(struct.unpack("<H", fw_cfg(self.q, NB_CPUS, 2))[0], cpus)
        self.assertEqual(struct.unpack("<H", fw_cfg(self.q, MAX_CPUS, 2))[0], want[-1] + 1)
        for fast, place in zip(self.q.qmp.command("query-cpus-fast"), places):
            self.assertEqual((fast["props"], fast["qom-path"]), (place["props"], place["qom-path"]))
            self.assertEqual(self.q.qmp.command("qom-get", path=fast["qom-path"], property="apic-id"),
                             want[fast["cpu-index"]])
        self.select(0)
        for index, number in enumerate(want):
            self.select(index)
            self.assertEqual((self.data(ARCH_ID), self.flags()), (number, ENABLED if index < cpus else 0))

    def test_tables_and_queries(self):
        self.compare("pc", "1", (1, 1, 1, 1), 1)
        self.compare("pc", "3,maxcpus=12,sockets=2,cores=3,threads=2", (2, 1, 3, 2), 3)
        self.compare("q35", "5,maxcpus=18,sockets=2,dies=3,cores=3,threads=1", (2, 3, 3, 1), 5)
        self.compare("q35", "130,maxcpus=195,sockets=3,cores=65", (3, 1, 65, 1), 130, "-cpu", "max")

    CPU = {"driver": "qemu64-x86_64-cpu", "socket-id": 2, "core-id": 0, "thread-id": 0}

    def test_come_and_go(self):
        for board in PORTS:
            self.start(board, "1,maxcpus=4,sockets=4,cores=1", "-device", "qemu64-x86_64-cpu,id=x,apic-id=3")
            qmp = self.q.qmp
            self.assertEqual(self.indexes(), [0, 3])
            self.assertEqual(struct.unpack("<H", fw_cfg(self.q, NB_CPUS, 2))[0], 2)
            self.assertEqual(self.q.inb(self.port), 0b1001)
            qmp.command("device_add", id="c2", **self.CPU)
            self.assertEqual(self.q.inb(self.port), 0b1101)
            self.assertEqual(qmp.command("query-acpi-ospm-status"), [])
            with self.assertRaisesRegex(QmpError, "has not taken over"):
                qmp.command("device_del", id="c2")
            self.select(0)
            self.assertEqual(self.data(NEXT), 2)
            self.assertEqual(self.flags(), ENABLED | INSERTED)
            self.write(INSERTED)
            qmp.command("device_del", id="c2")
            with self.assertRaisesRegex(QmpError, "already in the process of unplug"):
                qmp.command("device_del", id="c2")
            self.select(0)
            self.assertEqual(self.data(NEXT), 2)
            self.assertEqual(self.flags(), ENABLED | REMOVE)
            self.write(REMOVE)
            self.data(OST_SOURCE, 3)
            self.data(OST_STATUS, 0x82)
            info = {"device": "c2", "slot": "2", "slot-type": "CPU", "source": 3, "status": 0x82}
            self.assertEqual(qmp.wait_event("ACPI_DEVICE_OST")["data"]["info"], info)
            self.assertEqual(qmp.wait_event("DEVICE_UNPLUG_GUEST_ERROR")["data"]["device"], "c2")
            self.assertEqual(qmp.command("query-acpi-ospm-status")[2], info)
            qmp.command("device_del", id="c2")
            self.write(EJECT)
            self.assertEqual(qmp.wait_event("DEVICE_DELETED")["data"],
                             {"device": "c2", "path": "/machine/peripheral/c2"})
            self.assertEqual((self.flags(), self.indexes()), (0, [0, 3]))
            qmp.command("device_add", id="c2", **self.CPU)
            self.assertEqual(self.indexes(), [0, 3, 2])
            qmp.command("system_reset")
            qmp.wait_event("RESET")
            self.assertEqual(struct.unpack("<H", fw_cfg(self.q, NB_CPUS, 2))[0], 3)
            self.q.close()

    def threads(self):
        """CPUs that have one."""
        folder, found = f"/proc/{self.q.process.pid}/task", []
        for task in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError), open(f"{folder}/{task}/comm", encoding="ascii") as f:
                found += re.findall(r"CPU (\d+)/", f.read())
        return sorted(map(int, found))

    def again_and_again(self, *accel):
        """Beside CPUs that run: threads start and end."""
        self.start("pc", "1,maxcpus=4,sockets=4,cores=1", accel=accel)
        self.select(0)
        for i in range(5):
            self.q.qmp.command("device_add", id=f"c{i}", **self.CPU)
            self.assertEqual((self.indexes(), self.threads()), ([0, 2], [0, 2]))
            self.select(2)
            self.write(EJECT)
            self.assertEqual(self.q.qmp.wait_event("DEVICE_DELETED")["data"]["device"], f"c{i}")
            self.assertEqual((self.indexes(), self.threads()), ([0], [0]))

    def test_threads(self):
        self.again_and_again("-accel", "soft")

    def test_threads_counted(self):
        self.again_and_again("-accel", "soft", "-icount", "2")

    def test_kvm(self):
        need_kvm()
        for mode in ("off", "split", "on"):
            self.again_and_again("-accel", f"kvm,kernel-irqchip={mode}")

    def test_help(self):
        text = subprocess.run([OSTLER, "-device", "Nehalem-x86_64-cpu,help"], capture_output=True, text=True, check=True)
        self.assertIn("  core-id=<int32>", text.stdout)

    def test_wrong_places(self):
        self.start("pc", "1,maxcpus=4,sockets=4,cores=1")
        for change, says in (({"socket-id": 0}, r"CPU\[0\] with APIC ID 0 exists"),
                             ({"socket-id": 4}, "Invalid CPU socket-id: 4 must be in range 0:3"),
                             ({"driver": "Nehalem-x86_64-cpu"}, "expected cpu type: 'qemu64-x86_64-cpu'"),
                             ({"driver": "nonsense-x86_64-cpu"}, "not a valid device model name"),
                             ({"driver": "x86_64-cpu"}, "non-abstract")):
            with self.assertRaisesRegex(QmpError, says):
                self.q.qmp.command("device_add", id="c", **{**self.CPU, **change})
        with self.assertRaisesRegex(QmpError, "Boot CPU is unpluggable"):
            self.q.qmp.command("device_del", id="/machine/unattached/device[0]")
        self.assertEqual(self.indexes(), [0])


if __name__ == "__main__":
    main()
