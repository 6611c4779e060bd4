/* Input and output: shared by IN, OUT and the string forms. */
#ifndef ACCEL_SOFT_OP_IO_H
#define ACCEL_SOFT_OP_IO_H

#include "accel/soft/soft.h"

/* Whether the code that runs may access these ports: IOPL, and the permission bitmap of the TSS (SDM vol 1
 * §19.5); else #GP(0).  May raise faults of its own while reading the TSS.  size 1, 2, 4. */
void io_check(SoftCpu *s, unsigned port, unsigned size);
/* DR6 bits of the I/O breakpoints that an access meets (CR4.DE, SDM vol 3 §18.2.4); 0: none.  Reported
 * behind the instruction, by soft_debug_trap. */
unsigned io_breakpoints(const SoftCpu *s, unsigned port, unsigned size);

#endif
