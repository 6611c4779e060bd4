/* Blocks: runs of instructions within a page, decoded once, kept by where their first byte is in host memory (whatever guest
 * addresses show it), by RIP and by mode.
 *
 * Each CPU has its own blocks and needs no lock for them.  Which pages hold code of which CPUs is known to all (code_pages);
 * a page of it is clean for DIRTY_CODE, so that no store table has it and every write comes by here: the writer throws its own
 * blocks away at once, those of others through their inbox, which they empty before they enter their next block.  A block
 * that is thrown away while it runs ends behind the present instruction.  Memory of dead blocks comes back when the arena is
 * full and everything goes. */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "accel/soft/debug.h"
#include "accel/soft/decode.h"
#include "accel/soft/tlb.h"
#include "accel/soft/translate/translate.h"
#include "accel/soft/uop.h"
#include "core/error.h"
#include "core/log.h"
#include "cpu/disas.h"
#include "mem/host.h"

enum { MAX_INSNS = 64, ARENA = 64 << 20, HASH_BITS = 16, PAGE = 4096, LINE_SHIFT = 6, INSN_MAX = 15, CPU_WORDS = (CPU_MOST + 63) / 64 };

typedef struct CodePage {
    RamBlock *ram;
    uint64_t offset;
    uint64_t lines;                     /* 64-byte lines that some block covers, perhaps */
    uint64_t cpus[CPU_WORDS];           /* who has blocks there, perhaps */
} CodePage;

typedef struct Written {
    const uint8_t *host;
    size_t len;
} Written;

static GMutex code_lock;                /* code_pages, and decoding against writing */
static GHashTable *code_pages;          /* host page -> CodePage */

static const uint8_t *page_of(const uint8_t *host)
{
    return (const uint8_t *)((uintptr_t)host & ~(uintptr_t)(PAGE - 1));
}

/* glib resizes its tables by floating point, of which the guest's MXCSR must not tell. */
static void table_put(GHashTable *table, const void *key, void *value)
{
    uint32_t mxcsr = borrow_pause();
    g_hash_table_insert(table, (gpointer)key, value);
    borrow_resume(mxcsr);
}

static void table_remove(GHashTable *table, const void *key)
{
    uint32_t mxcsr = borrow_pause();
    g_hash_table_remove(table, key);
    borrow_resume(mxcsr);
}

static uint64_t lines_of(const uint8_t *host, size_t len)
{
    unsigned first = ((uintptr_t)host & (PAGE - 1)) >> LINE_SHIFT;
    unsigned last = (unsigned)MIN((((uintptr_t)host & (PAGE - 1)) + len - 1) >> LINE_SHIFT, 63);
    return UINT64_MAX << first & UINT64_MAX >> (63 - last);
}

static unsigned hash_of(const uint8_t *host, uint64_t rip)
{
    uint64_t h = ((uintptr_t)host ^ rip << 7) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> (64 - HASH_BITS);
}

/* ---- Set-up ---- */

