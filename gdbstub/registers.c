/* Registers as the client sees them: one table for the description, `g`, `G`, `p` and `P`.
 *
 * gdb's idea of a register's size must not change while it is connected, whatever mode the CPU is in and whatever
 * architecture a person (or the file loaded) has chosen.  So a model with long mode has one description for all modes,
 * i386:x86-64 with the registers that gdb looks for under that architecture *and* those that it looks for under i386 and i8086,
 * both views of the same state.  gdb takes the ones of the architecture in force and lists the others behind them.
 *
 * One thing remains: a pointer type has the width of the architecture in force, and the size with it.  RIP, RSP and RBP, which
 * should print as pointers, therefore have the highest numbers and are not part of `g`, whose reply may be shorter than the
 * description (§E.2, `g`; gdb asks for them by `p`).  EIP, ESP and EBP are in `g`, as integers.
 *
 * A model without long mode has a plain i386 description. */
#include <string.h>

#include "cpu/model.h"
#include "cpu/segment.h"
#include "gdbstub/stub.h"

static bool set_plain(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    memcpy((char *)&c->state + r->offset, bytes, r->size);
    return true;
}

static bool set_flags(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    const uint64_t writable = 0x3f7fd5 & ~(uint64_t)FLAG_VM; /* VM is a mode, no flag */
    c->state.rflags = (load_le(bytes, 4) & writable) | (c->state.rflags & FLAG_VM) | FLAG_ONE;
    return true;
}

static bool may_be_cs(const CpuState *s, const Segment *g)
{
    return segment_s(g) && segment_type(g) & SEGMENT_CODE && segment_p(g) &&
           segment_dpl(g) == cpu_cpl(s);
}

/* As a MOV to the register, or a far jump that changes no privilege. */
static bool set_selector(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    CpuState *s = &c->state;
    unsigned which = (unsigned)r->arg;
    Segment *g = &s->seg[which];
    uint16_t selector = (uint16_t)load_le(bytes, 2);
    CpuMode mode = cpu_mode(s);
    if (selector == g->selector) {
        return true;
    }
    if (mode == CPU_REAL || mode == CPU_VM86) {
        segment_set_real(g, selector);
        return true;
    }
    uint64_t low, high;
    unsigned size;
    Segment loaded = {.attr = ATTR_UNUSABLE};
    if (selector & ~3 && descriptor_read(c, selector, &low, &high, &size)) {
        loaded = segment_from_descriptor(low, high);
    } else if (selector & ~3) {
        return false;
    }
    if (which == SEG_CS ? !(selector & ~3) || !may_be_cs(s, &loaded)
                        : segment_check_load(s, which, selector, &loaded).vector != FAULT_NONE) {
        return false;
    }
    loaded.selector = selector;
    *g = loaded;
    return true;
}

static bool set_linear(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    unsigned unused = 64 - (c->model ? model_linear_bits(c->model) : 48);
    int64_t v = (int64_t)load_le(bytes, r->size);
    return (int64_t)((uint64_t)v << unused) >> unused == v && set_plain(c, r, bytes);
}

/* Long mode is where paging and EFER.LME meet (SDM vol 3 §9.8.5). */
static bool set_cr0(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    CpuState *s = &c->state;
    uint64_t v = load_le(bytes, 8) | CR0_ET;
    if (v >> 32 || (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD)) ||
        (v & CR0_PG && s->efer & EFER_LME && !(s->cr4 & CR4_PAE))) {
        return false;
    }
    s->cr0 = v;
    s->efer &= ~EFER_LMA;
    s->efer |= v & CR0_PG && s->efer & EFER_LME ? EFER_LMA : 0;
    return true;
}

static bool set_cr3(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    unsigned bits = c->model ? model_phys_bits(c->model) : 36;
    c->state.pdpte_valid = false;
    return !(load_le(bytes, 8) >> bits) && set_plain(c, r, bytes);
}

static bool set_cr4(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    uint64_t v = load_le(bytes, 8), changed = v ^ c->state.cr4;
    if ((c->model && v & ~model_cr4(c->model)) ||
        (cpu_long_active(&c->state) && changed & (CR4_PAE | CR4_LA57))) {
        return false;
    }
    c->state.pdpte_valid = false;
    return set_plain(c, r, bytes);
}

static bool set_cr8(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    uint64_t v = load_le(bytes, 8);
    if (v > 15) {
        return false;
    }
    if (cpu_platform.tpr_set) {
        cpu_platform.tpr_set(c, (uint8_t)v);
    }
    return set_plain(c, r, bytes);
}

