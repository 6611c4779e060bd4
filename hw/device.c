/* The life of a device: made from its class, given properties, realized, reset, settled, freed. */
#include "hw/device.h"

#include <assert.h>
#include <string.h>

#include "block/drive.h"
#include "char/char.h"
#include "core/clock.h"
#include "core/log.h"
#include "hw/layout.h"
#include "hw/object.h"

static GPtrArray *devices; /* realized wholes, in order of creation */
bool device_creation_by_user;

Device *device_whole(Device *dev)
{
    while (dev->whole) {
        dev = dev->whole;
    }
    return dev;
}

int64_t now(const Device *dev)
{
    return clock_now(CLOCK_VIRTUAL);
}

void guest_error(const Device *dev, const char *format, ...)
{
    if (!log_enabled(LOG_GUEST_ERRORS)) {
        return;
    }
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    const Device *whole = device_whole((Device *)dev);
    guest_error_at(device_label(whole), "%s", text);
}

/* ---- Settling ---- */

void device_settle(Device *dev)
{
    enum { ROUNDS = 16 }; /* two devices that keep waking one another are a bug, not a hang */
    Device *d = device_whole(dev);
    if (d->settling) {
        d->settling = 2;
        return;
    }
    if (!d->realized) {
        return;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        d->settling = 1;
        for (unsigned i = 0; i < d->layout->n_members; i++) {
            const Member *m = &d->layout->members[i];
            if (m->class->update) {
                m->class->update(member_base(d, m));
            }
        }
        if (d->settling == 1) {
            break;
        }
    }
    d->settling = 0;
    if (mem_edited) {
        mem_commit();
    }
}

/* ---- Timers and back ends call back through links ---- */

static void timer_fired(void *arg)
{
    struct DeviceLink *link = arg;
    link->cell->row->fire(cell_base(link->whole, link->cell), link->i);
    device_settle(link->whole);
}

static const DeviceClass *class_with_receive(const DeviceClass *c)
{
    while (c && !c->receive) {
        c = c->base;
    }
    return c;
}

static size_t link_can_receive(void *arg)
{
    struct DeviceLink *link = arg;
    const DeviceClass *c = class_with_receive(link->cell->owner);
    return !c ? 0 : c->can_receive ? c->can_receive(cell_base(link->whole, link->cell)) : 1;
}

static void link_receive(void *arg, const uint8_t *buf, size_t len)
{
    struct DeviceLink *link = arg;
    const DeviceClass *c = class_with_receive(link->cell->owner);
    c->receive(cell_base(link->whole, link->cell), buf, len);
    device_settle(link->whole);
}

static void link_event(void *arg, CharEvent event)
{
    struct DeviceLink *link = arg;
    for (const DeviceClass *c = link->cell->owner; c; c = c->base) {
        if (c->event) {
            c->event(cell_base(link->whole, link->cell), (int)event);
            break;
        }
    }
    device_settle(link->whole);
}

static void link_writable(void *arg)
{
    struct DeviceLink *link = arg;
    for (const DeviceClass *c = link->cell->owner; c; c = c->base) {
        if (c->writable) {
            c->writable(cell_base(link->whole, link->cell));
            break;
        }
    }
    device_settle(link->whole);
}

static const CharUser char_user = {link_can_receive, link_receive, link_event, link_writable};

static Char **link_char(struct DeviceLink *link)
{
    return row_field(link->cell->row, cell_base(link->whole, link->cell), 0);
}

static bool is_char(const Cell *c)
{
    return c->row->kind == ROW_PROP && c->row->type == TYPE_CHAR;
}

static void make_links(Device *d)
{
    ClassLayout *l = d->layout;
    d->links = g_new0(struct DeviceLink, l->n_links + 1);
    unsigned n = 0;
    for (unsigned c = 0; c < l->n; c++) {
        const Cell *cell = &l->cells[c];
        if (cell->row->kind == ROW_TIMER) {
            for (unsigned i = 0; i < cell->row->count; i++) {
                d->links[n] = (struct DeviceLink){d, cell, i};
                timer_init(row_field(cell->row, cell_base(d, cell), i), CLOCK_VIRTUAL, timer_fired,
                           &d->links[n++]);
            }
        } else if (is_char(cell)) {
            d->links[n++] = (struct DeviceLink){d, cell, 0};
        }
    }
}

