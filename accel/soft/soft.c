/* The accelerator "soft": CPUs in software, one thread each. */
#include "accel/soft/soft.h"

#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"
#include "accel/soft/debug.h"
#include "accel/soft/icount.h"
#include "accel/soft/offer.h"
#include "accel/soft/op/tsc.h"
#include "accel/soft/run.h"
#include "accel/soft/tlb.h"
#include "accel/soft/translate/translate.h"
#include "accel/soft/uop.h"
#include "core/loop.h"
#include "cpu/blackbox/ring.h"
#include "hw/platform.h"

/* Options that people give to the reference's software CPU; checked, so that a misspelt one is found. */
static bool soft_option(const char *key, const char *value, GError **error)
{
    static const char *const keys[] = {"thread", "tb-size", "one-insn-per-tb", "split-wx", "translate", NULL};
    if (!g_strv_contains(keys, key)) {
        return error_fail(error, "-accel soft: no option \"%s\"; it has thread, tb-size, one-insn-per-tb, split-wx, translate", key);
    }
    if (!strcmp(key, "thread") && strcmp(value, "single") && strcmp(value, "multi")) {
        return error_fail(error, "-accel soft,thread=%s: it is single or multi", value);
    }
    if (!strcmp(key, "translate")) {
        translate_off = !strcmp(value, "off");
        if (!strcmp(value, "eager")) {
            translate_heat = 1;
        } else if (!translate_off && strcmp(value, "on")) {
            return error_fail(error, "-accel soft,translate=%s: it is on, off or eager", value);
        }
    }
    return true;
}

/* ---- The memory map ---- */

static void map_changed(MemListener *l)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (soft_cpu(cpu_at(i))->tlb) {
            soft_poll(soft_cpu(cpu_at(i)), POLL_FLUSH);
        }
    }
}

void soft_forget_memory(Cpu *c)
{
    SoftCpu *s = soft_cpu(c);
    if (cpu_room >= sizeof(SoftCpu) && s->tlb) { /* KVM without rescue has none */
        soft_memory_changed(s);
        block_flush(s);
    }
}

static void listen_once(MemListener *l, Space *space)
{
    if (space && !l->space) {
        l->commit = map_changed;
        mem_listen(l, space);
    }
}

static void listen_maps(void)
{
    static MemListener ordinary, smm;
    listen_once(&ordinary, space_memory());
    listen_once(&smm, platform.smm_space);
}

/* ---- CPUs ---- */

void soft_prepare(void)
{
    cpu_room = sizeof(SoftCpu);
    block_watch_ram();
}

bool soft_cpu_setup(Cpu *c, GError **error)
{
    SoftCpu *s = soft_cpu(c);
    s->delivering = EXC_NONE;
    s->counting = icount_on;
    if (!block_code_setup(s, error)) {
        return false;
    }
    tlb_setup(s);
    soft_sync_in(s);
    soft_tsc_load(s);
    if (c->box && icount_on) {
        c->box->instructions = &s->count;
    }
    listen_maps();
    return true;
}

void soft_cpu_teardown(Cpu *c)
{
    SoftCpu *s = soft_cpu(c);
    soft_debug_free(s);
    if (s->code) {
        block_code_teardown(s);
        borrow_free(s);
        tlb_teardown(s);
    }
}

static uint64_t tsc_now(Cpu *c)
{
    return soft_tsc(soft_cpu(c));
}

static bool soft_cpu_init(Cpu *c, GError **error)
{
    if (!soft_cpu_setup(c, error)) {
        return false;
    }
    cpu_ops.tsc = tsc_now;
    c->accel = c;
    return true;
}

static void soft_cpu_free(Cpu *c)
{
    loop_lock(); /* others look at c->accel with it */
    c->accel = NULL;
    icount_forget(c);
    soft_cpu_teardown(c);
    loop_unlock();
}

static void soft_fetch(Cpu *c)
{
    soft_sync_out(soft_cpu(c));
    soft_tsc_store(soft_cpu(c));
}

static void soft_flush(Cpu *c)
{
    soft_sync_in(soft_cpu(c));
    soft_tsc_load(soft_cpu(c));
}

static void soft_interrupted(Cpu *c)
{
    if (c->accel) {
        soft_poll(soft_cpu(c), POLL_KICK);
        if (icount_on) {
            icount_wake();
        }
    }
}

void soft_print_statistics(GString *out)
{
    for (unsigned i = 0; i < cpu_count(); i++) {
        const SoftCpu *s = soft_cpu(cpu_at(i));
        if (!cpu_room || !s->code) {
            continue;
        }
        g_string_append_printf(out,
                               "CPU %u: %" G_GUINT64_FORMAT " blocks made, %" G_GUINT64_FORMAT " thrown away, %zu of %zu MiB; "
                               "%" G_GUINT64_FORMAT " translations, %" G_GUINT64_FORMAT " flushes\n",
                               s->cpu.index, s->code->made, s->code->thrown, s->code->used >> 20, s->code->size >> 20, s->tlb->fills,
                               s->tlb->flushes);
        const Translator *t = s->code->translator;
        if (t) {
            g_string_append_printf(out, "CPU %u: %" G_GUINT64_FORMAT " blocks as host code, %zu of %zu MiB; %" G_GUINT64_FORMAT
                                   " instructions, %" G_GUINT64_FORMAT " of others\n", s->cpu.index, t->made, t->used >> 20,
                                   t->code.size >> 20, t->instructions, t->left_alone);
        }
    }
    if (icount_on) {
        icount_print(out);
    }
}

static bool soft_guest_debug(Cpu *c, GError **error)
{
    soft_debug_apply(soft_cpu(c));
    return true;
}

static bool soft_looks(void)
{
    return true;
}

static RunResult soft_run(Cpu *c)
{
    SoftCpu *s = soft_cpu(c);
    if (c->state_dirty) {
        soft_flush(c);
        c->state_dirty = false;
    }
    c->state_valid = false;
    borrow_enter(s);
    SoftExit e = icount_on ? icount_run(s) : soft_execute(s);
    borrow_leave(s);
    soft_fetch(c);
    c->state_valid = true;
    switch (e) {
    case SOFT_TRIPLE: s->triple = false; return run_triple_fault(c);
    case SOFT_HALTED: return RUN_HALTED;
    case SOFT_DEBUG: return RUN_STOPPED;
    default: return RUN_AGAIN;
    }
}

static bool soft_start(GError **error)
{
    soft_prepare();
    platform.irqchip = IRQCHIP_OFF;
    platform.smm = true;
    if (icount_on) {
        icount_start();
    }
    return true;
}

const Accel soft_accel = {
    .name = "soft",
    .alias = "tcg",
    .doc = "CPU in software, runs everywhere",
    .thread_suffix = "TCG",
    .option = soft_option,
    .start = soft_start,
    .cpu_init = soft_cpu_init,
    .cpu_free = soft_cpu_free,
    .run = soft_run,
    .interrupt = soft_interrupted,
    .forget_memory = soft_forget_memory,
    .fetch = soft_fetch,
    .flush = soft_flush,
    .supported_cpuid = soft_supported_cpuid,
    .guest_debug = soft_guest_debug,
    .looks = soft_looks,
};
