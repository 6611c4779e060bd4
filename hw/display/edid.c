#include "hw/display/edid.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Detailed timing descriptors have twelve bits for each side. */
enum { SIDE_MAX = 4095 };

static void checksum(uint8_t *block)
{
    uint8_t sum = 0;
    for (unsigned i = 0; i < EDID_BLOCK - 1; i++) {
        sum = (uint8_t)(sum + block[i]);
    }
    block[EDID_BLOCK - 1] = (uint8_t)-sum;
}

/* The sync width in lines tells the aspect ratio (CVT 1.1 §3.2). */
static unsigned sync_lines(unsigned width, unsigned height)
{
    return width * 3 == height * 4     ? 4
           : width * 9 == height * 16  ? 5
           : width * 10 == height * 16 ? 6
                                       : 10;
}

/* 18-byte detailed timing (§3.10.2) with the reduced blanking of CVT 1.1 §3.4.2. */
static void detailed_timing(uint8_t *d, const EdidInfo *in)
{
    enum {
        H_BLANK = 160,
        H_FRONT = 48,
        H_SYNC = 32,
        V_FRONT = 3,
        V_BACK_MIN = 6,
        V_BLANK_US = 460
    };
    unsigned sync = sync_lines(in->width, in->height);
    double line_us = (1e9 / in->refresh_mhz - V_BLANK_US) / in->height;
    unsigned blank = line_us > 0 ? (unsigned)(V_BLANK_US / line_us) + 1 : 0;
    if (blank < V_FRONT + sync + V_BACK_MIN) {
        blank = V_FRONT + sync + V_BACK_MIN;
    }
    double hz = in->refresh_mhz / 1000.0 * (in->height + blank) * (in->width + H_BLANK);
    unsigned clock = hz / 10000 > 65535 ? 65535 : (unsigned)(hz / 250000) * 25; /* 10 kHz */
    unsigned w = in->width, h = in->height, mm_w = in->width_mm, mm_h = in->height_mm;
    const uint8_t bytes[18] = {
        (uint8_t)clock,
        (uint8_t)(clock >> 8),
        (uint8_t)w,
        H_BLANK,
        (uint8_t)(w >> 8 << 4 | H_BLANK >> 8),
        (uint8_t)h,
        (uint8_t)blank,
        (uint8_t)(h >> 8 << 4 | blank >> 8),
        H_FRONT,
        H_SYNC,
        (uint8_t)(V_FRONT << 4 | (sync & 15)),
        0,
        (uint8_t)mm_w,
        (uint8_t)mm_h,
        (uint8_t)(mm_w >> 8 << 4 | mm_h >> 8),
        0,
        0,
        0x1a, /* digital separate sync, horizontal positive */
    };
    memcpy(d, bytes, sizeof bytes);
}

/* Display descriptor with text: padded with a line feed and spaces (§3.10.3). */
static void text_descriptor(uint8_t *d, uint8_t tag, const char *text)
{
    memset(d, 0, 5);
    d[3] = tag;
    snprintf((char *)d + 5, 13, "%s", text);
    size_t n = strlen((char *)d + 5);
    d[5 + n] = '\n';
    memset(d + 6 + n, ' ', 12 - n);
}

static void range_descriptor(uint8_t *d)
{
    static const uint8_t bytes[18] = {0,    0,    0,    0xfd, 0,   50,  125, 30,  160,
                                      0xff, 0x01, '\n', ' ',  ' ', ' ', ' ', ' ', ' '};
    memcpy(d, bytes, sizeof bytes);
}

static bool fits(const EdidInfo *in, unsigned width, unsigned height)
{
    return (!in->max_width || width <= in->max_width) &&
           (!in->max_height || height <= in->max_height);
}

