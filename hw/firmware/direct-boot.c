#include "hw/firmware/direct-boot.h"

#include <string.h>

#include "core/runstate.h"
#include "cpu/cpu.h"
#include "hw/firmware/acpi-script.h"
#include "hw/firmware/loader.h"
#include "hw/firmware/mp-table.h"
#include "hw/machine.h"

enum { /* below 1 MiB; the loader has its pieces at 10000h .. 3FFFFh or, for older kernels, 90000h .. 9AFFFh */
       GDT_AT = 0x6000,
       INFO_AT = 0x7000,                /* boot_params, or start_info with its lists                         */
       LOW_END = 0x9fc00,
       TABLES_AT = 0xe0000,             /* where the RSDP is looked for (ACPI 6.4 §5.2.5.1)                  */
       MP_AT = 0xf0000,                 /* the same of the MP tables (MP 1.4 §4)                             */
       HIGH_AT = 0x100000,
};
enum { RAM = 1, RESERVED = 2 };

typedef struct Piece {
    uint64_t at;
    GBytes *bytes;
} Piece;

typedef struct Range {                  /* an entry of the map, as int 15h, AX=E820h has it */
    uint64_t at, size;
    uint32_t type;
} __attribute__((packed)) Range;

static struct {
    FwCfg *fw;
    GArray *pieces;
    Range map[4];
    unsigned ranges;
    uint64_t rsdp;                      /* 0: none */
    uint32_t entry, eax, ebx, esi;
    uint16_t code, data;                /* selectors */
} boot;

static void add(uint64_t at, GBytes *bytes)
{
    Piece p = {at, bytes};
    g_array_append_val(boot.pieces, p);
}

static uint32_t number(unsigned key)
{
    g_autoptr(GBytes) bytes = fw_cfg_item(boot.fw, key);
    uint32_t v = 0;
    if (bytes && g_bytes_get_size(bytes) == sizeof(v)) {
        memcpy(&v, g_bytes_get_data(bytes, NULL), sizeof(v));
    }
    return v;
}

static void add_item(unsigned addr_key, unsigned data_key)
{
    GBytes *bytes = fw_cfg_item(boot.fw, data_key);
    if (bytes) {
        add(number(addr_key), bytes);
    }
}

static void describe_memory(void)
{
    boot.map[boot.ranges++] = (Range){0, LOW_END, RAM};
    boot.map[boot.ranges++] = (Range){LOW_END, HIGH_AT - LOW_END, RESERVED};
    boot.map[boot.ranges++] = (Range){HIGH_AT, machine.ram_below_4g - HIGH_AT, RAM};
    if (machine.ram_above_4g) {
        boot.map[boot.ranges++] = (Range){UINT64_C(1) << 32, machine.ram_above_4g, RAM};
    }
}

static bool add_tables(uint16_t level_lines, GError **error)
{
    if (machine.acpi == OFA_OFF) {
        add(MP_AT, g_byte_array_free_to_bytes(mp_table(MP_AT, level_lines)));
        return true;
    }
    g_autoptr(GPtrArray) blobs = g_ptr_array_new_with_free_func(acpi_blob_free);
    if (!acpi_place(boot.fw, TABLES_AT, HIGH_AT - TABLES_AT, blobs, error)) {
        return false;
    }
    for (guint i = 0; i < blobs->len; i++) {
        const AcpiBlob *b = blobs->pdata[i];
        add(b->at, g_bytes_new(b->bytes->data, b->bytes->len));
        if (!strcmp(b->file, RSDP_FILE)) {
            boot.rsdp = b->at;
        }
    }
    return true;
}

/* ---- What each protocol is told ---- */

static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

