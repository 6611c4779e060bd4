/* A virtio disk whose queues belong to one thread or several: data, interrupts, drivers that break the rules, resets in the
 * middle. */
#include "tests/hw/virtio-bench.h"

#include <string.h>
#include <unistd.h>

#include "block/drive.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/options.h"
#include "core/runstate.h"
#include "hw/object.h"
#include "hw/platform.h"
#include "hw/virtio/virtio-pci.h"

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

/* ---- Several threads ---- */

enum { QUEUES = 4, ROOM = 0x2000 };
static const char *mapping;
static VbQueue *many[QUEUES];
static uint64_t ring_features = BY_INDEX;

static void give_mapped_disk(Device *d)
{
    ck_assert(device_set(d, "iothread-vq-mapping", mapping, NULL));
    give_disk(d);
}

static void queues_again(void)
{
    ck_assert(vb_negotiate(RING | ring_features));
    for (unsigned i = 0; i < QUEUES; i++) {
        many[i] = vb_queue(i, 16);
    }
    vb_ready();
}

static VirtioDevice *vdev(void)
{
    return vb_is_pci() ? ((VirtioPci *)vb.dev)->vdev : (VirtioDevice *)vb.dev;
}

static void start_mapped(Carrier carrier, const char *json)
{
    mapping = json;
    for (unsigned i = 0; i < 5; i++) {
        g_autofree char *id = g_strdup_printf("t%u", i);
        ck_assert(object_add("iothread", id, NULL, NULL));
    }
    vb_start(carrier, "virtio-blk", "num-queues=4,queue-size=16", give_mapped_disk);
    ck_assert(machine_continue(NULL));
    queues_again();
}

#define TWO "[{\"iothread\":\"t0\",\"vqs\":[0,2]},{\"iothread\":\"t1\",\"vqs\":[1,3]}]"
#define DEALT "[{\"iothread\":\"t0\"},{\"iothread\":\"t1\"},{\"iothread\":\"t2\"}]"

/* Each queue has a place in memory and a part of the disk. */
static void submit_on(unsigned i, uint32_t type, uint64_t sector)
{
    uint64_t at = HEADER + i * ROOM;
    Seg segs[] = {{at, 16, false}, {at + 0x1000, 4096, type == T_IN}, {at + 0x800, 1, true}};
    vb_put(at, 8, type);
    vb_put(at + 8, 8, i * 512 + sector);
    vb_put(at + 0x800, 1, 0xee);
    vb_add(many[i], segs, 3);
    vb_kick(many[i]);
}

static void await_on(unsigned i)
{
    uint16_t id;
    uint32_t len;
    AWAIT(vb_used(many[i], &id, &len));
    ck_assert_uint_eq(vb_get(HEADER + i * ROOM + 0x800, 1), OK);
}

static void all_queues(uint32_t type, uint64_t sector)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        submit_on(i, type, sector);
    }
    for (unsigned i = 0; i < QUEUES; i++) {
        await_on(i);
    }
}

static void check_many(unsigned rounds)
{
    for (unsigned r = 1; r <= rounds; r++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            vb_put(HEADER + i * ROOM + 0x1000, 8, (r << 8 | i) * UINT64_C(0x100010001));
        }
        all_queues(T_OUT, 8 * (r % 60));
        for (unsigned i = 0; i < QUEUES; i++) {
            vb_put(HEADER + i * ROOM + 0x1000, 8, 0);
        }
        all_queues(T_IN, 8 * (r % 60));
        for (unsigned i = 0; i < QUEUES; i++) {
            ck_assert_uint_eq(vb_get(HEADER + i * ROOM + 0x1000, 8), (r << 8 | i) * UINT64_C(0x100010001));
        }
    }
}

static void check_homes(const unsigned *homes, unsigned loops)
{
    VirtioDevice *v = vdev();
    ck_assert_uint_eq(v->loops, loops);
    for (unsigned i = 0; i < QUEUES; i++) {
        ck_assert_uint_eq(v->queue[i].home, homes[i]);
    }
    for (unsigned i = 0; i < 5; i++) {
        g_autofree char *id = g_strdup_printf("t%u", i);
        ck_assert_int_eq(object_del(id, NULL), i >= loops);
    }
}

