#include "tests/soft/sequence.h"

#include <Zydis/Zydis.h>
#include <glib.h>
#include <string.h>

#include "accel/soft/decode.h"
#include "accel/soft/soft.h"
#include "tests/soft/encode.h"

#define ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

uint64_t arena, random_state;

/* ---- Random numbers ---- */
uint64_t rnd(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
unsigned below(unsigned n) { return (unsigned)(rnd() >> 32) % n; }
bool one_in(unsigned n) { return below(n) == 0; }

uint64_t interesting(void)
{
    uint64_t v = rnd();
    switch (v & 7) {
    case 0: return (v >> 8 & 7) - 3;
    case 1: return (UINT64_C(1) << (v >> 8 & 63)) + (v >> 16 & 3) - 2;
    case 2: return -((UINT64_C(1) << (v >> 8 & 63)) + (v >> 16 & 3) - 2);
    case 3: return v >> 8 & 0xff;
    case 4: return v >> (v >> 8 & 63);
    default: return rnd();
    }
}

/* ---- Growing ---- */
typedef struct Growing {
    Sequence *q;
    bool code_32;
    int counter; /* register that the present loop counts with, or -1 */
    unsigned depth;
    uint16_t undefined; /* flags, here */
    bool failed;
    struct {
        unsigned jump, distance; /* `jump` waits for its target */
        uint16_t undefined;
    } waiting[ITEMS];
    unsigned waits;
} Growing;

static bool decode(const Sequence *q, const Item *it, Insn *i)
{
    uint32_t mode = MODE_PROTECTED | (q->code_32 ? MODE_32 : MODE_64);
    return insn_decode(i, it->bytes, it->length, mode, q->start) && i->length == it->length;
}

static bool stores_number(const Insn *i)
{
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_FST:
    case ZYDIS_MNEMONIC_FSTP:
    case ZYDIS_MNEMONIC_FIST:
    case ZYDIS_MNEMONIC_FISTP:
    case ZYDIS_MNEMONIC_FISTTP:
    case ZYDIS_MNEMONIC_FBSTP: return i->op[0].kind == OPERAND_MEM;
    default: return false;
    }
}

static bool is_string(const Insn *i)
{
    return (i->opcode >= 0xa4 && i->opcode <= 0xa7) || (i->opcode >= 0xaa && i->opcode <= 0xaf);
}

static bool flags_of(const Sequence *q, Item *it)
{
    ZydisDecoder d;
    ZydisDecodedInstruction z;
    Insn i;
    if (!decode(q, it, &i)) {
        return false;
    }
    ZydisDecoderInit(&d, q->code_32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LONG_64,
                     q->code_32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&d, NULL, it->bytes, it->length, &z))) {
        return false;
    }
    it->compares = i.opcode == 0xa6 || i.opcode == 0xa7;
    it->mmx_stores = i.operands && i.op[0].kind == OPERAND_MEM && i.op[1].kind == OPERAND_REG && i.op[1].bank == BANK_MM;
    it->x87_stores = stores_number(&i);
    it->stores_ten = it->x87_stores && i.op[0].size == 10;
    it->narrow_repeats = (i.rep || i.repne) && is_string(&i) && i.address_size == 4 && !q->code_32;
    it->converts = i.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PH && i.op[0].kind == OPERAND_MEM;
    it->masked = i.mnemonic == ZYDIS_MNEMONIC_VMASKMOVPS || i.mnemonic == ZYDIS_MNEMONIC_VMASKMOVPD ||
                 i.mnemonic == ZYDIS_MNEMONIC_VPMASKMOVD || i.mnemonic == ZYDIS_MNEMONIC_VPMASKMOVQ;
    it->scans = (i.rep || i.repne) && i.opcode <= 0xff && ((i.opcode & 0xf6) == 0xa6);
    it->undefines = z.cpu_flags ? z.cpu_flags->undefined & ARITHMETIC : 0;
    it->reads = i.flags_read;
    it->writes = i.flags_written & ~it->undefines;
    if (i.mnemonic == ZYDIS_MNEMONIC_PUSHF || i.mnemonic == ZYDIS_MNEMONIC_PUSHFD ||
        i.mnemonic == ZYDIS_MNEMONIC_PUSHFQ) {
        it->reads = ARITHMETIC;
    }
    return true;
}

