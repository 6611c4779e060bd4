/* Buses: where devices are plugged. */
#include <string.h>

#include "hw/device.h"

static GPtrArray *buses;

Bus *bus_new(const BusClass *class, Device *parent, const char *name, void *impl)
{
    Bus *b = g_new0(Bus, 1);
    b->class = class;
    b->parent = parent;
    b->impl = impl;
    b->devices = g_ptr_array_new();
    if (!buses) {
        buses = g_ptr_array_new();
    }
    if (name) {
        b->name = g_strdup(name);
    } else {
        unsigned n = parent && parent->id ? g_slist_length(parent->buses) : 0;
        g_autofree char *lower =
            parent && parent->id ? g_strdup(parent->id) : g_ascii_strdown(class->type, -1);
        for (;; n++) {
            g_free(b->name);
            b->name = g_strdup_printf("%s.%u", lower, n);
            if (!bus_find(b->name)) {
                break;
            }
        }
    }
    if (parent) {
        parent->buses = g_slist_append(parent->buses, b);
    }
    g_ptr_array_add(buses, b);
    return b;
}

void bus_free(Bus *b)
{
    g_ptr_array_remove(buses, b);
    g_ptr_array_free(b->devices, TRUE);
    g_free(b->name);
    g_free(b);
}

Bus *bus_find(const char *name)
{
    for (unsigned i = 0; buses && i < buses->len; i++) {
        Bus *b = g_ptr_array_index(buses, i);
        if (!strcmp(b->name, name)) {
            return b;
        }
    }
    const char *slash = strrchr(name, '/'); /* "/i440FX-pcihost/pci.0": the last part names it */
    return slash && slash[1] ? bus_find(slash + 1) : NULL;
}

Bus *bus_find_type(const char *type)
{
    Bus *full = NULL;
    for (unsigned i = 0; buses && i < buses->len; i++) {
        Bus *b = g_ptr_array_index(buses, i);
        if (!strcmp(b->class->type, type)) {
            if (!b->full) {
                return b;
            }
            full = full ? full : b;
        }
    }
    return full;
}

void bus_foreach(void (*fn)(void *arg, Bus *bus), void *arg)
{
    for (unsigned i = 0; buses && i < buses->len; i++) {
        fn(arg, g_ptr_array_index(buses, i));
    }
}

char *device_fw_path(const Device *d)
{
    if (!d->bus) {
        return d->class->fw_node ? g_strdup_printf("/%s", d->class->fw_node) : NULL;
    }
    g_autofree char *above = d->bus->parent ? device_fw_path(d->bus->parent) : NULL;
    g_autofree char *node = d->bus->class->device_path ? d->bus->class->device_path(d) : NULL;
    return above && node ? g_strdup_printf("%s/%s", above, node) : NULL;
}
