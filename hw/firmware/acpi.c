/* ACPI tables of the PC (ACPI 6.4 chapter 5), and the script by which firmware puts them in place.
 *
 * Two files hold the tables: "etc/acpi/rsdp" and "etc/acpi/tables", with offsets where addresses
 * belong. "etc/table-loader" tells the firmware where to allocate them, which offsets to turn into
 * addresses, and which bytes make sums zero.  Firmware knows the file sizes before it assigns
 * addresses to PCI functions, while the tables describe the result: so the files are made again
 * when one of them is first selected, in the size that was announced. */
#include "hw/firmware/acpi-board.h"
#include "hw/firmware/acpi-script.h"

#include <assert.h>
#include <string.h>

#include "core/runstate.h"
#include "hw/firmware/tables.h"
#include "hw/machine.h"
#include "hw/memory/numa.h"
#include "hw/misc/vmgenid.h"

typedef struct Tables {
    GByteArray *rsdp, *blob;
    GArray *roots;                /* uint32_t: offsets of the tables that the RSDT lists */
    GArray *pointers, *checksums; /* of Command; sums are taken over patched pointers */
} Tables;

static void add_pointer_to(Tables *t, const char *file, const char *in, GByteArray *bytes, uint32_t at,
                           uint8_t size, uint64_t to)
{
    Command c = {.what = ADD_POINTER, .pointer = {.offset = at, .size = size}};
    g_strlcpy(c.pointer.in, in, FILE_NAME);
    g_strlcpy(c.pointer.to, file, FILE_NAME);
    memcpy(bytes->data + at, &to, size);
    g_array_append_val(t->pointers, c);
}

static void add_pointer(Tables *t, const char *in, GByteArray *bytes, uint32_t at, uint8_t size,
                        uint64_t to)
{
    add_pointer_to(t, TABLES_FILE, in, bytes, at, size, to);
}

static void add_checksum(Tables *t, const char *file, size_t offset, size_t start, size_t length)
{
    Command c = {.what = ADD_CHECKSUM,
                 .checksum = {.offset = (uint32_t)offset,
                              .start = (uint32_t)start,
                              .length = (uint32_t)length}};
    g_strlcpy(c.checksum.file, file, FILE_NAME);
    g_array_append_val(t->checksums, c);
}

static GBytes *script(const Tables *t)
{
    Command allocate[2] = {
        {.what = ALLOCATE, .allocate = {RSDP_FILE, 16, F_SEGMENT}},
        {.what = ALLOCATE, .allocate = {TABLES_FILE, 64, HIGH_MEMORY}},
    };
    GByteArray *out = g_byte_array_new();
    g_byte_array_append(out, (const uint8_t *)allocate, sizeof(allocate));
    if (vmgenid_find()) {
        Command page = {.what = ALLOCATE, .allocate = {VMGENID_GUID_FILE, VMGENID_PAGE, HIGH_MEMORY}};
        g_byte_array_append(out, (const uint8_t *)&page, sizeof(page));
    }
    g_byte_array_append(out, (const uint8_t *)t->pointers->data,
                        t->pointers->len * sizeof(Command));
    g_byte_array_append(out, (const uint8_t *)t->checksums->data,
                        t->checksums->len * sizeof(Command));
    return g_byte_array_free_to_bytes(out);
}

/* ---- Tables ---- */

static const char *oem_id(void)
{
    return machine.oem_id ? machine.oem_id : "BOCHS ";
}

static const char *oem_table_id(void)
{
    return machine.oem_table_id ? machine.oem_table_id : "BXPC    ";
}

/* Identifications are not terminated, and filled up with zeroes. */
static void put_id(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size));
}

AcpiHeader acpi_header(const char *signature, uint8_t revision)
{
    AcpiHeader h = {
        .revision = revision, .oem_revision = 1, .compiler_id = "BXPC", .compiler_revision = 1};
    memcpy(h.signature, signature, sizeof(h.signature));
    put_id(h.oem_id, sizeof(h.oem_id), oem_id());
    put_id(h.oem_table_id, sizeof(h.oem_table_id), oem_table_id());
    return h;
}

static void pad(GByteArray *b, guint size)
{
    guint old = b->len;
    g_byte_array_set_size(b, size);
    memset(b->data + old, 0, size - old);
}

