/* The kdump-compressed format, version 6 (makedumpfile's IMPLEMENTATION document, crash's diskdump.h), flattened.
 *
 * The file, in blocks of a page: header; sub header and notes; two bitmaps of pages (known, and dumped: here the same); a
 * descriptor for each dumped page in order of address; the pages, each compressed where that makes it smaller.  Pages of
 * zeros share one.  Flattened (`makedumpfile -F`) means: a header, then pieces with the place in the file that each belongs
 * to, so that descriptors can follow the pages that they describe, and all of it may go into a pipe; `makedumpfile -R` or
 * crash itself puts it together. */
#include <string.h>
#include <zlib.h>

#include "dump/internal.h"

enum {
    HEADER_VERSION = 6,
    COMPRESSED_ZLIB = 1,       /* in the header's status and in a page's flags */
    DUMP_LEVEL = 1,            /* pages of zeros are left out: they are shared */
    FLAT_HEADER = 4096, FLAT_TYPE = 1, FLAT_VERSION = 1,
    DESCRIPTORS = 4096, DATA = 1 << 20, /* what is gathered before it becomes a piece */
};

typedef struct PageDescriptor {
    int64_t offset;
    uint32_t size, flags;
    uint64_t page_flags;
} PageDescriptor;
_Static_assert(sizeof(PageDescriptor) == 24, "page_desc");

typedef struct Writer {
    Dump *d;
    GError **error;
    uint64_t pages;                       /* dumped */
    uint64_t last_page;                   /* behind the last one: max_mapnr */
    uint64_t bitmap_at, bitmap_blocks;    /* of one bitmap */
    uint64_t descriptors_at, data_at;     /* where the next ones belong */
    PageDescriptor descriptors[DESCRIPTORS];
    unsigned n_descriptors;
    uint8_t *data;
    size_t n_data;
    PageDescriptor zero;                  /* size 0: none met yet */
    z_stream z;
} Writer;

/* ---- Pieces ---- */

static bool put_piece(Writer *w, uint64_t at, const void *buf, size_t len)
{
    int64_t head[2] = {GINT64_TO_BE((int64_t)at), GINT64_TO_BE((int64_t)len)};
    return !len || (dump_put(w->d->out, head, sizeof(head), w->error) && dump_put(w->d->out, buf, len, w->error));
}

static bool put_flat_header(Writer *w)
{
    uint8_t head[FLAT_HEADER] = "makedumpfile";
    int64_t numbers[2] = {GINT64_TO_BE(FLAT_TYPE), GINT64_TO_BE(FLAT_VERSION)};
    memcpy(head + 16, numbers, sizeof(numbers));
    return dump_put(w->d->out, head, sizeof(head), w->error);
}

static bool put_end(Writer *w)
{
    int64_t end[2] = {-1, -1};
    return dump_put(w->d->out, end, sizeof(end), w->error);
}

/* ---- Headers: structs of C whose `long` has the width of the guest ---- */

typedef struct Fields {
    uint8_t bytes[512];
    size_t n;
    bool wide;
} Fields;

static void field(Fields *f, unsigned size, uint64_t v)
{
    v = GUINT64_TO_LE(v);
    memcpy(f->bytes + f->n, &v, size);
    f->n += size;
}

static void field_long(Fields *f, uint64_t v)
{
    field(f, f->wide ? 8 : 4, v);
}

