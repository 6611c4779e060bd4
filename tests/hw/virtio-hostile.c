/* Drivers that break the rules of rings: DEVICE_NEEDS_RESET, an interrupt that says so, and after a reset all is well.  The
 * device is a source of random numbers. */
#include "tests/hw/virtio-bench.h"

#include <string.h>

#define RING VIRTIO_BIT(VIRTIO_F_VERSION_1)
#define PACKED VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define INDIRECT VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
enum { DATA = 0x80000, SIZE = 8, NEXT = 1, WRITE = 2, INDIRECT_FLAG = 4, AVAIL = 1 << 7 };

static uint64_t features;

static VbQueue *start(uint64_t wanted)
{
    features = RING | wanted;
    vb_start(PCI_MODERN, "virtio-rng", "packed=on", NULL);
    ck_assert(vb_negotiate(features));
    VbQueue *q = vb_queue(0, SIZE);
    vb_ready();
    return q;
}

static bool works(VbQueue *q)
{
    uint16_t id;
    uint32_t len;
    Seg seg = {DATA, 64, true};
    vb_put(DATA, 8, 0);
    vb_add(q, &seg, 1);
    vb_kick(q);
    return vb_used(q, &id, &len) && len == 64 && vb_get(DATA, 8);
}

/* Kick what was prepared: the device must say that it needs a reset, take nothing more, and work after the reset. */
static void check_broken(VbQueue *q)
{
    vb_kick(q);
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
    ck_assert(vb.intx);
    ck_assert_uint_eq(vb_isr() & VIRTIO_ISR_CONFIG, VIRTIO_ISR_CONFIG);
    vb_kick(q);
    vb_set_status(vb_status() & (uint8_t)~VIRTIO_NEEDS_RESET); /* that does not help */
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, VIRTIO_NEEDS_RESET);
    ck_assert(vb_negotiate(features));
    q = vb_queue(0, SIZE);
    vb_ready();
    ck_assert(works(q));
}

static void desc(VbQueue *q, unsigned i, uint64_t at, uint32_t len, unsigned word6, unsigned word7)
{
    uint64_t to = q->base + 16 * i;
    vb_put(to, 8, at);
    vb_put(to + 8, 4, len);
    vb_put(to + 12, 2, word6);
    vb_put(to + 14, 2, word7);
}

static void avail(VbQueue *q, unsigned head, unsigned index)
{
    vb_put(q->base + AT_DRIVER + 4, 2, head);
    vb_put(q->base + AT_DRIVER + 2, 2, index);
}

/* ---- Split ---- */

