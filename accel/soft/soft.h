/* Inside the software CPU.
 *
 *   decode.c    bytes -> Insn, by Zydis                   block.c   blocks: made, found, chained, thrown away
 *   lower*.c    Insn -> micro-ops                         exec*.c   what micro-ops do
 *   tlb.c       address translation, the slow half of     memory.c  guest memory for op/
 *               each access, who else must hear of it
 *   borrow/     vector instructions on the host's unit    run.c     the loop: events, faults, time
 *   soft.c      the accelerator                           op/       instructions as C functions
 *   twice.c     memory for host code                      translate/   hot blocks as host code
 *   debug.c     breakpoints, watchpoints, steps
 *
 * One thread runs one CPU.  SoftCpu is the Cpu with what this accelerator adds behind it; registers are where everybody
 * else looks for them (CpuState), except that the arithmetic flags are in `cc` and RIP is exact only where it says so.
 *
 * Faults leave by longjmp to the loop (soft_fault): whatever an instruction changes, it changes after its last memory
 * access and its last check, so that it can be started again. */
#ifndef ACCEL_SOFT_SOFT_H
#define ACCEL_SOFT_SOFT_H

#include <setjmp.h>
#include <stdatomic.h>

#include "accel/soft/insn.h"
#include "cpu/cpu.h"
#include "cpu/model.h"
#include "cpu/paging.h"

typedef struct Block Block;
typedef struct Uop Uop;
typedef struct SoftCode SoftCode;       /* block.c: the cache of one CPU */
typedef struct SoftTlb SoftTlb;         /* tlb.c */
typedef struct SoftDebug SoftDebug;     /* debug.c */

/* One page as seen by one kind of access at one privilege.  An access of `size` bytes at `va` hits when
 * va - tag <= 4096 - size, unsigned; everything that is not plain memory simply has no entry. */
typedef struct TlbEntry {
    uint64_t tag;
    uint8_t *host;
} TlbEntry;
enum { TLB_BITS = 12, TLB_SIZE = 1 << TLB_BITS };

/* Why the loop should look up from running blocks; set by anyone, with soft_poll. */
enum {
    POLL_KICK = 1 << 0,                 /* c->kicked or c->events                       */
    POLL_FLUSH = 1 << 1,                /* the memory map changed: forget translations  */
    POLL_CODE = 1 << 2,                 /* another wrote to code: see the queue         */
    POLL_LEAVE = 1 << 3,                /* an instruction asks for the loop (own CPU)   */
    POLL_DEBUG = 1 << 4,                /* a debugger is to be told of something        */
};

typedef struct SoftFault {
    uint8_t vector;
    bool has_error;
    uint32_t error;
    uint64_t payload;                   /* #PF: the address for CR2; #DB: bits for DR6  */
} SoftFault;

/* Exceptions by their manuals' names (SDM vol 3 table 6-1). */
enum { EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_TS = 10, EXC_NP, EXC_SS, EXC_GP, EXC_PF,
       EXC_MF = 16, EXC_AC, EXC_MC, EXC_XM, EXC_DECLINED = 0xfe, EXC_NONE = 0xff };

/* The time-stamp counter (op/tsc.c); of its own thread, or of others while that does not run. */
typedef struct SoftTsc {
    int64_t offset;
    uint64_t stored;                    /* what soft_tsc_store left in the state        */
    uint64_t hz;                        /* 0: the model's                               */
    bool published;                     /* the APIC knows the offset                    */
} SoftTsc;

