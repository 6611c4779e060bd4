/* Memory hot-plug in the DSDT: a memory device (ACPI 6.4 §9.11) for each slot, which asks the
 * registers of the slots (hw/memory/memory-slots.h) what is in it, and the event that looks for
 * what has changed. */
#include "hw/firmware/acpi-board.h"
#include "hw/memory/memory-slots.h"

enum { DEVICE_CHECK = 1, EJECT_REQUEST = 3 }; /* §5.6.6 */

static void registers(Aml *a)
{
    enum { BITS_TO_STATUS = 0x14 * 8 };
    static const char *const read[] = {"MRBL", "MRBH", "MRLL", "MRLH", "MPX"},
                             *const written[] = {"MSEL", "MOEV", "MOSC"},
                             *const status[] = {"MES", "MINS", "MRMV", "MEJ"};
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_io(a, MEMORY_SLOTS_PORT, MEMORY_SLOTS_PORT, 1, MEMORY_SLOTS_SIZE);
    aml_resources_end(a);
    aml_region(a, "HPMR", AML_SYSTEM_IO, MEMORY_SLOTS_PORT, MEMORY_SLOTS_SIZE);
    aml_field(a, "HPMR", AML_DWORD_ACC, AML_NO_LOCK | AML_PRESERVE);
    for (unsigned i = 0; i < G_N_ELEMENTS(read); i++) {
        aml_unit(a, read[i], 32);
    }
    aml_end(a);
    aml_field(a, "HPMR", AML_DWORD_ACC, AML_NO_LOCK | AML_PRESERVE);
    for (unsigned i = 0; i < G_N_ELEMENTS(written); i++) {
        aml_unit(a, written[i], 32);
    }
    aml_end(a);
    aml_field(a, "HPMR", AML_BYTE_ACC,
              AML_NO_LOCK | AML_WRITE_AS_ZEROS); /* each of its ones does something */
    aml_unit(a, NULL, BITS_TO_STATUS);
    for (unsigned i = 0; i < G_N_ELEMENTS(status); i++) {
        aml_unit(a, status[i], 1);
    }
    aml_end(a);
    aml_mutex(a, "MLCK");
}

/* A method that speaks to the slot in its first argument; the registers are its alone until
 * `release`. */
static void method(Aml *a, const char *name, unsigned args, int serialized)
{
    aml_method(a, name, args, serialized);
    aml_acquire(a, "MLCK");
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_path(a, "MSEL");
}

static void release(Aml *a)
{
    aml_op(a, AML_RELEASE), aml_path(a, "MLCK");
}

static void store(Aml *a, const char *from, const char *to)
{
    aml_op(a, AML_STORE), aml_path(a, from), aml_path(a, to);
}

/* The integers of this table have 32 bits (§5.2.11.1: revision 1), so everything is done in halves.
 * The places of halves are no constants, since compilers take a constant for the 64-bit field that
 * begins there. */
static void resources_method(Aml *a)
{
    static const struct {
        unsigned at;
        const char *name;
    } fields[] = {{14, "MINL"}, {18, "MINH"}, {22, "MAXL"},
                  {26, "MAXH"}, {38, "LENL"}, {42, "LENH"}};
    aml_name(a, "MR64");
    aml_resources(a);
    aml_qword_memory(a, AML_CACHEABLE, 0, UINT64_MAX - 1);
    aml_resources_end(a);
    method(a, "MCRS", 1, AML_SERIALIZED);
    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        aml_op(a, AML_STORE), aml_int(a, fields[i].at), aml_local(a, 0);
        aml_op(a, AML_CREATE_DWORD), aml_path(a, "MR64"), aml_local(a, 0),
            aml_path(a, fields[i].name);
    }
    store(a, "MRBL", "MINL"), store(a, "MRBH", "MINH"), store(a, "MRLL", "LENL"),
        store(a, "MRLH", "LENH");
    aml_op(a, AML_ADD), aml_path(a, "MINL"), aml_path(a, "LENL"), aml_path(a, "MAXL");
    aml_op(a, AML_ADD), aml_path(a, "MINH"), aml_path(a, "LENH"), aml_path(a, "MAXH");
    aml_if(a), aml_op(a, AML_LLESS), aml_path(a, "MAXL"), aml_path(a, "MINL");
    aml_op(a, AML_ADD), aml_path(a, "MAXH"), aml_int(a, 1), aml_path(a, "MAXH");
    aml_end(a);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_path(a, "MAXL"), aml_int(a, 0);
    aml_op(a, AML_SUBTRACT), aml_path(a, "MAXH"), aml_int(a, 1), aml_path(a, "MAXH");
    aml_end(a);
    aml_op(a, AML_SUBTRACT), aml_path(a, "MAXL"), aml_int(a, 1), aml_path(a, "MAXL");
    aml_op(a, AML_STORE), aml_path(a, "MR64"), aml_local(a, 1);
    release(a);
    aml_op(a, AML_RETURN), aml_local(a, 1);
    aml_end(a);
}

