/* edu: a PCI card for teaching.  An identity, a liveness check, a slow factorial, interrupts to raise, and a DMA engine
 * with 4 KiB of its own memory.  docs/device-howto.md walks through this file. */
#include "hw/pci/pci.h"

enum { EDU_BAR_SIZE = 1 << 20, EDU_BUFFER = 0x40000, EDU_BUFFER_SIZE = 4096 };
enum { COMPUTING = 0x01, STATUS_IRQ = 0x80, DMA_RUN = 1, DMA_TO_RAM = 2, DMA_IRQ = 4 };
enum { IRQ_FACTORIAL = 0x001, IRQ_DMA = 0x100, RAISE = 1, ACK = 0, COMPUTING_NS = 10000, MOVING_NS = 100000 };

typedef struct Edu {
    PciDevice pci;
    PciMsiCap msi;
    uint64_t dma_mask;                  /* property: address bits that the DMA engine drives                 */
    uint32_t liveness, factorial, fact_status, irq_status;
    uint64_t source, destination, count, dma_command;
    uint8_t buffer[EDU_BUFFER_SIZE];
    Timer computed, moved;
} Edu;

static void liveness_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    ((Edu *)dev)->liveness = (uint32_t)~value;
}

static void factorial_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Edu *s = dev;
    s->fact_status |= COMPUTING;
    timer_at(&s->computed, now(dev) + COMPUTING_NS);
}

static void computed(void *dev, unsigned i)
{
    Edu *s = dev;
    uint32_t n = MIN(s->factorial, 34); /* 34! has 32 factors of two: 0 from there on */
    for (s->factorial = 1; n > 1; n--) {
        s->factorial *= n;
    }
    s->fact_status &= ~COMPUTING;
    s->irq_status |= s->fact_status & STATUS_IRQ ? IRQ_FACTORIAL : 0;
}

static void irq_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Edu *s = dev;
    s->irq_status = (uint32_t)(arg == RAISE ? s->irq_status | value : s->irq_status & ~value);
}

static void command_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    timer_at(&((Edu *)dev)->moved, value & DMA_RUN ? now(dev) + MOVING_NS : TIMER_OFF);
}

static void moved(void *dev, unsigned i)
{
    Edu *s = dev;
    bool to_ram = s->dma_command & DMA_TO_RAM;
    uint64_t at = (to_ram ? s->source : s->destination) - EDU_BUFFER;
    uint64_t ram = (to_ram ? s->destination : s->source) & s->dma_mask;
    if (at > EDU_BUFFER_SIZE || s->count > EDU_BUFFER_SIZE - at) {
        guest_error(&s->pci.dev, "DMA beyond the card's memory");
    } else if (to_ram) {
        dma_write(s->pci.dev.dma, ram, s->buffer + at, s->count);
    } else {
        dma_read(s->pci.dev.dma, ram, s->buffer + at, s->count);
    }
    s->dma_command &= ~(uint64_t)DMA_RUN;
    s->irq_status |= s->dma_command & DMA_IRQ ? IRQ_DMA : 0;
}

static bool edu_realize(void *dev, GError **error)
{
    Edu *s = dev;
    pci_msi_init(&s->pci, &s->msi, 0x40, 1, true, false);
    pci_bar(&s->pci, 0, PCI_BAR_MEM, device_region(&s->pci.dev, SPACE_MAIN, "edu-mmio", EDU_BAR_SIZE));
    return true;
}

static void edu_update(void *dev)
{
    pci_irq(dev, ((Edu *)dev)->irq_status);
}

static const Row rows[] = {
    PROP(Edu, dma_mask, "0x0fffffff", "Address bits that the DMA engine drives"),
    CALC(id, 4, 0x00, .ro = true, .is = 0x010000ed, .doc = "Identification: version 1.0"),
    REG(Edu, liveness, 0x04, .rw = UINT32_MAX, .on_write = liveness_write, .doc = "Reads as the inverse"),
    REG(Edu, factorial, 0x08, .rw = UINT32_MAX, LOCK(Edu, fact_status, COMPUTING, 0), .on_write = factorial_write),
    REG(Edu, fact_status, 0x20, .rw = STATUS_IRQ, .bits = "COMPUTING - - - - - - IRQ"),
    REG(Edu, irq_status, 0x24, .doc = "Why it interrupts"),
    CALC(irq_raise, 4, 0x60, .wo = true, .on_write = irq_write, .arg = RAISE, .doc = "Sets bits of irq_status"),
    CALC(irq_ack, 4, 0x64, .wo = true, .on_write = irq_write, .arg = ACK, .doc = "Clears bits of irq_status"),
    REG(Edu, source, 0x80, .rw = UINT64_MAX, LOCK(Edu, dma_command, DMA_RUN, 0)),
    REG(Edu, destination, 0x88, .rw = UINT64_MAX, LOCK(Edu, dma_command, DMA_RUN, 0)),
    REG(Edu, count, 0x90, .rw = UINT64_MAX, LOCK(Edu, dma_command, DMA_RUN, 0)),
    REG(Edu, dma_command, 0x98, .rw = 7, LOCK(Edu, dma_command, DMA_RUN, 0), .on_write = command_write),
    STATES(Edu, buffer),
    TIMER(Edu, computed, computed),
    TIMER(Edu, moved, moved),
    PCI_MSI_CAP(Edu, msi, 0x40),
    END,
};

const DeviceClass edu_class = {
    .name = "edu",
    .doc = "PCI card for teaching",
    .base = &pci_device_class, .bus = "PCI",
    .category = "misc",
    .hotpluggable = true,
    .size = sizeof(Edu),
    .rows = rows,
    .info = &(const PciInfo){0x1234, 0x11e8, .revision = 0x10, .class_code = 0x00ff00, .interrupt_pin = 1},
    .realize = edu_realize,
    .update = edu_update,
};
