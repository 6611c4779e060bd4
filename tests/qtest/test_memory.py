#!/usr/bin/env python3
"""Memory: back ends, how much RAM is laid out and described to firmware, NUMA nodes."""
import os
import struct
import tempfile
import unittest

from qtest import Pci, Qtest, QmpError, main
from test_acpi import fw_cfg_file, tables_in

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
HT, HT_END = 1012 * GIB, TIB            # AMD's HyperTransport
RAM, RESERVED = 1, 2
NODES = ("-object", "memory-backend-ram,id=m0,size=1G", "-object", "memory-backend-memfd,id=m1,size=3G",
         "-numa", "node,nodeid=0,cpus=0-1,memdev=m0", "-numa", "node,nodeid=1,cpus=2-3,memdev=m1")


def srat(table):
    """(processors: number -> domain, memory: [(address, size, domain, flags)])"""
    processors, memory, at = {}, [], 48
    while at < len(table):
        kind, length = table[at], table[at + 1]
        entry = table[at:at + length]
        if kind == 0:
            assert entry[4] & 1
            processors[entry[3]] = entry[2]
        elif kind == 1:
            domain, address, size, flags = struct.unpack_from("<I2xQQ4xI", entry, 2)
            memory.append((address, size, domain, flags))
        elif kind == 2:
            domain, number, flags = struct.unpack_from("<III", entry, 4)
            assert flags & 1
            processors[number] = domain
        at += length
    return processors, memory


