/* What boards ask of the floppy controller on the ISA bus. */
#ifndef HW_STORAGE_ISA_FDC_H
#define HW_STORAGE_ISA_FDC_H

#include "block/drive.h"
#include "hw/device.h"

extern const DeviceClass isa_fdc_class;

/* Put a drive of the customary kind on the cable of an isa-fdc; `backend` may be NULL (no drive is made then).  For what
 * -fda and -drive if=floppy gave. */
bool isa_fdc_add_drive(Device *isa_fdc, unsigned unit, Drive *backend, GError **error);
/* CMOS byte 10h: type of drive A in the high half, of B in the low one. */
uint8_t isa_fdc_cmos_types(const Device *isa_fdc);

#endif
