/* NUMA in tables: who belongs to which proximity domain (SRAT, ACPI 6.4 §5.2.16), and how far
 * domains are from one another (SLIT, §5.2.17). */
#include "hw/firmware/acpi.h"
#include "hw/machine.h"
#include "hw/memory/numa.h"

static void put(GByteArray *b, const void *entry, size_t len)
{
    g_byte_array_append(b, entry, (guint)len);
}

enum { ENABLED = 1 << 0, HOT_PLUGGABLE = 1 << 1 };

/* §5.2.16.1, §5.2.16.3: numbers from 255 on are those of x2APICs. */
static void put_processor(GByteArray *b, uint32_t id, uint32_t domain)
{
    enum { LAPIC_MOST = 254 };
    struct {
        uint8_t type, length, domain_low, id;
        uint32_t flags;
        uint8_t eid, domain_high[3];
        uint32_t clock_domain;
    } __attribute__((packed)) local = {.length = 16,
                                       .domain_low = (uint8_t)domain,
                                       .id = (uint8_t)id,
                                       .flags = ENABLED,
                                       .domain_high = {(uint8_t)(domain >> 8)}};
    struct {
        uint8_t type, length;
        uint16_t reserved;
        uint32_t domain, id, flags, clock_domain, reserved2;
    } x2apic = {2, 24, 0, domain, id, ENABLED, 0, 0};
    if (id <= LAPIC_MOST) {
        put(b, &local, sizeof(local));
    } else {
        put(b, &x2apic, sizeof(x2apic));
    }
}

/* §5.2.16.2 */
static void put_memory(GByteArray *b, uint64_t at, uint64_t size, uint32_t domain, uint32_t flags)
{
    struct {
        uint8_t type, length;
        uint32_t domain;
        uint16_t reserved;
        uint64_t at, size;
        uint32_t reserved2, flags;
        uint64_t reserved3;
    } __attribute__((packed)) memory = {1, 40, domain, 0, at, size, 0, flags, 0};
    if (size) {
        put(b, &memory, sizeof(memory));
    }
}

/* The part of [from, from + size) of RAM, counted without holes, that lies in a piece of it shown
 * elsewhere. */
static void put_piece(GByteArray *b, uint64_t from, uint64_t size, uint64_t first, uint64_t end,
                      uint64_t shown, uint32_t domain)
{
    uint64_t a = MAX(from, first), z = MIN(from + size, end);
    if (a < z) {
        put_memory(b, shown + (a - first), z - a, domain, ENABLED);
    }
}

GByteArray *acpi_srat(void)
{
    enum { LOW_END = 640 << 10, LOW_AGAIN = 1 << 20 };
    AcpiHeader h = acpi_header("SRAT", 3);
    GByteArray *b = g_byte_array_new();
    const uint32_t one = 1;
    const uint64_t reserved = 0;
    uint64_t from = 0;
    put(b, &h, sizeof(h));
    put(b, &one, sizeof(one));
    put(b, &reserved, sizeof(reserved));
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        put_processor(b, topology_apic_id(&machine.topology, i), numa_cpu_node(i));
    }
    for (unsigned i = 0; i < numa.nodes; i++) {
        uint64_t size = numa.node[i].size;
        put_piece(b, from, size, 0, LOW_END, 0, i);
        put_piece(b, from, size, LOW_AGAIN, machine.ram_below_4g, LOW_AGAIN, i);
        put_piece(b, from, size, machine.ram_below_4g, machine.ram_size, machine.ram_above_at, i);
        from += size;
    }
    put_memory(b, machine.plug_at, machine.plug_size, numa.nodes - 1, ENABLED | HOT_PLUGGABLE);
    return b;
}

GByteArray *acpi_slit(void)
{
    AcpiHeader h = acpi_header("SLIT", 1);
    GByteArray *b = g_byte_array_new();
    uint64_t n = numa.nodes;
    put(b, &h, sizeof(h));
    put(b, &n, sizeof(n));
    for (unsigned i = 0; i < n; i++) {
        put(b, numa.node[i].distance, n);
    }
    return b;
}
