/* Hostile virtio drivers.  A device behind memory-mapped registers is set up as a good driver would do it; then the input
 * writes rings, registers and configuration as it likes.  Whatever it does, the device answers, ends, and works again after a
 * reset. */
#include <assert.h>
#include <string.h>

#include "block/drive.h"
#include "core/clock.h"
#include "core/loop.h"
#include "hw/device.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio.h"
#include "mem/ram.h"
#include "tests/fuzz/fuzz.h"

enum { RAM = 1 << 20, MMIO = 0x10000000, RINGS = 0x10000, RING_SPACE = 0x1000, QUEUE = 8 };
enum { DEVICE_FEATURES = 0x10, FEATURES_SEL = 0x14, DRIVER_FEATURES = 0x20, DRIVER_SEL = 0x24, QUEUE_SEL = 0x30,
       QUEUE_NUM = 0x38, QUEUE_READY = 0x44, NOTIFY = 0x50, STATUS = 0x70, DESC = 0x80, DRIVER = 0x90, DEVICE = 0xa0 };

static const char *const types[] = {"virtio-blk-device",      "virtio-rng-device",   "virtio-balloon-device",
                                    "virtio-keyboard-device", "virtio-tablet-device", "virtio-serial-device",
                                    "virtio-scsi-device"};
enum { BLK = 0, SCSI = 6 };
static Bus *bus;
static Device *mmio, *device;
static Drive *disk;

static void start(void)
{
    loop_main();
    loop_lock();
    clock_manual();
    RamBlock *ram = ram_new("ram", RAM, NULL, NULL);
    region_map(space_root(space_memory()), region_ram("ram", ram, 0, RAM), 0, 0);
    mmio = device_new(device_class_find("virtio-mmio"), NULL);
    bool ok = device_set(mmio, "force-legacy", "off", NULL) && device_realize(mmio, NULL, NULL);
    assert(ok);
    region_map(space_root(space_memory()), virtio_mmio_region(mmio), MMIO, 0);
    bus = bus_find_type("virtio-bus");
    disk = drive_new_memory("disk", 1 << 16);
}

static uint32_t get(unsigned at)
{
    return (uint32_t)space_load(space_memory(), MMIO + at, 4);
}

static void put(unsigned at, uint32_t value)
{
    space_store(space_memory(), MMIO + at, 4, value);
}

static void memory_put(uint64_t at, uint64_t value, unsigned size)
{
    space_store(space_memory(), at, size, value);
}

/* What sits on the device's bus. */
static void plug_behind(const char *type, const char *property, const char *value)
{
    Device *d = device_new(device_class_find(type), NULL);
    if (!strcmp(type, "scsi-hd")) {
        device_set_pointer(d, "drive", disk);
    }
    bool ok = device_set(d, property, value, NULL) && device_realize(d, device->buses->data, NULL);
    assert(ok);
}

static void plug(unsigned type)
{
    device = device_new(device_class_find(types[type]), NULL);
    if (type == BLK) {
        device_set_pointer(device, "drive", disk);
    }
    bool ok = device_set(device, "packed", "on", NULL) && device_realize(device, bus, NULL);
    assert(ok);
    if (type == SCSI) {
        plug_behind("scsi-hd", "scsi-id", "0");
        plug_behind("scsi-cd", "scsi-id", "1");
    } else if (device->buses) {
        plug_behind("virtserialport", "name", "a port");
    }
}

