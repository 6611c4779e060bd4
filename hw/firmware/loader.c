#include "hw/firmware/loader.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "hw/firmware/boot-rom.h"
#include "hw/firmware/unpack.h"

enum {
    PAGE = 4096,
    LOW_CMDLINE = 0x20000, /* PVH and new Linux kernels: below the firmware's data             */
    LOW_CMDLINE_MAX = 0x20000,
    HIGH_MEMORY = 0x100000,
};

static const BootRom *chosen_rom;
static bool rom_offered;

typedef struct Kernel {
    const char *path;
    GBytes *file;
    const uint8_t *data; /* its contents */
    size_t len;
    FwCfg *fw;
    const char *initrd, *append;
    uint64_t ram; /* below 4 GiB */
} Kernel;

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}
static void put32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}
static void put16(uint8_t *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}
static uint64_t page_up(uint64_t v)
{
    return (v + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static GBytes *read_file(const char *option, const char *path, GError **error)
{
    g_autoptr(GError) local = NULL;
    char *data;
    gsize len;
    if (!g_file_get_contents(path, &data, &len, &local)) {
        const char *reason = strrchr(local->message, ':'); /* the rest names the file again */
        error_fail(error, "-%s: could not open %s file '%s': %s", option, option, path,
                   reason ? reason + 2 : local->message);
        return NULL;
    }
    return g_bytes_new_take(data, len);
}

static void offer(const Kernel *k, unsigned addr_key, uint32_t address, unsigned size_key,
                  unsigned data_key, GBytes *data)
{
    fw_cfg_add_i32(k->fw, addr_key, address);
    fw_cfg_add_i32(k->fw, size_key, (uint32_t)g_bytes_get_size(data));
    fw_cfg_add_gbytes(k->fw, data_key, data);
}

bool loader_offer_rom(FwCfg *fw, GError **error)
{
    g_autofree char *name = g_strdup_printf("genroms/%s", chosen_rom->name);
    rom_offered = fw_cfg_add_file(fw, name, chosen_rom->data, chosen_rom->len, error);
    return rom_offered;
}

unsigned loader_protocol(void)
{
    return (unsigned)(chosen_rom - boot_roms);
}

const char *loader_boot_path(void)
{
    static char *path;
    if (rom_offered && !path) {
        path = g_strdup_printf("/rom@genroms/%s", chosen_rom->name);
    }
    return path;
}

static bool offer_cmdline(const Kernel *k, const char *text, uint32_t address, size_t most,
                          GError **error)
{
    size_t len = strlen(text) + 1;
    if (len > most) {
        return error_fail(error,
                          "-append: the kernel command line has %zu characters, at most %zu fit",
                          len - 1, most - 1);
    }
    g_autoptr(GBytes) bytes = g_bytes_new(text, len);
    offer(k, FW_CFG_CMDLINE_ADDR, address, FW_CFG_CMDLINE_SIZE, FW_CFG_CMDLINE_DATA, bytes);
    fw_cfg_add_string(k->fw, FW_CFG_KERNEL_CMDLINE, text);
    return true;
}

/* ---- ELF images, made flat: from the lowest to the highest physical address, zeroes in between
 * ---- */

typedef struct Flat {
    uint8_t *data;
    uint32_t at, len;
    uint32_t entry;     /* physical */
    uint32_t pvh_entry; /* from the note, 0: none */
} Flat;

static bool elf_fault(const Kernel *k, const char *what, GError **error)
{
    return error_fail(error, "-kernel: '%s' is a damaged ELF file: %s", k->path, what);
}

static bool no_memory(const Kernel *k, uint32_t len, GError **error)
{
    return error_fail(error,
                      "-kernel: '%s' takes %" PRIu32 " MiB of RAM, this host has not got that much",
                      k->path, len >> 20);
}

typedef struct Segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, filesz, memsz;
} Segment;

static bool elf_segment(const Kernel *k, unsigned i, Segment *s, GError **error)
{
    bool wide = k->data[EI_CLASS] == ELFCLASS64;
    const Elf64_Ehdr *e64 = (const void *)k->data;
    const Elf32_Ehdr *e32 = (const void *)k->data;
    uint64_t off = wide ? e64->e_phoff : e32->e_phoff;
    uint64_t each = wide ? e64->e_phentsize : e32->e_phentsize;
    size_t need = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (each < need || off > k->len || each * (i + 1) > k->len - off) {
        return elf_fault(k, "its program headers lie outside the file", error);
    }
    if (wide) {
        Elf64_Phdr p;
        memcpy(&p, k->data + off + each * i, sizeof(p));
        *s = (Segment){p.p_type, p.p_offset, p.p_vaddr, p.p_paddr, p.p_filesz, p.p_memsz};
    } else {
        Elf32_Phdr p;
        memcpy(&p, k->data + off + each * i, sizeof(p));
        *s = (Segment){p.p_type, p.p_offset, p.p_vaddr, p.p_paddr, p.p_filesz, p.p_memsz};
    }
    if (s->offset > k->len || s->filesz > k->len - s->offset) {
        return elf_fault(k, "a segment lies outside the file", error);
    }
    if (s->type == PT_LOAD &&
        (s->filesz > s->memsz || s->paddr > UINT32_MAX || s->memsz > UINT32_MAX - s->paddr)) {
        return elf_fault(k, "a segment does not fit below 4 GiB", error);
    }
    return true;
}

/* XEN_ELFNOTE_PHYS32_ENTRY, type 18, owner "Xen". */
static void find_pvh_note(const Kernel *k, const Segment *s, Flat *f)
{
    enum { PHYS32_ENTRY = 18, HEADER = 12 };
    uint64_t at = s->offset, end = s->offset + s->filesz;
    while (end - at >= HEADER) {
        uint64_t name = ((uint64_t)get32(k->data + at) + 3) & ~UINT64_C(3),
                 desc = get32(k->data + at + 4);
        uint64_t body = (desc + 3) & ~UINT64_C(3);
        if (name > end - at - HEADER || desc > end - at - HEADER - name) {
            return;
        }
        const uint8_t *p = k->data + at + HEADER;
        if (name == 4 && !memcmp(p, "Xen", 4) && get32(k->data + at + 8) == PHYS32_ENTRY &&
            desc >= 4) {
            f->pvh_entry = get32(p + name);
        }
        if (body > end - at - HEADER - name) {
            return;
        }
        at += HEADER + name + body;
    }
}

static bool elf_flatten(const Kernel *k, Flat *f, GError **error)
{
    const Elf64_Ehdr *e64 = (const void *)k->data;
    const Elf32_Ehdr *e32 = (const void *)k->data;
    bool wide = k->data[EI_CLASS] == ELFCLASS64;
    if (k->len < (wide ? sizeof(*e64) : sizeof(*e32))) {
        return elf_fault(k, "it ends within its header", error);
    }
    if (k->data[EI_DATA] != ELFDATA2LSB ||
        (e64->e_machine != EM_386 && e64->e_machine != EM_X86_64)) {
        return error_fail(error,
                          "-kernel: '%s' is an ELF file for another kind of machine, expected: x86",
                          k->path);
    }
    unsigned n = wide ? e64->e_phnum : e32->e_phnum;
    uint64_t entry = wide ? e64->e_entry : e32->e_entry, low = UINT64_MAX, high = 0;
    Segment s;
    f->entry = (uint32_t)entry;
    for (unsigned i = 0; i < n; i++) {
        if (!elf_segment(k, i, &s, error)) {
            return false;
        }
        if (s.type == PT_NOTE) {
            find_pvh_note(k, &s, f);
        } else if (s.type == PT_LOAD && s.memsz) {
            low = MIN(low, s.paddr);
            high = MAX(high, s.paddr + s.memsz);
            if (entry >= s.vaddr && entry - s.vaddr < s.memsz) {
                f->entry = (uint32_t)(entry - s.vaddr + s.paddr);
            }
        }
    }
    if (low >= high) {
        return elf_fault(k, "it has no segment to load", error);
    }
    if (high > k->ram) {
        return error_fail(error,
                          "-kernel: '%s' needs memory up to %" PRIu64
                          " MiB, the machine has %" PRIu64 " MiB there",
                          k->path, (high + (1 << 20) - 1) >> 20, k->ram >> 20);
    }
    f->at = (uint32_t)low;
    f->len = (uint32_t)(high - low);
    f->data = g_try_malloc0(f->len);
    if (!f->data) {
        return no_memory(k, f->len, error);
    }
    for (unsigned i = 0; i < n; i++) {
        elf_segment(k, i, &s, NULL);
        if (s.type == PT_LOAD && s.memsz) {
            memcpy(f->data + (s.paddr - low), k->data + s.offset, s.filesz);
        }
    }
    return true;
}

static void offer_flat(const Kernel *k, Flat *f, uint32_t entry)
{
    g_autoptr(GBytes) image = g_bytes_new_take(g_steal_pointer(&f->data), f->len);
    offer(k, FW_CFG_KERNEL_ADDR, f->at, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, image);
    fw_cfg_add_i32(k->fw, FW_CFG_KERNEL_ENTRY, entry);
}

/* As high as it fits below `top`, on a page border, above `floor`. */
static bool place_initrd(const Kernel *k, GBytes *initrd, uint64_t top, uint64_t floor,
                         uint32_t *at, GError **error)
{
    enum { FIRMWARE_TABLES = 0x40000 };
    uint64_t size = g_bytes_get_size(initrd);
    top = MIN(top, k->ram > FIRMWARE_TABLES ? k->ram - FIRMWARE_TABLES : 0);
    if (top < floor || size > top - floor || ((top - size) & ~(uint64_t)(PAGE - 1)) < floor) {
        return error_fail(error,
                          "-initrd: '%s' (%" PRIu64 " KiB) does not fit into %" PRIu64
                          " MiB of RAM beside the kernel",
                          k->initrd, size >> 10, k->ram >> 20);
    }
    *at = (uint32_t)((top - size) & ~(uint64_t)(PAGE - 1));
    return true;
}

static bool load_pvh(const Kernel *k, Flat *f, GError **error)
{
    g_autoptr(GBytes) initrd = NULL;
    if (k->initrd) {
        uint32_t at;
        initrd = read_file("initrd", k->initrd, error);
        if (!initrd ||
            !place_initrd(k, initrd, UINT32_MAX, page_up((uint64_t)f->at + f->len), &at, error)) {
            return false;
        }
        offer(k, FW_CFG_INITRD_ADDR, at, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, initrd);
    }
    offer_flat(k, f, f->pvh_entry);
    chosen_rom = &boot_roms[BOOT_ROM_PVH];
    return offer_cmdline(k, k->append ? k->append : "", LOW_CMDLINE, LOW_CMDLINE_MAX, error);
}

static bool load_elf(const Kernel *k, GError **error)
{
    Flat f = {0};
    if (!elf_flatten(k, &f, error)) {
        return false;
    }
    bool ok =
        f.pvh_entry
            ? load_pvh(k, &f, error)
            : error_fail(
                  error,
                  "-kernel: '%s' is an ELF file with neither a PVH note nor a multiboot header",
                  k->path);
    g_free(f.data);
    return ok;
}

/* ---- Linux boot protocol ---- */

enum { /* offsets of the setup header, Documentation/x86/boot.rst */
       SETUP_SECTS = 0x1f1,
       SYSSIZE = 0x1f4,
       VID_MODE = 0x1fa,
       BOOT_FLAG = 0x1fe,
       HEADER_MAGIC = 0x202,
       VERSION = 0x206,
       TYPE_OF_LOADER = 0x210,
       LOADFLAGS = 0x211,
       RAMDISK_IMAGE = 0x218,
       RAMDISK_SIZE = 0x21c,
       HEAP_END = 0x224,
       CMD_LINE_PTR = 0x228,
       INITRD_ADDR_MAX = 0x22c,
       CMDLINE_SIZE = 0x238,
       INIT_SIZE = 0x260,
       OLD_CL_MAGIC = 0x20,
       OLD_CL_OFFSET = 0x22,
       LOADER_ID = 0xb0,
       LOADED_HIGH = 0x01,
       CAN_USE_HEAP = 0x80,
       SECTOR = 512,
};

static bool is_linux(const Kernel *k)
{
    return k->len > 0x240 && !memcmp(k->data + HEADER_MAGIC, "HdrS", 4) &&
           get16(k->data + BOOT_FLAG) == 0xaa55;
}

static bool video_mode(const char *append, uint16_t *mode)
{
    const char *vga = append ? strstr(append, "vga=") : NULL;
    if (!vga || (vga != append && vga[-1] != ' ')) {
        return false;
    }
    vga += 4;
    if (g_str_has_prefix(vga, "normal")) {
        *mode = 0xffff;
    } else if (g_str_has_prefix(vga, "ext")) {
        *mode = 0xfffe;
    } else if (g_str_has_prefix(vga, "ask")) {
        *mode = 0xfffd;
    } else {
        *mode = (uint16_t)strtoul(vga, NULL, 0);
    }
    return true;
}

/* The end of what the kernel needs before it has looked at its memory map: itself, and where it
 * unpacks. */
static uint64_t linux_end(const Kernel *k, unsigned version, uint32_t kernel_at)
{
    enum { HAS_INIT_SIZE = 0x20a };
    uint64_t loaded = MAX(kernel_at, HIGH_MEMORY) + (uint64_t)k->len;
    bool known = version >= HAS_INIT_SIZE && k->len >= INIT_SIZE + 4;
    return known ? MAX(loaded, (uint64_t)kernel_at + get32(k->data + INIT_SIZE)) : loaded;
}

static bool load_linux(const Kernel *k, GError **error)
{
    unsigned version = get16(k->data + VERSION),
             sectors = k->data[SETUP_SECTS] ? k->data[SETUP_SECTS] : 4;
    size_t setup_len = (sectors + 1) * SECTOR;
    bool high = version >= 0x200 && k->data[LOADFLAGS] & LOADED_HIGH;
    uint32_t setup_at = high ? 0x10000 : 0x90000, kernel_at = high ? HIGH_MEMORY : 0x10000;
    uint32_t cmdline_at = high ? LOW_CMDLINE : 0x9a000;
    size_t cmdline_max = version >= 0x206 && get32(k->data + CMDLINE_SIZE)
                             ? (size_t)get32(k->data + CMDLINE_SIZE) + 1
                             : 256;
    const char *append = k->append ? k->append : "";
    if (setup_len > k->len || setup_len > 0x8000) {
        return error_fail(
            error,
            "-kernel: '%s' is a damaged Linux kernel: its setup part of %zu bytes is not there",
            k->path, setup_len);
    }
    g_autofree uint8_t *setup = g_memdup2(k->data, setup_len);
    cmdline_max = MIN(cmdline_max, high ? LOW_CMDLINE_MAX : 0x800);
    if (!offer_cmdline(k, append, cmdline_at, cmdline_max, error)) {
        return false;
    }
    if (version >= 0x202) {
        put32(setup + CMD_LINE_PTR, cmdline_at);
    } else {
        put16(setup + OLD_CL_MAGIC, 0xa33f);
        put16(setup + OLD_CL_OFFSET, (uint16_t)(cmdline_at - setup_at));
    }
    uint16_t mode;
    if (video_mode(append, &mode)) {
        put16(setup + VID_MODE, mode);
    }
    if (version >= 0x200) {
        setup[TYPE_OF_LOADER] = LOADER_ID;
    }
    if (version >= 0x201) {
        setup[LOADFLAGS] |= CAN_USE_HEAP;
        put16(setup + HEAP_END, (uint16_t)(cmdline_at - setup_at - 0x200));
    }
    if (k->initrd) {
        uint32_t top = version >= 0x203 ? get32(k->data + INITRD_ADDR_MAX) : 0x37ffffff, at;
        g_autoptr(GBytes) initrd = version < 0x200 ? NULL : read_file("initrd", k->initrd, error);
        if (!initrd) {
            return version < 0x200
                       ? error_fail(error, "-initrd: kernel '%s' is too old to take one", k->path)
                       : false;
        }
        if (!place_initrd(k, initrd, (uint64_t)top + 1, page_up(linux_end(k, version, kernel_at)),
                          &at, error)) {
            return false;
        }
        offer(k, FW_CFG_INITRD_ADDR, at, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, initrd);
        put32(setup + RAMDISK_IMAGE, at);
        put32(setup + RAMDISK_SIZE, (uint32_t)g_bytes_get_size(initrd));
    }
    if (kernel_at + (k->len - setup_len) > (high ? k->ram : 0x90000)) {
        return error_fail(error, "-kernel: '%s' does not fit into %" PRIu64 " MiB of RAM", k->path,
                          k->ram >> 20);
    }
    g_autoptr(GBytes) setup_bytes = g_bytes_new(setup, setup_len);
    g_autoptr(GBytes) kernel = g_bytes_new_from_bytes(k->file, setup_len, k->len - setup_len);
    offer(k, FW_CFG_SETUP_ADDR, setup_at, FW_CFG_SETUP_SIZE, FW_CFG_SETUP_DATA, setup_bytes);
    offer(k, FW_CFG_KERNEL_ADDR, kernel_at, FW_CFG_KERNEL_SIZE, FW_CFG_KERNEL_DATA, kernel);
    chosen_rom = &boot_roms[BOOT_ROM_LINUX];
    return true;
}

/* ---- Multiboot 0.6.96 ---- */

enum {
    MB_SEARCH = 8192,
    MB_MAGIC = 0x1badb002,
    MB_WANTS_VIDEO = 1 << 2,
    MB_HAS_ADDRESSES = 1 << 16,
    MBI_MEMORY = 1 << 0,
    MBI_CMDLINE = 1 << 2,
    MBI_MODS = 1 << 3,
    MBI_MMAP = 1 << 6,
    MBI_LOADER = 1 << 9,
    MBI_SIZE = 88,
    MBI_MAP_ROOM = 128 * 24,
    MOD_SIZE = 16,
};

/* Offset of the header, or -1. */
static long find_multiboot(const Kernel *k)
{
    for (size_t at = 0; at + 12 <= MIN(k->len, MB_SEARCH); at += 4) {
        if (get32(k->data + at) == MB_MAGIC &&
            get32(k->data + at) + get32(k->data + at + 4) + get32(k->data + at + 8) == 0) {
            return (long)at;
        }
    }
    return -1;
}

static bool multiboot_addresses(const Kernel *k, size_t header, Flat *f, GError **error)
{
    if (header + 32 > k->len) {
        return error_fail(error, "-kernel: '%s': its multiboot header ends outside the file",
                          k->path);
    }
    const uint8_t *h = k->data + header;
    uint32_t header_addr = get32(h + 12), load = get32(h + 16), load_end = get32(h + 20),
             bss_end = get32(h + 24);
    if (header_addr < load || header_addr - load > header) {
        return error_fail(
            error, "-kernel: '%s': the addresses in its multiboot header contradict one another",
            k->path);
    }
    size_t from = header - (header_addr - load), size = load_end ? load_end - load : k->len - from;
    uint64_t whole = MAX(bss_end > load ? bss_end - load : 0, size);
    if (!whole) {
        return error_fail(error, "-kernel: '%s': its multiboot header leaves nothing to load",
                          k->path);
    }
    if (size > k->len - from || load + whole > k->ram) {
        return error_fail(error, "-kernel: '%s': its multiboot header asks for more than %s",
                          k->path, size > k->len - from ? "the file holds" : "the machine's RAM");
    }
    f->at = load;
    f->len = (uint32_t)whole;
    f->entry = get32(h + 28);
    f->data = g_try_malloc0(f->len);
    if (!f->data) {
        return no_memory(k, f->len, error);
    }
    memcpy(f->data, k->data + from, size);
    return true;
}

/* Modules, separated by commas (a doubled one stands for itself), each "file arguments". */
static GPtrArray *split_modules(const char *text)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    GString *one = g_string_new(NULL);
    for (const char *c = text; c && *c; c++) {
        if (*c == ',' && c[1] == ',') {
            g_string_append_c(one, *c++);
        } else if (*c == ',') {
            g_ptr_array_add(list, g_strdup(one->str));
            g_string_truncate(one, 0);
        } else {
            g_string_append_c(one, *c);
        }
    }
    if (one->len) {
        g_ptr_array_add(list, g_strdup(one->str));
    }
    g_string_free(one, TRUE);
    return list;
}