static Item *append(Growing *g, Item *it)
{
    Sequence *q = g->q;
    if (g->failed || q->count >= ITEMS - 2 || !flags_of(q, it)) {
        g->failed |= q->count >= ITEMS - 2;
        return NULL;
    }
    if (it->reads & g->undefined) { /* CMP r32, imm8 defines all of them */
        Item define = {.falls = true,
                       .goes = NOWHERE,
                       .length = 3,
                       .bytes = {0x83, (uint8_t)(0xf8 | below(4)), (uint8_t)rnd()}};
        if (!flags_of(q, &define)) {
            return NULL;
        }
        q->item[q->count++] = define;
        g->undefined = 0;
    }
    g->undefined = (uint16_t)((g->undefined & ~it->writes) | it->undefines);
    q->item[q->count] = *it;
    return &q->item[q->count++];
}

static Item *append_bytes(Growing *g, unsigned n, const char *bytes)
{
    Item it = {.falls = true, .goes = NOWHERE, .length = (uint8_t)n};
    memcpy(it.bytes, bytes, n);
    return append(g, &it);
}

/* MOV r32, imm32. */
static Item *append_mov(Growing *g, unsigned reg, uint32_t imm)
{
    Item it = {.falls = true, .goes = NOWHERE};
    if (reg >= 8) {
        item_put(&it, 0x41, 1);
    }
    item_put(&it, 0xb8 | (reg & 7), 1);
    item_put(&it, imm, 4);
    return append(g, &it);
}

/* Jump, call: opcode and 8 or 32 bits to an item. */
static Item *append_jump(Growing *g, unsigned opcode, unsigned size, unsigned to, bool falls)
{
    Item it = {.falls = falls, .goes = (int)to, .to = to, .fixup = size == 1 ? FIX_REL8 : FIX_REL32};
    item_put(&it, opcode, opcode > 0xff ? 2 : 1);
    it.fix_at = it.length;
    item_put(&it, 0, size);
    return append(g, &it);
}

static Item *append_jcc(Growing *g, unsigned condition, unsigned to)
{
    return one_in(3) ? append_jump(g, 0x800f | condition << 8, 4, to, true)
                     : append_jump(g, 0x70 | condition, 1, to, true);
}

/* The last item, a jump to 0, goes to the item that is `distance` pieces away. */
static void wait_for_target(Growing *g, unsigned distance)
{
    if (g->waits < ITEMS && !g->failed) {
        g->waiting[g->waits].jump = g->q->count - 1;
        g->waiting[g->waits].distance = distance;
        g->waiting[g->waits++].undefined = g->undefined;
    }
}

static void label_here(Growing *g, unsigned jump)
{
    g->q->item[jump].to = g->q->count;
    g->q->item[jump].goes = (int)g->q->count;
}

static void resolve(Growing *g, bool all)
{
    for (unsigned n = 0; n < g->waits;) {
        if (!all && g->waiting[n].distance-- > 0) {
            n++;
            continue;
        }
        label_here(g, g->waiting[n].jump);
        g->undefined |= g->waiting[n].undefined;
        g->waiting[n] = g->waiting[--g->waits];
    }
}

/* ---- Pieces ---- */
static void add_any(Growing *g, Item *(*encode)(Item *it, const Encoding *e))
{
    Encoding e = {.code_32 = g->code_32, .counter = g->counter};
    for (unsigned tries = 0; tries < 200 && !g->failed; tries++) {
        Item it = {.falls = true, .goes = NOWHERE};
        if (encode(&it, &e) && append(g, &it)) {
            return;
        }
    }
}

static void add_integer(Growing *g) { add_any(g, encode_integer); }
static void add_vector(Growing *g) { add_any(g, encode_vector); }

static bool is_fcomi(const Item *it)
{
    const uint8_t *p = it->bytes + (it->bytes[0] < 0xd8); /* REX */
    return (p[0] == 0xdb || p[0] == 0xdf) && p[1] >= 0xe8 && p[1] <= 0xf7;
}

