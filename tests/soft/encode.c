#include "tests/soft/encode.h"

#include <Zydis/Zydis.h>
#include <glib.h>
#include <string.h>

#include "accel/soft/decode.h"
#include "accel/soft/soft.h"
#include "tests/soft/forms.h"

/* ---- Registers ---- */
static const uint8_t pointers_64[] = {CPU_RSI, CPU_RDI, CPU_RBP, CPU_R12, CPU_R13},
                     indices_64[] = {CPU_R10, CPU_R14};
static const uint8_t pointers_32[] = {CPU_RSI, CPU_RDI, CPU_RBP}, indices_32[] = {CPU_RBX};
static const uint8_t scratch_64[] = {CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_R8, CPU_R9, CPU_R11, CPU_R15};
static const uint8_t scratch_32[] = {CPU_RAX, CPU_RCX, CPU_RDX};

static uint16_t set_of(const uint8_t *list, unsigned n)
{
    uint16_t set = 0;
    while (n--) {
        set |= (uint16_t)(1u << list[n]);
    }
    return set;
}

uint16_t pointer_registers(bool code_32) { return code_32 ? set_of(pointers_32, 3) : set_of(pointers_64, 5); }
uint16_t index_registers(bool code_32) { return code_32 ? set_of(indices_32, 1) : set_of(indices_64, 2); }

/* One that may be changed: now and then that includes those which addresses are made of. */
static unsigned any_register(const Encoding *e)
{
    if (one_in(25)) {
        unsigned r = below(e->code_32 ? 8 : 16);
        return r == CPU_RSP && !one_in(8) ? CPU_RAX : r;
    }
    unsigned r;
    do {
        r = e->code_32 ? scratch_32[below(3)] : scratch_64[below(8)];
    } while ((int)r == e->counter);
    return r;
}

/* ---- ModRM ---- */
typedef struct Place {     /* what ModRM, SIB and displacement say */
    unsigned mod, reg, rm; /* reg and rm with their fourth bits */
    bool sib;
    unsigned scale, index, base;
    unsigned disp_size;
    int32_t disp;
    bool far; /* disp is relative to RIP: to here */
    uint32_t to;
    bool address_prefix;
    uint8_t segment; /* prefix, or 0 */
} Place;

static uint32_t data_address(unsigned align)
{
    return (uint32_t)(arena + ARENA_DATA + (ARENA_DATA_SIZE / 2 + below(1024)) / align * align);
}

static void choose_index(Place *p, const Encoding *e)
{
    p->sib = true;
    p->index = e->code_32 ? CPU_RBX : indices_64[below(2)];
    p->scale = below(4);
}

static void choose_memory(Place *p, const Encoding *e, unsigned align)
{
    unsigned kind = below(20);
    int32_t near = (int32_t)((below(512) - 256) / align * align);
    p->address_prefix = !e->code_32 && one_in(16);
    p->segment =
        one_in(e->code_32 ? 8 : 16) ? (uint8_t[]){0x3e, 0x26, 0x36, 0x2e}[below(e->code_32 ? 3 : 4)] : 0;
    p->mod = below(3);
    p->disp = p->mod == 1 ? (int32_t)((below(250) - 125) / (int)align * (int)align) : near;
    p->disp = p->mod == 1 ? (int8_t)p->disp : p->disp;
    p->disp_size = p->mod == 0 ? 0 : p->mod == 1 ? 1 : 4;
    p->index = 4;
    if (kind == 0) { /* no base: absolute, or relative to RIP */
        p->mod = 0;
        p->rm = 5;
        p->disp_size = 4;
        p->disp = (int32_t)data_address(align);
        p->far = !e->code_32;
        p->to = (uint32_t)p->disp;
        return;
    }
    if (kind == 1) { /* SIB without a base */
        p->mod = 0;
        p->rm = 4;
        p->sib = true;
        p->base = 5;
        p->disp_size = 4;
        p->disp = (int32_t)data_address(align);
        if (one_in(2)) {
            choose_index(p, e);
        }
        return;
    }
    p->base = kind < 4 ? CPU_RSP : e->code_32 ? pointers_32[below(3)] : pointers_64[below(5)];
    if (kind == 2 && !e->code_32 && !p->segment) {
        p->segment = 0x65;
    }
    if (kind > 13) {
        choose_index(p, e);
    }
    if (p->mod == 0 && (p->base & 7) == 5) {
        p->mod = 1;
        p->disp_size = 1;
        p->disp = 0;
    }
    p->sib |= (p->base & 7) == 4 || one_in(10);
    p->rm = p->sib ? 4 : p->base;
}

