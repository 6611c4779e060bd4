/* The registry of device classes, and their rows flattened for quick access. */
#include <assert.h>
#include <string.h>

#include "hw/layout.h"

const DeviceClass *device_class_find(const char *name)
{
    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if (!strcmp((*c)->name, name)) {
            return *c;
        }
    }
    for (const DeviceClass *const *c = device_classes; *c; c++) {
        if ((*c)->alias && !strcmp((*c)->alias, name)) {
            return *c;
        }
    }
    return NULL;
}

bool device_class_is(const DeviceClass *class, const char *type)
{
    for (const DeviceClass *c = class; c; c = c->base) {
        if (!strcmp(c->name, type) || (c->interfaces && g_strv_contains(c->interfaces, type))) {
            return true;
        }
    }
    return !strcmp(type, "device") || !strcmp(type, "object");
}

/* ---- Flattening ---- */

typedef struct Builder {
    GArray *cells, *members;
    unsigned links;
} Builder;

static void add_class(Builder *b, const DeviceClass *class, const char *prefix, uint32_t base,
                      uint16_t at, uint8_t space, bool is_part);

static void add_rows(Builder *b, const DeviceClass *class, const char *prefix, uint32_t base,
                     uint16_t at, uint8_t space)
{
    for (const Row *r = class->rows; r && r->kind != ROW_END; r++) {
        if (r->kind == ROW_PART) {
            g_autofree char *inner = g_strdup_printf("%s%s.", prefix, r->name);
            add_class(b, r->part, inner, base + r->field, at + r->at, space + r->space, true);
            continue;
        }
        Cell c = {.row = r,
                  .owner = class,
                  .base = base,
                  .at = at + r->at,
                  .space = space + r->space,
                  .space_shift = space};
        c.name = r->kind == ROW_PROP ? g_strdup(r->name) : g_strconcat(prefix, r->name, NULL);
        assert(c.space < REG_SPACES);
        g_array_append_val(b->cells, c);
        if (r->kind == ROW_TIMER) {
            b->links += r->count;
        } else if (r->kind == ROW_PROP && r->type == TYPE_CHAR) {
            b->links++;
        }
    }
}

static void add_class(Builder *b, const DeviceClass *class, const char *prefix, uint32_t base,
                      uint16_t at, uint8_t space, bool is_part)
{
    if (class->base) {
        add_class(b, class->base, prefix, base, at, space, is_part);
    }
    add_rows(b, class, prefix, base, at, space);
    Member m = {class, base, is_part};
    g_array_append_val(b->members, m);
}

/* Guest addresses that an element row covers: calls fn for each byte. */
static bool cell_covers(const Cell *c, unsigned at)
{
    const Row *r = c->row;
    unsigned off = at - c->at;
    if (at < c->at) {
        return false;
    }
    if (r->kind == ROW_WINDOW || r->select.size) {
        return off < r->size;
    }
    return off / row_step(r) < r->count && off % row_step(r) < r->size;
}

static uint32_t cell_extent(const Cell *c)
{
    const Row *r = c->row;
    bool single = r->kind == ROW_WINDOW || r->select.size;
    return c->at + (single ? r->size : (r->count - 1u) * row_step(r) + r->size);
}

static void index_spaces(ClassLayout *l)
{
    g_autoptr(GArray) pool = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    uint16_t zero = 0;
    g_array_append_val(pool, zero);
    for (unsigned s = 0; s < REG_SPACES; s++) {
        for (unsigned i = 0; i < l->n; i++) {
            const Cell *c = &l->cells[i];
            if ((c->row->kind == ROW_REG || c->row->kind == ROW_WINDOW) && c->space == s) {
                l->space[s].extent = MAX(l->space[s].extent, cell_extent(c));
            }
        }
        l->space[s].first = g_new0(uint16_t, l->space[s].extent);
        for (unsigned at = 0; at < l->space[s].extent; at++) {
            unsigned start = pool->len;
            for (unsigned i = 0; i < l->n; i++) {
                const Cell *c = &l->cells[i];
                if ((c->row->kind == ROW_REG || c->row->kind == ROW_WINDOW) && c->space == s &&
                    cell_covers(c, at)) {
                    uint16_t number = (uint16_t)(i + 1);
                    g_array_append_val(pool, number);
                }
            }
            if (pool->len == start) {
                continue;
            }
            g_array_append_val(pool, zero);
            /* Neighbouring bytes of one register have the same run: share it. */
            unsigned len = pool->len - start;
            if (at && l->space[s].first[at - 1]) {
                uint16_t before = l->space[s].first[at - 1];
                if (before + len <= start &&
                    !memcmp(&g_array_index(pool, uint16_t, before),
                            &g_array_index(pool, uint16_t, start), len * sizeof(uint16_t))) {
                    g_array_set_size(pool, start);
                    l->space[s].first[at] = before;
                    continue;
                }
            }
            assert(start <= UINT16_MAX);
            l->space[s].first[at] = (uint16_t)start;
        }
    }
    l->pool = g_memdup2(pool->data, pool->len * sizeof(uint16_t));
}

static void check_names(const ClassLayout *l)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (unsigned i = 0; i < l->n; i++) {
        const Cell *c = &l->cells[i];
        if (!g_hash_table_add(seen, c->name)) {
            g_error("device class %s declares '%s' twice", l->class->name, c->name);
        }
    }
}

ClassLayout *layout_of(const DeviceClass *class)
{
    static GHashTable *layouts;
    if (!layouts) {
        layouts = g_hash_table_new(g_direct_hash, g_direct_equal);
    }
    ClassLayout *l = g_hash_table_lookup(layouts, class);
    if (!l) {
        Builder b = {g_array_new(FALSE, FALSE, sizeof(Cell)),
                     g_array_new(FALSE, FALSE, sizeof(Member)), 0};
        add_class(&b, class, "", 0, 0, 0, false);
        l = g_new0(ClassLayout, 1);
        l->class = class;
        l->n = b.cells->len;
        l->cells = (Cell *)g_array_free(b.cells, FALSE);
        l->n_members = b.members->len;
        l->members = (Member *)g_array_free(b.members, FALSE);
        l->n_links = b.links;
        check_names(l);
        index_spaces(l);
        g_hash_table_insert(layouts, (gpointer) class, l);
    }
    return l;
}

const Cell *layout_find(const ClassLayout *l, const char *name)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (!strcmp(l->cells[i].name, name)) {
            return &l->cells[i];
        }
    }
    for (unsigned i = 0; i < l->n; i++) {
        if (l->cells[i].row->was && !strcmp(l->cells[i].row->was, name)) {
            return &l->cells[i];
        }
    }
    return NULL;
}

void device_class_rows(const DeviceClass *class,
                       void (*fn)(void *arg, const Row *row, const char *name), void *arg)
{
    ClassLayout *l = layout_of(class);
    for (unsigned i = 0; i < l->n; i++) {
        fn(arg, l->cells[i].row, l->cells[i].name);
    }
}

char *device_class_help(const DeviceClass *class)
{
    GString *out = g_string_new(NULL);
    ClassLayout *l = layout_of(class);
    g_string_append_printf(out, "%s options:\n", class->name);
    for (unsigned i = 0; i < l->n; i++) {
        const Row *r = l->cells[i].row;
        if (r->kind != ROW_PROP) {
            continue;
        }
        g_autofree char *left = g_strdup_printf("  %s=<%s>", r->name, row_type_name(r));
        g_string_append_printf(out, "%-23s - %s", left, r->doc ? r->doc : "");
        if (r->init) {
            g_string_append_printf(out, " (default: %s)", r->init);
        }
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}
