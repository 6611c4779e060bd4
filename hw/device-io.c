/* A guest's access to the rows of a device, and what a monitor, a tracer and a snapshot read from
 * them. */
#include <inttypes.h>
#include <string.h>

#include "core/log.h"
#include "hw/layout.h"
#include "hw/platform.h"

/* ---- Values ---- */

uint64_t cell_value(const Device *d, const Cell *c, unsigned i)
{
    const Row *r = c->row;
    const void *base = cell_base(d, c);
    if (r->get) {
        return r->get(base, r->arg, i);
    }
    if (r->from.size) {
        return ref_value(r->from, base);
    }
    return r->stored ? load_le(row_field(r, base, i), r->size) : r->is;
}

/* Which element answers at byte `off` of the cell, and where in it; false: none that lives. */
static bool pick_element(const Device *d, const Cell *c, unsigned off, unsigned *i, unsigned *lane)
{
    const Row *r = c->row;
    if (r->select.size) {
        uint64_t chosen = ref_value(r->select, cell_base(d, c));
        *i = chosen < r->count ? (unsigned)chosen : r->count;
        *lane = off;
    } else if (r->count == 1) {
        *i = 0;
        *lane = off;
    } else {
        *i = off / row_step(r);
        *lane = off % row_step(r);
    }
    return *i < (r->live_only || r->select.size ? cell_count(d, c) : r->count);
}

/* The cell that answers an access in this direction; NULL: a hole. */
static const Cell *find_cell(const Device *d, unsigned space, unsigned at, bool write)
{
    const ClassLayout *l = d->layout;
    if (at >= l->space[space].extent) {
        return NULL;
    }
    for (const uint16_t *p = &l->pool[l->space[space].first[at]]; *p; p++) {
        const Cell *c = &l->cells[*p - 1];
        const Row *r = c->row;
        if (write ? r->ro : r->wo) {
            continue;
        }
        if (r->bank.mask) {
            unsigned i = r->bank.stride ? (at - c->at) / row_step(r) : 0;
            if (!bank_open(&r->bank, cell_base(d, c), i)) {
                continue;
            }
        }
        return c;
    }
    return NULL;
}

/* The event of a row is GROUP.ROW, whichever its element; a device is the group of its rows. */
static const char *trace_group(const Device *d)
{
    return device_label(d);
}

static void trace_row(const Device *d, const Cell *c, unsigned i, uint64_t v, bool write)
{
    g_autofree char *event = g_strdup_printf("%s.%s", trace_group(d), c->name);
    if (!trace_member_selected(trace_group(d), event)) {
        return;
    }
    g_autofree char *bits = row_bits_text(c->row, v);
    g_autofree char *element = c->row->count > 1 ? g_strdup_printf("%s[%u]", event, i) : g_strdup(event);
    trace_printf(element, "%s %0*" PRIx64 "%s%s", write ? "<-" : "->", 2 * c->row->size, v, *bits ? " " : "", bits);
}

static void each_row(const char *group, const ClassLayout *l, void (*found)(void *arg, const char *group, const char *name),
                     void *arg)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (l->cells[i].row->kind == ROW_REG) {
            g_autofree char *event = g_strdup_printf("%s.%s", group, l->cells[i].name);
            found(arg, group, event);
        }
    }
}

typedef struct Found {
    void (*fn)(void *arg, const char *group, const char *name);
    void *arg;
    bool any;
} Found;

static void each_device(void *arg, Device *d)
{
    Found *f = arg;
    f->any = true;
    each_row(trace_group(d), layout_of(d->class), f->fn, f->arg);
}

/* Of the machine's devices; before there are any, of all classes. */
static void trace_each(void (*found)(void *arg, const char *group, const char *name), void *arg)
{
    Found f = {found, arg, false};
    device_foreach(each_device, &f);
    for (const DeviceClass *const *c = device_classes; !f.any && *c; c++) {
        if (!(*c)->abstract) {
            each_row((*c)->name, layout_of(*c), found, arg);
        }
    }
}

