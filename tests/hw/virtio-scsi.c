/* virtio-scsi as a driver sees it (virtio 1.2 §5.6): commands, task management, events; and disks that are slow while things
 * are reset or taken away. */
#include "tests/hw/virtio-bench.h"

#include <string.h>

#include "block/drive.h"
#include "core/loop.h"
#include "core/options.h"
#include "hw/hotplug.h"
#include "hw/scsi/scsi-bus.h"
#include "mem/ram.h"
#include "tests/hw/fake-drive.h"

enum { DISK = 1 << 20, REQUEST = 0x80000, ANSWER = 0x80800, DATA = 0x82000, EVENT = 0x90000, MANAGE = 0x91000 };
enum { S_OK, S_OVERRUN, S_ABORTED, S_BAD_TARGET, S_RESET, S_FAILURE = 9, S_SUCCEEDED, S_REJECTED, S_INCORRECT_LUN };
enum { F_INOUT = 0, F_HOTPLUG = 1, F_CHANGE = 2 };
enum { CDB_SIZE = 32, SENSE_SIZE = 96 };
#define RING (VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET))
#define SCSI (VIRTIO_BIT(F_HOTPLUG) | VIRTIO_BIT(F_CHANGE))
#define PACKED VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define INDIRECT VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)
#define BY_INDEX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)

static Drive *disk;
static ScsiDevice *unit;
static VbQueue *control, *events, *commands;
static unsigned cdb_size, sense_size;

static Device *plug(Drive *drive, const char *id, int target, int lun)
{
    GError *error = NULL;
    Device *d = device_new(device_class_find("scsi-hd"), id);
    device_set_pointer(d, "drive", drive);
    ((ScsiDevice *)d)->scsi_id = target;
    ((ScsiDevice *)d)->lun = lun;
    ck_assert_msg(device_realize(d, bus_find_type("SCSI"), &error), "%s", error ? error->message : "");
    device_plugged(d);
    return d;
}

static void negotiate(uint64_t features)
{
    ck_assert(vb_negotiate(RING | SCSI | features));
    control = vb_queue(0, 16);
    events = vb_queue(1, 16);
    commands = vb_queue(2, 64);
    cdb_size = CDB_SIZE;
    sense_size = SENSE_SIZE;
    vb_ready();
}

static unsigned run(const void *cdb, unsigned len, uint32_t out, uint32_t in);
static unsigned response(void);
#define CDB(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void start_with(Carrier carrier, Drive *drive, uint64_t features)
{
    bool legacy = carrier == PCI_LEGACY || carrier == MMIO_LEGACY;
    vb_start(carrier, "virtio-scsi", legacy ? "num_queues=2" : "num_queues=2,packed=on", NULL);
    disk = drive;
    unit = (ScsiDevice *)plug(disk, "disk", 0, 0);
    negotiate(features);
}

static void start(Carrier carrier, uint64_t features)
{
    start_with(carrier, drive_new_memory("disk", DISK), features);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 2); /* the attention after a reset */
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 0);
}

static Drive *slow_drive(const char *id)
{
    g_autoptr(GHashTable) options = options_parse("driver=null-co,size=1M,read-zeroes=on,latency-ns=30000000", "driver", NULL);
    Drive *d = drive_new(id, options, NULL);
    ck_assert_ptr_nonnull(d);
    return d;
}

/* ---- A driver ---- */

static void put_lun(uint64_t at, unsigned target, unsigned lun)
{
    const uint8_t bytes[8] = {1, (uint8_t)target, (uint8_t)(0x40 | lun >> 8), (uint8_t)lun};
    bench_poke(at, bytes, 8);
}

/* Requests lie one behind the other; `slot` picks one. */
static void add_command(unsigned slot, const void *cdb, unsigned len, uint32_t out, uint32_t in)
{
    uint64_t request = REQUEST + slot * 0x100, answer = ANSWER + slot * 0x100;
    g_autofree uint8_t *zeros = g_malloc0(cdb_size);
    put_lun(request, 0, 0);
    vb_put(request + 8, 8, 0x100 + slot);
    vb_put(request + 16, 3, 0);
    bench_poke(request + 19, zeros, cdb_size);
    bench_poke(request + 19, cdb, len);
    vb_put(answer, 8, UINT64_MAX);
    vb_put(answer + 8, 8, UINT64_MAX);
    /* pieces that end where nobody would expect it */
    Seg segs[] = {{request, 7, false}, {request + 7, 12 + cdb_size, false}, {DATA, out, false},
                  {answer, 12, true}, {answer + 12, sense_size, true}, {DATA, in / 2, true}, {DATA + in / 2, in - in / 2, true}};
    Seg used[7];
    unsigned n = 0;
    for (unsigned i = 0; i < 7; i++) {
        if (segs[i].len) {
            used[n++] = segs[i];
        }
    }
    vb_add(commands, used, n);
}

