#!/usr/bin/env python3
"""Write the array of all device classes: every `const DeviceClass NAME = {` that is not static."""
import re
import sys

names = []
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as source:
        names += re.findall(r"^const DeviceClass (\w+) = \{", source.read(), re.M)
names.sort()
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write('#include "hw/device.h"\n\n')
    for name in names:
        out.write(f"extern const DeviceClass {name};\n")
    out.write("\nconst DeviceClass *const device_classes[] = {\n")
    for name in names:
        out.write(f"    &{name},\n")
    out.write("    NULL,\n};\n")
