#include "hw/firmware/tables.h"

#include "hw/firmware/acpi.h"
#include "hw/machine.h"

bool tables_add(FwCfg *fw, GError **error)
{
    return machine.acpi == OFA_OFF || acpi_add(fw, error);
}

bool smbios_option(const char *text, GError **error)
{
    return error_fail(error, "-smbios: this build has no SMBIOS tables of its own");
}