static bool set_efer(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    CpuState *s = &c->state;
    uint64_t v = (load_le(bytes, 8) & ~EFER_LMA) | (s->efer & EFER_LMA);
    if ((c->model && v & ~(model_efer(c->model) | EFER_LMA)) ||
        (cpu_paging(s) && (v ^ s->efer) & EFER_LME)) {
        return false;
    }
    s->efer = v;
    return true;
}

/* x87, SSE and AVX: the component is in use from now on (cpu/state.h, Xsave). */
static bool set_vector(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    c->state.fpu.xstate_bv |= r->arg;
    return set_plain(c, r, bytes);
}

static bool set_mxcsr(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    uint32_t mask = c->state.fpu.mxcsr_mask ? c->state.fpu.mxcsr_mask : 0xffbf;
    return !(load_le(bytes, 4) & ~mask) && set_vector(c, r, bytes);
}

static bool set_tags(Cpu *c, const GdbRegister *r, const uint8_t *bytes)
{
    c->state.fpu.xstate_bv |= XSTATE_FP;
    c->state.fpu.ftw = fpu_abridge_tags((uint16_t)load_le(bytes, 2));
    return true;
}

#define SIZE(f)   sizeof(((CpuState *)0)->f)
#define AT(f)     .size = SIZE(f), .offset = offsetof(CpuState, f) /* the next member is .feature */
#define GPR64(n, i) {n, 8, AT(gpr[i])}
/* A write clears the upper half, as an instruction's does. */
#define GPR32(n, i) {n, 4, AT(gpr[i])}
#define SELECTOR(n, i) {n, 4, AT(seg[i].selector), .set = set_selector, .arg = i}
#define BASE(n, i) {n, 8, AT(seg[i].base), GDB_SYSTEM, .set = set_linear}
#define ST(n, i) \
    {n, 10, .offset = offsetof(CpuState, fpu.st[i]), .size = 10, .type = "i387_ext", .set = set_vector, .arg = XSTATE_FP}
#define X87(n, o, s) \
    {n, 4, .offset = offsetof(CpuState, fpu) + o, .size = s, .set = set_vector, .arg = XSTATE_FP}
#define XMM(n, i) {n, 16, AT(fpu.xmm[i]), GDB_SSE, .type = "vec128", .set = set_vector, .arg = XSTATE_SSE}
#define YMMH(n, i) {n, 16, AT(fpu.ymmh[i]), GDB_AVX, .type = "uint128", .set = set_vector, .arg = XSTATE_AVX}
enum { DATA = 1, CODE = 2 };

