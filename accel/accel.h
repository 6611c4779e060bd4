/* The contract between a machine and what runs its CPUs. */
#ifndef ACCEL_ACCEL_H
#define ACCEL_ACCEL_H

#include "cpu/cpu.h"
#include "core/error.h"
#include "mem/region.h"

typedef enum RunResult {
    RUN_AGAIN,                          /* exits were handled; look at requests, go on                       */
    RUN_HALTED,                         /* sleep until an event                                              */
    RUN_STOPPED,                        /* the machine was asked to stop (debug, error)                      */
} RunResult;

typedef struct Accel {
    const char *name;                   /* "kvm", "soft", "qtest"                                            */
    const char *alias;                  /* "tcg"                                                             */
    const char *doc;
    /* Properties from `-accel NAME,key=value`, then start; false with a message that says what is missing. */
    bool (*option)(const char *key, const char *value, GError **error);
    bool (*start)(GError **error);
    bool (*cpu_init)(Cpu *c, GError **error);           /* on the vCPU's thread                              */
    void (*cpu_free)(Cpu *c);
    RunResult (*run)(Cpu *c);           /* without the main lock; takes it to reach devices                  */
    void (*kick)(Cpu *c);               /* any thread: make run() return soon, race-free                     */
    void (*fetch)(Cpu *c);              /* accelerator -> CpuState                                           */
    void (*flush)(Cpu *c);              /* CpuState -> accelerator                                           */
    uint64_t (*supported_cpuid)(uint32_t leaf, uint32_t subleaf, int reg);      /* reg: 0 eax .. 3 edx; what can be offered */
    bool (*guest_debug)(Cpu *c, GError **error);        /* breakpoints and single step from accel/debug.h    */
} Accel;

extern const Accel *const accels[];     /* NULL-terminated, in order of preference */
extern const Accel *accel;              /* the one that runs the machine           */
const Accel *accel_find(const char *name);

/* `-accel` list: the first that starts.  main lock held, before CPUs are made. */
bool accel_start(GPtrArray *choices, GError **error);
/* Start a thread for each CPU; they wait for machine_continue. */
bool accel_start_cpus(GError **error);
void accel_stop_cpus(void);             /* at exit: stop and join */

/* qtest beside or instead of a CPU */
bool qtest_listen(const char *chardev_text, const char *log_path, GError **error);

#endif
