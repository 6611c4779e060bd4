/* UART 16550A, without a bus: eight registers, one interrupt output, a byte stream.
 *
 * An attachment embeds a Uart as a part of class serial_class, points its properties at the fields, maps register space 0
 * and wires the pin. */
#ifndef HW_CHAR_UART16550_H
#define HW_CHAR_UART16550_H

#include "char/char.h"
#include "hw/device.h"

enum { UART_FIFO = 16, UART_PORTS = 8 };

typedef struct Uart {
    Device dev;
    Char *chardev;                      /* property; NULL: an open line, everything sent is lost             */
    uint32_t baudbase;                  /* property: baud rate of divisor 1, a sixteenth of the crystal      */
    bool wakeup;                        /* property: a received byte ends suspend-to-RAM                     */
    uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
    uint8_t rx[UART_FIFO];              /* receiver FIFO, oldest first; RBR is rx[0]                         */
    uint8_t rx_error[UART_FIFO];        /* LSR bits PE, FE and BI of each                                    */
    uint8_t rx_n;
    uint8_t tx[1 + UART_FIFO];          /* tx[0] is in the shift register, the others wait behind it         */
    uint8_t tx_n;
    bool overrun;                       /* LSR.OE                                                            */
    bool late;                          /* character timeout indication                                      */
    bool emptied;                       /* THRE interrupt is due                                             */
    uint8_t lines, delta;               /* MSR bits 7-4 as last sampled, shifted down; MSR bits 3-0          */
    Timer idle;                         /* four character times without traffic at the receiver FIFO         */
    Timer shift;                        /* the back end was full: try again                                  */
    Timer poll;                         /* look at a real line's modem signals                               */
    CharLine line;                      /* derived: the setting that the back end knows                      */
    Irq irq;
} Uart;

extern const DeviceClass serial_class;

/* Time of one character, start to last stop bit, with the divisor and format programmed now. */
int64_t uart_char_ns(const Uart *s);

#endif