/* Appends a table that begins with its header, and completes that.  Returns its offset. */
static uint32_t add_table(Tables *t, const void *table, size_t len)
{
    enum { ALIGN = 16 };
    uint32_t at = (t->blob->len + ALIGN - 1) & ~(ALIGN - 1u), length = (uint32_t)len;
    pad(t->blob, at);
    g_byte_array_append(t->blob, table, (guint)len);
    memcpy(t->blob->data + at + offsetof(AcpiHeader, length), &length, sizeof(length));
    t->blob->data[at + offsetof(AcpiHeader, checksum)] = 0;
    add_checksum(t, TABLES_FILE, at + offsetof(AcpiHeader, checksum), at, len);
    return at;
}

static uint32_t add_bytes(Tables *t, const GByteArray *table)
{
    return add_table(t, table->data, table->len);
}

static void add_root(Tables *t, uint32_t at)
{
    g_array_append_val(t->roots, at);
}

/* §5.2.10: shared with the running system, so it has a page line of its own and no checksum. */
static uint32_t add_facs(Tables *t)
{
    struct {
        char signature[4];
        uint32_t length;
        uint8_t rest[56];
    } facs = {.signature = "FACS", .length = sizeof(facs)};
    static_assert(sizeof(facs) == 64, "§5.2.10");
    assert(t->blob->len == 0);
    g_byte_array_append(t->blob, (const uint8_t *)&facs, sizeof(facs));
    return 0;
}

static uint32_t add_dsdt(Tables *t)
{
    enum { WIDE_INTEGERS = 2 };
    AcpiHeader h = acpi_header("DSDT", acpi_board()->reduced ? WIDE_INTEGERS : 1);
    g_autoptr(GByteArray) aml = acpi_dsdt(), table = g_byte_array_new();
    g_byte_array_append(table, (const uint8_t *)&h, sizeof(h));
    g_byte_array_append(table, aml->data, aml->len);
    return add_bytes(t, table);
}

typedef struct Gas { /* generic address structure, §5.2.3.2 */
    uint8_t space, bits, shift, access;
    uint64_t at;
} __attribute__((packed)) Gas;
enum { IN_MEMORY, IN_IO };
enum { BYTES = 1, WORDS = 2, DWORDS = 3 };

typedef struct Fadt { /* §5.2.9, as of revision 3 */
    AcpiHeader header;
    uint32_t facs, dsdt;
    uint8_t model, profile;
    uint16_t sci;
    uint32_t smi_cmd;
    uint8_t acpi_enable, acpi_disable, s4bios, pstate;
    uint32_t pm1a_evt, pm1b_evt, pm1a_cnt, pm1b_cnt, pm2_cnt, pm_tmr, gpe0, gpe1;
    uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len, gpe0_len, gpe1_len, gpe1_base, cst;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_arch;
    uint8_t reserved;
    uint32_t flags;
    Gas reset_register;
    uint8_t reset_value, reserved2[3];
    uint64_t x_facs, x_dsdt;
    Gas x_pm1a_evt, x_pm1b_evt, x_pm1a_cnt, x_pm1b_cnt, x_pm2_cnt, x_pm_tmr, x_gpe0, x_gpe1;
    /* as of revisions 5 and 6 */
    Gas sleep_control, sleep_status;
    uint64_t hypervisor;
} __attribute__((packed)) Fadt;
enum { FADT_3 = offsetof(Fadt, sleep_control) };
static_assert(FADT_3 == 244 && sizeof(Fadt) == 276, "§5.2.9");

enum {
    WBINVD = 1 << 0,
    PROC_C1 = 1 << 2,
    NO_SLEEP_BUTTON = 1 << 5,
    RTC_S4 = 1 << 7,
    RESET_REGISTER = 1 << 10,
    USE_PLATFORM_CLOCK = 1 << 15,
    FORCE_APIC_CLUSTER = 1 << 18,
    HW_REDUCED = 1 << 20
};
enum { LEGACY_DEVICES = 1 << 0, HAS_8042 = 1 << 1, NO_VGA = 1 << 2, NO_CMOS = 1 << 5 };

typedef struct Search {
    const char *class;
    Device *found;
} Search;

static void find_class(void *arg, Device *d)
{
    Search *s = arg;
    if (!strcmp(d->class->name, s->class)) {
        s->found = d;
    }
}

