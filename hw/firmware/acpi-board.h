/* What the ACPI tables of one PC board have that another's do not.  acpi-i440fx.c and acpi-q35.c fill it in. */
#ifndef HW_FIRMWARE_ACPI_BOARD_H
#define HW_FIRMWARE_ACPI_BOARD_H

#include "hw/firmware/acpi.h"
#include "hw/firmware/aml.h"
#include "hw/pci/pci.h"

enum { ACPI_PRESENT = 0xb, ACPI_DISABLED = 0x9 };       /* _STA, ACPI 6.4 §6.3.7 */

typedef struct AcpiReduced {           /* hardware-reduced ACPI (ACPI 6.4 §4.1): no fixed registers, no SCI    */
    uint64_t sleep_control, sleep_status, reset;        /* addresses of bytes in memory                      */
    uint32_t timer;                     /* the PM timer's port; 0: none                                      */
    uint8_t reset_value, s5;            /* S5: its SLP_TYP                                                   */
    bool isa;                           /* devices with ports of an AT may be there                          */
    uint32_t (*ioapic2)(void);          /* where a second I/O APIC lies; 0: there is none                    */
    void (*devices)(Aml *a);            /* in \\_SB: events, and what the bus cannot enumerate             */
} AcpiReduced;

typedef struct AcpiBoard {
    const AcpiReduced *reduced;         /* then only `pm` of the following counts; NULL: the usual hardware  */
    const char *pm;                     /* class of the chip with the fixed hardware of ACPI                 */
    unsigned pm_register;               /* in its configuration space: the base of its ports                 */
    uint32_t pm_usual, pm_mask;         /* where firmware usually puts them; address bits of the register    */
    uint32_t gpe, gpe_len;              /* general-purpose events: where, or from the base on when relative  */
    bool gpe_relative;
    uint8_t smi_cmd, enable, disable;
    bool reset_register;                /* port CF9h resets                                                  */
    uint16_t cpu_hotplug;               /* port of its registers                                             */
    /* The configuration window: false: there is none now.  NULL: never. */
    bool (*ecam)(uint64_t *at, uint64_t *size);
    void (*globals)(Aml *a);            /* at the root of the name space; may be NULL                        */
    void (*root)(Aml *a);               /* in \\_SB.PCI0: identification                                     */
    void (*isa_bridge)(Aml *a);         /* in \\_SB.PCI0.ISA: address, registers                             */
    void (*interrupts)(Aml *a);         /* in \\_SB: links, and \\_SB.PCI0._PRT                              */
} AcpiBoard;
extern const AcpiBoard acpi_i440fx, acpi_q35, acpi_microvm;

/* Of the machine as it stands. */
const AcpiBoard *acpi_board(void);
Device *acpi_pm_device(const AcpiBoard *board); /* NULL: it has none */
/* Method (name) { Return (value) } */
void acpi_method_returning(Aml *a, const char *name, uint64_t value);

/* In \\_SB: processors, and \\_GPE._E02 (acpi-cpus.c). */
void acpi_processors(Aml *a, uint16_t port);
/* The same where none comes or goes: those that are there. */
void acpi_fixed_processors(Aml *a);

/* Interrupt links LNKA ... (§6.2.13, PNP0C0F) over routing registers PRQ0 ..., 80h in them: not routed. */
void acpi_interrupt_link(Aml *a, unsigned n);
/* A package for _PRT: an entry for each of the slots' pins, with a link or the number of a GSI, by what `line` says. */
typedef unsigned AcpiLine(unsigned slot, unsigned pin);
void acpi_routes(Aml *a, const char *name, AcpiLine *line, bool gsi);
/* The SCI's link, "LNKS", for a board that routes it by _PRT; it cannot be moved. */
void acpi_sci_link(Aml *a, unsigned uid);
enum { ACPI_LINE_SCI = 0xff };          /* AcpiLine: that link                                               */

/* In \\_SB.PCI0: slots that this guest may fill and empty by way of the hot-plug registers at `port`, here and behind
 * bridges; and \\_GPE._E01 (acpi-pcihp.c). */
void acpi_pci_slots(Aml *a, PciBus *root, uint16_t port, bool on_root, bool behind_bridges);

/* In \\_SB.PCI0, where there are no such slots: functions that have an acpi-index, on all buses; and of what comes and goes
 * without ACPI, when there is an "acpi-pci-index" at `port` (0: none). */
void acpi_pci_indices(Aml *a, PciBus *root, uint16_t port);

/* Memory devices for the machine's slots, if it has any, and \\_GPE._E03 (acpi-memory.c). */
void acpi_memory_slots(Aml *a);

#endif