START_TEST(two_threads)
{
    start_mapped(PCI_MODERN, TWO);
    check_homes((const unsigned[]){0, 1, 0, 1}, 2);
    check_many(300);
}
END_TEST
START_TEST(dealt_in_turn)
{
    start_mapped(PCI_LEGACY, DEALT);
    check_homes((const unsigned[]){0, 1, 2, 0}, 3);
    check_many(200);
}
END_TEST
START_TEST(more_threads_than_queues)
{
    start_mapped(MMIO, "[{\"iothread\":\"t0\"},{\"iothread\":\"t1\"},{\"iothread\":\"t2\"},{\"iothread\":\"t3\"},{\"iothread\":\"t4\"}]");
    check_homes((const unsigned[]){0, 1, 2, 3}, 5);
    check_many(100);
}
END_TEST

START_TEST(a_vector_for_each_queue)
{
    start_mapped(PCI_MODERN, TWO);
    vb_msix(true);
    for (unsigned i = 0; i < QUEUES; i++) {
        vb_queue_vector(i, (uint16_t)(i + 1));
    }
    all_queues(T_OUT, 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        AWAIT(vb.messages[i + 1] == 1);
    }
}
END_TEST

/* One queue's driver goes mad while the others' wait for answers: all stand still until the device is reset. */
START_TEST(one_queue_breaks_the_rules)
{
    start_mapped(PCI_MODERN, TWO);
    for (unsigned round = 0; round < 100; round++) {
        unsigned mad = round % QUEUES;
        for (unsigned i = 0; i < QUEUES; i++) {
            if (i != mad) {
                submit_on(i, T_IN, 0);
            }
        }
        vb_put(many[mad]->base + AT_DRIVER, 8, UINT64_C(0x7777) << 16);
        vb_kick(many[mad]);
        AWAIT(vb_status() & VIRTIO_NEEDS_RESET);
        queues_again();
        check_many(1);
    }
}
END_TEST

/* Random rings and registers, with threads at work on them: afterwards the device works as ever. */
START_TEST(nonsense_from_all_sides)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    start_mapped(PCI_MODERN, TWO);
    vb_msix(true);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned n = (unsigned)g_rand_int_range(rand, 0, QUEUES), at = (unsigned)g_rand_int_range(rand, 0, 64);
        switch (g_rand_int_range(rand, 0, 8)) {
        case 0: space_store(space_memory(), VB_MODERN + at, 2, g_rand_int(rand) & 0xffff); break;
        case 1: space_store(space_memory(), VB_MODERN + 0x16, 2, n); break;
        case 2: space_store(space_memory(), VB_MSIX + 4 * at, 4, at % 4 == 3 ? n & 1 : at % 4 == 2 ? n : at % 4 ? 0 : 0xfee00000); break;
        case 3: pci_config_write(vb.pci, VB_DEVFN, 4, 2, n ? 6 : 2); break;
        case 4: vb_put(many[n]->base + AT_DRIVER, 8, (uint64_t)(many[n]->avail + at) << 16); break;
        default: /* a chain that may be one */
            for (unsigned i = 0; i < 3; i++) {
                vb_put(many[n]->base + 16 * i, 8, HEADER + at * 256);
                vb_put(many[n]->base + 16 * i + 8, 8, at * 32 + 1 + ((uint64_t)(i < 2) << 32) + ((uint64_t)(i + 1) << 48) + ((uint64_t)(i > at % 3) << 33));
            }
            vb_put(HEADER + at * 256, 4, at % 16);
            vb_put(many[n]->base + AT_DRIVER + 2, 2, ++many[n]->avail);
        }
        vb_kick(many[n]);
        loop_iterate(false);
        if (round % 20 == 19) {
            pci_config_write(vb.pci, VB_DEVFN, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
            queues_again();
            check_many(1);
        }
    }
}
END_TEST

static void mark(void)
{
    for (unsigned i = 0; i < QUEUES; i++) {
        vb_put(HEADER + i * ROOM + 0x800, 1, 0x55);
        vb_put(HEADER + i * ROOM + 0x1000, 8, 42);
    }
}

