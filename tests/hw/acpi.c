/* The ACPI tables of a PC, put in place as firmware does it: the loader's script is carried out,
 * sums and pointers are followed from the RSDP, and the reference compiler reads the result where
 * it is installed. */
#include "hw/firmware/acpi.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "hw/firmware/tables.h"
#include "hw/machine.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/piix3.h"
#include "tests/hw/bench.h"

static FwCfg *fw;
static PcMemory memory;
static Device *host, *pm;

static Device *pci_function(const char *type, unsigned devfn)
{
    GError *error = NULL;
    PciDevice *d = pci_new(device_class_find(type), NULL, (int)devfn, true);
    ck_assert_msg(device_realize(&d->dev, pci_bus_as_bus(pc_host_bus(host)), &error), "%s", type);
    return &d->dev;
}

static void isa_device(IsaBus *isa, const char *type)
{
    ck_assert_ptr_nonnull(board_device(type, NULL, isa->bus, NULL, NULL));
}

static void make_machine(unsigned cpus)
{
    GError *error = NULL;
    RamBlock *ram = ram_new("pc.ram", 16 << 20, NULL, &error);
    machine_init();
    machine.class = machine_class_find("pc");
    machine.cpus = machine.max_cpus = cpus;
    machine.topology = (Topology){1, 1, cpus, 1};
    for (unsigned i = 0; i < cpus; i++) {
        cpu_new(NULL, topology_apic_id(&machine.topology, i), NULL);
    }
    machine.ram_below_4g = UINT64_C(3) << 30;
    machine.ram_above_4g = UINT64_C(1) << 30;
    machine.ram_above_at = UINT64_C(4) << 30;
    machine.ram_size = machine.ram_below_4g + machine.ram_above_4g;
    pc_memory_init(&memory, &pc_split_i440fx, region_ram("pc.ram", ram, 0, 16 << 20), &(PcRam){.size = 16 << 20});
    host = pc_host_new(&i440fx_host_class, &memory, &error);
    ck_assert_ptr_nonnull(host);
    IsaBus *isa = piix3_isa(pci_function("PIIX3", PCI_DEVFN(1, 0)));
    pm = pci_function("PIIX4_PM", PCI_DEVFN(1, 3));
    board_device("mc146818rtc", NULL, NULL, NULL, NULL);
    board_device("i8042", NULL, NULL, NULL, NULL);
    isa_device(isa, "isa-fdc");
    isa_device(isa, "isa-serial");
    isa_device(isa, "isa-serial");
    isa_device(isa, "isa-parallel");
    isa_device(isa, "pvpanic");
    fw = fw_cfg_new(space_root(space_io()), space_memory(), &error);
    ck_assert_ptr_nonnull(fw);
}

/* ---- A firmware ---- */

enum { RSDP_AT = 0xf0000, TABLES_AT = 0x7fe0000, COMMAND = 128, NAME = 56 };

typedef struct File {
    const char *name;
    uint8_t *data;
    gsize len;
    uint64_t at;
    bool allocated;
} File;
static File files[2];
static unsigned pointers, sums;

static uint32_t u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t u64(const uint8_t *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static File *file(const uint8_t *name)
{
    ck_assert_ptr_nonnull(memchr(name, 0, NAME));
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        if (!strcmp((const char *)name, files[i].name)) {
            return &files[i];
        }
    }
    ck_abort_msg("unknown file");
}

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;
    while (n--) {
        s = (uint8_t)(s + *p++);
    }
    return s;
}

static void allocate(const uint8_t *p)
{
    File *f = file(p);
    uint32_t align = u32(p + NAME);
    ck_assert(!f->allocated && align && !(align & (align - 1)));
    ck_assert_uint_eq(f->at % align, 0);
    ck_assert_uint_eq(p[NAME + 4], f == &files[0] ? 2 : 1);
    f->allocated = true;
}

static void patch(const uint8_t *p)
{
    File *in = file(p), *to = file(p + NAME);
    uint32_t at = u32(p + 2 * NAME), size = p[2 * NAME + 4];
    uint64_t v = 0;
    ck_assert(in->allocated && to->allocated && (size == 4 || size == 8));
    ck_assert_uint_le(at + size, in->len);
    memcpy(&v, in->data + at, size);
    ck_assert_uint_lt(v, to->len);
    v += to->at;
    memcpy(in->data + at, &v, size);
    pointers++;
}