static bool put_header(Writer *w, unsigned sub_blocks)
{
    enum { UTS_FIELD = 65, UTS_MACHINE = 4 }; /* struct new_utsname */
    const Dump *d = w->d;
    Fields f = {.wide = d->wide};
    memcpy(f.bytes, "KDUMP   ", 8);
    f.n = 8;
    field(&f, 4, HEADER_VERSION);
    strcpy((char *)f.bytes + f.n + UTS_MACHINE * UTS_FIELD, d->wide ? "x86_64" : "i686");
    f.n = d->wide ? 408 : 404; /* behind utsname, aligned for the time stamp, which stays 0 */
    f.n += d->wide ? 16 : 8;
    field(&f, 4, COMPRESSED_ZLIB);
    field(&f, 4, DUMP_PAGE);
    field(&f, 4, sub_blocks);
    field(&f, 4, 2 * w->bitmap_blocks);
    field(&f, 4, MIN(w->last_page, UINT32_MAX));
    field(&f, 4, 0); /* total_ram_blocks, device_blocks, written_blocks, current_cpu */
    field(&f, 4, 0);
    field(&f, 4, 0);
    field(&f, 4, 0);
    field(&f, 4, d->cpus);
    f.n += d->wide ? 4 : 0;
    return put_piece(w, 0, f.bytes, f.n);
}

static size_t sub_header_size(bool wide)
{
    return wide ? 104 : 80;
}

static bool put_sub_header(Writer *w)
{
    const Dump *d = w->d;
    Fields f = {.wide = d->wide};
    size_t size = sub_header_size(d->wide);
    field_long(&f, 0); /* phys_base: its readers find it by the notes */
    field(&f, 4, DUMP_LEVEL);
    field(&f, 4, 0);   /* not split */
    field_long(&f, 0);
    field_long(&f, 0);
    field(&f, 8, 0);   /* no vmcoreinfo */
    field_long(&f, 0);
    field(&f, 8, DUMP_PAGE + size);
    field_long(&f, d->notes->len);
    field(&f, 8, 0);   /* nothing erased */
    field_long(&f, 0);
    field(&f, 8, 0);   /* not split, in 64 bits */
    field(&f, 8, 0);
    field(&f, 8, w->last_page);
    g_assert(f.n == size);
    return put_piece(w, DUMP_PAGE, f.bytes, f.n) && put_piece(w, DUMP_PAGE + size, d->notes->data, d->notes->len);
}

/* ---- Bitmaps ---- */

static uint64_t first_page(const DumpRange *r)
{
    return r->at / DUMP_PAGE;
}

static uint64_t end_page(const DumpRange *r)
{
    return (r->at + (r->size - 1)) / DUMP_PAGE + 1;
}

/* A page of one bitmap: the bits of the pages from `page` on.  False: all of them are 0. */
static bool fill_bitmap(const Dump *d, uint64_t page, uint8_t bits[DUMP_PAGE])
{
    const uint64_t end = page + 8 * DUMP_PAGE;
    bool any = false;
    memset(bits, 0, DUMP_PAGE);
    for (unsigned i = 0; i < d->ranges->len; i++) {
        const DumpRange *r = &g_array_index(d->ranges, DumpRange, i);
        for (uint64_t p = MAX(first_page(r), page); p < MIN(end_page(r), end); p++) {
            bits[(p - page) / 8] |= 1 << p % 8;
            any = true;
        }
    }
    return any;
}