/* Linux's 32-bit protocol (Documentation/x86/boot.rst, zero-page.rst): boot_params with the setup header of the file. */
static bool tell_linux(GError **error)
{
    enum { PAGE = 4096, EXT_MEM_K = 0x02, ACPI_RSDP = 0x70, ALT_MEM_K = 0x1e0, E820_ENTRIES = 0x1e8, HEADER = 0x1f1,
           HEADER_JUMP = 0x201, HEADER_REST = 0x202, LOADFLAGS = 0x211, LOADED_HIGH = 1, CODE32_START = 0x214, E820 = 0x2d0,
           KIB = 10, MOST_16_BITS = 0xffff };
    g_autoptr(GBytes) setup = fw_cfg_item(boot.fw, FW_CFG_SETUP_DATA);
    gsize len;
    const uint8_t *s = g_bytes_get_data(setup, &len);
    if (!(s[LOADFLAGS] & LOADED_HIGH)) {
        return error_fail(error, "-kernel: '%s' is not a bzImage; this machine enters such kernels by firmware "
                          "(-bios bios-microvm.bin)", machine.kernel);
    }
    uint8_t *page = g_malloc0(PAGE);
    size_t end = MIN((size_t)HEADER_REST + s[HEADER_JUMP], MIN(len, (size_t)E820));
    memcpy(page + HEADER, s + HEADER, end - HEADER);
    uint32_t extended = (uint32_t)((machine.ram_below_4g - HIGH_AT) >> KIB);
    uint16_t small = (uint16_t)MIN(extended, MOST_16_BITS);
    memcpy(page + EXT_MEM_K, &small, sizeof(small));
    put32(page + ALT_MEM_K, extended);
    memcpy(page + ACPI_RSDP, &boot.rsdp, sizeof(boot.rsdp));
    page[E820_ENTRIES] = (uint8_t)boot.ranges;
    memcpy(page + E820, boot.map, boot.ranges * sizeof(Range));
    put32(page + CODE32_START, number(FW_CFG_KERNEL_ADDR));
    add(INFO_AT, g_bytes_new_take(page, PAGE));
    add_item(FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_DATA);
    boot.entry = number(FW_CFG_KERNEL_ADDR);
    boot.esi = INFO_AT;
    return true;
}

/* Xen's start_info for HVM guests, version 1 (public/arch-x86/hvm/start_info.h). */
static void tell_pvh(void)
{
    struct {
        uint32_t magic, version, flags, modules;
        uint64_t module_list, cmdline, rsdp, map;
        uint32_t map_entries, reserved;
        struct {
            uint64_t at, size, cmdline, reserved;
        } module;
        struct {
            uint64_t at, size;
            uint32_t type, reserved;
        } entry[G_N_ELEMENTS(boot.map)];
    } info = {.magic = 0x336ec578, .version = 1, .cmdline = number(FW_CFG_CMDLINE_ADDR), .rsdp = boot.rsdp,
              .map = INFO_AT + offsetof(typeof(info), entry), .map_entries = boot.ranges};
    for (unsigned i = 0; i < boot.ranges; i++) {
        info.entry[i].at = boot.map[i].at;
        info.entry[i].size = boot.map[i].size;
        info.entry[i].type = boot.map[i].type;
    }
    if (number(FW_CFG_INITRD_SIZE)) {
        info.modules = 1;
        info.module_list = INFO_AT + offsetof(typeof(info), module);
        info.module.at = number(FW_CFG_INITRD_ADDR);
        info.module.size = number(FW_CFG_INITRD_SIZE);
    }
    add(INFO_AT, g_bytes_new(&info, sizeof(info)));
    add_item(FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_DATA);
    boot.entry = number(FW_CFG_KERNEL_ENTRY);
    boot.ebx = INFO_AT;
}

/* Multiboot 0.6.96 §3.3: the loader has made the information, all but the memory. */
static void tell_multiboot(void)
{
    enum { MEM_LOWER = 4, MEM_UPPER = 8, MMAP_LENGTH = 44, MMAP_ADDR = 48, ENTRY = 24, ENTRY_SIZE = 20, KIB = 10 };
    uint32_t at = number(FW_CFG_SETUP_ADDR), base = number(FW_CFG_INITRD_ADDR), map;
    g_autoptr(GBytes) blob = fw_cfg_item(boot.fw, FW_CFG_INITRD_DATA);
    gsize len;
    const uint8_t *bytes = g_bytes_get_data(blob, &len);
    uint8_t *copy = g_memdup2(bytes, len), *info = copy + (at - base);
    put32(info + MEM_LOWER, LOW_END >> KIB);
    put32(info + MEM_UPPER, (uint32_t)((machine.ram_below_4g - HIGH_AT) >> KIB));
    put32(info + MMAP_LENGTH, boot.ranges * ENTRY);
    memcpy(&map, info + MMAP_ADDR, sizeof(map));
    for (unsigned i = 0; i < boot.ranges; i++) {
        uint8_t *entry = copy + (map - base) + i * ENTRY;
        put32(entry, ENTRY_SIZE);
        memcpy(entry + sizeof(uint32_t), &boot.map[i], sizeof(Range));
    }
    add_item(FW_CFG_KERNEL_ADDR, FW_CFG_KERNEL_DATA);
    add(base, g_bytes_new_take(copy, len));
    boot.entry = number(FW_CFG_KERNEL_ENTRY);
    boot.eax = 0x2badb002;
    boot.ebx = at;
}

