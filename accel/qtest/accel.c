/* The qtest accelerator: the CPUs exist and do not run; time moves only when the wire says so. */
#include "accel/accel.h"
#include "core/clock.h"

static bool qtest_start(GError **error)
{
    clock_manual();
    return true;
}

const Accel qtest_accel = {
    .name = "qtest",
    .doc = "no CPU runs: a socket drives ports, memory, clock and pins",
    .thread_suffix = "qtest",
    .start = qtest_start,
};