Device *acpi_pm_device(const AcpiBoard *board)
{
    Search s = {board->pm, NULL};
    device_foreach(find_class, &s);
    return s.found;
}

const AcpiBoard *acpi_board(void)
{
    static const AcpiBoard *const boards[] = {&acpi_q35, &acpi_microvm};
    for (unsigned i = 0; i < G_N_ELEMENTS(boards); i++) {
        if (acpi_pm_device(boards[i])) {
            return boards[i];
        }
    }
    return &acpi_i440fx;
}

/* Firmware has a say in where the PM registers lie; before it has spoken, where it usually puts
 * them. */
static uint32_t pm_base(const AcpiBoard *board)
{
    PciDevice *pd = (PciDevice *)acpi_pm_device(board);
    uint32_t base =
        pd && pd->bus
            ? pci_config_read(pd->bus, (unsigned)pd->devfn, board->pm_register, 4) & board->pm_mask
            : 0;
    return base ? base : board->pm_usual;
}

/* Hardware-reduced (§4.1): events, sleep and reset are where the board says, and nothing else is. */
static uint32_t add_reduced_fadt(Tables *t, const AcpiReduced *r, uint32_t dsdt)
{
    Fadt f = {
        .header = acpi_header("FACP", 6),
        .pm_tmr = r->timer,
        .pm_tmr_len = r->timer ? 4 : 0,
        .x_pm_tmr = {IN_IO, r->timer ? 32 : 0, 0, r->timer ? DWORDS : 0, r->timer},
        .boot_arch = NO_VGA | (machine.rtc ? 0 : NO_CMOS) | (r->isa ? LEGACY_DEVICES : 0),
        .flags = WBINVD | PROC_C1 | HW_REDUCED | RESET_REGISTER,
        .reset_register = {IN_MEMORY, 8, 0, BYTES, r->reset},
        .reset_value = r->reset_value,
        .sleep_control = {IN_MEMORY, 8, 0, BYTES, r->sleep_control},
        .sleep_status = {IN_MEMORY, 8, 0, BYTES, r->sleep_status},
    };
    memcpy(&f.hypervisor, "Ostler", sizeof("Ostler"));
    uint32_t at = add_table(t, &f, sizeof(f));
    add_pointer(t, TABLES_FILE, t->blob, at + offsetof(Fadt, dsdt), 4, dsdt);
    add_pointer(t, TABLES_FILE, t->blob, at + offsetof(Fadt, x_dsdt), 8, dsdt);
    return at;
}

static uint32_t add_fadt(Tables *t, uint32_t facs, uint32_t dsdt)
{
    enum { FLAT_APIC_CPUS = 8, CENTURY_BYTE = 0x32, NO_C2 = 0xfff, NO_C3 = 0xfff };
    const AcpiBoard *board = acpi_board();
    uint32_t base = pm_base(board), cnt = base + 4, timer = base + 8;
    uint32_t gpe = board->gpe + (board->gpe_relative ? base : 0);
    Fadt f = {
        .header = acpi_header("FACP", 3),
        .model = 1, /* the interrupt model of ACPI 1.0: 8259s and APIC */
        .sci = 9,
        .smi_cmd = board->smi_cmd,
        .acpi_enable = board->enable,
        .acpi_disable = board->disable,
        .pm1a_evt = base,
        .pm1a_cnt = cnt,
        .pm_tmr = timer,
        .gpe0 = gpe,
        .pm1_evt_len = 4,
        .pm1_cnt_len = 2,
        .pm_tmr_len = 4,
        .gpe0_len = (uint8_t)board->gpe_len,
        .c2_latency = NO_C2,
        .c3_latency = NO_C3,
        .century = CENTURY_BYTE,
        .boot_arch = LEGACY_DEVICES | (machine.i8042 ? HAS_8042 : 0),
        .flags = WBINVD | PROC_C1 | NO_SLEEP_BUTTON | RTC_S4 | USE_PLATFORM_CLOCK |
                 (machine.max_cpus > FLAT_APIC_CPUS ? FORCE_APIC_CLUSTER : 0),
        .x_pm1a_evt = {IN_IO, 32, 0, WORDS, base},
        .x_pm1a_cnt = {IN_IO, 16, 0, WORDS, cnt},
        .x_pm_tmr = {IN_IO, 32, 0, DWORDS, timer},
        .x_gpe0 = {IN_IO, (uint8_t)(board->gpe_len * 8), 0, BYTES, gpe},
    };
    if (board->reset_register) {
        f.flags |= RESET_REGISTER;
        f.reset_register = (Gas){IN_IO, 8, 0, BYTES, 0xcf9};
        f.reset_value = 0x0e;
    }
    uint32_t at = add_table(t, &f, FADT_3);
    add_pointer(t, TABLES_FILE, t->blob, at + offsetof(Fadt, facs), 4, facs);
    add_pointer(t, TABLES_FILE, t->blob, at + offsetof(Fadt, dsdt), 4, dsdt);
    add_pointer(t, TABLES_FILE, t->blob, at + offsetof(Fadt, x_dsdt), 8, dsdt);
    return at;
}

