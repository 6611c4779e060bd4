/* edu, the card of docs/device-howto.md: on a PCI bus, through its BAR, as a guest's driver sees it. */
#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

extern const DeviceClass edu_class;
enum { BAR = 0xfeb00000, DEVFN = PCI_DEVFN(3, 0), BUFFER = 0x40000, RAM_AT = 0x8000 };
enum { ID = 0, LIVENESS = 4, FACTORIAL = 8, STATUS = 0x20, IRQ_STATUS = 0x24, IRQ_RAISE = 0x60, IRQ_ACK = 0x64,
       SOURCE = 0x80, DESTINATION = 0x88, COUNT = 0x90, COMMAND = 0x98 };

static PciBus *pci;
static bool intx;
static unsigned messages;
static uint32_t message;

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin) { return pin; }
static void set_irq(void *opaque, unsigned line, bool level) { intx = level; }

static void send_msi(void *sink, uint64_t address, uint32_t data)
{
    ck_assert_uint_eq(address, 0xfee01000);
    messages++;
    message = data;
}

static uint32_t get(unsigned at) { return (uint32_t)space_load(space_memory(), BAR + at, 4); }
static void put(unsigned at, uint32_t v) { space_store(space_memory(), BAR + at, 4, v); }
static void put64(unsigned at, uint64_t v) { space_store(space_memory(), BAR + at, 8, v); }

static PciDevice *start(const char *mask)
{
    static PciHost host = {.map_irq = map_irq, .set_irq = set_irq, .msi.send = send_msi};
    GError *error = NULL;
    host.mem = region_container("pci.mem", 0);
    host.io = region_container("pci.io", 0x10000);
    host.dma_space = space_memory();
    region_map(space_root(space_memory()), host.mem, 0, -1);
    pci = pci_bus_new(NULL, "pci.0", &host);
    PciDevice *card = pci_new(&edu_class, NULL, DEVFN, false);
    ck_assert(!mask || device_set(&card->dev, "dma_mask", mask, &error));
    ck_assert_msg(device_realize(&card->dev, pci_bus_as_bus(pci), &error), "%s", error ? error->message : "");
    pci_config_write(pci, DEVFN, 0x10, 4, BAR);
    pci_config_write(pci, DEVFN, 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    mem_commit();
    return card;
}

START_TEST(identity)
{
    start(NULL);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0, 4), 0x11e81234);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 8, 4), 0x00ff0010);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0x3d, 1), 1);
    pci_config_write(pci, DEVFN, 0x10, 4, 0xffffffff);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, 0x10, 4), 0xfff00000); /* 1 MiB of memory */
    pci_config_write(pci, DEVFN, 0x10, 4, BAR);
    mem_commit();
    ck_assert_uint_eq(get(ID), 0x010000ed);
    put(ID, 0);
    ck_assert_uint_eq(get(ID), 0x010000ed);
    put(LIVENESS, 0x12345678);
    ck_assert_uint_eq(get(LIVENESS), 0xedcba987);
}
END_TEST

START_TEST(factorial)
{
    static const struct { uint32_t n, value; } known[] = {
        {0, 1}, {1, 1}, {5, 120}, {12, 479001600}, {13, 1932053504}, {33, 2147483648}, {34, 0}, {UINT32_MAX, 0}};
    start(NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        put(FACTORIAL, known[i].n);
        ck_assert_uint_eq(get(STATUS), 1);
        put(FACTORIAL, 3); /* not while it computes */
        bench_advance(NS_PER_MS);
        ck_assert_uint_eq(get(STATUS), 0);
        ck_assert_uint_eq(get(FACTORIAL), known[i].value);
        ck_assert(!intx);
    }
    put(STATUS, 0xff);
    ck_assert_uint_eq(get(STATUS), 0x80);
    put(FACTORIAL, 4);
    ck_assert_uint_eq(get(STATUS), 0x81);
    bench_advance(NS_PER_MS);
    ck_assert_uint_eq(get(IRQ_STATUS), 1);
    ck_assert(intx);
    put(IRQ_ACK, 1);
    ck_assert_uint_eq(get(IRQ_STATUS), 0);
    ck_assert(!intx);
}
END_TEST

