/* DMA controller 8237A with the page registers of the AT: four channels of 8 bits, or, with dshift=1, of 16.
 *
 * A machine has two: channels 0..3 on the first, 4..7 (here 0..3 again) on the second.  Everything here is called with
 * the main lock held, and `chan` is 0..3. */
#ifndef HW_ISA_I8237_H
#define HW_ISA_I8237_H

#include "hw/device.h"

/* What the guest programmed into bits 3..2 of the mode register. */
typedef enum I8237Direction {
    I8237_VERIFY,                       /* addresses run, no byte moves                                      */
    I8237_WRITE,                        /* device -> memory                                                  */
    I8237_READ,                         /* memory -> device                                                  */
    I8237_ILLEGAL,
} I8237Direction;

/* DACK: the channel may move up to `len` bytes now (what is left until terminal count; > 0).  The device moves n <= len
 * of them with i8237_read_memory/i8237_write_memory at positions 0 .. n-1 and returns n.  When n == len, TC came with the
 * last byte: the transfer is over (the channel masks itself, or starts anew when auto-initialising).  Returning 0: not
 * ready after all. */
typedef size_t I8237Transfer(void *opaque, Device *dma, unsigned chan, size_t len);

/* Wire a device to a channel.  False: it has one already.  transfer NULL detaches. */
bool i8237_attach(Device *dma, unsigned chan, I8237Transfer *transfer, void *opaque);

/* DREQ.  Raising it calls `transfer` before this returns if the channel is enabled, else as soon as the guest enables
 * it; raising it again while it is high says that more bytes are ready.  The device lowers it when it has no more. */
void i8237_hold(Device *dma, unsigned chan, bool level);

/* Bytes of the transfer in progress, from within I8237Transfer: `pos` counts from its start.  Reading in any direction but
 * I8237_READ gives ones; writing in any but I8237_WRITE is lost, as with MEMR#/MEMW# held off. */
void i8237_read_memory(Device *dma, unsigned chan, void *buf, size_t pos, size_t len);
void i8237_write_memory(Device *dma, unsigned chan, const void *buf, size_t pos, size_t len);

I8237Direction i8237_direction(const Device *dma, unsigned chan);
/* Auto-initialise mode is on. */
bool i8237_auto(const Device *dma, unsigned chan);
/* Unmasked, and the controller enabled. */
bool i8237_enabled(const Device *dma, unsigned chan);

/* The 16 registers as ports: one apart, or two with dshift=1.  Owned by the device; made in realize.
 * The page registers are register space 1 (eight ports from 80h or 88h), by device_region. */
Region *i8237_region(Device *dma);

#endif