static void check_marks(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        ck_assert_uint_eq(vb_get(HEADER + i * ROOM + 0x800, 1), 0x55);
        ck_assert_uint_eq(vb_get(HEADER + i * ROOM + 0x1000, 8), 42);
    }
}

START_TEST(reset_of_many_at_any_time)
{
    start_mapped(PCI_MODERN, TWO);
    for (unsigned round = 0; round < 1000; round++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            submit_on(i, T_IN, 0);
        }
        g_usleep(round * 7 % 200);
        vb_reset();
        mark();
        loop_iterate(false);
        g_usleep(round % 10 ? 0 : 2000);
        check_marks(0, QUEUES);
        ck_assert(!vb.intx); /* what they had to report is forgotten */
        queues_again();
    }
    check_many(2);
}
END_TEST

/* The others go on. */
START_TEST(reset_of_one_queue_at_any_time)
{
    start_mapped(PCI_MODERN, TWO);
    for (unsigned round = 0; round < 500; round++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            submit_on(i, T_OUT, 0);
        }
        g_usleep(round * 7 % 200);
        reset_queue();
        vb_put(HEADER + 0x800, 1, 0x55);
        for (unsigned i = 1; i < QUEUES; i++) {
            await_on(i);
        }
        ck_assert_uint_eq(vb_get(HEADER + 0x800, 1), 0x55);
        many[0] = vb_queue(0, 16);
    }
    check_many(2);
}
END_TEST

/* What a person does meets requests of all threads. */
START_TEST(people_among_many)
{
    Drive *disk;
    start_mapped(PCI_MODERN, TWO);
    disk = drive_find("disk");
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            submit_on(i, round % 2 ? T_IN : T_OUT, 0);
        }
        switch (round % 4) {
        case 0: drive_drain(disk); break;
        case 1: ck_assert(drive_resize(disk, DISK + (round % 8) * 4096, NULL)); break;
        case 2: ck_assert_int_eq(drive_flush_sync(disk), 0); break;
        default:
            machine_stop(RUN_PAUSED);
            ck_assert(machine_continue(NULL));
        }
        for (unsigned i = 0; i < QUEUES; i++) {
            await_on(i);
        }
    }
    check_many(2);
}
END_TEST

/* A flush of main's waits for itself, not for others': what ends meanwhile takes more work, for the loop whose queue it is. */
START_TEST(work_taken_while_main_waits)
{
    slow = true;
    start_mapped(PCI_MODERN, TWO);
    Drive *disk = drive_find("disk");
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < QUEUES; i++) {
            submit_on(i, T_IN, 0);
        }
        g_usleep(300);
        virtio_enter(vdev());
        for (unsigned i = 0; i < QUEUES; i++) {
            submit_on(i, T_IN, 0);
        }
        ck_assert_int_eq(drive_read_sync(disk, 0, &(uint8_t[512]){0}, 512), 0);
        virtio_leave(vdev());
        for (unsigned i = 0; i < QUEUES; i++) {
            uint16_t id;
            uint32_t len;
            AWAIT(vb_used(many[i], &id, &len)); /* both have the same place for their status */
            await_on(i);
        }
    }
}
END_TEST

START_TEST(many_stand_still)
{
    uint16_t id;
    uint32_t len;
    start_mapped(PCI_MODERN, TWO);
    machine_stop(RUN_PAUSED);
    for (unsigned i = 0; i < QUEUES; i++) {
        submit_on(i, T_OUT, 0);
    }
    g_usleep(20000);
    loop_iterate(false);
    for (unsigned i = 0; i < QUEUES; i++) {
        ck_assert(!vb_used(many[i], &id, &len));
    }
    ck_assert(machine_continue(NULL));
    for (unsigned i = 0; i < QUEUES; i++) {
        await_on(i);
    }
}
END_TEST

START_TEST(many_unplugged_under_load)
{
    start_mapped(PCI_MODERN, TWO);
    for (unsigned i = 0; i < QUEUES; i++) {
        submit_on(i, T_IN, 0);
    }
    device_free(vb.dev);
    mark();
    g_usleep(2000);
    check_marks(0, QUEUES);
    ck_assert(object_del("t0", NULL));
    ck_assert(object_del("t1", NULL));
}
END_TEST

