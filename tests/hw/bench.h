/* The bench for chips: a device without a machine.  Time stands still until bench_advance; pins and memory are watched. */
#ifndef TESTS_HW_BENCH_H
#define TESTS_HW_BENCH_H

#include <check.h>

#include "hw/device.h"

/* Once per test (checked fixture): manual clock at 0, main lock held, 1 MiB of RAM at 0 in space_memory(). */
void bench_setup(void);
void bench_teardown(void);
void bench_advance(int64_t ns);         /* moves the virtual clock, timers fire in order */

/* A device by class, with "prop=value,prop=value" set, realized without a bus, power-on reset. Freed by teardown. */
void *bench_device(const DeviceClass *class, const char *props);

/* Accesses to register space 0 as a guest makes them. */
uint8_t in8(void *dev, unsigned at);
uint16_t in16(void *dev, unsigned at);
uint32_t in32(void *dev, unsigned at);
void out8(void *dev, unsigned at, uint8_t v);
void out16(void *dev, unsigned at, uint16_t v);
void out32(void *dev, unsigned at, uint32_t v);

/* A probe on an output pin: its level, and how often it rose and fell since the last bench_probe_clear. */
typedef struct Probe { bool level; unsigned rises, falls; } Probe;
Probe *bench_probe(void *dev, const char *pin, unsigned i);

/* Run the suite of cases (an END-terminated list of TTest) as check does, in one process each; main() returns its value. */
typedef struct BenchCase { const char *name; const TTest *test; } BenchCase;
int bench_main(const char *suite, const BenchCase *cases, unsigned n);
#define CASE(t) {#t, t}
#define BENCH_MAIN(suite, ...)                                                                                         \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const BenchCase cases[] = {__VA_ARGS__};                                                                       \
        return bench_main(suite, cases, G_N_ELEMENTS(cases));                                                          \
    }

/* Guest memory of the bench. */
void bench_poke(uint64_t gpa, const void *buf, size_t len);
void bench_peek(uint64_t gpa, void *buf, size_t len);

#endif
