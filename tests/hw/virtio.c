/* virtio 1.2 as a driver sees it: negotiation, both rings behind both transports, interrupts, and drivers that lie.  The
 * device is a disk. */
#include "tests/hw/virtio-bench.h"

#include <string.h>

#include "block/drive.h"
#include "hw/virtio/virtio-mmio.h"

enum { DISK = 1 << 20, HEADER = 0x80000, DATA = 0x81000, STATUS = 0x80800, OTHER = 0x90000 };
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_ZEROES = 13, OK = 0, IOERR = 1, UNSUPP = 2 };
enum { F_FLUSH = 9, F_CONFIG_WCE = 11, F_MQ = 12, F_DISCARD = 13, F_ZEROES = 14 };
#define RING (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET))
#define PACKED VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define INDIRECT VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define BY_INDEX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define BLK (VIRTIO_BIT(F_FLUSH) | VIRTIO_BIT(F_MQ) | VIRTIO_BIT(F_DISCARD) | VIRTIO_BIT(F_ZEROES) | VIRTIO_BIT(F_CONFIG_WCE))

static Drive *disk;

static void give_disk(Device *d)
{
    disk = drive_new_memory("disk", DISK);
    device_set_pointer(d, "drive", disk);
}

static VbQueue *start_queue(uint64_t features)
{
    ck_assert(vb_negotiate(RING | BLK | features));
    VbQueue *q = vb_queue(0, 16);
    vb_ready();
    return q;
}

static VbQueue *start(Carrier carrier, uint64_t features)
{
    bool legacy = carrier == PCI_LEGACY || carrier == MMIO_LEGACY;
    vb_start(carrier, "virtio-blk",
             legacy ? "num-queues=2,queue-size=16,serial=number-one"
                    : "packed=on,num-queues=2,queue-size=16,serial=number-one",
             give_disk);
    return start_queue(features);
}

/* One request with `n` pieces of data; its status, and the length that came back. */
static uint8_t request_of(VbQueue *q, uint32_t type, uint64_t sector, const Seg *data, unsigned n, uint32_t *written)
{
    Seg segs[8] = {{HEADER, 16, false}};
    uint16_t id, got = 0xffff;
    uint32_t len = 0;
    vb_put(HEADER, 4, type);
    vb_put(HEADER + 4, 4, 0);
    vb_put(HEADER + 8, 8, sector);
    vb_put(STATUS, 1, 0xee);
    memcpy(segs + 1, data, n * sizeof *data);
    segs[n + 1] = (Seg){STATUS, 1, true};
    id = vb_add(q, segs, n + 2);
    vb_kick(q);
    vb_wait();
    ck_assert_msg(vb_used(q, &got, &len), "nothing came back");
    ck_assert_uint_eq(got, id);
    if (written) {
        *written = len;
    }
    return (uint8_t)vb_get(STATUS, 1);
}

static uint8_t request(VbQueue *q, uint32_t type, uint64_t sector, uint32_t len)
{
    Seg data = {DATA, len, type == T_IN || type == T_GET_ID};
    return request_of(q, type, sector, &data, len ? 1 : 0, NULL);
}

/* ---- PCI ---- */

static unsigned find_cap(unsigned type)
{
    for (unsigned at = pci_config_read(vb.pci, VB_DEVFN, 0x34, 1); at; at = pci_config_read(vb.pci, VB_DEVFN, at + 1, 1)) {
        if (pci_config_read(vb.pci, VB_DEVFN, at, 1) == 9 && pci_config_read(vb.pci, VB_DEVFN, at + 3, 1) == type) {
            return at;
        }
    }
    return 0;
}

START_TEST(identity)
{
    static const unsigned offsets[] = {0, 0, 0x3000, 0x1000, 0x2000};
    start(PCI_MODERN, 0);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 0, 4), 0x10011af4); /* transitional */
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 8, 4), 0x01000000);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 0x2c, 4), 0x00021af4);
    for (unsigned type = 1; type <= 4; type++) {
        unsigned at = find_cap(type);
        ck_assert_uint_ne(at, 0);
        ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, at + 2, 1), type == 2 ? 20 : 16);
        ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, at + 4, 1), 4);
        ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, at + 8, 4), offsets[type]);
    }
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, find_cap(2) + 16, 4), 4);
    ck_assert_uint_eq(vb_queue_size(0), 16);
    ck_assert_uint_eq(vb_queue_size(2), 0);
}
END_TEST

