/* The monitor's expressions: any text, on a CPU whose registers and memory are there. */
#include <assert.h>
#include <string.h>

#include "core/clock.h"
#include "core/loop.h"
#include "cpu/model.h"
#include "mem/ram.h"
#include "qapi/hmp-internal.h"
#include "tests/fuzz/fuzz.h"

static Cpu *cpu;

static void start(void)
{
    static const ModelEnv env = {.topology = {1, 1, 1, 1}};
    loop_main();
    loop_lock();
    clock_manual();
    RamBlock *ram = ram_new("ram", 1 << 20, NULL, NULL);
    region_map(space_root(space_memory()), region_ram("ram", ram, 0, 1 << 20), 0, 0);
    mem_commit();
    cpu = cpu_new(model_new("max", &env, NULL), 0, space_memory());
    cpu_reset(cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!cpu) {
        start();
    }
    g_autofree char *text = size ? g_strndup((const char *)data, size) : g_strdup("");
    const char *checked = text, *end = text;
    int64_t v;
    g_autoptr(GError) why = NULL;
    g_autoptr(GError) error = NULL;
    bool well_written = hmp_expression_check(&checked, &why);
    bool has_value = hmp_expression_on(cpu, &end, &v, &error);
    assert(well_written == !why && has_value == !error);
    /* What has a value is well written, and both readings end at the same place; divisors and memory are found out by
     * evaluation alone. */
    assert(!has_value || (well_written && checked == end));
    assert(end <= text + strlen(text) && checked <= text + strlen(text));
    return 0;
}
