/* VMware's absolute mouse: a queue behind the backdoor port. */
#ifndef HW_INPUT_VMMOUSE_H
#define HW_INPUT_VMMOUSE_H

#include "hw/misc/vmport.h"

extern const DeviceClass vmmouse_class;
/* For boards: its commands become the port's.  Its pin "news" pulses when there is something to fetch. */
void vmmouse_wire(Device *vmmouse, Device *vmport);

#endif
