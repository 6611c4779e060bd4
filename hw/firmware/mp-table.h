/* The tables of Intel's MultiProcessor Specification 1.4, for machines without ACPI. */
#ifndef HW_FIRMWARE_MP_TABLE_H
#define HW_FIRMWARE_MP_TABLE_H

#include <glib.h>
#include <stdint.h>

/* The floating pointer and, behind it, the configuration table, as they lie at physical address `at` (a multiple of 16).  An
 * I/O APIC at FEC00000h has the ISA bus's lines at its pins, the timer at pin 2; `levels` is a set of lines that are
 * level-triggered and active high.  Of the machine as it stands; the caller unrefs. */
GByteArray *mp_table(uint32_t at, uint16_t levels);

#endif
