/* The memory map of a PC. */
#include "hw/pci/pc-memory.h"

#include <string.h>

enum { MIB = 1 << 20 };
static const uint64_t GIB = UINT64_C(1) << 30;

const PcSplit pc_split_i440fx = {UINT64_C(7) << 29, UINT64_C(3) << 30};
const PcSplit pc_split_q35 = {UINT64_C(11) << 28, UINT64_C(2) << 30};

uint64_t pc_ram_below_4g(const PcSplit *board, uint64_t ram_size, uint64_t max_below_4g)
{
    uint64_t limit = max_below_4g ? max_below_4g : board->most;
    return ram_size < limit ? ram_size : MIN(limit, board->split);
}

/* Where everything lies when the upper RAM begins at `above_at`. */
static void place(PcMemory *m, const PcRam *want, uint64_t above_at)
{
    m->above_at = above_at;
    m->plug_at = (above_at + m->above_4g + GIB - 1) & ~(GIB - 1);
    m->plug_size = want->slots && want->max > want->size ? want->max - want->size + want->slots * GIB : 0;
}

uint64_t pc_memory_end(const PcMemory *m)
{
    return m->plug_size ? m->plug_at + m->plug_size : m->above_4g ? m->above_at + m->above_4g : m->below_4g;
}

void pc_memory_init(PcMemory *m, const PcSplit *board, Region *ram, const PcRam *want)
{
    Region *all = space_root(space_memory());
    memset(m, 0, sizeof *m);
    m->below_4g = pc_ram_below_4g(board, want->size, want->max_below_4g);
    m->above_4g = want->size - m->below_4g;
    place(m, want, 4 * GIB);
    if (want->amd && pc_memory_end(m) > PC_HT_GIB * GIB) {
        place(m, want, PC_HT_END_GIB * GIB);
    }
    m->ram = ram;
    m->ram_low = region_alias("ram-below-4g", ram, 0, m->below_4g);
    region_map(all, m->ram_low, 0, 0);
    if (m->above_4g) {
        m->ram_high = region_alias("ram-above-4g", ram, m->below_4g, m->above_4g);
        region_map(all, m->ram_high, m->above_at, 0);
    }
    if (m->plug_size) {
        m->plug = region_container("device-memory", m->plug_size);
        region_map(all, m->plug, m->plug_at, 0);
    }
    m->pci = region_container("pci", 0);
    region_map(all, m->pci, 0, -1);
}

void pc_memory_map_bios(PcMemory *m, RamBlock *bios)
{
    enum { ISA_BIOS = 128 << 10 };
    uint64_t size = ram_size(bios), isa_size = MIN(size, ISA_BIOS);
    m->bios_high = region_rom("bios", bios, 0, size);
    region_map(m->pci, m->bios_high, 4 * GIB - size, 0);
    m->bios_isa = region_alias("isa-bios", m->bios_high, size - isa_size, isa_size);
    region_map(m->pci, m->bios_isa, MIB - isa_size, 1);
}

void pc_memory_free(PcMemory *m)
{
    region_free(m->bios_isa);
    region_free(m->bios_high);
    region_free(m->plug);
    region_free(m->ram_high);
    region_free(m->ram_low);
    region_free(m->pci);
    memset(m, 0, sizeof *m);
}

Region *pc_memory_hole(const char *name, uint64_t size)
{
    static const IoOps nobody;
    return region_io(name, size, &nobody, NULL);
}

/* ---- PAM ---- */

enum {
    PAM_READ = 1,
    PAM_WRITE = 2,
    PAM_START = 0xc0000,
    PAM_SIZE = 0x4000,
    PAM_BIOS_SIZE = 0x10000
};

/* Firmware copies itself into RAM in place: it reads from PCI, where the ROM is, and writes the RAM
 * behind. */
static uint64_t split_read(void *opaque, uint64_t at, unsigned size)
{
    const struct PamArea *area = opaque;
    return space_load(area->all->pci_view, area->at + at, size);
}

static void split_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    const struct PamArea *area = opaque;
    space_store(area->all->ram_view, area->at + at, size, value);
}

static Space *view_of(const char *name, Region *shown, Region **alias)
{
    Space *s = space_new(name, 0);
    *alias = region_alias(name, shown, 0, MIB);
    region_map(space_root(s), *alias, 0, 0);
    return s;
}

