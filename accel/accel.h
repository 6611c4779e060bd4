/* The contract between a machine and what runs its CPUs.
 *
 * accel.c chooses one from the `-accel` list, run.c has the threads: one body for every
 * accelerator, which calls run() and looks between two calls at what the machine wants.  What an
 * accelerator must provide is this table. */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "cpu/cpu.h"
#include "core/error.h"
#include "mem/region.h"

typedef enum RunResult {
    RUN_AGAIN,   /* exits were handled; look at requests, go on                       */
    RUN_HALTED,  /* sleep until the next kick                                         */
    RUN_STOPPED, /* this CPU is not to go on before the machine is continued or reset */
} RunResult;

typedef struct Accel {
    const char *name;  /* "kvm", "soft", "qtest"                                            */
    const char *alias; /* "tcg"                                                             */
    const char *doc;
    const char *thread_suffix; /* "KVM": threads are called "CPU 0/KVM" */
    /* Properties from `-accel NAME,key=value`, then start; false with a message that says what is
     * missing. A start that failed leaves nothing behind. */
    bool (*option)(const char *key, const char *value, GError **error);
    bool (*start)(GError **error);
    bool (*cpu_init)(Cpu *c, GError **error); /* on the vCPU's thread, which then calls the rest */
    void (*cpu_free)(Cpu *c);
    /* Until something needs run.c: c->kicked is set, or one of the results above.  Without the main
     * lock; takes it to reach devices.  Clears c->events' NMI, SMI and MCE when it delivers them.
     * NULL: CPUs exist but do not run. */
    RunResult (*run)(Cpu *c);
    void (*interrupt)(Cpu *c); /* c->kicked was just set: make run() return soon.  Any thread */
    void (*forget_memory)(Cpu *c); /* CpuOps; on its thread.  NULL: it holds nothing */
    void (*fetch)(Cpu *c); /* accelerator -> CpuState: on its thread, or while it is stopped    */
    void (*flush)(Cpu *c); /* CpuState -> accelerator                                           */
    /* What can be offered in this CPUID register (0 eax .. 3 edx); NULL: everything in the model.
     */
    uint64_t (*supported_cpuid)(uint32_t leaf, uint32_t subleaf, int reg);
    /* Apply accel/debug.h's settings to this CPU; on its thread, main lock held. */
    bool (*guest_debug)(Cpu *c, GError **error);
    /* Whether it looks for points itself: any number, of any length, nothing is put into memory for it.  NULL: no. */
    bool (*looks)(void);
    void (*stopped)(
        bool stopped); /* the machine stops or goes on (paravirtual clocks); may be NULL    */
    /* Devices and CPUs have been reset: now what the accelerator has of the machine; may be NULL. */
    void (*reset)(void);
} Accel;

extern const Accel *const accels[]; /* NULL-terminated, in order of preference */
extern const Accel *accel;          /* the one that runs the machine, or NULL  */
const Accel *accel_find(const char *name);
char *accel_help(void); /* `-accel help`; caller frees             */

/* Start the first of `choices` that can: texts as given to -accel ("kvm,kernel-irqchip=split");
 * none: kvm, then the software CPU.  A name that does not exist or a bad option is an error at
 * once; that an accelerator cannot start is one only when no further choice is left, otherwise a
 * message on stderr.  Main lock held, before CPUs are made. */
bool accel_start(GPtrArray *choices, GError **error);

/* Reset every CPU and start its thread; the threads wait for machine_continue.  From here on run.c
 * follows the run state: boards call it after their own runstate_listen.  Main lock held. */
bool accel_start_cpus(GError **error);
bool accel_start_cpu(Cpu *c, GError **error); /* one that was plugged in later */
void accel_stop_cpus(void);                   /* at exit: stop and join */
void accel_continue_cpu(Cpu *c);              /* one that was held, while the machine runs */

/* qtest beside or instead of a CPU: `-qtest CHARDEV`, `-qtest-log FILE` (NULL: none). */
bool qtest_listen(const char *chardev_text, const char *log_path, GError **error);

/* ---- Between accel.c, run.c and the accelerators ---- */
extern const Accel kvm_accel, soft_accel, qtest_accel;
void run_init(void); /* accel.c: an accelerator was chosen */
/* The CPU has shut down, which resets a PC: the black box reports, with the registers as they are now.
 * On the CPU's thread, for run() to return. */
RunResult run_triple_fault(Cpu *c);
/* Release the main lock, however often this thread holds it, and take it back. */
unsigned run_unlock_main(void);
void run_lock_main(unsigned depth);

#endif
