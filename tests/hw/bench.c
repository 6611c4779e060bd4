#include "tests/hw/bench.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/loop.h"
#include "mem/ram.h"

enum { RAM_SIZE = 1 << 20 };
static RamBlock *ram;
static Region *ram_region;
static GSList *made, *probes;

void bench_setup(void)
{
    loop_main();
    loop_lock();
    clock_manual();
    ram = ram_new("bench.ram", RAM_SIZE, NULL, NULL);
    ram_region = region_ram("bench.ram", ram, 0, RAM_SIZE);
    region_map(space_root(space_memory()), ram_region, 0, 0);
    mem_commit();
}

void bench_teardown(void)
{
    g_slist_free_full(g_steal_pointer(&made), (GDestroyNotify)device_free);
    g_slist_free_full(g_steal_pointer(&probes), g_free);
    region_free(ram_region);
    ram_free(ram);
    loop_unlock();
}

void bench_advance(int64_t ns)
{
    clock_advance_to(clock_now(CLOCK_VIRTUAL) + ns);
}

void *bench_device(const DeviceClass *class, const char *props)
{
    GError *error = NULL;
    Device *d = device_new(class, NULL);
    g_auto(GStrv) pairs = g_strsplit(props ? props : "", ",", -1);
    for (char **p = pairs; *p && **p; p++) {
        char *eq = strchr(*p, '=');
        ck_assert_ptr_nonnull(eq);
        *eq = 0;
        if (!device_set(d, *p, eq + 1, &error)) {
            ck_abort_msg("%s", error->message);
        }
    }
    if (!device_realize(d, NULL, &error)) {
        ck_abort_msg("%s", error->message);
    }
    made = g_slist_prepend(made, d);
    return d;
}

uint8_t in8(void *dev, unsigned at)
{
    return (uint8_t)device_read(dev, 0, at, 1);
}
uint16_t in16(void *dev, unsigned at)
{
    return (uint16_t)device_read(dev, 0, at, 2);
}
uint32_t in32(void *dev, unsigned at)
{
    return (uint32_t)device_read(dev, 0, at, 4);
}
void out8(void *dev, unsigned at, uint8_t v)
{
    device_write(dev, 0, at, 1, v);
}
void out16(void *dev, unsigned at, uint16_t v)
{
    device_write(dev, 0, at, 2, v);
}
void out32(void *dev, unsigned at, uint32_t v)
{
    device_write(dev, 0, at, 4, v);
}

static void probe_set(void *sink, unsigned line, bool level)
{
    Probe *p = sink;
    p->level = level;
    p->rises += level;
    p->falls += !level;
}

Probe *bench_probe(void *dev, const char *pin, unsigned i)
{
    Irq *irq = device_pin(dev, pin, i);
    ck_assert_msg(irq != NULL, "no pin %s[%u]", pin, i);
    Probe *p = g_new0(Probe, 1);
    probes = g_slist_prepend(probes, p);
    irq_connect(irq, probe_set, p, 0);
    return p;
}

void bench_poke(uint64_t gpa, const void *buf, size_t len)
{
    ck_assert(space_write(space_memory(), gpa, buf, len));
}

void bench_peek(uint64_t gpa, void *buf, size_t len)
{
    ck_assert(space_read(space_memory(), gpa, buf, len));
}

int bench_main(const char *suite, const BenchCase *cases, unsigned n)
{
    Suite *s = suite_create(suite);
    for (unsigned i = 0; i < n; i++) {
        TCase *c = tcase_create(cases[i].name);
        tcase_add_checked_fixture(c, bench_setup, bench_teardown);
        tcase_set_timeout(c, 120);
        tcase_add_test(c, cases[i].test);
        suite_add_tcase(s, c);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
