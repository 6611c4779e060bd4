/* Hot-plug: devices that come and go while the machine runs, and the guest's say in it.
 *
 * device_add plugs, then BusClass.plugged tells the guest.  device_del asks BusClass.unplug_request (of a device without
 * a bus, those of its DeviceClass): it has the device go at once, or it tells the guest, whose answer is device_unplugged
 * or device_unplug_refused.  Main lock held. */
#ifndef HW_HOTPLUG_H
#define HW_HOTPLUG_H

#include "hw/device.h"

/* device_add for a device that is realized and reset; the machine runs. */
void device_plugged(Device *dev);
/* device_del.  An error: nothing was asked, the device stays. */
bool device_unplug_request(Device *dev, GError **error);

/* The guest has let go of a device, asked or not: it goes when the access that said so has ended (it may be the device's
 * own), with DEVICE_DELETED.  Until then it is there. */
void device_unplugged(Device *dev);
/* The guest was asked and keeps it: DEVICE_UNPLUG_GUEST_ERROR; it can be asked again. */
void device_unplug_refused(Device *dev);
/* The machine is about to be reset: what the guest was asked to let go of, on buses that say so, goes now. */
void device_unplug_all(void);

#endif
