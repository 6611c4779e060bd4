/* The VM generation identifier: which run of a machine this is, as ACPI shows it to the guest (Microsoft, "Virtual Machine
 * Generation ID"; QEMU's docs/specs/vmgenid describes the files). */
#ifndef HW_MISC_VMGENID_H
#define HW_MISC_VMGENID_H

#include "hw/device.h"

#define VMGENID_GUID_FILE "etc/vmgenid_guid"    /* a page, which the firmware puts into memory */
#define VMGENID_ADDR_FILE "etc/vmgenid_addr"    /* where: the firmware writes it here */
enum { VMGENID_PAGE = 4096, VMGENID_OFFSET = 40 };

Device *vmgenid_find(void);             /* the machine's; NULL: it has none */
char *vmgenid_text(const Device *dev);  /* "324e6eaf-d1d1-4bf6-bf41-b9bb6c91fb87"; caller frees */

#endif
