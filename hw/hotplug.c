/* What device_add and device_del do to a running machine. */
#include "hw/hotplug.h"

#include "core/loop.h"
#include "qapi/schema/qapi-events.h"

void device_plugged(Device *d)
{
    if (d->bus && d->bus->class->plugged) {
        d->bus->class->plugged(d->bus, d);
    }
}

static void let_go(Device *d)
{
    g_autofree char *id = g_strdup(d->id), *path = g_strdup(d->path);
    device_free(d);
    event_device_deleted(id, path);
}

bool device_unplug_request(Device *d, GError **error)
{
    if (d->removing) {
        return error_fail(error, "Device %s is already in the process of unplug", d->id);
    }
    const BusClass *bus = d->bus ? d->bus->class : NULL;
    switch (bus && bus->unplug_request ? bus->unplug_request(d->bus, d, error) : UNPLUG_NOW) {
    case UNPLUG_NOW:
        let_go(d);
        return true;
    case UNPLUG_ASKED:
        d->removing = true;
        return true;
    default:
        return false;
    }
}

/* Posted by path: meanwhile something else may have freed the device. */
static void go(void *arg)
{
    g_autofree char *path = arg;
    Device *d = device_find(path);
    if (d && d->going) {
        let_go(d);
    }
}

void device_unplugged(Device *d)
{
    if (!d->going) {
        d->going = true;
        loop_post(loop_main(), go, g_strdup(d->path));
    }
}

void device_unplug_refused(Device *d)
{
    if (d->removing && !d->going) {
        d->removing = false;
        event_device_unplug_guest_error(d->id, d->path);
    }
}
