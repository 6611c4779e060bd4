/* Scan codes: numbers of set 1 (0xe0xx: extended) to sets 2 and 3, and the translation of the keyboard controller. */
#ifndef HW_INPUT_PS2_CODES_H
#define HW_INPUT_PS2_CODES_H

#include <stdint.h>

/* Set 2 to set 1, byte by byte, as the 8042 does it; 0xf0 is for the caller. */
uint8_t ps2_translate(uint8_t code);
/* The last byte of a key's set 2 code. */
uint8_t ps2_set2_code(unsigned number);
/* Its set 3 code; 0: the key has none. */
uint8_t ps2_set3_code(unsigned number);

/* What a key of set 3 does when it is held and when it is released. */
enum { KIND_REPEAT = 1, KIND_BREAK = 2 };
uint8_t ps2_set3_kind(uint8_t code);    /* after power-on */

#endif