static void look_for_selected(void *arg, const char *group, const char *name)
{
    *(bool *)arg |= trace_member_selected(group, name);
}

void device_trace_update(Device *d)
{
    bool any = false;
    if (trace_generation) {
        each_row(trace_group(d), layout_of(d->class), look_for_selected, &any);
    }
    d->traced = any;
}

static void update_one(void *arg, Device *d)
{
    device_trace_update(d);
}

static void trace_changed(void)
{
    device_foreach(update_one, NULL);
}

void device_trace_init(void)
{
    static const TraceSource source = {.each = trace_each, .changed = trace_changed};
    trace_add_source(&source);
}

/* ---- Reading ---- */

static uint64_t read_window(Device *d, const Cell *c, unsigned off, unsigned n)
{
    const Row *r = c->row;
    uint64_t index = ref_value(r->index, cell_base(d, c)) * (r->unit ? r->unit : 1) + off;
    if (r->on_read) {
        r->on_read(cell_base(d, c), r->arg, 0);
    }
    uint64_t v =
        index > UINT16_MAX ? 0 : device_read_raw(d, r->into + c->space_shift, (unsigned)index, n);
    return v;
}

uint64_t device_read_raw(Device *d, unsigned space, unsigned at, unsigned size)
{
    uint64_t result = 0;
    for (unsigned done = 0; done < size;) {
        const Cell *c = find_cell(d, space, at + done, false);
        unsigned i, lane, n = 1;
        uint64_t v = d->class->open >> space & 1 ? 0xff : 0;
        if (c && c->row->kind == ROW_WINDOW) {
            unsigned off = at + done - c->at;
            n = MIN(size - done, c->row->size - off);
            v = read_window(d, c, off, n);
        } else if (c && pick_element(d, c, at + done - c->at, &i, &lane)) {
            const Row *r = c->row;
            n = MIN(size - done, r->size - lane);
            v = cell_value(d, c, i);
            if (G_UNLIKELY(d->traced)) {
                trace_row(d, c, i, v, false);
            }
            if (r->rc && r->stored) {
                void *field = row_field(r, cell_base(d, c), i);
                store_le(field, r->size,
                         load_le(field, r->size) & ~(r->rc & size_mask(n) << 8 * lane));
            }
            if (r->on_read) {
                r->on_read(cell_base(d, c), r->arg, i);
            }
            v >>= 8 * lane;
        }
        result |= (v & size_mask(n)) << 8 * done;
        done += n;
    }
    return result;
}

uint64_t device_read(Device *d, unsigned space, unsigned at, unsigned size)
{
    uint64_t v = device_read_raw(d, space, at, size);
    device_settle(d);
    return v;
}

/* ---- Writing ---- */

static void write_element(Device *d, const Cell *c, unsigned i, unsigned lane, unsigned n,
                          uint64_t v)
{
    const Row *r = c->row;
    void *base = cell_base(d, c);
    uint64_t lanes = size_mask(n) << 8 * lane;
    v = v << 8 * lane & lanes;
    if (G_UNLIKELY(d->traced)) {
        trace_row(d, c, i, v, true);
    }
    if (r->lock.mask && !bank_open(&r->lock, base, i)) {
        return;
    }
    if (!r->stored) {
        if (r->on_write) {
            r->on_write(base, r->arg, i, 0, v);
        }
        return;
    }
    void *field = row_field(r, base, i);
    uint64_t old = load_le(field, r->size);
    uint64_t rw = r->mask.size ? load_le((char *)base + r->mask.field + (size_t)i * row_stride(r),
                                         r->mask.size)
                               : r->rw;
    uint64_t new = (old & ~(rw & lanes)) | (v & rw);
    new &= ~(v & r->w1c);
    new |= v & r->w1s;
    store_le(field, r->size, new);
    if (r->on_write) {
        r->on_write(base, r->arg, i, old, new);
    }
}

