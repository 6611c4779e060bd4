/* What a PC tells its firmware: CMOS bytes, numbered items and files of the configuration device.
 */
#include <string.h>

#include "core/runstate.h"
#include "hw/board/pc.h"
#include "hw/firmware/loader.h"
#include "hw/firmware/tables.h"
#include "hw/platform.h"
#include "hw/storage/ide.h"
#include "hw/storage/isa-fdc.h"
#include "hw/timer/mc146818.h"

/* ---- Boot order ---- */

/* -boot letters as CMOS knows them: 1 floppy, 2 hard disk, 3 CD-ROM, 4 network. */
static unsigned boot_number(char letter)
{
    switch (letter) {
    case 'a':
    case 'b': return 1;
    case 'c': return 2;
    case 'd': return 3;
    case 'n': return 4;
    default: return 0;
    }
}

static void set_boot_order(const char *order)
{
    enum { FIRST_TWO = 0x3d, THIRD = 0x38, NO_SIGNATURE_CHECK = 1 };
    unsigned n[3] = {0};
    for (unsigned i = 0; order[i] && i < 3; i++) {
        n[i] = boot_number(order[i]);
    }
    mc146818_set(pc.rtc, FIRST_TWO, (uint8_t)(n[1] << 4 | n[0]));
    mc146818_set(pc.rtc, THIRD,
                 (uint8_t)(n[2] << 4 | (machine.fd_bootchk ? 0 : NO_SIGNATURE_CHECK)));
}

static const char *usual_order(void)
{
    return machine.boot_order ? machine.boot_order : "cad";
}

/* -boot once=: the first start only; the reset after it brings back the usual order. */
static void after_reset(void *unused, ShutdownCause cause)
{
    fw_cfg_add_i16(pc.fw, FW_CFG_NB_CPUS, (uint16_t)cpu_count()); /* as the firmware waits for as many */
    if (pc.rtc) {
        set_boot_order(cause == CAUSE_NONE && machine.boot_once ? machine.boot_once
                                                              : usual_order());
    }
}

typedef struct Boot {
    int64_t index;
    char *path;
} Boot;

static void collect_boot(void *arg, Device *d)
{
    g_autofree char *index = device_get(d, "bootindex");
    if (index && *index != '-') {
        Boot b = {g_ascii_strtoll(index, NULL, 10), device_fw_path(d)};
        if (b.path) {
            g_array_append_val((GArray *)arg, b);
        }
    }
}

static gint compare_boot(gconstpointer a, gconstpointer b)
{
    int64_t x = ((const Boot *)a)->index, y = ((const Boot *)b)->index;
    return (x > y) - (x < y);
}

static bool add_bootorder(GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(Boot));
    g_autoptr(GString) text = g_string_new(NULL);
    device_foreach(collect_boot, list);
    g_array_sort(list, compare_boot);
    if (loader_boot_path()) { /* -kernel goes first */
        g_string_append_printf(text, "%s\n", loader_boot_path());
    }
    for (unsigned i = 0; i < list->len; i++) {
        Boot *b = &g_array_index(list, Boot, i);
        if (i && b[-1].index == b->index) {
            return error_fail(
                error, "two devices have bootindex=%d, expected: a different number for each",
                (int)b->index);
        }
        g_string_append_printf(text, "%s\n", b->path);
    }
    if (machine.boot_strict) {
        g_string_append(text, "HALT\n");
    }
    for (unsigned i = 0; i < list->len; i++) {
        g_free(g_array_index(list, Boot, i).path);
    }
    if (!text->len) {
        return true;
    }
    text->str[text->len - 1] = 0; /* a newline parts two entries; after the last one OVMF takes it for an empty entry */
    return fw_cfg_add_file(pc.fw, "bootorder", text->str, text->len, error);
}

/* ---- CMOS, where the firmware has looked since the AT ---- */

static void set16(unsigned index, uint64_t value)
{
    mc146818_set(pc.rtc, index, (uint8_t)value);
    mc146818_set(pc.rtc, index + 1, (uint8_t)(value >> 8));
}

