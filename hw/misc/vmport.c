/* VMware's backdoor (its registers and commands are in VMware's open-vm-tools, backdoor_def.h).
 *
 * `in eax, dx` with EAX = 564D5868h is a call of command CX.  What nobody offers answers all ones,
 * and leaves EBX without the magic number by which callers know that somebody is there. */
#include "hw/misc/vmport.h"

#include <string.h>

#include "cpu/cpu.h"
#include "hw/machine.h"

#define MAGIC 0x564d5868u
enum { GET_VERSION = 10, GET_BIOS_UUID = 19, GET_MEMORY_SIZE = 20 };
enum { VERSION = 6, PRODUCT = 2 };

typedef struct Vmport {
    Device dev;
    Region *region;
    struct {
        VmportCommand *fn;
        void *arg;
    } command[VMPORT_COMMANDS];
} Vmport;

void vmport_offer(Device *vmport, unsigned command, VmportCommand *fn, void *arg)
{
    Vmport *s = (Vmport *)vmport;
    g_assert(command < VMPORT_COMMANDS);
    s->command[command].fn = fn;
    s->command[command].arg = arg;
}

Region *vmport_region(Device *vmport)
{
    return ((Vmport *)vmport)->region;
}

static void get_version(void *arg, VmportRegs *r)
{
    r->eax = VERSION;
    r->ebx = MAGIC;
    r->ecx = PRODUCT;
}

static void get_bios_uuid(void *arg, VmportRegs *r)
{
    uint32_t part[4];
    memcpy(part, machine.uuid, sizeof part);
    r->eax = part[0];
    r->ebx = part[1];
    r->ecx = part[2];
    r->edx = part[3];
}

/* In MiB. */
static void get_memory_size(void *arg, VmportRegs *r)
{
    r->eax = (uint32_t)(machine.ram_size >> 20);
    r->ebx = MAGIC;
}

uint32_t vmport_call(Device *vmport, VmportRegs *r)
{
    Vmport *s = (Vmport *)vmport;
    unsigned command = r->ecx & 0xffff;
    if (r->eax != MAGIC) {
        return UINT32_MAX;
    }
    if (command >= VMPORT_COMMANDS || !s->command[command].fn) {
        r->eax = UINT32_MAX;
        r->ebx = 0;
    } else {
        s->command[command].fn(s->command[command].arg, r);
    }
    return r->eax;
}

static uint64_t port_read(void *opaque, uint64_t at, unsigned size)
{
    static const uint8_t numbers[] = {CPU_RAX, CPU_RBX, CPU_RCX, CPU_RDX, CPU_RSI, CPU_RDI};
    Cpu *c = cpu_current();
    if (!c || at || size != 4) {
        return UINT64_MAX;
    }
    cpu_sync(c);
    uint64_t *gpr = c->state.gpr;
    VmportRegs r = {(uint32_t)gpr[CPU_RAX], (uint32_t)gpr[CPU_RBX], (uint32_t)gpr[CPU_RCX],
                    (uint32_t)gpr[CPU_RDX], (uint32_t)gpr[CPU_RSI], (uint32_t)gpr[CPU_RDI]};
    const VmportRegs before = r;
    uint32_t value = vmport_call(opaque, &r);
    const uint32_t *old = &before.eax, *new = &r.eax;
    for (unsigned i = 1; i < G_N_ELEMENTS(numbers); i++) { /* EAX is what the port gives */
        if (new[i] != old[i]) {
            gpr[numbers[i]] = new[i];
            c->state_dirty = true;
        }
    }
    return value;
}

static void port_write(void *opaque, uint64_t at, unsigned size, uint64_t value) {}

static bool vmport_realize(void *dev, GError **error)
{
    static const IoOps ops = {.read = port_read, .write = port_write, .min = 1, .max = 4};
    ((Vmport *)dev)->region = device_region_io(dev, "vmport", 4, &ops);
    vmport_offer(dev, GET_VERSION, get_version, dev);
    vmport_offer(dev, GET_BIOS_UUID, get_bios_uuid, dev);
    vmport_offer(dev, GET_MEMORY_SIZE, get_memory_size, dev);
    return true;
}

static const Row rows[] = {END};

const DeviceClass vmport_class = {
    .name = "vmport",
    .doc = "VMware's backdoor port",
    .category = "misc",
    .internal = true,
    .size = sizeof(Vmport),
    .rows = rows,
    .realize = vmport_realize,
};
