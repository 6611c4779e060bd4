/* The fixed hardware of ACPI (ACPI 6.4 §4.8): PM1 status, enable and control, the PM timer, sleeping and waking, the power
 * button.  A part of the chips that have it (PIIX4 function 3, ICH9 LPC): ten bytes of registers, from 0 on. */
#ifndef HW_PCI_ACPI_PM_H
#define HW_PCI_ACPI_PM_H

#include "hw/device.h"

enum { ACPI_PM_SIZE = 0x0c };           /* PM1 event block, PM1 control, two bytes of nothing, the timer             */

/* The PM timer (§4.8.3.3), of this chip and of others that have one: periods since the clock's 0; a guest sees the low bits. */
enum { ACPI_TIMER_HZ = 3579545, ACPI_TIMER_BITS = 24 };
static inline uint64_t acpi_timer_ticks(const Device *dev)
{
    return muldiv64((uint64_t)now(dev), ACPI_TIMER_HZ, NS_PER_SECOND);
}

typedef struct AcpiPm {
    Device dev;
    /* properties */
    uint8_t disable_s3, disable_s4, s4_val;
    /* registers */
    uint16_t sts, en, cnt;
    uint32_t tmr_half;                  /* how often the timer's top bit had turned when TMR_STS was cleared */
    bool suspended;                     /* in S3: the next reset is the way out of it                        */
    uint16_t woken_by;                  /* in S3: status bits of what wakes the machine                      */
    Timer overflow;
    Irq s3;
    void (*gpe)(Device *whole, unsigned bit);           /* set by acpi_pm_init                               */
} AcpiPm;
extern const DeviceClass acpi_pm_class;
#define ACPI_PM(T, f, space_) PART(T, f, acpi_pm_class, .space = space_)

/* From the whole's realize and unrealize: this one has the machine's power button and its general-purpose events, which
 * `gpe` sets in the whole. */
void acpi_pm_init(AcpiPm *pm, void (*gpe)(Device *whole, unsigned bit));
void acpi_pm_exit(AcpiPm *pm);
/* The clock's alarm rang (§4.8.2.4): an event of the machine's PM block, which may be asleep. */
void acpi_pm_alarm(void);
/* A general-purpose event of the machine (§4.8.4.1): sets its status bit; nothing where there is no PM block.  Bits:
 * 1 PCI hot-plug, 2 processors, 3 memory, 5 VM generation. */
enum { GPE_PCI_HOTPLUG = 1, GPE_CPU_HOTPLUG = 2, GPE_MEMORY_HOTPLUG = 3, GPE_VMGENID = 5 };
void acpi_gpe(unsigned bit);
/* Whether the fixed events, or general-purpose ones that the whole knows of, ask for the system control interrupt. */
bool acpi_pm_sci(const AcpiPm *pm, bool gpe);
/* What software asks of the firmware through the SMI command port. */
void acpi_pm_enable(AcpiPm *pm, bool acpi);

#endif