static void describe_memory_in_cmos(void)
{
    enum { KIB = 1 << 10, MIB = 1 << 20, UNIT = 64 << 10 };
    uint64_t low = machine.ram_below_4g, high = machine.ram_above_4g / UNIT;
    uint64_t extended = low > MIB ? MIN((low - MIB) / KIB, 0xffff) : 0;
    set16(0x15, MIN(low / KIB, 640));
    set16(0x17, extended);
    set16(0x30, extended);
    set16(0x34, low > 16 * MIB ? MIN((low - 16 * MIB) / UNIT, 0xffff) : 0);
    mc146818_set(pc.rtc, 0x5b, (uint8_t)high);
    mc146818_set(pc.rtc, 0x5c, (uint8_t)(high >> 8));
    mc146818_set(pc.rtc, 0x5d, (uint8_t)(high >> 16));
}

static void describe_drives_in_cmos(void)
{
    enum { FLOPPIES = 0x10, EQUIPMENT = 0x14, FPU = 2, MOUSE = 4 };
    uint8_t types = pc.fdc ? isa_fdc_cmos_types(pc.fdc) : 0, equipment = FPU | MOUSE;
    unsigned floppies = (types >> 4 != 0) + ((types & 15) != 0);
    if (floppies) {
        equipment |= (uint8_t)(1 | (floppies - 1) << 6);
    }
    mc146818_set(pc.rtc, FLOPPIES, types);
    mc146818_set(pc.rtc, EQUIPMENT, equipment);
    mc146818_set(pc.rtc, 0x5f, (uint8_t)(machine.cpus - 1));
}

/* Type 47, whose numbers stand in CMOS, for the first channel's two disks; for all four how the
 * BIOS translates. */
static void describe_disks_in_cmos(void)
{
    enum {
        TYPES = 0x12,
        USER_TYPE_AT = 0x19,
        NUMBERS_AT = 0x1b,
        NUMBERS = 9,
        TRANSLATION = 0x39,
        USER_TYPE = 47
    };
    uint8_t types = 0, translation = 0;
    for (unsigned n = 0; n < 4; n++) {
        Bus *bus = bus_find(n < 2 ? "ide.0" : "ide.1");
        const AtaDevice *disk = bus ? ((const IdeBus *)bus->impl)->unit[n % 2] : NULL;
        IdeGeometry g;
        if (!disk || !ide_geometry(&disk->dev, &g)) {
            continue;
        }
        translation |= (uint8_t)((g.translation - IDE_TRANS_NONE) << 2 * n);
        if (n < 2) {
            unsigned at = NUMBERS_AT + n * NUMBERS;
            types |= n ? 0x0f : 0xf0;
            mc146818_set(pc.rtc, USER_TYPE_AT + n, USER_TYPE);
            set16(at, g.cyls);
            mc146818_set(pc.rtc, at + 2, (uint8_t)g.heads);
            set16(at + 3, 0xffff); /* write precompensation: none */
            mc146818_set(pc.rtc, at + 5, (uint8_t)(0xc0 | (g.heads > 8) << 3));
            set16(at + 6, g.cyls); /* landing zone */
            mc146818_set(pc.rtc, at + 8, (uint8_t)g.secs);
        }
    }
    mc146818_set(pc.rtc, TYPES, types);
    mc146818_set(pc.rtc, TRANSLATION, translation);
}

/* ---- Files ---- */

typedef struct E820 {
    uint64_t at, size;
    uint32_t type;
} __attribute__((packed)) E820;
enum { E820_RAM = 1, E820_RESERVED = 2 };

static bool add_e820(GError **error)
{
    const uint64_t gib = UINT64_C(1) << 30, ht = PC_HT_GIB * gib, ht_end = PC_HT_END_GIB * gib;
    E820 map[3] = {{0, machine.ram_below_4g, E820_RAM}};
    unsigned n = 1;
    if (machine.ram_above_4g) {
        map[n++] = (E820){machine.ram_above_at, machine.ram_above_4g, E820_RAM};
    }
    if (machine.ram_above_at >= ht_end) {
        map[n++] = (E820){ht, ht_end - ht, E820_RESERVED};
    }
    return fw_cfg_add_file(pc.fw, "etc/e820", map, n * sizeof(E820), error);
}

/* From where on the firmware may place 64-bit BARs: behind what can still be plugged. */
static bool add_reserved_memory(GError **error)
{
    const uint64_t gib = UINT64_C(1) << 30;
    uint64_t end = (machine.plug_at + machine.plug_size + gib - 1) & ~(gib - 1);
    return !machine.plug_size || fw_cfg_add_file(pc.fw, "etc/reserved-memory-end", &end, sizeof(end), error);
}