static uint32_t take(VbQueue *q)
{
    uint16_t id;
    uint32_t len;
    return vb_used(q, &id, &len) ? len : UINT32_MAX;
}

/* The length that came back. */
static unsigned run(const void *cdb, unsigned len, uint32_t out, uint32_t in)
{
    add_command(0, cdb, len, out, in);
    vb_kick(commands);
    vb_wait();
    uint32_t written = take(commands);
    ck_assert_uint_ne(written, UINT32_MAX);
    return written;
}

static unsigned response(void)
{
    return (unsigned)vb_get(ANSWER + 11, 1);
}
#define ck_good()                                                                                                      \
    do {                                                                                                               \
        ck_assert_uint_eq(response(), S_OK);                                                                           \
        ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 0);                                                                  \
    } while (0)

static void add_tmf(unsigned subtype, unsigned target, unsigned lun, uint64_t id)
{
    vb_put(MANAGE, 4, 0);
    vb_put(MANAGE + 4, 4, subtype);
    put_lun(MANAGE + 8, target, lun);
    vb_put(MANAGE + 16, 8, id);
    vb_put(MANAGE + 32, 1, 0xee);
    vb_add(control, (const Seg[]){{MANAGE, 24, false}, {MANAGE + 32, 1, true}}, 2);
    vb_kick(control);
}

static unsigned tmf(unsigned subtype, unsigned target, unsigned lun, uint64_t id)
{
    add_tmf(subtype, target, lun, id);
    ck_assert_msg(take(control) == 1, "no answer to function %u", subtype);
    return (unsigned)vb_get(MANAGE + 32, 1);
}

/* ---- Commands (§5.6.6.1) ---- */

START_TEST(configuration)
{
    start(PCI_MODERN, 0);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 0, 4), 0x10041af4);
    ck_assert_uint_eq(pci_config_read(vb.pci, VB_DEVFN, 10, 2), 0x0100);
    ck_assert_uint_eq(vb_features() & 7, 7);
    static const uint32_t expected[] = {2, 254, 65535, 128, 16, 96, 32, 255 << 16, 16383};
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        ck_assert_uint_eq(vb_config(4 * i, 4), expected[i]);
    }
    ck_assert_uint_eq(vb_queue_size(3), 256);
    ck_assert_uint_eq(vb_queue_size(4), 0);
    g_autofree char *path = unit->dev.bus->class->device_path(&unit->dev);
    ck_assert_str_eq(path, "channel@0/disk@0,0");
}
END_TEST

static void check_commands(Carrier carrier, uint64_t features)
{
    start(carrier, features);
    ck_assert_uint_eq(run(CDB(0x12, 0, 0, 0, 36), 0, 64), 12 + SENSE_SIZE + 36);
    ck_good();
    ck_assert_uint_eq(vb_get(ANSWER, 4), 0);
    ck_assert_uint_eq(vb_get(ANSWER + 4, 4), 28); /* residual */
    ck_assert_uint_eq(vb_get(DATA + 8, 4), 0x554d4551);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 4096; i += 8) {
            vb_put(DATA + i, 8, UINT64_C(0x0101010101010101) * round + i);
        }
        ck_assert_uint_eq(run(CDB(0x2a, 0, 0, 0, 0, (uint8_t)(8 * round), 0, 0, 8), 4096, 0), 12 + SENSE_SIZE);
        ck_good();
        ck_assert_uint_eq(vb_get(ANSWER + 4, 4), 0);
        vb_put(DATA, 8, 0);
        vb_put(DATA + 4088, 8, 0);
        ck_assert_uint_eq(run(CDB(0x28, 0, 0, 0, 0, (uint8_t)(8 * round), 0, 0, 8), 0, 4096), 12 + SENSE_SIZE + 4096);
        ck_good();
        ck_assert_uint_eq(vb_get(DATA, 8), UINT64_C(0x0101010101010101) * round);
        ck_assert_uint_eq(vb_get(DATA + 4088, 8), UINT64_C(0x0101010101010101) * round + 4088);
    }
    run(CDB(0x28, 0, 0xff, 0, 0, 0, 0, 0, 8), 0, 4096);
    ck_assert_uint_eq(response(), S_OK);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 2);
    ck_assert_uint_eq(vb_get(ANSWER, 4), 18);
    ck_assert_uint_eq(vb_get(ANSWER + 4, 4), 4096);
    ck_assert_uint_eq(vb_get(ANSWER + 12 + 2, 1), 5);
    ck_assert_uint_eq(vb_get(ANSWER + 12 + 12, 1), 0x21);
    run(CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 9), 0, 4096);
    ck_assert_uint_eq(response(), S_OVERRUN);
}

