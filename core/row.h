/* Rows: declare a thing once, reflect it everywhere.
 *
 * A row says what a datasheet, a user or a debugger calls a field of a struct, where it lives and what may be stored in
 * it.  Property parsing, register dispatch, save and load, reset, introspection, help, trace and the free tests read the
 * same rows.  docs/architecture.md §3 explains the idea, docs/device-howto.md shows a device from end to end.
 *
 * Hosts are little-endian: a field of `size` bytes is read as an integer where it lies. */
#ifndef CORE_ROW_H
#define CORE_ROW_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"

typedef struct Row Row;
typedef struct DeviceClass DeviceClass;

typedef enum RowKind {
    ROW_END,
    ROW_PROP,                           /* the user sets it before realize; not saved                        */
    ROW_REG,                            /* the guest sees it; saved when it has storage                      */
    ROW_WINDOW,                         /* index/data pair: this address shows a register of another space   */
    ROW_STATE,                          /* nobody sees it, but it is saved and reset                         */
    ROW_TIMER,                          /* a deadline on the virtual clock; saved                            */
    ROW_PIN,                            /* an Irq output; its level is saved for the tests only              */
    ROW_MSI,                            /* a message output (struct Msi)                                     */
    ROW_PART,                           /* a device inside this one: its rows, renamed and shifted           */
    ROW_DERIVED,                        /* not state: recomputed by update() or realize, exempt from "no hidden state" */
} RowKind;

typedef enum RowType {
    TYPE_UINT,                          /* 1, 2, 4 or 8 bytes                                                */
    TYPE_INT,                           /* the same, signed                                                  */
    TYPE_BOOL,
    TYPE_STR,                           /* char *, owned by the struct                                       */
    TYPE_SIZE,                          /* uint64_t of bytes; the user may write 64K, 1M, 2G                 */
    TYPE_ENUM,                          /* an int: index into .names                                         */
    TYPE_CHAR,                          /* Char *                                                            */
    TYPE_DRIVE,                         /* Drive *                                                           */
    TYPE_NET,                           /* Link *                                                            */
    TYPE_AUDIO,                         /* AudioSource *                                                     */
    TYPE_PCI_ADDR,                      /* int32_t devfn; the user writes "SLOT" or "SLOT.FN", -1: any       */
    TYPE_MAC,                           /* uint8_t[6]                                                        */
    TYPE_UUID,                          /* uint8_t[16]                                                       */
    TYPE_LINK,                          /* void *: another object, named by id; .names is its type           */
    TYPE_SCHEMA,                        /* a value of .schema's C type, owned by the struct; the user writes JSON */
    TYPE_OPAQUE,
} RowType;

typedef struct Bank {                   /* "only when that byte, masked, has this value"                     */
    uint16_t field, stride;             /* stride: one byte per element of an array of units                 */
    uint8_t mask, is;                   /* mask 0: always                                                    */
} Bank;

typedef struct Ref {                    /* another integer field of the same struct; size 0: none            */
    uint16_t field;
    uint8_t size;
} Ref;

/* Hooks get the struct whose class declares the row (the part, not the whole), the row's .arg, and the element. */
typedef uint64_t RowGet(const void *dev, unsigned arg, unsigned i);     /* pure: any time, no side effect     */
typedef void RowRead(void *dev, unsigned arg, unsigned i);              /* side effect of a guest's read      */
typedef void RowWrite(void *dev, unsigned arg, unsigned i, uint64_t old, uint64_t value);
typedef void RowFire(void *dev, unsigned i);

