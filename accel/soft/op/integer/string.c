/* String operations (SDM vol 1 §7.3.9, vol 2 REP).
 *
 * A repeated one works in chunks: as many elements as lie within one page and one segment on either side are
 * done on host memory; then rSI, rDI and rCX are brought up to date, so that a fault in the next chunk finds
 * them exact. Where there is no host memory (devices), or an element lies across two pages, a chunk is one
 * element. After some thousands of elements, or when the loop has something to do, the instruction is left
 * unfinished, with RIP still at it: interrupts come between iterations. */
#include <Zydis/Zydis.h>
#include <string.h>

#include "accel/soft/debug.h"
#include "accel/soft/op/integer/integer.h"
#include "accel/soft/op/io.h"
#include "cpu/blackbox/ring.h"
#include "mem/region.h"

enum {
    BUDGET = 16384,                     /* elements in one go                            */
    BULK = 4,                           /* fewer are not worth looking up a host address */
    PAGE = 4096,
};

typedef struct Run {
    SoftCpu *s;
    unsigned size;                      /* of an element                       */
    unsigned address_size;
    uint64_t mask;                      /* of offsets                          */
    bool down;                          /* DF                                  */
    Prefixes prefix;
    bool stop;                          /* the comparison ends the repetition  */
    unsigned debug;                     /* I/O breakpoints met: bits for DR6   */
    uint64_t refused;                   /* page that has no host memory, plus 1: not asked again */
    uint16_t cc;                        /* after it                            */
} Run;

/* Does 1 to n elements and moves the registers it uses behind them; returns how many. */
typedef uint64_t ChunkFn(Run *r, uint64_t n);

static uint64_t offset_of(const Run *r, unsigned reg) { return soft_gpr(r->s, reg, r->address_size); }

static void advance(Run *r, unsigned reg, uint64_t n)
{
    uint64_t bytes = n * r->size;
    soft_gpr_put(r->s, reg, r->address_size, offset_of(r, reg) + (r->down ? -bytes : bytes));
}

/* How many elements, the first of which lies at offset 0 of `room` + 1 bytes. */
static uint64_t elements_in(uint64_t room, unsigned size)
{
    return room < size - 1 ? 0 : (room - (size - 1)) / size + 1;
}

/* Of the n elements from `offset` on, those that need no check beyond the first one's, which is made here:
 * *linear is its address. 0: even the first one has to be taken apart. */
static uint64_t span(const Run *r, unsigned seg, uint64_t offset, bool write, uint64_t n, uint64_t *linear)
{
    unsigned size = r->size;
    *linear = soft_linear(r->s, seg, offset, size, write);
    unsigned in_page = *linear & (PAGE - 1);
    if (in_page + size > PAGE) {
        return 0;
    }
    if (r->down) {
        n = MIN(n, in_page / size + 1);
        n = MIN(n, offset / size + 1);
    } else {
        n = MIN(n, (PAGE - in_page) / size);
        n = MIN(n, elements_in(r->mask - offset, size));
    }
    if (!code_64(r->s)) {
        const Segment *g = &r->s->cpu.state.seg[seg];
        if (!(segment_type(g) & SEGMENT_CODE) && segment_type(g) & SEGMENT_EXPAND_DOWN) {
            n = MIN(n, 1);
        } else if (!r->down) {
            n = MIN(n, elements_in(g->limit - offset, size));
        }
    }
    return n;
}

/* The host address of the first of n elements, or NULL. */
static uint8_t *span_host(Run *r, uint64_t linear, uint64_t n, bool write)
{
    uint64_t mark = (linear & -(uint64_t)PAGE) + 1;
    if (n < BULK || mark == r->refused) {
        return NULL;
    }
    uint64_t before = r->down ? (n - 1) * r->size : 0;
    if (before) {
        soft_probe(r->s, linear, 1, write); /* a fault is told to be where the first element is */
    }
    uint8_t *low = soft_host_span(r->s, linear - before, (unsigned)(n * r->size), write);
    if (!low) {
        r->refused = mark;
        return NULL;
    }
    return low + before;
}