START_TEST(split) { check_commands(PCI_MODERN, BY_INDEX); }
END_TEST
START_TEST(split_indirect) { check_commands(PCI_MODERN, INDIRECT); }
END_TEST
START_TEST(packed) { check_commands(PCI_MODERN, PACKED | INDIRECT | BY_INDEX); }
END_TEST
START_TEST(legacy) { check_commands(PCI_LEGACY, 0); }
END_TEST
START_TEST(mmio_packed) { check_commands(MMIO, PACKED); }
END_TEST

START_TEST(addresses)
{
    static const struct {
        uint8_t lun[8], response, status;
    } cases[] = {
        {{1, 0, 0x40, 0}, S_OK, 0}, {{1, 0, 0, 0}, S_OK, 0},         {{1, 0, 0x40, 1}, S_OK, 2}, {{1, 1, 0x40, 0}, S_BAD_TARGET, 0},
        {{0, 0, 0x40, 0}, S_BAD_TARGET, 0}, {{0xc1, 1}, S_BAD_TARGET, 0}, {{1, 0, 0xc1, 1}, S_BAD_TARGET, 0},
        {{1, 0, 0x41, 0x2c}, S_OK, 0},
    };
    start(PCI_MODERN, 0);
    plug(drive_new_memory("far", DISK), NULL, 0, 300);
    run(CDB(0), 0, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (unsigned again = 0; again < 2; again++) { /* the first may be an attention */
            add_command(0, CDB(0), 0, 0);
            bench_poke(REQUEST, cases[i].lun, 8);
            vb_kick(commands);
            ck_assert_uint_ne(take(commands), UINT32_MAX);
        }
        ck_assert_uint_eq(response(), cases[i].response);
        ck_assert_uint_eq(vb_get(ANSWER + 10, 1), cases[i].status);
    }
}
END_TEST

START_TEST(field_sizes)
{
    start(PCI_MODERN, 0);
    vb_config_put(20, 4, 8);
    vb_config_put(24, 4, 16);
    cdb_size = 16;
    sense_size = 8;
    run(CDB(0xff), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER, 4), 8); /* cut */
    ck_assert_uint_eq(vb_get(ANSWER + 12 + 2, 1), 5);
    ck_assert_uint_eq(run(CDB(0x12, 0, 0, 0, 36), 0, 36), 12 + 8 + 36);
    vb_config_put(24, 4, 5);
    vb_config_put(20, 4, 257);
    ck_assert_uint_eq(vb_config(20, 4), 8);
    ck_assert_uint_eq(vb_config(24, 4), 16);
    negotiate(0);
    ck_assert_uint_eq(vb_config(20, 4), SENSE_SIZE);
    ck_assert_uint_eq(vb_config(24, 4), CDB_SIZE);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 2); /* the driver's reset is one of the bus */
    /* data both ways, without and with VIRTIO_SCSI_F_INOUT */
    run(CDB(0x12, 0, 0, 0, 36), 8, 36);
    ck_assert_uint_eq(response(), S_FAILURE);
    negotiate(1);
    run(CDB(0x12, 0, 0, 0, 36), 8, 36);
    ck_good();
}
END_TEST