static bool add_boot_files(GError **error)
{
    if (machine.boot_menu == OFA_ON) {
        fw_cfg_add_i16(pc.fw, FW_CFG_BOOT_MENU, 1);
    }
    if (machine.boot_splash_time >= 0) {
        uint16_t ms = (uint16_t)machine.boot_splash_time;
        if (!fw_cfg_add_file(pc.fw, "etc/boot-menu-wait", &ms, sizeof(ms), error)) {
            return false;
        }
    }
    if (machine.boot_splash) {
        g_autofree char *data = NULL;
        g_autoptr(GError) local = NULL;
        gsize len;
        if (!g_file_get_contents(machine.boot_splash, &data, &len, &local)) {
            return error_fail(error, "-boot: splash=%s: %s", machine.boot_splash, local->message);
        }
        const char *name = len > 2 && !memcmp(data, "BM", 2) ? "bootsplash.bmp" : "bootsplash.jpg";
        if (!fw_cfg_add_file(pc.fw, name, data, len, error)) {
            return false;
        }
    }
    int32_t timeout = (int32_t)machine.boot_reboot_timeout;
    return fw_cfg_add_file(pc.fw, "etc/boot-fail-wait", &timeout, sizeof(timeout), error);
}

static bool add_option_roms(GError **error)
{
    for (unsigned i = 0; i < machine.option_roms->len; i++) {
        const char *path = g_ptr_array_index(machine.option_roms, i);
        g_autofree char *base = g_path_get_basename(path),
                        *name = g_strdup_printf("genroms/%s", base), *data = NULL;
        g_autoptr(GError) local = NULL;
        gsize len;
        if (!g_file_get_contents(path, &data, &len, &local)) {
            return error_fail(error, "-option-rom: %s", local->message);
        }
        if (!fw_cfg_add_file(pc.fw, name, data, len, error)) {
            return false;
        }
    }
    return true;
}

static bool add_user_files(GError **error)
{
    for (unsigned i = 0; i < machine.fw_cfg_files->len; i++) {
        const FwCfgFile *f = &g_array_index(machine.fw_cfg_files, FwCfgFile, i);
        if (!fw_cfg_add_file(pc.fw, f->name, f->data, f->len, error)) {
            return false;
        }
    }
    return true;
}

bool pc_make_fw_cfg(GError **error)
{
    pc.fw = fw_cfg_new(space_root(space_io()), space_memory(), error);
    return pc.fw != NULL;
}

bool pc_describe(GError **error)
{
    static const RunListener listener = {.reset = after_reset};
    runstate_listen(&listener);
    if (pc.rtc) {
        describe_memory_in_cmos();
        describe_drives_in_cmos();
        describe_disks_in_cmos();
        set_boot_order(usual_order());
    }
    fw_cfg_add_i16(pc.fw, FW_CFG_NB_CPUS, (uint16_t)cpu_count());
    /* Firmware takes it for the number of APIC IDs. */
    fw_cfg_add_i16(pc.fw, FW_CFG_MAX_CPUS,
                   (uint16_t)(topology_apic_id(&machine.topology, machine.max_cpus - 1) + 1));
    fw_cfg_add_i32(pc.fw, FW_CFG_IRQ0_OVERRIDE, 1); /* the timer is at pin 2 of the I/O APIC, for the MP table too */
    fw_cfg_add_i64(pc.fw, FW_CFG_RAM_SIZE, machine.ram_size);
    fw_cfg_add_i16(pc.fw, FW_CFG_NOGRAPHIC, machine.nographic);
    fw_cfg_add_bytes(pc.fw, FW_CFG_UUID, machine.uuid, sizeof(machine.uuid));
    /* Firmware may want the file as it is: UEFI runs it as a program. */
    bool direct = machine.class->family == BOARD_MICROVM && !machine.firmware;
    bool unpack = machine.unpack_kernel == OFA_ON || (direct && machine.unpack_kernel == OFA_AUTO);
    if (machine.kernel && !loader_add_kernel(pc.fw, machine.kernel, machine.initrd, machine.append, machine.ram_below_4g,
                                             unpack, error)) {
        return false;
    }
    if (machine.kernel && machine.option_rom_files && !loader_offer_rom(pc.fw, error)) {
        return false;
    }
    return add_e820(error) && add_reserved_memory(error) && add_boot_files(error) && add_option_roms(error) &&
           add_user_files(error) && add_bootorder(error) && tables_add(pc.fw, error);
}
