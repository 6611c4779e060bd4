/* Random single instructions for sequences: their operands lie in the arena, most of the time. */
#ifndef TESTS_SOFT_ENCODE_H
#define TESTS_SOFT_ENCODE_H

#include "tests/soft/sequence.h"

typedef struct Encoding {
    bool code_32;
    int counter;                        /* a register to leave alone, or -1 */
} Encoding;

void item_put(Item *it, uint64_t v, unsigned size);
/* Each appends to an empty item; false: try again.  Whether it is an instruction at all is for the caller to see. */
Item *encode_integer(Item *it, const Encoding *e);
Item *encode_compare(Item *it, const Encoding *e);      /* what a condition may follow */
Item *encode_divide(Item *it, const Encoding *e);
Item *encode_string(Item *it, const Encoding *e);
Item *encode_vector(Item *it, const Encoding *e);
Item *encode_x87(Item *it, const Encoding *e);

#endif