static void checksum(const uint8_t *p)
{
    File *f = file(p);
    uint32_t at = u32(p + NAME), start = u32(p + NAME + 4), len = u32(p + NAME + 8);
    ck_assert(f->allocated && start <= f->len && len <= f->len - start && at >= start &&
              at < start + len);
    ck_assert_uint_eq(f->data[at], 0);
    f->data[at] = (uint8_t)(f->data[at] - sum(f->data + start, len));
    sums++;
}

static void run_script(void)
{
    g_autoptr(GBytes) script = fw_cfg_file(fw, "etc/table-loader");
    static const uint64_t places[] = {RSDP_AT, TABLES_AT};
    static const char *const names[] = {"etc/acpi/rsdp", "etc/acpi/tables"};
    gsize n;
    const uint8_t *p = g_bytes_get_data(script, &n);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GBytes) b = fw_cfg_file(fw, names[i]);
        ck_assert_ptr_nonnull(b);
        g_free(files[i].data);
        files[i] = (File){.name = names[i], .len = g_bytes_get_size(b), .at = places[i]};
        files[i].data = g_memdup2(g_bytes_get_data(b, NULL), files[i].len);
    }
    pointers = sums = 0;
    ck_assert_uint_eq(n % COMMAND, 0);
    for (gsize at = 0; at < n; at += COMMAND) {
        switch (u32(p + at)) {
        case 1: allocate(p + at + 4); break;
        case 2: patch(p + at + 4); break;
        case 3: checksum(p + at + 4); break;
        default: ck_abort_msg("unknown command");
        }
    }
}

/* The table at an address, whole and with the right sum. */
static const uint8_t *table_at(uint64_t address)
{
    ck_assert(address >= TABLES_AT && address - TABLES_AT <= files[1].len - sizeof(AcpiHeader));
    const uint8_t *t = files[1].data + (address - TABLES_AT);
    ck_assert_uint_le(u32(t + 4), files[1].len - (address - TABLES_AT));
    if (memcmp(t, "FACS", 4)) {
        ck_assert_msg(sum(t, u32(t + 4)) == 0, "%.4s", (const char *)t);
        ck_assert_mem_eq(t + 10, "BOCHS BXPC    ", 14);
    }
    return t;
}

static const uint8_t *table(const char *signature)
{
    const uint8_t *rsdp = files[0].data, *rsdt = table_at(u32(rsdp + 16)),
                  *xsdt = table_at(u64(rsdp + 24));
    unsigned n = (u32(rsdt + 4) - 36) / 4;
    ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
    ck_assert_uint_eq(sum(rsdp, 20), 0);
    ck_assert_uint_eq(sum(rsdp, 36), 0);
    ck_assert_mem_eq(rsdt, "RSDT", 4);
    ck_assert_mem_eq(xsdt, "XSDT", 4);
    ck_assert_uint_eq((u32(xsdt + 4) - 36) / 8, n);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t *t = table_at(u32(rsdt + 36 + 4 * i));
        ck_assert_ptr_eq(t, table_at(u64(xsdt + 36 + 8 * i)));
        if (!memcmp(t, signature, 4)) {
            return t;
        }
    }
    return NULL;
}

/* ---- Tests ---- */

static void start(unsigned cpus)
{
    GError *error = NULL;
    make_machine(cpus);
    ck_assert(tables_add(fw, &error));
    run_script();
}

START_TEST(fixed_tables)
{
    start(2);
    const uint8_t *fadt = table("FACP");
    ck_assert_ptr_nonnull(fadt);
    ck_assert_uint_eq(u32(fadt + 4), 244);
    ck_assert_mem_eq(table_at(u32(fadt + 36)), "FACS", 4);
    ck_assert_uint_eq(u32(fadt + 36) % 64, 0);
    ck_assert_mem_eq(table_at(u32(fadt + 40)), "DSDT", 4);
    ck_assert_uint_eq(u64(fadt + 140), u32(fadt + 40));
    ck_assert_uint_eq(fadt[46], 9);
    ck_assert_uint_eq(u32(fadt + 48), 0xb2);
    ck_assert_uint_eq(fadt[52], 0xf1);
    ck_assert_uint_eq(fadt[53], 0xf0);
    ck_assert_uint_eq(u32(fadt + 56), 0x600);
    ck_assert_uint_eq(u32(fadt + 64), 0x604);
    ck_assert_uint_eq(u32(fadt + 76), 0x608);
    ck_assert_uint_eq(u32(fadt + 80), 0xafe0);
    ck_assert_uint_eq(fadt[92], 4);
    const uint8_t *hpet = table("HPET");
    ck_assert_uint_eq(u32(hpet + 36), 0x8086a201);
    ck_assert_uint_eq(u64(hpet + 44), 0xfed00000);
    ck_assert_ptr_nonnull(table("WAET"));
    ck_assert_ptr_null(table("SRAT"));
}
END_TEST

