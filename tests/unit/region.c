/* Regions against a model of one byte at a time; listeners, accesses, DMA, RAM back ends, dirty pages. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "core/loop.h"
#include "mem/dma.h"
#include "mem/host.h"
#include "mem/ram.h"
#include "mem/region.h"
#include "tests/unit/suite.h"

static Space *space;

static void setup(void)
{
    loop_main();
    loop_lock();
    space = space_new("test", 0);
}

static void teardown(void)
{
    space_free(space);
    loop_unlock();
}

/* ---- Flattening: random trees, and a model that asks for each address who answers it ---- */

enum { WINDOW = 256, MOST = 24 };

typedef struct Node {                   /* what the model knows of a region */
    Region *r;
    struct Node *parent, *target;
    uint64_t at, size, offset;
    int priority;
    unsigned order;                     /* of mapping */
    enum { BOX, LEAF, VIEW } kind;
    bool enabled, readonly;
} Node;

static Node nodes[MOST];
static unsigned n_nodes, mappings;
static GRand *rnd;

static unsigned dice(unsigned n)
{
    return (unsigned)g_rand_int_range(rnd, 0, (gint32)n);
}

typedef struct Answer {
    const Node *leaf;
    uint64_t offset;
    bool readonly;
} Answer;

static bool answer(const Node *n, int64_t at, bool readonly, Answer *out);

static bool before(const Node *a, const Node *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->order > b->order;
}

static bool ask_children(const Node *n, int64_t at, bool readonly, Answer *out)
{
    const Node *last = NULL;
    for (;;) {                          /* from the top down */
        const Node *best = NULL;
        for (unsigned i = 0; i < n_nodes; i++) {
            const Node *c = &nodes[i];
            if (c->parent == n && (!last || before(last, c)) && (!best || before(c, best))) {
                best = c;
            }
        }
        if (!best) {
            return false;
        }
        if (answer(best, at - (int64_t)best->at, readonly, out)) {
            return true;
        }
        last = best;
    }
}

static bool answer(const Node *n, int64_t at, bool readonly, Answer *out)
{
    if (!n->enabled || at < 0 || (uint64_t)at >= n->size) {
        return false;
    }
    readonly |= n->readonly;
    switch (n->kind) {
    case LEAF: *out = (Answer){n, (uint64_t)at, readonly}; return true;
    case VIEW: return answer(n->target, at + (int64_t)n->offset, readonly, out);
    default: return ask_children(n, at, readonly, out);
    }
}

static void compare(void)
{
    mem_commit();
    for (int64_t at = 0; at < WINDOW; at++) {
        Answer a;
        const FlatRange *fr = space_find(space, (uint64_t)at);
        if (!answer(&nodes[0], at, false, &a)) {
            ck_assert_msg(!fr, "%d: nobody should answer", (int)at);
            continue;
        }
        ck_assert_msg(fr && fr->region == a.leaf->r, "%d: %s answers instead of %s", (int)at,
                      fr ? region_name(fr->region) : "nobody", region_name(a.leaf->r));
        ck_assert_uint_eq(fr->offset + ((uint64_t)at - fr->at), a.offset);
        ck_assert_int_eq(fr->readonly, a.readonly);
    }
}

static void check_range(void *arg, const FlatRange *fr)
{
    const FlatRange **last = arg;
    ck_assert_uint_gt(fr->size, 0);
    ck_assert(!*last || (*last)->at + (*last)->size <= fr->at);
    *last = fr;
}

static void map_somewhere(Node *n)
{
    do {
        n->parent = &nodes[dice(n_nodes)];
    } while (n->parent->kind != BOX || n->parent == n || n->parent > n);
    n->at = dice(WINDOW);
    n->priority = (int)dice(3) - 1;
    n->order = ++mappings;
    region_map(n->parent->r, n->r, n->at, n->priority);
}

