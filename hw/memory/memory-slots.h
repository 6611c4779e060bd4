/* Slots for DIMMs, and the registers by which the AML of this machine's tables learns what has come and what is asked to go,
 * and ejects it: the memory hot-plug interface of QEMU's specification acpi_mem_hotplug, 24 bytes at port A00h.  The device
 * offers bus "dimm"; the board says where in memory there is room. */
#ifndef HW_MEMORY_MEMORY_SLOTS_H
#define HW_MEMORY_MEMORY_SLOTS_H

#include "hw/memory/memory-backend.h"
#include "hw/device.h"

enum { MEMORY_SLOTS_PORT = 0xa00, MEMORY_SLOTS_SIZE = 0x18, MEMORY_SLOTS_MOST = 256 };

typedef struct PcDimm {
    Device dev;
    MemoryBackend *memdev;
    uint64_t addr;                      /* 0: where there is room; afterwards where it is                    */
    int32_t slot;                       /* -1: a free one; afterwards its                                    */
    uint32_t node;
} PcDimm;

typedef struct MemorySlots {
    Device dev;
    uint32_t slots;                     /* property */
    uint32_t select, ost_event;
    bool inserted[MEMORY_SLOTS_MOST], removing[MEMORY_SLOTS_MOST];      /* events that the guest has not been told of */
    PcDimm *dimm[MEMORY_SLOTS_MOST];
    Bus *bus;
    Region *room;                       /* where DIMMs are shown ...                                         */
    uint64_t room_at, budget;           /* ... its address, and how many bytes of DIMMs there may be         */
} MemorySlots;

/* The board's: DIMMs go into `room`, which lies at room_at; NULL: no slots, and -m says how to get some. */
Device *memory_slots_new(unsigned slots, Region *room, uint64_t room_at, uint64_t budget, GError **error);
MemorySlots *memory_slots(void);        /* the machine's; NULL: it has none */
void memory_slots_foreach(void (*fn)(void *arg, const PcDimm *d), void *arg);   /* by slot */
uint64_t memory_slots_plugged(int node);                /* bytes; node -1: all */

#endif