static uint32_t add_text(GByteArray *blob, uint32_t base, const char *text)
{
    uint32_t at = base + blob->len;
    g_byte_array_append(blob, (const uint8_t *)text, (guint)strlen(text) + 1);
    return at;
}

static void pad(GByteArray *blob, unsigned to)
{
    unsigned old = blob->len;
    g_byte_array_set_size(blob, (old + to - 1) / to * to);
    if (blob->len > old) {
        memset(blob->data + old, 0, blob->len - old);
    }
}

static bool modules_fault(const Kernel *k, GError **error)
{
    return error_fail(error,
                      "-initrd: the multiboot modules do not fit into %" PRIu64 " MiB of RAM",
                      k->ram >> 20);
}

/* Everything that lies behind the kernel: modules, their list, the information structure and its
 * strings. */
static bool multiboot_blob(const Kernel *k, uint32_t base, GByteArray *blob, uint32_t *mbi_at,
                           GError **error)
{
    g_autoptr(GPtrArray) modules = split_modules(k->initrd);
    g_autofree uint8_t *list = g_malloc0(modules->len * MOD_SIZE + 1);
    for (unsigned i = 0; i < modules->len; i++) {
        const char *text = g_ptr_array_index(modules, i);
        g_autofree char *file = g_strndup(text, strcspn(text, " "));
        g_autoptr(GBytes) data = read_file("initrd", file, error);
        if (!data) {
            return false;
        }
        if (g_bytes_get_size(data) > k->ram - MIN(k->ram, base + (uint64_t)blob->len)) {
            return modules_fault(k, error);
        }
        pad(blob, PAGE);
        put32(list + i * MOD_SIZE, base + blob->len);
        g_byte_array_append(blob, g_bytes_get_data(data, NULL), (guint)g_bytes_get_size(data));
        put32(list + i * MOD_SIZE + 4, base + blob->len);
    }
    for (unsigned i = 0; i < modules->len; i++) {
        put32(list + i * MOD_SIZE + 8, add_text(blob, base, g_ptr_array_index(modules, i)));
    }
    g_autofree char *cmdline =
        k->append && *k->append ? g_strdup_printf("%s %s", k->path, k->append) : g_strdup(k->path);
    uint32_t cmdline_at = add_text(blob, base, cmdline), loader_at = add_text(blob, base, "ostler");
    pad(blob, 16);
    uint32_t list_at = base + blob->len;
    g_byte_array_append(blob, list, modules->len * MOD_SIZE);
    pad(blob, 16);
    g_autofree uint8_t *mbi = g_malloc0(MBI_SIZE + MBI_MAP_ROOM);
    *mbi_at = base + blob->len;
    put32(mbi, MBI_MEMORY | MBI_CMDLINE | MBI_MODS | MBI_MMAP | MBI_LOADER);
    put32(mbi + 16, cmdline_at);
    put32(mbi + 20, modules->len);
    put32(mbi + 24, list_at);
    put32(mbi + 48, *mbi_at + MBI_SIZE); /* length and contents, and the memory sizes: by the ROM */
    put32(mbi + 64, loader_at);
    g_byte_array_append(blob, mbi, MBI_SIZE + MBI_MAP_ROOM);
    return true;
}

