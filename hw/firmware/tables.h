/* ACPI and SMBIOS tables, and the files that lead the firmware to them (etc/acpi/..., etc/table-loader, etc/smbios/...). */
#ifndef HW_FIRMWARE_TABLES_H
#define HW_FIRMWARE_TABLES_H

#include "hw/firmware/fw-cfg.h"

/* For the machine as it stands: CPUs, PCI bus and chips are realized.  Main lock held. */
bool tables_add(FwCfg *fw, GError **error);

/* `-smbios file=PATH` or `-smbios type=N,field=value...`, `-acpitable [sig=...,]data=PATH|file=PATH`: remembered for
 * tables_add. */
bool smbios_option(const char *text, GError **error);
bool acpi_table_option(const char *text, GError **error);

#endif