START_TEST(short_requests)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!i) {
            start(PCI_MODERN, 0);
        } else {
            negotiate(0);
        }
        vb_add(commands, (const Seg[]){{REQUEST, i ? 51 : 50, false}, {ANSWER, i < 2 ? 107 : 108, true}}, 2);
        vb_kick(commands);
        ck_assert_uint_eq(!!(vb_status() & VIRTIO_NEEDS_RESET), i < 2);
        negotiate(0);
        vb_put(MANAGE, 4, i); /* a function, a query and a subscription, each cut short */
        vb_add(control, (const Seg[]){{MANAGE, i ? 15 : 23, false}, {MANAGE + 32, 1, true}}, 2);
        vb_kick(control);
        ck_assert(vb_status() & VIRTIO_NEEDS_RESET);
    }
    negotiate(0);
    vb_put(MANAGE, 4, 1);
    vb_add(control, (const Seg[]){{MANAGE, 16, false}, {MANAGE + 32, 5, true}}, 2);
    vb_kick(control);
    ck_assert_uint_eq(take(control), 5);
    ck_assert_uint_eq(vb_get(MANAGE + 36, 1), S_OK);
}
END_TEST

/* ---- Events (§5.6.6.3) ---- */

static void add_event(void)
{
    vb_put(EVENT, 8, UINT64_MAX);
    vb_put(EVENT + 8, 8, UINT64_MAX);
    vb_add(events, &(Seg){EVENT, 16, true}, 1);
    vb_kick(events);
}

static void ck_event(uint32_t type, unsigned target, unsigned lun, uint32_t reason)
{
    ck_assert_uint_eq(take(events), 16);
    ck_assert_uint_eq(vb_get(EVENT, 4), type);
    ck_assert_uint_eq(vb_get(EVENT + 4, 1), 1);
    ck_assert_uint_eq(vb_get(EVENT + 5, 1), target);
    ck_assert_uint_eq(vb_get(EVENT + 6, 1), lun < 256 ? 0 : 0x40 | lun >> 8);
    ck_assert_uint_eq(vb_get(EVENT + 7, 1), lun & 0xff);
    ck_assert_uint_eq(vb_get(EVENT + 12, 4), reason);
}

START_TEST(event_queue)
{
    start(PCI_MODERN, 0);
    add_event();
    ck_assert_uint_eq(take(events), UINT32_MAX);
    Device *d = plug(drive_new_memory("b", DISK), NULL, 5, 300);
    ck_event(1, 5, 300, 1);
    device_free(d);
    ck_assert_uint_eq(take(events), UINT32_MAX); /* it waits for a buffer */
    add_event();
    ck_event(1, 5, 300, 2);
    add_event();
    ck_assert(drive_resize(disk, 2 * DISK, NULL));
    ck_event(3, 0, 0, 0x2a | 0x09 << 8);
    for (unsigned i = 0; i < 40; i++) { /* more than are kept */
        ck_assert(drive_resize(disk, DISK, NULL));
    }
    add_event();
    ck_event(3 | 0x80000000, 0, 0, 0x2a | 0x09 << 8);
    add_event();
    ck_event(3, 0, 0, 0x2a | 0x09 << 8);
    negotiate(0);
    add_event();
    ck_assert_uint_eq(take(events), UINT32_MAX); /* a reset forgets them */
}
END_TEST

START_TEST(events_not_negotiated)
{
    start(PCI_MODERN, 0);
    vb_negotiate(RING);
    events = vb_queue(1, 16);
    vb_ready();
    add_event();
    plug(drive_new_memory("b", DISK), NULL, 5, 0);
    ck_assert(drive_resize(disk, 2 * DISK, NULL));
    ck_assert_uint_eq(take(events), UINT32_MAX);
}
END_TEST

/* ---- Task management (§5.6.6.2) ---- */

