/* Looking at memory, ports and values. */
#include <inttypes.h>
#include <string.h>

#include "core/row.h"
#include "cpu/disas.h"
#include "cpu/paging.h"
#include "mem/region.h"
#include "qapi/hmp-internal.h"

static void print_char(Hmp *h, uint64_t v)
{
    unsigned char c = (unsigned char)v;
    if (c == '\'' || c == '\\') {
        hmp_print(h, "'\\%c'", c);
    } else if (c == '\n' || c == '\r') {
        hmp_print(h, c == '\n' ? "'\\n'" : "'\\r'");
    } else if (c >= 0x20 && c < 0x7f) {
        hmp_print(h, "'%c'", c);
    } else {
        hmp_print(h, "'\\x%02x'", c);
    }
}

/* Columns of a value in a dump. */
static int width_of(char format, unsigned size)
{
    switch (format) {
    case 'o': return (int)(size * 8 + 2) / 3;
    case 'x': return (int)size * 2;
    case 'c': return 0;
    default: return size == 1 ? 3 : size == 2 ? 5 : size == 4 ? 10 : 20;
    }
}

static void print_value(Hmp *h, char format, unsigned size, int width, uint64_t v)
{
    switch (format) {
    case 'o': hmp_print(h, "%#*" PRIo64, width, v); break;
    case 'x': hmp_print(h, "0x%0*" PRIx64, width, v); break;
    case 'u': hmp_print(h, "%*" PRIu64, width, v); break;
    case 'c': print_char(h, v); break;
    default: {
        unsigned shift = 64 - 8 * size;
        hmp_print(h, "%*" PRId64, width, (int64_t)(v << shift) >> shift);
    }
    }
}

/* Values of a dump are read by physical address or through the CPU's page tables (c). */
static bool peek(const Cpu *c, uint64_t at, void *buf, size_t len)
{
    if (c) {
        return cpu_memory_debug(c, at, buf, len, false);
    }
    return space_read(space_memory(), at, buf, len);    /* device windows too: people look at registers with xp */
}

static void dump(Hmp *h, const Cpu *c, const HmpFormat *f, uint64_t at)
{
    unsigned per_line = f->format == 'c' ? 8 : 16 / f->size;
    int width = width_of(f->format, f->size);
    if (f->size == 1 && f->format != 'c') {
        per_line = 8;
    }
    for (uint64_t i = 0; i < f->count && h->out->len < 16 << 20; i++, at += f->size) {
        uint64_t v = 0;
        if (i % per_line == 0) {
            hmp_print(h, i ? "\n%016" PRIx64 ":" : "%016" PRIx64 ":", at);
        }
        if (!peek(c, at, &v, f->size)) {
            hmp_print(h, " Cannot access memory");
            break;
        }
        hmp_print(h, " ");
        print_value(h, f->format, f->size, width, v);
    }
    hmp_print(h, "\n");
}

static void dump_string(Hmp *h, const Cpu *c, uint64_t count, uint64_t at)
{
    for (uint64_t i = 0; i < count && h->out->len < 16 << 20; i++) {
        char b;
        hmp_print(h, "%016" PRIx64 ": \"", at);
        while (peek(c, at++, &b, 1) && b && h->out->len < 16 << 20) {
            hmp_print(h, b >= 0x20 && b < 0x7f ? "%c" : "\\x%02x", (unsigned char)b);
        }
        hmp_print(h, "\"\n");
    }
}

static void examine(Hmp *h, const HmpArgs *a, bool physical)
{
    uint64_t at = (uint64_t)hmp_number(a, "addr", 0);
    if (!a->format.count) {
        return;
    }
    Cpu *c = physical && a->format.format != 'i' ? NULL : hmp_cpu(h);
    if (!c && (!physical || a->format.format == 'i')) {
        return;
    }
    if (a->format.format == 'i') {
        disas_print(c, at, physical, (unsigned)MIN(a->format.count, 100000), h->out);
    } else if (a->format.format == 's') {
        dump_string(h, physical ? NULL : c, a->format.count, at);
    } else {
        dump(h, physical ? NULL : c, &a->format, at);
    }
}

void hmp_x(Hmp *h, const HmpArgs *a)
{
    examine(h, a, false);
}

void hmp_xp(Hmp *h, const HmpArgs *a)
{
    examine(h, a, true);
}

void hmp_print_value(Hmp *h, const HmpArgs *a)
{
    uint64_t v = (uint64_t)hmp_number(a, "val", 0);
    switch (a->format.format) {
    case 'o': hmp_print(h, "%#" PRIo64, v); break;
    case 'x': hmp_print(h, "%#" PRIx64, v); break;
    case 'u': hmp_print(h, "%" PRIu64, v); break;
    case 'c': print_char(h, v); break;
    default: hmp_print(h, "%" PRId64, (int64_t)v);
    }
    hmp_print(h, "\n");
}

void hmp_in(Hmp *h, const HmpArgs *a)
{
    unsigned size = a->format.size == 8 ? 4 : a->format.size;
    uint16_t port = (uint16_t)hmp_number(a, "addr", 0);
    int64_t index = hmp_number(a, "index", -1);
    if (index >= 0) { /* an index and data pair */
        space_store(space_io(), port++, 1, (uint64_t)index);
    }
    uint64_t v = space_load(space_io(), port, size);
    hmp_print(h, "port%c[0x%04x] = 0x%0*" PRIx64 "\n",
              size == 1   ? 'b'
              : size == 2 ? 'w'
                          : 'l',
              port, (int)size * 2, v);
}

void hmp_out(Hmp *h, const HmpArgs *a)
{
    unsigned size = a->format.size == 8 ? 4 : a->format.size;
    space_store(space_io(), (uint16_t)hmp_number(a, "addr", 0), size,
                (uint64_t)hmp_number(a, "val", 0));
}

/* The BSD checksum, as `sum -r` computes it. */
void hmp_sum(Hmp *h, const HmpArgs *a)
{
    uint64_t at = (uint64_t)hmp_number(a, "start", 0), size = (uint64_t)hmp_number(a, "size", 0);
    uint16_t sum = 0;
    if (size > UINT64_C(1) << 32) {
        hmp_print(h, "sum: size expected to be at most 4 GiB\n");
        return;
    }
    uint8_t page[4096];
    for (uint64_t done = 0, n; done < size; done += n) {
        n = MIN(size - done, sizeof(page) - ((at + done) & (sizeof(page) - 1)));
        if (!space_peek(space_memory(), at + done, page, n)) {
            memset(page, 0xff, n);
        }
        for (uint64_t i = 0; i < n; i++) {
            sum = (uint16_t)((sum >> 1 | sum << 15) + page[i]);
        }
    }
    hmp_print(h, "%05d\n", sum);
}

void hmp_gva2gpa(Hmp *h, const HmpArgs *a)
{
    uint64_t phys;
    Cpu *c = hmp_cpu(h);
    if (c && cpu_translate_debug(c, (uint64_t)hmp_number(a, "addr", 0), &phys)) {
        hmp_print(h, "gpa: %#" PRIx64 "\n", phys);
    } else if (c) {
        hmp_print(h, "Unmapped\n");
    }
}
