#include "tests/hw/free-host.h"

#include <stdio.h>
#include <string.h>

#include "block/drive.h"
#include "char/char.h"
#include "core/loop.h"
#include "hw/memory/memory-slots.h"
#include "hw/isa/isa.h"
#include "hw/layout.h"
#include "hw/pci/pci.h"
#include "tests/hw/bench.h"

/* ---- Buses ---- */

static unsigned map_irq(void *opaque, uint8_t devfn, unsigned pin)
{
    return (PCI_SLOT(devfn) + pin) % 4;
}
static void set_irq(void *opaque, unsigned line, bool level) {}

static Bus *pci_bus(void)
{
    static Bus *bus;
    if (!bus) {
        static PciHost host = {.map_irq = map_irq, .set_irq = set_irq};
        host.mem = region_container("free.pci.mem", 0);
        host.io = region_container("free.pci.io", 0x10000);
        host.dma_space = space_memory();
        region_map(space_root(space_memory()), host.mem, 0, -1);
        region_map(space_root(space_io()), host.io, 0, -1);
        bus = pci_bus_as_bus(pci_bus_new(NULL, "pci.0", &host));
    }
    return bus;
}

static Bus *isa_bus_for_tests(void)
{
    static IsaBus *isa;
    if (!isa) {
        isa = isa_bus_new(NULL, space_root(space_io()), space_root(space_memory()));
    }
    return isa->bus;
}

static const uint64_t SLOTS_AT = UINT64_C(4) << 30, SLOTS_ROOM = UINT64_C(64) << 30;

/* Controllers that offer the buses of drives. */
static const struct {
    const char *bus, *controller;
} offers[] = {
    {"IDE", "piix3-ide"},
    {"floppy-bus", "isa-fdc"},
    {"SCSI", "virtio-scsi-pci"},
    {"virtio-bus", "virtio-mmio"},
    {"virtio-serial-bus", "virtio-serial-pci"},
};

static Bus *bus_for(const DeviceClass *class, GError **error)
{
    if (!strcmp(class->bus, "PCI")) {
        return pci_bus();
    }
    if (!strcmp(class->bus, "ISA")) {
        return isa_bus_for_tests();
    }
    if (!strcmp(class->bus, "dimm")) {
        if (!memory_slots()) {
            Region *room = region_container("dimms", SLOTS_ROOM);
            region_map(space_root(space_memory()), room, SLOTS_AT, 0);
            memory_slots_new(MEMORY_SLOTS_MOST, room, SLOTS_AT, SLOTS_ROOM, error);
        }
        return bus_find_type(class->bus);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(offers); i++) {
        if (strcmp(class->bus, offers[i].bus)) {
            continue;
        }
        Bus *bus = bus_find_type(class->bus);
        if (!bus || bus->devices->len) {
            const DeviceClass *controller = device_class_find(offers[i].controller);
            Device *d = controller ? device_new(controller, NULL) : NULL;
            Bus *above = d && controller->bus ? bus_for(controller, error) : NULL;
            if (!d || !device_realize(d, above, error)) {
                error_fail(error, "no controller offers bus type %s", class->bus);
                return NULL;
            }
            bus = bus_find_type(class->bus);
        }
        return bus;
    }
    error_fail(error, "no bus of type %s in the free tests", class->bus);
    return NULL;
}

static bool wants_memory(const Row *r)
{
    return r->type == TYPE_LINK && r->names && !strcmp(r->names[0], "memory-backend");
}

bool free_host_skips(const DeviceClass *class)
{
    const Row *r = layout_of(class)->cells ? class->rows : NULL;
    for (; r && r->kind != ROW_END; r++) {
        if (r->kind == ROW_PROP && (r->type == TYPE_NET || (r->type == TYPE_LINK && !wants_memory(r)))) {
            printf("skipped: %s wants property '%s'\n", class->name, r->name);
            return true;
        }
    }
    return false;
}

/* ---- Back ends ---- */

static bool blocked;

