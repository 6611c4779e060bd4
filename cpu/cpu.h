/* A virtual CPU: the architectural state and what the machine may ask of it.
 *
 * CpuState (cpu/state.h) is the one description of an x86 CPU.  A vCPU's state belongs to its accelerator while it runs;
 * others call cpu_sync() first (stops nothing, needs the vCPU paused or the call to come from its thread or through
 * cpu_run_on). */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/state.h"
#include "mem/region.h"

typedef struct CpuModel CpuModel;       /* cpu/model.h: CPUID by name and features */
typedef struct BlackBox BlackBox;       /* cpu/blackbox/ring.h: the last events */

/* Events that wait for the CPU; set with cpu_raise from any thread. */
enum {
    CPU_EVENT_INTR = 1 << 0,            /* a maskable interrupt waits (user-space PIC or APIC); level        */
    CPU_EVENT_NMI = 1 << 1,
    CPU_EVENT_SMI = 1 << 2,
    CPU_EVENT_INIT = 1 << 3,
    CPU_EVENT_SIPI = 1 << 4,            /* vector in sipi_vector                                             */
    CPU_EVENT_RESET = 1 << 5,
    CPU_EVENT_MCE = 1 << 6,
    CPU_EVENTS_ALL = (1 << 7) - 1,
};

typedef struct Cpu {
    CpuState state;
    unsigned index;                     /* its place among those that the board can have, below CPU_MOST      */
    uint32_t apic_id;
    const CpuModel *model;              /* CPUID answers, owned by the machine                               */
    atomic_uint events;                 /* CPU_EVENT_*                                                       */
    uint8_t sipi_vector;
    bool halted;                        /* HLT, or an AP that waits for SIPI (with wait_sipi)                */
    bool wait_sipi;
    bool state_valid;                   /* `state` is newer than or equal to the accelerator's copy          */
    bool state_dirty;                   /* `state` was changed and must be flushed before running            */
    bool is_bsp;
    /* accel/run.c */
    GThread *thread;
    int thread_id;                      /* host tid, for query-cpus-fast                                     */
    atomic_bool kicked;                 /* somebody wants this CPU to look at the fields below               */
    atomic_bool asleep;                 /* on `wake`; the rest up to `work` is run.c's, under its own lock   */
    atomic_bool stop_request;
    atomic_bool stays;                  /* it has stopped by itself, until the machine is continued or reset  */
    atomic_bool held;                   /* machine_continue leaves it stopped (debug_hold)                   */
    atomic_bool points_stale;           /* accel/debug.h's points have changed                               */
    bool ready, quit, stopped;
    GCond wake;
    GQueue *work;                       /* cpu_run_on                                                        */
    void *accel;                        /* the accelerator's own part                                        */
    void *apic;                         /* the local APIC device (hw/intc/apic.c)                            */
    Space *memory;                      /* what this CPU sees: the machine's, with SMRAM when in SMM         */
    void *device;                       /* what users see of it (hw/cpu-device.c), or NULL                   */
    BlackBox *box;                      /* NULL: -blackbox off                                               */
} Cpu;

/* ---- What a lower layer asks of a higher one ---- */
typedef struct CpuOps {                 /* filled in by accel/ */
    void (*kick)(Cpu *c);               /* make it look at `events`; any thread                              */
    void (*sync)(Cpu *c);               /* accelerator -> state, all groups                                  */
    void (*run_on)(Cpu *c, void (*fn)(Cpu *c, void *arg), void *arg);   /* on its thread, waits              */
    uint64_t (*tsc)(Cpu *c);            /* the counter now, for RDMSR here; NULL: as last copied             */
    /* cpu_memory_debug's access to a physical address, without what debuggers have put there; NULL: the memory as it is */
    bool (*memory)(Space *space, uint64_t physical, void *buf, size_t len, bool write);
    void (*forget_memory)(Cpu *c);      /* on its thread: it holds no pointer into guest memory any more; some of it goes */
    void (*msr_written)(Cpu *c, uint32_t index);        /* TSC, TSC_DEADLINE ...: WRMSR here has stored it   */
} CpuOps;
extern CpuOps cpu_ops;

typedef struct CpuPlatform {            /* filled in by hw/ */
    /* The vector that the interrupt controllers deliver now (acknowledges it), or -1.  Main lock held. */
    int (*interrupt)(Cpu *c);
    bool (*interrupt_pending)(Cpu *c);
    /* The user-space local APIC; also reached by RDMSR/WRMSR of x2APIC and by CR8. */
    uint64_t (*apic_base_get)(Cpu *c);
    bool (*apic_base_set)(Cpu *c, uint64_t v);
    uint8_t (*tpr_get)(Cpu *c);         /* CR8 */
    void (*tpr_set)(Cpu *c, uint8_t v);
    bool (*x2apic_read)(Cpu *c, unsigned reg, uint64_t *v);
    bool (*x2apic_write)(Cpu *c, unsigned reg, uint64_t v);
    void (*apic_reset)(Cpu *c, bool init);              /* INIT keeps the APIC id                            */
    void (*power_on)(Cpu *c);           /* a board that starts CPUs elsewhere than at the reset vector: last step of cpu_reset */
    bool (*a20)(void);
    void (*ferr)(bool level);           /* FERR#, the x87's way to report errors to an AT (CR0.NE clear)     */
} CpuPlatform;
extern CpuPlatform cpu_platform;

/* ---- The CPUs of the machine: in the order in which they came, and by index; numbers without a CPU are possible ---- */
enum { CPU_MOST = 288 };                /* of any board */
extern size_t cpu_room;                 /* bytes of what cpu_new makes: a Cpu, and what an accelerator adds behind it */
Cpu *cpu_new(const CpuModel *model, uint32_t apic_id, Space *memory);   /* index: how many there were; in reset */
void cpu_free(Cpu *c);                  /* its thread is gone, and every other one stands still */
void cpu_free_all(void);                /* at exit, and between unit tests; the threads are gone */
unsigned cpu_count(void);
Cpu *cpu_at(unsigned n);                /* the n-th that there is, or NULL */
Cpu *cpu_by_index(unsigned index);      /* NULL */
unsigned cpu_position(const Cpu *c);    /* its n; cpu_count() when it is none of them */
Cpu *cpu_by_apic_id(uint32_t apic_id);  /* NULL */
extern const Row cpu_run_rows[];        /* of Cpu, beside cpu_state_rows: halted, wait_sipi ... for migration */
Cpu *cpu_current(void);                 /* the vCPU whose thread this is, or NULL */
void cpu_set_current(Cpu *c);
void cpu_reset(Cpu *c);                 /* SDM vol 3 table 9-1: power-up and reset state */
void cpu_init_signal(Cpu *c);           /* INIT: the same, but FPU, MTRRs, TSC ... survive; latched while in SMM */
void cpu_start_at(Cpu *c, uint8_t vector);      /* SIPI: run from vector * 4096; ignored unless it waits for one */

void cpu_raise(Cpu *c, unsigned event); /* any thread */
void cpu_lower(Cpu *c, unsigned event);
void cpu_sync(Cpu *c);                  /* make `state` current; main lock held, CPU stopped or in its own thread */
void cpu_run_on(Cpu *c, void (*fn)(Cpu *c, void *arg), void *arg);

#endif
