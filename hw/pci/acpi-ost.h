/* What guests say by _OST about devices that come and go (ACPI 6.4 §6.3.5), of memory and processors: remembered for
 * query-acpi-ospm-status, and told by ACPI_DEVICE_OST.  Main lock held. */
#ifndef HW_PCI_ACPI_OST_H
#define HW_PCI_ACPI_OST_H

#include <stdint.h>

#include "qapi/schema/qapi-types.h"

enum {                                  /* sources: notifications and operations; then what came of them     */
    OST_EJECT_REQUEST = 0x03, OST_EJECTION = 0x103,
    OST_SUCCESS = 0, OST_EJECTION_IN_PROGRESS = 0x84
};
/* An answer to "please go" that means no. */
static inline bool acpi_ost_refuses(uint32_t source, uint32_t status)
{
    return (source == OST_EJECT_REQUEST || source == OST_EJECTION) && status != OST_SUCCESS &&
           status != OST_EJECTION_IN_PROGRESS;
}

/* From the chip that has the slots 0 .. n - 1 of a kind; `device` gives the id of what is in one, or NULL.  n 0: none any more. */
void acpi_ost_offer(QACPISlotType type, unsigned n, const char *(*device)(unsigned slot));
/* The guest has spoken. */
void acpi_ost_said(QACPISlotType type, unsigned slot, uint32_t source, uint32_t status);
void acpi_ost_list(QACPIOSTInfoList *list);

#endif
