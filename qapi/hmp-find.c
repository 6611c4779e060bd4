/* `find`: bytes, values and texts in guest memory, with gdb's syntax.
 *
 * The guest is not stopped: between two pieces the main lock is free for its CPUs.  What is not mapped is passed over in
 * steps as large as the page table that says so, and time is limited, so that neither an empty address space nor one whose
 * tables never end takes long. */
#include <inttypes.h>
#include <string.h>

#include "accel/accel.h"
#include "core/error.h"
#include "core/row.h"
#include "cpu/paging.h"
#include "mem/ram.h"
#include "qapi/hmp-internal.h"

enum { PIECE = 1 << 20, PATTERN_MAX = 4096, FOUND_MAX = 100, SECONDS = 10 };

typedef struct Search {
    CpuState *state; /* a copy: the CPU goes on; NULL: physical addresses */
    GArray *memory;  /* which physical addresses have memory; of Memory   */
    PagingLimits limits;
    unsigned size;   /* of values; 0: by their own size */
    uint64_t max;    /* how many to find */
    uint64_t at, last;
    GByteArray *pattern;
} Search;

/* ---- Reading the line: [/fmt] START, +LENGTH|LAST, PATTERN, ... ---- */

static void skip(const char **p)
{
    while (g_ascii_isspace(**p)) {
        ++*p;
    }
}

static bool take_format(const char **p, Search *s, GError **error)
{
    skip(p);
    while (**p == '/') {
        for (++*p; **p && !g_ascii_isspace(**p) && **p != '/';) {
            const char *letter = strchr("bhwg", **p);
            if (g_ascii_isdigit(**p)) {
                s->max = g_ascii_strtoull(*p, (char **)p, 10);
            } else if (letter) {
                s->size = 1u << (letter - "bhwg");
                ++*p;
            } else {
                return error_fail(error, "invalid char in format: '%c', expected b, h, w, g and a number", **p);
            }
        }
        skip(p);
    }
    return true;
}

static bool take_comma(const char **p, const char *before, GError **error)
{
    skip(p);
    if (**p != ',') {
        return error_fail(error, "',' and %s expected", before);
    }
    ++*p;
    skip(p);
    return true;
}

/* A value's bytes: as many as /fmt says, or 4, or 8 where 4 do not hold it. */
static bool take_value(Hmp *h, const char **p, Search *s, GError **error)
{
    int64_t v;
    uint8_t bytes[8];
    if (!hmp_expression(h, p, &v, error)) {
        return false;
    }
    unsigned size = s->size ? s->size : v >= INT32_MIN && v <= UINT32_MAX ? 4 : 8;
    store_le(bytes, 8, (uint64_t)v);
    g_byte_array_append(s->pattern, bytes, size);
    return true;
}

static bool take_string(const char **p, Search *s, GError **error)
{
    for (++*p; **p && **p != '"'; ++*p) {
        uint8_t c = (uint8_t)**p;
        if (c == '\\' && (*p)[1]) {
            static const char letters[] = "ntr0", values[] = "\n\t\r";
            ++*p;
            const char *letter = strchr(letters, **p);
            c = letter ? (uint8_t)values[letter - letters] : (uint8_t)**p;
        }
        g_byte_array_append(s->pattern, &c, 1);
    }
    if (!**p) {
        return error_fail(error, "closing quote expected");
    }
    ++*p;
    return true;
}

/* x"de ad be ef" */
static bool take_hex(const char **p, Search *s, GError **error)
{
    for (*p += 2; **p && **p != '"'; ++*p) {
        if (g_ascii_isspace(**p)) {
            continue;
        }
        if (!g_ascii_isxdigit(**p) || !g_ascii_isxdigit((*p)[1])) {
            return error_fail(error, "two hexadecimal digits for each byte expected, as in x\"0f af\"");
        }
        uint8_t byte = (uint8_t)(g_ascii_xdigit_value(**p) << 4 | g_ascii_xdigit_value((*p)[1]));
        g_byte_array_append(s->pattern, &byte, 1);
        ++*p;
    }
    if (!**p) {
        return error_fail(error, "closing quote expected");
    }
    ++*p;
    return true;
}

