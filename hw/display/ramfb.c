/* ramfb: a screen in the guest's own memory.  Firmware writes where it lies, as seven big-endian numbers, into the file
 * "etc/ramfb" of the configuration device; that is all there is. */
#include <string.h>

#include "hw/display/vga.h"
#include "hw/firmware/fw-cfg.h"

enum { CONFIG_BYTES = 28, MAX_SIDE = 8192 };
#define FOURCC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

typedef struct Shown {                  /* what was drawn last; not the machine's state */
    uint8_t config[CONFIG_BYTES];
    bool whole;
    uint8_t *bytes;                     /* of every line, one behind the other */
    uint8_t line[MAX_SIDE * 4];
} Shown;

typedef struct Ramfb {
    Device dev;
    uint8_t config[CONFIG_BYTES];       /* address, format (DRM's fourcc), flags, width, height, stride      */
    Console *console;
    Shown *shown;
} Ramfb;

typedef struct Mode {
    uint64_t at;
    uint32_t format, width, height, stride;
    unsigned bytes;                     /* of a pixel; 0: nothing is shown */
} Mode;

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static Mode mode_of(const Ramfb *s)
{
    const uint8_t *c = s->config;
    Mode m = {(uint64_t)be32(c) << 32 | be32(c + 4), be32(c + 8), be32(c + 16), be32(c + 20), be32(c + 24), 0};
    switch (m.format) {
    case FOURCC('X', 'R', '2', '4'):
    case FOURCC('A', 'R', '2', '4'): m.bytes = 4; break;
    case FOURCC('R', 'G', '2', '4'): m.bytes = 3; break;
    case FOURCC('R', 'G', '1', '6'): m.bytes = 2; break;
    }
    if (!m.width || !m.height || m.width > MAX_SIDE || m.height > MAX_SIDE) {
        m.bytes = 0;
    }
    if (!m.stride) {
        m.stride = m.width * m.bytes;
    }
    return m;
}

static void convert(const Mode *m, const uint8_t *in, uint32_t *out)
{
    for (unsigned x = 0; x < m->width; x++, in += m->bytes) {
        if (m->bytes == 2) {
            uint32_t v = in[0] | in[1] << 8, r = v >> 11, g = v >> 5 & 0x3f, b = v & 0x1f;
            out[x] = (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
        } else {
            out[x] = (uint32_t)in[2] << 16 | in[1] << 8 | in[0];
        }
    }
}

static void ramfb_draw(void *dev)
{
    Ramfb *s = dev;
    Shown *d = s->shown;
    Mode m = mode_of(s);
    if (!m.bytes) {
        return;
    }
    size_t line = (size_t)m.width * m.bytes;
    if (memcmp(d->config, s->config, CONFIG_BYTES)) {
        memcpy(d->config, s->config, CONFIG_BYTES);
        d->bytes = g_realloc(d->bytes, line * m.height);
        console_resize(s->console, (int)m.width, (int)m.height);
        d->whole = true;
    }
    for (unsigned y = 0; y < m.height; y++) {
        uint8_t *before = d->bytes + line * y;
        dma_read(s->dev.dma, m.at + (uint64_t)m.stride * y, d->line, line);
        if (d->whole || memcmp(before, d->line, line)) {
            memcpy(before, d->line, line);
            convert(&m, d->line, surface_line(console_surface(s->console), (int)y));
            console_dirty(s->console, 0, (int)y, (int)m.width, 1);
        }
    }
    d->whole = false;
}

static void ramfb_invalidate(void *dev)
{
    ((Ramfb *)dev)->shown->whole = true;
}

static const ConsoleSource ramfb_console = {.update = ramfb_draw, .invalidate = ramfb_invalidate};

static void config_written(void *arg, size_t offset, size_t len)
{
    Ramfb *s = arg;
    if (offset + len == CONFIG_BYTES && !mode_of(s).bytes) {
        guest_error(&s->dev, "format %08x of %u x %u pixels cannot be shown", be32(s->config + 8), be32(s->config + 16),
                    be32(s->config + 20));
    }
}

static bool ramfb_realize(void *dev, GError **error)
{
    Ramfb *s = dev;
    FwCfg *fw = fw_cfg_find();
    FwCfgHooks hooks = {.written = config_written, .arg = s, .buffer = s->config};
    if (fw && !(vga_bios_offer("ramfb", "vgabios-ramfb.bin", error) &&
                fw_cfg_add_file_hooks(fw, "etc/ramfb", NULL, CONFIG_BYTES, &hooks, error))) {
        return false;
    }
    s->dev.dma = dma_grant(space_memory(), NULL);
    s->shown = g_new0(Shown, 1);
    s->console = console_new("ramfb", &ramfb_console, s);
    return true;
}

static void ramfb_unrealize(void *dev)
{
    static const FwCfgHooks none = {0};
    Ramfb *s = dev;
    FwCfg *fw = fw_cfg_find();
    if (fw) { /* the guest finds an empty file, and ours is let go */
        fw_cfg_add_file_hooks(fw, "etc/ramfb", "", 0, &none, NULL);
    }
    console_free(s->console);
    g_free(s->shown->bytes);
    g_free(s->shown);
    dma_free(s->dev.dma);
    s->dev.dma = NULL;
}

static const Row rows[] = {
    STATES(Ramfb, config, .doc = "Address, format, flags, width, height and stride, big-endian"),
    END,
};

const DeviceClass ramfb_class = {
    .name = "ramfb",
    .doc = "Screen in the guest's memory",
    .category = "display",
    .size = sizeof(Ramfb),
    .rows = rows,
    .realize = ramfb_realize,
    .unrealize = ramfb_unrealize,
};