static void choose_place(Place *p, const Encoding *e, const Form *f, unsigned align)
{
    *p = (Place){.reg = any_register(e)};
    if (f->what & MEMORY_ONLY || !one_in(2)) {
        choose_memory(p, e, align);
    } else {
        p->mod = 3;
        p->rm = any_register(e);
    }
}

static void put_place(Item *it, const Place *p)
{
    item_put(it, p->mod << 6 | (p->reg & 7) << 3 | (p->rm & 7), 1);
    if (p->mod != 3 && p->sib) {
        item_put(it, p->scale << 6 | (p->index & 7) << 3 | (p->base & 7), 1);
    }
    if (p->far) {
        it->fixup = FIX_FAR;
        it->fix_at = it->length;
        it->to = p->to;
    }
    item_put(it, (uint32_t)p->disp, p->disp_size);
}

/* Bits R, X, B of REX and VEX. */
static unsigned extensions(const Place *p)
{
    unsigned b = p->mod == 3 || !p->sib ? p->rm : p->base;
    return (p->reg >> 3) << 2 | (p->mod != 3 && p->sib ? p->index >> 3 : 0) << 1 | (p->far ? 0 : b >> 3);
}

void item_put(Item *it, uint64_t v, unsigned size)
{
    memcpy(it->bytes + it->length, &v, size);
    it->length += (uint8_t)size;
}

/* ---- General-purpose ones ---- */
static void put_prefixes(Item *it, const Place *p, bool operand_16)
{
    if (p->address_prefix) {
        item_put(it, 0x67, 1);
    }
    if (p->segment) {
        item_put(it, p->segment, 1);
    }
    if (operand_16) {
        item_put(it, 0x66, 1);
    }
}

static void put_opcode(Item *it, unsigned map, unsigned byte)
{
    if (map) {
        item_put(it, 0x0f, 1);
        if (map > 1) {
            item_put(it, map == 2 ? 0x38 : 0x3a, 1);
        }
    }
    item_put(it, byte, 1);
}

static void put_vex(Item *it, const Encoding *e, const Place *p, unsigned map, unsigned byte, unsigned w,
                    unsigned v, unsigned l, unsigned pp)
{
    unsigned ext = extensions(p);
    if (map == 1 && !w && !(ext & 3) && one_in(2)) {
        item_put(it, 0xc5, 1);
        item_put(it, (ext & 4 ? 0 : 0x80) | (~v & 15) << 3 | l << 2 | pp, 1);
    } else {
        item_put(it, 0xc4, 1);
        item_put(it, (~ext & 7) << 5 | map, 1);
        item_put(it, w << 7 | (~v & 15) << 3 | l << 2 | pp, 1);
    }
    item_put(it, byte, 1);
}

static unsigned pp_of(unsigned prefix)
{
    return prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
}

static void put_immediates(Item *it, const Form *f, bool operand_16, bool wide)
{
    if (f->what & IMM16) {
        item_put(it, below(256), 2);
    }
    if (f->what & IMM8) {
        item_put(it, interesting(), 1);
    }
    if (f->what & IMMZ) {
        item_put(it, interesting(), operand_16 && !wide ? 2 : 4);
    }
    if (f->what & IMMV) {
        item_put(it, interesting(), wide ? 8 : operand_16 ? 2 : 4);
    }
}

