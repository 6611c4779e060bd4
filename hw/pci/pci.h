/* PCI: functions with a configuration space, buses, and what a host bridge offers them (PCI Local Bus 3.0).
 *
 * A function is a DeviceClass with .base = &pci_device_class, .bus = "PCI" and .info = &(const PciInfo){...}; its struct
 * begins with PciDevice.  The standard header is rows of the base class in SPACE_PCI_CONFIG; the class adds the registers
 * of its own at 40h and above as rows in that space (.space = SPACE_PCI_CONFIG), and capabilities as parts
 * (PCI_MSI_CAP, PCI_MSIX_CAP, PCI_PM_CAP).  BARs are declared in realize by pci_bar.
 *
 * The base class's realize, reset and update run before those of the class.  Main lock held for everything here. */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/device.h"
#include "mem/ram.h"

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

enum { PCI_BARS = 6, PCI_CONFIG_SIZE = 256, PCIE_CONFIG_SIZE = 4096 };
#define PCI_DEVFN(slot, fn) (((slot) << 3) | (fn))
#define PCI_SLOT(devfn) ((devfn) >> 3 & 0x1f)
#define PCI_FUNC(devfn) ((devfn) & 7)

/* Command and status register (§6.2.2, §6.2.3). */
enum {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_PARITY = 1 << 6,
    PCI_COMMAND_SERR = 1 << 8,
    PCI_COMMAND_INTX_OFF = 1 << 10,
    PCI_STATUS_INTX = 1 << 3,
    PCI_STATUS_CAPS = 1 << 4,
};

/* What identifies a function; the constants of a class. */
typedef struct PciInfo {
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem;       /* both 0: 1af4:1100                                         */
    uint32_t class_code;                /* 24 bits: class, subclass, programming interface                   */
    uint8_t revision;
    uint8_t interrupt_pin;              /* 0: none, 1: INTA# ... 4: INTD#                                    */
    bool is_bridge;                     /* header type 1                                                     */
    bool express;                       /* has 4096 bytes of configuration space                             */
    uint16_t command_rw;                /* writable command bits beyond IO, memory, master, parity, SERR, INTx */
    uint16_t command_reset;             /* command register at reset                                         */
    uint16_t command_fixed;             /* command bits that the guest cannot change                         */
    uint16_t status_reset;              /* DEVSEL timing, fast back-to-back ...                              */
    const char *romfile;                /* expansion ROM when the user names none                            */
} PciInfo;

/* ---- Capabilities: parts that a class places in its configuration space ----
 *
 *     PCI_MSI_CAP(Nic, msi, 0x50), PCI_MSIX_CAP(Nic, msix, 0x70), PCI_PM_CAP(Nic, pm, 0x40)
 *
 * A capability answers only after pci_cap_add (in realize), so that a property can leave it out. */
typedef struct PciCap {                 /* how each capability struct begins */
    uint8_t present;                    /* bit 0: in the list (else its registers do not answer); others: variants */
    uint8_t id, next;
} PciCap;

typedef struct PciMsiCap {              /* PCI 3.0 §6.8.1; cap.present bit 1: 64-bit address, bit 2: maskable too */
    PciCap cap;
    uint8_t log2_vectors;               /* that the function asks for                                        */
    uint16_t control;                   /* only the bits that the guest writes                               */
    uint32_t address, address_high, mask, pending;
    uint16_t data, data_wide;           /* where 32-bit and 64-bit variants keep it                          */
} PciMsiCap;

enum { PCI_MSIX_VECTORS = 128 };
typedef struct PciMsixCap {             /* PCI 3.0 §6.8.2 */
    PciCap cap;
    uint16_t vectors;                   /* 1 .. PCI_MSIX_VECTORS                                             */
    uint16_t control;                   /* only the bits that the guest writes                               */
    uint32_t table_at, pba_at;          /* offset and BAR indicator, as the guest reads them                 */
    struct PciMsixVector {
        uint32_t address, address_high, data, control;
    } vector[PCI_MSIX_VECTORS];
    uint32_t pending[PCI_MSIX_VECTORS / 32];
} PciMsixCap;