/* Counts entries of a type, and keeps the last. */
static unsigned madt_entries(const uint8_t *madt, unsigned type, const uint8_t **last)
{
    unsigned n = 0;
    for (const uint8_t *p = madt + 44; p < madt + u32(madt + 4); p += p[1]) {
        ck_assert_uint_ge(p[1], 2);
        if (p[0] == type) {
            *last = p;
            n++;
        }
    }
    return n;
}

START_TEST(interrupt_tables)
{
    const uint8_t *e;
    start(3);
    const uint8_t *madt = table("APIC");
    ck_assert_uint_eq(u32(madt + 36), 0xfee00000);
    ck_assert_uint_eq(u32(madt + 40), 1);
    ck_assert_uint_eq(madt_entries(madt, 0, &e), 3);
    ck_assert_uint_eq(e[2], 2);
    ck_assert_uint_eq(e[3], 2);
    ck_assert_uint_eq(u32(e + 4), 1);
    ck_assert_uint_eq(madt_entries(madt, 1, &e), 1);
    ck_assert_uint_eq(u32(e + 4), 0xfec00000);
    ck_assert_uint_eq(madt_entries(madt, 2, &e), 5);
    ck_assert_uint_eq(e[3], 11);
    ck_assert_uint_eq(u32(e + 4), 11);
    ck_assert_uint_eq(e[8], 0x0d);
    ck_assert_uint_eq(madt_entries(madt, 4, &e), 1);
    ck_assert_uint_eq(madt_entries(madt, 9, &e), 0);
}
END_TEST

START_TEST(x2apic_entries)
{
    const uint8_t *e;
    make_machine(6);
    machine.topology = (Topology){3, 1, 65, 1}; /* ids 0, 128, 256 begin the sockets */
    machine.cpus = machine.max_cpus = 195;
    ck_assert(tables_add(fw, NULL));
    run_script();
    const uint8_t *madt = table("APIC");
    ck_assert_uint_eq(madt_entries(madt, 0, &e), 130);
    ck_assert_uint_eq(madt_entries(madt, 9, &e), 65);
    ck_assert_uint_eq(u32(e + 4), 256 + 64);
    ck_assert_uint_eq(u32(e + 12), 194);
    ck_assert_uint_eq(madt_entries(madt, 10, &e), 1);
}
END_TEST

static bool dsdt_has(const void *bytes, size_t len)
{
    const uint8_t *dsdt = table_at(u32(table("FACP") + 40));
    return memmem(dsdt, u32(dsdt + 4), bytes, len) != NULL;
}

START_TEST(devices)
{
    start(1);
    ck_assert(dsdt_has("COM1", 4));
    ck_assert(dsdt_has("COM2", 4));
    ck_assert(!dsdt_has("COM3", 4));
    ck_assert(dsdt_has("LPT1", 4));
    ck_assert(dsdt_has("QEMU0001", 8));
    ck_assert(dsdt_has("QEMU0002", 8));
    ck_assert(dsdt_has("HPET", 4));
    ck_assert(dsdt_has("_S3_\x12\6\4\1\1\0\0", 11));
    ck_assert(dsdt_has("_S4_\x12\x8\4\x0a\2\x0a\2\0\0", 13));
    ck_assert(dsdt_has("_S5_\x12\6\4\0\0\0\0", 11));
    static const uint8_t with_entry[] = {0x08, '_', 'M', 'A', 'T', 0x11, 11, 0x0a, 8, 0, 8, 0, 0, 1, 0, 0, 0};
    ck_assert(dsdt_has("C000\0\0\0\0\0\0", 10)); /* Processor (C000, 0, 0, 0) */
    ck_assert(dsdt_has(with_entry, sizeof(with_entry)));
    machine.hpet = false;
    ck_assert(tables_add(fw, NULL));
    run_script();
    ck_assert(!dsdt_has("HPET", 4));
    ck_assert_ptr_null(table("HPET"));
}
END_TEST

