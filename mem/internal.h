/* Shared by mem/'s own files. */
#ifndef MEM_INTERNAL_H
#define MEM_INTERNAL_H

#include "mem/ram.h"

typedef enum RegionKind { REGION_CONTAINER, REGION_RAM, REGION_ROMD, REGION_IO, REGION_ALIAS } RegionKind;

typedef struct EventFd {
    uint64_t at, data;
    unsigned size;
    bool match;
    int fd;
} EventFd;

struct Region {
    char *name;
    RegionKind kind;
    uint64_t size;
    Region *parent;
    uint64_t at;                        /* in the parent */
    int priority;
    GPtrArray *children;                /* containers: highest priority first, among equals the newest first */
    bool enabled, readonly, romd, coalesced;
    uint8_t logged;
    RamBlock *block;                    /* RAM, ROM, ROMD */
    uint64_t offset;                    /* in the block, or in the alias's target */
    Region *target;                     /* alias */
    const IoOps *ops;
    void *opaque;
    GArray *eventfds;                   /* of EventFd, or NULL */
};

typedef struct View {                   /* a flat view; published by pointer, freed after a grace period */
    unsigned n;
    FlatRange ranges[];
} View;

struct Space {
    char *name;
    Region *root;
    _Atomic(View *) view;
    GPtrArray *listeners;
    GArray *eventfds;                   /* of EventFd with absolute addresses, as told to the listeners */
};

/* ram-backing.c: each names the block in its error.  A descriptor, or -1; */
int ram_backing_open(const char *name, uint64_t size, const RamOptions *o, GError **error);
/* the host's nodes that the pages come from, before any is touched; */
bool ram_backing_place(const char *name, void *at, size_t len, const RamOptions *o, GError **error);
/* and every page now. */
bool ram_backing_populate(const char *name, void *at, size_t len, unsigned threads, GError **error);

View *space_view(Space *s);
void region_edited(void);
/* The flat list of a region tree, as a GArray of FlatRange, sorted; eventfds (may be NULL) are gathered on the way. */
GArray *region_flatten(Region *root, GArray *eventfds);

#endif
