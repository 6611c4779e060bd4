/* A virtio driver for tests: a device behind PCI (modern or legacy) or memory-mapped registers (2 or 1), rings of both kinds.
 * Written from the driver's sections of the specification, so that it checks the device and not itself. */
#ifndef TESTS_HW_VIRTIO_BENCH_H
#define TESTS_HW_VIRTIO_BENCH_H

#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"
#include "tests/hw/bench.h"

typedef enum Carrier { PCI_MODERN, PCI_LEGACY, MMIO, MMIO_LEGACY, CARRIERS } Carrier;

enum { VB_DEVFN = PCI_DEVFN(3, 0), VB_MODERN = 0xfe000000, VB_MSIX = 0xfe010000, VB_MMIO = 0xfe020000, VB_IO = 0xc000 };
enum { VB_RINGS = 0x20000, VB_RING_SPACE = 0x8000, VB_TABLES = 0x60000 };
enum { AT_DESC = 0, AT_DRIVER = 0x1000, AT_DEVICE = 0x2000 };   /* within a ring's space; as legacy drivers must lay them */

typedef struct Seg {                    /* a piece of a buffer */
    uint64_t at;
    uint32_t len;
    bool write;
} Seg;

typedef struct VbQueue {
    unsigned index, size;
    uint64_t base;
    uint16_t avail, seen;               /* split: free-running; packed: slots */
    bool avail_wrap, seen_wrap;
    uint16_t slots[VIRTQUEUE_MAX];      /* packed: that a buffer of this id takes */
} VbQueue;

typedef struct Vb {
    Carrier carrier;
    Device *dev, *mmio;                 /* the whole, and the transport of MMIO */
    PciBus *pci;
    bool packed, by_index, indirect, kick_always;
    unsigned messages[8];               /* MSI-X messages by vector (data) */
    bool intx;
    Probe *irq;
} Vb;
extern Vb vb;

/* Make the device; `type` without "-pci" or "-device": "virtio-blk".  The drive, character back end: by `set` before realize. */
void vb_start(Carrier carrier, const char *type, const char *props, void (*set)(Device *dev));
bool vb_is_pci(void);
bool vb_is_legacy(void);

/* ---- Registers ---- */
uint64_t vb_config(unsigned at, unsigned size);
void vb_config_put(unsigned at, unsigned size, uint64_t value);
uint8_t vb_status(void);
void vb_set_status(uint8_t status);
uint64_t vb_features(void);
void vb_accept(uint64_t features);
void vb_reset(void);                    /* and forget the queues */
/* The whole initialization of §3.1.1 up to FEATURES_OK, with `wanted` out of what is offered; false: not accepted. */
bool vb_negotiate(uint64_t wanted);
void vb_ready(void);                    /* DRIVER_OK */
unsigned vb_queue_size(unsigned index); /* that the device offers; 0: there is no such queue */
VbQueue *vb_queue(unsigned index, unsigned size);       /* set it up */
void vb_kick(const VbQueue *q);
uint8_t vb_isr(void);                   /* reads, and so acknowledges */
void vb_msix(bool on);                  /* vectors 0 ..: message data is the vector's number */
void vb_queue_vector(unsigned index, uint16_t vector);
void vb_config_vector(uint16_t vector);

/* ---- Rings ---- */
uint16_t vb_add(VbQueue *q, const Seg *segs, unsigned n);       /* makes it available; its id */
bool vb_used(VbQueue *q, uint16_t *id, uint32_t *len);  /* the next one that came back */
void vb_wait(void);                     /* until back ends are idle */
void vb_put(uint64_t at, unsigned size, uint64_t value);        /* guest memory */
uint64_t vb_get(uint64_t at, unsigned size);

#endif
