/* The stubs of one CPU.
 *
 * Stubs that blocks point to stay until borrow_flush.  Should a guest run more different instructions than the code has room
 * for, the rest goes through borrow_rare, which keeps its stubs in a small area that is thrown away when it is full. */
#include <string.h>

#include "accel/soft/borrow/code.h"
#include "accel/soft/twice.h"

enum { KEY_SIZE = VEC_CODE_MAX + 1, STUB_ALIGN = 16, LASTING = 8 << 20, RARE = 256 << 10 };

typedef struct Area {                   /* a part of the code */
    size_t start, size, used;
    GHashTable *entries;                /* Entry, by key; owns them */
} Area;

typedef struct Entry {
    uint8_t key[KEY_SIZE];              /* the instruction as vec_encode makes it, and whether strict */
    Stub stub;
} Entry;

typedef struct Borrow {
    Twice code;
    Area lasting, rare;
} Borrow;

/* By SoftCpu.  Looked at when a stub is made or asked for, never while one runs. */
static GHashTable *borrows;
static GMutex borrows_lock;

static unsigned key_hash(gconstpointer key)
{
    uint64_t a[2];
    memcpy(a, key, KEY_SIZE);
    return (unsigned)(((a[0] * UINT64_C(0x9e3779b97f4a7c15)) ^ (a[1] * UINT64_C(0xc2b2ae3d27d4eb4f))) >> 29);
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return !memcmp(a, b, KEY_SIZE);
}
_Static_assert(offsetof(Entry, key) == 0 && KEY_SIZE == 16, "an entry is found by its first bytes");

static void area_init(Area *a, size_t start, size_t size)
{
    *a = (Area){start, size, 0, g_hash_table_new_full(key_hash, key_equal, NULL, g_free)};
}

static void borrow_delete(void *p)
{
    Borrow *b = p;
    twice_unmap(&b->code);
    g_hash_table_unref(b->lasting.entries);
    g_hash_table_unref(b->rare.entries);
    g_free(b);
}

static Borrow *borrow_of(const SoftCpu *s, bool make)
{
    g_mutex_lock(&borrows_lock);
    if (!borrows) {
        borrows = g_hash_table_new_full(NULL, NULL, NULL, borrow_delete);
    }
    Borrow *b = g_hash_table_lookup(borrows, s);
    if (!b && make) {
        b = g_new0(Borrow, 1);
        twice_map(&b->code, LASTING + RARE, NULL, "stubs");
        area_init(&b->lasting, 0, LASTING);
        area_init(&b->rare, LASTING, RARE);
        g_hash_table_insert(borrows, (void *)s, b);
    }
    g_mutex_unlock(&borrows_lock);
    return b;
}

static void area_flush(Borrow *b, Area *a)
{
    g_hash_table_remove_all(a->entries);
    if (a->used) {
        twice_clear(&b->code, a->start, a->size);
    }
    a->used = 0;
}

/* Its address where it runs. */
static StubFn *area_place(Borrow *b, Area *a, const uint8_t *code, size_t length)
{
    size_t at = a->start + a->used;
    memcpy(b->code.write + at, code, length);
    a->used += (length + STUB_ALIGN - 1) & ~(size_t)(STUB_ALIGN - 1);
    return (StubFn *)(uintptr_t)(b->code.run + at);
}

static StubFn *code_new(Borrow *b, Area *a, const VecCode *c, const VecInfo *n, bool strict)
{
    uint8_t code[STUB_MAX];
    VecInfo inner = *n;
    inner.transition &= !strict; /* the strict form has done it before */
    StubFn *fn = area_place(b, a, code, stub_emit(code, *c, &inner));
    return strict ? area_place(b, a, code, stub_emit_strict(code, fn, n)) : fn;
}

