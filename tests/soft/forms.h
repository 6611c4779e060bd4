/* The general-purpose instructions by their encodings: an opcode, and what follows it. */
#ifndef TESTS_SOFT_FORMS_H
#define TESTS_SOFT_FORMS_H

#include <stdint.h>

enum {
    MODRM = 1 << 0, IMM8 = 1 << 1, IMM16 = 1 << 2, IMMZ = 1 << 3 /* 2 or 4 bytes */,
    IMMV = 1 << 4 /* up to 8 */, MOFFS = 1 << 5, JB = 1 << 6, JZ = 1 << 7, LOCKED = 1 << 8, VEX_FORM = 1 << 9, REPEATS = 1 << 10,
    INDIRECT = 1 << 11, STACK_TOP = 1 << 12 /* holds a target */, FRAME = 1 << 13, BITS = 1 << 14,
    ALIGNED = 1 << 15, MEMORY_ONLY = 1 << 16,
};
typedef struct Form {
    uint16_t opcode;                    /* map << 8 | byte */
    uint16_t last;                      /* of a row of opcodes, or 0 */
    uint8_t digits;                     /* values of ModRM.reg, a bit each; 0: all */
    uint8_t prefix;                     /* mandatory one */
    uint32_t what;
} Form;

static const Form forms[] = {
    /* arithmetic */
    {0x00, 0x03, .what = MODRM | LOCKED}, {0x08, 0x0b, .what = MODRM | LOCKED}, {0x10, 0x13, .what = MODRM | LOCKED},
    {0x18, 0x1b, .what = MODRM | LOCKED}, {0x20, 0x23, .what = MODRM | LOCKED}, {0x28, 0x2b, .what = MODRM | LOCKED},
    {0x30, 0x33, .what = MODRM | LOCKED}, {0x38, 0x3b, .what = MODRM}, {0x04, .what = IMM8}, {0x05, .what = IMMZ},
    {0x0c, .what = IMM8}, {0x0d, .what = IMMZ}, {0x14, .what = IMM8}, {0x15, .what = IMMZ}, {0x1c, .what = IMM8},
    {0x1d, .what = IMMZ}, {0x24, .what = IMM8}, {0x25, .what = IMMZ}, {0x2c, .what = IMM8}, {0x2d, .what = IMMZ},
    {0x34, .what = IMM8}, {0x35, .what = IMMZ}, {0x3c, .what = IMM8}, {0x3d, .what = IMMZ},
    {0x80, .what = MODRM | IMM8 | LOCKED}, {0x81, .what = MODRM | IMMZ | LOCKED}, {0x82, .what = MODRM | IMM8 | LOCKED},
    {0x83, .what = MODRM | IMM8 | LOCKED}, {0x84, 0x85, .what = MODRM}, {0xa8, .what = IMM8}, {0xa9, .what = IMMZ},
    {0x40, 0x4f}, {0xfe, 0xff, .digits = 0x03, .what = MODRM | LOCKED},
    {0xf6, .digits = 0x03, .what = MODRM | IMM8}, {0xf7, .digits = 0x03, .what = MODRM | IMMZ},
    {0xf6, 0xf7, .digits = 0xfc, .what = MODRM | LOCKED}, {0x69, .what = MODRM | IMMZ}, {0x6b, .what = MODRM | IMM8},
    {0x1af, .what = MODRM}, {0x2f6, .prefix = 0x66, .what = MODRM}, {0x2f6, .prefix = 0xf3, .what = MODRM},
    /* decimal */
    {0x27}, {0x2f}, {0x37}, {0x3f}, {0xd4, 0xd5, .what = IMM8},
    /* exchange */
    {0x86, 0x87, .what = MODRM | LOCKED}, {0x90, 0x97}, {0x1b0, 0x1b1, .what = MODRM | LOCKED},
    {0x1c0, 0x1c1, .what = MODRM | LOCKED}, {0x1c7, .digits = 0x02, .what = MODRM | LOCKED | ALIGNED},
    /* shifts */
    {0xc0, 0xc1, .what = MODRM | IMM8}, {0xd0, 0xd3, .what = MODRM}, {0x1a4, .what = MODRM | IMM8}, {0x1a5, .what = MODRM},
    {0x1ac, .what = MODRM | IMM8}, {0x1ad, .what = MODRM},
    {0x2f7, .prefix = 0x66, .what = MODRM | VEX_FORM}, {0x2f7, .prefix = 0xf3, .what = MODRM | VEX_FORM},
    {0x2f7, .prefix = 0xf2, .what = MODRM | VEX_FORM}, {0x3f0, .prefix = 0xf2, .what = MODRM | VEX_FORM | IMM8},
    /* bits */
    {0x1a3, .what = MODRM | BITS}, {0x1ab, .what = MODRM | BITS | LOCKED}, {0x1b3, .what = MODRM | BITS | LOCKED},
    {0x1bb, .what = MODRM | BITS | LOCKED}, {0x1ba, .digits = 0xf0, .what = MODRM | IMM8 | LOCKED},
    {0x1bc, 0x1bd, .what = MODRM}, {0x1bc, 0x1bd, .prefix = 0xf3, .what = MODRM}, {0x1b8, .prefix = 0xf3, .what = MODRM},
    {0x2f0, 0x2f1, .what = MODRM}, {0x2f0, 0x2f1, .prefix = 0xf2, .what = MODRM}, {0x1c8, 0x1cf},
    {0x2f2, .what = MODRM | VEX_FORM}, {0x2f3, .digits = 0x0e, .what = MODRM | VEX_FORM}, {0x2f5, .what = MODRM | VEX_FORM},
    {0x2f7, .what = MODRM | VEX_FORM}, {0x2f5, .prefix = 0xf2, .what = MODRM | VEX_FORM},
    {0x2f5, .prefix = 0xf3, .what = MODRM | VEX_FORM}, {0x2f6, .prefix = 0xf2, .what = MODRM | VEX_FORM},
    /* moves */
    {0x88, 0x8b, .what = MODRM}, {0xa0, 0xa3, .what = MOFFS}, {0xb0, 0xb7, .what = IMM8}, {0xb8, 0xbf, .what = IMMV},
    {0xc6, .digits = 1, .what = MODRM | IMM8}, {0xc7, .digits = 1, .what = MODRM | IMMZ}, {0x63, .what = MODRM},
    {0x1b6, 0x1b7, .what = MODRM}, {0x1be, 0x1bf, .what = MODRM}, {0x8d, .what = MODRM}, {0xd7}, {0x98, 0x99},
    {0x140, 0x14f, .what = MODRM}, {0x190, 0x19f, .what = MODRM}, {0x1c3, .what = MODRM},
    /* flags, nothing */
    {0x9e, 0x9f}, {0xf5}, {0xf8, 0xf9}, {0xfc, 0xfd}, {0xd6}, {0x118, 0x11f, .what = MODRM},
    {0x10d, .what = MODRM | MEMORY_ONLY},
    {0x1ae, .digits = 0xe0, .what = MODRM},
    /* stack */
    {0x50, 0x5f}, {0x60, 0x61}, {0x68, .what = IMMZ}, {0x6a, .what = IMM8}, {0x8f, .digits = 1, .what = MODRM},
    {0xff, .digits = 0x40, .what = MODRM}, {0xc8, .what = IMM16 | IMM8 | FRAME}, {0xc9, .what = FRAME},
    /* flow */
    {0x70, 0x7f, .what = JB}, {0xe0, 0xe3, .what = JB}, {0xeb, .what = JB}, {0xe8, 0xe9, .what = JZ},
    {0x180, 0x18f, .what = JZ}, {0xff, .digits = 0x14, .what = MODRM | INDIRECT}, {0xc3, .what = STACK_TOP},
    {0xc2, .what = IMM16 | STACK_TOP}, {0x62, .what = MODRM | MEMORY_ONLY},
    /* strings */
    {0xa4, 0xa7, .what = REPEATS}, {0xaa, 0xaf, .what = REPEATS},
};

#endif
