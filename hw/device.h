/* Devices: all that a chip, a board or a bus may use of one another.
 *
 * A device is a struct that starts with a Device (or with the struct of its base class), and a DeviceClass whose rows
 * describe that struct.  The core reads the rows; the class adds what only code can say.
 *
 * Life: device_new, device_set ..., device_realize, device_reset(power on), accesses, device_free.  Everything here is
 * called with the main lock held, except where it says otherwise. */
#ifndef HW_DEVICE_H
#define HW_DEVICE_H

#include "core/error.h"
#include "core/row.h"
#include "hw/irq.h"
#include "mem/dma.h"
#include "mem/region.h"

typedef struct Device Device;
typedef struct Bus Bus;
typedef struct ClassLayout ClassLayout; /* rows flattened once, in device.c */

/* A register space whose number a class does not choose itself. */
enum { SPACE_MAIN = 0, SPACE_PCI_CONFIG = 7, REG_SPACES = 8 };

typedef enum UnplugAnswer { UNPLUG_NOW, UNPLUG_ASKED, UNPLUG_ERROR } UnplugAnswer;

struct DeviceClass {
    const char *name;                   /* QEMU's type name: "isa-serial"                                    */
    const char *doc;                    /* one line for -device help                                         */
    const char *alias;                  /* second name that -device accepts                                  */
    const DeviceClass *base;            /* the struct begins with base's struct; its rows come first         */
    const char *bus;                    /* type of bus it plugs into: "ISA", "PCI", "IDE" ...; NULL: wired by the board */
    const char *category;               /* "bridge" "cpu" "display" "input" "misc" "network" "sound" "storage" "usb"  */
    const char *const *interfaces;      /* further type names that introspection lists, NULL-terminated      */
    bool abstract;                      /* only a base                                                       */
    bool internal;                      /* -device refuses it: only a board can wire it                      */
    bool plain;                         /* a part without a Device in front                                  */
    bool hotpluggable;
    uint8_t open;                       /* bit n: holes of register space n read as ones                     */
    uint8_t inputs;                     /* input lines that input() knows; others never reach it             */
    size_t size;                        /* of the struct                                                     */
    const Row *rows;
    const char *fw_node;                /* OpenFirmware node of a device without a bus: "pci@i0cf8"          */
    const void *info;                   /* constants that the class's bus wants (PciInfo ...)                */
    /* Check properties, claim back ends, map regions; on failure leave nothing behind that free would not clean. */
    bool (*realize)(void *dev, GError **error);
    void (*unrealize)(void *dev);       /* what realize made and rows do not know                            */
    void (*reset)(void *dev, bool power_on);            /* what .reset values cannot say; after them         */
    /* state -> pins, timers, messages, region mappings.  Idempotent.  After every access, reset, load, timer, input. */
    void (*update)(void *dev);
    void (*input)(void *dev, unsigned line, bool level);/* an input pin changed                              */
    size_t (*can_receive)(void *dev);   /* bytes that receive() would take now                               */
    void (*receive)(void *dev, const uint8_t *buf, size_t len);
    void (*writable)(void *dev);        /* room again after a short char_write                               */
    void (*event)(void *dev, int event);/* CharEvent of the TYPE_CHAR property: opened, closed, break        */
    bool (*busy)(const void *dev);      /* an operation is in flight at a back end: cannot be saved now      */
    /* Of a device without a bus, what BusClass says of one with. */
    void (*plugged)(void *dev);
    UnplugAnswer (*unplug_request)(void *dev, GError **error);
    /* Of a class and its bases, realize, reset and update run base first, unrealize base last; of input, receive and
     * the others the most derived counts.  A part's own functions run before its whole's (unrealize: after). */
};

