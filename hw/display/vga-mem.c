/* The graphics controller's path between the CPU and the four planes (IBM VGA, "Graphics
 * Controller"; FreeVGA "Accessing the VGA Display Memory").  A byte of each plane travels as one
 * 32-bit word, plane 0 lowest. */
#include "hw/display/vga.h"

enum { SEQ4_ODD_EVEN_OFF = 0x04, SEQ4_CHAIN4 = 0x08 };
enum { GC5_READ_COMPARE = 0x08, GC5_ODD_EVEN = 0x10 };
enum { GC6_CHAIN_ODD_EVEN = 0x02 };
enum { MISC_RAM_ENABLE = 0x02 };
enum { PLANE_SIZE = 0x10000 };

/* A bit for each plane becomes a byte for each plane. */
static uint32_t expand(unsigned planes)
{
    return (planes & 1 ? 0xffu : 0) | (planes & 2 ? 0xff00u : 0) | (planes & 4 ? 0xff0000u : 0) |
           (planes & 8 ? 0xff000000u : 0);
}

static uint32_t everywhere(uint8_t byte)
{
    return byte * UINT32_C(0x01010101);
}

/* Which part of a0000-bffff the card answers, by the memory map select field; false: not this byte.
 */
static bool window_offset(const Vga *s, uint32_t at, uint32_t *offset)
{
    static const struct {
        uint32_t first, size;
    } maps[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
    unsigned map = s->gc[GC_MISC] >> 2 & 3;
    if (vbe_enabled(s)) {
        map = 1;
    }
    if (!(s->misc & MISC_RAM_ENABLE) || at - maps[map].first >= maps[map].size) {
        return false;
    }
    *offset = at - maps[map].first;
    return true;
}

static bool linear(const Vga *s)
{
    return vbe_enabled(s) ? s->bpp > 4 : (s->seq[SEQ_MEMORY_MODE] & SEQ4_CHAIN4) != 0;
}

/* Byte in the block of the word that holds plane offset n. */
static uint32_t word_at(const Vga *s, uint32_t n)
{
    if (vbe_enabled(s)) {
        return (uint32_t)(((uint64_t)s->bank * PLANE_SIZE + n) * 4 & (s->vram_size - 4));
    }
    n += s->plane_bank[n >> 15 & 1];
    return s->wide_planes ? n * 4 & (s->vram_size - 4) : n % PLANE_SIZE * 4;
}

/* The word and the planes that a linear address means. */
static uint32_t linear_at(const Vga *s, uint32_t offset)
{
    uint64_t at = vbe_enabled(s) ? (uint64_t)s->bank * 0x10000 + offset : offset % 0x40000;
    return (uint32_t)(at & (s->vram_size - 4));
}

uint8_t vga_mem_read(Vga *s, uint32_t at)
{
    uint32_t offset;
    if (!window_offset(s, at, &offset)) {
        return 0xff;
    }
    unsigned plane = s->gc[GC_READ_MAP];
    if (linear(s)) {
        ram_read(s->vram, linear_at(s, offset), &s->latch, sizeof s->latch);
        plane = offset & 3;
        return (uint8_t)(s->latch >> 8 * plane);
    }
    if (s->gc[GC_MODE] & GC5_ODD_EVEN) {
        plane = (plane & 2) | (offset & 1);
    }
    if (s->gc[GC_MISC] & GC6_CHAIN_ODD_EVEN) {
        offset &= ~1u;
    }
    ram_read(s->vram, word_at(s, offset), &s->latch, sizeof s->latch);
    if (s->gc[GC_MODE] & GC5_READ_COMPARE) {
        uint32_t differ =
            (s->latch ^ expand(s->gc[GC_COLOR_COMPARE])) & expand(s->gc[GC_DONT_CARE]);
        return (uint8_t) ~(differ | differ >> 8 | differ >> 16 | differ >> 24);
    }
    return (uint8_t)(s->latch >> 8 * plane);
}

/* The logical unit: new data and the latches. */
static uint32_t combine(const Vga *s, uint32_t data)
{
    switch (s->gc[GC_ROTATE] >> 3 & 3) {
    case 1: return data & s->latch;
    case 2: return data | s->latch;
    case 3: return data ^ s->latch;
    default: return data;
    }
}

/* What the four planes would get, before the map mask. */
static uint32_t write_data(const Vga *s, uint8_t value)
{
    unsigned turn = s->gc[GC_ROTATE] & 7;
    uint8_t rotated = (uint8_t)(value >> turn | value << (8 - turn));
    uint32_t mask = everywhere(s->gc[GC_BIT_MASK]), color = expand(s->gc[GC_SET_RESET]), data;
    switch (s->gc[GC_MODE] & 3) {
    case 1: return s->latch;
    case 2: data = expand(value); break;
    case 3:
        data = color;
        mask &= everywhere(rotated);
        break;
    default: {
        uint32_t fixed = expand(s->gc[GC_ENABLE_SET_RESET]);
        data = (everywhere(rotated) & ~fixed) | (color & fixed);
        break;
    }
    }
    return (combine(s, data) & mask) | (s->latch & ~mask);
}

void vga_mem_write(Vga *s, uint32_t at, uint8_t value)
{
    uint32_t offset, word;
    if (!window_offset(s, at, &offset)) {
        return;
    }
    unsigned planes = s->seq[SEQ_MAP_MASK];
    if (linear(s)) {
        word = linear_at(s, offset);
        if (vbe_enabled(s)) {
            ram_write(s->vram, word + (offset & 3), &value, 1);
            return;
        }
        planes &= 1u << (offset & 3);
    } else {
        if (!(s->seq[SEQ_MEMORY_MODE] & SEQ4_ODD_EVEN_OFF)) {
            planes &= offset & 1 ? 0xa : 0x5;
        }
        if (s->gc[GC_MISC] & GC6_CHAIN_ODD_EVEN) {
            offset &= ~1u;
        }
        word = word_at(s, offset);
    }
    if (!planes) {
        return;
    }
    uint32_t old = 0, enabled = expand(planes);
    ram_read(s->vram, word, &old, sizeof old);
    uint32_t new = (write_data(s, value) & enabled) | (old & ~enabled);
    ram_write(s->vram, word, &new, sizeof new);
}

static uint64_t mem_read(void *opaque, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)vga_mem_read(opaque, (uint32_t)at + i) << 8 * i;
    }
    return v;
}

static void mem_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++) {
        vga_mem_write(opaque, (uint32_t)at + i, (uint8_t)(value >> 8 * i));
    }
}

const IoOps vga_mem_ops = {mem_read, mem_write, 1, 8};

bool vga_mem_direct(const Vga *s, uint64_t *offset)
{
    if (!(s->misc & MISC_RAM_ENABLE)) {
        return false;
    }
    if (vbe_enabled(s)) {
        *offset = (uint64_t)s->bank * 0x10000 & (s->vram_size - 1);
        return linear(s);
    }
    *offset = 0;
    return linear(s) && (s->gc[GC_MISC] >> 2 & 3) <= 1 && s->seq[SEQ_MAP_MASK] == 0xf &&
           !(s->gc[GC_MODE] & 3) && !s->gc[GC_ENABLE_SET_RESET] && !s->gc[GC_ROTATE] &&
           s->gc[GC_BIT_MASK] == 0xff;
}
