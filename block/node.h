/* Nodes: the graph below a drive.  A node is one instance of a driver: a protocol (file, null-co ...), a format (raw ...)
 * or a filter, with children named `file` and `backing`.
 *
 * The functions of a driver are coroutines of the loop that owns the graph (main here) and see requests that are within
 * bounds and aligned to the node's request_align, in memory aligned to its memory_align: the functions below do bounds,
 * read-modify-write, bouncing, zeros behind the end, flushes behind writes.  Results are 0 or -errno. */
#ifndef BLOCK_NODE_H
#define BLOCK_NODE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "block/iov.h"
#include "block/range-lock.h"

typedef struct BlockNode BlockNode;
typedef struct BlockDriver BlockDriver;

enum {                                  /* flags of a request */
    BLOCK_FUA = 1,                      /* on the medium before it ends */
    BLOCK_MAY_UNMAP = 2,                /* write zeroes: need not stay allocated */
};

typedef struct NodeMode {               /* how a graph is opened; children inherit it */
    bool readonly;
    bool direct;                        /* around the host's page cache */
    bool no_flush;                      /* flushes are ignored */
    bool unmap;                         /* discards are passed on */
} NodeMode;

struct BlockDriver {
    const char *name;
    const char *doc;                    /* one line for help */
    size_t size;                        /* of the struct, which begins with a BlockNode */
    bool protocol;                      /* needs no child `file` */
    bool hidden;                        /* not for people to name */
    /* Takes what it knows out of options (nested ones with dotted keys); sets length, and the alignments when they
     * are not 1.  Blocking calls are allowed.  On failure close is not called. */
    bool (*open)(BlockNode *n, GHashTable *options, GError **error);
    void (*close)(BlockNode *n);        /* children are released afterwards */
    int (*co_preadv)(BlockNode *n, int64_t offset, const IoVec *iov);
    int (*co_pwritev)(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags);
    int (*co_flush)(BlockNode *n);      /* NULL: flush the children */
    /* NULL or -ENOTSUP: discards are dropped, zeroes are written. */
    int (*co_pdiscard)(BlockNode *n, int64_t offset, int64_t bytes);
    int (*co_pwrite_zeroes)(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags);
    int64_t (*co_getlength)(BlockNode *n);      /* asks anew, when others may have changed it; NULL: .length is it */
    int (*co_truncate)(BlockNode *n, int64_t length);
    bool fua;                           /* co_pwritev and co_pwrite_zeroes honour BLOCK_FUA */
};

struct BlockNode {
    const BlockDriver *driver;
    char *name;                         /* node name, "#block012" when the user gave none */
    char *filename;                     /* for people; may be NULL */
    unsigned refs;
    NodeMode mode;
    BlockNode *file, *backing;          /* children, owned references */
    int64_t length;                     /* bytes; reads behind it give zeros */
    unsigned request_align, memory_align;       /* powers of two */
    bool probed;                        /* nobody said that this is raw: see raw.c */
    RangeLock writes;
};

/* Open a graph: driver=NAME and its options, with those of children behind "file." and "backing.".  Left-over keys are
 * errors.  The reference is the caller's. */
BlockNode *node_open(GHashTable *options, const NodeMode *mode, GError **error);
/* A node of a driver that needs no options, for filters and tests: fields zero, opened by `open` with none. */
BlockNode *node_new(const BlockDriver *driver, const NodeMode *mode);
BlockNode *node_ref(BlockNode *n);
void node_unref(BlockNode *n);          /* NULL is fine */
const BlockDriver *block_driver_find(const char *name);
char *block_driver_list(void);          /* "raw, file, ..." */

int64_t node_length(const BlockNode *n);
/* Inside coroutines. */
int node_co_preadv(BlockNode *n, int64_t offset, const IoVec *iov);
int node_co_pwritev(BlockNode *n, int64_t offset, const IoVec *iov, unsigned flags);
int node_co_pread(BlockNode *n, int64_t offset, void *buf, size_t bytes);
int node_co_pwrite(BlockNode *n, int64_t offset, const void *buf, size_t bytes, unsigned flags);
int node_co_flush(BlockNode *n);
int node_co_pdiscard(BlockNode *n, int64_t offset, int64_t bytes);
int node_co_pwrite_zeroes(BlockNode *n, int64_t offset, int64_t bytes, unsigned flags);
int node_co_truncate(BlockNode *n, int64_t length);
int64_t node_co_getlength(BlockNode *n);
/* The same, for open functions and probing: waits. */
int node_pread_sync(BlockNode *n, int64_t offset, void *buf, size_t bytes);

/* A temporary copy-on-write layer: reads come from `base` until they are written, writes go to an unlinked file in
 * $TMPDIR or /var/tmp.  Takes over the reference to base, in failure too. */
BlockNode *overlay_new(BlockNode *base, GError **error);

/* The format that the first bytes of an image are a sign of ("qcow2", "vmdk" ...), or "raw". */
const char *format_probe(const uint8_t *head, size_t len);

#endif
