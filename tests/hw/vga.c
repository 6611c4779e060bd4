/* The VGA's registers and its path to memory. */
#include "tests/hw/vga-modes.h"

#include "core/clock.h"
#include "hw/display/edid.h"
#include "hw/pci/pci.h"

extern const DeviceClass vga_pci_class;

static Vga *vga_new(void)
{
    return bench_device(&vga_core_class, NULL);
}

START_TEST(index_data_pairs)
{
    Vga *s = vga_new();
    index_out(s, 0x3c4, 2, 0xff);
    ck_assert_uint_eq(index_in(s, 0x3c4, 2), 0x0f);
    index_out(s, 0x3c4, 4, 0xff);
    ck_assert_uint_eq(index_in(s, 0x3c4, 4), 0x0e);
    index_out(s, 0x3ce, 5, 0xff);
    ck_assert_uint_eq(index_in(s, 0x3ce, 5), 0x7b);
    index_out(s, 0x3ce, 8, 0xa5);
    ck_assert_uint_eq(index_in(s, 0x3ce, 8), 0xa5);
    ck_assert_uint_eq(pin8(s, 0x3ce), 8);
    /* a hole in a register file */
    ck_assert_uint_eq(index_in(s, 0x3ce, 9), 0);
}
END_TEST

START_TEST(crtc_answers_at_one_place)
{
    Vga *s = vga_new();
    pout8(s, 0x3c2, 0x01);
    index_out(s, 0x3d4, 0x0c, 0x12);
    ck_assert_uint_eq(index_in(s, 0x3d4, 0x0c), 0x12);
    ck_assert_uint_eq(pin8(s, 0x3b5), 0xff);
    pout8(s, 0x3c2, 0x00);
    ck_assert_uint_eq(pin8(s, 0x3d5), 0xff);
    ck_assert_uint_eq(index_in(s, 0x3b4, 0x0c), 0x12);
    index_out(s, 0x3b4, 0x0c, 0x34);
    ck_assert_uint_eq(index_in(s, 0x3b4, 0x0c), 0x34);
    ck_assert_uint_eq(pin8(s, 0x3cc), 0x00);
    pout8(s, 0x3c2, 0xff);
    ck_assert_uint_eq(pin8(s, 0x3cc), 0xef);
}
END_TEST

START_TEST(crtc_lock)
{
    Vga *s = vga_new();
    pout8(s, 0x3c2, 0x01);
    for (uint8_t i = 0; i < 8; i++) {
        index_out(s, 0x3d4, i, 0x40 + i);
    }
    index_out(s, 0x3d4, 0x11, 0x80);
    for (uint8_t i = 0; i < 8; i++) {
        index_out(s, 0x3d4, i, 0xff);
        /* line compare bit 8 is not locked */
        ck_assert_uint_eq(index_in(s, 0x3d4, i), i == 7 ? 0x57 : 0x40 + i);
    }
    index_out(s, 0x3d4, 7, 0x00);
    ck_assert_uint_eq(index_in(s, 0x3d4, 7), 0x47);
    index_out(s, 0x3d4, 8, 0x05);
    ck_assert_uint_eq(index_in(s, 0x3d4, 8), 0x05);
    index_out(s, 0x3d4, 0x11, 0x00);
    index_out(s, 0x3d4, 0, 0x5f);
    ck_assert_uint_eq(index_in(s, 0x3d4, 0), 0x5f);
}
END_TEST

START_TEST(attribute_flip_flop)
{
    Vga *s = vga_new();
    pout8(s, 0x3c2, 0x01);
    pin8(s, 0x3da);
    pout8(s, 0x3c0, 0x03);
    ck_assert_uint_eq(pin8(s, 0x3c0), 0x03);
    pout8(s, 0x3c0, 0x2a);
    ck_assert_uint_eq(pin8(s, 0x3c1), 0x2a);
    pout8(s, 0x3c0, 0x33); /* an index again, with the screen switched on */
    ck_assert_uint_eq(pin8(s, 0x3c0), 0x33);
    ck_assert(s->atc_screen_on);
    pin8(s, 0x3da); /* the data byte is awaited no more */
    pout8(s, 0x3c0, 0x10);
    pout8(s, 0x3c0, 0x41);
    ck_assert_uint_eq(pin8(s, 0x3c1), 0x41);
    ck_assert_uint_eq(s->atc[0x10], 0x41);
    ck_assert(!s->atc_screen_on);
    /* palette entries have six bits */
    atc_out(s, 5, 0xff);
    pin8(s, 0x3da);
    pout8(s, 0x3c0, 5);
    ck_assert_uint_eq(pin8(s, 0x3c1), 0x3f);
}
END_TEST