/* ---- MADT (§5.2.12) ---- */

enum { LAPIC_MOST = 254, CPU_ENABLED = 1, ACTIVE_HIGH_LEVEL = 0x1 | 0x3 << 2, ALL_CPUS = 0xff };

static void put(GByteArray *b, const void *entry, size_t len)
{
    g_byte_array_append(b, entry, (guint)len);
}
#define PUT(b, ...) put(b, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

void acpi_madt_cpu(GByteArray *b, uint32_t id, uint32_t uid, bool enabled)
{
    uint32_t flags = enabled ? CPU_ENABLED : 0;
    if (id <= LAPIC_MOST && uid <= LAPIC_MOST) {
        PUT(b, 0, 8, (uint8_t)uid, (uint8_t)id, (uint8_t)flags, 0, 0, 0);
        return;
    }
    struct {
        uint8_t type, length;
        uint16_t reserved;
        uint32_t id, flags, uid;
    } x2apic = {9, 16, 0, id, flags, uid};
    put(b, &x2apic, sizeof(x2apic));
}

static GByteArray *madt(void)
{
    static const uint8_t pci_lines[] = {5, 9, 10, 11};
    enum { PC_PINS = 24, PCAT_COMPATIBLE = 1, LAPIC_BASE_HIGH = 0xfe };
    AcpiHeader h = acpi_header("APIC", 3);
    GByteArray *b = g_byte_array_new();
    bool wide = false;
    put(b, &h, sizeof(h));
    const AcpiReduced *reduced = acpi_board()->reduced;
    PUT(b, 0, 0, 0xe0, LAPIC_BASE_HIGH, machine.pic ? PCAT_COMPATIBLE : 0, 0, 0, 0);
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        uint32_t id = topology_apic_id(&machine.topology, i);
        wide |= id > LAPIC_MOST || i > LAPIC_MOST;
        acpi_madt_cpu(b, id, i, cpu_by_index(i) != NULL);
    }
    PUT(b, 1, 12, 0, 0, 0, 0, 0xc0, LAPIC_BASE_HIGH, 0, 0, 0, 0); /* I/O APIC 0 from GSI 0 on */
    PUT(b, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0);                        /* the timer is on pin 2 */
    if (reduced && reduced->ioapic2()) {
        struct {
            uint8_t type, length, id, reserved;
            uint32_t at, first_gsi;
        } second = {1, 12, 1, 0, reduced->ioapic2(), PC_PINS};
        put(b, &second, sizeof(second));
    }
    for (unsigned i = 0; i < sizeof(pci_lines) && !reduced; i++) {
        PUT(b, 2, 10, 0, pci_lines[i], pci_lines[i], 0, 0, 0, ACTIVE_HIGH_LEVEL, 0);
    }
    PUT(b, 4, 6, ALL_CPUS, 0, 0, 1); /* NMI at LINT1 */
    if (wide) {
        PUT(b, 10, 12, 0, 0, ALL_CPUS, ALL_CPUS, ALL_CPUS, ALL_CPUS, 1, 0, 0, 0);
    }
    return b;
}

/* ---- The small ones ---- */

/* IA-PC HPET specification 1.0a §3.2.4 */
static uint32_t add_hpet(Tables *t)
{
    struct {
        AcpiHeader header;
        uint32_t id;
        Gas at;
        uint8_t number;
        uint16_t min_tick;
        uint8_t protection;
    } __attribute__((packed)) hpet = {
        .header = acpi_header("HPET", 1),
        .id = 0x8086a201, /* Intel, legacy replacement, 64-bit counter, 3 comparators, revision 1 */
        .at = {IN_MEMORY, 64, 0, 0, 0xfed00000},
        .min_tick = 100,
    };
    return add_table(t, &hpet, sizeof(hpet));
}

