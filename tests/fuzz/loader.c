/* Kernel files of any kind: loading one, with or without a module, ends in items for the guest or
 * in one message. */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/loop.h"
#include "hw/firmware/loader.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/kernel-images.h"

enum { RAM = 64 << 20, MODULE = 0x40, UNPACK = 0x20 };

static void start(void)
{
    loop_main();
    loop_lock();
    clock_manual();
}

static char *file_of(const void *data, size_t len, int *fd)
{
    *fd = memfd_create("kernel", 0);
    ssize_t n = write(*fd, data, len);
    assert(n == (ssize_t)len);
    return g_strdup_printf("/proc/self/fd/%d", *fd);
}

/* The first byte picks a good kernel, or none: then the rest is the file.  To a kernel, the rest
 * are changes: place, and value; places of headers are the likeliest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    static Image k;
    if (!started) {
        started = true;
        start();
    }
    if (!size) {
        return 0;
    }
    if ((data[0] & 0xf) == 0xf) {
        k.len = MIN(size - 1, sizeof(k.data));
        memcpy(k.data, data + 1, k.len);
    } else {
        make_kernel(&k, data[0] & 0xf);
        for (size_t i = 1; i + 3 <= size; i += 3) {
            k.data[(data[i] | (data[i + 1] & 0xf) << 8) % k.len] = data[i + 2];
        }
    }
    int fd, module_fd;
    GError *error = NULL;
    g_autofree char *path = file_of(k.data, k.len, &fd), *module = file_of("module", 6, &module_fd);
    FwCfg *fw = fw_cfg_new(space_root(space_io()), space_memory(), NULL);
    bool ok =
        loader_add_kernel(fw, path, data[0] & MODULE ? module : NULL, "arguments", RAM, data[0] & UNPACK, &error);
    assert(ok == !error);
    g_clear_error(&error);
    device_free((Device *)fw);
    mem_commit();
    close(fd);
    close(module_fd);
    return 0;
}
