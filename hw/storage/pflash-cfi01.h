/* Parallel NOR flash with Intel's command set, "cfi.pflash01": Intel 28F128J3 and its family, in any size. */
#ifndef HW_STORAGE_PFLASH_CFI01_H
#define HW_STORAGE_PFLASH_CFI01_H

#include "hw/device.h"

extern const DeviceClass pflash_cfi01_class;
/* What the board maps: the whole array, num-blocks * sector-length bytes.  Owned by the (realized) device. */
Region *pflash_cfi01_region(Device *flash);

#endif