static uint64_t element(const uint8_t *p, unsigned size)
{
    uint64_t v = 0;
    switch (size) {
    case 1:
        return *p;
    case 2:
        memcpy(&v, p, 2);
        break;
    case 4:
        memcpy(&v, p, 4);
        break;
    default:
        memcpy(&v, p, 8);
    }
    return v;
}

/* ---- MOVS ---- */
#define COPY_LOOP(type)                                                                             \
    for (; n; n--, to += step, from += step) {                                                      \
        type v;                                                                                     \
        memcpy(&v, from, sizeof(v));                                                                \
        memcpy(to, &v, sizeof(v));                                                                  \
    }
/* One after the other: where the destination runs into the source, the copy repeats what it has written. */
static void copy_in_order(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size, bool down)
{
    int64_t step = down ? -(int64_t)size : (int64_t)size;
    switch (size) {
    case 1:
        COPY_LOOP(uint8_t)
        break;
    case 2:
        COPY_LOOP(uint16_t)
        break;
    case 4:
        COPY_LOOP(uint32_t)
        break;
    default:
        COPY_LOOP(uint64_t)
    }
}

/* Host addresses are compared, for one page may be mapped at two linear ones. */
static void copy_elements(uint8_t *to, const uint8_t *from, uint64_t n, unsigned size, bool down)
{
    uint64_t bytes = n * size, ahead = (uint64_t)(uintptr_t)to - (uint64_t)(uintptr_t)from;
    if (down) {
        ahead = -ahead;
    }
    if (ahead != 0 && ahead < bytes) {
        copy_in_order(to, from, n, size, down);
        return;
    }
    uint64_t before = down ? bytes - size : 0;
    memmove(to - before, from - before, bytes);
}

static uint64_t chunk_movs(Run *r, uint64_t n)
{
    uint64_t src, dst, value = 0;
    n = span(r, r->prefix.seg, offset_of(r, CPU_RSI), false, n, &src);
    const uint8_t *from = span_host(r, src, n, false);
    if (!from) {
        value = soft_load(r->s, src, r->size);
    }
    n = span(r, SEG_ES, offset_of(r, CPU_RDI), true, n, &dst);
    uint8_t *to = from ? span_host(r, dst, n, true) : NULL;
    if (to) {
        copy_elements(to, from, n, r->size, r->down);
    } else {
        n = 1;
        soft_store(r->s, dst, r->size, from ? soft_load(r->s, src, r->size) : value);
    }
    advance(r, CPU_RSI, n);
    advance(r, CPU_RDI, n);
    return n;
}

/* ---- STOS ---- */
#define FILL_LOOP(type)                                                                             \
    for (uint64_t k = 0; k < n; k++) {                                                              \
        type v = (type)value;                                                                       \
        memcpy(p + k * sizeof(v), &v, sizeof(v));                                                   \
    }
static void fill(uint8_t *p, uint64_t n, unsigned size, uint64_t value)
{
    if (value == ((value & 0xff) * UINT64_C(0x0101010101010101) & size_mask(size))) {
        memset(p, (int)(value & 0xff), n * size);
        return;
    }
    switch (size) {
    case 2:
        FILL_LOOP(uint16_t)
        break;
    case 4:
        FILL_LOOP(uint32_t)
        break;
    default:
        FILL_LOOP(uint64_t)
    }
}

static uint64_t chunk_stos(Run *r, uint64_t n)
{
    uint64_t dst, value = soft_gpr(r->s, CPU_RAX, r->size);
    n = span(r, SEG_ES, offset_of(r, CPU_RDI), true, n, &dst);
    uint8_t *to = span_host(r, dst, n, true);
    if (to) {
        fill(r->down ? to - (n - 1) * r->size : to, n, r->size, value);
    } else {
        n = 1;
        soft_store(r->s, dst, r->size, value);
    }
    advance(r, CPU_RDI, n);
    return n;
}

