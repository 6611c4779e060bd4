/* Intel 8237A DMA controller, as the PC AT and its chipsets use it, with the page registers
 * (74LS612).
 *
 * After the 8237A-5 data sheet (1993) and the DMA chapter of the 82371SB.  The second controller of
 * a machine moves words (dshift=1): its address lines are shifted by one and its registers lie two
 * ports apart.  Memory-to-memory transfers are absent, as in the chipsets: the AT never wired them.
 */
#include "hw/isa/i8237.h"

#include <assert.h>
#include <string.h>

enum { CHANNELS = 4, PAGE_SPACE = 1 };
enum { COMMAND_DISABLE = 0x04 };
enum { /* mode register, bits 7..2 */
       MODE_AUTO = 0x10,
       MODE_DECREMENT = 0x20,
       MODE_CASCADE = 0xc0,
};
/* Page register for channel n: 87h 83h 81h 82h; the other ports of the eight are plain latches. */
static const uint8_t page_port[CHANNELS] = {7, 3, 1, 2};

typedef struct Channel {
    uint16_t base_addr, base_count;
    uint16_t addr, count; /* count: transfers left - 1; 0xffff after TC */
    uint8_t mode;
    I8237Transfer *transfer;
    void *opaque;
} Channel;

typedef struct I8237 {
    Device dev;
    uint8_t dshift;
    Channel ch[CHANNELS];
    uint8_t page[8];
    uint8_t command, mask, temporary;
    uint8_t request; /* software requests */
    uint8_t dreq;    /* DREQ pins */
    uint8_t tc;      /* terminal counts since the status was read */
    bool high_byte;  /* first/last flip-flop */
    uint8_t serving; /* channels whose device is being called */
    Region *region;
    Dma *memory; /* it masters the bus by itself */
} I8237;

/* ---- Moving bytes ---- */

static bool channel_ready(const I8237 *s, unsigned n)
{
    if (s->command & COMMAND_DISABLE || (s->ch[n].mode & MODE_CASCADE) == MODE_CASCADE) {
        return false;
    }
    /* A software request is not maskable (data sheet, "Request Register"). */
    return s->request & 1 << n || (s->dreq & ~s->mask & 1 << n);
}

/* `units` transfers are done: advance, and at terminal count mask or start anew. */
static void channel_advance(I8237 *s, unsigned n, unsigned units)
{
    Channel *c = &s->ch[n];
    unsigned left = c->count + 1u;

    c->addr += c->mode & MODE_DECREMENT ? -units : units;
    c->count -= units;
    if (units < left) {
        return;
    }
    s->tc |= 1 << n;
    s->request &= ~(1 << n);
    if (c->mode & MODE_AUTO) {
        c->addr = c->base_addr;
        c->count = c->base_count;
    } else {
        s->mask |= 1 << n;
    }
}

/* Let the channel's device move what it can.  A device may call back into i8237_hold meanwhile. */
static void channel_serve(I8237 *s, unsigned n)
{
    Channel *c = &s->ch[n];

    while (c->transfer && channel_ready(s, n) && !(s->serving & 1 << n)) {
        size_t len = (c->count + (size_t)1) << s->dshift;
        s->serving |= 1 << n;
        size_t done = c->transfer(c->opaque, &s->dev, n, len);
        s->serving &= ~(1 << n);
        assert(done <= len);
        if (done) {
            channel_advance(s, n, done >> s->dshift);
        }
        /* One terminal count a call: an auto-initialising channel goes on when its device asks
         * again. */
        if (done != len || c->mode & MODE_AUTO) {
            break;
        }
    }
}

static void serve_all(I8237 *s)
{
    for (unsigned n = 0; n < CHANNELS; n++) {
        channel_serve(s, n);
    }
}

/* Guest physical address of the unit `index` of this transfer.  The page register does not count:
 * addresses wrap within 64 KiB (128 KiB for words, where A16 comes from the counter and the page's
 * lowest bit is not connected). */
static uint64_t unit_address(const I8237 *s, unsigned n, size_t index)
{
    const Channel *c = &s->ch[n];
    uint16_t addr = c->mode & MODE_DECREMENT ? c->addr - index : c->addr + index;
    uint64_t page = s->page[page_port[n]];

    return s->dshift ? (page & 0xfe) << 16 | (uint64_t)addr << 1 : page << 16 | addr;
}

/* Copies in runs of ascending addresses; downwards, unit by unit. */
static void move(I8237 *s, unsigned n, uint8_t *buf, size_t pos, size_t len, bool to_memory)
{
    size_t unit = (size_t)1 << s->dshift;

    while (len) {
        size_t within = pos & (unit - 1), index = pos >> s->dshift;
        uint64_t at = unit_address(s, n, index) + within;
        size_t run = unit - within;
        if (!(s->ch[n].mode & MODE_DECREMENT)) {
            run = ((size_t)0x10000 << s->dshift) - (at & ((UINT64_C(0x10000) << s->dshift) - 1));
        }
        run = MIN(run, len);
        if (to_memory) {
            dma_write(s->memory, at, buf, run);
        } else {
            dma_read(s->memory, at, buf, run);
        }
        buf += run;
        pos += run;
        len -= run;
    }
}

