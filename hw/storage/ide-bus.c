/* The IDE cable: which of two devices answers, and how they share the registers (ATA/ATAPI-6
 * §9.16). */
#include "hw/storage/ide.h"

#include <string.h>

enum { REG_DATA = 0, REG_DEVICE = 6, REG_STATUS = 7, DEVICE_1 = 0x10 };

/* Both devices hold the device register; either tells who is selected. */
static unsigned selected_unit(const IdeBus *bus)
{
    const AtaDevice *any = bus->unit[0] ? bus->unit[0] : bus->unit[1];
    return any && (any->device & DEVICE_1) ? 1 : 0;
}

AtaDevice *ide_bus_selected(const IdeBus *bus)
{
    return bus->unit[selected_unit(bus)];
}

bool ide_bus_intrq(const IdeBus *bus)
{
    const AtaDevice *s = ide_bus_selected(bus);
    return s && s->irq && !(s->control & ATA_NIEN);
}

void ide_bus_kick(IdeBus *bus)
{
    if (bus && bus->kick) {
        bus->kick(bus->controller, bus->number);
    }
}

/* ---- Registers ---- */

/* Device 0 answers for an absent device 1, with a status of 0; an empty cable reads as 0. */
static uint8_t read_register(IdeBus *bus, unsigned space, unsigned reg)
{
    AtaDevice *s = ide_bus_selected(bus);
    if (s) {
        return (uint8_t)device_read(&s->dev, space, reg, 1);
    }
    bool status = space == ATA_CONTROL_SPACE || reg == REG_STATUS;
    return bus->unit[0] && !status ? (uint8_t)device_read(&bus->unit[0]->dev, space, reg, 1) : 0;
}

static void write_both(IdeBus *bus, unsigned space, unsigned reg, uint8_t value)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(bus->unit); i++) {
        if (bus->unit[i]) {
            device_write(&bus->unit[i]->dev, space, reg, 1, value);
        }
    }
}

static void write_register(IdeBus *bus, unsigned reg, uint8_t value)
{
    enum { DIAGNOSTIC = 0x90 };
    if (reg != REG_STATUS) {
        write_both(bus, 0, reg, value);
    } else if (value == DIAGNOSTIC) {
        write_both(bus, 0, reg, value);
        if (bus->unit[0] && bus->unit[1]) { /* §8.11: device 0 interrupts for both */
            bus->unit[1]->irq = false;
            device_settle(&bus->unit[1]->dev);
        }
    } else if (ide_bus_selected(bus)) {
        device_write(&ide_bus_selected(bus)->dev, 0, reg, 1, value);
    }
}

static uint64_t command_read(void *opaque, uint64_t at, unsigned size)
{
    IdeBus *bus = opaque;
    uint64_t value = 0;
    if (at == REG_DATA) {
        AtaDevice *s = ide_bus_selected(bus);
        if (!s) {
            return size_mask(size);
        }
        ata_data_read(s, &value, size);
        return value;
    }
    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)(at + i <= REG_STATUS ? read_register(bus, 0, (unsigned)at + i) : 0xff)
                 << 8 * i;
    }
    return value;
}

static void command_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    IdeBus *bus = opaque;
    if (at == REG_DATA) {
        AtaDevice *s = ide_bus_selected(bus);
        if (s) {
            ata_data_write(s, &value, size);
        }
        return;
    }
    for (unsigned i = 0; i < size && at + i <= REG_STATUS; i++) {
        write_register(bus, (unsigned)at + i, (uint8_t)(value >> 8 * i));
    }
}

const IoOps ide_command_ops = {command_read, command_write, 1, 4};

static uint64_t control_read(void *opaque, uint64_t at, unsigned size)
{
    return read_register(opaque, ATA_CONTROL_SPACE, 0);
}

static void control_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    write_both(opaque, ATA_CONTROL_SPACE, 0, (uint8_t)value);
}

const IoOps ide_control_ops = {control_read, control_write, 1, 1};

/* ---- Plugging ---- */

static bool ide_plug(Bus *parent, Device *dev, GError **error)
{
    IdeBus *bus = parent->impl;
    AtaDevice *s = (AtaDevice *)dev;
    if (s->unit < 0) {
        s->unit = bus->unit[0] && !bus->serial ? 1 : 0;
    }
    if (bus->serial && s->unit > 0) {
        return error_fail(error, "Can't create IDE unit %d, bus %s supports only 1 units", s->unit,
                          parent->name);
    }
    if (s->unit > 1) {
        return error_fail(error, "Can't create IDE unit %d, bus %s supports only units 0 and 1",
                          s->unit, parent->name);
    }
    if (bus->unit[s->unit]) {
        return error_fail(error, "IDE unit %d of bus %s is in use", s->unit, parent->name);
    }
    bus->unit[s->unit] = s;
    s->bus = bus;
    device_connect(&s->intrq, bus->controller, bus->number);
    parent->full = bus->unit[0] && (bus->unit[1] || bus->serial);
    return true;
}

static void ide_unplug(Bus *parent, Device *dev)
{
    IdeBus *bus = parent->impl;
    AtaDevice *s = (AtaDevice *)dev;
    s->intrq.set = NULL;
    bus->unit[s->unit] = NULL;
    s->bus = NULL;
    parent->full = false;
}

/* "drive@0/disk@1": channel and unit, as the firmware names its boot entries. */
static char *ide_device_path(const Device *dev)
{
    const AtaDevice *s = (const AtaDevice *)dev;
    return g_strdup_printf("drive@%u/disk@%d", s->bus->number, s->unit);
}

static const BusClass ide_bus_class = {
    .type = "IDE",
    .plug = ide_plug,
    .unplug = ide_unplug,
    .device_path = ide_device_path,
};

IdeBus *ide_bus_new(Device *controller, const char *name, unsigned number,
                    void (*kick)(Device *controller, unsigned channel))
{
    IdeBus *bus = g_new0(IdeBus, 1);
    bus->controller = controller;
    bus->number = number;
    bus->kick = kick;
    bus->bus = bus_new(&ide_bus_class, controller, name, bus);
    return bus;
}

void ide_bus_free(IdeBus *bus)
{
    g_free(bus);
}

Device *ide_drive_new(IdeBus *bus, unsigned unit, Drive *drive, bool cdrom, const char *serial,
                      GError **error)
{
    Device *dev = device_new(cdrom ? &ide_cd_class : &ide_hd_class, NULL);
    ((AtaDevice *)dev)->unit = (int32_t)unit;
    if (drive) {
        device_set_pointer(dev, "drive", drive);
    }
    if ((serial && !device_set(dev, "serial", serial, error)) ||
        !device_realize(dev, bus->bus, error)) {
        device_free(dev);
        return NULL;
    }
    return dev;
}