/* ---- LODS: of a repeated one only the last element remains, but each could be a device's ---- */
static uint64_t chunk_lods(Run *r, uint64_t n)
{
    uint64_t src;
    n = span(r, r->prefix.seg, offset_of(r, CPU_RSI), false, n, &src);
    const uint8_t *from = span_host(r, src, n, false);
    uint64_t value;
    if (from) {
        int64_t last = (int64_t)((n - 1) * r->size);
        value = element(from + (r->down ? -last : last), r->size);
    } else {
        n = 1;
        value = soft_load(r->s, src, r->size);
    }
    soft_gpr_put(r->s, CPU_RAX, r->size, value);
    advance(r, CPU_RSI, n);
    return n;
}

/* ---- SCAS, CMPS ---- */
/* Whether the repetition ends here; the flags are those of the last comparison. */
static bool compare_ends(const Run *r, uint64_t a, uint64_t b) { return r->prefix.repne ? a == b : a != b; }

static void compare_done(Run *r, uint64_t a, uint64_t b)
{
    r->stop = compare_ends(r, a, b);
    alu_sub(r->size, a, b, &r->cc);
}

static uint64_t chunk_scas(Run *r, uint64_t n)
{
    uint64_t dst, a = soft_gpr(r->s, CPU_RAX, r->size), b = 0, done = 0;
    n = span(r, SEG_ES, offset_of(r, CPU_RDI), false, n, &dst);
    const uint8_t *at = span_host(r, dst, n, false);
    if (at && r->size == 1 && r->prefix.repne && !r->down) {
        const uint8_t *found = memchr(at, (int)a, n);
        done = found ? (uint64_t)(found - at) + 1 : n;
        b = at[done - 1];
    } else if (at) {
        int64_t step = r->down ? -(int64_t)r->size : (int64_t)r->size;
        do {
            b = element(at, r->size);
            at += step;
        } while (++done < n && !compare_ends(r, a, b));
    } else {
        b = soft_load(r->s, dst, r->size);
        done = 1;
    }
    compare_done(r, a, b);
    advance(r, CPU_RDI, done);
    return done;
}

static uint64_t chunk_cmps(Run *r, uint64_t n)
{
    uint64_t src, dst, a = 0, b = 0, done = 0;
    n = span(r, r->prefix.seg, offset_of(r, CPU_RSI), false, n, &src);
    const uint8_t *left = span_host(r, src, n, false), *right = NULL;
    if (!left) {
        a = soft_load(r->s, src, r->size);
    }
    n = span(r, SEG_ES, offset_of(r, CPU_RDI), false, n, &dst);
    if (left) {
        right = span_host(r, dst, n, false);
    }
    if (right) {
        int64_t step = r->down ? -(int64_t)r->size : (int64_t)r->size;
        do {
            a = element(left, r->size);
            b = element(right, r->size);
            left += step;
            right += step;
        } while (++done < n && !compare_ends(r, a, b));
    } else {
        a = left ? soft_load(r->s, src, r->size) : a;
        b = soft_load(r->s, dst, r->size);
        done = 1;
    }
    compare_done(r, a, b);
    advance(r, CPU_RSI, done);
    advance(r, CPU_RDI, done);
    return done;
}

/* ---- INS, OUTS ---- */
/* A port that is read may lose what it had: first everything is checked. */
static uint64_t chunk_ins(Run *r, uint64_t n)
{
    unsigned port = (unsigned)soft_gpr(r->s, CPU_RDX, 2);
    io_check(r->s, port, r->size);
    uint64_t dst = soft_linear(r->s, SEG_ES, offset_of(r, CPU_RDI), r->size, true);
    soft_probe(r->s, dst, r->size, true);
    r->debug = io_breakpoints(r->s, port, r->size);
    uint64_t value = soft_device_load(r->s, space_io(), port, r->size);
    box_note(&r->s->cpu, BOX_IN, r->size, port, value, 0, r->s->insn_rip);
    soft_store(r->s, dst, r->size, value);
    advance(r, CPU_RDI, 1);
    return 1;
}