typedef struct SoftCpu {
    Cpu cpu;                            /* first: a Cpu * is a SoftCpu *; gpr[] is at offset 0      */
    uint16_t cc;                        /* arithmetic flags as LAHF, SETO AL leave them in AX:
                                         * SF ZF - AF - PF - CF in bits 15-8, OF in bit 0           */
    atomic_uint poll;                   /* POLL_*                                                   */
    uint64_t zero, zero_ss;             /* 0: base, index or segment that an address lacks          */
    uint64_t tmp[4];                    /* between the micro-ops of one instruction                 */
    uint64_t ea_mask;                   /* all ones in 64-bit code, else the low 32                 */
    uint64_t rip_base;                  /* RIP of the running block's first instruction             */
    Block *block;                       /* the running one                                          */
    TlbEntry *load, *store;             /* tables of the current privilege                          */
    uint64_t jump_key;                  /* of entries in SoftCode.jumps that count                  */
    uint64_t insn_rip;                  /* of the instruction in a C function: where a fault points */
    uint32_t mode;                      /* MODE_* of the code that runs now                         */
    bool mode_stale;                    /* something that `mode` is made from has changed           */
    int64_t left;                       /* icount and soft_step: instructions that may still run    */
    uint64_t count;                     /* instructions executed, kept where `counting`             */
    bool counting, stepping;            /* icount; soft_step                                        */
    int64_t short_budget;               /* with less left than this, one at a time                  */
    uint32_t plain_mode;                /* `mode` without MODE_SINGLE                               */
    uint32_t code_limit;                /* CS limit that the jump table goes by                     */
    bool in_turn;                       /* icount.c: the clock follows this CPU's `count` ...        */
    uint64_t turn_start;                /* ... from here on                                         */
    unsigned slice_left;                /* instructions until another CPU's turn                    */
    uint32_t logged;                    /* LOG_EXEC and LOG_CPU as the blocks were made for them    */
    bool recheck;                       /* a device may have set a nearer timer                     */
    bool counted;                       /* the running block has been counted as a whole           */
    uint8_t canonical_shift;            /* 64 - width of linear addresses; 0 outside 64-bit code   */
    bool in_block;                      /* rip_base and `cur` tell RIP                              */
    const Uop *cur;                     /* micro-op whose slow path is being served                 */
    sigjmp_buf jump;
    /* what is being raised */
    SoftFault fault;
    uint8_t delivering;                 /* vector whose delivery is under way, or EXC_NONE          */
    bool delivering_external;           /* it came from outside: EXT in error codes                 */
    bool triple;                        /* the fault that ends it all                               */
    bool catch_faults;                  /* soft_step: report faults instead of delivering them      */
    bool caught;
    uint8_t singly;                     /* SINGLY_*: each instruction on its own                    */
    /* KVM's CPU, which is here for a while (accel/kvm/rescue.c), else NULL.  is_guest: KVM is at hand for what is its own, see
     * soft_decline.  declines: s->fault is not to be delivered, KVM judges that instruction (EXC_DECLINED: soft_decline).
     * apic_access: before a device access to the local APIC's page. */
    bool (*is_guest)(struct SoftCpu *s);
    bool (*declines)(struct SoftCpu *s);
    void (*apic_access)(struct SoftCpu *s, unsigned offset, bool write);
    uint8_t held_hits;                  /* of MOV SS: they wait for the instruction behind it       */
    uint8_t watch_hit;                  /* data breakpoints met by this instruction: bits of DR6 */
    uint32_t mxcsr_host;                /* the host's own, while the guest's is loaded              */
    SoftTsc tsc;
    SoftDebug *debug;                   /* points and steps of a debugger; NULL: none               */
    SoftTlb *tlb;
    SoftCode *code;
    _Alignas(64) uint8_t buffer[1024];  /* a memory operand on its way to and from a borrowed stub  */
} SoftCpu;
static inline SoftCpu *soft_cpu(Cpu *c) { return (SoftCpu *)c; }

/* ---- Mode: what a block's code depends on beside its bytes ---- */
enum {
    MODE_16 = 0, MODE_32 = 1, MODE_64 = 2, MODE_SIZE = 3,       /* default operand and address size  */
    MODE_STACK_16 = 0 << 2, MODE_STACK_32 = 1 << 2, MODE_STACK_64 = 2 << 2, MODE_STACK = 3 << 2,
    MODE_FLAT_DATA = 1 << 4,            /* DS, ES: base 0, 4 GiB, readable and writable; or 64-bit  */
    MODE_FLAT_STACK = 1 << 5,           /* SS likewise, with a 32 or 64 bit stack pointer           */
    MODE_FLAT_CODE = 1 << 6,            /* CS: base 0                                               */
    MODE_FPU_EM = 1 << 7, MODE_FPU_TS = 1 << 8, MODE_FPU_MP = 1 << 9,
    MODE_SSE = 1 << 10,                 /* CR4.OSFXSR                                               */
    MODE_AVX = 1 << 11,                 /* CR4.OSXSAVE and XCR0 has AVX                             */
    MODE_PROTECTED = 1 << 12,           /* neither real nor virtual-8086                            */
    MODE_V86 = 1 << 13,
    MODE_USER = 1 << 14,                /* CPL 3                                                    */
    MODE_SINGLE = 1 << 15,              /* one instruction a block                                  */
    MODE_MXCSR = 1 << 16,               /* MXCSR unmasks an exception: see borrow.h                 */
};