static bool load_multiboot(const Kernel *k, size_t header, GError **error)
{
    Flat f = {0};
    uint32_t flags = get32(k->data + header + 4), mbi_at = 0;
    if (flags & 0xffff & ~7u) {
        return error_fail(error, "-kernel: '%s' demands multiboot features %04x that no loader has",
                          k->path, flags & 0xffff);
    }
    if (!(flags & MB_HAS_ADDRESSES) && memcmp(k->data, ELFMAG, SELFMAG)) {
        return error_fail(error,
                          "-kernel: '%s' is no ELF file, and its multiboot header has no addresses",
                          k->path);
    }
    if (flags & MB_HAS_ADDRESSES ? !multiboot_addresses(k, header, &f, error)
                                 : !elf_flatten(k, &f, error)) {
        return false;
    }
    if (!(flags & MB_HAS_ADDRESSES) && k->data[EI_CLASS] != ELFCLASS32) {
        g_free(f.data);
        return error_fail(error,
                          "-kernel: '%s': multiboot takes 32-bit ELF files, this one has 64 bits",
                          k->path);
    }
    uint32_t base = (uint32_t)page_up((uint64_t)f.at + f.len);
    base = MAX(base, HIGH_MEMORY);
    g_autoptr(GByteArray) blob = g_byte_array_new();
    if (!multiboot_blob(k, base, blob, &mbi_at, error)) {
        g_free(f.data);
        return false;
    }
    if (base + (uint64_t)blob->len > k->ram) {
        g_free(f.data);
        return modules_fault(k, error);
    }
    offer_flat(k, &f, f.entry);
    g_autoptr(GBytes) bytes = g_bytes_new(blob->data, blob->len);
    offer(k, FW_CFG_INITRD_ADDR, base, FW_CFG_INITRD_SIZE, FW_CFG_INITRD_DATA, bytes);
    fw_cfg_add_i32(k->fw, FW_CFG_SETUP_ADDR, mbi_at);
    chosen_rom = &boot_roms[BOOT_ROM_MULTIBOOT];
    return true;
}

