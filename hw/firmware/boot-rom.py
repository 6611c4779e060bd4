#!/usr/bin/env python3
"""Assemble the boot ROMs with nasm and write them as C arrays: boot-rom.py NASM SOURCE OUTPUT."""
import os
import subprocess
import sys
import tempfile

ROMS = {"linuxboot": "LINUX", "pvh": "PVH", "multiboot": "MULTIBOOT"}


def assemble(nasm, source, define):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rom.bin")
        subprocess.run([nasm, "-f", "bin", f"-D{define}", "-o", out, source], check=True)
        with open(out, "rb") as binary:
            rom = bytearray(binary.read())
    rom += bytes(-(len(rom) + 1) % 512 + 1)     # room for the checksum in the last byte
    rom[2] = len(rom) // 512
    pnp = int.from_bytes(rom[0x1a:0x1c], "little")
    rom[pnp + 9] = -sum(rom[pnp:pnp + 32]) & 255
    rom[-1] = -sum(rom) & 255
    return rom


def main():
    nasm, source, output = sys.argv[1:]
    with open(output, "w", encoding="utf-8") as out:
        out.write('#include "hw/firmware/boot-rom.h"\n\n')
        for name, define in ROMS.items():
            rom = assemble(nasm, source, define)
            out.write(f"static const uint8_t {name}[] = {{\n")
            for at in range(0, len(rom), 16):
                out.write("    " + " ".join(f"0x{b:02x}," for b in rom[at:at + 16]) + "\n")
            out.write("};\n\n")
        out.write("const BootRom boot_roms[] = {\n")
        for name in ROMS:
            out.write(f'    {{"{name}_dma.bin", {name}, sizeof({name})}},\n')
        out.write("};\n")


if __name__ == "__main__":
    main()