static bool take_patterns(Hmp *h, const char **p, Search *s, GError **error)
{
    do {
        if (!take_comma(p, "what to find", error) ||
            !(**p == '"'                      ? take_string(p, s, error)
              : g_str_has_prefix(*p, "x\"") ? take_hex(p, s, error)
                                              : take_value(h, p, s, error))) {
            return false;
        }
        skip(p);
    } while (**p);
    if (!s->pattern->len || s->pattern->len > PATTERN_MAX) {
        return error_fail(error, "%s", s->pattern->len ? "too long" : "nothing to find");
    }
    return true;
}

static bool take_range(Hmp *h, const char **p, Search *s, GError **error)
{
    int64_t start, second;
    if (!hmp_expression(h, p, &start, error) || !take_comma(p, "+LENGTH or the last address", error)) {
        return false;
    }
    bool length = **p == '+';
    *p += length;
    if (!hmp_expression(h, p, &second, error)) {
        return false;
    }
    s->at = (uint64_t)start;
    s->last = length ? s->at + ((uint64_t)second - 1) : (uint64_t)second;
    if (length && s->last < s->at && second) {
        s->last = UINT64_MAX; /* up to the end of the addresses */
    }
    return (s->last >= s->at && (second || !length)) || error_fail(error, "the range is empty");
}

/* ---- Searching ---- */

/* Bytes from `at` on that no table maps, at least up to the end of the page. */
static uint64_t hole(const Search *s, uint64_t at, const PageWalk *w)
{
    uint64_t size = RAM_PAGE;
    if (w->fault == WALK_NON_CANONICAL) {
        uint64_t upper = s->state->cr4 & CR4_LA57 ? UINT64_C(0xff) << 56 : UINT64_C(0xffff8) << 44;
        return at < upper ? upper - at : RAM_PAGE;
    }
    if (w->entries && w->entry_size) {
        unsigned level = w->entry[w->entries - 1].level;
        size = UINT64_C(1) << (12 + (level - 1) * (w->entry_size == 4 ? 10 : 9));
    }
    return size - (at & (size - 1));
}

typedef struct Memory {
    uint64_t at, size;
} Memory;

static void add_memory(void *arg, const FlatRange *fr)
{
    GArray *memory = arg;
    Memory *last = memory->len ? &g_array_index(memory, Memory, memory->len - 1) : NULL;
    if (!flat_range_is_ram(fr) && !fr->romd) {
        return;
    }
    if (last && last->at + last->size == fr->at) {
        last->size += fr->size;
    } else {
        Memory m = {fr->at, fr->size};
        g_array_append_val(memory, m);
    }
}

/* Bytes of memory from a physical address on; 0: none, and *gap bytes up to the next. */
static uint64_t memory_at(const Search *s, uint64_t at, uint64_t *gap)
{
    *gap = UINT64_MAX - at;
    for (unsigned i = 0; i < s->memory->len; i++) {
        const Memory *m = &g_array_index(s->memory, Memory, i);
        if (at < m->at) {
            *gap = m->at - at;
            return 0;
        }
        if (at - m->at < m->size) {
            return m->size - (at - m->at);
        }
    }
    return 0;
}

/* As much as lies together from `at` on, at most `len`; 0: nothing, and *gap bytes may be passed over. */
static size_t read_virtual(const Search *s, uint64_t at, uint8_t *buf, size_t len, uint64_t *gap)
{
    size_t done = 0;
    while (done < len) {
        PageWalk w;
        uint64_t here = at + done;
        if (!paging_walk(s->state, &s->limits, space_memory(), here, WALK_DEBUG, &w)) {
            *gap = hole(s, here, &w);
            break;
        }
        uint64_t page = w.page_size - (here & (w.page_size - 1)), n = MIN(page, memory_at(s, w.phys, gap));
        *gap = MIN(*gap, page);
        n = MIN(n, len - done);
        if (!n || !space_peek(space_memory(), w.phys, buf + done, n)) {
            break;
        }
        done += n;
    }
    return done;
}

