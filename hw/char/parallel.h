/* Parallel port of the PC, without a bus: data, status, control, one interrupt, a printer behind them. */
#ifndef HW_CHAR_PARALLEL_H
#define HW_CHAR_PARALLEL_H

#include "char/char.h"
#include "hw/device.h"

enum { PARALLEL_PORTS = 3 };

typedef struct Parallel {
    Device dev;
    Char *chardev;                      /* property; NULL: a printer that takes everything                   */
    uint8_t data, control;
    uint8_t strobed;                    /* the byte that the printer was given ...                           */
    bool busy;                          /* ... and has not taken yet                                         */
    bool acked;                         /* nACK came since the program last looked                           */
    Timer retry;                        /* the back end was full: try again                                  */
    Irq irq;
} Parallel;

extern const DeviceClass parallel_class;

#endif