typedef struct PciPmCap {               /* PCI power management 1.2 §3.2 */
    PciCap cap;
    uint16_t control;                   /* PMCSR: bits 1..0 power state                                      */
} PciPmCap;

extern const DeviceClass pci_msi_cap_class, pci_msix_cap_class, pci_pm_cap_class;
#define PCI_MSI_CAP(T, f, at_) PART(T, f, pci_msi_cap_class, .space = SPACE_PCI_CONFIG, .at = at_)
#define PCI_MSIX_CAP(T, f, at_) PART(T, f, pci_msix_cap_class, .space = SPACE_PCI_CONFIG, .at = at_)
#define PCI_PM_CAP(T, f, at_) PART(T, f, pci_pm_cap_class, .space = SPACE_PCI_CONFIG, .at = at_)

/* ---- A function ---- */
enum PciBarFlags { PCI_BAR_MEM = 0, PCI_BAR_IO = 1, PCI_BAR_64 = 4, PCI_BAR_PREFETCH = 8 };

struct PciDevice {
    Device dev;
    /* properties */
    int32_t devfn;                      /* "addr"; fixed from plug on                                        */
    bool multifunction;
    char *romfile;
    uint32_t acpi_index;                /* by which a system names it; 0: none                               */
    uint32_t rombar;                    /* 0: no BAR for the ROM; firmware gets it through fw_cfg            */
    /* identity: from PciInfo; a class's realize may change it */
    uint16_t vendor_id, device_id, subsystem_vendor_id, subsystem_id;
    uint32_t class_code;
    uint8_t revision_id, interrupt_pin, header_type, is_bridge, cap_pointer;
    uint16_t command_mask;
    uint8_t latency_mask;
    uint32_t bar_mask[PCI_BARS], rom_mask;
    /* registers */
    uint16_t command, status;
    uint8_t cache_line_size, latency_timer, interrupt_line;
    uint32_t bar[PCI_BARS], rom_bar;
    /* outputs */
    bool intx;                          /* the function asks for service: set by pci_irq                     */
    Irq inta;                           /* INTx# towards the bus                                             */
    PciBus *bus;                        /* NULL on the bench                                                 */
    bool bus_master;                    /* command bit 2, for Dma                                            */
    Region *bar_region[PCI_BARS], *rom_region;
    uint64_t bar_at[PCI_BARS], rom_at;  /* where each is mapped; PCI_UNMAPPED                                */
    uint8_t bar_flags[PCI_BARS];
    RamBlock *rom;
    PciMsiCap *msi;                     /* the class's parts, once added                                     */
    PciMsixCap *msix;
    struct PcieCap *express;
    struct PcieAer *aer;
};
#define PCI_UNMAPPED UINT64_MAX

extern const DeviceClass pci_device_class;      /* "pci-device" */
#define PCI_INFO(class_) ((const PciInfo *)(class_)->info)

/* BAR n (0..5) shows `region`, whose size is a power of two (at least 16 for memory, 4 for I/O).  From realize only.
 * PCI_BAR_64 takes n+1 as well.  The region stays the caller's (made by device_region*, so the core frees it). */
void pci_bar(PciDevice *pd, unsigned n, unsigned flags, Region *region);
/* Where BAR n is mapped now: bus address, or PCI_UNMAPPED. */
uint64_t pci_bar_address(const PciDevice *pd, unsigned n);

/* The function's interrupt condition; from update().  INTx# follows it, or, when the guest enabled MSI (vector 0) or
 * MSI-X, a rising condition sends one message. */
void pci_irq(PciDevice *pd, bool level);

/* Put a capability part into the list.  From realize only; the list is in order of these calls, newest first. */
void pci_pm_init(PciDevice *pd, PciPmCap *pm, unsigned at);
/* 1, 2, 4 .. 32 vectors.  maskable implies wide (a 64-bit address). */
void pci_msi_init(PciDevice *pd, PciMsiCap *msi, unsigned at, unsigned vectors, bool wide, bool maskable);
/* Table at `table` in BAR `table_bar`, pending bits at `pba` in BAR `pba_bar`, both multiples of 8: the caller maps
 * pci_msix_table and pci_msix_pba there, into the containers that are those BARs' regions. */
