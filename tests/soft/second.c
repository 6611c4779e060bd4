/* A second opinion where no process can run natively: single instructions in real mode and in 16 and 32-bit protected mode,
 * here and on KVM through a VM of our own.  Random bytes, decoded; registers, flags that are defined, segment registers with
 * their hidden parts, CR0, the descriptor-table registers and memory are compared.  Exceptions go to handlers that halt, each
 * at an address of its own, so that a vector shows in RIP and what was pushed in memory.
 *
 * Without hardware behind it KVM emulates, and knows some instructions only: what it refuses is passed over, and where it is
 * known to be wrong as well (see emulator_differs).
 * SOFT_SECOND_SECONDS for each mode, SOFT_SECOND_SEED. */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "accel/soft/borrow/borrow.h"
#include "accel/soft/decode.h"
#include "accel/soft/offer.h"
#include "accel/soft/run.h"
#include "core/loop.h"
#include "cpu/segment.h"
#include "mem/host.h"
#include "mem/ram.h"
#include "tests/cpu/cpu-test.h"

#define ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)
enum {
    RAM_SIZE = 2 << 20,
    GDT = 0x1000,
    IDT = 0x2000,
    HANDLERS = 0x3000,
    TSS = 0x4000,
    STACK = 0x7000,
    CODE = 0x8000,
    LOW = 0x9000,
    DATA = 0x20000,
    DATA_SIZE = 0x8000,
    HALT = 0xf4,
    ENOUGH = 2 /* instructions: one and the halt */,
};
enum {
    CODE_32 = 0x08,
    DATA_32 = 0x10,
    CODE_16 = 0x18,
    DATA_16 = 0x20,
    USER_CODE = 0x28,
    USER_DATA = 0x30,
    TASK = 0x38,
    LOCAL = 0x40,
    READ_ONLY = 0x48,
    ABSENT = 0x50,
    DOWN = 0x58,
    CONFORMING = 0x60,
    SMALL = 0x68,
    GDT_END = 0x70
};
typedef enum Way { REAL_16, PROTECTED_16, PROTECTED_32, MODES } Way;

static int kvm_fd = -1, vm_fd = -1, vcpu_fd = -1;
static struct kvm_run *kvm_run_area;
static uint8_t *kvm_ram;
static RamBlock *ram;
static SoftCpu *cpu;
static uint8_t image[RAM_SIZE];
static uint64_t rng;
static Way mode;

