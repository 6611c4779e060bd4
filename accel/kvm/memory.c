/* Guest memory as KVM sees it: slots from the flat view, dirty pages, buffered writes, eventfds.
 *
 * The core tells which ranges went and which came; nothing is done before commit, which makes the
 * whole change while no CPU is in the guest, so that a processor never meets the hole between a
 * slot's removal and its successor. */
#include "accel/kvm/kvm.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "mem/host.h"

/* sizeof(struct kvm_coalesced_mmio_ring) is followed by as many entries as fit in its page. */
enum {
    COALESCED_ENTRIES =
        (RAM_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio),
    COALESCED_PERIOD_MS = 100,
    DIRTY_RING_FULL_SLOT = 0xffff,
};

typedef struct Slot {
    uint64_t at, size; /* guest physical; whole pages */
    uint8_t *host;
    RamBlock *block;
    uint64_t offset; /* of `host` in the block */
    uint32_t flags;
    bool used;
    uint64_t *bitmap; /* for KVM_GET_DIRTY_LOG; made at its first use */
} Slot;

/* What CPUs see, as a KVM address space: 0, and 1 in system management mode. */
typedef struct View {
    MemListener listener; /* first */
    unsigned number;
    GArray *slots;       /* of Slot, index: number for the kernel */
    GArray *gone, *came; /* of FlatRange, between begin and commit */
} View;

static View views[2];
static unsigned zones; /* coalesced ones */
static Timer coalesced_timer;
static struct kvm_coalesced_mmio_ring *ring;
static bool machine_stopped = true;

/* ---- Keeping CPUs out of the guest ---- */

enum { HOLD_ALL = 1, ALONE = 2 };
static atomic_int holding; /* HOLD_ALL; ALONE times (index + 1) of the only CPU that may */
static GMutex hold_mutex;
static GCond hold_changed;

static bool in_guest(const Cpu *c)
{
    return c->accel && atomic_load(&kvm_cpu(c)->in_guest);
}

static bool may_enter(const Cpu *c)
{
    int h = atomic_load(&holding);
    return !(h & HOLD_ALL) && (!(h / ALONE) || h / ALONE == (int)c->index + 1);
}

bool kvm_enter(Cpu *c)
{
    atomic_store(&kvm_cpu(c)->in_guest, true);
    if (G_LIKELY(!atomic_load(&holding)) || may_enter(c)) {
        return true;
    }
    kvm_leave(c);
    g_mutex_lock(&hold_mutex);
    while (!may_enter(c)) {
        g_cond_wait(&hold_changed, &hold_mutex);
    }
    g_mutex_unlock(&hold_mutex);
    return false;
}

void kvm_leave(Cpu *c)
{
    atomic_store(&kvm_cpu(c)->in_guest, false);
    if (G_UNLIKELY(atomic_load(&holding))) {
        g_mutex_lock(&hold_mutex);
        g_cond_broadcast(&hold_changed);
        g_mutex_unlock(&hold_mutex);
    }
}

static void drive_out(int who, const Cpu *but)
{
    atomic_fetch_or(&holding, who);
    for (unsigned i = 0; i < cpu_count(); i++) {
        if (in_guest(cpu_at(i)) && cpu_at(i) != but) {
            kvm_interrupt(cpu_at(i));
        }
    }
    g_mutex_lock(&hold_mutex);
    for (unsigned i = 0; i < cpu_count(); i++) {
        while (in_guest(cpu_at(i)) && cpu_at(i) != but) {
            g_cond_wait(&hold_changed, &hold_mutex);
        }
    }
    g_mutex_unlock(&hold_mutex);
}

static void let_in(int who)
{
    g_mutex_lock(&hold_mutex);
    atomic_fetch_and(&holding, ~who);
    g_cond_broadcast(&hold_changed);
    g_mutex_unlock(&hold_mutex);
}

/* Main lock held, so there is one holder at a time. */
static void hold_cpus(void)
{
    drive_out(HOLD_ALL, NULL);
}

static void release_cpus(void)
{
    let_in(HOLD_ALL);
}

bool kvm_alone(Cpu *c, bool on)
{
    int own = ((int)c->index + 1) * ALONE;
    if (!on) {
        let_in(own);
    } else if (atomic_load(&holding) / ALONE) {
        return false;
    } else {
        drive_out(own, c);
    }
    return true;
}

