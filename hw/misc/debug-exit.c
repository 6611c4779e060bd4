/* A port that ends the program: a test running as a guest reports its result as the exit code. */
#include "core/runstate.h"
#include "hw/isa/isa.h"

typedef struct DebugExit {
    Device dev;
    uint32_t iobase, iosize; /* properties */
} DebugExit;

static uint64_t exit_read(void *dev, uint64_t at, unsigned size)
{
    return 0;
}

/* The code is odd, so that 0 always means a guest that shut down by itself. */
static void exit_write(void *dev, uint64_t at, unsigned size, uint64_t value)
{
    machine_request_shutdown_code(CAUSE_GUEST_SHUTDOWN, (int)((uint32_t)value << 1 | 1));
}

static const IoOps exit_ops = {.read = exit_read, .write = exit_write, .min = 1, .max = 4};

static bool debug_exit_realize(void *dev, GError **error)
{
    DebugExit *s = dev;
    if (!s->iosize || s->iosize > 0x10000 || s->iobase > 0x10000 - s->iosize) {
        return error_fail(error,
                          "isa-debug-exit: iobase=0x%x and iosize=%u must name ports below 0x10000",
                          s->iobase, s->iosize);
    }
    isa_map(&s->dev, device_region_io(&s->dev, "isa-debug-exit", s->iosize, &exit_ops),
            (uint16_t)s->iobase);
    return true;
}

static const Row rows[] = {
    PROP(DebugExit, iobase, "0x501", "First I/O port"),
    PROP(DebugExit, iosize, "2", "Number of ports"),
    END,
};

const DeviceClass isa_debug_exit_class = {
    .name = "isa-debug-exit",
    .doc = "Port that ends the program with an exit code",
    .bus = "ISA",
    .category = "misc",
    .size = sizeof(DebugExit),
    .rows = rows,
    .realize = debug_exit_realize,
};
