/* The ISA bus: 16-bit ports, interrupt lines and DMA channels, behind whichever bridge offers it (PIIX3, ICH9 LPC).
 *
 * A device finds the bus through the functions below, from its realize.  They do nothing when the device sits on no bus,
 * so that a test may realize it alone.  Main lock held. */
#ifndef HW_ISA_ISA_H
#define HW_ISA_ISA_H

#include "hw/device.h"

enum { ISA_IRQS = 16 };

typedef struct IsaBus {
    Bus *bus;                           /* "isa.0"                                                           */
    Region *io, *memory;                /* where ports and ISA memory are mapped; not owned                  */
    Irq irq[ISA_IRQS];                  /* the lines towards the interrupt controllers; the board connects   */
    Device *dma[2];                     /* 8237s: channels 0-3, channels 5-7; the board sets; NULL: none     */
    uint16_t high[ISA_IRQS];            /* devices that hold the line high                                   */
    GSList *uses;                       /* struct IsaUse, in isa.c                                           */
} IsaBus;

/* What a class says of itself in DeviceClass.info when DeviceClass.bus is "ISA"; may be absent. */
typedef struct IsaInfo {
    const char *fw_name;                /* the OpenFirmware node of the boot order: "fdc", "serial"          */
} IsaInfo;

/* The bus behind bridge `parent` (NULL: the board's own).  `io` and `memory` are containers that outlive the bus. */
IsaBus *isa_bus_new(Device *parent, Region *io, Region *memory);
/* After its devices and its Bus are gone. */
void isa_bus_free(IsaBus *isa);

/* The bus that `dev`, or the whole it is a part of, is plugged into; NULL: none. */
IsaBus *isa_bus(const Device *dev);
/* The first ISA bus of the machine; NULL: none. */
IsaBus *isa_bus_find(void);

/* Show a region of `dev` at a port, or in the low 16 MiB of memory.  Overlap with another card is allowed, as it is for
 * jumpers: the one mapped last answers. */
void isa_map(Device *dev, Region *r, uint16_t port);
void isa_map_memory(Device *dev, Region *r, uint32_t address);

/* Wire an output pin of `dev` to interrupt line `line` (below ISA_IRQS).  Devices that share a line are ORed.  The wire
 * goes when the device does. */
void isa_irq(Device *dev, Irq *pin, unsigned line);
/* The same for a device on another bus that drives ISA lines (an interrupt router, IDE in legacy mode).  The caller sets
 * pin->set to NULL before `isa` goes. */
void isa_irq_from(IsaBus *isa, Irq *pin, unsigned line);
/* isa_irq for a property that a person set: false and *error when there is no such line. */
bool isa_irq_checked(Device *dev, Irq *pin, unsigned line, GError **error);

/* How many realized devices of the class of `dev` the bus held before it: COM ports are numbered so. */
unsigned isa_siblings(const Device *dev);

#endif