static uint64_t rnd(void)
{
    rng += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = rng;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static unsigned below(unsigned n) { return (unsigned)(rnd() >> 32) % n; }
static bool one_in(unsigned n) { return below(n) == 0; }

/* ---- Memory ---- */
static void put(unsigned at, uint64_t v, unsigned size) { memcpy(image + at, &v, size); }

static uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static void make_image(void)
{
    static const struct {
        uint8_t at, access, flags;
        uint32_t base, limit;
    } segments[] = {
        {CODE_32, 0x9b, 0xc, 0, 0xfffff},
        {DATA_32, 0x93, 0xc, 0, 0xfffff},
        {CODE_16, 0x9b, 0, 0, 0xffff},
        {DATA_16, 0x93, 0, DATA, 0xffff},
        {USER_CODE, 0xfb, 0xc, 0, 0xfffff},
        {USER_DATA, 0xf3, 0xc, 0, 0xfffff},
        {TASK, 0x89, 0, TSS, 0x67},
        {LOCAL, 0x82, 0, GDT, GDT_END - 1},
        {READ_ONLY, 0x91, 0xc, DATA, 0xfffff},
        {ABSENT, 0x13, 0xc, 0, 0xfffff},
        {DOWN, 0x97, 0x4, DATA, 0x3fff},
        {CONFORMING, 0x9f, 0xc, 0, 0xfffff},
        {SMALL, 0x93, 0x4, DATA, 0x1fff},
    };
    memset(image, HALT, sizeof(image));
    memset(image, 0, CODE);
    memset(image + HANDLERS, HALT, 0x100);
    for (size_t n = 0; n < G_N_ELEMENTS(segments); n++) {
        put(GDT + segments[n].at,
            descriptor(segments[n].base, segments[n].limit, segments[n].access, segments[n].flags), 8);
    }
    for (unsigned v = 0; v < 256; v++) {
        put(v * 4, HANDLERS + v, 4);
        uint64_t selector = mode == PROTECTED_16 ? CODE_16 : CODE_32;
        put(IDT + v * 8, (HANDLERS + v) | selector << 16 | UINT64_C(0x8e) << 40, 8);
    }
    for (unsigned n = DATA; n < DATA + DATA_SIZE; n += 8) {
        put(n, one_in(4) ? rnd() & 0x3f : rnd(), 8);
    }
}

static void restore(unsigned at, unsigned size)
{
    const uint8_t *now = (const uint8_t *)ram_host(ram) + at;
    if (memcmp(now, image + at, size) != 0) {
        ram_write(ram, at, image + at, size);
    }
    if (memcmp(kvm_ram + at, image + at, size) != 0) {
        memcpy(kvm_ram + at, image + at, size);
    }
}

static void restore_all(void)
{
    ram_write(ram, 0, image, RAM_SIZE);
    memcpy(kvm_ram, image, RAM_SIZE);
}

/* ---- Both machines ---- */
static const char *kvm_setup(void)
{
    kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm_fd < 0) {
        return g_strerror(errno);
    }
    vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
    if (vm_fd < 0) {
        return "no VM can be made";
    }
    ioctl(vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000ul);
    uint64_t identity = 0xfffbc000ul;
    ioctl(vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    kvm_ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {.memory_size = RAM_SIZE,
                                                 .userspace_addr = (uintptr_t)kvm_ram};
    if (kvm_ram == MAP_FAILED || ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
        return "no memory for its VM";
    }
    vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
    int size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vcpu_fd < 0 || size < 0) {
        return "no vCPU can be made";
    }
    kvm_run_area = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
    return kvm_run_area == MAP_FAILED ? "no memory for its vCPU" : NULL;
}

/* CPUID of the model for both, as far as KVM has it. */
static void kvm_cpuid(const CpuModel *m)
{
    g_autoptr(GArray) list = model_cpuid_list(m, &cpu->cpu);
    size_t size = sizeof(struct kvm_cpuid2) + list->len * sizeof(struct kvm_cpuid_entry2);
    g_autofree struct kvm_cpuid2 *all = g_malloc0(size);
    for (unsigned n = 0; n < list->len; n++) {
        const CpuidEntry *e = &g_array_index(list, CpuidEntry, n);
        all->entries[all->nent++] = (struct kvm_cpuid_entry2){
            .function = e->leaf,
            .index = e->subleaf,
            .flags = e->has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = e->regs[0],
            .ebx = e->regs[1],
            .ecx = e->regs[2],
            .edx = e->regs[3],
        };
    }
    ioctl(vcpu_fd, KVM_SET_CPUID2, all);
}

static void soft_setup(void)
{
    static const ModelEnv env = {.supported = soft_supported_cpuid, .topology = {1, 1, 1, 1}};
    GError *error = NULL;
    soft_prepare();
    loop_main();
    loop_lock();
    ram = ram_new("second", RAM_SIZE, NULL, &error);
    ck_assert(ram);
    region_map(space_root(space_memory()), region_ram("second", ram, 0, RAM_SIZE), 0, 0);
    mem_commit();
    CpuModel *model = model_or_fail("max", &env);
    cpu = soft_cpu(cpu_new(model, 0, space_memory()));
    g_assert(soft_cpu_setup(&cpu->cpu, NULL));
    loop_unlock();
    mem_reader_register();
    cpu->counting = true;
    cpu->short_budget = 64;
    kvm_cpuid(model);
}

/* ---- States ---- */
static Segment from_gdt(unsigned selector)
{
    uint64_t low;
    memcpy(&low, image + GDT + selector, 8);
    Segment s = segment_from_descriptor(low, 0);
    s.selector = (uint16_t)selector;
    return s;
}

static uint64_t some_number(void)
{
    return one_in(4) ? (uint64_t)(below(8) - 3u) : one_in(3) ? UINT64_C(1) << below(32) : rnd();
}