static bool attach_chars(Device *d, GError **error)
{
    for (unsigned i = 0; i < d->layout->n_links; i++) {
        struct DeviceLink *link = &d->links[i];
        if (is_char(link->cell) && *link_char(link) &&
            !char_attach(*link_char(link), &char_user, link, error)) {
            *link_char(link) = NULL;
            return false;
        }
    }
    return true;
}

static void detach_chars(Device *d)
{
    for (unsigned i = 0; i < d->layout->n_links; i++) {
        struct DeviceLink *link = &d->links[i];
        if (is_char(link->cell) && *link_char(link)) {
            char_detach(*link_char(link), link);
        }
    }
}

/* ---- Properties ---- */

typedef struct Global {
    char *driver, *property, *value;
    bool used;
} Global;
static GArray *globals;

void device_global(const char *driver, const char *property, const char *value)
{
    if (!globals) {
        globals = g_array_new(FALSE, FALSE, sizeof(Global));
    }
    Global g = {g_strdup(driver), g_strdup(property), g_strdup(value), false};
    g_array_append_val(globals, g);
}

char *device_globals_unused(void)
{
    GString *out = g_string_new(NULL);
    for (unsigned i = 0; globals && i < globals->len; i++) {
        Global *g = &g_array_index(globals, Global, i);
        if (!g->used) {
            g_string_append_printf(out, "global %s.%s has no effect: %s\n", g->driver, g->property,
                                   device_class_find(g->driver) ? "the machine has no such device"
                                                                : "there is no such device type");
        }
    }
    return g_string_free(out, FALSE);
}

static void apply_globals(Device *d)
{
    for (unsigned i = 0; globals && i < globals->len; i++) {
        Global *g = &g_array_index(globals, Global, i);
        if (device_class_is(d->class, g->driver)) {
            g_autoptr(GError) error = NULL;
            g->used = true;
            if (!device_set(d, g->property, g->value, &error)) {
                warn_report("-global %s.%s=%s: %s", g->driver, g->property, g->value,
                            error->message);
            }
        }
    }
}

static const Cell *property_cell(const Device *d, const char *name)
{
    for (unsigned i = 0; i < d->layout->n; i++) {
        const Cell *c = &d->layout->cells[i];
        if (c->row->kind == ROW_PROP && !strcmp(c->name, name)) {
            return c;
        }
    }
    return NULL;
}

/* A link to an object of users, not to a device. */
static bool links_object(const Row *r)
{
    return r->names && object_type_find(r->names[0]);
}

static bool set_backend(Device *d, const Cell *c, const char *text, GError **error)
{
    void *backend = NULL;
    switch (c->row->type) {
    case TYPE_CHAR: backend = char_find(text); break;
    case TYPE_DRIVE: backend = drive_find(text); break;
    case TYPE_LINK:
        if (links_object(c->row)) {
            backend = object_find_type(text, c->row->names[0], error);
            if (!backend) {
                g_prefix_error(error, "Property '%s.%s': ", d->class->name, c->name);
                return false;
            }
        } else {
            backend = device_find(text);
        }
        break;
    default: break;
    }
    if (!backend) {
        return error_fail(error, "Property '%s.%s' can't find value '%s'", d->class->name, c->name,
                          text);
    }
    *(void **)row_field(c->row, cell_base(d, c), 0) = backend;
    return true;
}

bool device_set(Device *d, const char *property, const char *text, GError **error)
{
    const Cell *c = property_cell(d, property);
    if (!c) {
        return error_fail(error, "Property '%s.%s' not found", d->class->name, property);
    }
    if (d->realized) {
        return error_fail(
            error, "Attempt to set property '%s' on device '%s' (type '%s') after it was realized",
            property, d->id ? d->id : "anonymous", d->class->name);
    }
    switch (c->row->type) {
    case TYPE_CHAR:
    case TYPE_DRIVE:
    case TYPE_NET:
    case TYPE_AUDIO:
    case TYPE_LINK: return set_backend(d, c, text, error);
    default: return row_parse(c->row, cell_base(d, c), text, d->class->name, error);
    }
}

void device_set_pointer(Device *d, const char *property, void *backend)
{
    const Cell *c = property_cell(d, property);
    assert(c && c->row->size == sizeof(void *));
    *(void **)row_field(c->row, cell_base(d, c), 0) = backend;
}

