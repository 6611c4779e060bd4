/* The black box in words: names of what is in its entries, and one line for each. */
#ifndef CPU_BLACKBOX_PRINT_H
#define CPU_BLACKBOX_PRINT_H

#include "cpu/blackbox/ring.h"

/* "#PF", "NMI"; NULL: none of the processor's own. */
const char *box_exception_name(unsigned vector);
/* "real", "virtual-8086", "protected", "compatibility", "64-bit". */
const char *box_mode_name(unsigned mode);
/* "lstar", "mtrr_physbase3", "x2apic 0x30"; appends nothing and is false where there is no such register. */
bool box_msr_name(uint32_t index, GString *out);
/* Bits by name that are different: " +PG +WP -NW". `cr` is 0, 4, BOX_XCR0, or BOX_EFER. */
enum { BOX_EFER = 17 };
void box_bits_changed(unsigned cr, uint64_t old, uint64_t new, GString *out);
/* "e=0x10 (selector 0x10 of the GDT)" ...: an error code of #TS #NP #SS #GP in words, "(...)" only; nothing for 0. */
void box_selector_error(uint32_t error, GString *out);
/* "write, supervisor, page not present": the error code of a #PF. */
void box_page_fault_error(uint32_t error, GString *out);
/* "0008:00001234" as wide as the mode has it; "?" when not known. */
void box_place(unsigned mode, uint16_t cs, uint64_t rip, GString *out);
/* Seconds since the program started, in ns; or, with -icount, the number of an instruction. */
int64_t box_time_ns(const BlackBox *b, uint64_t time);
void box_clock_start(void);              /* where the seconds begin; main lock held */
/* What happened, without time and place: "OUT 0x20 (pic) = 0x20"; appends, no newline. */
void box_event_text(const BoxEvent *e, GString *out);
/* The whole line: time, place, mode, text, how often. */
void box_event_print(const BlackBox *b, const BoxEvent *e, GString *out);

#endif
