/* PCI-PCI bridges: the registers and windows that every one has (PCI-to-PCI Bridge 1.2 §3), a base for classes. */
#ifndef HW_PCI_PCI_BRIDGE_H
#define HW_PCI_PCI_BRIDGE_H

#include "hw/pci/pci.h"

enum { BRIDGE_WINDOWS = 4 };            /* I/O, memory, prefetchable memory, VGA's memory */

typedef struct PciBridge {
    PciDevice pci;
    uint8_t primary, secondary, subordinate, secondary_latency;
    uint8_t secondary_latency_mask;     /* 0: what is behind is PCI Express                                  */
    uint8_t io_base, io_limit;
    uint16_t secondary_status, mem_base, mem_limit, prefetch_base, prefetch_limit, control;
    uint32_t prefetch_base_high, prefetch_limit_high;
    PciBus *bus;                        /* behind it */
    Region *mem, *io;                   /* what the devices behind are mapped into */
    Region *window[BRIDGE_WINDOWS];     /* the one of I/O holds `io_part`s, as the guest wants it decoded            */
    GSList *io_part;
    uint64_t window_at[BRIDGE_WINDOWS], window_size[BRIDGE_WINDOWS];
} PciBridge;
extern const DeviceClass bridge_base_class;

#endif