/* ---- Interrupts by the kernel: an accelerator that only keeps books ---- */

enum { IRQFDS = 16 };
static struct { int fd; uint64_t address; uint32_t data; } irqfd[IRQFDS];
static unsigned irqfds, irqfd_adds;
static bool irqfds_refused;

static int note_irqfd(int fd, uint64_t address, uint32_t data)
{
    ck_assert(loop_locked());
    irqfd_adds++;
    for (int i = 0; i < IRQFDS && !irqfds_refused; i++) {
        if (!irqfd[i].address) {
            irqfd[i].fd = fd;
            irqfd[i].address = address;
            irqfd[i].data = data;
            irqfds++;
            return i;
        }
    }
    return -1;
}

static void forget_irqfd(int handle)
{
    ck_assert(handle >= 0 && handle < IRQFDS && irqfd[handle].address);
    irqfd[handle].address = 0;
    irqfds--;
}

/* How often the message with this data was asked for since the last look. */
static uint64_t signalled(uint32_t data)
{
    uint64_t count, all = 0;
    for (unsigned i = 0; i < IRQFDS; i++) {
        if (irqfd[i].address && irqfd[i].data == data && read(irqfd[i].fd, &count, sizeof count) == sizeof count) {
            all += count;
        }
    }
    return all;
}

static void start_irqfds(void)
{
    memset(irqfd, 0, sizeof irqfd);
    irqfds = irqfd_adds = 0;
    ring_features = 0; /* an interrupt for each that comes back */
    platform.irqfd_add = note_irqfd;
    platform.irqfd_remove = forget_irqfd;
    start_mapped(PCI_MODERN, TWO);
}

static void vectors_on(void)
{
    vb_msix(true);
    for (unsigned i = 0; i < QUEUES; i++) {
        vb_queue_vector(i, (uint16_t)(i + 1));
    }
}

static void vector_put(unsigned vector, unsigned word, uint32_t value)
{
    space_store(space_memory(), VB_MSIX + 16 * vector + 4 * word, 4, value);
}

static unsigned messages(void)
{
    unsigned all = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(vb.messages); i++) {
        all += vb.messages[i];
    }
    return all;
}

START_TEST(interrupts_by_the_kernel)
{
    start_irqfds();
    ck_assert_uint_eq(irqfds, 0); /* INTx first */
    all_queues(T_OUT, 0);
    AWAIT(vb.intx);
    vectors_on();
    ck_assert_uint_eq(irqfds, QUEUES);
    all_queues(T_OUT, 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        AWAIT(signalled(i + 1) == 1);
    }
    vb_queue_vector(1, 3); /* shared with queue 2 */
    unsigned adds = irqfd_adds;
    all_queues(T_OUT, 0);
    unsigned n = 0;
    AWAIT((n += (unsigned)signalled(3)) == 2);
    vector_put(3, 2, 7); /* another message */
    all_queues(T_OUT, 0);
    n = 0;
    AWAIT((n += (unsigned)signalled(7)) == 2);
    ck_assert_uint_eq(irqfd_adds, adds + 2); /* nothing else was touched */
    ck_assert_uint_eq(messages(), 0); /* none by main */
    pci_config_write(vb.pci, VB_DEVFN, 0x9a, 2, 0);
    ck_assert_uint_eq(irqfds, 0);
    vectors_on();
    vb_reset();
    ck_assert_uint_eq(irqfds, 0);
    queues_again();
    vectors_on();
    ck_assert_uint_eq(irqfds, QUEUES);
    device_free(vb.dev);
    ck_assert_uint_eq(irqfds, 0);
}
END_TEST

