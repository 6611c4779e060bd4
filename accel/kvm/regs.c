/* CpuState <-> KVM, group by group. */
#include "accel/kvm/kvm.h"

#include <cpuid.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/log.h"
#include "cpu/msr.h"

static XsaveLayout layout; /* of this host */

/* ---- General registers ---- */

static const uint16_t gpr_place[CPU_GPRS] = {
    [CPU_RAX] = offsetof(struct kvm_regs, rax), [CPU_RCX] = offsetof(struct kvm_regs, rcx),
    [CPU_RDX] = offsetof(struct kvm_regs, rdx), [CPU_RBX] = offsetof(struct kvm_regs, rbx),
    [CPU_RSP] = offsetof(struct kvm_regs, rsp), [CPU_RBP] = offsetof(struct kvm_regs, rbp),
    [CPU_RSI] = offsetof(struct kvm_regs, rsi), [CPU_RDI] = offsetof(struct kvm_regs, rdi),
    [CPU_R8] = offsetof(struct kvm_regs, r8),   [CPU_R9] = offsetof(struct kvm_regs, r9),
    [CPU_R10] = offsetof(struct kvm_regs, r10), [CPU_R11] = offsetof(struct kvm_regs, r11),
    [CPU_R12] = offsetof(struct kvm_regs, r12), [CPU_R13] = offsetof(struct kvm_regs, r13),
    [CPU_R14] = offsetof(struct kvm_regs, r14), [CPU_R15] = offsetof(struct kvm_regs, r15),
};

static int fetch_regs(Cpu *c)
{
    struct kvm_regs k;
    int r = kvm_cpu_ioctl(c, KVM_GET_REGS, (uintptr_t)&k);
    for (unsigned i = 0; i < CPU_GPRS; i++) {
        c->state.gpr[i] = load_le((char *)&k + gpr_place[i], 8);
    }
    c->state.rip = k.rip;
    c->state.rflags = k.rflags;
    return r;
}

static int flush_regs(Cpu *c)
{
    struct kvm_regs k = {.rip = c->state.rip, .rflags = c->state.rflags};
    for (unsigned i = 0; i < CPU_GPRS; i++) {
        store_le((char *)&k + gpr_place[i], 8, c->state.gpr[i]);
    }
    return kvm_cpu_ioctl(c, KVM_SET_REGS, (uintptr_t)&k);
}

/* ---- Segments, control registers ---- */

static const uint16_t seg_place[CPU_SEGS] = {
    [SEG_ES] = offsetof(struct kvm_sregs, es),    [SEG_CS] = offsetof(struct kvm_sregs, cs),
    [SEG_SS] = offsetof(struct kvm_sregs, ss),    [SEG_DS] = offsetof(struct kvm_sregs, ds),
    [SEG_FS] = offsetof(struct kvm_sregs, fs),    [SEG_GS] = offsetof(struct kvm_sregs, gs),
    [SEG_LDTR] = offsetof(struct kvm_sregs, ldt), [SEG_TR] = offsetof(struct kvm_sregs, tr),
};
/* The two generations of the structure begin alike. */
_Static_assert(offsetof(struct kvm_sregs, apic_base) == offsetof(struct kvm_sregs2, apic_base),
               "sregs");

static void segment_from(Segment *s, const struct kvm_segment *k)
{
    s->base = k->base;
    s->limit = k->limit;
    s->selector = k->selector;
    s->attr =
        segment_attr(k->type, k->s, k->dpl, k->present, k->avl, k->l, k->db, k->g, k->unusable);
}

static void segment_to(const Segment *s, struct kvm_segment *k)
{
    *k = (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = segment_type(s),
        .s = segment_s(s),
        .dpl = segment_dpl(s),
        .present = segment_p(s),
        .avl = segment_avl(s),
        .l = segment_l(s),
        .db = segment_db(s),
        .g = segment_g(s),
        .unusable = segment_unusable(s),
    };
}

static void sregs_from(CpuState *s, const struct kvm_sregs *k)
{
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        segment_from(&s->seg[i], (const void *)((const char *)k + seg_place[i]));
    }
    s->gdtr = (TableReg){k->gdt.base, k->gdt.limit};
    s->idtr = (TableReg){k->idt.base, k->idt.limit};
    s->cr0 = k->cr0;
    s->cr2 = k->cr2;
    s->cr3 = k->cr3;
    s->cr4 = k->cr4;
    s->cr8 = k->cr8;
    s->efer = k->efer;
    s->msr.apic_base = k->apic_base;
}