static void slot_methods(Aml *a)
{
    enum { PRESENT = 0xf };
    method(a, "MRST", 1, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_local(a, 0);
    aml_if(a), aml_path(a, "MES");
    aml_op(a, AML_STORE), aml_int(a, PRESENT), aml_local(a, 0);
    aml_end(a);
    release(a);
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);

    method(a, "MPXM", 1, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_path(a, "MPX"), aml_local(a, 0);
    release(a);
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);

    method(a, "MOST", 3, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_arg(a, 1), aml_path(a, "MOEV");
    aml_op(a, AML_STORE), aml_arg(a, 2), aml_path(a, "MOSC");
    release(a);
    aml_end(a);

    method(a, "MEJ0", 1, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_int(a, 1), aml_path(a, "MEJ");
    release(a);
    aml_end(a);
}

static void slot_name(char name[5], unsigned slot)
{
    g_snprintf(name, 5, "MP%02X", slot & 0xff);
}

/* Tells a slot's event, if there is one, and that it was told. */
static void event(Aml *a, const char *flag, unsigned what)
{
    aml_if(a), aml_path(a, flag);
    aml_path(a, "MTFY"), aml_local(a, 0), aml_int(a, what);
    aml_op(a, AML_STORE), aml_int(a, 1), aml_path(a, flag);
    aml_end(a);
}

static void events(Aml *a, unsigned slots)
{
    aml_method(a, "MTFY", 2, AML_NOT_SERIALIZED);
    for (unsigned i = 0; i < slots; i++) {
        char name[5];
        slot_name(name, i);
        aml_if(a), aml_op(a, AML_LEQUAL), aml_arg(a, 0), aml_int(a, i);
        aml_op(a, AML_NOTIFY), aml_path(a, name), aml_arg(a, 1);
        aml_end(a);
    }
    aml_end(a);

    aml_method(a, "MSCN", 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_int(a, 0), aml_local(a, 0);
    aml_acquire(a, "MLCK");
    aml_while(a), aml_op(a, AML_LLESS), aml_local(a, 0), aml_int(a, slots);
    aml_op(a, AML_STORE), aml_local(a, 0), aml_path(a, "MSEL");
    event(a, "MINS", DEVICE_CHECK);
    event(a, "MRMV", EJECT_REQUEST);
    aml_op(a, AML_ADD), aml_local(a, 0), aml_int(a, 1), aml_local(a, 0);
    aml_end(a);
    release(a);
    aml_end(a);
}

/* Method (name, args) { Return (`asks` (slot)) } */
static void returning(Aml *a, const char *name, const char *asks, unsigned slot)
{
    aml_method(a, name, 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_RETURN), aml_path(a, asks), aml_int(a, slot);
    aml_end(a);
}

static void memory_device(Aml *a, unsigned slot)
{
    char name[5];
    slot_name(name, slot);
    aml_device(a, name);
    aml_name_eisa_id(a, "_HID", "PNP0C80");
    aml_name_int(a, "_UID", slot);
    returning(a, "_STA", "MRST", slot);
    returning(a, "_CRS", "MCRS", slot);
    returning(a, "_PXM", "MPXM", slot);
    aml_method(a, "_OST", 3, AML_NOT_SERIALIZED);
    aml_path(a, "MOST"), aml_int(a, slot), aml_arg(a, 0), aml_arg(a, 1);
    aml_end(a);
    aml_method(a, "_EJ0", 1, AML_NOT_SERIALIZED);
    aml_path(a, "MEJ0"), aml_int(a, slot);
    aml_end(a);
    aml_end(a);
}

void acpi_memory_slots(Aml *a)
{
    unsigned slots = memory_slots() ? memory_slots()->slots : 0;
    if (!slots) {
        return;
    }
    aml_device(a, "\\_SB.MHPC");
    aml_name_eisa_id(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", "Memory hotplug resources");
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    registers(a);
    slot_methods(a);
    resources_method(a);
    events(a, slots);
    for (unsigned i = 0; i < slots; i++) {
        memory_device(a, i);
    }
    aml_end(a);
    aml_method(a, "\\_GPE._E03", 0, AML_NOT_SERIALIZED);
    aml_path(a, "\\_SB.MHPC.MSCN");
    aml_end(a);
}
