/* The VM: opening /dev/kvm with a reason for every failure, options, capabilities. */
#include "accel/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accel/soft/soft.h"

KvmVm kvm = {.dev = -1, .fd = -1};

static struct {
    char *device;
    bool irqchip_given;
    IrqchipMode irqchip;
    uint64_t shadow_mem; /* bytes; 0: the kernel's choice */
    uint64_t dirty_ring; /* entries */
} options;

/* ---- ioctls ---- */

static int do_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    int r;
    do {
        r = ioctl(fd, request, arg);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

int kvm_dev_ioctl(unsigned long request, uintptr_t arg)
{
    return do_ioctl(kvm.dev, request, arg);
}
int kvm_vm_ioctl(unsigned long request, uintptr_t arg)
{
    return do_ioctl(kvm.fd, request, arg);
}
int kvm_cpu_ioctl(const Cpu *c, unsigned long request, uintptr_t arg)
{
    return do_ioctl(kvm_cpu(c)->fd, request, arg);
}

int kvm_extension(unsigned cap)
{
    int r = do_ioctl(kvm.fd >= 0 ? kvm.fd : kvm.dev, KVM_CHECK_EXTENSION, cap);
    return r < 0 ? 0 : r;
}

int kvm_enable_cap(unsigned cap, uint64_t arg0, uint64_t arg1)
{
    struct kvm_enable_cap e = {.cap = cap, .args = {arg0, arg1}};
    return kvm_vm_ioctl(KVM_ENABLE_CAP, (uintptr_t)&e);
}

/* ---- Options ---- */

static bool option_irqchip(const char *value, GError **error)
{
    static const struct {
        const char *name;
        IrqchipMode mode;
    } modes[] = {{"on", IRQCHIP_ON}, {"off", IRQCHIP_OFF}, {"split", IRQCHIP_SPLIT}};
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (!strcmp(value, modes[i].name)) {
            options.irqchip = modes[i].mode;
            options.irqchip_given = true;
            return true;
        }
    }
    return error_fail(error, "-accel kvm: kernel-irqchip=%s is not one of on, off, split", value);
}

static bool option_number(const char *key, const char *value, uint64_t max, uint64_t *out,
                          GError **error)
{
    char *end;
    errno = 0;
    uint64_t v = strtoull(value, &end, 0);
    if (!g_ascii_isdigit(*value) || *end || errno || v > max) {
        return error_fail(error, "-accel kvm: %s=%s is not a number from 0 to %" PRIu64, key, value,
                          max);
    }
    *out = v;
    return true;
}

static bool kvm_option(const char *key, const char *value, GError **error)
{
    if (!strcmp(key, "kernel-irqchip")) {
        return option_irqchip(value, error);
    }
    if (!strcmp(key, "kvm-shadow-mem")) {
        uint64_t bytes = 0;
        Row row = {
            .name = "kvm-shadow-mem", .type = TYPE_SIZE, .size = 8, .count = 1, .stored = true};
        if (!row_parse(&row, &bytes, value, "-accel kvm", error)) {
            return false;
        }
        options.shadow_mem = bytes;
        return true;
    }
    if (!strcmp(key, "dirty-ring-size")) {
        uint64_t n = 0;
        if (!option_number(key, value, 65536, &n, error)) {
            return false;
        }
        if (n & (n - 1) || (n && n < 1024)) {
            return error_fail(
                error,
                "-accel kvm: dirty-ring-size=%s is not a power of two from 1024 to 65536, or 0",
                value);
        }
        options.dirty_ring = n;
        return true;
    }
    if (!strcmp(key, "rescue")) {
        return kvm_rescue_option(value, error);
    }
    if (!strcmp(key, "device")) {
        g_free(options.device);
        options.device = g_strdup(value);
        return true;
    }
    return error_fail(
        error,
        "-accel kvm: no option \"%s\"; it has kernel-irqchip, kvm-shadow-mem, dirty-ring-size, "
        "rescue, device",
        key);
}

/* ---- Opening ---- */