char *device_get(const Device *d, const char *property)
{
    const Cell *c = property_cell(d, property);
    if (!c) {
        return NULL;
    }
    void *backend =
        c->row->size == sizeof(void *) ? *(void **)row_field(c->row, cell_base(d, c), 0) : NULL;
    switch (c->row->type) {
    case TYPE_CHAR: return g_strdup(backend ? char_id(backend) : "");
    case TYPE_DRIVE: return g_strdup(backend ? drive_id(backend) : "");
    case TYPE_LINK:
        return !backend               ? g_strdup("")
               : links_object(c->row) ? g_strdup_printf("/objects/%s", ((UserObject *)backend)->id)
                                      : g_strdup(((Device *)backend)->path);
    default: return row_format(c->row, cell_base(d, c));
    }
}

bool device_property_is_plain(const Device *d, const char *property)
{
    const Cell *c = property_cell(d, property);
    return c && c->row->type != TYPE_SCHEMA;
}

static void default_properties(Device *d)
{
    for (unsigned i = 0; i < d->layout->n; i++) {
        const Cell *c = &d->layout->cells[i];
        if (c->row->kind == ROW_PROP && c->row->init) {
            g_autoptr(GError) error = NULL;
            if (!row_parse(c->row, cell_base(d, c), c->row->init, d->class->name, &error)) {
                g_error("device class %s: %s", d->class->name, error->message);
            }
        }
    }
}

static void free_properties(Device *d)
{
    for (unsigned i = 0; i < d->layout->n; i++) {
        const Cell *c = &d->layout->cells[i];
        if (c->row->kind == ROW_PROP) {
            row_release(c->row, cell_base(d, c));
        }
    }
}

/* ---- Life ---- */

void *device_new(const DeviceClass *class, const char *id)
{
    Device *d = g_malloc0(class->size);
    d->class = class;
    d->layout = layout_of(class);
    d->id = g_strdup(id);
    for (unsigned i = 0; i < d->layout->n_members; i++) {
        const Member *m = &d->layout->members[i];
        if (m->is_part && !m->class->plain) {
            Device *part = member_base(d, m);
            part->class = m->class;
            part->whole = d;
        }
    }
    make_links(d);
    default_properties(d);
    apply_globals(d);
    return d;
}

static char *new_path(Device *d)
{
    static unsigned anonymous;
    if (!device_creation_by_user) {
        return d->id ? g_strdup_printf("/machine/%s", d->id) : device_unattached_path();
    }
    return d->id ? g_strdup_printf("/machine/peripheral/%s", d->id)
                 : g_strdup_printf("/machine/peripheral-anon/device[%u]", anonymous++);
}

char *device_unattached_path(void)
{
    static unsigned n;
    return g_strdup_printf("/machine/unattached/device[%u]", n++);
}

static void unrealize_members(Device *d, unsigned n)
{
    while (n-- > 0) {
        const Member *m = &d->layout->members[n];
        if (m->class->unrealize) {
            m->class->unrealize(member_base(d, m));
        }
    }
}

static bool realize_members(Device *d, GError **error)
{
    for (unsigned i = 0; i < d->layout->n_members; i++) {
        const Member *m = &d->layout->members[i];
        Device *part = member_base(d, m);
        if (m->is_part && !m->class->plain) {
            part->dma = d->dma;
            part->layout = d->layout;
            part->realized = true;
        }
        if (m->class->realize && !m->class->realize(part, error)) {
            unrealize_members(d, i);
            return false;
        }
    }
    return true;
}

static void unplug(Device *d)
{
    if (d->bus) {
        if (d->bus->class->unplug) {
            d->bus->class->unplug(d->bus, d);
        }
        g_ptr_array_remove(d->bus->devices, d);
        d->bus = NULL;
    }
}

bool device_realize(Device *d, Bus *bus, GError **error)
{
    assert(!d->realized);
    if (bus) {
        if (bus->class->plug && !bus->class->plug(bus, d, error)) {
            return false;
        }
        d->bus = bus;
        g_ptr_array_add(bus->devices, d);
    }
    if (!attach_chars(d, error)) {
        unplug(d);
        return false;
    }
    if (!realize_members(d, error)) {
        detach_chars(d);
        unplug(d);
        return false;
    }
    d->path = new_path(d);
    d->realized = true;
    device_trace_update(d);
    if (!devices) {
        devices = g_ptr_array_new();
    }
    g_ptr_array_add(devices, d);
    device_reset(d, true);
    return true;
}

