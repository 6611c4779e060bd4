/* The SSDT by which a guest finds the VM generation identifier, and hears that it changed. */
#include "hw/firmware/acpi.h"
#include "hw/firmware/aml.h"
#include "hw/misc/vmgenid.h"

static void present_method(Aml *a)
{
    enum { PRESENT = 0xf };
    aml_method(a, "_STA", 0, AML_NOT_SERIALIZED);
    aml_if(a), aml_op(a, AML_LEQUAL), aml_path(a, "VGIA"), aml_int(a, 0);
    aml_op(a, AML_RETURN), aml_int(a, 0);
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, PRESENT);
    aml_end(a);
}

/* A package of the lower and the upper half of the address. */
static void address_method(Aml *a)
{
    aml_method(a, "ADDR", 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_STORE), aml_package(a, 2), aml_int(a, 0), aml_int(a, 0), aml_end(a), aml_local(a, 0);
    aml_op(a, AML_STORE), aml_op(a, AML_ADD), aml_path(a, "VGIA"), aml_int(a, VMGENID_OFFSET), aml_no_target(a);
    aml_op(a, AML_INDEX), aml_local(a, 0), aml_int(a, 0), aml_no_target(a);
    aml_op(a, AML_RETURN), aml_local(a, 0);
    aml_end(a);
}

GByteArray *acpi_vmgenid(uint32_t *address_at)
{
    enum { DWORD_PREFIX = 0x0c };
    static const uint8_t zero[5] = {DWORD_PREFIX};
    Aml *a = aml_new();
    aml_name(a, "VGIA");
    *address_at = a->out->len + 1;
    aml_raw(a, zero, sizeof(zero));
    aml_scope(a, "\\_SB");
    aml_device(a, "VGEN");
    aml_name_string(a, "_HID", "QEMUVGID");
    aml_name_string(a, "_CID", "VM_Gen_Counter");
    aml_name_string(a, "_DDN", "VM_Gen_Counter");
    present_method(a);
    address_method(a);
    aml_end(a);
    aml_end(a);
    aml_method(a, "\\_GPE._E05", 0, AML_NOT_SERIALIZED);
    aml_op(a, AML_NOTIFY), aml_path(a, "\\_SB.VGEN"), aml_int(a, 0x80);
    aml_end(a);
    return aml_finish(a);
}
