/* What guests say by ACPI. */
#include "cpu/cpu.h"
#include "hw/device.h"
#include "hw/machine.h"
#include "hw/pci/acpi-cpuhp.h"
#include "qapi/schema/qapi-commands.h"

bool qmp_query_acpi_ospm_status(const void *args, QACPIOSTInfoList *ret, GError **error)
{
    uint32_t source, status;
    for (unsigned i = 0; i < machine.max_cpus && acpi_cpuhp_ost(i, &source, &status); i++) {
        const Cpu *c = cpu_by_index(i);
        QACPIOSTInfo *info = QLIST_ADD(ret);
        info->device = c ? g_strdup(((const Device *)c->device)->id) : NULL;
        info->slot = g_strdup_printf("%u", i);
        info->slot_type = Q_ACPI_SLOT_TYPE_CPU;
        info->source = source;
        info->status = status;
    }
    return true;
}