static uint64_t chunk_outs(Run *r, uint64_t n)
{
    unsigned port = (unsigned)soft_gpr(r->s, CPU_RDX, 2);
    io_check(r->s, port, r->size);
    uint64_t src = soft_linear(r->s, r->prefix.seg, offset_of(r, CPU_RSI), r->size, false);
    r->debug = io_breakpoints(r->s, port, r->size);
    uint64_t value = soft_load(r->s, src, r->size);
    box_note(&r->s->cpu, BOX_OUT, r->size, port, value, 0, r->s->insn_rip);
    soft_device_store(r->s, space_io(), port, r->size, value);
    advance(r, CPU_RSI, 1);
    return 1;
}

/* ---- Repetition ---- */
/* Runs that count instructions must not depend on when others call. */
static bool loop_calls(const SoftCpu *s)
{
    unsigned poll = atomic_load_explicit(&s->poll, memory_order_relaxed);
    return s->counting ? poll & POLL_LEAVE : poll != 0;
}

static void repeat(Run *r, ChunkFn *chunk, bool compares)
{
    SoftCpu *s = r->s;
    uint64_t count = soft_gpr(s, CPU_RCX, r->address_size);
    bool watched = s->cpu.state.rflags & FLAG_TF || s->cpu.state.dr[7] & 0xff || s->singly & SINGLY_DEBUG;
    uint64_t budget = watched ? 1 : BUDGET; /* traps come between iterations */
    while (count) {
        uint64_t done = chunk(r, MIN(count, budget));
        count -= done;
        budget -= done;
        soft_gpr_put(s, CPU_RCX, r->address_size, count);
        if (count == 0 || (compares && r->stop)) {
            break;
        }
        if (budget == 0 || r->debug || loop_calls(s)) {
            s->cpu.state.rip = s->insn_rip;
            if (G_UNLIKELY(s->debug)) {
                soft_debug_unfinished(s);
            }
            break;
        }
    }
}

/* MOVSD and CMPSD are also names of vector instructions, which are lowered elsewhere: map 0 has the strings. */
static void string_op(SoftCpu *s, const Insn *i, ChunkFn *chunk, bool compares)
{
    if (i->opcode > 0xff) {
        soft_fault(s, EXC_UD);
    }
    bool io = (i->opcode & 0xfc) == 0x6c;
    Run r = {
        .s = s,
        .size = !(i->opcode & 1) ? 1 : io && i->operand_size == 8 ? 4 : i->operand_size,
        .address_size = i->address_size,
        .mask = size_mask(i->address_size),
        .down = s->cpu.state.rflags & FLAG_DF,
        .prefix = insn_prefixes(s, i),
        .cc = s->cc,
    };
    if (r.prefix.rep || r.prefix.repne) {
        repeat(&r, chunk, compares);
    } else {
        chunk(&r, 1);
    }
    s->cc = r.cc;
    if (r.debug) {
        soft_debug_trap(s, r.debug);
    }
}

static void op_movs(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_movs, false); }
static void op_stos(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_stos, false); }
static void op_lods(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_lods, false); }
static void op_scas(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_scas, true); }
static void op_cmps(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_cmps, true); }
static void op_ins(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_ins, false); }
static void op_outs(SoftCpu *s, const Insn *i) { string_op(s, i, chunk_outs, false); }

#define SIZES(name, flags, fn)                                                                      \
    {ZYDIS_MNEMONIC_##name##B, flags, fn}, {ZYDIS_MNEMONIC_##name##W, flags, fn},                   \
    {ZYDIS_MNEMONIC_##name##D, flags, fn}

const Op ops_string[] = {
    SIZES(MOVS, OP_END, op_movs), {ZYDIS_MNEMONIC_MOVSQ, OP_END, op_movs},
    SIZES(STOS, OP_END, op_stos), {ZYDIS_MNEMONIC_STOSQ, OP_END, op_stos},
    SIZES(LODS, OP_END, op_lods), {ZYDIS_MNEMONIC_LODSQ, OP_END, op_lods},
    SIZES(SCAS, OP_END, op_scas), {ZYDIS_MNEMONIC_SCASQ, OP_END, op_scas},
    SIZES(CMPS, OP_END, op_cmps), {ZYDIS_MNEMONIC_CMPSQ, OP_END, op_cmps},
    SIZES(INS, OP_END | OP_LOOP, op_ins), SIZES(OUTS, OP_END | OP_LOOP, op_outs),
    {0},
};
