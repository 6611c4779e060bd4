/* Guest debugging: breakpoints, watchpoints and single steps, for the gdb stub and the tests.
 *
 * Settings hold for every CPU; single step for one.  When one is met the CPU stops, the machine
 * goes to RUN_DEBUG and debug_stop says why.  Main lock held for all of it, and the machine stopped
 * for all but debug_remove_all. */
#ifndef ACCEL_DEBUG_H
#define ACCEL_DEBUG_H

#include "core/error.h"
#include "cpu/cpu.h"

typedef enum DebugKind {
    DEBUG_SOFTWARE, /* INT3 at a linear address: any number, visible to the guest */
    DEBUG_HARDWARE, /* a debug register: at most four with the watchpoints        */
    DEBUG_WATCH_WRITE,
    DEBUG_WATCH_READ, /* x86 has no read-only watch: the same as ACCESS             */
    DEBUG_WATCH_ACCESS,
} DebugKind;

typedef struct DebugStop {
    Cpu *cpu; /* NULL: nothing met yet */
    enum { DEBUG_STOP_STEP, DEBUG_STOP_BREAK, DEBUG_STOP_WATCH } why;
    DebugKind kind; /* of the watchpoint */
    uint64_t at;    /* linear address of the breakpoint or of the watched data */
} DebugStop;
extern DebugStop debug_stop;

/* `c`: whose page tables translate the address of a software breakpoint.  len: 1; watchpoints 1, 2,
 * 4 or 8, aligned. */
bool debug_insert(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error);
bool debug_remove(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error);
void debug_remove_all(void);
/* Stop again after one instruction, from the next machine_continue on. */
bool debug_step(Cpu *c, bool on, GError **error);

/* Linear to physical by the guest's page tables; false when not mapped. */
bool debug_translate(Cpu *c, uint64_t linear, uint64_t *physical);
/* Bytes at a linear address: memory only, no device is disturbed; writes reach ROM too. */
bool debug_read(Cpu *c, uint64_t linear, void *buf, size_t len);
bool debug_write(Cpu *c, uint64_t linear, const void *buf, size_t len);

/* ---- For accelerators ---- */
typedef struct DebugPoint {
    DebugKind kind;
    unsigned len;
    uint64_t at, physical;
    uint8_t saved; /* the byte under an INT3 */
} DebugPoint;
bool debug_wanted(void); /* any breakpoint at all */
bool debug_software_at(uint64_t linear);
/* What the debug registers are to hold, in their order; returns how many.  Registers that are left
 * over double software breakpoints, because a KVM that emulates its guest does not exit at INT3. */
unsigned debug_hardware(DebugPoint out[4]);
bool debug_stepping(const Cpu *c);

#endif
