/* The versioned names of the PC boards: one chipset, and what changed for guests and users from version to version.
 */
#include "hw/board/pc.h"

enum { I440FX = 1, Q35 = 2, BOTH = I440FX | Q35 };
enum { SOCKETS_FIRST = 1, CIRRUS = 2, DEPRECATED = 4 };

static const struct Version {
    const char *number;
    unsigned boards, differs;
} versions[] = {
    {"7.1", BOTH, 0},
    {"7.0", BOTH, 0},
    {"6.2", BOTH, 0},
    {"6.1", BOTH, SOCKETS_FIRST},       /* -smp 4 was four sockets */
    {"6.0", BOTH, SOCKETS_FIRST},
    {"5.2", BOTH, SOCKETS_FIRST},
    {"5.1", BOTH, SOCKETS_FIRST},
    {"5.0", BOTH, SOCKETS_FIRST},
    {"4.2", BOTH, SOCKETS_FIRST},
    {"4.1", BOTH, SOCKETS_FIRST},
    {"4.0.1", Q35, SOCKETS_FIRST},
    {"4.0", BOTH, SOCKETS_FIRST},
    {"3.1", BOTH, SOCKETS_FIRST},
    {"3.0", BOTH, SOCKETS_FIRST},
    {"2.12", BOTH, SOCKETS_FIRST},
    {"2.11", BOTH, SOCKETS_FIRST},
    {"2.10", BOTH, SOCKETS_FIRST},
    {"2.9", BOTH, SOCKETS_FIRST},
    {"2.8", BOTH, SOCKETS_FIRST},
    {"2.7", BOTH, SOCKETS_FIRST},
    {"2.6", BOTH, SOCKETS_FIRST},
    {"2.5", BOTH, SOCKETS_FIRST},
    {"2.4", BOTH, SOCKETS_FIRST},
    {"2.3", I440FX, SOCKETS_FIRST},
    {"2.2", I440FX, SOCKETS_FIRST},
    {"2.1", I440FX, SOCKETS_FIRST | CIRRUS}, /* the display that came without -vga */
    {"2.0", I440FX, SOCKETS_FIRST | CIRRUS},
    {"1.7", I440FX, SOCKETS_FIRST | CIRRUS | DEPRECATED},
    {"1.6", I440FX, SOCKETS_FIRST | CIRRUS | DEPRECATED},
    {"1.5", I440FX, SOCKETS_FIRST | CIRRUS | DEPRECATED},
    {"1.4", I440FX, SOCKETS_FIRST | CIRRUS | DEPRECATED},
};

static const MachineClass *const newest[] = {&pc_class, &q35_class, &isapc_class, &microvm_class, &none_class};

static void add_versions(GPtrArray *all, const MachineClass *base, const char *prefix, unsigned board)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(versions); i++) {
        const struct Version *v = &versions[i];
        if (v->boards & board) {
            MachineClass *c = g_memdup2(base, sizeof(*base));
            c->name = g_strconcat(prefix, v->number, NULL);
            c->alias = NULL;
            c->is_default = false;
            c->sockets_first = v->differs & SOCKETS_FIRST;
            c->deprecated = v->differs & DEPRECATED;
            c->default_display = v->differs & CIRRUS ? "cirrus" : base->default_display;
            g_ptr_array_add(all, c);
        }
    }
}

const MachineClass *machine_class_at(unsigned n)
{
    static GPtrArray *all;              /* made only when somebody looks behind the newest */
    if (n < G_N_ELEMENTS(newest)) {
        return newest[n];
    }
    if (!all) {
        all = g_ptr_array_new();
        add_versions(all, &pc_class, "pc-i440fx-", I440FX);
        add_versions(all, &q35_class, "pc-q35-", Q35);
    }
    n -= G_N_ELEMENTS(newest);
    return n < all->len ? all->pdata[n] : NULL;
}