START_TEST(management)
{
    enum { ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, NEXUS_RESET, LUN_RESET, QUERY_TASK, QUERY_TASK_SET };
    start_with(PCI_MODERN, slow_drive("slow"), 0);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(tmf(QUERY_TASK_SET, 0, 0, 0), S_OK);
    ck_assert_uint_eq(tmf(CLEAR_ACA, 0, 0, 0), S_REJECTED);
    ck_assert_uint_eq(tmf(99, 0, 0, 0), S_REJECTED);
    ck_assert_uint_eq(tmf(LUN_RESET, 1, 0, 0), S_BAD_TARGET);
    ck_assert_uint_eq(tmf(LUN_RESET, 0, 1, 0), S_INCORRECT_LUN);
    ck_assert_uint_eq(tmf(ABORT_TASK, 0, 0, 0x999), S_OK);
    for (unsigned i = 0; i < 3; i++) {
        add_command(i, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
    }
    vb_kick(commands);
    ck_assert_uint_eq(tmf(QUERY_TASK_SET, 0, 0, 0), S_SUCCEEDED);
    ck_assert_uint_eq(tmf(QUERY_TASK, 0, 0, 0x101), S_SUCCEEDED);
    ck_assert_uint_eq(tmf(QUERY_TASK, 0, 0, 0x104), S_OK);
    add_tmf(ABORT_TASK, 0, 0, 0x101);
    ck_assert_uint_eq(take(control), UINT32_MAX); /* not before the command has ended */
    ck_assert_uint_eq(take(commands), UINT32_MAX);
    vb_wait();
    ck_assert_uint_eq(take(control), 1);
    ck_assert_uint_eq(vb_get(MANAGE + 32, 1), S_OK);
    ck_assert_uint_eq(vb_get(ANSWER + 11, 1), S_OK);
    ck_assert_uint_eq(vb_get(ANSWER + 0x100 + 11, 1), S_ABORTED);
    ck_assert_uint_eq(vb_get(ANSWER + 0x200 + 11, 1), S_OK);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_ne(take(commands), UINT32_MAX);
    }
    add_command(0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
    vb_kick(commands);
    add_tmf(LUN_RESET, 0, 0, 0);
    vb_wait();
    ck_assert_uint_eq(take(control), 1);
    ck_assert_uint_eq(response(), S_RESET);
    take(commands);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 2);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 0);
    ck_assert_uint_eq(tmf(NEXUS_RESET, 0, 7, 0), S_OK);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(vb_get(ANSWER + 10, 1), 2);
}
END_TEST

