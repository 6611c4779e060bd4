/* Processors in the DSDT, and how they come and go: methods over the registers of hw/pci/acpi-cpuhp.c (ACPI 6.4 §5.6.6, §6.3,
 * §8.4).  The numbers are those of the MADT.
 *
 * Every processor that there can be is an object; _STA says whether it is there.  Processor() is older than processor devices,
 * and older systems know only that; it has 8 bits for the number. */
#include "hw/firmware/acpi-board.h"
#include "hw/machine.h"
#include "hw/pci/acpi-cpuhp.h"

enum { DEVICE_CHECK = 1, EJECT_REQUEST = 3 };           /* §5.6.6 */
enum { NEXT_EVENT, OST_SOURCE, OST_STATUS };            /* commands */

static void cpu_name(char name[5], unsigned i)
{
    g_snprintf(name, 5, "C%03X", i & 0xfff);
}

static void store(Aml *a, unsigned value, const char *name)
{
    aml_op(a, AML_STORE), aml_int(a, value), aml_path(a, name);
}

static void store_arg(Aml *a, unsigned n, const char *name)
{
    aml_op(a, AML_STORE), aml_arg(a, n), aml_path(a, name);
}

/* The registers are about one processor at a time. */
static void lock(Aml *a)
{
    aml_acquire(a, "CPLK");
}

static void unlock(Aml *a)
{
    aml_op(a, AML_RELEASE), aml_path(a, "CPLK");
}

static void registers(Aml *a, uint16_t port)
{
    aml_region(a, "PRST", AML_SYSTEM_IO, port, ACPI_CPUHP_PORTS);
    aml_field(a, "PRST", AML_BYTE_ACC, AML_NO_LOCK | AML_WRITE_AS_ZEROS);
    aml_unit(a, NULL, 32);
    aml_unit(a, "CPEN", 1);
    aml_unit(a, "CINS", 1);
    aml_unit(a, "CRMV", 1);
    aml_unit(a, "CEJ0", 1);
    aml_unit(a, NULL, 4);
    aml_unit(a, "CCMD", 8);
    aml_end(a);
    aml_field(a, "PRST", AML_DWORD_ACC, AML_NO_LOCK | AML_PRESERVE);
    aml_unit(a, "CSEL", 32);
    aml_unit(a, NULL, 32);
    aml_unit(a, "CDAT", 32);
    aml_end(a);
    aml_mutex(a, "CPLK");
}

static void status_method(Aml *a)
{
    aml_method(a, "CSTA", 1, AML_SERIALIZED);
    lock(a);
    store_arg(a, 0, "CSEL");
    aml_op(a, AML_STORE), aml_int(a, 0), aml_local(a, 0);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_path(a, "CPEN"), aml_int(a, 1);
    aml_op(a, AML_STORE), aml_int(a, 0xf), aml_local(a, 0);
    aml_end(a);
    unlock(a);
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);
}

static void eject_method(Aml *a)
{
    aml_method(a, "CEJM", 1, AML_SERIALIZED);
    lock(a);
    store_arg(a, 0, "CSEL");
    store(a, 1, "CEJ0");
    unlock(a);
    aml_end(a);
}

static void ost_method(Aml *a)
{
    aml_method(a, "COST", 3, AML_SERIALIZED);
    lock(a);
    store_arg(a, 0, "CSEL");
    store(a, OST_SOURCE, "CCMD");
    store_arg(a, 1, "CDAT");
    store(a, OST_STATUS, "CCMD");
    store_arg(a, 2, "CDAT");
    unlock(a);
    aml_end(a);
}

static void notify_method(Aml *a)
{
    aml_method(a, "CTFY", 2, AML_NOT_SERIALIZED);
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        char name[5];
        cpu_name(name, i);
        aml_if(a), aml_op(a, AML_LEQUAL), aml_arg(a, 0), aml_int(a, i);
        aml_op(a, AML_NOTIFY), aml_path(a, name), aml_arg(a, 1);
        aml_end(a);
    }
    aml_end(a);
}