static void free_bus(gpointer data)
{
    Bus *b = data;
    while (b->devices->len) {
        device_free(g_ptr_array_index(b->devices, b->devices->len - 1));
    }
    bus_free(b);
}

void device_free(Device *d)
{
    if (!d) {
        return;
    }
    g_slist_free_full(g_steal_pointer(&d->buses), free_bus);
    if (d->realized) {
        g_ptr_array_remove(devices, d);
        d->realized = false;
        unrealize_members(d, d->layout->n_members);
        detach_chars(d);
        unplug(d);
    }
    for (unsigned i = 0; i < d->layout->n_links; i++) {
        struct DeviceLink *link = &d->links[i];
        if (link->cell->row->kind == ROW_TIMER) {
            timer_off(row_field(link->cell->row, cell_base(d, link->cell), link->i));
        }
    }
    device_free_regions(d);
    free_properties(d);
    g_free(d->links);
    g_free(d->path);
    g_free(d->id);
    g_free(d);
}

/* Registers and state to their reset values; `all`: battery-backed ones too. */
static void reset_rows(Device *d, bool all)
{
    for (unsigned i = 0; i < d->layout->n; i++) {
        const Cell *c = &d->layout->cells[i];
        const Row *r = c->row;
        void *base = cell_base(d, c);
        if (r->kind == ROW_TIMER && (all || !r->keep)) {
            for (unsigned e = 0; e < r->count; e++) {
                timer_off(row_field(r, base, e));
            }
        }
        if ((r->kind != ROW_REG && r->kind != ROW_STATE) || !r->stored || (r->keep && !all)) {
            continue;
        }
        for (unsigned e = 0; e < r->count; e++) {
            store_le(row_field(r, base, e), r->size, r->reset);
        }
    }
}

void device_reset(Device *d, bool power_on)
{
    reset_rows(d, power_on);
    for (unsigned i = 0; i < d->layout->n_members; i++) {
        const Member *m = &d->layout->members[i];
        if (m->class->reset) {
            m->class->reset(member_base(d, m), power_on);
        }
    }
    device_settle(d);
}

void device_load_begin(Device *d)
{
    reset_rows(d, true);
}

/* ---- Inputs ---- */

static void deliver_input(Device *d, unsigned line, bool level)
{
    for (const DeviceClass *c = d->class; c; c = c->base) {
        if (c->input) {
            if (line < c->inputs) {
                c->input(d, line, level);
                device_settle(d);
            }
            return;
        }
    }
}

void device_input(Device *d, unsigned line, bool level)
{
    if (G_UNLIKELY(d->intercept != NULL)) {
        d->intercept(d->intercept_arg, line, level);
        return;
    }
    deliver_input(d, line, level);
}

static void input_sink(void *sink, unsigned line, bool level)
{
    device_input(sink, line, level);
}

void device_connect(Irq *pin, Device *sink, unsigned line)
{
    irq_connect(pin, input_sink, sink, line);
}

Irq *device_pin(Device *d, const char *name, unsigned i)
{
    const Cell *c = layout_find(d->layout, name);
    return c && c->row->kind == ROW_PIN && i < c->row->count ? row_field(c->row, cell_base(d, c), i)
                                                             : NULL;
}

void device_receive(Device *d, const uint8_t *buf, size_t len)
{
    const DeviceClass *c = class_with_receive(d->class);
    if (c) {
        c->receive(d, buf, len);
        device_settle(d);
    }
}

/* ---- Finding ---- */

void device_foreach(void (*fn)(void *arg, Device *dev), void *arg)
{
    for (unsigned i = 0; devices && i < devices->len; i++) {
        fn(arg, g_ptr_array_index(devices, i));
    }
}

Device *device_find(const char *id)
{
    for (unsigned i = 0; devices && i < devices->len; i++) {
        Device *d = g_ptr_array_index(devices, i);
        if ((d->id && !strcmp(d->id, id)) || !strcmp(d->path, id)) {
            return d;
        }
    }
    return NULL;
}
