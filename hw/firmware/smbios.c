/* SMBIOS structures of the machine (DSP0134, version 2.8), for firmware to put in place.
 *
 * The firmware knows what it is itself, so type 0 is ours only when the user describes it. */
#include "hw/firmware/smbios.h"

#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/model.h"
#include "hw/machine.h"

enum { VERSION_MAJOR = 2, VERSION_MINOR = 8 };
enum { OTHER = 1, UNKNOWN = 2, SAFE = 3 }; /* values that many enumerations share */

typedef struct Smbios {
    GByteArray *all;
    unsigned count, largest;
    guint start; /* of the structure being written */
    GPtrArray *strings;
} Smbios;

/* ---- Structures, written front to back ---- */

static void put(Smbios *s, uint64_t value, unsigned size)
{
    g_byte_array_append(s->all, (const uint8_t *)&value, size);
}

/* False: the user's files have that type. */
static bool begin(Smbios *s, unsigned type, unsigned handle)
{
    if (smbios_from_file(type)) {
        return false;
    }
    s->start = s->all->len;
    s->strings = g_ptr_array_new();
    put(s, type, 1);
    put(s, 0, 1);
    put(s, handle, 2);
    return true;
}

/* Strings have numbers from 1 on; an empty one is number 0 (§6.1.3). */
static void put_string(Smbios *s, const char *text)
{
    if (text && *text) {
        g_ptr_array_add(s->strings, (char *)text);
        put(s, s->strings->len, 1);
    } else {
        put(s, 0, 1);
    }
}

static void end(Smbios *s)
{
    s->all->data[s->start + 1] = (uint8_t)(s->all->len - s->start);
    for (guint i = 0; i < s->strings->len; i++) {
        const char *text = s->strings->pdata[i];
        g_byte_array_append(s->all, (const uint8_t *)text, (guint)strlen(text) + 1);
    }
    put(s, 0, s->strings->len ? 1 : 2);
    g_clear_pointer(&s->strings, g_ptr_array_unref);
    s->count++;
    s->largest = MAX(s->largest, s->all->len - s->start);
}

/* ---- The types ---- */

static void bios(Smbios *s)
{
    enum {
        SEGMENT = 0xe800,
        CHARACTERISTICS_UNSUPPORTED = 1 << 3,
        TARGETED = 1 << 2,
        UEFI = 1 << 3,
        VIRTUAL = 1 << 4
    };
    unsigned major = 0, minor = 0;
    if (!smbios_asked(0) || !begin(s, 0, 0)) {
        return;
    }
    sscanf(smbios_text(0, "release", "0.0"), "%3u.%3u", &major, &minor);
    put_string(s, smbios_text(0, "vendor", NULL));
    put_string(s, smbios_text(0, "version", NULL));
    put(s, SEGMENT, 2);
    put_string(s, smbios_text(0, "date", NULL));
    put(s, 0, 1); /* 64 KiB */
    put(s, CHARACTERISTICS_UNSUPPORTED, 8);
    put(s, 0, 1);
    put(s, TARGETED | VIRTUAL | (smbios_switch(0, "uefi") ? UEFI : 0), 1);
    put(s, major, 1);
    put(s, minor, 1);
    put(s, 0xffff, 2); /* no embedded controller */
    end(s);
}

/* §7.2.1: the first three fields are little-endian. */
static void put_uuid(Smbios *s, const uint8_t uuid[16])
{
    const uint8_t out[] = {uuid[3], uuid[2], uuid[1], uuid[0], uuid[5], uuid[4], uuid[7], uuid[6]};
    g_byte_array_append(s->all, out, sizeof(out));
    g_byte_array_append(s->all, uuid + sizeof(out), 8);
}

