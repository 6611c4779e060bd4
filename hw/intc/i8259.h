/* Interrupt controller 8259A with the edge/level register of EISA chipsets (ELCR).
 *
 * Input lines 0..7 are IR0..IR7, pin "int" is INT.  Register space 0: the two ports; space 1: ELCR, one port.  All calls
 * with the main lock held. */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "hw/device.h"

/* Wire the slave's INT to the master's `line`, and the cascade bus. */
void i8259_cascade(Device *master, unsigned line, Device *slave);

/* INTA: accept the request of the highest priority and return its vector (0..255); the slave's where one is wired to the
 * accepted line.  Without a request: the vector of IR7, with no in-service bit (data sheet, "spurious"). */
int i8259_ack(Device *pic);

/* Whether INT is high. */
bool i8259_pending(const Device *pic);

/* IRR, ISR and IMR for `info pic`. */
void i8259_describe(const Device *pic, uint8_t *irr, uint8_t *isr, uint8_t *imr);

#endif