struct Row {
    uint8_t kind, type;
    uint8_t size;                       /* bytes of one element                                              */
    uint8_t space;                      /* register space; the class decides what each is (0: its main one)  */
    bool stored;                        /* .field is valid                                                   */
    bool ro, wo;                        /* the guest's writes / reads pass this row by: two rows may share an address */
    bool keep;                          /* battery-backed or strapped: reset only at power-on                */
    bool live_only;                     /* .live also hides the elements from the guest                      */
    uint16_t field;                     /* offset in the struct                                              */
    uint16_t at;                        /* guest address within the space                                    */
    uint16_t count;                     /* elements                                                          */
    uint16_t stride;                    /* bytes between elements in the struct (0: size)                    */
    uint16_t step;                      /* bytes between elements at the guest (0: size)                     */
    unsigned arg;                       /* for the hooks                                                     */
    const char *name;                   /* the datasheet's mnemonic, lower case: also the migration format   */
    const char *doc;
    const char *init;                   /* ROW_PROP: default, in the text a user would write                 */
    const char *bits;                   /* bit names, low bit first; "-" for an unnamed one                  */
    const char *const *names;           /* TYPE_ENUM: values, NULL-terminated; TYPE_LINK: { type, NULL }     */
    const struct QType *schema;         /* TYPE_SCHEMA: core/schema.h                                        */
    const char *was;                    /* earlier name, still accepted when loading                         */
    Bank bank;                          /* answers only when                                                 */
    Bank lock;                          /* may be written only when (reads are unaffected)                   */
    Ref select;                         /* the element picked by this field; the guest address does not move */
    Ref live;                           /* elements that exist now; beyond: reads 0, writes ignored, unsaved */
    Ref mask;                           /* the write mask is kept in the struct (same stride as the field)   */
    Ref from;                           /* read the value of another field                                   */
    Ref index;                          /* ROW_WINDOW: address in .into = index * unit + lane                */
    uint16_t unit;                      /* 0: 1                                                              */
    uint8_t into;
    uint64_t reset;                     /* value at reset                                                    */
    uint64_t rw, w1c, w1s, rc;          /* writable; write 1 clears; write 1 sets; read clears               */
    uint64_t is;                        /* register without storage: a constant                              */
    uint64_t max;                       /* load refuses more (TYPE_INT: beyond +-max); 0: no bound           */
    RowGet *get;
    RowRead *on_read;
    RowWrite *on_write;                 /* value: what is stored now (with storage) or what was written      */
    RowFire *fire;                      /* ROW_TIMER                                                         */
    const DeviceClass *part;            /* ROW_PART; .at and .space shift its registers                      */
};

/* The type of a field, so that nobody states it twice. */
#define ROW_TYPE(T, f)                                                                                                 \
    _Generic(((T *)0)->f, bool: TYPE_BOOL, char *: TYPE_STR, int8_t: TYPE_INT, int16_t: TYPE_INT, int32_t: TYPE_INT,   \
             int64_t: TYPE_INT, struct Char *: TYPE_CHAR, struct Drive *: TYPE_DRIVE, struct Link *: TYPE_NET,         \
             default: TYPE_UINT)
#define ROW_FIELD(T, f) .name = #f, .stored = true, .field = offsetof(T, f), .size = sizeof(((T *)0)->f), .count = 1
/* field f of each element of the struct array u */
#define ROW_EACH(T, u, f)                                                                                              \
    .name = #u "." #f, .stored = true, .field = offsetof(T, u[0].f), .size = sizeof(((T *)0)->u[0].f),                 \
    .count = G_N_ELEMENTS(((T *)0)->u), .stride = sizeof(((T *)0)->u[0])
/* plain array */
#define ROW_ARRAY(T, f)                                                                                                \
    .name = #f, .stored = true, .field = offsetof(T, f), .size = sizeof(((T *)0)->f[0]),                               \
    .count = G_N_ELEMENTS(((T *)0)->f)

#define PROP(T, f, default_, doc_, ...)                                                                                \
    {.kind = ROW_PROP, ROW_FIELD(T, f), .type = ROW_TYPE(T, f), .init = default_, .doc = doc_, __VA_ARGS__}
/* the property's name differs from the field's */
#define PROP_AS(T, f, name_, default_, doc_, ...)                                                                      \
    {.kind = ROW_PROP, .stored = true, .field = offsetof(T, f), .size = sizeof(((T *)0)->f), .count = 1,               \
     .name = name_, .type = ROW_TYPE(T, f), .init = default_, .doc = doc_, __VA_ARGS__}
