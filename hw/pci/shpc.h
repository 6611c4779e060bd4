/* The standard hot-plug controller of a bridge to conventional PCI (PCI Standard Hot-Plug Controller 1.0): slots 1 to 31, each
 * with an attention button, two indicators and a switch for its power.  A part of bridges; its registers are in BAR 0. */
#ifndef HW_PCI_SHPC_H
#define HW_PCI_SHPC_H

#include "hw/pci/pci.h"

enum { SHPC_SLOTS = 31, SHPC_FIRST = 1, SHPC_AT = 0x98, SHPC_BAR_SIZE = 256 };

typedef struct Shpc {
    PciCap cap;
    uint8_t select;                     /* register that config space shows                                  */
    uint16_t command, status;
    uint32_t serr_int;                  /* what interrupts; a command has ended                              */
    uint32_t slot[SHPC_SLOTS];          /* of device 1 and on: state, indicators, events, masks              */
    uint32_t present;                   /* slots that are filled, as told to the guest; bit 0: device 1      */
    uint32_t left, kept;                /* what the guest has just decided; update() acts on it              */
    PciDevice *pd;
    PciBus *bus;                        /* behind the bridge                                                 */
} Shpc;
extern const DeviceClass shpc_class;
/* Registers in the whole's SPACE_MAIN, which must be free, and at SHPC_AT in its configuration space. */
#define SHPC(T, f) PART(T, f, shpc_class, .space = 0)

/* From realize: capability, BAR 0, and the slots of `behind`. */
void shpc_init(PciDevice *pd, Shpc *s, PciBus *behind);
/* From the whole's reset and update, with the bus as long as there is one; both do nothing where shpc_init was not called. */
void shpc_reset(Shpc *s);
void shpc_update(Shpc *s, PciBus *behind);
bool shpc_asks(const Shpc *s);          /* its interrupt condition */

#endif