/* ---- Faults ---- */
/* Each leaves the instruction; RIP goes back to its first byte. */
_Noreturn void soft_fault(SoftCpu *s, unsigned vector);                         /* #DE #UD #NM #MF #XM ... */
_Noreturn void soft_fault_error(SoftCpu *s, unsigned vector, uint32_t error);   /* #GP #SS #NP #TS #AC     */
_Noreturn void soft_restart(SoftCpu *s);        /* no fault: events first, then this instruction again */
_Noreturn void soft_page_fault(SoftCpu *s, uint64_t linear, uint32_t error);
static inline bool soft_is_guest(SoftCpu *s) { return s->is_guest && s->is_guest(s); }
/* soft_is_guest: this instruction is not for us; nothing of it has been done. */
_Noreturn void soft_decline(SoftCpu *s);

/* ---- Guest memory, by linear address (memory.c).  Each may raise #PF, #GP/#SS for a non-canonical address, #AC. ---- */
/* Data at the privilege of the code that runs; size 1, 2, 4, 8. */
uint64_t soft_load(SoftCpu *s, uint64_t linear, unsigned size);
void soft_store(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value);
/* By the CPU itself, as supervisor whatever CPL is: descriptor tables, TSS, inner stacks (WALK_IMPLICIT). */
uint64_t soft_load_system(SoftCpu *s, uint64_t linear, unsigned size);
void soft_store_system(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value);
/* At the privilege of `cpl` (pushing to a stack that is entered by a gate, or returned to). */
uint64_t soft_load_at(SoftCpu *s, uint64_t linear, unsigned size, unsigned cpl);
void soft_store_at(SoftCpu *s, uint64_t linear, unsigned size, uint64_t value, unsigned cpl);
/* Bytes, at the current privilege.  All of them are checked before the first is transferred. */
void soft_read(SoftCpu *s, uint64_t linear, void *buf, size_t len);
void soft_write(SoftCpu *s, uint64_t linear, const void *buf, size_t len);
/* Faults where an access to any of these bytes would; at most 4096 bytes. */
void soft_probe(SoftCpu *s, uint64_t linear, size_t len, bool write);
/* Host address of `size` bytes within one page of plain memory, after all checks; NULL: a device, ROM, or across pages
 * (use soft_load/soft_store).  With `write` the page is marked dirty and code in it is thrown away; use it at once. */
void *soft_host(SoftCpu *s, uint64_t linear, unsigned size, bool write);
/* The same for those who perhaps do not access all of it: NULL also where a debugger watches some byte. */
void *soft_host_span(SoftCpu *s, uint64_t linear, unsigned size, bool write);
/* Devices, by address in a space: with the host's own MXCSR while they work, and an eye on events of this CPU behind it. */
uint64_t soft_device_load(SoftCpu *s, Space *space, uint64_t at, unsigned size);
void soft_device_store(SoftCpu *s, Space *space, uint64_t at, unsigned size, uint64_t value);
/* Guest's own locked operations where soft_host has no pointer: one at a time in the whole machine. */
void soft_bus_lock(void);               /* a fault gives it back */
void soft_bus_unlock(void);

/* Segment checks (SDM vol 3 §5.3, 5.4): the linear address of `size` bytes at `offset` of a segment register; #GP(0), #SS(0). */
uint64_t soft_linear(SoftCpu *s, unsigned seg, uint64_t offset, unsigned size, bool write);