START_TEST(loop)
{
    VbQueue *q = start(0);
    desc(q, 0, DATA, 4, NEXT | WRITE, 1);
    desc(q, 1, DATA, 4, NEXT | WRITE, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(loop_to_itself)
{
    VbQueue *q = start(0);
    desc(q, 3, DATA, 4, NEXT | WRITE, 3);
    avail(q, 3, 1);
    check_broken(q);
}
END_TEST

START_TEST(head_beyond)
{
    VbQueue *q = start(0);
    avail(q, SIZE, 1);
    check_broken(q);
}
END_TEST

START_TEST(next_beyond)
{
    VbQueue *q = start(0);
    desc(q, 0, DATA, 4, NEXT | WRITE, 0xffff);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(index_jumps)
{
    VbQueue *q = start(0);
    avail(q, 0, SIZE + 1);
    check_broken(q);
}
END_TEST

START_TEST(index_goes_back)
{
    VbQueue *q = start(0);
    avail(q, 0, 0xffff);
    check_broken(q);
}
END_TEST

START_TEST(readable_after_writable)
{
    VbQueue *q = start(0);
    desc(q, 0, DATA, 4, NEXT | WRITE, 1);
    desc(q, 1, DATA, 4, 0, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(too_long)
{
    VbQueue *q = start(0);
    desc(q, 0, DATA, UINT32_MAX, NEXT | WRITE, 1);
    desc(q, 1, DATA, 2, WRITE, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

/* One descriptor of nearly 4 GiB is allowed; the device writes what it likes of it, where there is memory. */
START_TEST(long_but_legal)
{
    VbQueue *q = start(0);
    desc(q, 0, DATA, UINT32_MAX, WRITE, 0);
    avail(q, 0, 1);
    vb_kick(q);
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, 0);
    ck_assert_uint_eq(vb_get(q->base + AT_DEVICE + 2, 2), 1);
}
END_TEST

START_TEST(indirect_not_negotiated)
{
    VbQueue *q = start(0);
    desc(q, 0, DATA, 16, INDIRECT_FLAG, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(indirect_in_indirect)
{
    VbQueue *q = start(INDIRECT);
    desc(q, 0, q->base + 16, 16, INDIRECT_FLAG, 0);
    desc(q, 1, q->base + 16, 16, INDIRECT_FLAG, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(indirect_with_next)
{
    VbQueue *q = start(INDIRECT);
    desc(q, 0, VB_TABLES, 16, INDIRECT_FLAG | NEXT, 1);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(indirect_of_odd_size)
{
    VbQueue *q = start(INDIRECT);
    desc(q, 0, VB_TABLES, 24, INDIRECT_FLAG, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(indirect_without_end)
{
    VbQueue *q = start(INDIRECT);
    desc(q, 0, q->base + 16, UINT32_MAX & ~15u, INDIRECT_FLAG, 0);
    desc(q, 1, DATA, 0, WRITE | NEXT, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

START_TEST(indirect_nowhere)
{
    VbQueue *q = start(INDIRECT);
    desc(q, 0, 0x7000000000, 16, INDIRECT_FLAG, 0);
    avail(q, 0, 1);
    check_broken(q);
}
END_TEST

/* §2.7.5.3.2: plain descriptors and then a table is a legal chain. */
START_TEST(table_behind_chain)
{
    VbQueue *q = start(INDIRECT);
    desc(q, 0, DATA, 16, NEXT | WRITE, 1);
    desc(q, 1, VB_TABLES, 16, INDIRECT_FLAG | WRITE, 0);
    vb_put(VB_TABLES, 8, DATA + 0x100);
    vb_put(VB_TABLES + 8, 8, 48 | (uint64_t)WRITE << 32);
    avail(q, 0, 1);
    vb_kick(q);
    ck_assert_uint_eq(vb_get(q->base + AT_DEVICE + 8, 4), 64);
}
END_TEST

static VbQueue *rings_at(uint64_t at)
{
    start(0);
    ck_assert(vb_negotiate(features));
    VbQueue *q = vb_queue(0, SIZE);
    vb_ready();
    space_store(space_memory(), VB_MODERN + 0x20, 8, at); /* enabled: has no effect */
    ck_assert(works(q));
    ck_assert(vb_negotiate(features));
    space_store(space_memory(), VB_MODERN + 0x16, 2, 0);
    for (unsigned reg = 0x20; reg <= 0x30; reg += 8) {
        space_store(space_memory(), VB_MODERN + reg, 8, at);
    }
    space_store(space_memory(), VB_MODERN + 0x1c, 2, 1);
    vb_ready();
    return q;
}

START_TEST(ring_nowhere) { check_broken(rings_at(0x123456789000)); }
END_TEST
START_TEST(ring_at_the_end) { check_broken(rings_at(UINT64_MAX - 3)); }
END_TEST
START_TEST(ring_in_own_doorbell)
{
    rings_at(VB_MODERN + 0x3000);
    vb_kick(&(VbQueue){0});
    vb_reset();
}
END_TEST

START_TEST(bad_sizes)
{
    start(0);
    ck_assert(vb_negotiate(features));
    ck_assert_uint_eq(vb_queue_size(0), SIZE);
    static const uint16_t bad[] = {0, 3, 16, 1024, 0xffff};
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        space_store(space_memory(), VB_MODERN + 0x18, 2, bad[i]);
        ck_assert_uint_eq(vb_queue_size(0), SIZE);
    }
    vb_kick(&(VbQueue){.index = 63});
    space_store(space_memory(), VB_MODERN + 0x3ffc, 4, 1);
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, 0);
}
END_TEST

/* ---- Packed ---- */

START_TEST(packed_chain_around)
{
    VbQueue *q = start(PACKED);
    for (unsigned i = 0; i < SIZE; i++) {
        desc(q, i, DATA, 4, 0, NEXT | WRITE | AVAIL);
    }
    check_broken(q);
}
END_TEST

START_TEST(packed_indirect_in_chain)
{
    VbQueue *q = start(PACKED | INDIRECT);
    desc(q, 0, DATA, 4, 0, NEXT | WRITE | AVAIL);
    desc(q, 1, VB_TABLES, 16, 0, INDIRECT_FLAG | AVAIL);
    check_broken(q);
}
END_TEST

START_TEST(packed_indirect_with_next)
{
    VbQueue *q = start(PACKED | INDIRECT);
    desc(q, 0, VB_TABLES, 16, 0, INDIRECT_FLAG | NEXT | AVAIL);
    check_broken(q);
}
END_TEST

START_TEST(packed_table_too_large)
{
    VbQueue *q = start(PACKED | INDIRECT);
    desc(q, 0, VB_TABLES, 16 * (VIRTQUEUE_MAX + 1), 0, INDIRECT_FLAG | AVAIL);
    check_broken(q);
}
END_TEST

START_TEST(packed_odd_size_is_fine)
{
    start(PACKED);
    ck_assert(vb_negotiate(features));
    VbQueue *q = vb_queue(0, 5);
    vb_ready();
    for (unsigned i = 0; i < 23; i++) {
        ck_assert(works(q));
    }
}
END_TEST

BENCH_MAIN("virtio-hostile", CASE(loop), CASE(loop_to_itself), CASE(head_beyond), CASE(next_beyond), CASE(index_jumps),
           CASE(index_goes_back), CASE(readable_after_writable), CASE(too_long), CASE(long_but_legal),
           CASE(indirect_not_negotiated), CASE(indirect_in_indirect), CASE(indirect_with_next),
           CASE(indirect_of_odd_size), CASE(indirect_without_end), CASE(indirect_nowhere), CASE(table_behind_chain),
           CASE(ring_nowhere), CASE(ring_at_the_end), CASE(ring_in_own_doorbell), CASE(bad_sizes),
           CASE(packed_chain_around), CASE(packed_indirect_in_chain), CASE(packed_indirect_with_next),
           CASE(packed_table_too_large), CASE(packed_odd_size_is_fine))
