"""A gdb on pipes: one command in, what it prints out."""
import os
import select
import signal
import subprocess
import time

PROMPT = b"(gdb) "
# Nobody's .gdbinit, no questions, no colours, no network; long lines stay whole.
SETTINGS = ["-nx", "-q", "-iex", "set pagination off", "-iex", "set confirm off", "-iex", "set style enabled off",
            "-iex", "set width 0", "-iex", "set debuginfod enabled off", "-iex", "set startup-quietly on"]


class Gdb:
    def __init__(self, *args, seconds=240, **options):
        """gdb with these arguments; `seconds` is how long one command may take."""
        self.seconds = seconds
        self.process = subprocess.Popen(["gdb", *SETTINGS, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, **options)
        self.greeting = self.answer()

    def answer(self):
        """All until the next prompt."""
        text, end = b"", time.monotonic() + self.seconds
        while not text.endswith(PROMPT):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            if not ready:
                return text.decode("utf-8", "replace") + f"\n(no prompt within {self.seconds} s)\n"
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                return text.decode("utf-8", "replace")
            text += more
        return text.decode("utf-8", "replace")[:-len(PROMPT)]

    def do(self, *commands):
        """The output of each, joined."""
        out = ""
        for command in commands:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
            out += self.answer()
        return out

    def interrupt(self):
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)     # what it started (target remote |) goes too
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