/* ---- At each reset ---- */

/* Flat segments, as all three protocols want them: 10h code and 18h data are Linux's numbers (__BOOT_CS, __BOOT_DS). */
static void add_gdt(void)
{
    static const uint64_t gdt[] = {0, 0, UINT64_C(0x00cf9b000000ffff), UINT64_C(0x00cf93000000ffff)};
    boot.code = 0x10;
    boot.data = 0x18;
    add(GDT_AT, g_bytes_new_static(gdt, sizeof(gdt)));
}

/* Firmware leaves the 8259s with all lines masked.  A kernel that trusts in hardware-reduced ACPI never looks at them. */
static void mask_lines(void)
{
    enum { MASTER_OCW1 = 0x21, SLAVE_OCW1 = 0xa1, ALL = 0xff };
    space_store(space_io(), MASTER_OCW1, 1, ALL);
    space_store(space_io(), SLAVE_OCW1, 1, ALL);
}

static void write_pieces(void *unused, ShutdownCause cause)
{
    for (guint i = 0; i < boot.pieces->len; i++) {
        const Piece *p = &g_array_index(boot.pieces, Piece, i);
        gsize len;
        const void *data = g_bytes_get_data(p->bytes, &len);
        space_write(space_memory(), p->at, data, len);
    }
    mask_lines();
}

static Segment flat(uint16_t selector, unsigned type)
{
    return (Segment){.selector = selector,
                     .limit = UINT32_MAX,
                     .attr = segment_attr(type | SEGMENT_ACCESSED, true, 0, true, false, false, true, true, false)};
}

static void enter(Cpu *c)
{
    enum { MTRRS_WRITE_BACK = 1 << 11 | 6 }; /* SDM vol 3 §11.11.2.1: enabled, type 6 for all memory */
    CpuState *s = &c->state;
    s->msr.mtrr_def_type = MTRRS_WRITE_BACK;
    if (!c->is_bsp) {
        return;
    }
    for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
        s->seg[i] = flat(boot.data, SEGMENT_WRITABLE);
    }
    s->seg[SEG_CS] = flat(boot.code, SEGMENT_CODE | SEGMENT_READABLE);
    s->gdtr = (TableReg){GDT_AT, 4 * 8 - 1};
    s->cr0 = CR0_PE | CR0_ET;
    s->rip = boot.entry;
    s->gpr[CPU_RAX] = boot.eax;
    s->gpr[CPU_RBX] = boot.ebx;
    s->gpr[CPU_RSI] = boot.esi;
    s->gpr[CPU_RCX] = s->gpr[CPU_RDX] = s->gpr[CPU_RDI] = s->gpr[CPU_RBP] = 0;
}

bool direct_boot(FwCfg *fw, uint16_t level_lines, GError **error)
{
    static const RunListener listener = {.reset = write_pieces};
    if (machine.ram_below_4g <= HIGH_AT) {
        return error_fail(error, "-kernel: this machine needs more than 1 MiB of RAM to enter a kernel");
    }
    boot.fw = fw;
    boot.pieces = g_array_new(FALSE, FALSE, sizeof(Piece));
    add_gdt();
    describe_memory();
    if (!add_tables(level_lines, error)) {
        return false;
    }
    if (loader_protocol() != BOOT_ROM_MULTIBOOT) {
        add_item(FW_CFG_CMDLINE_ADDR, FW_CFG_CMDLINE_DATA);
        add_item(FW_CFG_INITRD_ADDR, FW_CFG_INITRD_DATA);
    }
    switch (loader_protocol()) {
    case BOOT_ROM_LINUX:
        if (!tell_linux(error)) {
            return false;
        }
        break;
    case BOOT_ROM_PVH: tell_pvh(); break;
    default: tell_multiboot(); break;
    }
    cpu_platform.power_on = enter;
    runstate_listen(&listener);
    return true;
}
