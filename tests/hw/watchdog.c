/* Watchdogs: Intel 6300ESB (datasheet 300641 chapter 16) and iB700, and what follows when they run out. */
#include "core/runstate.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

extern const DeviceClass i6300esb_class, ib700_class;
enum { BAR = 0xfeb00000, DEVFN = PCI_DEVFN(3, 0), PRELOAD1 = 0, PRELOAD2 = 4, STATUS = 8, RELOAD = 12 };
enum { CONFIG = 0x60, LOCK_REG = 0x68, LOCK_BIT = 1, ENABLE = 2, FREE_RUN = 4, MICROSECONDS = 4, SMI = 2, NO_OUTPUT = 0x20 };

static PciBus *pci;
static unsigned events;
static int last_action;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin) { return pin; }
static void set_irq(void *opaque, unsigned line, bool level) {}
static void watchdog(int action)
{
    events++;
    last_action = action;
}

static uint32_t get(unsigned at) { return (uint32_t)space_load(space_memory(), BAR + at, 4); }
static void put(unsigned at, uint32_t v) { space_store(space_memory(), BAR + at, 4, v); }
static void put16(unsigned at, uint16_t v) { space_store(space_memory(), BAR + at, 2, v); }
static void lock(uint8_t v) { pci_config_write(pci, DEVFN, LOCK_REG, 1, v); }

static void unlock(void)
{
    put16(RELOAD, 0x80);
    put16(RELOAD, 0x86);
}

static PciDevice *esb(void)
{
    static PciHost host = {.map_irq = map_irq, .set_irq = set_irq};
    GError *error = NULL;
    run_events.watchdog = watchdog;
    run_actions.watchdog = WATCHDOG_NONE;
    host.mem = region_container("pci.mem", 0);
    host.io = region_container("pci.io", 0x10000);
    host.dma_space = space_memory();
    region_map(space_root(space_memory()), host.mem, 0, -1);
    pci = pci_bus_new(NULL, "pci.0", &host);
    PciDevice *card = pci_new(&i6300esb_class, NULL, DEVFN, false);
    ck_assert_msg(device_realize(&card->dev, pci_bus_as_bus(pci), &error), "%s", error ? error->message : "");
    device_reset(&card->dev, true);
    pci_config_write(pci, DEVFN, 0x10, 4, BAR);
    pci_config_write(pci, DEVFN, 4, 2, PCI_COMMAND_MEMORY);
    mem_commit();
    return card;
}

START_TEST(identity)
{
    esb();
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0, 4), 0x25ab8086);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 8, 4) >> 8, 0x088000);
    pci_config_write(pci, DEVFN, 0x10, 4, 0xffffffff);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0x10, 4), 0xfffffff0);
    pci_config_write(pci, DEVFN, CONFIG, 2, 0xffff);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, CONFIG, 2), 0x27);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, LOCK_REG, 1), 0);
}
END_TEST

START_TEST(unlocking)
{
    esb();
    ck_assert_uint_eq(get(PRELOAD1), 0xfffff);
    put(PRELOAD1, 5);
    ck_assert_uint_eq(get(PRELOAD1), 0xfffff);
    unlock();
    put(PRELOAD1, 0xfff00005);
    ck_assert_uint_eq(get(PRELOAD1), 5);
    put(PRELOAD2, 6); /* one write for one sequence */
    ck_assert_uint_eq(get(PRELOAD2), 0xfffff);
    put16(RELOAD, 0x86);
    put16(RELOAD, 0x80); /* the wrong way round */
    put(PRELOAD2, 6);
    ck_assert_uint_eq(get(PRELOAD2), 0xfffff);
    unlock();
    put(PRELOAD2, 6);
    ck_assert_uint_eq(get(PRELOAD2), 6);
}
END_TEST

/* Stages of 1000 * 2^15 PCI clocks each: 0.993 s. */
static void preload(uint32_t first, uint32_t second)
{
    unlock();
    put(PRELOAD1, first);
    unlock();
    put(PRELOAD2, second);
}

START_TEST(two_stages)
{
    PciDevice *card = esb();
    Probe *irq = bench_probe(card, "irq", 0), *tout = bench_probe(card, "tout", 0);
    preload(1000, 1000);
    bench_advance(5 * NS_PER_SECOND);
    ck_assert_uint_eq(get(STATUS), 0); /* not enabled */
    lock(ENABLE);
    bench_advance(992 * NS_PER_MS);
    ck_assert(!irq->level);
    bench_advance(2 * NS_PER_MS);
    ck_assert(irq->level);
    ck_assert_uint_eq(get(STATUS), 1);
    put(STATUS, 1);
    ck_assert(!irq->level);
    bench_advance(990 * NS_PER_MS);
    ck_assert_uint_eq(events, 0);
    ck_assert(!tout->level);
    bench_advance(3 * NS_PER_MS);
    ck_assert_uint_eq(events, 1);
    ck_assert(tout->level);
    ck_assert_uint_eq(get(RELOAD), 0x200);
    bench_advance(10 * NS_PER_SECOND);
    ck_assert_uint_eq(events, 1);
    put16(RELOAD, 0x200); /* without the sequence */
    ck_assert_uint_eq(get(RELOAD), 0x200);
    device_reset(&card->dev, false); /* the next boot sees why it came */
    pci_config_write(pci, DEVFN, 0x10, 4, BAR);
    pci_config_write(pci, DEVFN, 4, 2, PCI_COMMAND_MEMORY);
    mem_commit();
    ck_assert_uint_eq(get(RELOAD), 0x200);
    ck_assert(!tout->level);
    unlock();
    put16(RELOAD, 0x200);
    ck_assert_uint_eq(get(RELOAD), 0);
}
END_TEST