static void add_x87(Growing *g)
{
    add_any(g, encode_x87);
    if (!g->failed && is_fcomi(&g->q->item[g->q->count - 1])) {
        append_bytes(g, 2, "\xd9\xe5"); /* FXAM defines C1 again */
    }
}

static void add_compare(Growing *g) { add_any(g, encode_compare); }

static void add_branch(Growing *g)
{
    if (!one_in(5)) {
        add_compare(g);
    }
    if (one_in(16) ? append_jump(g, 0xe3, 1, 0, true) : append_jcc(g, below(16), 0)) {
        wait_for_target(g, 1 + below(4));
    }
}

static void add_piece(Growing *g);

static void add_loop(Growing *g)
{
    if (g->counter >= 0) {
        return;
    }
    unsigned kind = below(5);
    g->counter = kind < 2 ? CPU_RCX : (int)below(4);
    append_mov(g, (unsigned)g->counter, 1 + below(kind == 4 ? 9 : 5));
    unsigned head = g->q->count;
    append_bytes(g, 3, "\x83\xf8\x05"); /* nothing undefined comes round from the end */
    for (unsigned n = 1 + below(4); n; n--) {
        add_piece(g);
    }
    if (kind < 2) {
        append_jump(g, 0xe0 + (one_in(3) ? below(3) : 2), 1, head, true);
    } else {
        Item it = {.falls = true, .goes = NOWHERE};
        if (kind == 2 && g->code_32) {
            item_put(&it, 0x48 | (unsigned)g->counter, 1); /* DEC r32 */
        } else if (kind == 3) {
            item_put(&it, 0xe883 | (unsigned)g->counter << 8, 2); /* SUB r32, 1 */
            item_put(&it, 1, 1);
        } else {
            item_put(&it, 0xc8ff | (unsigned)g->counter << 8, 2); /* DEC r32 */
        }
        append(g, &it);
        append_jcc(g, kind == 4 ? 13 /* NL */ : 5 /* NZ */, head);
    }
    g->counter = -1;
}

/* The address of an item, as a register. */
static unsigned append_address(Growing *g, unsigned reg, unsigned to)
{
    Item it = {.falls = true, .goes = NOWHERE, .to = to};
    if (g->code_32 || one_in(2)) {
        item_put(&it, 0xb8 | reg, 1);
        it.fixup = FIX_ABS32;
    } else {
        item_put(&it, 0x8d48 | (5 | reg << 3) << 16, 3);
        it.fixup = FIX_REL32;
    }
    it.fix_at = it.length;
    item_put(&it, 0, 4);
    append(g, &it);
    return g->q->count - 1;
}

/* An indirect call or jump by a register or by memory; to be sent to `to` like its address. */
static void append_indirect(Growing *g, unsigned reg, bool call)
{
    unsigned digit = call ? 2 : 4;
    Item it = {.falls = call, .goes = 0};
    if (one_in(2)) {
        item_put(&it, 0xff | (0xc0 | digit << 3 | reg) << 8, 2);
    } else { /* MOV [RSI + 16], reg; CALL [RSI + 16] */
        append_bytes(g, g->code_32 ? 3 : 4,
                     g->code_32 ? (char[]){'\x89', (char)(0x46 | reg << 3), 16}
                                : (char[]){'\x48', '\x89', (char)(0x46 | reg << 3), 16});
        item_put(&it, 0xff | (0x46 | digit << 3) << 8 | 16 << 16, 3);
    }
    append(g, &it);
}

/*      CALL f; JMP over; f: ...; RET; over: */
static void add_call(Growing *g)
{
    if (g->depth > 1) {
        return;
    }
    g->depth++;
    int address = -1, call;
    if (one_in(3)) {
        unsigned reg = below(3);
        address = (int)append_address(g, reg, 0);
        append_indirect(g, reg, true);
    } else {
        append_jump(g, 0xe8, 4, 0, true);
    }
    call = (int)g->q->count - 1;
    append_jump(g, 0xe9, 4, 0, false);
    if (!g->failed) {
        int over = (int)g->q->count - 1;
        label_here(g, (unsigned)call);
        if (address >= 0) {
            g->q->item[address].to = g->q->count;
        }
        for (unsigned n = below(3); n; n--) {
            add_piece(g);
        }
        append_bytes(g, 1, "\xc3");
        if (!g->failed) {
            Item *ret = &g->q->item[g->q->count - 1];
            ret->falls = false;
            ret->goes = over;
            label_here(g, (unsigned)over);
        }
    }
    g->depth--;
}