static void system_information(Smbios *s)
{
    enum { POWER_SWITCH = 6 };
    static const Row row = {
        .name = "uuid", .type = TYPE_UUID, .size = 16, .count = 1, .stored = true};
    const char *text = smbios_text(1, "uuid", NULL);
    uint8_t uuid[16];
    if (!begin(s, 1, 0x100)) {
        return;
    }
    memcpy(uuid, machine.uuid, sizeof(uuid));
    if (text) {
        row_parse(&row, uuid, text, "-smbios", NULL);
    }
    put_string(s, smbios_text(1, "manufacturer", "QEMU"));
    put_string(s, smbios_text(1, "product", machine.class->doc));
    put_string(s, smbios_text(1, "version", machine.class->name));
    put_string(s, smbios_text(1, "serial", NULL));
    put_uuid(s, uuid);
    put(s, POWER_SWITCH, 1);
    put_string(s, smbios_text(1, "sku", NULL));
    put_string(s, smbios_text(1, "family", NULL));
    end(s);
}

static void baseboard(Smbios *s)
{
    enum { HOSTING_BOARD = 1, MOTHERBOARD = 0x0a, CHASSIS = 0x300 };
    if (!smbios_asked(2) || !begin(s, 2, 0x200)) {
        return;
    }
    put_string(s, smbios_text(2, "manufacturer", "QEMU"));
    put_string(s, smbios_text(2, "product", machine.class->doc));
    put_string(s, smbios_text(2, "version", machine.class->name));
    put_string(s, smbios_text(2, "serial", NULL));
    put_string(s, smbios_text(2, "asset", NULL));
    put(s, HOSTING_BOARD, 1);
    put_string(s, smbios_text(2, "location", NULL));
    put(s, CHASSIS, 2);
    put(s, MOTHERBOARD, 1);
    put(s, 0, 1); /* contained objects */
    end(s);
}

static void chassis(Smbios *s)
{
    if (!begin(s, 3, 0x300)) {
        return;
    }
    put_string(s, smbios_text(3, "manufacturer", "QEMU"));
    put(s, OTHER, 1);
    put_string(s, smbios_text(3, "version", machine.class->name));
    put_string(s, smbios_text(3, "serial", NULL));
    put_string(s, smbios_text(3, "asset", NULL));
    put(s, SAFE, 1);    /* at the last boot */
    put(s, SAFE, 1);    /* power supply */
    put(s, SAFE, 1);    /* temperature */
    put(s, UNKNOWN, 1); /* security */
    put(s, 0, 4);       /* defined by the maker */
    put(s, 0, 1);       /* height */
    put(s, 0, 1);       /* power cords */
    put(s, 0, 2);       /* contained elements: none, each of 0 bytes */
    put_string(s, smbios_text(3, "sku", NULL));
    end(s);
}

/* Signature and feature flags: EAX and EDX of CPUID leaf 1 (§7.5.3). */
static uint64_t processor_id(void)
{
    uint32_t regs[4] = {0};
    if (cpu_count() && cpu_at(0)->model) {
        model_cpuid(cpu_at(0)->model, cpu_at(0), 1, 0, regs);
    }
    return regs[0] | (uint64_t)regs[3] << 32;
}