static size_t read_physical(const Search *s, uint64_t at, uint8_t *buf, size_t len, uint64_t *gap)
{
    size_t n = MIN(len, memory_at(s, at, gap));
    return n && space_peek(space_memory(), at, buf, n) ? n : 0;
}

static uint64_t find_in(Hmp *h, const Search *s, const uint8_t *buf, size_t len, uint64_t at, uint64_t left)
{
    uint64_t found = 0;
    for (const uint8_t *p = buf; found < left; p++, found++) {
        p = memmem(p, len - (size_t)(p - buf), s->pattern->data, s->pattern->len);
        if (!p) {
            break;
        }
        hmp_print(h, "0x%016" PRIx64 "\n", at + (uint64_t)(p - buf));
    }
    return found;
}

static void let_cpus_in(void)
{
    unsigned depth = run_unlock_main();
    g_thread_yield();
    run_lock_main(depth);
}

static void search(Hmp *h, Search *s)
{
    g_autofree uint8_t *buf = g_malloc(PIECE);
    int64_t end = g_get_monotonic_time() + SECONDS * G_USEC_PER_SEC;
    uint64_t found = 0, at = s->at, gap, piece = 0;
    bool more = s->at <= s->last;
    while (more && found < s->max) {
        uint64_t left = s->last - at; /* and one */
        size_t len = left < PIECE ? (size_t)left + 1 : PIECE;
        size_t n = s->state ? read_virtual(s, at, buf, len, &gap) : read_physical(s, at, buf, len, &gap);
        size_t kept = n == PIECE ? s->pattern->len - 1 : 0; /* what begins in here may end in the next piece */
        if (n >= s->pattern->len) {
            found += find_in(h, s, buf, n, at, s->max - found);
        }
        uint64_t step = n == len ? n - kept : n ? n : MAX(gap, 1); /* a peek that failed: the map has changed */
        more = step <= left;
        at += step;
        if (more && g_get_monotonic_time() > end) {
            hmp_print(h, "stopped after %d seconds at 0x%016" PRIx64 "\n", SECONDS, at);
            more = false;
        }
        if (++piece % 16 == 0) {
            let_cpus_in();
        }
    }
    if (found == s->max) {
        hmp_print(h, "%" PRIu64 " found, and perhaps more (/N finds up to N)\n", found);
    } else {
        hmp_print(h, found ? "%" PRIu64 " found\n" : "Pattern not found\n", found);
    }
}

void hmp_find(Hmp *h, const HmpArgs *a)
{
    GError *error = NULL;
    const char *p = hmp_text(a, "what");
    Cpu *c = hmp_flag(a, "p") ? NULL : hmp_cpu(h);
    if (!c && !hmp_flag(a, "p")) {
        return;
    }
    Search s = {.max = FOUND_MAX, .pattern = g_byte_array_new()};
    if (take_format(&p, &s, &error) && take_range(h, &p, &s, &error) && take_patterns(h, &p, &s, &error)) {
        s.max = CLAMP(s.max, 1, 100000);
        if (c && !cpu_long_active(&c->state)) {
            s.last = MIN(s.last, UINT32_MAX);
        }
        if (c && cpu_paging(&c->state)) {
            s.state = g_memdup2(&c->state, sizeof(CpuState));
            s.limits = paging_limits(c);
        }
        s.memory = g_array_new(FALSE, FALSE, sizeof(Memory));
        space_foreach_range(space_memory(), add_memory, s.memory);
        search(h, &s);
        g_array_free(s.memory, TRUE);
        g_free(s.state);
    }
    g_byte_array_unref(s.pattern);
    if (error) {
        hmp_print(h, "find: %s\nTry \"help find\" for more information\n", error->message);
        g_error_free(error);
    }
}
