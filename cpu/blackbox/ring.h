/* The black box: the last events of each CPU, always written down.
 *
 * A ring for each CPU.  Its thread writes (others only while it stands still: reset); anybody reads, at any time, without
 * a lock: the ring has a version that is odd while it changes, and a reader that met a change while it copied an entry
 * tries again.  A note is some sixty instructions, without a system call or a lock.
 *
 * Loops do not wash the ring out: an event like one of the last BOX_WINDOW entries (same kind, port, register or vector,
 * same place) is counted there and makes no new one.  So a loop over up to that many ports is that many entries, with
 * the first and the last time and the last value; `serial` tells in which order they came last.  (A PC firmware that waits
 * for a key goes round ten events with each tick of the timer.)
 *
 * Beside the ring: the event whose delivery is under way, and the chain of faults that came of each other.  A report
 * (report.h) explains it from the machine's state, which no fault changes before its handler is entered. */
#ifndef CPU_BLACKBOX_RING_H
#define CPU_BLACKBOX_RING_H

#include "cpu/cpu.h"

typedef enum BoxKind {                  /* `what`, `value`, `old` and `size` of each */
    BOX_NONE,
    BOX_EXCEPTION,                      /* vector; value: address (#PF) or DR6 bits (#DB); size 1: has an error code */
    BOX_INTERRUPT,                      /* vector, from an interrupt controller; value: RIP, `rip` is 0: what runs then
                                         * does not matter                                                       */
    BOX_SOFTWARE,                       /* vector: INT n, INT3, INTO, INT1                                       */
    BOX_NMI,
    BOX_SMI,
    BOX_RSM,
    BOX_RESET,
    BOX_INIT,
    BOX_SIPI,                           /* vector                                                                */
    BOX_CR,                             /* 0, 3, 4, 8 or BOX_XCR0; value, old                                    */
    BOX_MSR,                            /* index; value                                                          */
    BOX_MODE,                           /* CpuMode that it is now; value: EFER.LMA and CR0.PG as they are        */
    BOX_IN, BOX_OUT,                    /* port; size in bytes; value                                            */
    BOX_HALT,
    BOX_TASK,                           /* selector of the new TSS; old: of the old one                          */
    BOX_CALL,                           /* a call gate to an inner level: selector; value: the new RIP           */
    BOX_SHUTDOWN,                       /* BoxShutdown                                                           */
    BOX_KINDS
} BoxKind;
enum { BOX_XCR0 = 16 };                 /* `what` of BOX_CR */
typedef enum BoxShutdown { BOX_TRIPLE_FAULT, BOX_MACHINE_CHECK, BOX_BAD_RSM } BoxShutdown;

enum { BOX_UNKNOWN = 0xff };            /* mode: KVM did not say what the registers were */
#define BOX_NO_RIP UINT64_MAX           /* for box_note: CpuState is not up to date */

typedef struct BoxEvent {
    union {
        struct {
            uint8_t kind;               /* BoxKind */
            uint8_t size;
        };
        uint16_t kind_size;             /* both, as box_put takes them */
    };
    uint8_t mode, cpl;                  /* CpuMode and level in which it happened */
    uint16_t cs;
    uint8_t during_kind, during;        /* exceptions: what was being delivered, and its vector; BOX_NONE: nothing */
    uint32_t what;
    uint32_t error;                     /* exceptions */
    uint64_t rip;                       /* of the instruction */
    uint64_t value, old;
    uint64_t first, last;               /* box_time: of the first and the last of `count` */
    uint32_t serial;                    /* version of the ring at the last; compare as numbers that wrap */
    uint32_t count;
} BoxEvent;
_Static_assert(sizeof(BoxEvent) == 64, "an entry is a cache line");

/* A fault, and what was being delivered when it was raised. */
typedef struct BoxFault {
    uint8_t vector;
    bool has_error;
    uint8_t during_kind, during;        /* BOX_NONE: it is the instruction's own */
    bool during_error;                  /* that event pushes an error code */
    uint32_t error;
    uint64_t address;                   /* #PF: for CR2 */
} BoxFault;

enum { BOX_WINDOW = 16, BOX_CHAIN = 4, BOX_SIZE_DEFAULT = 512, BOX_SIZE_MIN = 32, BOX_SIZE_MAX = 1 << 20 };

struct BlackBox {                       /* BlackBox of cpu/cpu.h */
    uint32_t mask;                      /* entries - 1 */
    atomic_uint version;                /* odd while the ring changes; two more for each event */
    atomic_uint made;                   /* entries made so far; entry n is in slot n & mask */
    uint32_t recent[BOX_WINDOW];        /* keys of the last entries */
    uint8_t mode;                       /* CpuMode that was last noted: the one in which an instruction began */
    const uint64_t *instructions;       /* the clock: what this points to (-icount), else the host's time-stamp counter */
    /* what is being delivered */
    uint8_t now_kind, now;
    bool now_error;
    /* faults, each raised while the one before was delivered; `open`: the last has not reached its handler */
    BoxFault chain[BOX_CHAIN];
    unsigned faults;
    bool open;
    uint64_t chain_rip;                 /* of the instruction that it began at */
    uint16_t chain_cs;
    BoxShutdown shutdown;
    BoxEvent *slot;
};

/* `-blackbox`: entries for each CPU that is made from now on, a power of two, or 0: none. */
extern unsigned box_entries;
/* "off" or a number; false with a message. */
bool box_option(const char *text, GError **error);
BlackBox *box_new(void);                /* NULL when box_entries is 0 */
void box_free(BlackBox *b);             /* NULL: nothing */

/* The CPU's own thread, with its registers in CpuState (rip: of the instruction, BOX_NO_RIP: they are not) and box_mode
 * called since the mode changed, but for what this instruction does. */
void box_put(Cpu *c, unsigned kind_size, uint32_t what, uint64_t value, uint64_t old, uint64_t rip);
static inline void box_note(Cpu *c, BoxKind kind, unsigned size, uint32_t what, uint64_t value, uint64_t old, uint64_t rip)
{
    if (c->box) {
        box_put(c, kind | size << 8, what, value, old, rip);
    }
}
/* A change of mode, if there was one. */
static inline void box_mode(Cpu *c)
{
    CpuMode m = cpu_mode(&c->state);
    if (c->box && c->box->mode != m) {
        c->box->mode = m;
        box_put(c, BOX_MODE, m, c->state.efer & EFER_LMA, c->state.cr0, c->state.rip);
    }
}

/* Around the delivery of an event; `kind` is BOX_EXCEPTION, _INTERRUPT, _SOFTWARE or _NMI.  The event is noted. */
void box_deliver(Cpu *c, BoxKind kind, unsigned vector, bool has_error, uint32_t error, uint64_t address);
void box_delivered(Cpu *c);
/* A fault was raised; what comes of it (itself, #DF, shutdown) is delivered next. */
void box_fault(Cpu *c, unsigned vector, bool has_error, uint32_t error, uint64_t address);
void box_shutdown(Cpu *c, BoxShutdown why);
/* BOX_RESET, _INIT or _SIPI, before CpuState changes; whatever was under way is over. */
void box_restart(Cpu *c, BoxKind kind, unsigned vector);

/* Any thread: the entries, by the time they came last; BoxEvent.  Caller frees. */
GArray *box_read(const BlackBox *b);

#endif