static void timings(const EdidInfo *in, uint8_t *e)
{
    static const struct {
        uint8_t byte, bit;
        uint16_t width, height;
    } established[] = {{35, 0x20, 640, 480}, {35, 0x01, 800, 600}, {36, 0x08, 1024, 768}};
    static const struct {
        uint16_t width, height;
        uint8_t aspect; /* 16:10, 4:3, 5:4, 16:9 */
    } standard[8] = {{1280, 720, 3},  {1280, 800, 0},  {1280, 1024, 2}, {1440, 900, 0},
                     {1600, 1200, 1}, {1680, 1050, 0}, {1920, 1080, 3}, {1920, 1200, 0}};
    for (unsigned i = 0; i < 3; i++) {
        if (fits(in, established[i].width, established[i].height)) {
            e[established[i].byte] |= established[i].bit;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        bool on = fits(in, standard[i].width, standard[i].height);
        e[38 + 2 * i] = on ? (uint8_t)(standard[i].width / 8 - 31) : 1;
        e[39 + 2 * i] = on ? (uint8_t)(standard[i].aspect << 6) : 1; /* 60 Hz */
    }
}

/* CTA-861 §7: a video data block with the television modes. */
static void extension(const EdidInfo *in, uint8_t *e)
{
    static const struct {
        uint8_t code;
        uint16_t width, height;
    } modes[] = {{1, 640, 480}, {3, 720, 480}, {4, 1280, 720}, {16, 1920, 1080}, {97, 3840, 2160}};
    unsigned n = 0;
    e[0] = 0x02;
    e[1] = 0x03;
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (fits(in, modes[i].width, modes[i].height)) {
            e[5 + n++] = modes[i].code;
        }
    }
    e[4] = (uint8_t)(0x40 | n);
    e[2] = (uint8_t)(5 + n); /* no detailed timings behind */
    checksum(e);
}

static unsigned limited(unsigned value, unsigned otherwise, unsigned max)
{
    return !value ? otherwise : value > max ? max : value;
}

void edid_build(const EdidInfo *info, uint8_t edid[EDID_SIZE])
{
    static const uint8_t header[8] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    static const uint8_t srgb[10] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
    EdidInfo in = *info;
    in.width = limited(in.width, 1280, SIDE_MAX);
    in.height = limited(in.height, 800, SIDE_MAX);
    in.refresh_mhz = limited(in.refresh_mhz, 75000, 500000);
    in.width_mm = limited(in.width_mm, in.width * 254 / 1000, SIDE_MAX);
    in.height_mm = limited(in.height_mm, in.height * 254 / 1000, SIDE_MAX);
    const char *vendor = in.vendor ? in.vendor : "RHT";
    unsigned letters = (vendor[0] - '@') << 10 | (vendor[1] - '@') << 5 | (vendor[2] - '@');

    memset(edid, 0, EDID_SIZE);
    memcpy(edid, header, sizeof header);
    edid[8] = (uint8_t)(letters >> 8);
    edid[9] = (uint8_t)letters;
    edid[10] = 0x34; /* product 1234h */
    edid[11] = 0x12;
    edid[16] = 42; /* week and year of manufacture */
    edid[17] = 2014 - 1990;
    edid[18] = 1; /* version 1.4 */
    edid[19] = 4;
    edid[20] = 0xa5; /* digital, 8 bits a colour, DisplayPort */
    edid[21] = (uint8_t)(in.width_mm / 10 > 255 ? 255 : in.width_mm / 10);
    edid[22] = (uint8_t)(in.height_mm / 10 > 255 ? 255 : in.height_mm / 10);
    edid[23] = 120;  /* gamma 2.2 */
    edid[24] = 0x06; /* sRGB; the first timing is the native one */
    memcpy(edid + 25, srgb, sizeof srgb);
    timings(&in, edid);
    detailed_timing(edid + 54, &in);
    range_descriptor(edid + 72);
    text_descriptor(edid + 90, 0xfc, in.name ? in.name : "Ostler");
    if (in.serial) {
        text_descriptor(edid + 108, 0xff, in.serial);
    } else {
        edid[108 + 3] = 0x10; /* unused */
    }
    edid[126] = 1;
    checksum(edid);
    extension(&in, edid + EDID_BLOCK);
}
