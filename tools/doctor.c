#include "tools/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "hw/firmware/path.h"

/* ---- A finding: what it is, how it stands, and for what is missing what to do ---- */

typedef enum Mark { GOOD, SO_SO, MISSING } Mark;

static void finding(Mark mark, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void finding(Mark mark, const char *name, const char *format, ...)
{
    static const char *const marks[] = {[GOOD] = "ok  ", [SO_SO] = "note", [MISSING] = "no  "};
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    printf("%s  %-12s %s\n", marks[mark], name, text);
}

static void advice(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void advice(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    printf("%19s-> %s\n", "", text);
}

static bool text_has_word(const char *path, const char *key, const char *word)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return false;
    }
    const char *line = strstr(text, key);
    g_autofree char *first = line ? g_strndup(line, strcspn(line, "\n")) : NULL;
    g_auto(GStrv) words = g_strsplit(first ? first : "", " ", -1);
    return g_strv_contains((const char *const *)words, word);
}

/* ---- KVM ---- */

static void advise_kvm_open(int error)
{
    struct stat st;
    if (error == ENOENT) {
        bool amd = text_has_word("/proc/cpuinfo", "flags", "svm");
        advice("modprobe %s    (as root; then look at `dmesg | grep -i kvm`)", amd ? "kvm_amd" : "kvm_intel");
        advice("in a container or virtual machine, its operator must pass /dev/kvm or nested virtualization through");
    } else if (error == EACCES && stat("/dev/kvm", &st) == 0) {
        g_autofree char *user = g_strdup(g_get_user_name());
        advice("usermod -aG kvm %s    (as root; then log in anew)", user);
    } else if (error == EBUSY) {
        advice("another hypervisor (VirtualBox, VMware) holds the processor's virtualization: end it");
    }
}

/* Processors that say nothing of VMX or SVM have a KVM that emulates every instruction, or a hypervisor that hides it. */
static bool has_hardware(void)
{
    return text_has_word("/proc/cpuinfo", "flags", "vmx") || text_has_word("/proc/cpuinfo", "flags", "svm");
}

static void look_at_irqchip(int kvm)
{
    bool on = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP) > 0;
    bool split = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SPLIT_IRQCHIP) > 0;
    bool irqfd = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD) > 0;
    finding(on ? GOOD : SO_SO, "irqchip", "kernel-irqchip: off%s%s%s", on ? ", on" : "", split ? ", split" : "",
            irqfd ? "; irqfd" : "");
    if (!on) {
        advice("this KVM has no interrupt controllers of its own; ours are used: -accel kvm,kernel-irqchip=off");
    }
}

static void look_at_kvm(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        int error = errno;
        finding(MISSING, "kvm", "/dev/kvm: %s", g_strerror(error));
        advise_kvm_open(error);
        advice("without KVM the software CPU runs the guest: -accel soft");
        return;
    }
    int version = ioctl(kvm, KVM_GET_API_VERSION, 0), vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (version != KVM_API_VERSION || vm < 0) {
        finding(MISSING, "kvm", "/dev/kvm makes no virtual machine: %s", g_strerror(errno));
        advise_kvm_open(errno);
        advice("without KVM the software CPU runs the guest: -accel soft");
    } else if (!has_hardware()) {
        finding(SO_SO, "kvm", "works, but no hardware stands behind it (no vmx or svm in /proc/cpuinfo): slow, and with gaps");
        advice("-accel soft is faster here; or turn virtualization on in the firmware's setup, or nested in the outer host");
    } else {
        finding(GOOD, "kvm", "works, with hardware behind it; up to %d CPUs",
                ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS));
    }
    if (vm >= 0) {
        look_at_irqchip(kvm);
        close(vm);
    }
    close(kvm);
}

/* ---- Memory ---- */

static uint64_t number_after(const char *path, const char *key)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    const char *at = strstr(text, key);
    return at ? g_ascii_strtoull(at + strlen(key), NULL, 10) : 0;
}

