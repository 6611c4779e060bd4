#include "hw/firmware/tables.h"

#include "hw/firmware/acpi.h"
#include "hw/firmware/smbios.h"
#include "hw/machine.h"

bool tables_add(FwCfg *fw, GError **error)
{
    return smbios_add(fw, error) && (machine.acpi == OFA_OFF || acpi_add(fw, error));
}
