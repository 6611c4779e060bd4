/* A class's rows, flattened once: base classes, own rows and parts, each row with its final name, place and address.
 * Shared by hw/device*.c only. */
#ifndef HW_LAYOUT_H
#define HW_LAYOUT_H

#include "hw/device.h"

typedef struct Cell {
    const Row *row;
    const DeviceClass *owner;           /* the class (part) that declares the row: hooks get its struct */
    char *name;                         /* "part.row" */
    uint32_t base;                      /* of the owner's struct within the whole */
    uint16_t at;                        /* guest address with the parts' shifts */
    uint8_t space, space_shift;
} Cell;

typedef struct Member {                 /* a struct within the whole: a base class, a part, the class itself */
    const DeviceClass *class;
    uint32_t base;
    bool is_part;
} Member;

struct ClassLayout {
    const DeviceClass *class;
    Cell *cells;
    unsigned n;
    Member *members;                    /* in the order in which update() and reset() run */
    unsigned n_members;
    unsigned n_links;                   /* timers (each element) and character back ends */
    struct {
        uint32_t extent;                /* one past the last address */
        uint16_t *first;                /* address -> place in pool, 0: a hole */
    } space[REG_SPACES];
    uint16_t *pool;                     /* runs of cell numbers + 1, each ended by 0 */
};

struct DeviceLink {
    Device *whole;
    const Cell *cell;
    unsigned i;
};

void device_trace_update(Device *d);      /* whether a row of it is traced (device-io.c) */
ClassLayout *layout_of(const DeviceClass *class);       /* made at first use; aborts on two rows of one name */
static inline void *cell_base(const Device *d, const Cell *c) { return (char *)d + c->base; }
static inline void *member_base(const Device *d, const Member *m) { return (char *)d + m->base; }
static inline unsigned cell_count(const Device *d, const Cell *c)
{
    const Row *r = c->row;
    unsigned n = r->count;
    if (r->live.size) {
        uint64_t live = ref_value(r->live, cell_base(d, c));
        n = live < n ? (unsigned)live : n;
    }
    return n;
}
const Cell *layout_find(const ClassLayout *l, const char *name);        /* by name, property's bare name, or .was */
uint64_t cell_value(const Device *d, const Cell *c, unsigned i);        /* as the guest would read it, without effects */

#endif
