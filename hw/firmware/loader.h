/* Kernels started directly: -kernel, -initrd, -append.
 *
 * The file is recognised (multiboot header, PVH note in an ELF file, Linux boot protocol), checked, and offered to the
 * guest through the firmware configuration with the option ROM that enters it; so memory, ACPI and PCI are as the firmware
 * leaves them, and a reset starts it anew.  direct-boot.h enters it from the same items without firmware. */
#ifndef HW_FIRMWARE_LOADER_H
#define HW_FIRMWARE_LOADER_H

#include "hw/firmware/boot-rom.h"
#include "hw/firmware/fw-cfg.h"

/* `initrd` and `append` may be NULL.  ram_below_4g: bytes of RAM from 0.  unpack: a bzImage that has a PVH entry inside is
 * entered by that.  *error names the file and its fault. */
bool loader_add_kernel(FwCfg *fw, const char *kernel, const char *initrd, const char *append, uint64_t ram_below_4g,
                       bool unpack, GError **error);
/* Then: the option ROM that enters it, for firmware that takes such. */
bool loader_offer_rom(FwCfg *fw, GError **error);
/* The option ROM's name in the boot order once it was offered ("/rom@genroms/..."), or NULL. */
const char *loader_boot_path(void);
/* The protocol of that kernel: BOOT_ROM_LINUX, BOOT_ROM_PVH or BOOT_ROM_MULTIBOOT. */
unsigned loader_protocol(void);

#endif
