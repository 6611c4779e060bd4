/* Guest memory and port maps: a tree of regions to edit, a flat sorted array to read.
 *
 * Edits (map, unmap, enable ...) take effect at mem_commit(), which flattens every changed space, publishes the new view
 * and tells listeners the difference.  The device core commits after each settle and the loop when it releases the main
 * lock, so a device just edits.  Edits need the main lock; lookups never lock (old views are freed once every registered
 * reader has been quiescent).
 *
 * Overlaps: the higher priority wins; among equals the one mapped last. A container shows what lies below it where it has
 * no child; a disabled region is transparent. */
#ifndef MEM_REGION_H
#define MEM_REGION_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Region Region;
typedef struct Space Space;
typedef struct RamBlock RamBlock;

/* A device window.  Accesses of `min`..`max` bytes reach the functions; others are split or widened by the core.
 * `at` is relative to the region.  Main lock held.  0 means: min 1, max 8. */
typedef struct IoOps {
    uint64_t (*read)(void *opaque, uint64_t at, unsigned size);
    void (*write)(void *opaque, uint64_t at, unsigned size, uint64_t value);
    uint8_t min, max;
} IoOps;

/* ---- Regions.  Freed by their maker, after unmapping; a region is mapped in one place at most (use aliases). ---- */
Region *region_container(const char *name, uint64_t size);
Region *region_ram(const char *name, RamBlock *block, uint64_t offset, uint64_t size);
Region *region_rom(const char *name, RamBlock *block, uint64_t offset, uint64_t size);  /* writes are ignored */
/* Reads come from memory, writes go to ops (flash); region_romd(r, false) sends reads there too. */
Region *region_romd_new(const char *name, RamBlock *block, const IoOps *ops, void *opaque, uint64_t size);
Region *region_io(const char *name, uint64_t size, const IoOps *ops, void *opaque);
Region *region_alias(const char *name, Region *of, uint64_t offset, uint64_t size);
void region_free(Region *r);            /* unmaps it first; NULL is fine */

void region_map(Region *parent, Region *r, uint64_t at, int priority);
void region_unmap(Region *r);           /* fine when not mapped */
bool region_mapped(const Region *r);
/* Edits of a mapped region.  Each is free when nothing changes, so update() may just call them. */
void region_move(Region *r, uint64_t at);
void region_set_enabled(Region *r, bool enabled);
void region_set_readonly(Region *r, bool readonly);
void region_set_alias(Region *r, uint64_t offset);
void region_set_size(Region *r, uint64_t size);
void region_romd(Region *r, bool reads_from_memory);
const char *region_name(const Region *r);
uint64_t region_size(const Region *r);
RamBlock *region_ram_block(const Region *r);            /* NULL when it is no RAM */
void *region_opaque(const Region *r);

/* Small writes to this window may be buffered by the accelerator and delivered before the next exit (VGA memory). */
void region_set_coalesced(Region *r, bool coalesced);
/* Dirty pages of this RAM window are wanted by client `client` (enum DirtyClient of mem/ram.h). */
void region_set_logged(Region *r, unsigned client, bool on);
/* A guest's write of `data` (match) or anything (!match) in `size` bytes (0: any) at `at` signals eventfd. */
void region_add_eventfd(Region *r, uint64_t at, unsigned size, bool match, uint64_t data, int fd);
void region_del_eventfd(Region *r, uint64_t at, unsigned size, bool match, uint64_t data, int fd);

/* ---- Spaces ---- */
Space *space_new(const char *name, uint64_t size);      /* size 0: 2^64 */
void space_free(Space *s);
Region *space_root(Space *s);           /* a container of the space's size */
const char *space_name(const Space *s);
void mem_commit(void);                  /* all spaces; free when nothing was edited */
extern bool mem_edited;                 /* an edit waits for mem_commit */

/* The spaces of the machine, made at first use. */
Space *space_memory(void);
Space *space_io(void);

/* ---- Access.  Any thread, main lock held or not: device windows are reached under the lock. ----
 * True when every byte was answered by RAM, ROM or a device; unassigned memory reads as ones and swallows writes. */
bool space_rw(Space *s, uint64_t at, void *buf, size_t len, bool write);
bool space_read(Space *s, uint64_t at, void *buf, size_t len);
bool space_write(Space *s, uint64_t at, const void *buf, size_t len);
/* Like space_write, and into ROM as well: loaders and debuggers. */
bool space_write_rom(Space *s, uint64_t at, const void *buf, size_t len);
/* One access of 1, 2, 4 or 8 bytes, as a CPU makes it. */
uint64_t space_load(Space *s, uint64_t at, unsigned size);
void space_store(Space *s, uint64_t at, unsigned size, uint64_t value);
/* Debugger's read: memory only, no device is disturbed.  False where there is none. */
bool space_peek(Space *s, uint64_t at, void *buf, size_t len);

/* ---- The flat view, for accelerators and for those who print it ---- */
typedef struct FlatRange {
    uint64_t at, size;                  /* in the space; size 0 stands for 2^64 in an empty space only */
    Region *region;
    uint64_t offset;                    /* of `at` within the region */
    bool readonly;                      /* RAM that only reads (ROM, write-protected PAM segment) */
    bool romd;                          /* reads from memory, writes to ops */
    bool coalesced;
    uint8_t logged;                     /* bit per DirtyClient */
} FlatRange;

typedef struct MemListener MemListener;
struct MemListener {                    /* called in mem_commit, main lock held */
    void (*begin)(MemListener *l);
    void (*del)(MemListener *l, const FlatRange *fr);   /* ranges that went, then ranges that came */
    void (*add)(MemListener *l, const FlatRange *fr);
    void (*log)(MemListener *l, const FlatRange *fr);   /* only .logged changed */
    void (*commit)(MemListener *l);
    void (*log_sync)(MemListener *l, const FlatRange *fr);      /* bring dirty bits into the RAM block */
    void (*eventfd)(MemListener *l, uint64_t at, unsigned size, bool match, uint64_t data, int fd, bool add);
    Space *space;                       /* set by mem_listen */
};
void mem_listen(MemListener *l, Space *s);              /* replays the current view as adds */
void mem_unlisten(MemListener *l);
/* Calls log_sync of every listener for the ranges that show this block. */
void mem_sync_dirty(RamBlock *block);

/* The range that covers `at`, or NULL.  Valid until the calling thread is next quiescent. */
const FlatRange *space_find(Space *s, uint64_t at);
bool flat_range_is_ram(const FlatRange *fr);
/* One device access within a range, under the main lock, cut to the sizes that its ops take. */
uint64_t range_load(const FlatRange *fr, uint64_t at, unsigned size);
void range_store(const FlatRange *fr, uint64_t at, unsigned size, uint64_t value);
void space_foreach_range(Space *s, void (*fn)(void *arg, const FlatRange *fr), void *arg);
/* `info mtree` (flat: `-f`).  Appends. */
void space_print(Space *s, GString *out, bool flat);

/* A thread that looks up ranges without the main lock registers, and says at times that it holds no pointer. */
void mem_reader_register(void);
void mem_reader_unregister(void);
void mem_quiescent(void);

#endif
