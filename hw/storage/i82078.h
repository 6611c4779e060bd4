/* Floppy disk controller 82078 in PC-AT mode, without a bus: registers, an interrupt and a DMA request output.
 *
 * Whoever serves the DMA request moves bytes through fdc_window and fdc_moved. */
#ifndef HW_STORAGE_I82078_H
#define HW_STORAGE_I82078_H

#include "hw/device.h"
#include "hw/storage/floppy.h"

enum { FDC_PORTS = 8, FDC_COMMAND_MAX = 17, FDC_SELECTS = 4 };

typedef struct Fdc {
    Device dev;
    FloppyBus cable;                    /* wired by floppy_bus_new                                           */
    uint8_t dor, tdr, dsr, rate;        /* rate: as CCR or DSR set it last                                   */
    uint8_t specify[2], config[2], perpendicular, powerdown, option;
    bool lock;
    uint8_t phase;                      /* enum in i82078.c                                                  */
    uint8_t fifo[FDC_COMMAND_MAX];      /* the command, then its result                                      */
    uint8_t fifo_n, fifo_pos;           /* bytes of either; bytes of the result that were read               */
    uint8_t pcn[FDC_SELECTS];           /* present cylinder numbers                                          */
    uint8_t polled, seek_end, seek_failed;      /* bit per drive: SENSE INTERRUPT has something to tell      */
    bool result_irq;                    /* the result phase's interrupt is due                               */
    /* execution of a transfer */
    uint8_t stage;
    uint8_t c, h, r, n;                 /* the ID that is looked for                                         */
    uint8_t side;                       /* head select line                                                  */
    uint8_t left;                       /* sectors to go, for commands that count                            */
    uint8_t st0, st1, st2;              /* bits gathered for the result                                      */
    int8_t order;                       /* SCAN: medium compared to host so far: -1 less, 0 equal, 1 greater */
    bool tc;                            /* the last byte came with terminal count                            */
    uint16_t pos;                       /* bytes that moved between host and buffer                          */
    uint8_t buffer[FLOPPY_SECTOR];
    uint8_t host[FLOPPY_SECTOR];        /* derived: SCAN's window for the host's bytes                       */
    DriveRequest *inflight;             /* derived: repeated after a load                                    */
    bool stale;                         /* derived: a reset made its answer worthless                        */
    Irq irq, drq;
} Fdc;

extern const DeviceClass i82078_class;

/* The bytes that the chip can move now: where they are, how many (0: none), and whether they go to the host. */
size_t fdc_window(Fdc *s, uint8_t **bytes, bool *to_host);
/* `n` of them were moved (read from or stored in the window); tc: the last came with terminal count.  The caller asks for
 * the window again, as more may be ready, and settles the device at last. */
void fdc_moved(Fdc *s, size_t n, bool tc);

#endif