/* Tell of it, and note that it was told. */
static void tell(Aml *a, const char *event, unsigned value)
{
    aml_path(a, "CTFY"), aml_path(a, "CDAT"), aml_int(a, value);
    store(a, 1, event);
}

/* All that has happened since the last time. */
static void scan_method(Aml *a)
{
    aml_method(a, "CSCN", 0, AML_SERIALIZED);
    lock(a);
    aml_op(a, AML_STORE), aml_int(a, 1), aml_local(a, 0);
    aml_while(a), aml_op(a, AML_LEQUAL), aml_local(a, 0), aml_int(a, 1);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_local(a, 0);
    store(a, NEXT_EVENT, "CCMD");
    aml_if(a), aml_op(a, AML_LEQUAL), aml_path(a, "CINS"), aml_int(a, 1);
    tell(a, "CINS", DEVICE_CHECK);
    aml_op(a, AML_STORE), aml_int(a, 1), aml_local(a, 0);
    aml_end(a);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_path(a, "CRMV"), aml_int(a, 1);
    tell(a, "CRMV", EJECT_REQUEST);
    aml_op(a, AML_STORE), aml_int(a, 1), aml_local(a, 0);
    aml_end(a);
    aml_end(a);
    unlock(a);
    aml_end(a);
}

/* The MADT's entry, for one that comes later. */
static void madt_entry(Aml *a, unsigned i)
{
    g_autoptr(GByteArray) entry = g_byte_array_new();
    acpi_madt_cpu(entry, topology_apic_id(&machine.topology, i), i, true);
    aml_name(a, "_MAT");
    aml_buffer(a, entry->data, entry->len);
}

/* Left open.  The numbers are those of the MADT.  Processor() is older than processor devices, and older systems know only
 * that; it has 8 bits for the number. */
static void open_processor(Aml *a, unsigned i)
{
    char name[5];
    cpu_name(name, i);
    if (i < UINT8_MAX) {
        aml_processor(a, name, (uint8_t)i, 0, 0);
    } else {
        aml_device(a, name);
        aml_name_string(a, "_HID", "ACPI0007");
        aml_name_int(a, "_UID", i);
    }
}

static void processor(Aml *a, unsigned i)
{
    open_processor(a, i);
    aml_method(a, "_STA", 0, AML_SERIALIZED);
    aml_op(a, AML_RETURN), aml_path(a, "CSTA"), aml_int(a, i);
    aml_end(a);
    madt_entry(a, i);
    if (i) { /* nobody runs without the first */
        aml_method(a, "_EJ0", 1, AML_NOT_SERIALIZED);
        aml_path(a, "CEJM"), aml_int(a, i);
        aml_end(a);
    }
    aml_method(a, "_OST", 3, AML_SERIALIZED);
    aml_path(a, "COST"), aml_int(a, i), aml_arg(a, 0), aml_arg(a, 1);
    aml_end(a);
    aml_end(a);
}

static void ports(Aml *a, uint16_t port)
{
    aml_device(a, "PCI0.PRES");
    aml_name_eisa_id(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "CPU Hotplug resources");
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, port, port, 1, ACPI_CPUHP_PORTS);
    aml_resources_end(a);
    aml_end(a);
}

void acpi_fixed_processors(Aml *a)
{
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        if (cpu_by_index(i)) {
            open_processor(a, i);
            aml_end(a);
        }
    }
}

void acpi_processors(Aml *a, uint16_t port)
{
    ports(a, port);
    aml_device(a, "CPUS");
    aml_name_string(a, "_HID", "ACPI0010");
    aml_name_eisa_id(a, "_CID", "PNP0A05");
    registers(a, port);
    aml_method(a, "_INI", 0, AML_SERIALIZED); /* from the older interface to this one */
    store(a, 0, "CSEL");
    aml_end(a);
    status_method(a);
    eject_method(a);
    ost_method(a);
    notify_method(a);
    scan_method(a);
    for (unsigned i = 0; i < machine.max_cpus; i++) {
        processor(a, i);
    }
    aml_end(a);
    aml_method(a, "\\_GPE._E02", 0, AML_NOT_SERIALIZED);
    aml_path(a, "\\_SB.CPUS.CSCN");
    aml_end(a);
}
