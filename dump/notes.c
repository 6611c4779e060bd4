/* The registers in a dump: NT_PRSTATUS for gdb, and the note of name "QEMU" that crash and the kernel's tools read, with what
 * NT_PRSTATUS lacks: segments, descriptor tables, control registers.  x86's struct elf_prstatus is in the kernel's
 * arch/x86/include/asm/elf.h and the psABI. */
#include <elf.h>
#include <string.h>

#include "cpu/cpu.h"
#include "dump/internal.h"

typedef struct Status64 { /* struct elf_prstatus, x86-64 */
    uint8_t before[32];
    uint32_t pid;
    uint8_t times[76];
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax;
    uint64_t rip, cs, rflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
    uint64_t has_fpu;
} Status64;
_Static_assert(sizeof(Status64) == 336 && offsetof(Status64, r15) == 112, "elf_prstatus");

typedef struct Status32 { /* struct elf_prstatus, i386 */
    uint8_t before[24];
    uint32_t pid;
    uint8_t times[44];
    uint32_t ebx, ecx, edx, esi, edi, ebp, eax, ds, es, fs, gs, orig_eax, eip, cs, eflags, esp, ss;
    uint32_t has_fpu;
} Status32;
_Static_assert(sizeof(Status32) == 144 && offsetof(Status32, ebx) == 72, "elf_prstatus");

typedef struct NoteSegment {
    uint32_t selector, limit, flags, pad;
    uint64_t base;
} NoteSegment;

typedef struct NoteCpu { /* version 1 */
    uint32_t version, size;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags;
    NoteSegment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
    uint64_t cr[5];
    uint64_t kernel_gs_base;
} NoteCpu;
_Static_assert(sizeof(NoteCpu) == 440, "the note's layout is known to its readers");

static void append_note(GByteArray *out, const char *name, uint32_t type, const void *desc, uint32_t size)
{
    Elf64_Nhdr head = {.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = size, .n_type = type};
    char padded[8] = "";
    memcpy(padded, name, strlen(name));
    g_byte_array_append(out, (const uint8_t *)&head, sizeof(head));
    g_byte_array_append(out, (const uint8_t *)padded, sizeof(padded));
    g_byte_array_append(out, desc, size);
}

static void append_status64(GByteArray *out, const Cpu *c)
{
    const CpuState *s = &c->state;
    const uint64_t *g = s->gpr;
    Status64 n = {
        .pid = c->index + 1, .r15 = g[CPU_R15], .r14 = g[CPU_R14], .r13 = g[CPU_R13], .r12 = g[CPU_R12], .rbp = g[CPU_RBP],
        .rbx = g[CPU_RBX], .r11 = g[CPU_R11], .r10 = g[CPU_R10], .r9 = g[CPU_R9], .r8 = g[CPU_R8], .rax = g[CPU_RAX],
        .rcx = g[CPU_RCX], .rdx = g[CPU_RDX], .rsi = g[CPU_RSI], .rdi = g[CPU_RDI], .rip = s->rip,
        .cs = s->seg[SEG_CS].selector, .rflags = s->rflags, .rsp = g[CPU_RSP], .ss = s->seg[SEG_SS].selector,
        .fs_base = s->seg[SEG_FS].base, .gs_base = s->seg[SEG_GS].base, .ds = s->seg[SEG_DS].selector,
        .es = s->seg[SEG_ES].selector, .fs = s->seg[SEG_FS].selector, .gs = s->seg[SEG_GS].selector,
    };
    append_note(out, "CORE", NT_PRSTATUS, &n, sizeof(n));
}

static void append_status32(GByteArray *out, const Cpu *c)
{
    const CpuState *s = &c->state;
    const uint64_t *g = s->gpr;
    Status32 n = {
        .pid = c->index + 1, .ebx = (uint32_t)g[CPU_RBX], .ecx = (uint32_t)g[CPU_RCX], .edx = (uint32_t)g[CPU_RDX],
        .esi = (uint32_t)g[CPU_RSI], .edi = (uint32_t)g[CPU_RDI], .ebp = (uint32_t)g[CPU_RBP], .eax = (uint32_t)g[CPU_RAX],
        .ds = s->seg[SEG_DS].selector, .es = s->seg[SEG_ES].selector, .fs = s->seg[SEG_FS].selector,
        .gs = s->seg[SEG_GS].selector, .eip = (uint32_t)s->rip, .cs = s->seg[SEG_CS].selector,
        .eflags = (uint32_t)s->rflags, .esp = (uint32_t)g[CPU_RSP], .ss = s->seg[SEG_SS].selector,
    };
    append_note(out, "CORE", NT_PRSTATUS, &n, sizeof(n));
}

/* flags: the descriptor's second half without base and limit. */
static NoteSegment segment(const CpuState *s, unsigned index)
{
    const Segment *seg = &s->seg[index];
    return (NoteSegment){.selector = seg->selector, .limit = seg->limit, .flags = (seg->attr & 0xf0ff) << 8,
                         .base = seg->base};
}

static void append_cpu(GByteArray *out, const Cpu *c)
{
    const CpuState *s = &c->state;
    const uint64_t *g = s->gpr;
    NoteCpu n = {
        .version = 1, .size = sizeof(n), .rax = g[CPU_RAX], .rbx = g[CPU_RBX], .rcx = g[CPU_RCX], .rdx = g[CPU_RDX],
        .rsi = g[CPU_RSI], .rdi = g[CPU_RDI], .rsp = g[CPU_RSP], .rbp = g[CPU_RBP], .r8 = g[CPU_R8], .r9 = g[CPU_R9],
        .r10 = g[CPU_R10], .r11 = g[CPU_R11], .r12 = g[CPU_R12], .r13 = g[CPU_R13], .r14 = g[CPU_R14], .r15 = g[CPU_R15],
        .rip = s->rip, .rflags = s->rflags, .cs = segment(s, SEG_CS), .ds = segment(s, SEG_DS), .es = segment(s, SEG_ES),
        .fs = segment(s, SEG_FS), .gs = segment(s, SEG_GS), .ss = segment(s, SEG_SS), .ldt = segment(s, SEG_LDTR),
        .tr = segment(s, SEG_TR), .gdt = {.limit = s->gdtr.limit, .base = s->gdtr.base},
        .idt = {.limit = s->idtr.limit, .base = s->idtr.base}, .cr = {s->cr0, 0, s->cr2, s->cr3, s->cr4},
        .kernel_gs_base = s->msr.kernel_gs_base,
    };
    append_note(out, "QEMU", 0, &n, sizeof(n));
}

void dump_make_notes(Dump *d)
{
    d->notes = g_byte_array_new();
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (d->long_mode) {
            append_status64(d->notes, cpu_at(i));
        } else {
            append_status32(d->notes, cpu_at(i));
        }
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        append_cpu(d->notes, cpu_at(i));
    }
}
