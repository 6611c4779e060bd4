/* What every CPU test starts with. */
#ifndef TESTS_CPU_CPU_TEST_H
#define TESTS_CPU_CPU_TEST_H

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/model.h"
#include "cpu/msr.h"

static inline CpuModel *model_or_fail(const char *option, const ModelEnv *env)
{
    GError *error = NULL;
    CpuModel *m = model_new(option, env, &error);
    ck_assert_msg(m, "%s: %s", option, error ? error->message : "no message");
    return m;
}

/* The CPUs and the model that they share. */
static inline void free_cpus(void)
{
    CpuModel *m = (CpuModel *)cpu_at(0)->model;
    cpu_free_all();
    model_free(m);
}

static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define SUITE(name, ...)                                                                           \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *tests[] = {__VA_ARGS__};                                                      \
        Suite *s = suite_create(name);                                                             \
        TCase *tc = tcase_create(name);                                                            \
        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++) {                                         \
            tcase_add_test(tc, tests[i]);                                                          \
        }                                                                                          \
        suite_add_tcase(s, tc);                                                                    \
        return run_suite(s);                                                                       \
    }

#endif
