/* What the two halves of the 82078 share: i82078.c (registers and commands) and i82078-transfer.c (sectors). */
#ifndef HW_STORAGE_I82078_INTERNAL_H
#define HW_STORAGE_I82078_INTERNAL_H

#include "hw/storage/i82078.h"

enum { DOR_NDMAGATE = 8 };
enum { CFG_POLL = 0x10, CFG_EIS = 0x40, CFG_RESET = 0x20, SPECIFY_ND = 1, PERP_OW = 0x80 };
enum { ST0_FAIL = 0x40, ST0_INVALID = 0x80, ST0_POLLED = 0xc0, ST0_SEEK_END = 0x20, ST0_EC = 0x10 };
enum { ST1_MA = 1, ST1_NW = 2, ST1_ND = 4, ST1_DE = 0x20, ST1_EN = 0x80 };
enum { ST2_BC = 2, ST2_SN = 4, ST2_SH = 8, ST2_WC = 0x10, ST2_CM = 0x40 };
enum { CMD_SK = 0x20, CMD_MT = 0x80, VERIFY_EC = 0x80 };
enum { VERSION_ENHANCED = 0x90, PART_64PIN_STEP1 = 0x01, SIZE_CODE = 2 };

enum Phase { COMMAND, EXECUTION, RESULT, PHASES };
/* A sector: looked for, moved between host and buffer, stored, left behind. */
enum Stage { SEARCH, HOST, STORE, NEXT, STAGES };
enum Move { MOVE_NONE, READ, WRITE, TRACK, VERIFY, FORMAT, SCAN };

typedef struct Command {
    uint8_t mask, code, params;
    uint8_t move;            /* how bytes travel, for transfers */
    bool deleted;            /* deleted data marks */
    void (*execute)(Fdc *s); /* after the last parameter */
} Command;

const Command *fdc_command_of(uint8_t code);

/* The drive on a select line; NULL: none. */
Floppy *fdc_drive(const Fdc *s, unsigned select);
/* The drive that the running or last command names. */
unsigned fdc_unit(const Fdc *s);
/* Ready for the next command. */
void fdc_to_command(Fdc *s);
/* The result phase, with n bytes in the FIFO. */
void fdc_to_result(Fdc *s, unsigned n);
/* §6: ST0-2 (with what was gathered) and the ID, with an interrupt. */
void fdc_finish(Fdc *s, uint8_t st0, uint8_t st1, uint8_t st2);
/* Steps, and what SENSE INTERRUPT will say.  A drive that is not there never shows track 0. */
void fdc_seek(Fdc *s, unsigned select, int to, bool recalibrate);

/* Whether the host may move bytes now. */
bool fdc_executing(const Fdc *s);
/* Go on until the host or the back end has to do something. */
void fdc_run(Fdc *s);
/* Commands that move sectors. */
void fdc_do_transfer(Fdc *s);
void fdc_do_format(Fdc *s);
void fdc_do_read_id(Fdc *s);

#endif
