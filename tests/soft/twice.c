/* Memory for host code: written in one place, run in another, replaced, and given back to whose room it lay in. */
#include "accel/soft/twice.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/cpu/cpu-test.h"

enum { PAGE = 4096, SIZE = 4 * PAGE };

/* mov eax, n; ret */
static void write_answer(Twice *t, unsigned n)
{
    uint8_t code[] = {0xb8, (uint8_t)n, 0, 0, 0, 0xc3};
    memcpy(t->write + PAGE, code, sizeof(code));
}

static int run(const Twice *t)
{
    return ((int (*)(void))(uintptr_t)(t->run + PAGE))();
}

START_TEST(is_written_and_run)
{
    Twice t;
    twice_map(&t, SIZE, NULL, "a test");
    ck_assert_ptr_nonnull(t.write);
    ck_assert_ptr_ne(t.write, t.run);
    write_answer(&t, 42);
    ck_assert_int_eq(run(&t), 42);
    twice_clear(&t, PAGE, SIZE - PAGE);
    ck_assert_int_eq(t.run[PAGE], 0);
    write_answer(&t, 43);
    ck_assert_int_eq(run(&t), 43);
    twice_unmap(&t);
    ck_assert_ptr_null(t.write);
}
END_TEST

/* Nobody else gets a room before its owner gives it back. */
START_TEST(room_stays_reserved)
{
    Twice t;
    uint8_t *room = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(room, MAP_FAILED);
    twice_map(&t, SIZE, room + SIZE, "a test");
    ck_assert_ptr_eq(t.run, room + SIZE);
    write_answer(&t, 44);
    ck_assert_int_eq(run(&t), 44);
    twice_unmap(&t);
    void *other = mmap(room + SIZE, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert_ptr_eq(other, MAP_FAILED);
    ck_assert_int_eq(errno, EEXIST);
    ck_assert_int_eq(munmap(room, 2 * SIZE), 0);
}
END_TEST

SUITE("soft twice", is_written_and_run, room_stays_reserved)
