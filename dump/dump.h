/* Guest memory as a file: ELF cores that gdb and crash open, and the kdump-compressed format of makedumpfile.
 *
 * The machine stands still while a dump is written.  What the file holds is decided on the main thread; the bytes are read
 * and written there too, or, detached, by a thread of its own, without the main lock and without memory for the whole.  One
 * dump at a time. */
#ifndef DUMP_DUMP_H
#define DUMP_DUMP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum DumpFormat {
    DUMP_ELF,
    DUMP_KDUMP_ZLIB, /* flattened, as `makedumpfile -F` writes it: may go into a pipe */
} DumpFormat;

typedef enum DumpStatus { DUMP_NONE, DUMP_ACTIVE, DUMP_COMPLETED, DUMP_FAILED } DumpStatus;

typedef struct DumpRequest {
    DumpFormat format;
    bool paging;            /* ELF: program headers by virtual address, from the page tables of every CPU */
    bool filter;            /* ELF: only physical memory from `begin` on, `length` bytes of it            */
    uint64_t begin, length;
    int fd;                 /* written from where it stands; dump_start takes it, also when it fails      */
    bool detach;            /* dump_start returns at once; dump_hooks.completed tells the end             */
} DumpRequest;

typedef struct DumpProgress {
    DumpStatus status;
    uint64_t completed, total; /* bytes of guest memory */
} DumpProgress;

/* Stops the machine (run state save-vm), writes, and lets it go on if it ran.  False: the dump failed, and with `detach`
 * that it could not begin.  Without `detach`, a reader that takes nothing for half a minute is an error.  Main thread, main
 * lock held. */
bool dump_start(const DumpRequest *request, GError **error);
DumpProgress dump_progress(void); /* of this dump or the last one */
void dump_abandon(void);          /* at exit: ends a detached dump that is under way, without a word */

/* What a higher layer wants to hear; main thread.  `error`: NULL unless it failed. */
typedef struct DumpHooks {
    void (*completed)(const DumpProgress *progress, const char *error);
} DumpHooks;
extern DumpHooks dump_hooks;

#endif
