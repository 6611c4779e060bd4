/* RAM blocks: where guest memory comes from, and which of its pages were written. */
#ifndef MEM_RAM_H
#define MEM_RAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem/region.h"

typedef enum RamKind { RAM_ANON, RAM_MEMFD, RAM_FILE } RamKind;
enum { RAM_HOST_NODES = 128 };
typedef struct RamOptions {
    RamKind kind;
    const char *path;                   /* RAM_FILE: a file, or a directory (hugetlbfs) where one is made */
    bool share;                         /* writes reach the file; other processes see them */
    bool prealloc;                      /* back every page now, with `prealloc_threads` (0: one per host CPU, at most 16) */
    unsigned prealloc_threads;
    bool hugetlb;                       /* RAM_MEMFD from huge pages of `hugetlb_size` bytes (0: default size) */
    uint64_t hugetlb_size;
    bool seal;                          /* RAM_MEMFD: its size cannot change any more */
    uint64_t align;                     /* bytes, a power of two: where the memory begins in this process; 0: as it comes */
    bool discard;                       /* RAM_FILE: nobody wants the file's contents when the block is gone */
    bool merge, dump;                   /* MADV_MERGEABLE; part of core dumps */
    bool readonly;
    /* Whether the host sets memory aside before it is touched: for huge pages by default, since there the first touch
     * would kill us where none is left. */
    enum RamReserve { RAM_RESERVE_AUTO, RAM_RESERVE_ON, RAM_RESERVE_OFF } reserve;
    enum RamPolicy { RAM_POLICY_DEFAULT, RAM_POLICY_PREFERRED, RAM_POLICY_BIND, RAM_POLICY_INTERLEAVE } policy;
    uint64_t host_nodes[RAM_HOST_NODES / 64];   /* bit per NUMA node of the host, for the policy */
} RamOptions;

enum { RAM_PAGE = 4096 };
typedef enum DirtyClient { DIRTY_VGA, DIRTY_CODE, DIRTY_MIGRATION, DIRTY_CLIENTS } DirtyClient;

/* `size` bytes, zeroed, reserved lazily unless prealloc.  options NULL: anonymous.  The error names `name` and says how
 * much was asked.  Blocks are listed by name for migration; names are unique. */
RamBlock *ram_new(const char *name, uint64_t size, const RamOptions *options, GError **error);
/* No region may show it any more.  It is no longer listed; its memory goes with the last reference. */
void ram_free(RamBlock *b);
RamBlock *ram_ref(RamBlock *b);         /* for who uses the memory past a return to the main loop.  Any thread */
void ram_unref(RamBlock *b);
void ram_exit(void);                    /* the program ends: files give back what their options say nobody wants */
const char *ram_name(const RamBlock *b);
uint64_t ram_size(const RamBlock *b);
int ram_fd(const RamBlock *b);          /* -1 for anonymous memory */
void ram_foreach(void (*fn)(void *arg, RamBlock *b), void *arg);

/* Copies within the block, for firmware loading and displays; out of range is our mistake (assert). */
void ram_read(const RamBlock *b, uint64_t offset, void *buf, size_t len);
void ram_write(RamBlock *b, uint64_t offset, const void *buf, size_t len);      /* marks dirty */

/* Give whole pages within the range back to the host; they read as zeros afterwards where that could be done. */
void ram_discard(RamBlock *b, uint64_t offset, uint64_t len);

/* Dirty pages.  A client's bitmap exists from its first ram_dirty_track(on) on.  Any thread. */
void ram_dirty_track(RamBlock *b, DirtyClient client, bool on);
void ram_dirty_set(RamBlock *b, uint64_t offset, uint64_t len);         /* for all tracking clients */
void ram_dirty_set_client(RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len);
bool ram_dirty_any(const RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len);
bool ram_dirty_take(RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len);    /* any, and clear them */
/* Every client that tracks has the page of `offset` as dirty: one more write to it changes nothing. */
bool ram_dirty_everywhere(const RamBlock *b, uint64_t offset);

/* A page that is clean for DIRTY_CODE holds code that the software CPU has decoded.  ram_code_mark makes it so, tracking from
 * the first call on. */
void ram_code_mark(RamBlock *b, uint64_t offset);
bool ram_code_marked(const RamBlock *b, uint64_t offset);
/* What the software CPU wants to hear, NULL: nothing.  Any thread. */
typedef struct RamWatch {
    void (*cleaned)(RamBlock *b, uint64_t offset, uint64_t len);        /* pages became clean for some client           */
    void (*code_written)(RamBlock *b, uint64_t offset, uint64_t len);   /* not by a CPU: code in there may have changed */
} RamWatch;
extern RamWatch ram_watch;

#endif