struct Device {
    const DeviceClass *class;
    ClassLayout *layout;
    char *id;                           /* the user's, or NULL; owned                                        */
    char *path;                         /* canonical QOM path, from realize on; owned                        */
    Device *whole;                      /* for a part: the device it sits in                                 */
    Bus *bus;                           /* where it is plugged                                               */
    GSList *buses;                      /* buses that it offers; owned                                       */
    GSList *regions;                    /* made by device_region*; freed with it                             */
    Dma *dma;                           /* granted by the bus; NULL: it cannot reach memory                  */
    struct DeviceLink *links;           /* what timers and back ends call back with; owned                   */
    uint8_t settling;                   /* update() is running; asked again meanwhile                        */
    uint8_t accessing;                  /* within a guest's access: its own DMA does not come back in        */
    bool realized, hotplugged;
    bool traced;                        /* some of its register rows are selected by -trace                      */
    bool removing;                      /* device_del has asked the guest to let it go                       */
    bool going;                         /* the guest has let it go: freed by the main loop, soon             */
    void (*intercept)(void *arg, unsigned line, bool level);    /* qtest listens to the inputs               */
    void *intercept_arg;
};

/* ---- The registry (a generated array of every `const DeviceClass NAME = {` below hw/) ---- */
extern const DeviceClass *const device_classes[];       /* NULL-terminated */
const DeviceClass *device_class_find(const char *name); /* by name or alias; NULL */
bool device_class_is(const DeviceClass *class, const char *type);       /* itself, a base or an interface */

/* ---- Life ---- */
void *device_new(const DeviceClass *class, const char *id);     /* properties hold their defaults */
/* Set a property from text; "unknown property" and bad values are explained in *error. */
bool device_set(Device *dev, const char *property, const char *text, GError **error);
void device_set_pointer(Device *dev, const char *property, void *backend);      /* TYPE_CHAR, TYPE_DRIVE ... by the board */
char *device_get(const Device *dev, const char *property);      /* text or NULL; caller frees */
bool device_property_is_plain(const Device *dev, const char *property);         /* it has it, and it is no list or object */
/* Plug into `bus` (may be NULL) and bring to life.  On failure the device is still the caller's to free. */
bool device_realize(Device *dev, Bus *bus, GError **error);
void device_free(Device *dev);          /* unrealizes, unplugs, frees parts, regions and properties */
void device_reset(Device *dev, bool power_on);
/* `-global driver.property=value`: what devices of that type or base start with instead of the default. */
void device_global(const char *driver, const char *property, const char *value);
/* -global lines whose driver or property no device used, as text lines to warn with; caller frees. */
char *device_globals_unused(void);
/* Parts with a Device in front are reached by Device.whole; this is the outermost. */
Device *device_whole(Device *dev);

/* ---- Access, as the guest does it: banks, windows, masks, hooks, then settle ---- */
uint64_t device_read(Device *dev, unsigned space, unsigned at, unsigned size);
void device_write(Device *dev, unsigned space, unsigned at, unsigned size, uint64_t value);
void device_input(Device *dev, unsigned line, bool level);      /* an input pin changes */
void device_receive(Device *dev, const uint8_t *buf, size_t len);
/* Something outside the rows changed its state (data port, back end completion, host input): recompute the outputs.
 * Called during update() it means "once more". */
void device_settle(Device *dev);

/* The same without settling: for windows that forward an access (the caller settles). */
uint64_t device_read_raw(Device *dev, unsigned space, unsigned at, unsigned size);
void device_write_raw(Device *dev, unsigned space, unsigned at, unsigned size, uint64_t value);

/* Wire an output pin of one device to an input line of another. */
void device_connect(Irq *pin, Device *sink, unsigned line);
Irq *device_pin(Device *dev, const char *name, unsigned i);     /* NULL when there is none */

/* ---- Regions of a device (owned by it) ---- */
Region *device_region(Device *dev, unsigned space, const char *name, uint64_t size);    /* registers by rows */
/* Functions instead of rows; the core settles the device after each access.  ops see `dev` as opaque. */
Region *device_region_io(Device *dev, const char *name, uint64_t size, const IoOps *ops);
void device_free_regions(Device *dev);  /* device_free does it */
Region *device_region_io_opaque(Device *dev, const char *name, uint64_t size, const IoOps *ops, void *opaque);

/* ---- Looking, without effects ---- */
/* Calls fn for each element of each row (base, own, parts).  The name of a part's row is "part.row"; only properties of
 * parts keep their bare name, since a user sets them on the whole. */
