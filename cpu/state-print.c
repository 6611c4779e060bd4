/* `info registers`: the layout that people and scripts know. */
#include "cpu/state.h"

#include <inttypes.h>

static void print_gprs(const CpuState *s, GString *out, bool wide)
{
    static const struct {
        const char *wide, *narrow;
        uint8_t reg;
    } order[] = {
        {"RAX", "EAX", CPU_RAX}, {"RBX", "EBX", CPU_RBX}, {"RCX", "ECX", CPU_RCX},
        {"RDX", "EDX", CPU_RDX}, {"RSI", "ESI", CPU_RSI}, {"RDI", "EDI", CPU_RDI},
        {"RBP", "EBP", CPU_RBP}, {"RSP", "ESP", CPU_RSP}, {"R8 ", "", CPU_R8},
        {"R9 ", "", CPU_R9},     {"R10", "", CPU_R10},    {"R11", "", CPU_R11},
        {"R12", "", CPU_R12},    {"R13", "", CPU_R13},    {"R14", "", CPU_R14},
        {"R15", "", CPU_R15},
    };
    for (unsigned i = 0; i < (wide ? 16 : 8); i++) {
        char end = i % 4 == 3 ? '\n' : ' ';
        uint64_t v = s->gpr[order[i].reg];
        if (wide) {
            g_string_append_printf(out, "%s=%016" PRIx64 "%c", order[i].wide, v, end);
        } else {
            g_string_append_printf(out, "%s=%08x%c", order[i].narrow, (uint32_t)v, end);
        }
    }
}

static void print_ip(const CpuState *s, GString *out, bool wide, bool a20, bool halted)
{
    static const struct {
        uint32_t flag;
        char letter;
    } letters[] = {{FLAG_DF, 'D'}, {FLAG_OF, 'O'}, {FLAG_SF, 'S'}, {FLAG_ZF, 'Z'},
                   {FLAG_AF, 'A'}, {FLAG_PF, 'P'}, {FLAG_CF, 'C'}};
    char flags[G_N_ELEMENTS(letters) + 1] = "";
    for (unsigned i = 0; i < G_N_ELEMENTS(letters); i++) {
        flags[i] = s->rflags & letters[i].flag ? letters[i].letter : '-';
    }
    if (wide) {
        g_string_append_printf(out, "RIP=%016" PRIx64 " RFL=%08x", s->rip, (uint32_t)s->rflags);
    } else {
        g_string_append_printf(out, "EIP=%08x EFL=%08x", (uint32_t)s->rip, (uint32_t)s->rflags);
    }
    g_string_append_printf(out, " [%s] CPL=%u II=%d A20=%d SMM=%d HLT=%d\n", flags, cpu_cpl(s),
                           s->event.interrupt_shadow != 0, a20, s->event.smm, halted);
}

/* "DPL=0 CS64 [-RA]", or the type of a system segment (SDM vol 3 tables 3-1, 3-2). */
static void print_rights(const CpuState *s, const Segment *seg, GString *out)
{
    static const char *const system_types[2][16] = {
        {"Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
         "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved",
         "IntGate32", "TrapGate32"},
        {"<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved", "Reserved",
         "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64", "Reserved", "IntGate64",
         "TrapGate64"},
    };
    unsigned type = segment_type(seg);
    g_string_append_printf(out, " DPL=%u ", segment_dpl(seg));
    if (!segment_s(seg)) {
        g_string_append(out, system_types[cpu_long_active(s)][type]);
    } else if (type & SEGMENT_CODE) {
        g_string_append_printf(out, "%s [%c%c%c]",
                               segment_l(seg)    ? "CS64"
                               : segment_db(seg) ? "CS32"
                                                 : "CS16",
                               type & SEGMENT_CONFORMING ? 'C' : '-',
                               type & SEGMENT_READABLE ? 'R' : '-',
                               type & SEGMENT_ACCESSED ? 'A' : '-');
    } else {
        g_string_append_printf(
            out, "%s [%c%c%c]", segment_db(seg) || cpu_long_active(s) ? "DS  " : "DS16",
            type & SEGMENT_EXPAND_DOWN ? 'E' : '-', type & SEGMENT_WRITABLE ? 'W' : '-',
            type & SEGMENT_ACCESSED ? 'A' : '-');
    }
}

