#include "hw/firmware/tables.h"

bool tables_add(FwCfg *fw, GError **error)
{
    return true;
}

bool smbios_option(const char *text, GError **error)
{
    return error_fail(error, "-smbios: this build has no SMBIOS tables of its own");
}

bool acpi_table_option(const char *text, GError **error)
{
    return error_fail(error, "-acpitable: this build has no ACPI tables of its own");
}
