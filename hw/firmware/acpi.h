/* Inside of the ACPI tables: what acpi.c, acpi-dsdt.c and acpi-option.c share. */
#ifndef HW_FIRMWARE_ACPI_H
#define HW_FIRMWARE_ACPI_H

#include "hw/firmware/fw-cfg.h"

enum { ACPI_OEM_ID = 6, ACPI_OEM_TABLE_ID = 8, ACPI_COMPILER_ID = 4 };

typedef struct AcpiHeader { /* ACPI 6.4 §5.2.6 */
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[ACPI_OEM_ID], oem_table_id[ACPI_OEM_TABLE_ID];
    uint32_t oem_revision;
    char compiler_id[ACPI_COMPILER_ID];
    uint32_t compiler_revision;
} __attribute__((packed)) AcpiHeader;

/* The files of the tables, from the machine as it stands; made again whenever the firmware asks,
 * since it decides where PCI functions decode.  Checks x-oem-id and x-oem-table-id. */
bool acpi_add(FwCfg *fw, GError **error);

/* The header of a table of ours; length and checksum follow when the table is complete. */
AcpiHeader acpi_header(const char *signature, uint8_t revision);

/* The MADT's entry for a processor (ACPI 6.4 §5.2.12.2, .12); not enabled: it may come later. */
void acpi_madt_cpu(GByteArray *b, uint32_t apic_id, uint32_t uid, bool enabled);

/* acpi-dsdt.c: the AML behind the DSDT's header. */
GByteArray *acpi_dsdt(void);

/* acpi-numa.c: the tables with their headers; the caller unrefs. */
GByteArray *acpi_srat(void);
GByteArray *acpi_slit(void);

/* acpi-vmgenid.c: the AML of an SSDT for the VM generation identifier; *address_at: of the four bytes within it that
 * become the address of the page. */
GByteArray *acpi_vmgenid(uint32_t *address_at);

/* acpi-option.c: tables of -acpitable, each a GByteArray with its header. */
GPtrArray *acpi_user_tables(void);

#endif