/* A function that comes while another waits for the same command waits for it, too. */
START_TEST(management_twice)
{
    enum { ABORT_TASK, LUN_RESET = 5 };
    start_with(PCI_MODERN, slow_drive("slow"), 0);
    run(CDB(0), 0, 0);
    add_command(0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
    vb_kick(commands);
    add_tmf(ABORT_TASK, 0, 0, 0x100);
    add_tmf(LUN_RESET, 0, 0, 0);
    ck_assert_uint_eq(take(control), UINT32_MAX);
    vb_wait();
    ck_assert_uint_eq(take(control), 1);
    ck_assert_uint_eq(take(control), 1);
    ck_assert_uint_eq(response(), S_RESET);
    ck_assert_uint_ne(take(commands), UINT32_MAX);
}
END_TEST

/* ---- What is slow, while it is reset or taken away ---- */

static bool came_between;

static void monitor_command(void *arg)
{
    came_between = true;
}

/* Nothing that waits for the main loop runs while a device is in the middle of its reset or end: a monitor's device_del, say. */
static void read_slowly(void)
{
    came_between = false;
    add_command(0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 0, 4096);
    vb_kick(commands);
    vb_put(DATA, 8, 42);
    loop_post(loop_main(), monitor_command, NULL);
}

START_TEST(reset_while_slow)
{
    start_with(PCI_MODERN, slow_drive("slow"), 0);
    run(CDB(0), 0, 0);
    read_slowly();
    vb_reset();
    ck_assert(!came_between);
    DriveStats stats;
    drive_stats(disk, &stats);
    ck_assert_uint_eq(stats.in_flight, 0);
    vb_put(DATA, 8, 43);
    vb_wait();
    ck_assert(came_between);
    ck_assert_uint_eq(vb_get(DATA, 8), 43);
    ck_assert_uint_eq(vb_get(ANSWER, 8), UINT64_MAX);
    negotiate(0);
    run(CDB(0), 0, 0);
    run(CDB(0), 0, 0);
    ck_good();
}
END_TEST

START_TEST(queue_reset_while_slow)
{
    start_with(PCI_MODERN, slow_drive("slow"), 0);
    run(CDB(0), 0, 0);
    read_slowly();
    space_store(space_memory(), VB_MODERN + 0x16, 2, 2);
    space_store(space_memory(), VB_MODERN + 0x3a, 2, 1);
    ck_assert(!came_between);
    ck_assert_uint_eq(vb_get(ANSWER, 8), UINT64_MAX);
    commands = vb_queue(2, 64);
    run(CDB(0), 0, 0);
    ck_good();
}
END_TEST

START_TEST(unplug_unit_while_slow)
{
    start_with(PCI_MODERN, slow_drive("slow"), 0);
    run(CDB(0), 0, 0);
    add_event();
    read_slowly();
    device_free(&unit->dev);
    ck_assert(!came_between);
    ck_assert_uint_ne(take(commands), UINT32_MAX); /* its command came back */
    ck_assert_uint_eq(response(), S_ABORTED);
    ck_event(1, 0, 0, 2);
    run(CDB(0), 0, 0);
    ck_assert_uint_eq(response(), S_BAD_TARGET);
}
END_TEST

START_TEST(unplug_adapter_while_slow)
{
    start_with(PCI_MODERN, slow_drive("slow"), 0);
    run(CDB(0), 0, 0);
    read_slowly();
    device_free(g_steal_pointer(&vb.dev));
    ck_assert(!came_between);
    ck_assert_ptr_null(device_find("disk"));
    DriveStats stats;
    drive_stats(disk, &stats);
    ck_assert_uint_eq(stats.in_flight, 0);
    vb_put(DATA, 8, 43);
    vb_wait();
    ck_assert_uint_eq(vb_get(DATA, 8), 43);
}
END_TEST

/* The same for virtio-blk, and then memory that is taken away while a drive reads into it. */
START_TEST(unplug_disk_while_slow)
{
    vb_start(PCI_MODERN, "virtio-scsi", NULL, NULL); /* only for its bus */
    GError *error = NULL;
    PciDevice *card = pci_new(device_class_find("virtio-blk-pci"), NULL, PCI_DEVFN(4, 0), false);
    disk = slow_drive("slow");
    device_set_pointer(&card->dev, "drive", disk);
    ck_assert(device_realize(&card->dev, pci_bus_as_bus(vb.pci), &error));
    drive_read(disk, 0, (uint8_t[512]){0}, 512, NULL, NULL);
    came_between = false;
    loop_post(loop_main(), monitor_command, NULL);
    device_free(&card->dev);
    ck_assert(!came_between);
}
END_TEST

START_TEST(memory_leaves_while_slow)
{
    enum { EXTRA = 0x10000000, SIZE = 0x10000 };
    start_with(PCI_MODERN, fake_drive("slow", DISK), 0);
    run(CDB(0), 0, 0);
    RamBlock *block = ram_new("dimm", SIZE, NULL, NULL);
    Region *region = region_ram("dimm", block, 0, SIZE);
    region_map(space_root(space_memory()), region, EXTRA, 0);
    mem_commit();
    add_command(0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8), 0, 0);
    vb_add(commands, (const Seg[]){{REQUEST, 51, false}, {ANSWER, 108, true}, {EXTRA, 4096, true}}, 3);
    fake.park = true;
    vb_kick(commands);
    ck_assert_uint_eq(take(commands), 12 + SENSE_SIZE); /* the one that add_command made: it has no room for data */
    ck_assert_uint_eq(response(), S_OVERRUN);
    region_free(region);
    mem_commit();
    ram_free(block); /* the drive is going to read into it */
    fake.park = false;
    co_queue_wake_all(&fake.parked);
    vb_wait();
    ck_assert_uint_eq(take(commands), 12 + SENSE_SIZE + 4096);
    ck_good();
}
END_TEST

BENCH_MAIN("virtio-scsi", CASE(configuration), CASE(split), CASE(split_indirect), CASE(packed), CASE(legacy), CASE(mmio_packed),
           CASE(addresses), CASE(field_sizes), CASE(short_requests), CASE(event_queue), CASE(events_not_negotiated),
           CASE(management), CASE(management_twice), CASE(reset_while_slow), CASE(queue_reset_while_slow), CASE(unplug_unit_while_slow),
           CASE(unplug_adapter_while_slow), CASE(unplug_disk_while_slow), CASE(memory_leaves_while_slow))