static void make_node(unsigned i)
{
    static const IoOps ops;
    g_autofree char *name = g_strdup_printf("r%u", i);
    Node *n = &nodes[i];
    *n = (Node){.kind = i ? dice(3) : BOX, .size = i ? 1 + dice(WINDOW / 2) : WINDOW, .enabled = true};
    if (n->kind == VIEW) {              /* of an earlier region, so that there is no circle */
        n->target = &nodes[1 + dice(i > 1 ? i - 1 : 1)];
        n->offset = dice(WINDOW / 4);
    }
    if (n->kind == VIEW && n->target == n) {
        n->kind = LEAF;
    }
    n->r = n->kind == LEAF   ? region_io(name, n->size, &ops, NULL)
           : n->kind == VIEW ? region_alias(name, n->target->r, n->offset, n->size)
                             : region_container(name, n->size);
    n_nodes = i + 1;
    if (!i) {
        region_map(space_root(space), n->r, 0, 0);
    } else if (dice(6)) {
        map_somewhere(n);
    }
}

/* An alias may show a container into which its own place was mapped later: the edits below keep to trees. */
static void edit(void)
{
    Node *n = &nodes[1 + dice(n_nodes - 1)];
    switch (dice(6)) {
    case 0: region_set_enabled(n->r, n->enabled = dice(2)); break;
    case 1: region_set_readonly(n->r, n->readonly = dice(2)); break;
    case 2: region_set_size(n->r, n->size = 1 + dice(WINDOW / 2)); break;
    case 3:
        if (n->parent) {
            region_move(n->r, n->at = dice(WINDOW));
        }
        break;
    case 4:
        if (n->kind == VIEW) {
            region_set_alias(n->r, n->offset = dice(WINDOW / 4));
        }
        break;
    default:
        if (n->parent && n->kind == LEAF) {
            region_unmap(n->r);
            n->parent = NULL;
            map_somewhere(n);
        }
    }
}

START_TEST(random_trees)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        rnd = g_rand_new_with_seed(seed);
        for (unsigned i = 0; i < MOST; i++) {
            make_node(i);
        }
        compare();
        for (unsigned i = 0; i < 30; i++) {
            edit();
            compare();
        }
        const FlatRange *last = NULL;
        space_foreach_range(space, check_range, &last);
        while (n_nodes) {               /* aliases go before their targets */
            region_free(nodes[--n_nodes].r);
        }
        ck_assert_ptr_null(space_find(space, 0));
        g_rand_free(rnd);
    }
}
END_TEST

static uint64_t ones(void *opaque, uint64_t at, unsigned size)
{
    return 0x11 * size;
}

static const IoOps ones_ops = {.read = ones};

START_TEST(edges_of_the_space)
{
    Region *top = region_io("top", 0x1000, &ones_ops, NULL);
    region_map(space_root(space), top, UINT64_MAX - 0xfff, 0);
    Region *below = region_io("below", 0x1000, &ones_ops, NULL);
    Region *shifted = region_alias("shifted", below, 0xf00, 0x100);
    region_map(space_root(space), shifted, 0, 0);
    mem_commit();
    ck_assert_uint_eq(space_load(space, UINT64_MAX, 1), 0x11);
    ck_assert_ptr_null(space_find(space, UINT64_MAX - 0x1000));
    ck_assert_uint_eq(space_find(space, 0)->offset, 0xf00);
    ck_assert_ptr_null(space_find(space, 0x100));
    region_move(top, UINT64_MAX - 0x7ff);       /* what lies beyond the end is not there */
    mem_commit();
    ck_assert_uint_eq(space_find(space, UINT64_MAX)->size, 0x800);
    ck_assert_ptr_eq(space_find(space, 0)->region, below);
    region_free(shifted);
    region_free(below);
    region_free(top);
}
END_TEST

/* ---- Listeners ---- */

static GString *told;

static void on_del(MemListener *l, const FlatRange *fr)
{
    g_string_append_printf(told, "-%s@%x+%x ", region_name(fr->region), (unsigned)fr->at, (unsigned)fr->size);
}

