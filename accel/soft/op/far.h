/* Private to op/: far transfers, and the parts of them that several files share. */
#ifndef ACCEL_SOFT_OP_FAR_H
#define ACCEL_SOFT_OP_FAR_H

#include "accel/soft/op/descriptor.h"

/* CALL, JMP and RET with a far operand (9A, EA, FF /3, FF /5, CA, CB), OP_END; the near ones are in
 * op/integer-near-flow.c. */
OpFn op_call_far, op_jmp_far, op_ret_far;
/* SS:RSP of the level that RETF or IRET returns to, by the selector and pointer that were popped: #GP. */
Stack outer_stack(SoftCpu *s, const Segment *cs, uint16_t selector, uint64_t sp);

/* ---- interrupt.c ---- */
/* INT n, as opposed to INT3, INTO and INT1: virtual-8086 mode has rules of its own for it (SDM vol 3 §20.3). */
void interrupt_int_n(SoftCpu *s, unsigned vector);

/* ---- smm.c ---- */
OpFn op_rsm;

/* ---- Task switches (task.c; SDM vol 3 §7.3) ---- */
typedef enum TaskSwitch { TASK_JMP, TASK_CALL, TASK_INT, TASK_IRET } TaskSwitch;
/* To the TSS whose descriptor was found for JMP and CALL; its privilege is checked already, nothing else.
 * Returns in the new task. */
void task_switch(SoftCpu *s, Descriptor *tss, TaskSwitch how);
/* Through a task gate, whose own privilege and presence are checked already.  TASK_INT: with an error code
 * for the new stack. */
void task_gate(SoftCpu *s, uint16_t tss_selector, TaskSwitch how, bool has_error, uint32_t error);
/* IRET with NT set. */
void task_return(SoftCpu *s);

#endif
