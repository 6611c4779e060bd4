/* The gdb stub: packets against the whole table of commands, on a machine with two CPUs that do not run.
 *
 * A seed is one line: '$' begins a packet, the next '$' or the end of the input ends it (the checksum is put behind it here); '^' is
 * the interrupt, '~' another client.  Everything else goes in as it is. */
#include <string.h>

#include "accel/accel.h"
#include "core/clock.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "cpu/model.h"
#include "gdbstub/stub.h"
#include "mem/ram.h"
#include "tests/fuzz/fuzz.h"

static Stub *stub;

static char *echo(const char *line, int cpu)
{
    return g_strdup_printf("%s\r\n", line);
}

static bool agree(Cpu *c, GError **error)
{
    return true;
}

static void start(void)
{
    static const Accel none = {.name = "none", .guest_debug = agree};
    accel = &none; /* so that points can be set */
    static const ModelEnv env = {.topology = {1, 1, 2, 1}};
    loop_main();
    loop_lock();
    clock_manual();
    RamBlock *ram = ram_new("ram", 1 << 20, NULL, NULL);
    region_map(space_root(space_memory()), region_ram("ram", ram, 0, 1 << 20), 0, 0);
    mem_commit();
    CpuModel *model = model_new("max", &env, NULL);
    for (unsigned i = 0; i < 2; i++) {
        cpu_reset(cpu_new(model, i, space_memory()));
    }
    gdb_hooks.monitor = echo;
    stub = gdb_stub_new(NULL);
}

static void say(const char *bytes, size_t len, size_t piece)
{
    for (size_t i = 0; i < len; i += piece) {
        gdb_client_says(stub, (const uint8_t *)bytes + i, MIN(piece, len - i));
    }
}

static void end_packet(bool *inside, uint8_t *sum)
{
    if (*inside) {
        g_autofree char *tail = g_strdup_printf("#%02x", *sum);
        say(tail, 3, 3);
    }
    *inside = false;
    *sum = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool inside = false;
    uint8_t sum = 0;
    if (!stub) {
        start();
    }
    gdb_client_came(stub);
    for (size_t i = 0; i < size; i++) {
        char c = (char)data[i];
        if (c == '$' || c == '^' || c == '~') {
            end_packet(&inside, &sum);
            inside = c == '$';
        } else {
            sum += (uint8_t)c;
        }
        if (c == '~') {
            gdb_client_left(stub);
            gdb_client_came(stub);
        } else {
            say(c == '^' ? "\003" : &c, 1, 1);
        }
    }
    end_packet(&inside, &sum);
    gdb_client_left(stub);
    machine_stop(RUN_PAUSED);
    loop_iterate(false);
    for (unsigned i = 0; i < cpu_count(); i++) {
        cpu_reset(cpu_at(i));
    }
    return 0;
}
