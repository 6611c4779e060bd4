/* Serial ATA host controllers: Serial ATA AHCI 1.3.1, with the PCI function of the ICH9 ("ich9-ahci", alias "ahci").
 *
 * Each port has a cable (IdeBus) with one device, the same "ide-hd" and "ide-cd" as on an IDE channel.  ahci.c holds the
 * registers, ahci-port.c the engine of a port.  Main lock held. */
#ifndef HW_STORAGE_AHCI_H
#define HW_STORAGE_AHCI_H

#include "hw/pci/pci.h"
#include "hw/storage/ide.h"

enum { AHCI_PORTS = 6, AHCI_SLOTS = 32 };

enum {                                  /* PxCMD (§3.3.7) */
    AHCI_CMD_ST = 1 << 0, AHCI_CMD_SUD = 1 << 1, AHCI_CMD_POD = 1 << 2, AHCI_CMD_CLO = 1 << 3, AHCI_CMD_FRE = 1 << 4,
    AHCI_CMD_FR = 1 << 14, AHCI_CMD_CR = 1 << 15
};
#define AHCI_IS(bit) (UINT32_C(1) << (bit))
enum {                                  /* bits of PxIS (§3.3.5) */
    AHCI_DHRS = 0, AHCI_PSS = 1, AHCI_DSS = 2, AHCI_SDBS = 3, AHCI_DPS = 5, AHCI_PCS = 6, AHCI_PRCS = 22, AHCI_OFS = 24,
    AHCI_INFS = 26, AHCI_IFS = 27, AHCI_HBDS = 28, AHCI_HBFS = 29, AHCI_TFES = 30
};
enum { AHCI_SERR_N = 1 << 16, AHCI_SERR_X = 1 << 26 };  /* PhyRdy changed, device exchanged (§3.3.12) */

typedef struct AhciLink AhciLink;       /* what a port has under way; in ahci-port.c */

typedef struct AhciPort {
    uint32_t clb, clbu, fb, fbu, is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    uint8_t ccs;                        /* slot that was issued last                                         */
    bool halted;                        /* by an error, until software clears ST                             */
    bool sig_due;                       /* the device's first FIS waits for FRE                              */
} AhciPort;

typedef struct Ahci {
    PciDevice pci;
    PciMsiCap msi;
    PciPmCap pm;
    PciCap sata;
    uint32_t ghc, is, index;
    uint32_t told;                      /* of `is`, by a message                                             */
    bool acknowledged;                  /* `is` was written                                                  */
    uint16_t map, pcs;
    AhciPort port[AHCI_PORTS];
    AhciLink *link[AHCI_PORTS];
} Ahci;

extern const DeviceClass ich9_ahci_class;
/* The cable of port n, below AHCI_PORTS. */
IdeBus *ahci_bus(Device *ahci, unsigned n);

/* ---- The engine of a port ---- */
AhciLink *ahci_link_new(Ahci *hba, unsigned n, const char *bus_name);
void ahci_link_free(AhciLink *l);       /* its device is gone, and with it what was under way */
IdeBus *ahci_link_bus(AhciLink *l);
bool ahci_link_busy(const AhciLink *l);
void ahci_link_drain(AhciLink *l);      /* waits until it is not, behind ahci_link_stop */
/* Go on with what can be done: commands issued by software, data, ends of commands. */
void ahci_link_run(AhciLink *l);
/* ST was cleared: commands are forgotten, and so is what the device still does. */
void ahci_link_stop(AhciLink *l);
/* The link comes up: the device, if there is one, tells who it is (§10.4.2).  reset: it was reset. */
void ahci_link_up(AhciLink *l);
void ahci_link_down(AhciLink *l);
void ahci_link_comreset(AhciLink *l);   /* the device is reset; then the link comes up */
void ahci_link_receive_on(AhciLink *l); /* FRE was set */

#endif