START_TEST(modern_only)
{
    vb_start(PCI_MODERN, "virtio-blk", "disable-legacy=on", give_disk);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 0, 4), 0x10421af4);
    ck_assert_uint_ge(pci_config_read(vb.pci, VB_DEVFN, 8, 1), 1);
    ck_assert_uint_ge(pci_config_read(vb.pci, VB_DEVFN, 0x2e, 2), 0x40);
    pci_config_write(vb.pci, VB_DEVFN, 0x10, 4, UINT32_MAX);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 0x10, 4), 0);
}
END_TEST

START_TEST(legacy_only)
{
    vb_start(PCI_LEGACY, "virtio-blk", NULL, give_disk);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 0, 4), 0x10011af4);
    ck_assert_uint_eq(find_cap(1), 0);
    ck_assert_uint_eq(vb_features() >> 28 & 3, 3);
    ck_assert_uint_eq(vb_config(0, 4), DISK / 512);
    vb_msix(true); /* the vectors come in between */
    ck_assert_uint_eq(vb_config(0, 4), DISK / 512);
}
END_TEST

/* §4.1.4.9: the BAR through configuration space. */
START_TEST(access_capability)
{
    VbQueue *q = start(PCI_MODERN, 0);
    unsigned cap = find_cap(5);
    pci_config_write(vb.pci, VB_DEVFN, cap + 4, 1, 4);
    pci_config_write(vb.pci, VB_DEVFN, cap + 8, 4, 0x2000);
    pci_config_write(vb.pci, VB_DEVFN, cap + 12, 4, 4);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, cap + 16, 4), DISK / 512);
    ck_assert_uint_eq(request(q, T_FLUSH, 0, 0), OK);
    ck_assert(vb.intx);
    pci_config_write(vb.pci, VB_DEVFN, cap + 8, 4, 0x1000);
    pci_config_write(vb.pci, VB_DEVFN, cap + 12, 4, 1);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, cap + 16, 1), 1);
    ck_assert(!vb.intx); /* reading acknowledged it */
    pci_config_write(vb.pci, VB_DEVFN, cap + 8, 4, 0x14);
    pci_config_write(vb.pci, VB_DEVFN, cap + 16, 1, 0);
    ck_assert_uint_eq(vb_status(), 0);
    pci_config_write(vb.pci, VB_DEVFN, cap + 8, 4, 0xfffffffc); /* nowhere */
    pci_config_write(vb.pci, VB_DEVFN, cap + 12, 4, 4);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, cap + 16, 4), 0);
}
END_TEST

/* ---- Negotiation ---- */

