/* CPUID: what this host's KVM can offer, and what a vCPU is told to answer. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cpu/model.h"

enum { MAX_ENTRIES = 1024 };

static struct kvm_cpuid2 *supported; /* KVM_GET_SUPPORTED_CPUID, asked once */

static const struct kvm_cpuid2 *host_list(void)
{
    for (unsigned n = 128; !supported && n <= MAX_ENTRIES; n *= 2) {
        struct kvm_cpuid2 *list = g_malloc0(sizeof(*list) + n * sizeof(struct kvm_cpuid_entry2));
        list->nent = n;
        int r = kvm_dev_ioctl(KVM_GET_SUPPORTED_CPUID, (uintptr_t)list);
        if (r >= 0) {
            supported = list;
        } else {
            g_free(list);
            if (r != -E2BIG) {
                break;
            }
        }
    }
    return supported;
}

static uint32_t host_register(uint32_t leaf, uint32_t subleaf, int reg)
{
    const struct kvm_cpuid2 *list = host_list();
    for (unsigned i = 0; list && i < list->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &list->entries[i];
        if (e->function == leaf &&
            (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == subleaf)) {
            const uint32_t regs[] = {e->eax, e->ebx, e->ecx, e->edx};
            return regs[reg & 3];
        }
    }
    return 0;
}

/* MSRs whose bits are features (IA32_ARCH_CAPABILITIES ...). */
static uint32_t feature_msr(uint32_t index, int reg)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } m = {.head.nmsrs = 1, .entry.index = index};
    if (!kvm_extension(KVM_CAP_GET_MSR_FEATURES) ||
        kvm_dev_ioctl(KVM_GET_MSRS, (uintptr_t)&m) != 1) {
        return 0;
    }
    return (uint32_t)(m.entry.data >> (reg == 3 ? 32 : 0));
}

/* What the kernel's list does not say, or says although it depends on how we use the kernel. */
static const struct {
    uint32_t leaf;
    int reg;
    uint32_t bits;
    enum { ALWAYS, NEVER, KERNEL_APIC, NO_STAY } when;
    unsigned cap; /* and only with this capability */
} fixups[] = {
    {0x1, 2, 1u << 31, ALWAYS, 0},      /* hypervisor: it is one */
    {0x1, 2, 1u << 21, KERNEL_APIC, 0}, /* x2APIC is the kernel's local APIC's */
    {0x1, 2, 1u << 24, KERNEL_APIC, KVM_CAP_TSC_DEADLINE_TIMER},
    {0x1, 2, 1u << 3, NEVER, 0},   /* MONITOR: MWAIT exits, so offering it would only burn power */
    {0x1, 3, 1u << 28, ALWAYS, 0}, /* HTT says how leaf 1 EBX is to be read: the model's business */
    {0x6, 0, 1u << 2, ALWAYS, 0},  /* ARAT: the virtual APIC timer runs in every power state */
    {0x80000001, 2, 1u << 1, ALWAYS, 0}, /* CMP_LEGACY, TOPOEXT: topology is the model's too */
    {0x80000001, 2, 1u << 22, ALWAYS, 0},
    {0x40000001, 0, UINT32_MAX, NO_STAY, 0}, /* pages and hypercalls are KVM's, which would hardly ever run */
    {0x40000001, 0, 1u << 7, KERNEL_APIC,
     0}, /* PV_UNHALT, PV_SEND_IPI, PV_SCHED_YIELD, PV_EOI kick via the APIC */
    {0x40000001, 0, 1u << 11, KERNEL_APIC, 0},
    {0x40000001, 0, 1u << 13, KERNEL_APIC, 0},
    {0x40000001, 0, 1u << 6, KERNEL_APIC, 0},
    {0x40000001, 3, 1u << 0, ALWAYS, 0}, /* hint: "dedicated"; granted by the user only */
};

uint64_t kvm_supported_cpuid(uint32_t leaf, uint32_t subleaf, int reg)
{
    if ((leaf & MODEL_LEAF_MSR) == MODEL_LEAF_MSR) {
        return feature_msr(leaf & ~MODEL_LEAF_MSR, reg);
    }
    uint32_t value = host_register(leaf, subleaf, reg);
    for (unsigned i = 0; i < G_N_ELEMENTS(fixups); i++) {
        if (fixups[i].leaf != leaf || fixups[i].reg != reg || subleaf != 0) {
            continue;
        }
        bool apic = kvm.irqchip != IRQCHIP_OFF;
        if (fixups[i].when == NEVER || (fixups[i].when == KERNEL_APIC && !apic) ||
            (fixups[i].when == NO_STAY && kvm_rescue_stays())) {
            value &= ~fixups[i].bits;
        } else if ((fixups[i].when == ALWAYS || fixups[i].cap) &&
                   (!fixups[i].cap || kvm_extension(fixups[i].cap))) {
            value |= fixups[i].bits;
        }
    }
    return value;
}

static struct kvm_cpuid2 *model_list_for(const Cpu *c)
{
    g_autoptr(GArray) list = model_cpuid_list(c->model, c);
    struct kvm_cpuid2 *k = g_malloc0(sizeof(*k) + list->len * sizeof(struct kvm_cpuid_entry2));
    k->nent = list->len;
    for (unsigned i = 0; i < list->len; i++) {
        const CpuidEntry *e = &g_array_index(list, CpuidEntry, i);
        k->entries[i] = (struct kvm_cpuid_entry2){
            .function = e->leaf,
            .index = e->subleaf,
            .flags = e->has_subleaf ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
            .eax = e->regs[0],
            .ebx = e->regs[1],
            .ecx = e->regs[2],
            .edx = e->regs[3],
        };
    }
    return k;
}

bool kvm_cpuid_set(Cpu *c, GError **error)
{
    g_autofree struct kvm_cpuid2 *own = c->model ? model_list_for(c) : NULL;
    const struct kvm_cpuid2 *list = own ? own : host_list();
    int r = list ? kvm_cpu_ioctl(c, KVM_SET_CPUID2, (uintptr_t)list) : -ENOSYS;
    if (r < 0) {
        return error_fail_errno(error, r, "KVM refuses the CPUID of CPU %u (%u entries)", c->index,
                                list ? list->nent : 0);
    }
    if (c->model && c->model->tsc_frequency && kvm.tsc_control) {
        r = kvm_cpu_ioctl(c, KVM_SET_TSC_KHZ, (uintptr_t)(c->model->tsc_frequency / 1000));
        if (r < 0) {
            return error_fail_errno(error, r, "KVM cannot run a TSC of %" PRId64 " Hz",
                                    c->model->tsc_frequency);
        }
    }
    return true;
}