typedef void DeviceRowFn(void *arg, const Row *row, const char *name, void *base, unsigned i);
void device_rows(const Device *dev, DeviceRowFn *fn, void *arg);
void device_class_rows(const DeviceClass *class, void (*fn)(void *arg, const Row *row, const char *name), void *arg);
uint64_t device_peek(const Device *dev, const char *name, unsigned i);  /* value of a register or state row */
char *device_class_help(const DeviceClass *class);      /* -device X,help; caller frees */
char *device_registers_text(const Device *dev);         /* registers and state, a line each; caller frees */

/* ---- Snapshots: names and values ---- */
typedef void DeviceSaveFn(void *arg, const char *name, unsigned i, uint64_t value);
void device_save(const Device *dev, DeviceSaveFn *emit, void *arg);
/* device_load_begin sets reset values, device_load refuses what a row does not accept, device_loaded derives the rest. */
void device_load_begin(Device *dev);
bool device_load(Device *dev, const char *name, unsigned i, uint64_t value, GError **error);
void device_loaded(Device *dev);

/* ---- The tree of devices and buses ---- */
typedef struct BusClass {
    const char *type;                   /* "ISA", "PCI", "IDE"; the name that DeviceClass.bus asks for       */
    bool hotplug;
    bool reset_removes;                 /* a reset of the machine ends the wait for the guest's answer       */
    /* Attach a realizing device: check its address property, grant Dma; and undo it. */
    bool (*plug)(Bus *bus, Device *dev, GError **error);
    void (*unplug)(Bus *bus, Device *dev);
    /* In a running machine, hw/hotplug.h: device_add has added it, tell the guest (NULL: it sees by itself); and
     * device_del wants it gone: ask the guest, or let it go now (NULL), or fail with *error. */
    void (*plugged)(Bus *bus, Device *dev);
    UnplugAnswer (*unplug_request)(Bus *bus, Device *dev, GError **error);
    char *(*device_path)(const Device *dev);            /* OpenFirmware-style name for the boot order; caller frees */
    void (*print)(const Device *dev, GString *out);     /* extra lines of `info qtree`                        */
} BusClass;

struct Bus {
    const BusClass *class;
    char *name;                         /* "isa.0", "pci.0", "ide.1"                                         */
    Device *parent;                     /* the device that offers it; NULL: the machine                      */
    GPtrArray *devices;                 /* plugged, in order; not owned                                      */
    void *impl;                         /* the offering device's bus struct (PciBus, IsaBus ...)             */
    bool full;
};

/* `name` NULL: parent's id and a number, or the type in lower case and a number ("isa.0"). */
Bus *bus_new(const BusClass *class, Device *parent, const char *name, void *impl);
void bus_free(Bus *bus);                /* empty; device_free does it for a device's own buses */
void bus_foreach(void (*fn)(void *arg, Bus *bus), void *arg);
Bus *bus_find(const char *name_or_path);                /* NULL */
Bus *bus_find_type(const char *type);                   /* the first that is not full */
Device *device_find(const char *id_or_path);            /* by id, or by QOM path */
/* "/pci@i0cf8/isa@1/fdc@03f0/floppy@0": where the firmware finds the device; NULL: it cannot.  Caller frees. */
char *device_fw_path(const Device *dev);
/* Every realized device that is no part, in order of creation. */
void device_foreach(void (*fn)(void *arg, Device *dev), void *arg);
char *device_unattached_path(void);     /* the next free "/machine/unattached/device[N]"; caller frees */
/* The board's devices live at /machine/ID, without id /machine/unattached; -device ones below /machine/peripheral (-anon without id). */
extern bool device_creation_by_user;    /* true while -device or device_add creates */

void device_trace_init(void);           /* register rows become trace events; at start, before the command line */
void guest_error(const Device *dev, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* For messages: the user's id, or the class's name. */
static inline const char *device_label(const Device *dev) { return dev->id ? dev->id : dev->class->name; }
int64_t now(const Device *dev);         /* ns on the virtual clock */

#endif
