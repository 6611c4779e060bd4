/* What the tables of the board "microvm" describe. */
#ifndef HW_BOARD_MICROVM_H
#define HW_BOARD_MICROVM_H

#include "hw/device.h"

enum { MICROVM_TRANSPORTS = 24 };
#define MICROVM_GED_EVENTS UINT32_C(0xfea00000)
#define MICROVM_GED_REGS UINT32_C(0xfea00200)
#define MICROVM_PM_TIMER UINT16_C(0x608)
#define MICROVM_IOAPIC2 UINT32_C(0xfec10000)

typedef struct MicrovmBoard {
    bool two_ioapics;
    unsigned transports, first_gsi;     /* places for virtio devices; the line of the first, the others follow */
    Device *transport[MICROVM_TRANSPORTS];
} MicrovmBoard;
extern MicrovmBoard microvm;

/* Where a transport's registers lie, 512 bytes each. */
static inline uint64_t microvm_transport_at(unsigned i)
{
    return UINT64_C(0xfeb00000) + i * UINT64_C(0x200);
}

#endif