static void processor(Smbios *s, unsigned socket)
{
    enum {
        CENTRAL = 3,
        POPULATED_ENABLED = 0x41,
        NO_HANDLE = 0xffff,
        IN_FAMILY_2 = 0xfe,
        DEFAULT_MHZ = 2000
    };
    const Topology *t = &machine.topology;
    unsigned family = (unsigned)smbios_number(4, "processor-family", OTHER),
             cores = t->dies * t->cores;
    unsigned threads = cores * t->threads;
    if (!begin(s, 4, 0x400 + socket)) {
        return;
    }
    g_autofree char *name = g_strdup_printf("%s%2x", smbios_text(4, "sock_pfx", "CPU"), socket);
    put_string(s, name);
    put(s, CENTRAL, 1);
    put(s, family < IN_FAMILY_2 ? family : IN_FAMILY_2, 1);
    put_string(s, smbios_text(4, "manufacturer", "QEMU"));
    put(s, smbios_number(4, "processor-id", processor_id()), 8);
    put_string(s, smbios_text(4, "version", machine.class->name));
    put(s, 0, 1); /* voltage: unknown */
    put(s, 0, 2); /* external clock: unknown */
    put(s, smbios_number(4, "max-speed", DEFAULT_MHZ), 2);
    put(s, smbios_number(4, "current-speed", DEFAULT_MHZ), 2);
    put(s, POPULATED_ENABLED, 1);
    put(s, OTHER, 1); /* kind of socket */
    put(s, NO_HANDLE, 2);
    put(s, NO_HANDLE, 2);
    put(s, NO_HANDLE, 2); /* caches */
    put_string(s, smbios_text(4, "serial", NULL));
    put_string(s, smbios_text(4, "asset", NULL));
    put_string(s, smbios_text(4, "part", NULL));
    put(s, MIN(cores, UINT8_MAX), 1);
    put(s, MIN(cores, UINT8_MAX), 1);
    put(s, MIN(threads, UINT8_MAX), 1);
    put(s, 1 << 1, 2); /* characteristics: unknown */
    put(s, family, 2);
    end(s);
}

static void oem_strings(Smbios *s)
{
    const GPtrArray *strings = smbios_oem_strings();
    if (!smbios_asked(11) || !begin(s, 11, 0xe00)) {
        return;
    }
    put(s, strings->len, 1);
    for (guint i = 0; i < strings->len; i++) {
        g_ptr_array_add(s->strings, strings->pdata[i]);
    }
    end(s);
}

enum { MEMORY_ARRAY = 0x1000, NO_ERROR_HANDLE = 0xfffe };
static const uint64_t MIB = 1 << 20, GIB = 1 << 30;

static unsigned memory_devices(void)
{
    return (unsigned)((machine.ram_size + 16 * GIB - 1) / (16 * GIB));
}

static void memory_array(Smbios *s)
{
    enum { SYSTEM_MEMORY = 3, MULTI_BIT_ECC = 6 };
    const uint32_t large = UINT32_C(1) << 31; /* KiB: the extended field says how many */
    uint64_t kib = machine.ram_size >> 10;
    if (!begin(s, 16, MEMORY_ARRAY)) {
        return;
    }
    put(s, OTHER, 1);
    put(s, SYSTEM_MEMORY, 1);
    put(s, MULTI_BIT_ECC, 1);
    put(s, kib < large ? kib : large, 4);
    put(s, NO_ERROR_HANDLE, 2);
    put(s, memory_devices(), 2);
    put(s, kib < large ? 0 : machine.ram_size, 8);
    end(s);
}

static void memory_device(Smbios *s, unsigned n, uint64_t size)
{
    enum { WIDTH_UNKNOWN = 0xffff, EXTENDED = 0x7fff, DIMM = 9, RAM = 7, OTHER_DETAIL = 1 << 1 };
    uint64_t mib = size / MIB;
    if (!begin(s, 17, 0x1100 + n)) {
        return;
    }
    g_autofree char *name = g_strdup_printf("%s %u", smbios_text(17, "loc_pfx", "DIMM"), n);
    put(s, MEMORY_ARRAY, 2);
    put(s, NO_ERROR_HANDLE, 2);
    put(s, WIDTH_UNKNOWN, 2);
    put(s, WIDTH_UNKNOWN, 2);
    put(s, MIN(mib, EXTENDED), 2);
    put(s, DIMM, 1);
    put(s, 0, 1); /* no set */
    put_string(s, name);
    put_string(s, smbios_text(17, "bank", NULL));
    put(s, RAM, 1);
    put(s, OTHER_DETAIL, 2);
    put(s, smbios_number(17, "speed", 0), 2);
    put_string(s, smbios_text(17, "manufacturer", "QEMU"));
    put_string(s, smbios_text(17, "serial", NULL));
    put_string(s, smbios_text(17, "asset", NULL));
    put_string(s, smbios_text(17, "part", NULL));
    put(s, 0, 1); /* rank: unknown */
    put(s, mib < EXTENDED ? 0 : mib, 4);
    put(s, smbios_number(17, "speed", 0), 2);
    put(s, 0, 2);
    put(s, 0, 2);
    put(s, 0, 2); /* voltages: unknown */
    end(s);
}

