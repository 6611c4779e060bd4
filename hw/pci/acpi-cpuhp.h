/* CPU hot-plug by ACPI: the registers by which the guest's tables learn of CPUs that came or should go, and answer.
 * A device of the board, at ports of its own. */
#ifndef HW_PCI_ACPI_CPUHP_H
#define HW_PCI_ACPI_CPUHP_H

#include "hw/device.h"

enum {
    ACPI_CPUHP_PIIX4 = 0xaf00, ACPI_CPUHP_ICH9 = 0x0cd8,        /* where the boards have them                */
    ACPI_CPUHP_PORTS = 12,              /* of the interface that the tables use                              */
    ACPI_CPUHP_ALL_PORTS = 32           /* with the older one's, of the time before                          */
};
extern const DeviceClass acpi_cpuhp_class;

/* The machine's: a CPU came, or it should go.  False: no guest could hear of it, *error says why. */
void acpi_cpuhp_plugged(unsigned index);
bool acpi_cpuhp_request(unsigned index, GError **error);

#endif
