/* -machine preset=NAME: what an operating system is known to want, as options that the user's own override. */
#include "qapi/preset.h"

#include <string.h>

#define LIST(...) (const char *const[]){__VA_ARGS__, NULL}

/* Options in pairs: name, value.  `lacks`: what it should have besides, and this build has not. */
static const Preset presets[] = {
    {"linux", "Linux with its virtio drivers", LIST("vga", "std", "device", "virtio-rng-pci", "device", "virtio-balloon-pci", "device", "virtio-tablet-pci"),
     "a virtio network card"},
    {"windows", "Windows since 7",
     LIST("cpu", "qemu64,hv-relaxed,hv-vapic,hv-time,hv-spinlocks=0x1fff", "rtc", "base=localtime", "vga", "std"),
     "an e1000 network card, a USB tablet"},
    {"windows-98", "Windows 95, 98 and ME",
     LIST("machine", "kernel-irqchip=off", "machine", "hpet=off", "cpu", "pentium2", "m", "256", "rtc", "base=localtime", "vga",
          "cirrus"),
     "a pcnet or ne2000 network card"},
    {"dos", "DOS", LIST("machine", "hpet=off", "cpu", "pentium", "m", "16", "rtc", "base=localtime", "vga", "cirrus"),
     "an ne2000 network card, a Sound Blaster"},
    {"openbsd", "OpenBSD", LIST("rtc", "base=utc", "vga", "std"), "a virtio network card"},
    {"freebsd", "FreeBSD", LIST("rtc", "base=utc", "vga", "std", "device", "virtio-rng-pci"), "a virtio network card"},
    {"netbsd", "NetBSD", LIST("rtc", "base=utc", "vga", "std"), "an e1000 network card"},
    {"illumos", "illumos and Solaris", LIST("cpu", "qemu64,-xsave", "rtc", "base=utc", "vga", "std"), "an e1000 network card"},
};

const Preset *preset_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(presets); i++) {
        if (!strcmp(presets[i].name, name)) {
            return &presets[i];
        }
    }
    return NULL;
}

char *preset_help(void)
{
    GString *out = g_string_new("Presets (preset=NAME,print shows the options):\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(presets); i++) {
        g_string_append_printf(out, "%-12s %s\n", presets[i].name, presets[i].doc);
    }
    return g_string_free(out, FALSE);
}

char *preset_text(const Preset *p, const char *board)
{
    GString *out = g_string_new("-machine ");
    g_string_append(out, board);
    for (const char *const *o = p->options; *o; o += 2) {
        g_string_append_printf(out, " -%s %s", o[0], o[1]);
    }
    g_string_append_printf(out, "\n# left out, since this build has not: %s\n", p->lacks);
    return g_string_free(out, FALSE);
}
