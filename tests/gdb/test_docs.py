#!/usr/bin/env python3
"""The transcripts of docs/debugging.md, replayed.

A block ```c NAME or ```asm NAME is a file.  A block ```console is a terminal: `$ ` lines are commands of the shell (with
` &` at the end: left running), `(gdb) ` lines go to the gdb that was started last.  What stands below must come, line by
line; `...` stands for any text, alone on a line for any lines.  ```console needs=PATH is skipped where PATH is missing.
A section (##) is a test and has a folder of its own, with the files of those before it and what ```console setup has made
there; each block ends what it has started.

    test_docs.py            replay
    test_docs.py --show     print what really comes, to write the page from
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "boot"))
from harness import OSTLER, main, need_tool  # noqa: E402  (found by the line above)
from gdb_session import Gdb  # noqa: E402

PAGE = os.path.join(HERE, "..", "..", "docs", "debugging.md")
SECONDS = 240


class Block:
    def __init__(self, section, info, line):
        self.section, self.line, self.lines = section, line, []
        words = info.split()
        self.kind = words[0] if words else ""
        self.name = next((w for w in words[1:] if "=" not in w), None)
        self.needs = [w[len("needs="):] for w in words[1:] if w.startswith("needs=")]

    def steps(self):
        """[prompt, command, lines expected behind it] for each command."""
        out = []
        for line in self.lines:
            if match := re.match(r"(\$|\(gdb\)) (.*)", line):
                out.append([match[1], match[2], []])
            elif out:
                out[-1][2].append(line)
        return out


def read_page():
    blocks, section, current = [], "", None
    with open(PAGE, encoding="utf-8") as page:
        for number, line in enumerate(page.read().split("\n"), 1):
            if line.startswith("```"):
                current = None if current else Block(section, line[3:], number)
                if current:
                    blocks.append(current)
            elif current:
                current.lines.append(line)
            elif line.startswith("## "):
                section = line[3:]
    return blocks


def pattern(lines):
    out = ""
    for line in lines:
        if line.strip() == "...":
            out += r"(?:[^\n]*\n)*?"
        else:
            out += "[^\n]*".join(re.escape(part.rstrip() if i else part) for i, part in enumerate(line.split("..."))) + r"[ \t]*\n"
    return out


class Terminal:
    """One console block: its gdb, and what it left running."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.gdb, self.running = folder, environment, None, []

    def shell(self, command):
        if command.startswith("gdb"):
            if self.gdb:
                self.gdb.close()
            self.gdb = Gdb(*shlex.split(command)[1:], seconds=SECONDS, cwd=self.folder, env=self.environment)
            return self.gdb.greeting
        if command.endswith(" &"):
            with open(os.path.join(self.folder, "background.log"), "ab") as log:
                self.running.append(subprocess.Popen(shlex.split(command[:-2]), cwd=self.folder, env=self.environment,
                                                     stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            self.wait_for_sockets(command)
            return ""
        done = subprocess.run(command, shell=True, executable="/bin/bash", cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS)
        return done.stdout.decode("utf-8", "replace")

    def wait_for_sockets(self, command):
        for name in re.findall(r"unix:([^,\s]+)", command):
            end = time.monotonic() + 20
            while not os.path.exists(os.path.join(self.folder, name)) and time.monotonic() < end:
                time.sleep(0.02)

    def behind(self):
        """What was left running has said."""
        try:
            with open(os.path.join(self.folder, "background.log"), encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def close(self):
        for process in self.running:
            process.kill()
            process.wait()
        if self.gdb:
            self.gdb.close()


def as_lines(text):
    text = text.replace("\r", "")
    return text if not text or text.endswith("\n") else text + "\n"


class Page(unittest.TestCase):
    """A test for each section, see add_tests."""

    def replay(self, before, own):
        need_tool("gdb"), need_tool("gcc")
        folder = tempfile.mkdtemp(prefix="ostler-docs-")
        self.addCleanup(shutil.rmtree, folder, True)
        os.symlink(shutil.which(OSTLER) or os.path.abspath(OSTLER), os.path.join(folder, "ostler"))
        environment = {**os.environ, "PATH": folder + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        done = False
        for block in before + own:
            if block.kind in ("c", "asm", "python") and block.name:
                with open(os.path.join(folder, block.name), "w", encoding="utf-8") as f:
                    f.write("\n".join(block.lines) + "\n")
            elif block.kind == "console" and all(os.path.exists(path) for path in block.needs):
                self.console(block, folder, environment)
                done |= block in own
        if not done:
            raise unittest.SkipTest("missing: " + ", ".join(n for b in own for n in b.needs))

    def console(self, block, folder, environment):
        terminal = Terminal(folder, environment)
        try:
            for prompt, command, expected in block.steps():
                if SHOW:
                    print(f"{prompt} {command}", flush=True)
                text = as_lines(terminal.shell(command) if prompt == "$" else terminal.gdb.do(command))
                if SHOW:
                    print(text, end="", flush=True)
                elif not re.fullmatch(pattern(expected), text):
                    self.fail(f"docs/debugging.md, block at line {block.line}: {prompt} {command}\nexpected:\n"
                              + "\n".join(expected) + f"\ncame:\n{text}{terminal.behind()}")
        finally:
            terminal.close()


def add_tests():
    blocks = read_page()
    for section in dict.fromkeys(b.section for b in blocks):
        own = [b for b in blocks if b.section == section]
        if any(b.kind == "console" for b in own):
            files = [b for b in blocks if b.name and b.line < own[0].line]      # and those that make something of them
            name = "test_" + re.sub(r"\W+", "_", section.lower()).strip("_")
            setattr(Page, name, lambda self, own=own, files=files: self.replay(files, own))


SHOW = "--show" in sys.argv
if SHOW:
    sys.argv.remove("--show")
add_tests()
if __name__ == "__main__":
    main()