static bool open_device(GError **error)
{
    const char *path = options.device ? options.device : "/dev/kvm";
    kvm.dev = open(path, O_RDWR | O_CLOEXEC);
    if (kvm.dev >= 0) {
        return true;
    }
    const char *hint = "";
    switch (errno) {
    case ENOENT:
        hint = "; load the module kvm_intel or kvm_amd, or turn on virtualization in the "
               "firmware's setup; "
               "in a container or a VM it must be passed in";
        break;
    case EACCES:
    case EPERM:
        hint = "; add your user to the group \"kvm\" (usermod -aG kvm USER) and log in again";
        break;
    case ENODEV:
    case ENXIO:
        hint = "; the kernel's KVM found no virtualization in this CPU, or the firmware has turned "
               "it off";
        break;
    case EBUSY: hint = "; another hypervisor has the CPU's virtualization"; break;
    }
    return error_fail(error, "could not open %s: %s%s", path, g_strerror(errno), hint);
}

static bool check_version(GError **error)
{
    static const struct {
        unsigned cap;
        const char *name;
    } needed[] = {
        {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
        {KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "KVM_CAP_DESTROY_MEMORY_REGION_WORKS"},
        {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
        {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
        {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
        {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
    };
    int version = kvm_dev_ioctl(KVM_GET_API_VERSION, 0);
    if (version < 0) {
        return error_fail(error, "%s is not KVM: %s", options.device ? options.device : "/dev/kvm",
                          g_strerror(-version));
    }
    if (version != KVM_API_VERSION) {
        return error_fail(error, "this kernel's KVM has interface version %d; version %d is needed",
                          version, KVM_API_VERSION);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (!kvm_extension(needed[i].cap)) {
            return error_fail(error, "this kernel's KVM lacks %s; Linux 4.13 or newer has it",
                              needed[i].name);
        }
    }
    return true;
}

static bool create_vm(GError **error)
{
    kvm.fd = kvm_dev_ioctl(KVM_CREATE_VM, 0);
    if (kvm.fd >= 0) {
        return true;
    }
    int code = -kvm.fd;
    kvm.fd = -1;
    return error_fail(error, "could not create a VM: %s%s", g_strerror(code),
                      code == EBUSY    ? "; another hypervisor has the CPU's virtualization"
                      : code == ENOMEM ? "; the host has no memory left for it"
                                       : "");
}

static bool choose_irqchip(GError **error)
{
    kvm.emulates = kvm_emulates();
    /* Interrupts of the kernel's own chips are out of window.c's reach: where it is needed, ours are the safer choice. */
    kvm.irqchip = options.irqchip_given                              ? options.irqchip
                  : kvm_extension(KVM_CAP_IRQCHIP) && !kvm.emulates ? IRQCHIP_ON
                                                                    : IRQCHIP_OFF;
    if (kvm.irqchip == IRQCHIP_ON && !kvm_extension(KVM_CAP_IRQCHIP)) {
        return error_fail(
            error,
            "-accel kvm: kernel-irqchip=on: this KVM has no interrupt chips; use split or off");
    }
    if (kvm.irqchip == IRQCHIP_SPLIT && !kvm_extension(KVM_CAP_SPLIT_IRQCHIP)) {
        return error_fail(
            error, "-accel kvm: kernel-irqchip=split: this KVM cannot do that; use on or off");
    }
    return true;
}

static void read_capabilities(void)
{
    kvm.slots = (unsigned)kvm_extension(KVM_CAP_NR_MEMSLOTS);
    if (!kvm.slots) {
        kvm.slots = 32;
    }
    kvm.readonly_mem = kvm_extension(KVM_CAP_READONLY_MEM);
    kvm.coalesced_pio = kvm_extension(KVM_CAP_COALESCED_PIO);
    kvm.smm = kvm_extension(KVM_CAP_X86_SMM) && kvm_extension(KVM_CAP_MULTI_ADDRESS_SPACE) > 1;
    kvm.irqfd = kvm_extension(KVM_CAP_IRQFD);
    kvm.ioeventfd = kvm_extension(KVM_CAP_IOEVENTFD);
    kvm.sregs2 = kvm_extension(KVM_CAP_SREGS2);
    kvm.xcrs = kvm_extension(KVM_CAP_XCRS);
    kvm.debugregs = kvm_extension(KVM_CAP_DEBUGREGS);
    kvm.tsc_control = kvm_extension(KVM_CAP_TSC_CONTROL);
    kvm.exception_payload = kvm_extension(KVM_CAP_EXCEPTION_PAYLOAD) &&
                            kvm_enable_cap(KVM_CAP_EXCEPTION_PAYLOAD, 1, 0) >= 0;
    kvm.triple_fault_event = kvm_extension(KVM_CAP_X86_TRIPLE_FAULT_EVENT) &&
                             kvm_enable_cap(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, 0) >= 0;
    kvm.user_msr = kvm_extension(KVM_CAP_X86_USER_SPACE_MSR) &&
                   kvm_enable_cap(KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN, 0) >= 0;
    kvm.xsave_size = kvm_extension(KVM_CAP_XSAVE) ? sizeof(struct kvm_xsave) : 0;
    int xsave2 = kvm_extension(KVM_CAP_XSAVE2);
    if (xsave2 > (int)kvm.xsave_size) {
        kvm.xsave_size = (size_t)xsave2;
    }
}

/* What the kernel needs before the first vCPU: three pages for a TSS and one for an identity map,
 * in a hole of the guest's address space just below the firmware (Intel hosts without unrestricted
 * guests run real mode with them). */
static bool reserve_pages(GError **error)
{
    uint64_t identity = 0xfeffc000;
    int r = 0;
    if (kvm_extension(KVM_CAP_SET_IDENTITY_MAP_ADDR)) {
        r = kvm_vm_ioctl(KVM_SET_IDENTITY_MAP_ADDR, (uintptr_t)&identity);
    }
    if (r >= 0) {
        r = kvm_vm_ioctl(KVM_SET_TSS_ADDR, identity + 0x1000);
    }
    return r >= 0 || error_fail_errno(error, r, "KVM refuses its reserved pages at 0xfeffc000");
}

static bool apply_options(GError **error)
{
    if (options.shadow_mem) {
        int r = kvm_vm_ioctl(KVM_SET_NR_MMU_PAGES, options.shadow_mem / 4096);
        if (r < 0) {
            return error_fail_errno(error, r, "-accel kvm: kvm-shadow-mem=%" PRIu64,
                                    options.shadow_mem);
        }
    }
    kvm.dirty_ring = 0;
    if (options.dirty_ring) {
        uint64_t bytes = options.dirty_ring * sizeof(struct kvm_dirty_gfn);
        uint64_t max = (uint64_t)kvm_extension(KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
        if (bytes > max) {
            return error_fail(error,
                              "-accel kvm: dirty-ring-size=%" PRIu64
                              ": this KVM has at most %" PRIu64 " entries",
                              options.dirty_ring, max / sizeof(struct kvm_dirty_gfn));
        }
        int r = kvm_enable_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL, bytes, 0);
        if (r < 0) {
            return error_fail_errno(error, r, "-accel kvm: dirty-ring-size=%" PRIu64,
                                    options.dirty_ring);
        }
        kvm.dirty_ring = (uint32_t)bytes;
    }
    return true;
}

static bool start_parts(GError **error)
{
    if (!open_device(error) || !check_version(error) || !create_vm(error)) {
        return false;
    }
    int run_size = kvm_dev_ioctl(KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_size < (int)sizeof(struct kvm_run)) {
        return error_fail(
            error, "this kernel's KVM gives a vCPU area of %d bytes, which is too small", run_size);
    }
    kvm.run_size = (size_t)run_size;
    if (!choose_irqchip(error)) {
        return false;
    }
    read_capabilities();
    return reserve_pages(error) && apply_options(error) && kvm_irqchip_start(error) &&
           kvm_memory_start(error);
}

static bool kvm_start(GError **error)
{
    if (start_parts(error)) {
        kvm_regs_start();
        kvm_rescue_start();
        platform.flush_coalesced = kvm_coalesced_flush;
        platform.kernel_accel = true;
        platform.smm = kvm.smm;
        return true;
    }
    if (kvm.fd >= 0) {
        close(kvm.fd);
    }
    if (kvm.dev >= 0) {
        close(kvm.dev);
    }
    kvm.fd = kvm.dev = -1;
    platform.irqchip = IRQCHIP_OFF;
    return false;
}

const Accel kvm_accel = {
    .name = "kvm",
    .doc = "Linux KVM",
    .thread_suffix = "KVM",
    .option = kvm_option,
    .start = kvm_start,
    .cpu_init = kvm_cpu_init,
    .cpu_free = kvm_cpu_free,
    .run = kvm_run,
    .interrupt = kvm_interrupt,
    .forget_memory = soft_forget_memory,
    .fetch = kvm_fetch,
    .flush = kvm_flush,
    .supported_cpuid = kvm_supported_cpuid,
    .guest_debug = kvm_guest_debug,
    .looks = kvm_rescue_stays,
    .stopped = kvm_stopped,
    .reset = kvm_chips_reset,
};
