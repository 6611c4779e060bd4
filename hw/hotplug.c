/* What device_add and device_del do to a running machine. */
#include "hw/hotplug.h"

#include "core/loop.h"
#include "qapi/schema/qapi-events.h"

void device_plugged(Device *d)
{
    if (d->bus && d->bus->class->plugged) {
        d->bus->class->plugged(d->bus, d);
    } else if (!d->bus && d->class->plugged) {
        d->class->plugged(d);
    }
}

/* What is plugged into it goes first. */
static void let_go(Device *d)
{
    for (GSList *l = d->buses; l; l = l->next) {
        GPtrArray *plugged = ((Bus *)l->data)->devices;
        while (plugged->len) {
            let_go(g_ptr_array_index(plugged, plugged->len - 1));
        }
    }
    g_autofree char *id = g_strdup(d->id), *path = g_strdup(d->path);
    device_free(d);
    event_device_deleted(id, path);
}

static UnplugAnswer ask(Device *d, GError **error)
{
    const BusClass *bus = d->bus ? d->bus->class : NULL;
    if (bus && bus->unplug_request) {
        return bus->unplug_request(d->bus, d, error);
    }
    return !bus && d->class->unplug_request ? d->class->unplug_request(d, error) : UNPLUG_NOW;
}

bool device_unplug_request(Device *d, GError **error)
{
    if (d->removing) {
        return error_fail(error, "Device %s is already in the process of unplug", device_label(d));
    }
    switch (ask(d, error)) {
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

static void find_leaving(void *arg, Device *d)
{
    bool waits = d->removing && d->bus && d->bus->class->reset_removes;
    if (d->going || waits) {
        g_ptr_array_add(arg, g_strdup(d->path));
    }
}

void device_unplug_all(void)
{
    g_autoptr(GPtrArray) leaving = g_ptr_array_new_with_free_func(g_free);
    device_foreach(find_leaving, leaving);
    for (guint i = 0; i < leaving->len; i++) {
        Device *d = device_find(leaving->pdata[i]); /* NULL: it was plugged into another one */
        if (d) {
            let_go(d);
        }
    }
}

void device_unplug_refused(Device *d)
{
    if (d->removing && !d->going) {
        d->removing = false;
        event_device_unplug_guest_error(d->id, d->path);
    }
}
