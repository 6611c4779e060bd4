/* -device: a device from its options. */
#ifndef QAPI_DEVICE_ADD_H
#define QAPI_DEVICE_ADD_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* "driver", "bus", "id" and the device's properties, as keyval_tree makes them; the tree stays the caller's. */
bool device_add(json_object *options, GError **error);

#endif
