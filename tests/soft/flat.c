#include "tests/soft/flat.h"

#include <string.h>

#include "accel/soft/debug.h"
#include "accel/soft/op/far.h"
#include "accel/soft/op/integer/integer.h"
#include "accel/soft/op/io.h"
#include "accel/soft/tlb.h"
#include "cpu/blackbox/ring.h"
#include "cpu/msr.h"

Flat flat;

/* ---- Faults ---- */
void soft_fault_error(SoftCpu *s, unsigned vector, uint32_t error)
{
    s->fault = (SoftFault){.vector = (uint8_t)vector, .error = error};
    siglongjmp(s->jump, 1);
}

void soft_fault(SoftCpu *s, unsigned vector) { soft_fault_error(s, vector, 0); }
void soft_page_fault(SoftCpu *s, uint64_t linear, uint32_t error)
{
    flat.missed = linear;
    soft_fault_error(s, EXC_PF, error);
}
void soft_debug_trap(SoftCpu *s, uint64_t dr6) { soft_fault(s, EXC_DB); }

/* ---- Memory ---- */
static void check(SoftCpu *s, uint64_t linear, uint64_t size)
{
    if (linear - flat.base > flat.size - size || linear - flat.base >= flat.size) {
        soft_page_fault(s, linear, 0);
    }
    if (linear - flat.inner > flat.inner_size - size || linear - flat.inner >= flat.inner_size) {
        flat.stray = true;
    }
}

uint64_t tlb_load_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size)
{
    uint64_t v = 0;
    check(s, linear, size);
    memcpy(&v, (void *)(uintptr_t)linear, size);
    return v;
}

void tlb_store_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, uint64_t value)
{
    check(s, linear, size);
    memcpy((void *)(uintptr_t)linear, &value, size);
}

uint8_t *tlb_host_in(SoftCpu *s, unsigned table, uint64_t linear, unsigned size, bool write)
{
    check(s, linear, 1);
    if (flat.no_host || (linear & 4095) + size > 4096) {
        return NULL;
    }
    check(s, linear, size);
    return (uint8_t *)(uintptr_t)linear;
}

void tlb_probe(SoftCpu *s, unsigned table, uint64_t linear, bool write) { check(s, linear, 1); }

bool address_canonical(uint64_t va, bool la57)
{
    unsigned unused = la57 ? 7 : 16;
    return (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

/* ---- What belongs to other files ---- */
void op_mov_sreg(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_mov_cr(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_mov_dr(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_push_sreg(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_pop_sreg(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_call_far(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_jmp_far(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void op_ret_far(SoftCpu *s, const Insn *i) { soft_fault(s, EXC_UD); }
void io_check(SoftCpu *s, unsigned port, unsigned size) {}
unsigned io_breakpoints(const SoftCpu *s, unsigned port, unsigned size) { return 0; }
void box_put(Cpu *c, unsigned kind_size, uint32_t what, uint64_t value, uint64_t old, uint64_t rip) {}

/* Ports count up from their number. */
static uint64_t port_value;
Space *space_io(void) { return NULL; }
uint64_t space_load(Space *space, uint64_t at, unsigned size) { return at + port_value++; }
void space_store(Space *space, uint64_t at, unsigned size, uint64_t value) { port_value += value; }
void borrow_enter(SoftCpu *s) {}
void borrow_leave(SoftCpu *s) {}
void soft_poll(SoftCpu *s, unsigned why) {}
void tlb_forget_map(SoftCpu *s) {}
bool soft_debug_watched(const SoftCpu *s, uint64_t linear, size_t len, bool write) { return false; }
void soft_debug_touch(SoftCpu *s, uint64_t linear, unsigned size, bool write) {}
void soft_debug_expect(SoftCpu *s, uint64_t linear, size_t len, bool write) {}
void soft_debug_unfinished(SoftCpu *s) {}

/* ---- The CPU ---- */
void flat_setup(SoftCpu *s, uint32_t mode)
{
    static SoftTlb tlb;
    static CpuModel model;
    memset(s, 0, sizeof(*s));
    memset(model.words, 0xff, sizeof(model.words));
    CpuState *st = &s->cpu.state;
    bool in_64 = (mode & MODE_SIZE) == MODE_64;
    s->tlb = &tlb;
    s->cpu.model = &model;
    s->mode = mode | MODE_PROTECTED | MODE_USER | MODE_FLAT_DATA | MODE_FLAT_STACK | MODE_FLAT_CODE |
              (in_64 ? MODE_STACK_64 : MODE_STACK_32);
    st->cr0 = CR0_PE | CR0_PG;
    st->efer = EFER_LME | EFER_LMA;
    for (unsigned n = 0; n < 6; n++) {
        unsigned type = n == SEG_CS ? SEGMENT_CODE | SEGMENT_READABLE : SEGMENT_WRITABLE;
        st->seg[n] = (Segment){
            .limit = UINT32_MAX,
            .attr = segment_attr(type | SEGMENT_ACCESSED, true, 3, true, false, n == SEG_CS && in_64,
                                 !(n == SEG_CS && in_64), true, false),
        };
    }
    st->rflags = FLAG_ONE | FLAG_IF;
}

uint8_t flat_run(SoftCpu *s, const Insn *i, OpFn *fn)
{
    s->insn_rip = i->rip;
    s->cpu.state.rip = i->rip + i->length;
    if (sigsetjmp(s->jump, 0)) {
        return s->fault.vector;
    }
    fn(s, i);
    return EXC_NONE;
}

static OpFn *find_in(const Op *ops, unsigned mnemonic)
{
    for (; ops->mnemonic; ops++) {
        if (ops->mnemonic == mnemonic) {
            return ops->fn;
        }
    }
    return NULL;
}

OpFn *flat_find(unsigned mnemonic)
{
    OpFn *fn = find_in(ops_integer, mnemonic);
    return fn ? fn : find_in(ops_string, mnemonic);
}