/* What comes while a vector is masked waits for it, once. */
START_TEST(masked_vectors)
{
    start_irqfds();
    vectors_on();
    for (unsigned round = 0; round < 200; round++) {
        vector_put(2, 3, 1);
        ck_assert_uint_eq(irqfds, QUEUES - 1);
        memset(vb.messages, 0, sizeof vb.messages);
        all_queues(T_OUT, 0);
        AWAIT(space_load(space_memory(), VB_MSIX + 2048, 4) == 1 << 2);
        ck_assert_uint_eq(messages(), 0);
        vector_put(2, 3, 0);
        ck_assert_uint_eq(vb.messages[2], 1);
        ck_assert_uint_eq(irqfds, QUEUES);
        ck_assert_uint_eq(space_load(space_memory(), VB_MSIX + 2048, 4), 0);
        AWAIT(signalled(1) == 1);
        AWAIT(signalled(3) == 1);
        AWAIT(signalled(4) == 1);
        ck_assert_uint_eq(signalled(2), 0);
    }
    pci_config_write(vb.pci, VB_DEVFN, 0x9a, 2, 0xc000); /* the function's mask */
    ck_assert_uint_eq(irqfds, 0);
    all_queues(T_OUT, 0);
    AWAIT(space_load(space_memory(), VB_MSIX + 2048, 4) == 0x1e);
}
END_TEST

/* Masked and unmasked while requests end: of the interrupts none is lost. */
START_TEST(masked_at_any_time)
{
    start_irqfds();
    vectors_on();
    for (unsigned round = 0; round < 1000; round++) {
        memset(vb.messages, 0, sizeof vb.messages);
        submit_on(1, T_OUT, 0);
        g_usleep(round * 7 % 100);
        vector_put(2, 3, 1);
        await_on(1);
        AWAIT(space_load(space_memory(), VB_MSIX + 2048, 4) == 1 << 2); /* our kernel saw none of those before the mask, either */
        vector_put(2, 3, 0);
        ck_assert_uint_eq(vb.messages[2], 1);
    }
}
END_TEST

START_TEST(irqfds_that_are_refused)
{
    irqfds_refused = true;
    start_irqfds();
    vectors_on();
    ck_assert_uint_eq(irqfd_adds, QUEUES);
    all_queues(T_OUT, 0);
    for (unsigned i = 0; i < QUEUES; i++) {
        AWAIT(vb.messages[i + 1] == 1);
    }
    ck_assert_uint_eq(irqfd_adds, QUEUES); /* asked once for each message */
}
END_TEST

/* The property's own reader refuses what is no list of such; the device, what does not fit its queues. */
START_TEST(wrong_mappings)
{
    static const struct { const char *json, *says; } wrong[] = {
        {"[]", "at least one element"},
        {"x", "a JSON list"},
        {"[{\"vqs\":[0]}]", "'[0].iothread' is missing"},
        {"[{\"iothread\":\"t0\",\"vqs\":[-1]}]", "[0].vqs[0]"},
    };
    Device *d = device_new(device_class_find("virtio-blk-device"), NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert(!device_set(d, "iothread-vq-mapping", wrong[i].json, &error));
        ck_assert_msg(strstr(error->message, wrong[i].says), "%s", error->message);
    }
    ck_assert(device_set(d, "iothread-vq-mapping", TWO, NULL));
    ck_assert(device_set(d, "iothread-vq-mapping", "[{\"iothread\":\"t0\",\"vqs\":[\"1\"]}]", NULL));
    g_autofree char *text = device_get(d, "iothread-vq-mapping");
    ck_assert_str_eq(text, "[{\"iothread\": \"t0\", \"vqs\": [1]}]");
    device_free(d);
}
END_TEST

BENCH_MAIN("virtio-iothread", CASE(split), CASE(packed), CASE(legacy), CASE(mmio), CASE(interrupts), CASE(chain_without_end),
           CASE(rings_that_are_no_memory), CASE(data_that_is_no_memory), CASE(reset_at_any_time),
           CASE(queue_reset_at_any_time), CASE(reset_while_slow), CASE(machine_stands_still), CASE(bus_master_comes_later),
           CASE(unplugged_under_load), CASE(two_threads), CASE(dealt_in_turn), CASE(more_threads_than_queues),
           CASE(a_vector_for_each_queue), CASE(one_queue_breaks_the_rules), CASE(nonsense_from_all_sides),
           CASE(reset_of_many_at_any_time),
           CASE(reset_of_one_queue_at_any_time), CASE(people_among_many), CASE(work_taken_while_main_waits),
           CASE(many_stand_still),
           CASE(many_unplugged_under_load), CASE(wrong_mappings),
           CASE(interrupts_by_the_kernel), CASE(masked_vectors), CASE(masked_at_any_time), CASE(irqfds_that_are_refused))