static const Stub *entry_new(Borrow *b, Area *a, const uint8_t *key, const VecCode *c, bool strict)
{
    VecInfo n;
    if (!vec_info(&n, c)) {
        return NULL;
    }
    Entry *e = g_new0(Entry, 1);
    memcpy(e->key, key, KEY_SIZE);
    e->stub.mem_size = n.mem_size;
    e->stub.align = n.align;
    e->stub.reads = n.mem_read;
    e->stub.writes = n.mem_write;
    e->stub.code = code_new(b, a, c, &n, strict && n.fp);
    g_hash_table_insert(a->entries, e->key, e);
    return &e->stub;
}

static void key_make(uint8_t key[KEY_SIZE], const VecCode *c, bool strict)
{
    memset(key, 0, KEY_SIZE);
    vec_encode(c, key);
    key[KEY_SIZE - 1] = strict;
}

static bool area_full(const Area *a)
{
    return a->size - a->used < 2 * STUB_MAX;
}

static const Stub *stub_rare(SoftCpu *s, const Insn *i)
{
    Borrow *b = borrow_of(s, true);
    uint8_t key[KEY_SIZE];
    VecCode c;
    bool strict = s->mode & MODE_MXCSR;
    if (!vec_parse(&c, i, s->mode)) {
        return NULL;
    }
    key_make(key, &c, strict);
    Entry *e = g_hash_table_lookup(b->rare.entries, key);
    if (e) {
        return &e->stub;
    }
    if (area_full(&b->rare)) {
        area_flush(b, &b->rare);
    }
    return entry_new(b, &b->rare, key, &c, strict);
}

/* An instruction whose stub does not last. */
static void borrow_rare(SoftCpu *s, const Insn *i)
{
    uint32_t mxcsr = borrow_pause();
    const Stub *stub = stub_rare(s, i);
    borrow_resume(mxcsr);
    if (!stub) {
        soft_fault(s, EXC_UD);
    }
    uint64_t linear = 0;
    if (stub->mem_size) {
        linear = soft_operand_linear(s, i, stub->mem_size, stub->writes);
        if (linear & (stub->align - 1u)) {
            soft_fault_error(s, EXC_GP, 0);
        }
    }
    if (stub->reads) {
        soft_read(s, linear, s->buffer, stub->mem_size);
    }
    if (stub->writes) {
        soft_probe(s, linear, stub->mem_size, true);
    }
    if (!stub->code(s, s->buffer)) {
        soft_fault(s, s->cpu.state.cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    }
    if (stub->writes) {
        soft_write(s, linear, s->buffer, stub->mem_size);
    }
}

static const Stub *stub_lasting(SoftCpu *s, const VecCode *c, bool strict)
{
    static const Stub rare = {.align = 1, .op = borrow_rare};
    Borrow *b = borrow_of(s, true);
    uint8_t key[KEY_SIZE];
    key_make(key, c, strict);
    Entry *e = b->code.write ? g_hash_table_lookup(b->lasting.entries, key) : NULL;
    if (e || !b->code.write) {
        return e ? &e->stub : NULL;
    }
    if (area_full(&b->lasting)) {
        VecInfo n;
        return vec_info(&n, c) ? &rare : NULL;
    }
    return entry_new(b, &b->lasting, key, c, strict);
}

const Stub *borrow_stub(SoftCpu *s, const Insn *i, uint32_t mode)
{
    const Stub *stub = vector_op_find(i->mnemonic);
    VecCode c;
    if (!stub && vec_parse(&c, i, mode)) {
        uint32_t mxcsr = borrow_pause();
        stub = stub_lasting(s, &c, mode & MODE_MXCSR);
        borrow_resume(mxcsr);
    }
    return stub;
}

void borrow_flush(SoftCpu *s)
{
    Borrow *b = borrow_of(s, false);
    if (b) {
        area_flush(b, &b->lasting);
        area_flush(b, &b->rare);
    }
}

void borrow_free(SoftCpu *s)
{
    g_mutex_lock(&borrows_lock);
    if (borrows) {
        g_hash_table_remove(borrows, s);
    }
    g_mutex_unlock(&borrows_lock);
}
