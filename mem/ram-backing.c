/* What lies behind RAM blocks: files, memory files, the host's NUMA nodes, pages that are there
 * from the start. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "mem/internal.h"

static int open_file(const char *name, uint64_t size, const RamOptions *o, GError **error)
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

static int open_memfd(const char *name, uint64_t size, const RamOptions *o, GError **error)
{
    unsigned flags = MFD_CLOEXEC | (o->seal ? MFD_ALLOW_SEALING : 0);
    if (o->hugetlb) {
        flags |= MFD_HUGETLB;
        if (o->hugetlb_size) {
            flags |= (unsigned)__builtin_ctzll(o->hugetlb_size) << MFD_HUGE_SHIFT;
        }
    }
    int fd = memfd_create(name, flags);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        (o->seal && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)) {
        error_fail_errno(error, errno, "memory '%s': no memory file of %" PRIu64 " bytes%s", name,
                         size, o->hugetlb ? " from huge pages" : "");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

int ram_backing_open(const char *name, uint64_t size, const RamOptions *o, GError **error)
{
    return o->kind == RAM_FILE ? open_file(name, size, o, error) : open_memfd(name, size, o, error);
}

bool ram_backing_place(const char *name, void *at, size_t len, const RamOptions *o, GError **error)
{
    static const int modes[] = {[RAM_POLICY_PREFERRED] = MPOL_PREFERRED,
                                [RAM_POLICY_BIND] = MPOL_BIND,
                                [RAM_POLICY_INTERLEAVE] = MPOL_INTERLEAVE};
    if (o->policy == RAM_POLICY_DEFAULT) {
        return true;
    }
    /* The kernel takes one bit less than it is told of. */
    return !syscall(SYS_mbind, at, len, modes[o->policy], o->host_nodes, RAM_HOST_NODES + 1,
                    MPOL_MF_STRICT | MPOL_MF_MOVE) ||
           error_fail_errno(error, errno, "memory '%s': cannot bind it to the host's NUMA nodes",
                            name);
}

typedef struct Part {
    volatile uint8_t *at;
    size_t len;
    int error; /* errno */
} Part;

/* Kernels before 5.14 are told page by page; where none is left that ends the program. */
static gpointer populate(gpointer arg)
{
    Part *p = arg;
    if (p->len && madvise((void *)p->at, p->len, MADV_POPULATE_WRITE) < 0) {
        p->error = errno == EINVAL ? 0 : errno;
        for (size_t i = 0; !p->error && i < p->len; i += RAM_PAGE) {
            p->at[i] = p->at[i];
        }
    }
    return NULL;
}

bool ram_backing_populate(const char *name, void *at, size_t len, unsigned threads, GError **error)
{
    enum { MOST = 256, USUAL = 16, UNIT = 2 << 20 };
    unsigned n = threads ? MIN(threads, MOST) : CLAMP(g_get_num_processors(), 1, USUAL);
    size_t size = (len / n + UNIT - 1) / UNIT * UNIT;
    Part parts[MOST];
    GThread *running[MOST];
    int failed = 0;
    n = MAX(1, MIN(n, (unsigned)((len + size - 1) / MAX(size, 1))));
    for (unsigned i = 0; i < n; i++) {
        size_t from = MIN(size * i, len);
        parts[i] = (Part){(uint8_t *)at + from, i == n - 1 ? len - from : MIN(size, len - from), 0};
        running[i] = g_thread_new("prealloc", populate, &parts[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        g_thread_join(running[i]);
        failed = failed ? failed : parts[i].error;
    }
    return !failed ||
           error_fail_errno(error, failed, "memory '%s': cannot back all of its %zu bytes now",
                            name, len);
}