class MemoryTest(unittest.TestCase):
    def machine(self, *args):
        q = Qtest(*args)
        self.addCleanup(q.close)
        return q

    def e820(self, q):
        data = fw_cfg_file(q, "etc/e820")
        return [struct.unpack_from("<QQI", data, at) for at in range(0, len(data), 20)]

    def hmp(self, q, line):
        return q.qmp.command("human-monitor-command", **{"command-line": line}).replace("\r", "")

    def resident(self, q):
        with open(f"/proc/{q.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))


class Much(MemoryTest):
    def works_at(self, q, *places):
        for n, at in enumerate(places):
            q.writeq(at, 0x1122334455667788 + n)
        for n, at in enumerate(places):
            self.assertEqual(q.readq(at), 0x1122334455667788 + n)

    def test_256g(self):
        q = self.machine("-m", "256G")
        self.assertEqual(self.e820(q), [(0, 3 * GIB, RAM), (4 * GIB, 253 * GIB, RAM)])
        self.works_at(q, 0, 3 * GIB - 8, 4 * GIB, 257 * GIB - 8)
        self.assertEqual(q.readq(257 * GIB), 2 ** 64 - 1)

    def test_1t_intel(self):
        q = self.machine("-m", "1T", "-M", "q35", "-cpu", "Nehalem")
        self.assertEqual(self.e820(q), [(0, 2 * GIB, RAM), (4 * GIB, 1022 * GIB, RAM)])
        self.works_at(q, HT, TIB, 1026 * GIB - 8)
        self.assertEqual(q.readq(1026 * GIB), 2 ** 64 - 1)
        self.assertLess(self.resident(q), 64 * MIB)

    def test_1t_amd(self):
        """Nothing lies where HyperTransport is: all RAM above 4 GiB moves behind it."""
        q = self.machine("-m", "1T")
        self.assertEqual(self.e820(q), [(0, 3 * GIB, RAM), (TIB, 1021 * GIB, RAM), (HT, HT_END - HT, RESERVED)])
        self.works_at(q, 0x100000, TIB, TIB + 1021 * GIB - 8)
        self.assertEqual([q.readq(4 * GIB), q.readq(HT)], [2 ** 64 - 1] * 2)
        self.assertGreaterEqual(q.qmp.command("qom-get", path=q.qmp.command("query-cpus-fast")[0]["qom-path"],
                                              property="phys-bits"), 41)

    def test_just_below(self):
        q = self.machine("-m", "1011G")
        self.assertEqual(self.e820(q)[1:], [(4 * GIB, 1008 * GIB, RAM)])
        q.close()
        q = self.machine("-m", "1012G")
        self.assertEqual(self.e820(q)[1][0], TIB)


class Backends(MemoryTest):
    def test_main_memory_in_a_file(self):
        with tempfile.TemporaryDirectory(prefix="ostler-memory-") as folder:
            path = os.path.join(folder, "ram")
            args = (f"memory-backend-file,id=main,mem-path={path},size=32M,align=2M,", "-machine",
                    "memory-backend=main")
            q = self.machine("-object", args[0] + "share=on", *args[1:])
            self.assertEqual(q.qmp.command("query-memory-size-summary")["base-memory"], 32 * MIB)
            q.writeq(0x1234560, 0xfeedface)
            with open(path, "rb") as f:
                f.seek(0x1234560)
                self.assertEqual(f.read(8), struct.pack("<Q", 0xfeedface))
            with self.assertRaisesRegex(QmpError, "object 'main' is in use"):
                q.qmp.command("object-del", id="main")
            q.close()
            q = self.machine("-object", args[0] + "share=off", *args[1:])
            self.assertEqual(q.readq(0x1234560), 0xfeedface, "what the file holds is there")
            q.writeq(0x1234560, 1)
            q.close()
            q = self.machine("-object", args[0] + "share=on,discard-data=on", *args[1:])
            self.assertEqual(q.readq(0x1234560), 0xfeedface, "but not changed when it was not shared")
            self.assertEqual(q.terminate(), 0)
            with open(path, "rb") as f:
                self.assertFalse(any(f.read()), "nobody wanted it any more")

    def test_query(self):
        q = self.machine("-object", "memory-backend-ram,id=a,size=4M,prealloc=on,prealloc-threads=2,merge=off,"
                         "reserve=on", "-object", "memory-backend-memfd,id=b,size=8M,dump=off")
        a, b = q.qmp.command("query-memdev")
        self.assertEqual(a, {"id": "a", "size": 4 * MIB, "merge": False, "dump": True, "prealloc": True, "share": False,
                             "reserve": True, "policy": "default", "host-nodes": []})
        self.assertEqual((b["size"], b["share"], b["dump"], "reserve" in b), (8 * MIB, True, False, False))
        text = self.hmp(q, "info memdev")
        self.assertIn("memory backend: a\n  size:  4194304\n  merge: false\n", text)
        with open(f"/proc/{q.process.pid}/smaps", encoding="ascii") as f:
            maps = f.read().split("VmFlags:")
        sizes = [(m.split("Size:")[1].split()[0], m.split("Rss:")[1].split()[0]) for m in maps if "Size:" in m]
        self.assertIn(("4096", "4096"), sizes, "all of it is there")


class Dimms(MemoryTest):
    """The test is the guest: it has the registers' answers, and gives _OST's."""
    PORT, STATUS = 0xa00, 0xa14
    ENABLED, INSERTED, REMOVING, EJECT = 1, 2, 4, 8

    def dimms(self, *args, board="pc"):
        q = self.machine("-M", board, "-m", "256M,slots=3,maxmem=4G", *args)
        if board == "q35":              # the firmware's part: where the events are
            Pci(q, 31).writel(0x40, 0x600)
            Pci(q, 31).writeb(0x44, 0x80)
        return q

    def add(self, q, n, size=256 * MIB, **properties):
        q.qmp.command("object-add", **{"qom-type": "memory-backend-ram", "id": f"m{n}", "size": size})
        q.qmp.command("device_add", driver="pc-dimm", id=f"d{n}", memdev=f"m{n}", **properties)

    def event(self, q, name):
        return q.qmp.wait_event(name, 10)["data"]

    def cycle(self, q, gpe):
        q.outb(gpe, 0xff)
        self.add(q, 1)
        self.assertEqual(q.inb(gpe) & 8, 8, "general-purpose event 3")
        q.outb(gpe, 8)
        q.outl(self.PORT, 0)
        self.assertEqual((q.inl(self.PORT), q.inl(self.PORT + 4), q.inl(self.PORT + 8)), (0, 1, 256 * MIB))
        self.assertEqual(q.inb(self.STATUS), self.ENABLED | self.INSERTED)
        q.outb(self.STATUS, self.INSERTED)
        q.writeq(4 * GIB + 256 * MIB - 8, 0xabcdef)
        self.assertEqual(q.readq(4 * GIB + 256 * MIB - 8), 0xabcdef)
        for wrong, text in (("device_del", "already in the process"), ("object-del", "in use")):
            if wrong == "device_del":
                q.qmp.command("device_del", id="d1")
            with self.assertRaisesRegex(QmpError, text):
                q.qmp.command(wrong, id={"device_del": "d1", "object-del": "m1"}[wrong])
        self.assertEqual(q.inb(gpe) & 8, 8)
        self.assertEqual(q.inb(self.STATUS), self.ENABLED | self.REMOVING)
        q.outb(self.STATUS, self.REMOVING)
        q.outl(self.PORT + 4, 0x103)    # _OST: no
        q.outl(self.PORT + 8, 0x82)
        self.assertEqual(self.event(q, "ACPI_DEVICE_OST")["info"],
                         {"device": "d1", "slot": "0", "slot-type": "DIMM", "source": 0x103, "status": 0x82})
        self.assertEqual(self.event(q, "MEM_UNPLUG_ERROR")["device"], "d1")
        self.assertEqual(self.event(q, "DEVICE_UNPLUG_GUEST_ERROR")["device"], "d1")
        q.qmp.command("device_del", id="d1")
        q.outb(self.STATUS, self.EJECT)
        self.assertEqual(self.event(q, "DEVICE_DELETED")["device"], "d1")
        self.assertEqual((q.inb(self.STATUS), q.readq(4 * GIB)), (0, 2 ** 64 - 1))
        q.qmp.command("object-del", id="m1")

    def test_pc(self):
        self.cycle(self.dimms(), 0xafe0)

    def test_q35(self):
        self.cycle(self.dimms(board="q35"), 0x620)

    def test_what_is_there(self):
        q = self.dimms("-object", "memory-backend-ram,id=m0,size=512M", "-device", "pc-dimm,id=d0,memdev=m0,slot=2")
        self.add(q, 1, GIB)
        self.add(q, 2, 128 * MIB, addr=8 * GIB)
        found = [d["data"] for d in q.qmp.command("query-memory-devices")]
        self.assertEqual([(d["id"], d["slot"], d["addr"], d["size"], d["hotplugged"]) for d in found],
                         [("d1", 0, 5 * GIB, GIB, True), ("d2", 1, 8 * GIB, 128 * MIB, True),
                          ("d0", 2, 4 * GIB, 512 * MIB, False)])
        self.assertEqual(found[0]["memdev"], "/objects/m1")
        self.assertEqual(q.qmp.command("qom-get", path="d0", property="memdev"), "/objects/m0")
        self.assertEqual(q.qmp.command("query-memory-size-summary"),
                         {"base-memory": 256 * MIB, "plugged-memory": (512 + 1024 + 128) * MIB})
        self.assertIn('Memory device [dimm]: "d1"\n  addr: 0x140000000\n  slot: 0\n  node: 0\n  size: 1073741824\n',
                      self.hmp(q, "info memory-devices"))
        self.assertIn("node 0 plugged: 1664 MB\n", self.hmp(q, "info numa"))
        self.assertEqual(self.e820(q), [(0, 256 * MIB, RAM)], "only ACPI tells of DIMMs")
        room = srat(tables_in(fw_cfg_file(q, "etc/acpi/tables"))["SRAT"])[1][-1]
        self.assertEqual(room, (4 * GIB, 4 * GIB - 256 * MIB + 3 * GIB, 0, 3))
        self.assertEqual(fw_cfg_file(q, "etc/reserved-memory-end"), struct.pack("<Q", 11 * GIB))
        with self.assertRaisesRegex(QmpError, "no slot is free"):
            self.add(q, 3)
        q.qmp.command("device_del", id="d1")
        q.qmp.command("system_reset")   # ends the wait for a guest that is no more
        self.assertEqual(self.event(q, "DEVICE_DELETED")["device"], "d1")
        self.assertEqual([d["data"]["id"] for d in q.qmp.command("query-memory-devices")], ["d2", "d0"])


class Numa(MemoryTest):
    def test_tables(self):
        q = self.machine("-m", "4G", "-smp", 4, *NODES, "-numa", "dist,src=0,dst=1,val=31")
        found = tables_in(fw_cfg_file(q, "etc/acpi/tables"))
        processors, memory = srat(found["SRAT"])
        self.assertEqual(processors, {0: 0, 1: 0, 2: 1, 3: 1})
        self.assertEqual(memory, [(0, 640 << 10, 0, 1), (MIB, GIB - MIB, 0, 1), (GIB, 2 * GIB, 1, 1),
                                  (4 * GIB, GIB, 1, 1)])
        self.assertEqual(found["SLIT"][36:], struct.pack("<Q4B", 2, 10, 31, 31, 10))
        q.writeq(GIB - 4, 0x1122334455667788)   # across the back ends
        self.assertEqual((q.readl(GIB - 4), q.readl(GIB)), (0x55667788, 0x11223344))
        places = {c["props"]["core-id"]: c["props"]["node-id"] for c in q.qmp.command("query-hotpluggable-cpus")}
        self.assertEqual(places, processors)
        text = self.hmp(q, "info numa")
        self.assertIn("2 nodes\nnode 0 cpus: 0 1\nnode 0 size: 1024 MB\n", text)
        self.assertIn("node 1 cpus: 2 3\nnode 1 size: 3072 MB\n", text)

    def test_processors_that_come(self):
        """device_add takes what query-hotpluggable-cpus says of a place, node and all."""
        q = self.machine("-m", "64", "-smp", "1,maxcpus=4", "-numa", "node,mem=32,cpus=0-1", "-numa",
                         "node,mem=32,cpus=2-3")
        place = next(c for c in q.qmp.command("query-hotpluggable-cpus") if c["props"]["core-id"] == 3)
        with self.assertRaisesRegex(QmpError, "node-id: 0 doesn't match its place, which has 1"):
            q.qmp.command("device_add", driver=place["type"], id="c3", **{**place["props"], "node-id": 0})
        q.qmp.command("device_add", driver=place["type"], id="c3", **place["props"])
        self.assertIn("node 1 cpus: 3\n", self.hmp(q, "info numa"))
        self.assertIn('node-id: "1"', self.hmp(q, "info hotpluggable-cpus"))

    def test_sockets_go_round(self):
        q = self.machine("-m", "64", "-smp", "8,sockets=4,cores=2", "-numa", "node,mem=48", "-numa", "node,mem=16")
        found = tables_in(fw_cfg_file(q, "etc/acpi/tables"))
        self.assertEqual(srat(found["SRAT"])[0], {0: 0, 1: 0, 2: 1, 3: 1, 4: 0, 5: 0, 6: 1, 7: 1})
        self.assertNotIn("SLIT", found)

    def test_by_place(self):
        q = self.machine("-m", "64", "-smp", "4,sockets=2,cores=2", "-numa", "node,mem=32", "-numa", "node,mem=32",
                         "-numa", "cpu,node-id=1,socket-id=0", "-numa", "cpu,node-id=0,socket-id=1,core-id=0",
                         "-numa", "cpu,node-id=1,socket-id=1,core-id=1", "-numa", "dist,src=0,dst=1,val=20",
                         "-numa", "dist,src=1,dst=0,val=40")
        found = tables_in(fw_cfg_file(q, "etc/acpi/tables"))
        self.assertEqual(srat(found["SRAT"])[0], {0: 1, 1: 1, 2: 0, 3: 1})
        self.assertEqual(found["SLIT"][44:], bytes([10, 20, 40, 10]))

    def test_wide_numbers(self):
        """From 255 on a processor's number needs the longer entry."""
        q = self.machine("-m", "64", "-smp", "255,sockets=85,cores=3,threads=1", "-cpu", "max", "-numa", "node,mem=64")
        table = tables_in(fw_cfg_file(q, "etc/acpi/tables"))["SRAT"]
        processors = srat(table)[0]
        self.assertEqual((len(processors), max(processors)), (255, 84 << 2 | 2))
        self.assertEqual(len(table), 48 + 192 * 16 + 63 * 24 + 2 * 40)


if __name__ == "__main__":
    main()