static void random_state(CpuState *c)
{
    bool protected = mode != REAL_16;
    for (unsigned n = 0; n < 8; n++) {
        c->gpr[n] = (uint32_t)some_number();
    }
    static const uint8_t pointers[] = {CPU_RBX, CPU_RBP, CPU_RSI, CPU_RDI};
    for (unsigned n = 0; n < 4; n++) {
        uint64_t in = one_in(10) ? rnd() & 0xffff : below(DATA_SIZE - 512) + 256;
        c->gpr[pointers[n]] =
            mode == PROTECTED_32 ? DATA + in : in | (one_in(4) ? rnd() << 16 & UINT32_MAX : 0);
    }
    c->gpr[CPU_RSP] = one_in(20) ? below(8) : STACK - 0x100 - 2 * below(64);
    c->gpr[CPU_RCX] = one_in(2) ? below(9) : c->gpr[CPU_RCX];
    for (unsigned n = SEG_ES; n <= SEG_GS; n++) {
        if (protected) {
            static const uint8_t data[] = {DATA_32, DATA_16, READ_ONLY, DOWN, SMALL, USER_DATA};
            unsigned some = one_in(4) ? data[below(6)] : mode == PROTECTED_32 ? DATA_32 : DATA_16;
            unsigned stack = mode == PROTECTED_32 ? DATA_32 : SMALL;
            c->seg[n] = from_gdt(n == SEG_CS   ? (mode == PROTECTED_32 ? CODE_32 : CODE_16)
                                 : n == SEG_SS ? stack
                                               : some);
            if (n == SEG_SS && mode == PROTECTED_16) {
                c->seg[n] = from_gdt(CODE_16);
                c->seg[n].attr = segment_attr(SEGMENT_WRITABLE | SEGMENT_ACCESSED, true, 0, true, false,
                                              false, false, false, false);
                c->seg[n].selector = DATA_16;
            }
        } else {
            segment_set_real(&c->seg[n], n == SEG_CS || n == SEG_SS ? 0 : (uint16_t)(DATA / 16 + below(64)));
            c->seg[n].limit = 0xffff;
            c->seg[n].attr =
                segment_attr(SEGMENT_WRITABLE | SEGMENT_ACCESSED | (n == SEG_CS ? SEGMENT_CODE : 0), true, 0,
                             true, false, false, false, false, false);
        }
    }
    c->rip = CODE;
    c->rflags = FLAG_ONE | (rnd() & ARITHMETIC) | (one_in(3) ? FLAG_DF : 0) | (one_in(2) ? FLAG_IF : 0) |
                (one_in(4) ? rnd() & FLAG_IOPL : 0);
}

static void common_state(CpuState *c)
{
    c->cr0 = CR0_ET | (mode == REAL_16 ? 0 : CR0_PE);
    c->cr3 = c->cr4 = c->efer = 0;
    c->gdtr = (TableReg){GDT, GDT_END - 1};
    c->idtr = mode == REAL_16 ? (TableReg){0, 0x3ff} : (TableReg){IDT, 0x7ff};
    c->seg[SEG_TR] = from_gdt(TASK);
    c->seg[SEG_TR].attr |= 2; /* busy */
    c->seg[SEG_LDTR] = from_gdt(LOCAL);
    memset(&c->event, 0, sizeof(c->event));
}

static struct kvm_segment to_kvm(const Segment *s)
{
    return (struct kvm_segment){.base = s->base,
                                .limit = s->limit,
                                .selector = s->selector,
                                .type = (uint8_t)segment_type(s),
                                .present = segment_p(s),
                                .dpl = (uint8_t)segment_dpl(s),
                                .db = segment_db(s),
                                .s = segment_s(s),
                                .l = segment_l(s),
                                .g = segment_g(s),
                                .avl = segment_avl(s),
                                .unusable = segment_unusable(s)};
}