/* Windows ACPI Emulated Devices Table: the PM timer may be read once, the RTC needs no second read.
 */
static uint32_t add_waet(Tables *t)
{
    struct {
        AcpiHeader header;
        uint32_t flags;
    } waet = {acpi_header("WAET", 1), 1 << 1};
    return add_table(t, &waet, sizeof(waet));
}

static uint32_t add_vmgenid(Tables *t)
{
    AcpiHeader h = acpi_header("SSDT", 1);
    uint32_t address_at;
    g_autoptr(GByteArray) aml = acpi_vmgenid(&address_at), table = g_byte_array_new();
    put(table, &h, sizeof(h));
    put(table, aml->data, aml->len);
    uint32_t at = add_bytes(t, table);
    add_pointer_to(t, VMGENID_GUID_FILE, TABLES_FILE, t->blob, at + (uint32_t)sizeof(h) + address_at, 4, 0);
    Command c = {.what = WRITE_POINTER, .write = {VMGENID_ADDR_FILE, VMGENID_GUID_FILE, 0, 0, 8}};
    g_array_append_val(t->pointers, c);
    return at;
}

/* PCI Firmware 3.3 §4.1.2: where the configuration window lies.  A board that can have one always
 * has the table, without an entry while there is none, since the script's length is announced too.
 */
static void add_mcfg(Tables *t)
{
    struct {
        AcpiHeader header;
        uint64_t reserved, at;
        uint16_t segment;
        uint8_t first_bus, last_bus;
        uint32_t reserved2;
    } __attribute__((packed)) mcfg = {.header = acpi_header("MCFG", 1)};
    const AcpiBoard *board = acpi_board();
    uint64_t at, size;
    if (!board->ecam) {
        return;
    }
    bool here = board->ecam(&at, &size);
    mcfg.at = here ? at : 0;
    mcfg.last_bus = here ? (uint8_t)((size >> 20) - 1) : 0;
    add_root(t, add_table(t, &mcfg, here ? sizeof(mcfg) : offsetof(typeof(mcfg), at)));
}

/* RSDT and XSDT (§5.2.7, §5.2.8) list the same tables by 4 and 8 bytes. */
static uint32_t add_list(Tables *t, const char *signature, uint8_t width)
{
    AcpiHeader h = acpi_header(signature, 1);
    g_autoptr(GByteArray) table = g_byte_array_new();
    put(table, &h, sizeof(h));
    pad(table, (guint)(sizeof(h) + width * t->roots->len));
    uint32_t at = add_bytes(t, table);
    for (guint i = 0; i < t->roots->len; i++) {
        add_pointer(t, TABLES_FILE, t->blob, at + (uint32_t)sizeof(h) + i * width, width,
                    g_array_index(t->roots, uint32_t, i));
    }
    return at;
}

typedef struct Rsdp { /* §5.2.5.3 */
    char signature[8];
    uint8_t checksum;
    char oem_id[ACPI_OEM_ID];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t extended_checksum, reserved[3];
} __attribute__((packed)) Rsdp;

static void make_rsdp(Tables *t, uint32_t rsdt, uint32_t xsdt)
{
    enum { FIRST_PART = 20 }; /* what ACPI 1.0 had of it */
    Rsdp r = {.revision = 2, .length = sizeof(r)};
    memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
    put_id(r.oem_id, sizeof(r.oem_id), oem_id());
    put(t->rsdp, &r, sizeof(r));
    add_pointer(t, RSDP_FILE, t->rsdp, offsetof(Rsdp, rsdt), 4, rsdt);
    add_pointer(t, RSDP_FILE, t->rsdp, offsetof(Rsdp, xsdt), 8, xsdt);
    add_checksum(t, RSDP_FILE, offsetof(Rsdp, checksum), 0, FIRST_PART);
    add_checksum(t, RSDP_FILE, offsetof(Rsdp, extended_checksum), 0, sizeof(r));
}

/* ---- All of it ---- */

