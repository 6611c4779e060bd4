/* Reports of exits that end a run: everything that a person needs to see once, on stderr. */
#include "accel/kvm/kvm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "accel/debug.h"
#include "core/loop.h"

enum { BYTES_BEFORE = 20, BYTES_AFTER = 44 };

/* The bytes around the next instruction, which is in brackets. */
static void print_code(Cpu *c, GString *s)
{
    uint64_t ip = cpu_linear_ip(&c->state);
    g_string_append(s, "Code=");
    for (int i = -BYTES_BEFORE; i < BYTES_AFTER; i++) {
        uint8_t b;
        if (i < 0 && ip < (uint64_t)-i) {
            continue;
        }
        const char *format = i == 0 ? "<%02x> " : "%02x ";
        if (debug_read(c, ip + (uint64_t)(int64_t)i, &b, 1)) {
            g_string_append_printf(s, format, b);
        } else {
            g_string_append(s, i == 0 ? "<\?\?> " : "\?\? ");
        }
    }
    g_string_append_c(s, '\n');
}

static void print_registers(Cpu *c, GString *s)
{
    loop_lock();
    cpu_sync(c);
    cpu_state_print(&c->state, s, 0, !cpu_platform.a20 || cpu_platform.a20(), c->halted);
    print_code(c, s);
    loop_unlock();
}

void kvm_report_internal_error(Cpu *c)
{
    static const char *const causes[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "emulation failure",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous exceptions",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "unexpected exit while delivering an event",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "unexpected exit reason",
    };
    const struct kvm_run *run = kvm_cpu(c)->run;
    unsigned sub = run->internal.suberror;
    g_autoptr(GString) s = g_string_new(NULL);
    g_string_append_printf(s, "KVM internal error. Suberror: %u\n", sub);
    unsigned n = MIN(run->internal.ndata, G_N_ELEMENTS(run->internal.data));
    for (unsigned i = 0; i < n && sub != KVM_INTERNAL_ERROR_EMULATION; i++) {
        g_string_append_printf(s, "extra data[%u]: 0x%016" PRIx64 "\n", i,
                               (uint64_t)run->internal.data[i]);
    }
    if (sub < G_N_ELEMENTS(causes) && causes[sub]) {
        g_string_append_printf(s, "%s\n", causes[sub]);
    }
    print_registers(c, s);
    fputs(s->str, stderr);
}

void kvm_report_exit(Cpu *c, const char *what, uint64_t detail)
{
    g_autoptr(GString) s = g_string_new(NULL);
    g_string_append_printf(s, "KVM: CPU %u: %s 0x%" PRIx64 "\n", c->index, what, detail);
    print_registers(c, s);
    fputs(s->str, stderr);
}
