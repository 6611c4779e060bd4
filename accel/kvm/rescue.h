/* Where KVM gives up, the software CPU executes what KVM cannot, on the same registers and memory; then KVM goes on.
 *
 * A rescue is one instruction, or a stretch of code: handing over costs as much time as many instructions, so where KVM fails again
 * soon after it got the CPU back, the software CPU keeps it longer each time, and shorter again where KVM does well.  While the
 * software CPU is in charge it takes events as it does alone.  What only KVM can do (its MSRs, hypercalls, the kernel's local APIC,
 * instructions that the software CPU lacks) ends the stretch before that instruction; if it is the one that KVM failed at, the run
 * ends as it would without rescue.
 *
 * A KVM that has no hardware behind it is itself an emulator, slower than the software CPU, and wrong where it cannot know better
 * (must_stay in rescue.c).  There a timer looks in, and a CPU that comes here in protected mode stays. */
#ifndef ACCEL_KVM_RESCUE_H
#define ACCEL_KVM_RESCUE_H

#include <time.h>

#include "accel/accel.h"

typedef enum RescueWhy {
    RESCUE_EMULATION, /* KVM's emulator lacks the instruction                                 */
    RESCUE_DELIVERY,  /* an event could not be delivered, or several met                      */
    RESCUE_EXIT,      /* an exit that KVM did not expect                                      */
    RESCUE_STUCK,     /* KVM executes the same instruction again and again: see window.c      */
    RESCUE_SLOW,      /* KVM emulates, and has done so for long or should not begin with it   */
    RESCUE_REASONS,
} RescueWhy;

typedef struct KvmRescue { /* of a CPU; its thread writes, anybody may read the counts */
    uint64_t rescues[RESCUE_REASONS];
    uint64_t instructions;  /* executed here                                                  */
    uint64_t declined;      /* stretches that ended at an instruction of KVM's own            */
    uint64_t given_up;      /* the run ended: nobody could                                    */
    unsigned stretch;       /* instructions of the next rescue; 0: there was none             */
    int64_t left;           /* of the present stretch; not 0: the software CPU is in charge   */
    bool running;           /* it has the registers right now                                 */
    bool progress;          /* something was done since KVM failed                            */
    uint64_t failed_at;     /* linear address of KVM's last failure                           */
    uint64_t from;          /* SoftCpu.count when it began to run here                        */
    unsigned in_vain;       /* rescues in a row that changed nothing                          */
    bool watching, timer_made;
    timer_t timer;
    int64_t quiet_since;    /* the last exit, CLOCK_RT                                        */
    long watch_ns;          /* between two looks                                              */
    int64_t given_back;     /* when KVM got the CPU back, CLOCK_RT                            */
    int64_t fetch_cost;     /* ns to copy the registers one way                               */
    uint64_t tsc_hz;        /* of KVM's counter, once this is known; 0: the model's           */
} KvmRescue;

bool kvm_rescue_option(const char *value, GError **error); /* rescue=on|off */
/* A KVM without hardware behind it: the software CPU keeps a CPU that came to it in protected mode. */
bool kvm_rescue_stays(void);
void kvm_rescue_start(void); /* the VM has been made */
/* Points and steps have changed; its own thread, main lock held. */
void kvm_rescue_debug(Cpu *c);
/* KVM has failed.  False: nobody can execute this; report and stop. */
bool kvm_rescue(Cpu *c, RescueWhy why, RunResult *result);
/* The software CPU was in charge when the CPU's thread had other things to do. */
static inline bool kvm_rescue_pending(const KvmRescue *r) { return r->left > 0; }
bool kvm_rescue_go_on(Cpu *c, RunResult *result);
/* Where KVM emulates, a timer looks in while it runs: an emulator that has executed the kernel's code for milliseconds without an
 * exit is a slow way to do that, or is stuck at an instruction. */
void kvm_rescue_watch(Cpu *c, bool on); /* KVM is about to run, or no longer */
void kvm_rescue_exited(Cpu *c);
bool kvm_rescue_interrupted(Cpu *c, RunResult *result); /* a signal ended KVM_RUN; false: no rescue */
/* The registers were set to what it cannot run at all, or there is a debugger, whose points the software CPU knows better. */
bool kvm_rescue_instead(Cpu *c, RunResult *result);
/* It calls triple fault what may be an instruction that it refuses; the software CPU sees, and makes the same of a true one. */
bool kvm_rescue_shutdown(Cpu *c, RunResult *result);
void kvm_rescue_kick(Cpu *c); /* any thread */
void kvm_rescue_free(Cpu *c); /* main lock held */
/* The registers are here, not in the kernel: brings CpuState up to date. */
bool kvm_rescue_sync(Cpu *c);

/* For the monitor: NULL where there is no rescue. */
const KvmRescue *kvm_rescue_counts(const Cpu *c);

#endif