static bool register_in_opcode(unsigned opcode)
{
    return (opcode >= 0x50 && opcode <= 0x5f) || (opcode >= 0x90 && opcode <= 0x97) ||
           (opcode >= 0xb0 && opcode <= 0xbf) || (opcode >= 0x1c8 && opcode <= 0x1cf);
}

static void encode_form(Item *it, const Encoding *e, const Form *f)
{
    unsigned byte = (f->opcode & 0xff) + (f->last ? below(f->last - f->opcode + 1u) : 0),
             map = f->opcode >> 8;
    bool vex = f->what & VEX_FORM, operand_16 = one_in(5) && !vex, wide = !e->code_32 && one_in(2);
    Place p = {.mod = 3};
    unsigned digit = below(8), rex = 0;
    if (f->what & MODRM) {
        choose_place(&p, e, f, f->what & ALIGNED && !one_in(8) ? 16 : one_in(3) ? 1 : 8);
        while (f->digits && !(f->digits >> digit & 1)) {
            digit = below(8);
        }
        p.reg = f->digits ? digit : p.reg;
        if (f->what & BITS && p.mod != 3) {
            p.reg = e->code_32 ? CPU_RBX : indices_64[below(2)];
        }
    } else if (register_in_opcode(map << 8 | byte)) {
        p.rm = any_register(e);
        byte = (byte & ~7u) | (p.rm & 7);
    }
    bool lock = f->what & LOCKED && one_in(6) && (p.mod != 3 || one_in(40));
    put_prefixes(it, &p, operand_16);
    if (lock) {
        item_put(it, 0xf0, 1);
    }
    if (vex) {
        put_vex(it, e, &p, map, byte, wide, f->opcode == 0x3f0 ? 0 : any_register(e), 0, pp_of(f->prefix));
    } else {
        if (f->prefix) {
            item_put(it, f->prefix, 1);
        }
        if (!e->code_32) {
            rex = (wide ? 8 : 0) | extensions(&p);
            wide = rex & 8;
            if (rex || one_in(8)) {
                item_put(it, 0x40 | rex, 1);
            } else if (p.mod == 3 && f->what & MODRM && one_in(5) && !(byte & 1)) {
                p.rm = 4 | below(4); /* AH to BH, where this works on bytes */
                p.rm = p.rm == 4 && byte & 1 ? 0 : p.rm;
            }
        }
        put_opcode(it, map, byte);
    }
    if (f->what & MODRM) {
        put_place(it, &p);
    }
    if (f->what & MOFFS) {
        item_put(it, data_address(1), e->code_32 ? 4 : 8);
    }
    put_immediates(it, f, operand_16, wide);
}

static const Form more[] = {
    {0x50, 0x57},
    {0x58, 0x5f},
    {0x50, 0x57},
    {0x58, 0x5f},
    {0x88, 0x8b, .what = MODRM},
    {0x88, 0x8b, .what = MODRM},
    {0x88, 0x8b, .what = MODRM | MEMORY_ONLY},
    {0x8d, .what = MODRM | MEMORY_ONLY},
    {0x8d, .what = MODRM | MEMORY_ONLY},
    {0x00, 0x03, .what = MODRM},
    {0x28, 0x2b, .what = MODRM},
    {0x30, 0x33, .what = MODRM},
    {0x83, .what = MODRM | IMM8},
    {0x81, .what = MODRM | IMMZ},
    {0x140, 0x14f, .what = MODRM},
    {0x1b6, 0x1b7, .what = MODRM},
    {0x1be, 0x1bf, .what = MODRM},
    {0x63, .what = MODRM},
    {0xc1, .what = MODRM | IMM8},
    {0x89, .what = MODRM | MEMORY_ONLY},
    {0x8b, .what = MODRM | MEMORY_ONLY},
    {0x190, 0x19f, .what = MODRM},
    {0xd3, .what = MODRM},
    {0xc7, .digits = 1, .what = MODRM | IMMZ},
};