START_TEST(interrupts)
{
    start(NULL);
    put(IRQ_RAISE, 0x12);
    put(IRQ_RAISE, 0x20);
    ck_assert_uint_eq(get(IRQ_STATUS), 0x32);
    ck_assert(intx);
    put(IRQ_ACK, 0x12);
    ck_assert(intx);
    put(IRQ_ACK, 0x20);
    ck_assert(!intx);
    put(IRQ_STATUS, 0xff);
    ck_assert_uint_eq(get(IRQ_STATUS), 0);
}
END_TEST

START_TEST(msi)
{
    start(NULL);
    unsigned cap = pci_config_read(pci, DEVFN, 0x34, 1);
    ck_assert_uint_eq(pci_config_read(pci, DEVFN, cap, 1), 5);
    pci_config_write(pci, DEVFN, cap + 4, 4, 0xfee01000);
    pci_config_write(pci, DEVFN, cap + 8, 4, 0);
    pci_config_write(pci, DEVFN, cap + 12, 2, 0x4041);
    pci_config_write(pci, DEVFN, cap + 2, 2, 1);
    put(IRQ_RAISE, 1);
    ck_assert_uint_eq(messages, 1);
    ck_assert_uint_eq(message, 0x4041);
    ck_assert(!intx);
    put(IRQ_ACK, 1);
    put(IRQ_RAISE, 1);
    ck_assert_uint_eq(messages, 2);
}
END_TEST

static void move(uint64_t from, uint64_t to, uint64_t n, uint32_t command)
{
    put64(SOURCE, from);
    put64(DESTINATION, to);
    put64(COUNT, n);
    put(COMMAND, command);
    ck_assert_uint_eq(get(COMMAND) & 1, 1);
    put64(SOURCE, 0); /* not while it runs */
    bench_advance(NS_PER_MS);
    ck_assert_uint_eq(get(COMMAND) & 1, 0);
    ck_assert_uint_eq(get(SOURCE), (uint32_t)from);
}

START_TEST(dma)
{
    char back[16] = "";
    start(NULL);
    bench_poke(RAM_AT, "there and back", 15);
    move(RAM_AT, BUFFER + 100, 15, 1);
    ck_assert_uint_eq(get(IRQ_STATUS), 0);
    move(BUFFER + 100, RAM_AT + 0x100, 15, 1 | 2 | 4);
    bench_peek(RAM_AT + 0x100, back, 15);
    ck_assert_str_eq(back, "there and back");
    ck_assert_uint_eq(get(IRQ_STATUS), 0x100);
    ck_assert(intx);
    put(IRQ_ACK, 0x100);
    move(BUFFER + 0xfff, RAM_AT, 2, 3); /* beyond the card's memory: nothing moves */
    move(BUFFER - 1, RAM_AT, 2, 3);
    move(0, RAM_AT, UINT64_MAX, 3);
    bench_peek(RAM_AT, back, 15);
    ck_assert_str_eq(back, "there and back");
    pci_config_write(pci, DEVFN, 4, 2, PCI_COMMAND_MEMORY); /* nor without bus mastering */
    move(BUFFER, RAM_AT, 15, 3);
    bench_peek(RAM_AT, back, 15);
    ck_assert_str_eq(back, "there and back");
}
END_TEST

START_TEST(dma_mask)
{
    char got[4];
    start("0xffff");
    bench_poke(RAM_AT, "abc", 4);
    move(RAM_AT, BUFFER, 4, 1);
    move(BUFFER, UINT64_C(0x12345670000) | (RAM_AT + 16), 4, 3); /* the upper lines are not connected */
    bench_peek(RAM_AT + 16, got, 4);
    ck_assert_str_eq(got, "abc");
}
END_TEST

BENCH_MAIN("edu", CASE(identity), CASE(factorial), CASE(interrupts), CASE(msi), CASE(dma), CASE(dma_mask))