static void mapped_memory(Smbios *s, unsigned n, uint64_t at, uint64_t size)
{
    uint64_t first = at >> 10, last = (at + size - 1) >> 10;
    bool extended = last >= UINT32_MAX;
    if (!size || !begin(s, 19, 0x1300 + n)) {
        return;
    }
    put(s, extended ? UINT32_MAX : first, 4);
    put(s, extended ? UINT32_MAX : last, 4);
    put(s, MEMORY_ARRAY, 2);
    put(s, 1, 1); /* device in a row */
    put(s, extended ? at : 0, 8);
    put(s, extended ? at + size - 1 : 0, 8);
    end(s);
}

static void memory(Smbios *s)
{
    memory_array(s);
    for (unsigned i = 0; i < memory_devices(); i++) {
        memory_device(s, i, MIN(machine.ram_size - i * 16 * GIB, 16 * GIB));
    }
    mapped_memory(s, 0, 0, machine.ram_below_4g);
    mapped_memory(s, 1, machine.ram_above_at, machine.ram_above_4g);
}

static void boot_status(Smbios *s)
{
    if (begin(s, 32, 0x2000)) {
        put(s, 0, 6);
        put(s, 0, 1); /* no errors detected */
        end(s);
    }
}

static void end_of_table(Smbios *s)
{
    if (begin(s, 127, 0x7f00)) {
        end(s);
    }
}

/* ---- Entry point (§5.2.1) ---- */

typedef struct Anchor {
    char signature[4];
    uint8_t checksum, length, major, minor;
    uint16_t largest;
    uint8_t revision, formatted[5];
    char dmi[5];
    uint8_t dmi_checksum;
    uint16_t tables_length;
    uint32_t tables_at; /* filled in by the firmware, with both sums */
    uint16_t structures;
    uint8_t bcd_revision;
} __attribute__((packed)) Anchor;

static uint8_t sum(const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint8_t s = 0;
    while (n--) {
        s = (uint8_t)(s + *p++);
    }
    return s;
}

static Anchor make_anchor(const Smbios *s)
{
    Anchor a = {.signature = "_SM_",
                .length = sizeof(a),
                .major = VERSION_MAJOR,
                .minor = VERSION_MINOR,
                .largest = (uint16_t)s->largest,
                .dmi = "_DMI_",
                .tables_length = (uint16_t)s->all->len,
                .structures = (uint16_t)s->count,
                .bcd_revision = VERSION_MAJOR << 4 | VERSION_MINOR};
    a.dmi_checksum = (uint8_t)-sum(a.dmi, sizeof(a) - offsetof(Anchor, dmi));
    a.checksum = (uint8_t)-sum(&a, sizeof(a));
    return a;
}

bool smbios_add(FwCfg *fw, GError **error)
{
    Smbios s = {.all = g_byte_array_new()};
    const GByteArray *user = smbios_user_structures(&s.count, &s.largest);
    g_autoptr(GByteArray) owned = s.all;
    g_byte_array_append(s.all, user->data, user->len);
    bios(&s);
    system_information(&s);
    baseboard(&s);
    chassis(&s);
    for (unsigned i = 0; i < machine.topology.sockets; i++) {
        processor(&s, i);
    }
    oem_strings(&s);
    memory(&s);
    boot_status(&s);
    end_of_table(&s);
    if (s.all->len > UINT16_MAX) {
        return error_fail(error, "-smbios: the structures have %u bytes, the limit is 65535",
                          s.all->len);
    }
    Anchor a = make_anchor(&s);
    return fw_cfg_add_file(fw, "etc/smbios/smbios-tables", s.all->data, s.all->len, error) &&
           fw_cfg_add_file(fw, "etc/smbios/smbios-anchor", &a, sizeof(a), error);
}