static void write_window(Device *d, const Cell *c, unsigned off, unsigned n, uint64_t v)
{
    const Row *r = c->row;
    uint64_t index = ref_value(r->index, cell_base(d, c)) * (r->unit ? r->unit : 1) + off;
    if (index <= UINT16_MAX) {
        device_write_raw(d, r->into + c->space_shift, (unsigned)index, n, v);
    }
    if (r->on_write) {
        r->on_write(cell_base(d, c), r->arg, 0, 0, v);
    }
}

void device_write_raw(Device *d, unsigned space, unsigned at, unsigned size, uint64_t value)
{
    for (unsigned done = 0; done < size;) {
        const Cell *c = find_cell(d, space, at + done, true);
        uint64_t v = value >> 8 * done;
        unsigned i, lane, n = 1;
        if (c && c->row->kind == ROW_WINDOW) {
            unsigned off = at + done - c->at;
            n = MIN(size - done, c->row->size - off);
            write_window(d, c, off, n, v & size_mask(n));
        } else if (c && pick_element(d, c, at + done - c->at, &i, &lane)) {
            n = MIN(size - done, c->row->size - lane);
            write_element(d, c, i, lane, n, v);
        }
        done += n;
    }
}

void device_write(Device *d, unsigned space, unsigned at, unsigned size, uint64_t value)
{
    device_write_raw(d, space, at, size, value);
    device_settle(d);
}

/* ---- Regions ---- */

typedef struct Window { /* what a device's region calls back with */
    Device *dev;        /* the whole */
    unsigned space;
    const IoOps *ops; /* NULL: rows */
    void *opaque;
    IoOps own; /* ops' sizes around our functions */
    Region *region;
} Window;

/* A device's own DMA must not come back into it in the middle of an access. */
static bool enter(Window *w)
{
    if (w->dev->accessing) {
        guest_error(w->dev, "access to its own registers while it is busy with one");
        return false;
    }
    w->dev->accessing++;
    return true;
}

static uint64_t window_read(void *opaque, uint64_t at, unsigned size)
{
    Window *w = opaque;
    if (!enter(w)) {
        return size_mask(size);
    }
    uint64_t v = w->ops ? (w->ops->read ? w->ops->read(w->opaque, at, size) : size_mask(size))
                        : device_read_raw(w->dev, w->space, (unsigned)at, size);
    device_settle(w->dev);
    w->dev->accessing--;
    return v;
}

static void window_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    Window *w = opaque;
    if (!enter(w)) {
        return;
    }
    if (!w->ops) {
        device_write_raw(w->dev, w->space, (unsigned)at, size, value);
    } else if (w->ops->write) {
        w->ops->write(w->opaque, at, size, value);
    }
    device_settle(w->dev);
    w->dev->accessing--;
}

static Region *make_window(Device *dev, const char *name, uint64_t size, Window init)
{
    Window *w = g_new(Window, 1);
    *w = init;
    w->dev = device_whole(dev);
    w->own = (IoOps){window_read, window_write, init.ops ? init.ops->min : 0,
                     init.ops ? init.ops->max : 0};
    w->region = region_io(name ? name : dev->class->name, size, &w->own, w);
    w->dev->regions = g_slist_prepend(w->dev->regions, w);
    return w->region;
}

Region *device_region(Device *dev, unsigned space, const char *name, uint64_t size)
{
    return make_window(dev, name, size, (Window){.space = space});
}

Region *device_region_io(Device *dev, const char *name, uint64_t size, const IoOps *ops)
{
    return make_window(dev, name, size, (Window){.ops = ops, .opaque = dev});
}

Region *device_region_io_opaque(Device *dev, const char *name, uint64_t size, const IoOps *ops,
                                void *opaque)
{
    return make_window(dev, name, size, (Window){.ops = ops, .opaque = opaque});
}

static void free_window(gpointer data)
{
    Window *w = data;
    region_free(w->region);
    g_free(w);
}

void device_free_regions(Device *d)
{
    g_slist_free_full(g_steal_pointer(&d->regions), free_window);
}

/* ---- Looking ---- */

