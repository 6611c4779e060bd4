/* What the board asks of whoever runs the CPUs: interrupt controllers that may live in the kernel, messages, eventfds.
 * accel/ fills it in; the defaults are a machine whose chips all run here. */
#ifndef HW_PLATFORM_H
#define HW_PLATFORM_H

#include "cpu/model.h"
#include "hw/device.h"

typedef enum IrqchipMode { IRQCHIP_OFF, IRQCHIP_SPLIT, IRQCHIP_ON } IrqchipMode;

typedef struct Platform {
    ModelEnv model_env;                 /* what CPU features can be offered; the topology is the machine's   */
    /* ON: PIC, IOAPIC, PIT (unless pit=off) and local APICs are the kernel's; SPLIT: only the local APICs; OFF: none. */
    IrqchipMode irqchip;
    bool kernel_pit;
    bool no_kernel_pit;                 /* the machine has pit=off or its own timer: said before the accelerator starts */
    /* ON: drive a GSI of the kernel's chips.  Main lock held. */
    void (*set_gsi)(unsigned gsi, bool level);
    /* Deliver an interrupt message.  Any thread.  NULL: the board decodes it for its own APICs. */
    void (*send_msi)(uint64_t address, uint32_t data);
    /* ON or SPLIT: copy a kernel chip's state into our device's fields (so that its rows can be read or saved) and back.
     * Devices that the kernel does not have are left alone.  Main lock held. */
    void (*chip_fetch)(Device *dev);
    void (*chip_flush)(Device *dev);
    /* kernel_pit: the HPET takes the timer's line, or gives it back.  Main lock held. */
    void (*pit_cut_off)(bool replaced);
    /* SPLIT: the I/O APIC's routes changed: pin, address, data, masked. */
    void (*set_route)(unsigned pin, uint64_t address, uint32_t data, bool masked);
    /* An MSI bound to a descriptor.  -1 where the accelerator has no such thing. */
    int (*irqfd_add)(int fd, uint64_t address, uint32_t data);
    void (*irqfd_remove)(int handle);
    /* SPLIT: the kernel's local APICs tell of an EOI for a level-triggered vector.  The board fills it in and forwards it
     * to the I/O APIC.  Main lock held. */
    void (*eoi)(uint8_t vector);
    /* Deliver writes that the accelerator has buffered (region_set_coalesced), for those who look at what they draw.
     * NULL: it buffers none.  Main lock held. */
    void (*flush_coalesced)(void);
    /* CPUs of a machine whose CPUs have been started: all stand still from hold_cpus(true) to hold_cpus(false); meanwhile one
     * that is new gets its thread, and one that goes loses it.  NULL before that.  Main thread, main lock held. */
    void (*hold_cpus)(bool hold);
    bool (*start_cpu)(Cpu *c, GError **error);
    void (*stop_cpu)(Cpu *c);
    bool smm;                           /* an SMI takes a CPU into system management mode                    */
    Space *smm_space;                   /* what CPUs see in that mode; the board says so; NULL: the same as otherwise */
    bool kernel_accel;                  /* real KVM: eventfds and irqfds are worth using                     */
} Platform;
extern Platform platform;

#endif