static void print_segments(const CpuState *s, GString *out, bool wide)
{
    static const char *const names[] = {"ES ", "CS ", "SS ", "DS ", "FS ", "GS ", "LDT", "TR "};
    CpuMode mode = cpu_mode(s);
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        const Segment *seg = &s->seg[i];
        g_string_append_printf(out, "%s=%04x %0*" PRIx64 " %08x %08x", names[i], seg->selector,
                               wide ? 16 : 8, wide ? seg->base : (uint32_t)seg->base, seg->limit,
                               segment_unusable(seg) ? 0 : seg->attr << 8);
        if (mode != CPU_REAL && mode != CPU_VM86 && segment_p(seg) && !segment_unusable(seg)) {
            print_rights(s, seg, out);
        }
        g_string_append_c(out, '\n');
    }
}

static void print_control(const CpuState *s, GString *out)
{
    int w = cpu_long_active(s) ? 16 : 8;
    g_string_append_printf(out, "GDT=     %0*" PRIx64 " %08x\nIDT=     %0*" PRIx64 " %08x\n", w,
                           s->gdtr.base, s->gdtr.limit, w, s->idtr.base, s->idtr.limit);
    g_string_append_printf(out, "CR0=%08x CR2=%0*" PRIx64 " CR3=%0*" PRIx64 " CR4=%08x\n",
                           (uint32_t)s->cr0, w, s->cr2, w, s->cr3, (uint32_t)s->cr4);
    for (unsigned i = 0; i < 4; i++) {
        g_string_append_printf(out, "DR%u=%016" PRIx64 " ", i, s->dr[i]);
    }
    g_string_append_printf(out, "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\nEFER=%016" PRIx64 "\n",
                           s->dr[6], s->dr[7], s->efer);
}

static void print_vectors(const CpuState *s, GString *out, bool wide)
{
    const Xsave *x = &s->fpu;
    bool avx512 = (s->xcr0 & XSTATE_AVX512) == XSTATE_AVX512;
    bool avx = s->xcr0 & XSTATE_AVX;
    if (avx512) {
        for (unsigned i = 0; i < 8; i++) {
            g_string_append_printf(out, "Opmask%02u=%016" PRIx64 "%c", i, x->opmask[i],
                                   i % 4 == 3 ? '\n' : ' ');
        }
    }
    for (unsigned i = 0; i < (wide ? avx512 ? 32 : 16 : 8); i++) {
        if (i >= 16) {
            const uint64_t *z = x->zmm_hi[i - 16];
            g_string_append_printf(out, "ZMM%02u=", i);
            for (int q = 7; q >= 0; q--) {
                g_string_append_printf(out, "%016" PRIx64 "%c", z[q], q ? ' ' : '\n');
            }
            continue;
        }
        g_string_append_printf(out, "%s%02u=", avx512 ? "ZMM" : avx ? "YMM" : "XMM", i);
        for (int q = 3; avx512 && q >= 0; q--) {
            g_string_append_printf(out, "%016" PRIx64 " ", x->zmmh[i][q]);
        }
        if (avx || avx512) {
            g_string_append_printf(out, "%016" PRIx64 " %016" PRIx64 " ", x->ymmh[i][1],
                                   x->ymmh[i][0]);
        }
        g_string_append_printf(out, "%016" PRIx64 " %016" PRIx64 "%c", x->xmm[i][1], x->xmm[i][0],
                               avx || avx512 || i % 2 ? '\n' : ' ');
    }
}

void cpu_state_print(const CpuState *s, GString *out, unsigned flags, bool a20, bool halted)
{
    const Xsave *x = &s->fpu;
    bool wide = cpu_mode(s) == CPU_LONG;
    print_gprs(s, out, wide);
    print_ip(s, out, wide, a20, halted);
    print_segments(s, out, wide);
    print_control(s, out);
    if (!(flags & CPU_DUMP_FPU)) {
        return;
    }
    g_string_append_printf(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", x->fcw, x->fsw,
                           fpu_top(x), x->ftw, x->mxcsr);
    /* FPRn is physical register n, which stands at ST(n - TOP). */
    for (unsigned i = 0; i < 8; i++) {
        const FpReg *r = &x->st[(i - fpu_top(x)) & 7];
        g_string_append_printf(out, "FPR%u=%016" PRIx64 " %04x%c", i, r->mantissa, r->sign_exponent,
                               i % 2 ? '\n' : ' ');
    }
    print_vectors(s, out, wide);
}
