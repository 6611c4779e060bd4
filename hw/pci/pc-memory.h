/* The memory map of a PC: RAM on both sides of the 4 GiB hole, the firmware's places, and the areas C0000h-FFFFFh that a
 * host bridge switches between RAM and PCI (PAM).  Main lock held. */
#ifndef HW_PCI_PC_MEMORY_H
#define HW_PCI_PC_MEMORY_H

#include "mem/ram.h"
#include "mem/region.h"

enum { PAM_AREAS = 13 };                /* C0000h-EFFFFh in 16 KiB steps, and F0000h-FFFFFh */

typedef struct PcMemory {
    uint64_t below_4g, above_4g;        /* bytes of RAM on either side of the hole                           */
    uint64_t above_at;                  /* where the upper part begins: 4 GiB, or 1 TiB                      */
    uint64_t plug_at, plug_size;        /* for memory that is plugged in; size 0: none can be                */
    Region *ram;                        /* all RAM as one region from 0; the caller's                        */
    Region *ram_low, *ram_high;         /* where the memory space shows it; ram_high may be NULL             */
    Region *plug;                       /* a container there, or NULL                                        */
    Region *pci;                        /* PCI memory, 2^64 bytes; seen wherever nothing else is             */
    Region *bios_high, *bios_isa;       /* the firmware at 4 GiB - size; its last 128 KiB at E0000h, in PCI  */
} PcMemory;

/* Where a board's RAM below 4 GiB ends: at `most`, or, when there is more of it, at `split`, so that both parts keep
 * gigabyte pages. */
typedef struct PcSplit {
    uint64_t most, split;
} PcSplit;
extern const PcSplit pc_split_i440fx;   /* 3.5 GiB, 3 GiB */
extern const PcSplit pc_split_q35;      /* 2.75 GiB, where the configuration window begins; 2 GiB */

/* How much of `ram_size` bytes lies below 4 GiB.  max_below_4g, when it is not 0, is the most instead. */
uint64_t pc_ram_below_4g(const PcSplit *board, uint64_t ram_size, uint64_t max_below_4g);

/* What the user asked for.  Plugged memory gets max - size bytes of addresses, and a gigabyte more for each slot, so that
 * every DIMM can be aligned to one. */
typedef struct PcRam {
    uint64_t size, max;                 /* bytes; max 0, or slots 0: nothing can be plugged                  */
    unsigned slots;
    uint64_t max_below_4g;
    bool amd;                           /* the CPU's vendor                                                  */
} PcRam;
/* AMD's systems keep FD00000000h up to 1 TiB for HyperTransport: no DMA of a passed-through device gets there (AMD IOMMU
 * specification 3.05 §2.1.2, "special address controls").  So, as on QEMU's boards since 7.1, where RAM or what may be
 * plugged would reach into it, all RAM above 4 GiB lies from 1 TiB on instead. */
enum { PC_HT_GIB = 1012, PC_HT_END_GIB = 1024 };
/* Map `ram` into the memory space and make the PCI space.  Undone by pc_memory_free. */
void pc_memory_init(PcMemory *m, const PcSplit *board, Region *ram, const PcRam *want);
/* One past the last address of RAM, there now or plugged later. */
uint64_t pc_memory_end(const PcMemory *m);
/* Show the firmware image: up to 16 MiB, a multiple of 64 KiB.  The block stays the caller's. */
void pc_memory_map_bios(PcMemory *m, RamBlock *bios);
void pc_memory_free(PcMemory *m);
/* A region where nobody answers: it hides RAM below it.  The caller's. */
Region *pc_memory_hole(const char *name, uint64_t size);

/* Programmable attribute map.  Bit 0 of an area's attributes: reads go to RAM; bit 1: writes do.  The others go to PCI. */
typedef struct PamAreas {
    Region *hole, *pci;                 /* cover the RAM from C0000h on where no area shows it               */
    Space *pci_view, *ram_view;         /* for areas that read from one and write to the other               */
    Region *pci_alias, *ram_alias;
    struct PamArea {
        struct PamAreas *all;
        uint32_t at;
        Region *ram, *split;
    } area[PAM_AREAS];
} PamAreas;
void pam_init(PamAreas *p, const PcMemory *m);
/* area 0: F0000h-FFFFFh; 1: C0000h ... 12: EC000h, as the registers count them. */
void pam_set(PamAreas *p, unsigned area, unsigned attributes);
void pam_free(PamAreas *p);

/* System management RAM: what CPUs in that mode see, and what hides it from everything else. */
typedef struct SmramAreas {
    Space *space;                       /* the memory space with SMRAM on top */
    Region *all;
    Region *hole, *window;              /* PCI (the VGA card) over the RAM at A0000h */
    Region *compatible;                 /* that RAM */
    Region *top_hole, *top;             /* RAM at the top of what lies below 4 GiB (TSEG); NULL: none now */
    uint64_t top_size;
} SmramAreas;
void smram_init(SmramAreas *s, const PcMemory *m);
/* A0000h-BFFFFh: enabled for SMM; open: everybody sees it. */
void smram_set(SmramAreas *s, bool enabled, bool open);
/* `size` bytes below m->below_4g are SMRAM, and hidden from others; 0: none. */
void smram_set_top(SmramAreas *s, const PcMemory *m, uint64_t size);
void smram_free(SmramAreas *s);

#endif