static void sregs_to(const CpuState *s, struct kvm_sregs *k)
{
    for (unsigned i = 0; i < CPU_SEGS; i++) {
        segment_to(&s->seg[i], (void *)((char *)k + seg_place[i]));
    }
    k->gdt.base = s->gdtr.base;
    k->gdt.limit = s->gdtr.limit;
    k->idt.base = s->idtr.base;
    k->idt.limit = s->idtr.limit;
    k->cr0 = s->cr0;
    k->cr2 = s->cr2;
    k->cr3 = s->cr3;
    k->cr4 = s->cr4;
    k->cr8 = s->cr8;
    k->efer = s->efer;
    k->apic_base = s->msr.apic_base;
}

static int fetch_sregs(Cpu *c)
{
    union {
        struct kvm_sregs one;
        struct kvm_sregs2 two;
    } k = {0};
    int r = kvm_cpu_ioctl(c, kvm.sregs2 ? KVM_GET_SREGS2 : KVM_GET_SREGS, (uintptr_t)&k);
    sregs_from(&c->state, &k.one);
    c->state.pdpte_valid = kvm.sregs2 && k.two.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
    for (unsigned i = 0; i < 4; i++) {
        c->state.pdpte[i] = c->state.pdpte_valid ? k.two.pdptrs[i] : 0;
    }
    return r;
}

static int flush_sregs(Cpu *c)
{
    if (kvm.irqchip == IRQCHIP_OFF && c->apic && cpu_platform.apic_base_get) {
        c->state.msr.apic_base = cpu_platform.apic_base_get(c);
    }
    if (!kvm.sregs2) {
        struct kvm_sregs k = {0};
        sregs_to(&c->state, &k);
        return kvm_cpu_ioctl(c, KVM_SET_SREGS, (uintptr_t)&k);
    }
    union {
        struct kvm_sregs one;
        struct kvm_sregs2 two;
    } k = {0};
    sregs_to(&c->state, &k.one);
    k.two.flags = 0; /* the interrupt bitmap of the older structure begins here */
    if (c->state.pdpte_valid) {
        k.two.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
        memcpy(k.two.pdptrs, c->state.pdpte, sizeof(k.two.pdptrs));
    }
    return kvm_cpu_ioctl(c, KVM_SET_SREGS2, (uintptr_t)&k);
}

/* ---- x87 and vector registers ---- */

static int fetch_xsave(Cpu *c)
{
    g_autofree void *image = g_malloc0(MAX(kvm.xsave_size, sizeof(struct kvm_xsave)));
    bool large = kvm.xsave_size > sizeof(struct kvm_xsave);
    int r = kvm_cpu_ioctl(c, large ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, (uintptr_t)image);
    if (r >= 0) {
        xsave_import(&c->state, image, kvm.xsave_size, &layout);
    }
    return r;
}

static int flush_xsave(Cpu *c)
{
    g_autofree void *image = g_malloc0(MAX(kvm.xsave_size, sizeof(struct kvm_xsave)));
    xsave_export(&c->state, image, kvm.xsave_size, &layout, c->state.xcr0 | XSTATE_FP | XSTATE_SSE);
    return kvm_cpu_ioctl(c, KVM_SET_XSAVE, (uintptr_t)image);
}

static int fetch_xcrs(Cpu *c)
{
    struct kvm_xcrs x = {0};
    int r = kvm_cpu_ioctl(c, KVM_GET_XCRS, (uintptr_t)&x);
    for (unsigned i = 0; r >= 0 && i < x.nr_xcrs; i++) {
        if (x.xcrs[i].xcr == 0) {
            c->state.xcr0 = x.xcrs[i].value;
        }
    }
    return r;
}

static int flush_xcrs(Cpu *c)
{
    struct kvm_xcrs x = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = c->state.xcr0}}};
    return kvm_cpu_ioctl(c, KVM_SET_XCRS, (uintptr_t)&x);
}

/* ---- Debug registers ---- */

