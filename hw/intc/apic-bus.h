/* Between a local APIC and the bus that joins them: for hw/intc/apic*.c and their tests only. */
#ifndef HW_INTC_APIC_BUS_H
#define HW_INTC_APIC_BUS_H

#include "hw/intc/apic.h"

enum { LVT_CMCI, LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

typedef struct Apic {
    Device dev;
    Cpu *cpu;                           /* NULL: alone, in tests */
    uint8_t id_prop;
    uint64_t base;                      /* IA32_APIC_BASE */
    uint32_t id, tpr, ldr, dfr, svr;
    uint32_t isr[8], tmr[8], irr[8];
    uint32_t esr, errors;
    uint32_t icr, icr_high;
    uint32_t icr_dest;                  /* x2APIC: the 32-bit destination */
    uint32_t lvt[LVT_COUNT];
    uint32_t icr_count, dcr;            /* timer: initial count, divide configuration */
    int64_t started, last_fired;
    bool fired, extint;
    uint8_t lint;
    uint64_t deadline, tsc_hz;
    int64_t tsc_offset;
    Timer expiry;
} Apic;

/* ---- What the bus asks of an APIC ---- */
void apic_accept(Apic *s, ApicMode mode, uint8_t vector, bool level);
bool apic_matches(const Apic *s, uint32_t dest, bool logical, bool wide);
bool apic_enabled(const Apic *s);
bool apic_in_x2apic_mode(const Apic *s);
uint8_t apic_arbitration(const Apic *s);
int apic_interrupt(Apic *s, Device *pic);
bool apic_interrupt_pending(const Apic *s);
bool apic_base_write(Apic *s, uint64_t v);
bool apic_x2_read(Apic *s, unsigned reg, uint64_t *v);
bool apic_x2_write(Apic *s, unsigned reg, uint64_t v);
uint64_t apic_page_read(Apic *s, uint64_t at, unsigned size);
void apic_page_write(Apic *s, uint64_t at, unsigned size, uint64_t v);
void apic_init(Apic *s);

/* ---- What an APIC asks of the bus ---- */
void apic_bus_send(uint32_t dest, bool logical, bool wide, ApicMode mode, uint8_t vector, bool level);
void apic_bus_broadcast(const Apic *except, ApicMode mode, uint8_t vector);
void apic_bus_eoi(uint8_t vector);

#endif
