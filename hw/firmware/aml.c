#include "hw/firmware/aml.h"

#include <assert.h>
#include <string.h>

enum { EXT = 0x5b, SEGMENT = 4 };

typedef struct Term {
    guint at; /* where its package length goes */
    bool is_template;
} Term;

Aml *aml_new(void)
{
    Aml *a = g_new0(Aml, 1);
    a->out = g_byte_array_new();
    a->open = g_array_new(FALSE, FALSE, sizeof(Term));
    return a;
}

void aml_free(Aml *a)
{
    if (a) {
        g_byte_array_unref(a->out);
        g_array_unref(a->open);
        g_free(a);
    }
}

GByteArray *aml_finish(Aml *a)
{
    assert(!a->open->len);
    GByteArray *out = g_byte_array_ref(a->out);
    aml_free(a);
    return out;
}

void aml_raw(Aml *a, const void *bytes, size_t len)
{
    g_byte_array_append(a->out, bytes, (guint)len);
}

static void put(Aml *a, uint64_t value, unsigned size)
{
    aml_raw(a, &value, size); /* hosts are little-endian, as AML is */
}

static void put8(Aml *a, unsigned value)
{
    put(a, value, 1);
}

/* ---- Package length (20.2.4): of itself and all that follows within the term ---- */

static void open_term(Aml *a, bool is_template)
{
    Term t = {a->out->len, is_template};
    g_array_append_val(a->open, t);
}

static unsigned encode_length(uint8_t code[4], size_t body)
{
    if (body + 1 < 0x40) {
        code[0] = (uint8_t)(body + 1);
        return 1;
    }
    unsigned n = body + 2 < 1 << 12 ? 2 : body + 3 < 1 << 20 ? 3 : 4;
    size_t length = body + n;
    assert(length < 1 << 28);
    code[0] = (uint8_t)((n - 1) << 6 | (length & 0xf));
    for (unsigned i = 1; i < n; i++) {
        code[i] = (uint8_t)(length >> (8 * i - 4));
    }
    return n;
}

static void insert(Aml *a, guint at, const uint8_t *bytes, unsigned n)
{
    guint old = a->out->len;
    g_byte_array_set_size(a->out, old + n);
    memmove(a->out->data + at + n, a->out->data + at, old - at);
    memcpy(a->out->data + at, bytes, n);
}

static void close_term(Aml *a, bool is_template)
{
    assert(a->open->len);
    Term t = g_array_index(a->open, Term, a->open->len - 1);
    assert(t.is_template == is_template);
    g_array_set_size(a->open, a->open->len - 1);
    uint8_t code[4];
    unsigned n = encode_length(code, a->out->len - t.at);
    insert(a, t.at, code, n);
}

void aml_end(Aml *a)
{
    close_term(a, false);
}

static void begin(Aml *a, unsigned op)
{
    aml_op(a, op);
    open_term(a, false);
}

/* ---- Data ---- */

void aml_int(Aml *a, uint64_t value)
{
    enum { ZERO = 0x00, ONE = 0x01, BYTE = 0x0a, WORD = 0x0b, DWORD = 0x0c, QWORD = 0x0e };
    if (value <= 1) {
        put8(a, value ? ONE : ZERO);
        return;
    }
    unsigned size = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : value <= UINT32_MAX ? 4 : 8;
    put8(a, size == 1 ? BYTE : size == 2 ? WORD : size == 4 ? DWORD : QWORD);
    put(a, value, size);
}

void aml_string(Aml *a, const char *text)
{
    put8(a, 0x0d);
    aml_raw(a, text, strlen(text) + 1);
}

/* Three letters of 5 bits, then four hexadecimal digits, most significant byte first (19.3.4). */
void aml_eisa_id(Aml *a, const char *id)
{
    assert(strlen(id) == 7);
    uint32_t v = (uint32_t)(id[0] & 0x1f) << 26 | (uint32_t)(id[1] & 0x1f) << 21 |
                 (uint32_t)(id[2] & 0x1f) << 16;
    v |= (uint32_t)g_ascii_strtoull(id + 3, NULL, 16);
    aml_int(a, GUINT32_SWAP_LE_BE(v));
}

static void segment(Aml *a, const char *text, size_t len)
{
    char padded[SEGMENT] = {'_', '_', '_', '_'};
    assert(len >= 1 && len <= SEGMENT && !g_ascii_isdigit(*text));
    memcpy(padded, text, len);
    aml_raw(a, padded, SEGMENT);
}