/*      LEA r, [over]; JMP r, or PUSH r; RET; ...; over: */
static void add_jump(Growing *g)
{
    if (one_in(2)) {
        bool near = one_in(2);
        append_jump(g, near ? 0xeb : 0xe9, near ? 1 : 4, 0, false);
        wait_for_target(g, 1);
        return;
    }
    unsigned reg = below(3), address = append_address(g, reg, 0);
    if (one_in(2)) {
        append_indirect(g, reg, false);
    } else {
        append_bytes(g, 1, (char[]){(char)(0x50 | reg)});
        append_bytes(g, 1, "\xc3");
    }
    if (g->failed) {
        return;
    }
    unsigned jump = g->q->count - 1;
    g->q->item[jump].falls = false;
    for (unsigned n = below(2); n; n--) {
        add_integer(g);
    }
    if (!g->failed) {
        label_here(g, jump);
        g->q->item[jump].fixup = FIX_NONE;
        g->q->item[address].to = g->q->count;
    }
}

static void add_string(Growing *g)
{
    Encoding e = {.code_32 = g->code_32};
    Item it = {.falls = true, .goes = NOWHERE};
    if (g->counter == CPU_RCX || !encode_string(&it, &e)) {
        return;
    }
    if (it.bytes[0] >= 0xf2) {
        append_mov(g, CPU_RCX, below(12));
    }
    append(g, &it);
}

static void add_divide(Growing *g)
{
    static const char *const prepare[] = {"\x31\xd2", "\x99", "\x0f\xb6\xc0", "\x80\xca\x00"};
    const char *p = prepare[below(3)];
    append_bytes(g, p[0] == 0x31 ? 2 : p[0] == 0x0f ? 3 : 1, p);
    add_any(g, encode_divide);
}

static void add_flags(Growing *g)
{
    unsigned kind = below(4);
    if (kind == 0) {
        append_bytes(g, 1, "\x9c");
        append_bytes(g, 1, "\x58");
    } else if (kind == 1) { /* PUSH imm32; POPF: what user code may change, and no trap */
        uint32_t flags = (uint32_t)(rnd() & (ARITHMETIC | (one_in(4) ? FLAG_ID : 0))) | FLAG_IF | FLAG_ONE;
        Item it = {.falls = true, .goes = NOWHERE};
        item_put(&it, 0x68, 1);
        item_put(&it, flags, 4);
        append(g, &it);
        append_bytes(g, 1, "\x9d");
        g->undefined = 0;
        if (!g->failed) {
            g->q->item[g->q->count - 1].writes = ARITHMETIC;
        }
    } else {
        append_bytes(g, 1, kind == 2 ? one_in(2) ? "\xfc" : "\xfd" : "\x9f");
    }
}

static void add_control_word(Growing *g)
{
    Item store = {.falls = true, .goes = NOWHERE};
    bool vector = one_in(2), unmask = one_in(5);
    uint32_t v = vector ? (uint32_t)((rnd() & 0xe07f) | (unmask ? rnd() & 0x1f80 : 0x1f80))
                        : (uint32_t)((rnd() & 0xf00) | 0x40 | (unmask ? rnd() & 0x3f : 0x3f));
    item_put(&store, 0x0846c7, 3); /* MOV DWORD [RSI + 8], imm32 */
    item_put(&store, v, 4);
    append(g, &store);
    if (vector) {
        append_bytes(g, 4, "\x0f\xae\x56\x08"); /* LDMXCSR */
    } else {
        append_bytes(g, 3, "\xd9\x6e\x08"); /* FLDCW */
    }
}