static bool put_bitmaps(Writer *w)
{
    uint8_t bits[DUMP_PAGE];
    for (uint64_t block = 0; block < w->bitmap_blocks; block++) {
        bool any = fill_bitmap(w->d, block * 8 * DUMP_PAGE, bits);
        for (unsigned copy = 0; any && copy < 2; copy++) { /* what is left out reads as zeros */
            if (!put_piece(w, w->bitmap_at + (copy * w->bitmap_blocks + block) * DUMP_PAGE, bits, DUMP_PAGE)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- Pages ---- */

static bool flush_descriptors(Writer *w)
{
    size_t size = w->n_descriptors * sizeof(PageDescriptor);
    bool ok = put_piece(w, w->descriptors_at, w->descriptors, size);
    w->descriptors_at += size;
    w->n_descriptors = 0;
    return ok;
}

static bool flush_data(Writer *w)
{
    bool ok = put_piece(w, w->data_at, w->data, w->n_data);
    w->data_at += w->n_data;
    w->n_data = 0;
    return ok;
}

static bool add_descriptor(Writer *w, const PageDescriptor *p)
{
    w->descriptors[w->n_descriptors++] = *p;
    return w->n_descriptors < DESCRIPTORS || flush_descriptors(w);
}

/* The page's bytes at the end of `data`, and what describes them. */
static PageDescriptor store_page(Writer *w, uint8_t *page)
{
    PageDescriptor p = {.offset = (int64_t)(w->data_at + w->n_data), .size = DUMP_PAGE};
    uint8_t *to = w->data + w->n_data;
    deflateReset(&w->z);
    w->z.next_in = page;
    w->z.avail_in = DUMP_PAGE;
    w->z.next_out = to;
    w->z.avail_out = DUMP_PAGE - 1; /* not smaller: kept as it is */
    if (deflate(&w->z, Z_FINISH) == Z_STREAM_END) {
        p.size = DUMP_PAGE - 1 - w->z.avail_out;
        p.flags = COMPRESSED_ZLIB;
    } else {
        memcpy(to, page, DUMP_PAGE);
    }
    w->n_data += p.size;
    return p;
}

static bool is_zero(const uint8_t *page)
{
    return !page[0] && !memcmp(page, page + 1, DUMP_PAGE - 1);
}

static bool add_page(Writer *w, uint64_t number)
{
    uint8_t page[DUMP_PAGE];
    PageDescriptor p;
    dump_read(number * DUMP_PAGE, page, DUMP_PAGE);
    if (!is_zero(page)) {
        p = store_page(w, page);
    } else {
        if (!w->zero.size) {
            w->zero = store_page(w, page);
        }
        p = w->zero;
    }
    dump_advance(DUMP_PAGE);
    return add_descriptor(w, &p) && (w->n_data + DUMP_PAGE <= DATA || flush_data(w));
}

static bool put_pages(Writer *w)
{
    uint64_t next = 0;
    for (unsigned i = 0; i < w->d->ranges->len; i++) {
        const DumpRange *r = &g_array_index(w->d->ranges, DumpRange, i);
        for (uint64_t p = MAX(next, first_page(r)); p < end_page(r); p++) {
            if (!add_page(w, p)) {
                return false;
            }
        }
        next = end_page(r);
    }
    return flush_data(w) && flush_descriptors(w);
}

/* Two ranges may share a page that belongs to neither as a whole. */
static void count_pages(Writer *w)
{
    for (unsigned i = 0; i < w->d->ranges->len; i++) {
        const DumpRange *r = &g_array_index(w->d->ranges, DumpRange, i);
        w->pages += end_page(r) - MAX(w->last_page, first_page(r));
        w->last_page = end_page(r);
    }
}

bool dump_write_kdump(Dump *d, GError **error)
{
    g_autofree Writer *w = g_new0(Writer, 1);
    w->d = d;
    w->error = error;
    count_pages(w);
    unsigned sub_blocks = (unsigned)((sub_header_size(d->wide) + d->notes->len + DUMP_PAGE - 1) / DUMP_PAGE);
    w->bitmap_at = (uint64_t)(1 + sub_blocks) * DUMP_PAGE;
    w->bitmap_blocks = (w->last_page + 8 * DUMP_PAGE - 1) / (8 * DUMP_PAGE);
    w->descriptors_at = w->bitmap_at + 2 * w->bitmap_blocks * DUMP_PAGE;
    w->data_at = w->descriptors_at + w->pages * sizeof(PageDescriptor);
    if (deflateInit(&w->z, Z_BEST_SPEED) != Z_OK) {
        return error_fail(error, "dump: zlib does not start");
    }
    w->data = g_malloc(DATA);
    bool ok = put_flat_header(w) && put_header(w, sub_blocks) && put_sub_header(w) && put_bitmaps(w) && put_pages(w) &&
              put_end(w);
    g_free(w->data);
    deflateEnd(&w->z);
    return ok;
}
