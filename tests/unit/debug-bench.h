/* What tests of guest debugging share: guests of debug-guest.asm with places that are known, and what a debugger does. */
#ifndef TESTS_UNIT_DEBUG_BENCH_H
#define TESTS_UNIT_DEBUG_BENCH_H

#include "accel/debug.h"
#include "tests/unit/kvm-bench.h"

#define MARK(guest, name) extern const uint8_t mark_##guest##_##name[] __asm__("guest_" #guest "." #name);
#define PLACE_OF(guest, name) ((uint64_t)(mark_##guest##_##name - guest_##guest) + 0x1000)
// clang-format off
GUEST(busy) GUEST(sleepy)
MARK(busy, again) MARK(busy, jump) MARK(busy, irq) MARK(sleepy, halt) MARK(sleepy, awake) MARK(sleepy, irq)
// clang-format on

typedef struct Body { /* the same in real, protected and long mode */
    const uint8_t *code, *end;
    uint64_t base;      /* of the linear addresses */
    uint64_t pushed_ip; /* where INT n puts it */
    struct {
        uint64_t start, loop, load, stos, cross, behind, flags, int_n, int_end, ud, ud_end, change, store, locked, handler,
            invalid, irq;
    } at;
} Body;
enum { ALIAS = 0x40000000, BODIES = 3, LOOPS = 10 };
extern Body bodies[BODIES];
void set_bodies(void);

/* Those that look for points themselves, in any mode of the processor. */
enum { ACCELS = 2, EACH = ACCELS * BODIES };
extern const char *const accels_tried[ACCELS];

/* A machine with a body that has not been loaded yet; false, NULL: this accelerator is not to be had, or does not look for
 * points itself. */
bool begin(const char *options, unsigned cpus);
const Body *begin_body(int i);
/* A CPU of one accelerator that stands in the middle of "busy". */
bool begin_busy(int i);
void load_body(const Body *b);
void insert(DebugKind kind, uint64_t at, unsigned len);
void go_on(void); /* until it stops for a debugger */
uint64_t ip(void);
void expect_break(uint64_t at);
void expect_watch(DebugKind kind, uint64_t touched, uint64_t behind);
void step(void);
void step_over(DebugKind kind, uint64_t at); /* as a debugger does it: without the breakpoint there */
void finish(unsigned code);

/* Interrupt 0x21, for CPU 0. */
extern bool irq_pending;
int give_irq(Cpu *c); /* cpu_platform.interrupt */
void raise_irq(void);

/* Trace points that count. */
extern unsigned hits[4];
extern uint64_t last_at;
unsigned trace(DebugKind kind, uint64_t at, unsigned len, unsigned *counted);

#endif
