/* Guest debugging: breakpoints, watchpoints, single steps and trace points, for the gdb stub, the monitor and the tests.
 *
 * Points hold for every CPU; single step and hold for one.  A point is a linear address and needs no memory behind it: one that
 * was set before the loader has put code or page tables there is met all the same.  When one is met the CPU stops before the
 * instruction (breakpoints) or behind it (watchpoints), the machine goes to RUN_DEBUG and debug_stop says why; a trace point
 * calls its function instead and the CPU goes on.
 *
 * Main lock held for all of it, and the machine stopped for all but debug_remove_all and trace points. */
#ifndef ACCEL_DEBUG_H
#define ACCEL_DEBUG_H

#include "core/error.h"
#include "cpu/cpu.h"

typedef enum DebugKind {
    DEBUG_SOFTWARE, /* any number; under KVM an INT3 in memory, visible to the guest         */
    DEBUG_HARDWARE, /* KVM: a debug register, at most four with the watchpoints; soft: any   */
    DEBUG_WATCH_WRITE,
    DEBUG_WATCH_READ, /* KVM, as x86: the same as ACCESS                                     */
    DEBUG_WATCH_ACCESS,
} DebugKind;

typedef struct DebugStop {
    Cpu *cpu; /* NULL: nothing met; cleared when the machine goes on after a stop for RUN_DEBUG */
    enum { DEBUG_STOP_STEP, DEBUG_STOP_BREAK, DEBUG_STOP_WATCH } why;
    DebugKind kind; /* of the point */
    uint64_t at;    /* linear address: of the breakpoint, of the watched data, or where the step ended */
} DebugStop;
extern DebugStop debug_stop;

/* `c`: whose page tables translate the address of a software breakpoint under KVM.  len: of watchpoints, in bytes, 0 is 1; KVM:
 * 1, 2, 4 or 8, aligned.  False: there is one already, no room left for it (KVM), or a wrong length.
 *
 * A breakpoint that is still there is met again when the machine goes on; a step gets past it.  "KVM" is one that has hardware
 * behind it (or -accel kvm,rescue=off, or the kernel's interrupt chips): elsewhere the software CPU is in charge of what is
 * debugged, under -accel kvm too, and nothing is put into memory.  There INT3s are planted when there is memory: at once or when
 * the machine goes on. */
bool debug_insert(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error);
bool debug_remove(Cpu *c, DebugKind kind, uint64_t at, unsigned len, GError **error);
/* What debug_insert has set, single steps and holds; trace points stay. */
void debug_remove_all(void);

/* Stop again after one instruction, from the next machine_continue on; until switched off.  An instruction that faults ends at
 * the first one of the handler, so does an interrupt that comes first; a repeated string instruction is stopped after each
 * iteration, as by TF.  A halted CPU goes on when something wakes it; with DEBUG_STEP_NOIRQ nothing does, and the step ends at
 * once. */
bool debug_step(Cpu *c, bool on, GError **error);
/* How steps are made; gdb's and QEMU's sstep bits without ENABLE (1).  Default: both. */
enum { DEBUG_STEP_NOIRQ = 2, /* no interrupt is taken while one steps */
       DEBUG_STEP_NOTIMER = 4 /* the guest's clock stands still        */ };
void debug_set_step_flags(unsigned flags);
unsigned debug_step_flags(void);
/* A CPU that machine_continue leaves stopped (gdb's scheduler locking), through a reset as well. */
void debug_hold(Cpu *c, bool hold);
void debug_forget(const Cpu *c);        /* it is about to go */

/* A point that only tells: `hit` runs on the CPU's thread with the main lock held and c->state in sync, before the instruction
 * (breakpoints) or behind it (watchpoints, `at` is the first watched byte touched).  It may change the state (state_dirty),
 * request that the machine stops, and set and remove trace points; it must not wait for other CPUs. */
typedef struct DebugTrace {
    DebugKind kind;
    uint64_t at;
    unsigned len;
    void (*hit)(void *arg, Cpu *c, uint64_t at);
    void *arg;
} DebugTrace;
bool debug_trace_insert(const DebugTrace *t, unsigned *id, GError **error); /* copied; ids from 1 on */
bool debug_trace_remove(unsigned id);                                       /* false: no such; `arg` is the caller's to free */

/* Linear to physical by the guest's page tables; false when not mapped. */
bool debug_translate(Cpu *c, uint64_t linear, uint64_t *physical);
/* Bytes at a linear address: memory only, no device is disturbed; writes reach ROM too.  What a planted INT3 covers reads as the
 * guest's byte, and a write goes under it. */
bool debug_read(Cpu *c, uint64_t linear, void *buf, size_t len);
bool debug_write(Cpu *c, uint64_t linear, const void *buf, size_t len);

/* ---- For accelerators and run.c ---- */
typedef struct DebugPoint {
    DebugKind kind;
    unsigned len;
    uint64_t at;
    unsigned trace; /* id of a trace point; 0: debug_insert's */
    void (*hit)(void *arg, Cpu *c, uint64_t at);
    void *arg;
    bool planted; /* an INT3 is in memory at `physical`, over `saved` */
    uint8_t saved;
    uint64_t physical;
} DebugPoint;
static inline bool debug_is_code(DebugKind k) { return k == DEBUG_SOFTWARE || k == DEBUG_HARDWARE; }
bool debug_wanted(void); /* any point at all */
unsigned debug_count(void);
const DebugPoint *debug_point(unsigned i); /* until points are inserted or removed */
bool debug_stepping(const Cpu *c);
bool debug_software_at(uint64_t linear);
/* INT3s: whether there is one (over which byte of the guest's), taking it away for an instruction, and putting all where they
 * belong.  Main lock held. */
bool debug_planted(uint64_t linear, uint8_t *own);
void debug_lift(uint64_t linear);
void debug_plant(Cpu *c);
/* What the debug registers are to hold, in their order; returns how many.  Registers that are left over double software
 * breakpoints: those in memory that is not there yet first, then others, because a KVM that emulates its guest does not exit at
 * INT3. */
unsigned debug_hardware(DebugPoint out[4]);

/* What a CPU has met, on its thread, main lock held and c->state in sync.  Trace points are called.  DEBUG_HALT: it has to
 * stop, which has been requested and is in debug_stop.  DEBUG_LATER: the same, but another CPU was first: tell again when it
 * goes on. */
typedef enum DebugMeeting { DEBUG_GO_ON, DEBUG_HALT, DEBUG_LATER } DebugMeeting;
/* The instruction at `at` is next.  told: its trace points have been called already.  stepping: breakpoints do not count. */
DebugMeeting debug_meet_code(Cpu *c, uint64_t at, bool told, bool stepping);
/* Watched data: `p` as debug_point had it when the CPU began to look, perhaps gone meanwhile. */
DebugMeeting debug_meet_data(Cpu *c, const DebugPoint *p, uint64_t touched);
DebugMeeting debug_meet_step(Cpu *c);
/* run.c: the CPU cannot run at all (it waits for SIPI).  True: its step ends with that. */
bool debug_idle(Cpu *c);
/* run.c: the machine stops or is about to go on. */
void debug_machine(bool running, bool by_debugger);
/* Memory as the guest left it: what cpu_memory_debug does with a physical address. */
bool debug_memory(Space *space, uint64_t physical, void *buf, size_t len, bool write);

#endif