START_TEST(negotiation)
{
    vb_start(PCI_MODERN, "virtio-blk", NULL, give_disk);
    ck_assert(vb_features() & VIRTIO_BIT(VIRTIO_F_VERSION_1));
    ck_assert(!(vb_features() & PACKED));
    ck_assert(vb_negotiate(RING | BLK));
    vb_accept(0); /* too late */
    vb_reset();
    vb_set_status(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    vb_accept(vb_features() | PACKED); /* not offered */
    vb_set_status(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    ck_assert_uint_eq(vb_status(), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    vb_accept(vb_features() & ~VIRTIO_BIT(VIRTIO_F_VERSION_1));
    vb_set_status(VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    ck_assert_uint_eq(vb_status(), VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    ck_assert(vb_negotiate(RING | BLK));
}
END_TEST

/* §2.1.2: nothing is consumed before DRIVER_OK, and then what waited is. */
START_TEST(driver_ok)
{
    vb_start(PCI_MODERN, "virtio-blk", NULL, give_disk);
    ck_assert(vb_negotiate(RING | BLK));
    VbQueue *q = vb_queue(0, 16);
    uint16_t id;
    uint32_t len;
    vb_put(HEADER, 4, T_FLUSH);
    Seg segs[] = {{HEADER, 16, false}, {STATUS, 1, true}};
    vb_add(q, segs, 2);
    vb_kick(q);
    vb_wait();
    ck_assert(!vb_used(q, &id, &len));
    vb_ready();
    vb_wait();
    ck_assert(vb_used(q, &id, &len));
}
END_TEST

/* ---- Transfers ---- */

static void fill(uint64_t at, unsigned len, unsigned seed)
{
    for (unsigned i = 0; i < len; i += 4) {
        vb_put(at + i, 4, (seed + i) * 2654435761u);
    }
}

static void check_fill(uint64_t at, unsigned len, unsigned seed)
{
    for (unsigned i = 0; i < len; i += 4) {
        ck_assert_uint_eq(vb_get(at + i, 4), (seed + i) * 2654435761u);
    }
}

static void check_range_requests(VbQueue *q)
{
    uint32_t zero_some[] = {4, 0, 8, 1}, discard[] = {4, 0, 8, 0}, odd[] = {4, 0, 8, 2};
    bench_poke(DATA, zero_some, sizeof zero_some);
    ck_assert_uint_eq(request(q, T_ZEROES, 0, 16), OK);
    ck_assert_uint_eq(request(q, T_IN, 4, 4096), OK);
    ck_assert_uint_eq(vb_get(DATA, 8) | vb_get(DATA + 4088, 8), 0);
    bench_poke(DATA, discard, sizeof discard);
    ck_assert_uint_eq(request(q, T_DISCARD, 0, 16), OK);
    bench_poke(DATA, odd, sizeof odd);
    ck_assert_uint_eq(request(q, T_DISCARD, 0, 16), UNSUPP);
    odd[2] = UINT32_MAX; /* far beyond the end */
    bench_poke(DATA, odd, sizeof odd);
    ck_assert_uint_eq(request(q, T_ZEROES, 0, 16), IOERR);
}

static void check_transfers(VbQueue *q)
{
    char id[21] = "";
    uint32_t len;
    for (unsigned round = 0; round < 40; round++) { /* the ring goes around several times */
        Seg out[] = {{DATA, 512, false}, {DATA + 512, 1024, false}, {DATA + 1536, 2560, false}};
        Seg in[] = {{OTHER, 100, true}, {OTHER + 100, 3996, true}};
        fill(DATA, 4096, round);
        ck_assert_uint_eq(request_of(q, T_OUT, round * 8, out, 3, &len), OK);
        ck_assert_uint_eq(len, 1);
        ck_assert_uint_eq(request_of(q, T_IN, round * 8, in, 2, &len), OK);
        ck_assert_uint_eq(len, 4097);
        check_fill(OTHER, 4096, round);
    }
    ck_assert_uint_eq(request(q, T_FLUSH, 0, 0), OK);
    ck_assert_uint_eq(request(q, T_GET_ID, 0, 20), OK);
    bench_peek(DATA, id, 20);
    ck_assert_str_eq(id, "number-one");
    check_range_requests(q);
    ck_assert_uint_eq(request(q, 77, 0, 0), UNSUPP);
    ck_assert_uint_eq(request(q, T_IN, DISK / 512, 512), IOERR);
    ck_assert_uint_eq(request(q, T_IN, UINT64_MAX, 512), IOERR);
    ck_assert_uint_eq(request(q, T_OUT, 0, 100), IOERR);
}

static void check_carrier(Carrier carrier, uint64_t features)
{
    VbQueue *q = start(carrier, features);
    ck_assert_uint_eq(vb.packed, features >> VIRTIO_F_RING_PACKED & 1);
    check_transfers(q);
}

START_TEST(split_pci) { check_carrier(PCI_MODERN, 0); }
END_TEST
START_TEST(split_pci_indirect) { check_carrier(PCI_MODERN, INDIRECT | BY_INDEX); }
END_TEST
START_TEST(packed_pci) { check_carrier(PCI_MODERN, PACKED); }
END_TEST
START_TEST(packed_pci_indirect) { check_carrier(PCI_MODERN, PACKED | INDIRECT | BY_INDEX); }
END_TEST
START_TEST(legacy_pci) { check_carrier(PCI_LEGACY, INDIRECT); }
END_TEST
START_TEST(split_mmio) { check_carrier(MMIO, BY_INDEX); }
END_TEST
START_TEST(packed_mmio) { check_carrier(MMIO, PACKED); }
END_TEST

START_TEST(legacy_mmio)
{
    check_carrier(MMIO_LEGACY, 0);
    ck_assert_uint_eq(vb_features() >> 32, 0);
}
END_TEST

START_TEST(empty_mmio)
{
    vb = (Vb){.carrier = MMIO, .mmio = bench_device(device_class_find("virtio-mmio"), "force-legacy=off")};
    region_map(space_root(space_memory()), virtio_mmio_region(vb.mmio), VB_MMIO, 0);
    mem_commit();
    ck_assert_uint_eq(space_load(space_memory(), VB_MMIO, 4), 0x74726976);
    ck_assert_uint_eq(space_load(space_memory(), VB_MMIO + 4, 4), 2);
    ck_assert_uint_eq(space_load(space_memory(), VB_MMIO + 8, 4), 0);
    GError *error = NULL;
    Device *one = device_new(device_class_find("virtio-rng-device"), NULL),
           *two = device_new(device_class_find("virtio-rng-device"), NULL);
    ck_assert(device_realize(one, bus_find_type("virtio-bus"), &error));
    ck_assert(!device_realize(two, bus_find_type("virtio-bus"), &error));
    ck_assert_str_eq(error->message, "Bus 'virtio-mmio-bus.0' is full: virtio-mmio has one device");
    device_free(two);
    device_free(one);
}
END_TEST

/* ---- Interrupts ---- */

START_TEST(intx)
{
    VbQueue *q = start(PCI_MODERN, 0);
    ck_assert(!vb.intx);
    request(q, T_FLUSH, 0, 0);
    ck_assert(vb.intx);
    ck_assert_uint_eq(vb_isr(), VIRTIO_ISR_QUEUE);
    ck_assert(!vb.intx);
    ck_assert_uint_eq(vb_isr(), 0);
    vb_put(q->base + AT_DRIVER, 2, 1); /* NO_INTERRUPT */
    request(q, T_FLUSH, 0, 0);
    ck_assert(!vb.intx);
}
END_TEST

static void check_vectors(Carrier carrier)
{
    VbQueue *q = start(carrier, 0);
    vb_msix(true);
    vb_queue_vector(0, 1);
    vb_config_vector(2);
    request(q, T_FLUSH, 0, 0);
    ck_assert_uint_eq(vb.messages[1], 1);
    ck_assert(!vb.intx);
    ck_assert(drive_resize(disk, 2 * DISK, NULL));
    ck_assert_uint_eq(vb.messages[2], 1);
    ck_assert_uint_eq(vb.messages[0], 0);
    ck_assert_uint_eq(vb_config(0, 4), 2 * DISK / 512);
}

START_TEST(vectors) { check_vectors(PCI_MODERN); }
END_TEST
START_TEST(vectors_legacy) { check_vectors(PCI_LEGACY); }
END_TEST

START_TEST(bad_vector)
{
    start(PCI_MODERN, 0);
    space_store(space_memory(), VB_MODERN + 0x1a, 2, 3); /* three vectors: 0 to 2 */
    ck_assert_uint_eq(space_load(space_memory(), VB_MODERN + 0x1a, 2), VIRTIO_NO_VECTOR);
}
END_TEST

START_TEST(mmio_interrupt)
{
    VbQueue *q = start(MMIO, 0);
    request(q, T_FLUSH, 0, 0);
    ck_assert(vb.irq->level);
    ck_assert_uint_eq(vb_isr(), VIRTIO_ISR_QUEUE);
    ck_assert(!vb.irq->level);
    unsigned generation = (unsigned)space_load(space_memory(), VB_MMIO + 0xfc, 4);
    ck_assert(drive_resize(disk, 2 * DISK, NULL));
    ck_assert(vb.irq->level);
    ck_assert_uint_eq(vb_isr(), VIRTIO_ISR_CONFIG);
    ck_assert_uint_ne(space_load(space_memory(), VB_MMIO + 0xfc, 4), generation);
}
END_TEST

/* §2.7.7.2: an interrupt when used passes used_event; a kick is asked for where avail_event says. */
START_TEST(split_event_index)
{
    VbQueue *q = start(PCI_MODERN, BY_INDEX);
    vb_put(q->base + AT_DRIVER + 4 + 2 * q->size, 2, 2);
    for (unsigned i = 0; i < 5; i++) {
        request(q, T_FLUSH, 0, 0);
        ck_assert_uint_eq(vb_isr(), i == 2 ? VIRTIO_ISR_QUEUE : 0);
        ck_assert_uint_eq(vb_get(q->base + AT_DEVICE + 4 + 8 * q->size, 2), i + 1);
    }
}
END_TEST

START_TEST(packed_event_index)
{
    VbQueue *q = start(PCI_MODERN, PACKED | BY_INDEX | INDIRECT);
    enum { WRAP = 0x8000, DESC = 2, DISABLE = 1 };
    for (unsigned i = 0; i < 40; i++) {
        unsigned lap = i / q->size;
        /* slot 3 of the second time around, whose wrap counter is 0 */
        vb_put(q->base + AT_DRIVER, 4, 3 | (uint32_t)DESC << 16);
        request(q, T_FLUSH, 0, 0);
        ck_assert_uint_eq(vb_isr(), i == 16 + 3 ? VIRTIO_ISR_QUEUE : 0);
        uint32_t event = (uint32_t)vb_get(q->base + AT_DEVICE, 4); /* the device wants to hear of the next slot */
        ck_assert_uint_eq(event & 0x7fff, (i + 1) % q->size);
        ck_assert_uint_eq(event >> 16, DESC);
        ck_assert_uint_eq(!(event & WRAP), ((i + 1) / q->size) & 1);
        ck_assert_uint_le(lap, 2);
    }
    vb_put(q->base + AT_DRIVER, 4, (uint32_t)DISABLE << 16);
    request(q, T_FLUSH, 0, 0);
    ck_assert_uint_eq(vb_isr(), 0);
    vb_put(q->base + AT_DRIVER, 4, 0);
    request(q, T_FLUSH, 0, 0);
    ck_assert_uint_eq(vb_isr(), VIRTIO_ISR_QUEUE);
}
END_TEST

/* ---- Reset ---- */

START_TEST(queue_reset)
{
    VbQueue *q = start(PCI_MODERN, 0);
    request(q, T_FLUSH, 0, 0);
    space_store(space_memory(), VB_MODERN + 0x16, 2, 0);
    space_store(space_memory(), VB_MODERN + 0x3a, 2, 1);
    ck_assert_uint_eq(space_load(space_memory(), VB_MODERN + 0x3a, 2), 0);
    ck_assert_uint_eq(space_load(space_memory(), VB_MODERN + 0x1c, 2), 0);
    q = vb_queue(0, 8); /* smaller, and the other queues went on */
    check_transfers(q);
}
END_TEST

/* A read is on its way when the queue goes: afterwards nothing is written, and the new queue has no trace of it. */
static void check_abandoned(Carrier carrier, void (*stop)(void), bool whole)
{
    VbQueue *q = start(carrier, 0);
    Seg segs[] = {{HEADER, 16, false}, {DATA, 4096, true}, {STATUS, 1, true}};
    vb_put(HEADER, 4, T_IN);
    vb_put(HEADER + 8, 8, 0);
    vb_put(STATUS, 1, 0xee);
    vb_add(q, segs, 3);
    vb_kick(q);
    stop();
    vb_put(DATA, 8, 42);
    vb_wait();
    ck_assert_uint_eq(vb_get(DATA, 8), 42);
    ck_assert_uint_eq(vb_get(STATUS, 1), 0xee);
    q = whole ? start_queue(0) : vb_queue(0, 16);
    check_transfers(q);
}

static void stop_by_queue_reset(void)
{
    space_store(space_memory(), VB_MODERN + 0x16, 2, 0);
    space_store(space_memory(), VB_MODERN + 0x3a, 2, 1);
}

static void stop_by_ready(void)
{
    space_store(space_memory(), VB_MMIO + 0x30, 4, 0);
    space_store(space_memory(), VB_MMIO + 0x44, 4, 0);
}

static void stop_by_address(void)
{
    space_store(space_io(), VB_IO + 0x0e, 2, 0);
    space_store(space_io(), VB_IO + 0x08, 4, 0);
}

START_TEST(reset_in_flight) { check_abandoned(PCI_MODERN, vb_reset, true); }
END_TEST
START_TEST(queue_reset_in_flight) { check_abandoned(PCI_MODERN, stop_by_queue_reset, false); }
END_TEST
START_TEST(queue_ready_in_flight) { check_abandoned(MMIO, stop_by_ready, false); }
END_TEST
START_TEST(queue_address_in_flight) { check_abandoned(PCI_LEGACY, stop_by_address, false); }
END_TEST

START_TEST(bus_master)
{
    VbQueue *q = start(PCI_MODERN, 0);
    Seg segs[] = {{HEADER, 16, false}, {STATUS, 1, true}};
    uint16_t id;
    uint32_t len;
    vb_put(HEADER, 4, T_FLUSH);
    pci_config_write(vb.pci, VB_DEVFN, 4, 2, PCI_COMMAND_MEMORY);
    vb_add(q, segs, 2);
    vb_kick(q);
    vb_wait();
    ck_assert(!vb_used(q, &id, &len));
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, 0);
    pci_config_write(vb.pci, VB_DEVFN, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    vb_wait();
    ck_assert(vb_used(q, &id, &len));
}
END_TEST

/* ---- The disk's own ---- */

START_TEST(write_cache)
{
    VbQueue *q = start(PCI_MODERN, 0);
    ck_assert_uint_eq(vb_config(32, 1), 1);
    vb_config_put(32, 1, 0);
    ck_assert_uint_eq(vb_config(32, 1), 0);
    fill(DATA, 512, 1);
    ck_assert_uint_eq(request(q, T_OUT, 0, 512), OK);
    vb_reset();
    ck_assert_uint_eq(vb_config(32, 1), 1);
}
END_TEST

START_TEST(second_queue)
{
    start(PCI_MODERN, 0);
    ck_assert_uint_eq(vb_config(34, 2), 2);
    ck_assert(vb_negotiate(RING | BLK));
    VbQueue *one = vb_queue(1, 16), *zero = vb_queue(0, 16);
    vb_ready();
    ck_assert_uint_eq(request(one, T_FLUSH, 0, 0), OK);
    ck_assert_uint_eq(request(zero, T_FLUSH, 0, 0), OK);
}
END_TEST

/* Data that lies in no RAM: read as ones, or not carried out when it is very much. */
START_TEST(outside_of_ram)
{
    VbQueue *q = start(PCI_MODERN, 0);
    Seg far = {0x40000000, 512, false}, huge = {0x40000000, 64 << 20, true}, wrap = {UINT64_MAX - 100, 512, true};
    ck_assert_uint_eq(request_of(q, T_OUT, 0, &far, 1, NULL), OK);
    ck_assert_uint_eq(request(q, T_IN, 0, 512), OK);
    ck_assert_uint_eq(vb_get(DATA, 8), UINT64_MAX);
    ck_assert_uint_eq(request_of(q, T_IN, 0, &huge, 1, NULL), IOERR);
    request_of(q, T_IN, 0, &wrap, 1, NULL);
    ck_assert_uint_eq(vb_status() & VIRTIO_NEEDS_RESET, 0);
}
END_TEST

BENCH_MAIN("virtio", CASE(identity), CASE(modern_only), CASE(legacy_only), CASE(access_capability), CASE(negotiation),
           CASE(driver_ok), CASE(split_pci), CASE(split_pci_indirect), CASE(packed_pci), CASE(packed_pci_indirect),
           CASE(legacy_pci), CASE(split_mmio), CASE(packed_mmio), CASE(legacy_mmio), CASE(empty_mmio), CASE(intx),
           CASE(vectors), CASE(vectors_legacy), CASE(bad_vector), CASE(mmio_interrupt), CASE(split_event_index),
           CASE(packed_event_index), CASE(queue_reset), CASE(reset_in_flight), CASE(queue_reset_in_flight), CASE(queue_ready_in_flight),
           CASE(queue_address_in_flight), CASE(bus_master), CASE(write_cache),
           CASE(second_queue), CASE(outside_of_ram))