/* ---- Operands (memory.c), for op/ ---- */
uint64_t soft_ea(SoftCpu *s, const Insn *i);            /* offset of the memory operand, cut to the address size */
uint64_t soft_operand_linear(SoftCpu *s, const Insn *i, unsigned size, bool write);
uint64_t soft_get(SoftCpu *s, const Insn *i, unsigned n);               /* operand n, zero-extended; IMM: sign-extended */
/* The same of one that will be written: a page that refuses writes refuses now. */
uint64_t soft_get_rmw(SoftCpu *s, const Insn *i, unsigned n);
/* 32-bit registers clear the upper half; 8 and 16-bit ones leave the rest. */
void soft_put(SoftCpu *s, const Insn *i, unsigned n, uint64_t value);
static inline uint64_t soft_gpr(const SoftCpu *s, unsigned reg, unsigned size)
{
    uint64_t v = s->cpu.state.gpr[reg];
    return size == 8 ? v : v & ((UINT64_C(1) << 8 * size) - 1);
}
static inline void soft_gpr_put(SoftCpu *s, unsigned reg, unsigned size, uint64_t v)
{
    uint64_t *r = &s->cpu.state.gpr[reg];
    uint64_t mask = size >= 4 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
    *r = (*r & ~mask) | ((size == 4 ? (uint32_t)v : v) & mask);
}
/* The stack at the current privilege; SP moves only when the access has succeeded.  size 2, 4, 8. */
void soft_push(SoftCpu *s, unsigned size, uint64_t value);
uint64_t soft_pop(SoftCpu *s, unsigned size);
/* For several pushes or pops that succeed together: work on a copy of SP, then soft_sp_put. */
static inline unsigned soft_stack_size(const SoftCpu *s) { return cpu_stack_size(&s->cpu.state) / 8; }
static inline uint64_t soft_sp_mask(const SoftCpu *s)
{
    unsigned size = soft_stack_size(s);
    return size == 8 ? UINT64_MAX : size == 4 ? UINT32_MAX : 0xffff;
}
void soft_push_at(SoftCpu *s, uint64_t *sp, unsigned size, uint64_t value);     /* *sp moves, RSP does not */
uint64_t soft_pop_at(SoftCpu *s, uint64_t *sp, unsigned size);
static inline void soft_sp_put(SoftCpu *s, uint64_t sp)         /* the bits beyond the stack's width stay */
{
    uint64_t mask = soft_sp_mask(s), *rsp = &s->cpu.state.gpr[CPU_RSP];
    *rsp = mask == UINT32_MAX ? (uint32_t)sp : (*rsp & ~mask) | (sp & mask);
}

/* ---- Flags ---- */
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)
/* Where code at `rip` lies, for -d and -dfilter. */
static inline uint64_t log_linear(const SoftCpu *s, uint64_t rip)
{
    return cpu_mode(&s->cpu.state) == CPU_LONG ? rip : (uint32_t)(s->cpu.state.seg[SEG_CS].base + rip);
}
static inline uint64_t soft_flags(const SoftCpu *s)     /* all of RFLAGS */
{
    return (s->cpu.state.rflags & ~(uint64_t)FLAGS_ARITH) | (s->cc >> 8 & 0xd5) | (s->cc & 1u) << 11 | FLAG_ONE;
}
static inline void soft_set_cc(SoftCpu *s, uint64_t flags)      /* the arithmetic ones */
{
    s->cc = (uint16_t)((flags & 0xd5) << 8 | (flags >> 11 & 1));
}
/* All of RFLAGS: no check, but whatever follows from TF, IF, VM, AC, RF is seen to.  `value` is what the caller allows. */
void soft_set_flags(SoftCpu *s, uint64_t value);

/* ---- Modes and translations ---- */
static inline unsigned soft_cpl(const SoftCpu *s) { return cpu_cpl(&s->cpu.state); }
/* Something changed that `mode`, the current tables or the flags' meaning follow from: segment registers, CR0, CR3, CR4,
 * EFER, XCR0, CPL, RFLAGS.VM/AC/TF, MXCSR, debug registers. Cheap; the loop recomputes before the next block. */