/* Stores that change an instruction that is still to come. */
static void add_patch(Growing *g)
{
    Sequence *q = g->q;
    static const uint8_t opcodes[] = {0x01, 0x29, 0x31,
                                      0x09, 0x21, 0x39}; /* all of them define the flags alike */
    bool immediate = one_in(2);
    Item store = {.falls = true, .goes = NOWHERE, .fixup = g->code_32 ? FIX_ABS32 : FIX_REL32};
    unsigned shape = below(3);
    unsigned size = shape == 2 && immediate ? 4 : 1;
    if (shape == 1) { /* by an address in a register */
        append_address(g, CPU_RAX, 0);
        if (g->failed) {
            return;
        }
        q->item[q->count - 1].delta = immediate ? 1 : 0;
        store.fixup = FIX_NONE;
        item_put(&store, 0x00c6, 2);
    } else {
        item_put(&store, size == 4 ? 0x05c7 : 0x05c6, 2);
        store.fix_at = 2;
        item_put(&store, 0, 4);
    }
    item_put(&store, immediate ? rnd() : opcodes[below(G_N_ELEMENTS(opcodes))], size);
    store.delta = immediate ? 1 : 0;
    unsigned from = q->count - (shape == 1);
    append(g, &store);
    for (unsigned n = below(4); n; n--) {
        add_integer(g);
    }
    if (g->failed) {
        return;
    }
    q->item[from].to = q->count;
    if (immediate) {
        append_mov(g, below(4), (uint32_t)rnd());
    } else {
        append_bytes(g, 2, (char[]){(char)opcodes[below(5)], (char)(0xc0 | below(4) | below(4) << 3)});
    }
    if (!g->failed) {
        Item *it = &q->item[q->count - 1];
        it->patched = true;
        it->undefines |= immediate ? 0 : FLAG_AF;
        g->undefined |= immediate ? 0 : FLAG_AF;
        q->patches = true;
    }
}

static void add_refused(Growing *g)
{
    static const char *const codes[] = {"\x0f\x0b", "\xf4",     "\xfa",         "\xec",
                                        "\x0f\x06", "\x0f\x32", "\x0f\x20\xc0", "\x0f\xff"};
    static const uint8_t lengths[] = {2, 1, 1, 1, 2, 2, 3};
    unsigned n = g->q->user ? below(7) : 0;
    append_bytes(g, lengths[n], codes[n]);
}

static void add_piece(Growing *g)
{
    resolve(g, false);
    unsigned kind = below(100);
    if (kind < 40) {
        add_integer(g);
    } else if (kind < 52) {
        add_branch(g);
    } else if (kind < 68) {
        add_vector(g);
    } else if (kind < 74) {
        add_x87(g);
    } else if (kind < 79) {
        add_string(g);
    } else if (kind < 84) {
        add_call(g);
    } else if (kind < 87) {
        add_jump(g);
    } else if (kind < 90) {
        add_divide(g);
    } else if (kind < 92) {
        add_flags(g);
    } else if (kind < 96) {
        add_loop(g);
    } else if (kind < 97) {
        add_control_word(g);
    } else if (g->q->patches) {
        add_patch(g);
    } else if (kind == 99 && one_in(8)) {
        add_refused(g);
    }
}

bool sequence_make(Sequence *q, bool code_32)
{
    Growing g = {.q = q, .code_32 = code_32, .counter = -1};
    memset(q, 0, offsetof(Sequence, item));
    q->code_32 = code_32;
    q->user = !one_in(4);
    q->count = 0;
    q->patches = one_in(6);
    q->start = arena + ARENA_CODE + (one_in(3) ? ARENA_PAGE - below(200) : below(ARENA_PAGE - 1024));
    unsigned wanted = 1 + below(one_in(2) ? 30 : 8);
    bool patches = q->patches;
    while (q->count < wanted && !g.failed) {
        add_piece(&g);
    }
    if (patches && !g.failed) {
        add_patch(&g);
    }
    resolve(&g, true);
    return !g.failed && sequence_judge(q);
}

/* ---- Judging ---- */
void sequence_remove(Sequence *q, unsigned item)
{
    memmove(&q->item[item], &q->item[item + 1], (q->count - item - 1) * sizeof(Item));
    q->count--;
    for (unsigned k = 0; k < q->count; k++) {
        Item *it = &q->item[k];
        it->to -= it->fixup != FIX_NONE && it->fixup != FIX_FAR && it->to > item;
        it->goes -= it->goes > (int)item;
    }
}