static Tables *tables_make(void)
{
    Tables *t = g_new0(Tables, 1);
    t->rsdp = g_byte_array_new();
    t->blob = g_byte_array_new();
    t->roots = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    t->pointers = g_array_new(FALSE, FALSE, sizeof(Command));
    t->checksums = g_array_new(FALSE, FALSE, sizeof(Command));
    const AcpiReduced *reduced = acpi_board()->reduced;
    if (reduced) { /* no FACS: there is nothing to wake from (§5.2.10) */
        add_root(t, add_reduced_fadt(t, reduced, add_dsdt(t)));
    } else {
        uint32_t facs = add_facs(t), dsdt = add_dsdt(t);
        add_root(t, add_fadt(t, facs, dsdt));
    }
    if (!machine.cpu_model || model_has(machine.cpu_model, FEATURE_APIC)) {
        g_autoptr(GByteArray) b = madt();
        add_root(t, add_bytes(t, b));
    }
    if (machine.hpet) {
        add_root(t, add_hpet(t));
    }
    if (numa.nodes) {
        g_autoptr(GByteArray) b = acpi_srat();
        add_root(t, add_bytes(t, b));
    }
    if (numa.distances) {
        g_autoptr(GByteArray) b = acpi_slit();
        add_root(t, add_bytes(t, b));
    }
    add_mcfg(t);
    add_root(t, add_waet(t));
    if (vmgenid_find()) {
        add_root(t, add_vmgenid(t));
    }
    GPtrArray *user = acpi_user_tables();
    for (guint i = 0; i < user->len; i++) {
        add_root(t, add_bytes(t, user->pdata[i]));
    }
    uint32_t rsdt = add_list(t, "RSDT", 4), xsdt = add_list(t, "XSDT", 8);
    make_rsdp(t, rsdt, xsdt);
    return t;
}

static void tables_free(Tables *t)
{
    g_byte_array_unref(t->rsdp);
    g_byte_array_unref(t->blob);
    g_array_unref(t->roots);
    g_array_unref(t->pointers);
    g_array_unref(t->checksums);
    g_free(t);
}

/* A window above 4 GiB, and the one for configuration with what tells of it, may come and go with
 * what the firmware assigns; nothing else changes the size. */
static guint announced_size(guint now)
{
    enum { SPARE = 512, UNIT = 4096 };
    return (now + SPARE + UNIT - 1) / UNIT * UNIT;
}

static void selected(void *arg);

static bool offer(FwCfg *fw, GError **error)
{
    Tables *t = tables_make();
    g_autoptr(GBytes) old = fw_cfg_file(fw, TABLES_FILE), loader = script(t);
    guint size = old ? (guint)g_bytes_get_size(old) : announced_size(t->blob->len);
    assert(t->blob->len <= size);
    pad(t->blob, size);
    FwCfgHooks hooks = {.select = selected, .arg = fw};
    gsize n;
    const void *commands = g_bytes_get_data(loader, &n);
    bool ok = fw_cfg_add_file_hooks(fw, RSDP_FILE, t->rsdp->data, t->rsdp->len, &hooks, error) &&
              fw_cfg_add_file_hooks(fw, TABLES_FILE, t->blob->data, t->blob->len, &hooks, error) &&
              fw_cfg_add_file_hooks(fw, LOADER_FILE, commands, n, &hooks, error);
    tables_free(t);
    return ok;
}

/* The firmware may take the pieces apart: OVMF lets devices decode while it reads the script, and no more when it fetches
 * what the script speaks of.  So they are made at the first look after a reset, and then stay as they are. */
static bool looked;

static void selected(void *arg)
{
    if (!looked) {
        looked = true;
        offer(arg, NULL);
    }
}

static void machine_was_reset(void *arg, ShutdownCause cause)
{
    looked = false;
}

static bool check_id(const char *property, const char *value, size_t most, GError **error)
{
    if (value && strlen(value) > most) {
        return error_fail(error, "-machine %s=%s: expected at most %zu characters", property, value,
                          most);
    }
    return true;
}

bool acpi_add(FwCfg *fw, GError **error)
{
    if (!check_id("x-oem-id", machine.oem_id, ACPI_OEM_ID, error) ||
        !check_id("x-oem-table-id", machine.oem_table_id, ACPI_OEM_TABLE_ID, error)) {
        return false;
    }
    static const RunListener listener = {.reset = machine_was_reset};
    runstate_listen(&listener);
    looked = false;
    return offer(fw, error);
}