#define CHARDEV(T, f, doc_) {.kind = ROW_PROP, ROW_FIELD(T, f), .type = TYPE_CHAR, .doc = doc_}
#define DRIVE(T, f, doc_) {.kind = ROW_PROP, ROW_FIELD(T, f), .type = TYPE_DRIVE, .doc = doc_}

#define REG(T, f, at_, ...) {.kind = ROW_REG, ROW_FIELD(T, f), .type = ROW_TYPE(T, f), .at = at_, __VA_ARGS__}
#define REGS(T, f, at_, ...) {.kind = ROW_REG, ROW_ARRAY(T, f), .type = ROW_TYPE(T, f[0]), .at = at_, __VA_ARGS__}
#define EACH_REG(T, u, f, at_, ...)                                                                                    \
    {.kind = ROW_REG, ROW_EACH(T, u, f), .type = ROW_TYPE(T, u[0].f), .at = at_, __VA_ARGS__}
/* a register without storage: computed (.get), constant (.is), copied (.from) or write-only (.on_write) */
#define CALC(name_, size_, at_, ...) {.kind = ROW_REG, .name = #name_, .size = size_, .at = at_, .count = 1, __VA_ARGS__}
#define WINDOW(T, name_, size_, at_, into_, index_, ...)                                                               \
    {.kind = ROW_WINDOW, .name = #name_, .size = size_, .at = at_, .count = 1, .into = into_,                          \
     .index = {offsetof(T, index_), sizeof(((T *)0)->index_)}, __VA_ARGS__}

#define STATE(T, f, ...) {.kind = ROW_STATE, ROW_FIELD(T, f), .type = ROW_TYPE(T, f), __VA_ARGS__}
#define STATES(T, f, ...) {.kind = ROW_STATE, ROW_ARRAY(T, f), .type = ROW_TYPE(T, f[0]), __VA_ARGS__}
#define EACH(T, u, f, ...) {.kind = ROW_STATE, ROW_EACH(T, u, f), .type = ROW_TYPE(T, u[0].f), __VA_ARGS__}
/* a plain array of which only the first `n_` elements (a field) exist: saved and loaded as that many */
#define QUEUE(T, f, n_, ...)                                                                                           \
    {.kind = ROW_STATE, ROW_ARRAY(T, f), .type = ROW_TYPE(T, f[0]), .live = {offsetof(T, n_), sizeof(((T *)0)->n_)},   \
     __VA_ARGS__}
/* recomputed, never saved */
#define DERIVED(T, f, ...) {.kind = ROW_DERIVED, ROW_FIELD_BYTES(T, f), __VA_ARGS__}
#define ROW_FIELD_BYTES(T, f)                                                                                          \
    .name = #f, .stored = true, .field = offsetof(T, f), .size = 1, .count = sizeof(((T *)0)->f)

#define TIMER(T, f, fire_, ...) {.kind = ROW_TIMER, ROW_FIELD(T, f), .fire = fire_, __VA_ARGS__}
#define TIMERS(T, f, fire_, ...) {.kind = ROW_TIMER, ROW_ARRAY(T, f), .fire = fire_, __VA_ARGS__}
#define EACH_TIMER(T, u, f, fire_, ...) {.kind = ROW_TIMER, ROW_EACH(T, u, f), .fire = fire_, __VA_ARGS__}
#define PIN(T, f, doc_, ...) {.kind = ROW_PIN, ROW_FIELD(T, f), .doc = doc_, __VA_ARGS__}
#define PINS(T, f, doc_, ...) {.kind = ROW_PIN, ROW_ARRAY(T, f), .doc = doc_, __VA_ARGS__}
#define EACH_PIN(T, u, f, doc_, ...) {.kind = ROW_PIN, ROW_EACH(T, u, f), .doc = doc_, __VA_ARGS__}
#define PART(T, f, class_, ...) {.kind = ROW_PART, ROW_FIELD_BYTES(T, f), .part = &class_, __VA_ARGS__}
#define END {.kind = ROW_END}