START_TEST(dac)
{
    Vga *s = vga_new();
    pout8(s, 0x3c8, 10);
    ck_assert_uint_eq(pin8(s, 0x3c7), 0);
    for (unsigned i = 0; i < 6; i++) {
        pout8(s, 0x3c9, 0xc0 + i);
    }
    ck_assert_uint_eq(pin8(s, 0x3c8), 12);
    pout8(s, 0x3c9, 9); /* an unfinished colour changes nothing */
    pout8(s, 0x3c7, 10);
    ck_assert_uint_eq(pin8(s, 0x3c7), 3);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(pin8(s, 0x3c9), i);
    }
    ck_assert_uint_eq(pin8(s, 0x3c9), 0);
    ck_assert_uint_eq(pin8(s, 0x3c6), 0xff);
    pout8(s, 0x3c8, 255);
    pout8(s, 0x3c9, 1);
    pout8(s, 0x3c9, 2);
    pout8(s, 0x3c9, 3);
    pout8(s, 0x3c7, 255);
    ck_assert_uint_eq(pin8(s, 0x3c9), 1);
    pin8(s, 0x3c9);
    pin8(s, 0x3c9);
    pin8(s, 0x3c9);
    ck_assert_uint_eq(s->dac_read, 0); /* the address wraps */
}
END_TEST

START_TEST(retrace)
{
    Vga *s = vga_new();
    mode_set(s, &mode_03);
    /* 449 lines of 900 dots at 28.322 MHz: 70 Hz, in retrace for 2 lines */
    int64_t frame = vga_frame_ns(s);
    ck_assert_int_ge(frame, 14200000);
    ck_assert_int_le(frame, 14300000);
    unsigned rises = 0, retrace = 0, dark = 0, n = 0;
    bool before = pin8(s, 0x3da) & 8;
    for (; n < 20000; n++) {
        bench_advance(frame * 10 / 20000);
        uint8_t v = pin8(s, 0x3da);
        rises += (v & 8) && !before;
        before = v & 8;
        retrace += before;
        dark += v & 1;
        if (v & 8) {
            ck_assert(v & 1);
        }
    }
    ck_assert_uint_eq(rises, 10);
    ck_assert_uint_ge(retrace, n * 2 / 449 - 20);
    ck_assert_uint_le(retrace, n * 2 / 449 + 20);
    /* 400 of 449 lines show 80 of 100 columns */
    double shown = 1 - (double)dark / n;
    ck_assert(shown > 0.69 && shown < 0.74);
}
END_TEST

/* ---- A model of the memory path, a bit at a time, written without looking at the other one ----
 */

typedef struct Model {
    uint8_t plane[4][65536], latch[4];
    uint8_t gc[9], seq[5];
} Model;

static bool bit(unsigned v, unsigned n)
{
    return v >> n & 1;
}