START_TEST(sleep_can_be_disabled)
{
    device_global("PIIX4_PM", "disable_s3", "1");
    device_global("PIIX4_PM", "s4_val", "3");
    start(1);
    ck_assert(!dsdt_has("_S3_", 4));
    ck_assert(dsdt_has("_S4_\x12\x8\4\x0a\3\x0a\3\0\0", 13));
}
END_TEST

/* As a guest: by its key, which the directory tells. */
static void select_file(const char *name)
{
    uint8_t entry[64];
    space_store(space_io(), FW_CFG_PORT, 2, FW_CFG_FILE_DIR);
    for (unsigned i = 0; i < 4; i++) {
        space_load(space_io(), FW_CFG_PORT + 1, 1);
    }
    do {
        for (unsigned i = 0; i < sizeof(entry); i++) {
            entry[i] = (uint8_t)space_load(space_io(), FW_CFG_PORT + 1, 1);
        }
        ck_assert_uint_ne(entry[8], 0);
    } while (strcmp((char *)entry + 8, name));
    space_store(space_io(), FW_CFG_PORT, 2, (unsigned)(entry[4] << 8 | entry[5]));
}

/* A card with a 64-bit BAR. */
static bool card_realize(void *dev, GError **error)
{
    static const IoOps ops = {0};
    pci_bar(dev, 0, PCI_BAR_MEM | PCI_BAR_64 | PCI_BAR_PREFETCH,
            device_region_io(dev, "card", 1 << 20, &ops));
    return true;
}

static const Row card_rows[] = {END};
static const DeviceClass card_class = {
    .name = "test-card",
    .base = &pci_device_class,
    .bus = "PCI",
    .size = sizeof(PciDevice),
    .rows = card_rows,
    .info = &(const PciInfo){.vendor = 0x1234, .device = 0x5678, .class_code = 0x050000},
    .realize = card_realize,
};

/* The windows follow what the firmware assigned; the sizes of the files do not change. */
START_TEST(windows_follow_the_firmware)
{
    /* DWordMemory(..., 0, C0000000h, FEBFFFFFh, 0, 3EC00000h) */
    static const uint8_t hole[] = {0,    0,    0, 0, 0, 0, 0, 0xc0, 0xff, 0xff,
                                   0xbf, 0xfe, 0, 0, 0, 0, 0, 0,    0xc0, 0x3e};
    /* QWordMemory(..., 140000000h, 1BFFFFFFFh, ...): behind the RAM */
    static const uint8_t high[] = {0, 0, 0, 0x40, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xbf, 1, 0, 0, 0};
    enum { COMMAND_REG = 4, BAR0_HIGH = 0x14, PMBA = 0x40 };
    GError *error = NULL;
    make_machine(1);
    PciBus *bus = pc_host_bus(host);
    PciDevice *card = pci_new(&card_class, NULL, -1, false), *function = (PciDevice *)pm;
    ck_assert(device_realize(&card->dev, pci_bus_as_bus(bus), &error));
    ck_assert(tables_add(fw, &error));
    run_script();
    gsize before = files[1].len;
    ck_assert(dsdt_has(hole, sizeof(hole)));
    ck_assert(!dsdt_has(high, sizeof(high)));
    pci_config_write(bus, (unsigned)card->devfn, BAR0_HIGH, 4, 1);
    pci_config_write(bus, (unsigned)card->devfn, BAR0_HIGH - 4, 4, 0x50000000);
    pci_config_write(bus, (unsigned)card->devfn, COMMAND_REG, 2, PCI_COMMAND_MEMORY);
    pci_config_write(bus, (unsigned)function->devfn, PMBA, 4, 0xb001);
    select_file("etc/table-loader");
    run_script();
    ck_assert_uint_eq(files[1].len, before);
    ck_assert_uint_eq(u32(table("FACP") + 56), 0xb000);
    ck_assert(dsdt_has(hole, sizeof(hole)));
    ck_assert(dsdt_has(high, sizeof(high)));
    device_free(&card->dev);
}
END_TEST

