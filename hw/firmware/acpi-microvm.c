/* ACPI: the board "microvm", with the generic event device (ACPI 6.4 §5.6.9) and a node for each virtio device. */
#include "hw/board/microvm.h"
#include "hw/firmware/acpi-board.h"
#include "hw/misc/acpi-ged.h"
#include "hw/virtio/virtio-mmio.h"

enum { SCI = 9 };

static uint32_t ioapic2(void)
{
    return microvm.two_ioapics ? MICROVM_IOAPIC2 : 0;
}

static void interrupt(Aml *a, uint32_t gsi)
{
    aml_interrupts(a, AML_CONSUMER | AML_LEVEL | AML_ACTIVE_HIGH, &gsi, 1);
}

static void events(Aml *a)
{
    enum { PRESSED = 0x80 };
    aml_device(a, "GED");
    aml_name_string(a, "_HID", "ACPI0013");
    aml_name_int(a, "_UID", 0);
    aml_name(a, "_CRS");
    aml_resources(a);
    interrupt(a, SCI);
    aml_resources_end(a);
    aml_region(a, "EREG", AML_SYSTEM_MEMORY, MICROVM_GED_EVENTS, GED_EVENTS_SIZE);
    aml_field(a, "EREG", AML_DWORD_ACC, AML_NO_LOCK | AML_WRITE_AS_ZEROS);
    aml_unit(a, "ESEL", 32);
    aml_end(a);
    aml_method(a, "_EVT", 1, AML_SERIALIZED);
    aml_op(a, AML_STORE), aml_path(a, "ESEL"), aml_local(a, 0);
    aml_if(a), aml_op(a, AML_AND), aml_local(a, 0), aml_int(a, GED_POWER_BUTTON), aml_no_target(a);
    aml_op(a, AML_NOTIFY), aml_path(a, "\\_SB.PWRB"), aml_int(a, PRESSED);
    aml_end(a);
    aml_end(a);
    aml_end(a);
    aml_device(a, "PWRB"); /* §4.8.3.1.2 */
    aml_name_eisa_id(a, "_HID", "PNP0C0C");
    aml_name_int(a, "_UID", 0);
    aml_end(a);
}

static void virtio(Aml *a, unsigned i)
{
    g_autofree char *name = g_strdup_printf("VR%02u", i);
    aml_device(a, name);
    aml_name_string(a, "_HID", "LNRO0005");
    aml_name_int(a, "_UID", i);
    aml_name_int(a, "_CCA", 1);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_memory32(a, true, (uint32_t)microvm_transport_at(i), VIRTIO_MMIO_SIZE);
    interrupt(a, microvm.first_gsi + i);
    aml_resources_end(a);
    aml_end(a);
}

static void devices(Aml *a)
{
    events(a);
    for (unsigned i = 0; i < microvm.transports; i++) {
        if (virtio_mmio_used(microvm.transport[i])) {
            virtio(a, i);
        }
    }
}

static const AcpiReduced reduced = {
    .sleep_control = MICROVM_GED_REGS + GED_SLEEP_CONTROL,
    .sleep_status = MICROVM_GED_REGS + GED_SLEEP_STATUS,
    .reset = MICROVM_GED_REGS + GED_RESET,
    .timer = MICROVM_PM_TIMER,
    .reset_value = GED_RESET_VALUE,
    .s5 = GED_S5,
    .isa = true,
    .ioapic2 = ioapic2,
    .devices = devices,
};

const AcpiBoard acpi_microvm = {.pm = "acpi-ged-x86", .reduced = &reduced};
