/* High precision event timers (IA-PC HPET): 3 to 32 comparators on a 64-bit counter of 100 MHz.
 *
 * Register space 0 is the 1 KiB at FED00000h.  Pins: "irq" 0..31 are inputs of the I/O APIC; "legacy" 0 and 1 replace the
 * 8254's IRQ 0 (pin 2 of the I/O APIC) and the RTC's IRQ 8 while pin "leg_rt" is high; the board then keeps those two
 * from their lines.  FSB messages go to hpet_connect's sink.  Main lock held. */
#ifndef HW_TIMER_HPET_H
#define HW_TIMER_HPET_H

#include "hw/device.h"

void hpet_connect(Device *hpet, void (*send)(void *sink, uint64_t address, uint32_t data), void *sink);

/* What firmware reads as fw_cfg item 4 (HPET table): one block per HPET, packed, little-endian. */
typedef struct __attribute__((packed)) HpetFw {
    uint32_t event_timer_block_id;      /* low half of the capabilities register */
    uint64_t address;
    uint16_t min_tick;
    uint8_t page_prot;
} HpetFw;
void hpet_describe(const Device *hpet, uint64_t address, HpetFw *out);

#endif