static void on_add(MemListener *l, const FlatRange *fr)
{
    g_string_append_printf(told, "+%s@%x+%x ", region_name(fr->region), (unsigned)fr->at, (unsigned)fr->size);
}

static void on_log(MemListener *l, const FlatRange *fr)
{
    g_string_append_printf(told, "log%u ", fr->logged);
}

static void on_eventfd(MemListener *l, uint64_t at, unsigned size, bool match, uint64_t data, int fd, bool add)
{
    g_string_append_printf(told, "%cfd%d@%x ", add ? '+' : '-', fd, (unsigned)at);
}

static void on_commit(MemListener *l)
{
    g_string_append(told, ".");
}

static void expect(const char *what)
{
    mem_commit();
    ck_assert_str_eq(told->str, what);
    g_string_truncate(told, 0);
}

START_TEST(listeners_hear_the_difference)
{
    MemListener l = {.del = on_del, .add = on_add, .log = on_log, .commit = on_commit, .eventfd = on_eventfd};
    told = g_string_new(NULL);
    RamBlock *block = ram_new("listened", 0x10000, NULL, NULL);
    Region *ram = region_ram("ram", block, 0, 0x10000), *card = region_io("card", 0x1000, &ones_ops, NULL);
    region_map(space_root(space), ram, 0, 0);
    mem_listen(&l, space);
    expect("+ram@0+10000 .");
    region_map(space_root(space), card, 0x4000, 1);
    expect("-ram@0+10000 +ram@0+4000 +card@4000+1000 +ram@5000+b000 .");
    region_move(card, 0x4000);
    expect("");
    region_set_logged(ram, DIRTY_VGA, true);
    expect("log1 log1 .");
    region_add_eventfd(card, 0x10, 4, true, 1, 7);
    expect("+fd7@4010 ");
    region_move(card, 0x20000);
    expect("-ram@0+4000 -card@4000+1000 -ram@5000+b000 +ram@0+10000 +card@20000+1000 -fd7@4010 +fd7@20010 .");
    region_set_enabled(card, false);
    expect("-card@20000+1000 -fd7@20010 .");
    mem_unlisten(&l);
    region_set_enabled(card, true);
    expect("");
    region_free(card);
    region_free(ram);
    ram_free(block);
    g_string_free(told, TRUE);
}
END_TEST

/* ---- Accesses ---- */

static uint8_t regs[16];
static GString *seen;

static uint64_t regs_read(void *opaque, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    g_string_append_printf(seen, "r%u@%u ", size, (unsigned)at);
    memcpy(&v, regs + at, size);
    return v;
}

static void regs_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    g_string_append_printf(seen, "w%u@%u=%" G_GINT64_MODIFIER "x ", size, (unsigned)at, value);
}

static Region *regs_map(const IoOps *ops)
{
    Region *r = region_io("regs", sizeof(regs), ops, NULL);
    for (unsigned i = 0; i < sizeof(regs); i++) {
        regs[i] = (uint8_t)(0xa0 + i);
    }
    region_map(space_root(space), r, 0x100, 0);
    mem_commit();
    seen = g_string_new(NULL);
    return r;
}

static void expect_seen(const char *what)
{
    ck_assert_str_eq(seen->str, what);
    g_string_truncate(seen, 0);
}

START_TEST(accesses_are_cut_to_the_device)
{
    static const IoOps bytes = {regs_read, regs_write, 1, 1}, words = {regs_read, regs_write, 4, 4};
    Region *r = regs_map(&bytes);
    ck_assert_uint_eq(space_load(space, 0x101, 4), 0xa4a3a2a1);
    expect_seen("r1@1 r1@2 r1@3 r1@4 ");
    space_store(space, 0x102, 2, 0xbeef);
    expect_seen("w1@2=ef w1@3=be ");
    region_free(r);
    g_string_free(seen, TRUE);
    r = regs_map(&words);
    ck_assert_uint_eq(space_load(space, 0x105, 1), 0xa5);
    expect_seen("r4@4 ");
    ck_assert_uint_eq(space_load(space, 0x103, 2), 0xa4a3);     /* in two units */
    expect_seen("r4@0 r4@4 ");
    space_store(space, 0x107, 2, 0xbeef);
    expect_seen("w4@4=ef000000 w4@8=be ");
    ck_assert_uint_eq(space_load(space, 0x108, 8), 0xafaeadacabaaa9a8);
    expect_seen("r4@8 r4@12 ");
    region_free(r);
    g_string_free(seen, TRUE);
}
END_TEST

