/* -device: a device from its option table. */
#ifndef QAPI_DEVICE_ADD_H
#define QAPI_DEVICE_ADD_H

#include <glib.h>
#include <stdbool.h>

/* "driver", "bus", "id" and the device's properties, all as text; the table stays the caller's. */
bool device_add(GHashTable *options, GError **error);

#endif