static int fetch_debug(Cpu *c)
{
    struct kvm_debugregs d = {0};
    int r = kvm_cpu_ioctl(c, KVM_GET_DEBUGREGS, (uintptr_t)&d);
    for (unsigned i = 0; i < 4; i++) {
        c->state.dr[i] = d.db[i];
    }
    c->state.dr[4] = c->state.dr[5] = 0;
    c->state.dr[6] = d.dr6;
    c->state.dr[7] = d.dr7;
    return r;
}

static int flush_debug(Cpu *c)
{
    struct kvm_debugregs d = {.dr6 = c->state.dr[6], .dr7 = c->state.dr[7]};
    for (unsigned i = 0; i < 4; i++) {
        d.db[i] = c->state.dr[i];
    }
    return kvm_cpu_ioctl(c, KVM_SET_DEBUGREGS, (uintptr_t)&d);
}

/* ---- Events ---- */

static int fetch_events(Cpu *c)
{
    struct kvm_vcpu_events k = {0};
    int r = kvm_cpu_ioctl(c, KVM_GET_VCPU_EVENTS, (uintptr_t)&k);
    c->state.event = (CpuEvents){
        /* Without payloads the kernel calls "injected" what may still be pending. */
        .exception_pending = kvm.exception_payload && k.exception.pending,
        .exception_injected = k.exception.injected,
        .exception_has_error = k.exception.has_error_code,
        .exception_has_payload = k.exception_has_payload,
        .exception_vector = k.exception.nr,
        .exception_error = k.exception.error_code,
        .exception_payload = k.exception_payload,
        .interrupt_injected = k.interrupt.injected,
        .interrupt_soft = k.interrupt.soft,
        .interrupt_vector = k.interrupt.nr,
        .interrupt_shadow = k.interrupt.shadow,
        .nmi_injected = k.nmi.injected,
        .nmi_masked = k.nmi.masked,
        .nmi_pending = k.nmi.pending,
        .smm = k.smi.smm,
        .smm_inside_nmi = k.smi.smm_inside_nmi,
        .smi_pending = k.smi.pending,
        .init_latched = k.smi.latched_init,
        .triple_fault_pending =
            k.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT && k.triple_fault.pending,
    };
    if (kvm.irqchip != IRQCHIP_OFF) {
        c->sipi_vector = (uint8_t)k.sipi_vector;
    }
    return r;
}

static int flush_events(Cpu *c)
{
    const CpuEvents *e = &c->state.event;
    struct kvm_vcpu_events k = {
        .flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
                 (kvm.irqchip != IRQCHIP_OFF ? KVM_VCPUEVENT_VALID_SIPI_VECTOR : 0) |
                 (kvm.smm ? KVM_VCPUEVENT_VALID_SMM : 0) |
                 (kvm.exception_payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0) |
                 (kvm.triple_fault_event ? KVM_VCPUEVENT_VALID_TRIPLE_FAULT : 0),
        .exception = {.injected = e->exception_injected,
                      .nr = e->exception_vector,
                      .has_error_code = e->exception_has_error,
                      .pending = e->exception_pending,
                      .error_code = e->exception_error},
        .interrupt = {.injected = e->interrupt_injected,
                      .nr = e->interrupt_vector,
                      .soft = e->interrupt_soft,
                      .shadow = e->interrupt_shadow},
        .nmi = {.injected = e->nmi_injected, .pending = e->nmi_pending, .masked = e->nmi_masked},
        .smi = {.smm = e->smm,
                .pending = e->smi_pending,
                .smm_inside_nmi = e->smm_inside_nmi,
                .latched_init = e->init_latched},
        .sipi_vector = c->sipi_vector,
        .triple_fault.pending = e->triple_fault_pending,
        .exception_has_payload = e->exception_has_payload,
        .exception_payload = e->exception_payload,
    };
    return kvm_cpu_ioctl(c, KVM_SET_VCPU_EVENTS, (uintptr_t)&k);
}

/* Sleeping and waiting for SIPI are the kernel's with its local APIC, ours without. */
static int fetch_mp_state(Cpu *c)
{
    struct kvm_mp_state m = {0};
    int r = kvm_cpu_ioctl(c, KVM_GET_MP_STATE, (uintptr_t)&m);
    c->wait_sipi =
        m.mp_state == KVM_MP_STATE_UNINITIALIZED || m.mp_state == KVM_MP_STATE_INIT_RECEIVED;
    c->halted = c->wait_sipi || m.mp_state == KVM_MP_STATE_HALTED;
    return r;
}

