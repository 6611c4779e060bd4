/* The bus: addresses, and what becomes of commands when a device leaves. */
#include <string.h>

#include "hw/scsi/scsi-bus.h"

ScsiDevice *scsi_find(const ScsiBus *bus, unsigned channel, unsigned target, unsigned lun)
{
    for (unsigned i = 0; i < bus->units->len; i++) {
        ScsiDevice *d = g_ptr_array_index(bus->units, i);
        if (d->bus && d->channel == channel && d->scsi_id == (int32_t)target && d->lun == (int32_t)lun) {
            return d;
        }
    }
    return NULL;
}

bool scsi_has_target(const ScsiBus *bus, unsigned channel, unsigned target)
{
    for (unsigned i = 0; i < bus->units->len; i++) {
        const ScsiDevice *d = g_ptr_array_index(bus->units, i);
        if (d->bus && d->channel == channel && d->scsi_id == (int32_t)target) {
            return true;
        }
    }
    return false;
}

/* A unit that comes or goes is an attention to the others of its target (SPC-4 §6.33). */
void scsi_changed(ScsiDevice *d, ScsiChange what)
{
    ScsiBus *bus = d->bus;
    if (!bus) {
        return;
    }
    for (unsigned i = 0; i < bus->units->len && what <= SCSI_UNPLUGGED; i++) {
        ScsiDevice *e = g_ptr_array_index(bus->units, i);
        if (e != d && e->channel == d->channel && e->scsi_id == d->scsi_id) {
            scsi_attention(&e->unit, ATTENTION_UNITS);
        }
    }
    if (bus->host->changed) {
        bus->host->changed(bus, d, what);
    }
}

void scsi_bus_reset(ScsiBus *bus, int target, int lun)
{
    for (unsigned i = 0; i < bus->units->len; i++) {
        ScsiDevice *d = g_ptr_array_index(bus->units, i);
        if ((target < 0 || d->scsi_id == target) && (lun < 0 || d->lun == lun)) {
            scsi_unit_reset(&d->unit);
        }
    }
}

/* ---- The loop of the adapter's ---- */

void scsi_enter(const ScsiBus *bus)
{
    if (bus && bus->loop) {
        loop_enter(bus->loop);
    }
}

void scsi_leave(const ScsiBus *bus)
{
    if (bus && bus->loop) {
        loop_leave(bus->loop);
    }
}

void scsi_join(ScsiBus *bus, ScsiDevice *d)
{
    if (bus->loop) {
        drive_set_loops(d->drive, &bus->loop, 1);
    }
    scsi_enter(bus);
    g_ptr_array_add(bus->units, d);
    scsi_leave(bus);
}

/* ---- Plugging ---- */

static bool check_address(const ScsiBus *bus, const ScsiDevice *d, GError **error)
{
    const ScsiHost *host = bus->host;
    const char *name = d->dev.class->name;
    if (d->channel >= host->channels) {
        return error_fail(error, "Property %s.channel is %u, expected: below %u on bus %s", name, d->channel, host->channels,
                          bus->bus->name);
    }
    if (d->scsi_id < -1 || d->scsi_id >= (int32_t)host->targets) {
        return error_fail(error, "Property %s.scsi-id is %d, expected: 0 to %u on bus %s, or -1 for the next free one", name,
                          d->scsi_id, host->targets - 1, bus->bus->name);
    }
    return (d->lun >= -1 && d->lun < (int32_t)host->luns) ||
           error_fail(error, "Property %s.lun is %d, expected: 0 to %u on bus %s, or -1 for the next free one", name, d->lun,
                      host->luns - 1, bus->bus->name);
}

/* A target for itself, or the next unit of the target that was named. */
static bool choose_address(const ScsiBus *bus, ScsiDevice *d, GError **error)
{
    unsigned lun = d->lun < 0 ? 0 : (unsigned)d->lun;
    if (d->scsi_id < 0) {
        unsigned id = 0;
        while (id < bus->host->targets && scsi_find(bus, d->channel, id, lun)) {
            id++;
        }
        if (id == bus->host->targets) {
            return error_fail(error, "%s: no free target on bus %s", d->dev.class->name, bus->bus->name);
        }
        d->scsi_id = (int32_t)id;
    } else if (d->lun < 0) {
        while (lun < bus->host->luns && scsi_find(bus, d->channel, (unsigned)d->scsi_id, lun)) {
            lun++;
        }
        if (lun == bus->host->luns) {
            return error_fail(error, "%s: no free lun of target %d on bus %s", d->dev.class->name, d->scsi_id, bus->bus->name);
        }
    }
    d->lun = (int32_t)lun;
    return !scsi_find(bus, d->channel, (unsigned)d->scsi_id, lun) ||
           error_fail(error, "%s: lun %u of target %d on bus %s is in use", d->dev.class->name, lun, d->scsi_id,
                      bus->bus->name);
}

static bool bus_plug(Bus *parent, Device *dev, GError **error)
{
    ScsiBus *bus = parent->impl;
    ScsiDevice *d = (ScsiDevice *)dev;
    if (!check_address(bus, d, error) || !choose_address(bus, d, error)) {
        return false;
    }
    d->bus = bus;
    return true;
}

/* Who was there when the machine began is found without being told of. */
static void bus_plugged(Bus *parent, Device *dev)
{
    ScsiBus *bus = parent->impl;
    scsi_enter(bus);
    scsi_changed((ScsiDevice *)dev, SCSI_PLUGGED);
    scsi_leave(bus);
}

static void bus_unplug(Bus *parent, Device *dev)
{
    ScsiDevice *d = (ScsiDevice *)dev;
    ScsiBus *bus = d->bus = parent->impl;
    scsi_enter(bus);
    if (d->attached) {
        scsi_changed(d, SCSI_UNPLUGGED);
    }
    scsi_leave(bus);
    d->bus = NULL;
}

/* "channel@0/disk@1,0": as the firmware's boot order names it. */
static char *device_path(const Device *dev)
{
    const ScsiDevice *d = (const ScsiDevice *)dev;
    return g_strdup_printf("channel@%x/disk@%x,%x", d->channel, (unsigned)d->scsi_id, (unsigned)d->lun);
}

static const BusClass bus_class = {
    .type = "SCSI",
    .hotplug = true,
    .plug = bus_plug,
    .unplug = bus_unplug,
    .plugged = bus_plugged,
    .device_path = device_path,
};

ScsiBus *scsi_bus_new(Device *adapter, const ScsiHost *host, void *owner)
{
    ScsiBus *bus = g_new0(ScsiBus, 1);
    bus->adapter = adapter;
    bus->host = host;
    bus->owner = owner;
    bus->units = g_ptr_array_new();
    bus->bus = bus_new(&bus_class, adapter, NULL, bus);
    return bus;
}

void scsi_bus_free(ScsiBus *bus)
{
    if (bus) {
        g_ptr_array_free(bus->units, TRUE);
        g_free(bus);
    }
}

