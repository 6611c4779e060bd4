/* VMware's backdoor: a port whose reads are calls, with arguments and results in the processor's registers. */
#ifndef HW_MISC_VMPORT_H
#define HW_MISC_VMPORT_H

#include "hw/device.h"

enum { VMPORT = 0x5658, VMPORT_COMMANDS = 64 };

/* Of the processor that reads; the low halves of its registers.  EAX goes in as the magic number, EBX with an argument,
 * ECX with the command in its low half; what they hold when the command returns is the answer. */
typedef struct VmportRegs {
    uint32_t eax, ebx, ecx, edx, esi, edi;
} VmportRegs;
typedef void VmportCommand(void *arg, VmportRegs *r);

extern const DeviceClass vmport_class;
Region *vmport_region(Device *vmport);  /* realized; for port VMPORT */
/* For boards, before the guest runs: `command` (below VMPORT_COMMANDS) is another device's. */
void vmport_offer(Device *vmport, unsigned command, VmportCommand *fn, void *arg);
/* What a read of the port gives: the result's EAX, all ones for what is no call.  r: as the processor has them, and then
 * the results.  For the region, and for tests. */
uint32_t vmport_call(Device *vmport, VmportRegs *r);

#endif
