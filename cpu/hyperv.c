/* Hyper-V's interface: CPUID leaves 40000000H-4000000AH (Hyper-V TLFS, feature discovery).
 *
 * The enlightenments themselves are the accelerator's work; here is only what the guest is told of
 * them. */
#include "cpu/model-tables.h"

#include "core/error.h"

#include <string.h>

// clang-format off
/* What each enlightenment sets in leaves 3 and 4. */
static const struct {
    unsigned feature;
    uint8_t leaf, reg, bit;
} announced[] = {
    {HV_RUNTIME, 3, 0, 0}, {HV_TIME, 3, 0, 1}, {HV_TIME, 3, 0, 9}, {HV_SYNIC, 3, 0, 2}, {HV_STIMER, 3, 0, 3},
    {HV_VAPIC, 3, 0, 4}, {HV_VPINDEX, 3, 0, 6}, {HV_RESET, 3, 0, 7}, {HV_FREQUENCIES, 3, 0, 11},
    {HV_REENLIGHTENMENT, 3, 0, 13}, {HV_SYNDBG, 3, 1, 11}, {HV_XMM_INPUT, 3, 3, 4}, {HV_FREQUENCIES, 3, 3, 8},
    {HV_CRASH, 3, 3, 10}, {HV_SYNDBG, 3, 3, 11}, {HV_TLBFLUSH_EXT, 3, 3, 14}, {HV_STIMER_DIRECT, 3, 3, 19},
    {HV_TLBFLUSH, 4, 0, 2}, {HV_TLBFLUSH, 4, 0, 11}, {HV_VAPIC, 4, 0, 3}, {HV_RELAXED, 4, 0, 5}, {HV_AVIC, 4, 0, 9},
    {HV_IPI, 4, 0, 10}, {HV_IPI, 4, 0, 11}, {HV_EVMCS, 4, 0, 14},
};

static const struct {
    unsigned feature, needs;
} needed[] = {
    {HV_SYNIC, HV_VPINDEX}, {HV_STIMER, HV_SYNIC}, {HV_STIMER, HV_TIME}, {HV_TLBFLUSH, HV_VPINDEX},
    {HV_IPI, HV_VPINDEX}, {HV_EVMCS, HV_VAPIC}, {HV_STIMER_DIRECT, HV_STIMER}, {HV_TLBFLUSH_EXT, HV_TLBFLUSH},
    {HV_TLBFLUSH_DIRECT, HV_VAPIC}, {HV_SYNDBG, HV_RELAXED},
};
// clang-format on

bool hyperv_check(const CpuModel *m, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (model_has(m, needed[i].feature) && !model_has(m, needed[i].needs)) {
            return error_fail(error, "CPU property '%s' needs '%s' as well",
                              feature_name(WORD_HYPERV, needed[i].feature % 32),
                              feature_name(WORD_HYPERV, needed[i].needs % 32));
        }
    }
    return true;
}

void hyperv_cpuid(const CpuModel *m, uint32_t leaf, uint32_t regs[4])
{
    const bool nested =
        model_has(m, HV_EVMCS) || model_has(m, HV_EMSR_BITMAP) || model_has(m, HV_TLBFLUSH_DIRECT);
    memset(regs, 0, 4 * sizeof(regs[0]));
    switch (leaf) {
    case HYPERV_FIRST:
        regs[0] = nested ? HYPERV_LAST : HYPERV_FIRST + 5;
        memcpy(&regs[1], m->hv_vendor[0] ? m->hv_vendor : "Microsoft Hv", 12);
        break;
    case HYPERV_FIRST + 1: memcpy(&regs[0], "Hv#1", 4); break;
    case HYPERV_FIRST + 2: /* Windows Server 2016: 10.0.14393 */
        regs[0] = 14393;
        regs[1] = 10 << 16;
        break;
    case HYPERV_FIRST + 3:
        regs[0] = 1 << 5; /* hypercall MSRs: always there */
        if (model_has(m, HV_SYNIC)) {
            regs[1] = 1 << 4 | 1 << 5; /* post messages, signal events */
        }
        regs[3] = 1 << 3; /* CPUs may be added */
        break;
    case HYPERV_FIRST + 4: regs[1] = m->hv_spinlocks; break;
    case HYPERV_FIRST + 5: regs[0] = regs[1] = MAX(topology_cpus(&m->env.topology), 64); break;
    case HYPERV_LAST:
        regs[0] = (model_has(m, HV_EVMCS) ? 0x101 : 0) |
                  (uint32_t)model_has(m, HV_TLBFLUSH_DIRECT) << 17 |
                  (uint32_t)model_has(m, HV_EMSR_BITMAP) << 19;
        break;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(announced); i++) {
        if (leaf == HYPERV_FIRST + (uint32_t)announced[i].leaf &&
            model_has(m, announced[i].feature)) {
            regs[announced[i].reg] |= 1u << announced[i].bit;
        }
    }
}
