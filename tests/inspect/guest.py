"""The guest that the tests here look at (guest.asm), and what its memory holds."""
import os
import subprocess
import time

import harness

FOLDER = os.path.dirname(os.path.abspath(__file__))
PLAIN, LEGACY, PAE, LONG, LA57, HOSTILE, MANY = range(7)
NEEDLES, COUNTER, WATCHED = 0x50000, 0x51000, 0x51010
ACCEL = os.environ.get("INSPECT_ACCEL", "soft")


class Guest(harness.Machine):
    """guest.asm under way, in the mode MODE, with its labels in .labels."""

    def __init__(self, test, mode, *args):
        folder = test.folder
        image, listing = f"{folder}/guest{mode}.bin", f"{folder}/guest{mode}.map"
        source = f"{folder}/guest{mode}.asm"
        with open(source, "w", encoding="ascii") as f:
            f.write(f'[map symbols {listing}]\n%define MODE {mode}\n%include "{FOLDER}/guest.asm"\n')
        subprocess.run([harness.need_tool("nasm"), "-f", "bin", "-i", f"{FOLDER}/../system/", "-o", image, source],
                       check=True)
        self.labels = {}
        with open(listing, encoding="ascii") as f:
            for line in f:
                words = line.split()
                if len(words) == 3 and len(words[0]) == len(words[1]) and words[2] in ("again", "target", "text"):
                    self.labels[words[2]] = int(words[1], 16)
        said = f"{folder}/said"
        if os.path.exists(said):
            os.unlink(said)
        super().__init__("-accel", ACCEL, "-cpu", "max", "-m", "32", "-nodefaults", "-vga", "none", "-bios", image,
                         "-debugcon", f"file:{said}", *args, serial=False)
        end = time.monotonic() + 60
        while True:
            with open(said, encoding="latin-1") as f:
                if "ready" in f.read():
                    return
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError("the guest does not start")
            time.sleep(0.02)

    def lines(self, line):
        """What a monitor command prints."""
        return self.hmp(line).replace("\r", "").rstrip("\n").split("\n")
