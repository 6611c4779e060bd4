#include <string.h>

#include "block/node.h"

/* The signs of other formats, from their specifications. */
static const struct {
    const char *format;
    size_t at, len;
    const char *sign;
} signs[] = {
    {"qcow2", 0, 8, "QFI\xfb\0\0\0\2"},
    {"qcow2", 0, 8, "QFI\xfb\0\0\0\3"},
    {"qcow", 0, 8, "QFI\xfb\0\0\0\1"},
    {"qed", 0, 4, "QED\0"},
    {"vmdk", 0, 4, "KDMV"},
    {"vmdk", 0, 4, "COWD"},
    {"vmdk", 0, 21, "# Disk DescriptorFile"},
    {"vdi", 64, 4, "\x7f\x10\xda\xbe"},
    {"vhdx", 0, 8, "vhdxfile"},
    {"vpc", 0, 8, "conectix"},
    {"luks", 0, 6, "LUKS\xba\xbe"},
    {"parallels", 0, 16, "WithoutFreeSpace"},
    {"parallels", 0, 16, "WithouFreSpacExt"},
    {"bochs", 0, 22, "Bochs Virtual HD Image"},
    {"cloop", 0, 15, "#!/bin/sh\n#V2.0"},
};

const char *format_probe(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < G_N_ELEMENTS(signs); i++) {
        if (signs[i].at + signs[i].len <= len &&
            !memcmp(head + signs[i].at, signs[i].sign, signs[i].len)) {
            return signs[i].format;
        }
    }
    return "raw";
}