void i8237_read_memory(Device *dma, unsigned chan, void *buf, size_t pos, size_t len)
{
    I8237 *s = (I8237 *)dma;

    if (i8237_direction(dma, chan) == I8237_READ && s->memory) {
        move(s, chan, buf, pos, len, false);
    } else {
        memset(buf, 0xff, len);
    }
}

void i8237_write_memory(Device *dma, unsigned chan, const void *buf, size_t pos, size_t len)
{
    I8237 *s = (I8237 *)dma;

    if (i8237_direction(dma, chan) == I8237_WRITE && s->memory) {
        move(s, chan, (uint8_t *)buf, pos, len, true);
    }
}

/* ---- What devices ask ---- */

bool i8237_attach(Device *dma, unsigned chan, I8237Transfer *transfer, void *opaque)
{
    I8237 *s = (I8237 *)dma;
    Channel *c = &s->ch[chan];

    assert(chan < CHANNELS);
    if (transfer && c->transfer) {
        return false;
    }
    c->transfer = transfer;
    c->opaque = opaque;
    return true;
}

void i8237_hold(Device *dma, unsigned chan, bool level)
{
    I8237 *s = (I8237 *)dma;

    assert(chan < CHANNELS);
    if (!level) {
        s->dreq &= ~(1 << chan);
        return;
    }
    s->dreq |= 1 << chan;
    channel_serve(s, chan);
}

I8237Direction i8237_direction(const Device *dma, unsigned chan)
{
    const I8237 *s = (const I8237 *)dma;
    return s->ch[chan].mode >> 2 & 3;
}

bool i8237_auto(const Device *dma, unsigned chan)
{
    const I8237 *s = (const I8237 *)dma;
    return s->ch[chan].mode & MODE_AUTO;
}

bool i8237_enabled(const Device *dma, unsigned chan)
{
    const I8237 *s = (const I8237 *)dma;
    return !(s->command & COMMAND_DISABLE) && !(s->mask & 1 << chan);
}

/* ---- Registers ---- */

static uint8_t half(uint16_t v, bool high)
{
    return high ? v >> 8 : v;
}

static void set_half(uint16_t *v, bool high, uint8_t value)
{
    *v = high ? (*v & 0x00ff) | value << 8 : (*v & 0xff00) | value;
}

static uint64_t addr_get(const void *dev, unsigned arg, unsigned i)
{
    const I8237 *s = dev;
    return half(s->ch[i].addr, s->high_byte);
}

static uint64_t count_get(const void *dev, unsigned arg, unsigned i)
{
    const I8237 *s = dev;
    return half(s->ch[i].count, s->high_byte);
}

static void flip(void *dev, unsigned arg, unsigned i)
{
    I8237 *s = dev;
    s->high_byte = !s->high_byte;
}

/* A write reaches base and current register alike. */
static void addr_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    set_half(&s->ch[i].addr, s->high_byte, value);
    set_half(&s->ch[i].base_addr, s->high_byte, value);
    flip(s, 0, 0);
}

static void count_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    set_half(&s->ch[i].count, s->high_byte, value);
    set_half(&s->ch[i].base_count, s->high_byte, value);
    flip(s, 0, 0);
}

static uint64_t status_get(const void *dev, unsigned arg, unsigned i)
{
    const I8237 *s = dev;
    return (s->tc & 0x0f) | (s->dreq | s->request) << 4;
}

static void status_read(void *dev, unsigned arg, unsigned i)
{
    I8237 *s = dev;
    s->tc = 0;
}

static void command_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    serve_all(dev);
}

static void request_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    uint8_t bit = 1 << (value & 3);
    s->request = value & 4 ? s->request | bit : s->request & ~bit;
    serve_all(s);
}

static void mask_one_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    uint8_t bit = 1 << (value & 3);
    s->mask = value & 4 ? s->mask | bit : s->mask & ~bit;
    serve_all(s);
}

static void mode_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    s->ch[value & 3].mode = value & 0xfc;
}

static void flip_flop_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    s->high_byte = false;
}

static void master_clear(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    s->command = s->request = s->tc = s->temporary = 0;
    s->high_byte = false;
    s->mask = 0x0f;
}

static void mask_clear(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    s->mask = 0;
    serve_all(s);
}

static void mask_all_write(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value)
{
    I8237 *s = dev;
    s->mask = value & 0x0f;
    serve_all(s);
}