/* ---- Slots ---- */

/* The whole pages of a range; false when it has none. */
static bool range_pages(const FlatRange *fr, uint64_t *at, uint64_t *size)
{
    *at = (fr->at + RAM_PAGE - 1) & -(uint64_t)RAM_PAGE;
    uint64_t end = (fr->at + fr->size) & -(uint64_t)RAM_PAGE;
    *size = end > *at ? end - *at : 0;
    return *size != 0;
}

static uint32_t range_flags(const FlatRange *fr)
{
    return (fr->readonly || fr->romd ? KVM_MEM_READONLY : 0) |
           (fr->logged ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

/* The slot that a range has; its region may be gone already. */
static Slot *range_slot(const View *v, const FlatRange *fr)
{
    uint64_t at, size;
    for (unsigned i = 0; range_pages(fr, &at, &size) && i < v->slots->len; i++) {
        Slot *s = &g_array_index(v->slots, Slot, i);
        if (s->used && s->at == at) {
            return s;
        }
    }
    return NULL;
}

/* The kernel's number of a slot: address space and index. */
static uint32_t slot_number(const View *v, const Slot *s)
{
    return v->number << 16 | (uint32_t)(s - &g_array_index(v->slots, Slot, 0));
}

static int slot_set(const View *v, const Slot *s, uint64_t size)
{
    struct kvm_userspace_memory_region r = {
        .slot = slot_number(v, s),
        .flags = s->flags,
        .guest_phys_addr = s->at,
        .memory_size = size,
        .userspace_addr = (uintptr_t)s->host,
    };
    return kvm_vm_ioctl(KVM_SET_USER_MEMORY_REGION, (uintptr_t)&r);
}

/* The kernel refused what it has to accept: the guest cannot go on with a wrong map. */
static void slot_failed(const Slot *s, int code, const char *what)
{
    error_report("KVM cannot %s the memory slot of \"%s\" at %#" PRIx64 ", %#" PRIx64 " bytes: %s",
                 what, ram_name(s->block), s->at, s->size, g_strerror(-code));
    machine_request_stop(RUN_INTERNAL_ERROR);
}

/* Marks the pages of a bitmap's runs of ones. */
static void mark_dirty(const Slot *s, const uint64_t *bitmap)
{
    uint64_t pages = s->size / RAM_PAGE;
    for (uint64_t page = 0; page < pages;) {
        uint64_t word = bitmap[page / 64] >> (page % 64);
        if (!word) {
            page = (page / 64 + 1) * 64;
            continue;
        }
        page += (unsigned)__builtin_ctzll(word);
        uint64_t first = page;
        while (page < pages && bitmap[page / 64] >> (page % 64) & 1) {
            page++;
        }
        ram_dirty_set(s->block, s->offset + first * RAM_PAGE, (page - first) * RAM_PAGE);
    }
}

static void slot_sync_dirty(const View *v, Slot *s)
{
    if (!(s->flags & KVM_MEM_LOG_DIRTY_PAGES) || kvm.dirty_ring) {
        return;
    }
    uint64_t words = (s->size / RAM_PAGE + 63) / 64;
    if (!s->bitmap) {
        s->bitmap = g_new(uint64_t, words);
    }
    memset(s->bitmap, 0, words * 8);
    struct kvm_dirty_log log = {
        .slot = slot_number(v, s),
        .dirty_bitmap = s->bitmap,
    };
    int r = kvm_vm_ioctl(KVM_GET_DIRTY_LOG, (uintptr_t)&log);
    if (r < 0) { /* better too many than too few */
        ram_dirty_set(s->block, s->offset, s->size);
    } else {
        mark_dirty(s, s->bitmap);
    }
}

static void slot_remove(const View *v, const FlatRange *fr)
{
    Slot *s = range_slot(v, fr);
    if (!s) {
        return;
    }
    slot_sync_dirty(v, s);
    int r = slot_set(v, s, 0);
    if (r < 0) {
        slot_failed(s, r, "remove");
    }
    g_free(s->bitmap);
    *s = (Slot){0};
}

static Slot *slot_free(const View *v)
{
    for (unsigned i = 0; i < v->slots->len; i++) {
        if (!g_array_index(v->slots, Slot, i).used) {
            return &g_array_index(v->slots, Slot, i);
        }
    }
    if (v->slots->len >= kvm.slots) {
        return NULL;
    }
    g_array_set_size(v->slots, v->slots->len + 1);
    return &g_array_index(v->slots, Slot, v->slots->len - 1);
}

static void slot_add(const View *v, const FlatRange *fr)
{
    uint64_t at, size;
    if (!(flat_range_is_ram(fr) || fr->romd) || !range_pages(fr, &at, &size)) {
        return;
    }
    uint32_t flags = range_flags(fr);
    if (flags & KVM_MEM_READONLY && !kvm.readonly_mem) {
        return; /* its reads and writes exit and are answered here */
    }
    Slot *s = slot_free(v);
    if (!s) {
        error_report("this KVM has no more than %u memory slots; the guest's memory map needs more",
                     kvm.slots);
        machine_request_stop(RUN_INTERNAL_ERROR);
        return;
    }
    RamBlock *block = region_ram_block(fr->region);
    uint8_t *host = (uint8_t *)range_host(fr) + (at - fr->at);
    *s = (Slot){at,    size, host, block, (uint64_t)(host - (uint8_t *)ram_host(block)),
                flags, true, NULL};
    int r = slot_set(v, s, size);
    if (r < 0) {
        slot_failed(s, r, "add");
        *s = (Slot){0};
    }
}

/* ---- Dirty rings: each vCPU's list of (slot, page) that it wrote ---- */

void kvm_dirty_ring_map(Cpu *c)
{
    if (!kvm.dirty_ring) {
        return;
    }
    void *p = mmap(NULL, kvm.dirty_ring, PROT_READ | PROT_WRITE, MAP_SHARED, kvm_cpu(c)->fd,
                   KVM_DIRTY_LOG_PAGE_OFFSET * RAM_PAGE);
    kvm_cpu(c)->dirty = p == MAP_FAILED ? NULL : p;
}

static unsigned ring_collect(Cpu *c)
{
    KvmCpu *k = kvm_cpu(c);
    unsigned entries = kvm.dirty_ring / sizeof(struct kvm_dirty_gfn), n = 0;
    while (k && k->dirty) {
        struct kvm_dirty_gfn *g = &k->dirty[k->dirty_next % entries];
        if (__atomic_load_n(&g->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY) {
            break;
        }
        unsigned slot = g->slot & 0xffff, number = g->slot >> 16;
        GArray *slots = number < G_N_ELEMENTS(views) ? views[number].slots : NULL;
        if (slots && slot < slots->len) {
            Slot *s = &g_array_index(slots, Slot, slot);
            if (s->used && g->offset < s->size / RAM_PAGE) {
                ram_dirty_set(s->block, s->offset + g->offset * RAM_PAGE, RAM_PAGE);
            }
        }
        __atomic_store_n(&g->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
        k->dirty_next++;
        n++;
    }
    return n;
}

void kvm_dirty_ring_collect(Cpu *c)
{
    unsigned n = 0;
    loop_lock();
    for (unsigned i = 0; i < cpu_count(); i++) {
        n += !c || c == cpu_at(i) ? ring_collect(cpu_at(i)) : 0;
    }
    if (n) {
        kvm_vm_ioctl(KVM_RESET_DIRTY_RINGS, 0);
    }
    loop_unlock();
}

/* ---- Buffered ("coalesced") writes ---- */

void kvm_coalesced_map(void *run_page)
{
    if (!ring) {
        int page = kvm_extension(KVM_CAP_COALESCED_MMIO);
        ring = page > 0 ? (void *)((char *)run_page + page * RAM_PAGE) : NULL;
    }
}

void kvm_coalesced_unmap(void *run_page)
{
    if ((char *)ring >= (char *)run_page && (char *)ring < (char *)run_page + kvm.run_size) {
        kvm_coalesced_flush();
        ring = NULL;
    }
}

void kvm_coalesced_flush(void)
{
    static bool
        flushing; /* main lock; a device may ask for a flush while it takes one of the writes */
    if (G_LIKELY(!ring || ring->first == __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))) {
        return;
    }
    loop_lock();
    if (!flushing) {
        flushing = true;
        while (ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
            struct kvm_coalesced_mmio e = ring->coalesced_mmio[ring->first];
            __atomic_store_n(&ring->first, (ring->first + 1) % COALESCED_ENTRIES, __ATOMIC_RELEASE);
            space_write(e.pio ? space_io() : space_memory(), e.phys_addr, e.data,
                        MIN(e.len, sizeof(e.data)));
        }
        flushing = false;
    }
    loop_unlock();
}

/* A guest that wrote and then halts in the kernel does not exit: what it drew must appear all the
 * same. */
static void coalesced_tick(void *arg)
{
    kvm_coalesced_flush();
    if (zones && !machine_stopped) {
        timer_at(&coalesced_timer, clock_now(CLOCK_RT) + COALESCED_PERIOD_MS * NS_PER_MS);
    }
}

static void coalesced_arm(void)
{
    if (zones && !machine_stopped && !timer_pending(&coalesced_timer)) {
        coalesced_tick(NULL);
    }
}

void kvm_memory_stopped(bool stopped)
{
    machine_stopped = stopped;
    if (stopped) {
        timer_off(&coalesced_timer);
        kvm_coalesced_flush();
    } else {
        coalesced_arm();
    }
}

static void zone_set(const FlatRange *fr, bool pio, bool add)
{
    if (!fr->coalesced || !kvm_extension(KVM_CAP_COALESCED_MMIO) || (pio && !kvm.coalesced_pio)) {
        return;
    }
    while (!add && ring && ring->first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE) &&
           loop_locked()) {
        unsigned before = ring->first;
        kvm_coalesced_flush();
        if (ring->first == before) {
            break; /* we are inside the flush: it goes on after us */
        }
    }
    /* The kernel counts a zone in 32 bits; none of ours is that large. */
    struct kvm_coalesced_mmio_zone z = {
        .addr = fr->at, .size = (uint32_t)MIN(fr->size, UINT32_MAX), .pio = pio};
    int r = kvm_vm_ioctl(add ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO,
                         (uintptr_t)&z);
    if (r >= 0) {
        zones += add ? 1 : -1u;
        coalesced_arm();
    }
}

/* ---- Listeners ---- */

static void memory_begin(MemListener *l)
{
    View *v = (View *)l;
    g_array_set_size(v->gone, 0);
    g_array_set_size(v->came, 0);
}

static void memory_del(MemListener *l, const FlatRange *fr)
{
    View *v = (View *)l;
    if (!v->number) { /* buffered writes and doorbells are the same in every address space */
        zone_set(fr, false, false);
    }
    g_array_append_val(v->gone, *fr);
}

static void memory_add(MemListener *l, const FlatRange *fr)
{
    View *v = (View *)l;
    g_array_append_val(v->came, *fr);
    if (!v->number) {
        zone_set(fr, false, true);
    }
}

static void memory_commit(MemListener *l)
{
    View *v = (View *)l;
    GArray *gone = v->gone, *came = v->came;
    bool hold = gone->len && cpu_count();
    if (hold) {
        hold_cpus();
    }
    if (gone->len && kvm.dirty_ring) {
        kvm_dirty_ring_collect(NULL); /* its entries name slots by number */
    }
    for (unsigned i = 0; i < gone->len; i++) {
        slot_remove(v, &g_array_index(gone, FlatRange, i));
    }
    for (unsigned i = 0; i < came->len; i++) {
        slot_add(v, &g_array_index(came, FlatRange, i));
    }
    if (hold) {
        release_cpus();
    }
    g_array_set_size(gone, 0);
    g_array_set_size(came, 0);
}

static void memory_log(MemListener *l, const FlatRange *fr)
{
    const View *v = (const View *)l;
    Slot *s = range_slot(v, fr);
    uint32_t flags = range_flags(fr);
    if (s && s->flags != flags) {
        slot_sync_dirty(v, s);
        s->flags = flags;
        int r = slot_set(v, s, s->size);
        if (r < 0) {
            slot_failed(s, r, "change");
        }
    }
}

static void memory_log_sync(MemListener *l, const FlatRange *fr)
{
    const View *v = (const View *)l;
    Slot *s = range_slot(v, fr);
    if (s && kvm.dirty_ring && s->flags & KVM_MEM_LOG_DIRTY_PAGES) {
        hold_cpus(); /* processors buffer, and give what they have when they leave the guest */
        kvm_dirty_ring_collect(NULL);
        release_cpus();
    } else if (s) {
        slot_sync_dirty(v, s);
    }
}

static void set_ioeventfd(bool pio, uint64_t at, unsigned size, bool match, uint64_t data, int fd,
                          bool add)
{
    struct kvm_ioeventfd e = {
        .datamatch = data,
        .addr = at,
        .len = size,
        .fd = fd,
        .flags = (match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) | (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
                 (add ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
    };
    int r = kvm.ioeventfd ? kvm_vm_ioctl(KVM_IOEVENTFD, (uintptr_t)&e) : -ENOSYS;
    if (r < 0 && add && r != -ENOSYS) { /* the write then exits and reaches the device itself */
        warn_report("KVM cannot bind a doorbell at %#" PRIx64 ": %s", at, g_strerror(-r));
    }
}

static void memory_eventfd(MemListener *l, uint64_t at, unsigned size, bool match, uint64_t data,
                           int fd, bool add)
{
    set_ioeventfd(false, at, size, match, data, fd, add);
}

static void io_eventfd(MemListener *l, uint64_t at, unsigned size, bool match, uint64_t data,
                       int fd, bool add)
{
    set_ioeventfd(true, at, size, match, data, fd, add);
}

static void io_del(MemListener *l, const FlatRange *fr)
{
    zone_set(fr, true, false);
}
static void io_add(MemListener *l, const FlatRange *fr)
{
    zone_set(fr, true, true);
}

static void view_start(unsigned number, Space *space)
{
    View *v = &views[number];
    *v = (View){
        .listener = {.begin = memory_begin,
                     .del = memory_del,
                     .add = memory_add,
                     .log = memory_log,
                     .commit = memory_commit,
                     .log_sync = memory_log_sync,
                     .eventfd = number ? NULL : memory_eventfd},
        .number = number,
        .slots = g_array_new(FALSE, TRUE, sizeof(Slot)),
        .gone = g_array_new(FALSE, FALSE, sizeof(FlatRange)),
        .came = g_array_new(FALSE, FALSE, sizeof(FlatRange)),
    };
    mem_listen(&v->listener, space);
}

/* ---- Shadows of the guest's page tables ---- */

enum { FAR_BIT = 51 };                  /* of an address that no guest's tables can name */
static uint32_t far_slot;               /* 0: none */
static GMutex far_mutex;

static bool far_set(uint64_t at)
{
    static void *page;
    if (!page) {
        page = mmap(NULL, RAM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    struct kvm_userspace_memory_region r = {
        .slot = far_slot, .guest_phys_addr = at, .memory_size = RAM_PAGE, .userspace_addr = (uintptr_t)page};
    return page != MAP_FAILED && kvm_vm_ioctl(KVM_SET_USER_MEMORY_REGION, (uintptr_t)&r) >= 0;
}

void kvm_shadow_start(void)
{
    far_slot = --kvm.slots;
    if (!far_set(UINT64_C(1) << FAR_BIT)) {
        far_slot = 0;
    }
}

/* The kernel drops all shadows when a slot moves: one that nobody sees does. */
void kvm_shadow_forget(void)
{
    static bool second;
    if (!far_slot) {
        return;
    }
    g_mutex_lock(&far_mutex);
    second = !second;
    far_set((UINT64_C(1) << FAR_BIT) + (second ? RAM_PAGE : 0));
    g_mutex_unlock(&far_mutex);
}

bool kvm_memory_start(GError **error)
{
    static MemListener io_listener = {.del = io_del, .add = io_add, .eventfd = io_eventfd};
    timer_init(&coalesced_timer, CLOCK_RT, coalesced_tick, NULL);
    view_start(0, space_memory());
    mem_listen(&io_listener, space_io());
    return true;
}

void kvm_memory_start_smm(void)
{
    if (kvm.smm && platform.smm_space && !views[1].slots) {
        view_start(1, platform.smm_space);
    }
}