static inline void soft_changed(SoftCpu *s) { s->mode_stale = true; }
void soft_tlb_flush(SoftCpu *s, bool global);           /* all, or those not global; own CPU                */
void soft_tlb_flush_page(SoftCpu *s, uint64_t linear);
void soft_forget_memory(Cpu *c);                        /* Accel: on its thread, under KVM too                        */
void soft_memory_changed(SoftCpu *s);                   /* c->memory is another Space now (SMM)             */
/* Leave to the loop after this instruction (halted, event raised, shadow ...). */
static inline void soft_leave(SoftCpu *s) { atomic_fetch_or(&s->poll, POLL_LEAVE); }
void soft_poll(SoftCpu *s, unsigned why);               /* any thread */

/* ---- Instructions as C functions (op/) ----
 * Called with insn_rip at the instruction and state.rip behind it.  One that transfers control sets state.rip (OP_END). */
typedef void OpFn(SoftCpu *s, const Insn *i);
enum {
    OP_END = 1 << 0,                    /* may change RIP, the mode or the map: the block ends behind it, and the loop looks at
                                         * events; the next block is looked up anew                  */
    OP_LOOP = 1 << 1,                   /* only with icount: takes part in its own right (I/O)      */
};
typedef struct Op {
    uint16_t mnemonic;                  /* ZydisMnemonic */
    uint16_t flags;
    OpFn *fn;
} Op;
/* Tables that end with mnemonic 0; op/table.c merges them.  An instruction in none of them, nor lowered otherwise, is #UD. */
extern const Op ops_integer[], ops_string[], ops_segment[], ops_flow[], ops_system[], ops_x87[], ops_x87_control[], ops_xsave[];
const Op *op_find(unsigned mnemonic);   /* NULL */
bool op_is_integer(const Op *op);       /* of ops_integer */

/* ---- Events (op/interrupt.c, op/smm.c), called by the loop ---- */
typedef enum SoftIntKind { INT_EXCEPTION, INT_EXTERNAL, INT_SOFTWARE, INT_ICEBP } SoftIntKind;
/* Deliver through the IDT, IVT or a task gate; returns to state.rip.  May raise faults.  INT_SOFTWARE: INT n, INT3, INTO, whose
 * gate DPL is checked. */
void soft_interrupt(SoftCpu *s, unsigned vector, SoftIntKind kind, bool has_error, uint32_t error);
/* s->fault was raised: benign, double or triple (SDM vol 3 §6.15), CR2 and DR6, then delivery; s->triple when there is none. */
void soft_take_fault(SoftCpu *s);
void soft_enter_smm(SoftCpu *s);
/* #DB as a trap, with bits for DR6. */
void soft_debug_trap(SoftCpu *s, uint64_t dr6);
enum { DR6_BS = 1 << 14 };

/* ---- Running (run.c) ---- */
/* Execute until `n` instructions are done, something halts, or (with `catch`) a fault is raised instead of delivered, which is
 * then in s->fault.  State is complete afterwards.  Own thread, or no thread yet; without the main lock. */
typedef enum SoftStep { STEP_DONE, STEP_FAULT, STEP_HALTED, STEP_TRIPLE } SoftStep;
SoftStep soft_step(SoftCpu *s, unsigned n, bool catch);
/* What an accelerator's cpu_init and cpu_free do here; also for KVM's CPUs, which rescue steps. */
/* Once, before CPUs are made: they get room for a SoftCpu each. */
void soft_prepare(void);
bool soft_cpu_setup(Cpu *c, GError **error);    /* false: no room for its blocks; nothing is left behind */
void soft_cpu_teardown(Cpu *c);
/* State is about to be changed, or was changed, by others: flags, RIP, translations. */
void soft_sync_out(SoftCpu *s);         /* RFLAGS and RIP into CpuState          */
void soft_sync_in(SoftCpu *s);          /* CpuState was written: nothing is assumed */
/* `info jit`: blocks, translations and (icount) instructions of each CPU; appends. */
void soft_print_statistics(GString *out);
uint64_t soft_tsc(SoftCpu *s);          /* the counter as RDTSC reads it         */

#endif