void device_rows(const Device *d, DeviceRowFn *fn, void *arg)
{
    for (unsigned c = 0; c < d->layout->n; c++) {
        const Cell *cell = &d->layout->cells[c];
        for (unsigned i = 0; i < cell->row->count; i++) {
            fn(arg, cell->row, cell->name, cell_base(d, cell), i);
        }
    }
}

uint64_t device_peek(const Device *d, const char *name, unsigned i)
{
    const Cell *c = layout_find(d->layout, name);
    if (!c || i >= c->row->count) {
        return 0;
    }
    return c->row->kind == ROW_PIN ? ((Irq *)row_field(c->row, cell_base(d, c), i))->level
                                   : cell_value(d, c, i);
}

char *device_registers_text(const Device *d)
{
    GString *out = g_string_new(NULL);
    for (unsigned n = 0; n < d->layout->n; n++) {
        const Cell *c = &d->layout->cells[n];
        const Row *r = c->row;
        if ((r->kind != ROW_REG && r->kind != ROW_STATE) || (r->wo && !r->stored)) {
            continue;
        }
        g_string_append_printf(out, "%-20s", c->name);
        unsigned count = cell_count(d, c);
        for (unsigned i = 0; i < count && i < 16; i++) {
            g_string_append_printf(out, " %0*" PRIx64, 2 * r->size,
                                   cell_value(d, c, i) & size_mask(r->size));
        }
        g_autofree char *bits = count == 1 ? row_bits_text(r, cell_value(d, c, 0)) : NULL;
        g_string_append_printf(out, "%s%s%s\n", count > 16 ? " ..." : "", bits && *bits ? "  " : "",
                               bits ? bits : "");
    }
    return g_string_free(out, FALSE);
}

/* ---- Snapshots ---- */

static bool is_saved(const Row *r)
{
    return ((r->kind == ROW_REG || r->kind == ROW_STATE) && r->stored) || r->kind == ROW_TIMER;
}

void device_save(const Device *d, DeviceSaveFn *emit, void *arg)
{
    if (platform.chip_fetch) { /* the kernel may have the state, and ours is a form to show it in */
        platform.chip_fetch((Device *)d);
    }
    for (unsigned n = 0; n < d->layout->n; n++) {
        const Cell *c = &d->layout->cells[n];
        if (!is_saved(c->row)) {
            continue;
        }
        unsigned count = cell_count(d, c);
        for (unsigned i = 0; i < count; i++) {
            const void *base = cell_base(d, c);
            emit(arg, c->name, i,
                 c->row->kind == ROW_TIMER ? (uint64_t)((Timer *)row_field(c->row, base, i))->at
                                           : row_get_raw(c->row, base, i));
        }
    }
}

bool device_load(Device *d, const char *name, unsigned i, uint64_t value, GError **error)
{
    const Cell *c = layout_find(d->layout, name);
    if (!c || !is_saved(c->row)) {
        return error_fail(error, "device '%s' has no state '%s'", d->class->name, name);
    }
    if (i >= c->row->count) {
        return error_fail(error, "device '%s': state '%s' has %u elements, not %u", d->class->name,
                          name, c->row->count, i + 1);
    }
    void *field = row_field(c->row, cell_base(d, c), i);
    if (c->row->kind == ROW_TIMER) {
        enum { CENTURY = 100 * 366 * 24 * 3600LL };
        int64_t at = (int64_t)value;
        if (at != TIMER_OFF && (at < 0 || at / NS_PER_SECOND > CENTURY)) {
            return error_fail(error, "device '%s': timer '%s' is out of range", d->class->name,
                              name);
        }
        timer_at(field, at);
        return true;
    }
    if (!row_accepts(c->row, value)) {
        return error_fail(error, "device '%s': state '%s' cannot be %" PRIu64, d->class->name, name,
                          value);
    }
    store_le(field, c->row->size, value);
    return true;
}

void device_loaded(Device *d)
{
    device_settle(d);
    if (platform.chip_flush) {
        platform.chip_flush(d);
    }
}