void pci_msix_init(PciDevice *pd, PciMsixCap *msix, unsigned at, unsigned vectors, unsigned table_bar, uint32_t table,
                   unsigned pba_bar, uint32_t pba);
Region *pci_msix_table(PciDevice *pd);  /* made by the call; owned by the device */
Region *pci_msix_pba(PciDevice *pd);
/* The usual layout in a BAR of its own, of 4 KiB: table at 0, pending bits at 800h. */
void pci_msix_init_bar(PciDevice *pd, PciMsixCap *msix, unsigned at, unsigned vectors, unsigned bar);
/* Any other capability or a vendor's: `cap` is the start of a part of the class at config address `at`. */
void pci_cap_add(PciDevice *pd, PciCap *cap, unsigned at, uint8_t id);

bool pci_msi_enabled(const PciDevice *pd);
bool pci_msix_enabled(const PciDevice *pd);
/* Send the message of a vector, or note it as pending while masked.  Without effect when the kind is not enabled. */
void pci_msi_notify(PciDevice *pd, unsigned vector);
void pci_msix_notify(PciDevice *pd, unsigned vector);
/* The message that pci_msix_notify would send now as an interrupt.  False: none, it is masked, or goes elsewhere. */
bool pci_msix_message(const PciDevice *pd, unsigned vector, uint64_t *address, uint32_t *data);

/* ---- Buses ---- */
typedef struct PciHost {                /* what a host bridge provides for its root bus */
    Region *mem, *io;                   /* containers that BARs are mapped into                              */
    Space *dma_space;                   /* what bus masters see                                              */
    /* Interrupt line (0..PCI_LINES-1) that pin 0..3 of devfn on the root bus drives; and the line's OR of all pins. */
    unsigned (*map_irq)(void *opaque, uint8_t devfn, unsigned pin);
    void (*set_irq)(void *opaque, unsigned line, bool level);
    void *opaque;
    Msi msi;                            /* where messages go; empty: written into dma_space                  */
} PciHost;
enum { PCI_LINES = 32 };

/* `name`: "pci.0".  Owned by the host bridge's device (freed by pci_bus_free from its unrealize). */
PciBus *pci_bus_new(Device *host_bridge, const char *name, const PciHost *host);
/* Behind a PCI-PCI bridge; numbers are read where the bridge keeps its registers. */
PciBus *pci_bus_new_secondary(PciDevice *bridge, const char *name, Region *mem, Region *io, const uint8_t *secondary,
                              const uint8_t *subordinate);
void pci_bus_free(PciBus *bus);
/* The interrupt router (PIIX3, ICH9) may come after the bus: replaces map_irq, set_irq and opaque. */
void pci_bus_set_router(PciBus *bus, unsigned (*map_irq)(void *opaque, uint8_t devfn, unsigned pin),
                        void (*set_irq)(void *opaque, unsigned line, bool level), void *opaque);
Bus *pci_bus_as_bus(PciBus *bus);       /* to realize devices on */
PciBus *pci_bus_of(const Bus *bus);     /* of a Bus with type "PCI" */
PciBus *pci_root(void);                 /* the first root bus, or NULL */
unsigned pci_bus_number(const PciBus *bus);
Region *pci_bus_mem(PciBus *bus);       /* containers for BARs, and for what a function decodes at fixed addresses (VGA) */
Region *pci_bus_io(PciBus *bus);
PciBus *pci_bus_find(PciBus *root, unsigned number);    /* NULL: nobody claims it */
bool pci_bus_line_level(const PciBus *bus, unsigned line);      /* of a root bus */
PciDevice *pci_find(const PciBus *bus, unsigned devfn); /* NULL: the slot is empty */
/* A new function on `bus`, not yet realized: device_new + device_set("addr") for boards.  devfn < 0: first free slot. */
PciDevice *pci_new(const DeviceClass *class, const char *id, int devfn, bool multifunction);

/* ---- Slots whose functions come and go while the machine runs ---- */