static uint8_t model_read(Model *m, unsigned a)
{
    unsigned at = a, p = m->gc[4] & 3;
    if (bit(m->seq[4], 3)) {
        at = a / 4;
        p = a % 4;
    } else {
        if (bit(m->gc[5], 4)) {
            p = (p & 2) + a % 2;
        }
        if (bit(m->gc[6], 1)) {
            at = a - a % 2;
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        m->latch[i] = m->plane[i][at];
    }
    if (bit(m->gc[5], 3) && !bit(m->seq[4], 3)) {
        uint8_t out = 0;
        for (unsigned b = 0; b < 8; b++) {
            bool same = true;
            for (unsigned i = 0; i < 4; i++) {
                same = same && (!bit(m->gc[7], i) || bit(m->latch[i], b) == bit(m->gc[2], i));
            }
            out |= (uint8_t)(same << b);
        }
        return out;
    }
    return m->latch[p];
}

static void model_write(Model *m, unsigned a, uint8_t v)
{
    bool chain4 = bit(m->seq[4], 3), even = !bit(m->seq[4], 2);
    unsigned at = chain4 ? a / 4 : bit(m->gc[6], 1) ? a - a % 2 : a;
    for (unsigned p = 0; p < 4; p++) {
        if (!bit(m->seq[2], p) || (chain4 && p != a % 4) || (!chain4 && even && p % 2 != a % 2)) {
            continue;
        }
        uint8_t result = 0;
        for (unsigned b = 0; b < 8; b++) {
            bool old = bit(m->latch[p], b), turned = bit(v, (b + m->gc[3] % 8) % 8), in,
                 mask = bit(m->gc[8], b);
            switch (m->gc[5] & 3) {
            case 0: in = bit(m->gc[1], p) ? bit(m->gc[0], p) : turned; break;
            case 1: in = old; break;
            case 2: in = bit(v, p); break;
            default: in = bit(m->gc[0], p); mask = mask && turned;
            }
            if ((m->gc[5] & 3) != 1) {
                switch (m->gc[3] >> 3 & 3) {
                case 1: in = in && old; break;
                case 2: in = in || old; break;
                case 3: in = in != old; break;
                }
                in = mask ? in : old;
            }
            result |= (uint8_t)(in << b);
        }
        m->plane[p][at] = result;
    }
}

START_TEST(memory_model)
{
    static Model m;
    memset(&m, 0, sizeof m);
    Vga *s = vga_new();
    GRand *rand = g_rand_new_with_seed(20);
    pout8(s, 0x3c2, 0x63);
    for (unsigned n = 0; n < 60000; n++) {
        if (n % 16 == 0) {
            static const uint8_t masks[9] = {15, 15, 15, 31, 3, 0x7b, 15, 15, 255};
            unsigned r = g_rand_int(rand) % 9;
            uint8_t v = (uint8_t)g_rand_int(rand) & masks[r];
            v = r == 6 ? (v & 2) | 5 : v; /* the window stays at a0000 */
            m.gc[r] = v;
            index_out(s, 0x3ce, (uint8_t)r, v);
            r = g_rand_boolean(rand) ? 2 : 4;
            v = (uint8_t)(r == 2 ? g_rand_int(rand) & 15 : 2 | (g_rand_int(rand) & 12));
            m.seq[r] = v;
            index_out(s, 0x3c4, (uint8_t)r, v);
            m.gc[6] = s->gc[6];
        }
        unsigned at = g_rand_int(rand) & 0xff;
        if (g_rand_boolean(rand)) {
            uint8_t v = (uint8_t)g_rand_int(rand);
            poke8(s, 0xa0000 + at, v);
            model_write(&m, at, v);
        } else {
            ck_assert_uint_eq(peek8(s, 0xa0000 + at), model_read(&m, at));
        }
    }
    for (unsigned at = 0; at < 65536; at++) {
        uint8_t word[4];
        ram_read(s->vram, at * 4, word, 4);
        for (unsigned p = 0; p < 4; p++) {
            ck_assert_uint_eq(word[p], m.plane[p][at]);
        }
    }
    g_rand_free(rand);
}
END_TEST

START_TEST(memory_map_select)
{
    static const struct {
        uint32_t first, size;
    } maps[4] = {{0xa0000, 0x20000}, {0xa0000, 0x10000}, {0xb0000, 0x8000}, {0xb8000, 0x8000}};
    Vga *s = vga_new();
    mode_set(s, &mode_12);
    index_out(s, 0x3c4, 2, 1);
    for (unsigned map = 0; map < 4; map++) {
        index_out(s, 0x3ce, 6, (uint8_t)(map << 2 | 1));
        for (uint32_t at = 0xa0000; at < 0xc0000; at += 0x4000) {
            bool inside = at - maps[map].first < maps[map].size;
            poke8(s, at, 0x5a);
            ck_assert_uint_eq(peek8(s, at), inside ? 0x5a : 0xff);
        }
    }
    pout8(s, 0x3c2, 0xe1); /* memory switched off */
    ck_assert_uint_eq(peek8(s, 0xb8000), 0xff);
}
END_TEST

START_TEST(text_lies_in_two_planes)
{
    Vga *s = vga_new();
    mode_set(s, &mode_03);
    poke8(s, 0xb8000 + 6, 'A');
    poke8(s, 0xb8000 + 7, 0x1e);
    uint8_t word[4];
    ram_read(s->vram, 6 * 4, word, 4);
    ck_assert_uint_eq(word[0], 'A');
    ck_assert_uint_eq(word[1], 0x1e);
    ck_assert_uint_eq(peek8(s, 0xb8006), 'A');
    ck_assert_uint_eq(peek8(s, 0xb8007), 0x1e);
}
END_TEST

static void dispi_out(unsigned reg, unsigned v)
{
    space_store(space_io(), 0x1ce, 2, reg);
    space_store(space_io(), 0x1cf, 2, v);
}

static unsigned dispi_in(unsigned reg)
{
    space_store(space_io(), 0x1ce, 2, reg);
    return (unsigned)space_load(space_io(), 0x1cf, 2);
}

static Vga *vga_mapped(void)
{
    Vga *s = vga_new();
    vga_map(s, space_root(space_memory()), space_root(space_io()));
    mem_commit();
    return s;
}

START_TEST(chain4_is_plain_memory)
{
    Vga *s = vga_mapped();
    mode_set(s, &mode_13);
    ck_assert(flat_range_is_ram(space_find(space_memory(), 0xa0000)));
    space_store(space_memory(), 0xa0000 + 321, 4, 0x44332211);
    uint8_t v[4];
    ram_read(s->vram, 321, v, 4);
    ck_assert_uint_eq(v[0], 0x11);
    ck_assert_uint_eq(v[3], 0x44);
    ck_assert_uint_eq(vga_mem_read(s, 321), 0x11); /* both ways are the same memory */
    index_out(s, 0x3ce, 8, 0x0f);                  /* a bit mask is no plain store any more */
    ck_assert(!flat_range_is_ram(space_find(space_memory(), 0xa0000)));
    space_load(space_memory(), 0xa0000 + 321, 1);
    space_store(space_memory(), 0xa0000 + 321, 1, 0xee);
    ck_assert_uint_eq(space_load(space_memory(), 0xa0000 + 321, 1), 0x1e);
    index_out(s, 0x3ce, 8, 0xff);
    index_out(s, 0x3c4, 4, 0x06);
    ck_assert(!flat_range_is_ram(space_find(space_memory(), 0xa0000)));
}
END_TEST

START_TEST(ports_are_mapped)
{
    Vga *s = vga_mapped();
    space_store(space_io(), 0x3c2, 1, 0x67);
    ck_assert_uint_eq(s->misc, 0x67);
    space_store(space_io(), 0x3ce, 2, 0x5a08);
    ck_assert_uint_eq(s->gc[8], 0x5a);
    ck_assert_ptr_null(space_find(space_io(), 0x3bc)); /* the printer's */
    space_store(space_io(), 0x3d4, 2, 0x120c);
    ck_assert_uint_eq(s->crtc[0x0c], 0x12);
}
END_TEST

START_TEST(dispi_registers)
{
    Vga *s = vga_mapped();
    ck_assert_uint_eq(dispi_in(DISPI_ID), 0xb0c5);
    dispi_out(DISPI_ID, 0xb0c2);
    ck_assert_uint_eq(dispi_in(DISPI_ID), 0xb0c2);
    dispi_out(DISPI_ID, 0xb0c9);
    ck_assert_uint_eq(dispi_in(DISPI_ID), 0xb0c2);
    ck_assert_uint_eq(dispi_in(DISPI_MEMORY_64K), 256);
    dispi_out(DISPI_XRES, 1024);
    dispi_out(DISPI_YRES, 768);
    dispi_out(DISPI_BPP, 7);
    ck_assert_uint_eq(dispi_in(DISPI_BPP), 8);
    dispi_out(DISPI_BPP, 32);
    dispi_out(DISPI_ENABLE, DISPI_ENABLED | DISPI_LFB);
    ck_assert_uint_eq(dispi_in(DISPI_VIRT_WIDTH), 1024);
    ck_assert_uint_eq(dispi_in(DISPI_VIRT_HEIGHT), 4096);
    dispi_out(DISPI_VIRT_WIDTH, 2048);
    ck_assert_uint_eq(dispi_in(DISPI_VIRT_HEIGHT), 2048);
    dispi_out(DISPI_X_OFFSET, 100);
    dispi_out(DISPI_Y_OFFSET, 10);
    VbeMode m = vbe_mode(s);
    ck_assert_uint_eq(m.pitch, 8192);
    ck_assert_uint_eq(m.start, 10 * 8192 + 400);
    dispi_out(DISPI_Y_OFFSET, 0xffff); /* never beyond the memory */
    m = vbe_mode(s);
    ck_assert_uint_le(m.start + m.pitch * m.height, s->vram_size + 400);
    dispi_out(DISPI_ENABLE, DISPI_GETCAPS);
    ck_assert_uint_eq(dispi_in(DISPI_BPP), 32);
    ck_assert_uint_ge(dispi_in(DISPI_XRES), 2560);
    dispi_out(DISPI_ENABLE, 0);
    ck_assert_uint_eq(dispi_in(DISPI_XRES), 1024);
}
END_TEST

START_TEST(dispi_clears_and_banks)
{
    Vga *s = vga_mapped();
    mode_set(s, &mode_13);
    uint32_t mark = 0x12345678;
    ram_write(s->vram, 0x10000, &mark, 4);
    dispi_out(DISPI_XRES, 640);
    dispi_out(DISPI_YRES, 480);
    dispi_out(DISPI_BPP, 8);
    dispi_out(DISPI_ENABLE, DISPI_ENABLED | DISPI_NOCLEAR);
    dispi_out(DISPI_BANK, 1);
    ck_assert_uint_eq(space_load(space_memory(), 0xa0000, 4), mark);
    ck_assert(flat_range_is_ram(space_find(space_memory(), 0xa0000)));
    space_store(space_memory(), 0xaffff, 1, 0x77);
    uint8_t v;
    ram_read(s->vram, 0x1ffff, &v, 1);
    ck_assert_uint_eq(v, 0x77);
    dispi_out(DISPI_ENABLE, 0);
    dispi_out(DISPI_ENABLE, DISPI_ENABLED);
    ram_read(s->vram, 0x10000, &mark, 4);
    ck_assert_uint_eq(mark, 0);
    ck_assert_uint_eq(dispi_in(DISPI_BANK), 0);
}
END_TEST

START_TEST(dac_of_eight_bits)
{
    Vga *s = vga_mapped();
    dispi_out(DISPI_ENABLE, DISPI_ENABLED | DISPI_8BIT_DAC);
    pout8(s, 0x3c8, 0);
    pout8(s, 0x3c9, 0xfe);
    pout8(s, 0x3c9, 0x81);
    pout8(s, 0x3c9, 0x40);
    pout8(s, 0x3c7, 0);
    ck_assert_uint_eq(pin8(s, 0x3c9), 0xfe);
    uint32_t color[256];
    vga_dac_colors(s, color);
    ck_assert_uint_eq(color[0], 0xfe8140);
}
END_TEST

START_TEST(memory_size_property)
{
    g_autoptr(GError) error = NULL;
    Device *d = device_new(&vga_core_class, NULL);
    ck_assert(device_set(d, "vgamem_mb", "3", &error));
    ck_assert(!device_realize(d, NULL, &error));
    ck_assert_str_eq(error->message,
                     "Property 'vga-core.vgamem_mb' takes a power of two from 1 to 256, not 3");
    device_free(d);
    Vga *s = bench_device(&vga_core_class, "vgamem_mb=64");
    ck_assert_uint_eq(s->vram_size, 64 << 20);
}
END_TEST

START_TEST(registers_in_bar_2)
{
    enum { BAR = 0xfebf0000 };
    PciDevice *pd = bench_device(&vga_pci_class, "romfile=,xres=1024,yres=768");
    ck_assert_uint_eq(device_read(&pd->dev, SPACE_PCI_CONFIG, 0, 4), 0x11111234);
    ck_assert_uint_eq(device_read(&pd->dev, SPACE_PCI_CONFIG, 8, 4), 0x03000002);
    region_map(space_root(space_memory()), pd->bar_region[2], BAR, 0);
    mem_commit();
    Space *mem = space_memory();
    space_store(mem, BAR + 0x402, 1, 0x67);
    ck_assert_uint_eq(space_load(mem, BAR + 0x40c, 1), 0x67);
    space_store(mem, BAR + 0x40e, 2, 0x3c08);
    ck_assert_uint_eq(space_load(mem, BAR + 0x40f, 1), 0x3c);
    space_store(mem, BAR + 0x502, 2, 640);
    ck_assert_uint_eq(space_load(mem, BAR + 0x502, 2), 640);
    ck_assert_uint_eq(space_load(mem, BAR + 0x500, 2), 0xb0c5);
    ck_assert_uint_eq(space_load(mem, BAR + 0x600, 4), 8);
    ck_assert_uint_eq(space_load(mem, BAR + 0x604, 4), 0x1e1e1e1e);
    space_store(mem, BAR + 0x604, 4, 0xbebebebe);
    ck_assert_uint_eq(device_peek(&pd->dev, "vga.big_endian", 0), 1);
    ck_assert_uint_eq(space_load(mem, BAR + 0x604, 4), 0xbebebebe);
    uint8_t edid[EDID_SIZE], sum[2] = {0};
    ck_assert(space_read(mem, BAR, edid, sizeof edid));
    for (unsigned i = 0; i < EDID_SIZE; i++) {
        sum[i / EDID_BLOCK] = (uint8_t)(sum[i / EDID_BLOCK] + edid[i]);
    }
    ck_assert_uint_eq(sum[0], 0);
    ck_assert_uint_eq(sum[1], 0);
    ck_assert_uint_eq(load_le(edid, 8), 0x00ffffffffffff00);
    /* the preferred timing: active pixels and lines */
    ck_assert_uint_eq(edid[56] | (edid[58] & 0xf0) << 4, 1024);
    ck_assert_uint_eq(edid[59] | (edid[61] & 0xf0) << 4, 768);
    region_unmap(pd->bar_region[2]);
    mem_commit();
}
END_TEST

START_TEST(edid_limits)
{
    uint8_t e[EDID_SIZE];
    edid_build(&(EdidInfo){.name = "A name too long to fit",
                           .width = 9999,
                           .height = 9999,
                           .max_width = 1024,
                           .max_height = 768,
                           .refresh_mhz = 60000},
               e);
    ck_assert_uint_eq(e[35], 0x21);
    ck_assert_uint_eq(e[36], 0x08);
    for (unsigned i = 38; i < 54; i++) {
        ck_assert_uint_eq(e[i], 1); /* nothing larger is listed */
    }
    ck_assert_uint_eq(e[56] | (e[58] & 0xf0) << 4, 4095);
    ck_assert(!memcmp(e + 95, "A name too l\n", 13));
    /* 1920 x 1080 at 60 Hz with reduced blanking is 138.5 MHz (CVT 1.1) */
    edid_build(&(EdidInfo){.width = 1920, .height = 1080, .refresh_mhz = 60000}, e);
    ck_assert_uint_eq(e[54] | e[55] << 8, 13850);
    ck_assert_uint_eq(e[60] | (e[61] & 15) << 8, 31);
}
END_TEST

BENCH_MAIN("vga", CASE(index_data_pairs), CASE(crtc_answers_at_one_place), CASE(crtc_lock),
           CASE(attribute_flip_flop), CASE(dac), CASE(retrace), CASE(memory_model),
           CASE(memory_map_select), CASE(text_lies_in_two_planes), CASE(chain4_is_plain_memory),
           CASE(ports_are_mapped), CASE(dispi_registers), CASE(dispi_clears_and_banks),
           CASE(dac_of_eight_bits), CASE(memory_size_property), CASE(registers_in_bar_2),
           CASE(edid_limits))