START_TEST(accesses_cross_ranges)
{
    RamBlock *block = ram_new("crossed", 0x1000, NULL, NULL);
    Region *ram = region_ram("ram", block, 0, 0x1000), *rom = region_rom("rom", block, 0, 0x100);
    region_map(space_root(space), ram, 0x1000, 0);
    region_map(space_root(space), rom, 0x2000, 0);
    mem_commit();
    uint8_t buf[8] = {1, 2, 3, 4, 5, 6, 7, 8}, got[8];
    ck_assert(!space_write(space, 0xffc, buf, 8));      /* half of it hits nothing */
    ck_assert(space_read(space, 0x1000, got, 4));
    ck_assert_mem_eq(got, buf + 4, 4);
    ck_assert(!space_read(space, 0xffe, got, 4));
    ck_assert_mem_eq(got, ((uint8_t[]){0xff, 0xff, 5, 6}), 4);
    ck_assert_uint_eq(space_load(space, 0x9000, 4), UINT32_MAX);
    space_write(space, 0x2000, buf, 4);
    ck_assert_uint_eq(space_load(space, 0x2000, 4), 0x08070605);        /* writes to ROM are ignored */
    ck_assert(space_write_rom(space, 0x2000, buf, 4));
    ck_assert_uint_eq(space_load(space, 0x1000, 4), 0x04030201);
    ck_assert(space_peek(space, 0x2000, got, 4));
    ck_assert(!space_peek(space, 0x9000, got, 4));
    region_free(rom);
    region_free(ram);
    ram_free(block);
}
END_TEST

/* ---- DMA ---- */

START_TEST(dma_needs_bus_master_and_memory)
{
    bool master = false;
    RamBlock *block = ram_new("dma", 0x4000, NULL, NULL);
    Region *low = region_ram("low", block, 0, 0x2000), *high = region_ram("high", block, 0x2000, 0x2000);
    Region *rom = region_rom("rom", block, 0, 0x1000);
    region_map(space_root(space), low, 0, 0);
    region_map(space_root(space), high, 0x2000, 0);
    region_map(space_root(space), rom, 0x10000, 0);
    mem_commit();
    Dma *dma = dma_grant(space, &master);
    uint32_t v = 0x12345678, got = 0;
    DmaVec vec = {0};
    ck_assert(!dma_write(dma, 0x10, &v, 4));
    ck_assert(!dma_read(dma, 0x10, &got, 4));
    ck_assert_uint_eq(got, UINT32_MAX);
    ck_assert(!dma_map(dma, 0, 16, false, &vec));
    master = true;
    ck_assert(dma_write(dma, 0x1ffe, &v, 4));
    ck_assert(dma_read(dma, 0x1ffe, &got, 4));
    ck_assert_uint_eq(got, v);

    ram_dirty_track(block, DIRTY_MIGRATION, true);
    ram_dirty_take(block, DIRTY_MIGRATION, 0, 0x4000);
    ck_assert(dma_map(dma, 0x1000, 0x2000, true, &vec));
    ck_assert_uint_eq(vec.n, 1);        /* neighbours in the host's memory are one piece */
    ck_assert_uint_eq(vec.bytes, 0x2000);
    ck_assert(dma_map(dma, 0x100, 0x10, true, &vec));
    ck_assert_uint_eq(vec.n, 2);
    ck_assert(!dma_map(dma, 0x3000, 0x2000, true, &vec));       /* beyond the memory: unchanged */
    ck_assert(!dma_map(dma, 0x10000, 16, true, &vec));          /* ROM */
    ck_assert(!dma_map(dma, UINT64_MAX - 3, 16, false, &vec));
    ck_assert_uint_eq(vec.n, 2);
    ck_assert_uint_eq(vec.bytes, 0x2010);
    dma_unmap(dma, &vec, 0x1001);
    ck_assert(!ram_dirty_any(block, DIRTY_MIGRATION, 0, 0x1000));
    ck_assert(ram_dirty_any(block, DIRTY_MIGRATION, 0x1000, 1));
    ck_assert(ram_dirty_any(block, DIRTY_MIGRATION, 0x2000, 1));
    ck_assert(!ram_dirty_any(block, DIRTY_MIGRATION, 0x3000, 0x1000));
    ck_assert(dma_map(dma, 0x10000, 16, false, &vec));
    dma_unmap(dma, &vec, 0);
    dma_free(dma);
    region_free(rom);
    region_free(low);
    region_free(high);
    ram_free(block);
}
END_TEST

