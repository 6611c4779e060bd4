/* Advanced Error Reporting (PCI Express Base 3.0 §6.2, §7.10): which errors a function has seen, and what it tells the root
 * port of them.  A part of functions that are on PCI Express. */
#ifndef HW_PCI_PCIE_AER_H
#define HW_PCI_PCIE_AER_H

#include "hw/pci/pci.h"

enum { PCIE_AER_AT = 0x100, PCIE_TLP_WORDS = 4 };

typedef struct PcieAer {
    uint8_t present;                    /* bit 0: it is there; bit 1: with the registers of a root port               */
    uint32_t uncor_status, uncor_mask, uncor_severity, cor_status, cor_mask;
    uint32_t control;                   /* which error the logs are about; whether there is a prefix         */
    uint32_t header[PCIE_TLP_WORDS], prefix[PCIE_TLP_WORDS];
    uint32_t root_command, root_status, source;
    uint8_t vector;                     /* of the interrupt; set by the whole                                */
    bool asked;                         /* its interrupt condition when the whole last looked                */
} PcieAer;
extern const DeviceClass pcie_aer_class;
#define PCIE_AER(T, f) PART(T, f, pcie_aer_class, .space = SPACE_PCI_CONFIG, .at = PCIE_AER_AT)

/* From realize. */
void pcie_aer_init(PciDevice *pd, PcieAer *aer, bool root_port);
bool pcie_aer_asks(const PcieAer *aer); /* a root port's interrupt condition (§6.2.4.1.2) */

typedef struct PcieError {
    uint32_t status;                    /* one bit, of the correctable or the uncorrectable status register  */
    bool correctable, advisory;         /* advisory: an uncorrectable one that is not fatal, told as a correctable one */
    const uint32_t *header, *prefix;    /* of the packet, PCIE_TLP_WORDS each; NULL: not known               */
} PcieError;
/* A function meets an error, as hardware would.  Main lock held. */
bool pcie_error(PciDevice *pd, const PcieError *e, GError **error);
/* "POISON_TLP": the bit, and of which register.  False: there is no such name. */
bool pcie_error_by_name(const char *name, uint32_t *status, bool *correctable);

#endif