static void kvm_load(const CpuState *c)
{
    const uint64_t *g = c->gpr;
    struct kvm_regs r = {.rax = g[0],
                         .rcx = g[1],
                         .rdx = g[2],
                         .rbx = g[3],
                         .rsp = g[4],
                         .rbp = g[5],
                         .rsi = g[6],
                         .rdi = g[7],
                         .rip = c->rip,
                         .rflags = c->rflags};
    struct kvm_sregs s;
    struct kvm_vcpu_events events = {.flags = KVM_VCPUEVENT_VALID_SHADOW};
    ioctl(vcpu_fd, KVM_GET_SREGS, &s);
    s.es = to_kvm(&c->seg[SEG_ES]), s.cs = to_kvm(&c->seg[SEG_CS]), s.ss = to_kvm(&c->seg[SEG_SS]),
    s.ds = to_kvm(&c->seg[SEG_DS]);
    s.fs = to_kvm(&c->seg[SEG_FS]), s.gs = to_kvm(&c->seg[SEG_GS]), s.tr = to_kvm(&c->seg[SEG_TR]),
    s.ldt = to_kvm(&c->seg[SEG_LDTR]);
    s.gdt = (struct kvm_dtable){.base = c->gdtr.base, .limit = c->gdtr.limit};
    s.idt = (struct kvm_dtable){.base = c->idtr.base, .limit = c->idtr.limit};
    s.cr0 = c->cr0, s.cr3 = s.cr4 = s.efer = 0;
    memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
    ck_assert_int_eq(ioctl(vcpu_fd, KVM_SET_SREGS, &s), 0);
    ck_assert_int_eq(ioctl(vcpu_fd, KVM_SET_REGS, &r), 0);
    ioctl(vcpu_fd, KVM_SET_VCPU_EVENTS, &events);
}

/* ---- Instructions ---- */
typedef struct Case {
    Insn insn;
    uint8_t bytes[15], length;
    uint32_t undefined;
    char text[96];
} Case;

static bool refused(const Insn *i, const ZydisDecodedInstruction *z)
{
    switch (z->meta.category) {
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_X87_ALU:
    case ZYDIS_CATEGORY_FCMOV:
    case ZYDIS_CATEGORY_MMX:
    case ZYDIS_CATEGORY_SSE:
    case ZYDIS_CATEGORY_XSAVE:
    case ZYDIS_CATEGORY_XSAVEOPT: return true;
    default: break;
    }
    for (unsigned n = 0; n < i->operands; n++) {
        if (i->op[n].kind == OPERAND_REG &&
            (i->op[n].bank == BANK_CR || i->op[n].bank == BANK_DR || i->op[n].bank > BANK_ST)) {
            return true;
        }
    }
    switch (
        i->mnemonic) { /* what tells of time or of the machine, or changes what the comparison stands on */
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_RDMSR:
    case ZYDIS_MNEMONIC_WRMSR:
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_LMSW:
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_MONITOR:
    case ZYDIS_MNEMONIC_MWAIT:
    case ZYDIS_MNEMONIC_RSM: return true;
    default: return z->meta.isa_ext == ZYDIS_ISA_EXT_VTX || z->meta.isa_ext == ZYDIS_ISA_EXT_SVM || i->vex;
    }
}

static bool choose(Case *c)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3};
    static const uint32_t bits[] = {MODE_16, MODE_16 | MODE_PROTECTED, MODE_32 | MODE_PROTECTED};
    unsigned at = 0;
    for (unsigned n = one_in(2) ? 0 : below(3); n; n--) {
        c->bytes[at++] = prefixes[below(one_in(4) ? sizeof(prefixes) : 8)];
    }
    if (one_in(4)) {
        c->bytes[at++] = 0x0f;
    }
    while (at < sizeof(c->bytes)) {
        c->bytes[at++] = (uint8_t)(one_in(4) ? below(4) : rnd());
    }
    if (!insn_decode(&c->insn, c->bytes, sizeof(c->bytes), bits[mode], CODE)) {
        return false;
    }
    c->length = c->insn.length;
    ZydisDisassembledInstruction d;
    ZydisMachineMode machine =
        mode == PROTECTED_32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16;
    if (!ZYAN_SUCCESS(ZydisDisassembleIntel(machine, CODE, c->bytes, c->length, &d)) ||
        refused(&c->insn, &d.info)) {
        return false;
    }
    c->undefined = d.info.cpu_flags ? d.info.cpu_flags->undefined : 0;
    g_strlcpy(c->text, d.text, sizeof(c->text));
    return true;
}