static void look_at_memory(void)
{
    static const char transparent[] = "/sys/kernel/mm/transparent_hugepage/enabled";
    uint64_t free_pages = number_after("/proc/meminfo", "HugePages_Free:"),
             kib = number_after("/proc/meminfo", "Hugepagesize:"),
             available = number_after("/proc/meminfo", "MemAvailable:");
    finding(GOOD, "memory", "%.1f GiB available", (double)available / (1 << 20));
    if (free_pages) {
        finding(GOOD, "huge pages", "%" G_GUINT64_FORMAT " free of %" G_GUINT64_FORMAT " KiB", free_pages, kib);
    } else {
        finding(SO_SO, "huge pages", "none reserved");
        advice("sysctl vm.nr_hugepages=N    (as root; N pages of %" G_GUINT64_FORMAT " KiB)", kib);
    }
    g_autofree char *text = NULL;
    if (g_file_get_contents(transparent, &text, NULL, NULL)) {
        bool never = strstr(text, "[never]");
        finding(never ? SO_SO : GOOD, "transparent", "huge pages: %s", g_strchomp(text));
        if (never) {
            advice("echo madvise > %s    (as root)", transparent);
        }
    }
    struct rlimit lock;
    if (!getrlimit(RLIMIT_MEMLOCK, &lock) && lock.rlim_cur != RLIM_INFINITY) {
        finding(SO_SO, "memlock", "at most %" G_GUINT64_FORMAT " KiB can be locked in memory", (uint64_t)lock.rlim_cur >> 10);
    }
}

/* ---- Disks and networks ---- */

static void look_at_io_uring(void)
{
    char params[120] = {0}; /* struct io_uring_params of <linux/io_uring.h>, all zero: defaults */
    int fd = (int)syscall(__NR_io_uring_setup, 1, params);
    if (fd >= 0) {
        finding(GOOD, "io_uring", "works");
        close(fd);
        return;
    }
    int error = errno;
    finding(SO_SO, "io_uring", "%s", g_strerror(error));
    if (error == EPERM) {
        advice("sysctl kernel.io_uring_disabled=0    (as root; in a container, its seccomp filter must allow io_uring_setup)");
    } else if (error == ENOSYS) {
        advice("this kernel or sandbox has none; disks use threads");
    }
}

static void look_at_tap(void)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        finding(SO_SO, "tap", "/dev/net/tun: %s", g_strerror(error));
        if (error == ENOENT || error == ENODEV) {
            advice("modprobe tun    (as root)");
        }
        return;
    }
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (ioctl(fd, TUNSETIFF, &ifr) == 0) { /* goes with the descriptor */
        finding(GOOD, "tap", "interfaces can be made");
    } else {
        finding(SO_SO, "tap", "no interface can be made: %s", g_strerror(errno));
        advice("ip tuntap add dev tap0 mode tap user %s    (as root)", g_get_user_name());
    }
    close(fd);
}

/* ---- Firmware ---- */

static bool firmware(const char *name, const char *what, const char *package, bool needed)
{
    g_autofree char *path = fw_find_file(name);
    if (path) {
        finding(GOOD, what, "%s", path);
        return true;
    }
    finding(needed ? MISSING : SO_SO, what, "%s is in none of the firmware folders (ostler -L help)", name);
    advice("apt install %s    (as root), or -L FOLDER", package);
    return false;
}

static void look_at_uefi(void)
{
    static const char *const places[] = {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd",
                                         "/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/ovmf/OVMF.fd"};
    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        if (access(places[i], R_OK) == 0) {
            finding(GOOD, "uefi", "%s", places[i]);
            return;
        }
    }
    finding(SO_SO, "uefi", "no OVMF found");
    advice("apt install ovmf    (as root)");
}

int doctor_main(int argc, char **argv)
{
    if (argc > 1) {
        if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
            puts("usage: ostler doctor    (what this host offers, and what to type for what it lacks)");
            return 0;
        }
        fprintf(stderr, "ostler: doctor takes no argument \"%s\": usage: ostler doctor\n", argv[1]);
        return 1;
    }
    finding(GOOD, "soft", "the software CPU runs everywhere");
    look_at_kvm();
    look_at_memory();
    look_at_io_uring();
    look_at_tap();
    bool bios = firmware("bios-256k.bin", "bios", "seabios", true);
    firmware("vgabios-stdvga.bin", "vga bios", "seabios", false);
    firmware("efi-e1000.rom", "network boot", "ipxe-qemu", false);
    look_at_uefi();
    printf("\n%s\n", bios ? "A guest can run here." : "No guest can run here before the BIOS is found.");
    return bios ? 0 : 1;
}