Item *encode_integer(Item *it, const Encoding *e)
{
    static const uint32_t elsewhere = JB | JZ | INDIRECT | STACK_TOP | REPEATS;
    const Form *f = one_in(3) ? &more[below(G_N_ELEMENTS(more))] : &forms[below(G_N_ELEMENTS(forms))];
    if (f->what & elsewhere || (f->opcode == 0xd7 && !one_in(8)) || (f->opcode == 0xc8 && !one_in(4))) {
        return NULL;
    }
    if ((f->opcode == 0x60 || f->opcode == 0x62 || f->opcode == 0xc9) && !one_in(5)) {
        return NULL; /* change too many registers, or always fault */
    }
    encode_form(it, e, f);
    const uint8_t *p = it->bytes; /* divisions are better prepared for */
    while (*p == 0x66 || *p == 0x67 || *p == 0xf0 || *p == 0x3e || *p == 0x26 || *p == 0x36 || *p == 0x2e ||
           *p == 0x65 || (!e->code_32 && (*p & 0xf0) == 0x40)) {
        p++;
    }
    bool divides = (*p & 0xfe) == 0xf6 && (p[1] >> 3 & 7) >= 6;
    bool segments = e->code_32 && (*p == 0x8e || *p == 0x8c);
    return (divides && !one_in(10)) || segments || (*p == 0x0f && p[1] == 0xae) ? NULL : it;
}

Item *encode_compare(Item *it, const Encoding *e)
{
    static const Form compares[] = {
        {0x38, 0x3b, .what = MODRM},
        {0x38, 0x3b, .what = MODRM},
        {0x83, .digits = 0x80, .what = MODRM | IMM8},
        {0x81, .digits = 0x80, .what = MODRM | IMMZ},
        {0x80, .digits = 0x80, .what = MODRM | IMM8},
        {0x84, 0x85, .what = MODRM},
        {0x84, 0x85, .what = MODRM},
        {0xf6, .digits = 1, .what = MODRM | IMM8},
        {0xf7, .digits = 1, .what = MODRM | IMMZ},
        {0x3c, .what = IMM8},
        {0x3d, .what = IMMZ},
        {0xa8, .what = IMM8},
        {0xfe, 0xff, .digits = 3, .what = MODRM},
        {0x83, .what = MODRM | IMM8},
        {0x28, 0x2b, .what = MODRM},
        {0x20, 0x23, .what = MODRM},
        {0x00, 0x03, .what = MODRM},
        {0x1ba, .digits = 0xf0, .what = MODRM | IMM8},
    };
    encode_form(it, e, &compares[below(G_N_ELEMENTS(compares))]);
    return it;
}

Item *encode_divide(Item *it, const Encoding *e)
{
    static const Form divide = {0xf6, 0xf7, .digits = 0xc0, .what = MODRM};
    encode_form(it, e, &divide);
    return it;
}

Item *encode_string(Item *it, const Encoding *e)
{
    static const uint8_t opcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    if (one_in(2)) {
        item_put(it, one_in(2) ? 0xf3 : 0xf2, 1);
    }
    if (one_in(5)) {
        item_put(it, 0x66, 1);
    }
    if (one_in(12) && !e->code_32) {
        item_put(it, 0x67, 1);
    }
    if (!e->code_32 && one_in(3)) {
        item_put(it, one_in(3) ? 0x40 : 0x48, 1);
    }
    item_put(it, opcodes[below(sizeof(opcodes))], 1);
    return it;
}

/* ---- Vector ones ---- */
static bool vector_operands(const Insn *i)
{
    for (unsigned n = 0; n < i->operands; n++) {
        const Operand *o = &i->op[n];
        if (o->kind == OPERAND_REG && (o->bank == BANK_XMM || o->bank == BANK_YMM || o->bank == BANK_MM)) {
            return true;
        }
    }
    return false;
}