static uint64_t mask_get(const void *dev, unsigned arg, unsigned i)
{
    const I8237 *s = dev;
    return s->mask | 0xf0;
}

// clang-format off
static const Row rows[] = {
    PROP(I8237, dshift, "0", "1: a controller of 16-bit channels", .max = 1),
    CALC(ca, 1, 0, .count = 4, .step = 2, .get = addr_get, .on_read = flip, .on_write = addr_write,
         .doc = "Current address, low then high byte"),
    CALC(cwc, 1, 1, .count = 4, .step = 2, .get = count_get, .on_read = flip, .on_write = count_write,
         .doc = "Current word count - 1, low then high byte"),
    CALC(status, 1, 8, .ro = true, .get = status_get, .on_read = status_read,
         .bits = "TC0 TC1 TC2 TC3 DREQ0 DREQ1 DREQ2 DREQ3", .doc = "Terminal counts and requests"),
    REG(I8237, command, 8, .wo = true, .rw = 0xff, .on_write = command_write,
        .bits = "MM CH0HOLD DISABLE COMPRESSED ROTATE EXTWRITE DREQLOW DACKHIGH", .doc = "Command"),
    CALC(wrq, 1, 9, .wo = true, .on_write = request_write, .doc = "Software request of one channel"),
    CALC(wsmb, 1, 10, .wo = true, .on_write = mask_one_write, .doc = "Mask bit of one channel"),
    CALC(wmode, 1, 11, .wo = true, .on_write = mode_write, .doc = "Mode of one channel"),
    CALC(cbp, 1, 12, .wo = true, .on_write = flip_flop_write, .doc = "Clear byte pointer"),
    REG(I8237, temporary, 13, .ro = true, .doc = "Temporary: memory to memory only, hence always 0"),
    CALC(mc, 1, 13, .wo = true, .on_write = master_clear, .doc = "Master clear"),
    CALC(clmask, 1, 14, .wo = true, .on_write = mask_clear, .doc = "Clear all mask bits"),
    CALC(allmask, 1, 15, .get = mask_get, .on_write = mask_all_write, .doc = "All mask bits"),
    REGS(I8237, page, 0, .space = PAGE_SPACE, .rw = 0xff, .doc = "Page registers; 7 3 1 2 belong to channels 0 1 2 3"),
    EACH(I8237, ch, base_addr, .doc = "Address after auto-initialisation"),
    EACH(I8237, ch, base_count, .doc = "Count after auto-initialisation"),
    EACH(I8237, ch, addr),
    EACH(I8237, ch, count),
    EACH(I8237, ch, mode, .max = 0xfc, .doc = "Mode register"),
    STATE(I8237, mask, .reset = 0x0f, .max = 0x0f),
    STATE(I8237, request, .max = 0x0f),
    STATE(I8237, dreq, .max = 0x0f, .keep = true, .doc = "DREQ pins: the devices drive them"),
    STATE(I8237, tc, .max = 0x0f),
    STATE(I8237, high_byte, .doc = "First/last flip-flop"),
    DERIVED(I8237, serving),
    {.kind = ROW_DERIVED, .name = "ch.transfer", .stored = true, .field = offsetof(I8237, ch[0].transfer),
     .size = sizeof(I8237Transfer *), .count = CHANNELS, .stride = sizeof(Channel)},
    {.kind = ROW_DERIVED, .name = "ch.opaque", .stored = true, .field = offsetof(I8237, ch[0].opaque),
     .size = sizeof(void *), .count = CHANNELS, .stride = sizeof(Channel)},
    DERIVED(I8237, region),
    DERIVED(I8237, memory),
    END
};
// clang-format on

static uint64_t ports_read(void *opaque, uint64_t at, unsigned size)
{
    I8237 *s = opaque;
    return device_read_raw(&s->dev, SPACE_MAIN, at >> s->dshift, 1);
}

static void ports_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    I8237 *s = opaque;
    device_write_raw(&s->dev, SPACE_MAIN, at >> s->dshift, 1, value);
}

Region *i8237_region(Device *dma)
{
    return ((I8237 *)dma)->region;
}

static bool i8237_realize(void *dev, GError **error)
{
    static const IoOps ops = {ports_read, ports_write, 1, 1};
    I8237 *s = dev;

    s->region = device_region_io(&s->dev, "dma", 16u << s->dshift, &ops);
    s->memory = dma_grant(space_memory(), NULL);
    return true;
}

static void i8237_unrealize(void *dev)
{
    I8237 *s = dev;
    dma_free(s->memory);
    s->memory = NULL;
}

const DeviceClass i8237_class = {
    .name = "i8237",
    .doc = "DMA controller",
    .category = "misc",
    .internal = true,
    .open = 1,
    .size = sizeof(I8237),
    .rows = rows,
    .realize = i8237_realize,
    .unrealize = i8237_unrealize,
};
