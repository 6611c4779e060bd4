#include "mem/ram.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/error.h"
#include "mem/host.h"
#include "mem/internal.h"

struct RamBlock {
    char *name;
    uint8_t *host;
    uint64_t size;
    size_t mapped; /* size, rounded to the page size of the backing */
    bool shared;   /* writes reach the file */
    bool discard;  /* RamOptions.discard */
    int fd;
    /* One bit a page, set while it is clean, so that the map of much memory is lazy zeroes; NULL: nobody tracks. */
    _Atomic(uint64_t *) clean[DIRTY_CLIENTS];
    atomic_uint refs;
};

static GPtrArray *blocks; /* main lock */
RamWatch ram_watch;

/* Large blocks start at a huge page's border and ask for such pages; small ones would only waste
 * them. */
enum { HUGE = 2 << 20, LARGE = 64 << 20 };

static bool on_huge_pages(int fd, uint64_t *page)
{
    struct statfs fs;
    bool huge = fd >= 0 && !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC;
    *page = huge ? (uint64_t)fs.f_bsize : RAM_PAGE;
    return huge;
}

/* `len` bytes of the descriptor, or of nothing, at a multiple of `align`; MAP_FAILED with errno. */
static uint8_t *map_aligned(uint64_t len, uint64_t align, int prot, int flags, int fd)
{
    uint8_t *room = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        return MAP_FAILED;
    }
    uint8_t *p = (uint8_t *)(((uintptr_t)room + align - 1) & ~(uintptr_t)(align - 1));
    if (mmap(p, len, prot, flags | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int code = errno;
        munmap(room, len + align);
        errno = code;
        return MAP_FAILED;
    }
    if (p > room) {
        munmap(room, (size_t)(p - room));
    }
    if (room + align > p) {
        munmap(p + len, (size_t)(room + align - p));
    }
    return p;
}

static bool map(RamBlock *b, const RamOptions *o, GError **error)
{
    uint64_t page;
    bool huge = on_huge_pages(b->fd, &page);
    bool large = b->fd < 0 && b->size >= LARGE;
    b->mapped = (b->size + page - 1) & ~(page - 1);
    b->shared = b->fd >= 0 && o->share;
    bool reserve = o->reserve == RAM_RESERVE_ON || (o->reserve == RAM_RESERVE_AUTO && huge);
    int flags = (b->shared ? MAP_SHARED : MAP_PRIVATE) | (b->fd < 0 ? MAP_ANONYMOUS : 0) | (reserve ? 0 : MAP_NORESERVE);
    b->host = map_aligned(b->mapped, MAX(MAX(page, o->align), large ? HUGE : 0),
                          o->readonly ? PROT_READ : PROT_READ | PROT_WRITE, flags, b->fd);
    if (b->host == MAP_FAILED) {
        return error_fail_errno(error, errno, "cannot set up guest memory '%s' of %" PRIu64 " bytes", b->name, b->size);
    }
    if (large) {
        madvise(b->host, b->mapped, MADV_HUGEPAGE);
    }
    madvise(b->host, b->mapped, MADV_DONTFORK);
    if (o->merge) {
        madvise(b->host, b->mapped, MADV_MERGEABLE);
    }
    if (!o->dump) {
        madvise(b->host, b->mapped, MADV_DONTDUMP);
    }
    return true;
}

static void release(RamBlock *b)
{
    if (b->host && b->host != MAP_FAILED) {
        munmap(b->host, b->mapped);
    }
    if (b->fd >= 0) {
        close(b->fd);
    }
    g_free(b->name);
    g_free(b);
}

RamBlock *ram_new(const char *name, uint64_t size, const RamOptions *options, GError **error)
{
    static const RamOptions plain = {.dump = true};
    const RamOptions *o = options ? options : &plain;
    RamBlock *b = g_new0(RamBlock, 1);
    b->name = g_strdup(name);
    b->fd = -1;
    b->refs = 1;
    b->size = size;
    b->discard = o->kind == RAM_FILE && o->discard;
    if ((o->kind != RAM_ANON && (b->fd = ram_backing_open(name, size, o, error)) < 0) || !map(b, o, error) ||
        !ram_backing_place(name, b->host, b->mapped, o, error) ||
        (o->prealloc && !o->readonly &&
         !ram_backing_populate(name, b->host, b->mapped, o->prealloc_threads, error))) {
        release(b);
        return NULL;
    }
    if (!blocks) {
        blocks = g_ptr_array_new();
    }
    g_ptr_array_add(blocks, b);
    return b;
}

/* Where it is not the file's own memory, there is nothing to give back. */
static void discard_file(RamBlock *b)
{
    if (b->discard && b->shared) {
        madvise(b->host, b->mapped, MADV_REMOVE);
    }
}

RamBlock *ram_ref(RamBlock *b)
{
    b->refs++;
    return b;
}

void ram_unref(RamBlock *b)
{
    if (--b->refs) {
        return;
    }
    discard_file(b);
    for (unsigned i = 0; i < DIRTY_CLIENTS; i++) {
        g_free(b->clean[i]);
    }
    release(b);
}

void ram_exit(void)
{
    for (unsigned i = 0; blocks && i < blocks->len; i++) {
        discard_file(g_ptr_array_index(blocks, i));
    }
}

void ram_free(RamBlock *b)
{
    if (b) {
        g_ptr_array_remove(blocks, b);
        ram_unref(b);
    }
}

const char *ram_name(const RamBlock *b)
{
    return b->name;
}
uint64_t ram_size(const RamBlock *b)
{
    return b->size;
}
int ram_fd(const RamBlock *b)
{
    return b->fd;
}
void *ram_host(const RamBlock *b)
{
    return b->host;
}

