/* A check suite of one test case from a list of tests. */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <check.h>
#include <glib.h>

static inline int run_suite(const char *name, const TTest *const *tests, size_t n, SFun setup, SFun teardown)
{
    Suite *suite = suite_create(name);
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    if (setup) {
        tcase_add_checked_fixture(tc, setup, teardown);
    }
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#define SUITE_MAIN(name, setup, teardown, ...)                                                     \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_suite(name, tests, G_N_ELEMENTS(tests), setup, teardown);                       \
    }

#endif