/* ---- Comparison ---- */
static uint64_t cases, refusals, known, failures;
static Case now;
static CpuState before;

static bool same_segment(const Segment *a, const struct kvm_segment *k)
{
    if (a->selector != k->selector || (segment_unusable(a) && k->unusable)) {
        return a->selector == k->selector;
    }
    return a->base == k->base && a->limit == k->limit && segment_db(a) == k->db && segment_dpl(a) == k->dpl &&
           segment_p(a) == k->present && (segment_type(a) & ~1u) == (k->type & ~1u);
}

/* What differs, or NULL. */
static const char *differs(const CpuState *c, const struct kvm_regs *r, const struct kvm_sregs *s)
{
    const uint64_t regs[8] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi};
    const struct kvm_segment *segments[8] = {&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs, &s->ldt, &s->tr};
    uint64_t flags = ARITHMETIC | FLAG_DF | FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID;
    if (c->rip != r->rip) {
        return "RIP";
    }
    for (unsigned n = 0; n < 8; n++) {
        if ((uint32_t)c->gpr[n] != (uint32_t)regs[n]) {
            return "register";
        }
    }
    if ((c->rflags ^ r->rflags) & flags & ~(uint64_t)now.undefined) {
        return "flags";
    }
    for (unsigned n = 0; n < 8; n++) {
        if (!same_segment(&c->seg[n], segments[n])) {
            return "segment";
        }
    }
    if (c->cr0 != s->cr0 || c->gdtr.base != s->gdt.base || c->gdtr.limit != s->gdt.limit ||
        c->idtr.base != s->idt.base || c->idtr.limit != s->idt.limit) {
        return "control";
    }
    const uint8_t *m = ram_host(ram);
    if (memcmp(m + DATA, kvm_ram + DATA, DATA_SIZE) != 0 || memcmp(m, kvm_ram, LOW) != 0) {
        return "memory";
    }
    return NULL;
}

static void report(const char *what, const CpuState *c, const struct kvm_regs *r, const struct kvm_sregs *s,
                   uint64_t seed)
{
    static const char *const names[] = {"real mode", "16-bit protected mode", "32-bit protected mode"};
    const uint64_t regs[8] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi};
    const struct kvm_segment *segments[8] = {&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs, &s->ldt, &s->tr};
    fprintf(stderr, "SOFT_SECOND_SEED=%" PRIu64 " %s: %s:", seed, names[mode], what);
    for (unsigned n = 0; n < now.length; n++) {
        fprintf(stderr, " %02x", now.bytes[n]);
    }
    fprintf(stderr,
            "  %s\n  rip kvm %llx here %" PRIx64 "; flags in %" PRIx64 " kvm %llx here %" PRIx64
            " undefined %x\n",
            now.text, r->rip, c->rip, before.rflags, r->rflags, c->rflags, now.undefined);
    for (unsigned n = 0; n < 8; n++) {
        if (n == CPU_RSP || (uint32_t)c->gpr[n] != (uint32_t)regs[n]) {
            fprintf(stderr, "  r%u in %" PRIx64 " kvm %" PRIx64 " here %" PRIx64 "\n", n, before.gpr[n],
                    regs[n], c->gpr[n]);
        }
        if (!same_segment(&c->seg[n], segments[n])) {
            fprintf(stderr, "  seg%u in %x kvm %x %llx+%x type %x here %x %" PRIx64 "+%x %x\n", n,
                    before.seg[n].selector, segments[n]->selector, segments[n]->base, segments[n]->limit,
                    segments[n]->type, c->seg[n].selector, c->seg[n].base, c->seg[n].limit, c->seg[n].attr);
        }
    }
    for (unsigned n = 0; n < 8; n++) {
        fprintf(stderr, " %s%" PRIx64, n ? "" : "  in: ", before.gpr[n]);
    }
    for (unsigned n = 0; n < 6; n++) {
        fprintf(stderr, " %x", before.seg[n].selector);
    }
    const uint8_t *m = ram_host(ram);
    fprintf(stderr, "\n");
    for (unsigned n = 0, shown = 0; n < DATA + DATA_SIZE && shown < 6; n += 4) {
        if (memcmp(m + n, kvm_ram + n, 4) != 0) {
            fprintf(stderr, "  memory %x in %08x kvm %08x here %08x\n", n, *(uint32_t *)(image + n),
                    *(uint32_t *)(kvm_ram + n), *(const uint32_t *)(m + n));
            shown++;
        }
    }
}

