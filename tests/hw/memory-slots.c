/* Slots for DIMMs: their registers as the specification of the interface has them, where DIMMs go, and who may have them. */
#include <json-c/json.h>
#include <string.h>

#include "core/loop.h"
#include "hw/hotplug.h"
#include "hw/memory/memory-slots.h"
#include "hw/memory/numa.h"
#include "hw/qom.h"
#include "mem/ram.h"
#include "tests/hw/bench.h"

enum { SELECT = 0x00, OST_EVENT = 0x04, OST_STATUS = 0x08, NODE = 0x10, STATUS = 0x14, SLOTS = 3, MIB = 1 << 20 };
enum { ENABLED = 1, INSERTED = 2, REMOVING = 4, EJECT = 8 };
static const uint64_t GIB = UINT64_C(1) << 30, AT = UINT64_C(5) << 30, BUDGET = UINT64_C(3) << 30;
static MemorySlots *s;

static void start(void)
{
    GError *error = NULL;
    Region *room = region_container("room", BUDGET + SLOTS * GIB);
    region_map(space_root(space_memory()), room, AT, 0);
    numa.nodes = 2;
    s = (MemorySlots *)memory_slots_new(SLOTS, room, AT, BUDGET, &error);
    ck_assert_ptr_nonnull(s);
}

static void backend(const char *id, uint64_t size)
{
    GError *error = NULL;
    json_object *props = json_object_new_object();
    json_object_object_add(props, "size", json_object_new_int64((int64_t)size));
    ck_assert_msg(object_add("memory-backend-ram", id, props, &error) != NULL, "%s", error ? error->message : "");
    json_object_put(props);
}

/* "memdev=m,slot=1": the DIMM, or NULL with the error in *why. */
static PcDimm *dimm(const char *properties, char **why)
{
    GError *error = NULL;
    Device *d = device_new(device_class_find("pc-dimm"), NULL);
    g_auto(GStrv) pairs = g_strsplit(properties, ",", -1);
    bool ok = true;
    for (char **p = pairs; *p && ok; p++) {
        char *eq = strchr(*p, '=');
        *eq = 0;
        ok = device_set(d, *p, eq + 1, &error);
    }
    ok = ok && device_realize(d, s->bus, &error);
    mem_commit();
    if (why) {
        *why = error ? g_strdup(error->message) : NULL;
    }
    g_clear_error(&error);
    if (!ok) {
        device_free(d);
    }
    return ok ? (PcDimm *)d : NULL;
}

static void refused(const char *properties, const char *text)
{
    g_autofree char *why = NULL;
    ck_assert_ptr_null(dimm(properties, &why));
    ck_assert_msg(strstr(why, text) != NULL, "%s: %s", properties, why);
}

START_TEST(registers)
{
    start();
    backend("m0", 256 * MIB);
    PcDimm *d = dimm("memdev=m0,slot=1,node=1,addr=0x160000000", NULL);
    ck_assert_ptr_nonnull(d);
    out32(s, SELECT, 0);
    ck_assert_uint_eq(in8(s, STATUS), 0);
    for (unsigned at = 0; at < 0x14; at += 4) {
        ck_assert_uint_eq(in32(s, at), 0);
    }
    out32(s, SELECT, 1);
    ck_assert_uint_eq(in32(s, 0x00), 0x60000000);
    ck_assert_uint_eq(in32(s, 0x04), 1);
    ck_assert_uint_eq(in32(s, 0x08), 256 * MIB);
    ck_assert_uint_eq(in32(s, 0x0c), 0);
    ck_assert_uint_eq(in32(s, NODE), 1);
    ck_assert_uint_eq(in8(s, STATUS), ENABLED);
    out32(s, SELECT, SLOTS);            /* beyond the slots: all ones, and nothing happens */
    for (unsigned at = 0; at < MEMORY_SLOTS_SIZE; at++) {
        ck_assert_uint_eq(in8(s, at), 0xff);
    }
    out8(s, STATUS, EJECT | INSERTED | REMOVING);
    out32(s, OST_STATUS, 0);
    ck_assert(!d->dev.going);
}
END_TEST