/* ---- RAM ---- */

START_TEST(ram_from_everywhere)
{
    GError *error = NULL;
    g_autofree char *folder = g_dir_make_tmp("ostler-ram-XXXXXX", NULL), *path = g_build_filename(folder, "ram", NULL);
    const RamOptions kinds[] = {{.kind = RAM_ANON},
                                {.kind = RAM_ANON, .prealloc = true, .prealloc_threads = 3},
                                {.kind = RAM_MEMFD, .share = true},
                                {.kind = RAM_FILE, .path = path, .share = true},
                                {.kind = RAM_FILE, .path = folder}};
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        RamBlock *b = ram_new("kinds", 0x5001, &kinds[i], &error);
        ck_assert_msg(b != NULL, "%s", error ? error->message : "");
        uint8_t byte = 1;
        ram_read(b, 0x5000, &byte, 1);
        ck_assert_uint_eq(byte, 0);
        ram_write(b, 0x5000, "\x5a", 1);
        ck_assert_int_eq(ram_fd(b) < 0, kinds[i].kind == RAM_ANON);
        ck_assert_uint_eq(ram_size(b), 0x5001);
        if (kinds[i].kind != RAM_ANON) {
            ck_assert_int_eq(pread(ram_fd(b), &byte, 1, 0x5000), 1);
            ck_assert_uint_eq(byte, kinds[i].share ? 0x5a : 0);
        }
        ram_free(b);
    }
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(ram_as_asked)
{
    enum { ALIGN = 8 << 20 };
    GError *error = NULL;
    uint8_t byte = 1;
    g_autofree char *path = g_strdup_printf("%s/ostler-ram-XXXXXX", g_get_tmp_dir());
    close(g_mkstemp(path));
    const RamOptions sealed = {.kind = RAM_MEMFD, .share = true, .seal = true, .align = ALIGN, .prealloc = true};
    RamBlock *b = ram_new("sealed", 3 << 20, &sealed, &error);
    ck_assert_msg(b != NULL, "%s", error ? error->message : "");
    ck_assert_uint_eq((uintptr_t)ram_host(b) % ALIGN, 0);
    ck_assert_int_eq(fcntl(ram_fd(b), F_GET_SEALS), F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    unsigned char there[(3 << 20) / RAM_PAGE];
    ck_assert_int_eq(mincore(ram_host(b), 3 << 20, there), 0);
    for (unsigned i = 0; i < sizeof(there); i++) {
        ck_assert(there[i] & 1);        /* every page is backed */
    }
    ram_free(b);
    const RamOptions kept = {.kind = RAM_FILE, .path = path, .share = true};
    const RamOptions given_up = {.kind = RAM_FILE, .path = path, .share = true, .discard = true};
    for (unsigned i = 0; i < 2; i++) {  /* what the file holds after the block is gone */
        b = ram_new("file", RAM_PAGE, i ? &given_up : &kept, &error);
        ram_write(b, 7, "\x5a", 1);
        int fd = open(path, O_RDONLY);
        ram_free(b);
        ck_assert_int_eq(pread(fd, &byte, 1, 7), 1);
        close(fd);
        ck_assert_uint_eq(byte, i ? 0 : 0x5a);
    }
    unlink(path);
    const RamOptions nowhere = {.policy = RAM_POLICY_BIND, .host_nodes = {0, UINT64_C(1) << 63}};      /* node 127 */
    ck_assert_ptr_null(ram_new("nowhere", RAM_PAGE, &nowhere, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "memory 'nowhere': cannot bind it"));
    g_clear_error(&error);
}
END_TEST

START_TEST(ram_that_cannot_be)
{
    GError *error = NULL;
    const RamOptions nowhere = {.kind = RAM_FILE, .path = "/nonexistent/ram"};
    ck_assert_ptr_null(ram_new("gone", 4096, &nowhere, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "gone"));
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent/ram"));
    g_clear_error(&error);
    const RamOptions zero = {.kind = RAM_FILE, .path = "/dev/null", .readonly = true};
    ck_assert_ptr_null(ram_new("null", 4096, &zero, &error));
    g_clear_error(&error);
    ck_assert_ptr_null(ram_new("vast", UINT64_C(1) << 60, NULL, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "1152921504606846976"));
    g_clear_error(&error);
}
END_TEST

START_TEST(dirty_pages)
{
    RamBlock *b = ram_new("dirty", 200 * RAM_PAGE, NULL, NULL);
    ck_assert(!ram_dirty_any(b, DIRTY_VGA, 0, 200 * RAM_PAGE)); /* nobody tracks */
    ram_dirty_track(b, DIRTY_VGA, true);
    ck_assert(ram_dirty_take(b, DIRTY_VGA, 199 * RAM_PAGE, 1)); /* at first everything is new */
    ram_dirty_take(b, DIRTY_VGA, 0, 200 * RAM_PAGE);
    ram_dirty_track(b, DIRTY_MIGRATION, true);
    ram_dirty_take(b, DIRTY_MIGRATION, 0, 200 * RAM_PAGE);
    for (unsigned page = 0; page < 200; page++) {
        ram_dirty_set(b, page * RAM_PAGE + 17, 1);
        for (unsigned other = page ? page - 1 : 0; other < MIN(page + 2, 200u); other++) {
            ck_assert_int_eq(ram_dirty_any(b, DIRTY_VGA, other * RAM_PAGE, RAM_PAGE), other == page);
        }
        ck_assert(ram_dirty_take(b, DIRTY_VGA, page * RAM_PAGE, RAM_PAGE));
        ck_assert(!ram_dirty_take(b, DIRTY_VGA, 0, 200 * RAM_PAGE));
    }
    ck_assert(ram_dirty_take(b, DIRTY_MIGRATION, 0, 200 * RAM_PAGE));   /* clients do not share */
    ram_dirty_set_client(b, DIRTY_VGA, 63 * RAM_PAGE + 4095, 2);
    ck_assert(ram_dirty_any(b, DIRTY_VGA, 63 * RAM_PAGE, 1) && ram_dirty_any(b, DIRTY_VGA, 64 * RAM_PAGE, 1));
    ck_assert(!ram_dirty_any(b, DIRTY_VGA, 65 * RAM_PAGE, 100 * RAM_PAGE));
    ck_assert(!ram_dirty_any(b, DIRTY_MIGRATION, 0, 200 * RAM_PAGE));
    ram_free(b);
}
END_TEST

SUITE_MAIN("region", setup, teardown, random_trees, edges_of_the_space, listeners_hear_the_difference,
           accesses_are_cut_to_the_device, accesses_cross_ranges, dma_needs_bus_master_and_memory, ram_from_everywhere,
           ram_as_asked, ram_that_cannot_be, dirty_pages)