static int flush_mp_state(Cpu *c)
{
    struct kvm_mp_state m = {.mp_state = c->wait_sipi ? (c->is_bsp ? KVM_MP_STATE_INIT_RECEIVED
                                                                   : KVM_MP_STATE_UNINITIALIZED)
                                         : c->halted  ? KVM_MP_STATE_HALTED
                                                      : KVM_MP_STATE_RUNNABLE};
    return kvm_cpu_ioctl(c, KVM_SET_MP_STATE, (uintptr_t)&m);
}

/* ---- MSRs: those of our table that the kernel lists ---- */

typedef struct MsrPlace {
    const Msr *msr;
    unsigned element;
} MsrPlace;
static GArray *msr_places; /* of MsrPlace */
static GMutex msr_mutex;   /* guards the making of the list */

static struct kvm_msr_list *kernel_msrs(void)
{
    struct kvm_msr_list probe = {0};
    kvm_dev_ioctl(KVM_GET_MSR_INDEX_LIST, (uintptr_t)&probe);
    struct kvm_msr_list *list = g_malloc0(sizeof(*list) + probe.nmsrs * sizeof(uint32_t));
    list->nmsrs = probe.nmsrs;
    if (kvm_dev_ioctl(KVM_GET_MSR_INDEX_LIST, (uintptr_t)list) < 0) {
        list->nmsrs = 0;
    }
    return list;
}

static struct kvm_msrs *msr_buffer(void)
{
    struct kvm_msrs *m = g_malloc0(sizeof(*m) + msr_places->len * sizeof(struct kvm_msr_entry));
    m->nmsrs = msr_places->len;
    for (unsigned i = 0; i < msr_places->len; i++) {
        const MsrPlace *p = &g_array_index(msr_places, MsrPlace, i);
        m->entries[i].index = msr_index(p->msr, p->element);
    }
    return m;
}

/* The kernel lists what some CPU may have; a register that this one's CPUID does not grant cannot
 * be read. */
static void drop_unreadable(Cpu *c)
{
    for (;;) {
        g_autofree struct kvm_msrs *m = msr_buffer();
        int n = kvm_cpu_ioctl(c, KVM_GET_MSRS, (uintptr_t)m);
        if (n < 0 || (unsigned)n >= msr_places->len) {
            return;
        }
        g_array_remove_index(msr_places, (unsigned)n);
    }
}

static void make_msr_list(Cpu *c)
{
    g_mutex_lock(&msr_mutex);
    if (!msr_places) {
        g_autofree struct kvm_msr_list *list = kernel_msrs();
        msr_places = g_array_new(FALSE, FALSE, sizeof(MsrPlace));
        for (unsigned i = 0; i < list->nmsrs; i++) {
            MsrPlace p = {0};
            p.msr = msr_find(list->indices[i], &p.element);
            if (p.msr && !p.msr->constant && !p.msr->read_only && msr_exists(c, p.msr)) {
                g_array_append_val(msr_places, p);
            }
        }
        drop_unreadable(c);
    }
    g_mutex_unlock(&msr_mutex);
    if (!kvm_cpu(c)->msrs) {
        kvm_cpu(c)->msrs = g_new0(uint64_t, msr_places->len + 1);
    }
}

static uint64_t *msr_value(Cpu *c, unsigned i)
{
    const MsrPlace *p = &g_array_index(msr_places, MsrPlace, i);
    return msr_slot(p->msr, &c->state, p->element);
}

static int fetch_msrs(Cpu *c)
{
    make_msr_list(c);
    g_autofree struct kvm_msrs *m = msr_buffer();
    int n = kvm_cpu_ioctl(c, KVM_GET_MSRS, (uintptr_t)m);
    for (int i = 0; i < n; i++) {
        *msr_value(c, (unsigned)i) = kvm_cpu(c)->msrs[i] = m->entries[i].data;
    }
    kvm_cpu(c)->msrs_known = n == (int)msr_places->len;
    return n < 0 ? n : 0;
}