static bool wraps(void)
{
    const Insn *i = &now.insn;
    const MemOperand *m = &i->mem;
    uint64_t at = (uint64_t)m->disp + (m->base != NO_REG ? before.gpr[m->base] : 0) +
                  (m->index != NO_REG ? before.gpr[m->index] << m->scale : 0);
    if (i->opcode == 0x1a3 || i->opcode == 0x1ab || i->opcode == 0x1b3 ||
        i->opcode == 0x1bb) { /* BT ... m, r */
        at += (uint64_t)((int32_t)before.gpr[i->op[1].reg] >> 5) * 4; /* with 32 bits; those of 16 do not reach */
    }
    return i->address_size == 4 && (uint32_t)at > UINT32_MAX - 16;
}

/* What is known to be wrong or different in KVM's emulator (arch/x86/kvm/emulate.c does what its guests needed): NULL, or why
 * the case says nothing. */
static const char *emulator_differs(const CpuState *c, const struct kvm_regs *r)
{
    uint64_t vector = r->rip - HANDLERS - 1, ours = c->rip - HANDLERS - 1;
    if (memcmp((const uint8_t *)ram_host(ram) + CODE, image + CODE, LOW - CODE) != 0) {
        return "a repeated instruction that overwrites itself is fetched again";
    }
    if (ours < 0x100 && mode == REAL_16 && (uint16_t)(before.gpr[CPU_RSP] - 12) >= UINT16_MAX - 24) {
        return "vectors are read before or after the stack has grown over them";
    }
    if ((ours == EXC_GP || ours == EXC_SS) && wraps()) {
        return "beyond the last byte of 4 GiB an access may fault or not (SDM vol 3 §5.3)";
    }
    if (now.insn.opcode >= 0x118 && now.insn.opcode <= 0x11f) {
        return "NOPs with a ModRM byte are not all known, or are taken for longer ones";
    }
    if ((now.insn.opcode == 0x1ae || now.insn.opcode == 0x101) && now.insn.modrm >= 0xc0 && ours == EXC_UD) {
        return "of 0F 01 and 0F AE with registers the forms are not told apart: fences, CET's, WAITPKG's";
    }
    switch (now.insn.mnemonic) {
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_AAD:
        return "SF, ZF and PF are not those of AL; the integer test has them from silicon";
    case ZYDIS_MNEMONIC_LTR:
        return ours == EXC_GP && vector == EXC_GP ? "the error code lacks a selector of the LDT" : NULL;
    case ZYDIS_MNEMONIC_ENTER:
        return now.insn.operand_size != cpu_stack_size(&before) / 8u ? "pushes as wide as the stack" : NULL;
    case ZYDIS_MNEMONIC_MOVBE: return vector == EXC_UD ? "KVM may not offer it" : NULL;
    case ZYDIS_MNEMONIC_LLDT: return ours == EXC_GP ? "takes a selector of the LDT" : NULL;
    case ZYDIS_MNEMONIC_SCASB:
    case ZYDIS_MNEMONIC_SCASW:
    case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD:
        return ours < 32 ? "a repeated comparison that faults has changed flags; so on AMD's processors"
                         : NULL;
    case ZYDIS_MNEMONIC_LZCNT:
    case ZYDIS_MNEMONIC_TZCNT: return "is taken for BSR or BSF";
    case ZYDIS_MNEMONIC_INT:
    case ZYDIS_MNEMONIC_INT3:
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_INTO:
        if (mode == REAL_16) {
            return now.insn.operand_size == 4 ? "pushes 32 bits with an operand-size prefix" : NULL;
        }
        return "in protected mode is refused, or means something of its own to a KVM without hardware (PVM's CPUID)";
    default: return NULL;
    }
}