#define WHEN(T, f, m, v) .bank = {.field = offsetof(T, f), .mask = m, .is = v}
#define WHEN_EACH(T, u, f, m, v)                                                                                       \
    .bank = {.field = offsetof(T, u[0].f), .stride = sizeof(((T *)0)->u[0]), .mask = m, .is = v}
#define LOCK(T, f, m, v) .lock = {.field = offsetof(T, f), .mask = m, .is = v}
#define SELECT(T, f) .select = {offsetof(T, f), sizeof(((T *)0)->f)}
#define LIVE(T, f) .live = {offsetof(T, f), sizeof(((T *)0)->f)}, .live_only = true
#define MASK(T, f) .mask = {offsetof(T, f), sizeof(((T *)0)->f)}
#define FROM(T, f) .from = {offsetof(T, f), sizeof(((T *)0)->f)}

/* ---- Raw access, for every reader of rows.  `base` is the struct that declares the row. ---- */

static inline uint64_t load_le(const void *p, unsigned size)
{
    switch (size) {
    case 1: return *(const uint8_t *)p;
    case 2: return *(const uint16_t *)p;
    case 4: return *(const uint32_t *)p;
    case 8: return *(const uint64_t *)p;
    default: {
        uint64_t v = 0;
        __builtin_memcpy(&v, p, size <= 8 ? size : 8);
        return v;
    }
    }
}

static inline void store_le(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1: *(uint8_t *)p = (uint8_t)v; break;
    case 2: *(uint16_t *)p = (uint16_t)v; break;
    case 4: *(uint32_t *)p = (uint32_t)v; break;
    case 8: *(uint64_t *)p = v; break;
    default: __builtin_memcpy(p, &v, size <= 8 ? size : 8);
    }
}

static inline unsigned row_stride(const Row *r) { return r->stride ? r->stride : r->size; }
static inline unsigned row_step(const Row *r) { return r->step ? r->step : r->size; }
static inline void *row_field(const Row *r, const void *base, unsigned i)
{
    return (char *)base + r->field + (size_t)i * row_stride(r);
}
static inline uint64_t ref_value(Ref ref, const void *base)
{
    return load_le((const char *)base + ref.field, ref.size);
}
static inline bool bank_open(const Bank *b, const void *base, unsigned i)
{
    return !b->mask || (*((const uint8_t *)base + b->field + (size_t)i * b->stride) & b->mask) == b->is;
}

/* All ones in `size` bytes. */
static inline uint64_t size_mask(unsigned size) { return size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size)) - 1; }

/* The value of a stored integer or bool element, sign-extended for TYPE_INT. */
uint64_t row_get_raw(const Row *r, const void *base, unsigned i);
/* Whether `value` may be stored there at all (bool, max); loads and properties ask. */
bool row_accepts(const Row *r, uint64_t value);
/* "ERBFI ELSI" for 05 with .bits; empty string when no bit has a name.  Caller frees. */
char *row_bits_text(const Row *r, uint64_t value);

/* Properties as text, in the grammar of the command line, for types that need no back end (integers, bool, str, size,
 * enum, PCI address, MAC, UUID, JSON for the schema's types).  row_parse reports what is accepted; `object` names the owner in messages. */
bool row_parse(const Row *r, void *base, const char *text, const char *object, GError **error);
/* "64K", "1.5G", "0x1000": bytes, with the suffix to take when there is none ('B', 'M').  False: no such size. */
bool row_parse_size(const char *text, char default_suffix, uint64_t *bytes);
/* "on", "off", "yes", "no", "true", "false", "y", "n". */
bool row_parse_bool(const char *text, bool *value);
char *row_format(const Row *r, const void *base);       /* caller frees; NULL: unset */
void row_release(const Row *r, void *base);             /* what the value owns: it is unset then */
const char *row_type_name(const Row *r);                /* "uint32", "bool", "str", "size" ... as introspection prints it */

#endif
