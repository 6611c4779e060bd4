#include "tests/unit/kvm-bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "cpu/model.h"

/* ---- The machine ---- */

RamBlock *ram;
static RamBlock *bios, *segment;
Region *ram_region, *bell, *ports;
static Region *window, *coalesced, *pam;
Access access_log[LOG];
unsigned logged, done, counter, resets;
void (*on_request)(void);

static void log_access(unsigned at, unsigned size, uint64_t value)
{
    if (logged < LOG) {
        access_log[logged++] = (Access){(uint16_t)at, (uint8_t)size, value};
    }
}

static void set_pam(unsigned mode)
{
    region_set_enabled(pam, mode != 0);
    region_set_readonly(pam, mode == 2);
}

static uint64_t port_read(void *opaque, uint64_t at, unsigned size)
{
    if (at == 8) { /* 0x18: each read is one more */
        return counter++;
    }
    return (UINT64_C(0xa3a2a1a0) + (at - 4) * 0x01010101) & size_mask(size);
}

static void port_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    if (at == 0xe) { /* 0x1e */
        done = (unsigned)value;
        loop_wake();
    } else if (at == 0xc) { /* 0x1c */
        set_pam((unsigned)value);
    } else if (at == 0xa && on_request) { /* 0x1a */
        on_request();
    } else if (at != 2) { /* 0x12 is not recorded */
        log_access((unsigned)at + 0x10, size, value);
    }
}

static uint64_t window_read(void *opaque, uint64_t at, unsigned size)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < size; i++) {
        v |= (0x40 + ((at + i) & 0x3f)) << (8 * i);
    }
    return v;
}

static void window_write(void *opaque, uint64_t at, unsigned size, uint64_t value)
{
    log_access((unsigned)at, size, value);
}

static void on_reset(void *arg, ShutdownCause cause)
{
    resets++;
}

static const IoOps port_ops = {port_read, port_write, 1, 4},
                   window_ops = {window_read, window_write, 1, 8};

static Region *add(Region *r, uint64_t at, int priority)
{
    region_map(space_root(space_memory()), r, at, priority);
    return r;
}

static void make_memory(void)
{
    static const uint8_t start[] = {0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0,
                                    0xbc, 0x00, 0x80, 0xea, 0x00, 0x10, 0x00, 0x00},
                         vector[] = {0xe9, 0x0d, 0xf0}; /* jmp from fff0 to f000 */
    uint8_t rom[4096];
    ram = ram_new("ram", RAM_SIZE, NULL, NULL);
    bios = ram_new("bios", 0x10000, NULL, NULL);
    segment = ram_new("segment", 0x10000, NULL, NULL);
    memset(rom, 0xee, sizeof(rom));
    ram_write(bios, 0, rom, sizeof(rom));
    ram_write(bios, 0xf000, start, sizeof(start));
    ram_write(bios, 0xfff0, vector, sizeof(vector));
    ram_region = add(region_ram("ram", ram, 0, RAM_SIZE), 0, 0);
    add(region_rom("bios", bios, 0, 0x10000), 0xffff0000, 0);
    add(region_rom("rom", bios, 0, 0x10000), 0xe0000, 0);
    pam = add(region_ram("pam", segment, 0, 0x10000), 0xe0000, 1);
    set_pam(0);
    window = add(region_io("window", 0x1000, &window_ops, NULL), 0xd0000, 0);
    coalesced = add(region_io("coalesced", 0x1000, &window_ops, NULL), 0xd1000, 0);
    region_set_coalesced(coalesced, true);
    bell = add(region_io("bell", 0x1000, &window_ops, NULL), 0xd2000, 0);
    ports = region_io("ports", 0x10, &port_ops, NULL);
    region_map(space_root(space_io()), ports, 0x10, 0);
    mem_commit();
}

void start_machine(const char *options, unsigned cpus)
{
    static const RunListener listener = {.reset = on_reset};
    GError *error = NULL;
    g_autoptr(GPtrArray) choices = g_ptr_array_new();
    loop_main();
    loop_lock();
    g_ptr_array_add(choices, (char *)options);
    ck_assert_msg(accel_start(choices, &error), "%s", error ? error->message : "");
    runstate_listen(&listener);
    make_memory();
    const ModelEnv env = {
        .supported = accel->supported_cpuid, .kvm = accel == &kvm_accel, .topology = {cpus, 1, 1, 1}};
    CpuModel *model = model_new("qemu64", &env, &error);
    ck_assert_msg(model, "%s", error ? error->message : "");
    for (unsigned i = 0; i < cpus; i++) {
        cpu_new(model, i, space_memory());
    }
    ck_assert_msg(accel_start_cpus(&error), "%s", error ? error->message : "");
    logged = done = counter = resets = 0;
}

void stop_machine(void)
{
    machine_stop(RUN_PAUSED);
    accel_stop_cpus();
    loop_unlock();
}

/* Rounds of the main loop until *what, at most ten seconds. */
bool wait_for(const unsigned *what)
{
    int code;
    int64_t end = clock_now(CLOCK_RT) + 10 * NS_PER_SECOND;
    Timer limit;
    timer_init(&limit, CLOCK_RT, (void (*)(void *))loop_wake, NULL);
    timer_at(&limit, end);
    while (!*(volatile const unsigned *)what && clock_now(CLOCK_RT) < end) {
        loop_iterate(true);
        runstate_poll(&code);
    }
    timer_off(&limit);
    return *what;
}

void wait_ms(unsigned ms)
{
    int code;
    int64_t end = clock_now(CLOCK_RT) + ms * NS_PER_MS;
    Timer limit;
    timer_init(&limit, CLOCK_RT, (void (*)(void *))loop_wake, NULL);
    timer_at(&limit, end);
    while (clock_now(CLOCK_RT) < end) {
        loop_iterate(true);
        runstate_poll(&code);
    }
    timer_off(&limit);
}

bool stopped_in(RunState s)
{
    int code;
    int64_t end = clock_now(CLOCK_RT) + 10 * NS_PER_SECOND;
    while (runstate() != s && clock_now(CLOCK_RT) < end) {
        wait_ms(1);
        runstate_poll(&code);
    }
    return runstate() == s;
}

void run_guest(unsigned code)
{
    ck_assert(machine_continue(NULL));
    ck_assert_msg(wait_for(&done), "the guest does not end");
    ck_assert_uint_eq(done, code);
}

uint64_t peek(uint64_t at, unsigned size)
{
    uint64_t v = 0;
    ck_assert(space_peek(space_memory(), at, &v, size));
    return v;
}

const char *const modes[MODES] = {"kvm,kernel-irqchip=off", "kvm,kernel-irqchip=split",
                                  "kvm,kernel-irqchip=on"};

int run_cases(const char *name, const Case *cases, unsigned n)
{
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        fprintf(stderr, "skipped: /dev/kvm cannot be opened here\n");
        return 77;
    }
    return run_all_cases(name, cases, n);
}

int run_all_cases(const char *name, const Case *cases, unsigned n)
{
    Suite *s = suite_create(name);
    for (unsigned i = 0; i < n; i++) {
        TCase *t = tcase_create(cases[i].name);
        tcase_set_timeout(t, 120);
        tcase_add_loop_test(t, cases[i].test, 0, cases[i].loops);
        suite_add_tcase(s, t);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