/* ---- Runs ---- */
static bool run_here(void)
{
    CpuState *c = &cpu->cpu.state;
    cpu->cpu.halted = false;
    cpu->triple = false;
    soft_sync_in(cpu);
    cpu->left = ENOUGH;
    borrow_enter(cpu);
    SoftExit e = soft_execute(cpu);
    borrow_leave(cpu);
    soft_sync_out(cpu);
    return e == SOFT_HALTED && c->rip - HANDLERS - 1 != EXC_DB; /* single steps are for tests of their own */
}

/* KVM waits to be run again once it has asked for an access to what is no memory. */
static void finish_access(void)
{
    kvm_run_area->immediate_exit = 1;
    for (unsigned n = 0; n < 1 << 17 && ioctl(vcpu_fd, KVM_RUN, 0) == 0; n++) {
    }
    kvm_run_area->immediate_exit = 0;
}

/* KVM may execute an instruction again and again, to no effect. */
static int run_kvm(void)
{
    int rc;
    for (unsigned ticks = 0; (rc = ioctl(vcpu_fd, KVM_RUN, 0)) < 0 && errno == EINTR && ticks < 2; ticks++) {
    }
    return rc;
}

static void on_tick(int signal) {}

static void start_clock(void)
{
    struct sigaction action = {.sa_handler = on_tick};
    struct itimerval often = {{0, 100000}, {0, 100000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static void run_one(uint64_t seed)
{
    CpuState *c = &cpu->cpu.state;
    memset(image + CODE, HALT, LOW - CODE);
    memcpy(image + CODE, now.bytes, now.length);
    restore(0, LOW);
    restore(DATA, DATA_SIZE);
    common_state(c);
    random_state(c);
    before = *c;
    if (!run_here()) {
        restore_all(); /* it may have written anywhere */
        return;
    }
    kvm_load(&before);
    int rc = run_kvm();
    struct kvm_regs r;
    struct kvm_sregs s;
    if (rc < 0 || kvm_run_area->exit_reason != KVM_EXIT_HLT) {
        refusals++;
        finish_access();
        restore_all();
        return;
    }
    ioctl(vcpu_fd, KVM_GET_REGS, &r);
    ioctl(vcpu_fd, KVM_GET_SREGS, &s);
    cases++;
    const char *what = differs(c, &r, &s);
    if (!what) {
        return;
    }
    if (emulator_differs(c, &r)) {
        known++;
    } else if (failures++ < 20) {
        report(what, c, &r, &s, seed);
    }
    restore_all();
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void run_mode(Way which)
{
    enum { STATES = 4 };
    uint64_t seed = setting("SOFT_SECOND_SEED", 1); /* 0: another one each time */
    seed = seed ? seed : (uint64_t)g_get_real_time();
    gint64 end = g_get_monotonic_time() + (gint64)setting("SOFT_SECOND_SECONDS", 5) * G_USEC_PER_SEC;
    ck_assert_ptr_eq(kvm_setup(), NULL);
    soft_setup();
    mode = which;
    rng = 1; /* memory is always the same */
    make_image();
    restore_all();
    start_clock();
    while (g_get_monotonic_time() < end && failures < 20) {
        rng = ++seed * UINT64_C(0xd1342543de82ef95);
        if (choose(&now)) {
            for (unsigned n = 0; n < STATES; n++) {
                run_one(seed - 1);
            }
        }
    }
    printf("mode %u: %" PRIu64 " cases, %" PRIu64 " that KVM did not do, %" PRIu64 " known to differ\n",
           which, cases, refusals, known);
    ck_assert_uint_eq(failures, 0);
}

START_TEST(test_real) { run_mode(REAL_16); }
END_TEST
START_TEST(test_protected_16) { run_mode(PROTECTED_16); }
END_TEST
START_TEST(test_protected_32) { run_mode(PROTECTED_32); }
END_TEST

int main(void)
{
    const char *why = kvm_setup();
    if (why) {
        printf("skipped: /dev/kvm: %s\n", why);
        return 77;
    }
    close(vcpu_fd);
    close(vm_fd);
    close(kvm_fd);
    const TTest *tests[] = {test_real, test_protected_16, test_protected_32};
    Suite *s = suite_create("second opinion");
    TCase *tc = tcase_create("kvm");
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(s, tc);
    return run_suite(s);
}
