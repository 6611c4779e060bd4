/* ACPI Machine Language (ACPI 6.4 chapter 20), written front to back.
 *
 * AML is prefix code, so a table is a sequence of calls in the order in which it would be read: an
 * operator, then its operands.  Terms with a package length (scopes, devices, methods, packages,
 * buffers, If ...) are opened by a call and closed by aml_end, which puts the length in.
 *
 *     aml_method(a, "_STA", 0, AML_NOT_SERIALIZED);
 *     aml_op(a, AML_RETURN), aml_int(a, 0xb);
 *     aml_end(a);
 *
 * A malformed name or an unbalanced aml_end is our own mistake and asserts. */
#ifndef HW_FIRMWARE_AML_H
#define HW_FIRMWARE_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Aml {
    GByteArray *out;
    GArray *open; /* of the terms not yet closed, innermost last */
} Aml;

Aml *aml_new(void);
void aml_free(Aml *a);
/* The bytes; every term is closed.  Ends the builder; the caller unrefs. */
GByteArray *aml_finish(Aml *a);

/* ---- Data (20.2.3) ---- */
void aml_int(Aml *a, uint64_t value); /* in the fewest bytes */
void aml_string(Aml *a, const char *text);
void aml_eisa_id(Aml *a, const char *id); /* "PNP0A03": the integer that EISAID() makes */
void aml_raw(Aml *a, const void *bytes, size_t len);
/* A reference to, or the place of, a name: "\\_SB.PCI0", "^LNKA", "X".  Segments are filled up with
 * '_'. */
void aml_path(Aml *a, const char *path);

/* ---- Operators without length: the operands follow ---- */
enum AmlOp {
    AML_NAME = 0x08,
    AML_STORE = 0x70,
    AML_ADD = 0x72, /* left right target */
    AML_SUBTRACT = 0x74,
    AML_SHIFT_LEFT = 0x79,
    AML_SHIFT_RIGHT = 0x7a,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_XOR = 0x7f,
    AML_SIZE_OF = 0x87,
    AML_INDEX = 0x88, /* source index target */
    AML_DEREF_OF = 0x83,
    AML_CREATE_DWORD = 0x8a, /* source byte-index name */
    AML_CREATE_WORD = 0x8b,
    AML_CREATE_BYTE = 0x8c,
    AML_CREATE_QWORD = 0x8f,
    AML_LAND = 0x90,
    AML_LOR = 0x91,
    AML_LNOT = 0x92,
    AML_LEQUAL = 0x93,
    AML_LGREATER = 0x94,
    AML_LLESS = 0x95,
    AML_RETURN = 0xa4,
    AML_NOTIFY = 0x86, /* object value */
    AML_RELEASE = 0x5b27, /* mutex */
};
void aml_op(Aml *a, unsigned op);
void aml_arg(Aml *a, unsigned n);   /* Arg0 .. Arg6 */
void aml_local(Aml *a, unsigned n); /* Local0 .. Local7 */
void aml_no_target(Aml *a);         /* the result is only the value of the expression */
/* Name (path, ...) with the object that follows, and with the usual kinds of object. */
void aml_name(Aml *a, const char *path);
void aml_name_int(Aml *a, const char *path, uint64_t value);
void aml_name_string(Aml *a, const char *path, const char *text);
void aml_name_eisa_id(Aml *a, const char *path, const char *id);

void aml_mutex(Aml *a, const char *path);       /* sync level 0 */
void aml_acquire(Aml *a, const char *mutex);    /* waits without end */

/* ---- Terms with length, closed by aml_end ---- */
enum { AML_NOT_SERIALIZED, AML_SERIALIZED };
void aml_scope(Aml *a, const char *path);
void aml_device(Aml *a, const char *path);
/* block: I/O address of P_BLK, `len` 6, or both 0. */
void aml_processor(Aml *a, const char *path, uint8_t id, uint32_t block, uint8_t len);
void aml_method(Aml *a, const char *path, unsigned args, int serialized);
void aml_if(Aml *a);    /* the predicate follows */
void aml_else(Aml *a);  /* right behind the aml_end of an If */
void aml_while(Aml *a); /* the predicate follows */
void aml_package(Aml *a, unsigned elements);
void aml_buffer(Aml *a, const void *bytes, size_t len); /* a whole buffer: no aml_end */
void aml_end(Aml *a);

/* ---- Operation regions and fields (20.2.5.2) ---- */
enum { AML_SYSTEM_MEMORY, AML_SYSTEM_IO, AML_PCI_CONFIG };
enum { AML_ANY_ACC, AML_BYTE_ACC, AML_WORD_ACC, AML_DWORD_ACC, AML_QWORD_ACC };
enum { AML_PRESERVE = 0 << 5, AML_WRITE_AS_ONES = 1 << 5, AML_WRITE_AS_ZEROS = 2 << 5 };
enum { AML_NO_LOCK = 0, AML_LOCK = 1 << 4 };
void aml_region(Aml *a, const char *path, unsigned space, uint64_t at, uint64_t len);
void aml_field(Aml *a, const char *region, unsigned access,
               unsigned flags);                         /* flags: lock | update rule */
void aml_unit(Aml *a, const char *name, unsigned bits); /* name NULL: skipped bits */

/* ---- Resource templates (6.4): a buffer term, closed by aml_resources_end ---- */
enum { AML_CONSUMER = 1, AML_PRODUCER = 0 };
enum {
    AML_EDGE = 1 << 1,
    AML_LEVEL = 0,
    AML_ACTIVE_LOW = 1 << 2,
    AML_ACTIVE_HIGH = 0,
    AML_SHARED = 1 << 3
};
enum {
    AML_NOT_CACHEABLE = 0,
    AML_CACHEABLE = 1 << 1,
    AML_WRITE_COMBINING = 2 << 1,
    AML_PREFETCHABLE = 3 << 1
};
void aml_resources(Aml *a);
void aml_resources_end(Aml *a);
void aml_io(Aml *a, uint16_t min, uint16_t max, uint8_t align, uint8_t len); /* 16-bit decoding */
void aml_irq(Aml *a, unsigned irq);                                          /* edge, active high */
void aml_dma(Aml *a, unsigned channel);                              /* compatible, 8 bits */
void aml_memory32(Aml *a, bool writable, uint32_t at, uint32_t len); /* Memory32Fixed */
void aml_interrupts(Aml *a, unsigned flags, const uint32_t *lines,
                    uint8_t n); /* extended, consumer */
/* Windows of a bridge: producer, both ends fixed, positive decoding. */
void aml_word_bus(Aml *a, uint16_t first, uint16_t last);
void aml_word_io(Aml *a, uint16_t first, uint16_t last);
void aml_dword_memory(Aml *a, unsigned caching, uint32_t first, uint32_t last);
void aml_qword_memory(Aml *a, unsigned caching, uint64_t first, uint64_t last);

#endif