// clang-format off
static const GdbRegister table[] = {
    GPR64("rax", CPU_RAX), GPR64("rbx", CPU_RBX), GPR64("rcx", CPU_RCX), GPR64("rdx", CPU_RDX),
    GPR64("rsi", CPU_RSI), GPR64("rdi", CPU_RDI),
    {"rbp", 8, AT(gpr[CPU_RBP]), .pointer = DATA}, {"rsp", 8, AT(gpr[CPU_RSP]), .pointer = DATA},
    GPR64("r8", CPU_R8), GPR64("r9", CPU_R9), GPR64("r10", CPU_R10), GPR64("r11", CPU_R11),
    GPR64("r12", CPU_R12), GPR64("r13", CPU_R13), GPR64("r14", CPU_R14), GPR64("r15", CPU_R15),
    {"rip", 8, AT(rip), .pointer = CODE, .set = set_linear},
    GPR32("eax", CPU_RAX), GPR32("ecx", CPU_RCX), GPR32("edx", CPU_RDX), GPR32("ebx", CPU_RBX),
    {"esp", 4, AT(gpr[CPU_RSP]), .pointer = DATA}, {"ebp", 4, AT(gpr[CPU_RBP]), .pointer = DATA},
    GPR32("esi", CPU_RSI), GPR32("edi", CPU_RDI),
    {"eip", 4, AT(rip), .pointer = CODE},
    {"eflags", 4, AT(rflags), .bits = "rflags", .set = set_flags},
    SELECTOR("cs", SEG_CS), SELECTOR("ss", SEG_SS), SELECTOR("ds", SEG_DS), SELECTOR("es", SEG_ES),
    SELECTOR("fs", SEG_FS), SELECTOR("gs", SEG_GS),
    ST("st0", 0), ST("st1", 1), ST("st2", 2), ST("st3", 3), ST("st4", 4), ST("st5", 5), ST("st6", 6), ST("st7", 7),
    X87("fctrl", offsetof(Xsave, fcw), 2), X87("fstat", offsetof(Xsave, fsw), 2),
    {"ftag", 4, AT(fpu.ftw), .set = set_tags},
    /* FIP and FDP in the 64-bit form; the halves where gdb's own FXSAVE has them. */
    X87("fiseg", offsetof(Xsave, fip) + 4, 2), X87("fioff", offsetof(Xsave, fip), 4),
    X87("foseg", offsetof(Xsave, fdp) + 4, 2), X87("fooff", offsetof(Xsave, fdp), 4),
    X87("fop", offsetof(Xsave, fop), 2),
    XMM("xmm0", 0), XMM("xmm1", 1), XMM("xmm2", 2), XMM("xmm3", 3), XMM("xmm4", 4), XMM("xmm5", 5), XMM("xmm6", 6),
    XMM("xmm7", 7), XMM("xmm8", 8), XMM("xmm9", 9), XMM("xmm10", 10), XMM("xmm11", 11), XMM("xmm12", 12),
    XMM("xmm13", 13), XMM("xmm14", 14), XMM("xmm15", 15),
    {"mxcsr", 4, AT(fpu.mxcsr), GDB_SSE, .type = "i386_mxcsr", .set = set_mxcsr, .arg = XSTATE_SSE},
    YMMH("ymm0h", 0), YMMH("ymm1h", 1), YMMH("ymm2h", 2), YMMH("ymm3h", 3), YMMH("ymm4h", 4), YMMH("ymm5h", 5),
    YMMH("ymm6h", 6), YMMH("ymm7h", 7), YMMH("ymm8h", 8), YMMH("ymm9h", 9), YMMH("ymm10h", 10), YMMH("ymm11h", 11),
    YMMH("ymm12h", 12), YMMH("ymm13h", 13), YMMH("ymm14h", 14), YMMH("ymm15h", 15),
    BASE("cs_base", SEG_CS), BASE("ss_base", SEG_SS), BASE("ds_base", SEG_DS), BASE("es_base", SEG_ES),
    BASE("fs_base", SEG_FS), BASE("gs_base", SEG_GS),
    {"k_gs_base", 8, AT(msr.kernel_gs_base), GDB_SYSTEM, .set = set_linear},
    {"cr0", 8, AT(cr0), GDB_SYSTEM, .bits = "cr0", .set = set_cr0}, {"cr2", 8, AT(cr2), GDB_SYSTEM},
    {"cr3", 8, AT(cr3), GDB_SYSTEM, .set = set_cr3},
    {"cr4", 8, AT(cr4), GDB_SYSTEM, .bits = "cr4", .set = set_cr4},
    {"cr8", 8, AT(cr8), GDB_SYSTEM, .set = set_cr8},
    {"efer", 8, AT(efer), GDB_SYSTEM, .bits = "efer", .set = set_efer},
};
// clang-format on

/* ---- What this model has ---- */

static const CpuModel *model_now(void)
{
    return cpu_count() ? cpu_at(0)->model : NULL;
}

static bool is_wide_gpr(const GdbRegister *r)
{
    return r->feature == GDB_CORE && r->bytes == 8;
}
static bool is_upper(const GdbRegister *r) /* xmm8-15, ymm8h-15h */
{
    return (r->offset >= offsetof(CpuState, fpu.xmm[8]) && r->offset < offsetof(CpuState, fpu.xmm[16])) ||
           (r->offset >= offsetof(CpuState, fpu.ymmh[8]) && r->offset < offsetof(CpuState, fpu.ymmh[16]));
}

bool gdb_long(void)
{
    return model_now() && model_has(model_now(), FEATURE_LM);
}

static bool exists(const GdbRegister *r)
{
    static const char *const long_only[] = {"cr8", "efer", "k_gs_base", NULL};
    const CpuModel *m = model_now();
    if (!gdb_long() && (is_wide_gpr(r) || is_upper(r) || g_strv_contains(long_only, r->name))) {
        return false;
    }
    return r->feature == GDB_AVX   ? m && model_has(m, FEATURE_AVX)
           : r->feature == GDB_SSE ? m && model_has(m, FEATURE_SSE)
                                   : true;
}

static GPtrArray *registers; /* made at first use */
static unsigned whole;

static bool is_late(const GdbRegister *r)
{
    return r->pointer && r->bytes == 8;
}

static GPtrArray *numbered(void)
{
    if (!registers) {
        registers = g_ptr_array_new();
        for (unsigned late = 0; late < 2; late++) {
            for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
                if (exists(&table[i]) && is_late(&table[i]) == late) {
                    g_ptr_array_add(registers, (gpointer)&table[i]);
                }
            }
            whole = late ? whole : registers->len;
        }
    }
    return registers;
}

