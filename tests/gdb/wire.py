"""The client's end of the remote serial protocol, for tests: packets as they are, and whatever else a socket can carry."""
import socket
import time


def frame(body):
    """A packet with this body (bytes or text), escaped as a client does it."""
    raw = body.encode("latin-1") if isinstance(body, str) else body
    escaped = bytearray()
    for byte in raw:
        if byte in b"#$}*":
            escaped += bytes((0x7d, byte ^ 0x20))
        else:
            escaped.append(byte)
    return b"$" + bytes(escaped) + b"#%02x" % (sum(escaped) & 255)


def expand(body):
    """Escapes and run lengths resolved."""
    out, at = bytearray(), 0
    while at < len(body):
        if body[at] == 0x7d:
            out.append(body[at + 1] ^ 0x20)
            at += 2
        elif body[at] == 0x2a:
            out += out[-1:] * (body[at + 1] - 29)
            at += 2
        else:
            out.append(body[at])
            at += 1
    return bytes(out)


class Client:
    """One connection.  Replies are acknowledged until no_ack() was agreed on."""

    def __init__(self, path, limit=20):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(limit)
        try:
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self.acks = True
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def raw(self, data):
        self.sock.sendall(data)

    def byte(self):
        while not self.buffer:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the stub closed the connection")
            self.buffer = data
        first, self.buffer = self.buffer[:1], self.buffer[1:]
        return first

    def take(self, byte):
        """The next byte must be this one."""
        got = self.byte()
        assert got == byte, f"{byte} was expected, not {got + self.buffer[:60]}"

    def reply(self):
        """The next packet's body, as text of bytes."""
        byte = self.byte()
        while byte in b"+":
            byte = self.byte()
        assert byte == b"$", f"a packet was expected, not {byte + self.buffer[:60]}"
        while b"#" not in self.buffer or len(self.buffer) < self.buffer.index(b"#") + 3:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError("the stub closed the connection within a packet")
            self.buffer += data
        end = self.buffer.index(b"#")
        body, check = self.buffer[:end], self.buffer[end + 1:end + 3]
        self.buffer = self.buffer[end + 3:]
        assert int(check, 16) == sum(body) & 255, f"wrong checksum of {body[:60]}"
        if self.acks:
            self.raw(b"+")
        return expand(body).decode("latin-1")

    def send(self, body):
        self.raw(frame(body))

    def ask(self, body):
        self.send(body)
        return self.reply()

    def no_ack(self):
        assert self.ask("QStartNoAckMode") == "OK"
        self.acks = False

    def quiet(self, seconds=0.3):
        """Nothing but acknowledgements comes within this time."""
        end = time.monotonic() + seconds
        limit = self.sock.gettimeout()
        while not self.buffer.strip(b"+"):
            self.buffer = b""
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                self.buffer = self.sock.recv(4096)
            except socket.timeout:
                return True
            finally:
                self.sock.settimeout(limit)
            if not self.buffer:
                raise EOFError("the stub closed the connection")
        return False

    # ---- What packets say ----

    def xml(self):
        text = ""
        while True:
            part = self.ask(f"qXfer:features:read:target.xml:{len(text):x},{0x1000:x}")
            text += part[1:]
            if part[0] == "l":
                return text

    def memory(self, at, size):
        return bytes.fromhex(self.ask(f"m{at:x},{size:x}"))

    def write(self, at, data):
        assert self.ask(f"M{at:x},{len(data):x}:{data.hex()}") == "OK"

    def monitor(self, line):
        """What it prints."""
        self.send("qRcmd," + line.encode().hex())
        text = b""
        while True:
            part = self.reply()
            if not part.startswith("O") or part == "OK":
                assert part == "OK", part
                return text.decode()
            text += bytes.fromhex(part[1:])


def connect(path, limit=20):
    """A client, as soon as somebody listens there."""
    end = time.monotonic() + limit
    while True:
        try:
            return Client(path)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
