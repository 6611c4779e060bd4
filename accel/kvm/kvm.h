/* Inside the KVM accelerator: the VM, its CPUs, and who does what.
 *
 * - vm.c: opening /dev/kvm, options, starting
 * - memory.c: slots, dirty pages, coalesced writes, ioeventfds
 * - irq.c: interrupt chips, routes, messages, irqfds
 * - chips.c: the state of the kernel's chips <-> rows of our devices
 * - vcpu.c: running a CPU: exits and injection
 * - regs.c: CpuState <-> KVM
 * - cpuid.c: what CPUID can offer and does offer
 * - debug.c: breakpoints and single steps
 * - window.c: taking interrupts where KVM only emulates
 * - rescue.c: instructions that KVM does not get past, executed by the software CPU
 * - report.c: telling people about exits that end a run
 */
#ifndef ACCEL_KVM_KVM_H
#define ACCEL_KVM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "accel/accel.h"
#include "accel/debug.h"
#include "accel/kvm/rescue.h"
#include "hw/platform.h"

typedef struct KvmVm {
    int dev, fd;     /* /dev/kvm and the VM */
    size_t run_size; /* of a vCPU's mapping */
    unsigned slots;  /* memory slots that the kernel has */
    bool readonly_mem, coalesced_pio, smm, irqfd, ioeventfd, sregs2, x2apic_api, xcrs, debugregs,
        triple_fault_event, exception_payload, user_msr, tsc_control;
    size_t xsave_size;   /* 0: only KVM_GET_FPU */
    uint32_t dirty_ring; /* bytes of a vCPU's ring; 0: bitmaps */
    IrqchipMode irqchip;
    bool pit;
    bool emulates;                      /* no hardware behind it: see window.c */
} KvmVm;
enum { KVM_KICK_SIGNAL = SIGUSR1 };
extern KvmVm kvm;

typedef struct KvmCpu {
    int fd;
    struct kvm_run *run;
    bool unfinished;      /* an exit was answered; KVM_RUN still has to hand the answer over */
    atomic_bool in_guest; /* between the last look at kvm_held() and the return of KVM_RUN */
    atomic_bool was_stopped; /* the machine was stopped and goes on: tell the guest's clock */
    struct kvm_dirty_gfn *dirty; /* ring, or NULL */
    uint32_t dirty_next;
    bool msrs_known;         /* msrs[] is what the kernel has: it has not run since */
    uint64_t *msrs;          /* values as last copied, in the order of regs.c's list */
    uint64_t cr8, apic_base; /* as last seen by our own APIC */
    pthread_t thread;
    bool window_waiting, window_timer_made;     /* window.c */
    timer_t window_timer;
    unsigned steps_left;
    long patience;                      /* ns until the next search */
    uint64_t stepped_at;                /* where the last step ended ... */
    unsigned stepped_there;             /* ... and how many before it    */
    struct {                            /* debug.c */
        DebugPoint set[4];              /* what the debug registers have */
        unsigned n;
        bool over;                      /* one instruction, on which no breakpoint counts ... */
        bool alone;                     /* ... with its own bytes in memory                   */
        bool told;                      /* the trace points ...                               */
        uint64_t told_at;               /* ... here have been called                          */
    } debug;
    KvmRescue rescue;
} KvmCpu;
static inline KvmCpu *kvm_cpu(const Cpu *c)
{
    return c->accel;
}

/* ioctls that give -errno instead of -1, and go on when a signal comes. */
int kvm_dev_ioctl(unsigned long request, uintptr_t arg);
int kvm_vm_ioctl(unsigned long request, uintptr_t arg);
int kvm_cpu_ioctl(const Cpu *c, unsigned long request, uintptr_t arg);
int kvm_extension(unsigned cap); /* of the VM once there is one */
int kvm_enable_cap(unsigned cap, uint64_t arg0, uint64_t arg1);

/* memory.c */
bool kvm_memory_start(GError **error);
void kvm_memory_start_smm(void); /* the board has said what CPUs see in SMM: the kernel's address space 1 */
/* Deliver buffered writes to their devices, if there are any. */
void kvm_coalesced_flush(void);
void kvm_memory_stopped(bool stopped);
void kvm_coalesced_map(void *run_page); /* the ring's page, from the first vCPU's mapping */
void kvm_coalesced_unmap(void *run_page);
void kvm_dirty_ring_map(Cpu *c);
void kvm_dirty_ring_collect(Cpu *c); /* NULL: of all CPUs */
/* A KVM that emulates keeps shadows of the guest's page tables, and hears only of writes that go through it.  Whoever else has
 * written to tables, or perhaps has, lets it forget them all; nothing where hardware walks the tables. */
void kvm_shadow_start(void);
void kvm_shadow_forget(void);
/* While memory slots move no CPU may be in the guest: the change must look atomic to it. */
bool kvm_enter(Cpu *c); /* false: wait and look at requests first */
void kvm_leave(Cpu *c);
/* Only this CPU may be in the guest, until it is no longer.  False: another is alone.  Main lock held; it is not in the guest. */
bool kvm_alone(Cpu *c, bool on);

/* irq.c */
bool kvm_irqchip_start(GError **error);
void kvm_eoi(uint8_t vector); /* split: the guest's EOI of a level-triggered vector */

/* chips.c */
void kvm_chip_fetch(Device *d); /* hw/platform.h */
void kvm_chip_flush(Device *d);
void kvm_pit_cut_off(bool replaced);
void kvm_chips_reset(void);
void kvm_chips_stopped(bool stopped);

/* regs.c */
void kvm_regs_start(void);
void kvm_fetch(Cpu *c);
void kvm_flush(Cpu *c);
void kvm_tsc_noted(Cpu *c); /* state.msr.tsc is the kernel's counter, read in another way: nothing to be written back */

/* cpuid.c */
uint64_t kvm_supported_cpuid(uint32_t leaf, uint32_t subleaf, int reg);
bool kvm_cpuid_set(Cpu *c, GError **error);

/* vcpu.c */
bool kvm_cpu_init(Cpu *c, GError **error);
void kvm_cpu_free(Cpu *c);
RunResult kvm_run(Cpu *c);
void kvm_interrupt(Cpu *c);
void kvm_stopped(bool stopped);

/* window.c */
bool kvm_emulates(void);
void kvm_window_wait(Cpu *c, bool waiting);     /* an interrupt that cannot be taken now waits, or no longer */
void kvm_window_interrupted(Cpu *c);    /* a signal ended KVM_RUN */
bool kvm_window_stepped(Cpu *c, RunResult *result);     /* KVM_EXIT_DEBUG: was it a step of the search? */
bool kvm_window_halted(Cpu *c);         /* KVM_EXIT_HLT: does the CPU really halt? */
void kvm_window_free(KvmCpu *k);

/* debug.c */
bool kvm_guest_debug(Cpu *c, GError **error);
bool kvm_debug_set(Cpu *c, GError **error); /* what KVM has to do of it */
bool kvm_debug_no_irq(const Cpu *c); /* it steps, and interrupts wait */
bool kvm_debug_halted(Cpu *c); /* no event wakes it.  True: it stops all the same */
void kvm_debug_ran(Cpu *c); /* KVM_RUN has returned, and has nothing to hand over */
RunResult kvm_exit_debug(Cpu *c);

/* report.c */
void kvm_report_internal_error(Cpu *c);
void kvm_report_exit(Cpu *c, const char *what, uint64_t detail);

#endif
