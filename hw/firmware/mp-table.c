#include "hw/firmware/mp-table.h"

#include <string.h>

#include "hw/machine.h"

typedef struct Floating {               /* §4.1 */
    char signature[4];
    uint32_t table;
    uint8_t length, revision, checksum, feature[5];
} __attribute__((packed)) Floating;

typedef struct Header {                 /* §4.2 */
    char signature[4];
    uint16_t length;
    uint8_t revision, checksum;
    char oem[8], product[12];
    uint32_t oem_table;
    uint16_t oem_size, entries;
    uint32_t local_apic;
    uint16_t extended;
    uint8_t extended_checksum, reserved;
} __attribute__((packed)) Header;

enum { PROCESSOR, BUS, IO_APIC, IO_INTERRUPT, LOCAL_INTERRUPT };        /* §4.3 */
enum { INT, NMI, SMI, EXTINT };
enum { CONFORMS = 0, ACTIVE_HIGH_LEVEL = 0x1 | 0x3 << 2 };
enum { REVISION = 4, ISA_BUS = 0, ISA_LINES = 16, CASCADE = 2, TIMER_PIN = 2, ALL = 0xff };

static void put(GByteArray *b, const void *entry, size_t len)
{
    g_byte_array_append(b, entry, (guint)len);
}
#define PUT(b, ...) put(b, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static uint8_t negative_sum(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;
    while (len--) {
        sum = (uint8_t)(sum + *p++);
    }
    return (uint8_t)-sum;
}

static void put_interrupt(GByteArray *b, uint8_t entry, uint8_t type, uint8_t flags, uint8_t line, uint8_t apic,
                          uint8_t pin)
{
    PUT(b, entry, type, flags, 0, ISA_BUS, line, apic, pin);
}

/* Processors have 8-bit numbers here; those beyond are not listed. */
static unsigned put_processors(GByteArray *b)
{
    enum { MOST = 254, VERSION = 0x14, ENABLED = 1, BOOT = 2, SIGNATURE_AT = 4 };
    unsigned n = 0;
    for (unsigned i = 0; i < machine.cpus; i++) {
        uint32_t id = topology_apic_id(&machine.topology, i);
        if (id < MOST) {
            PUT(b, PROCESSOR, (uint8_t)id, VERSION, ENABLED | (i ? 0 : BOOT), 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
            n++;
        }
    }
    return n;
}

GByteArray *mp_table(uint32_t at, uint16_t levels)
{
    enum { IO_APIC_ID = 0xff, IO_APIC_VERSION = 0x20, USABLE = 1 };
    Floating f = {.table = at + sizeof(Floating), .length = 1, .revision = REVISION};
    Header h = {.revision = REVISION, .local_apic = 0xfee00000};
    memcpy(f.signature, "_MP_", 4);
    memcpy(h.signature, "PCMP", 4);
    memcpy(h.oem, "OSTLER  ", sizeof(h.oem));
    memcpy(h.product, "MICROVM     ", sizeof(h.product));
    GByteArray *b = g_byte_array_new();
    put(b, &f, sizeof(f));
    put(b, &h, sizeof(h));
    h.entries = (uint16_t)put_processors(b);
    PUT(b, BUS, ISA_BUS, 'I', 'S', 'A', ' ', ' ', ' ');
    PUT(b, IO_APIC, IO_APIC_ID, IO_APIC_VERSION, USABLE, 0, 0, 0xc0, 0xfe);
    h.entries += 2;
    for (unsigned i = 0; i < ISA_LINES; i++) {
        if (i != CASCADE) {
            put_interrupt(b, IO_INTERRUPT, INT, levels >> i & 1 ? ACTIVE_HIGH_LEVEL : CONFORMS, (uint8_t)i, IO_APIC_ID,
                          i ? (uint8_t)i : TIMER_PIN);
            h.entries++;
        }
    }
    put_interrupt(b, LOCAL_INTERRUPT, EXTINT, CONFORMS, 0, ALL, 0);
    put_interrupt(b, LOCAL_INTERRUPT, NMI, CONFORMS, 0, ALL, 1);
    h.entries += 2;
    h.length = (uint16_t)(b->len - sizeof(f));
    memcpy(b->data + sizeof(f), &h, sizeof(h));
    ((Header *)(void *)(b->data + sizeof(f)))->checksum = negative_sum(b->data + sizeof(f), h.length);
    b->data[offsetof(Floating, checksum)] = negative_sum(b->data, sizeof(f));
    return b;
}
