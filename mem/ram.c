#include "mem/ram.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/error.h"
#include "mem/host.h"

struct RamBlock {
    char *name;
    uint8_t *host;
    uint64_t size;
    size_t mapped; /* size, rounded to the page size of the backing */
    bool shared;   /* writes reach the file */
    int fd;
    _Atomic(uint64_t *) dirty[DIRTY_CLIENTS]; /* one bit a page; NULL: nobody tracks */
    atomic_uint refs;
};

static GPtrArray *blocks; /* main lock */
RamWatch ram_watch;

/* Large blocks start at a huge page's border and ask for such pages; small ones would only waste
 * them. */
enum { HUGE = 2 << 20, LARGE = 64 << 20 };

static int open_file(const RamOptions *o, uint64_t size, const char *name, GError **error)
{
    struct stat st;
    bool is_dir = !stat(o->path, &st) && S_ISDIR(st.st_mode);
    g_autofree char *template =
        is_dir ? g_strdup_printf("%s/ostler-%s-XXXXXX", o->path, name) : NULL;
    int fd = is_dir ? mkostemp(template, O_CLOEXEC)
                    : open(o->path, (o->readonly ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0644);
    if (fd < 0) {
        error_fail_errno(error, errno, "memory '%s': cannot open backing file '%s'", name, o->path);
        return -1;
    }
    if (is_dir) {
        unlink(template);
    }
    if (fstat(fd, &st) < 0 ||
        (st.st_size < (off_t)size && (o->readonly || ftruncate(fd, (off_t)size) < 0))) {
        error_fail_errno(error, errno,
                         "memory '%s': backing file '%s' cannot hold %" PRIu64 " bytes", name,
                         o->path, size);
        close(fd);
        return -1;
    }
    return fd;
}

static int open_memfd(const RamOptions *o, uint64_t size, const char *name, GError **error)
{
    unsigned flags = MFD_CLOEXEC;
    if (o->hugetlb) {
        flags |= MFD_HUGETLB;
        if (o->hugetlb_size) {
            flags |= (unsigned)__builtin_ctzll(o->hugetlb_size) << 26; /* MFD_HUGE_SHIFT */
        }
    }
    int fd = memfd_create(name, flags);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        error_fail_errno(error, errno, "memory '%s': no memory file of %" PRIu64 " bytes%s", name,
                         size, o->hugetlb ? " from huge pages" : "");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

typedef struct Touch {
    volatile uint8_t *at;
    uint64_t len;
} Touch;

static gpointer touch(gpointer arg)
{
    Touch *t = arg;
    for (uint64_t i = 0; i < t->len; i += RAM_PAGE) {
        t->at[i] = t->at[i];
    }
    return NULL;
}

static void preallocate(RamBlock *b, unsigned threads)
{
    enum { MOST = 16 };
    unsigned n = CLAMP(threads ? threads : g_get_num_processors(), 1, MOST);
    uint64_t part = (b->size / n + RAM_PAGE - 1) & ~(uint64_t)(RAM_PAGE - 1);
    Touch parts[MOST];
    GThread *running[MOST];
    for (unsigned i = 0; i < n; i++) {
        uint64_t at = MIN(part * i, b->size);
        parts[i] = (Touch){b->host + at, MIN(part, b->size - at)};
        running[i] = g_thread_new("prealloc", touch, &parts[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        g_thread_join(running[i]);
    }
}

RamBlock *ram_new(const char *name, uint64_t size, const RamOptions *options, GError **error)
{
    static const RamOptions plain;
    const RamOptions *o = options ? options : &plain;
    g_autofree RamBlock *b = g_new0(RamBlock, 1);
    b->fd = -1;
    b->size = size;
    b->mapped = (size + RAM_PAGE - 1) & ~(size_t)(RAM_PAGE - 1);
    if (o->kind != RAM_ANON) {
        b->fd = o->kind == RAM_FILE ? open_file(o, size, name, error)
                                    : open_memfd(o, size, name, error);
        if (b->fd < 0) {
            return NULL;
        }
        struct statfs fs;
        if (!fstatfs(b->fd, &fs) && fs.f_bsize > RAM_PAGE) {
            b->mapped = (size + (size_t)fs.f_bsize - 1) & ~((size_t)fs.f_bsize - 1);
        }
    }
    int flags = (b->fd < 0                          ? MAP_PRIVATE | MAP_ANONYMOUS
                 : o->share || o->kind == RAM_MEMFD ? MAP_SHARED
                                                    : MAP_PRIVATE) |
                MAP_NORESERVE;
    size_t slack = b->fd < 0 && b->mapped >= LARGE ? HUGE : 0;
    uint8_t *p = mmap(NULL, b->mapped + slack, o->readonly ? PROT_READ : PROT_READ | PROT_WRITE,
                      flags, b->fd, 0);
    if (p == MAP_FAILED) {
        error_fail_errno(error, errno, "cannot set up guest memory '%s' of %" PRIu64 " bytes", name,
                         size);
        if (b->fd >= 0) {
            close(b->fd);
        }
        return NULL;
    }
    if (slack) { /* give back what lies around the aligned window */
        uint8_t *aligned = (uint8_t *)(((uintptr_t)p + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
        if (aligned > p) {
            munmap(p, (size_t)(aligned - p));
        }
        if (p + slack > aligned) {
            munmap(aligned + b->mapped, (size_t)(p + slack - aligned));
        }
        p = aligned;
        madvise(p, b->mapped, MADV_HUGEPAGE);
    }
    madvise(p, b->mapped, MADV_DONTFORK);
    if (o->merge) {
        madvise(p, b->mapped, MADV_MERGEABLE);
    }
    b->host = p;
    b->refs = 1;
    b->shared = flags & MAP_SHARED;
    b->name = g_strdup(name);
    if (o->prealloc) {
        preallocate(b, o->prealloc_threads);
    }
    if (!blocks) {
        blocks = g_ptr_array_new();
    }
    g_ptr_array_add(blocks, b);
    return g_steal_pointer(&b);
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
    munmap(b->host, b->mapped);
    if (b->fd >= 0) {
        close(b->fd);
    }
    for (unsigned i = 0; i < DIRTY_CLIENTS; i++) {
        g_free(b->dirty[i]);
    }
    g_free(b->name);
    g_free(b);
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
    uint64_t *map = b->dirty[client];
    if (on && !map) {
        map = g_new(uint64_t, bitmap_words(b));
        memset(map, 0xff, bitmap_words(b) * sizeof(*map)); /* nobody has seen anything yet */
        b->dirty[client] = map;
    } else if (!on &&
               map) { /* the map stays until the block goes: a vCPU may be setting a bit in it */
        memset(map, 0, bitmap_words(b) * sizeof(*map));
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
    uint64_t *map = b->dirty[client];
    if (map && len) {
        FOR_WORDS(map, offset, len, word, bits)
        {
            if ((atomic_load_explicit(word, memory_order_relaxed) & bits) != bits) {
                atomic_fetch_or_explicit(word, bits, memory_order_release);
            }
        }
    }
}

static bool any_code(const RamBlock *b, uint64_t offset, uint64_t len)
{
    const uint64_t *map = b->dirty[DIRTY_CODE];
    for (uint64_t page = offset / RAM_PAGE; map && len && page <= (offset + len - 1) / RAM_PAGE; page++) {
        if (!(map[page / 64] >> page % 64 & 1)) {
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
        if (b->dirty[c] && !ram_dirty_any(b, c, offset & ~(uint64_t)(RAM_PAGE - 1), 1)) {
            return false;
        }
    }
    return true;
}

void ram_code_mark(RamBlock *b, uint64_t offset)
{
    static GMutex making; /* several CPUs may meet the first code of a block at once */
    if (!b->dirty[DIRTY_CODE]) {
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
    uint64_t *map = b->dirty[client];
    bool any = false;
    if (map && len) {
        FOR_WORDS(map, offset, len, word, bits)
        {
            any |= (atomic_load_explicit(word, memory_order_relaxed) & bits) != 0;
        }
    }
    return any;
}

bool ram_dirty_take(RamBlock *b, DirtyClient client, uint64_t offset, uint64_t len)
{
    uint64_t *map = b->dirty[client];
    bool any = false;
    if (map && len) {
        FOR_WORDS(map, offset, len, word, bits)
        {
            if (atomic_load_explicit(word, memory_order_relaxed) & bits) {
                any |= (atomic_fetch_and_explicit(word, ~bits, memory_order_acq_rel) & bits) != 0;
            }
        }
    }
    if (any && ram_watch.cleaned) {
        ram_watch.cleaned(b, offset, len);
    }
    return any;
}
