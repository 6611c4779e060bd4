/* Between dump's files. */
#ifndef DUMP_INTERNAL_H
#define DUMP_INTERNAL_H

#include "core/error.h"
#include "dump/dump.h"

enum { DUMP_PAGE = 4096 };

typedef struct DumpRange { /* guest memory in the file: whole, disjoint, in order of address */
    uint64_t at, size;     /* physical */
    uint64_t before;       /* bytes of all ranges before this one */
} DumpRange;

typedef struct DumpMap { /* of a program header; within one range */
    uint64_t virtual, physical, size;
} DumpMap;

typedef struct DumpOutput {
    int fd, cancel;       /* an eventfd that ends the waiting for a slow reader */
    bool patient;         /* waits for as long as it takes                      */
    bool slow, socket;    /* it may block: a pipe, a terminal ...               */
    size_t used;
    uint8_t buffer[256 << 10];
} DumpOutput;

typedef struct Dump {
    DumpRequest request;
    GArray *ranges; /* DumpRange */
    GArray *maps;   /* DumpMap, by virtual address */
    GByteArray *notes;
    bool long_mode; /* of the first CPU: which registers the notes have */
    bool wide;      /* ELF64, and the 64-bit form of kdump's headers    */
    unsigned cpus;
    uint64_t total;
    DumpOutput *out;
} Dump;

/* ranges.c.  Main lock held, CPUs in sync. */
bool dump_find_ranges(Dump *d, GError **error);
bool dump_find_maps(Dump *d, GError **error);
const DumpRange *dump_range_at(const Dump *d, uint64_t physical); /* NULL */
/* Bytes of a range; what went away meanwhile reads as zeros. */
void dump_read(uint64_t physical, void *buf, size_t len);

/* notes.c: NT_PRSTATUS of each CPU, then QEMU's note of each.  Main lock held. */
void dump_make_notes(Dump *d);

/* output.c: in order, through the buffer. */
DumpOutput *dump_open(int fd, bool patient);
void dump_cancel(DumpOutput *o); /* any thread */
bool dump_put(DumpOutput *o, const void *buf, size_t len, GError **error);
bool dump_finish(DumpOutput *o, GError **error); /* what waits in the buffer */
void dump_close(DumpOutput *o);                  /* closes fd and frees */

/* The formats; on the dump's thread. */
bool dump_write_elf(Dump *d, GError **error);
bool dump_write_kdump(Dump *d, GError **error);
void dump_advance(uint64_t bytes); /* progress */

#endif