void ram_foreach(void (*fn)(void *arg, RamBlock *b), void *arg)
{
    for (unsigned i = 0; blocks && i < blocks->len; i++) {
        fn(arg, g_ptr_array_index(blocks, i));
    }
}

void ram_read(const RamBlock *b, uint64_t offset, void *buf, size_t len)
{
    assert(offset <= b->size && len <= b->size - offset);
    memcpy(buf, b->host + offset, len);
}

void ram_write(RamBlock *b, uint64_t offset, const void *buf, size_t len)
{
    assert(offset <= b->size && len <= b->size - offset);
    memcpy(b->host + offset, buf, len);
    ram_dirty_set(b, offset, len);
}

void ram_discard(RamBlock *b, uint64_t offset, uint64_t len)
{
    assert(offset <= b->size && len <= b->size - offset);
    uint64_t first = (offset + RAM_PAGE - 1) / RAM_PAGE * RAM_PAGE,
             last = (offset + len) / RAM_PAGE * RAM_PAGE;
    if (first >= last) {
        return;
    }
    if (b->shared) {
        fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first,
                  (off_t)(last - first));
    }
    madvise(b->host + first, last - first, MADV_DONTNEED);
    ram_dirty_set(b, first, last - first);
}

/* ---- Dirty pages ---- */

static size_t bitmap_words(const RamBlock *b)
{
    return (b->size / RAM_PAGE + 64) / 64;
}

void ram_dirty_track(RamBlock *b, DirtyClient client, bool on)
{
    uint64_t *map = b->clean[client];
    if (on && !map) {
        b->clean[client] = g_new0(uint64_t, bitmap_words(b)); /* nobody has seen anything yet */
    } else if (!on && map) { /* the map stays until the block goes: a vCPU may be clearing a bit in it */
        memset(map, 0xff, bitmap_words(b) * sizeof(*map));
    }
}

/* Calls on each word of [first, last] pages with the mask of bits that belong to it, until it
 * returns true. */
#define FOR_WORDS(map, offset, len, word, bits)                                                    \
    for (uint64_t first_ = (offset) / RAM_PAGE, last_ = ((offset) + (len)-1) / RAM_PAGE,           \
                  w_ = first_ / 64, bits;                                                          \
         w_ <= last_ / 64 &&                                                                       \
         (bits = (w_ == first_ / 64 ? UINT64_MAX << first_ % 64 : UINT64_MAX) &                    \
                 (w_ == last_ / 64 ? UINT64_MAX >> (63 - last_ % 64) : UINT64_MAX)) != 0;          \
         w_++)                                                                                     \
        for (_Atomic uint64_t *word = (_Atomic uint64_t *)&(map)[w_]; word; word = NULL)

void ram_dirty_set_client(RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len)
{
    uint64_t *map = b->clean[client];
    if (map && len) {
        FOR_WORDS(map, offset, len, word, bits)
        {
            if (atomic_load_explicit(word, memory_order_relaxed) & bits) {
                atomic_fetch_and_explicit(word, ~bits, memory_order_release);
            }
        }
    }
}

static bool any_code(const RamBlock *b, uint64_t offset, uint64_t len)
{
    const uint64_t *map = b->clean[DIRTY_CODE];
    for (uint64_t page = offset / RAM_PAGE; map && len && page <= (offset + len - 1) / RAM_PAGE; page++) {
        if (map[page / 64] >> page % 64 & 1) {
            return true;
        }
    }
    return false;
}

void ram_dirty_set(RamBlock *b, uint64_t offset, uint64_t len)
{
    if (G_UNLIKELY(ram_watch.code_written) && any_code(b, offset, len)) {
        ram_watch.code_written(b, offset, len); /* it marks the pages dirty once their code is gone */
    }
    ram_dirty_set_client(b, DIRTY_VGA, offset, len);
    ram_dirty_set_client(b, DIRTY_MIGRATION, offset, len);
}

bool ram_dirty_everywhere(const RamBlock *b, uint64_t offset)
{
    for (DirtyClient c = 0; c < DIRTY_CLIENTS; c++) {
        if (b->clean[c] && !ram_dirty_any(b, c, offset & ~(uint64_t)(RAM_PAGE - 1), 1)) {
            return false;
        }
    }
    return true;
}

void ram_code_mark(RamBlock *b, uint64_t offset)
{
    static GMutex making; /* several CPUs may meet the first code of a block at once */
    if (!b->clean[DIRTY_CODE]) {
        g_mutex_lock(&making);
        ram_dirty_track(b, DIRTY_CODE, true);
        g_mutex_unlock(&making);
    }
    ram_dirty_take(b, DIRTY_CODE, offset & ~(uint64_t)(RAM_PAGE - 1), 1);
}

bool ram_code_marked(const RamBlock *b, uint64_t offset)
{
    return any_code(b, offset, 1);
}

bool ram_dirty_any(const RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len)
{
    uint64_t *map = b->clean[client];
    bool any = false;
    if (map && len) {
        FOR_WORDS(map, offset, len, word, bits)
        {
            any |= (~atomic_load_explicit(word, memory_order_relaxed) & bits) != 0;
        }
    }
    return any;
}

bool ram_dirty_take(RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len)
{
    uint64_t *map = b->clean[client];
    bool any = false;
    if (map && len) {
        FOR_WORDS(map, offset, len, word, bits)
        {
            if (~atomic_load_explicit(word, memory_order_relaxed) & bits) {
                any |= (~atomic_fetch_or_explicit(word, bits, memory_order_acq_rel) & bits) != 0;
            }
        }
    }
    if (any && ram_watch.cleaned) {
        ram_watch.cleaned(b, offset, len);
    }
    return any;
}