static size_t sink_write(Char *c, const uint8_t *buf, size_t len)
{
    return blocked ? 0 : len;
}
static bool sink_open(Char *c, GHashTable *options, GError **error)
{
    return true;
}
static const CharClass sink_class = {
    .name = "free-test", .size = sizeof(Char), .open = sink_open, .write = sink_write};

static GSList *chars; /* of every device made */

static Char *new_char(void)
{
    Char *c = g_malloc0(sizeof(Char));
    c->pending = g_byte_array_new();
    c->class = &sink_class;
    c->open = true;
    c->logfd = -1;
    c->pending = g_byte_array_new();
    chars = g_slist_prepend(chars, c);
    return c;
}

static void each_writable(gpointer data, gpointer unused)
{
    char_writable(data);
}

void free_host_block(bool on)
{
    bool was = blocked;
    blocked = on;
    if (was && !on) {
        g_slist_foreach(chars, each_writable, NULL);
    }
}

static void give_backends(Device *d)
{
    enum { DISK = 1474560, DIMM = 2 << 20 };
    static unsigned n;
    for (unsigned i = 0; i < d->layout->n; i++) {
        const Cell *c = &d->layout->cells[i];
        if (c->row->kind != ROW_PROP) {
            continue;
        }
        if (c->row->type == TYPE_CHAR) {
            device_set_pointer(d, c->name, new_char());
        } else if (c->row->type == TYPE_DRIVE) {
            g_autofree char *id = g_strdup_printf("free%u", n++);
            device_set_pointer(d, c->name, drive_new_memory(id, DISK));
        } else if (wants_memory(c->row)) {
            g_autofree char *id = g_strdup_printf("free%u", n++);
            json_object *props = json_object_new_object();
            json_object_object_add(props, "size", json_object_new_int64(DIMM));
            device_set_pointer(d, c->name, object_add("memory-backend-ram", id, props, NULL));
            json_object_put(props);
        }
    }
}

/* ---- Messages ---- */

static unsigned messages;
static void count_message(void *sink, uint64_t address, uint32_t data)
{
    messages++;
}

bool free_host_watch_messages(bool on)
{
    bool any = messages != 0;
    messages = 0;
    return any;
}

static void watch_messages(Device *d)
{
    for (unsigned i = 0; i < d->layout->n; i++) {
        const Cell *c = &d->layout->cells[i];
        for (unsigned e = 0; c->row->kind == ROW_MSI && e < c->row->count; e++) {
            *(Msi *)row_field(c->row, cell_base(d, c), e) = (Msi){count_message, d};
        }
    }
}

/* ---- Devices ---- */

Device *free_host_device(const DeviceClass *class, GError **error)
{
    Bus *bus = NULL;
    if (class->bus && !(bus = bus_for(class, error))) {
        return NULL;
    }
    Device *d = device_new(class, NULL);
    give_backends(d);
    watch_messages(d);
    if (!device_realize(d, bus, error)) {
        device_free(d);
        return NULL;
    }
    return d;
}

void free_host_drop(Device *d)
{
    free_host_calm(d);
    device_free(d);
}

void free_host_calm(Device *d)
{
    bool was = blocked;
    free_host_block(false);
    drive_drain_all();
    for (unsigned tries = 0; d->class->busy && d->class->busy(d) && tries < 10000; tries++) {
        loop_iterate(false);
        bench_advance(NS_PER_MS);
    }
    free_host_block(was);
}

void free_host_stimulate(Device *d, uint64_t random)
{
    for (const DeviceClass *c = d->class; c; c = c->base) {
        if (c->input) {
            ck_assert_msg(c->inputs, "class %s has input() but says no number of .inputs", c->name);
            device_input(d, (unsigned)(random >> 8) % c->inputs, random & 1);
        }
    }
    for (GSList *l = chars; l && random & 2; l = l->next) {
        Char *c = l->data;
        uint8_t bytes[8];
        memcpy(bytes, &random, sizeof(bytes));
        size_t room = MIN(char_can_receive(c), sizeof(bytes));
        if (room) {
            char_receive(c, bytes, room);
        }
    }
}
