/* The firmware configuration device: how a machine tells its firmware what it consists of.
 *
 * Numbered items and named files are byte strings that the guest selects by a 16-bit key and reads byte by byte or by
 * DMA.  A board makes one device, adds items, and the guest pulls.  Main lock held for everything here. */
#ifndef HW_FIRMWARE_FW_CFG_H
#define HW_FIRMWARE_FW_CFG_H

#include "hw/device.h"

typedef struct FwCfg FwCfg;
extern const DeviceClass fw_cfg_io_class;

enum { FW_CFG_PORT = 0x510, FW_CFG_NAME_MAX = 55 };

enum FwCfgKey {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ARCH_LOCAL = 0x8000,         /* with it: keys of the x86 board                                    */
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_E820_TABLE = 0x8003,
    FW_CFG_HPET = 0x8004,
};

/* A new device at ports 510h to 51bh of `io` whose DMA reaches `memory`; NULL and *error when a global property of it is
 * bad.  device_free ends it. */
FwCfg *fw_cfg_new(Region *io, Space *memory, GError **error);
FwCfg *fw_cfg_find(void);               /* the machine's; NULL: it has none */

/* Numbered items: keys below FW_CFG_FILE_FIRST, or the same plus FW_CFG_ARCH_LOCAL.  Adding a key again replaces it.
 * Integers are little-endian for the guest; a string keeps its NUL. */
void fw_cfg_add_bytes(FwCfg *fw, unsigned key, const void *data, size_t len);
void fw_cfg_add_gbytes(FwCfg *fw, unsigned key, GBytes *bytes);         /* takes a reference: kernels, initrds */
void fw_cfg_add_i16(FwCfg *fw, unsigned key, uint16_t value);
void fw_cfg_add_i32(FwCfg *fw, unsigned key, uint32_t value);
void fw_cfg_add_i64(FwCfg *fw, unsigned key, uint64_t value);
void fw_cfg_add_string(FwCfg *fw, unsigned key, const char *text);

/* Named files; a name given again replaces the contents.  Keys go by alphabetical order, so add files before the guest
 * runs.  False and *error: the name is empty or longer than FW_CFG_NAME_MAX, or all x-file-slots are taken. */
bool fw_cfg_add_file(FwCfg *fw, const char *name, const void *data, size_t len, GError **error);
bool fw_cfg_add_file_gbytes(FwCfg *fw, const char *name, GBytes *bytes, GError **error);

/* What a file does beyond lying there.  `select` runs when the guest selects it, before the first byte, and may replace
 * contents (tables that depend on what firmware assigned).  `buffer` makes it writable: `len` bytes of the caller, who
 * saves them and keeps them alive; `written` follows each write by the guest. */
typedef struct FwCfgHooks {
    void (*select)(void *arg);
    void (*written)(void *arg, size_t offset, size_t len);
    void *arg;
    void *buffer;
} FwCfgHooks;
bool fw_cfg_add_file_hooks(FwCfg *fw, const char *name, const void *data, size_t len, const FwCfgHooks *hooks,
                           GError **error);

/* `-fw_cfg [name=]NAME,file=PATH` or `,string=TEXT`: exactly one of path and text.  Warns of names outside "opt/". */
bool fw_cfg_add_user_file(FwCfg *fw, const char *name, const char *path, const char *text, GError **error);

/* Contents of a file or of a numbered item, NULL when absent; a reference that the caller drops. */
GBytes *fw_cfg_file(FwCfg *fw, const char *name);
GBytes *fw_cfg_item(FwCfg *fw, unsigned key);           /* of those that are added, not of files */

#endif
