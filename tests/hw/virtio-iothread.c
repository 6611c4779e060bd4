/* A virtio disk whose queues belong to a thread: data, interrupts, drivers that break the rules, resets in the middle. */
#include "tests/hw/virtio-bench.h"

#include <string.h>

#include "block/drive.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/options.h"
#include "core/runstate.h"
#include "hw/object.h"

enum { DISK = 1 << 20, HEADER = 0x80000, DATA = 0x81000, STATUS = 0x80800, WAIT_US = 20 * 1000 * 1000 };
enum { T_IN = 0, T_OUT = 1, OK = 0, IOERR = 1 };
#define RING (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET))
#define PACKED VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define BY_INDEX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)

static bool slow;

static void give_disk(Device *d)
{
    g_autoptr(GHashTable) options = options_parse("driver=null-co,read-zeroes=on,latency-ns=1000000", "file", NULL);
    device_set_pointer(d, "drive", slow ? drive_new("disk", options, NULL) : drive_new_memory("disk", DISK));
}

static VbQueue *queue_again(uint64_t features)
{
    ck_assert(vb_negotiate(RING | features));
    VbQueue *q = vb_queue(0, 16);
    vb_ready();
    return q;
}

static VbQueue *start(Carrier carrier, uint64_t features)
{
    ck_assert(object_add("iothread", "t", NULL, NULL));
    vb_start(carrier, "virtio-blk", carrier == PCI_LEGACY ? "iothread=t,queue-size=16" : "iothread=t,packed=on,queue-size=16", give_disk);
    ck_assert(machine_continue(NULL));
    return queue_again(features);
}

/* Until the thread has done it and told us. */
#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        int64_t began = g_get_monotonic_time();                                                                        \
        while (!(condition)) {                                                                                         \
            loop_iterate(false);                                                                                       \
            ck_assert_msg(g_get_monotonic_time() - began < WAIT_US, "waited in vain for " #condition);                 \
        }                                                                                                              \
    } while (0)

static void submit(VbQueue *q, uint32_t type, uint64_t sector, uint64_t data)
{
    Seg segs[] = {{HEADER, 16, false}, {data, 4096, type == T_IN}, {STATUS, 1, true}};
    vb_put(HEADER, 8, type);
    vb_put(HEADER + 8, 8, sector);
    vb_put(STATUS, 1, 0xee);
    vb_add(q, segs, 3);
    vb_kick(q);
}

static uint8_t request(VbQueue *q, uint32_t type, uint64_t sector, uint64_t data)
{
    uint16_t id;
    uint32_t len;
    submit(q, type, sector, data);
    AWAIT(vb_used(q, &id, &len));
    return (uint8_t)vb_get(STATUS, 1);
}

static void check_data(VbQueue *q, unsigned rounds)
{
    for (unsigned i = 1; i <= rounds; i++) {
        vb_put(DATA, 8, i * UINT64_C(0x0101010101010101));
        ck_assert_uint_eq(request(q, T_OUT, 8 * (i % 100), DATA), OK);
        vb_put(DATA, 8, 0);
        ck_assert_uint_eq(request(q, T_IN, 8 * (i % 100), DATA), OK);
        ck_assert_uint_eq(vb_get(DATA, 8), i * UINT64_C(0x0101010101010101));
    }
}

START_TEST(split) { check_data(start(PCI_MODERN, BY_INDEX), 500); }
END_TEST
START_TEST(packed) { check_data(start(PCI_MODERN, PACKED | BY_INDEX), 500); }
END_TEST
START_TEST(legacy) { check_data(start(PCI_LEGACY, 0), 500); }
END_TEST
START_TEST(mmio) { check_data(start(MMIO, PACKED), 500); }
END_TEST

START_TEST(interrupts)
{
    VbQueue *q = start(PCI_MODERN, 0);
    submit(q, T_OUT, 0, DATA);
    AWAIT(vb.intx);
    ck_assert_uint_eq(vb_isr(), VIRTIO_ISR_QUEUE);
    ck_assert(!vb.intx);
    vb_msix(true);
    vb_queue_vector(0, 1);
    submit(q, T_OUT, 0, DATA);
    AWAIT(vb.messages[1] == 1);
}
END_TEST

/* ---- Nonsense ---- */

static void check_broken(VbQueue *q)
{
    vb_kick(q);
    AWAIT(vb_status() & VIRTIO_NEEDS_RESET);
    AWAIT(vb.intx);
    ck_assert_uint_eq(vb_isr() & VIRTIO_ISR_CONFIG, VIRTIO_ISR_CONFIG);
    vb_kick(q);
    check_data(queue_again(0), 2);
}

START_TEST(chain_without_end)
{
    enum { NEXT = 1 };
    VbQueue *q = start(PCI_MODERN, 0);
    vb_put(q->base, 8, HEADER);
    vb_put(q->base + 8, 8, 16 | (uint64_t)NEXT << 32);
    vb_put(q->base + AT_DRIVER, 8, UINT64_C(1) << 16);
    check_broken(q);
}
END_TEST