/* A Linux kernel that can be entered by PVH, too, is unpacked here: its own decompressor is slow in software.  What that
 * would do besides, to place the kernel at random, is left out.  *done false: it cannot be. */
static bool load_unpacked(const Kernel *k, bool *done, GError **error)
{
    g_autoptr(GBytes) elf = kernel_unpack(k->data, k->len, k->ram);
    Flat f = {0};
    *done = false;
    if (elf) {
        Kernel inner = *k;
        inner.file = elf;
        inner.data = g_bytes_get_data(elf, &inner.len);
        *done = elf_flatten(&inner, &f, NULL) && f.pvh_entry;
    }
    bool ok = !*done || load_pvh(k, &f, error);
    g_free(f.data);
    return ok;
}

/* ---- Which one ---- */

bool loader_add_kernel(FwCfg *fw, const char *kernel, const char *initrd, const char *append,
                       uint64_t ram_below_4g, bool unpack, GError **error)
{
    g_autoptr(GBytes) file = read_file("kernel", kernel, error);
    if (!file) {
        return false;
    }
    Kernel k = {.path = kernel, .file = file, .fw = fw, .initrd = initrd, .append = append, .ram = ram_below_4g};
    k.data = g_bytes_get_data(file, &k.len);
    if (k.len < 64) {
        return error_fail(error, "-kernel: '%s' is no kernel: it has only %zu bytes", kernel,
                          k.len);
    }
    long header = find_multiboot(&k);
    if (header >= 0) {
        return load_multiboot(&k, (size_t)header, error);
    }
    if (!memcmp(k.data, ELFMAG, SELFMAG)) {
        return load_elf(&k, error);
    }
    if (is_linux(&k)) {
        bool done = false;
        if (unpack && !load_unpacked(&k, &done, error)) {
            return false;
        }
        return done || load_linux(&k, error);
    }
    return error_fail(
        error,
        "-kernel: '%s' is neither a Linux kernel (bzImage), an ELF file with a PVH note, nor a "
        "multiboot kernel",
        kernel);
}