/* NameString (20.2.2) */
void aml_path(Aml *a, const char *path)
{
    enum { DUAL = 0x2e, MULTI = 0x2f };
    for (; *path == '\\' || *path == '^'; path++) {
        put8(a, (uint8_t)*path);
    }
    unsigned n = *path ? 1 : 0;
    for (const char *c = path; *c; c++) {
        n += *c == '.';
    }
    if (n == 0) {
        put8(a, 0); /* the root itself */
    } else if (n == 2) {
        put8(a, DUAL);
    } else if (n > 2) {
        put8(a, MULTI);
        put8(a, n);
    }
    while (*path) {
        size_t len = strcspn(path, ".");
        segment(a, path, len);
        path += len + (path[len] == '.');
    }
}

/* ---- Operators ---- */

void aml_op(Aml *a, unsigned op)
{
    if (op >> 8) {
        put8(a, op >> 8);
    }
    put8(a, op & 0xff);
}

void aml_arg(Aml *a, unsigned n)
{
    assert(n < 7);
    put8(a, 0x68 + n);
}

void aml_local(Aml *a, unsigned n)
{
    assert(n < 8);
    put8(a, 0x60 + n);
}

void aml_no_target(Aml *a)
{
    put8(a, 0);
}

void aml_name(Aml *a, const char *path)
{
    aml_op(a, AML_NAME);
    aml_path(a, path);
}

void aml_name_int(Aml *a, const char *path, uint64_t value)
{
    aml_name(a, path);
    aml_int(a, value);
}

void aml_name_string(Aml *a, const char *path, const char *text)
{
    aml_name(a, path);
    aml_string(a, text);
}

void aml_name_eisa_id(Aml *a, const char *path, const char *id)
{
    aml_name(a, path);
    aml_eisa_id(a, id);
}

/* ---- Terms ---- */

enum {
    OP_SCOPE = 0x10,
    OP_BUFFER = 0x11,
    OP_PACKAGE = 0x12,
    OP_METHOD = 0x14,
    OP_IF = 0xa0,
    OP_ELSE = 0xa1,
    OP_WHILE = 0xa2,
    OP_REGION = 0x5b80,
    OP_FIELD = 0x5b81,
    OP_DEVICE = 0x5b82,
    OP_PROCESSOR = 0x5b83,
};

void aml_scope(Aml *a, const char *path)
{
    begin(a, OP_SCOPE);
    aml_path(a, path);
}

void aml_device(Aml *a, const char *path)
{
    begin(a, OP_DEVICE);
    aml_path(a, path);
}

void aml_mutex(Aml *a, const char *path)
{
    put8(a, EXT), put8(a, 0x01);
    aml_path(a, path);
    put8(a, 0);
}

void aml_acquire(Aml *a, const char *mutex)
{
    enum { FOREVER = 0xffff };
    put8(a, EXT), put8(a, 0x23);
    aml_path(a, mutex);
    put(a, FOREVER, 2);
}

void aml_processor(Aml *a, const char *path, uint8_t id, uint32_t block, uint8_t len)
{
    begin(a, OP_PROCESSOR);
    aml_path(a, path);
    put8(a, id);
    put(a, block, 4);
    put8(a, len);
}

void aml_method(Aml *a, const char *path, unsigned args, int serialized)
{
    assert(args < 8);
    begin(a, OP_METHOD);
    aml_path(a, path);
    put8(a, args | (serialized ? 8 : 0));
}

void aml_if(Aml *a)
{
    begin(a, OP_IF);
}

void aml_else(Aml *a)
{
    begin(a, OP_ELSE);
}

void aml_while(Aml *a)
{
    begin(a, OP_WHILE);
}

void aml_package(Aml *a, unsigned elements)
{
    assert(elements <= UINT8_MAX);
    begin(a, OP_PACKAGE);
    put8(a, elements);
}

void aml_buffer(Aml *a, const void *bytes, size_t len)
{
    begin(a, OP_BUFFER);
    aml_int(a, len);
    aml_raw(a, bytes, len);
    aml_end(a);
}

/* ---- Regions and fields ---- */

void aml_region(Aml *a, const char *path, unsigned space, uint64_t at, uint64_t len)
{
    aml_op(a, OP_REGION);
    aml_path(a, path);
    put8(a, space);
    aml_int(a, at);
    aml_int(a, len);
}

void aml_field(Aml *a, const char *region, unsigned access, unsigned flags)
{
    begin(a, OP_FIELD);
    aml_path(a, region);
    put8(a, access | flags);
}

