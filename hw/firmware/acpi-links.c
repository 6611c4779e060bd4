/* Interrupt links, and the routes from PCI slots to them. */
#include "hw/firmware/acpi-board.h"

/* ---- Interrupt links (§6.2.13, PNP0C0F) over the PIRQ routing registers of an ISA bridge ---- */

static void interrupts(Aml *a, const uint32_t *lines, uint8_t n)
{
    aml_resources(a);
    aml_interrupts(a, AML_LEVEL | AML_ACTIVE_HIGH | AML_SHARED, lines, n);
    aml_resources_end(a);
}

void acpi_interrupt_link(Aml *a, unsigned n)
{
    enum {
        NOT_ROUTED = 0x80,
        LINE_OFFSET = 5
    }; /* in the register; of the number in the resource */
    static const uint32_t possible[] = {5, 10, 11}, none = 0;
    char name[] = "LNKA", reg[] = "PRQ0";
    name[3] = (char)('A' + n);
    reg[3] = (char)('0' + n);
    aml_device(a, name);
    aml_name_eisa_id(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", n);
    aml_name(a, "_PRS");
    interrupts(a, possible, G_N_ELEMENTS(possible));

    aml_method(a, "_STA", 0, AML_NOT_SERIALIZED);
    aml_if(a), aml_op(a, AML_AND), aml_path(a, reg), aml_int(a, NOT_ROUTED), aml_no_target(a);
    aml_op(a, AML_RETURN), aml_int(a, ACPI_DISABLED);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, ACPI_PRESENT);
    aml_end(a);

    aml_method(a, "_DIS", 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_OR), aml_path(a, reg), aml_int(a, NOT_ROUTED), aml_path(a, reg);
    aml_end(a);

    aml_method(a, "_CRS", 0, AML_SERIALIZED);
    aml_op(a, AML_STORE), interrupts(a, &none, 1), aml_local(a, 0);
    aml_op(a, AML_CREATE_DWORD), aml_local(a, 0), aml_int(a, LINE_OFFSET), aml_path(a, "PRRI");
    aml_if(a), aml_op(a, AML_LLESS), aml_path(a, reg), aml_int(a, NOT_ROUTED);
    aml_op(a, AML_STORE), aml_path(a, reg), aml_path(a, "PRRI");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);

    aml_method(a, "_SRS", 1, AML_SERIALIZED);
    aml_op(a, AML_CREATE_DWORD), aml_arg(a, 0), aml_int(a, LINE_OFFSET), aml_path(a, "PRRI");
    aml_op(a, AML_STORE), aml_path(a, "PRRI"), aml_path(a, reg);
    aml_end(a);
    aml_end(a);
}

/* The SCI's, which cannot be moved. */
void acpi_sci_link(Aml *a, unsigned uid)
{
    static const uint32_t sci = 9;
    aml_device(a, "LNKS");
    aml_name_eisa_id(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", uid);
    aml_name(a, "_PRS");
    interrupts(a, &sci, 1);
    acpi_method_returning(a, "_STA", ACPI_PRESENT);
    aml_method(a, "_DIS", 0, AML_NOT_SERIALIZED);
    aml_end(a);
    aml_name(a, "_CRS");
    interrupts(a, &sci, 1);
    aml_method(a, "_SRS", 1, AML_NOT_SERIALIZED);
    aml_end(a);
    aml_end(a);
}

/* ---- Routes (§6.2.13, _PRT) ---- */

void acpi_routes(Aml *a, const char *name, AcpiLine *line, bool gsi)
{
    enum { SLOTS = 32, PINS = 4, ANY_FUNCTION = 0xffff, FIRST_GSI = 16 };
    aml_name(a, name);
    aml_package(a, SLOTS * PINS);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        for (unsigned pin = 0; pin < PINS; pin++) {
            unsigned to = line(slot, pin);
            char link[] = "LNKA";
            link[3] = (char)(to == ACPI_LINE_SCI ? 'S' : 'A' + to);
            aml_package(a, 4);
            aml_int(a, slot << 16 | ANY_FUNCTION);
            aml_int(a, pin);
            if (gsi) {
                aml_int(a, 0);
                aml_int(a, FIRST_GSI + to);
            } else {
                aml_path(a, link);
                aml_int(a, 0);
            }
            aml_end(a);
        }
    }
    aml_end(a);
}