START_TEST(user_tables)
{
    GError *error = NULL;
    g_autofree char *name = NULL;
    int fd = g_file_open_tmp("acpi-XXXXXX", &name, NULL);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "contents", 8), 8);
    close(fd);
    g_autofree char
        *good = g_strdup_printf(
            "sig=SSDX,rev=2,oem_id=BOCHS ,oem_table_id=BXPC    ,oem_rev=0x12345,data=%s", name),
        *whole = g_strdup_printf("file=%s", name),
        *both = g_strdup_printf("file=%s,data=%s", name, name),
        *bad = g_strdup_printf("sig=TOOLONG,data=%s", name),
        *unknown = g_strdup_printf("x=1,data=%s", name);
    ck_assert_msg(acpi_table_option(good, &error), "%s", error ? error->message : "");
    const char *const refused[] = {
        whole, "{}", both, bad, unknown, "sig=ABCD", "data=/nonexistent", "rev=300,data=/dev/null"};
    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        error = NULL;
        ck_assert_msg(!acpi_table_option(refused[i], &error), "%s", refused[i]);
        ck_assert_ptr_nonnull(strstr(error->message, "-acpitable"));
    }
    start(1);
    const uint8_t *t = table("SSDX");
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(u32(t + 4), 44);
    ck_assert_uint_eq(t[8], 2);
    ck_assert_uint_eq(u32(t + 24), 0x12345);
    ck_assert_mem_eq(t + 36, "contents", 8);
    unlink(name);
}
END_TEST

START_TEST(machine_options)
{
    GError *error = NULL;
    make_machine(1);
    machine.oem_id = g_strdup("TOOLONG");
    ck_assert(!tables_add(fw, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "x-oem-id"));
    machine.acpi = OFA_OFF;
    ck_assert(tables_add(fw, NULL));
    ck_assert_ptr_null(fw_cfg_file(fw, "etc/acpi/tables"));
}
END_TEST

static char *run(const char *folder, const char *command)
{
    g_autofree char *line = g_strdup_printf("sh -c 'cd %s && %s 2>&1'", folder, command);
    char *output = NULL;
    int status;
    ck_assert(g_spawn_command_line_sync(line, &output, NULL, &status, NULL));
    ck_assert_msg(status == 0, "%s", output);
    return output;
}

/* Warning 3168 is about Processor(), which systems of the time of this chipset need. */
static void ask_compiler(const char *folder, const uint8_t *t)
{
    g_autofree char *name = g_strdup_printf("%.4s.aml", (const char *)t),
                    *path = g_build_filename(folder, name, NULL);
    g_autofree char *read = g_strdup_printf("iasl -d %s", name);
    g_autofree char *again = g_strdup_printf("iasl -vw 3168 -p again %.4s.dsl", (const char *)t);
    ck_assert(g_file_set_contents(path, (const char *)t, u32(t + 4), NULL));
    g_autofree char *first = run(folder, read), *second = run(folder, again);
    ck_assert_msg(!strstr(first, "rror") && !strstr(first, "arning"), "%s", first);
    ck_assert_msg(strstr(second, "0 Errors, 0 Warnings") != NULL, "%s", second);
}

START_TEST(reference_compiler)
{
    g_autofree char *iasl = g_find_program_in_path("iasl"),
                    *folder = g_dir_make_tmp("acpi-XXXXXX", NULL);
    if (!iasl) {
        puts("iasl is not installed: its opinion is not asked");
        return;
    }
    start(2);
    ask_compiler(folder, table("FACP"));
    ask_compiler(folder, table("APIC"));
    ask_compiler(folder, table("HPET"));
    ask_compiler(folder, table("WAET"));
    ask_compiler(folder, table_at(u32(table("FACP") + 40)));
    g_autofree char *rm = g_strdup_printf("rm -r %s", folder);
    ck_assert(g_spawn_command_line_sync(rm, NULL, NULL, NULL, NULL));
}
END_TEST

BENCH_MAIN("acpi", CASE(fixed_tables), CASE(interrupt_tables), CASE(x2apic_entries), CASE(devices),
           CASE(sleep_can_be_disabled), CASE(windows_follow_the_firmware), CASE(user_tables),
           CASE(machine_options), CASE(reference_compiler))