typedef enum PciSlotChange { SLOT_FILLED, SLOT_EMPTIED } PciSlotChange;

/* A hot-plug controller.  That of a root bus serves what it accepts of the buses behind it, else each bridge has its own. */
typedef struct PciSlots {
    bool (*accepts)(void *opaque, const PciBus *bus);
    void (*plugged)(void *opaque, PciBus *bus, unsigned slot);      /* function 0 has come: tell the guest */
    UnplugAnswer (*unplug_request)(void *opaque, PciBus *bus, PciDevice *pd, GError **error);
    /* Of a bridge's own: a function was there from the start, or function 0 is there no more.  May be NULL. */
    void (*changed)(void *opaque, PciSlotChange what);
} PciSlots;
void pci_bus_set_slots(PciBus *bus, const PciSlots *slots, void *opaque);
bool pci_bus_has_acpi_slots(const PciBus *bus); /* behind a bridge: the root bus's controller speaks for it */
bool pci_bus_has_own_slots(const PciBus *bus);  /* behind a bridge: that one's controller has them come and go */
void pci_bus_set_first(PciBus *bus, unsigned slot);     /* slots before it cannot be used */
unsigned pci_bus_first(const PciBus *bus);
void pci_bus_set_single(PciBus *bus);   /* one slot alone: behind a port of PCI Express */
bool pci_bus_is_single(const PciBus *bus);
/* The guest lets go of, or keeps, what is in the slot: all its functions. */
void pci_slot_gone(PciBus *bus, unsigned slot);
void pci_slot_kept(PciBus *bus, unsigned slot);
void pci_bus_reset(PciBus *bus);        /* RST#: all functions, and those behind their bridges */
void pci_bus_power(PciBus *bus, bool on);       /* without power nobody answers; on either way all are reset */
void pci_slot_power(PciBus *bus, unsigned slot, bool on);
/* The number by which ACPI hot-plug knows a bus; -1: it does not. */
int pci_bus_selector(const PciBus *bus);
void pci_bus_set_selector(PciBus *bus, int selector);
PciDevice *pci_bus_bridge(const PciBus *bus);   /* whose secondary side it is; NULL for a root bus */
void pci_bus_foreach(PciBus *root, void (*fn)(void *arg, PciBus *bus), void *arg);     /* root first */

/* Configuration accesses of 1, 2 or 4 bytes, naturally aligned; an absent function reads as ones. */
uint32_t pci_config_read(PciBus *bus, unsigned devfn, unsigned at, unsigned size);
void pci_config_write(PciBus *bus, unsigned devfn, unsigned at, unsigned size, uint32_t value);

/* Configuration mechanism #1 (§3.2.2.3.2): ports cf8-cff of a host bridge. */
typedef struct PciConfigPorts {
    PciBus *root;
    uint32_t address;                   /* CONFIG_ADDRESS; the bridge declares it as a state row             */
} PciConfigPorts;
extern const IoOps pci_config_ports_ops;        /* opaque: PciConfigPorts; 8 bytes from cf8 */
/* Byte accesses to port `port` of cf8..cfb are no configuration cycles; a chip that has a register there (PIIX3's reset
 * control at cf9) claims it.  ops NULL: gives it back. */
void pci_bus_claim_port(PciBus *root, uint16_t port, const IoOps *ops, void *opaque);

/* ---- For the monitor ---- */
void pci_foreach(PciBus *root, void (*fn)(void *arg, PciDevice *pd), void *arg);       /* buses behind bridges too */
const char *pci_class_text(uint32_t class_code);        /* "VGA controller", "Class 0c05" style: static or interned */
typedef struct PciBarInfo {             /* for query-pci */
    unsigned bar;
    bool memory, prefetch, mem64;
    uint64_t address, size;             /* address PCI_UNMAPPED: not mapped */
} PciBarInfo;
unsigned pci_bars(const PciDevice *pd, PciBarInfo info[PCI_BARS + 1]); /* how many; number 6 is the ROM */
void pci_print(PciBus *root, GString *out);     /* `info pci` */
#endif
