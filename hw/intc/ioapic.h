/* I/O APIC 82093AA: 24 interrupt pins turned into messages.
 *
 * Input lines 0..23 are INTIN0..23 (true: asserted); register space 0 is the window at FEC00000h; its
 * messages are MSIs.  Main lock held. */
#ifndef HW_INTC_IOAPIC_H
#define HW_INTC_IOAPIC_H

#include "hw/device.h"

enum { IOAPIC_PINS = 24 };

/* Where the messages go; without it they go to platform.send_msi. */
void ioapic_connect(Device *ioapic, void (*send)(void *sink, uint64_t address, uint32_t data), void *sink);

/* A local APIC has ended the level-triggered interrupt `vector` (broadcast of EOI). */
void ioapic_eoi(Device *ioapic, uint8_t vector);

/* A line per pin for `info pic`; appends. */
void ioapic_print(const Device *ioapic, GString *out);

#endif