/* A thread reaches RAM and no devices, its own doorbell least of all. */
START_TEST(rings_that_are_no_memory)
{
    static const uint64_t places[] = {0x123456789000, VB_MODERN + 0x3000, UINT64_MAX - 4095};
    start(PCI_MODERN, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        ck_assert(vb_negotiate(RING));
        space_store(space_memory(), VB_MODERN + 0x16, 2, 0);
        for (unsigned reg = 0x20; reg <= 0x30; reg += 8) {
            space_store(space_memory(), VB_MODERN + reg, 8, places[i]);
        }
        space_store(space_memory(), VB_MODERN + 0x1c, 2, 1);
        vb_ready();
        check_broken(&(VbQueue){0});
    }
}
END_TEST

START_TEST(data_that_is_no_memory)
{
    VbQueue *q = start(PCI_MODERN, 0);
    ck_assert_uint_eq(request(q, T_IN, 0, VB_MODERN), IOERR);
    ck_assert_uint_eq(request(q, T_OUT, 0, 0x123456789000), IOERR);
    check_data(q, 2);
}
END_TEST

/* ---- Interruptions ---- */

static void reset_queue(void)
{
    space_store(space_memory(), VB_MODERN + 0x16, 2, 0);
    space_store(space_memory(), VB_MODERN + 0x3a, 2, 1);
}

/* Whatever the thread is at: behind the reset nothing of it reaches memory. */
static void check_abandoned(bool whole, unsigned rounds)
{
    VbQueue *q = start(PCI_MODERN, 0);
    for (unsigned i = 0; i < rounds; i++) {
        submit(q, T_IN, 0, DATA);
        g_usleep(i * 7 % 200);
        if (whole) {
            vb_reset();
        } else {
            reset_queue();
        }
        vb_put(DATA, 8, 42);
        vb_put(STATUS, 1, 0x55);
        loop_iterate(false);
        g_usleep(i % 10 ? 0 : 2000);
        ck_assert_uint_eq(vb_get(DATA, 8), 42);
        ck_assert_uint_eq(vb_get(STATUS, 1), 0x55);
        q = whole ? queue_again(0) : vb_queue(0, 16);
    }
    if (!slow) {
        check_data(q, 2);
    }
}

START_TEST(reset_at_any_time) { check_abandoned(true, 1000); }
END_TEST
START_TEST(queue_reset_at_any_time) { check_abandoned(false, 1000); }
END_TEST
START_TEST(reset_while_slow)
{
    slow = true;
    check_abandoned(true, 100);
}
END_TEST

START_TEST(machine_stands_still)
{
    uint16_t id;
    uint32_t len;
    VbQueue *q = start(PCI_MODERN, 0);
    check_data(q, 1);
    machine_stop(RUN_PAUSED);
    submit(q, T_OUT, 0, DATA);
    g_usleep(20000);
    loop_iterate(false);
    ck_assert(!vb_used(q, &id, &len));
    ck_assert(machine_continue(NULL));
    AWAIT(vb_used(q, &id, &len));
    check_data(q, 1);
}
END_TEST

START_TEST(bus_master_comes_later)
{
    uint16_t id;
    uint32_t len;
    VbQueue *q = start(PCI_MODERN, 0);
    pci_config_write(vb.pci, VB_DEVFN, 4, 2, PCI_COMMAND_MEMORY);
    submit(q, T_OUT, 0, DATA);
    g_usleep(20000);
    ck_assert(!vb_used(q, &id, &len));
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, 0);
    pci_config_write(vb.pci, VB_DEVFN, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    vb_status(); /* any access has the device look */
    AWAIT(vb_used(q, &id, &len));
}
END_TEST

/* ---- Objects ---- */

START_TEST(unplugged_under_load)
{
    GError *error = NULL;
    VbQueue *q = start(PCI_MODERN, 0);
    ck_assert(!object_del("t", &error));
    ck_assert_str_eq(error->message, "object 't' is in use, can not be deleted");
    g_error_free(error);
    submit(q, T_IN, 0, DATA);
    device_free(vb.dev);
    vb_put(DATA, 8, 42);
    g_usleep(2000);
    ck_assert_uint_eq(vb_get(DATA, 8), 42);
    ck_assert(object_del("t", NULL));
}
END_TEST

BENCH_MAIN("virtio-iothread", CASE(split), CASE(packed), CASE(legacy), CASE(mmio), CASE(interrupts), CASE(chain_without_end),
           CASE(rings_that_are_no_memory), CASE(data_that_is_no_memory), CASE(reset_at_any_time),
           CASE(queue_reset_at_any_time), CASE(reset_while_slow), CASE(machine_stands_still), CASE(bus_master_comes_later),
           CASE(unplugged_under_load))
