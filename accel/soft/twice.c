#include "accel/soft/twice.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A room that is given back must not be anybody's meanwhile: its owner unmaps it in the end. */
static void unmap_run(void *run, size_t size, bool placed)
{
    if (placed) {
        mmap(run, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    } else {
        munmap(run, size);
    }
}

void twice_map(Twice *t, size_t size, void *run_at, const char *what)
{
    *t = (Twice){.size = size, .placed = run_at};
    int fd = memfd_create("ostler-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        g_warning("soft: no memory for %s: %s", what, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    void *write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *run = mmap(run_at, size, PROT_READ | PROT_EXEC, MAP_SHARED | (run_at ? MAP_FIXED : 0), fd, 0);
    close(fd); /* the mappings keep it */
    if (write == MAP_FAILED || run == MAP_FAILED) {
        g_warning("soft: the host lets no code be made for %s: %s", what, strerror(errno));
        if (write != MAP_FAILED) {
            munmap(write, size);
        }
        if (run != MAP_FAILED) {
            unmap_run(run, size, run_at);
        }
        return;
    }
    t->write = write;
    t->run = run;
}

void twice_unmap(Twice *t)
{
    if (t->write) {
        munmap(t->write, t->size);
        unmap_run(t->run, t->size, t->placed);
    }
    *t = (Twice){0};
}

void twice_clear(Twice *t, size_t start, size_t size)
{
    if (madvise(t->write + start, size, MADV_REMOVE) < 0) {
        g_error("soft: code cannot be replaced: %s", strerror(errno));
    }
}