static bool acceptable(const Item *it, const Encoding *e)
{
    uint32_t mode = MODE_PROTECTED | (e->code_32 ? MODE_32 : MODE_64);
    Insn i;
    if (!insn_decode(&i, it->bytes, it->length, mode, 0) || i.length != it->length || !vector_operands(&i)) {
        return false;
    }
    if (i.isa_set == ZYDIS_ISA_SET_SHA && i.modrm < 0xc0) {
        return false; /* AMD's processors let SHA's operands be unaligned, Intel's do not */
    }
    switch (i.mnemonic) {
    case ZYDIS_MNEMONIC_MASKMOVQ: /* whether bytes that are masked off fault is not defined */
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
    case ZYDIS_MNEMONIC_VPGATHERDD: /* their indices are vectors: they go anywhere */
    case ZYDIS_MNEMONIC_VPGATHERDQ:
    case ZYDIS_MNEMONIC_VPGATHERQD:
    case ZYDIS_MNEMONIC_VPGATHERQQ:
    case ZYDIS_MNEMONIC_VGATHERDPS:
    case ZYDIS_MNEMONIC_VGATHERDPD:
    case ZYDIS_MNEMONIC_VGATHERQPS:
    case ZYDIS_MNEMONIC_VGATHERQPD: return false;
    default: return guest_knows(&i, e->code_32);
    }
}

static Item *encode_state(Item *it) /* EMMS, VZEROUPPER, VZEROALL */
{
    static const uint32_t codes[] = {0x770f, 0x77f8c5, 0x77fcc5};
    unsigned n = below(3);
    item_put(it, codes[n], n ? 3 : 2);
    return it;
}

Item *encode_vector(Item *it, const Encoding *e)
{
    static const Form form = {.what = MODRM};
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    if (one_in(100)) {
        return encode_state(it);
    }
    bool vex = one_in(2), wide = !e->code_32 && one_in(4);
    unsigned map = one_in(2) ? 1 : 1 + below(3), pp = below(4), byte = below(256);
    Place p;
    choose_place(&p, e, &form, one_in(5) ? 4 : 32);
    p.reg = one_in(4) ? below(e->code_32 ? 8 : 16) : p.reg;
    put_prefixes(it, &p, false);
    if (vex) {
        put_vex(it, e, &p, map, byte, wide, one_in(4) ? 0 : below(e->code_32 ? 8 : 16), below(2), pp);
    } else {
        unsigned rex = e->code_32 ? 0 : (wide ? 8 : 0) | extensions(&p);
        if (pp) {
            item_put(it, prefixes[pp], 1);
        }
        if (rex) {
            item_put(it, 0x40 | rex, 1);
        }
        put_opcode(it, map, byte);
    }
    put_place(it, &p);
    if (acceptable(it, e)) {
        return it;
    }
    item_put(it, rnd(), 1);
    return acceptable(it, e) ? it : NULL;
}

Item *encode_x87(Item *it, const Encoding *e)
{
    static const Form form = {.what = MODRM};
    unsigned byte = 0xd8 + below(8);
    Place p;
    choose_place(&p, e, &form, one_in(4) ? 1 : 8);
    p.reg = below(8);
    if (p.mod == 3) {
        p.rm = below(8);
    } else if ((byte == 0xd9 || byte == 0xdd) && (p.reg == 6 || (p.reg == 4 && !one_in(8)))) {
        return NULL; /* FNSTENV, FNSAVE: show where the last instruction was, which makers do each in their own way */
    } else if (byte == 0xd9 && p.reg == 5) {
        return NULL;
    }
    put_prefixes(it, &p, false);
    unsigned rex = e->code_32 ? 0 : extensions(&p) & 3;
    if (rex) {
        item_put(it, 0x40 | rex, 1);
    }
    item_put(it, byte, 1);
    put_place(it, &p);
    return it;
}
