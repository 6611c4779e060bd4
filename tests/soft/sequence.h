/* Random sequences of instructions that run at the same addresses on the host's processor and on the software one.
 *
 * The arena is one piece of memory below 2 GiB (its pages are listed here).  A sequence leaves by a jump to ARENA_EXIT, or by a
 * fault.  Flags that the manuals leave undefined are followed through all its paths: none is read, and at each instruction it is
 * known which of them need not be alike. */
#ifndef TESTS_SOFT_SEQUENCE_H
#define TESTS_SOFT_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Pages of the arena: what is not named is a hole. */
enum {
    ARENA_PAGE = 4096, ARENA_PAGES = 511,
    ARENA_CODE = 1 * ARENA_PAGE, ARENA_CODE_SIZE = 2 * ARENA_PAGE,      /* may be written and executed */
    ARENA_DATA = 4 * ARENA_PAGE, ARENA_DATA_SIZE = 2 * ARENA_PAGE,
    ARENA_CONST = 6 * ARENA_PAGE,                                       /* may only be read            */
    ARENA_EXIT = 508 * ARENA_PAGE,                                      /* far from where strays go   */
    ARENA_PRIVATE = 509 * ARENA_PAGE,                                     /* to the end: the host's only */
    ARENA_GS_BASE = 0x40,               /* of 64-bit code */
};
extern uint64_t arena;                  /* where it begins; a multiple of 2 MiB */

enum { ITEMS = 80, NOWHERE = -1 };
typedef enum Fixup {
    FIX_NONE,
    FIX_REL8, FIX_REL32,                /* to item `to`, plus delta */
    FIX_ABS32,                          /* the same, absolute       */
    FIX_FAR,                            /* 32 bits, to address `to` */
} Fixup;

typedef struct Item {                   /* one instruction */
    uint8_t bytes[20], length;
    uint8_t fixup, fix_at, delta;
    uint32_t to;
    int goes;                           /* item that it may jump to, or NOWHERE */
    bool falls;                         /* the next one may follow */
    bool patched;                       /* others write to it      */
    bool compares;                      /* CMPS: which of its two operands faults first is nowhere said */
    bool mmx_stores;                    /* from an MMX register: where one faults, Intel's have set TOP to 0, AMD's not */
    bool x87_stores;                    /* a number.  Unmasked exception and fault of the address at once: which comes first is
                                         * the processor's (SDM vol 3 §6.9), Intel's the exception, AMD's the fault */
    bool stores_ten;                    /* of those, ten bytes: where the second page faults, Intel's have written to the first */
    bool converts;                      /* VCVTPS2PH to memory: the same, of exceptions and a page fault */
    bool masked;                        /* VMASKMOV, VPMASKMOV: where in the page of a fault, makers do not agree */
    bool narrow_repeats;                /* REP with 32-bit addresses in 64-bit code: at ECX = 0 and at a fault, Intel's may have
                                         * cleared the upper halves of RCX, RSI, RDI, AMD's leave them */
    bool scans;                         /* REP CMPS or SCAS: where one stops by a fault, makers do not agree about flags */
    uint16_t reads, writes, undefines;  /* flags; by sequence_judge */
    uint16_t undefined;                 /* that it may meet        */
} Item;

typedef struct Sequence {
    bool code_32, user;
    bool patches;                       /* modifies itself */
    bool fcomi;                         /* has one: makers do not agree about what it does to C1, and where it traps */
    Item item[ITEMS];
    unsigned count;
    uint64_t start;                     /* address of the first */
    uint16_t at[ITEMS + 1];             /* of each, from there  */
    uint16_t undefined_at_end;
} Sequence;

/* Random numbers, of everybody in this test. */
extern uint64_t random_state;
uint64_t rnd(void);
unsigned below(unsigned n);
bool one_in(unsigned n);
uint64_t interesting(void);             /* numbers near which things happen */

/* The general registers that hold addresses in the arena, and those that hold small numbers; a bit each. */
uint16_t pointer_registers(bool code_32);
uint16_t index_registers(bool code_32);

/* From random_state; false: it came to nothing. */
bool sequence_make(Sequence *q, bool code_32);
void sequence_remove(Sequence *q, unsigned item);
/* Addresses, and what each instruction does to flags; false: it cannot be placed, or reads an undefined flag. */
bool sequence_judge(Sequence *q);
/* All its bytes, to ARENA_CODE_SIZE of `code`. */
void sequence_place(const Sequence *q, uint8_t *code);
/* The item that lies at an address: `count` is its end; NOWHERE. */
int sequence_item(const Sequence *q, uint64_t rip);
/* Whether control may go from one item to another. */
bool sequence_leads(const Sequence *q, int from, int to);
void sequence_print(const Sequence *q, FILE *out);

/* Whether the CPU under test is expected to know this vector instruction (guest.c). */
struct Insn;
bool guest_knows(const struct Insn *i, bool code_32);

#endif
