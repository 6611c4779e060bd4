/* A DIMM: all of a memory back end, in a slot, at an address. */
#include <inttypes.h>

#include "hw/memory/memory-slots.h"
#include "hw/memory/numa.h"

/* Addresses and sizes keep large pages; where there is a choice, systems find whole sections of
 * their own (Linux: 128 MiB), or gigabytes for gigabytes. */
enum { ALIGN = 2 << 20, SECTION = 128 << 20 };
static const uint64_t GIB = UINT64_C(1) << 30;

static bool choose_slot(const MemorySlots *s, PcDimm *d, GError **error)
{
    if (d->slot < -1 || d->slot >= (int)s->slots) {
        return error_fail(
            error, "Property 'pc-dimm.slot' doesn't take value '%d', expected: 0 to %u (-m slots=)",
            d->slot, s->slots - 1);
    }
    if (d->slot >= 0 && s->dimm[d->slot]) {
        return error_fail(error, "pc-dimm: slot %d is busy", d->slot);
    }
    for (unsigned i = 0; d->slot < 0 && i < s->slots; i++) {
        if (!s->dimm[i]) {
            d->slot = (int)i;
        }
    }
    return d->slot >= 0 ||
           error_fail(error, "pc-dimm: no slot is free, all %u are busy (-m slots=)", s->slots);
}

/* The end of a DIMM that lies in [at, at + size); 0: none does. */
static uint64_t in_the_way(const MemorySlots *s, uint64_t at, uint64_t size)
{
    for (unsigned i = 0; i < s->slots; i++) {
        const PcDimm *d = s->dimm[i];
        if (d && at < d->addr + d->memdev->size && d->addr < at + size) {
            return d->addr + d->memdev->size;
        }
    }
    return 0;
}

static bool choose_address(const MemorySlots *s, PcDimm *d, GError **error)
{
    uint64_t size = d->memdev->size, room = region_size(s->room), end = s->room_at + room;
    if (d->addr) {
        if (d->addr % ALIGN || d->addr < s->room_at || d->addr > end || size > end - d->addr) {
            return error_fail(error,
                              "Property 'pc-dimm.addr' doesn't take value '%#" PRIx64
                              "', expected: a multiple of 2M, from %#" PRIx64 " on and %" PRIu64
                              " bytes before %#" PRIx64,
                              d->addr, s->room_at, size, end);
        }
        return !in_the_way(s, d->addr, size) ||
               error_fail(error, "pc-dimm: another DIMM is in the way at addr=%#" PRIx64, d->addr);
    }
    uint64_t align = size % GIB ? SECTION : GIB;
    for (uint64_t at = s->room_at, next; at <= end && size <= end - at;
         at = (next + align - 1) & ~(align - 1)) {
        next = in_the_way(s, at, size);
        if (!next) {
            d->addr = at;
            return true;
        }
    }
    return error_fail(
        error, "pc-dimm: no room for %" PRIu64 " bytes in one piece is left (-m maxmem=)", size);
}

static bool place(const MemorySlots *s, PcDimm *d, GError **error)
{
    uint64_t plugged = memory_slots_plugged(-1);
    if (d->memdev->size % ALIGN) {
        return error_fail(
            error, "pc-dimm: memory backend '%s' has %" PRIu64 " bytes, expected: a multiple of 2M",
            d->memdev->object.id, d->memdev->size);
    }
    if (d->memdev->size > s->budget - plugged) {
        return error_fail(error,
                          "pc-dimm: %" PRIu64 " bytes are too many: %" PRIu64 " of %" PRIu64
                          " are plugged (-m maxmem=)",
                          d->memdev->size, plugged, s->budget);
    }
    return choose_slot(s, d, error) && choose_address(s, d, error);
}

static bool dimm_realize(void *dev, GError **error)
{
    PcDimm *d = dev;
    MemorySlots *s = memory_slots();
    if (!s || !s->room) {
        return error_fail(error, "pc-dimm: this machine has no slots for memory, expected: -m "
                                 "SIZE,slots=N,maxmem=SIZE and ACPI");
    }
    if (!d->memdev) {
        return error_fail(
            error, "Property 'pc-dimm.memdev' is missing, expected: the id of a memory backend");
    }
    if (d->node >= MAX(numa.nodes, 1)) {
        return error_fail(error,
                          "Property 'pc-dimm.node' doesn't take value '%u', expected: 0 to %u",
                          d->node, MAX(numa.nodes, 1) - 1);
    }
    if (!place(s, d, error) || !memory_backend_claim(d->memdev->object.id, "pc-dimm", error)) {
        return false;
    }
    s->dimm[d->slot] = d;
    region_map(s->room, d->memdev->region, d->addr - s->room_at, 0);
    return true;
}

static void dimm_unrealize(void *dev)
{
    PcDimm *d = dev;
    MemorySlots *s = memory_slots();
    region_unmap(d->memdev->region);
    mem_commit();
    memory_backend_release(d->memdev);
    if (s) {
        s->dimm[d->slot] = NULL;
        s->inserted[d->slot] = s->removing[d->slot] = false;
    }
}

static const char *const memdev_type[] = {"memory-backend", NULL};
// clang-format off
static const Row dimm_rows[] = {
    PROP(PcDimm, memdev, NULL, "The memory", .type = TYPE_LINK, .names = memdev_type),
    PROP(PcDimm, addr, "0", "Its address; 0: where there is room"),
    PROP(PcDimm, slot, "-1", "Its slot; -1: a free one"),
    PROP(PcDimm, node, "0", "Its NUMA node"),
    END
};
// clang-format on

const DeviceClass pc_dimm_class = {
    .name = "pc-dimm",
    .doc = "DIMM memory module",
    .bus = "dimm",
    .hotpluggable = true,
    .size = sizeof(PcDimm),
    .rows = dimm_rows,
    .realize = dimm_realize,
    .unrealize = dimm_unrealize,
};