static bool lay_out(Sequence *q)
{
    unsigned at = 0;
    for (unsigned k = 0; k < q->count; k++) {
        q->at[k] = (uint16_t)at;
        at += q->item[k].length;
    }
    q->at[q->count] = (uint16_t)at;
    for (unsigned k = 0; k < q->count; k++) {
        const Item *it = &q->item[k];
        int distance = it->fixup == FIX_REL8 ? q->at[it->to] + it->delta - q->at[k + 1] : 0;
        if (distance != (int8_t)distance) {
            return false;
        }
    }
    return q->start + at + 8 < arena + ARENA_CODE + ARENA_CODE_SIZE;
}

static bool merge(Sequence *q, unsigned to, uint16_t undefined)
{
    uint16_t *u = to < q->count ? &q->item[to].undefined : &q->undefined_at_end, before = *u;
    *u |= undefined;
    return *u != before;
}

bool sequence_judge(Sequence *q)
{
    if (!lay_out(q)) {
        return false;
    }
    q->fcomi = false;
    for (unsigned k = 0; k < q->count; k++) {
        Item *it = &q->item[k];
        uint16_t writes = it->writes, undefines = it->undefines;
        if (!flags_of(q, it)) {
            return false;
        }
        it->writes |= writes;
        it->undefines |= undefines;
        it->undefined = 0;
        q->fcomi |= is_fcomi(it);
    }
    q->undefined_at_end = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned k = 0; k < q->count; k++) {
            const Item *it = &q->item[k];
            uint16_t after = (uint16_t)((it->undefined & ~it->writes) | it->undefines);
            if (it->undefined & it->reads) {
                return false;
            }
            changed |= it->falls && merge(q, k + 1, after);
            changed |= it->goes != NOWHERE && merge(q, (unsigned)it->goes, after);
        }
    }
    return true;
}

void sequence_place(const Sequence *q, uint8_t *code)
{
    uint64_t base = arena + ARENA_CODE;
    for (unsigned k = 0; k < q->count; k++) {
        const Item *it = &q->item[k];
        uint8_t *p = code + (q->start - base) + q->at[k];
        uint64_t next = q->start + q->at[k + 1];
        uint64_t to = it->fixup == FIX_NONE  ? 0
                      : it->fixup == FIX_FAR ? it->to
                                             : q->start + q->at[it->to] + it->delta;
        uint64_t v = it->fixup == FIX_ABS32 ? to : to - next;
        memcpy(p, it->bytes, it->length);
        if (it->fixup != FIX_NONE) {
            memcpy(p + it->fix_at, &v, it->fixup == FIX_REL8 ? 1 : 4);
        }
    }
    uint8_t *p = code + (q->start - base) + q->at[q->count];
    uint32_t far = (uint32_t)(arena + ARENA_EXIT - (q->start + q->at[q->count] + 5));
    *p = 0xe9;
    memcpy(p + 1, &far, 4);
}

int sequence_item(const Sequence *q, uint64_t rip)
{
    for (unsigned k = 0; k <= q->count; k++) {
        if (q->start + q->at[k] == rip) {
            return (int)k;
        }
    }
    return NOWHERE;
}

bool sequence_leads(const Sequence *q, int from, int to)
{
    if (from < 0 || to < 0 || from >= (int)q->count) {
        return false;
    }
    const Item *it = &q->item[from];
    return from == to || (it->falls && to == from + 1) ||
           it->goes == to; /* repeated ones come back to themselves */
}

void sequence_print(const Sequence *q, FILE *out)
{
    uint8_t code[ARENA_CODE_SIZE] = {0};
    sequence_place(q, code);
    for (unsigned k = 0; k <= q->count; k++) {
        uint64_t at = q->start + q->at[k];
        const uint8_t *p = code + (at - arena - ARENA_CODE);
        ZydisDisassembledInstruction d;
        ZydisMachineMode mode = q->code_32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LONG_64;
        bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(mode, at, p, 15, &d));
        unsigned length = k < q->count ? q->item[k].length : 5;
        fprintf(out, "  %08x: ", (unsigned)at);
        for (unsigned n = 0; n < 12; n++) {
            fprintf(out, n < length ? "%02x" : "  ", p[n]);
        }
        fprintf(out, " %s%s\n", ok ? d.text : "?", k < q->count && q->item[k].patched ? "    ; patched" : "");
    }
}
