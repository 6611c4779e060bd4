/* The loop of the software CPU, for the accelerator. */
#ifndef ACCEL_SOFT_RUN_H
#define ACCEL_SOFT_RUN_H

#include "accel/soft/soft.h"

typedef enum SoftExit {
    SOFT_WANTED,                        /* c->kicked, or an event that is the thread's           */
    SOFT_HALTED, SOFT_TRIPLE,
    SOFT_FAULT,                         /* catch_faults: see s->fault                            */
    SOFT_COUNTED,                       /* s->left is used up                                    */
    SOFT_DEBUG,                         /* a debugger has the machine stopped                    */
} SoftExit;
SoftExit soft_execute(SoftCpu *s);

#endif