void gdb_registers_forget(void)
{
    g_clear_pointer(&registers, g_ptr_array_unref);
}

const GdbRegister *gdb_register(unsigned number)
{
    return number < numbered()->len ? g_ptr_array_index(registers, number) : NULL;
}
unsigned gdb_register_count(void)
{
    return numbered()->len;
}
unsigned gdb_register_whole(void)
{
    return numbered() ? whole : 0;
}

const char *gdb_register_type(const GdbRegister *r)
{
    if (r->type) {
        return r->type;
    }
    if (r->pointer && (r->bytes == 8) == gdb_long()) {
        return r->pointer == CODE ? "code_ptr" : "data_ptr";
    }
    return r->bytes == 8 ? "int64" : "int32";
}

/* ---- Access ---- */

void gdb_register_read(const CpuState *s, const GdbRegister *r, uint8_t *bytes)
{
    memset(bytes, 0, r->bytes);
    if (r->set == set_tags) {
        store_le(bytes, 2, fpu_tag_word(&s->fpu));
    } else {
        memcpy(bytes, (const char *)s + r->offset, MIN(r->bytes, r->size));
    }
}

bool gdb_register_write(Cpu *c, const GdbRegister *r, const uint8_t *bytes, size_t len)
{
    uint8_t whole_value[16] = {0};
    if (len > r->bytes) {
        return false;
    }
    memcpy(whole_value, bytes, len);
    cpu_sync(c);
    if (!(r->set ? r->set : set_plain)(c, r, whole_value)) {
        return false;
    }
    c->state_dirty = true;
    return true;
}

/* ---- Packets ---- */

static void append_register(GString *out, const Cpu *c, const GdbRegister *r)
{
    uint8_t bytes[16];
    gdb_register_read(&c->state, r, bytes);
    gdb_hex_append(out, bytes, r->bytes);
}

void gdb_cmd_g(Stub *s, const char *args, size_t len)
{
    g_autoptr(GString) out = g_string_new(NULL);
    Cpu *c = cpu_at(s->look);
    cpu_sync(c);
    for (unsigned i = 0; i < gdb_register_whole(); i++) {
        append_register(out, c, gdb_register(i));
    }
    gdb_reply_bytes(s, out->str, out->len);
}

/* Two registers may be views of one: only what differs from the state so far is written. */
void gdb_cmd_G(Stub *s, const char *args, size_t len)
{
    Cpu *c = cpu_at(s->look);
    cpu_sync(c);
    CpuState *before = g_memdup2(&c->state, sizeof(c->state));
    bool ok = true;
    for (unsigned i = 0; i < gdb_register_whole(); i++) {
        const GdbRegister *r = gdb_register(i);
        uint8_t old[16], new[16];
        if (gdb_hex_bytes(&args, new, r->bytes) < r->bytes) {
            ok = !*args; /* a shorter packet leaves the rest as it is */
            break;
        }
        gdb_register_read(before, r, old);
        ok &= !memcmp(old, new, r->bytes) || gdb_register_write(c, r, new, r->bytes);
    }
    g_free(before);
    if (ok) {
        gdb_reply_ok(s);
    } else {
        gdb_reply_error(s, GDB_EINVAL);
    }
}

void gdb_cmd_p(Stub *s, const char *args, size_t len)
{
    uint64_t number;
    const GdbRegister *r;
    if (!gdb_hex_number(&args, &number) || *args || !(r = gdb_register((unsigned)MIN(number, UINT_MAX)))) {
        gdb_reply_error(s, GDB_EINVAL);
        return;
    }
    g_autoptr(GString) out = g_string_new(NULL);
    cpu_sync(cpu_at(s->look));
    append_register(out, cpu_at(s->look), r);
    gdb_reply(s, out->str);
}

void gdb_cmd_P(Stub *s, const char *args, size_t len)
{
    uint64_t number;
    uint8_t bytes[17]; /* one more than any has: too long is seen */
    const GdbRegister *r;
    if (gdb_hex_number(&args, &number) && *args++ == '=' && (r = gdb_register((unsigned)MIN(number, UINT_MAX)))) {
        size_t n = gdb_hex_bytes(&args, bytes, sizeof(bytes));
        if (n && !*args && gdb_register_write(cpu_at(s->look), r, bytes, n)) {
            gdb_reply_ok(s);
            return;
        }
    }
    gdb_reply_error(s, GDB_EINVAL);
}