START_TEST(reload)
{
    esb();
    preload(1000, 1000);
    lock(ENABLE);
    for (unsigned i = 0; i < 10; i++) {
        bench_advance(1500 * NS_PER_MS); /* in the second stage */
        unlock();
        put16(RELOAD, 0x100);
    }
    ck_assert_uint_eq(events, 0);
    lock(0);
    bench_advance(10 * NS_PER_SECOND);
    ck_assert_uint_eq(events, 0);
}
END_TEST

START_TEST(locked)
{
    PciDevice *card = esb();
    preload(1, 1);
    lock(ENABLE | LOCK_BIT);
    lock(0);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, LOCK_REG, 1), ENABLE | LOCK_BIT);
    bench_advance(NS_PER_SECOND);
    ck_assert_uint_eq(events, 1);
    device_reset(&card->dev, false);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, LOCK_REG, 1), 0);
    bench_advance(NS_PER_SECOND * 3000);
    ck_assert_uint_eq(events, 1);
}
END_TEST

START_TEST(microseconds_and_smi)
{
    PciDevice *card = esb();
    Probe *irq = bench_probe(card, "irq", 0), *smi = bench_probe(card, "smi", 0);
    pci_config_write(pci, DEVFN, CONFIG, 2, MICROSECONDS | SMI | NO_OUTPUT);
    preload(100, 100);
    lock(ENABLE);
    bench_advance(98 * NS_PER_US);
    ck_assert(smi->level && !irq->level);
    bench_advance(NS_PER_MS);
    ck_assert_uint_eq(get(RELOAD), 0x200);
    ck_assert_uint_eq(events, 0); /* the output is off */
}
END_TEST

START_TEST(free_running)
{
    PciDevice *card = esb();
    Probe *tout = bench_probe(card, "tout", 0);
    preload(1, 1000);
    lock(ENABLE | FREE_RUN);
    bench_advance(990 * NS_PER_MS);
    ck_assert(!tout->level);
    ck_assert_uint_eq(get(STATUS), 0); /* no first stage */
    bench_advance(10 * NS_PER_MS);
    ck_assert(tout->level);
    bench_advance(NS_PER_SECOND);
    ck_assert(!tout->level);
    bench_advance(NS_PER_SECOND);
    ck_assert(tout->level);
    ck_assert_uint_eq(events, 2);
}
END_TEST

static void ib700(void)
{
    GError *error = NULL;
    IsaBus *isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    run_events.watchdog = watchdog;
    Device *d = device_new(&ib700_class, NULL);
    ck_assert(device_realize(d, isa->bus, &error));
    mem_commit();
}

START_TEST(ib700_timeouts)
{
    ib700();
    run_actions.watchdog = WATCHDOG_NONE;
    bench_advance(60 * NS_PER_SECOND);
    ck_assert_uint_eq(events, 0);
    for (unsigned n = 0; n < 16; n++) {
        events = 0;
        space_store(space_io(), 0x443, 1, 0xf0 | n);
        if (n < 15) {
            bench_advance((30 - 2 * n) * NS_PER_SECOND - 1);
            ck_assert_uint_eq(events, 0);
        }
        bench_advance(1);
        ck_assert_uint_eq(events, 1);
        bench_advance(60 * NS_PER_SECOND);
        ck_assert_uint_eq(events, 1);
    }
    events = 0;
    for (unsigned i = 0; i < 10; i++) { /* a guest that lives */
        space_store(space_io(), 0x443, 1, 14);
        bench_advance(NS_PER_SECOND);
    }
    space_store(space_io(), 0x441, 1, 0);
    bench_advance(60 * NS_PER_SECOND);
    ck_assert_uint_eq(events, 0);
}
END_TEST

static unsigned resets, powerdowns;
static void was_reset(bool guest, ShutdownCause cause)
{
    ck_assert(guest);
    resets++;
}
static void was_powerdown(void) { powerdowns++; }

static void fire(int action)
{
    run_actions.watchdog = action;
    space_store(space_io(), 0x443, 1, 15);
    bench_advance(1);
    ck_assert_int_eq(last_action, action);
}

START_TEST(actions)
{
    int code = -1;
    ib700();
    run_events.reset = was_reset;
    run_events.powerdown = was_powerdown;
    ck_assert(machine_continue(NULL));
    fire(WATCHDOG_NONE);
    fire(WATCHDOG_DEBUG);
    fire(WATCHDOG_NMI);
    ck_assert(runstate_poll(&code) && runstate() == RUN_RUNNING && !resets && !powerdowns);
    fire(WATCHDOG_RESET);
    ck_assert(runstate_poll(&code) && resets == 1);
    fire(WATCHDOG_SHUTDOWN);
    ck_assert(runstate_poll(&code) && powerdowns == 1);
    fire(WATCHDOG_PAUSE);
    ck_assert(runstate_poll(&code) && runstate() == RUN_WATCHDOG);
    ck_assert(machine_continue(NULL));
    fire(WATCHDOG_POWEROFF);
    ck_assert(!runstate_poll(&code) && code == 0);
}
END_TEST

BENCH_MAIN("watchdog", CASE(identity), CASE(unlocking), CASE(two_stages), CASE(reload), CASE(locked),
           CASE(microseconds_and_smi), CASE(free_running), CASE(ib700_timeouts), CASE(actions))
