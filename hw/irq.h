/* Pins: interrupt and other signal lines from a device to whoever is wired to it. */
#ifndef HW_IRQ_H
#define HW_IRQ_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Irq {
    void (*set)(void *sink, unsigned line, bool level); /* NULL: not connected */
    void *sink;
    unsigned line;
    bool level;                         /* cached, so a repeated level is free */
} Irq;

/* Drive the pin.  From update() only; main lock held. */
static inline void irq_set(Irq *irq, bool level)
{
    if (irq->level != level) {
        irq->level = level;
        if (irq->set) {
            irq->set(irq->sink, irq->line, level);
        }
    }
}

/* Wire a pin; the sink learns of a level that is already high. */
static inline void irq_connect(Irq *irq, void (*set)(void *sink, unsigned line, bool level), void *sink, unsigned line)
{
    irq->set = set;
    irq->sink = sink;
    irq->line = line;
    if (irq->level && set) {
        set(sink, line, true);
    }
}

/* A message output: a memory write of `data` to `address` that interrupts a CPU (PCI MSI, I/O APIC, HPET FSB). */
typedef struct Msi {
    void (*send)(void *sink, uint64_t address, uint32_t data);
    void *sink;
} Msi;

static inline void msi_send(const Msi *msi, uint64_t address, uint32_t data)
{
    if (msi->send) {
        msi->send(msi->sink, address, data);
    }
}

#endif
