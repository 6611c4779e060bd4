"""Take the uncompressed ELF kernel out of a bzImage (the PVH entry needs it): vmlinux.py BZIMAGE OUTPUT."""
import bz2
import gzip
import lzma
import struct
import subprocess
import sys


def extract(path):
    """The payload of a Linux kernel image, boot protocol 2.08 or later (Documentation/x86/boot.rst)."""
    with open(path, "rb") as f:
        image = f.read()
    assert image[0x202:0x206] == b"HdrS", f"{path} is no Linux kernel"
    setup = (image[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[setup * 512 + offset:setup * 512 + offset + length]
    body = packed[:-4]                  # the unpacked size is appended
    if packed.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(body)
    if packed.startswith(b"\x1f\x8b"):
        return gzip.decompress(body)
    if packed.startswith(b"BZh"):
        return bz2.decompress(body)
    if packed.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dc"], input=body, stdout=subprocess.PIPE, check=True).stdout
    if packed.startswith(b"\x7fELF"):
        return packed
    raise ValueError(f"{path}: unknown compression {packed[:4].hex()}")


if __name__ == "__main__":
    with open(sys.argv[2], "wb") as out:
        out.write(extract(sys.argv[1]))