void aml_unit(Aml *a, const char *name, unsigned bits)
{
    if (name) {
        segment(a, name, strlen(name));
    } else {
        put8(a, 0);
    }
    /* The width is written as a package length that does not count itself. */
    uint8_t code[4];
    unsigned n = 1;
    if (bits < 0x40) {
        code[0] = (uint8_t)bits;
    } else {
        n = bits < 1 << 12 ? 2 : bits < 1 << 20 ? 3 : 4;
        code[0] = (uint8_t)((n - 1) << 6 | (bits & 0xf));
        for (unsigned i = 1; i < n; i++) {
            code[i] = (uint8_t)(bits >> (8 * i - 4));
        }
    }
    aml_raw(a, code, n);
}

/* ---- Resources.  The buffer's size precedes its contents, so it is put in at the end. ---- */

void aml_resources(Aml *a)
{
    aml_op(a, OP_BUFFER);
    open_term(a, true);
}

void aml_resources_end(Aml *a)
{
    static const uint8_t end_tag[2] = {0x79, 0}; /* checksum 0: taken as right (6.4.2.9) */
    aml_raw(a, end_tag, sizeof(end_tag));
    guint at = g_array_index(a->open, Term, a->open->len - 1).at;
    Aml *size = aml_new();
    aml_int(size, a->out->len - at);
    insert(a, at, size->out->data, size->out->len);
    aml_free(size);
    close_term(a, true);
}

/* 6.4.2.5 */
void aml_io(Aml *a, uint16_t min, uint16_t max, uint8_t align, uint8_t len)
{
    enum { DECODES_16_BITS = 1 };
    put8(a, 0x47);
    put8(a, DECODES_16_BITS);
    put(a, min, 2);
    put(a, max, 2);
    put8(a, align);
    put8(a, len);
}

/* 6.4.2.1 */
void aml_irq(Aml *a, unsigned irq)
{
    assert(irq < 16);
    put8(a, 0x22);
    put(a, UINT64_C(1) << irq, 2);
}

/* 6.4.2.2 */
void aml_dma(Aml *a, unsigned channel)
{
    assert(channel < 8);
    put8(a, 0x2a);
    put8(a, 1u << channel);
    put8(a, 0);
}

static void large(Aml *a, unsigned tag, unsigned len)
{
    put8(a, tag);
    put(a, len, 2);
}

/* 6.4.3.4 */
void aml_memory32(Aml *a, bool writable, uint32_t at, uint32_t len)
{
    large(a, 0x86, 9);
    put8(a, writable);
    put(a, at, 4);
    put(a, len, 4);
}

/* 6.4.3.6 */
void aml_interrupts(Aml *a, unsigned flags, const uint32_t *lines, uint8_t n)
{
    large(a, 0x89, 2 + 4 * (unsigned)n);
    put8(a, AML_CONSUMER | flags);
    put8(a, n);
    aml_raw(a, lines, 4 * (size_t)n);
}

/* 6.4.3.5: one layout in three widths */
static void address_space(Aml *a, unsigned tag, unsigned size, unsigned type, unsigned specific,
                          uint64_t first, uint64_t last)
{
    enum { MIN_FIXED = 1 << 2, MAX_FIXED = 1 << 3 };
    assert(last >= first);
    large(a, tag, 3 + 5 * size);
    put8(a, type);
    put8(a, MIN_FIXED | MAX_FIXED | AML_PRODUCER);
    put8(a, specific);
    put(a, 0, size); /* granularity */
    put(a, first, size);
    put(a, last, size);
    put(a, 0, size); /* translation */
    put(a, last - first + 1, size);
}

enum { WORD_SPACE = 0x88, DWORD_SPACE = 0x87, QWORD_SPACE = 0x8a };
enum { TYPE_MEMORY, TYPE_IO, TYPE_BUS, MEMORY_WRITABLE = 1, IO_ENTIRE_RANGE = 3 };

void aml_word_bus(Aml *a, uint16_t first, uint16_t last)
{
    address_space(a, WORD_SPACE, 2, TYPE_BUS, 0, first, last);
}

void aml_word_io(Aml *a, uint16_t first, uint16_t last)
{
    address_space(a, WORD_SPACE, 2, TYPE_IO, IO_ENTIRE_RANGE, first, last);
}

void aml_dword_memory(Aml *a, unsigned caching, uint32_t first, uint32_t last)
{
    address_space(a, DWORD_SPACE, 4, TYPE_MEMORY, MEMORY_WRITABLE | caching, first, last);
}

void aml_qword_memory(Aml *a, unsigned caching, uint64_t first, uint64_t last)
{
    address_space(a, QWORD_SPACE, 8, TYPE_MEMORY, MEMORY_WRITABLE | caching, first, last);
}
