/* The parser of the qtest wire: no bytes may crash it, whatever pieces they come in. */
#include <string.h>

#include "accel/accel.h"
#include "accel/qtest/wire.h"
#include "core/clock.h"
#include "core/loop.h"
#include "mem/ram.h"
#include "tests/fuzz/fuzz.h"

static Wire wire;

static void swallow(void *arg, const char *buf, size_t len) {}

static void start(void)
{
    loop_main();
    loop_lock();
    clock_manual();
    RamBlock *ram = ram_new("ram", 1 << 20, NULL, NULL);
    region_map(space_root(space_memory()), region_ram("ram", ram, 0, 1 << 20), 0, 0);
    mem_commit();
    wire.send = swallow;
    wire.max_size = 65536;
    wire_init(&wire);
}

/* A ';' stands for the end of a line, since a seed has only one; the size says how large the pieces are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        started = true;
        start();
    }
    g_autofree char *text = g_memdup2(data, size);
    size_t piece = size % 61 + 1;
    for (size_t i = 0; i < size; i++) {
        text[i] = text[i] == ';' ? '\n' : text[i];
    }
    for (size_t i = 0; i < size; i += piece) {
        wire_feed(&wire, text + i, MIN(piece, size - i));
    }
    wire_feed(&wire, "\n", 1);
    wire_reset(&wire);
    return 0;
}