/* The kernel stops at an entry that it refuses: go on behind it. */
static int set_msrs(Cpu *c, const struct kvm_msr_entry *entries, unsigned n)
{
    g_autofree struct kvm_msrs *m = g_malloc(sizeof(*m) + n * sizeof(*entries));
    for (unsigned done = 0; done < n; done++) {
        m->nmsrs = n - done;
        memcpy(m->entries, entries + done, (n - done) * sizeof(*entries));
        int r = kvm_cpu_ioctl(c, KVM_SET_MSRS, (uintptr_t)m);
        if (r < 0) {
            return r;
        }
        done += (unsigned)r;
        if (done < n) {
            TRACE(kvm_msr_refused, "cpu%u: %#x = %#" PRIx64, c->index, entries[done].index,
                  (uint64_t)entries[done].data);
        }
    }
    return 0;
}

void kvm_tsc_noted(Cpu *c)
{
    for (unsigned i = 0; kvm_cpu(c)->msrs && i < msr_places->len; i++) {
        const MsrPlace *p = &g_array_index(msr_places, MsrPlace, i);
        if (msr_index(p->msr, p->element) == MSR_TSC) {
            kvm_cpu(c)->msrs[i] = c->state.msr.tsc;
        }
    }
}

/* Only what differs from the kernel's copy: a write to the TSC, say, is not without effect even if
 * it is the same. */
static int flush_msrs(Cpu *c)
{
    make_msr_list(c);
    KvmCpu *k = kvm_cpu(c);
    g_autofree struct kvm_msrs *m = msr_buffer();
    unsigned n = 0;
    for (unsigned i = 0; i < msr_places->len; i++) {
        uint64_t value = *msr_value(c, i);
        if (!k->msrs_known || value != k->msrs[i]) {
            m->entries[n++] = (struct kvm_msr_entry){.index = m->entries[i].index, .data = value};
            k->msrs[i] = value;
        }
    }
    k->msrs_known = true;
    return set_msrs(c, m->entries, n);
}

/* ---- All groups ---- */

typedef struct Group {
    const char *name;
    int (*fetch)(Cpu *c);
    int (*flush)(Cpu *c);
    const bool *when; /* NULL: always */
} Group;

static bool have_xsave, kernel_apic;

/* In the order in which they are set: control registers decide what the others may hold, events
 * come last. */
static const Group groups[] = {
    {"segments and control registers", fetch_sregs, flush_sregs, NULL},
    {"general registers", fetch_regs, flush_regs, NULL},
    {"XCR0", fetch_xcrs, flush_xcrs, &kvm.xcrs},
    {"FPU and vector registers", fetch_xsave, flush_xsave, &have_xsave},
    {"MSRs", fetch_msrs, flush_msrs, NULL},
    {"debug registers", fetch_debug, flush_debug, &kvm.debugregs},
    {"run state", fetch_mp_state, flush_mp_state, &kernel_apic},
    {"events", fetch_events, flush_events, NULL},
};

static void group_failed(const Cpu *c, const Group *g, bool flush, int code)
{
    static bool told[2][G_N_ELEMENTS(groups)];
    if (!told[flush][g - groups]) {
        told[flush][g - groups] = true;
        error_report("KVM does not %s CPU %u's %s: %s", flush ? "take" : "give", c->index, g->name,
                     g_strerror(-code));
    }
}

void kvm_fetch(Cpu *c)
{
    if (kvm_rescue_sync(c)) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (!groups[i].when || *groups[i].when) {
            int r = groups[i].fetch(c);
            if (r < 0) {
                group_failed(c, &groups[i], false, r);
            }
        }
    }
}

void kvm_flush(Cpu *c)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++) {
        if (!groups[i].when || *groups[i].when) {
            int r = groups[i].flush(c);
            if (r < 0) {
                group_failed(c, &groups[i], true, r);
            }
        }
    }
}

void kvm_regs_start(void)
{
    have_xsave = kvm.xsave_size != 0;
    kernel_apic = kvm.irqchip != IRQCHIP_OFF;
    layout = xsave_layout_intel;
    for (unsigned i = 2; i < G_N_ELEMENTS(layout.offset); i++) {
        unsigned a, b, c, d;
        layout.offset[i] = layout.size[i] = 0;
        if (__get_cpuid_count(0xd, i, &a, &b, &c, &d)) {
            layout.size[i] = a;
            layout.offset[i] = b;
        }
    }
}