START_TEST(events)
{
    GError *error = NULL;
    start();
    backend("m0", 2 * MIB);
    PcDimm *d = dimm("memdev=m0", NULL);
    device_plugged(&d->dev);
    out32(s, SELECT, 0);
    ck_assert_uint_eq(in8(s, STATUS), ENABLED | INSERTED);
    out8(s, STATUS, REMOVING);          /* the other event's bit */
    ck_assert_uint_eq(in8(s, STATUS), ENABLED | INSERTED);
    out8(s, STATUS, INSERTED);
    ck_assert_uint_eq(in8(s, STATUS), ENABLED);
    ck_assert(device_unplug_request(&d->dev, &error));
    ck_assert_uint_eq(in8(s, STATUS), ENABLED | REMOVING);
    out8(s, STATUS, REMOVING);
    ck_assert_uint_eq(in8(s, STATUS), ENABLED);
    ck_assert(!device_unplug_request(&d->dev, &error));         /* it was asked already */
    g_clear_error(&error);
    out32(s, OST_EVENT, 3);             /* "in progress" is no answer yet */
    out32(s, OST_STATUS, 0x84);
    ck_assert(d->dev.removing);
    out32(s, OST_EVENT, 1);             /* nor is an answer to another question */
    out32(s, OST_STATUS, 1);
    ck_assert(d->dev.removing);
    out32(s, OST_EVENT, 0x103);
    out32(s, OST_STATUS, 0x82);
    ck_assert(!d->dev.removing);        /* the guest keeps it, and may be asked again */
    ck_assert(device_unplug_request(&d->dev, &error));
    out8(s, STATUS, EJECT);
    ck_assert(d->dev.going);
    ck_assert_ptr_eq(s->dimm[0], d);    /* not within its own access */
    loop_iterate(false);
    ck_assert_ptr_null(s->dimm[0]);
    ck_assert_uint_eq(in8(s, STATUS), 0);
    ck_assert(object_del("m0", &error));
}
END_TEST

START_TEST(places)
{
    uint64_t word = 0x1122334455667788, back = 0;
    start();
    backend("a", GIB), backend("b", 256 * MIB), backend("c", GIB), backend("d", 2 * MIB), backend("odd", 3 * MIB);
    refused("memdev=odd", "a multiple of 2M");
    refused("memdev=nope", "there is no object 'nope'");
    refused("slot=0", "memdev' is missing");
    refused("memdev=a,slot=3", "0 to 2");
    refused("memdev=a,node=2", "0 to 1");
    refused("memdev=a,addr=0x100000000", "from 0x140000000 on");
    refused("memdev=a,addr=0x140001000", "a multiple of 2M");
    PcDimm *a = dimm("memdev=a", NULL), *b = dimm("memdev=b", NULL);
    ck_assert_uint_eq(a->addr, AT);
    ck_assert_uint_eq(b->addr, AT + GIB);
    refused("memdev=a", "in use already");
    refused("memdev=d,slot=1", "slot 1 is busy");
    refused("memdev=d,addr=0x140000000", "another DIMM is in the way");
    PcDimm *c = dimm("memdev=c", NULL);
    ck_assert_uint_eq(c->addr, AT + 2 * GIB);                   /* gigabytes begin at gigabytes */
    ck_assert_int_eq(c->slot, 2);
    refused("memdev=d", "no slot is free");
    ck_assert(space_write(space_memory(), AT + GIB, &word, 8));
    ck_assert_uint_eq(memory_slots_plugged(-1), 2 * GIB + 256 * MIB);
    device_free(&b->dev);
    mem_commit();
    ck_assert(!space_read(space_memory(), AT + GIB, &back, 8));
    b = dimm("memdev=b,addr=0x1a0000000", NULL);                /* what it held goes with it */
    ck_assert(space_read(space_memory(), b->addr, &back, 8));
    ck_assert_uint_eq(back, word);
    device_free(&b->dev);
    backend("much", GIB + 2 * MIB);
    refused("memdev=much", "are too many");
    device_free(&a->dev);
    ck_assert_uint_eq(dimm("memdev=d", NULL)->addr, AT);        /* the first room */
}
END_TEST

/* DMA that is on its way when a DIMM goes ends in memory that is still there. */
START_TEST(dma_outlives_it)
{
    GError *error = NULL;
    DmaVec vec = {0};
    start();
    backend("m0", 2 * MIB);
    PcDimm *d = dimm("memdev=m0", NULL);
    Dma *dma = dma_grant(space_memory(), NULL);
    ck_assert(dma_map(dma, d->addr + 0x1000, 0x3000, true, &vec));
    ck_assert(!object_del("m0", &error));
    g_clear_error(&error);
    device_free(&d->dev);
    ck_assert(object_del("m0", &error));
    memset(vec.iov[0].iov_base, 0x5a, vec.iov[0].iov_len);
    ck_assert(!dma_map(dma, AT + 0x1000, 0x1000, true, &vec));
    dma_unmap(dma, &vec, 0x3000);
    dma_free(dma);
}
END_TEST

START_TEST(without_slots)
{
    GError *error = NULL;
    s = (MemorySlots *)memory_slots_new(0, NULL, 0, 0, &error);
    backend("m0", 2 * MIB);
    refused("memdev=m0", "-m SIZE,slots=N,maxmem=SIZE");
    ck_assert_uint_eq(in32(s, STATUS), UINT32_MAX);
}
END_TEST

BENCH_MAIN("memory-slots", CASE(registers), CASE(events), CASE(places), CASE(dma_outlives_it), CASE(without_slots))