bool block_code_setup(SoftCpu *s, GError **error)
{
    void *arena = mmap(NULL, ARENA + TRANSLATE_ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) {
        return error_fail_errno(error, errno, "CPU %u: no %d MiB of address space for what it decodes", s->cpu.index,
                                ARENA >> 20);
    }
    SoftCode *c = s->code = g_new0(SoftCode, 1);
    c->size = ARENA;
    c->arena = arena;
    c->used = sizeof(Uop); /* 0 means "no block" */
    c->hash = g_new0(Block *, 1 << HASH_BITS);
    c->pages = g_hash_table_new(NULL, NULL);
    g_mutex_init(&c->inbox_lock);
    c->inbox = g_array_new(FALSE, FALSE, sizeof(Written));
    s->jump_key = UINT64_C(1) << 32;
    const CpuModel *m = s->cpu.model;
    c->traits = !m ? DECODE_LZCNT | DECODE_TZCNT
                   : (model_has(m, FEATURE(WORD_8000_0001_ECX, 5)) ? DECODE_LZCNT : 0) |
                         (model_has(m, FEATURE(WORD_7_0_EBX, 3)) ? DECODE_TZCNT : 0) |
                         (model_is_amd(m) ? DECODE_AMD : 0);
    g_mutex_lock(&code_lock);
    if (!code_pages) {
        code_pages = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    g_mutex_unlock(&code_lock);
    return true;
}

void block_code_teardown(SoftCpu *s)
{
    block_flush(s);
    SoftCode *c = s->code;
    translate_free(c->translator);
    munmap(c->arena, c->size + TRANSLATE_ROOM);
    g_free(c->hash);
    g_hash_table_unref(c->pages);
    g_array_unref(c->inbox);
    if (c->links) {
        g_array_unref(c->links);
    }
    g_mutex_clear(&c->inbox_lock);
    g_free(c);
    s->code = NULL;
}

void *block_alloc(SoftCpu *s, size_t size)
{
    SoftCode *c = s->code;
    void *p = c->arena + c->used;
    c->used += (size + 31) & ~(size_t)31;
    return p;
}

/* ---- Throwing away ---- */

void block_forget_jumps(SoftCpu *s)
{
    SoftCode *c = s->code;
    if (!c) {
        return;
    }
    s->jump_key += UINT64_C(1) << 32;
    c->link_from = NULL;
    if (G_UNLIKELY(s->jump_key >> 32 == 0)) {
        memset(c->jumps, 0, sizeof(c->jumps));
        s->jump_key += UINT64_C(1) << 32;
    }
}

void block_unheard(SoftCpu *s)
{
    s->code->unheard = true;
    s->code->links = g_array_new(FALSE, FALSE, sizeof(Uop *));
}

void block_unlink(SoftCpu *s)
{
    GArray *links = s->code->links;
    for (unsigned i = 0; i < links->len; i++) {
        g_array_index(links, Uop *, i)->disp = 0;
    }
    g_array_set_size(links, 0);
    block_forget_jumps(s);
}

/* The rest of a running block, from its next instruction on, leaves to the loop. */
static void end_running(SoftCpu *s, Block *b)
{
    uint64_t at = s->insn_rip - b->rip;
    for (Uop *u = b->uops + 1; u < (Uop *)b->uops + b->uop_count; u++) {
        if (u->ip > at) {
            u->fn = exec_leave;
        }
    }
}

static void block_kill(SoftCpu *s, Block *b)
{
    SoftCode *c = s->code;
    Block **p = &c->hash[hash_of(b->host, b->rip)];
    while (*p && *p != b) {
        p = &(*p)->hash_next;
    }
    if (*p) {
        *p = b->hash_next;
    }
    b->dead = b->special = true;
    b->uops[0].fn = exec_stale;
    translate_stand_in(s, b, BLOCK_STALE);
    c->thrown++;
    if (s->in_block && s->block == b) {
        end_running(s, b);
    }
}

static Block **block_link(Block *b, const uint8_t *page)
{
    return page_of(b->host) == page ? &b->page_next : &b->page2_next;
}

static bool block_overlaps(const Block *b, const uint8_t *host, size_t len)
{
    size_t first = b->host2 ? PAGE - ((uintptr_t)b->host & (PAGE - 1)) : MAX(b->size, b->reach);
    return (b->host < host + len && host < b->host + first) ||
           (b->host2 && b->host2 < host + len && host < b->host2 + (b->size - first));
}

/* Kills what overlaps; returns the lines that the blocks left there cover. */
static uint64_t drop_range(SoftCpu *s, const uint8_t *host, size_t len)
{
    const uint8_t *page = page_of(host);
    Block *first = g_hash_table_lookup(s->code->pages, page), **p = &first;
    uint64_t lines = 0;
    while (*p) {
        Block *b = *p, **next = block_link(b, page);
        if (!b->dead && block_overlaps(b, host, len)) {
            block_kill(s, b);
        }
        if (b->dead) {
            *p = *next;
            continue;
        }
        lines |= page_of(b->host) == page ? lines_of(b->host, b->size) : lines_of(page, b->size);
        p = next;
    }
    if (first) {
        table_put(s->code->pages, page, first);
    } else {
        table_remove(s->code->pages, page);
    }
    return lines;
}

static void post_written(SoftCpu *to, const uint8_t *host, size_t len)
{
    Written w = {host, len};
    if (atomic_load(&to->code->dormant)) {
        return;
    }
    g_mutex_lock(&to->code->inbox_lock);
    g_array_append_val(to->code->inbox, w);
    g_mutex_unlock(&to->code->inbox_lock);
    soft_poll(to, POLL_CODE);
}

static bool has_cpu(const CodePage *p, unsigned i)
{
    return p->cpus[i / 64] >> i % 64 & 1;
}

static void page_leave(CodePage *p, const uint8_t *page, unsigned cpu)
{
    uint64_t any = 0;
    p->cpus[cpu / 64] &= ~(UINT64_C(1) << cpu % 64);
    for (unsigned i = 0; i < CPU_WORDS; i++) {
        any |= p->cpus[i];
    }
    if (!any) {
        ram_dirty_set_client(p->ram, DIRTY_CODE, p->offset, PAGE);
        table_remove(code_pages, page);
    }
}

static bool only_cpu(const CodePage *p, unsigned cpu)
{
    for (unsigned i = 0; i < CPU_WORDS; i++) {
        if (p->cpus[i] & ~(i == cpu / 64 ? UINT64_C(1) << cpu % 64 : 0)) {
            return false;
        }
    }
    return true;
}

/* With code_lock.  `s`: whose own blocks go at once; NULL: a device has written, all hear of it by their inbox. */
static void page_written(SoftCpu *s, const uint8_t *host, size_t len)
{
    const uint8_t *page = page_of(host);
    CodePage *p = g_hash_table_lookup(code_pages, page);
    if (!p || !(p->lines & lines_of(host, len))) {
        return;
    }
    for (unsigned i = 0; i < cpu_count(); i++) {
        Cpu *c = cpu_at(i);
        if (has_cpu(p, c->index) && !(s && &s->cpu == c)) {
            post_written(soft_cpu(c), host, len);
        }
    }
    if (s && has_cpu(p, s->cpu.index)) {
        uint64_t lines = drop_range(s, host, len);
        if (only_cpu(p, s->cpu.index)) {
            p->lines = lines;
        }
        if (!lines) {
            page_leave(p, page, s->cpu.index);
        }
    }
}

bool block_written(SoftCpu *s, RamBlock *ram, uint8_t *host, size_t len)
{
    g_mutex_lock(&code_lock);
    page_written(s, host, len);
    uint64_t offset = (uint64_t)(host - (uint8_t *)ram_host(ram));
    bool gone = !ram_code_marked(ram, offset);
    g_mutex_unlock(&code_lock);
    return gone;
}

static void device_wrote(RamBlock *ram, uint64_t offset, uint64_t len)
{
    const uint8_t *host = ram_host(ram);
    g_mutex_lock(&code_lock);
    for (uint64_t end = offset + len; code_pages && offset < end;) {
        uint64_t n = MIN(end - offset, PAGE - (offset & (PAGE - 1)));
        page_written(NULL, host + offset, n);
        offset += n;
    }
    g_mutex_unlock(&code_lock);
}

static void pages_cleaned(RamBlock *ram, uint64_t offset, uint64_t len)
{
    uint64_t first = offset & ~(uint64_t)(PAGE - 1);
    tlb_revoke_stores((uint8_t *)ram_host(ram) + first, offset + len - first);
}

void block_watch_ram(void)
{
    ram_watch = (RamWatch){.cleaned = pages_cleaned, .code_written = device_wrote};
}

void block_process_inbox(SoftCpu *s)
{
    SoftCode *c = s->code;
    g_autoptr(GArray) mail = NULL;
    g_mutex_lock(&c->inbox_lock);
    mail = c->inbox;
    c->inbox = g_array_new(FALSE, FALSE, sizeof(Written));
    g_mutex_unlock(&c->inbox_lock);
    g_mutex_lock(&code_lock);
    for (unsigned i = 0; i < mail->len; i++) {
        const Written *w = &g_array_index(mail, Written, i);
        const uint8_t *page = page_of(w->host);
        CodePage *p = g_hash_table_lookup(code_pages, page);
        if (!drop_range(s, w->host, w->len) && p) {
            page_leave(p, page, s->cpu.index);
        }
    }
    g_mutex_unlock(&code_lock);
}

void block_flush(SoftCpu *s)
{
    SoftCode *c = s->code;
    GHashTableIter iter;
    gpointer page;
    g_mutex_lock(&code_lock);
    g_hash_table_iter_init(&iter, c->pages);
    while (g_hash_table_iter_next(&iter, &page, NULL)) {
        CodePage *p = g_hash_table_lookup(code_pages, page);
        if (p) {
            page_leave(p, page, s->cpu.index);
        }
    }
    g_mutex_unlock(&code_lock);
    g_hash_table_remove_all(c->pages);
    memset(c->hash, 0, sizeof(Block *) << HASH_BITS);
    memset(c->jumps, 0, sizeof(c->jumps));
    block_forget_jumps(s);
    c->used = sizeof(Uop);
    if (c->links) {
        g_array_set_size(c->links, 0);
    }
    s->block = NULL;
    borrow_flush(s);
    translate_flush(c->translator);
}

/* ---- Making ---- */

typedef struct Source {                 /* where a block's bytes come from */
    const uint8_t *host, *host2;        /* NULL: not from memory */
    size_t here;                        /* bytes up to the page's end */
    uint8_t bytes[2 * INSN_MAX + 2];    /* of an instruction that is not in one page of memory */
    bool joined;                        /* `bytes` is what counts, for one instruction */
} Source;

static void page_register(SoftCpu *s, const FetchPage *f, const uint8_t *host, size_t len)
{
    const uint8_t *page = page_of(host);
    CodePage *p = g_hash_table_lookup(code_pages, page);
    if (!p) {
        p = g_new0(CodePage, 1);
        p->ram = f->page.ram;
        p->offset = f->page.offset;
        table_put(code_pages, page, p);
    }
    p->cpus[s->cpu.index / 64] |= UINT64_C(1) << s->cpu.index % 64;
    p->lines |= len ? lines_of(host, len) : 0;
}

static void page_insert(SoftCpu *s, Block *b, const uint8_t *page)
{
    *block_link(b, page) = g_hash_table_lookup(s->code->pages, page);
    table_put(s->code->pages, page, b);
}

/* Decodes up to `most` instructions; *end tells why it stopped: DECODE_OK when it just may not go on. */
static unsigned decode_run(SoftCpu *s, const uint8_t *bytes, size_t len, uint64_t rip, unsigned most, Insn *out,
                           DecodeResult *end)
{
    unsigned n = 0;
    size_t at = 0;
    *end = DECODE_OK;
    while (n < most && at < len) {
        *end = insn_decode_as(&out[n], bytes + at, MIN(len - at, INSN_MAX), s->mode, rip + at, s->code->traits);
        if (*end != DECODE_OK) {
            break;
        }
        at += out[n].length;
        if (insn_ends(&out[n++])) {
            break;
        }
    }
    return n;
}

bool block_decode(SoftCpu *s, const Block *b, Insn *out)
{
    DecodeResult end;
    g_mutex_lock(&code_lock);
    unsigned n = decode_run(s, b->host, b->size, b->rip, b->insns, out, &end);
    g_mutex_unlock(&code_lock);
    return n == b->insns && out[n - 1].rip + out[n - 1].length == b->rip + b->size;
}

static Block *block_at(SoftCpu *s, const uint8_t *host, uint64_t rip, uint32_t mode)
{
    Block *b = s->code->hash[hash_of(host, rip)];
    while (b && !(b->host == host && b->rip == rip && b->mode == mode && !b->host2)) {
        b = b->hash_next;
    }
    return b;
}

Block *block_behind(SoftCpu *s, const Block *b)
{
    const uint8_t *host = b->host + b->size;
    return page_of(host) == page_of(b->host) ? block_at(s, host, b->rip + b->size, b->mode) : NULL;
}

/* What is no instruction is one that faults. */
static void make_bad(Insn *i, uint64_t rip, DecodeResult why)
{
    *i = (Insn){.rip = rip, .length = 1, .mnemonic = why == DECODE_LONG ? ZYDIS_MNEMONIC_MAX_VALUE : ZYDIS_MNEMONIC_INVALID};
    i->mem.base = i->mem.index = NO_REG;
}

/* -d in_asm: one line for each instruction that -dfilter lets through, in one write. */
static void log_block(SoftCpu *s, const Insn *insns, unsigned n)
{
    static const uint8_t sizes[] = {16, 32, 64, 64};
    g_autoptr(GString) text = g_string_new(NULL);
    for (unsigned k = 0; k < n; k++) {
        uint64_t at = log_linear(s, insns[k].rip);
        if (log_filtered(at, insns[k].length)) {
            g_string_append_printf(text, "in_asm: cpu %u %016" G_GINT64_MODIFIER "x  ", s->cpu.index, at);
            disas_one(insns[k].bytes, insns[k].length, sizes[s->mode & MODE_SIZE], insns[k].rip, text);
            g_string_append_c(text, '\n');
        }
    }
    if (text->len) {
        log_printf("%s", text->str);
    }
}

static const uint8_t *copy_bytes(SoftCpu *s, const Insn *insns, unsigned n, size_t size)
{
    uint8_t *bytes = block_alloc(s, size);
    for (size_t k = 0, at = 0; k < n; at += insns[k++].length) {
        memcpy(bytes + at, insns[k].bytes, insns[k].length);
    }
    return bytes;
}

static Block *block_make(SoftCpu *s, const Source *src, const Insn *insns, unsigned n)
{
    const CpuState *c = &s->cpu.state;
    Block *b = block_alloc(s, sizeof(Block) + (UOPS_PER_INSN * n + 4) * sizeof(Uop));
    const Insn *last = &insns[n - 1];
    *b = (Block){.host = src->host, .host2 = src->host2, .rip = c->rip, .mode = s->mode, .insns = (uint16_t)n,
                 .size = (uint16_t)(last->rip + last->length - c->rip),
                 .linear = (uint32_t)((s->mode & MODE_SIZE) == MODE_64 ? c->rip : c->seg[SEG_CS].base + c->rip)};
    Uop *end = lower_block(s, b->uops, insns, n, s->mode, last->rip + last->length);
    if (G_UNLIKELY(s->debug) && soft_debug_block(s, c->rip)) {
        b->uops[0].fn = exec_enter_debug;
    }
    b->uop_count = (uint16_t)(end - b->uops);
    translate_stand_in(s, b, BLOCK_NEW);
    if (translate_possible(s, b)) {
        b->uops[0].fn = exec_enter_cold;
        b->uops[0].imm = (int32_t)translate_heat;
    }
    b->special = b->uops[0].fn != exec_enter;
    if (s->code->unheard && src->host) {
        b->bytes = copy_bytes(s, insns, n, b->size);
    }
    s->code->made++;
    if (log_enabled(LOG_IN_ASM)) {
        log_block(s, insns, n);
    }
    return b;
}

/* The bytes of one instruction that reaches into the next page, or lies in a device. */
static void join_bytes(SoftCpu *s, Source *src, const FetchPage *f, uint64_t linear)
{
    src->joined = true;
    for (unsigned i = 0; i < INSN_MAX; i++) {
        uint64_t at = linear + i;
        if (i == src->here) {
            uint64_t next = (linear | (PAGE - 1)) + 1;
            f = tlb_fetch(s, cpu_long_active(&s->cpu.state) ? next : (uint32_t)next);
            src->host2 = f->page.host;
        }
        src->bytes[i] = f->page.host ? f->page.host[at & (PAGE - 1)]
                                     : (uint8_t)space_load(s->cpu.memory, f->phys + (at & (PAGE - 1)), 1);
    }
}

/* How many bytes from RIP on the code segment's limit lets be fetched. */
static uint64_t limit_room(const SoftCpu *s)
{
    const Segment *cs = &s->cpu.state.seg[SEG_CS];
    if ((s->mode & MODE_SIZE) == MODE_64) {
        return UINT64_MAX;
    }
    return s->cpu.state.rip > cs->limit ? 0 : (uint64_t)cs->limit - s->cpu.state.rip + 1;
}

static Block *block_build(SoftCpu *s, uint64_t linear)
{
    static __thread Insn insns[MAX_INSNS];
    SoftCode *c = s->code;
    uint64_t rip = s->cpu.state.rip, room = limit_room(s);
    if (c->used + (MAX_INSNS * (UOPS_PER_INSN * sizeof(Uop) + sizeof(OpInsn) + 2 * sizeof(Insn) + INSN_MAX) + PAGE) > c->size ||
        (c->translator && c->translator->full)) {
        block_flush(s);
    }
    FetchPage f = *tlb_fetch(s, linear);
    Source src = {.host = f.page.host ? f.page.host + (linear & (PAGE - 1)) : NULL, .here = PAGE - (linear & (PAGE - 1))};
    DecodeResult end = DECODE_SHORT;
    unsigned n = 0, most = s->mode & MODE_SINGLE ? 1 : MAX_INSNS;
    uint8_t own;
    bool covered = G_UNLIKELY(s->debug) && soft_debug_covered(s, linear, &own);
    g_mutex_lock(&code_lock);
    if (src.host) {
        page_register(s, &f, src.host, 0);
        ram_code_mark(f.page.ram, f.page.offset);
        if (G_UNLIKELY(covered)) {
            memcpy(src.bytes, src.host, MIN(src.here, INSN_MAX));
            src.bytes[0] = own;
            n = decode_run(s, src.bytes, MIN(MIN(src.here, INSN_MAX), room), rip, 1, insns, &end);
        } else {
            n = decode_run(s, src.host, MIN(src.here, room), rip, most, insns, &end);
        }
    }
    if (!n && end == DECODE_SHORT) {
        g_mutex_unlock(&code_lock);
        join_bytes(s, &src, &f, linear);
        FetchPage f2 = f;
        if (src.host2) {
            f2 = *tlb_fetch(s, cpu_long_active(&s->cpu.state) ? linear + src.here : (uint32_t)(linear + src.here));
        }
        g_mutex_lock(&code_lock);
        if (src.host && src.host2) {
            page_register(s, &f2, src.host2, INSN_MAX);
            ram_code_mark(f2.page.ram, f2.page.offset);
            memcpy(src.bytes, src.host, MIN(src.here, INSN_MAX));
            memcpy(src.bytes + src.here, src.host2, INSN_MAX - MIN(src.here, INSN_MAX));
        }
        src.bytes[0] = covered ? own : src.bytes[0];
        n = decode_run(s, src.bytes, MIN(INSN_MAX, room), rip, 1, insns, &end);
        if (n && src.host2 && insns[0].length <= src.here) {
            src.host2 = NULL;
        }
        if (!n && end == DECODE_SHORT) {
            g_mutex_unlock(&code_lock);
            s->insn_rip = rip; /* the segment's limit cuts it off */
            soft_fault_error(s, EXC_GP, 0);
        }
    }
    if (!n) {
        make_bad(&insns[n++], rip, end);
    }
    if (G_UNLIKELY(s->debug)) {
        n = soft_debug_cut(s, insns, n);
    }
    Block *b = block_make(s, &src, insns, n);
    if (src.host && (!src.joined || src.host2)) {
        page_register(s, &f, src.host, MIN(b->size, src.here));
        page_insert(s, b, page_of(src.host));
        if (src.host2) {
            page_insert(s, b, page_of(src.host2));
        }
        unsigned h = hash_of(b->host, rip);
        b->hash_next = c->hash[h];
        c->hash[h] = b;
    }
    g_mutex_unlock(&code_lock);
    return b;
}

/* ---- Finding ---- */

static bool block_fits(SoftCpu *s, const Block *b, uint64_t linear)
{
    if (b->rip != s->cpu.state.rip || b->mode != s->mode || b->size > limit_room(s)) {
        return false;
    }
    if (b->host2) {
        uint64_t next = (linear | (PAGE - 1)) + 1;
        return tlb_fetch(s, cpu_long_active(&s->cpu.state) ? next : (uint32_t)next)->page.host == b->host2;
    }
    return true;
}

/* Memory still has what the block was made from. */
static bool block_current(const Block *b)
{
    size_t first = b->host2 ? PAGE - ((uintptr_t)b->host & (PAGE - 1)) : b->size;
    return !b->bytes || (!memcmp(b->host, b->bytes, first) &&
                         (!b->host2 || !memcmp(b->host2, b->bytes + first, b->size - first)));
}

static Block *block_lookup(SoftCpu *s, uint64_t linear)
{
    const FetchPage *f = tlb_fetch(s, linear);
    if (!f->page.host) {
        return NULL;
    }
    const uint8_t *host = f->page.host + (linear & (PAGE - 1));
    Block *b = s->code->hash[hash_of(host, s->cpu.state.rip)];
    while (b && !(b->host == host && block_fits(s, b, linear))) {
        b = b->hash_next;
    }
    if (b && G_UNLIKELY(!block_current(b))) {
        block_kill(s, b);
        return NULL;
    }
    return b;
}

static void remember_jump(SoftCpu *s, Block *b)
{
    uint64_t rip = b->rip;
    s->code->jumps[(rip ^ rip >> JUMP_BITS) & (JUMP_SIZE - 1)] = (JumpEntry){rip, s->cpu.state.seg[SEG_CS].base, s->jump_key, b};
}

Block *block_known(SoftCpu *s, uint64_t rip)
{
    unsigned size = s->mode & MODE_SIZE;
    if (s->code->unheard || size == MODE_16 || !(s->mode & MODE_FLAT_CODE) || s->mode & MODE_SINGLE) {
        return NULL;
    }
    const FetchPage *f = tlb_fetched(s, rip);
    Block *b = f && f->page.host ? block_at(s, f->page.host + (rip & (PAGE - 1)), rip, s->mode) : NULL;
    if (b) {
        remember_jump(s, b);
    }
    return b;
}

/* Jumps that were linked to a block that was thrown away find the one in its place from now on. */
static void replace_block(SoftCpu *s, Block *b)
{
    Block *left = s->block; /* it led here, perhaps */
    if (left && left->dead && left->rip == b->rip && left->host == b->host && left->mode == b->mode && !left->host2) {
        left->to[0] = b;
        left->uops[0].fn = exec_moved;
        translate_stand_in(s, left, BLOCK_MOVED);
    }
}

Block *block_find(SoftCpu *s)
{
    SoftCode *c = s->code;
    const CpuState *st = &s->cpu.state;
    uint64_t base = st->seg[SEG_CS].base, rip = st->rip;
    uint64_t linear = (s->mode & MODE_SIZE) == MODE_64 ? rip : (uint32_t)(base + rip);
    s->insn_rip = rip;
    if (!limit_room(s)) {
        soft_fault_error(s, EXC_GP, 0);
    }
    Uop *from = c->link_from;
    Block *from_block = c->link_from_block;
    c->link_from = NULL;
    if (from && from_block->rip + (uint64_t)(int64_t)from->target != rip) {
        from = NULL; /* an event came between the jump and here: this is its handler */
    }
    Block *b = block_lookup(s, linear);
    if (!b) {
        size_t used = c->used;
        b = block_build(s, linear);
        from = c->used < used ? NULL : from; /* everything went, the jump as well */
    }
    if (b->host2 || !b->host || b->mode & MODE_SINGLE || b->dead) {
        return b;
    }
    if (G_UNLIKELY(c->unheard) && cpu_count() > 1) {
        return b;
    }
    remember_jump(s, b);
    replace_block(s, b);
    if (from && !from_block->dead && !from_block->host2 && page_of(from_block->host) == page_of(b->host) &&
        from_block->mode == b->mode) {
        from->disp = (int32_t)((uint8_t *)b - c->arena);
        ptrdiff_t behind = from_block->uops + from_block->uop_count - 1 - from;
        if (behind < 2) {
            from_block->to[behind] = b;
        }
        if (G_UNLIKELY(c->unheard)) {
            g_array_append_val(c->links, from);
        }
    }
    return b;
}
