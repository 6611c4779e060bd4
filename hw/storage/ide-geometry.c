/* Cylinders, heads and sectors for a disk that has none: what its partition table believes, or what
 * fits. */
#include <string.h>

#include "hw/storage/ide.h"

enum { MAX_CYLS = 16383, STANDARD_HEADS = 16, STANDARD_SECS = 63 };

/* The first partition that says where it ends in whole cylinders; false: none does. */
static bool from_partitions(uint64_t sectors, const uint8_t *mbr, IdeGeometry *g)
{
    if (mbr[510] != 0x55 || mbr[511] != 0xaa) {
        return false;
    }
    for (const uint8_t *entry = mbr + 446; entry < mbr + 510; entry += 16) {
        uint32_t heads = entry[5] + 1u, secs = entry[6] & 63, length;
        memcpy(&length, entry + 12, sizeof length);
        if (!length || heads == 1 || !secs) {
            continue;
        }
        uint64_t cyls = sectors / (heads * secs);
        if (cyls >= 1 && cyls <= MAX_CYLS) {
            *g = (IdeGeometry){(uint32_t)cyls, heads, secs, IDE_TRANS_NONE};
            return true;
        }
    }
    return false;
}

static IdeGeometry standard(uint64_t sectors)
{
    uint64_t cyls = sectors / (STANDARD_HEADS * STANDARD_SECS);
    cyls = CLAMP(cyls, 2, MAX_CYLS);
    return (IdeGeometry){(uint32_t)cyls, STANDARD_HEADS, STANDARD_SECS,
                         cyls <= 1024 ? IDE_TRANS_NONE : IDE_TRANS_LBA};
}

IdeGeometry ide_guess_geometry(uint64_t sectors, const uint8_t *mbr)
{
    enum { LARGE_LIMIT = 131072 }; /* cylinders times heads that bit-shift translation reaches */
    IdeGeometry found, g = standard(sectors);
    if (!mbr || !from_partitions(sectors, mbr, &found)) {
        return g;
    }
    if (found.heads <= STANDARD_HEADS) {
        return found;
    }
    /* More heads than the interface has: the table was written through a BIOS that translates. */
    g.translation = g.cyls * g.heads <= LARGE_LIMIT ? IDE_TRANS_LARGE : IDE_TRANS_LBA;
    return g;
}
