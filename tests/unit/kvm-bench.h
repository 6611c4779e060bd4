/* A small machine for tests of KVM: memory, a few windows and ports, and guests from kvm-guest.asm.
 *
 * RAM below 0xd0000; a window at 0xd0000 that logs writes and reads as 0x40 + offset, the same with
 * buffered writes at 0xd1000, one for doorbells at 0xd2000; ROM of 0xee at 0xe0000, or RAM by port
 * 0x1c (0: ROM, 1: RAM, 2: read-only). Ports: writes to 0x10.. are logged, 0x12 not, 0x18 reads a
 * counter, 0x1e ends with a code, 0x14.. read a pattern. Each test runs in a process of its own and
 * starts the machine once. */
#ifndef TESTS_UNIT_KVM_BENCH_H
#define TESTS_UNIT_KVM_BENCH_H

#include <check.h>

#include "accel/accel.h"
#include "accel/kvm/kvm.h"
#include "core/loop.h"
#include "core/runstate.h"
#include "mem/ram.h"

#define GUEST(name)    extern const uint8_t guest_##name[], guest_##name##_end[];
#define LOAD(name, at) ram_write(ram, at, guest_##name, (size_t)(guest_##name##_end - guest_##name))

enum { RAM_SIZE = 0xd0000, LOG = 4096 };
typedef struct Access {
    uint16_t at;
    uint8_t size;
    uint64_t value;
} Access;
extern RamBlock *ram;
extern Region *ram_region, *bell, *ports;
extern Access access_log[LOG];
extern unsigned logged, done, counter, resets;
extern void (*on_request)(void); /* a write to port 0x1a, main lock held; NULL: it is logged */

void start_machine(const char *options,
                   unsigned cpus); /* `options` as for -accel; guests start at 0000:1000 */
void stop_machine(void);
bool wait_for(const unsigned *what); /* rounds of the main loop until *what, at most ten seconds */
void wait_ms(unsigned ms);
bool stopped_in(RunState s);   /* waits for it */
void run_guest(unsigned code); /* until it ends, with that code */
uint64_t peek(uint64_t at, unsigned size);

#define CHECK_LOG(i, at_, size_, value_)                                                           \
    do {                                                                                           \
        ck_assert_uint_lt(i, logged);                                                              \
        ck_assert_uint_eq(access_log[i].at, at_);                                                  \
        ck_assert_uint_eq(access_log[i].size, size_);                                              \
        ck_assert_uint_eq(access_log[i].value, value_);                                            \
    } while (0)

/* Every mode of the interrupt chips: loop tests run once in each. */
enum { MODES = 3 };
extern const char *const modes[MODES];

/* A case for each test, so that one can be picked with CK_RUN_CASE. */
typedef struct Case {
    const char *name;
    const TTest *test;
    int loops;
} Case;
#define CASE(name, loops)                                                                          \
    {                                                                                              \
#name, name, loops                                                                         \
    }
int run_cases(const char *name, const Case *cases,
              unsigned n); /* main's result; 77 where there is no KVM */
int run_all_cases(const char *name, const Case *cases, unsigned n); /* those that also run without */

#endif
