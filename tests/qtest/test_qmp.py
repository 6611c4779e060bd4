"""The monitors as clients see them, on a machine that does not run."""
import json
import socket
import unittest

import harness


class Monitor(unittest.TestCase):
    def setUp(self):
        self.machine = harness.Machine("-S", "-accel", "qtest", "-m", "16", serial=False)
        self.addCleanup(self.machine.close)
        self.qmp = self.machine.qmp

    def raw(self, data):
        """The answer to bytes."""
        self.qmp.sock.sendall(data + b"\n")
        return self.qmp.read()

    def refused(self, data, text, kind="GenericError"):
        error = self.raw(data)["error"]
        self.assertEqual(error["class"], kind)
        self.assertIn(text, error["desc"])

    def test_shape_of_requests(self):
        self.refused(b'{}', "lacks member 'execute'")
        self.refused(b'[]', "must be a JSON object")
        self.refused(b'{"execute":1}', "must be a string")
        self.refused(b'{"execute":"x"}', "The command x has not been found", "CommandNotFound")
        self.refused(b'{"execute":"query-status","x":1}', "QMP input member 'x' is unexpected")
        self.refused(b'{"execute":"query-status","arguments":{"a":1}}', "Parameter 'a' is unexpected")
        self.refused(b'{"execute":"screendump"}', "Parameter 'filename' is missing")
        self.refused(b'[' * 1100, "JSON nesting depth limit exceeded")
        # A byte FF resets the reader, whatever came before.
        self.qmp.sock.sendall(b'{"execute":"query-\0status"}\n\xff{"execute":"query-status","id":"after"}')
        errors = 0
        while (answer := self.qmp.read()).get("id") != "after":
            self.assertIn("JSON parse error", answer["error"]["desc"])
            errors += 1
        self.assertGreater(errors, 0)
        for value in ({"a": [1, 2.5, None, True]}, None, "text", 12345678901234567890):
            answer = self.raw(json.dumps({"execute": "query-status", "id": value}).encode())
            self.assertEqual(answer["id"], value)

    def test_events_of_one_packet(self):
        """Several commands at once: what each asks for happens before the next one."""
        names = ["system_reset", "system_powerdown", "quit"]
        self.qmp.sock.sendall(b"".join(b'{"execute":"%s"}' % n.encode() for n in names))
        events, answers = [], 0
        while answers < 3 or events[-1:] != ["SHUTDOWN"]:
            message = self.qmp.read()
            answers += "return" in message
            events += [message["event"]] if "event" in message else []
        self.assertEqual(events, ["RESET", "POWERDOWN", "SHUTDOWN"])
        self.assertEqual(self.machine.process.wait(30), 0)

    def test_schema_is_closed(self):
        schema = {e["name"]: e for e in self.qmp.command("query-qmp-schema")}

        def used(entry):
            for key in ("arg-type", "ret-type", "element-type"):
                if key in entry:
                    yield entry[key]
            for member in entry.get("members", []):
                if isinstance(member, dict) and "type" in member:
                    yield member["type"]
            for variant in entry.get("variants", []):
                yield variant["type"]

        for entry in schema.values():
            for name in used(entry):
                self.assertIn(name, schema, entry["name"])
        for command in self.qmp.command("query-commands"):
            self.assertEqual(schema[command["name"]]["meta-type"], "command")
        for event in self.qmp.command("query-events"):
            self.assertEqual(schema[event["name"]]["meta-type"], "event")

    def test_stopped_machine_takes_no_input(self):
        with self.assertRaisesRegex(harness.QmpError, "VM not running"):
            self.qmp.command("input-send-event",
                             events=[{"type": "btn", "data": {"down": True, "button": "left"}}])

    def test_objects(self):
        with self.assertRaisesRegex(harness.QmpError, "non-abstract"):
            self.qmp.command("device-list-properties", typename="device")
        with self.assertRaisesRegex(harness.QmpError, "not found") as caught:
            self.qmp.command("qom-list", path="/nope")
        self.assertEqual(caught.exception.kind, "DeviceNotFound")
        names = {p["name"] for p in self.qmp.command("device-list-properties", typename="VGA")}
        self.assertIn("vgamem_mb", names)
        self.assertEqual(self.qmp.command("qom-get", path="/machine", property="type"), "pc-i440fx-7.2-machine")

    def test_user_objects(self):
        """object-add and object-del, and what the tree of objects says of them."""
        qmp = self.qmp
        made = {t["name"] for t in qmp.command("qom-list-types", implements="user-creatable")}
        self.assertIn("memory-backend-ram", made)
        self.assertNotIn("memory-backend", made)
        self.assertEqual({t["name"] for t in qmp.command("qom-list-types", implements="memory-backend")},
                         {"memory-backend-ram", "memory-backend-memfd", "memory-backend-file"})
        qmp.command("object-add", **{"qom-type": "memory-backend-ram", "id": "m0", "size": 1 << 20, "merge": False})
        self.assertIn({"name": "m0", "type": "child<memory-backend-ram>"}, qmp.command("qom-list", path="/objects"))
        get = lambda name: qmp.command("qom-get", path="/objects/m0", property=name)  # noqa: E731
        self.assertEqual([get("size"), get("merge"), get("dump"), get("type")], [1 << 20, False, True, "memory-backend-ram"])
        listed = {p["name"] for p in qmp.command("qom-list-properties", typename="memory-backend-file")}
        self.assertLessEqual({"type", "size", "mem-path"}, listed)
        for add, text in (({"qom-type": "memory-backend-ram", "id": "m0", "size": 4096}, "Duplicate object ID 'm0'"),
                          ({"qom-type": "memory-backend", "id": "m1"}, "invalid object type: memory-backend"),
                          ({"qom-type": "memory-backend-ram", "id": "m1", "size": {}}, "Invalid parameter type for 'size'"),
                          ({"qom-type": "memory-backend-ram", "id": "m1", "nope": 1}, "memory-backend-ram.nope' not found"),
                          ({"qom-type": "memory-backend-ram"}, "Parameter 'id' is missing")):
            with self.assertRaisesRegex(harness.QmpError, text):
                qmp.command("object-add", **add)
        qmp.command("object-del", id="m0")
        with self.assertRaisesRegex(harness.QmpError, "object 'm0' not found"):
            qmp.command("object-del", id="m0")
        hmp = self.machine.hmp
        self.assertEqual(hmp("object_add memory-backend-memfd,id=m2,size=2M"), "")
        self.assertIn("m2", hmp("info ramblock"))
        self.assertEqual(hmp("object_del m2"), "")
        self.assertNotIn("m2", hmp("info ramblock"))

    def test_human(self):
        hmp = self.machine.hmp
        self.assertEqual(hmp("nope"), "unknown command: 'nope'\r\n")
        self.assertEqual(hmp("help nope"), "unknown command: 'nope'\r\n")
        self.assertEqual(hmp("info network"), "")
        self.assertEqual(hmp("p/x 255"), "0xff\r\n")
        self.assertRegex(hmp("xp/2wx 0xffff0"), r"^00000000000ffff0: 0x[0-9a-f]{8} 0x[0-9a-f]{8}\r\n$")
        self.assertRegex(hmp("xp/1wo 0x100000"), r"^0000000000100000: {11}0\r\n$")
        for name in ("registers", "mem", "mtree", "qtree", "pci", "pic", "irq", "chardev", "block", "roms"):
            self.assertNotIn("unknown command", hmp("info " + name))

    def test_next_client(self):
        """A new client is served after the first one left."""
        self.assertIn("compat_monitor0", {c["label"] for c in self.qmp.command("query-chardev")})
        self.qmp.sock.shutdown(socket.SHUT_RDWR)
        again = self.machine.connect()
        self.assertFalse(again.command("query-status")["running"])
        again.file.close()
        again.sock.close()


if __name__ == "__main__":
    harness.main()
