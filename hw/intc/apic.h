/* Local APICs in user space: one device per CPU, joined by a message bus.
 *
 * They serve accelerators that bring none (kernel-irqchip=off, the software CPU).  Input lines of each: 0 is LINT0 (the
 * PIC's INT on the boot CPU), 1 is LINT1 (NMI).  Main lock held, except where it says otherwise. */
#ifndef HW_INTC_APIC_H
#define HW_INTC_APIC_H

#include "cpu/cpu.h"
#include "hw/device.h"

enum { APIC_LINT0, APIC_LINT1 };

/* Make the APIC of a CPU (its `apic` member) and bring it to life; owned by the machine (device_free).  NULL: *error. */
Device *apic_new(Cpu *cpu, GError **error);
/* The same in steps: which CPU's APIC `apic` is.  Before device_realize. */
void apic_set_cpu(Device *apic, Cpu *cpu);

/* The APICs here are the machine's (IRQCHIP_OFF): fill in cpu_platform's interrupt functions and platform.send_msi, show
 * the window at FEE00000h, and wire the PIC: `intr`, its INT pin, to LINT0 of the boot CPU, its acknowledge to ExtINT.
 * NULL for both: there is no PIC.  EOIs of level-triggered interrupts go to platform.eoi. */
void apic_wire_pic(Irq *intr, Device *pic);

/* The parts of it, for boards that wire otherwise: the functions; what INT calls, also for a boot CPU without an APIC (then
 * it is INTR); and undoing, for tests and at exit. */
void apic_platform_install(Device *pic);
void apic_pic_int(void *sink, unsigned line, bool level);
void apic_platform_remove(void);

/* Who hears that a level-triggered interrupt was ended, instead of platform.eoi. */
void apic_on_eoi(void (*fn)(void *arg, uint8_t vector), void *arg);

/* The window at FEE00000h: each CPU sees its own registers; without a CPU (debugger, qtest) it is the first one's.
 * Made once, owned by the caller (region_free). */
Region *apic_region(void);

/* Delivery modes of the message bus (SDM vol 3 §11.6.1). */
typedef enum ApicMode { APIC_FIXED, APIC_LOWEST, APIC_SMI, APIC_NMI = 4, APIC_INIT, APIC_SIPI, APIC_EXTINT } ApicMode;
/* A message to the APICs that `dest` names: 8 bits, 0xff for all, or in x2APIC form when it is wider. */
void apic_bus_deliver(uint32_t dest, bool logical, ApicMode mode, uint8_t vector, bool level, bool trigger_level);
/* An MSI, or a message of the I/O APIC.  Any thread; without the main lock it arrives soon. */
void apic_send_msi(uint64_t address, uint32_t data);

/* IA32_TSC_DEADLINE, and how the CPU's time stamp follows the virtual clock: tsc = ns * hz / 10^9 + offset. */
void apic_set_tsc(Device *apic, uint64_t hz, int64_t offset);
uint64_t apic_tsc_deadline(const Device *apic);
void apic_set_tsc_deadline(Device *apic, uint64_t tsc);

/* Registers for `info lapic`; appends. */
void apic_print(const Device *apic, GString *out);

#endif
