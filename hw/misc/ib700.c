/* iB700: the watchdog of an ISA single board computer (iEi SBC-IB700 manual, "Watchdog timer").
 *
 * Writing port 443h starts it, or starts it anew: the low four bits choose 30, 28 ... 0 seconds.  Writing anything to
 * port 441h stops it.  Nothing can be read. */
#include "hw/isa/isa.h"
#include "hw/misc/watchdog.h"

enum { STOP_PORT = 0x441, START = 2, PORTS = 3 };
enum { LONGEST_SECONDS = 30, STEP_SECONDS = 2 };

typedef struct Ib700 {
    Device dev;
    Timer expiry;
} Ib700;

static void stop_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    timer_off(&((Ib700 *)dev)->expiry);
}

static void start_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    Ib700 *s = dev;
    int64_t seconds = LONGEST_SECONDS - STEP_SECONDS * (int64_t)(value & 0xf);
    timer_at(&s->expiry, now(dev) + seconds * NS_PER_SECOND);
}

static void expired(void *dev, unsigned i)
{
    watchdog_expired(dev);
}

static bool ib700_realize(void *dev, GError **error)
{
    isa_map(dev, device_region(dev, SPACE_MAIN, "ib700", PORTS), STOP_PORT);
    return true;
}

static const Row rows[] = {
    CALC(stop, 1, 0, .wo = true, .on_write = stop_write, .doc = "Any write stops the timer"),
    CALC(start, 1, START, .wo = true, .on_write = start_write, .doc = "Starts it with (15 - n) * 2 seconds"),
    TIMER(Ib700, expiry, expired),
    END,
};

const DeviceClass ib700_class = {
    .name = "ib700",
    .doc = "Watchdog of the iB700 single board computer",
    .bus = "ISA",
    .category = "watchdog",
    .open = 1 << SPACE_MAIN,
    .size = sizeof(Ib700),
    .rows = rows,
    .realize = ib700_realize,
};
