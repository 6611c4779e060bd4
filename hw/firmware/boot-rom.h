/* The option ROMs that enter a -kernel, assembled from boot-rom.asm at build time. */
#ifndef HW_FIRMWARE_BOOT_ROM_H
#define HW_FIRMWARE_BOOT_ROM_H

#include <stddef.h>
#include <stdint.h>

typedef struct BootRom {
    const char *name;                   /* its file is "genroms/NAME" */
    const uint8_t *data;
    size_t len;
} BootRom;
enum { BOOT_ROM_LINUX, BOOT_ROM_PVH, BOOT_ROM_MULTIBOOT, BOOT_ROMS };
extern const BootRom boot_roms[BOOT_ROMS];

#endif
