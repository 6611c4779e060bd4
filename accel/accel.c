/* The choice of an accelerator. */
#include "accel/accel.h"

#include <string.h>

#include "accel/kvm/kvm.h"
#include "accel/soft/icount.h"

#include "core/loop.h"
#include "hw/platform.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

const Accel *const accels[] = {&kvm_accel, &soft_accel, &qtest_accel, NULL};
const Accel *accel;

const Accel *accel_find(const char *name)
{
    for (const Accel *const *a = accels; *a; a++) {
        if (!strcmp((*a)->name, name) || !g_strcmp0((*a)->alias, name)) {
            return *a;
        }
    }
    return NULL;
}

char *accel_help(void)
{
    GString *s = g_string_new("Accelerators supported:\n");
    for (const Accel *const *a = accels; *a; a++) {
        g_string_append_printf(s, "%-8s %s%s%s%s\n", (*a)->name, (*a)->doc,
                               (*a)->alias ? "; also \"" : "", (*a)->alias ? (*a)->alias : "",
                               (*a)->alias ? "\"" : "");
    }
    return g_string_free(s, FALSE);
}

/* The parts of "kvm,kernel-irqchip=on": commas separate, two stand for one. */
static GPtrArray *split_commas(const char *text)
{
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);
    GString *part = g_string_new(NULL);
    for (const char *p = text; *p; p++) {
        if (*p != ',') {
            g_string_append_c(part, *p);
        } else if (p[1] == ',') {
            g_string_append_c(part, *p++);
        } else {
            g_ptr_array_add(parts, g_strdup(part->str));
            g_string_truncate(part, 0);
        }
    }
    g_ptr_array_add(parts, g_string_free(part, FALSE));
    return parts;
}

/* The accelerator that one text names, with its options set. */
static const Accel *accel_choose(const char *text, GError **error)
{
    g_autoptr(GPtrArray) parts = split_commas(text);
    const char *name = g_ptr_array_index(parts, 0);
    if (g_str_has_prefix(name, "accel=")) {
        name += strlen("accel=");
    }
    const Accel *a = accel_find(name);
    if (!a) {
        error_fail(error, "-accel: invalid accelerator \"%s\"; there are kvm, tcg and qtest", name);
        return NULL;
    }
    for (unsigned i = 1; i < parts->len; i++) {
        char *key = g_ptr_array_index(parts, i);
        char *eq = strchr(key, '=');
        if (!*key) {
            continue;
        }
        if (eq) {
            *eq = 0;
        }
        if (!a->option) {
            error_fail(error, "-accel %s: no option \"%s\"; it has none", a->name, key);
            return NULL;
        }
        if (!a->option(key, eq ? eq + 1 : "on", error)) {
            return NULL;
        }
    }
    return a;
}

/* CPUID 8000_0008H, EAX 7..0; 0: unknown. */
static unsigned host_phys_bits(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000008, &a, &b, &c, &d) ? a & 0xff : 0;
#else
    return 0;
#endif
}

bool accel_start(GPtrArray *choices, GError **error)
{
    static const char *const fallbacks[] = {"kvm", "tcg"};
    unsigned n = choices && choices->len ? choices->len : G_N_ELEMENTS(fallbacks);
    /* Nobody chose: nothing but the software CPU counts instructions, and it is far faster than a KVM that emulates. */
    unsigned first = (icount_on || kvm_emulates()) && !(choices && choices->len);
    bool failed = false;
    for (unsigned i = first; i < n; i++) {
        const char *text = choices && choices->len ? g_ptr_array_index(choices, i) : fallbacks[i];
        g_autoptr(GError) reason = NULL;
        const Accel *a = accel_choose(text, error);
        if (!a) {
            return false;
        }
        if (icount_on && a != &soft_accel) {
            return error_fail(error, "-icount: only -accel soft counts instructions, not \"%s\"", a->name);
        }
        if (a->start(&reason)) {
            if (failed) {
                error_report("falling back to %s", a->alias ? a->alias : a->name);
            }
            accel = a;
            platform.model_env = (ModelEnv){.supported = a->supported_cpuid,
                                            .kvm = a == &kvm_accel,
                                            .phys_bits = host_phys_bits()};
            run_init();
            return true;
        }
        if (n == 1) {
            g_propagate_error(error, g_steal_pointer(&reason));
            return false;
        }
        error_report("-accel %s: %s", a->name, reason->message);
        failed = true;
    }
    return error_fail(error, "no accelerator can be used here");
}
