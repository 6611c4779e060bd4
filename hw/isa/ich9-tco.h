/* The TCO timer of an ICH: a watchdog with two stages.  A part of the LPC bridge: 20h ports behind PMBASE + 60h. */
#ifndef HW_ISA_ICH9_TCO_H
#define HW_ISA_ICH9_TCO_H

#include "hw/device.h"

typedef struct Tco {
    Device dev;
    uint16_t sts1, sts2, cnt1, cnt2, tmr;
    uint8_t dat_in, dat_out, message[2], wdcnt, irq_gen;
    bool second;                        /* the timer runs for the second time                                */
    Timer expiry;
    Irq nmi;                            /* a pulse is one                                                    */
    bool smi_due;                       /* for the whole's update, which knows whether it is enabled         */
    bool nmi_due;
    bool no_reboot;                     /* the whole's: the second expiry is only noted                      */
} Tco;
extern const DeviceClass tco_class;

#endif