/* What a driver does; packed or split, and with which options, as `flags` say.  A few chains wait already. */
static void initialize(unsigned flags)
{
    uint32_t low = flags & 1 ? UINT32_MAX : ~(1u << VIRTIO_F_EVENT_IDX),
             high = flags & 2 ? UINT32_MAX : ~(1u << (VIRTIO_F_RING_PACKED - 32));
    put(STATUS, 0);
    put(STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        put(FEATURES_SEL, i);
        put(DRIVER_SEL, i);
        put(DRIVER_FEATURES, get(DEVICE_FEATURES) & (i ? high : low));
    }
    put(STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    assert(get(STATUS) & VIRTIO_FEATURES_OK);
    for (unsigned q = 0; q < 6; q++) {
        static const unsigned areas[] = {DESC, DRIVER, DEVICE};
        put(QUEUE_SEL, q);
        put(QUEUE_NUM, QUEUE);
        for (unsigned area = 0; area < 3; area++) {
            put(areas[area], RINGS + q * RING_SPACE + 0x400 * area);
            put(areas[area] + 4, 0);
        }
        put(QUEUE_READY, 1);
    }
    put(STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

static void good_chain(unsigned queue, unsigned flags)
{
    enum { NEXT = 1, WRITE = 2, AVAIL = 1 << 7, BUFFER = 0x40000 };
    uint64_t ring = RINGS + queue * RING_SPACE;
    bool packed = flags & 2;
    for (unsigned i = 0; i < 3; i++) {
        unsigned bits = (i < 2 ? NEXT : 0) | (i ? WRITE : 0);
        memory_put(ring + 16 * i, BUFFER + 0x1000 * i, 8);
        memory_put(ring + 16 * i + 8, i == 1 ? 512 : 16, 4);
        memory_put(ring + 16 * i + 12, packed ? 1 : bits, 2);
        memory_put(ring + 16 * i + 14, packed ? bits | AVAIL : i + 1, 2);
    }
    memory_put(ring + 0x404, 0, 2);
    memory_put(ring + 0x402, 1, 2);
}

/* A SCSI command of the driver's choice in each queue: header, CDB, answer and a page of data, one behind the other. */
static void scsi_chain(unsigned queue, const uint8_t *d)
{
    enum { NEXT = 1, WRITE = 2, HEADER = 19 + 32, ANSWER = 12 + 96, DATA = 4096, BUFFER = 0x60000 };
    uint64_t ring = RINGS + queue * RING_SPACE;
    const uint8_t cdb[16] = {d[1], d[2] ^ ' ', d[3] ^ ' ', d[4] ^ ' ', 64, [8] = 4}; /* seeds are text */
    bool out = d[0] & 2;
    const struct { uint64_t at; uint32_t len; bool write; } parts[] = {
        {BUFFER, HEADER, false}, {BUFFER + 0x1000, DATA, !out}, {BUFFER + 0x3000, ANSWER, true}};
    static const uint8_t order[2][3] = {{0, 2, 1}, {0, 1, 2}};
    space_write(space_memory(), BUFFER, (uint8_t[2]){1, d[4] >> 1 & 1}, 2);
    space_write(space_memory(), BUFFER + 19, cdb, sizeof cdb);
    for (unsigned i = 0; i < 3; i++) {
        unsigned p = order[out][i], bits = (i < 2 ? NEXT : 0) | (parts[p].write ? WRITE : 0);
        memory_put(ring + 16 * i, parts[p].at, 8);
        memory_put(ring + 16 * i + 8, parts[p].len, 4);
        memory_put(ring + 16 * i + 12, bits | (uint64_t)(i + 1) << 16, 4);
    }
    uint16_t index = (uint16_t)space_load(space_memory(), ring + 0x402, 2);
    memory_put(ring + 0x404 + 2 * (index % QUEUE), 0, 2);
    memory_put(ring + 0x402, index + 1u, 2);
    put(NOTIFY, queue);
}

/* One step of the driver: an operation, where, and what. */
static void step(const uint8_t *d)
{
    unsigned where = d[1] | d[2] << 8;
    uint32_t what = d[3] | (uint32_t)d[4] << 8;
    what = d[0] & 0x80 ? (uint32_t)(int16_t)what : what;
    if (d[0] & 0x40) { /* for split rings; a packed one finds nonsense */
        scsi_chain(2 + (d[0] & 1), d);
        return;
    }
    switch (d[0] & 7) {
    case 0: memory_put(RINGS + where % (6 * RING_SPACE), what, 2); break;
    case 1: memory_put(RINGS + where % (6 * RING_SPACE), what, 1u << (d[0] >> 3 & 3)); break;
    case 2: memory_put(0x40000 + where, what, 2); break;
    case 3: put(NOTIFY, where % 8); break;
    case 4: put(where % 0x100 & ~3u, what); break;
    case 5: space_store(space_memory(), MMIO + 0x100 + where % 0x100, 1u << (d[0] >> 3 & 1), what); break;
    case 6: get(where % 0x200); break;
    default: clock_advance_to(clock_now(CLOCK_VIRTUAL) + what % 4096 * NS_PER_MS);
    }
}

static void unplug(void)
{
    drive_drain_all();
    device_free(g_steal_pointer(&device)); /* and what is plugged into it */
    mem_commit();
    loop_iterate(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!bus) {
        start();
    }
    if (size < 2) {
        return 0;
    }
    static uint8_t zeros[RAM];
    space_write(space_memory(), 0, zeros, RAM);
    plug(data[0] % G_N_ELEMENTS(types));
    initialize(data[1]);
    for (unsigned q = 0; q < 6 && data[1] & 4; q++) {
        good_chain(q, data[1]);
    }
    for (size_t i = 2; i + 5 <= size; i += 5) {
        step(data + i);
    }
    space_write(space_memory(), 0, zeros, RAM);
    initialize(data[1]); /* a reset mends everything */
    assert(!(get(STATUS) & VIRTIO_NEEDS_RESET));
    unplug();
    return 0;
}