void pam_init(PamAreas *p, const PcMemory *m)
{
    static const IoOps split_ops = {split_read, split_write, 1, 8};
    Region *all = space_root(space_memory());
    p->pci_view = view_of("pam-pci-view", m->pci, &p->pci_alias);
    p->ram_view = view_of("pam-ram-view", m->ram, &p->ram_alias);
    p->hole = pc_memory_hole("pam-hole", MIB - PAM_START);
    p->pci = region_alias("pam-pci", m->pci, PAM_START, MIB - PAM_START);
    region_map(all, p->hole, PAM_START, 1);
    region_map(all, p->pci, PAM_START, 2);
    for (unsigned i = 0; i < PAM_AREAS; i++) {
        struct PamArea *area = &p->area[i];
        unsigned size = i ? PAM_SIZE : PAM_BIOS_SIZE;
        area->all = p;
        area->at = i ? PAM_START + (i - 1) * PAM_SIZE : MIB - PAM_BIOS_SIZE;
        area->ram = region_alias("pam-ram", m->ram, area->at, size);
        area->split = region_io("pam-split", size, &split_ops, area);
        region_set_enabled(area->ram, false);
        region_set_enabled(area->split, false);
        region_map(all, area->ram, area->at, 3);
        region_map(all, area->split, area->at, 3);
    }
}

void pam_set(PamAreas *p, unsigned i, unsigned attributes)
{
    struct PamArea *area = &p->area[i];
    region_set_readonly(area->ram, !(attributes & PAM_WRITE));
    region_set_enabled(area->ram, attributes & PAM_READ);
    region_set_enabled(area->split, (attributes & (PAM_READ | PAM_WRITE)) == PAM_WRITE);
}

void pam_free(PamAreas *p)
{
    if (!p->pci_view) {
        return;
    }
    for (unsigned i = 0; i < PAM_AREAS; i++) {
        region_free(p->area[i].ram);
        region_free(p->area[i].split);
    }
    region_free(p->pci);
    region_free(p->hole);
    region_free(p->pci_alias);
    region_free(p->ram_alias);
    space_free(p->pci_view);
    space_free(p->ram_view);
    memset(p, 0, sizeof *p);
}

/* ---- SMRAM ---- */

enum { SMRAM_AT = 0xa0000, SMRAM_SIZE = 0x20000 };

void smram_init(SmramAreas *s, const PcMemory *m)
{
    Region *all = space_root(space_memory());
    s->hole = pc_memory_hole("smram-hole", SMRAM_SIZE);
    s->window = region_alias("smram-window", m->pci, SMRAM_AT, SMRAM_SIZE);
    region_map(all, s->hole, SMRAM_AT, 1);
    region_map(all, s->window, SMRAM_AT, 2);
    s->space = space_new("smm", 0);
    s->all = region_alias("smm-memory", all, 0, UINT64_MAX);
    s->compatible = region_alias("smram", m->ram, SMRAM_AT, SMRAM_SIZE);
    region_map(space_root(s->space), s->all, 0, 0);
    region_map(space_root(s->space), s->compatible, SMRAM_AT, 1);
}

void smram_set(SmramAreas *s, bool enabled, bool open)
{
    open &= enabled;
    region_set_enabled(s->window, !open);
    region_set_enabled(s->hole, !open);
    region_set_enabled(s->compatible, enabled);
}

void smram_set_top(SmramAreas *s, const PcMemory *m, uint64_t size)
{
    if (size == s->top_size) {
        return;
    }
    region_free(g_steal_pointer(&s->top_hole));
    region_free(g_steal_pointer(&s->top));
    s->top_size = size;
    if (size) {
        uint64_t at = m->below_4g - size;
        s->top_hole = pc_memory_hole("tseg-hole", size);
        s->top = region_alias("tseg", m->ram, at, size);
        region_map(space_root(space_memory()), s->top_hole, at, 1);
        region_map(space_root(s->space), s->top, at, 1);
    }
}

void smram_free(SmramAreas *s)
{
    if (s->space) {
        region_free(s->top_hole);
        region_free(s->top);
        region_free(s->window);
        region_free(s->hole);
        region_free(s->compatible);
        region_free(s->all);
        space_free(s->space);
        memset(s, 0, sizeof *s);
    }
}
